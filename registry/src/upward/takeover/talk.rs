//! The task that speaks with the national node: takes notices and keeps to them, merges what was
//! registered meanwhile, tells of conflicts, and confirms.

use super::merge::{blocking, merge};
use super::notice::{self, Step};
use super::records::{Records, State};
use crate::registry::Registry;
use crate::upward::stream::{Line, StreamOptions, keep_talking};
use crate::upward::{Channel, Uplink};
use crate::{Error, now_ms};
use idnode_proto::api::takeover_service_client::TakeoverServiceClient;
use idnode_proto::api::{
    AcknowledgeTakeoverRequest, ConfirmMergeRequest, FollowTakeoverRequest,
    ListTakeoverRegistrationsRequest, ReportTakeoverConflictRequest, TakeoverConflict,
    TakeoverNotice, TakeoverPhase, TakeoverRegistration,
};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming, transport};

/// Registrations that are asked for at once.
const PAGE: u32 = 100;
/// Most bytes of one answer.
const MESSAGE_LIMIT_BYTES: usize = 8 << 20;
/// Conflicts that are looked up at once.
const CONFLICTS_AT_ONCE: usize = 64;
/// The national node says something every ten seconds.
const SILENCE: Duration = Duration::from_secs(35);

type Client = TakeoverServiceClient<transport::Channel>;
/// Or why the connection is of no use any more.
type Done<T> = Result<T, String>;

/// Follows takeovers until `shutdown`. Whatever it was about is journalled, wherever it is cut off.
pub async fn run(
    registry: Arc<Registry>,
    uplink: Arc<Uplink>,
    options: StreamOptions,
    shutdown: CancellationToken,
) {
    let node = options.node.clone();
    let talk = |connection, line: Line| {
        let conversation = Conversation {
            records: Records(registry.journal()),
            registry: registry.clone(),
            node: node.clone(),
            client: TakeoverServiceClient::new(connection)
                .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
                .max_encoding_message_size(MESSAGE_LIMIT_BYTES),
            state: State::default(),
            line,
        };
        async move {
            match conversation.go_on().await {
                Ok(()) => "the national node has ended the stream".to_owned(),
                Err(reason) => reason,
            }
        }
    };
    keep_talking(uplink, Channel::Takeover, &options, &shutdown, talk).await;
}

/// One connection's.
struct Conversation {
    registry: Arc<Registry>,
    records: Records,
    node: String,
    client: Client,
    line: Line,
    /// As journalled.
    state: State,
}

impl Conversation {
    async fn go_on(mut self) -> Done<()> {
        let records = self.records.clone();
        self.state = on_disk(move || records.state()).await?;
        self.show().await?;
        let request = FollowTakeoverRequest {
            node: self.node.clone(),
            revision: self.state.notice().revision,
        };
        let followed = self.client.follow_takeover(request).await;
        let mut notices = followed.map_err(in_words)?.into_inner();
        self.tell_conflicts().await?;
        loop {
            let merges = self.state.phase() == TakeoverPhase::HandingBack;
            let line = self.line.clone();
            tokio::select! {
                biased;
                notice = next(&mut notices) => match notice? {
                    Some(notice) => self.take(notice).await?,
                    None => return Ok(()),
                },
                () = line.uplink().takeover_news().notified() => self.tell_conflicts().await?,
                () = std::future::ready(()), if merges => self.merge_page().await?,
            }
        }
    }

    /// Takes a notice: durable, kept to, and then acknowledged.
    async fn take(&mut self, notice: TakeoverNotice) -> Done<()> {
        self.keep_to(&notice).await?;
        let revision = self.state.notice().revision;
        if notice.revision != revision || revision == 0 {
            // An older one that comes late, or there has never been a takeover.
            self.line.works();
            return Ok(());
        }
        let request = AcknowledgeTakeoverRequest {
            node: self.node.clone(),
            revision,
        };
        let answer = self.client.acknowledge_takeover(request).await;
        let answer = answer.map_err(in_words)?.into_inner();
        self.keep_to(&answer).await?;
        self.line.works();
        self.show().await
    }

    async fn keep_to(&mut self, notice: &TakeoverNotice) -> Done<()> {
        if notice.revision == 0 && self.state.notice().revision == 0 && notice.node == self.node {
            return Ok(());
        }
        let step = notice::take(&self.state, &self.node, notice, now_ms())?;
        let Step::Next(next) = step else {
            return Ok(());
        };
        let held = next.held().map_err(|error| error.to_string())?;
        let (records, journalled) = (self.records.clone(), next.clone());
        on_disk(move || records.commit(&journalled, Vec::new())).await?;
        let (phase, epoch) = (next.phase().as_str_name(), next.notice().epoch);
        tracing::warn!(epoch, phase, prefixes = ?notice.prefixes, "takeover by the national node");
        let changed_epoch = epoch != self.state.notice().epoch;
        self.state = *next;
        let kept = self.registry.hold(held).await;
        kept.map_err(|error| error.to_string())?;
        if changed_epoch {
            let records = self.records.clone();
            on_disk(move || {
                while records.forget_before(epoch)? {}
                Ok(())
            })
            .await?;
        }
        self.show().await
    }

    /// Merges a page of what was registered meanwhile; behind the last one, confirms.
    async fn merge_page(&mut self) -> Done<()> {
        let (notice, after) = (self.state.notice(), self.state.merged);
        if after >= notice.registrations {
            return self.confirm(&notice).await;
        }
        let request = ListTakeoverRegistrationsRequest {
            node: self.node.clone(),
            epoch: notice.epoch,
            after,
            limit: PAGE,
        };
        let answer = self.client.list_takeover_registrations(request).await;
        let answer = answer.map_err(in_words)?.into_inner();
        if answer.node != self.node || answer.epoch != notice.epoch {
            return Err("registrations of another takeover were answered".to_owned());
        }
        check_page(&answer.registrations, after, notice.registrations)?;
        for registration in answer.registrations {
            let merged = merge(&self.registry, &self.records, &mut self.state, registration);
            merged.await.map_err(|error| error.to_string())?;
        }
        self.line.works();
        self.show().await?;
        self.tell_conflicts().await
    }

    /// Says that everything is merged, and takes the prefixes back when it is answered that they are
    /// the node's again.
    async fn confirm(&mut self, notice: &TakeoverNotice) -> Done<()> {
        self.tell_conflicts().await?;
        let request = ConfirmMergeRequest {
            node: self.node.clone(),
            epoch: notice.epoch,
            revision: notice.revision,
            registrations: self.state.merged,
        };
        let answer = self.client.confirm_merge(request).await;
        let answer = answer.map_err(in_words)?.into_inner();
        if answer.epoch != notice.epoch || answer.revision <= notice.revision {
            return Err("a confirmation was answered with another notice".to_owned());
        }
        self.take(answer).await
    }

    /// Tells of conflicts that the national node does not know as they stand, one by one.
    async fn tell_conflicts(&mut self) -> Done<()> {
        loop {
            let records = self.records.clone();
            let untold = on_disk(move || records.untold(CONFLICTS_AT_ONCE)).await?;
            if untold.is_empty() {
                return self.show().await;
            }
            for id in untold {
                let records = self.records.clone();
                let row = on_disk(move || records.conflict(id)).await?;
                let row = row.ok_or_else(|| format!("conflict {id} is lost"))?;
                self.tell(row.conflict).await?;
            }
        }
    }

    async fn tell(&mut self, conflict: TakeoverConflict) -> Done<()> {
        let request = ReportTakeoverConflictRequest {
            node: self.node.clone(),
            conflict: Some(conflict.clone()),
        };
        let answer = self.client.report_takeover_conflict(request).await;
        let answer = answer.map_err(in_words)?.into_inner();
        let is_this = answer.node == self.node
            && (answer.epoch, answer.number) == (conflict.epoch, conflict.number)
            && answer.settlement == conflict.settlement;
        if !is_this {
            return Err("the report of a conflict was answered with another one's answer".into());
        }
        let records = self.records.clone();
        on_disk(move || records.is_known(&conflict)).await?;
        self.line.works();
        Ok(())
    }

    /// Shows how things stand: what is owed, and metrics.
    async fn show(&self) -> Done<()> {
        let records = self.records.clone();
        let (untold, open) = on_disk(move || {
            let limit = 10_000;
            Ok((
                records.untold(limit)?.len(),
                records.conflicts(None, false, limit)?.len(),
            ))
        })
        .await?;
        let notice = self.state.notice();
        let unmerged = match notice.phase() {
            TakeoverPhase::HandingBack => notice.registrations.saturating_sub(self.state.merged),
            _ => 0,
        };
        self.line.owes(unmerged + untold as u64);
        let is_held = self.registry.held().is_some();
        metrics::gauge!("idnode_takeover_in_force").set(f64::from(u8::from(is_held)));
        metrics::gauge!("idnode_takeover_open_conflicts").set(open as f64);
        Ok(())
    }
}

async fn next(notices: &mut Streaming<TakeoverNotice>) -> Done<Option<TakeoverNotice>> {
    match tokio::time::timeout(SILENCE, notices.message()).await {
        Ok(notice) => notice.map_err(in_words),
        Err(_) => Err(format!("nothing was heard for {} s", SILENCE.as_secs())),
    }
}

/// Err unless these are the registrations behind one, without gaps.
fn check_page(
    registrations: &[TakeoverRegistration],
    after: u64,
    through: u64,
) -> Result<(), String> {
    if registrations.is_empty() {
        return Err(format!("no registrations behind {after} of {through}"));
    }
    if registrations.len() > PAGE as usize {
        return Err(format!("more than {PAGE} registrations at once"));
    }
    for (registration, expected) in registrations.iter().zip(after + 1..) {
        if registration.number != expected || expected > through {
            return Err(format!(
                "registration {} where {expected} of {through} was expected",
                registration.number
            ));
        }
    }
    Ok(())
}

async fn on_disk<T: Send + 'static>(
    task: impl FnOnce() -> crate::Result<T> + Send + 'static,
) -> Done<T> {
    blocking(task)
        .await
        .map_err(|error: Error| error.to_string())
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "of a failed call, by map_err"
)]
fn in_words(status: Status) -> String {
    format!("{}: {}", status.code(), status.message())
}
