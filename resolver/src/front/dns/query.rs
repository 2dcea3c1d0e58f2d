//! A query, taken apart: what is asked, by whom, and with what EDNS. Usual ones are read by
//! [`Frame`], all others by hickory.

use super::answer::Question;
use super::edns::ClientEdns;
use super::encode::question_section;
use super::frame::{Frame, HEADER_BYTES, Opt, RESPONSE};
use super::tsig::Signing;
use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder};
use hickory_server::net::xfer::Protocol;
use hickory_server::server::Request;
use std::net::SocketAddr;

/// Bytes of QTYPE, and of QCLASS.
const TYPE_BYTES: usize = 2;
const CLASS_BYTES: usize = 2;
/// What of a query's third byte its answer repeats: opcode and RD.
const REPEATED: u8 = 0b0111_1001;
/// Of the fourth: CD.
const CHECKING_DISABLED: u8 = 0b0001_0000;

/// What an answer's header repeats of the query's.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// ID.
    pub(super) id: [u8; 2],
    /// Third and fourth byte of the answer's header, but for AA, TC and the rcode.
    pub(super) flags: [u8; 2],
}

impl Head {
    /// Of the first bytes of a query; `None`: less than a header, or a response.
    pub(super) fn of(message: &[u8]) -> Option<Self> {
        let [high, low, first, second, ..] = *message.first_chunk::<HEADER_BYTES>()?;
        (first & RESPONSE == 0).then_some(Self {
            id: [high, low],
            flags: [RESPONSE | first & REPEATED, second & CHECKING_DISABLED],
        })
    }
}

/// What a query asks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) head: Head,
    /// Its opcode.
    pub(super) opcode: u8,
    /// Its questions' number.
    pub(super) questions: u16,
    /// The one question, if there is one.
    pub(super) question: Option<Question>,
    pub(super) qclass: DNSClass,
    /// The question section as it came, but for compression; empty where there is no one
    /// question.
    pub(super) section: Box<[u8]>,
    pub(super) edns: Option<ClientEdns>,
    /// It has a TSIG record.
    pub(super) is_signed: bool,
    /// What its answer is signed with.
    pub(super) signing: Signing,
}

/// What can be made of a message.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    Query(Box<Asked>),
    /// A query that cannot be parsed.
    Malformed(Head),
    /// A response, or less than a header: it draws no answer (RFC 8906 §3.1.4 and to keep two
    /// servers from answering each other for ever).
    Nothing,
}

impl Asked {
    /// What the rate of its answers is counted by: the question's name in small letters, and its
    /// type.
    pub(super) fn counted_as(&self) -> Vec<u8> {
        let mut bytes = self.section.to_vec();
        bytes.truncate(bytes.len().saturating_sub(CLASS_BYTES));
        let name_bytes = bytes.len().saturating_sub(TYPE_BYTES);
        if let Some(name) = bytes.get_mut(..name_bytes) {
            // Lengths of labels are no letters.
            name.make_ascii_lowercase();
        }
        bytes
    }

    /// Takes a message apart.
    pub(super) fn read(message: &[u8], source: SocketAddr) -> Read {
        let Some(head) = Head::of(message) else {
            return Read::Nothing;
        };
        let asked = match Frame::read(message) {
            Some(frame) => Self::from_frame(head, &frame),
            None => Self::from_unusual(head, message, source),
        };
        asked.map_or(Read::Malformed(head), |asked| Read::Query(Box::new(asked)))
    }

    /// Of a usual query.
    pub(super) fn from_frame(head: Head, frame: &Frame<'_>) -> Option<Self> {
        let name = Name::read(&mut BinDecoder::new(frame.name)).ok()?;
        Some(Self {
            head,
            opcode: u8::from(OpCode::Query),
            questions: 1,
            question: Some(Question {
                name: name.to_lowercase(),
                qtype: RecordType::from(frame.qtype),
            }),
            qclass: DNSClass::from(frame.qclass),
            section: frame.question().into(),
            edns: frame.opt.as_ref().map(ClientEdns::read),
            is_signed: false,
            signing: Signing::Unsigned,
        })
    }

    /// Of a header alone, where what follows is not read.
    fn from_header(head: Head, opcode: u8, questions: u16) -> Self {
        Self {
            head,
            opcode,
            questions,
            question: None,
            qclass: DNSClass::IN,
            section: Box::default(),
            edns: None,
            is_signed: false,
            signing: Signing::Unsigned,
        }
    }

    /// Of any query, by hickory.
    pub(super) fn from_unusual(head: Head, message: &[u8], source: SocketAddr) -> Option<Self> {
        let questions = u16::from_be_bytes([*message.get(4)?, *message.get(5)?]);
        let opcode = message.get(2)? >> 3 & 15;
        // Room for all of them would be made before they are read; no opcode has more than one.
        if questions > 1 {
            return Some(Self::from_header(head, opcode, questions));
        }
        let request = match Request::from_bytes(message.to_vec(), source, Protocol::Udp) {
            Ok(request) => request,
            // The body is the opcode's, and need hold no records at all (RFC 8490 §5.4).
            Err(_) if opcode != u8::from(OpCode::Query) => {
                return Some(Self::from_header(head, opcode, questions));
            }
            Err(_) => return None,
        };
        let query = request.queries.queries().first();
        let section = query.map_or_else(Vec::new, |query| {
            let name = query.original().name();
            question_section(name, query.query_type(), query.query_class())
        });
        Some(Self {
            head,
            opcode,
            questions,
            question: query.map(|query| Question {
                name: query.original().name().to_lowercase(),
                qtype: query.query_type(),
            }),
            qclass: query.map_or(DNSClass::IN, |query| query.query_class()),
            section: section.into(),
            edns: match &request.edns {
                Some(edns) => Some(read_again(edns)?),
                None => None,
            },
            is_signed: request.signature.is_some()
                || request
                    .additionals
                    .iter()
                    .any(|record| record.record_type() == RecordType::TSIG),
            signing: Signing::Unsigned,
        })
    }
}

/// EDNS that hickory has parsed, by our own reader of options.
fn read_again(edns: &hickory_proto::op::Edns) -> Option<ClientEdns> {
    let mut options = Vec::new();
    edns.options()
        .emit(&mut BinEncoder::new(&mut options))
        .ok()?;
    let flags = edns.flags();
    Some(ClientEdns::read(&Opt {
        max_payload: edns.max_payload(),
        version: edns.version(),
        flags: u16::from(flags.dnssec_ok) << 15 | flags.z & 0x7fff,
        options: &options,
    }))
}
