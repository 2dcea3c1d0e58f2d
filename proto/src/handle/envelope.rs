//! The 20 bytes in front of every message and every datagram (RFC 3652 §2.2.1), and the choice
//! of the protocol version to answer in.

use std::fmt;

use super::wire::{Reader, WireError};

/// The length of an envelope, bytes.
pub const ENVELOPE_LEN: usize = 20;

/// A protocol version, "2.11". Ordered as versions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// A different major version is a different message format.
    pub major: u8,
    /// A higher minor version adds capabilities.
    pub minor: u8,
}

impl Version {
    /// RFC 3652's own version, the oldest answered in.
    pub const V2_1: Self = Self::new(2, 1);
    /// From here on request digests are SHA-256.
    pub const V2_7: Self = Self::new(2, 7);
    /// From here on a referral carries its sites beside the referral handle.
    pub const V2_10: Self = Self::new(2, 10);
    /// The newest version spoken here.
    pub const LATEST: Self = Self::new(2, 11);
    /// No version: what a peer that suggests none has in its envelope.
    pub const NONE: Self = Self::new(0, 0);

    /// A version from its two numbers.
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The envelope's flag octet without the two low bits, which hold the suggested major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct EnvelopeFlags(u8);

impl EnvelopeFlags {
    const COMPRESSED: u8 = 0x80;
    const ENCRYPTED: u8 = 0x40;
    const TRUNCATED: u8 = 0x20;
    const SUGGESTED_MAJOR: u8 = 0x03;

    /// Flags from their bits; the two low bits are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & !Self::SUGGESTED_MAJOR)
    }

    /// The bits, the two low ones zero.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Everything after the envelope is compressed.
    pub fn compressed(self) -> bool {
        self.0 & Self::COMPRESSED != 0
    }

    /// Everything after the envelope is encrypted with the session's key.
    pub fn encrypted(self) -> bool {
        self.0 & Self::ENCRYPTED != 0
    }

    /// The same flags with or without the encrypted bit.
    pub(crate) fn with_encrypted(self, encrypted: bool) -> Self {
        if encrypted {
            Self(self.0 | Self::ENCRYPTED)
        } else {
            Self(self.0 & !Self::ENCRYPTED)
        }
    }

    /// This is one piece of a longer message. Running servers leave the bit out on UDP, so it
    /// decides nothing there.
    pub fn truncated(self) -> bool {
        self.0 & Self::TRUNCATED != 0
    }

    /// The same flags without the truncated bit.
    pub fn whole(self) -> Self {
        Self(self.0 & !Self::TRUNCATED)
    }
}

/// The envelope of a message or datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// The version the message is written in.
    pub version: Version,
    /// How the rest of the message is wrapped.
    pub flags: EnvelopeFlags,
    /// The version the sender would like answers in; major 0 when it has no wish. Two bits of
    /// major version fit.
    pub suggested: Version,
    /// The session, 0 for none.
    pub session_id: u32,
    /// The client's number for the request.
    pub request_id: u32,
    /// Which piece of the message this is, from 0.
    pub sequence: u32,
    /// The length of the whole message without envelope, bytes; the same in every piece.
    pub message_len: u32,
}

impl Envelope {
    /// An envelope of zeros, version [`Version::NONE`].
    pub const EMPTY: Self = Self {
        version: Version::NONE,
        flags: EnvelopeFlags::from_bits(0),
        suggested: Version::NONE,
        session_id: 0,
        request_id: 0,
        sequence: 0,
        message_len: 0,
    };

    /// Reads the envelope at the start of `bytes`.
    /// Errors: [`WireError::Truncated`] below 20 bytes, nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let [major, minor, flags, suggested_minor] = reader.array("envelope")?;
        let suggested_major = flags & EnvelopeFlags::SUGGESTED_MAJOR;
        Ok(Self {
            version: Version::new(major, minor),
            flags: EnvelopeFlags::from_bits(flags),
            suggested: Version::new(suggested_major, suggested_minor),
            session_id: reader.u32("session id")?,
            request_id: reader.u32("request id")?,
            sequence: reader.u32("sequence number")?,
            message_len: reader.u32("message length")?,
        })
    }

    /// The envelope's bytes.
    pub fn encode(&self) -> [u8; ENVELOPE_LEN] {
        let flags = self.flags.0 | (self.suggested.major & EnvelopeFlags::SUGGESTED_MAJOR);
        let first = [
            self.version.major,
            self.version.minor,
            flags,
            self.suggested.minor,
        ];
        let mut out = [0; ENVELOPE_LEN];
        let fields = [
            first,
            self.session_id.to_be_bytes(),
            self.request_id.to_be_bytes(),
            self.sequence.to_be_bytes(),
            self.message_len.to_be_bytes(),
        ];
        for (slot, field) in out.iter_mut().zip(fields.as_flattened()) {
            *slot = *field;
        }
        out
    }

    /// The version the sender would like answers in, if it says.
    pub fn suggestion(&self) -> Option<Version> {
        (self.suggested.major != 0).then_some(self.suggested)
    }

    /// The version to answer this sender in: the one it suggests, else the one it wrote in,
    /// no newer than [`Version::LATEST`] and no older than [`Version::V2_1`].
    pub fn answer_version(&self) -> Version {
        self.suggestion()
            .unwrap_or(self.version)
            .clamp(Version::V2_1, Version::LATEST)
    }
}
