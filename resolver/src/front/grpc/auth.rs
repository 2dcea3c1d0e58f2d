//! Who calls: the `authorization: Bearer` metadata.

use super::status::Result;
use crate::front::{Core, bearer_token};
use idnode_registry::{Caller, Error};
use tonic::metadata::MetadataMap;

/// The holder of the call's credential, or a stranger when it shows none.
/// Errors: the credential is not valid.
pub(super) fn caller(core: &Core, metadata: &MetadataMap) -> Result<Caller> {
    let Some(field) = metadata.get("authorization") else {
        return Ok(Caller::Stranger);
    };
    let field = field.to_str().map_err(|_| {
        Error::Unauthenticated("the authorization field is not of the form Bearer <token>".into())
    })?;
    Ok(core.caller(Some(bearer_token(field)?))?)
}

/// As [`caller`], and there must be one.
pub(super) fn known(core: &Core, metadata: &MetadataMap) -> Result<Caller> {
    let caller = caller(core, metadata)?;
    caller.require_known()?;
    Ok(caller)
}
