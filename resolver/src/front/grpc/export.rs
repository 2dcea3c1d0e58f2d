//! Export: everything of a prefix, from one snapshot, on a thread of its own.

use super::call::{Api, draining};
use super::convert::{optional_prefix, record};
use super::status::{Outcome, Refused, Result};
use idnode_proto::api;
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_registry::record::Record;
use idnode_registry::{Caller, Error, Sequence};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tonic::Status;

/// Messages that may wait for the client, beside the one being made.
const QUEUE: usize = 2;
/// How long a client may leave a message lying: an export holds a snapshot of the store.
const STALL_DEADLINE: Duration = Duration::from_secs(60);

/// Begins an export. Errors: the prefix is no prefix; there are too many exports.
pub(super) fn start(
    api: &Api,
    caller: Caller,
    request: &api::ExportRequest,
) -> Result<impl Stream<Item = std::result::Result<api::ExportResponse, Status>> + use<>> {
    let prefix = optional_prefix(&request.prefix, "prefix")?;
    let Ok(permit) = api.exports.clone().try_acquire_owned() else {
        metrics::counter!("idnode_bound_hits_total", "bound" => "grpc.max_exports").increment(1);
        let limit = api.options.max_exports as u64;
        return Err(Error::Bound {
            what: "exports at a time".into(),
            limit,
        }
        .into());
    };
    let (messages, receiver) = mpsc::channel(QUEUE);
    let export = Exporter {
        api: api.clone(),
        runtime: Handle::current(),
        messages,
    };
    let include_deleted = request.include_deleted;
    let worker = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        export.run(&caller, prefix.as_ref(), include_deleted)
    });
    let stream = Exported {
        receiver,
        worker: Some(worker),
    };
    Ok(futures_util::stream::unfold(
        stream,
        |mut exported| async move {
            let answer = exported.next().await.transpose()?;
            Some((answer.map_err(Refused::into_status), exported))
        },
    ))
}

/// The thread's side.
struct Exporter {
    api: Api,
    runtime: Handle,
    messages: mpsc::Sender<api::ExportResponse>,
}

impl Exporter {
    fn run(&self, caller: &Caller, prefix: Option<&Prefix>, include_deleted: bool) -> Result<()> {
        let started = Instant::now();
        let mut stopped = None;
        let exported = self.api.registry().export(
            caller,
            prefix,
            include_deleted,
            |sequence, batch| match self.send(sequence, batch) {
                Ok(flow) => flow,
                Err(refused) => {
                    stopped = Some(refused);
                    ControlFlow::Break(())
                }
            },
        );
        let result = exported
            .map_err(Refused::from)
            .and_then(|_| stopped.map_or(Ok(()), Err));
        let outcome = result
            .as_ref()
            .map_or_else(Refused::outcome, |()| Outcome::Ok);
        self.api.meter.count(started.elapsed(), outcome);
        result
    }

    /// Sends a batch, waiting for the client; breaks off when it has gone.
    fn send(
        &self,
        sequence: Sequence,
        batch: Vec<(Identifier, Record)>,
    ) -> Result<ControlFlow<()>> {
        if self.api.shutdown.is_cancelled() {
            return Err(draining());
        }
        let identifiers = batch
            .into_iter()
            .map(|(identifier, found)| record::shown(&identifier, found))
            .collect();
        let sending = self.messages.send(api::ExportResponse {
            sequence,
            identifiers,
        });
        match self
            .runtime
            .block_on(async { tokio::time::timeout(STALL_DEADLINE, sending).await })
        {
            Ok(Ok(())) => Ok(ControlFlow::Continue(())),
            Ok(Err(_)) => Ok(ControlFlow::Break(())),
            Err(_) => Err(Refused::Deadline(STALL_DEADLINE)),
        }
    }
}

/// The stream's side.
struct Exported {
    receiver: mpsc::Receiver<api::ExportResponse>,
    /// Until its result has been taken.
    worker: Option<JoinHandle<Result<()>>>,
}

impl Exported {
    async fn next(&mut self) -> Result<Option<api::ExportResponse>> {
        if let Some(message) = self.receiver.recv().await {
            return Ok(Some(message));
        }
        // A stream that ends well must mean that the export is whole.
        let Some(worker) = self.worker.take() else {
            return Ok(None);
        };
        let lost = |_| Error::Storage("an export ended in the middle".into());
        worker.await.map_err(lost)?.map(|()| None)
    }
}
