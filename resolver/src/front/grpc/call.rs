//! What every call goes through: who calls, by when it must be answered, what is counted.

use super::status::{Outcome, Refused, Result};
use super::{GrpcOptions, auth};
use crate::front::Core;
use idnode_registry::write::{Command, Idempotency, Receipt};
use idnode_registry::{Caller, Error, Registry};
use prost::Message;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// What all services share; implements each of them.
#[derive(Debug, Clone)]
pub(super) struct Api(Arc<Shared>);

/// See [`Api`].
#[derive(Debug)]
pub(super) struct Shared {
    /// The node.
    pub core: Arc<Core>,
    /// The front's bounds.
    pub options: GrpcOptions,
    /// Cancelled when the node drains.
    pub shutdown: CancellationToken,
    /// What is counted.
    pub meter: Meter,
    /// A permit for each export under way.
    pub exports: Arc<Semaphore>,
}

impl Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Api {
    /// The services over a node.
    pub fn new(core: Arc<Core>, options: GrpcOptions, shutdown: CancellationToken) -> Self {
        let exports = Arc::new(Semaphore::new(
            options.max_exports.min(Semaphore::MAX_PERMITS),
        ));
        Self(Arc::new(Shared {
            core,
            options,
            shutdown,
            meter: Meter::new(),
            exports,
        }))
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.core.registry
    }

    /// Carries out a call that needs a credential and has one answer.
    pub async fn unary<Q, T, F>(
        &self,
        request: Request<Q>,
        call: impl FnOnce(Self, Caller, Q) -> F,
    ) -> std::result::Result<Response<T>, Status>
    where
        F: Future<Output = Result<T>>,
    {
        let started = Instant::now();
        let (metadata, _, request) = request.into_parts();
        let result = match auth::known(&self.core, &metadata) {
            Ok(caller) => self.in_time(call(self.clone(), caller, request)).await,
            Err(refused) => Err(refused),
        };
        self.meter.count(
            started.elapsed(),
            result
                .as_ref()
                .map_or_else(Refused::outcome, |_| Outcome::Ok),
        );
        result.map(Response::new).map_err(Refused::into_status)
    }

    /// The status of a stream that is refused before it begins.
    pub fn refuse(&self, refused: Refused) -> Status {
        self.meter.count_item(refused.outcome());
        refused.into_status()
    }

    /// What a part of a call gives, if it does so within the request deadline.
    pub async fn in_time<T>(&self, part: impl Future<Output = Result<T>>) -> Result<T> {
        let deadline = self.core.request_deadline;
        tokio::time::timeout(deadline, part)
            .await
            .unwrap_or(Err(Refused::Deadline(deadline)))
    }

    /// Reads that may wait for the disk, on a thread where that hurts nobody.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Registry) -> idnode_registry::Result<T> + Send + 'static,
    ) -> Result<T> {
        let core = self.core.clone();
        let lost = |_| Error::Storage("a read ended without a result".into());
        Ok(tokio::task::spawn_blocking(move || read(&core.registry))
            .await
            .map_err(lost)??)
    }

    /// Carries out a command.
    pub async fn write(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Command,
    ) -> Result<Receipt> {
        Ok(self
            .core
            .registry
            .write(caller, idempotency, command)
            .await?)
    }
}

/// The error a stream ends with when the node drains.
pub(super) fn draining() -> Refused {
    Error::Unavailable("the node is shutting down".into()).into()
}

/// A client's idempotency key for a request whose own key has been taken out of it; `None` when
/// it sent none.
pub(super) fn idempotency(
    method: &str,
    key: String,
    request: &impl Message,
) -> Option<Idempotency> {
    if key.is_empty() {
        return None;
    }
    Idempotency::of_request(key, method, &request.encode_to_vec())
}

/// What the front counts.
#[derive(Debug)]
pub(super) struct Meter {
    ok: metrics::Counter,
    referral: metrics::Counter,
    not_found: metrics::Counter,
    refused: metrics::Counter,
    failed: metrics::Counter,
    latency_us: metrics::Histogram,
}

impl Meter {
    fn new() -> Self {
        let outcome = |name: &'static str| metrics::counter!("idnode_requests_total", "front" => "grpc", "outcome" => name);
        Self {
            ok: outcome("ok"),
            referral: outcome("referral"),
            not_found: outcome("not_found"),
            refused: outcome("refused"),
            failed: outcome("failed"),
            latency_us: metrics::histogram!("idnode_request_latency_us", "front" => "grpc"),
        }
    }

    /// Counts one call.
    pub fn count(&self, took: Duration, outcome: Outcome) {
        self.count_item(outcome);
        self.count_message(took);
    }

    /// Records how long one message took to answer whose items are counted by themselves.
    pub fn count_message(&self, took: Duration) {
        self.latency_us.record(took.as_secs_f64() * 1e6);
    }

    /// Counts one item of a stream, which has no latency of its own.
    pub fn count_item(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Ok => &self.ok,
            Outcome::Referral => &self.referral,
            Outcome::NotFound => &self.not_found,
            Outcome::Refused => &self.refused,
            Outcome::Failed => &self.failed,
        };
        counter.increment(1);
    }
}
