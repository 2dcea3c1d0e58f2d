//! Answers with values that are kept, by path and query: what everybody may ask for again is answered
//! without looking it up and without writing its JSON anew. One is given again only while what it was
//! made from stands: nothing that was acknowledged is ever missing in it.

use super::peer::Peer;
use crate::front::kept::{ByBytes, Weighed};
use crate::measure;
use crate::resolve::{Basis, Resolver};
use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, Response, StatusCode};
use foldhash::fast::RandomState;
use hyper::body::{Body as _, Bytes, Incoming};
use quick_cache::sync::{Cache, DefaultLifecycle};
use std::sync::Arc;
use std::time::Instant;

/// The longest path and query whose answer is kept, bytes.
const MAX_KEY_BYTES: usize = 1_024;
/// The longest body that is kept, bytes.
const MAX_BODY_BYTES: usize = 16 << 10;
/// What an entry takes beside its key and its body, about, bytes.
const ENTRY_BYTES: usize = 350;
/// What an entry takes in all, about: to begin with room for as many as there will be.
const USUAL_ENTRY_BYTES: u64 = 900;

/// In an answer that may be given again to who asks the same: what it rests on, and its body.
#[derive(Debug, Clone)]
pub(super) struct Keepable {
    pub(super) basis: Basis,
    pub(super) body: Bytes,
}

/// An answer with values.
#[derive(Debug)]
struct KeptAnswer {
    basis: Basis,
    body: Bytes,
    /// Those of its header fields that differ from one answer to another.
    fields: [HeaderValue; 4],
}

/// Their names.
const FIELDS: [header::HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::VARY,
    header::ETAG,
];

impl Weighed for Arc<KeptAnswer> {
    fn bytes(&self) -> usize {
        self.body.len() + ENTRY_BYTES
    }
}

/// Path and query of a request that anybody may have sent: without a credential, a body, or an
/// entity that the client has. `None`: its answer may be another than others get.
pub(super) fn key<'r>(request: &'r hyper::Request<Incoming>, peer: &Peer) -> Option<&'r str> {
    let headers = request.headers();
    let is_anybodys = *request.method() == Method::GET
        && request.uri().path().starts_with(super::handles::PATH)
        && request.body().is_end_stream()
        && peer.certificate.is_none()
        && !headers.contains_key(header::AUTHORIZATION)
        && !headers.contains_key(header::IF_NONE_MATCH);
    let key = request.uri().path_and_query()?.as_str();
    (is_anybodys && key.len() <= MAX_KEY_BYTES).then_some(key)
}

/// The kept answers of a front.
#[derive(Debug)]
pub(super) struct KeptAnswers {
    answers: Cache<Box<[u8]>, Arc<KeptAnswer>, ByBytes, RandomState>,
}

impl KeptAnswers {
    /// Room for about `capacity_bytes` of paths and answers.
    pub(super) fn new(capacity_bytes: u64) -> Self {
        let estimate = capacity_bytes / USUAL_ENTRY_BYTES;
        Self {
            answers: Cache::with(
                usize::try_from(estimate).unwrap_or(usize::MAX),
                capacity_bytes,
                ByBytes,
                RandomState::default(),
                DefaultLifecycle::default(),
            ),
        }
    }

    /// The answer to a request if it is kept and still is what would be answered now; counted for its
    /// prefix.
    pub(super) fn repeat(
        &self,
        key: &str,
        resolver: &Resolver,
        peer: &Peer,
        began: Instant,
    ) -> Option<Response<Body>> {
        let kept = self.answers.get(key.as_bytes())?;
        if !resolver.stands(&kept.basis) {
            return None;
        }
        let asking = measure::asker::here(Some(peer.address.ip()));
        kept.basis.count();
        measure::answered(began.elapsed(), asking.asked());
        let mut response = Response::new(Body::from(kept.body.clone()));
        let fields = FIELDS.into_iter().zip(kept.fields.iter().cloned());
        *response.headers_mut() = fields.collect::<HeaderMap>();
        Some(response)
    }

    /// Keeps an answer that was just made to a request, if it is [`Keepable`] and short.
    pub(super) fn keep(&self, key: Box<[u8]>, response: &mut Response<Body>) {
        let Some(Keepable { basis, body }) = response.extensions_mut().remove() else {
            return;
        };
        let field = |name| response.headers().get(name).cloned();
        let [Some(kind), Some(control), Some(vary), Some(tag)] = FIELDS.map(field) else {
            return;
        };
        if response.status() != StatusCode::OK || body.len() > MAX_BODY_BYTES {
            return;
        }
        let fields = [kind, control, vary, tag];
        let answer = KeptAnswer {
            basis,
            body,
            fields,
        };
        self.answers.insert(key, Arc::new(answer));
    }
}
