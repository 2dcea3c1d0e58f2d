//! What a reply of a signed zone shows: signatures (RFC 4035 §3.1), compact denial of existence
//! (RFC 9824), and at cuts whether what is below is signed.

use super::super::answer::Question;
use super::super::edns::ClientEdns;
use super::super::reply::{Outcome, Reply, record_bound};
use super::super::zone::Zone;
use super::rdata::{NXNAME, canonical_name, nsec, opaque};
use super::rrset::RrsetError;
use super::{Dnssec, ZoneKeys, now_s};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, Record, RecordType};
use std::sync::Arc;

/// What every apex of a signed zone has.
const APEX_TYPES: [RecordType; 5] = [
    RecordType::NS,
    RecordType::SOA,
    RecordType::DNSKEY,
    RecordType::CDS,
    RecordType::CDNSKEY,
];

/// Most bytes of records beside those that were asked for, before signatures.
const MAX_ADDITIONAL_BYTES: usize = 4_096;
/// Most bytes of an answer that has such records beside it, so that a message holds both.
const MAX_ACCOMPANIED_BYTES: usize = 50_000;

/// A reply under way.
struct Signing<'a> {
    dnssec: &'a Dnssec,
    keys: Arc<ZoneKeys>,
    zone: &'a Zone,
    question: &'a Question,
    now_s: u64,
    /// Until when the signatures are to be used.
    until_s: u64,
}

impl Dnssec {
    /// A reply as the client is to have it: with signatures if it wants them (DO) and the zone is
    /// signed. Never waits.
    pub(in super::super) fn sign(
        &self,
        zone: &Zone,
        question: &Question,
        client: Option<&ClientEdns>,
        reply: Reply,
    ) -> Reply {
        let wants = client.is_some_and(|client| client.dnssec_ok);
        let of_dnssec = matches!(question.qtype, RecordType::NSEC | RecordType::RRSIG);
        if !wants && !of_dnssec {
            return reply;
        }
        let Some(keys) = self.signing(zone.kind) else {
            return reply;
        };
        let mut signing = Signing {
            dnssec: self,
            keys,
            zone,
            question,
            now_s: now_s(),
            until_s: u64::MAX,
        };
        let compact = client.is_some_and(|client| client.compact_ok);
        let signed = match reply.outcome {
            Outcome::Answered | Outcome::Served if wants => signing.answer(reply),
            Outcome::NoData | Outcome::NoName if of_dnssec => signing.own_types(reply, wants),
            Outcome::NoData | Outcome::NoName if wants => signing.denial(reply, compact),
            Outcome::Referred if wants => signing.referral(reply),
            _ => Ok(reply),
        };
        match signed {
            Ok(mut reply) => {
                reply.until_s = reply.until_s.min(signing.until_s);
                reply
            }
            Err(error) => {
                tracing::warn!(%error, "a DNS answer could not be signed");
                Reply::failed("the answer could not be signed")
            }
        }
    }
}

impl Signing<'_> {
    /// Appends the signatures over a set, whose TTL in the zone may be another than here.
    fn append(
        &mut self,
        set: &[Record],
        zone_ttl_s: Option<u32>,
        out: &mut Vec<Record>,
    ) -> Result<(), RrsetError> {
        let Some(first) = set.first() else {
            return Ok(());
        };
        let ttl_s = zone_ttl_s.unwrap_or(first.ttl);
        let signed = self.dnssec.sign_set(&self.keys, set, ttl_s, self.now_s)?;
        self.until_s = self.until_s.min(signed.until_s);
        out.extend(signed.records(&first.name, first.ttl));
        Ok(())
    }

    /// Records of the zone. Beside them whole sets alone, if they are small: part of a set cannot
    /// be signed.
    fn answer(&mut self, mut reply: Reply) -> Result<Reply, RrsetError> {
        self.append_signatures(&mut reply.answers)?;
        reply.additionals = std::mem::take(&mut reply.whole_sets);
        let bytes = |records: &[Record]| records.iter().map(record_bound).sum::<usize>();
        if bytes(&reply.additionals) > MAX_ADDITIONAL_BYTES
            || bytes(&reply.answers) > MAX_ACCOMPANIED_BYTES
        {
            reply.additionals.clear();
        }
        self.append_signatures(&mut reply.additionals)?;
        Ok(reply)
    }

    /// Appends to sets, one after another, the signatures over each.
    fn append_signatures(&mut self, sets: &mut Vec<Record>) -> Result<(), RrsetError> {
        let mut signatures = Vec::with_capacity(1);
        for set in sets.chunk_by(|a, b| a.record_type() == b.record_type() && a.name == b.name) {
            self.append(set, None, &mut signatures)?;
        }
        sets.append(&mut signatures);
        Ok(())
    }

    /// There is nothing: SOA, and NSEC of the name itself. A name that does not exist is said to
    /// exist with the type NXNAME alone (RFC 9824 §3.1), so the code is NOERROR but to those who
    /// can tell (§5.1).
    fn denial(&mut self, mut reply: Reply, compact: bool) -> Result<Reply, RrsetError> {
        let mut authorities = std::mem::take(&mut reply.authorities);
        let mut signatures = Vec::with_capacity(1);
        let zone_ttl_s = self.dnssec.options.zone_ttl_s;
        self.append(&authorities, Some(zone_ttl_s), &mut signatures)?;
        authorities.append(&mut signatures);
        let types = self.types(&reply);
        self.append_nsec(&self.question.name, &types, &mut authorities)?;
        reply.authorities = authorities;
        if reply.outcome == Outcome::NoName && !compact {
            reply.rcode = ResponseCode::NoError;
        }
        Ok(reply)
    }

    /// A question for NSEC or RRSIG itself: every name has them here, also one that does not exist.
    /// Of the signatures those over NSEC are shown, which is some (RFC 8482 §4.1).
    fn own_types(&mut self, reply: Reply, wants: bool) -> Result<Reply, RrsetError> {
        let types = self.types(&reply);
        let nsec = self.nsec(&self.question.name, &types);
        let mut answers = Vec::with_capacity(2);
        if wants || self.question.qtype == RecordType::RRSIG {
            self.append(std::slice::from_ref(&nsec), None, &mut answers)?;
        }
        if self.question.qtype == RecordType::NSEC {
            answers.insert(0, nsec);
        }
        Ok(Reply {
            keep: reply.keep,
            // Still what it was to the limit of responses: any name draws such an answer.
            outcome: reply.outcome,
            ..Reply::answered(answers)
        })
    }

    /// At a cut: DS where the zone below is signed, otherwise that there is none (RFC 4035 §3.1.4).
    /// Its NS records and glue are not this zone's to sign.
    fn referral(&mut self, mut reply: Reply) -> Result<Reply, RrsetError> {
        let Some(cut) = reply.authorities.first().map(|record| record.name.clone()) else {
            return Ok(reply);
        };
        let mut authorities = std::mem::take(&mut reply.authorities);
        let ds = std::mem::take(&mut reply.delegation_signers);
        if ds.is_empty() {
            let types = [RecordType::NS, RecordType::RRSIG, RecordType::NSEC];
            self.append_nsec(&cut, &types, &mut authorities)?;
        } else {
            let mut signatures = Vec::with_capacity(1);
            self.append(&ds, None, &mut signatures)?;
            authorities.extend(ds);
            authorities.append(&mut signatures);
        }
        reply.authorities = authorities;
        Ok(reply)
    }

    /// The types at the name, as NSEC shows them.
    fn types(&self, reply: &Reply) -> Vec<RecordType> {
        let mut types = vec![RecordType::RRSIG, RecordType::NSEC];
        if reply.outcome == Outcome::NoName {
            types.push(NXNAME);
            return types;
        }
        types.extend(&reply.types);
        if self.zone.is_apex(&self.question.name) {
            types.extend(APEX_TYPES);
        }
        types
    }

    fn nsec(&self, owner: &Name, types: &[RecordType]) -> Record {
        let options = &self.dnssec.options;
        let ttl_s = options.zone_ttl_s.min(options.negative_ttl_s);
        let data = nsec(&canonical_name(owner), types);
        Record::from_rdata(owner.clone(), ttl_s, opaque(RecordType::NSEC, &data))
    }

    fn append_nsec(
        &mut self,
        owner: &Name,
        types: &[RecordType],
        out: &mut Vec<Record>,
    ) -> Result<(), RrsetError> {
        let nsec = self.nsec(owner, types);
        let mut signatures = Vec::with_capacity(1);
        self.append(std::slice::from_ref(&nsec), None, &mut signatures)?;
        out.push(nsec);
        out.append(&mut signatures);
        Ok(())
    }
}
