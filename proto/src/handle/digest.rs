//! The digest of a request that its answer carries when asked (RFC 3652 §2.2.3): the client
//! learns that the server answered what it asked.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::envelope::Version;
use super::wire::{Reader, WireError};

const MD5: u8 = 1;
const SHA1: u8 = 2;
const SHA256: u8 = 3;

/// A digest over a request's header and body: one octet of algorithm, then its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestDigest {
    /// Algorithm 1, of old servers; never made here.
    Md5([u8; 16]),
    /// Algorithm 2, for versions before 2.7.
    Sha1([u8; 20]),
    /// Algorithm 3, from version 2.7 on.
    Sha256([u8; 32]),
}

impl RequestDigest {
    /// The digest of `signed` (a request's header and body) as a peer of `version` expects it.
    pub fn of(signed: &[u8], version: Version) -> Self {
        if version >= Version::V2_7 {
            Self::Sha256(Sha256::digest(signed).into())
        } else {
            Self::Sha1(Sha1::digest(signed).into())
        }
    }

    /// Whether this is the digest of `signed`; `None` for MD5, which nothing here computes.
    pub fn matches(&self, signed: &[u8]) -> Option<bool> {
        match self {
            Self::Md5(_) => None,
            Self::Sha1(digest) => Some(digest[..] == Sha1::digest(signed)[..]),
            Self::Sha256(digest) => Some(digest[..] == Sha256::digest(signed)[..]),
        }
    }

    /// The result without the octet of algorithm.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Md5(digest) => digest,
            Self::Sha1(digest) => digest,
            Self::Sha256(digest) => digest,
        }
    }

    /// Appends algorithm and result.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Md5(_) => MD5,
            Self::Sha1(_) => SHA1,
            Self::Sha256(_) => SHA256,
        });
        out.extend_from_slice(self.as_bytes());
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        const PART: &str = "request digest";
        let offset = reader.offset();
        Ok(match reader.u8(PART)? {
            MD5 => Self::Md5(reader.array(PART)?),
            SHA1 => Self::Sha1(reader.array(PART)?),
            SHA256 => Self::Sha256(reader.array(PART)?),
            other => {
                let number = other.into();
                return Err(WireError::Unknown {
                    part: PART,
                    offset,
                    number,
                });
            }
        })
    }
}
