//! Encryption: a header, then chunks under SM4-GCM (RFC 8998 §2) whose key is encrypted by SM2 to
//! the receiver.
//!
//! | header | bytes |
//! |---|---|
//! | magic | `IDNESCRW` |
//! | version | u8, 1 |
//! | compression | u8, 1 zip, 2 zstd |
//! | chunk | u8, log2 of its bytes, 16 |
//! | reserved | u8, 0 |
//! | receiver | 32, SM3 of the receiver's public key (SubjectPublicKeyInfo, DER) |
//! | nonce | 7, random |
//! | key | u16 length, SM2 ciphertext of the 16 bytes of the key (GM/T 0009 DER) |
//!
//! Integers are big-endian. Each chunk is encrypted with its tag of 16 bytes behind it; all but
//! the last have the full length. Its nonce is the header's 7 bytes, its number as u32 from 0 on,
//! and 1 for the last chunk, 0 for others; its associated data the SM3 digest of the header. So a
//! chunk that is changed, moved, left out, or taken for the last one without being it does not
//! open (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).

use super::EscrowError;
use super::compress::Compression;
use crate::handle::auth::random;
use crate::trust::{PrivateKey, TrustKey};
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{AesGcm, Nonce, Tag};
use sm3::{Digest as _, Sm3};
use sm4::Sm4;
use std::io::{self, Read, Write};

/// SM4 in Galois/counter mode with nonces of 96 bits and tags of 128.
type Sm4Gcm = AesGcm<Sm4, U12>;

const MAGIC: [u8; 8] = *b"IDNESCRW";
const VERSION: u8 = 1;
const CHUNK_LOG2: u8 = 16;
/// Bytes of a chunk before it is encrypted.
pub const CHUNK_BYTES: usize = 1 << CHUNK_LOG2;
/// Bytes of a chunk's tag.
pub const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 16;
const NONCE_BYTES: usize = 7;
/// Longest SM2 ciphertext of a key, DER: two coordinates, a digest, the key and their wrapping.
const MAX_SEALED_KEY_BYTES: usize = 160;

/// The name of a receiver's key: the SM3 digest of its SubjectPublicKeyInfo.
///
/// # Errors
/// It is no SM2 key.
pub fn key_name(key: &TrustKey) -> Result<[u8; 32], EscrowError> {
    sm2_key(key)?;
    let spki = key.key().to_spki();
    let spki = spki.map_err(|error| EscrowError::Key(error.to_string()))?;
    Ok(Sm3::digest(spki).into())
}

fn sm2_key(key: &TrustKey) -> Result<&sm2::PublicKey, EscrowError> {
    match key.key() {
        crate::trust::key::PublicKey::Sm2(key) => Ok(key),
        _ => Err(EscrowError::Key("it is no SM2 key".to_owned())),
    }
}

/// Encrypts what is written to it.
pub struct Sealer<W> {
    out: W,
    chunks: Chunks,
    buffer: Vec<u8>,
}

impl<W> std::fmt::Debug for Sealer<W> {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

impl<W: Write> Sealer<W> {
    /// Begins, with a key of its own encrypted to `receiver`.
    ///
    /// # Errors
    /// The key is no SM2 key; no randomness; nothing can be written.
    pub fn new(
        mut out: W,
        compression: Compression,
        receiver: &TrustKey,
    ) -> Result<Self, EscrowError> {
        let no_randomness = |_| EscrowError::Key("no random bytes can be had".to_owned());
        let key = random::<KEY_BYTES>().map_err(no_randomness)?;
        let nonce = random::<NONCE_BYTES>().map_err(no_randomness)?;
        let sealed = sm2::pke::EncryptingKey::new(*sm2_key(receiver)?)
            .encrypt_der(&mut getrandom::SysRng, &key)
            .map_err(|_| EscrowError::Key("SM2 does not encrypt".to_owned()))?;
        let mut header = MAGIC.to_vec();
        header.extend([VERSION, compression.number(), CHUNK_LOG2, 0]);
        header.extend(key_name(receiver)?);
        header.extend(nonce);
        header.extend((sealed.len() as u16).to_be_bytes());
        header.extend(sealed);
        out.write_all(&header)?;
        Ok(Self {
            out,
            chunks: Chunks::new(&key, nonce, &header),
            buffer: Vec::with_capacity(CHUNK_BYTES + TAG_BYTES),
        })
    }

    /// Writes the last chunk, and gives back what was written to.
    ///
    /// # Errors
    /// Nothing can be written.
    pub fn finish(mut self) -> Result<W, EscrowError> {
        self.write_chunk(true)?;
        Ok(self.out)
    }

    fn write_chunk(&mut self, last: bool) -> Result<(), EscrowError> {
        let tag = self.chunks.seal(&mut self.buffer, last)?;
        self.buffer.extend_from_slice(&tag);
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits until it is known not to be the last.
        if self.buffer.len() == CHUNK_BYTES && !bytes.is_empty() {
            self.write_chunk(false).map_err(EscrowError::into_source)?;
        }
        let room = CHUNK_BYTES - self.buffer.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        Ok(taken.len())
    }

    /// Nothing: a chunk is written when it is full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decrypts what a [`Sealer`] wrote. Gives no byte that is not known to be the sealer's.
pub struct Opener<R> {
    source: R,
    chunks: Chunks,
    compression: Compression,
    /// A byte read beyond the last chunk, which tells that there is another.
    ahead: Option<u8>,
    buffer: Vec<u8>,
    place: usize,
    ended: bool,
}

impl<R> std::fmt::Debug for Opener<R> {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

impl<R: Read> Opener<R> {
    /// Reads the header and opens the key.
    ///
    /// # Errors
    /// It is no such container, or for another key.
    pub fn new(mut source: R, receiver: &PrivateKey) -> Result<Self, EscrowError> {
        let container = |what: &str| EscrowError::Container(format!("the container {what}"));
        let mut header = vec![0; MAGIC.len() + 4 + 32 + NONCE_BYTES + 2];
        read_whole(&mut source, &mut header, "its header")?;
        let mut parts = header.as_slice();
        let magic: [u8; 8] = split(&mut parts)?;
        let [version, compression, chunk_log2, reserved] = split(&mut parts)?;
        if magic != MAGIC {
            return Err(container("does not begin as one"));
        }
        if (version, chunk_log2, reserved) != (VERSION, CHUNK_LOG2, 0) {
            return Err(container(&format!(
                "is of version {version} with chunks of 2^{chunk_log2} bytes, which is not read"
            )));
        }
        let compression = Compression::from_number(compression).ok_or_else(|| {
            container(&format!("has compression {compression}, which is not read"))
        })?;
        let (name, nonce): ([u8; 32], [u8; NONCE_BYTES]) = (split(&mut parts)?, split(&mut parts)?);
        let length = usize::from(u16::from_be_bytes(split(&mut parts)?));
        if length > MAX_SEALED_KEY_BYTES {
            return Err(container(&format!("has a key of {length} bytes")));
        }
        let mut sealed = vec![0; length];
        read_whole(&mut source, &mut sealed, "its header")?;
        header.extend_from_slice(&sealed);
        let key = open_key(receiver, &name, &sealed)?;
        Ok(Self {
            source,
            chunks: Chunks::new(&key, nonce, &header),
            compression,
            ahead: None,
            buffer: Vec::with_capacity(CHUNK_BYTES + TAG_BYTES),
            place: 0,
            ended: false,
        })
    }

    /// How what it gives is compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Reads and opens the next chunk.
    fn read_chunk(&mut self) -> Result<(), EscrowError> {
        self.buffer.clear();
        self.place = 0;
        self.buffer.extend(self.ahead.take());
        // One byte more tells whether it is the last.
        let wanted = CHUNK_BYTES + TAG_BYTES + 1 - self.buffer.len();
        (&mut self.source)
            .take(wanted as u64)
            .read_to_end(&mut self.buffer)
            .map_err(EscrowError::from_source)?;
        let last = self.buffer.len() <= CHUNK_BYTES + TAG_BYTES;
        if !last {
            self.ahead = self.buffer.pop();
        }
        self.ended = last;
        self.chunks.open(&mut self.buffer, last)
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.place >= self.buffer.len() {
            if self.ended {
                return Ok(0);
            }
            let read = self.read_chunk();
            if let Err(error) = read {
                // Nothing of a chunk that does not open is given, now or later.
                (self.ended, self.place) = (true, 0);
                self.buffer.clear();
                return Err(error.into_source());
            }
        }
        let rest = self.buffer.get(self.place..).unwrap_or_default();
        let length = rest.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..length), rest.get(..length)) {
            to.copy_from_slice(from);
        }
        self.place += length;
        Ok(length)
    }
}

/// The key, and which chunk is next.
struct Chunks {
    cipher: Sm4Gcm,
    nonce: [u8; NONCE_BYTES],
    header_digest: [u8; 32],
    number: Option<u32>,
}

impl Chunks {
    fn new(key: &[u8; KEY_BYTES], nonce: [u8; NONCE_BYTES], header: &[u8]) -> Self {
        Self {
            cipher: Sm4Gcm::new(key.into()),
            nonce,
            header_digest: Sm3::digest(header).into(),
            number: Some(0),
        }
    }

    /// The nonce of the next chunk, and its number.
    fn step(&mut self, last: bool) -> Result<(Nonce<U12>, u32), EscrowError> {
        let too_many = || EscrowError::Container("the container has too many chunks".to_owned());
        let number = self.number.ok_or_else(too_many)?;
        self.number = number.checked_add(1);
        let mut nonce = [0; 12];
        let (prefix, rest) = nonce.split_at_mut(NONCE_BYTES);
        prefix.copy_from_slice(&self.nonce);
        for (to, from) in rest.iter_mut().zip(number.to_be_bytes()) {
            *to = from;
        }
        if let Some(to) = rest.last_mut() {
            *to = last.into();
        }
        Ok((nonce.into(), number))
    }

    fn seal(&mut self, chunk: &mut [u8], last: bool) -> Result<[u8; TAG_BYTES], EscrowError> {
        let (nonce, _) = self.step(last)?;
        let sealed = self
            .cipher
            .encrypt_inout_detached(&nonce, &self.header_digest, chunk.into());
        let tag =
            sealed.map_err(|_| EscrowError::Container("SM4-GCM does not encrypt".to_owned()))?;
        Ok(tag.into())
    }

    fn open(&mut self, chunk: &mut Vec<u8>, last: bool) -> Result<(), EscrowError> {
        let (nonce, number) = self.step(last)?;
        let damaged = || {
            let end = if last {
                ", or the container is cut off behind it"
            } else {
                ""
            };
            EscrowError::Container(format!(
                "chunk {number} of the container is not the one that was written{end}"
            ))
        };
        let length = chunk.len().checked_sub(TAG_BYTES).ok_or_else(damaged)?;
        let tag = chunk.split_off(length);
        let tag = Tag::try_from(tag.as_slice()).map_err(|_| damaged())?;
        let opened = self.cipher.decrypt_inout_detached(
            &nonce,
            &self.header_digest,
            chunk.as_mut_slice().into(),
            &tag,
        );
        opened.map_err(|_| damaged())
    }
}

fn open_key(
    receiver: &PrivateKey,
    name: &[u8; 32],
    sealed: &[u8],
) -> Result<[u8; KEY_BYTES], EscrowError> {
    let wrong = |what: &str| EscrowError::Key(what.to_owned());
    let PrivateKey::Sm2(secret) = receiver else {
        return Err(wrong("the receiver's key is no SM2 key"));
    };
    let public = TrustKey::of(receiver).map_err(|error| wrong(&error.to_string()))?;
    if key_name(&public)? != *name {
        return Err(wrong("it is encrypted to another receiver's key"));
    }
    let key = sm2::pke::DecryptingKey::new((**secret).clone()).decrypt_der(sealed);
    let key = key.map_err(|_| wrong("SM2 does not decrypt it"))?;
    <[u8; KEY_BYTES]>::try_from(key.as_slice()).map_err(|_| wrong("it is not of 16 bytes"))
}

fn read_whole(source: &mut impl Read, out: &mut [u8], what: &str) -> Result<(), EscrowError> {
    source.read_exact(out).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            EscrowError::Container(format!("the container ends within {what}"))
        }
        _ => EscrowError::from_source(error),
    })
}

fn split<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], EscrowError> {
    let short = || EscrowError::Container("the container ends within its header".to_owned());
    let (first, rest) = bytes.split_first_chunk::<N>().ok_or_else(short)?;
    *bytes = rest;
    Ok(*first)
}
