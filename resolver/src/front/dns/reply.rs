//! What is answered to a question, before it has a header and a size.

use crate::resolve::Basis;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, Record, RecordType};

/// Option code of an extended error (RFC 8914 §2).
const EXTENDED_ERROR: u16 = 15;
/// Longest text of an extended error, bytes: with it any negative answer fits 512.
const MAX_ERROR_TEXT_BYTES: usize = 160;

/// What became of a question, as the request metric names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Answered,
    /// Answered with where a prefix is served, as any name below it is.
    Served,
    NoData,
    NoName,
    Referred,
    Refused,
    Malformed,
    NotImplemented,
    BadVersion,
    Failed,
}

impl Outcome {
    pub(super) const ALL: [(Self, &'static str); 10] = [
        (Self::Answered, "answered"),
        (Self::Served, "answered"),
        (Self::NoData, "nodata"),
        (Self::NoName, "nxdomain"),
        (Self::Referred, "referral"),
        (Self::Refused, "refused"),
        (Self::Malformed, "formerr"),
        (Self::NotImplemented, "notimp"),
        (Self::BadVersion, "badvers"),
        (Self::Failed, "servfail"),
    ];
}

/// Info-codes of RFC 8914 §4 that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum ErrorCode {
    Other = 0,
    Prohibited = 18,
    NotAuthoritative = 20,
    NotSupported = 21,
    InvalidQueryType = 30,
}

/// An extended DNS error (RFC 8914), shown to those who speak EDNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExtendedError {
    code: ErrorCode,
    text: String,
}

impl ExtendedError {
    pub(super) fn new(code: ErrorCode, mut text: String) -> Self {
        text.truncate(text.floor_char_boundary(MAX_ERROR_TEXT_BYTES));
        Self { code, text }
    }

    /// Appends the EDNS option.
    pub(super) fn append_option(&self, out: &mut Vec<u8>) {
        let length = (2 + self.text.len()) as u16;
        out.extend_from_slice(&EXTENDED_ERROR.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&(self.code as u16).to_be_bytes());
        out.extend_from_slice(self.text.as_bytes());
    }
}

/// How long the bytes of a reply may be kept and given again.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Keep {
    /// Nobody has said.
    Unsaid,
    /// Not at all: the next answer may be another.
    Never,
    /// While what it rests on stands, but for the serial of a SOA record in its authority
    /// section; and while the keys of signed zones are those of a generation.
    While(Basis, u64),
}

/// What is answered to a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) outcome: Outcome,
    pub(super) rcode: ResponseCode,
    /// The AA bit: not on referrals and not outside the zones.
    pub(super) authoritative: bool,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
    pub(super) additionals: Vec<Record>,
    pub(super) error: Option<ExtendedError>,
    pub(super) keep: Keep,
    /// The types that the name has, where there are none of the type asked for and the zone is
    /// signed.
    pub(super) types: Vec<RecordType>,
    /// DS records of a referral, for those who want signatures.
    pub(super) delegation_signers: Vec<Record>,
    /// The whole sets of which the additional records are part, for those who want signatures.
    pub(super) whole_sets: Vec<Record>,
    /// When its signatures are to be replaced, seconds since the Unix epoch.
    pub(super) until_s: u64,
}

impl Reply {
    /// Nothing but a response code.
    pub(super) fn bare(outcome: Outcome, rcode: ResponseCode) -> Self {
        Self {
            outcome,
            rcode,
            authoritative: false,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            error: None,
            keep: Keep::Unsaid,
            types: Vec::new(),
            delegation_signers: Vec::new(),
            whole_sets: Vec::new(),
            until_s: u64::MAX,
        }
    }

    pub(super) fn refused(code: ErrorCode, text: &str) -> Self {
        let mut reply = Self::bare(Outcome::Refused, ResponseCode::Refused);
        reply.error = Some(ExtendedError::new(code, text.to_owned()));
        reply
    }

    pub(super) fn failed(text: &str) -> Self {
        let mut reply = Self::bare(Outcome::Failed, ResponseCode::ServFail);
        reply.keep = Keep::Never;
        reply.error = Some(ExtendedError::new(ErrorCode::Other, text.to_owned()));
        reply
    }

    pub(super) fn answered(answers: Vec<Record>) -> Self {
        let mut reply = Self::bare(Outcome::Answered, ResponseCode::NoError);
        reply.authoritative = true;
        reply.answers = answers;
        reply
    }

    /// The name exists, without records of this type (RFC 2308 §2.2).
    pub(super) fn no_data(soa: Record) -> Self {
        let mut reply = Self::bare(Outcome::NoData, ResponseCode::NoError);
        reply.authoritative = true;
        reply.authorities.push(soa);
        reply
    }

    /// The name does not exist (RFC 2308 §2.1).
    pub(super) fn no_name(soa: Record, error: Option<ExtendedError>) -> Self {
        let mut reply = Self::bare(Outcome::NoName, ResponseCode::NXDomain);
        reply.authoritative = true;
        reply.authorities.push(soa);
        reply.error = error;
        reply
    }

    pub(super) fn referral(name_servers: Vec<Record>, glue: Vec<Record>) -> Self {
        let mut reply = Self::bare(Outcome::Referred, ResponseCode::NoError);
        reply.authorities = name_servers;
        reply.additionals = glue;
        reply
    }
}

/// Bytes a record takes at most.
pub(super) fn record_bound(record: &Record) -> usize {
    // Wire length of a name: one byte a label, the root's included.
    let name = |name: &hickory_proto::rr::Name| name.len() + 1;
    let data = match &record.data {
        RData::A(_) => 4,
        RData::AAAA(_) => 16,
        RData::NS(server) => name(server),
        RData::PTR(target) => name(target),
        RData::SOA(soa) => name(&soa.mname) + name(&soa.rname) + 20,
        RData::TXT(txt) => txt.txt_data.iter().map(|string| string.len() + 1).sum(),
        RData::NAPTR(naptr) => {
            8 + naptr.flags.len()
                + naptr.services.len()
                + naptr.regexp.len()
                + naptr.replacement.len()
        }
        RData::HINFO(host) => 2 + host.cpu.len() + host.os.len(),
        RData::Unknown { rdata, .. } => rdata.anything.len(),
        // None of these is made here; one that was would be measured exactly.
        _ => usize::from(u16::MAX),
    };
    name(&record.name) + 10 + data
}

/// Whether a type is one of those asked for zone transfers (RFC 5936, RFC 1995).
pub(super) fn is_transfer(qtype: RecordType) -> bool {
    matches!(qtype, RecordType::AXFR | RecordType::IXFR)
}
