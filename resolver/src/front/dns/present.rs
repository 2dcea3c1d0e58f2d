//! What is said at a name, once it is known what that stands for: records, delegations, denials.

use super::lookup::At;
use super::records::{Found, ZONE_TYPES, any_record};
use super::referral::{Service, cut_labels, ds_records, prefix_heading, text_of, to_name_servers};
use super::reply::{ExtendedError, Keep, Outcome, Reply};
use crate::clock::now_s;
use crate::resolve::Resolved;
use hickory_proto::rr::{Record, RecordType};
use idnode_proto::dnsname::Subject;
use idnode_proto::handle::site::Site;
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_registry::prefix_table::PrefixEntry;

impl At<'_> {
    /// The zone itself.
    pub(super) fn at_apex(&self) -> Reply {
        let (name, zones) = (&self.question.name, &self.responder.zones);
        match self.question.qtype {
            RecordType::NS => {
                let (servers, addresses) = zones.ns_records(self.zone, name);
                let mut reply = Reply::answered(servers);
                reply.additionals = addresses;
                reply
            }
            RecordType::SOA => {
                let mut reply = Reply::answered(vec![self.soa(false)]);
                reply.keep = Keep::Never;
                reply
            }
            _ => self.with_records(|qtype| match qtype {
                RecordType::DNSKEY | RecordType::CDS | RecordType::CDNSKEY => {
                    let dnssec = &self.responder.core.dnssec;
                    dnssec.apex_records(self.zone.kind, name, qtype)
                }
                qtype if zones.is_host(name) => zones.address_records(name, qtype),
                _ => Vec::new(),
            }),
        }
    }

    /// An identifier that is registered. Behind a hash it is named beside other records.
    pub(super) fn at_found(
        &self,
        identifier: &Identifier,
        resolved: &Resolved,
        hashed: bool,
    ) -> Reply {
        let spelling = resolved.spelling(identifier);
        let found = Found {
            owner: &self.question.name,
            zone: self.zone.kind,
            identifier,
            spelling: &spelling,
            now_s: now_s(),
            default_ttl_s: self.responder.zones.default_ttl_s(),
            first_tells: false,
        };
        let query = self.query(identifier);
        let mut reply = self.with_records_of(
            |qtype| found.records(qtype, resolved.values(&query)),
            |qtype| found.has(qtype, resolved.values(&query)),
        );
        if hashed && self.question.qtype != RecordType::TXT {
            reply.additionals.push(found.naming_record());
            let is_answered = reply.outcome == Outcome::Answered;
            if is_answered && self.responder.core.dnssec.is_signed(self.zone.kind) {
                reply.whole_sets = found.records(RecordType::TXT, resolved.values(&query));
            }
        }
        reply
    }

    /// What a registered, active prefix's own name answers.
    pub(super) fn about_prefix(&self, entry: &PrefixEntry, prefix: &Prefix) -> Reply {
        if entry.record.delegation.is_some() {
            return self.referral(entry, &Subject::Prefix(prefix.clone()));
        }
        let own_site: Vec<Site> = Site::decode(self.responder.core.resolver.own_site())
            .into_iter()
            .collect();
        self.about_service(entry, prefix, &own_site, &Subject::Prefix(prefix.clone()))
    }

    fn about_service(
        &self,
        entry: &PrefixEntry,
        prefix: &Prefix,
        sites: &[Site],
        subject: &Subject,
    ) -> Reply {
        let identifier = text_of(subject);
        let service = Service {
            owner: &self.question.name,
            zone: self.zone,
            identifier: identifier.as_deref(),
            sites,
            ttl_s: self.responder.zones.default_ttl_s(),
        };
        let heading = prefix_heading(prefix, &entry.record);
        self.with_records(|qtype| service.records(qtype, &heading))
    }

    /// Where to ask about a name whose prefix is served elsewhere.
    pub(super) fn referral(&self, entry: &PrefixEntry, subject: &Subject) -> Reply {
        let (Some(delegation), Ok(prefix)) = (&entry.record.delegation, entry.record.prefix())
        else {
            return Reply::failed("the delegation cannot be read");
        };
        let labels = cut_labels(self.zone.kind, &prefix);
        let cut = self.zone.ancestor(&self.question.name, labels);
        let ttl_s = self.responder.zones.default_ttl_s();
        let Some(referral) = to_name_servers(&cut, delegation, ttl_s) else {
            let sites: Vec<Site> = delegation.decoded_sites().collect();
            let mut reply = self.about_service(entry, &prefix, &sites, subject);
            if reply.outcome == Outcome::Answered {
                reply.outcome = Outcome::Served;
            }
            return reply;
        };
        // DS records belong to this side of the cut (RFC 4035 §3.1.4.1).
        let is_cut = self.zone.labels_before(&self.question.name) <= labels;
        if !is_cut || self.question.qtype != RecordType::DS {
            return referral;
        }
        if referral.delegation_signers.is_empty() {
            let mut reply = self.no_data();
            reply.types.push(RecordType::NS);
            return reply;
        }
        Reply::answered(ds_records(&cut, delegation, ttl_s))
    }

    /// The answer at a name that exists: its records of the type asked for, or that there are
    /// none; for any type one record (RFC 8482).
    pub(super) fn with_records(&self, records: impl Fn(RecordType) -> Vec<Record>) -> Reply {
        self.with_records_of(&records, |qtype| !records(qtype).is_empty())
    }

    /// The same where it costs less to tell whether there are any records of a type.
    fn with_records_of(
        &self,
        records: impl Fn(RecordType) -> Vec<Record>,
        has: impl Fn(RecordType) -> bool,
    ) -> Reply {
        if self.question.qtype == RecordType::ANY {
            let ttl_s = self.responder.zones.default_ttl_s();
            return Reply::answered(vec![any_record(&self.question.name, ttl_s)]);
        }
        let found = records(self.question.qtype);
        if !found.is_empty() {
            return Reply::answered(found);
        }
        let mut reply = self.no_data();
        if self.responder.core.dnssec.is_signed(self.zone.kind) {
            let types = ZONE_TYPES.into_iter();
            reply.types = types.filter(|qtype| has(*qtype)).collect();
        }
        reply
    }

    /// The name exists, without records of this type.
    pub(super) fn no_data(&self) -> Reply {
        Reply::no_data(self.soa(true))
    }

    /// The name does not exist.
    pub(super) fn no_name(&self, error: Option<ExtendedError>) -> Reply {
        Reply::no_name(self.soa(true), error)
    }

    fn soa(&self, negative: bool) -> Record {
        let applied = self.responder.core.registry.applied();
        self.responder
            .zones
            .soa_record(self.zone, &self.question.name, applied, negative)
    }
}
