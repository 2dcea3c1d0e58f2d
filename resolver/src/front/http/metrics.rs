//! What the front counts, and `/metrics`.

use super::Shared;
use super::deadline::Deadline;
use super::problem::Problem;
use crate::front::Core;
use ::metrics::{Counter, Histogram, counter, histogram};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use metrics_exporter_prometheus::PrometheusHandle;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

/// Longest metrics text, bytes.
const MAX_TEXT_BYTES: usize = 8 << 20;

/// Counters of the front, looked up once.
pub(super) struct Meters {
    found: Counter,
    referral: Counter,
    invalid: Counter,
    denied: Counter,
    missing: Counter,
    deleted: Counter,
    failed: Counter,
    /// Answers that were kept.
    pub(super) repeated: Counter,
    latency_us: Histogram,
    /// Bounds that were hit.
    pub(super) bounds: BoundHits,
    /// One rendering at a time.
    rendering: Mutex<()>,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}

/// How often each bound was hit.
pub(super) struct BoundHits {
    /// Connections at once.
    pub(super) connections: Counter,
    /// Bytes of a URI.
    pub(super) uri: Counter,
    /// Bytes of a body.
    pub(super) body: Counter,
    /// The time of a request.
    pub(super) deadline: Counter,
}

impl Meters {
    pub(super) fn new() -> Self {
        let outcome = |outcome: &'static str| counter!("idnode_requests_total", "front" => "http", "outcome" => outcome);
        let bound = |bound: &'static str| counter!("idnode_bound_hits_total", "bound" => bound);
        Self {
            found: outcome("found"),
            referral: outcome("referral"),
            invalid: outcome("invalid"),
            denied: outcome("denied"),
            missing: outcome("missing"),
            deleted: outcome("deleted"),
            failed: outcome("failed"),
            repeated: counter!("idnode_http_kept_answers_total"),
            latency_us: histogram!("idnode_request_latency_us", "front" => "http"),
            bounds: BoundHits {
                connections: bound("http_connections"),
                uri: bound("http_uri"),
                body: bound("http_body"),
                deadline: bound("http_deadline"),
            },
            rendering: Mutex::default(),
        }
    }

    /// Counts a request for an identifier.
    pub(super) fn answered(&self, status: StatusCode, began: Instant) {
        let outcome = match status.as_u16() {
            200 | 201 | 302 | 304 => &self.found,
            300 | 307 => &self.referral,
            401 | 403 => &self.denied,
            404 => &self.missing,
            410 => &self.deleted,
            500.. => &self.failed,
            _ => &self.invalid,
        };
        outcome.increment(1);
        self.latency_us.record(began.elapsed().as_secs_f64() * 1e6);
    }
}

/// `GET /metrics`: Prometheus text (exposition format 0.0.4).
pub(super) async fn render(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let rendered = Deadline::of(&shared).run(&shared, rendered(&shared)).await;
    let failed = |detail: &str| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Problem::new(status, "metrics-unavailable", detail).response("/metrics")
    };
    match rendered {
        Some(Some(text)) => {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Some(None) => failed("the metrics are longer than 8 MiB"),
        None => failed("rendering the metrics took longer than a request may"),
    }
}

/// `None` when they are too long.
async fn rendered(shared: &Arc<Shared>) -> Option<Vec<u8>> {
    let _one_at_a_time = shared.meters.rendering.lock().await;
    let shared = shared.clone();
    // The store's size is read from its files' properties, and rendering takes milliseconds.
    let task = move || text(&shared.core, &shared.options.metrics);
    tokio::task::spawn_blocking(task).await.ok().flatten()
}

fn text(core: &Core, recorded: &PrometheusHandle) -> Option<Vec<u8>> {
    let mut out = Bounded(Vec::with_capacity(16 << 10));
    recorded.render_to_write(&mut out).ok()?;
    out.write_all(gauges(core).as_bytes()).ok()?;
    Some(out.0)
}

/// What is read when it is asked for rather than kept up to date.
fn gauges(core: &Core) -> String {
    let gauges = [
        (
            "idnode_applied_sequence",
            "Last log entry whose effects are visible",
            core.registry.applied(),
        ),
        (
            "idnode_cache_entries",
            "Entries of the hot cache, about",
            core.resolver.cache().len(),
        ),
        (
            "idnode_prefixes",
            "Prefixes, in any state",
            core.registry.prefixes().len() as u64,
        ),
        (
            "idnode_store_bytes",
            "Live data of the store",
            core.registry.store_bytes(),
        ),
        (
            "idnode_start_time_ms",
            "When the process began, milliseconds since 1970",
            core.started_at_ms,
        ),
        (
            "idnode_takes_writes",
            "1 while writes are taken",
            u64::from(core.registry.takes_writes()),
        ),
    ];
    let mut text = String::with_capacity(1 << 10);
    for (name, help, value) in gauges {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n\n"
        );
    }
    text
}

/// Refuses to grow beyond [`MAX_TEXT_BYTES`].
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_TEXT_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
