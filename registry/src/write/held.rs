//! What the national node has taken over (应急接管): the one place that decides that a registration is
//! not acknowledged here.

use super::Command;
use super::draft::{PrefixDraft, PrefixUpdate};
use super::txn::Txn;
use crate::{Error, Result};
use idnode_proto::identifier::{Prefix, PrefixCandidates};

/// Prefixes that are taken over, with everything below them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The takeover's number.
    pub epoch: u64,
    /// Which.
    pub prefixes: Vec<Prefix>,
}

impl Held {
    /// The prefix by which something is taken over, if it is.
    pub fn over(&self, candidates: PrefixCandidates<'_>) -> Option<&Prefix> {
        let mut over = candidates.filter_map(|candidate| {
            let mut prefixes = self.prefixes.iter();
            prefixes.find(|prefix| prefix.key() == candidate.key)
        });
        over.next()
    }

    /// Err if something is taken over.
    pub(super) fn require_outside(&self, candidates: PrefixCandidates<'_>) -> Result<()> {
        match self.over(candidates) {
            Some(prefix) => Err(Error::TakenOver {
                name: prefix.canonical(),
                epoch: self.epoch,
            }),
            None => Ok(()),
        }
    }
}

impl Command {
    /// Err if what it writes to is taken over. Items of an import are asked for one by one, each with a
    /// result of its own.
    pub(super) fn require_here(&self, txn: &Txn<'_>) -> Result<()> {
        match self {
            Self::CreateIdentifier(draft) => {
                txn.require_here(draft.identifier().prefix_candidates())
            }
            Self::UpdateIdentifier(update) => {
                txn.require_here(update.identifier().prefix_candidates())
            }
            Self::DeleteIdentifier { identifier, .. } => {
                txn.require_here(identifier.prefix_candidates())
            }
            Self::ApplyPrefix { prefix, .. }
            | Self::CreatePrefix(PrefixDraft { prefix, .. })
            | Self::TransitionPrefix { prefix, .. }
            | Self::SetDelegation { prefix, .. }
            | Self::UpdatePrefix(PrefixUpdate { prefix, .. }) => {
                txn.require_here(prefix.candidates())
            }
            Self::CreateEnterprise { .. }
            | Self::UpdateEnterprise { .. }
            | Self::ReviewEnterprise { .. }
            | Self::SetQuota { .. }
            | Self::PutTemplate { .. }
            | Self::DeleteTemplate { .. }
            | Self::AddCredential(_)
            | Self::RevokeCredential { .. }
            | Self::ImportChunk { .. }
            | Self::Prune
            | Self::Hold(_) => Ok(()),
        }
    }
}
