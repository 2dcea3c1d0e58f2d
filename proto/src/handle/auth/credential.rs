//! The credential behind a message (RFC 3652 §2.2.4): a server's signature, or the MAC of a
//! session's key, over header and body.
//!
//! | field | bytes |
//! |---|---|
//! | version, reserved | u8 0, u8 0 |
//! | options | u16 |
//! | signer | `str` handle, u32 index; of a MAC, empty and the session id |
//! | type | `str`, "HS_MAC", "HS_SIGNED" |
//! | signed information | u32 length of the two that follow |
//! | digest algorithm | `str` |
//! | signature or MAC | `str` |

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use super::private::PrivateKey;
use super::public::PublicKey;
use super::secret::hmac_sha256;
use super::{HashName, ProofError};
use crate::handle::body::challenge::{MAX_NAME_LEN, MAX_RESPONSE_LEN};
use crate::handle::message::{MAX_MESSAGE_LEN, Message, MessageTooLong};
use crate::handle::wire::{Reader, WireError, length_field, put_sized};
use crate::value::MAX_HANDLE_LEN;

const MAC_TYPE: &str = "HS_MAC";
const SIGNED_TYPE: &str = "HS_SIGNED";
const HMAC_SHA256: &str = "HMAC-SHA256";
const SHA1: &str = "SHA-1";

/// A credential, viewed where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential<'a> {
    /// Reserved for options.
    pub options: u16,
    /// The handle with the signer's public key; empty for a MAC.
    pub handle: &'a str,
    /// Its index; the session id for a MAC.
    pub index: u32,
    /// What `signature` is.
    pub credential_type: &'a str,
    /// The name of the digest.
    pub algorithm: &'a str,
    /// The signature or MAC.
    pub signature: &'a [u8],
}

impl<'a> Credential<'a> {
    /// Reads [`Message::credential`]. Errors: [`WireError`] with offsets in `bytes`.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let offset = reader.offset();
        let [version, _reserved] = reader.array("credential version")?;
        if version != 0 {
            return Err(WireError::Unknown {
                part: "credential version",
                offset,
                number: version.into(),
            });
        }
        let options = reader.u16("credential options")?;
        let handle = reader.str("signer", MAX_HANDLE_LEN)?;
        let index = reader.u32("signer index")?;
        let credential_type = reader.str("credential type", MAX_NAME_LEN)?;
        let signed = reader.sized("signed information", MAX_MESSAGE_LEN)?;
        let mut reader = Reader::new(signed);
        Ok(Self {
            options,
            handle,
            index,
            credential_type,
            algorithm: reader.str("digest algorithm", MAX_NAME_LEN)?,
            signature: reader.sized("signature", MAX_RESPONSE_LEN)?,
        })
    }

    /// The credential's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0, 0];
        out.extend_from_slice(&self.options.to_be_bytes());
        put_sized(&mut out, self.handle.as_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        put_sized(&mut out, self.credential_type.as_bytes());
        let length = 8 + self.algorithm.len() + self.signature.len();
        out.extend_from_slice(&length_field(length));
        put_sized(&mut out, self.algorithm.as_bytes());
        put_sized(&mut out, self.signature);
        out
    }

    /// Whether this is the MAC of the session with `key` over `signed` ([`Message::signed`]):
    /// HMAC-SHA256, or the RFC's SHA-1(key ‖ header ‖ body ‖ key).
    ///
    /// Errors: [`ProofError::OtherKind`] for a signature or another session's MAC,
    /// [`ProofError::Digest`], [`ProofError::Wrong`].
    pub fn verify_mac(&self, session_id: u32, key: &[u8], signed: &[u8]) -> Result<(), ProofError> {
        if self.credential_type != MAC_TYPE || self.index != session_id || session_id == 0 {
            return Err(ProofError::OtherKind);
        }
        let expected = match self.algorithm {
            HMAC_SHA256 => hmac_sha256(key, signed),
            SHA1 => {
                let digest = Sha1::new_with_prefix(key).chain_update(signed);
                digest.chain_update(key).finalize().to_vec()
            }
            _ => return Err(ProofError::Digest),
        };
        if bool::from(expected.ct_eq(self.signature)) {
            Ok(())
        } else {
            Err(ProofError::Wrong)
        }
    }

    /// Whether this is the signature of the server with `key` over `signed`.
    /// Errors: [`ProofError`].
    pub fn verify_signature(&self, key: &PublicKey, signed: &[u8]) -> Result<(), ProofError> {
        if self.credential_type == MAC_TYPE {
            return Err(ProofError::OtherKind);
        }
        let hash = HashName::parse(self.algorithm).ok_or(ProofError::Digest)?;
        key.verify(hash, self.handle, signed, self.signature)
    }
}

/// Puts the MAC of a session behind a whole message that has no credential yet.
///
/// Errors: [`AttachError`], with the message as it was.
pub fn attach_mac(message: &mut Vec<u8>, session_id: u32, key: &[u8]) -> Result<(), AttachError> {
    let signature = hmac_sha256(key, signed_part(message)?);
    let credential = Credential {
        options: 0,
        handle: "",
        index: session_id,
        credential_type: MAC_TYPE,
        algorithm: HMAC_SHA256,
        signature: &signature,
    };
    attach(message, &credential.encode())
}

/// Puts the signature of a server behind a whole message that has no credential yet. `handle` and
/// `index` name the value with its public key; clients take the one of its site record.
///
/// Errors: [`AttachError`], with the message as it was.
pub fn attach_signature(
    message: &mut Vec<u8>,
    key: &PrivateKey,
    hash: HashName,
    handle: &str,
    index: u32,
) -> Result<(), AttachError> {
    let signature = key.sign(hash, handle, signed_part(message)?)?;
    let credential = Credential {
        options: 0,
        handle,
        index,
        credential_type: SIGNED_TYPE,
        algorithm: hash.native(),
        signature: &signature,
    };
    attach(message, &credential.encode())
}

/// Why a message gets no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// It would be too long with it.
    #[error(transparent)]
    TooLong(#[from] MessageTooLong),
    /// It is no message, or has a credential.
    #[error("no message without a credential")]
    Message,
    /// The key does not sign.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

fn signed_part(message: &[u8]) -> Result<&[u8], AttachError> {
    match Message::decode(message) {
        Ok(whole) if whole.credential.is_empty() => Ok(whole.signed),
        _ => Err(AttachError::Message),
    }
}

fn attach(message: &mut Vec<u8>, credential: &[u8]) -> Result<(), AttachError> {
    let end = crate::handle::envelope::ENVELOPE_LEN + signed_part(message)?.len();
    let length = end + 4 + credential.len();
    if length > MAX_MESSAGE_LEN {
        return Err(MessageTooLong { length }.into());
    }
    message.truncate(end);
    put_sized(message, credential);
    let contents = length - crate::handle::envelope::ENVELOPE_LEN;
    if let Some(slot) = message.get_mut(16..20) {
        slot.copy_from_slice(&length_field(contents));
    }
    Ok(())
}
