//! A session's key: made by one side, encrypted to the other's public key, then everything behind
//! a message's envelope is encrypted with it.
//!
//! | user's key | number | session key | the key's encryption | a message's encryption |
//! |---|---|---|---|---|
//! | RSA | 3 | AES-128 | PKCS#1 v1.5 | IV ‖ AES-128-CBC |
//! | SM2 | 4 | SM4 | C1 ‖ C3 ‖ C2 | SM4-CBC, the IV is the key |
//!
//! What is encrypted to the public key is the number, u32, and the key. Messages are padded by
//! PKCS#7. Encryption alone does not show who wrote: a MAC ([`super::credential`]) does, and every
//! message that does not decrypt must be answered the same way.

use std::fmt;

use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use sm4::Sm4;

use super::private::PrivateKey;
use super::public::PublicKey;
use super::{KeyError, ProofError, random};
use crate::handle::envelope::{ENVELOPE_LEN, Envelope};
use crate::handle::message::{MAX_MESSAGE_LEN, MessageTooLong};

const AES: u32 = 3;
const SM4: u32 = 4;
/// The length of a key, of a block and of an IV, bytes.
const BLOCK_LEN: usize = 16;

/// The key of a session.
#[derive(Clone, PartialEq, Eq)]
pub enum SessionKey {
    /// For AES-128-CBC.
    Aes128([u8; BLOCK_LEN]),
    /// For SM4-CBC.
    Sm4([u8; BLOCK_LEN]),
}

impl fmt::Debug for SessionKey {
    /// The kind alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes128(_) => "SessionKey(AES-128)",
            Self::Sm4(_) => "SessionKey(SM4)",
        })
    }
}

impl SessionKey {
    /// A key for a session of the holder of `user`, and its encryption to them: the data of a
    /// [`crate::handle::body::session::SessionAnswer`].
    ///
    /// Errors: [`ProofError::Digest`] for keys that nothing can be encrypted to,
    /// [`ProofError::Random`], [`ProofError::Key`].
    pub fn make_for(user: &PublicKey) -> Result<(Self, Vec<u8>), ProofError> {
        let bytes = random::<BLOCK_LEN>()?;
        let key = match user {
            PublicKey::Rsa(_) => Self::Aes128(bytes),
            PublicKey::Sm2(_) => Self::Sm4(bytes),
            PublicKey::Dsa(_) | PublicKey::Ed25519(_) => return Err(ProofError::Digest),
        };
        let sealed = key.seal_for(user)?;
        Ok((key, sealed))
    }

    /// The encryption of this key to `user`. Errors as [`SessionKey::make_for`].
    pub fn seal_for(&self, user: &PublicKey) -> Result<Vec<u8>, ProofError> {
        let (number, bytes) = match self {
            Self::Aes128(bytes) => (AES, bytes),
            Self::Sm4(bytes) => (SM4, bytes),
        };
        let plain = [&number.to_be_bytes()[..], bytes].concat();
        match user {
            PublicKey::Rsa(key) => key
                .pkcs1v15_encrypt(&plain)
                .map_err(|_| ProofError::Key(KeyError::Numbers)),
            PublicKey::Sm2(key) => sm2::pke::EncryptingKey::new(**key)
                .encrypt(&mut getrandom::SysRng, &plain)
                .map_err(|_| ProofError::Random),
            PublicKey::Dsa(_) | PublicKey::Ed25519(_) => Err(ProofError::Digest),
        }
    }

    /// The key in a server's answer, for the holder of `user`; also what a server reads of a
    /// client's key exchange with its own key. Errors: [`ProofError`].
    pub fn open(user: &PrivateKey, sealed: &[u8]) -> Result<Self, ProofError> {
        let plain = match user {
            PrivateKey::Rsa(key) => key
                .pkcs1v15_decrypt(sealed)
                .map_err(|_| ProofError::Wrong)?,
            PrivateKey::Sm2(key) => {
                // Uncompressed point, digest, text. Some leave the point's first octet out.
                let mut bytes = sealed.to_vec();
                if sealed.first() != Some(&4) {
                    bytes.insert(0, 4);
                }
                if bytes.len() <= 97 {
                    return Err(ProofError::Malformed);
                }
                sm2::pke::DecryptingKey::new((**key).clone())
                    .decrypt(&bytes)
                    .map_err(|_| ProofError::Wrong)?
            }
            PrivateKey::Dsa(_) | PrivateKey::Ed25519(_) => return Err(ProofError::Digest),
        };
        let (number, key) = plain
            .split_first_chunk::<4>()
            .ok_or(ProofError::Malformed)?;
        let key = <[u8; BLOCK_LEN]>::try_from(key).map_err(|_| ProofError::Malformed)?;
        match u32::from_be_bytes(*number) {
            AES => Ok(Self::Aes128(key)),
            SM4 => Ok(Self::Sm4(key)),
            _ => Err(ProofError::Digest),
        }
    }

    /// The key itself, for MACs.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Aes128(bytes) | Self::Sm4(bytes) => bytes,
        }
    }

    /// The encryption of what follows a message's envelope. Errors: [`ProofError::Random`].
    pub fn encrypt(&self, contents: &[u8]) -> Result<Vec<u8>, ProofError> {
        Ok(match self {
            Self::Aes128(key) => {
                let iv = random::<BLOCK_LEN>()?;
                let text = cbc::Encryptor::<Aes128>::new(key.into(), (&iv).into())
                    .encrypt_padded_vec::<Pkcs7>(contents);
                [&iv[..], &text].concat()
            }
            Self::Sm4(key) => cbc::Encryptor::<Sm4>::new(key.into(), key.into())
                .encrypt_padded_vec::<Pkcs7>(contents),
        })
    }

    /// The reverse of [`SessionKey::encrypt`].
    /// Errors: [`ProofError::Malformed`], whatever is wrong.
    pub fn decrypt(&self, text: &[u8]) -> Result<Vec<u8>, ProofError> {
        match self {
            Self::Aes128(key) => {
                let (iv, text) = text
                    .split_first_chunk::<BLOCK_LEN>()
                    .ok_or(ProofError::Malformed)?;
                cbc::Decryptor::<Aes128>::new(key.into(), iv.into())
                    .decrypt_padded_vec::<Pkcs7>(text)
            }
            Self::Sm4(key) => {
                cbc::Decryptor::<Sm4>::new(key.into(), key.into()).decrypt_padded_vec::<Pkcs7>(text)
            }
        }
        .map_err(|_| ProofError::Malformed)
    }

    /// A whole message, envelope first, encrypted behind its envelope, which says so. Its header
    /// should have [`crate::handle::OpFlags::ENCRYPT`].
    ///
    /// Errors: [`SealError`].
    pub fn encrypt_message(&self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        let (envelope, contents) = split(message)?;
        let text = self.encrypt(contents)?;
        let length = ENVELOPE_LEN + text.len();
        if length > MAX_MESSAGE_LEN {
            return Err(MessageTooLong { length }.into());
        }
        Ok(join(envelope, true, &text))
    }

    /// A whole message, decrypted behind its envelope, which says so no longer.
    /// Errors: [`SealError`].
    pub fn decrypt_message(&self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        let (envelope, text) = split(message)?;
        let contents = self.decrypt(text)?;
        Ok(join(envelope, false, &contents))
    }
}

/// Why a message is not encrypted or decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The encryption would not fit a message.
    #[error(transparent)]
    TooLong(#[from] MessageTooLong),
    /// It is no message, or not encrypted with this key, or there is no randomness.
    #[error("the message cannot be encrypted or decrypted: {0}")]
    Proof(#[from] ProofError),
}

fn split(message: &[u8]) -> Result<(Envelope, &[u8]), ProofError> {
    let envelope = Envelope::decode(message).map_err(|_| ProofError::Malformed)?;
    let rest = message.get(ENVELOPE_LEN..).unwrap_or_default();
    let contents = rest
        .get(..envelope.message_len as usize)
        .ok_or(ProofError::Malformed)?;
    Ok((envelope, contents))
}

fn join(envelope: Envelope, encrypted: bool, contents: &[u8]) -> Vec<u8> {
    let flags = envelope.flags.with_encrypted(encrypted);
    // What fits a message fits the field.
    let message_len = contents.len() as u32;
    let envelope = Envelope {
        flags,
        message_len,
        ..envelope
    };
    [&envelope.encode()[..], contents].concat()
}
