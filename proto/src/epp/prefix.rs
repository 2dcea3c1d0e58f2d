//! Prefixes of enterprises (the interface draft, sections 3.1.1, 3.1.3 and 3.2.1).

use super::read::Read;
use super::{NS_PREFIX, Refused};
use crate::xml::Writer;

const XMLNS: (&str, &str) = ("xmlns:prefix", NS_PREFIX);

/// Whether a prefix is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixCheck {
    /// The secondary node's prefix, such as `88.118`.
    pub node_prefix: String,
    /// The prefix below it, such as `88.118.8`.
    pub prefix: String,
}

/// An application for a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixCreate {
    /// The secondary node's prefix.
    pub node_prefix: String,
    /// The enterprise's number at the national node.
    pub enterprise_id: String,
    /// The prefix below the node's.
    pub prefix: String,
}

/// What became of an application: what a message of the queue says (section 3.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The client's name for the transaction that applied.
    pub client_id: String,
    /// The server's name for it.
    pub server_id: String,
    /// The enterprise's number.
    pub enterprise_id: String,
    /// The prefix.
    pub prefix: String,
    /// State of the prefix; `1` is normal.
    pub state: String,
    /// Result of the audit; `1` is passed.
    pub result: String,
    /// What the auditor said.
    pub message: String,
}

impl Audit {
    /// The text of a state that is normal and of a result that is good.
    pub const GOOD: &str = "1";
    /// The text of one that is not: the draft names none.
    pub const BAD: &str = "0";

    /// Whether the prefix is granted.
    pub fn is_passed(&self) -> bool {
        self.result == Self::GOOD && self.state == Self::GOOD
    }
}

impl PrefixCheck {
    pub(super) fn read(check: Read<'_>) -> Result<Self, Refused> {
        Ok(Self {
            node_prefix: check.filled("shrPrefix")?,
            prefix: check.filled("prefix")?,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("prefix:check", &[XMLNS]);
        out.leaf("prefix:shrPrefix", &self.node_prefix)
            .leaf("prefix:prefix", &self.prefix)
            .close();
    }
}

impl PrefixCreate {
    pub(super) fn read(create: Read<'_>) -> Result<Self, Refused> {
        Ok(Self {
            node_prefix: create.filled("shrPrefix")?,
            enterprise_id: create.filled("entId")?,
            prefix: create.filled("prefix")?,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("prefix:create", &[XMLNS]);
        out.leaf("prefix:shrPrefix", &self.node_prefix)
            .leaf("prefix:entId", &self.enterprise_id)
            .leaf("prefix:prefix", &self.prefix)
            .close();
    }
}

impl Audit {
    pub(super) fn read(audit: Read<'_>) -> Result<Self, Refused> {
        Ok(Self {
            client_id: audit.field("clTRID")?,
            server_id: audit.field("svTRID")?,
            enterprise_id: audit.field("entId")?,
            prefix: audit.filled("prefix")?,
            state: audit.field("state")?,
            result: audit.field("auditResult")?,
            message: audit.optional("auditResultMsg")?.unwrap_or_default(),
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("prefix:resData", &[XMLNS]);
        out.leaf("prefix:clTRID", &self.client_id)
            .leaf("prefix:svTRID", &self.server_id)
            .leaf("prefix:entId", &self.enterprise_id)
            .leaf("prefix:prefix", &self.prefix)
            .leaf("prefix:state", &self.state)
            .leaf("prefix:auditResult", &self.result)
            .leaf("prefix:auditResultMsg", &self.message)
            .close();
    }
}
