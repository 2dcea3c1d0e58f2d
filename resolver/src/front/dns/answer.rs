//! From a question to what is answered. Everything that memory knows is answered at once;
//! what needs the disk is told apart as a [`Deferred`].

use super::super::Core;
use super::dnssec::{Dnssec, SoaSignatures};
use super::edns::ClientEdns;
use super::existence::Below;
use super::records::{Found, URI, any_record};
use super::referral::{Service, cut_labels, ds_records, prefix_heading, text_of, to_name_servers};
use super::reply::{ErrorCode, ExtendedError, Keep, Reply};
use super::zone::{Zone, ZoneSet};
use crate::resolve::{Answer, Filter, Missing, Query, Resolved, Resolver};
use hickory_proto::rr::{Name, Record, RecordType};
use idnode_proto::dnsname::{HASH_BYTES, NameError, Subject, ZoneKind};
use idnode_proto::handle::site::Site;
use idnode_proto::identifier::{Identifier, Prefix, Scheme};
use idnode_registry::prefix_table::PrefixEntry;
use idnode_registry::{Caller, Error, HashedName};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The types that a name may have beside those of apexes and cuts.
const DATA_TYPES: [RecordType; 5] = [
    RecordType::A,
    RecordType::TXT,
    RecordType::AAAA,
    RecordType::NAPTR,
    URI,
];

/// A question for one name and type, in class IN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// In lower case. Answers repeat the spelling of the question all the same: their names
    /// point to it.
    pub(super) name: Name,
    pub(super) qtype: RecordType,
}

/// What is found at once, or what must be waited for.
#[derive(Debug)]
pub(super) enum Step {
    Done(Reply),
    Wait(Deferred),
}

/// What needs the disk.
#[derive(Debug)]
pub(super) enum Deferred {
    /// The identifier of a name in clear.
    Record(Identifier),
    /// The identifier or prefix of a hashed name.
    Hash(Subject, [u8; HASH_BYTES]),
    /// Whether a name that stands for nothing is below this hashed prefix's cut.
    Cut(Subject, Option<ExtendedError>),
    /// Whether there are names below one that has no records.
    Existence(Below, Option<ExtendedError>),
}

/// Answers questions from the core.
#[derive(Debug)]
pub(super) struct Responder {
    core: Arc<Core>,
    zones: Arc<ZoneSet>,
    nobody: Caller,
    everything: Filter,
}

impl Responder {
    pub(super) fn new(core: Arc<Core>, zones: Arc<ZoneSet>) -> Self {
        Self {
            core,
            zones,
            nobody: Caller::Stranger,
            everything: Filter::default(),
        }
    }

    /// The core that answers come from.
    pub(super) fn resolver(&self) -> &Resolver {
        &self.core.resolver
    }

    /// The log sequence whose lower half is the zones' serial.
    pub(super) fn serial(&self) -> u32 {
        self.core.registry.applied() as u32
    }

    /// A reply as a client is to have it: signed, if it wants that and the zone is signed.
    pub(super) fn signed(
        &self,
        question: &Question,
        client: Option<&ClientEdns>,
        reply: Reply,
    ) -> Reply {
        match self.zones.answering(&question.name, question.qtype) {
            Some(zone) => self.core.dnssec.sign(zone, question, client, reply),
            None => reply,
        }
    }

    /// The signatures over a zone's SOA record as it is now.
    pub(super) fn soa_signatures(&self, kind: ZoneKind) -> Option<Arc<SoaSignatures>> {
        let sequence = self.core.registry.applied();
        let zone = self.zones.of_kind(kind)?;
        let soa = || self.zones.soa_record(zone, zone.apex(), sequence, false);
        self.core.dnssec.soa_signatures(kind, sequence as u32, soa)
    }

    /// The keys of signed zones.
    pub(super) fn dnssec(&self) -> &Dnssec {
        &self.core.dnssec
    }

    /// The zone that a question is for.
    pub(super) fn zone_of(&self, question: &Question) -> Option<ZoneKind> {
        let zone = self.zones.answering(&question.name, question.qtype)?;
        Some(zone.kind)
    }

    /// The answer as far as memory knows it. Never waits.
    pub(super) fn try_answer(&self, question: &Question) -> Step {
        let Some(zone) = self.zones.answering(&question.name, question.qtype) else {
            let text = "the name is in none of this node's zones";
            return Step::Done(Reply::refused(ErrorCode::NotAuthoritative, text));
        };
        At::new(self, question, zone).begin()
    }

    /// Goes on with what memory did not know.
    pub(super) async fn finish(&self, question: &Question, first: Deferred) -> Reply {
        let Some(zone) = self.zones.answering(&question.name, question.qtype) else {
            return Reply::failed("the zone is gone");
        };
        let at = At::new(self, question, zone);
        let mut next = first;
        // A hash leads to a record, a missing record to a look below it: no more than that.
        loop {
            match at.go_on(next).await {
                Ok(Step::Done(reply)) => return reply,
                Ok(Step::Wait(deferred)) => next = deferred,
                Err(error) => return storage_failed(&error),
            }
        }
    }
}

/// A question at its zone.
struct At<'a> {
    responder: &'a Responder,
    question: &'a Question,
    zone: &'a Zone,
    /// The keys of signed zones before anything is looked up.
    generation: u64,
}

impl<'a> At<'a> {
    fn new(responder: &'a Responder, question: &'a Question, zone: &'a Zone) -> Self {
        Self {
            responder,
            question,
            zone,
            generation: responder.core.dnssec.generation(),
        }
    }

    fn begin(&self) -> Step {
        // Before anything is looked up: what changes meanwhile makes it old.
        let basis = self.responder.core.resolver.basis_now();
        let mut step = self.look_up();
        if let Step::Done(reply) = &mut step
            && reply.keep == Keep::Unsaid
        {
            reply.keep = Keep::While(basis, self.generation);
        }
        step
    }

    fn look_up(&self) -> Step {
        let name = &self.question.name;
        let zones = &self.responder.zones;
        if self.zone.is_apex(name) {
            return Step::Done(self.at_apex());
        }
        if zones.is_host(name) {
            return Step::Done(self.with_records(|qtype| zones.address_records(name, qtype)));
        }
        match self.responder.core.zones.parse_name(name.iter()) {
            Ok(subject) => self.at_subject(subject),
            Err(error) => self.at_no_subject(&error),
        }
    }

    async fn go_on(&self, deferred: Deferred) -> Result<Step, Error> {
        let registry = &self.responder.core.registry;
        match deferred {
            Deferred::Record(identifier) => {
                let answer = self
                    .responder
                    .core
                    .resolver
                    .resolve(&self.query(&identifier))
                    .await?;
                Ok(self.at_answer(&identifier, answer, false))
            }
            Deferred::Hash(subject, hash) => {
                if let Some(entry) = self.delegated_by_hash(&subject).await? {
                    return Ok(Step::Done(self.referral(&entry, &subject)));
                }
                let registry = registry.clone();
                let found = blocking(move || registry.hashed_name(&hash)).await?;
                let identifier = match found {
                    Some(HashedName::Identifier(found)) if subject.is_name_of(&found) => found,
                    Some(HashedName::Prefix(found)) if subject.is_name_of_prefix(&found) => {
                        return Ok(self.at_prefix(&found));
                    }
                    _ => return Ok(Step::Done(self.no_name(None))),
                };
                let answer = self
                    .responder
                    .core
                    .resolver
                    .resolve(&self.query(&identifier))
                    .await?;
                Ok(self.at_answer(&identifier, answer, true))
            }
            Deferred::Cut(above, error) => {
                let entry = self.delegated_by_hash(&above).await?;
                let entry = entry.filter(|entry| has_name_servers(entry));
                Ok(Step::Done(match entry {
                    Some(entry) => self.referral(&entry, &above),
                    None => self.no_name(error),
                }))
            }
            Deferred::Existence(below, error) => {
                let registry = registry.clone();
                let exists = blocking(move || below.exists(&registry)).await?;
                Ok(Step::Done(if exists {
                    self.no_data()
                } else {
                    self.no_name(error)
                }))
            }
        }
    }

    fn at_apex(&self) -> Reply {
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

    fn at_subject(&self, subject: Subject) -> Step {
        match subject {
            Subject::Apex(_) => Step::Done(self.at_apex()),
            Subject::SchemeRoot(_) => Step::Done(self.no_data()),
            Subject::EmptyNonTerminal(_) => {
                Step::Done(self.referral_above().unwrap_or_else(|| self.no_data()))
            }
            Subject::Identifier(identifier) => self.at_identifier(identifier),
            Subject::Prefix(prefix) => self.at_prefix(&prefix),
            Subject::HashedIdentifier {
                hash, ref prefix, ..
            } => {
                let governing = prefix.as_ref().map(|prefix| self.governing(prefix));
                match governing {
                    Some(None) => Step::Done(self.no_name(None)),
                    Some(Some(entry)) if !entry.record.is_active() => {
                        Step::Done(self.no_name(Some(not_active(&entry))))
                    }
                    Some(Some(entry)) if entry.record.delegation.is_some() => {
                        Step::Done(self.referral(&entry, &subject))
                    }
                    _ => Step::Wait(Deferred::Hash(subject, hash)),
                }
            }
            Subject::HashedPrefix { hash, .. } => Step::Wait(Deferred::Hash(subject, hash)),
        }
    }

    /// A name that stands for nothing: below a cut, it is still another's.
    fn at_no_subject(&self, error: &NameError) -> Step {
        if let Some(referral) = self.referral_above() {
            return Step::Done(referral);
        }
        if self
            .responder
            .zones
            .has_own_names_below(&self.question.name)
        {
            return Step::Done(self.no_data());
        }
        let error = Some(ExtendedError::new(ErrorCode::Other, error.to_string()));
        match self.subject_above().and_then(|above| above.hashed_prefix()) {
            Some(above) => Step::Wait(Deferred::Cut(above, error)),
            None => Step::Done(self.no_name(error)),
        }
    }

    /// What the closest name above that stands for something stands for.
    fn subject_above(&self) -> Option<Subject> {
        let name = &self.question.name;
        (1..self.zone.labels_before(name)).find_map(|labels| {
            self.responder
                .core
                .zones
                .parse_name(name.iter().skip(labels))
                .ok()
        })
    }

    /// The active, delegated prefix whose hash is in a name. Asks the disk for the hash.
    async fn delegated_by_hash(
        &self,
        subject: &Subject,
    ) -> Result<Option<Arc<PrefixEntry>>, Error> {
        let Some(above) = subject.hashed_prefix() else {
            return Ok(None);
        };
        let Subject::HashedPrefix { hash, .. } = above else {
            return Ok(None);
        };
        let registry = self.responder.core.registry.clone();
        let found = blocking(move || registry.hashed_name(&hash)).await?;
        let Some(HashedName::Prefix(prefix)) = found else {
            return Ok(None);
        };
        let entry = self
            .governing(&prefix)
            .filter(|_| above.is_name_of_prefix(&prefix));
        Ok(entry.filter(|entry| entry.record.is_active() && entry.record.delegation.is_some()))
    }

    /// The referral of the closest name above that stands for something, if it is cut off.
    fn referral_above(&self) -> Option<Reply> {
        let above = self.subject_above()?;
        let entry = match &above {
            Subject::Identifier(identifier) => self
                .responder
                .core
                .registry
                .prefixes()
                .governing(identifier),
            Subject::Prefix(prefix)
            | Subject::HashedIdentifier {
                prefix: Some(prefix),
                ..
            } => self.governing(prefix),
            _ => None,
        }?;
        Some(entry)
            .filter(|entry| has_name_servers(entry))
            .map(|entry| self.referral(&entry, &above))
    }

    fn at_identifier(&self, identifier: Identifier) -> Step {
        let resolver = &self.responder.core.resolver;
        match resolver.try_resolve_with_basis(&self.query(&identifier)) {
            Some(Ok((answer, basis))) => {
                let changes = matches!(&answer, Answer::Found(found) if found.has_absolute_ttl());
                let mut step = self.at_answer(&identifier, answer, false);
                if let Step::Done(reply) = &mut step {
                    reply.keep = if changes {
                        Keep::Never
                    } else {
                        Keep::While(basis, self.generation)
                    };
                }
                step
            }
            Some(Err(error)) => Step::Done(storage_failed(&error)),
            None => Step::Wait(Deferred::Record(identifier)),
        }
    }

    fn at_answer(&self, identifier: &Identifier, answer: Answer, hashed: bool) -> Step {
        match answer {
            Answer::Found(resolved) => Step::Done(self.at_found(identifier, &resolved, hashed)),
            Answer::Referral(entry) => {
                Step::Done(self.referral(&entry, &Subject::Identifier(identifier.clone())))
            }
            Answer::Missing(missing) => self.at_missing(identifier, &missing),
        }
    }

    fn at_found(&self, identifier: &Identifier, resolved: &Resolved, hashed: bool) -> Reply {
        let spelling = resolved.spelling(identifier);
        let found = Found {
            owner: &self.question.name,
            zone: self.zone.kind,
            identifier,
            spelling: &spelling,
            now_s: now_s(),
            default_ttl_s: self.responder.zones.default_ttl_s(),
        };
        let query = self.query(identifier);
        let mut reply = self.with_records(|qtype| found.records(qtype, resolved.values(&query)));
        if hashed && self.question.qtype != RecordType::TXT {
            reply.additionals.push(found.naming_record());
        }
        reply
    }

    fn at_missing(&self, identifier: &Identifier, missing: &Missing) -> Step {
        let registry = &self.responder.core.registry;
        if let Some(entry) = self.own_prefix(identifier)
            && let Ok(prefix) = entry.record.prefix()
        {
            return Step::Done(self.about_prefix(&entry, &prefix));
        }
        let error = match missing {
            Missing::Deleted { reason, .. } if reason.is_empty() => Some("deleted".to_owned()),
            Missing::Deleted { reason, .. } => Some(format!("deleted: {reason}")),
            Missing::PrefixNotActive(state) => Some(format!("the prefix is {}", state.label())),
            Missing::Identifier | Missing::Prefix => None,
        };
        let error = error.map(|text| ExtendedError::new(ErrorCode::Other, text));
        match Below::identifier(identifier, registry) {
            Some(below) => Step::Wait(Deferred::Existence(below, error)),
            None => Step::Done(self.no_name(error)),
        }
    }

    /// The active prefix whose name an identifier shares: an OID's arc, a DID's sub-chain.
    fn own_prefix(&self, identifier: &Identifier) -> Option<Arc<PrefixEntry>> {
        let key = identifier.key().strip_suffix(&[0])?;
        let entry = self.responder.core.registry.prefixes().get(key)?;
        entry.record.is_active().then_some(entry)
    }

    fn at_prefix(&self, prefix: &Prefix) -> Step {
        // A DID may be registered under the text of its sub-chain; what 0.NA says of a handle
        // prefix is made here from the same table.
        if prefix.scheme() == Scheme::Did
            && let Some(identifier) = prefix.prefix_identifier()
        {
            return self.at_identifier(identifier);
        }
        match self.governing(prefix) {
            Some(entry) if entry.record.key == prefix.key() => {
                if entry.record.is_active() {
                    return Step::Done(self.about_prefix(&entry, prefix));
                }
                self.absent_prefix(prefix, Some(not_active(&entry)))
            }
            Some(entry) if entry.record.is_active() && entry.record.delegation.is_some() => {
                Step::Done(self.referral(&entry, &Subject::Prefix(prefix.clone())))
            }
            _ => self.absent_prefix(prefix, None),
        }
    }

    fn absent_prefix(&self, prefix: &Prefix, error: Option<ExtendedError>) -> Step {
        if self.zone.kind == ZoneKind::Ons {
            let below = Below::digits(prefix, &self.responder.core.registry);
            return Step::Wait(Deferred::Existence(below, error));
        }
        Step::Done(self.no_name(error))
    }

    /// What a registered, active prefix's own name answers.
    fn about_prefix(&self, entry: &PrefixEntry, prefix: &Prefix) -> Reply {
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
    fn referral(&self, entry: &PrefixEntry, subject: &Subject) -> Reply {
        let (Some(delegation), Ok(prefix)) = (&entry.record.delegation, entry.record.prefix())
        else {
            return Reply::failed("the delegation cannot be read");
        };
        let labels = cut_labels(self.zone.kind, &prefix);
        let cut = self.zone.ancestor(&self.question.name, labels);
        let ttl_s = self.responder.zones.default_ttl_s();
        let Some(referral) = to_name_servers(&cut, delegation, ttl_s) else {
            let sites: Vec<Site> = delegation.decoded_sites().collect();
            return self.about_service(entry, &prefix, &sites, subject);
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

    /// The registered prefix that decides about a prefix: itself, or one above that is
    /// delegated or, where prefixes own what is below them, any.
    fn governing(&self, prefix: &Prefix) -> Option<Arc<PrefixEntry>> {
        let prefixes = self.responder.core.registry.prefixes();
        let mut candidates = std::iter::successors(Some(prefix.clone()), Prefix::parent);
        candidates.find_map(|candidate| {
            let entry = prefixes.get(candidate.key())?;
            let governs = candidate == *prefix
                || matches!(prefix.scheme(), Scheme::Oid | Scheme::Gs1)
                || entry.record.delegation.is_some();
            governs.then_some(entry)
        })
    }

    fn query<'q>(&'q self, identifier: &'q Identifier) -> Query<'q> {
        Query {
            identifier,
            filter: &self.responder.everything,
            caller: &self.responder.nobody,
            public_only: true,
        }
    }

    /// The answer at a name that exists: its records of the type asked for, or that there are
    /// none; for any type one record (RFC 8482).
    fn with_records(&self, records: impl Fn(RecordType) -> Vec<Record>) -> Reply {
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
            let types = DATA_TYPES.into_iter();
            reply.types = types.filter(|qtype| !records(*qtype).is_empty()).collect();
        }
        reply
    }

    fn no_data(&self) -> Reply {
        Reply::no_data(self.soa(true))
    }

    fn no_name(&self, error: Option<ExtendedError>) -> Reply {
        Reply::no_name(self.soa(true), error)
    }

    fn soa(&self, negative: bool) -> Record {
        let applied = self.responder.core.registry.applied();
        self.responder
            .zones
            .soa_record(self.zone, &self.question.name, applied, negative)
    }
}

/// Whether the names below a prefix are cut off.
fn has_name_servers(entry: &PrefixEntry) -> bool {
    let delegation = entry.record.delegation.as_ref();
    entry.record.is_active() && delegation.is_some_and(|to| !to.name_servers.is_empty())
}

fn not_active(entry: &PrefixEntry) -> ExtendedError {
    let text = format!("the prefix is {}", entry.record.state().label());
    ExtendedError::new(ErrorCode::Other, text)
}

fn storage_failed(error: &Error) -> Reply {
    tracing::warn!(%error, "a DNS query could not be answered");
    Reply::failed("the registry cannot be read")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| Err(Error::Storage(error.to_string())))
}

/// Seconds since the Unix epoch.
fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::super::DnsOptions;
    use super::super::reply::Outcome;
    use super::super::tests::harness::{HANDLE, Node};
    use super::*;

    fn question(name: &str) -> Question {
        Question {
            name: Name::from_ascii(name).unwrap(),
            qtype: RecordType::TXT,
        }
    }

    /// What comes from the disk is answered as what comes from memory.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn memory_and_disk_agree() {
        let node = Node::start().await;
        let zones = ZoneSet::new(&node.core.zones, &DnsOptions::default(), &[]).unwrap();
        let responder = Responder::new(node.core.clone(), Arc::new(zones));
        for (text, outcome) in [
            (HANDLE, Outcome::Answered),
            ("88.118.8/gone", Outcome::NoName),
            ("88.118.8/nothing", Outcome::NoName),
        ] {
            let question = question(&node.name(text));
            let Step::Done(mut from_memory) = responder.try_answer(&question) else {
                panic!("{text}")
            };
            assert!(matches!(from_memory.keep, Keep::While(..)));
            from_memory.keep = Keep::Unsaid;
            let deferred = Deferred::Record(Identifier::parse(text).unwrap());
            let from_disk = responder.finish(&question, deferred).await;
            assert_eq!(from_memory, from_disk);
            assert_eq!(from_memory.outcome, outcome, "{text}");
        }
        // A name above others needs a look into the store, which is never done at once.
        let above = question("5.3001.156.2.1.oid.id.example.cn.");
        let Step::Wait(deferred) = responder.try_answer(&above) else {
            panic!("answered at once")
        };
        assert_eq!(
            responder.finish(&above, deferred).await.outcome,
            Outcome::NoData
        );
        node.stop().await;
    }
}
