//! From a reply's records to bytes. The records are encoded once, as the tail of a message whose
//! question has a given name; heads, OPT records and size limits are put around it for each
//! client, so that a tail that was kept answers as one that was just made.

use super::edns::{AnswerOptions, ServerEdns};
use super::frame::HEADER_BYTES;
use super::query::Head;
use super::reply::{Outcome, Reply};
use hickory_proto::ProtoError;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

/// AA and TC in an answer's third byte.
const AUTHORITATIVE: u8 = 0x04;
const TRUNCATED: u8 = 0x02;
/// Bytes of a SOA record's data from the serial on (RFC 1035 §3.3.13).
const SOA_NUMBERS_BYTES: usize = 20;
/// Bytes of QTYPE and QCLASS.
pub(super) const TYPE_AND_CLASS_BYTES: usize = 4;

/// The records of a reply, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) outcome: Outcome,
    rcode: ResponseCode,
    authoritative: bool,
    /// Records in the three sections.
    counts: [u16; 3],
    records: Box<[u8]>,
    /// Where the additional records begin.
    additionals_at: usize,
    /// Where the serial is of the SOA record in the authority section.
    serial_at: Option<usize>,
    /// Where the data are of the signatures over it.
    soa_signatures_at: Box<[usize]>,
    /// EDNS options of the answer itself.
    options: Box<[u8]>,
}

impl Tail {
    /// Encodes a reply's records behind a question for `name`.
    ///
    /// # Errors
    /// They exceed 65,535 bytes.
    pub(super) fn new(name: &Name, reply: &Reply) -> Result<Self, ProtoError> {
        let mut bytes = Vec::with_capacity(512);
        let mut encoder = BinEncoder::new(&mut bytes);
        encoder.set_max_size(u16::MAX);
        encoder.emit_vec(&[0; HEADER_BYTES])?;
        name.emit(&mut encoder)?;
        encoder.emit_vec(&[0; TYPE_AND_CLASS_BYTES])?;
        let begin = encoder.len();
        let mut serial_at = None;
        let mut soa_signatures_at = Vec::new();
        for record in &reply.answers {
            record.emit(&mut encoder)?;
        }
        for record in &reply.authorities {
            record.emit(&mut encoder)?;
            if matches!(record.data, RData::SOA(_)) {
                serial_at = (encoder.len() - begin).checked_sub(SOA_NUMBERS_BYTES);
            } else if let Some(data) = soa_signature(record) {
                soa_signatures_at.extend((encoder.len() - begin).checked_sub(data.len()));
            }
        }
        let additionals_at = encoder.len() - begin;
        for record in &reply.additionals {
            record.emit(&mut encoder)?;
        }
        let mut options = Vec::new();
        if let Some(error) = &reply.error {
            error.append_option(&mut options);
        }
        Ok(Self {
            outcome: reply.outcome,
            rcode: reply.rcode,
            authoritative: reply.authoritative,
            counts: [
                count(&reply.answers)?,
                count(&reply.authorities)?,
                count(&reply.additionals)?,
            ],
            records: bytes.split_off(begin).into(),
            additionals_at,
            serial_at,
            soa_signatures_at: soa_signatures_at.into(),
            options: options.into(),
        })
    }

    /// Bytes it takes in memory, about.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>()
            + self.records.len()
            + self.options.len()
            + size_of_val(&*self.soa_signatures_at)
    }

    /// Whether it holds the signatures over a SOA record, which change with its serial.
    pub(super) fn has_soa_signatures(&self) -> bool {
        !self.soa_signatures_at.is_empty()
    }

    /// Whether it has additional records that an answer can do without: those of a referral it
    /// cannot (RFC 9471).
    pub(super) fn has_extras(&self) -> bool {
        self.counts[2] > 0 && self.outcome != Outcome::Referred
    }

    /// Writes the whole answer to `out`, which is empty; whether it had to be truncated.
    ///
    /// What does not fit goes without its additional records, but for those of a referral (RFC
    /// 9471); sets of records are never cut (RFC 2181 §9): what still does not fit is empty and
    /// truncated, and sends the client to TCP.
    pub(super) fn write(&self, frame: &AnswerFrame<'_>, out: &mut Vec<u8>) -> bool {
        if frame.only_truncated {
            frame.write(self, [0; 3], &[], true, out);
            return true;
        }
        let mut counts = self.counts;
        let mut records: &[u8] = &self.records;
        if frame.extras || !self.has_extras() {
            frame.write(self, counts, records, false, out);
            if out.len() <= frame.limit {
                return false;
            }
        }
        if self.has_extras() {
            counts[2] = 0;
            records = records.get(..self.additionals_at).unwrap_or_default();
            frame.write(self, counts, records, false, out);
            if out.len() <= frame.limit {
                return false;
            }
        }
        frame.write(self, [0; 3], &[], true, out);
        true
    }
}

fn count(records: &[Record]) -> Result<u16, ProtoError> {
    u16::try_from(records.len()).map_err(|_| ProtoError::from("too many records"))
}

/// The data of a RRSIG record that covers a SOA record.
fn soa_signature(record: &Record) -> Option<&[u8]> {
    match &record.data {
        RData::Unknown { code, rdata } if *code == RecordType::RRSIG => Some(&rdata.anything[..])
            .filter(|data| data.starts_with(&u16::from(RecordType::SOA).to_be_bytes())),
        _ => None,
    }
}

/// What one client's answer has around its records.
#[derive(Debug)]
pub(super) struct AnswerFrame<'a> {
    pub(super) head: Head,
    /// The question section as the client wrote it; empty where there is none to repeat.
    pub(super) question: &'a [u8],
    /// What a SOA record in the authority section shows, if not what it was made with.
    pub(super) soa: Option<CurrentSoa<'a>>,
    /// This server's EDNS and the answer's; `None` to a client without EDNS.
    pub(super) edns: Option<(&'a ServerEdns, AnswerOptions<'a>)>,
    /// The client wants answers of few different sizes.
    pub(super) padded: bool,
    /// The greatest message the client takes, bytes.
    pub(super) limit: usize,
    /// The client is to ask again over TCP.
    pub(super) only_truncated: bool,
    /// It gets additional records that the answer can do without.
    pub(super) extras: bool,
}

/// What changes of a zone's SOA record with every commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct CurrentSoa<'a> {
    pub(super) serial: u32,
    /// RRSIG data over it, in the order of the zone's keys.
    pub(super) signatures: &'a [Box<[u8]>],
}

impl CurrentSoa<'_> {
    /// Puts it into the records of an answer.
    fn write(&self, tail: &Tail, records: &mut [u8]) {
        let serial = self.serial.to_be_bytes();
        let serial = tail.serial_at.map(|at| (at, &serial[..]));
        let signatures = tail.soa_signatures_at.iter().zip(self.signatures);
        let signatures = signatures.map(|(at, data)| (*at, &**data));
        for (at, data) in serial.into_iter().chain(signatures) {
            if let Some(place) = records.get_mut(at..at + data.len()) {
                place.copy_from_slice(data);
            }
        }
    }
}

impl AnswerFrame<'_> {
    fn write(
        &self,
        tail: &Tail,
        counts: [u16; 3],
        records: &[u8],
        truncated: bool,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        let [mut first, mut second] = self.head.flags;
        first |= (u8::from(tail.authoritative) * AUTHORITATIVE) | (u8::from(truncated) * TRUNCATED);
        second |= tail.rcode.low();
        let questions = u8::from(!self.question.is_empty());
        let [answers, authorities, additionals] = counts;
        let additionals = additionals + u16::from(self.edns.is_some());
        let [a1, a2] = answers.to_be_bytes();
        let [n1, n2] = authorities.to_be_bytes();
        let [d1, d2] = additionals.to_be_bytes();
        let [id1, id2] = self.head.id;
        out.extend_from_slice(&[
            id1, id2, first, second, 0, questions, a1, a2, n1, n2, d1, d2,
        ]);
        out.extend_from_slice(self.question);
        let begin = out.len();
        out.extend_from_slice(records);
        if let (Some(soa), Some(records)) = (&self.soa, out.get_mut(begin..)) {
            soa.write(tail, records);
        }
        if let Some((server, options)) = &self.edns {
            let opt_at = out.len();
            let options = AnswerOptions {
                own: &tail.options,
                ..*options
            };
            server.append(tail.rcode.high(), &options, out);
            if self.padded {
                ServerEdns::pad(opt_at, self.limit, out);
            }
        }
    }
}

/// The question section for a name, where a client's own is not at hand.
pub(super) fn question_section(name: &Name, qtype: RecordType, class: DNSClass) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 1 + TYPE_AND_CLASS_BYTES);
    for label in name.iter() {
        // Labels have at most 63 bytes.
        out.push(label.len() as u8);
        out.extend_from_slice(label);
    }
    out.push(0);
    out.extend_from_slice(&u16::from(qtype).to_be_bytes());
    out.extend_from_slice(&u16::from(class).to_be_bytes());
    out
}
