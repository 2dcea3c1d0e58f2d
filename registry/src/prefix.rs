//! Prefixes (前缀): who owns a part of an identifier scheme, its lifecycle
//! 待审核 → 审核中 → 启用 | 驳回; 停用, 待删除, and where it is served.

mod delegation;

pub use self::delegation::{
    Delegation, DelegationSigner, MAX_DS, MAX_GLUE, MAX_NAME_SERVERS, NameServer,
};

use crate::enterprise::EnterpriseId;
use crate::{Error, Result};
use bytes::Bytes;
use idnode_proto::identifier::Prefix;
use idnode_proto::value::{Value, ValueRef, Values};

/// Most service sites of one delegation.
pub const MAX_SITES: usize = 16;
/// The least index of a prefix's own values: those of its sites come before.
pub const FIRST_VALUE_INDEX: u32 = MAX_SITES as u32 + 1;
/// Where a prefix stands in its lifecycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum PrefixState {
    /// Not stored.
    Unspecified = 0,
    /// 待审核: applied for.
    PendingReview = 1,
    /// 审核中: a reviewer has taken it up.
    UnderReview = 2,
    /// 启用: registers and resolves.
    Active = 3,
    /// 驳回: refused, may be applied for again.
    Rejected = 4,
    /// 停用: neither registers nor resolves.
    Suspended = 5,
    /// 待删除: as suspended, and to be removed.
    PendingDeletion = 6,
}

/// What moves a prefix from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixAction {
    /// 待审核 → 审核中.
    StartReview,
    /// 审核中 → 启用.
    Approve,
    /// 审核中, and to be reviewed by the national node: what approving is where there is one.
    Submit,
    /// 审核中 → 驳回.
    Reject,
    /// 驳回 → 待审核.
    Reapply,
    /// 启用 → 停用.
    Suspend,
    /// 停用 → 启用.
    Resume,
    /// 停用 → 启用, unless the national node has withdrawn it: what resuming is where there is one.
    ResumeGranted,
    /// The national node withdraws it: 启用 → 停用; 停用 and 待删除 stay.
    Withdraw,
    /// The national node grants it again: 停用 → 启用 if withdrawing it has suspended it.
    Regrant,
    /// Any but 待删除 → 待删除.
    MarkForDeletion,
    /// 待删除 → 停用.
    CancelDeletion,
    /// 待删除 → gone.
    Remove,
}

/// Whether the national node has withdrawn a prefix that it had granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Withdrawal {
    /// It has not.
    None = 0,
    /// It has, and that has suspended the prefix: when it is granted again, it is active again.
    Suspended = 1,
    /// It has, and the prefix is not active for another reason, too: granted again, it stays as it is.
    Noted = 2,
}

/// The outcome of a lifecycle step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The prefix is in this state now.
    To(PrefixState),
    /// The prefix is gone.
    Gone,
}

impl PrefixState {
    /// The official name alone, for reports.
    pub fn official_name(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::PendingReview => "待审核",
            Self::UnderReview => "审核中",
            Self::Active => "启用",
            Self::Rejected => "驳回",
            Self::Suspended => "停用",
            Self::PendingDeletion => "待删除",
        }
    }

    /// The official name and its meaning, for messages.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unspecified => "without a state",
            Self::PendingReview => "pending review (待审核)",
            Self::UnderReview => "under review (审核中)",
            Self::Active => "active (启用)",
            Self::Rejected => "rejected (驳回)",
            Self::Suspended => "suspended (停用)",
            Self::PendingDeletion => "pending deletion (待删除)",
        }
    }

    /// Where an action leads from here; `None`: it can't be done in this state.
    pub fn after(self, action: PrefixAction) -> Option<Step> {
        use PrefixAction as A;
        use PrefixState as S;
        Some(match (self, action) {
            (S::PendingReview, A::StartReview) | (S::UnderReview, A::Submit) => {
                Step::To(S::UnderReview)
            }
            (S::UnderReview, A::Approve)
            | (S::Suspended, A::Resume | A::ResumeGranted | A::Regrant) => Step::To(S::Active),
            (S::UnderReview, A::Reject) => Step::To(S::Rejected),
            (S::Rejected, A::Reapply) => Step::To(S::PendingReview),
            (S::Active, A::Suspend)
            | (S::PendingDeletion, A::CancelDeletion)
            | (S::Active | S::Suspended, A::Withdraw) => Step::To(S::Suspended),
            (S::PendingDeletion, A::Withdraw | A::Regrant) => Step::To(S::PendingDeletion),
            (S::PendingDeletion, A::MarkForDeletion) => return None,
            (_, A::MarkForDeletion) => Step::To(S::PendingDeletion),
            (S::PendingDeletion, A::Remove) => Step::Gone,
            _ => return None,
        })
    }
}

/// A prefix as stored.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PrefixRecord {
    /// Its key, see [`Prefix::key`].
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Its enterprise, see [`EnterpriseId`].
    #[prost(uint64, tag = "2")]
    pub enterprise: u64,
    /// Lifecycle state.
    #[prost(enumeration = "PrefixState", tag = "3")]
    pub state: i32,
    /// The reviewer's last message.
    #[prost(string, tag = "4")]
    pub review_message: String,
    /// Where it is served; `None`: here.
    #[prost(message, optional, tag = "5")]
    pub delegation: Option<Delegation>,
    /// Sequence of its last change.
    #[prost(uint64, tag = "6")]
    pub version: u64,
    /// Milliseconds since the Unix epoch.
    #[prost(uint64, tag = "7")]
    pub created_at_ms: u64,
    /// Milliseconds since the Unix epoch.
    #[prost(uint64, tag = "8")]
    pub updated_at_ms: u64,
    /// What `0.NA/<prefix>` has beside the sites, encoded as a record's values, ascending by
    /// index from [`FIRST_VALUE_INDEX`] on.
    #[prost(bytes = "bytes", tag = "9")]
    pub values: Bytes,
    /// How many these are.
    #[prost(uint32, tag = "10")]
    pub value_count: u32,
    /// Sequence of the change that approved it here and left it to the national node; 0: it is
    /// not waiting for that one.
    #[prost(uint64, tag = "11")]
    pub submitted: u64,
    /// Whether the national node has withdrawn it.
    #[prost(enumeration = "Withdrawal", tag = "12")]
    pub withdrawal: i32,
}

impl PrefixRecord {
    /// The prefix itself.
    pub fn prefix(&self) -> Result<Prefix> {
        Prefix::from_key(&self.key).map_err(|e| Error::Storage(e.to_string()))
    }

    /// Its owner.
    pub fn owner(&self) -> EnterpriseId {
        EnterpriseId(self.enterprise)
    }

    /// Its own values. Damaged ones end the iteration early.
    pub fn values(&self) -> impl Iterator<Item = ValueRef<'_>> {
        Values::new(&self.values, self.value_count).map_while(std::result::Result::ok)
    }

    /// What `0.NA/<prefix>` has of its delegation: the sites (HS_SITE), or the handle of the service
    /// that has them (HS_SERV), indexes from 1. None where it is served here.
    pub fn delegation_values(&self) -> Vec<Value> {
        let timestamp_s = (self.updated_at_ms / 1_000) as u32;
        let delegation = self.delegation.as_ref();
        delegation.map_or_else(Vec::new, |it| it.values(timestamp_s))
    }

    /// Bytes of what `0.NA/<prefix>` resolves to while it is delegated: sites or service, and own
    /// values.
    pub fn described_len(&self) -> usize {
        let delegation = self.delegation.as_ref();
        delegation.map_or(0, Delegation::described_len) + self.values.len()
    }

    /// Whether it is behind its review: active, suspended or to be deleted.
    pub fn has_been_active(&self) -> bool {
        use PrefixState as S;
        matches!(self.state(), S::Active | S::Suspended | S::PendingDeletion)
    }

    /// Whether identifiers under it are registered and answered at all.
    pub fn is_active(&self) -> bool {
        self.state() == PrefixState::Active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lifecycle_is_the_official_one() {
        use PrefixAction as A;
        use PrefixState as S;
        let actions = [
            A::StartReview,
            A::Approve,
            A::Submit,
            A::Reject,
            A::Reapply,
            A::Suspend,
            A::Resume,
            A::ResumeGranted,
            A::Withdraw,
            A::Regrant,
            A::MarkForDeletion,
            A::CancelDeletion,
            A::Remove,
        ];
        let allowed = |state: S| {
            actions
                .into_iter()
                .filter(|a| state.after(*a).is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            allowed(S::PendingReview),
            [A::StartReview, A::MarkForDeletion]
        );
        assert_eq!(
            allowed(S::UnderReview),
            [A::Approve, A::Submit, A::Reject, A::MarkForDeletion]
        );
        assert_eq!(
            allowed(S::Active),
            [A::Suspend, A::Withdraw, A::MarkForDeletion]
        );
        assert_eq!(allowed(S::Rejected), [A::Reapply, A::MarkForDeletion]);
        assert_eq!(
            allowed(S::Suspended),
            [
                A::Resume,
                A::ResumeGranted,
                A::Withdraw,
                A::Regrant,
                A::MarkForDeletion
            ]
        );
        assert_eq!(
            allowed(S::PendingDeletion),
            [A::Withdraw, A::Regrant, A::CancelDeletion, A::Remove]
        );
        assert_eq!(S::PendingDeletion.after(A::Remove), Some(Step::Gone));
    }
}
