//! Routes between secondary nodes. Upward, what the node is: who runs it and where it resolves what,
//! told when that has changed: what is configured, and the active prefixes beside it. Downward, the same
//! of all other secondary nodes, its siblings: a set with a version, the whole first, then what changes.
//! Both are in the journal, so that a node that starts without an uplink knows its siblings.
//!
//! | module | holds |
//! |---|---|
//! | [`own`] | what the node has to tell of itself |
//! | [`registered`] | which of the registered prefixes are told with it |
//! | [`table`] | what of the siblings is used, and what is refused |
//! | [`records`] | the journal's records |
//! | `task` | the stream |

pub mod own;
pub mod records;
pub mod registered;
pub mod table;
mod task;

pub use own::Own;
pub use records::{LeftOut, OwnRecord, OwnState, Records};
pub use table::{Refused, SiblingRoute, SiblingRules, Siblings, Table, registered_here};

use crate::upward::Uplink;
use crate::{Registry, Result, now_ms};
use idnode_proto::routes::Held;
use parking_lot::Mutex;
use registered::{Refusals, Registered};
use std::sync::Arc;
use tokio::sync::Notify;

/// The routes of a node whose streams are on.
#[derive(Debug)]
pub struct Routes {
    registry: Arc<Registry>,
    uplink: Arc<Uplink>,
    /// As it is configured.
    configured: Own,
    rules: SiblingRules,
    held: Mutex<Held>,
    own: Mutex<OwnRecord>,
    /// What of the registered prefixes the national node does not want announced.
    refusals: Mutex<Refusals>,
    /// Held while it is looked what there is to tell: no older look comes after a newer one.
    looking: Mutex<()>,
    /// There is something else to tell.
    news: Notify,
}

impl Routes {
    /// Takes up what the journal has: the siblings are known from here on, and what the node is is
    /// owed if it is something else than before. May block on the disk.
    ///
    /// # Errors
    /// The store fails.
    pub fn open(
        registry: Arc<Registry>,
        uplink: Arc<Uplink>,
        own: Own,
        rules: SiblingRules,
    ) -> Result<Arc<Self>> {
        let records = Records(uplink.journal());
        let held = records.held()?;
        uplink
            .siblings()
            .set(Table::of(held.siblings.values(), &rules));
        let before = records.own()?.unwrap_or_default();
        let routes = Self {
            rules,
            held: Mutex::new(held),
            own: Mutex::new(before),
            refusals: Mutex::default(),
            looking: Mutex::default(),
            news: Notify::new(),
            configured: own,
            registry,
            uplink,
        };
        routes.look()?;
        Ok(Arc::new(routes))
    }

    /// Looks what the node has to tell of itself: it is owed if it is something else than before. May
    /// block on the disk.
    ///
    /// # Errors
    /// The store fails.
    fn look(&self) -> Result<()> {
        let _looking = self.looking.lock();
        let refusals = self.refusals.lock().clone();
        let registered = Registered::of(self.registry.prefixes(), &self.configured, &refusals);
        let announcement = self
            .configured
            .announcement(&registered.announced, now_ms());
        let left_out = registered.left_out.iter().map(|(prefix, reason)| LeftOut {
            prefix: prefix.canonical(),
            reason: reason.clone(),
        });
        let mut own = self.own.lock();
        let mut next = match own.digest() == announcement.digest {
            true => own.clone(),
            false => OwnRecord::owed(announcement),
        };
        next.left_out = left_out.collect();
        next.left_out_count = registered.left_out_count;
        if next == *own {
            return Ok(());
        }
        if registered.beyond_bound > 0 && next.left_out_count != own.left_out_count {
            metrics::counter!("idnode_bound_hits_total", "bound" => "announced_prefixes")
                .increment(1);
            let left_out = registered.beyond_bound;
            tracing::warn!(
                left_out,
                "more prefixes are registered than can be announced"
            );
        }
        Records(self.uplink.journal()).keep_own(&next)?;
        *own = next;
        drop(own);
        self.news.notify_one();
        Ok(())
    }
}
