//! Identifiers.

use super::Values;
use crate::escrow::EscrowError;
use crate::escrow::fields::{Fields, Tag};
use crate::identifier;
use crate::xml::stream::Node;

/// An identifier, or the tombstone of a deleted one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// Its store key: what identifiers are ordered by.
    pub key: Vec<u8>,
    /// Its canonical text.
    pub name: String,
    /// The spelling it was registered in, where that is another.
    pub spelling: Option<String>,
    /// The template it is registered under.
    pub template: Option<String>,
    /// A tombstone, and why it was deleted; perhaps for no reason given.
    pub deleted: Option<String>,
    /// The place in the change log of what wrote it.
    pub version: u64,
    /// When it was first registered, milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// When it last changed.
    pub updated_at_ms: u64,
    /// What it resolves to.
    pub values: Values,
}

impl Identifier {
    /// Appends its element.
    pub fn write(&self, out: &mut String) {
        Tag::new(out, "identifier")
            .text("name", &self.name)
            .optional("spelling", self.spelling.as_deref())
            .optional("template", self.template.as_deref())
            .optional("deleted", self.deleted.as_deref())
            .number("version", self.version)
            .number("createdMs", self.created_at_ms)
            .number("updatedMs", self.updated_at_ms)
            .around(|out| self.values.write(out));
    }

    pub(super) fn read(node: &Node) -> Result<Self, EscrowError> {
        let mut fields = Fields::of(node)?;
        let name = fields.required("name")?;
        let parsed = identifier::Identifier::parse(&name);
        let parsed = parsed.map_err(|error| fields.wrong(error))?;
        if parsed.canonical() != name {
            return Err(fields.wrong("its name is not in canonical form"));
        }
        let found = Self {
            key: parsed.key().to_vec(),
            name,
            spelling: fields.optional("spelling")?,
            template: fields.optional("template")?,
            deleted: fields.optional("deleted")?,
            version: fields.number("version")?,
            created_at_ms: fields.number("createdMs")?,
            updated_at_ms: fields.number("updatedMs")?,
            values: Values::read(&mut fields)?,
        };
        fields.finish()?;
        Ok(found)
    }
}
