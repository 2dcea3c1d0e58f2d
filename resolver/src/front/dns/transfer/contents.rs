//! What a zone has at the names of one identifier or prefix: the records that the node answers
//! there, made by the same code.
//!
//! | thing | names |
//! |---|---|
//! | identifier | its name in the zone; of an OID arc or DID sub-chain also what the prefix of that name says |
//! | prefix of another scheme | its own name; in the ONS zone its digits below each key |
//! | delegated with name servers | the cut: NS, and glue below it; nothing else below |
//! | delegated with sites only | its own name, and `*.` before it for all names below |

use super::super::names::{self, to_dns};
use super::super::records::{Found, ZONE_TYPES};
use super::super::referral::{Service, cut_labels, prefix_heading, text_of, to_name_servers};
use super::super::zone::{Zone, ZoneSet};
use super::chain::Chain;
use crate::front::Core;
use crate::resolve::{Filter, Query, Resolved};
use hickory_proto::rr::{Name, Record, RecordType};
use idnode_proto::dnsname::{MappedName, Subject, ZoneKind};
use idnode_proto::handle::site::Site;
use idnode_proto::identifier::{Identifier, Prefix, Scheme};
use idnode_registry::prefix::PrefixRecord;
use idnode_registry::record::Record as Stored;
use idnode_registry::{Caller, Error, Result};
use std::sync::Arc;

/// Values with an absolute TTL are sent with the TTL they have when it is over, 0: how long a
/// secondary goes on answering with what it got is not known here.
const END_OF_TIME_S: u64 = u64::MAX;

/// One zone's contents.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    core: &'a Core,
    zones: &'a ZoneSet,
    zone: &'a Zone,
    own_site: Vec<Site>,
    nobody: Caller,
    everything: Filter,
}

/// A thing that has names, at some moment.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    /// The identifier, or the prefix's key where that has names of its own.
    pub(super) subject: Named,
    /// The identifier's record; `None`: it is not live.
    pub(super) record: Option<Arc<Stored>>,
    pub(super) chain: Chain,
}

/// Whose names.
#[derive(Debug, Clone)]
pub(super) enum Named {
    Identifier(Identifier),
    Prefix(Prefix),
}

impl Named {
    /// Whose names the names of a prefix are: those of OID arcs and DID sub-chains are the
    /// names of identifiers.
    pub(super) fn of_prefix(key: &[u8]) -> Result<Self> {
        let prefix = Prefix::from_key(key).map_err(|error| Error::Storage(error.to_string()))?;
        Ok(match prefix.scheme() {
            Scheme::Oid | Scheme::Did => match prefix.prefix_identifier() {
                Some(identifier) => Self::Identifier(identifier),
                None => Self::Prefix(prefix),
            },
            _ => Self::Prefix(prefix),
        })
    }
}

impl<'a> Contents<'a> {
    pub(super) fn new(core: &'a Core, zones: &'a ZoneSet, zone: &'a Zone) -> Self {
        Self {
            core,
            zones,
            zone,
            own_site: Site::decode(core.resolver.own_site()).into_iter().collect(),
            nobody: Caller::Stranger,
            everything: Filter::default(),
        }
    }

    /// The keys of identifiers and prefixes that have names in this zone.
    pub(super) fn keys(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let of = |scheme: Scheme| (vec![scheme as u8], Some(vec![scheme as u8 + 1]));
        match self.zone.kind {
            ZoneKind::Node => (Vec::new(), None),
            ZoneKind::Ors => of(Scheme::Oid),
            ZoneKind::Ons => of(Scheme::Gs1),
        }
    }

    /// The zone's SOA record at a place in the log.
    pub(super) fn soa(&self, sequence: u64) -> Record {
        let apex = self.zone.apex();
        self.zones.soa_record(self.zone, apex, sequence, false)
    }

    /// The apex without its SOA record, and the hosts of the zone.
    pub(super) fn apex(&self) -> Vec<Record> {
        let (mut records, _) = self.zones.ns_records(self.zone, self.zone.apex());
        for host in self.zones.hosts_in(self.zone) {
            for qtype in [RecordType::A, RecordType::AAAA] {
                records.extend(self.zones.address_records(host, qtype));
            }
        }
        records
    }

    /// The records at a thing's names.
    pub(super) fn of(&self, thing: &Thing, out: &mut Vec<Record>) {
        match &thing.subject {
            Named::Identifier(identifier) => self.of_identifier(identifier, thing, out),
            Named::Prefix(prefix) => self.of_prefix(prefix, thing, out),
        }
    }

    fn of_identifier(&self, identifier: &Identifier, thing: &Thing, out: &mut Vec<Record>) {
        // What describes a handle prefix has its name, and is made from it.
        if identifier.prefix_handle().is_some() {
            return;
        }
        let mapped = names::of_identifier(identifier, self.zone.kind, &self.core.zones);
        let Some(at) = mapped.and_then(|mapped| At::new(mapped, self)) else {
            return;
        };
        let own = identifier.key().strip_suffix(&[0]);
        let own = own.and_then(|key| thing.chain.get(key));
        let Some(governing) = thing.chain.governing(identifier) else {
            return;
        };
        let is_own = own.is_some_and(|own| own.key == governing.key);
        if !governing.is_active() || thing.record.is_none() && !is_own {
            return;
        }
        let above = |record: &&Arc<PrefixRecord>| !is_own || record.key != governing.key;
        if self.is_cut_off(&at.name, thing.chain.iter().filter(above)) {
            return;
        }
        if governing.delegation.is_some() {
            let subject = Subject::Identifier(identifier.clone());
            self.delegated(&at, governing, &subject, is_own, out);
        } else if let Some(record) = &thing.record {
            self.found(&at, identifier, record, governing, out);
        } else if let Ok(prefix) = governing.prefix() {
            self.service(&at.name, governing, &Subject::Prefix(prefix), out);
        }
    }

    /// A prefix whose names are no identifier's.
    fn of_prefix(&self, prefix: &Prefix, thing: &Thing, out: &mut Vec<Record>) {
        let Some(record) = thing.chain.get(prefix.key()) else {
            return;
        };
        if !record.is_active() {
            return;
        }
        for mapped in self.names_of_prefix(prefix) {
            let Some(at) = At::new(mapped, self) else {
                continue;
            };
            let above = thing.chain.iter().filter(|above| above.key != record.key);
            if self.is_cut_off(&at.name, above) {
                continue;
            }
            let subject = Subject::Prefix(prefix.clone());
            if record.delegation.is_some() {
                self.delegated(&at, record, &subject, true, out);
            } else if self.is_name_of(&at.name, prefix) {
                self.service(&at.name, record, &subject, out);
            }
        }
    }

    fn names_of_prefix(&self, prefix: &Prefix) -> Vec<MappedName> {
        names::of_prefix(prefix, self.zone.kind, &self.core.zones)
    }

    /// Whether a name is read as this prefix's: twelve digits below `gln` are a GLN.
    fn is_name_of(&self, name: &Name, prefix: &Prefix) -> bool {
        match self.core.zones.parse_name(name.iter()) {
            Ok(subject @ (Subject::Prefix(_) | Subject::HashedPrefix { .. })) => {
                subject.is_name_of_prefix(prefix)
            }
            _ => false,
        }
    }

    /// Whether a name is at or below the cut of one of these prefixes.
    fn is_cut_off<'r>(
        &self,
        name: &Name,
        mut prefixes: impl Iterator<Item = &'r Arc<PrefixRecord>>,
    ) -> bool {
        prefixes.any(|record| has_name_servers(record) && self.is_below_own_name(name, record, 0))
    }

    /// Whether a name is below a prefix's own by so many labels at least.
    fn is_below_own_name(&self, name: &Name, record: &PrefixRecord, labels: usize) -> bool {
        let Ok(prefix) = record.prefix() else {
            return false;
        };
        let names = self.names_of_prefix(&prefix);
        names
            .iter()
            .filter_map(to_dns)
            .any(|own| own.zone_of(name) && name.iter().len() >= own.iter().len() + labels)
    }

    /// A name whose prefix is served elsewhere; `is_own`: it is the prefix's own.
    fn delegated(
        &self,
        at: &At,
        record: &PrefixRecord,
        subject: &Subject,
        is_own: bool,
        out: &mut Vec<Record>,
    ) {
        let (Some(delegation), Ok(prefix)) = (&record.delegation, record.prefix()) else {
            return;
        };
        let cut = self
            .zone
            .ancestor(&at.name, cut_labels(self.zone.kind, &prefix));
        let ttl_s = self.zones.default_ttl_s();
        if let Some(referral) = to_name_servers(&cut, delegation, ttl_s) {
            out.extend(referral.authorities);
            out.extend(referral.delegation_signers);
            // Addresses elsewhere are not this zone's to tell.
            let glue = referral.additionals.into_iter();
            out.extend(glue.filter(|record| cut.zone_of(&record.name)));
            return;
        }
        // All names below a prefix's own are answered alike; those that are not below it, OIDs
        // and GS1 keys with hashed names and GS1 keys in the node's zone, each by itself.
        if !is_own && self.is_below_own_name(&at.name, record, 1) {
            return;
        }
        let has_own_subject = !is_own
            || matches!(subject, Subject::Identifier(_))
            || self.is_name_of(&at.name, &prefix);
        if has_own_subject {
            let subject = self.subject_as_asked(at, subject);
            self.service(&at.name, record, &subject, out);
        }
        if is_own
            && has_own_subject
            && self.has_names_below(at, &prefix)
            && let Ok(wildcard) = Name::from_ascii("*").and_then(|star| star.append_name(&at.name))
        {
            self.service(&wildcard, record, &Subject::Apex(self.zone.kind), out);
        }
    }

    /// The subject an interface is asked about: none behind the hashed label of a prefix.
    fn subject_as_asked(&self, at: &At, subject: &Subject) -> Subject {
        match self.core.zones.parse_name(at.name.iter()) {
            Ok(hashed @ Subject::HashedPrefix { .. }) => hashed,
            _ => subject.clone(),
        }
    }

    /// Whether identifiers have names below that of their prefix.
    fn has_names_below(&self, at: &At, prefix: &Prefix) -> bool {
        match (self.zone.kind, prefix.scheme()) {
            (ZoneKind::Node, Scheme::Gs1) => false,
            (ZoneKind::Node, Scheme::Oid) => !at.hashed,
            _ => true,
        }
    }

    /// What is said about the service behind a name.
    fn service(
        &self,
        owner: &Name,
        record: &PrefixRecord,
        subject: &Subject,
        out: &mut Vec<Record>,
    ) {
        let Ok(prefix) = record.prefix() else {
            return;
        };
        let delegation = record.delegation.as_ref();
        let sites: Option<Vec<Site>> = delegation.map(|to| to.decoded_sites().collect());
        let identifier = text_of(subject);
        let service = Service {
            owner,
            zone: self.zone,
            identifier: identifier.as_deref(),
            sites: sites.as_deref().unwrap_or(&self.own_site),
            ttl_s: self.zones.default_ttl_s(),
        };
        let heading = prefix_heading(&prefix, record);
        for qtype in ZONE_TYPES {
            out.extend(service.records(qtype, &heading));
        }
    }

    fn found(
        &self,
        at: &At,
        identifier: &Identifier,
        record: &Arc<Stored>,
        prefix: &PrefixRecord,
        out: &mut Vec<Record>,
    ) {
        let resolved = Resolved::new(record.clone(), prefix.owner());
        let spelling = resolved.spelling(identifier);
        let found = Found {
            owner: &at.name,
            zone: self.zone.kind,
            identifier,
            spelling: &spelling,
            now_s: END_OF_TIME_S,
            default_ttl_s: self.zones.default_ttl_s(),
            first_tells: false,
        };
        let query = Query {
            identifier,
            filter: &self.everything,
            caller: &self.nobody,
            public_only: true,
        };
        for qtype in ZONE_TYPES {
            out.extend(found.records(qtype, resolved.values(&query)));
        }
    }
}

/// A name in the zone that is not one of the node's hosts.
struct At {
    name: Name,
    hashed: bool,
}

impl At {
    fn new(mapped: MappedName, contents: &Contents<'_>) -> Option<Self> {
        let name = to_dns(&mapped)?;
        let hashed = mapped.is_hashed();
        (!contents.zones.is_host(&name)).then_some(Self { name, hashed })
    }
}

/// Whether the names below a prefix are cut off.
fn has_name_servers(record: &PrefixRecord) -> bool {
    let delegation = record.delegation.as_ref();
    record.is_active() && delegation.is_some_and(|to| !to.name_servers.is_empty())
}
