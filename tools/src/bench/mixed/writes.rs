//! Writes through the gRPC API by the clock, and the registry's word on what came of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use idnode_proto::api::identifier_service_client::IdentifierServiceClient;
use idnode_proto::api::{
    CreateIdentifierRequest, DeleteIdentifierRequest, ExportRequest, IdentifierRecord,
    UpdateIdentifierRequest, WriteReceipt, value,
};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::model::{Model, Names, Write, is_live, ttl_s, values, write_of};
use crate::bench::error::Failure;
use crate::bench::order::below;
use crate::ctl::session::{MAX_ANSWER_BYTES, Session};

/// Most writes under way.
const IN_FLIGHT: usize = 64;
/// Latencies are kept up to this, microseconds; what is beyond counts as this.
const LONGEST_US: u64 = 600_000_000;
/// Half of the writes are for one in so many identifiers, so that these go through all there is:
/// they are created, updated and deleted again and again.
const HOT_EVERY: u32 = 50;

/// What came of the writes.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) creates: u64,
    pub(super) updates: u64,
    pub(super) deletes: u64,
    pub(super) failed: u64,
    /// What was said of the first that failed.
    pub(super) failure: Option<String>,
    /// Median and 99th percentile from when a write was due to its acknowledgement, microseconds.
    pub(super) p50_us: f64,
    /// See `p50_us`.
    pub(super) p99_us: f64,
}

impl Written {
    /// Acknowledged writes.
    pub(super) fn acknowledged(&self) -> u64 {
        self.creates + self.updates + self.deletes
    }
}

/// Who writes.
pub(super) struct Writer {
    pub(super) session: Arc<Session>,
    pub(super) model: Arc<Model>,
    pub(super) names: Names,
    pub(super) rate: f64,
    pub(super) seed: u64,
}

impl Writer {
    /// Writes until `stop`; then waits for what is under way.
    pub(super) async fn run(self, stop: Arc<AtomicBool>) -> Result<Written, Failure> {
        let client = client(&self.session).await?;
        let room = Arc::new(Semaphore::new(IN_FLIGHT));
        let mut tasks = tokio::task::JoinSet::new();
        let mut total = Written::default();
        let mut latency_us = Histogram::<u64>::new_with_max(LONGEST_US, 3)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let mut draws = self.seed;
        let started = Instant::now();
        for turn in 0_u64.. {
            let due = started + Duration::from_secs_f64(turn as f64 / self.rate);
            tokio::time::sleep_until(due).await;
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                break;
            };
            let (number, version) = self.begin(&mut draws);
            let (client, session) = (client.clone(), Arc::clone(&self.session));
            let (names, model) = (self.names.clone(), Arc::clone(&self.model));
            tasks.spawn(async move {
                let done = write(client, &session, &names, number, version).await;
                // At once: from here on nobody may see an older version.
                let done = done.map(|sequence| model.acknowledge(number, version, sequence));
                drop(permit);
                Done {
                    version,
                    result: done,
                    took: due.elapsed(),
                }
            });
            while let Some(Ok(done)) = tasks.try_join_next() {
                total.count(&done, &mut latency_us);
            }
        }
        while let Some(done) = tasks.join_next().await {
            let done = done.map_err(|error| Failure::Protocol(error.to_string()))?;
            total.count(&done, &mut latency_us);
        }
        total.p50_us = latency_us.value_at_quantile(0.5) as f64;
        total.p99_us = latency_us.value_at_quantile(0.99) as f64;
        Ok(total)
    }

    /// An identifier that no write is under way for, with its next version.
    fn begin(&self, draws: &mut u64) -> (u32, u32) {
        loop {
            let mut number = below(draws, u64::from(self.model.count())) as u32;
            if below(draws, 2) == 0 {
                number -= number % HOT_EVERY;
            }
            if let Some(version) = self.model.begin(number) {
                return (number, version);
            }
        }
    }
}

/// One write that has ended.
struct Done {
    version: u32,
    result: Result<(), Status>,
    /// Since it was due.
    took: Duration,
}

impl Written {
    fn count(&mut self, done: &Done, latency_us: &mut Histogram<u64>) {
        if let Err(status) = &done.result {
            self.failed += 1;
            let said = || format!("{:?}: {}", status.code(), status.message());
            self.failure.get_or_insert_with(said);
            return;
        }
        latency_us.saturating_record(done.took.as_micros() as u64);
        match write_of(done.version) {
            Write::Create => self.creates += 1,
            Write::Update => self.updates += 1,
            Write::Delete => self.deletes += 1,
        }
    }
}

async fn client(session: &Session) -> Result<IdentifierServiceClient<Channel>, Failure> {
    let channel = session.channel().await;
    let channel = channel.map_err(|error| Failure::Protocol(error.to_string()))?;
    Ok(IdentifierServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// Makes a version; its place in the log.
async fn write(
    mut client: IdentifierServiceClient<Channel>,
    session: &Session,
    names: &Names,
    number: u32,
    version: u32,
) -> Result<u64, Status> {
    let identifier = names.identifier(number);
    let receipt: Response<WriteReceipt> = match write_of(version) {
        Write::Create => {
            let request = CreateIdentifierRequest {
                identifier,
                values: values(number, version),
                ..CreateIdentifierRequest::default()
            };
            client.create_identifier(session.request(request)).await?
        }
        Write::Update => {
            let request = UpdateIdentifierRequest {
                identifier,
                set_values: values(number, version),
                replace_all: true,
                ..UpdateIdentifierRequest::default()
            };
            client.update_identifier(session.request(request)).await?
        }
        Write::Delete => {
            let request = DeleteIdentifierRequest {
                identifier,
                reason: "mixed load".to_owned(),
                ..DeleteIdentifierRequest::default()
            };
            client.delete_identifier(session.request(request)).await?
        }
    };
    Ok(receipt.into_inner().sequence)
}

/// Compares the whole registry with the model while nobody writes: what differs.
pub(super) async fn compare(
    session: &Session,
    model: &Model,
    names: &Names,
) -> Result<Vec<String>, Failure> {
    let broken = |status: Status| Failure::Protocol(format!("the export: {status}"));
    let request = ExportRequest {
        prefix: names.prefix.clone(),
        include_deleted: false,
    };
    let mut client = client(session).await?;
    let answers = client.export(session.stream_request(request)).await;
    let mut answers = answers.map_err(broken)?.into_inner();
    let mut there = vec![false; model.count() as usize];
    let mut differences = Vec::new();
    while let Some(answer) = answers.message().await.map_err(broken)? {
        for record in answer.identifiers {
            match names.number(&record.identifier) {
                Some(number) if is_version(&record, model, number) => {
                    if let Some(place) = there.get_mut(number as usize) {
                        *place = true;
                    }
                }
                _ => differences.push(format!("the registry has {record:?}")),
            }
        }
    }
    for (number, there) in (0_u32..).zip(there) {
        let versions = model.acknowledged(number)..=model.begun(number);
        if !there && versions.clone().all(is_live) {
            let identifier = names.identifier(number);
            differences.push(format!("the registry lacks {identifier} {versions:?}"));
        }
    }
    Ok(differences)
}

/// Whether a record is what one of the allowed versions says.
fn is_version(record: &IdentifierRecord, model: &Model, number: u32) -> bool {
    let versions = model.acknowledged(number)..=model.begun(number);
    let texts: Vec<_> = record
        .values
        .iter()
        .map(|value| (value.index, value.data.clone(), value.ttl))
        .collect();
    versions.into_iter().filter(|&v| is_live(v)).any(|version| {
        let ttl = Some(value::Ttl::TtlS(ttl_s(version)));
        let wanted = values(number, version).into_iter();
        texts
            .iter()
            .cloned()
            .eq(wanted.map(|value| (value.index, value.data, ttl)))
    })
}
