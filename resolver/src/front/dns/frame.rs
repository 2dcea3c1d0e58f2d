//! The frame of a usual query, read where it lies: one question in clear labels, and at most an
//! OPT record after it. What is not usual is hickory's to parse; both give the same [`Asked`].
//!
//! [`Asked`]: super::query::Asked

/// Bytes of a message's header (RFC 1035 §4.1.1).
pub(super) const HEADER_BYTES: usize = 12;
/// The QR bit in a message's third byte.
pub(super) const RESPONSE: u8 = 0x80;
/// Greatest name on the wire (RFC 1035 §2.3.4).
const MAX_NAME_BYTES: usize = 255;
/// Greatest label.
const MAX_LABEL_BYTES: u8 = 63;
/// TYPE of the OPT record (RFC 6891 §6.1.2).
const OPT: u16 = 41;
/// Bytes of an OPT record before its options.
const OPT_HEAD_BYTES: usize = 11;

/// A usual query, by its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// The whole message.
    pub(super) message: &'a [u8],
    /// The question's name on the wire, the root's byte included.
    pub(super) name: &'a [u8],
    /// QTYPE.
    pub(super) qtype: u16,
    /// QCLASS.
    pub(super) qclass: u16,
    /// What its OPT record says.
    pub(super) opt: Option<Opt<'a>>,
}

/// An OPT record (RFC 6891 §6.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opt<'a> {
    /// The greatest UDP message the sender takes, bytes.
    pub(super) max_payload: u16,
    /// EDNS version.
    pub(super) version: u8,
    /// The flags after the version: DO is the highest.
    pub(super) flags: u16,
    /// Options, as they came.
    pub(super) options: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a query of opcode QUERY; `None`: it is not usual, or not well formed.
    pub(super) fn read(message: &'a [u8]) -> Option<Self> {
        /// QR, opcode and TC.
        const UNUSUAL: u8 = 0b1111_1010;
        let (header, body) = message.split_first_chunk::<HEADER_BYTES>()?;
        let [_, _, flags, _, 0, 1, 0, 0, 0, 0, 0, additionals] = *header else {
            return None;
        };
        if flags & UNUSUAL != 0 || additionals > 1 {
            return None;
        }
        let (name, rest) = body.split_at_checked(name_length(body)?)?;
        let (fixed, rest) = rest.split_first_chunk::<4>()?;
        let opt = match additionals {
            0 if rest.is_empty() => None,
            1 => Some(Opt::read(rest)?),
            _ => return None,
        };
        Some(Self {
            message,
            name,
            qtype: u16::from_be_bytes([fixed[0], fixed[1]]),
            qclass: u16::from_be_bytes([fixed[2], fixed[3]]),
            opt,
        })
    }

    /// The question section: name, type and class.
    pub(super) fn question(&self) -> &'a [u8] {
        let end = HEADER_BYTES + self.name.len() + 4;
        self.message.get(HEADER_BYTES..end).unwrap_or_default()
    }
}

impl<'a> Opt<'a> {
    /// Reads the record that is all of `bytes`.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, options) = bytes.split_first_chunk::<OPT_HEAD_BYTES>()?;
        let [0, t1, t2, c1, c2, _rcode, version, f1, f2, l1, l2] = *head else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([l1, l2]));
        let is_opt = u16::from_be_bytes([t1, t2]) == OPT && length == options.len();
        (is_opt && are_usual(options)).then_some(Self {
            max_payload: u16::from_be_bytes([c1, c2]),
            version,
            flags: u16::from_be_bytes([f1, f2]),
            options,
        })
    }
}

/// Splits off the first option: code, data, what follows.
pub(super) fn next_option(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let (data, after) = rest.split_at_checked(length)?;
    Some((u16::from_be_bytes([head[0], head[1]]), data, after))
}

/// Whether options fill their record, and none is a client subnet (RFC 7871): whether that is
/// well formed hickory knows.
fn are_usual(options: &[u8]) -> bool {
    /// Option code of a client subnet.
    const SUBNET: u16 = 8;
    let mut rest = options;
    while let Some((code, _, after)) = next_option(rest) {
        if code == SUBNET {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// Length of the uncompressed name at the start of `bytes`, the root's byte included.
fn name_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let label = *bytes.get(at)?;
        if label > MAX_LABEL_BYTES {
            return None;
        }
        at += 1 + usize::from(label);
        if at > MAX_NAME_BYTES {
            return None;
        }
        if label == 0 {
            return Some(at);
        }
    }
}
