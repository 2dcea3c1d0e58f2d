//! Listings, exports and statistics: reads in the order of keys, from one snapshot each.

mod below;
mod export;
mod mirror;
mod moment;
mod page;
mod registration;

pub use mirror::{MirrorPage, Mirrored, MirroredChange, MirroredRecord};
pub use moment::Moment;
pub use page::{DEFAULT_PAGE, MAX_PAGE, Page, PageRequest};
pub use registration::{Registration, Registrations};

use crate::credential::Credential;
use crate::enterprise::{Enterprise, EnterpriseId};
use crate::layout::{Family, decode_value, former_key, number_key};
use crate::prefix::{PrefixRecord, PrefixState};
use crate::prefix_table::PrefixEntry;
use crate::record::Record;
use crate::registry::Registry;
use crate::template::Template;
use crate::write::idempotency::{Remembered, progress_key};
use crate::{Caller, Error, Object, Result};
use bytes::Bytes;
use idnode_proto::handle::AdminRights;
use idnode_proto::identifier::{Identifier, Prefix};
use page::{Item, Listing};
use prost::Message;

/// Counters of a prefix; under the empty key, of the node.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Counters {
    /// Live identifiers.
    #[prost(uint64, tag = "1")]
    pub identifiers: u64,
    /// Tombstones.
    #[prost(uint64, tag = "2")]
    pub deleted: u64,
    /// Identifiers created, ever.
    #[prost(uint64, tag = "3")]
    pub creations: u64,
    /// Updates, ever.
    #[prost(uint64, tag = "4")]
    pub updates: u64,
    /// Deletions, ever.
    #[prost(uint64, tag = "5")]
    pub deletions: u64,
    /// Encoded values of live identifiers, bytes.
    #[prost(uint64, tag = "6")]
    pub value_bytes: u64,
    /// The last change, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "7")]
    pub last_change_ms: u64,
    /// Node only: enterprises.
    #[prost(uint64, tag = "8")]
    pub enterprises: u64,
    /// Node only: the last enterprise number given.
    #[prost(uint64, tag = "9")]
    pub last_enterprise: u64,
    /// Node only: prefixes.
    #[prost(uint64, tag = "10")]
    pub prefixes: u64,
    /// Node only: templates.
    #[prost(uint64, tag = "11")]
    pub templates: u64,
}

/// Rebuilds an identifier from a stored row.
pub fn stored_identifier(key: &[u8], record: &Record) -> Result<Identifier> {
    let identifier = Identifier::from_key(key).map_err(|e| Error::Storage(e.to_string()))?;
    Ok(match &record.display {
        Some(spelling) => identifier.with_display(spelling),
        None => identifier,
    })
}

impl Registry {
    /// An identifier's record, or its tombstone, as stored; for its owner.
    pub fn get_identifier(
        &self,
        caller: &Caller,
        identifier: &Identifier,
    ) -> Result<(Identifier, Record)> {
        caller.require_known()?;
        let entry = self.prefixes().governing(identifier);
        let owner = entry.ok_or_else(|| Error::not_found(Object::Identifier, identifier))?;
        caller.require_owner(owner.record.owner(), || format!("identifier {identifier}"))?;
        let stored = self.store().get(Family::Identifiers, identifier.key())?;
        let stored = stored.ok_or_else(|| Error::not_found(Object::Identifier, identifier))?;
        let record = Record::decode(stored)?;
        Ok((stored_identifier(identifier.key(), &record)?, record))
    }

    /// A stored row for a caller: `None` where a longer prefix, another's, owns it.
    fn shown(
        &self,
        caller: &Caller,
        key: &[u8],
        record: Record,
    ) -> Result<Option<(Identifier, Record)>> {
        let identifier = stored_identifier(key, &record)?;
        let owner = |entry: &PrefixEntry| entry.record.owner();
        let is_own = caller.is_operator()
            || self
                .prefixes()
                .owner_of(&identifier)
                .is_some_and(|entry| caller.owns(owner(&entry)));
        Ok(is_own.then_some((identifier, record)))
    }

    /// A stored row without its values, if this very prefix owns it.
    fn named(
        &self,
        prefix: &Prefix,
        key: &[u8],
        record: Record,
    ) -> Result<Option<(Identifier, Record)>> {
        let identifier = stored_identifier(key, &record)?;
        let owner = self.prefixes().owner_of(&identifier);
        let is_own = owner.is_some_and(|entry| entry.record.key == prefix.key());
        let record = Record {
            value_count: 0,
            values: Bytes::new(),
            ..record
        };
        Ok(is_own.then_some((identifier, record)))
    }

    /// A page of a prefix's identifiers, for its owner; without those of longer prefixes that
    /// are another's. For an administrator that the prefix's HS_ADMIN values let list handles,
    /// those of this prefix alone, and without values.
    pub fn list_identifiers(
        &self,
        caller: &Caller,
        prefix: &Prefix,
        request: &PageRequest,
        include_deleted: bool,
    ) -> Result<Page<(Identifier, Record)>> {
        if let Caller::Administrator(administrator) = caller {
            let entry = self.prefixes().get(prefix.key());
            let entry = entry.ok_or_else(|| Error::not_found(Object::Prefix, prefix))?;
            let right = AdminRights::LIST_HANDLES;
            self.require_prefix_right(administrator, &entry.record, right)?;
        } else {
            self.get_prefix(caller, prefix)?;
        }
        let (start, end) = prefix.key_range();
        let listing = Listing {
            family: Family::Identifiers,
            start,
            end: Some(end),
            request,
        };
        listing.page(self, |key, stored| {
            let record = Record::decode(stored)?;
            if !include_deleted && !record.is_live() {
                return Ok(None);
            }
            match caller {
                Caller::Administrator(_) => self.named(prefix, key, record),
                _ => self.shown(caller, key, record),
            }
        })
    }

    /// The highest chunk of a caller's import known to be committed; 0: none is.
    pub fn import_progress(&self, caller: &Caller, import_id: &str) -> Result<u64> {
        caller.require_known()?;
        let stored = self
            .store()
            .get(Family::Idempotency, &progress_key(caller, import_id))?;
        let progress: Option<Remembered> =
            stored.map(|stored| decode_value(&stored)).transpose()?;
        Ok(progress.map_or(0, |progress| progress.sequence))
    }

    /// A prefix, for its enterprise and the operator.
    pub fn get_prefix(&self, caller: &Caller, prefix: &Prefix) -> Result<PrefixRecord> {
        caller.require_known()?;
        let entry = self.prefixes().get(prefix.key());
        let entry = entry.ok_or_else(|| Error::not_found(Object::Prefix, prefix))?;
        caller.require_owner(entry.record.owner(), || format!("prefix {prefix}"))?;
        Ok(PrefixRecord::clone(&entry.record))
    }

    /// A page of prefixes, of one enterprise or of all the caller may see.
    pub fn list_prefixes(
        &self,
        caller: &Caller,
        enterprise: Option<EnterpriseId>,
        state: Option<PrefixState>,
        request: &PageRequest,
    ) -> Result<Page<PrefixRecord>> {
        let scope = self.scope(caller, enterprise)?;
        self.prefixes_of(scope, state, request)
    }

    /// The prefixes that a caller who asks for those below one may know of: its own, or, for an
    /// administrator with the right to list prefixes there, its enterprise's.
    pub fn list_prefixes_at(
        &self,
        caller: &Caller,
        above: &Prefix,
        state: Option<PrefixState>,
        request: &PageRequest,
    ) -> Result<Page<PrefixRecord>> {
        let Caller::Administrator(administrator) = caller else {
            return self.list_prefixes(caller, caller.enterprise(), state, request);
        };
        let entry = self.prefixes().get(above.key());
        let entry = entry.ok_or_else(|| Error::not_found(Object::Prefix, above))?;
        self.require_prefix_right(administrator, &entry.record, AdminRights::LIST_PREFIXES)?;
        let holder = EnterpriseId(entry.record.enterprise);
        self.prefixes_of(Some(holder), state, request)
    }

    /// Prefixes of an enterprise, or with `None` everybody's.
    fn prefixes_of(
        &self,
        enterprise: Option<EnterpriseId>,
        state: Option<PrefixState>,
        request: &PageRequest,
    ) -> Result<Page<PrefixRecord>> {
        let wanted = |record: PrefixRecord| {
            Some(record).filter(|r| state.is_none_or(|state| r.state() == state))
        };
        match enterprise {
            None => {
                let listing = Listing::of_family(Family::Prefixes, request);
                listing.page(self, |_, stored| Ok(wanted(decode_value(&stored)?)))
            }
            Some(id) => {
                let listing = Listing::of_enterprise(Family::PrefixesByEnterprise, id, request);
                listing.page_of(self, |key, _| {
                    let entry = self.prefixes().get(key.get(8..).unwrap_or_default());
                    let record = entry.and_then(|entry| wanted(PrefixRecord::clone(&entry.record)));
                    Ok(record.map(|record| Item {
                        further_bytes: record.encoded_len(),
                        item: record,
                    }))
                })
            }
        }
    }

    /// A prefix's counters, for its enterprise and the operator.
    pub fn prefix_counters(&self, caller: &Caller, prefix: &Prefix) -> Result<Counters> {
        self.get_prefix(caller, prefix)?;
        self.counters(prefix.key())
    }

    /// The node's counters.
    pub fn node_counters(&self) -> Result<Counters> {
        self.counters(&[])
    }

    /// The counters of the prefix with a key; of the node for the empty one.
    pub fn counters(&self, key: &[u8]) -> Result<Counters> {
        self.store()
            .get(Family::Statistics, key)?
            .map_or_else(|| Ok(Counters::default()), |s| decode_value(&s))
    }

    /// The same with what former registrations of the prefix have created and deleted, as of one
    /// moment: what never goes back, for those who go on counting.
    ///
    /// # Errors
    /// The store fails.
    pub fn lifelong_counters(&self, key: &[u8]) -> Result<Counters> {
        let view = self.store().snapshot();
        let stored = |key: &[u8]| -> Result<Counters> {
            view.get(Family::Statistics, key)?
                .map_or_else(|| Ok(Counters::default()), |it| decode_value(&it))
        };
        let mut counters = stored(key)?;
        if !key.is_empty() {
            let former = stored(&former_key(key))?;
            counters.creations += former.creations;
            counters.deletions += former.deletions;
        }
        Ok(counters)
    }

    /// What former registrations of a prefix have created and deleted.
    ///
    /// # Errors
    /// The store fails.
    pub fn former_counters(&self, key: &[u8]) -> Result<Counters> {
        self.counters(&former_key(key))
    }

    /// An enterprise, for itself and the operator.
    pub fn get_enterprise(&self, caller: &Caller, id: EnterpriseId) -> Result<Enterprise> {
        caller.require_owner(id, || format!("enterprise {id}"))?;
        let stored = self.store().get(Family::Enterprises, &number_key(id.0))?;
        decode_value(&stored.ok_or_else(|| Error::not_found(Object::Enterprise, id))?)
    }

    /// The enterprise with a social credit code, for itself and the operator.
    pub fn find_enterprise(&self, caller: &Caller, certificate_code: &str) -> Result<Enterprise> {
        use crate::enterprise::{CertificateType, certificate_key};
        caller.require_known()?;
        for kind in [CertificateType::SocialCreditCode, CertificateType::Other] {
            let key = certificate_key(kind, certificate_code);
            if let Some(number) = self.store().get(Family::EnterprisesByCertificate, &key)? {
                let id = EnterpriseId(crate::layout::parse_number(&number)?);
                return self.get_enterprise(caller, id);
            }
        }
        // Only the operator may learn that another's code is not registered.
        caller.require_operator("looking up another enterprise")?;
        Err(Error::not_found(
            Object::Enterprise,
            format!("with certificate {certificate_code}"),
        ))
    }

    /// A page of enterprises: all for the operator, itself for an enterprise.
    pub fn list_enterprises(
        &self,
        caller: &Caller,
        request: &PageRequest,
    ) -> Result<Page<Enterprise>> {
        match self.scope(caller, None)? {
            Some(id) => Ok(Page {
                items: vec![self.get_enterprise(caller, id)?],
                next_token: String::new(),
            }),
            None => {
                let listing = Listing::of_family(Family::Enterprises, request);
                listing.page(self, |_, stored| decode_value(&stored).map(Some))
            }
        }
    }

    /// A template the caller may use.
    pub fn get_template(&self, caller: &Caller, name: &str) -> Result<Template> {
        caller.require_known()?;
        let stored = self.store().get(Family::Templates, name.as_bytes())?;
        let template: Option<Template> = stored.map(|stored| decode_value(&stored)).transpose()?;
        template
            .filter(|template| {
                template
                    .enterprise
                    .is_none_or(|id| caller.owns(EnterpriseId(id)))
            })
            .ok_or_else(|| Error::not_found(Object::Template, name))
    }

    /// A page of the templates the caller may use.
    pub fn list_templates(&self, caller: &Caller, request: &PageRequest) -> Result<Page<Template>> {
        caller.require_known()?;
        let listing = Listing::of_family(Family::Templates, request);
        listing.page(self, |_, stored| {
            let template: Template = decode_value(&stored)?;
            let usable = template
                .enterprise
                .is_none_or(|id| caller.owns(EnterpriseId(id)));
            Ok(usable.then_some(template))
        })
    }

    /// A page of an enterprise's API keys.
    pub fn list_credentials(
        &self,
        caller: &Caller,
        enterprise: Option<EnterpriseId>,
        request: &PageRequest,
    ) -> Result<Page<Credential>> {
        let credential = |id: &[u8]| -> Result<Option<Credential>> {
            self.store()
                .get(Family::Credentials, id)?
                .map(|stored| decode_value(&stored))
                .transpose()
        };
        match self.scope(caller, enterprise)? {
            Some(id) => Listing::of_enterprise(Family::CredentialsByEnterprise, id, request)
                .page(self, |key, _| credential(key.get(8..).unwrap_or_default())),
            None => {
                let listing = Listing::of_family(Family::Credentials, request);
                listing.page(self, |_, stored| decode_value(&stored).map(Some))
            }
        }
    }

    /// Whose things a listing covers: one enterprise's, or with `None` everybody's.
    fn scope(&self, caller: &Caller, asked: Option<EnterpriseId>) -> Result<Option<EnterpriseId>> {
        match (caller, asked) {
            (Caller::Stranger, _) => caller.require_known().map(|()| None),
            (Caller::Operator { .. }, asked) => Ok(asked),
            (Caller::Enterprise { id, .. }, None) => Ok(Some(*id)),
            (Caller::Enterprise { .. }, Some(asked)) => {
                caller.require_owner(asked, || format!("enterprise {asked}"))?;
                Ok(Some(asked))
            }
            (Caller::Administrator(_), _) => caller.require_operator("this listing").map(|()| None),
        }
    }
}
