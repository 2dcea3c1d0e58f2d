//! The registry's objects as the national node is told of them: what the docking guide names, and of
//! an identifier's values only what anyone may read.

use crate::enterprise::Enterprise;
use crate::prefix::PrefixRecord;
use crate::record::Record;
use crate::template::{Attribute, AttributeType, Template};
use crate::{Error, Result, Sequence};
use idnode_proto::api::{
    EnterpriseRow, MasterData, MasterDataOperation, PrefixRow, ProductData, Scheme,
    TemplateAttribute, TemplateRow,
};
use idnode_proto::identifier::{self, Identifier, Prefix};
use idnode_proto::value::ValueRef;

/// Longest value that is told, bytes: a longer one is left out.
const MAX_VALUE_BYTES: usize = 1_024;

/// Which identifiers are told of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    own: Vec<Prefix>,
}

impl Scope {
    /// Those below these prefixes; of none: all.
    pub fn below(own: Vec<Prefix>) -> Self {
        Self { own }
    }

    /// Whether a prefix is one of them, or below one.
    pub fn has_prefix(&self, prefix: &Prefix) -> bool {
        let is_own = |key: &[u8]| self.own.iter().any(|own| own.key() == key);
        self.own.is_empty() || prefix.candidates().any(|it| is_own(it.key))
    }

    /// Whether an identifier is below one of them.
    pub fn has(&self, identifier: &Identifier) -> bool {
        let is_own = |key: &[u8]| self.own.iter().any(|own| own.key() == key);
        self.own.is_empty() || identifier.prefix_candidates().any(|it| is_own(it.key))
    }

    /// The names of the prefixes.
    pub fn names(&self) -> Vec<String> {
        self.own.iter().map(Prefix::canonical).collect()
    }
}

/// What was done to an identifier last.
pub(super) fn operation(record: &Record, replaced_live: bool) -> MasterDataOperation {
    match (record.is_live(), replaced_live) {
        (false, _) => MasterDataOperation::Delete,
        (true, true) => MasterDataOperation::Modify,
        (true, false) => MasterDataOperation::Add,
    }
}

/// An identifier; its version is left out where it is `told_as`, that of the entry that tells it.
pub(super) fn master_data(
    identifier: &Identifier,
    record: &Record,
    operation: MasterDataOperation,
    told_as: Sequence,
) -> MasterData {
    let is_untouched = record.created_at_ms == record.updated_at_ms;
    MasterData {
        code: identifier.canonical(),
        operation: operation.into(),
        created_at_ms: record.created_at_ms,
        modified_at_ms: if is_untouched {
            0
        } else {
            record.updated_at_ms
        },
        template: record.template.clone().unwrap_or_default(),
        product: product(record),
        version: if record.version == told_as {
            0
        } else {
            record.version
        },
    }
}

/// What of a product is registered for everyone to read.
fn product(record: &Record) -> Option<ProductData> {
    let mut product = None::<ProductData>;
    for value in record.values().filter(|it| it.permissions().public_read()) {
        let Some(text) = text(&value) else { continue };
        let Some(field) = field(value.value_type()) else {
            continue;
        };
        let place = field(product.get_or_insert_default());
        // Of several the first counts.
        if place.is_empty() {
            text.clone_into(place);
        }
    }
    product
}

fn text<'a>(value: &ValueRef<'a>) -> Option<&'a str> {
    let data = value.data();
    let fits = !data.is_empty() && data.len() <= MAX_VALUE_BYTES;
    std::str::from_utf8(data).ok().filter(|_| fits)
}

/// The field that values of a type are told in, by the names that templates have for it.
fn field(value_type: &str) -> Option<fn(&mut ProductData) -> &mut String> {
    Some(match value_type {
        "product_type" | "产品类型" => |it| &mut it.r#type,
        "brand" | "product_brand" | "品牌" | "产品品牌" => |it| &mut it.brand,
        "product_name" | "产品名称" => |it| &mut it.name,
        "maker" | "manufacturer" | "生产企业" | "生产厂商" => |it| &mut it.maker,
        "produced_at" | "production_date" | "生产日期" | "生产时间" => {
            |it| &mut it.produced_at
        }
        "expires_at" | "expiry_date" | "有效期" | "有效期至" => |it| &mut it.expires_at,
        "carrier_type" | "载体类型" => |it| &mut it.carrier_type,
        "carrier_id" | "载体编号" => |it| &mut it.carrier_id,
        _ => return None,
    })
}

/// An enterprise, without personal data.
pub(super) fn enterprise(enterprise: Enterprise) -> EnterpriseRow {
    let status = enterprise.state().official_name();
    let certificate_type = enterprise.profile.certificate_type().name();
    EnterpriseRow {
        id: enterprise.id,
        name: enterprise.profile.name,
        certificate_type: certificate_type.to_owned(),
        certificate_code: enterprise.profile.certificate_code,
        status: status.to_owned(),
        version: enterprise.version,
    }
}

/// A prefix; as of which entry, since one that was removed has the version it had before.
pub(super) fn prefix(
    record: &PrefixRecord,
    removed: bool,
    version: Sequence,
) -> Result<(Prefix, PrefixRow)> {
    let prefix = record.prefix()?;
    let row = PrefixRow {
        prefix: prefix.canonical(),
        scheme: scheme(prefix.scheme()).into(),
        enterprise: record.enterprise,
        state: record.state().official_name().to_owned(),
        delegated: record.delegation.is_some(),
        removed,
        version,
    };
    Ok((prefix, row))
}

fn scheme(scheme: identifier::Scheme) -> Scheme {
    match scheme {
        identifier::Scheme::Handle => Scheme::Handle,
        identifier::Scheme::Oid => Scheme::Oid,
        identifier::Scheme::Gs1 => Scheme::Gs1,
        identifier::Scheme::Ecode => Scheme::Ecode,
        identifier::Scheme::Vaa => Scheme::Vaa,
        identifier::Scheme::Did => Scheme::Did,
    }
}

/// A template; as of which entry, since one that was deleted has the version it had before.
pub(super) fn template(template: Template, deleted: bool, version: Sequence) -> TemplateRow {
    TemplateRow {
        name: template.name,
        revision: template.revision,
        title: template.title,
        enterprise: template.enterprise.unwrap_or_default(),
        closed: template.closed,
        deleted,
        version,
        attributes: template.attributes.into_iter().map(attribute).collect(),
    }
}

fn attribute(attribute: Attribute) -> TemplateAttribute {
    let kind = match attribute.kind() {
        AttributeType::Unspecified => "",
        AttributeType::String => "string",
        AttributeType::Integer => "integer",
        AttributeType::Decimal => "decimal",
        AttributeType::Boolean => "boolean",
        AttributeType::Date => "date",
        AttributeType::DateTime => "date_time",
        AttributeType::Uri => "uri",
        AttributeType::Enumeration => "enumeration",
        AttributeType::Identifier => "identifier",
        AttributeType::Bytes => "bytes",
    };
    TemplateAttribute {
        r#type: kind.to_owned(),
        name: attribute.name,
        title: attribute.title,
        unit: attribute.unit,
        required: attribute.required,
        repeated: attribute.repeated,
        max_length: attribute.max_length,
        minimum: attribute.minimum,
        maximum: attribute.maximum,
        allowed_values: attribute.allowed_values,
    }
}

/// The identifier of a stored key.
pub(super) fn identifier(key: &[u8]) -> Result<Identifier> {
    Identifier::from_key(key).map_err(|error| Error::Storage(error.to_string()))
}
