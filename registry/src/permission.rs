//! Who may do what: the one place that decides, for every front.

use crate::administrator::Administrator;
use crate::enterprise::EnterpriseId;
use crate::{Error, Result};
use idnode_proto::value::Permissions;
use std::sync::Arc;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Caller {
    /// Nobody we know.
    #[default]
    Stranger,
    /// The node's operator.
    Operator {
        /// The credential shown.
        credential: String,
    },
    /// An enterprise.
    Enterprise {
        /// Which.
        id: EnterpriseId,
        /// The credential shown.
        credential: String,
    },
    /// Whoever proved the key that a value registered here holds. It owns nothing: what it may do
    /// is what the HS_ADMIN values of the handle in question say.
    Administrator(Arc<Administrator>),
}

impl Caller {
    /// The id of the credential, for the log: empty for a stranger, `index:handle` of an
    /// administrator.
    pub fn credential(&self) -> &str {
        match self {
            Self::Stranger => "",
            Self::Operator { credential } | Self::Enterprise { credential, .. } => credential,
            Self::Administrator(administrator) => administrator.name(),
        }
    }

    /// The node itself, which may do what its operator may.
    pub fn node() -> Self {
        Self::Operator {
            credential: "node".into(),
        }
    }

    /// The enterprise, if it is one.
    pub fn enterprise(&self) -> Option<EnterpriseId> {
        match self {
            Self::Enterprise { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// Whether this is the operator.
    pub fn is_operator(&self) -> bool {
        matches!(self, Self::Operator { .. })
    }

    /// Whether the caller owns what belongs to `owner`: it is that enterprise, or the operator.
    pub fn owns(&self, owner: EnterpriseId) -> bool {
        match self {
            Self::Stranger | Self::Administrator(_) => false,
            Self::Operator { .. } => true,
            Self::Enterprise { id, .. } => *id == owner,
        }
    }

    /// Whether a value with these permissions, belonging to `owner`, is shown. What an
    /// administrator may read beyond what everybody may is asked for once a record, see
    /// [`crate::Registry::administrator_reads`].
    pub fn may_read(&self, permissions: Permissions, owner: EnterpriseId) -> bool {
        permissions.public_read() || permissions.admin_read() && self.owns(owner)
    }

    /// Ok for the operator.
    pub fn require_operator(&self, what: &str) -> Result<()> {
        match self {
            Self::Operator { .. } => Ok(()),
            Self::Enterprise { id, .. } => Err(Error::Denied(format!(
                "{what} is the operator's, not {id}'s"
            ))),
            Self::Administrator(administrator) => Err(Error::Denied(format!(
                "{what} is the operator's, not administrator {}'s",
                administrator.name()
            ))),
            Self::Stranger => Err(no_credential()),
        }
    }

    /// Ok for the enterprise `owner` and the operator.
    pub fn require_owner(&self, owner: EnterpriseId, what: impl FnOnce() -> String) -> Result<()> {
        match self {
            Self::Stranger => Err(no_credential()),
            _ if self.owns(owner) => Ok(()),
            Self::Enterprise { id, .. } => Err(Error::Denied(format!(
                "{} belongs to another than {id}",
                what()
            ))),
            Self::Administrator(administrator) => Err(Error::Denied(format!(
                "{} is its enterprise's, not administrator {}'s",
                what(),
                administrator.name()
            ))),
            Self::Operator { .. } => Ok(()),
        }
    }

    /// Ok for anybody with a credential.
    pub fn require_known(&self) -> Result<()> {
        match self {
            Self::Stranger => Err(no_credential()),
            _ => Ok(()),
        }
    }
}

fn no_credential() -> Error {
    Error::Unauthenticated("this needs a credential".into())
}
