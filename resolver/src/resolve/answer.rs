//! What is answered, and the one place where reading is granted.

use super::query::Query;
use super::wanted::Wanted;
use idnode_proto::identifier::Identifier;
use idnode_proto::value::{Ttl, ValueRef};
use idnode_registry::Caller;
use idnode_registry::enterprise::EnterpriseId;
use idnode_registry::prefix::PrefixState;
use idnode_registry::prefix_table::PrefixEntry;
use idnode_registry::record::Record;
use std::sync::Arc;

/// What is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The identifier is registered here; the filter may match none of its values.
    Found(Resolved),
    /// Its prefix is served elsewhere: ask there.
    Referral(Arc<PrefixEntry>),
    /// There is no answer here.
    Missing(Missing),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The prefix is served here, the identifier is not registered.
    Identifier,
    /// It was registered and is deleted.
    Deleted {
        /// Sequence of the deletion.
        version: u64,
        /// When, milliseconds since the Unix epoch.
        at_ms: u64,
        /// Why.
        reason: String,
    },
    /// The prefix is not registered here.
    Prefix,
    /// The prefix is registered and not active (启用).
    PrefixNotActive(PrefixState),
}

/// A registered identifier, seen by one caller.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub(super) record: Arc<Record>,
    pub(super) owner: EnterpriseId,
    /// Who asked is an administrator of it with the right to read (RFC 3651 §3.2.1).
    pub(super) administered: bool,
}

impl Resolved {
    /// A live record of an enterprise's.
    pub(crate) fn new(record: Arc<Record>, owner: EnterpriseId) -> Self {
        Self {
            record,
            owner,
            administered: false,
        }
    }

    /// The values that are asked for and that the caller may read, ascending by index. The one
    /// place where reading is granted: no front sees any other value.
    pub fn values<'a>(&'a self, query: &'a Query<'a>) -> impl Iterator<Item = ValueRef<'a>> {
        let nobody = Caller::Stranger;
        let public_only = query.public_only;
        let wanted = Wanted::by(query.filter);
        self.record.values().filter(move |value| {
            let caller = if public_only { &nobody } else { query.caller };
            wanted.has(value) && self.may_read(caller, value)
        })
    }

    fn may_read(&self, caller: &Caller, value: &ValueRef<'_>) -> bool {
        let permissions = value.permissions();
        caller.may_read(permissions, self.owner)
            || self.administered
                && permissions.admin_read()
                && matches!(caller, Caller::Administrator(_))
    }

    /// Whether it has values asked for that the caller may not read: a front whose protocol
    /// has a way to log in says so.
    pub fn withheld(&self, query: &Query<'_>) -> bool {
        let wanted = Wanted::by(query.filter);
        self.record
            .values()
            .any(|value| !self.may_read(query.caller, &value) && wanted.has(&value))
    }

    /// How long ago others have answered this, seconds: their values may be kept for that much less. 0 of
    /// what is registered here.
    pub fn age_s(&self, now_s: u64) -> u32 {
        // Here versions are places in the log, from 1 on.
        if self.record.version > 0 {
            return 0;
        }
        let age_s = now_s.saturating_sub(self.record.updated_at_ms / 1_000);
        u32::try_from(age_s).unwrap_or(u32::MAX)
    }

    /// Whether the TTL of a value depends on the time.
    pub fn has_absolute_ttl(&self) -> bool {
        let mut values = self.record.values();
        values.any(|value| matches!(value.ttl(), Ttl::AbsoluteS(_)))
    }

    /// Sequence of its last change.
    pub fn version(&self) -> u64 {
        self.record.version
    }

    /// When it was registered, milliseconds since the Unix epoch.
    pub fn created_at_ms(&self) -> u64 {
        self.record.created_at_ms
    }

    /// When it was last changed, milliseconds since the Unix epoch.
    pub fn updated_at_ms(&self) -> u64 {
        self.record.updated_at_ms
    }

    /// The template it is registered under.
    pub fn template(&self) -> Option<&str> {
        self.record.template.as_deref()
    }

    /// The spelling it was registered with, or the canonical one.
    pub fn spelling(&self, identifier: &Identifier) -> String {
        self.record
            .display
            .clone()
            .unwrap_or_else(|| identifier.canonical())
    }
}
