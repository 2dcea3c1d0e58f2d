//! `GET /{identifier}`: a redirect to what the identifier's values say.

mod destination;

use self::destination::{Destination, Wish};
use super::answer::Style;
use super::auth::{Shown, authenticate};
use super::call::Call;
use super::deadline::Deadline;
use super::freshness::Freshness;
use super::handles::{self, absence, recursed, resolved};
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
use idnode_proto::handle::ResponseCode;
use idnode_proto::identifier::{Identifier, IdentifierError, Scheme};
use idnode_registry::prefix_table::PrefixEntry;
use idnode_registry::{Caller, Error};
use std::borrow::Cow;
use std::sync::Arc;

/// How often a GS1 key is asked for with one qualifier less; no key has more.
const MAX_QUALIFIERS: usize = 8;
/// Most aliases that one request is led through.
const MAX_ALIASES: usize = 8;

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
    let wanted = parameters.recurse;
    let answer = recursed(shared, &identifier, wanted, deadline, answer).await;
    let answer = answer.map_err(by_others)?;
    if let (Answer::Found(found), true) = (&answer, parameters.no_redirect) {
        let handle = path_of(&identifier, uri);
        return Ok(to_page(shared, &identifier, &handle, found, &caller));
    }
    let journey = Journey {
        shared,
        parts,
        caller: &caller,
        deadline,
        wants_page,
        location: parameters.locatt.as_ref(),
        recurse: parameters.recurse,
    };
    journey.follow(identifier, answer).await
}

/// A request on its way from alias to alias.
struct Journey<'a> {
    shared: &'a Shared,
    parts: &'a Parts,
    caller: &'a Caller,
    deadline: Deadline,
    wants_page: bool,
    /// The attribute and its value that a location should have.
    location: Option<&'a (String, String)>,
    /// Others are asked where they answer for an identifier.
    recurse: bool,
}

impl Journey<'_> {
    /// The answer for an identifier, or for the one that it is an alias of.
    async fn follow(
        &self,
        mut identifier: Identifier,
        mut answer: Answer,
    ) -> Result<Response<Body>, Problem> {
        let wish = Wish {
            caller: self.caller,
            schemes: &self.shared.options.redirect_schemes,
            location: self.location.map(|(name, value)| (&**name, &**value)),
        };
        let mut handle = path_of(&identifier, &self.parts.uri);
        let mut aliases = Aliases::default();
        loop {
            let found = match answer {
                Answer::Found(found) => found,
                Answer::Referral(entry) => {
                    return Ok(to_node(&identifier, &handle, &entry, self.parts));
                }
                Answer::Missing(missing) => {
                    let problem = nothing(&self.shared.core, &identifier, &missing);
                    return Err(aliases.explain(problem));
                }
            };
            let problem = match wish.of(&identifier, &found) {
                Destination::Location(location, freshness) => {
                    let mut response = redirect(StatusCode::FOUND, location);
                    aliases.joined(freshness).stamp(&mut response);
                    return Ok(response);
                }
                Destination::Alias(aliased, freshness) => {
                    match aliases.step(&identifier, &aliased, freshness) {
                        Ok(()) => {
                            let next = nearest(self.shared, aliased, self.caller, self.deadline);
                            let (next, said) = next.await?;
                            let (shared, deadline) = (self.shared, self.deadline);
                            let asked = recursed(shared, &next, self.recurse, deadline, said);
                            answer = asked.await.map_err(by_others)?;
                            identifier = next;
                            handle = target::as_path(&spelled(&identifier));
                            continue;
                        }
                        Err(problem) => problem,
                    }
                }
                Destination::Nowhere(reasons) => {
                    let problem = no_url(&identifier, &reasons);
                    aliases.explain(problem.values(values_url(self.shared, &handle)))
                }
            };
            if self.wants_page {
                let page = to_page(self.shared, &identifier, &handle, &found, self.caller);
                return Ok(page);
            }
            return Err(problem);
        }
    }
}

/// The aliases that one request was led through.
#[derive(Debug, Default)]
struct Aliases {
    passed: Vec<Identifier>,
    freshness: Option<Freshness>,
}

impl Aliases {
    /// Goes on from one identifier to the one that it is an alias of.
    fn step(
        &mut self,
        from: &Identifier,
        to: &Identifier,
        freshness: Freshness,
    ) -> Result<(), Problem> {
        self.passed.push(from.clone());
        self.freshness = Some(self.joined(freshness));
        let problem = |name, detail| {
            let problem = Problem::new(StatusCode::NOT_FOUND, name, detail);
            Err(problem.part("identifier"))
        };
        if self.passed.contains(to) {
            let detail = format!("{from} is an alias of {to}, which leads back to it");
            return problem("alias-circle", detail);
        }
        if self.passed.len() > MAX_ALIASES {
            let detail = format!(
                "{} leads through more than {MAX_ALIASES} aliases, the last one {from}",
                self.passed.first().unwrap_or(from)
            );
            return problem("too-many-aliases", detail);
        }
        Ok(())
    }

    /// How long an answer may be kept that rests on all of them as well.
    fn joined(&self, freshness: Freshness) -> Freshness {
        self.freshness
            .map_or(freshness, |passed| passed.and(freshness))
    }

    /// A problem at the end of them says how the request came there.
    fn explain(&self, problem: Problem) -> Problem {
        match self.passed.last() {
            Some(alias) => problem.because(&format!("{alias} is an alias: ")),
            None => problem,
        }
    }
}

/// That others, who were asked, give no answer.
fn by_others(refusal: Refusal) -> Problem {
    match refusal.code {
        ResponseCode::BUSY => refusal.into(),
        ResponseCode::NOT_RESPONSIBLE => {
            Problem::new(StatusCode::NOT_FOUND, "prefix-not-found", refusal.message).part("prefix")
        }
        _ => Problem::new(StatusCode::BAD_GATEWAY, "recursion-failed", refusal.message),
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
    let (answer, _) = resolved(shared, &query, deadline).await?;
    Ok(answer)
}

/// That there is no value to redirect to.
fn no_url(identifier: &Identifier, reasons: &[String]) -> Problem {
    let detail = if reasons.is_empty() {
        format!("{identifier} has no URL value")
    } else {
        format!(
            "{identifier} has no URL value to redirect to: {}",
            reasons.join(", ")
        )
    };
    Problem::new(StatusCode::NOT_FOUND, "no-url-value", detail).part("identifier")
}

/// A page of all that the caller may see.
fn to_page(
    shared: &Shared,
    identifier: &Identifier,
    handle: &str,
    found: &Resolved,
    caller: &Caller,
) -> Response<Body> {
    let filter = Filter::default();
    let query = Query {
        identifier,
        filter: &filter,
        caller,
        public_only: false,
    };
    let values: Vec<_> = found.values(&query).collect();
    let json = values_url(shared, handle);
    let schemes = &shared.options.redirect_schemes;
    let mut response = page::of_values(&identifier.display(), &values, schemes, &json);
    Freshness::of(found, values.iter()).stamp(&mut response);
    negotiated(response)
}

/// Says that another `Accept` gets another answer.
fn negotiated(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// An identifier for another's eyes: as it was spelled, GS1 keys as element strings.
fn spelled(identifier: &Identifier) -> Cow<'_, str> {
    match identifier.scheme() {
        Scheme::Gs1 => Cow::Owned(identifier.canonical()),
        _ => identifier.display(),
    }
}

/// An identifier as a path, spelled as it was asked for.
fn path_of(identifier: &Identifier, uri: &Uri) -> String {
    match identifier.scheme() {
        Scheme::Gs1 => target::as_path(&spelled(identifier)),
        _ => uri.path().strip_prefix('/').unwrap_or_default().to_owned(),
    }
}

/// Where the values of the identifier with this path are.
fn values_url(shared: &Shared, handle: &str) -> String {
    let base = shared.options.public_url.trim_end_matches('/');
    format!("{base}{}{handle}", handles::PATH)
}

/// 307 to the node that the prefix is delegated to, 300 with its sites if that speaks no HTTP.
fn to_node(
    identifier: &Identifier,
    handle: &str,
    entry: &PrefixEntry,
    parts: &Parts,
) -> Response<Body> {
    let location = target::of_delegation(&entry.record, target::prefers_https(parts))
        .and_then(|address| target::at_node(&address, &format!("/{handle}"), None));
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
