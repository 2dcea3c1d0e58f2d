//! The registry's objects as those of deposits, and back.

use super::make::MakeError;
use crate::Error;
use crate::enterprise::{Contact, Enterprise, LegalPerson, Profile};
use crate::prefix::{Delegation, DelegationSigner, NameServer, PrefixRecord};
use crate::quota::Quota;
use crate::record::Record;
use crate::template::{Attribute, Template};
use bytes::Bytes;
use idnode_proto::escrow::object;
use idnode_proto::identifier::{Identifier, Prefix};

pub(super) fn identifier(key: &[u8], record: Record) -> Result<object::Identifier, MakeError> {
    let identifier = Identifier::from_key(key).map_err(|e| Error::Storage(e.to_string()))?;
    Ok(object::Identifier {
        key: key.to_vec(),
        name: identifier.canonical(),
        spelling: record.display,
        template: record.template,
        deleted: record.deleted,
        version: record.version,
        created_at_ms: record.created_at_ms,
        updated_at_ms: record.updated_at_ms,
        values: object::Values::new(record.value_count.into(), record.values)?,
    })
}

pub(super) fn record(identifier: object::Identifier) -> crate::Result<Record> {
    let count = u16::try_from(identifier.values.count());
    Ok(Record {
        version: identifier.version,
        created_at_ms: identifier.created_at_ms,
        updated_at_ms: identifier.updated_at_ms,
        deleted: identifier.deleted,
        display: identifier.spelling,
        template: identifier.template,
        value_count: count.map_err(|_| {
            Error::invalid("values", format!("{} has too many values", identifier.name))
        })?,
        values: identifier.values.into_bytes(),
    })
}

pub(super) fn prefix(record: &PrefixRecord) -> Result<object::Prefix, MakeError> {
    Ok(object::Prefix {
        name: record.prefix()?.canonical(),
        enterprise: record.enterprise,
        state: record.state.unsigned_abs(),
        review_message: record.review_message.clone(),
        version: record.version,
        created_at_ms: record.created_at_ms,
        updated_at_ms: record.updated_at_ms,
        submitted: record.submitted,
        withdrawal: record.withdrawal.unsigned_abs(),
        delegation: record.delegation.as_ref().map(|it| object::Delegation {
            sites: it.sites.iter().map(|site| site.to_vec()).collect(),
            name_servers: it
                .name_servers
                .iter()
                .map(|server| object::NameServer {
                    name: server.name.clone(),
                    addresses: server.addresses.clone(),
                })
                .collect(),
            ds: it
                .ds
                .iter()
                .map(|ds| object::DelegationSigner {
                    key_tag: ds.key_tag,
                    algorithm: ds.algorithm,
                    digest_type: ds.digest_type,
                    digest: ds.digest.to_vec(),
                })
                .collect(),
            service_handle: it.service_handle.clone(),
        }),
        values: object::Values::new(record.value_count, record.values.clone())?,
    })
}

pub(super) fn prefix_record(prefix: object::Prefix) -> crate::Result<PrefixRecord> {
    let parsed = Prefix::parse(&prefix.name);
    let parsed = parsed.map_err(|error| Error::invalid("prefix", error.to_string()))?;
    Ok(PrefixRecord {
        key: Bytes::copy_from_slice(parsed.key()),
        enterprise: prefix.enterprise,
        state: prefix.state.cast_signed(),
        review_message: prefix.review_message,
        delegation: prefix.delegation.map(|it| Delegation {
            sites: it.sites.into_iter().map(Bytes::from).collect(),
            name_servers: it
                .name_servers
                .into_iter()
                .map(|server| NameServer {
                    name: server.name,
                    addresses: server.addresses,
                })
                .collect(),
            ds: it
                .ds
                .into_iter()
                .map(|ds| DelegationSigner {
                    key_tag: ds.key_tag,
                    algorithm: ds.algorithm,
                    digest_type: ds.digest_type,
                    digest: ds.digest.into(),
                })
                .collect(),
            service_handle: it.service_handle,
        }),
        version: prefix.version,
        created_at_ms: prefix.created_at_ms,
        updated_at_ms: prefix.updated_at_ms,
        value_count: prefix.values.count(),
        values: prefix.values.into_bytes(),
        submitted: prefix.submitted,
        withdrawal: prefix.withdrawal.cast_signed(),
    })
}

pub(super) fn enterprise(enterprise: Enterprise) -> object::Enterprise {
    let profile = enterprise.profile;
    object::Enterprise {
        id: enterprise.id,
        state: enterprise.state.unsigned_abs(),
        review_message: enterprise.review_message,
        version: enterprise.version,
        created_at_ms: enterprise.created_at_ms,
        updated_at_ms: enterprise.updated_at_ms,
        certificate_type: profile.certificate_type.unsigned_abs(),
        certificate_code: profile.certificate_code,
        name: profile.name,
        name_en: profile.name_en,
        address: profile.address,
        province_code: profile.province_code,
        city_code: profile.city_code,
        county_code: profile.county_code,
        country_code: profile.country_code,
        website: profile.website,
        description: profile.description,
        contact: profile.contact.map(|it| [it.name, it.email, it.phone]),
        legal_person: profile.legal_person.map(|it| object::LegalPerson {
            name: it.name,
            id_type: it.id_type,
            id_number: it.id_number,
        }),
        quota: enterprise.quota.map(|it| object::Quota {
            registrations_per_day: it.registrations_per_day,
            registrations: it.registrations,
            prefixes: it.prefixes,
        }),
    }
}

pub(super) fn enterprise_record(enterprise: object::Enterprise) -> Enterprise {
    Enterprise {
        id: enterprise.id,
        profile: Profile {
            certificate_type: enterprise.certificate_type.cast_signed(),
            certificate_code: enterprise.certificate_code,
            name: enterprise.name,
            name_en: enterprise.name_en,
            address: enterprise.address,
            province_code: enterprise.province_code,
            city_code: enterprise.city_code,
            county_code: enterprise.county_code,
            country_code: enterprise.country_code,
            website: enterprise.website,
            description: enterprise.description,
            contact: enterprise
                .contact
                .map(|[name, email, phone]| Contact { name, email, phone }),
            legal_person: enterprise.legal_person.map(|it| LegalPerson {
                name: it.name,
                id_type: it.id_type,
                id_number: it.id_number,
            }),
        },
        state: enterprise.state.cast_signed(),
        review_message: enterprise.review_message,
        version: enterprise.version,
        created_at_ms: enterprise.created_at_ms,
        updated_at_ms: enterprise.updated_at_ms,
        quota: enterprise.quota.map(|it| Quota {
            registrations_per_day: it.registrations_per_day,
            registrations: it.registrations,
            prefixes: it.prefixes,
        }),
    }
}

pub(super) fn template(template: Template) -> object::Template {
    object::Template {
        name: template.name,
        revision: template.revision,
        title: template.title,
        enterprise: template.enterprise,
        closed: template.closed,
        version: template.version,
        updated_at_ms: template.updated_at_ms,
        attributes: template
            .attributes
            .into_iter()
            .map(|it| object::Attribute {
                name: it.name,
                title: it.title,
                kind: it.kind.unsigned_abs(),
                unit: it.unit,
                required: it.required,
                repeated: it.repeated,
                max_length: it.max_length,
                minimum: it.minimum,
                maximum: it.maximum,
                allowed_values: it.allowed_values,
            })
            .collect(),
    }
}

pub(super) fn template_record(template: object::Template) -> Template {
    Template {
        name: template.name,
        revision: template.revision,
        title: template.title,
        enterprise: template.enterprise,
        attributes: template
            .attributes
            .into_iter()
            .map(|it| Attribute {
                name: it.name,
                title: it.title,
                kind: it.kind.cast_signed(),
                unit: it.unit,
                required: it.required,
                repeated: it.repeated,
                max_length: it.max_length,
                minimum: it.minimum,
                maximum: it.maximum,
                allowed_values: it.allowed_values,
            })
            .collect(),
        closed: template.closed,
        version: template.version,
        updated_at_ms: template.updated_at_ms,
    }
}
