//! Identifiers' records.

use super::{scheme, timestamp, value};
use idnode_proto::api;
use idnode_proto::identifier::Identifier;
use idnode_registry::record::Record;

/// A record as it is stored, for its owner.
pub(in super::super) fn shown(identifier: &Identifier, record: Record) -> api::IdentifierRecord {
    api::IdentifierRecord {
        scheme: scheme(identifier.scheme()),
        values: record.values().map(value::shown).collect(),
        identifier: record.display.unwrap_or_else(|| identifier.canonical()),
        template: record.template.unwrap_or_default(),
        version: record.version,
        created_at: timestamp(record.created_at_ms),
        updated_at: timestamp(record.updated_at_ms),
        deleted: record.deleted.is_some(),
        deletion_reason: record.deleted.unwrap_or_default(),
    }
}
