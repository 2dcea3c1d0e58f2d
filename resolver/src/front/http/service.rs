//! What all requests have in common: routes, methods, bounds, CORS and HEAD.

use super::peer::Peer;
use super::problem::Problem;
use super::{
    Shared, auth, handles, health, iiidap, kept, list, metrics, monitor, redirect, sessions, site,
};
use crate::front::unread::Unread;
use crate::measure;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, Response, StatusCode, Version};
use axum::response::IntoResponse;
use axum::routing::any;
use hyper::body::{Body as _, Incoming};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;
use tower::Service;

/// Longest path and query, bytes: twice a handle of 2,048 bytes percent-encoded.
const MAX_URI_BYTES: usize = 16 << 10;

/// What is not counted: it is no work for those who resolve or register.
const OF_OPERATION: [&str; 5] = ["/", "/healthz", "/readyz", "/metrics", monitor::PATH];

const READING: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
/// Below `/api/`.
const WRITING: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE, OPTIONS");

/// Every path of the front. Identifiers may hold anything, so they are the fallback.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let router = match shared.options.iiidap {
        true => Router::new()
            .route("/iiidap", any(iiidap::get))
            .route("/iiidap/", any(iiidap::get))
            .route("/iiidap/{*rest}", any(iiidap::get)),
        false => Router::new(),
    };
    router
        .route("/", any(health::index))
        .route("/healthz", any(health::alive))
        .route("/readyz", any(health::ready))
        .route("/metrics", any(metrics::render))
        .route("/api", any(unknown_api))
        .route("/api/", any(unknown_api))
        .route("/api/{*rest}", any(unknown_api))
        .route("/api/handles", any(handles::all))
        .route("/api/handles/", any(handles::one))
        .route("/api/handles/{*handle}", any(handles::one))
        .route("/api/prefixes", any(list::prefixes))
        .route("/api/site", any(site::get))
        .route(monitor::PATH, any(monitor::get))
        .route("/api/sessions", any(sessions::begin))
        .route("/api/sessions/this", any(sessions::this))
        .route("/api/verifications", any(sessions::verify))
        .fallback(redirect::get)
        .with_state(shared)
}

pub(super) async fn unknown_api(request: Request) -> Response<Body> {
    let detail = "there is no such path below /api/; /api/handles/{handle} answers values";
    Problem::new(StatusCode::NOT_FOUND, "path-not-found", detail)
        .part("path")
        .response(request.uri().path())
}

/// Answers one request.
pub(super) async fn answer(
    shared: Arc<Shared>,
    mut router: Router,
    peer: Peer,
    mut request: hyper::Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let began = Instant::now();
    let key = kept::key(&request, &peer);
    let repeated = key.and_then(|key| {
        let resolver = &shared.core.resolver;
        shared.kept.repeat(key, resolver, &peer, began)
    });
    if let Some(mut response) = repeated {
        shared.meters.answered(response.status(), began);
        shared.meters.repeated.increment(1);
        allow_everybody(&mut response);
        return Ok(response);
    }
    let key = key.map(|key| key.as_bytes().into());
    let is_head = request.method() == Method::HEAD;
    let is_of_operation = OF_OPERATION.contains(&request.uri().path());
    request.extensions_mut().insert(peer.clone());
    let (unread, version) = (Unread::of(&request), request.version());
    let mut response = match without_routing(&shared, &request) {
        Some(response) => {
            unread.leave(request.into_body());
            response
        }
        None => {
            let routed = router.call(request.map(|body| unread.lend(body)));
            let asking = measure::asker::of_task(Some(peer.address.ip()), routed);
            let (routed, asked) = asking.await;
            measure::answered(began.elapsed(), asked);
            routed?
        }
    };
    if !unread.discard(shared.core.request_deadline).await && version < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    if !is_of_operation {
        shared.meters.answered(response.status(), began);
    }
    if let Some(key) = key {
        shared.kept.keep(key, &mut response);
    }
    allow_everybody(&mut response);
    let is_challenged = response.headers().contains_key(header::WWW_AUTHENTICATE);
    if response.status() == StatusCode::UNAUTHORIZED && !is_challenged {
        auth::challenge(&shared, &peer, &mut response);
    }
    if is_head {
        strip_body(&mut response);
    }
    Ok(response)
}

/// What all answers say to browsers: any page may read them, as what they say they are.
fn allow_everybody(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("etag, location, retry-after, www-authenticate"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}

/// What is answered whatever the path leads to.
fn without_routing(shared: &Shared, request: &hyper::Request<Incoming>) -> Option<Response<Body>> {
    let uri = request.uri();
    let uri_bytes = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if uri_bytes > MAX_URI_BYTES {
        shared.meters.bounds.uri.increment(1);
        let detail = format!("the URI is {uri_bytes} bytes, at most {MAX_URI_BYTES} are taken");
        let problem = Problem::new(StatusCode::URI_TOO_LONG, "uri-too-long", detail);
        return Some(problem.part("uri").response("/"));
    }
    let limit = shared.options.body_limit_bytes;
    if request.body().size_hint().lower() > limit {
        shared.meters.bounds.body.increment(1);
        let detail = format!("the body is declared longer than the {limit} bytes that are taken");
        let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-long", detail);
        return Some(problem.part("body").response(uri.path()));
    }
    match *request.method() {
        Method::GET | Method::HEAD => None,
        Method::OPTIONS => Some(preflight(uri.path())),
        _ if uri.path().starts_with("/api/") => None,
        ref method => {
            let detail = format!("{method} is not offered here, only GET, HEAD and OPTIONS");
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let problem = Problem::new(status, "method-not-allowed", detail);
            let mut response = problem.part("method").response(uri.path());
            response.headers_mut().insert(header::ALLOW, READING);
            Some(response)
        }
    }
}

/// Any page may read here, and write below `/api/` (Fetch standard, CORS protocol): it needs a
/// credential that the page itself must have. What a browser adds by itself it does not add to
/// requests to an origin that allows all others.
fn preflight(path: &str) -> Response<Body> {
    let methods = if path.starts_with("/api/") {
        WRITING
    } else {
        READING
    };
    let allowed: [(HeaderName, HeaderValue); 4] = [
        (header::ALLOW, methods.clone()),
        (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type, if-none-match"),
        ),
        (
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("86400"),
        ),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

/// HEAD answers what GET would, with its length and without its body (RFC 9110 §9.3.2).
fn strip_body(response: &mut Response<Body>) {
    if let Some(length) = response.body().size_hint().exact()
        && length > 0
    {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = Body::empty();
}
