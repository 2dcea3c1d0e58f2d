//! How each channel upward stands: what `idctl upward status` shows and metrics count.

use super::Journal;
use super::escrow::Desk;
use super::report::Reports;
use super::routes::Siblings;
use super::sync::Restart;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// A channel to the national node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Provisioning over EPP.
    Epp,
    /// The stream of changes.
    Sync,
    /// Measurements and reports.
    Report,
    /// Escrow deposits.
    Escrow,
    /// Emergency takeover and hand-back.
    Takeover,
    /// The node's own routes upward, those of its siblings downward.
    Routes,
}

impl Channel {
    /// Its name in the configuration, metrics and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epp => "epp",
            Self::Sync => "sync",
            Self::Report => "report",
            Self::Escrow => "escrow",
            Self::Takeover => "takeover",
            Self::Routes => "routes",
        }
    }
}

/// Whether a channel works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkState {
    /// Not tried yet.
    #[default]
    Starting,
    /// The last exchange went well.
    Up,
    /// The last attempt failed; another one follows.
    Down,
}

impl LinkState {
    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// How one channel stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelStatus {
    /// Where it leads, as configured.
    pub server: String,
    /// Whether it works.
    pub state: LinkState,
    /// Since when, milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// The last exchange that went well, milliseconds since the Unix epoch; 0: none.
    pub last_exchange_ms: u64,
    /// What went wrong last; empty: nothing has.
    pub last_error: String,
    /// Things that are owed and not yet told.
    pub backlog: u64,
    /// Since when the oldest of them is owed, milliseconds since the Unix epoch; 0: not known.
    pub owed_since_ms: u64,
    /// Of what is owed, what has failed by an error of its own and is told later.
    pub aside: u64,
}

/// The uplink of a node: its journal, and how its channels stand.
#[derive(Debug)]
pub struct Uplink {
    journal: Journal,
    channels: RwLock<BTreeMap<Channel, ChannelStatus>>,
    desk: Desk,
    reports: OnceLock<Arc<Reports>>,
    takeover_news: Notify,
    siblings: Arc<Siblings>,
    restart_of_changes: Arc<Restart>,
}

impl Uplink {
    /// The uplink of a registry, without a channel yet.
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            channels: RwLock::default(),
            desk: Desk::default(),
            reports: OnceLock::new(),
            takeover_news: Notify::new(),
            siblings: Arc::default(),
            restart_of_changes: Arc::default(),
        }
    }

    /// From now on the node reports. Once for an uplink: a second one changes nothing.
    pub fn report_by(&self, reports: Arc<Reports>) {
        let _ = self.reports.set(reports);
    }

    /// The node's reports, if it reports.
    pub fn reports(&self) -> Option<&Arc<Reports>> {
        self.reports.get()
    }

    /// Where other secondary nodes are asked; empty where that is not known.
    pub fn siblings(&self) -> &Arc<Siblings> {
        &self.siblings
    }

    /// What was told.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Told when the national node is to learn of something about a takeover.
    pub fn takeover_news(&self) -> &Notify {
        &self.takeover_news
    }

    /// How the stream of changes begins anew.
    pub(crate) fn restart_of_changes(&self) -> Arc<Restart> {
        self.restart_of_changes.clone()
    }

    /// Where escrow deposits are asked for.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Every channel that is on.
    pub fn channels(&self) -> Vec<(Channel, ChannelStatus)> {
        let channels = self.channels.read();
        channels
            .iter()
            .map(|(it, status)| (*it, status.clone()))
            .collect()
    }

    /// A channel is on. What is known to be owed stays known.
    pub fn open(&self, channel: Channel, server: &str, now_ms: u64) {
        let mut channels = self.channels.write();
        let status = channels.entry(channel).or_default();
        *status = ChannelStatus {
            server: server.to_owned(),
            since_ms: now_ms,
            backlog: status.backlog,
            owed_since_ms: status.owed_since_ms,
            aside: status.aside,
            ..ChannelStatus::default()
        };
        drop(channels);
        gauge(channel, "idnode_upward_up").set(0.0);
    }

    /// An exchange went well.
    pub fn works(&self, channel: Channel, now_ms: u64) {
        self.change(channel, |status| {
            if status.state != LinkState::Up {
                status.state = LinkState::Up;
                status.since_ms = now_ms;
            }
            status.last_exchange_ms = now_ms;
        });
        gauge(channel, "idnode_upward_up").set(1.0);
    }

    /// An attempt failed.
    pub fn fails(&self, channel: Channel, reason: &str, now_ms: u64) {
        self.change(channel, |status| {
            if status.state != LinkState::Down {
                status.state = LinkState::Down;
                status.since_ms = now_ms;
            }
            status.last_error = reason.to_owned();
        });
        gauge(channel, "idnode_upward_up").set(0.0);
        metrics::counter!("idnode_upward_failures_total", "channel" => channel.name()).increment(1);
    }

    /// The other side does not do now what it was asked, for this reason; the channel works.
    pub fn puts_off(&self, channel: Channel, reason: &str) {
        self.change(channel, |status| {
            status.last_error = format!("put off: {reason}");
        });
    }

    /// An exchange went well, and its answer is an error of what was told.
    pub fn errs(&self, channel: Channel, reason: &str, now_ms: u64) {
        self.works(channel, now_ms);
        self.change(channel, |status| status.last_error = reason.to_owned());
        metrics::counter!("idnode_upward_failures_total", "channel" => channel.name()).increment(1);
    }

    /// So much is owed.
    pub fn owes(&self, channel: Channel, backlog: u64) {
        self.owes_since(channel, backlog, 0);
    }

    /// So much is owed, the oldest of it since then, milliseconds since the Unix epoch; 0: not known.
    pub fn owes_since(&self, channel: Channel, backlog: u64, since_ms: u64) {
        self.change(channel, |status| {
            (status.backlog, status.owed_since_ms) = (backlog, since_ms);
        });
        gauge(channel, "idnode_upward_backlog").set(backlog as f64);
    }

    /// So much of what is owed is set aside.
    pub fn sets_aside(&self, channel: Channel, aside: u64) {
        self.change(channel, |status| status.aside = aside);
    }

    fn change(&self, channel: Channel, change: impl FnOnce(&mut ChannelStatus)) {
        if let Some(status) = self.channels.write().get_mut(&channel) {
            change(status);
        }
    }
}

fn gauge(channel: Channel, name: &'static str) -> metrics::Gauge {
    metrics::gauge!(name, "channel" => channel.name())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::store::{Store, StoreOptions};
    use std::sync::Arc;

    #[test]
    fn a_channel_tells_since_when_it_is_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        Store::create(dir.path()).unwrap();
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        let uplink = Uplink::new(Journal::new(Arc::new(store)));
        uplink.works(Channel::Epp, 1);
        assert_eq!(uplink.channels(), []);
        uplink.open(Channel::Epp, "bms:700", 1);
        uplink.fails(Channel::Epp, "refused", 2);
        uplink.fails(Channel::Epp, "timed out", 3);
        uplink.owes(Channel::Epp, 4);
        let (channel, status) = uplink.channels()[0].clone();
        assert_eq!(channel, Channel::Epp);
        assert_eq!((status.state, status.since_ms), (LinkState::Down, 2));
        assert_eq!((&*status.last_error, status.backlog), ("timed out", 4));
        uplink.works(Channel::Epp, 5);
        uplink.works(Channel::Epp, 6);
        let (_, status) = uplink.channels()[0].clone();
        assert_eq!((status.state, status.since_ms), (LinkState::Up, 5));
        assert_eq!(status.last_exchange_ms, 6);
    }
}
