//! From a question to what is answered. Everything that memory knows is answered at once;
//! what needs the disk is told apart as a [`Deferred`].

use super::super::Core;
use super::dnssec::{Dnssec, SoaSignatures};
use super::edns::ClientEdns;
use super::existence::Below;
use super::lookup::{At, storage_failed};
use super::reply::{ErrorCode, ExtendedError, Reply};
use super::zone::ZoneSet;
use crate::cache::CacheEntry;
use crate::resolve::{Filter, Resolver};
use hickory_proto::rr::{Name, RecordType};
use idnode_proto::dnsname::{HASH_BYTES, Subject, ZoneKind};
use idnode_proto::identifier::Identifier;
use idnode_registry::Caller;
use std::sync::Arc;

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
    /// The same, and what was read about it, for many at once.
    Read(Identifier, Arc<CacheEntry>),
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
    pub(super) core: Arc<Core>,
    pub(super) zones: Arc<ZoneSet>,
    pub(super) nobody: Caller,
    pub(super) everything: Filter,
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

    /// Goes on with what memory did not know. May block on the disk.
    pub(super) fn finish(&self, question: &Question, first: &Deferred) -> Reply {
        let Some(zone) = self.zones.answering(&question.name, question.qtype) else {
            return Reply::failed("the zone is gone");
        };
        let at = At::new(self, question, zone);
        let (mut next, mut later);
        next = first;
        // A hash leads to a record, a missing record to a look below it: no more than that.
        loop {
            match at.go_on(next) {
                Ok(Step::Done(reply)) => return reply,
                Ok(Step::Wait(deferred)) => {
                    later = deferred;
                    next = &later;
                }
                Err(error) => return storage_failed(&error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::super::DnsOptions;
    use super::super::reply::{Keep, Outcome};
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
            let from_disk = responder.finish(&question, &deferred);
            assert_eq!(from_memory, from_disk);
            assert_eq!(from_memory.outcome, outcome, "{text}");
        }
        // A name above others needs a look into the store, which is never done at once.
        let above = question("5.3001.156.2.1.oid.id.example.cn.");
        let Step::Wait(deferred) = responder.try_answer(&above) else {
            panic!("answered at once")
        };
        assert_eq!(responder.finish(&above, &deferred).outcome, Outcome::NoData);
        node.stop().await;
    }
}
