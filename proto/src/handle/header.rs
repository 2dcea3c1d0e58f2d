//! The 24 bytes that open every message's contents (RFC 3652 §2.2.2).

use std::ops::BitOr;

use super::code::{OpCode, ResponseCode};
use super::wire::{Reader, WireError};

/// The length of a header, bytes.
pub const HEADER_LEN: usize = 24;

/// The site serial of a peer that does not know it.
pub const SITE_SERIAL_UNKNOWN: u16 = 0xFFFF;

/// The options of an operation (RFC 3652 §2.2.2.3). Bits without a meaning are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct OpFlags(pub u32);

impl OpFlags {
    /// AUTH: ask a primary site; in an answer, from a primary site.
    pub const AUTHORITATIVE: Self = Self(0x8000_0000);
    /// CERT: the answer is to be signed, or is.
    pub const CERTIFY: Self = Self(0x4000_0000);
    /// ENCR: the answer is to be encrypted, or is.
    pub const ENCRYPT: Self = Self(0x2000_0000);
    /// RECU: the server may ask others on the client's behalf.
    pub const RECURSE: Self = Self(0x1000_0000);
    /// CACR: a cache is to check what it caches.
    pub const CACHE_CERTIFY: Self = Self(0x0800_0000);
    /// CONT: more messages of the same request or answer follow.
    pub const CONTINUES: Self = Self(0x0400_0000);
    /// KPAL: keep the TCP connection.
    pub const KEEP_ALIVE: Self = Self(0x0200_0000);
    /// PUBL: only values that everyone may read.
    pub const PUBLIC_ONLY: Self = Self(0x0100_0000);
    /// RRDG: the answer is to carry a digest of the request, or does.
    pub const REQUEST_DIGEST: Self = Self(0x0080_0000);
    /// OVRW: overwrite what exists.
    pub const OVERWRITE: Self = Self(0x0040_0000);
    /// MINT: make up a suffix.
    pub const MINT: Self = Self(0x0020_0000);
    /// DNRF: answer no referral.
    pub const NO_REFERRAL: Self = Self(0x0010_0000);
    /// The id-pointer-sdk's wish that recursion be authenticated.
    pub const RECURSE_AUTHENTICATED: Self = Self(0x4);
    /// The ID-SDK's trusted query; in an answer, the trust verdict counts.
    pub const TRUSTED_QUERY: Self = Self(0x2);
    /// The ID-SDK's trust verdict: the values' signatures hold.
    pub const TRUSTED_RESULT: Self = Self(0x1);

    /// No option.
    pub const NONE: Self = Self(0);

    /// Whether every bit of `flags` is set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The bits set in both.
    pub const fn and(self, flags: Self) -> Self {
        Self(self.0 & flags.0)
    }

    /// The bits not set in `flags`.
    pub const fn without(self, flags: Self) -> Self {
        Self(self.0 & !flags.0)
    }
}

impl BitOr for OpFlags {
    type Output = Self;

    fn bitor(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

/// The header of a request or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// The operation; an answer repeats its request's.
    pub op_code: OpCode,
    /// The result; [`ResponseCode::NONE`] in requests.
    pub response_code: ResponseCode,
    /// The operation's options.
    pub flags: OpFlags,
    /// The serial of the site record that led here, [`SITE_SERIAL_UNKNOWN`] if none did.
    pub site_serial: u16,
    /// How many servers have passed the request on.
    pub recursion_count: u8,
    /// No meaning; kept because digests cover it.
    pub reserved: u8,
    /// When the message is void, seconds since 1970; 0 for never.
    pub expiration_s: u32,
    /// The length of the body, bytes.
    pub body_len: u32,
}

impl Header {
    /// Reads the header at the start of `bytes`.
    /// Errors: [`WireError::Truncated`] below 24 bytes, nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::read(&mut Reader::new(bytes))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            op_code: OpCode(reader.u32("operation code")?),
            response_code: ResponseCode(reader.u32("response code")?),
            flags: OpFlags(reader.u32("operation flags")?),
            site_serial: reader.u16("site serial")?,
            recursion_count: reader.u8("recursion count")?,
            reserved: reader.u8("reserved octet")?,
            expiration_s: reader.u32("expiration")?,
            body_len: reader.u32("body length")?,
        })
    }

    /// Appends the header's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.op_code.0.to_be_bytes());
        out.extend_from_slice(&self.response_code.0.to_be_bytes());
        out.extend_from_slice(&self.flags.0.to_be_bytes());
        out.extend_from_slice(&self.site_serial.to_be_bytes());
        out.push(self.recursion_count);
        out.push(self.reserved);
        out.extend_from_slice(&self.expiration_s.to_be_bytes());
        out.extend_from_slice(&self.body_len.to_be_bytes());
    }
}
