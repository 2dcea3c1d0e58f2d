//! The mapping between identifiers and DNS names, both ways.
//!
//! In the node's zone a name is `<tail>.<prefix>.<scheme>.<zone>`, so that every prefix is one label
//! and can be delegated by its own NS records:
//!
//! | identifier | name under the node's zone |
//! |---|---|
//! | `88.118.8/JXDY2106023` | `jxdy2106023.88-118-8.hdl` |
//! | prefix `88.118.8`, and `0.NA/88.118.8` which describes it | `88-118-8.hdl` |
//! | `1.2.156.3001`, as identifier or as prefix | `3001.156.2.1.oid` |
//! | `https://id.gs1.org/01/09506000134352/10/ABC/21/12` | `12.21._41_42_43.10.09506000134352.01.gs1` |
//! | company prefix `gs1:9506000` | `9506000.gcp.gs1` |
//! | `ecode:10003693010` | `693010.10003.ecode` |
//! | `vaa:VAA0881001234/SN1` | `sn1.0881001234.vaa` |
//! | `did:bid:byo1:ef…` | `ef….bid_3abyo1.did` |
//! | prefix `did:bid:byo1`, and the DID of the same text | `bid_3abyo1.did` |
//!
//! An OID also has the name `3001.156.2.1.<ORS zone>` (ITU-T X.672), a GTIN, SSCC or GLN without
//! qualifiers also its ONS 2.0.1 name `0.5.3.4.3.1.0.0.0.6.0.5.9.gtin.gs1.id.<ONS zone>`: check digit
//! dropped, indicator or extension digit first, the other digits reversed.
//!
//! **Labels.** Lower-case letters, digits and `-` stand for themselves; `_` is `__`, any other byte
//! `_` and two lower-case hexadecimal digits. Names compare without case (RFC 4343): letters of
//! schemes that fold case are written in lower case, upper-case letters of the others (GS1, DID,
//! Ecode V4) are escaped. In a prefix label `.` is written `-`, and `-` is `_2d`. Only this spelling
//! of a label is accepted, so that an identifier has one name up to ASCII case.
//!
//! **Hashed labels.** A label that would exceed 63 bytes becomes `_h` and the base32hex of
//! [`identifier_hash`] of the identifier's key, or of the prefix's key; `h` is no hexadecimal digit.
//! Under a hashed prefix label the other label is hashed too, and a GS1 or OID name of which a label
//! or the part before the zone (155 bytes) is too long becomes one hashed label below its scheme.
//! Zones have at most 100 bytes, so no name exceeds 255 and whether a name is hashed
//! ([`name_hash`]) does not depend on the zone.
//!
//! **Names between.** Every shorter OID and GS1 name, and the upper part of an ONS name, exists as
//! soon as something below it does (RFC 8020): such names parse, as the shorter identifier or as
//! [`Subject::EmptyNonTerminal`], and a front must not answer NXDOMAIN for them on grounds of the
//! name alone.

mod encode;
mod label;
mod parse;
#[cfg(test)]
mod tests;
mod zone;

pub use encode::{
    MappedName, name_hash, ons_name, ons_prefix_names, ors_name, prefix_name_hash, prefix_to_name,
    scheme_name, to_name,
};
pub use zone::{ZoneName, Zones};

use sha2::{Digest, Sha256};

use crate::identifier::{Identifier, Prefix, Quoted, Scheme};

/// Bytes of a hash in a label.
pub const HASH_BYTES: usize = 20;

/// Which of the configured zones a name is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ZoneKind {
    /// The node's own zone, all schemes.
    Node,
    /// The zone of the object identifier resolution system (ITU-T X.672).
    Ors,
    /// The root of the GS1 object name service (ONS 2.0.1).
    Ons,
}

/// What a DNS name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An identifier. OIDs are always this, even where the arc is a prefix.
    Identifier(Identifier),
    /// An identifier whose name is hashed: found by [`name_hash`], and only its name if
    /// [`Subject::is_name_of`] says so.
    HashedIdentifier {
        /// The scheme.
        scheme: Scheme,
        /// First 20 bytes of SHA-256 over the identifier's key.
        hash: [u8; HASH_BYTES],
        /// Its prefix, where the prefix label is in clear.
        prefix: Option<Prefix>,
        /// The hash in the prefix label, where that is hashed too.
        prefix_hash: Option<[u8; HASH_BYTES]>,
    },
    /// A prefix, and the identifier that describes it ([`Prefix::prefix_identifier`]).
    Prefix(Prefix),
    /// A prefix whose label is hashed: found by [`prefix_name_hash`], and only its name if
    /// [`Subject::is_name_of_prefix`] says so.
    HashedPrefix {
        /// The scheme.
        scheme: Scheme,
        /// First 20 bytes of SHA-256 over the prefix's key.
        hash: [u8; HASH_BYTES],
    },
    /// The node of a scheme, `hdl.<zone>`.
    SchemeRoot(Scheme),
    /// A zone's own name.
    Apex(ZoneKind),
    /// A name that only has names below it: part of an OID, GS1 or ONS name.
    EmptyNonTerminal(Scheme),
}

impl Subject {
    /// The identifier a name in clear stands for, or describes the prefix it stands for.
    pub fn identifier(&self) -> Option<Identifier> {
        match self {
            Subject::Identifier(identifier) => Some(identifier.clone()),
            Subject::Prefix(prefix) => prefix.prefix_identifier(),
            _ => None,
        }
    }

    /// Whether the name this was parsed from is the name of `identifier`: what a look-up by hash
    /// has to check before it answers.
    pub fn is_name_of(&self, identifier: &Identifier) -> bool {
        match self {
            Subject::HashedIdentifier {
                hash,
                prefix,
                prefix_hash,
                ..
            } => {
                let owner = identifier.prefix_candidates().next();
                let owner = owner.map(|candidate| candidate.key);
                encode::describes_prefix(identifier).is_none()
                    && name_hash(identifier) == Some(*hash)
                    && prefix
                        .as_ref()
                        .is_none_or(|prefix| prefix.covers(identifier))
                    && prefix_hash.is_none_or(|hash| owner.map(identifier_hash) == Some(hash))
            }
            Subject::HashedPrefix { hash, .. } => {
                encode::describes_prefix(identifier)
                    .is_some_and(|prefix| identifier_hash(prefix.key()) == *hash)
                    && name_hash(identifier) == Some(*hash)
            }
            other => other.identifier().as_ref() == Some(identifier),
        }
    }

    /// Whether the name this was parsed from is the name of `prefix`: what a look-up by hash has
    /// to check before it answers.
    pub fn is_name_of_prefix(&self, prefix: &Prefix) -> bool {
        match self {
            Subject::HashedPrefix { scheme, hash } => {
                prefix.scheme() == *scheme && prefix_name_hash(prefix) == Some(*hash)
            }
            Subject::Prefix(named) => named == prefix,
            _ => false,
        }
    }

    /// The hashed prefix label in the name, its own or the one it is below, as a subject.
    pub fn hashed_prefix(&self) -> Option<Subject> {
        match self {
            Subject::HashedPrefix { .. } => Some(self.clone()),
            Subject::HashedIdentifier {
                scheme,
                prefix_hash: Some(hash),
                ..
            } => Some(Subject::HashedPrefix {
                scheme: *scheme,
                hash: *hash,
            }),
            _ => None,
        }
    }
}

/// Why a name stands for nothing here; a DNS front answers REFUSED to the first and NXDOMAIN to the
/// others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is in none of the zones.
    #[error("the name is in none of the configured zones")]
    OutsideZones,
    /// The label below the node's zone names no scheme; it may be a host of the node.
    #[error("{label} is no scheme (hdl, oid, gs1, ecode, vaa, did)")]
    NoSuchScheme {
        /// That label.
        label: Quoted,
    },
    /// A label is not the canonical spelling of anything.
    #[error("{label} is not the canonical spelling of an identifier or prefix")]
    Malformed {
        /// The first label that is wrong, or the nearest to it.
        label: Quoted,
    },
    /// The name is below that of an identifier, where nothing can be.
    #[error("nothing is below the name of an identifier")]
    Below,
    /// A configured zone is not a usable domain name.
    #[error("zone {text} {problem}")]
    Zone {
        /// The zone as given.
        text: Quoted,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// The hash used in labels: the first 20 bytes of SHA-256 over a store key or a prefix key.
pub fn identifier_hash(key: &[u8]) -> [u8; HASH_BYTES] {
    let digest = Sha256::digest(key);
    let mut hash = [0; HASH_BYTES];
    for (to, from) in hash.iter_mut().zip(digest) {
        *to = from;
    }
    hash
}
