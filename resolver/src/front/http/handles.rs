//! `GET /api/handles/{handle}`: an identifier's values in the shape that existing clients of
//! the Handle System's HTTP API read.

use super::answer::{Answer, Style, with_body};
use super::deadline::Deadline;
use super::request::{self, Parameters};
use super::{Shared, freshness, target};
use crate::front::Core;
use crate::resolve::{self, Missing, Query, Resolved};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use freshness::Freshness;
use idnode_proto::handle::ResponseCode;
use idnode_proto::identifier::{Identifier, MAX_IDENTIFIER_BYTES};
use idnode_proto::value::{Ttl, Value, ValueRef, Values, encode_values, types};
use idnode_registry::Error;
use idnode_registry::prefix_table::PrefixEntry;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Instant;

/// In front of a handle.
pub(super) const PATH: &str = "/api/handles/";

/// `GET /api/handles/{handle}`.
pub(super) async fn get(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let began = Instant::now();
    let response = answer(&shared, request.uri(), request.headers()).await;
    shared.meters.answered(response.status(), began);
    response
}

/// `GET /api/handles`: the listing of the Handle System's API.
pub(super) async fn list(request: Request) -> Response<Body> {
    not_offered(request.method(), request.uri())
}

/// What of the API is not offered: listing and writing.
pub(super) fn not_offered(method: &Method, uri: &Uri) -> Response<Body> {
    let handle = uri.path().strip_prefix(PATH).unwrap_or_default();
    let message = match *method {
        Method::GET | Method::HEAD => {
            "handles are not listed here, name one: /api/handles/{handle}".to_owned()
        }
        _ => format!("method: {method} is not offered here, only GET, HEAD and OPTIONS"),
    };
    let mut response =
        Answer::error(ResponseCode::NOT_SUPPORTED, handle, message).response(Style::default());
    response.headers_mut().insert(
        header::ALLOW,
        HeaderValue::from_static("GET, HEAD, OPTIONS"),
    );
    response
}

async fn answer(shared: &Arc<Shared>, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
    let deadline = Deadline::of(shared);
    let path = uri.path().strip_prefix(PATH).unwrap_or_default();
    let parameters = match Parameters::parse(uri.query()) {
        Ok(parameters) => parameters,
        Err(error) => {
            let answer = Answer::error(ResponseCode::PROTOCOL_ERROR, path, error.to_string());
            return answer.response(Style::default());
        }
    };
    let invalid = |handle: &str, message: String| {
        // Of what is far too long the beginning says which it was.
        let handle = handle
            .get(..handle.floor_char_boundary(MAX_IDENTIFIER_BYTES))
            .unwrap_or_default();
        Answer::error(ResponseCode::INVALID_HANDLE, handle, message)
            .response(Style::of(&parameters))
    };
    let text = match request::decoded(path) {
        Ok(text) => text,
        Err(error) => return invalid(path, error.to_string()),
    };
    match Identifier::parse(&text) {
        Ok(identifier) => {
            by_identifier(shared, &identifier, &parameters, uri, headers, deadline).await
        }
        Err(error) => invalid(&text, format!("{}: {error}", error.part())),
    }
}

/// The JSON answer for an identifier, whichever path it was in.
pub(super) async fn by_identifier(
    shared: &Arc<Shared>,
    identifier: &Identifier,
    parameters: &Parameters,
    uri: &Uri,
    headers: &HeaderMap,
    deadline: Deadline,
) -> Response<Body> {
    let style = Style::of(parameters);
    let handle = identifier.display();
    let caller = match request::caller(shared, headers, deadline).await {
        Ok(caller) => caller,
        Err(error) => return refused(&handle, &error, style),
    };
    let query = Query {
        identifier,
        filter: &parameters.filter,
        caller: &caller,
        public_only: parameters.public_only.unwrap_or(false),
    };
    match resolved(shared, &query, deadline).await {
        Ok(resolve::Answer::Found(found))
            if parameters.public_only == Some(false) && found.withheld(&query) =>
        {
            let message = "publicOnly: false asks for values that this caller may not read";
            log_in(
                Answer::error(ResponseCode::AUTHENTICATION_NEEDED, &handle, message)
                    .response(style),
            )
        }
        Ok(resolve::Answer::Found(found)) => values(&handle, &found, &query, style, headers),
        Ok(resolve::Answer::Referral(entry)) if parameters.do_not_refer => {
            let message = format!(
                "prefix: {} is served elsewhere, and doNotRefer is set",
                name_of(&entry)
            );
            Answer::error(ResponseCode::NOT_RESPONSIBLE, &handle, message).response(style)
        }
        Ok(resolve::Answer::Referral(entry)) => referral(&handle, &entry, style, uri),
        Ok(resolve::Answer::Missing(missing)) => {
            let (code, message) = absence(&shared.core, identifier, &missing);
            Answer::error(code, &handle, message).response(style)
        }
        Err(error) => refused(&handle, &error, style),
    }
}

/// The core's answer, from the disk if need be and there is time.
///
/// # Errors
/// [`Error::Storage`]; [`Error::Unavailable`] when there was no time.
pub(super) async fn resolved(
    shared: &Shared,
    query: &Query<'_>,
    deadline: Deadline,
) -> Result<resolve::Answer, Error> {
    let resolver = &shared.core.resolver;
    if let Some(answer) = resolver.try_resolve(query) {
        return answer;
    }
    match deadline.run(shared, resolver.resolve(query)).await {
        Some(answer) => answer,
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
    let Ok(body) = answer.body(style) else {
        return answer.response(style);
    };
    let entity_tag = freshness::entity_tag(found.version(), &body);
    let mut response = if freshness::is_known(headers, &entity_tag) {
        let mut unchanged = Response::new(Body::empty());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged
    } else {
        with_body(StatusCode::OK, style, body)
    };
    Freshness::of(shown.iter()).stamp(&mut response);
    if let Ok(entity_tag) = HeaderValue::try_from(entity_tag) {
        response.headers_mut().insert(header::ETAG, entity_tag);
    }
    response
}

/// 300 with the sites of the node that knows more, and its HTTP address where it has one.
pub(super) fn referral(
    handle: &str,
    entry: &PrefixEntry,
    style: Style<'_>,
    uri: &Uri,
) -> Response<Body> {
    let encoded = encode_values(&sites(entry));
    let shown: Vec<ValueRef<'_>> = Values::all(&encoded).map_while(Result::ok).collect();
    let message = format!(
        "prefix: {} is served elsewhere{}",
        name_of(entry),
        name_servers(entry)
    );
    let answer = Answer {
        code: ResponseCode::PREFIX_REFERRAL,
        handle,
        message: Some(message),
        values: Some(&shown),
    };
    let mut response = answer.response(style);
    let location = target::of_delegation(&entry.record)
        .and_then(|address| target::at_node(&address, uri.path(), uri.query()));
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn sites(entry: &PrefixEntry) -> Vec<Value> {
    let timestamp_s = (entry.record.updated_at_ms / 1_000) as u32;
    let sites = entry
        .record
        .delegation
        .iter()
        .flat_map(|delegation| &delegation.sites);
    sites
        .zip(1..)
        .map(|(site, index)| Value {
            ttl: Ttl::DEFAULT,
            timestamp_s,
            ..Value::new(index, types::HS_SITE, site.to_vec())
        })
        .collect()
}

/// The DNS names of who knows more, for a delegation that names no site.
fn name_servers(entry: &PrefixEntry) -> String {
    match &entry.record.delegation {
        Some(delegation) if delegation.sites.is_empty() => {
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
            let name = core.registry.prefixes().governing(identifier).map_or_else(
                || {
                    identifier
                        .prefix()
                        .map_or_else(String::new, |prefix| prefix.canonical())
                },
                |entry| name_of(&entry),
            );
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

fn refused(handle: &str, error: &Error, style: Style<'_>) -> Response<Body> {
    match error {
        Error::Unauthenticated(reason) => {
            let message = format!("authorization: {reason}");
            log_in(
                Answer::error(ResponseCode::AUTHENTICATION_NEEDED, handle, message).response(style),
            )
        }
        Error::Unavailable(reason) => {
            let mut response =
                Answer::error(ResponseCode::BUSY, handle, reason.as_str()).response(style);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
        error => {
            tracing::error!(%error, "http: an identifier could not be read");
            Answer::error(ResponseCode::ERROR, handle, error.to_string()).response(style)
        }
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
