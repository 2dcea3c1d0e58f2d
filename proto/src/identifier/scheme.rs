//! The identifier schemes (标识编码体系) a secondary node resolves.

use std::fmt;
use std::str::FromStr;

use super::error::{IdentifierError, Quoted};

/// An identifier scheme; the discriminant is the first byte of every store key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Scheme {
    /// Handle / IDIS, `88.118.8/suffix` (RFC 3651).
    Handle = 1,
    /// Object identifier, `1.2.156.3001` (ITU-T X.660).
    Oid = 2,
    /// GS1 identification key with its qualifiers (GS1 General Specifications).
    Gs1 = 3,
    /// Ecode, the entity code of the Internet of things (GB/T 31866).
    Ecode = 4,
    /// Code of the issuing agency VAA (ISO/IEC 15459, 中国信通院).
    Vaa = 5,
    /// Decentralised identifier of the methods `bid`, `cn` and `vaa` (W3C DID Core).
    Did = 6,
}

impl Scheme {
    /// Every scheme, in key order.
    pub const ALL: [Scheme; 6] = [
        Scheme::Handle,
        Scheme::Oid,
        Scheme::Gs1,
        Scheme::Ecode,
        Scheme::Vaa,
        Scheme::Did,
    ];

    /// The name used in configuration and interfaces: `handle`, `oid`, `gs1`, `ecode`, `vaa`, `did`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Handle => "handle",
            Scheme::Oid => "oid",
            Scheme::Gs1 => "gs1",
            Scheme::Ecode => "ecode",
            Scheme::Vaa => "vaa",
            Scheme::Did => "did",
        }
    }

    /// The name people write: `Handle`, `OID`, `GS1`, `Ecode`, `VAA`, `DID`.
    pub fn title(self) -> &'static str {
        match self {
            Scheme::Handle => "Handle",
            Scheme::Oid => "OID",
            Scheme::Gs1 => "GS1",
            Scheme::Ecode => "Ecode",
            Scheme::Vaa => "VAA",
            Scheme::Did => "DID",
        }
    }

    /// Whether a prefix owns every identifier below it (an arc its sub-arcs, a company prefix its
    /// keys) rather than only those written with exactly that prefix.
    pub(super) fn owns_subtree(self) -> bool {
        matches!(self, Scheme::Oid | Scheme::Gs1)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Scheme::ALL
            .into_iter()
            .find(|scheme| scheme.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| IdentifierError::UnknownScheme {
                text: Quoted::new(text),
            })
    }
}

impl TryFrom<u8> for Scheme {
    type Error = IdentifierError;

    fn try_from(byte: u8) -> Result<Self, Self::Error> {
        Scheme::ALL
            .into_iter()
            .find(|scheme| *scheme as u8 == byte)
            .ok_or(IdentifierError::BadKey {
                scheme: None,
                reason: "its first byte names no scheme",
            })
    }
}
