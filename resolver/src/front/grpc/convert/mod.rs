//! Messages to domain types, once, at the edge, and back. Errors name the field.

pub(super) mod enterprise;
pub(super) mod prefix;
pub(super) mod record;
pub(super) mod template;
pub(super) mod value;

use super::status::{Refused, Result};
use idnode_proto::api;
use idnode_proto::identifier::{Identifier, Prefix, Scheme};
use idnode_registry::Error;
use idnode_registry::credential::Credential;
use idnode_registry::enterprise::EnterpriseId;
use idnode_registry::read::PageRequest;
use idnode_registry::write::Receipt;
use prost_types::Timestamp;

/// An identifier of any scheme, in any accepted spelling.
pub(super) fn identifier(text: &str, field: &str) -> Result<Identifier> {
    Identifier::parse(text).map_err(|error| Refused::NotIdentifier {
        field: field.to_owned(),
        error,
    })
}

/// A prefix of any scheme.
pub(super) fn prefix(text: &str, field: &str) -> Result<Prefix> {
    Prefix::parse(text).map_err(|error| Refused::NotIdentifier {
        field: field.to_owned(),
        error,
    })
}

/// A prefix, or with an empty text none.
pub(super) fn optional_prefix(text: &str, field: &str) -> Result<Option<Prefix>> {
    if text.is_empty() {
        Ok(None)
    } else {
        prefix(text, field).map(Some)
    }
}

/// An enterprise id in a field.
pub(super) fn enterprise_id(text: &str, field: &str) -> Result<EnterpriseId> {
    text.parse().map_err(|error| match error {
        Error::Invalid { reason, .. } => Error::invalid(field, reason).into(),
        other => Refused::from(other),
    })
}

/// An enterprise id, or with an empty text none.
pub(super) fn optional_enterprise_id(text: &str, field: &str) -> Result<Option<EnterpriseId>> {
    if text.is_empty() {
        Ok(None)
    } else {
        enterprise_id(text, field).map(Some)
    }
}

/// A part of a request that must be there.
pub(super) fn required<T>(part: Option<T>, field: &str) -> Result<T> {
    part.ok_or_else(|| Error::invalid(field, "is missing").into())
}

/// The error of an enumeration's field that names nothing.
pub(super) fn unnamed(field: &str, number: i32) -> Refused {
    let reason = if number == 0 {
        "must be named".to_owned()
    } else {
        format!("{number} has no meaning here")
    };
    Error::invalid(field, reason).into()
}

/// Where a listing goes on.
pub(super) fn page(page: Option<api::Page>) -> PageRequest {
    page.map_or_else(PageRequest::default, |api::Page { size, token }| {
        PageRequest { size, token }
    })
}

/// Milliseconds since the Unix epoch.
pub(super) fn timestamp(at_ms: u64) -> Option<Timestamp> {
    let seconds = i64::try_from(at_ms / 1_000).ok()?;
    let nanos = i32::try_from(at_ms % 1_000 * 1_000_000).ok()?;
    Some(Timestamp { seconds, nanos })
}

/// The same as RFC 3339 text; empty beyond the year 9999.
pub(super) fn rfc3339(at_ms: u64) -> String {
    let time = i64::try_from(at_ms)
        .ok()
        .and_then(|at_ms| jiff::Timestamp::from_millisecond(at_ms).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// What a write got.
pub(super) fn receipt(receipt: &Receipt) -> api::WriteReceipt {
    api::WriteReceipt {
        sequence: receipt.sequence,
        committed_at: timestamp(receipt.committed_at_ms),
        replayed: receipt.replayed,
    }
}

/// A scheme's number.
pub(super) fn scheme(scheme: Scheme) -> i32 {
    let named = match scheme {
        Scheme::Handle => api::Scheme::Handle,
        Scheme::Oid => api::Scheme::Oid,
        Scheme::Gs1 => api::Scheme::Gs1,
        Scheme::Ecode => api::Scheme::Ecode,
        Scheme::Vaa => api::Scheme::Vaa,
        Scheme::Did => api::Scheme::Did,
    };
    named.into()
}

/// A credential without its hash or key.
pub(super) fn api_key(credential: Credential) -> api::ApiKey {
    let administrator = credential.administrator.as_ref();
    let administrator = administrator.and_then(|record| record.id().ok());
    api::ApiKey {
        administrator: administrator.map_or_else(String::new, |id| id.to_string()),
        id: credential.id,
        enterprise_id: credential
            .enterprise
            .map(|id| EnterpriseId(id).to_string())
            .unwrap_or_default(),
        label: credential.label,
        created_at: timestamp(credential.created_at_ms),
        revoked: credential.revoked,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_keep_their_milliseconds() {
        assert_eq!(
            timestamp(1_769_817_600_250),
            Some(Timestamp {
                seconds: 1_769_817_600,
                nanos: 250_000_000
            })
        );
        assert_eq!(rfc3339(1_769_817_600_250), "2026-01-31T00:00:00.25Z");
        assert_eq!(rfc3339(u64::MAX), "");
        assert_eq!(timestamp(u64::MAX).unwrap().nanos, 615_000_000);
    }

    #[test]
    fn an_enterprise_id_is_refused_under_its_own_field() {
        let refused = enterprise_id("17", "id").unwrap_err();
        assert!(
            matches!(refused, Refused::Registry(Error::Invalid { field, .. }) if field == "id")
        );
    }
}
