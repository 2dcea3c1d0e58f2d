//! The stream of routes: over each connection the node tells what it owes, then follows the set of
//! siblings until the connection ends.

use super::records::{OwnRecord, OwnState, Records};
use super::registered::Refusals;
use super::{Routes, Table};
use crate::now_ms;
use crate::upward::Channel;
use crate::upward::stream::{Line, StreamOptions, keep_talking};
use idnode_proto::api::route_service_client::RouteServiceClient;
use idnode_proto::api::{
    AnnounceRequest, AnnounceResponse, AnnouncementVerdict, SiblingUpdate, WatchSiblingsRequest,
};
use idnode_proto::identifier::Prefix;
use idnode_proto::routes::{HEARTBEAT_S, Step, UpdateError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Status, transport};

/// Longest message, both ways, bytes.
const MESSAGE_LIMIT_BYTES: usize = 4 << 20;
/// After so long a silence the stream counts as broken.
const SILENCE: Duration = Duration::from_secs(3 * HEARTBEAT_S);
/// How often it is looked whether prefixes have changed.
const LOOK: Duration = Duration::from_secs(1);
/// How often what the national node did not want announced is tried again over one connection.
const AGAIN: Duration = Duration::from_secs(3_600);

type Client = RouteServiceClient<transport::Channel>;

impl Routes {
    /// Tells and follows until `shutdown`. It waits for nobody and nobody waits for it.
    pub async fn run(self: Arc<Self>, options: StreamOptions, shutdown: CancellationToken) {
        let uplink = self.uplink.clone();
        // What is owed is known before there is a connection, and shown.
        uplink.open(Channel::Routes, &options.channel.server, now_ms());
        self.show_backlog();
        let talk = |connection, line: Line| {
            let (routes, node) = (self.clone(), options.node.clone());
            async move {
                match routes.talk(connection, node, &line).await {
                    Ok(()) => "the national node has ended the stream".to_owned(),
                    Err(reason) => reason,
                }
            }
        };
        let talking = keep_talking(uplink, Channel::Routes, &options, &shutdown, talk);
        tokio::join!(talking, self.clone().follow_prefixes(&shutdown));
    }

    /// Looks at the registered prefixes when they have changed, with an uplink or without.
    async fn follow_prefixes(self: Arc<Self>, shutdown: &CancellationToken) {
        let mut seen = None;
        let mut asked = Instant::now();
        loop {
            let epoch = self.registry.prefixes().epoch();
            let is_time = asked.elapsed() >= AGAIN;
            if is_time {
                asked = Instant::now();
            }
            if seen != Some(epoch) || is_time {
                match self.look_again(is_time).await {
                    Ok(()) => seen = Some(epoch),
                    Err(reason) => {
                        tracing::warn!(reason, "what is to be announced could not be kept");
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Looks what there is to tell; `anew`: also of what was refused.
    async fn look_again(self: &Arc<Self>, anew: bool) -> Result<(), String> {
        if anew {
            *self.refusals.lock() = Refusals::default();
        }
        let routes = self.clone();
        blocking(move || routes.look()).await?;
        self.show_backlog();
        Ok(())
    }

    /// Speaks over one connection until the other side ends it; why it could not go on else.
    async fn talk(
        self: &Arc<Self>,
        connection: transport::Channel,
        node: String,
        line: &Line,
    ) -> Result<(), String> {
        let mut client = RouteServiceClient::new(connection)
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
            .max_encoding_message_size(MESSAGE_LIMIT_BYTES);
        // What is refused is tried again with each connection: the other side may have changed.
        if !self.refusals.lock().is_empty() {
            self.look_again(true).await?;
        }
        if self.own.lock().state() != OwnState::Told {
            self.announce(&mut client, line).await?;
        }
        let request = {
            let mut held = self.held.lock();
            held.break_off();
            WatchSiblingsRequest {
                node,
                set_id: held.set_id.clone(),
                version: held.version,
            }
        };
        let updates = client.watch_siblings(request).await;
        let mut updates = updates.map_err(|status| shown(&status))?.into_inner();
        loop {
            let update = tokio::select! {
                update = tokio::time::timeout(SILENCE, updates.message()) => update,
                () = self.news.notified() => {
                    if self.own.lock().state() == OwnState::Owed {
                        self.announce(&mut client, line).await?;
                    }
                    continue;
                }
            };
            let update =
                update.map_err(|_| format!("the stream was silent for {} s", SILENCE.as_secs()))?;
            let Some(update) = update.map_err(|status| shown(&status))? else {
                return Ok(());
            };
            let known = update.tells_digest.then(|| update.known_digest.clone());
            self.take(update).await?;
            line.works();
            if known.is_some_and(|digest| self.is_forgotten(&digest)) {
                self.announce(&mut client, line).await?;
            }
        }
    }

    /// Whether the national node holds something else than what it was told.
    fn is_forgotten(&self, known_digest: &str) -> bool {
        let own = self.own.lock();
        own.state() == OwnState::Told && own.digest() != known_digest
    }

    fn show_backlog(&self) {
        let owed = self.own.lock().state() == OwnState::Owed;
        self.uplink.owes(Channel::Routes, u64::from(owed));
    }

    /// Tells what the node is, and keeps what became of that. A registered prefix that the national
    /// node does not want is left out, and the rest told.
    async fn announce(self: &Arc<Self>, client: &mut Client, line: &Line) -> Result<(), String> {
        loop {
            let own = self.own.lock().clone();
            let request = AnnounceRequest {
                announcement: own.announcement.clone(),
            };
            let answer = client.announce(request).await;
            let answer = answer.map_err(|status| shown(&status))?.into_inner();
            line.works();
            let settled = settled(&own, answer.clone())?;
            if settled.state == OwnState::Refused && self.leave_out(&own, &answer) {
                self.look_again(false).await?;
                continue;
            }
            return self.settle(&own, settled).await;
        }
    }

    /// Leaves out what a refusal is about, if that is a registered prefix, or that there are too many.
    fn leave_out(&self, own: &OwnRecord, answer: &AnnounceResponse) -> bool {
        let all = own.announcement.iter().flat_map(|it| &it.configurations);
        let all: Vec<_> = all
            .filter_map(|it| Prefix::parse(&it.prefix).ok())
            .collect();
        let is_registered = |it: &Prefix| self.configured.configured().all(|own| own != it);
        let are_too_many = answer.field == "configurations";
        let place = match are_too_many {
            true => all.iter().position(is_registered),
            false => place(&answer.field),
        };
        let refused = place.and_then(|it| all.get(it..)).unwrap_or_default();
        let Some(first) = refused.first().filter(|it| is_registered(it)) else {
            return false;
        };
        let reason = &answer.reason;
        tracing::warn!(prefix = %first, reason, "a registered prefix is not announced");
        let mut refusals = self.refusals.lock();
        match are_too_many {
            true => refusals.add_all(refused.iter(), reason),
            false => refusals.add(refused.iter(), reason),
        }
        true
    }

    /// Keeps what became of what was told, unless there is something else to tell by now.
    async fn settle(self: &Arc<Self>, told: &OwnRecord, settled: Settled) -> Result<(), String> {
        if settled.state == OwnState::Refused {
            let reason = &settled.reason;
            tracing::warn!(
                reason,
                "the national node refuses what this node tells of itself"
            );
        }
        let (routes, digest) = (self.clone(), told.digest().to_owned());
        blocking(move || {
            let mut own = routes.own.lock();
            if own.digest() == digest {
                let next = OwnRecord {
                    state: settled.state.into(),
                    reason: settled.reason,
                    settled_ms: now_ms(),
                    ..own.clone()
                };
                Records(routes.uplink.journal()).keep_own(&next)?;
                *own = next;
            }
            Ok(())
        })
        .await?;
        self.show_backlog();
        Ok(())
    }

    /// Takes an update: first into the journal, then into the table.
    async fn take(self: &Arc<Self>, update: SiblingUpdate) -> Result<(), String> {
        let routes = self.clone();
        let step = self.held.lock().take(update);
        let (put, gone) = match step {
            Ok(Step::Nothing) => return Ok(()),
            Ok(Step::Changed { put, gone }) => (put, gone),
            Err(error) => {
                if matches!(error, UpdateError::Broken { .. }) {
                    metrics::counter!("idnode_bound_hits_total", "bound" => "siblings")
                        .increment(1);
                    tracing::warn!(%error, "what is told of siblings breaks a rule");
                }
                return Err(format!("siblings: {error}"));
            }
        };
        blocking(move || {
            let records = Records(routes.uplink.journal());
            let mut held = routes.held.lock();
            if let Err(error) = records.keep(&held, &put, &gone) {
                *held = records.held()?;
                return Err(error);
            }
            let table = Table::of(held.siblings.values(), &routes.rules);
            for refused in &table.refused {
                let (node, prefix, reason) = (&refused.node, &refused.prefix, &refused.reason);
                tracing::debug!(node, prefix, reason, "a sibling's route is not used");
            }
            routes.uplink.siblings().set(table);
            Ok(())
        })
        .await
    }
}

/// What became of an announcement.
struct Settled {
    state: OwnState,
    reason: String,
}

/// What became of an announcement by an answer to it.
fn settled(own: &OwnRecord, answer: AnnounceResponse) -> Result<Settled, String> {
    if answer.digest != own.digest() {
        return Err("an answer to another announcement".to_owned());
    }
    let (state, reason) = match answer.verdict() {
        AnnouncementVerdict::Taken | AnnouncementVerdict::Known => (OwnState::Told, String::new()),
        AnnouncementVerdict::Refused => {
            let reason = format!("{}: {}", answer.field, answer.reason);
            (OwnState::Refused, reason)
        }
        AnnouncementVerdict::Unspecified => return Err("an answer without a verdict".to_owned()),
    };
    Ok(Settled { state, reason })
}

/// Which configuration a field such as `configurations[3].prefix` is of.
fn place(field: &str) -> Option<usize> {
    let (number, _) = field.strip_prefix("configurations[")?.split_once(']')?;
    number.parse().ok()
}

fn shown(status: &Status) -> String {
    format!("{}: {}", status.code(), status.message())
}

async fn blocking(work: impl FnOnce() -> crate::Result<()> + Send + 'static) -> Result<(), String> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| error.to_string())?;
    done.map_err(|error| error.to_string())
}
