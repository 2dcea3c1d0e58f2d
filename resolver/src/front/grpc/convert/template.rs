//! Attribute templates.

use super::super::status::Result;
use super::{optional_enterprise_id, timestamp, unnamed};
use idnode_proto::api;
use idnode_registry::enterprise::EnterpriseId;
use idnode_registry::template::{Attribute, AttributeType, Template};

/// A request's template; the registry checks it and gives revision, version and time.
pub(in super::super) fn parse(template: api::Template) -> Result<Template> {
    let owner = optional_enterprise_id(&template.enterprise_id, "template.enterprise_id")?;
    let attributes = template
        .attributes
        .into_iter()
        .enumerate()
        .map(|(position, attribute)| parse_attribute(attribute, position));
    Ok(Template {
        name: template.name,
        title: template.title,
        enterprise: owner.map(|id| id.0),
        attributes: attributes.collect::<Result<_>>()?,
        closed: template.closed,
        ..Template::default()
    })
}

fn parse_attribute(attribute: api::Attribute, position: usize) -> Result<Attribute> {
    let kind = match api::AttributeType::try_from(attribute.r#type) {
        Ok(api::AttributeType::String) => AttributeType::String,
        Ok(api::AttributeType::Integer) => AttributeType::Integer,
        Ok(api::AttributeType::Decimal) => AttributeType::Decimal,
        Ok(api::AttributeType::Boolean) => AttributeType::Boolean,
        Ok(api::AttributeType::Date) => AttributeType::Date,
        Ok(api::AttributeType::DateTime) => AttributeType::DateTime,
        Ok(api::AttributeType::Uri) => AttributeType::Uri,
        Ok(api::AttributeType::Enumeration) => AttributeType::Enumeration,
        Ok(api::AttributeType::Identifier) => AttributeType::Identifier,
        Ok(api::AttributeType::Bytes) => AttributeType::Bytes,
        Ok(api::AttributeType::Unspecified) | Err(_) => {
            return Err(unnamed(
                &format!("template.attributes[{position}].type"),
                attribute.r#type,
            ));
        }
    };
    Ok(Attribute {
        name: attribute.name,
        title: attribute.title,
        kind: kind.into(),
        unit: attribute.unit,
        required: attribute.required,
        repeated: attribute.repeated,
        max_length: attribute.max_length,
        minimum: attribute.minimum,
        maximum: attribute.maximum,
        allowed_values: attribute.allowed_values,
    })
}

/// A template as it is answered.
pub(in super::super) fn shown(template: Template) -> api::Template {
    api::Template {
        name: template.name,
        revision: template.revision,
        title: template.title,
        enterprise_id: template
            .enterprise
            .map(|id| EnterpriseId(id).to_string())
            .unwrap_or_default(),
        attributes: template
            .attributes
            .into_iter()
            .map(shown_attribute)
            .collect(),
        closed: template.closed,
        version: template.version,
        updated_at: timestamp(template.updated_at_ms),
    }
}

fn shown_attribute(attribute: Attribute) -> api::Attribute {
    let kind = match attribute.kind() {
        AttributeType::Unspecified => api::AttributeType::Unspecified,
        AttributeType::String => api::AttributeType::String,
        AttributeType::Integer => api::AttributeType::Integer,
        AttributeType::Decimal => api::AttributeType::Decimal,
        AttributeType::Boolean => api::AttributeType::Boolean,
        AttributeType::Date => api::AttributeType::Date,
        AttributeType::DateTime => api::AttributeType::DateTime,
        AttributeType::Uri => api::AttributeType::Uri,
        AttributeType::Enumeration => api::AttributeType::Enumeration,
        AttributeType::Identifier => api::AttributeType::Identifier,
        AttributeType::Bytes => api::AttributeType::Bytes,
    };
    api::Attribute {
        name: attribute.name,
        title: attribute.title,
        r#type: kind.into(),
        unit: attribute.unit,
        required: attribute.required,
        repeated: attribute.repeated,
        max_length: attribute.max_length,
        minimum: attribute.minimum,
        maximum: attribute.maximum,
        allowed_values: attribute.allowed_values,
    }
}
