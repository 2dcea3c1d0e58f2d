//! What an operator and a load balancer ask: is it alive, is it ready, what is it.

use super::Shared;
use super::problem::Problem;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const INDEX: &str = concat!(
    "idnode ",
    env!("CARGO_PKG_VERSION"),
    " - a secondary node of the industrial internet identifier resolution system\n\
     标识解析二级节点\n\
     \n\
     GET /api/handles/{identifier}   values as JSON (?type= ?index= ?publicOnly ?pretty ?callback)\n\
     PUT, DELETE /api/handles/{identifier}   writes it (?overwrite ?index)\n\
     GET /api/handles?prefix=        lists identifiers; /api/prefixes, /api/site\n\
     POST /api/sessions              logs in; /api/sessions/this, /api/verifications\n\
     GET /{identifier}               redirects to the identifier's URL value (?noredirect: values)\n\
     GET /01/{gtin}/10/{batch}       the same for a GS1 Digital Link\n\
     GET /iiidap/help                registration data of prefixes and enterprises (IIIDAP)\n\
     GET /healthz                    200 while the process lives\n\
     GET /readyz                     200 while the node answers and takes writes\n\
     GET /metrics                    Prometheus text\n"
);

/// `GET /`.
pub(super) async fn index() -> Response<Body> {
    text(StatusCode::OK, INDEX)
}

/// `GET /healthz`.
pub(super) async fn alive() -> Response<Body> {
    uncached(text(StatusCode::OK, "alive\n"))
}

/// `GET /readyz`.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let unready = |name, detail: String| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, name, detail).response("/readyz")
    };
    let registry = &shared.core.registry;
    if shared.draining.load(Ordering::Acquire) {
        return unready("draining", "the node is shutting down".into());
    }
    if !registry.takes_writes() {
        let detail = "the registry takes no writes: it is draining or its store has failed";
        return unready("no-writes", detail.into());
    }
    // No identifier has this key: it is only asked whether the store answers.
    if let Err(error) = registry.read_in_memory(&[0]) {
        return unready("no-reads", error.to_string());
    }
    uncached(text(StatusCode::OK, "ready\n"))
}

fn text(status: StatusCode, body: &'static str) -> Response<Body> {
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

fn uncached(mut response: Response<Body>) -> Response<Body> {
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}
