//! `GET /api/handles/{handle}`: an identifier's values in the shape that existing clients of
//! the Handle System's HTTP API read.

use super::answer::{Answer, Style, with_body};
use super::call::{Call, answered};
use super::deadline::Deadline;
use super::kept::Keepable;
use super::refusal::Refusal;
use super::{Shared, freshness, list, target, write};
use crate::front::Core;
use crate::recursion::RecursionError;
use crate::resolve::{self, Basis, Missing, Query, Resolved};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use freshness::Freshness;
use idnode_proto::handle::ResponseCode;
use idnode_proto::identifier::Identifier;
use idnode_proto::value::{ValueRef, Values, encode_values};
use idnode_registry::prefix::Delegation;
use idnode_registry::prefix_table::PrefixEntry;
use idnode_registry::{Caller, Error};
use jiff::Timestamp;
use std::sync::Arc;

/// In front of a handle.
pub(super) const PATH: &str = "/api/handles/";

/// `/api/handles/{handle}`.
pub(super) async fn one(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD | Method::PUT | Method::DELETE => {
            match Call::begin(&shared, PATH, &parts).await {
                Ok(call) => match parts.method {
                    Method::PUT => write::put(&call, body).await,
                    Method::DELETE => write::delete(&call).await,
                    _ => get(&call, &parts.headers).await,
                },
                Err(refused) => refused,
            }
        }
        ref method => not_offered(method, &parts.uri, "GET, HEAD, PUT, DELETE, OPTIONS"),
    }
}

/// `/api/handles`: the handles of a prefix.
pub(super) async fn all(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => list::of_handles(&shared, &parts).await,
        ref method => not_offered(method, &parts.uri, "GET, HEAD, OPTIONS"),
    }
}

/// That a method means nothing at a path of the API.
pub(super) fn not_offered(method: &Method, uri: &Uri, offered: &'static str) -> Response<Body> {
    let handle = uri.path().strip_prefix(PATH).unwrap_or_default();
    let message = format!("method: {method} is not offered here, only {offered}");
    let refusal = Refusal::new(ResponseCode::NOT_SUPPORTED, message);
    let mut response = answered(refusal, handle, Style::default());
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(offered));
    response
}

/// The JSON answer for an identifier, whichever path it was in.
pub(super) async fn get(call: &Call, headers: &HeaderMap) -> Response<Body> {
    if call.parameters.various {
        let message = "query parameter index: various is for PUT alone";
        return call.refused(Refusal::new(ResponseCode::PROTOCOL_ERROR, message));
    }
    let (parameters, style) = (&call.parameters, call.style());
    let handle = call.identifier.display();
    let query = Query {
        identifier: &call.identifier,
        filter: &parameters.filter,
        caller: &call.caller,
        public_only: parameters.public_only.unwrap_or(false),
    };
    let (answer, basis) = match resolved(&call.shared, &query, call.deadline).await {
        Ok((answer, basis)) => {
            // What others answer in place of it rests on what this node does not know.
            let basis = basis.filter(|_| matches!(answer, resolve::Answer::Found(_)));
            (further(call, answer).await, basis)
        }
        Err(error) => (Err(error.into()), None),
    };
    match answer {
        Ok(resolve::Answer::Found(found))
            if parameters.public_only == Some(false) && found.withheld(&query) =>
        {
            call.refused(Refusal::new(
                ResponseCode::AUTHENTICATION_NEEDED,
                "publicOnly: false asks for values that this caller may not read",
            ))
        }
        Ok(resolve::Answer::Found(found)) => {
            let basis = basis.filter(|_| *query.caller == Caller::Stranger);
            values(&handle, &found, &query, style, headers, basis)
        }
        Ok(resolve::Answer::Referral(entry)) if parameters.do_not_refer => {
            call.refused(not_referred(&entry))
        }
        Ok(resolve::Answer::Referral(entry)) => {
            let location = location(&entry, call.prefers_https, &call.uri);
            referral(&handle, &entry, style, location)
        }
        Ok(resolve::Answer::Missing(missing)) => {
            let (code, message) = absence(&call.shared.core, &call.identifier, &missing);
            call.refused(Refusal::new(code, message))
        }
        Err(error) => call.refused(error),
    }
}

/// What others answer, where they are to be asked; else what the core has said.
///
/// # Errors
/// They give no answer.
async fn further(call: &Call, said: resolve::Answer) -> Result<resolve::Answer, Refusal> {
    recursed(
        &call.shared,
        &call.identifier,
        call.parameters.recurse,
        call.deadline,
        said,
    )
    .await
}

/// What others answer for an identifier, where its client wants that and they are to be asked;
/// else what the core has said.
///
/// # Errors
/// They give no answer.
pub(super) async fn recursed(
    shared: &Shared,
    identifier: &Identifier,
    wanted: bool,
    deadline: Deadline,
    said: resolve::Answer,
) -> Result<resolve::Answer, Refusal> {
    let Some(recursion) = shared.core.recursion.as_ref().filter(|_| wanted) else {
        return Ok(said);
    };
    let asked = match recursion.start(identifier, &said) {
        None => return Ok(said),
        Some(start) => {
            let asking = recursion.resolve(identifier, &start, 0);
            deadline.run(shared, asking).await
        }
    };
    match asked {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(RecursionError::NoWay)) => Ok(said),
        Some(Err(error)) => Err(Refusal::new(error.code(), format!("recurse: {error}"))),
        None => Err(Refusal::busy("others did not answer in time")),
    }
}

/// The core's answer, from the disk if need be and there is time; with what it rests on, if that can be
/// looked at again.
///
/// # Errors
/// [`Error::Storage`]; [`Error::Unavailable`] when there was no time.
pub(super) async fn resolved(
    shared: &Shared,
    query: &Query<'_>,
    deadline: Deadline,
) -> Result<(resolve::Answer, Option<Basis>), Error> {
    let resolver = &shared.core.resolver;
    if let Some(answer) = resolver.try_resolve_with_basis(query) {
        return answer.map(|(answer, basis)| (answer, Some(basis)));
    }
    match deadline.run(shared, resolver.resolve(query)).await {
        Some(answer) => answer.map(|answer| (answer, None)),
        None => Err(Error::Unavailable(
            "the store did not answer in time".into(),
        )),
    }
}

fn values(
    handle: &str,
    found: &Resolved,
    query: &Query<'_>,
    style: Style<'_>,
    headers: &HeaderMap,
    basis: Option<Basis>,
) -> Response<Body> {
    let shown: Vec<ValueRef<'_>> = found.values(query).collect();
    let code = if shown.is_empty() {
        ResponseCode::VALUES_NOT_FOUND
    } else {
        ResponseCode::SUCCESS
    };
    let answer = Answer {
        code,
        handle,
        message: None,
        values: Some(&shown),
    };
    let body = match answer.body(style) {
        Ok(body) => Bytes::from(body),
        Err(_) => return answer.response(style),
    };
    let entity_tag = freshness::entity_tag(found.version(), &body);
    let mut response = if freshness::is_known(headers, &entity_tag) {
        let mut unchanged = Response::new(Body::empty());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged
    } else {
        with_body(StatusCode::OK, style, body.clone())
    };
    // Of a value that ends at a time the rest is another each time.
    if let Some(basis) = basis.filter(|_| !found.has_absolute_ttl()) {
        response.extensions_mut().insert(Keepable { basis, body });
    }
    Freshness::of(found, shown.iter()).stamp(&mut response);
    if let Ok(entity_tag) = HeaderValue::try_from(entity_tag) {
        response.headers_mut().insert(header::ETAG, entity_tag);
    }
    response
}

/// Where the node that knows more answers the same request.
pub(super) fn location(entry: &PrefixEntry, prefers_https: bool, uri: &Uri) -> Option<HeaderValue> {
    let address = target::of_delegation(&entry.record, prefers_https)?;
    target::at_node(&address, uri.path(), uri.query())
}

/// The answer to who wants no referral.
pub(super) fn not_referred(entry: &PrefixEntry) -> Refusal {
    let name = name_of(entry);
    let message = format!("prefix: {name} is served elsewhere, and doNotRefer is set");
    Refusal::new(ResponseCode::NOT_RESPONSIBLE, message)
}

/// 300 with the sites of the node that knows more, or the handle of its service, and its HTTP
/// address where it has one.
pub(super) fn referral(
    handle: &str,
    entry: &PrefixEntry,
    style: Style<'_>,
    location: Option<HeaderValue>,
) -> Response<Body> {
    let encoded = encode_values(&entry.record.delegation_values());
    let shown: Vec<ValueRef<'_>> = Values::all(&encoded).map_while(Result::ok).collect();
    let message = format!(
        "prefix: {} is served elsewhere{}",
        name_of(entry),
        name_servers(entry)
    );
    let delegation = entry.record.delegation.as_ref();
    let code = match delegation.and_then(Delegation::service) {
        Some(_) => ResponseCode::SERVICE_REFERRAL,
        None => ResponseCode::PREFIX_REFERRAL,
    };
    let answer = Answer {
        code,
        handle,
        message: Some(message),
        values: Some(&shown),
    };
    let mut response = answer.response(style);
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The DNS names of who knows more, for a delegation to nobody else.
fn name_servers(entry: &PrefixEntry) -> String {
    match &entry.record.delegation {
        Some(delegation) if delegation.sites.is_empty() && delegation.service().is_none() => {
            let names: Vec<&str> = delegation
                .name_servers
                .iter()
                .map(|server| server.name.as_str())
                .collect();
            format!(", by the name servers {}", names.join(" "))
        }
        _ => String::new(),
    }
}

pub(super) fn name_of(entry: &PrefixEntry) -> String {
    entry
        .record
        .prefix()
        .map_or_else(|_| "the prefix".to_owned(), |prefix| prefix.canonical())
}

/// The code and the words for an identifier without an answer here.
pub(super) fn absence(
    core: &Core,
    identifier: &Identifier,
    missing: &Missing,
) -> (ResponseCode, String) {
    match missing {
        Missing::Identifier => (
            ResponseCode::HANDLE_NOT_FOUND,
            format!("identifier: {identifier} is not registered"),
        ),
        Missing::Deleted { at_ms, reason, .. } => {
            let reason = if reason.is_empty() {
                "no reason given"
            } else {
                reason
            };
            let at = rfc3339(*at_ms);
            (
                ResponseCode::HANDLE_NOT_FOUND,
                format!("identifier: {identifier} was deleted at {at}: {reason}"),
            )
        }
        Missing::Prefix => {
            let message = format!("prefix: none of {identifier} is registered at this node");
            (ResponseCode::NOT_RESPONSIBLE, message)
        }
        Missing::PrefixNotActive(state) => {
            // Of `0.NA/<prefix>` that prefix.
            let described = identifier.prefix_handle();
            let governing = || core.registry.prefixes().governing(identifier);
            let name = match (described, governing()) {
                (Some(prefix), _) => prefix.canonical(),
                (None, Some(entry)) => name_of(&entry),
                (None, None) => {
                    (identifier.prefix()).map_or_else(String::new, |prefix| prefix.canonical())
                }
            };
            (
                ResponseCode::NOT_RESPONSIBLE,
                format!("prefix: {name} is {}", state.label()),
            )
        }
    }
}

/// Milliseconds since the Unix epoch as RFC 3339 has them, whole seconds, UTC.
fn rfc3339(at_ms: u64) -> String {
    let second = i64::try_from(at_ms / 1_000).unwrap_or_default();
    Timestamp::from_second(second)
        .unwrap_or_default()
        .to_string()
}
