//! Who sends a request: the one place where a credential of any kind becomes a caller.
//!
//! | `Authorization` | whose |
//! |---|---|
//! | `Bearer idn_…` | the operator's, an enterprise's |
//! | `Basic` | a handle administrator's secret key: user `300%3A0.NA/88.118.8`; or `idn_…` as the password, its user empty or the key's id |
//! | `Handle sessionId=…` | a session, with the proof of an administrator's key or after it |
//! | `Handle clientCert="true"`, or none | a client certificate with an administrator's public key |

use super::Shared;
use super::deadline::Deadline;
use super::peer::Peer;
use super::proof::{self, Proof};
use super::refusal::Refusal;
use super::session::{Login, Session, over};
use crate::front::bearer_token;
use crate::front::proofs::{Says, Unchecked};
use axum::body::Body;
use axum::http::header::{self, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response};
use data_encoding::BASE64;
use idnode_proto::handle::{AdminId, ResponseCode};
use idnode_registry::administrator::{AdministratorKey, ProofKey};
use idnode_registry::credential::split_token;
use idnode_registry::{Caller, Error};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use subtle::ConstantTimeEq;

type Result<T> = std::result::Result<T, Refusal>;

/// What a request shows of who sends it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    headers: &'a HeaderMap,
    peer: &'a Peer,
    /// What a browser adds by itself counts too.
    ambient: bool,
}

impl<'a> Shown<'a> {
    /// By the head of a request.
    pub(super) fn of(parts: &'a Parts) -> Self {
        Self {
            headers: &parts.headers,
            peer: parts.extensions.get().unwrap_or(&Peer::UNKNOWN),
            ambient: true,
        }
    }

    /// Where it comes from.
    pub(super) fn peer(self) -> &'a Peer {
        self.peer
    }

    /// Without what a browser adds by itself: a script that a page of another origin asks for
    /// must not tell it what only the browser's user may read.
    pub(super) fn without_ambient(self, without: bool) -> Self {
        Self {
            ambient: self.ambient && !without,
            ..self
        }
    }
}

/// The holder of a request's credential, or a stranger when it shows none.
///
/// # Errors
/// `AUTHENTICATION_NEEDED` for a credential that is of no known form or not known,
/// `AUTHENTICATION_FAILED` for a wrong proof, `UNABLE_TO_AUTHENTICATE` for one that is not taken
/// over this connection, `BUSY` when the store could not say in time or too many proofs have failed.
pub(super) async fn authenticate(
    shared: &Arc<Shared>,
    shown: Shown<'_>,
    deadline: Deadline,
) -> Result<Caller> {
    let Some(field) = shown.headers.get(header::AUTHORIZATION) else {
        return by_certificate(shared, shown, deadline).await;
    };
    let field = field
        .to_str()
        .map_err(|_| Refusal::unauthenticated("the authorization field is not ASCII text"))?;
    let (scheme, rest) = field.split_once(' ').unwrap_or((field, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        if !shown.ambient {
            return Ok(Caller::Stranger);
        }
        return basic(shared, shown.peer, rest.trim(), deadline).await;
    }
    if scheme.eq_ignore_ascii_case("handle") {
        let proof = Proof::parse(rest)?;
        if proof.client_certificate {
            return by_certificate(shared, shown, deadline).await;
        }
        let session = in_session(shared, shown.peer, &proof, deadline).await?;
        let session = session.ok_or_else(|| Refusal::unauthenticated("names no session"))?;
        return Ok(session.login.map_or(Caller::Stranger, |login| login.caller));
    }
    let token = bearer_token(field)
        .map_err(|_| Refusal::unauthenticated("the field is of no known form"))?
        .to_owned();
    let core = shared.core.clone();
    // The store may have to ask the disk.
    blocking(shared, deadline, move || core.caller(Some(&token))).await
}

/// Runs what may wait for the disk on a thread where that hurts nobody.
pub(super) async fn blocking<T: Send + 'static>(
    shared: &Shared,
    deadline: Deadline,
    task: impl FnOnce() -> std::result::Result<T, Error> + Send + 'static,
) -> Result<T> {
    match deadline
        .run(shared, tokio::task::spawn_blocking(task))
        .await
    {
        Some(Ok(done)) => Ok(done?),
        Some(Err(error)) => Err(Error::Storage(error.to_string()).into()),
        None => Err(Refusal::busy("the credential could not be checked in time")),
    }
}

/// Checks something with an administrator's key, which fails as it says, or in the words of a wrong
/// proof. That there is none looks like a wrong proof.
pub(super) async fn check<T: Send + 'static>(
    shared: &Arc<Shared>,
    peer: &Peer,
    id: AdminId,
    deadline: Deadline,
    check: impl FnOnce(AdministratorKey) -> (Says, Checked<T>) + Send + 'static,
) -> Result<T> {
    let of = id.clone();
    let source = Some(peer.address.ip()).filter(|source| !source.is_unspecified());
    let checked = shared.core.check_key(id, source, check);
    told(deadline.run(shared, checked).await, &of)
}

/// What comes of a check: `None` is a wrong proof, in the words for all of them.
pub(super) type Checked<T> = std::result::Result<T, Option<Refusal>>;

/// A secret that was shown itself.
fn shown<T>(proven: Option<T>) -> (Says, Checked<T>) {
    match proven {
        Some(proven) => (Says::Proven, Ok(proven)),
        None => (Says::Wrong, Err(None)),
    }
}

/// What comes of a check that may not have come about.
fn told<T>(checked: Option<std::result::Result<Checked<T>, Unchecked>>, of: &AdminId) -> Result<T> {
    match checked {
        Some(Ok(Ok(proven))) => Ok(proven),
        Some(Ok(Err(Some(refusal)))) => Err(refusal),
        Some(Ok(Err(None)) | Err(Unchecked::Unknown)) => Err(proof::failed(of)),
        Some(Err(Unchecked::Registry(error))) => Err(error.into()),
        Some(Err(Unchecked::Busy)) => Err(Refusal::busy("too many proofs are being checked")),
        Some(Err(Unchecked::Away)) => Err(Refusal::new(
            ResponseCode::UNABLE_TO_AUTHENTICATE,
            "the administrator's handle is served elsewhere, and nobody there answers",
        )),
        Some(Err(Unchecked::Guessing)) => Err(Refusal::guessing()),
        None => Err(Refusal::busy("the credential could not be checked in time")),
    }
}

/// RFC 7617, the user being an administrator whose `:` is percent-encoded.
async fn basic(
    shared: &Arc<Shared>,
    peer: &Peer,
    encoded: &str,
    deadline: Deadline,
) -> Result<Caller> {
    if !shared.takes_basic(peer) {
        return Err(Refusal::new(
            ResponseCode::UNABLE_TO_AUTHENTICATE,
            "authorization: Basic sends the secret itself, and is taken over TLS only \
             (http.tls_listen), or where http.basic_without_tls says otherwise",
        ));
    }
    let wrong = |reason| Refusal::unauthenticated(reason);
    let pair = BASE64
        .decode(encoded.as_bytes())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| wrong("what follows Basic is no base64 of user:secret in UTF-8"))?;
    let (user, secret) = pair
        .split_once(':')
        .ok_or_else(|| wrong("what follows Basic is no base64 of user:secret"))?;
    let id = administrator(user);
    if id.is_none() && secret.starts_with("idn_") {
        return by_token(shared, user, secret, deadline).await;
    }
    let id = id.ok_or_else(|| {
        wrong("the user of Basic is an administrator such as 300%3A0.NA/88.118.8")
    })?;
    let secret = secret.as_bytes().to_vec();
    let known = check(shared, peer, id, deadline, move |administrator| {
        let is_it = match &administrator.key {
            ProofKey::Secret(key) => bool::from(key.ct_eq(&secret)),
            ProofKey::Public(_) => false,
        };
        shown(is_it.then_some(administrator.caller))
    });
    known.await
}

/// The administrator that a user name means: `300%3A0.NA/88.118.8`, since the name of Basic has no
/// colon, or with the colon itself.
pub(super) fn administrator(user: &str) -> Option<AdminId> {
    percent_decode_str(user).decode_utf8().ok()?.parse().ok()
}

/// The holder of an API key that was sent as a password.
async fn by_token(
    shared: &Arc<Shared>,
    user: &str,
    token: &str,
    deadline: Deadline,
) -> Result<Caller> {
    let names_it = user.is_empty() || split_token(token).is_ok_and(|(id, _)| id == user);
    if !names_it {
        let reason = "the user of Basic with an API key is the key's id, or empty";
        return Err(Refusal::unauthenticated(reason));
    }
    let (core, token) = (shared.core.clone(), token.to_owned());
    blocking(shared, deadline, move || core.caller(Some(&token))).await
}

/// The holder of a client certificate, whose subject names the administrator.
async fn by_certificate(
    shared: &Arc<Shared>,
    shown: Shown<'_>,
    deadline: Deadline,
) -> Result<Caller> {
    let certificate = shown.peer.certificate.as_ref().filter(|_| shown.ambient);
    let Some(certificate) = certificate else {
        return Ok(Caller::Stranger);
    };
    let Some(id) = certificate.administrator.clone() else {
        // It is of somebody whom this node need not know.
        return Ok(Caller::Stranger);
    };
    let (certificate, of) = (certificate.clone(), id.clone());
    // That it has the key, the handshake has proven; whose that is is no secret to be guessed.
    let known = shared.core.proofs.with_key(id, move |administrator| {
        let is_it = match &administrator.key {
            ProofKey::Public(key) => proof::is_key(key, &certificate.public_key),
            ProofKey::Secret(_) => false,
        };
        is_it.then_some(administrator.caller).ok_or(None)
    });
    told(deadline.run(shared, known).await, &of)
}

/// The session that a request names, with who is logged in to it: before, or by this request.
///
/// # Errors
/// There is no such session, the proof is wrong, or what was proven holds no longer.
pub(super) async fn in_session(
    shared: &Arc<Shared>,
    peer: &Peer,
    proof: &Proof,
    deadline: Deadline,
) -> Result<Option<Session>> {
    let Some(id) = &proof.session_id else {
        return Ok(None);
    };
    let mut session = shared.sessions.find(id).ok_or_else(over)?;
    if proof.is_proof() {
        let asked = Asked::Here(&session.nonce);
        let login = prove(shared, peer, proof, asked, deadline).await?;
        shared.sessions.log_in(&session, login.clone())?;
        session.login = Some(login);
    } else if let Some(login) = &session.login {
        let (core, caller) = (shared.core.clone(), login.caller.clone());
        blocking(shared, deadline, move || {
            core.registry.require_valid(&caller)
        })
        .await?;
    }
    Ok(Some(session))
}

/// The nonce that a proof is over, by who has made it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'a> {
    /// This node: who sends the proof has made it.
    Here(&'a [u8]),
    /// Another server: anybody may have overheard the proof.
    Elsewhere(&'a [u8]),
}

/// Who has proven a key, over the two nonces.
pub(super) async fn prove(
    shared: &Arc<Shared>,
    peer: &Peer,
    proof: &Proof,
    asked: Asked<'_>,
    deadline: Deadline,
) -> Result<Login> {
    let (nonce, when_right) = match asked {
        Asked::Here(nonce) => (nonce.to_vec(), Says::Proven),
        Asked::Elsewhere(nonce) => (nonce.to_vec(), Says::Nothing),
    };
    let id = proof.administrator()?;
    let (signed, of) = (proof.signed()?, id.clone());
    let name = id.to_string();
    let verified = check(
        shared,
        peer,
        id,
        deadline,
        move |administrator| match signed.verify(&administrator.key, &nonce, &of.handle.display()) {
            Ok(()) => (when_right, Ok(administrator.caller)),
            Err(error) if error.is_wrong() => (Says::Wrong, Err(None)),
            Err(error) => (Says::Nothing, Err(Some(proof::unproven(&of, error)))),
        },
    );
    let caller = verified.await?;
    Ok(Login { caller, id: name })
}

/// Says how to log in (RFC 6750 §3, RFC 7617 §2): also by a session that begins here.
pub(super) fn challenge(shared: &Shared, peer: &Peer, response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"idnode\""),
    );
    if let Ok(session) = shared.sessions.begin() {
        let nonce = BASE64.encode(&session.nonce);
        let field = format!("Handle sessionId=\"{}\", nonce=\"{nonce}\"", session.id);
        if let Ok(field) = HeaderValue::try_from(field) {
            headers.append(header::WWW_AUTHENTICATE, field);
        }
    }
    if shared.takes_basic(peer) {
        headers.append(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"handle\", charset=\"UTF-8\""),
        );
    }
}
