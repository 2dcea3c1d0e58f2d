//! The task that makes and sends reports. It waits for nobody and nobody waits for it.

use super::Reports;
use super::outbox::{Outcome, Pending};
use crate::now_ms;
use crate::upward::Channel;
use crate::upward::channel::connect;
use idnode_proto::api::report_intake_service_client::ReportIntakeServiceClient;
use idnode_proto::api::{ReportVerdict, SubmitReportRequest};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::transport;

/// How often it is looked what is owed.
const LOOK: Duration = Duration::from_secs(1);
/// The first wait after a failure.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// Longest message, both ways, bytes.
const MESSAGE_LIMIT_BYTES: usize = 8 << 20;

type Client = ReportIntakeServiceClient<transport::Channel>;

impl Reports {
    /// Makes and sends reports until `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let making = self.clone().make_on(shutdown.clone());
        tokio::join!(making, self.send_on(shutdown));
    }

    async fn make_on(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let reports = self.clone();
            match tokio::task::spawn_blocking(move || reports.make_owed()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "reports could not be made"),
                Err(error) => tracing::error!(%error, "making reports failed"),
            }
            let (pending, refused) = self.outbox.counts();
            self.uplink.owes(Channel::Report, pending);
            metrics::gauge!("idnode_reports_refused").set(refused as f64);
        }
    }

    async fn send_on(self: Arc<Self>, shutdown: CancellationToken) {
        let server = self.options.channel.server.clone();
        self.uplink.open(Channel::Report, &server, now_ms());
        let mut backoff = FIRST_BACKOFF;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                reason = self.clone().send_while_it_works(&mut backoff) => {
                    self.uplink.fails(Channel::Report, &reason, now_ms());
                    tracing::debug!(reason, "reports could not be sent");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(backoff) => {}
            }
            backoff = (backoff * 2).min(self.options.max_backoff);
        }
    }

    /// Sends over one connection; why that ended.
    async fn send_while_it_works(self: Arc<Self>, backoff: &mut Duration) -> String {
        let channel = match connect(&self.options.channel).await {
            Ok(channel) => channel,
            Err(reason) => return reason,
        };
        let mut client = ReportIntakeServiceClient::new(channel)
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
            .max_encoding_message_size(MESSAGE_LIMIT_BYTES);
        self.uplink.works(Channel::Report, now_ms());
        loop {
            let pending = match self.next_pending().await {
                Ok(Some(pending)) => pending,
                Ok(None) => {
                    // What was made meanwhile has left a permit.
                    self.news.notified().await;
                    continue;
                }
                Err(reason) => return reason,
            };
            let outcome = submit(&mut client, &pending).await;
            count(&outcome);
            let reason = match &outcome {
                Outcome::Failed(reason) => Some(reason.clone()),
                Outcome::Refused(reason) => {
                    let key = &pending.report.key;
                    tracing::warn!(key, reason, "a report was refused");
                    None
                }
                Outcome::Taken => None,
            };
            if let Err(reason) = self.close(pending, outcome).await {
                return reason;
            }
            match reason {
                Some(reason) => return reason,
                None => {
                    *backoff = FIRST_BACKOFF;
                    self.uplink.works(Channel::Report, now_ms());
                }
            }
        }
    }

    async fn next_pending(self: &Arc<Self>) -> Result<Option<Pending>, String> {
        let reports = self.clone();
        let next = tokio::task::spawn_blocking(move || reports.outbox.next()).await;
        let next = next.map_err(|error| error.to_string())?;
        next.map_err(|error| error.to_string())
    }

    async fn close(self: &Arc<Self>, pending: Pending, outcome: Outcome) -> Result<(), String> {
        let reports = self.clone();
        let closed = tokio::task::spawn_blocking(move || {
            let now_ms = reports.now_ms();
            reports.outbox.close(&pending, &outcome, now_ms)
        });
        let closed = closed.await.map_err(|error| error.to_string())?;
        closed.map_err(|error| error.to_string())
    }
}

async fn submit(client: &mut Client, pending: &Pending) -> Outcome {
    let request = SubmitReportRequest {
        report: Some(pending.report.clone()),
    };
    match client.submit_report(request).await {
        Ok(answer) => {
            let answer = answer.into_inner();
            match answer.verdict() {
                ReportVerdict::Taken | ReportVerdict::Known => Outcome::Taken,
                ReportVerdict::Refused => {
                    Outcome::Refused(format!("{}: {}", answer.field, answer.reason))
                }
                ReportVerdict::Unspecified => Outcome::Failed("an answer without a verdict".into()),
            }
        }
        Err(status) => Outcome::Failed(format!("{}: {}", status.code(), status.message())),
    }
}

fn count(outcome: &Outcome) {
    let outcome = match outcome {
        Outcome::Taken => "taken",
        Outcome::Refused(_) => "refused",
        Outcome::Failed(_) => "failed",
    };
    metrics::counter!("idnode_reports_sent_total", "outcome" => outcome).increment(1);
}
