//! Challenges and what answers them (RFC 3652 §3.5), and the log-ins of the Chinese SDKs, which
//! are challenged the same way.

use super::read_handle;
use crate::handle::digest::RequestDigest;
use crate::handle::request::ResolveRequest;
use crate::handle::wire::{Reader, WireError, put_sized};
use crate::value::MAX_HANDLE_LEN;

/// The length of the nonces made here, bytes: what running servers send, and what one SDK needs.
pub const NONCE_LEN: usize = 16;
/// The longest nonce that is read, bytes.
pub const MAX_NONCE_LEN: usize = 1024;
/// The longest response to a challenge, bytes: a signature of the largest key and its names.
pub const MAX_RESPONSE_LEN: usize = 16_384;
/// The longest name of a key type or an algorithm, bytes.
pub const MAX_NAME_LEN: usize = 256;

/// A challenge: the body of an answer with code 402 (RFC 3652 §3.5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The digest of the request that is to be authorised.
    pub digest: RequestDigest,
    /// What nobody can have known before.
    pub nonce: Vec<u8>,
}

impl Challenge {
    /// What a proof covers: the nonce, then the digest without its octet of algorithm.
    pub fn covered(&self) -> Vec<u8> {
        [&self.nonce, self.digest.as_bytes()].concat()
    }

    /// Appends the body, digest first.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.digest.encode(out);
        put_sized(out, &self.nonce);
    }

    /// Reads the body. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        Self::read(&mut Reader::new(body))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let digest = RequestDigest::read(reader)?;
        Self::read_nonce(reader, digest)
    }

    /// Reads the rest of a body whose digest has been read.
    pub(crate) fn read_nonce(
        reader: &mut Reader<'_>,
        digest: RequestDigest,
    ) -> Result<Self, WireError> {
        let nonce = reader.sized("nonce", MAX_NONCE_LEN)?.to_vec();
        Ok(Self { digest, nonce })
    }
}

/// The answer to a challenge, operation 200 (RFC 3652 §3.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChallengeAnswer<'a> {
    /// The type of the key: [`crate::value::types::HS_SECKEY`] or
    /// [`crate::value::types::HS_PUBKEY`].
    pub key_type: &'a str,
    /// The handle with the key's value.
    pub handle: &'a str,
    /// The index of the key's value; 0 for any.
    pub index: u32,
    /// The proof, see [`crate::handle::auth`].
    pub response: &'a [u8],
}

impl<'a> ChallengeAnswer<'a> {
    /// Reads the body. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        Ok(Self {
            key_type: reader.str("key type", MAX_NAME_LEN)?,
            handle: reader.str("key handle", MAX_HANDLE_LEN)?,
            index: reader.u32("key index")?,
            response: reader.sized("response", MAX_RESPONSE_LEN)?,
        })
    }

    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(32 + self.handle.len() + self.response.len());
        put_sized(&mut body, self.key_type.as_bytes());
        put_sized(&mut body, self.handle.as_bytes());
        body.extend_from_slice(&self.index.to_be_bytes());
        put_sized(&mut body, self.response);
        body
    }
}

/// The question of another server, whether an answer to its challenge proves a secret key that
/// is kept here: operation 201 (RFC 3652 §3.5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyRequest<'a> {
    /// The handle with the key's value.
    pub handle: &'a str,
    /// The index of the key's value.
    pub index: u32,
    /// The other server's challenge.
    pub challenge: Challenge,
    /// What its client answered.
    pub response: &'a [u8],
}

impl<'a> VerifyRequest<'a> {
    /// Reads the body. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        Ok(Self {
            handle: reader.str("key handle", MAX_HANDLE_LEN)?,
            index: reader.u32("key index")?,
            challenge: Challenge::read(&mut reader)?,
            response: reader.sized("response", MAX_RESPONSE_LEN)?,
        })
    }

    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        put_sized(&mut body, self.handle.as_bytes());
        body.extend_from_slice(&self.index.to_be_bytes());
        self.challenge.encode(&mut body);
        put_sized(&mut body, self.response);
        body
    }
}

/// The body behind the request digest of the answer to a [`VerifyRequest`] (RFC 3652 §3.5.4).
pub fn encode_verified(proven: bool) -> [u8; 1] {
    [u8::from(proven)]
}

/// Reads the same. Errors: [`WireError::Truncated`] when there is nothing, and
/// [`WireError::Unknown`] for what is neither 0 nor 1.
pub fn decode_verified(body: &[u8]) -> Result<bool, WireError> {
    const PART: &str = "verification result";
    match Reader::new(body).u8(PART)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(WireError::Unknown {
            part: PART,
            offset: 0,
            number: other.into(),
        }),
    }
}

/// The wish of the id-pointer-sdk that its connection be logged in: operation 2001.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogIn<'a> {
    /// The user: the handle with the key's value.
    pub handle: &'a str,
    /// The index of the key's value.
    pub index: u32,
}

impl<'a> LogIn<'a> {
    /// Reads the body. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        Ok(Self {
            handle: read_handle(&mut reader)?,
            index: reader.u32("key index")?,
        })
    }

    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(8 + self.handle.len());
        put_sized(&mut body, self.handle.as_bytes());
        body.extend_from_slice(&self.index.to_be_bytes());
        body
    }
}

/// The ID-SDK's log-in with name and password, operation 2000: a query in shape.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordLogIn<'a> {
    /// The name, where a query has its handle.
    pub name: &'a str,
    /// The password, where a query has its one type.
    pub password: &'a str,
}

impl<'a> PasswordLogIn<'a> {
    /// Takes a query apart. Errors: [`WireError::TooMany`] when it has not exactly one type.
    pub fn of(query: &ResolveRequest<'a>) -> Result<Self, WireError> {
        let [password] = query.types[..] else {
            return Err(WireError::TooMany {
                part: "password",
                offset: 0,
                count: query.types.len() as u32,
                limit: 1,
            });
        };
        let name = query.handle;
        Ok(Self { name, password })
    }

    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(16 + self.name.len() + self.password.len());
        put_sized(&mut body, self.name.as_bytes());
        body.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        put_sized(&mut body, self.password.as_bytes());
        body
    }
}

impl std::fmt::Debug for PasswordLogIn<'_> {
    /// The name alone: a log must not keep the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordLogIn")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
