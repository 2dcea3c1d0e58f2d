//! The registry's errors as this protocol's response codes.

use idnode_proto::handle::ResponseCode;
use idnode_registry::{Error, Object};

/// The code of an error.
pub(super) fn code_of(error: &Error) -> ResponseCode {
    match error {
        Error::Invalid { field, .. } if field.starts_with("identifier") => {
            ResponseCode::INVALID_HANDLE
        }
        Error::Invalid { .. } => ResponseCode::INVALID_VALUE,
        Error::NotFound { object, .. } => match object {
            Object::Prefix => ResponseCode::NOT_RESPONSIBLE,
            Object::Value => ResponseCode::VALUES_NOT_FOUND,
            _ => ResponseCode::HANDLE_NOT_FOUND,
        },
        Error::Exists {
            object: Object::Value,
            ..
        } => ResponseCode::VALUE_EXISTS,
        Error::Exists { .. } => ResponseCode::HANDLE_EXISTS,
        Error::PrefixNotActive { .. } | Error::PrefixDelegated(_) => ResponseCode::NOT_RESPONSIBLE,
        Error::NotAdministrator { .. } => ResponseCode::INVALID_ADMIN,
        Error::Denied(_) | Error::AdministratorRight { .. } => ResponseCode::NO_PERMISSION,
        // Not 402: one client takes that for success.
        Error::Unauthenticated(_) => ResponseCode::AUTHENTICATION_FAILED,
        Error::Quota { kind, .. } => kind.response_code(),
        Error::Bound { .. } | Error::Unavailable(_) => ResponseCode::BUSY,
        Error::VersionMismatch { .. }
        | Error::State { .. }
        | Error::IdempotencyKeyReused(_)
        | Error::Storage(_) => ResponseCode::ERROR,
    }
}
