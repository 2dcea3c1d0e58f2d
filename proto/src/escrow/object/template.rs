//! Templates.

use super::{ATTRIBUTE_TYPES, number, token};
use crate::escrow::EscrowError;
use crate::escrow::fields::{Fields, Tag};
use crate::xml::stream::Node;

/// A template (元数据模板).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// Counts its changes.
    pub revision: u32,
    /// For people.
    pub title: String,
    /// The enterprise that alone may use it.
    pub enterprise: Option<u64>,
    /// Whether other attributes than its own are refused.
    pub closed: bool,
    /// The place in the change log of what wrote it.
    pub version: u64,
    /// When it last changed, milliseconds since the Unix epoch.
    pub updated_at_ms: u64,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
}

/// An attribute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// For people.
    pub title: String,
    /// One of [`ATTRIBUTE_TYPES`], from 1 on.
    pub kind: u32,
    /// The unit of a quantity.
    pub unit: String,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it may be there more than once.
    pub repeated: bool,
    /// Longest text; 0: no limit of its own.
    pub max_length: u32,
    /// Least number.
    pub minimum: Option<f64>,
    /// Greatest number.
    pub maximum: Option<f64>,
    /// What an enumeration may be.
    pub allowed_values: Vec<String>,
}

impl Template {
    /// Appends its element.
    pub fn write(&self, out: &mut String) {
        Tag::new(out, "template")
            .text("name", &self.name)
            .number("revision", self.revision)
            .text("title", &self.title)
            .optional_number("enterprise", self.enterprise)
            .flag("closed", self.closed)
            .number("version", self.version)
            .number("updatedMs", self.updated_at_ms)
            .around(|out| {
                for attribute in &self.attributes {
                    attribute.write(out);
                }
            });
    }

    pub(super) fn read(node: &Node) -> Result<Self, EscrowError> {
        let mut fields = Fields::of(node)?;
        let mut template = Self {
            name: fields.required("name")?,
            revision: fields.number("revision")?,
            title: fields.text("title")?,
            enterprise: fields.optional_number("enterprise")?,
            closed: fields.flag("closed")?,
            version: fields.number("version")?,
            updated_at_ms: fields.number("updatedMs")?,
            attributes: Vec::new(),
        };
        for node in fields.children("attribute") {
            template.attributes.push(Attribute::read(node)?);
        }
        fields.finish()?;
        Ok(template)
    }
}

impl Attribute {
    fn write(&self, out: &mut String) {
        Tag::new(out, "attribute")
            .text("name", &self.name)
            .text("title", &self.title)
            .text("type", token(&ATTRIBUTE_TYPES, self.kind))
            .text("unit", &self.unit)
            .flag("required", self.required)
            .flag("repeated", self.repeated)
            .number("maxLength", self.max_length)
            .decimal("minimum", self.minimum)
            .decimal("maximum", self.maximum)
            .around(|out| {
                for value in &self.allowed_values {
                    Tag::new(out, "allowed").always("value", value).end();
                }
            });
    }

    fn read(node: &Node) -> Result<Self, EscrowError> {
        let mut fields = Fields::of(node)?;
        let mut attribute = Self {
            name: fields.text("name")?,
            title: fields.text("title")?,
            kind: number(&mut fields, "type", &ATTRIBUTE_TYPES)?,
            unit: fields.text("unit")?,
            required: fields.flag("required")?,
            repeated: fields.flag("repeated")?,
            max_length: fields.number("maxLength")?,
            minimum: fields.decimal("minimum")?,
            maximum: fields.decimal("maximum")?,
            allowed_values: Vec::new(),
        };
        for node in fields.children("allowed") {
            let mut allowed = Fields::of(node)?;
            attribute.allowed_values.push(allowed.text("value")?);
            allowed.finish()?;
        }
        fields.finish()?;
        Ok(attribute)
    }
}
