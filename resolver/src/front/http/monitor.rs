//! `GET /api/monitor`: how the node sees itself, for the national node's probes alone. Whoever asks
//! shows the token of `upward.monitor_token_file`; without one there is no such path.
//!
//! What `/healthz` and `/readyz` say to a load balancer is not repeated: here it is told whether
//! registration and resolution work, by trying both, and what the national node compares with what it
//! knows: versions, the head of the change log, the takeover that the node keeps to.

use super::Shared;
use super::deadline::Deadline;
use super::problem::Problem;
use crate::front::{Core, bearer_token};
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, Response, StatusCode};
use axum::response::IntoResponse;
use idnode_proto::api::FaultCheck;
use idnode_proto::identifier::Identifier;
use idnode_proto::report::millis;
use idnode_registry::upward::takeover::Records;
use idnode_registry::write::Command;
use idnode_registry::{Caller, Error};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq;

/// Where it is.
pub(super) const PATH: &str = "/api/monitor";

/// Whom the endpoint answers, and as which node.
#[derive(Debug, Clone)]
pub struct Monitor {
    node: String,
    token: [u8; 32],
}

impl Monitor {
    /// Of a node by its id, for the holder of a token.
    pub fn new(node: &str, token: &str) -> Self {
        Self {
            node: node.to_owned(),
            token: Sha256::digest(token).into(),
        }
    }

    fn accepts(&self, token: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(token).into();
        shown.ct_eq(&self.token).into()
    }
}

/// `GET /api/monitor`.
pub(super) async fn get(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let Some(monitor) = shared.options.monitor.clone() else {
        return super::service::unknown_api(request).await;
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return super::handles::not_offered(request.method(), request.uri(), "GET, HEAD, OPTIONS");
    }
    let field = request.headers().get(header::AUTHORIZATION);
    let field = field.and_then(|field| field.to_str().ok());
    let token = field.and_then(|field| bearer_token(field).ok());
    if !token.is_some_and(|token| monitor.accepts(token)) {
        let detail = "this is for the national node alone: authorization: Bearer <token>";
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail);
        let mut response = problem.part("authorization").response(PATH);
        let challenge = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
        return response;
    }
    let told = Deadline::of(&shared).run(&shared, told(&shared.core, &monitor.node));
    let Some(told) = told.await else {
        let detail = "the node did not find out in time";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
        return problem.response(PATH);
    };
    let no_store = HeaderValue::from_static("no-store");
    ([(header::CACHE_CONTROL, no_store)], Json(told)).into_response()
}

async fn told(core: &Core, node: &str) -> Value {
    let (registration, resolution) = tokio::join!(registers(core), resolves(core));
    let checks = core.uplink.reports().map(|reports| reports.checks());
    let checks = checks.unwrap_or_default();
    json!({
        "node": node,
        "software_version": env!("CARGO_PKG_VERSION"),
        "started_at_ms": core.started_at_ms,
        "now_ms": now_ms(),
        "log_head": core.registry.applied(),
        "registration": shown(&registration),
        "resolution": shown(&resolution),
        "checks": checks.iter().map(check).collect::<Vec<_>>(),
        "takeover": takeover(core).await,
    })
}

/// Whether the writer answers: it is handed the command that every node is handed by itself.
async fn registers(core: &Core) -> Result<(), Error> {
    let node = Caller::node();
    let written = core.registry.write(&node, None, Command::Prune).await;
    written.map(drop)
}

/// Whether the store answers.
async fn resolves(core: &Core) -> Result<(), Error> {
    let nobody = Identifier::parse("88/idnode-probe");
    let nobody = nobody.map_err(|error| Error::Storage(error.to_string()))?;
    core.resolver.probe(&nobody).await.map(drop)
}

fn shown(outcome: &Result<(), Error>) -> Value {
    match outcome {
        Ok(()) => json!({"works": true}),
        Err(error) => json!({"works": false, "reason": error.reason()}),
    }
}

fn check(check: &FaultCheck) -> Value {
    json!({
        "name": check.name,
        "faulty": check.faulty,
        "detail": check.detail,
        "checked_at_ms": check.checked_at.as_ref().and_then(millis),
    })
}

/// The takeover that the node knows of.
async fn takeover(core: &Core) -> Value {
    let records = Records(core.uplink.journal().clone());
    let state = tokio::task::spawn_blocking(move || records.state()).await;
    let Ok(Ok(state)) = state else {
        return Value::Null;
    };
    let notice = state.notice();
    json!({
        "epoch": notice.epoch,
        "revision": notice.revision,
        "phase": notice.phase().as_str_name().trim_start_matches("TAKEOVER_PHASE_").to_lowercase(),
        "prefixes": notice.prefixes,
        "in_force": core.registry.held().is_some(),
        "merged": state.merged,
    })
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
