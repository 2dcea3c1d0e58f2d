//! Prefixes (前缀): the units in which identifiers are owned and delegated, in every scheme.

use std::fmt;

use super::error::IdentifierError;
use super::scheme::Scheme;
use super::{
    Identifier, detect_prefix, did, ecode, gs1, handle, oid, starts_with_ignore_case, vaa,
};

/// How a candidate prefix relates to the identifier it was derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The identifier is the prefix's own: whoever holds the prefix registers it.
    Owner,
    /// The prefix is above the owner's: its holder may only refer onward, or host the owner.
    Ancestor,
}

/// One prefix that may be responsible for an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixCandidate<'a> {
    /// The prefix's key ([`Prefix::key`]), a slice of the identifier's store key.
    pub key: &'a [u8],
    /// Owner or ancestor.
    pub relation: Relation,
}

/// The candidates of one identifier, longest prefix first; see [`Identifier::prefix_candidates`].
#[derive(Clone, Debug)]
pub struct PrefixCandidates<'a> {
    scheme: Scheme,
    next: Option<&'a [u8]>,
    relation: Relation,
}

impl<'a> PrefixCandidates<'a> {
    pub(super) fn of(identifier: &'a Identifier) -> Self {
        let scheme = identifier.scheme();
        let head = identifier.head().len();
        let first = match scheme {
            Scheme::Gs1 => head.min(*gs1::COMPANY_PREFIX_DIGITS.end()),
            _ => head,
        };
        Self {
            scheme,
            next: identifier.key.get(..first + 1),
            relation: Relation::Owner,
        }
    }
}

impl<'a> Iterator for PrefixCandidates<'a> {
    type Item = PrefixCandidate<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.next?;
        let relation = self.relation;
        self.next = parent_key(self.scheme, key);
        if !self.scheme.owns_subtree() {
            self.relation = Relation::Ancestor;
        }
        Some(PrefixCandidate { key, relation })
    }
}

impl std::iter::FusedIterator for PrefixCandidates<'_> {}

/// The key of the next shorter prefix, a slice of `key`.
fn parent_key(scheme: Scheme, key: &[u8]) -> Option<&[u8]> {
    let head = key.get(1..)?;
    let len = match scheme {
        Scheme::Handle => head.iter().rposition(|byte| *byte == b'.'),
        Scheme::Oid => oid::parent_len(head),
        Scheme::Gs1 => head
            .len()
            .checked_sub(1)
            .filter(|len| gs1::COMPANY_PREFIX_DIGITS.contains(len)),
        Scheme::Ecode => None,
        Scheme::Vaa => vaa::parent_len(head),
        Scheme::Did => did::parent_len(head),
    }?;
    key.get(..len + 1)
}

/// An ownership unit of any scheme.
///
/// | scheme | text | what it is |
/// |---|---|---|
/// | Handle | `88.118.8` | a handle prefix |
/// | OID | `oid:1.2.156.3001` | an arc, two levels or deeper |
/// | GS1 | `gs1:6901234` | a company prefix, 4 to 12 digits |
/// | Ecode | `ecode:10003` | version and NSI |
/// | VAA | `vaa:VAA08810012345678` | a country, industry or enterprise code |
/// | DID | `did:bid:efnn` | a method, its sub-chain, or `did:cn:88.118` |
///
/// Compared by key. The texts shown are canonical; bare `88.118.8`, `1.2.156` and `VAA088…` are read
/// by the rules of [`Identifier::parse`], `hdl:` marks a handle prefix that looks like another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    key: Box<[u8]>,
}

impl Prefix {
    /// The prefix itself and those that it is part of, longest first, as slices of the key; those
    /// that would own what is under it, were it not registered, are [`Relation::Owner`]s.
    pub fn candidates(&self) -> PrefixCandidates<'_> {
        PrefixCandidates {
            scheme: self.scheme(),
            next: Some(&self.key),
            relation: Relation::Owner,
        }
    }

    /// Reads a prefix, detecting the scheme.
    ///
    /// # Errors
    /// What is wrong, naming the part.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        Self::parse_as(detect_prefix(text)?, text)
    }

    /// Reads a prefix of `scheme`, with or without the scheme in front.
    ///
    /// # Errors
    /// What is wrong, naming the part.
    pub fn parse_as(scheme: Scheme, text: &str) -> Result<Self, IdentifierError> {
        if text.is_empty() {
            return Err(IdentifierError::Empty);
        }
        let head = match scheme {
            Scheme::Handle => {
                let prefix = strip_hdl(text);
                if prefix.len() > super::MAX_IDENTIFIER_BYTES {
                    return Err(IdentifierError::TooLong { bytes: text.len() });
                }
                handle::check_prefix(prefix)?;
                prefix.to_ascii_uppercase().into_bytes()
            }
            Scheme::Oid => oid::parse_prefix(text)?,
            Scheme::Gs1 => gs1::parse_prefix(text)?,
            Scheme::Ecode => ecode::parse_prefix(text)?,
            Scheme::Vaa => vaa::parse_prefix(text)?,
            Scheme::Did => did::parse_prefix(text)?,
        };
        Ok(Self::of(scheme, &head))
    }

    /// The prefix with this key, as [`Self::key`] or [`PrefixCandidate::key`] gave it.
    ///
    /// # Errors
    /// [`IdentifierError::BadKey`] and others when no prefix has this key.
    pub fn from_key(key: &[u8]) -> Result<Self, IdentifierError> {
        let Some((byte, head)) = key.split_first() else {
            return Err(IdentifierError::Empty);
        };
        let scheme = Scheme::try_from(*byte)?;
        match scheme {
            Scheme::Handle => handle::check_head(head)?,
            Scheme::Oid => oid::check_head(head)?,
            Scheme::Gs1 => gs1::check_head(head)?,
            Scheme::Ecode => ecode::check_head(head)?,
            Scheme::Vaa => vaa::check_head(head)?,
            Scheme::Did => did::check_head(head)?,
        }
        Ok(Self { key: key.into() })
    }

    fn of(scheme: Scheme, head: &[u8]) -> Self {
        let mut key = Vec::with_capacity(head.len() + 1);
        key.push(scheme as u8);
        key.extend_from_slice(head);
        Self {
            key: key.into_boxed_slice(),
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        scheme_of(&self.key)
    }

    /// Scheme byte and head: the bytes every identifier under this prefix starts with.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The key without its scheme byte.
    pub fn head(&self) -> &[u8] {
        self.key.get(1..).unwrap_or_default()
    }

    /// The canonical text; `Prefix::parse` of it gives this prefix back.
    pub fn canonical(&self) -> String {
        let head = self.head();
        match self.scheme() {
            Scheme::Handle => {
                let text = String::from_utf8_lossy(head).into_owned();
                match detect_prefix(&text) {
                    Ok(Scheme::Handle) if !starts_with_ignore_case(&text, "hdl:") => text,
                    _ => format!("hdl:{text}"),
                }
            }
            Scheme::Oid => format!("oid:{}", oid::canonical(head)),
            Scheme::Gs1 => format!("gs1:{}", String::from_utf8_lossy(head)),
            Scheme::Ecode => ecode::canonical(head, &[]),
            Scheme::Vaa => vaa::canonical_prefix(head),
            Scheme::Did => did::canonical_prefix(head),
        }
    }

    /// Whether this prefix owns `identifier` ([`Relation::Owner`]), that is, whether its key is in
    /// [`Self::key_range`].
    pub fn covers(&self, identifier: &Identifier) -> bool {
        match identifier.key.strip_prefix(&*self.key) {
            Some(rest) => self.scheme().owns_subtree() || rest.first() == Some(&0),
            None => false,
        }
    }

    /// The store keys of all identifiers this prefix owns: from the first (inclusive) to the
    /// second (exclusive). Prefixes below it are inside for OID and GS1, outside for the others.
    pub fn key_range(&self) -> (Vec<u8>, Vec<u8>) {
        let mut from = self.key.to_vec();
        let mut to = from.clone();
        if self.scheme().owns_subtree() {
            // Heads of these schemes are digits and length bytes, never 0xFF.
            if let Some(last) = to.last_mut() {
                *last = last.saturating_add(1);
            }
        } else {
            from.push(0);
            to.push(1);
        }
        (from, to)
    }

    /// The next shorter prefix: `88.118` of `88.118.8`, `did:bid` of `did:bid:efnn`; `None` at the
    /// top of the scheme.
    pub fn parent(&self) -> Option<Prefix> {
        parent_key(self.scheme(), &self.key).map(|key| Self { key: key.into() })
    }

    /// The identifier under which the prefix itself is described: `0.NA/88.118.8` of a handle
    /// prefix, the OID of an arc, `did:bid:efnn` of a sub-chain; `None` where the scheme has none.
    pub fn prefix_identifier(&self) -> Option<Identifier> {
        match self.scheme() {
            Scheme::Handle => {
                let prefix = std::str::from_utf8(self.head()).ok()?;
                handle::parse(&format!("{}/{prefix}", handle::PREFIX_AUTHORITY)).ok()
            }
            Scheme::Oid => Identifier::assemble_plain(Scheme::Oid, self.head(), &[]),
            Scheme::Did => did::parse(&did::canonical_prefix(self.head())).ok(),
            Scheme::Gs1 | Scheme::Ecode | Scheme::Vaa => None,
        }
    }
}

fn strip_hdl(text: &str) -> &str {
    if starts_with_ignore_case(text, "hdl:") {
        text.get(4..).unwrap_or_default()
    } else {
        text
    }
}

/// The scheme of a key that was checked when it was made.
pub(super) fn scheme_of(key: &[u8]) -> Scheme {
    key.first()
        .and_then(|byte| Scheme::try_from(*byte).ok())
        .unwrap_or(Scheme::Handle)
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

impl std::str::FromStr for Prefix {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
