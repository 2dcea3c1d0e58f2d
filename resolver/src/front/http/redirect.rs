//! `GET /{identifier}`: a redirect to what the identifier's URL value says.

use super::answer::Style;
use super::auth::{Shown, authenticate};
use super::call::Call;
use super::deadline::Deadline;
use super::freshness::Freshness;
use super::handles::{self, absence, resolved};
use super::problem::Problem;
use super::refusal::Refusal;
use super::request::{self, ParameterError, Parameters, PathError};
use super::{Shared, page, target};
use crate::front::Core;
use crate::resolve::{Answer, Filter, Missing, Query, Resolved};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode, Uri};
use idnode_proto::identifier::{Identifier, IdentifierError, Scheme};
use idnode_proto::value::types;
use idnode_registry::prefix_table::PrefixEntry;
use idnode_registry::{Caller, Error};
use std::sync::Arc;

/// How often a GS1 key is asked for with one qualifier less; no key has more.
const MAX_QUALIFIERS: usize = 8;

/// `GET /{identifier}`.
pub(super) async fn get(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    match answer(&shared, &parts).await {
        Ok(response) => response,
        Err(problem) => problem.response(parts.uri.path()),
    }
}

async fn answer(shared: &Arc<Shared>, parts: &Parts) -> Result<Response<Body>, Problem> {
    let (uri, headers) = (&parts.uri, &parts.headers);
    let deadline = Deadline::of(shared);
    let parameters = Parameters::parse(uri.query())?;
    let path = uri.path().strip_prefix('/').unwrap_or(uri.path());
    let identifier = identify(&shared.core, path)?;
    let shown = Shown::of(parts).without_ambient(parameters.callback.is_some());
    let caller = authenticate(shared, shown, deadline).await?;
    let wants_page = page::is_wanted(headers);
    if parameters.no_redirect && !wants_page {
        let call = Call {
            shared: shared.clone(),
            deadline,
            parameters,
            identifier,
            caller,
            uri: uri.clone(),
            prefers_https: target::prefers_https(parts),
        };
        return Ok(negotiated(handles::get(&call, headers).await));
    }
    let (identifier, answer) = nearest(shared, identifier, &caller, deadline).await?;
    match answer {
        Answer::Found(found) if parameters.no_redirect => {
            Ok(to_page(shared, &identifier, &found, &caller, uri))
        }
        Answer::Found(found) => match to_url(shared, &identifier, &found, &caller, uri) {
            Err(_) if wants_page => Ok(to_page(shared, &identifier, &found, &caller, uri)),
            answer => answer,
        },
        Answer::Referral(entry) => Ok(to_node(&identifier, &entry, parts)),
        Answer::Missing(missing) => Err(nothing(&shared.core, &identifier, &missing)),
    }
}

/// The identifier in a path: a GS1 Digital Link URI's where it has that form, unless it is a
/// handle that happens to look like one and whose prefix is registered.
fn identify(core: &Core, path: &str) -> Result<Identifier, Problem> {
    let key = path.split('/').next().unwrap_or_default();
    let like_gs1 = (2..=4).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_digit());
    // The path still encoded: GS1 separates first and decodes each value then.
    let gs1 = like_gs1.then(|| Identifier::parse_as(Scheme::Gs1, &format!("gs1:{path}")));
    let broken = match gs1 {
        Some(Ok(identifier)) => return Ok(identifier),
        Some(Err(error)) => Some(error).filter(is_about_a_gs1_key),
        None => None,
    };
    let identifier = Identifier::parse(&request::decoded(path)?);
    match (identifier, broken) {
        (Ok(identifier), None) => Ok(identifier),
        (Ok(identifier), Some(_)) if core.registry.prefixes().governing(&identifier).is_some() => {
            Ok(identifier)
        }
        (_, Some(error)) | (Err(error), None) => Err(error.into()),
    }
}

/// Whether a text is a GS1 key with a mistake in it, rather than something else.
fn is_about_a_gs1_key(error: &IdentifierError) -> bool {
    !matches!(
        error,
        IdentifierError::ApplicationIdentifier { .. }
            | IdentifierError::Missing { part: "key", .. }
    )
}

/// The answer for an identifier; for a GS1 key that is not registered with all its qualifiers,
/// that of the batch or the product it belongs to (GS1-Conformant Resolver Standard).
async fn nearest(
    shared: &Shared,
    identifier: Identifier,
    caller: &Caller,
    deadline: Deadline,
) -> Result<(Identifier, Answer), Problem> {
    let answer = ask(shared, &identifier, caller, deadline).await?;
    if !matches!(answer, Answer::Missing(Missing::Identifier)) {
        return Ok((identifier, answer));
    }
    let wider = std::iter::successors(
        identifier.without_last_qualifier(),
        Identifier::without_last_qualifier,
    );
    for wider in wider.take(MAX_QUALIFIERS) {
        let answer = ask(shared, &wider, caller, deadline).await?;
        if matches!(answer, Answer::Found(_)) {
            return Ok((wider, answer));
        }
    }
    Ok((identifier, answer))
}

async fn ask(
    shared: &Shared,
    identifier: &Identifier,
    caller: &Caller,
    deadline: Deadline,
) -> Result<Answer, Problem> {
    let filter = Filter::default();
    let query = Query {
        identifier,
        filter: &filter,
        caller,
        public_only: false,
    };
    Ok(resolved(shared, &query, deadline).await?)
}

/// 302 to the first URL value that may be redirected to.
fn to_url(
    shared: &Shared,
    identifier: &Identifier,
    found: &Resolved,
    caller: &Caller,
    uri: &Uri,
) -> Result<Response<Body>, Problem> {
    let filter = Filter {
        types: vec![types::URL.to_owned()],
        ..Filter::default()
    };
    let query = Query {
        identifier,
        filter: &filter,
        caller,
        public_only: false,
    };
    let mut reasons = Vec::new();
    for value in found.values(&query) {
        match target::of_url(value.data(), &shared.options.redirect_schemes) {
            Ok(location) => {
                let mut response = redirect(StatusCode::FOUND, location);
                Freshness::of([value].iter()).stamp(&mut response);
                return Ok(response);
            }
            Err(reason) => reasons.push(format!("value {} {reason}", value.index())),
        }
    }
    let detail = if reasons.is_empty() {
        format!("{identifier} has no URL value")
    } else {
        reasons.truncate(8);
        format!(
            "{identifier} has no URL value to redirect to: {}",
            reasons.join(", ")
        )
    };
    let values = values_url(shared, identifier, uri);
    Err(Problem::new(StatusCode::NOT_FOUND, "no-url-value", detail)
        .part("identifier")
        .values(values))
}

/// A page of all that the caller may see.
fn to_page(
    shared: &Shared,
    identifier: &Identifier,
    found: &Resolved,
    caller: &Caller,
    uri: &Uri,
) -> Response<Body> {
    let filter = Filter::default();
    let query = Query {
        identifier,
        filter: &filter,
        caller,
        public_only: false,
    };
    let values: Vec<_> = found.values(&query).collect();
    let json = values_url(shared, identifier, uri);
    let schemes = &shared.options.redirect_schemes;
    let mut response = page::of_values(&identifier.display(), &values, schemes, &json);
    Freshness::of(values.iter()).stamp(&mut response);
    negotiated(response)
}

/// Says that another `Accept` gets another answer.
fn negotiated(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// Where the identifier's values are, spelled as it was asked for.
fn values_url(shared: &Shared, identifier: &Identifier, uri: &Uri) -> String {
    let handle = match identifier.scheme() {
        Scheme::Gs1 => target::as_path(&identifier.canonical()),
        _ => uri.path().strip_prefix('/').unwrap_or_default().to_owned(),
    };
    let base = shared.options.public_url.trim_end_matches('/');
    format!("{base}{}{handle}", handles::PATH)
}

/// 307 to the node that the prefix is delegated to, 300 with its sites if that speaks no HTTP.
fn to_node(identifier: &Identifier, entry: &PrefixEntry, parts: &Parts) -> Response<Body> {
    let location = target::of_delegation(&entry.record, target::prefers_https(parts))
        .and_then(|address| target::at_node(&address, parts.uri.path(), None));
    match location {
        Some(location) => {
            let mut response = redirect(StatusCode::TEMPORARY_REDIRECT, location);
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            response
        }
        None => handles::referral(&identifier.display(), entry, Style::default(), None),
    }
}

fn redirect(status: StatusCode, location: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn nothing(core: &Core, identifier: &Identifier, missing: &Missing) -> Problem {
    let (status, name, part) = match missing {
        Missing::Identifier => (StatusCode::NOT_FOUND, "identifier-not-found", "identifier"),
        Missing::Deleted { .. } => (StatusCode::GONE, "identifier-deleted", "identifier"),
        Missing::Prefix => (StatusCode::NOT_FOUND, "prefix-not-found", "prefix"),
        Missing::PrefixNotActive(_) => (StatusCode::NOT_FOUND, "prefix-not-active", "prefix"),
    };
    let (code, message) = absence(core, identifier, missing);
    let detail = message
        .split_once(": ")
        .map_or(message.as_str(), |(_, detail)| detail);
    Problem::new(status, name, detail).part(part).code(code)
}

impl From<ParameterError> for Problem {
    fn from(error: ParameterError) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-parameter",
            error.to_string(),
        )
        .part(error.name)
    }
}

impl From<PathError> for Problem {
    fn from(error: PathError) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-identifier",
            error.to_string(),
        )
        .part("identifier")
    }
}

impl From<IdentifierError> for Problem {
    fn from(error: IdentifierError) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-identifier",
            error.to_string(),
        )
        .part(error.part())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Refusal::from(error).into()
    }
}
