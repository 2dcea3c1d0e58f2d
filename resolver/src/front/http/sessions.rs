//! `/api/sessions`, `/api/sessions/this` and `/api/verifications`.

use super::Shared;
use super::answer::{Style, object};
use super::auth::{self, Asked, Shown, in_session};
use super::call::answered;
use super::deadline::Deadline;
use super::handles::not_offered;
use super::input;
use super::peer::Peer;
use super::proof::Proof;
use super::refusal::Refusal;
use super::request::{self, Parameters};
use super::session::{Session, over};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::http::{Method, Response, StatusCode};
use data_encoding::BASE64;
use idnode_proto::handle::ResponseCode;
use std::sync::Arc;

/// Longest body with a proof to be verified, which anybody may send.
const MAX_PROOF_BYTES: u64 = 64 << 10;

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionJson<'a> {
    session_id: &'a str,
    nonce: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticated: Option<bool>,
    /// Who is logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

/// `POST /api/sessions`.
pub(super) async fn begin(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    if *request.method() != Method::POST {
        return not_offered(request.method(), request.uri(), "POST, OPTIONS");
    }
    match shared.sessions.begin() {
        Ok(session) => {
            let begun = SessionJson {
                session_id: &session.id,
                nonce: BASE64.encode(&session.nonce),
                authenticated: None,
                id: None,
            };
            object(StatusCode::OK, Style::default(), &begun)
        }
        Err(refusal) => answered(refusal, "", Style::default()),
    }
}

/// `GET`, `PUT` and `DELETE /api/sessions/this`: the session that the request names.
pub(super) async fn this(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    if !matches!(
        parts.method,
        Method::GET | Method::HEAD | Method::PUT | Method::DELETE
    ) {
        return not_offered(&parts.method, &parts.uri, "GET, HEAD, PUT, DELETE, OPTIONS");
    }
    let session = match named(&shared, &parts).await {
        Ok(session) => session,
        Err(refusal) => return answered(refusal, "", Style::default()),
    };
    match parts.method {
        Method::DELETE => {
            shared.sessions.close(&session);
            let mut gone = Response::new(Body::empty());
            *gone.status_mut() = StatusCode::NO_CONTENT;
            gone
        }
        Method::PUT if session.login.is_none() => {
            let refusal = Refusal::unauthenticated("there is no proof to log in with");
            answered(refusal, "", Style::default())
        }
        _ => {
            let shown = SessionJson {
                session_id: &session.id,
                nonce: BASE64.encode(&session.nonce),
                authenticated: Some(session.login.is_some()),
                id: session.login.as_ref().map(|login| login.id.as_str()),
            };
            object(StatusCode::OK, Style::default(), &shown)
        }
    }
}

async fn named(shared: &Arc<Shared>, parts: &Parts) -> Result<Session, Refusal> {
    let field = parts.headers.get(header::AUTHORIZATION);
    let field = field.and_then(|field| field.to_str().ok());
    let (scheme, rest) = field
        .and_then(|field| field.split_once(' '))
        .ok_or_else(|| {
            Refusal::unauthenticated("a session is named by authorization: Handle sessionId=\"…\"")
        })?;
    if !scheme.eq_ignore_ascii_case("handle") {
        return Err(Refusal::unauthenticated("is not of the scheme Handle"));
    }
    let (peer, proof) = (Shown::of(parts).peer(), Proof::parse(rest)?);
    let session = in_session(shared, peer, &proof, Deadline::of(shared)).await?;
    session.ok_or_else(over)
}

/// A proof that somebody else was given.
#[derive(serde::Deserialize)]
struct Verification {
    #[serde(flatten)]
    proof: Proof,
    /// What the prover was asked with, base64. What it added is `cnonce`; a native client adds
    /// the digest of its request, without the type.
    nonce: String,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    response_code: u32,
    verified: bool,
}

/// `POST /api/verifications`: whether a proof is right, for services that have administrators of
/// this node log in to themselves (operation 201 of the Handle protocol).
pub(super) async fn verify(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return not_offered(&parts.method, &parts.uri, "POST, OPTIONS");
    }
    let parameters = match Parameters::parse(parts.uri.query()) {
        Ok(parameters) => parameters,
        Err(error) => return answered(error, "", Style::default()),
    };
    let style = Style::of(&parameters);
    match verified(&shared, Shown::of(&parts).peer(), body).await {
        Ok(verified) => {
            let shown = Verified {
                response_code: ResponseCode::SUCCESS.0,
                verified,
            };
            object(StatusCode::OK, style, &shown)
        }
        Err(refusal) => answered(refusal, "", style),
    }
}

async fn verified(shared: &Arc<Shared>, peer: &Peer, body: Body) -> Result<bool, Refusal> {
    let deadline = Deadline::of(shared);
    let body = request::body(shared, body, MAX_PROOF_BYTES, deadline).await?;
    let sent: Verification = input::parsed(&body)?;
    let nonce = input::base64(&sent.nonce)
        .map_err(|reason| Refusal::new(ResponseCode::INVALID_VALUE, format!("nonce: {reason}")))?;
    match auth::prove(
        shared,
        peer,
        &sent.proof,
        Asked::Elsewhere(&nonce),
        deadline,
    )
    .await
    {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.code == ResponseCode::AUTHENTICATION_FAILED => Ok(false),
        // Who asks needs to prove nothing: the body is wrong.
        Err(refusal) if refusal.code == ResponseCode::AUTHENTICATION_NEEDED => {
            let part = refusal.message.trim_start_matches("authorization: ");
            let message = format!("body: {part}");
            Err(Refusal::new(ResponseCode::PROTOCOL_ERROR, message))
        }
        Err(refusal) => Err(refusal),
    }
}
