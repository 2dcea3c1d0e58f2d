//! Sessions: set-up, key exchange (RFC 3652 §3.8). Running clients write a set-up in another
//! form than the RFC; both are read, the running one is written.

use crate::handle::wire::{Reader, WireError, put_sized};
use crate::value::MAX_HANDLE_LEN;

use super::challenge::MAX_NAME_LEN;

/// The longest key, encrypted key or Diffie-Hellman number, bytes.
pub const MAX_KEY_LEN: usize = 16_384;
/// The index of a client that names no identity: -1 to a peer that counts in signed integers.
pub const NO_INDEX: u32 = u32::MAX;

const CLIENT_KEY: u16 = 1;
const SERVER_KEY: u16 = 2;
const HANDLE_KEY: u16 = 3;
const DIFFIE_HELLMAN: u16 = 4;

/// How the session's key is agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAgreement<'a> {
    /// RFC 3652 alone: no key, the session only keeps an authentication.
    None,
    /// 1: the server encrypts it to this public key, HS_PUBKEY data.
    ClientKey(&'a [u8]),
    /// 2: the server shows its public key, and the client chooses.
    ServerKey,
    /// 3: the server encrypts it to the public key at this index of this handle.
    HandleKey {
        /// The handle with the public key; empty for that of who logged in.
        handle: &'a str,
        /// Its index, [`NO_INDEX`] likewise.
        index: u32,
    },
    /// 4: Diffie-Hellman, three numbers without an order
    /// ([`crate::handle::auth::agreement`]).
    DiffieHellman([&'a [u8]; 3]),
}

impl KeyAgreement<'_> {
    /// The number of the mode, 0 for none.
    pub fn mode(&self) -> u16 {
        match self {
            Self::None => 0,
            Self::ClientKey(_) => CLIENT_KEY,
            Self::ServerKey => SERVER_KEY,
            Self::HandleKey { .. } => HANDLE_KEY,
            Self::DiffieHellman(_) => DIFFIE_HELLMAN,
        }
    }
}

/// A wish for a session: operation 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSetup<'a> {
    /// The handle with the public key of who asks; empty when nobody is named.
    pub identity: &'a str,
    /// Its index, [`NO_INDEX`] when nobody is named.
    pub identity_index: u32,
    /// How the key is agreed on.
    pub agreement: KeyAgreement<'a>,
    /// How long the session is wanted, seconds, if the client says.
    pub timeout_s: Option<u32>,
}

impl<'a> SessionSetup<'a> {
    /// Reads the body. One that begins with two zero octets is the RFC's list of attributes, any
    /// other begins with the mode.
    ///
    /// Nothing public says whether a time-out stands between mode and identity. Both readings
    /// are tried, and no body has two: read the wrong way, a length becomes an index of
    /// [`NO_INDEX`] or a time of its own and is above every limit.
    ///
    /// Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        if body.starts_with(&[0, 0]) {
            return Self::read_attributes(&mut Reader::new(body));
        }
        Self::read_mode(body, false).or_else(|error| Self::read_mode(body, true).map_err(|_| error))
    }

    fn read_mode(body: &'a [u8], timed: bool) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let mode = reader.u16("key exchange mode")?;
        let timeout_s = if timed {
            Some(reader.u32("session time-out")?)
        } else {
            None
        };
        let identity = reader.str("session identity", MAX_HANDLE_LEN)?;
        let identity_index = reader.u32("session identity index")?;
        let agreement = match mode {
            CLIENT_KEY => KeyAgreement::ClientKey(reader.sized("client key", MAX_KEY_LEN)?),
            SERVER_KEY => KeyAgreement::ServerKey,
            // The id-pointer-sdk names the user once, and two zero octets follow.
            HANDLE_KEY if reader.rest().len() < 8 => KeyAgreement::HandleKey {
                handle: identity,
                index: identity_index,
            },
            HANDLE_KEY => KeyAgreement::HandleKey {
                handle: reader.str("exchange key handle", MAX_HANDLE_LEN)?,
                index: reader.u32("exchange key index")?,
            },
            DIFFIE_HELLMAN => read_diffie_hellman(&mut reader)?,
            other => {
                return Err(WireError::Unknown {
                    part: "key exchange mode",
                    offset: 0,
                    number: other.into(),
                });
            }
        };
        Ok(Self {
            identity,
            identity_index,
            agreement,
            timeout_s,
        })
    }

    fn read_attributes(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let mut setup = Self {
            identity: "",
            identity_index: NO_INDEX,
            agreement: KeyAgreement::None,
            timeout_s: None,
        };
        let mut seen = [false; 3];
        let count = reader.count("session attributes", seen.len(), 8)?;
        for _ in 0..count {
            let offset = reader.offset();
            let which = setup.read_attribute(reader)?;
            // Each at most once (RFC 3652 §3.8.1).
            if seen.get(which).copied().unwrap_or(true) {
                return Err(unknown("repeated session attribute", offset));
            }
            if let Some(slot) = seen.get_mut(which) {
                *slot = true;
            }
        }
        Ok(setup)
    }

    fn read_attribute(&mut self, reader: &mut Reader<'a>) -> Result<usize, WireError> {
        let offset = reader.offset();
        match reader.str("session attribute", MAX_NAME_LEN)? {
            "HS_SESSION_IDENTITY" => {
                self.identity = reader.str("session identity", MAX_HANDLE_LEN)?;
                self.identity_index = reader.u32("session identity index")?;
                Ok(0)
            }
            "HS_SESSION_KEY_EXCHANGE" => {
                self.agreement = read_agreement(reader)?;
                Ok(1)
            }
            "HS_SESSION_TIMEOUT" => {
                self.timeout_s = Some(reader.u32("session time-out")?);
                Ok(2)
            }
            _ => Err(unknown("session attribute", offset)),
        }
    }

    /// The body in the running form, without a time-out; without an agreement, the RFC's.
    pub fn encode(&self) -> Vec<u8> {
        if self.agreement == KeyAgreement::None {
            return self.encode_attributes();
        }
        let mut body = self.agreement.mode().to_be_bytes().to_vec();
        put_sized(&mut body, self.identity.as_bytes());
        body.extend_from_slice(&self.identity_index.to_be_bytes());
        match self.agreement {
            KeyAgreement::None | KeyAgreement::ServerKey => {}
            KeyAgreement::ClientKey(key) => put_sized(&mut body, key),
            KeyAgreement::HandleKey { handle, index } => {
                put_sized(&mut body, handle.as_bytes());
                body.extend_from_slice(&index.to_be_bytes());
            }
            KeyAgreement::DiffieHellman(numbers) => {
                for number in numbers {
                    put_sized(&mut body, number);
                }
            }
        }
        body
    }

    fn encode_attributes(&self) -> Vec<u8> {
        let count = 1 + u32::from(self.timeout_s.is_some());
        let mut body = count.to_be_bytes().to_vec();
        put_sized(&mut body, b"HS_SESSION_IDENTITY");
        put_sized(&mut body, self.identity.as_bytes());
        body.extend_from_slice(&self.identity_index.to_be_bytes());
        if let Some(timeout_s) = self.timeout_s {
            put_sized(&mut body, b"HS_SESSION_TIMEOUT");
            body.extend_from_slice(&timeout_s.to_be_bytes());
        }
        body
    }
}

fn read_agreement<'a>(reader: &mut Reader<'a>) -> Result<KeyAgreement<'a>, WireError> {
    let offset = reader.offset();
    Ok(match reader.str("key exchange", MAX_NAME_LEN)? {
        "CLIENT_CIPHER" => KeyAgreement::ClientKey(reader.sized("client key", MAX_KEY_LEN)?),
        "HDL_CIPHER" => KeyAgreement::HandleKey {
            handle: reader.str("exchange key handle", MAX_HANDLE_LEN)?,
            index: reader.u32("exchange key index")?,
        },
        "SERVER_CIPHER" => KeyAgreement::ServerKey,
        "DIFFIE_HELLMAN" => read_diffie_hellman(reader)?,
        _ => return Err(unknown("key exchange", offset)),
    })
}

fn read_diffie_hellman<'a>(reader: &mut Reader<'a>) -> Result<KeyAgreement<'a>, WireError> {
    let mut number = || reader.sized("Diffie-Hellman number", MAX_KEY_LEN);
    Ok(KeyAgreement::DiffieHellman([
        number()?,
        number()?,
        number()?,
    ]))
}

fn unknown(part: &'static str, offset: usize) -> WireError {
    WireError::Unknown {
        part,
        offset,
        number: 0,
    }
}

/// The answer to a set-up with an agreement on a key: the mode, and the encrypted key or the
/// server's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionAnswer {
    /// The mode of the request, repeated.
    pub mode: u16,
    /// Modes 1 and 3: the encrypted key, see [`crate::handle::auth::session`]; mode 2: the
    /// server's public key, HS_PUBKEY data.
    pub data: Vec<u8>,
}

impl SessionAnswer {
    /// Appends the body behind the request digest.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.mode.to_be_bytes());
        put_sized(out, &self.data);
    }

    /// Reads the body behind the request digest. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        Self::read(&mut Reader::new(body))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            mode: reader.u16("key exchange mode")?,
            data: reader.sized("session key", MAX_KEY_LEN)?.to_vec(),
        })
    }
}

/// The session's key, chosen by the client: operation 402 (RFC 3652 §3.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyExchange<'a> {
    /// The key, encrypted to the server's public key.
    pub encrypted_key: &'a [u8],
    /// What it is for, in the RFC's form.
    pub algorithm: Option<&'a str>,
}

impl<'a> KeyExchange<'a> {
    /// Reads the body. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let encrypted_key = reader.sized("session key", MAX_KEY_LEN)?;
        let algorithm = if reader.rest().len() > 4 {
            let name = reader.str("encryption algorithm", MAX_NAME_LEN)?;
            (!name.is_empty()).then_some(name)
        } else {
            None
        };
        Ok(Self {
            encrypted_key,
            algorithm,
        })
    }

    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(8 + self.encrypted_key.len());
        put_sized(&mut body, self.encrypted_key);
        if let Some(algorithm) = self.algorithm {
            put_sized(&mut body, algorithm.as_bytes());
        }
        body
    }
}
