//! The one write path. Every front turns a request into a [`Command`]; one writer thread checks
//! it against the state, gives it a sequence number, and commits it together with whatever
//! else was waiting: one atomic, synced batch for the group. Only then is it acknowledged.

mod authority;
mod credentials;
mod draft;
mod endorse;
mod enterprises;
mod held;
pub mod idempotency;
mod identifiers;
mod import;
mod known;
mod prefixes;
mod quotas;
mod templates;
mod txn;
mod values;
mod writer;

pub use draft::{Draft, IdentifierUpdate, MAX_RECORD_BYTES, PrefixDraft, PrefixUpdate};
pub use endorse::Endorser;
pub use held::Held;
pub use idempotency::Idempotency;
pub use import::{ImportMode, ImportStatus, ItemError, ItemResult};
pub use values::SetMode;
#[cfg(test)]
pub(crate) use writer::PRUNE_ROWS;
pub(crate) use writer::{Origin, Submitted, Writer, WriterHandle};

use crate::credential::Credential;
use crate::enterprise::{Enterprise, EnterpriseId, Profile, ReviewAction};
use crate::prefix::{Delegation, PrefixAction, PrefixRecord};
use crate::quota::Quota;
use crate::template::Template;
use crate::{Caller, Error, Result, Sequence};
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::value::Value;
use txn::Txn;

/// A wish to change the registry.
#[derive(Debug, Clone)]
pub enum Command {
    /// Registers an enterprise. Operator.
    CreateEnterprise {
        /// Its real-name data.
        profile: Profile,
    },
    /// Replaces an enterprise's real-name data. The enterprise or the operator.
    UpdateEnterprise {
        /// Which.
        id: EnterpriseId,
        /// The whole new profile.
        profile: Profile,
        /// Only if it is at this version.
        expected_version: Option<u64>,
    },
    /// A step of the real-name review (实名审核). Operator.
    ReviewEnterprise {
        /// Which.
        id: EnterpriseId,
        /// What the reviewer does.
        action: ReviewAction,
        /// Why.
        message: String,
        /// Only if it is at this version.
        expected_version: Option<u64>,
    },
    /// Sets how much an enterprise may register. Operator.
    SetQuota {
        /// Which.
        id: EnterpriseId,
        /// The limits; none of them: no quota.
        quota: Quota,
        /// Only if it is at this version.
        expected_version: Option<u64>,
    },
    /// Applies for a prefix. An enterprise for itself, the operator for any.
    ApplyPrefix {
        /// Which.
        prefix: Prefix,
        /// For whom.
        enterprise: EnterpriseId,
    },
    /// Applies for a prefix by its handle. An enterprise for itself; the operator, and an
    /// administrator that the HS_ADMIN values of the prefix above let add prefixes, for the
    /// enterprise that has the prefix above.
    CreatePrefix(PrefixDraft),
    /// A step of a prefix's lifecycle.
    TransitionPrefix {
        /// Which.
        prefix: Prefix,
        /// What is done.
        action: PrefixAction,
        /// Why.
        message: String,
        /// Only if it is at this version.
        expected_version: Option<u64>,
    },
    /// Says where a prefix is served; `None`: here. Its enterprise or the operator.
    SetDelegation {
        /// Which.
        prefix: Prefix,
        /// Where.
        delegation: Option<Delegation>,
        /// Only if it is at this version.
        expected_version: Option<u64>,
    },
    /// Changes what `0.NA/<prefix>` has beside its sites. Its enterprise, the operator, or an
    /// administrator by the HS_ADMIN values among them.
    UpdatePrefix(PrefixUpdate),
    /// Creates a template or its next revision. Operator, or an enterprise for its own.
    PutTemplate {
        /// The template; revision, version and time are the node's to give.
        template: Template,
        /// Only if it is at this version; 0: only if it does not exist.
        expected_version: Option<u64>,
    },
    /// Deletes a template.
    DeleteTemplate {
        /// Which.
        name: String,
        /// Only if it is at this version.
        expected_version: Option<u64>,
    },
    /// Adds an API key of an enterprise, or the key of an administrator who is to be taken for
    /// it. The enterprise or the operator.
    AddCredential(Credential),
    /// Revokes an API key. The enterprise or the operator.
    RevokeCredential {
        /// Its id.
        id: String,
    },
    /// Registers an identifier. The prefix's enterprise, the operator, or an administrator that
    /// the prefix's HS_ADMIN values let add handles.
    CreateIdentifier(Draft),
    /// Changes an identifier's values. As above; an administrator by the identifier's own HS_ADMIN
    /// values.
    UpdateIdentifier(IdentifierUpdate),
    /// Deletes an identifier, leaving a tombstone. As the one before.
    DeleteIdentifier {
        /// Which.
        identifier: Identifier,
        /// Why, up to 256 bytes.
        reason: String,
        /// Only if it is at this version.
        expected_version: Option<u64>,
    },
    /// A chunk of a bulk load: whatever of it is right, as one change. The prefix's enterprise or
    /// the operator.
    ImportChunk {
        /// The client's name for the whole load.
        import_id: String,
        /// The chunk's number, from 1.
        number: u64,
        /// What happens to identifiers that are live already.
        mode: ImportMode,
        /// The items; those that were wrong in themselves carry their error.
        items: Vec<std::result::Result<Draft, ItemError>>,
    },
    /// Forgets idempotency keys that are past their time, some at once. The node itself.
    Prune,
    /// From now on nothing of this is registered here; `None`: everything is again. The node itself,
    /// by the national node's word.
    Hold(Option<Held>),
}

/// What a write got when it was made durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// Its place in the log; 0 when there was nothing to write.
    pub sequence: Sequence,
    /// When, milliseconds since the Unix epoch.
    pub committed_at_ms: u64,
    /// The idempotency key had been used: this is the first call's receipt.
    pub replayed: bool,
    /// What was written.
    pub outcome: Outcome,
}

/// What a write left, for the answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing but the receipt.
    Done,
    /// There is more to forget: the same command goes on.
    Unfinished,
    /// The enterprise as it is now.
    Enterprise(Box<Enterprise>),
    /// The prefix as it is now, or was when it was removed.
    Prefix(Box<PrefixRecord>),
    /// The template as it is now.
    Template(Box<Template>),
    /// A result for every item of a chunk.
    Import(Vec<ItemResult>),
}

impl Outcome {
    /// What an idempotency record keeps of it: the name the node chose, and item results.
    fn remembered(&self) -> (String, &[ItemResult]) {
        match self {
            Self::Enterprise(enterprise) => (EnterpriseId(enterprise.id).to_string(), &[]),
            Self::Import(results) => (String::new(), results),
            _ => (String::new(), &[]),
        }
    }
}

impl Command {
    /// The change of a handle's values: of an identifier's, or, where it is `0.NA/<prefix>`, of
    /// the prefix's own.
    ///
    /// # Errors
    /// Those of [`IdentifierUpdate::new`] and [`PrefixUpdate::new`]; a prefix has no template.
    #[allow(clippy::too_many_arguments, reason = "the parts of one request")]
    pub fn update_handle(
        identifier: Identifier,
        set: Vec<Value>,
        mode: SetMode,
        remove: Vec<u32>,
        replace_all: bool,
        template: Option<String>,
        expected_version: Option<u64>,
        now_s: u32,
    ) -> Result<Self> {
        let Some(prefix) = identifier.prefix_handle() else {
            let update = IdentifierUpdate::new(
                identifier,
                set,
                remove,
                replace_all,
                template,
                expected_version,
                now_s,
            )?;
            return Ok(Self::UpdateIdentifier(update.with_mode(mode)));
        };
        if template.is_some_and(|name| !name.is_empty()) {
            return Err(Error::invalid("template", "a prefix has none"));
        }
        let update = PrefixUpdate::new(prefix, set, remove, replace_all, expected_version, now_s)?;
        Ok(Self::UpdatePrefix(update.with_mode(mode)))
    }

    /// Checks the command against the state and writes it into the transaction. An error
    /// leaves writes behind that the caller rolls back.
    fn execute(&self, txn: &mut Txn<'_>, caller: &Caller) -> Result<Outcome> {
        match self {
            Self::CreateEnterprise { profile } => enterprises::create(txn, caller, profile),
            Self::UpdateEnterprise {
                id,
                profile,
                expected_version,
            } => enterprises::update(txn, caller, *id, profile, *expected_version),
            Self::ReviewEnterprise {
                id,
                action,
                message,
                expected_version,
            } => enterprises::review(txn, caller, *id, *action, message, *expected_version),
            Self::SetQuota {
                id,
                quota,
                expected_version,
            } => quotas::set(txn, caller, *id, quota, *expected_version),
            Self::ApplyPrefix { prefix, enterprise } => {
                prefixes::apply(txn, caller, prefix, *enterprise)
            }
            Self::CreatePrefix(draft) => prefixes::create(txn, caller, draft),
            Self::TransitionPrefix {
                prefix,
                action,
                message,
                expected_version,
            } => prefixes::transition(txn, caller, prefix, *action, message, *expected_version),
            Self::SetDelegation {
                prefix,
                delegation,
                expected_version,
            } => prefixes::delegate(txn, caller, prefix, delegation.as_ref(), *expected_version),
            Self::UpdatePrefix(update) => prefixes::update_values(txn, caller, update),
            Self::PutTemplate {
                template,
                expected_version,
            } => templates::put(txn, caller, template, *expected_version),
            Self::DeleteTemplate {
                name,
                expected_version,
            } => templates::delete(txn, caller, name, *expected_version),
            Self::AddCredential(credential) => credentials::add(txn, caller, credential),
            Self::RevokeCredential { id } => credentials::revoke(txn, caller, id),
            Self::CreateIdentifier(draft) => identifiers::create(txn, caller, draft),
            Self::UpdateIdentifier(update) => identifiers::update(txn, caller, update),
            Self::DeleteIdentifier {
                identifier,
                reason,
                expected_version,
            } => identifiers::delete(txn, caller, identifier, reason, *expected_version),
            Self::ImportChunk {
                import_id,
                number,
                mode,
                items,
            } => import::chunk(txn, caller, import_id, *number, *mode, items),
            Self::Prune => Ok(Outcome::Done),
            Self::Hold(_) => Err(Error::Denied("taking over is the national node's".into())),
        }
    }

    /// The outcome of a call that is answered from its idempotency record: the object as it
    /// is now, if the caller may read it still. It may have become another's since.
    fn recalled(
        &self,
        txn: &Txn<'_>,
        caller: &Caller,
        remembered: &idempotency::Remembered,
    ) -> Result<Outcome> {
        match self {
            Self::CreateEnterprise { .. } => {
                enterprises::current(txn, caller, remembered.subject.parse()?)
            }
            Self::UpdateEnterprise { id, .. }
            | Self::ReviewEnterprise { id, .. }
            | Self::SetQuota { id, .. } => enterprises::current(txn, caller, *id),
            Self::ApplyPrefix { prefix, .. }
            | Self::CreatePrefix(PrefixDraft { prefix, .. })
            | Self::TransitionPrefix { prefix, .. }
            | Self::SetDelegation { prefix, .. }
            | Self::UpdatePrefix(PrefixUpdate { prefix, .. }) => {
                prefixes::current(txn, caller, prefix)
            }
            Self::PutTemplate { template, .. } => templates::current(txn, caller, &template.name),
            Self::ImportChunk { .. } => Ok(Outcome::Import(remembered.results())),
            _ => Ok(Outcome::Done),
        }
    }

    /// About how many bytes it adds to a commit, to bound a group.
    fn weight(&self) -> usize {
        match self {
            Self::CreateIdentifier(draft) => draft.weight(),
            Self::UpdateIdentifier(IdentifierUpdate { change, .. })
            | Self::UpdatePrefix(PrefixUpdate { change, .. })
            | Self::CreatePrefix(PrefixDraft {
                change: Some(change),
                ..
            }) => 1_024 + change.weight(),
            Self::ImportChunk { items, .. } => items.iter().flatten().map(Draft::weight).sum(),
            _ => 1_024,
        }
    }
}

/// Err if the caller expected another version than the current one.
fn expect_version(
    object: crate::Object,
    name: impl ToString,
    expected: Option<u64>,
    current: u64,
) -> Result<()> {
    match expected {
        Some(expected) if expected != current => Err(crate::Error::VersionMismatch {
            object,
            name: name.to_string(),
            expected,
            current,
        }),
        _ => Ok(()),
    }
}
