//! The API's messages as JSON: names as in the `.proto` files, enums in lower case without their
//! type's name, times as RFC 3339, messages that are not set as `null`.

use idnode_proto::api::{self, change, interface, resolve_response};
use prost_types::Timestamp;
use serde_json::{Value, json};

use crate::bulk::json::ValuesOut;

/// A time as RFC 3339 in UTC; nothing if it is not set.
pub(crate) fn time(at: Option<&Timestamp>) -> Option<String> {
    let at = at?;
    jiff::Timestamp::new(at.seconds, at.nanos)
        .ok()
        .map(|time| time.to_string())
}

/// An enum value without its type's name: `PREFIX_STATE_ACTIVE` is `active`.
pub(crate) fn name(full: &str, of_type: &str) -> String {
    full.strip_prefix(of_type)
        .unwrap_or(full)
        .to_ascii_lowercase()
}

/// A scheme.
pub(crate) fn scheme(scheme: api::Scheme) -> String {
    name(scheme.as_str_name(), "SCHEME_")
}

/// Values, as in files.
pub(crate) fn values(values: &[api::Value]) -> Value {
    serde_json::to_value(ValuesOut(values)).unwrap_or_default()
}

/// A write's receipt.
pub(crate) fn receipt(receipt: Option<&api::WriteReceipt>) -> Value {
    let Some(receipt) = receipt else {
        return Value::Null;
    };
    json!({
        "sequence": receipt.sequence,
        "committed_at": time(receipt.committed_at.as_ref()),
        "replayed": receipt.replayed,
    })
}

/// The state of an enterprise's real-name review.
pub(crate) fn enterprise_state(enterprise: &api::Enterprise) -> String {
    name(enterprise.state().as_str_name(), "ENTERPRISE_STATE_")
}

/// An enterprise.
pub(crate) fn enterprise(enterprise: &api::Enterprise) -> Value {
    json!({
        "id": enterprise.id,
        "profile": enterprise.profile.as_ref().map(profile),
        "state": enterprise_state(enterprise),
        "review_message": enterprise.review_message,
        "quota": enterprise.quota.as_ref().map(|quota| json!({
            "registrations_per_day": quota.registrations_per_day,
            "registrations": quota.registrations,
            "prefixes": quota.prefixes,
        })),
        "version": enterprise.version,
        "created_at": time(enterprise.created_at.as_ref()),
        "updated_at": time(enterprise.updated_at.as_ref()),
    })
}

fn profile(profile: &api::EnterpriseProfile) -> Value {
    json!({
        "certificate_type": name(profile.certificate_type().as_str_name(), "CERTIFICATE_TYPE_"),
        "certificate_code": profile.certificate_code,
        "name": profile.name,
        "name_en": profile.name_en,
        "address": profile.address,
        "province_code": profile.province_code,
        "city_code": profile.city_code,
        "county_code": profile.county_code,
        "country_code": profile.country_code,
        "website": profile.website,
        "description": profile.description,
        "contact": profile.contact.as_ref().map(|contact| json!({
            "name": contact.name, "email": contact.email, "phone": contact.phone,
        })),
        "legal_person": profile.legal_person.as_ref().map(|person| json!({
            "name": person.name, "id_type": person.id_type, "id_number": person.id_number,
        })),
    })
}

/// A prefix's place in its lifecycle.
pub(crate) fn prefix_state(prefix: &api::Prefix) -> String {
    name(prefix.state().as_str_name(), "PREFIX_STATE_")
}

/// A prefix.
pub(crate) fn prefix(prefix: &api::Prefix) -> Value {
    json!({
        "prefix": prefix.prefix,
        "scheme": scheme(prefix.scheme()),
        "enterprise_id": prefix.enterprise_id,
        "state": prefix_state(prefix),
        "submitted": prefix.submitted,
        "withdrawn": prefix.withdrawn,
        "review_message": prefix.review_message,
        "delegation": prefix.delegation.as_ref().map(delegation),
        "values": values(&prefix.values),
        "version": prefix.version,
        "created_at": time(prefix.created_at.as_ref()),
        "updated_at": time(prefix.updated_at.as_ref()),
    })
}

/// Where a prefix is served.
pub(crate) fn delegation(delegation: &api::Delegation) -> Value {
    let sites: Vec<_> = delegation.sites.iter().map(site).collect();
    let name_servers: Vec<_> = delegation
        .name_servers
        .iter()
        .map(|server| json!({"name": server.name, "addresses": server.addresses}))
        .collect();
    let ds: Vec<_> = delegation
        .ds
        .iter()
        .map(|ds| {
            json!({
                "key_tag": ds.key_tag,
                "algorithm": ds.algorithm,
                "digest_type": ds.digest_type,
                "digest": data_encoding::HEXUPPER.encode(&ds.digest),
            })
        })
        .collect();
    json!({
        "sites": sites,
        "name_servers": name_servers,
        "ds": ds,
        "service_handle": delegation.service_handle,
    })
}

fn site(site: &api::Site) -> Value {
    let servers: Vec<_> = site
        .servers
        .iter()
        .map(|server| {
            let interfaces: Vec<_> = server.interfaces.iter().map(interface).collect();
            json!({
                "id": server.id,
                "address": server.address,
                "public_key": data_encoding::BASE64.encode(&server.public_key),
                "interfaces": interfaces,
            })
        })
        .collect();
    json!({
        "serial": site.serial,
        "primary": site.primary,
        "servers": servers,
        "description": site.description,
    })
}

fn interface(interface: &api::Interface) -> Value {
    json!({
        "protocol": protocol(interface.protocol()),
        "port": interface.port,
        "query": interface.query,
        "admin": interface.admin,
    })
}

/// A transport of a server's interface.
pub(crate) fn protocol(protocol: interface::Protocol) -> String {
    name(protocol.as_str_name(), "PROTOCOL_")
}

/// An attribute's type.
pub(crate) fn attribute_type(attribute: &api::Attribute) -> String {
    name(attribute.r#type().as_str_name(), "ATTRIBUTE_TYPE_")
}

/// An attribute template, as `template put` reads it.
pub(crate) fn template(template: &api::Template) -> Value {
    let attributes: Vec<_> = template
        .attributes
        .iter()
        .map(|attribute| {
            json!({
                "name": attribute.name,
                "title": attribute.title,
                "type": attribute_type(attribute),
                "unit": attribute.unit,
                "required": attribute.required,
                "repeated": attribute.repeated,
                "max_length": attribute.max_length,
                "minimum": attribute.minimum,
                "maximum": attribute.maximum,
                "allowed_values": attribute.allowed_values,
            })
        })
        .collect();
    json!({
        "name": template.name,
        "revision": template.revision,
        "title": template.title,
        "enterprise_id": template.enterprise_id,
        "attributes": attributes,
        "closed": template.closed,
        "version": template.version,
        "updated_at": time(template.updated_at.as_ref()),
    })
}

/// An identifier as stored.
pub(crate) fn record(record: &api::IdentifierRecord) -> Value {
    json!({
        "identifier": record.identifier,
        "scheme": scheme(record.scheme()),
        "values": values(&record.values),
        "template": record.template,
        "version": record.version,
        "created_at": time(record.created_at.as_ref()),
        "updated_at": time(record.updated_at.as_ref()),
        "deleted": record.deleted,
        "deletion_reason": record.deletion_reason,
    })
}

/// An identifier as resolved.
pub(crate) fn resolved(answer: &api::ResolveResponse) -> Value {
    let mut document = json!({"identifier": answer.identifier, "scheme": scheme(answer.scheme())});
    let (part, content) = match &answer.outcome {
        Some(resolve_response::Outcome::Record(record)) => (
            "record",
            json!({
                "values": values(&record.values),
                "version": record.version,
                "template": record.template,
                "created_at": time(record.created_at.as_ref()),
                "updated_at": time(record.updated_at.as_ref()),
                "ttl_s": record.ttl_s,
            }),
        ),
        Some(resolve_response::Outcome::Referral(referral)) => (
            "referral",
            json!({
                "prefix": referral.prefix,
                "delegation": referral.delegation.as_ref().map(delegation),
            }),
        ),
        None => ("record", Value::Null),
    };
    if let Some(fields) = document.as_object_mut() {
        fields.insert(part.to_owned(), content);
    }
    document
}

/// An API key, without its token, or an administrator's, without the key.
pub(crate) fn api_key(key: &api::ApiKey) -> Value {
    json!({
        "id": key.id,
        "enterprise_id": key.enterprise_id,
        "label": key.label,
        "administrator": key.administrator,
        "created_at": time(key.created_at.as_ref()),
        "revoked": key.revoked,
    })
}

/// A change of the log.
pub(crate) fn change(change: &api::Change) -> Value {
    let mut document = json!({
        "sequence": change.sequence,
        "committed_at": time(change.committed_at.as_ref()),
        "actor": change.actor,
    });
    let (part, content) = match &change.change {
        Some(change::Change::Identifiers(changes)) => {
            let records: Vec<_> = changes.identifiers.iter().map(record).collect();
            ("identifiers", json!({ "identifiers": records }))
        }
        Some(change::Change::Enterprise(changed)) => ("enterprise", enterprise(changed)),
        Some(change::Change::Prefix(changed)) => (
            "prefix",
            json!({"prefix": changed.prefix.as_ref().map(prefix), "removed": changed.removed}),
        ),
        Some(change::Change::Template(changed)) => (
            "template",
            json!({"template": changed.template.as_ref().map(template), "deleted": changed.deleted}),
        ),
        Some(change::Change::ApiKey(key)) => ("api_key", api_key(key)),
        None => return document,
    };
    if let Some(fields) = document.as_object_mut() {
        fields.insert(part.to_owned(), content);
    }
    document
}

/// The error of one item of a batch.
pub(crate) fn error(error: &api::Error) -> Value {
    json!({
        "code": super::error::code_name(error.code.into()),
        "reason": error.reason,
        "message": error.message,
        "field": error.field,
    })
}
