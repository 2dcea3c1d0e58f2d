//! `/iiidap/`: registration data over HTTP (`draft-ma-identifier-access-http`). What is answered,
//! [`crate::front::directory`] decides; here are paths, credentials and headers.

pub(super) mod digest;

use self::digest::Login;
use super::auth::{Shown, authenticate};
use super::deadline::Deadline;
use super::peer::Peer;
use super::refusal::Refusal;
use super::{Shared, answer};
use crate::front::directory::{self, Answer, Failure};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode, Uri};
use idnode_proto::handle::ResponseCode;
use idnode_proto::iiidap::{Document, MEDIA_TYPE, Notice, Query};
use idnode_registry::Caller;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use std::sync::Arc;

/// The base path.
pub(super) const BASE: &str = "/iiidap/";
/// How long the bootstrap registry may be kept, seconds (AUTHORITY §6).
const BOOTSTRAP_MAX_AGE_S: i64 = 3_600;

type Result<T> = std::result::Result<T, Response<Body>>;

/// What a request for registration data begins with.
struct Ask {
    shared: Arc<Shared>,
    deadline: Deadline,
    peer: Peer,
    parts: Parts,
}

/// `GET /iiidap/…`.
pub(super) async fn get(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let ask = Ask {
        deadline: Deadline::of(&shared),
        peer: parts.extensions.get().cloned().unwrap_or(Peer::UNKNOWN),
        shared,
        parts,
    };
    let response = ask.answered().await.unwrap_or_else(|refused| refused);
    directory::count("iiidap", response.status().as_u16());
    response
}

impl Ask {
    async fn answered(&self) -> Result<Response<Body>> {
        let uri = &self.parts.uri;
        let path = uri.path().strip_prefix(BASE).unwrap_or_default();
        let directory = &self.shared.core.directory;
        // What a path asks for is what is counted, however it is written.
        let query = Query::parse(path, uri.query());
        directory
            .admit(self.peer.address.ip(), matches!(query, Ok(Query::Names(_))))
            .map_err(|failure| self.failed(&failure))?;
        match path {
            "bootstrap" => return Ok(self.bootstrap()),
            "login" => return self.login().await,
            _ => {}
        }
        let query = query.map_err(|error| self.failed(&error.into()))?;
        let caller = match self.asks_to_log_in() {
            true => self.known_caller().await?,
            false => self.caller().await?,
        };
        let seen_as = match directory.shows_personal(self.peer.encrypted || self.peer.is_local()) {
            true => caller,
            // Whoever listens is a stranger.
            false => Caller::Stranger,
        };
        let is_stranger = seen_as == Caller::Stranger;
        let help_url = self.base_url().map(|base| format!("{base}help"));
        let asked = directory.ask(query, seen_as, help_url);
        let answer = self.deadline.run(&self.shared, asked).await;
        match answer.unwrap_or_else(|| Err(Failure::busy("the store did not answer in time"))) {
            Ok(Answer::Document(document)) => Ok(self.document(&document, is_stranger)),
            Ok(Answer::Elsewhere(url)) => Ok(self.redirect(&url)),
            Err(failure) => Err(self.failed(&failure)),
        }
    }

    /// Who asks.
    async fn caller(&self) -> Result<Caller> {
        let field = self.parts.headers.get(header::AUTHORIZATION);
        let digest = field
            .and_then(|field| field.to_str().ok())
            .and_then(|field| field.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("digest"));
        let caller = match digest {
            Some((_, rest)) => {
                let login = Login {
                    method: self.parts.method.as_str(),
                    target: self
                        .parts
                        .uri
                        .path_and_query()
                        .map_or("/", |it| it.as_str()),
                    peer: &self.peer,
                };
                match login.caller(&self.shared, rest, self.deadline).await {
                    Ok(caller) => Ok(caller),
                    Err((refusal, stale)) => return Err(self.refused(&refusal, stale)),
                }
            }
            None => authenticate(&self.shared, Shown::of(&self.parts), self.deadline).await,
        };
        caller.map_err(|refusal| self.refused(&refusal, false))
    }

    /// Whether a client wants to be asked for its credential: with the parameter `login`. Without,
    /// a stranger is answered, and clients send theirs when they are asked.
    fn asks_to_log_in(&self) -> bool {
        let query = self.parts.uri.query().unwrap_or_default();
        query.split('&').any(|parameter| parameter == "login")
    }

    /// Who asks, if it is anybody.
    async fn known_caller(&self) -> Result<Caller> {
        match self.caller().await? {
            Caller::Stranger => {
                let refusal = Refusal::unauthenticated("is missing");
                Err(self.refused(&refusal, false))
            }
            caller => Ok(caller),
        }
    }

    /// `login` (SECURITY §3.2): asks for a credential, since other paths answer strangers too, and
    /// clients send what they were once asked for.
    async fn login(&self) -> Result<Response<Body>> {
        let whose = match self.known_caller().await? {
            Caller::Stranger => "There is no credential.".to_owned(),
            Caller::Operator { .. } => "The credential is the operator's.".to_owned(),
            Caller::Enterprise { id, .. } => format!("The credential is of enterprise {id}."),
            Caller::Administrator(administrator) => {
                format!(
                    "The credential is of administrator {}.",
                    administrator.name()
                )
            }
        };
        let notice = Notice::new("Authenticated", [&whose]);
        Ok(self.document(&Document::help(vec![notice]), false))
    }

    fn bootstrap(&self) -> Response<Body> {
        let registry = self.shared.core.directory.bootstrap();
        let mut response = answer::object(StatusCode::OK, answer::Style::default(), &registry);
        let headers = response.headers_mut();
        let expires = Timestamp::now() + jiff::SignedDuration::from_secs(BOOTSTRAP_MAX_AGE_S);
        let expires = DateTimePrinter::new().timestamp_to_rfc9110_string(&expires);
        if let Some(field) = expires.ok().and_then(|at| HeaderValue::try_from(at).ok()) {
            headers.insert(header::EXPIRES, field);
        }
        let control = format!("max-age={BOOTSTRAP_MAX_AGE_S}");
        if let Ok(control) = HeaderValue::try_from(control) {
            headers.insert(header::CACHE_CONTROL, control);
        }
        response
    }

    /// An answer; a stranger's names the ways to log in as well (RFC 9110 §11.6.1).
    fn document(&self, document: &Document, is_stranger: bool) -> Response<Body> {
        let mut response = self.written(StatusCode::OK, document);
        if is_stranger {
            self.challenge(&mut response, false);
        } else {
            let no_store = HeaderValue::from_static("no-store");
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, no_store);
        }
        response
    }

    fn redirect(&self, url: &str) -> Response<Body> {
        let Ok(location) = HeaderValue::try_from(url) else {
            let reason = "it is at no address that can be named";
            return self.failed(&Failure::new(404, "Not Found", reason));
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        let headers = response.headers_mut();
        headers.insert(header::LOCATION, location);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }

    fn failed(&self, failure: &Failure) -> Response<Body> {
        let status = StatusCode::from_u16(failure.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = self.written(status, &failure.document());
        if let Some(after_s) = failure.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, after_s.into());
        }
        response
    }

    /// `stale`: the nonce of a digest is not taken here any longer, or not over this connection, and
    /// the password need not be asked for again.
    fn refused(&self, refusal: &Refusal, stale: bool) -> Response<Body> {
        let status = match refusal.code {
            // What is wrong is to be asked for again: browsers and curl do so at 401 alone.
            ResponseCode::AUTHENTICATION_FAILED => StatusCode::UNAUTHORIZED,
            _ => refusal.status(),
        };
        let message = refusal.message.as_str();
        let failed = |title| Failure::new(status.as_u16(), title, message);
        let failure = match status {
            StatusCode::UNAUTHORIZED => failed("Unauthorized"),
            StatusCode::FORBIDDEN => failed("Forbidden"),
            StatusCode::SERVICE_UNAVAILABLE => Failure::busy(message),
            StatusCode::TOO_MANY_REQUESTS => {
                Failure::too_many(message, refusal.retry_after_s().unwrap_or(1))
            }
            _ => failed("Failed"),
        };
        let mut response = self.failed(&failure);
        if response.status() == StatusCode::UNAUTHORIZED {
            self.challenge(&mut response, stale);
        }
        response
    }

    fn challenge(&self, response: &mut Response<Body>, stale: bool) {
        let headers = response.headers_mut();
        let digest = self.shared.digests.challenge(self.peer.secrecy(), stale);
        if let Ok(digest) = HeaderValue::try_from(digest) {
            headers.append(header::WWW_AUTHENTICATE, digest);
        }
        if self.shared.takes_basic(&self.peer) {
            let basic = HeaderValue::from_static("Basic realm=\"idnode\", charset=\"UTF-8\"");
            headers.append(header::WWW_AUTHENTICATE, basic);
        }
        let bearer = HeaderValue::from_static("Bearer realm=\"idnode\"");
        headers.append(header::WWW_AUTHENTICATE, bearer);
    }

    fn written(&self, status: StatusCode, document: &Document) -> Response<Body> {
        let body = serde_json::to_vec(document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("authorization"));
        response
    }

    /// The base URL as the client sees it, with its final slash: what the operator says, else by
    /// what the client has asked.
    fn base_url(&self) -> Option<String> {
        let public = self.shared.options.public_url.trim_end_matches('/');
        if !public.is_empty() {
            return Some(format!("{public}{BASE}"));
        }
        let host = self.parts.headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        let host = host.or_else(|| self.parts.uri.authority().map(|it| it.as_str()))?;
        let scheme = if self.peer.encrypted { "https" } else { "http" };
        let url: Uri = format!("{scheme}://{host}{BASE}").parse().ok()?;
        (url.path() == BASE).then(|| url.to_string())
    }
}
