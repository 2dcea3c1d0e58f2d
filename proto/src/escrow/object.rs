//! The objects of a deposit, each one element, written one way only: who reads an object and
//! writes it again has the same bytes, which is what listings are digests of.
//!
//! Credentials are not among them: they are secrets between the node and its users, and who takes
//! a registry over gives out new ones. Keys of handle administrators are values like others, public
//! ones (HS_PUBKEY) and secret ones (HS_SECKEY): a registry without them would not be the same.

mod enterprise;
mod identifier;
mod prefix;
mod template;
mod values;

pub use enterprise::{Enterprise, LegalPerson, Quota};
pub use identifier::Identifier;
pub use prefix::{Delegation, DelegationSigner, NameServer, Prefix};
pub use template::{Attribute, Template};
pub use values::Values;

use super::EscrowError;
use super::fields::{Fields, Tag, wrong};
use crate::xml::stream::Node;

/// The states of a prefix, by their numbers from 1 on: 待审核, 审核中, 启用, 驳回, 停用, 待删除.
pub const PREFIX_STATES: [&str; 6] = [
    "pendingReview",
    "underReview",
    "active",
    "rejected",
    "suspended",
    "pendingDeletion",
];
/// The states of an enterprise, by their numbers from 1 on.
pub const ENTERPRISE_STATES: [&str; 4] = ["pendingReview", "verified", "rejected", "suspended"];
/// The types of attributes, by their numbers from 1 on.
pub const ATTRIBUTE_TYPES: [&str; 10] = [
    "string",
    "integer",
    "decimal",
    "boolean",
    "date",
    "dateTime",
    "uri",
    "enumeration",
    "identifier",
    "bytes",
];

/// One object.
#[allow(clippy::large_enum_variant, reason = "one is alive at a time")]
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// A prefix: the one the deposit is of.
    Prefix(Prefix),
    /// The enterprise that holds it.
    Enterprise(Enterprise),
    /// A template that its identifiers may be registered under.
    Template(Template),
    /// An identifier, or the tombstone of a deleted one.
    Identifier(Identifier),
}

/// What a DIFF deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// The prefix itself with all it has: it is registered no longer.
    Prefix(String),
    /// A template.
    Template(String),
}

impl Object {
    /// Appends its element.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Prefix(prefix) => prefix.write(out),
            Self::Enterprise(enterprise) => enterprise.write(out),
            Self::Template(template) => template.write(out),
            Self::Identifier(identifier) => identifier.write(out),
        }
    }

    pub(super) fn read(node: &Node) -> Result<Self, EscrowError> {
        match node.name.as_str() {
            "prefix" => Prefix::read(node).map(Self::Prefix),
            "enterprise" => Enterprise::read(node).map(Self::Enterprise),
            "template" => Template::read(node).map(Self::Template),
            "identifier" => Identifier::read(node).map(Self::Identifier),
            other => Err(wrong(node, format!("an object <{other:.40}>"))),
        }
    }
}

impl Deletion {
    /// The name of what is deleted.
    pub fn name(&self) -> &str {
        match self {
            Self::Prefix(name) | Self::Template(name) => name,
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Prefix(name) => Tag::new(out, "deletedPrefix").text("name", name).end(),
            Self::Template(name) => Tag::new(out, "deletedTemplate").text("name", name).end(),
        }
    }

    pub(super) fn read(node: &Node) -> Result<Self, EscrowError> {
        let mut fields = Fields::of(node)?;
        let name = fields.required("name")?;
        fields.finish()?;
        match node.name.as_str() {
            "deletedPrefix" => Ok(Self::Prefix(name)),
            "deletedTemplate" => Ok(Self::Template(name)),
            other => Err(wrong(node, format!("a deletion <{other:.40}>"))),
        }
    }
}

/// The token of a state's number. Numbers that no state has do not come out of a registry.
fn token<'t>(tokens: &[&'t str], number: u32) -> &'t str {
    let place = (number as usize).wrapping_sub(1);
    tokens.get(place).copied().unwrap_or("unspecified")
}

/// The number of a state's token.
fn number(fields: &mut Fields<'_>, name: &str, tokens: &[&str]) -> Result<u32, EscrowError> {
    Ok(fields.token(name, tokens)? as u32 + 1)
}
