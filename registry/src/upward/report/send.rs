//! The task that makes and sends reports. It waits for nobody and nobody waits for it.

use super::Reports;
use super::outbox::{Next, Outcome, Pending};
use crate::now_ms;
use crate::upward::Channel;
use crate::upward::channel::connect;
use idnode_proto::api::report_intake_service_client::ReportIntakeServiceClient;
use idnode_proto::api::{ReportVerdict, SubmitReportRequest};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, transport};

/// How often it is looked what is owed.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest time until it is looked again whether what is set aside may be sent.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
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
            let aside = self.outbox.aside();
            self.uplink.sets_aside(Channel::Report, aside);
            metrics::gauge!("idnode_reports_aside").set(aside as f64);
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
                Ok(Next::Send(pending)) => pending,
                Ok(Next::Nothing) => {
                    // What was made meanwhile has left a permit.
                    self.news.notified().await;
                    continue;
                }
                Ok(Next::Wait(until_ms)) => {
                    let wait_ms = until_ms.saturating_sub(self.now_ms());
                    // The clock of reports may stand still: it is looked at again.
                    let wait = Duration::from_millis(wait_ms).clamp(SHORTEST_LOOK, LOOK);
                    tokio::select! {
                        () = self.news.notified() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                    continue;
                }
                Err(reason) => return reason,
            };
            let outcome = self.submit(&mut client, &pending).await;
            count(&outcome);
            let key = pending.report.key.clone();
            let reason = match &outcome {
                Outcome::Failed(reason) | Outcome::Errored(reason, _) => Some(reason.clone()),
                Outcome::Refused(reason) => {
                    tracing::warn!(key, reason, "a report was refused");
                    None
                }
                Outcome::Taken => None,
            };
            let is_answered = !matches!(outcome, Outcome::Failed(_));
            let aside = match self.close(*pending, outcome).await {
                Ok(aside) => aside,
                Err(reason) => return reason,
            };
            match (reason, aside) {
                (Some(reason), Some(errors)) if is_answered => {
                    // The others go on: it has a wait of its own.
                    tracing::warn!(key, reason, errors, "a report is set aside");
                    let reason = format!("{key}: {reason}");
                    self.uplink.errs(Channel::Report, &reason, now_ms());
                }
                (Some(reason), _) => return reason,
                (None, _) => {
                    *backoff = FIRST_BACKOFF;
                    self.uplink.works(Channel::Report, now_ms());
                }
            }
        }
    }

    async fn next_pending(self: &Arc<Self>) -> Result<Next, String> {
        let reports = self.clone();
        let next = tokio::task::spawn_blocking(move || reports.outbox.next(reports.now_ms()));
        let next = next.await.map_err(|error| error.to_string())?;
        next.map_err(|error| error.to_string())
    }

    async fn close(
        self: &Arc<Self>,
        pending: Pending,
        outcome: Outcome,
    ) -> Result<Option<u32>, String> {
        let reports = self.clone();
        let closed = tokio::task::spawn_blocking(move || {
            let now_ms = reports.now_ms();
            reports.outbox.close(&pending, &outcome, now_ms)
        });
        let closed = closed.await.map_err(|error| error.to_string())?;
        closed.map_err(|error| error.to_string())
    }

    async fn submit(&self, client: &mut Client, pending: &Pending) -> Outcome {
        let request = SubmitReportRequest {
            report: Some(pending.report.clone()),
        };
        let errored = |reason: String| Outcome::Errored(reason, self.options.max_backoff);
        match client.submit_report(request).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                match answer.verdict() {
                    ReportVerdict::Taken | ReportVerdict::Known => Outcome::Taken,
                    ReportVerdict::Refused => {
                        Outcome::Refused(format!("{}: {}", answer.field, answer.reason))
                    }
                    ReportVerdict::Unspecified => errored("an answer without a verdict".into()),
                }
            }
            Err(status) => {
                let reason = format!("{}: {}", status.code(), status.message());
                match may_be_its_own(&status) {
                    true => errored(reason),
                    false => Outcome::Failed(reason),
                }
            }
        }
    }
}

/// Whether another report might fare better: the server has answered, and not that it is away, does
/// not know this node or the method.
fn may_be_its_own(status: &Status) -> bool {
    let is_of_all = matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::Unimplemented
    );
    // What the connection has come to has a cause here; an answer has none.
    !is_of_all && std::error::Error::source(status).is_none()
}

fn count(outcome: &Outcome) {
    let outcome = match outcome {
        Outcome::Taken => "taken",
        Outcome::Refused(_) => "refused",
        Outcome::Failed(_) | Outcome::Errored(..) => "failed",
    };
    metrics::counter!("idnode_reports_sent_total", "outcome" => outcome).increment(1);
}
