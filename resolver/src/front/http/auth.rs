//! Who sends a request.

use super::Shared;
use super::deadline::Deadline;
use super::refusal::Refusal;
use crate::front::bearer_token;
use axum::body::Body;
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, Response};
use idnode_registry::{Caller, Error};
use std::sync::Arc;

/// The holder of a request's credential, or a stranger when it shows none.
///
/// # Errors
/// [`ResponseCode::AUTHENTICATION_NEEDED`](idnode_proto::handle::ResponseCode) for a credential
/// that is not valid or of another scheme, `BUSY` when the store could not say in time.
pub(super) async fn authenticate(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    deadline: Deadline,
) -> Result<Caller, Refusal> {
    let Some(field) = headers.get(header::AUTHORIZATION) else {
        return Ok(Caller::Stranger);
    };
    let field = field
        .to_str()
        .map_err(|_| Refusal::unauthenticated("the authorization field is not ASCII text"))?;
    let scheme = field.split(' ').next().unwrap_or_default();
    if ["basic", "handle"]
        .iter()
        .any(|other| scheme.eq_ignore_ascii_case(other))
    {
        return Err(Refusal::unauthenticated(&format!(
            "{scheme} authentication is not offered; send authorization: Bearer with the \
             operator token or an API key"
        )));
    }
    let token = bearer_token(field)?.to_owned();
    let core = shared.core.clone();
    // The store may have to ask the disk.
    blocking(shared, deadline, move || core.caller(Some(&token))).await
}

/// Runs what may wait for the disk on a thread where that hurts nobody.
pub(super) async fn blocking<T: Send + 'static>(
    shared: &Shared,
    deadline: Deadline,
    task: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Refusal> {
    match deadline
        .run(shared, tokio::task::spawn_blocking(task))
        .await
    {
        Some(Ok(done)) => Ok(done?),
        Some(Err(error)) => Err(Error::Storage(error.to_string()).into()),
        None => Err(Refusal::busy("the credential could not be checked in time")),
    }
}

/// Says how to log in (RFC 6750 §3).
pub(super) fn log_in(mut response: Response<Body>) -> Response<Body> {
    let challenge = HeaderValue::from_static("Bearer realm=\"idnode\"");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}
