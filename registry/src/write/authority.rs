//! On what grounds a caller writes to a handle: it owns the prefix, or the handle's HS_ADMIN
//! values name it.

use super::identifiers;
use super::txn::Txn;
use crate::administrator::{
    Administrator, HandleValues, Handles, require_right, require_standing, rights_of,
};
use crate::enterprise::EnterpriseId;
use crate::layout::Family;
use crate::prefix::PrefixRecord;
use crate::record::Record;
use crate::{Caller, Error, Result};
use idnode_proto::handle::AdminRights;
use idnode_proto::identifier::Identifier;
use idnode_proto::value::ValueRef;
use std::sync::Arc;

/// Who writes, as far as it matters to what is written.
pub(super) enum Authority {
    /// The operator, who may also write what its permissions protect.
    Operator,
    /// The enterprise that owns it.
    Owner,
    /// An administrator, with what the HS_ADMIN values of a thing called `name` grant it.
    Administrator {
        administrator: Arc<Administrator>,
        rights: AdminRights,
        name: String,
    },
}

impl Authority {
    /// The caller's authority over a thing with these values, an enterprise's.
    ///
    /// # Errors
    /// It is another's; [`Error::NotAdministrator`]; the administrator's key is no longer valid.
    pub fn over(
        txn: &Txn<'_>,
        caller: &Caller,
        owner: EnterpriseId,
        name: impl FnOnce() -> String,
        values: impl FnOnce() -> HandleValues,
    ) -> Result<Self> {
        match caller {
            Caller::Operator { .. } => Ok(Self::Operator),
            Caller::Administrator(administrator) => {
                require_standing(txn, administrator)?;
                let name = name();
                let rights = rights_of(txn, administrator, &values())?;
                let rights = rights.ok_or_else(|| Error::NotAdministrator {
                    administrator: administrator.name().to_owned(),
                    name: name.clone(),
                })?;
                Ok(Self::Administrator {
                    administrator: administrator.clone(),
                    rights,
                    name,
                })
            }
            Caller::Stranger | Caller::Enterprise { .. } => {
                caller.require_owner(owner, name)?;
                Ok(Self::Owner)
            }
        }
    }

    /// Whether there are changes of a value that it does not allow.
    pub fn is_bound(&self, value: &ValueRef<'_>) -> bool {
        self.is_administrator() || self.require_touchable(value).is_err()
    }

    /// Whether it is an administrator's.
    pub fn is_administrator(&self) -> bool {
        matches!(self, Self::Administrator { .. })
    }

    /// Err if an administrator lacks a right; owners have all.
    pub fn require(&self, right: AdminRights) -> Result<()> {
        match self {
            Self::Operator | Self::Owner => Ok(()),
            Self::Administrator {
                administrator,
                rights,
                name,
            } => require_right(administrator, name, Some(*rights), right),
        }
    }

    /// Err if a value's permissions protect it from being changed or removed.
    pub fn require_touchable(&self, value: &ValueRef<'_>) -> Result<()> {
        if value.permissions().admin_write() || matches!(self, Self::Operator) {
            return Ok(());
        }
        Err(identifiers::protected(value.index()))
    }
}

/// The state in a transaction.
impl Handles for Txn<'_> {
    fn prefix_record(&self, key: &[u8]) -> Result<Option<Arc<PrefixRecord>>> {
        self.prefix(key)
    }

    fn owner_record(&self, identifier: &Identifier) -> Result<Option<Arc<PrefixRecord>>> {
        self.owner_of(identifier)
    }

    fn identifier_record(&self, identifier: &Identifier) -> Result<Option<Record>> {
        self.get(Family::Identifiers, identifier.key())?
            .map(Record::decode)
            .transpose()
    }
}
