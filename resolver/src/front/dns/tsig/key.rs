//! Keys that two servers share, and what they compute with them.

use data_encoding::BASE64;
use hickory_proto::rr::Name;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// A key that cannot be read. Does not repeat the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// It is not of the form.
    #[error("a key is not of the form name:algorithm:base64")]
    Form,
    /// The name is no domain name.
    #[error("{0:?} is no domain name")]
    Name(String),
    /// The algorithm is not one of RFC 8945.
    #[error("{0:?} is not hmac-sha1, hmac-sha224, hmac-sha256, hmac-sha384 or hmac-sha512")]
    Algorithm(String),
    /// The secret is empty or no base64.
    #[error("the secret of key {0} is no base64 (RFC 4648) of at least one byte")]
    Secret(String),
    /// Two keys have one name.
    #[error("there are two keys {0}")]
    Twice(String),
}

/// What a MAC is computed with (RFC 8945 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Sha1, "hmac-sha1"),
        (Self::Sha224, "hmac-sha224"),
        (Self::Sha256, "hmac-sha256"),
        (Self::Sha384, "hmac-sha384"),
        (Self::Sha512, "hmac-sha512"),
    ];

    fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        let mut all = Self::ALL.into_iter();
        all.find_map(|(algorithm, name)| bare.eq_ignore_ascii_case(name).then_some(algorithm))
    }

    fn name(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find_map(|(algorithm, name)| (algorithm == self).then_some(name))
            .unwrap_or_default()
    }

    /// Bytes of a whole MAC.
    pub(super) fn mac_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A key. Its secret is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    name: Vec<u8>,
    algorithm: Algorithm,
    algorithm_name: Vec<u8>,
    secret: Box<[u8]>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("name", &String::from_utf8_lossy(&self.name))
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// Reads `name:algorithm:base64`.
    ///
    /// # Errors
    /// Which part is wrong.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let mut parts = text.trim().splitn(3, ':').map(str::trim);
        let (Some(name), Some(algorithm), Some(secret)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(BadKey::Form);
        };
        let algorithm =
            Algorithm::parse(algorithm).ok_or_else(|| BadKey::Algorithm(algorithm.to_owned()))?;
        let wire = key_name(name).ok_or_else(|| BadKey::Name(name.to_owned()))?;
        let secret = BASE64.decode(secret.as_bytes()).ok();
        let secret = secret
            .filter(|secret| !secret.is_empty())
            .ok_or_else(|| BadKey::Secret(name.to_owned()))?;
        Ok(Self {
            name: wire,
            algorithm,
            algorithm_name: key_name(algorithm.name()).unwrap_or_default(),
            secret: secret.into(),
        })
    }

    /// Its name on the wire, in lower case.
    pub(in super::super) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The algorithm's name on the wire.
    pub(super) fn algorithm_name(&self) -> &[u8] {
        &self.algorithm_name
    }

    /// The MAC of the parts, one after another.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Sha1 => compute::<Hmac<Sha1>>(&self.secret, parts),
            Algorithm::Sha224 => compute::<Hmac<Sha224>>(&self.secret, parts),
            Algorithm::Sha256 => compute::<Hmac<Sha256>>(&self.secret, parts),
            Algorithm::Sha384 => compute::<Hmac<Sha384>>(&self.secret, parts),
            Algorithm::Sha512 => compute::<Hmac<Sha512>>(&self.secret, parts),
        }
    }

    /// Whether the MAC of the parts begins with `mac`. How long that takes does not depend on
    /// where they differ.
    pub(super) fn verify(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Sha1 => compare::<Hmac<Sha1>>(&self.secret, parts, mac),
            Algorithm::Sha224 => compare::<Hmac<Sha224>>(&self.secret, parts, mac),
            Algorithm::Sha256 => compare::<Hmac<Sha256>>(&self.secret, parts, mac),
            Algorithm::Sha384 => compare::<Hmac<Sha384>>(&self.secret, parts, mac),
            Algorithm::Sha512 => compare::<Hmac<Sha512>>(&self.secret, parts, mac),
        }
    }
}

/// `None` never happens: HMAC takes secrets of any length (RFC 2104 §3).
fn begun<M: Mac + KeyInit>(secret: &[u8], parts: &[&[u8]]) -> Option<M> {
    let mut mac = <M as KeyInit>::new_from_slice(secret).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac)
}

fn compute<M: Mac + KeyInit>(secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    begun::<M>(secret, parts).map_or_else(Vec::new, |mac| mac.finalize().into_bytes().to_vec())
}

fn compare<M: Mac + KeyInit>(secret: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    begun::<M>(secret, parts).is_some_and(|mac| mac.verify_truncated_left(tag).is_ok())
}

/// A key's name on the wire, in lower case.
pub(in super::super) fn key_name(text: &str) -> Option<Vec<u8>> {
    let name = Name::from_ascii(text)
        .ok()
        .filter(|name| name.iter().next().is_some())?;
    let mut wire = Vec::with_capacity(name.len() + 1);
    for label in name.iter() {
        wire.push(label.len() as u8);
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    wire.push(0);
    Some(wire)
}

fn keys_of(file: &Path) -> io::Result<Vec<Key>> {
    let mut opened = File::open(file)?;
    if opened.metadata()?.permissions().mode() & 0o077 != 0 {
        let reason = "others have access to the keys: its mode must be 0600";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    let mut text = String::new();
    opened.read_to_string(&mut text)?;
    let lines = text.lines().zip(1..);
    let lines = lines.map(|(line, number)| (line.split('#').next().unwrap_or_default(), number));
    lines
        .filter(|(line, _)| !line.trim().is_empty())
        .map(|(line, number)| {
            Key::parse(line).map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("line {number}: {error}"),
                )
            })
        })
        .collect()
}

/// The keys of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    keys: Vec<Arc<Key>>,
}

impl Keys {
    /// Keys with names of their own.
    ///
    /// # Errors
    /// [`BadKey::Twice`].
    pub fn new(keys: Vec<Key>) -> Result<Self, BadKey> {
        let mut own = Self::default();
        for key in keys {
            if own.named(&key.name).is_some() {
                return Err(BadKey::Twice(String::from_utf8_lossy(&key.name).into()));
            }
            own.keys.push(Arc::new(key));
        }
        Ok(own)
    }

    /// Keys of a list and of a file that nobody but its owner may read: one a line, `#` before
    /// remarks.
    ///
    /// # Errors
    /// The file cannot be read, or others have access to it; a key cannot be read; two have one
    /// name.
    pub fn read(listed: &[String], file: Option<&Path>) -> io::Result<Self> {
        let invalid = |error: BadKey| io::Error::new(io::ErrorKind::InvalidInput, error);
        let mut keys: Vec<Key> = listed
            .iter()
            .map(|text| Key::parse(text))
            .collect::<Result<_, _>>()
            .map_err(invalid)?;
        if let Some(file) = file {
            keys.extend(keys_of(file).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", file.display()))
            })?);
        }
        Self::new(keys).map_err(invalid)
    }

    /// The key of a name on the wire.
    pub(in super::super) fn named(&self, name: &[u8]) -> Option<&Arc<Key>> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The key of a name, if that is the algorithm it is used with.
    pub(super) fn find(&self, name: &[u8], algorithm: &[u8]) -> Option<&Arc<Key>> {
        self.named(name)
            .filter(|key| key.algorithm_name == algorithm)
    }
}
