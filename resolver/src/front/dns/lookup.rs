//! From a name to what it stands for: from memory at once, from the disk where memory does not
//! know. What is said of it is in [`super::present`].

use super::answer::{Deferred, Question, Responder, Step};
use super::existence::Below;
use super::reply::{ErrorCode, ExtendedError, Keep, Reply};
use super::zone::Zone;
use crate::resolve::{Answer, Missing, Query};
use idnode_proto::dnsname::{NameError, Subject, ZoneKind};
use idnode_proto::identifier::{Identifier, Prefix, Scheme};
use idnode_registry::prefix_table::PrefixEntry;
use idnode_registry::{Error, HashedName};
use std::sync::Arc;

/// A question at its zone.
#[derive(Debug)]
pub(super) struct At<'a> {
    pub(super) responder: &'a Responder,
    pub(super) question: &'a Question,
    pub(super) zone: &'a Zone,
    /// The keys of signed zones before anything is looked up.
    generation: u64,
}

impl<'a> At<'a> {
    pub(super) fn new(responder: &'a Responder, question: &'a Question, zone: &'a Zone) -> Self {
        Self {
            responder,
            question,
            zone,
            generation: responder.core.dnssec.generation(),
        }
    }

    /// What memory knows. Never waits.
    pub(super) fn begin(&self) -> Step {
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

    /// What the disk knows. May block on it.
    pub(super) fn go_on(&self, deferred: &Deferred) -> Result<Step, Error> {
        let core = &self.responder.core;
        match deferred {
            Deferred::Record(identifier) => {
                let answer = core.resolver.registered_blocking(&self.query(identifier))?;
                Ok(self.at_answer(identifier, answer, false))
            }
            Deferred::Read(identifier, entry) => {
                let answer = core.resolver.resolve_read(&self.query(identifier), entry)?;
                Ok(self.at_answer(identifier, answer, false))
            }
            Deferred::Hash(subject, hash) => {
                if let Some(entry) = self.delegated_by_hash(subject)? {
                    return Ok(Step::Done(self.referral(&entry, subject)));
                }
                let identifier = match core.registry.hashed_name(hash)? {
                    Some(HashedName::Identifier(found)) if subject.is_name_of(&found) => found,
                    Some(HashedName::Prefix(found)) if subject.is_name_of_prefix(&found) => {
                        return Ok(self.at_prefix(&found));
                    }
                    _ => return Ok(Step::Done(self.no_name(None))),
                };
                let answer = core
                    .resolver
                    .registered_blocking(&self.query(&identifier))?;
                Ok(self.at_answer(&identifier, answer, true))
            }
            Deferred::Cut(above, error) => {
                let entry = self.delegated_by_hash(above)?;
                let entry = entry.filter(|entry| has_name_servers(entry));
                Ok(Step::Done(match entry {
                    Some(entry) => self.referral(&entry, above),
                    None => self.no_name(error.clone()),
                }))
            }
            Deferred::Existence(below, error) => {
                let exists = below.exists(core, self.zone.kind, &self.question.name)?;
                Ok(Step::Done(if exists {
                    self.no_data()
                } else {
                    self.no_name(error.clone())
                }))
            }
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
    fn delegated_by_hash(&self, subject: &Subject) -> Result<Option<Arc<PrefixEntry>>, Error> {
        let Some(above) = subject.hashed_prefix() else {
            return Ok(None);
        };
        let Subject::HashedPrefix { hash, .. } = above else {
            return Ok(None);
        };
        let found = self.responder.core.registry.hashed_name(&hash)?;
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
        match resolver.try_registered(&self.query(&identifier)) {
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

    fn at_missing(&self, identifier: &Identifier, missing: &Missing) -> Step {
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
        match Below::identifier(identifier) {
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
            return Step::Wait(Deferred::Existence(Below::digits(prefix), error));
        }
        Step::Done(self.no_name(error))
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

    /// What everybody may see of an identifier.
    pub(super) fn query<'q>(&'q self, identifier: &'q Identifier) -> Query<'q> {
        Query {
            identifier,
            filter: &self.responder.everything,
            caller: &self.responder.nobody,
            public_only: true,
        }
    }
}

/// Whether the names below a prefix are cut off.
fn has_name_servers(entry: &PrefixEntry) -> bool {
    let delegation = entry.record.delegation.as_ref();
    entry.record.is_active() && delegation.is_some_and(|to| !to.name_servers.is_empty())
}

/// Why a prefix that is not active is not answered for.
pub(super) fn not_active(entry: &PrefixEntry) -> ExtendedError {
    let text = format!("the prefix is {}", entry.record.state().label());
    ExtendedError::new(ErrorCode::Other, text)
}

/// What is answered where the store cannot be read.
pub(super) fn storage_failed(error: &Error) -> Reply {
    tracing::warn!(%error, "a DNS query could not be answered");
    Reply::failed("the registry cannot be read")
}
