//! The one identifier type (标识): six schemes parsed once into a canonical store key.
//!
//! A store key is the scheme byte, the *head* (what ownership is decided by, free of 0x00), 0x00,
//! and the *tail* (what the owner assigns). All identifiers of one owner are therefore contiguous,
//! and byte order of keys is the comparison order each scheme's module documents.
//!
//! | scheme | texts | head | tail |
//! |---|---|---|---|
//! | [`Scheme::Handle`] | `88.118.8/x`, `hdl:…`; `88.118.8` means `0.NA/88.118.8` | prefix | suffix |
//! | [`Scheme::Oid`] | `1.2.156`, `oid:…`, `urn:oid:…`, `{1 2 156}` | arcs | – |
//! | [`Scheme::Gs1`] | `(01)…(21)…`, `https://host/01/…`, `gs1:01/…`, `gtin:…`, `sscc:…`, `gln:…` | digits from the company prefix | AI, check digit, qualifiers |
//! | [`Scheme::Ecode`] | `ecode:…` | V and NSI | MD |
//! | [`Scheme::Vaa`] | `VAA…/…`, `vaa:…` | service organisation code | internal code |
//! | [`Scheme::Did`] | `did:bid:…`, `did:cn:…`, `did:vaa:…` | method and AC | suffix |
//!
//! Bare digit strings are refused: they could be a GTIN, an Ecode or a handle prefix.

mod did;
mod ecode;
mod error;
mod gs1;
mod handle;
mod oid;
mod prefix;
mod scheme;
#[cfg(test)]
pub(crate) mod tests;
mod vaa;

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

pub use error::{IdentifierError, Quoted};
pub use gs1::{Gs1Key, check_digit as gs1_check_digit};
pub use oid::MAX_OID_ARCS;
pub use prefix::{Prefix, PrefixCandidate, PrefixCandidates, Relation};
pub use scheme::Scheme;

/// Longest identifier, in bytes of its text without `hdl:`, `oid:` or `ecode:` in front.
pub const MAX_IDENTIFIER_BYTES: usize = 2048;
/// The longest of the scheme names that may precede an identifier of full length.
const MAX_LEAD_BYTES: usize = "urn:oid:".len();

/// An identifier of any scheme in canonical form, with the spelling it was given in.
///
/// Equality, order and hash are those of the store key alone: `88.118.8/abc` and `88.118.8/ABC` are
/// one identifier.
#[derive(Clone, Debug)]
pub struct Identifier {
    key: Box<[u8]>,
    head_len: usize,
    display: Option<Box<str>>,
}

impl Identifier {
    /// Reads an identifier, detecting its scheme by the rules of the module's table.
    ///
    /// # Errors
    /// What is wrong with the text, naming the scheme and the part.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        Self::parse_as(detect(text)?, text)
    }

    /// Reads an identifier of a known scheme, with or without the scheme's name in front.
    ///
    /// # Errors
    /// What is wrong with the text, naming the part.
    pub fn parse_as(scheme: Scheme, text: &str) -> Result<Self, IdentifierError> {
        if text.is_empty() {
            return Err(IdentifierError::Empty);
        }
        if text.len() > MAX_IDENTIFIER_BYTES + MAX_LEAD_BYTES {
            return Err(IdentifierError::TooLong { bytes: text.len() });
        }
        match scheme {
            Scheme::Handle => handle::parse(text),
            Scheme::Oid => oid::parse(text),
            Scheme::Gs1 => gs1::parse(text),
            Scheme::Ecode => ecode::parse(text),
            Scheme::Vaa => vaa::parse(text),
            Scheme::Did => did::parse(text),
        }
    }

    /// The identifier with this store key: the strict inverse of [`Self::key`].
    ///
    /// # Errors
    /// [`IdentifierError::BadKey`] and others when no identifier has this key.
    pub fn from_key(key: &[u8]) -> Result<Self, IdentifierError> {
        let Some((byte, rest)) = key.split_first() else {
            return Err(IdentifierError::Empty);
        };
        let scheme = Scheme::try_from(*byte)?;
        // Length bytes of OID arcs and all other head bytes are never 0.
        let (head, tail) = rest
            .iter()
            .position(|byte| *byte == 0)
            .and_then(|at| Some((rest.get(..at)?, rest.get(at + 1..)?)))
            .ok_or_else(|| error::bad_key(scheme, "it has no 0x00 after its head"))?;
        match scheme {
            Scheme::Handle => handle::check_key(head, tail)?,
            Scheme::Oid => oid::check_key(head, tail)?,
            Scheme::Gs1 => gs1::check_key(head, tail)?,
            Scheme::Ecode => ecode::check_key(head, tail)?,
            Scheme::Vaa => vaa::check_key(head, tail)?,
            Scheme::Did => did::check_key(head, tail)?,
        }
        Ok(Self {
            key: key.into(),
            head_len: head.len(),
            display: None,
        })
    }

    /// Builds an identifier of checked parts; `text` is kept as its spelling where it is not the
    /// canonical text and is recognised by itself.
    fn assemble(scheme: Scheme, head: &[u8], tail: &[u8], text: &str) -> Self {
        let mut identifier = Self::join(scheme, head, tail);
        // A text read under an explicit scheme may mean something else when read without it.
        if identifier.canonical() != text && detect(text) == Ok(scheme) {
            identifier.display = Some(text.into());
        }
        identifier
    }

    fn assemble_plain(scheme: Scheme, head: &[u8], tail: &[u8]) -> Option<Self> {
        let identifier = Self::join(scheme, head, tail);
        Self::from_key(&identifier.key).ok()
    }

    fn join(scheme: Scheme, head: &[u8], tail: &[u8]) -> Self {
        let mut key = Vec::with_capacity(head.len() + tail.len() + 2);
        key.push(scheme as u8);
        key.extend_from_slice(head);
        key.push(0);
        key.extend_from_slice(tail);
        Self {
            key: key.into_boxed_slice(),
            head_len: head.len(),
            display: None,
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        prefix::scheme_of(&self.key)
    }

    /// The store key: scheme byte, head, 0x00, tail.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// What ownership is decided by, in the encoding of the scheme's module.
    pub fn head(&self) -> &[u8] {
        self.key.get(1..=self.head_len).unwrap_or_default()
    }

    /// What the owner assigned, in the encoding of the scheme's module.
    pub fn tail(&self) -> &[u8] {
        self.key.get(self.head_len + 2..).unwrap_or_default()
    }

    /// The canonical text; [`Self::parse`] of it gives this identifier back.
    pub fn canonical(&self) -> String {
        let (head, tail) = (self.head(), self.tail());
        match self.scheme() {
            Scheme::Handle => handle::canonical(head, tail),
            Scheme::Oid => oid::canonical(head),
            Scheme::Gs1 => gs1::canonical(head, tail),
            Scheme::Ecode => ecode::canonical(head, tail),
            Scheme::Vaa => vaa::canonical(head, tail),
            Scheme::Did => did::canonical(head, tail),
        }
    }

    /// The spelling the identifier was given in (a handle without `hdl:` where that is clear), or
    /// the canonical text; [`Self::parse`] of it gives this identifier back.
    pub fn display(&self) -> Cow<'_, str> {
        match &self.display {
            Some(spelling) => Cow::Borrowed(spelling),
            None => Cow::Owned(self.canonical()),
        }
    }

    /// The spelling to store beside the key: `None` when it is the canonical text.
    pub fn spelling(&self) -> Option<&str> {
        self.display.as_deref()
    }

    /// This identifier with a stored spelling; one that is not a spelling of it is ignored.
    #[must_use]
    pub fn with_display(mut self, spelling: &str) -> Self {
        if let Ok(parsed) = Self::parse(spelling)
            && parsed.key == self.key
        {
            self.display = parsed.display;
        }
        self
    }

    /// The prefixes that may be responsible, longest first, as slices of the key.
    ///
    /// The first is always an [`Relation::Owner`]. For OIDs every shorter arc down to two levels
    /// and for GS1 every digit truncation from 12 down to 4 may own it too; for the other schemes
    /// the shorter ones are [`Relation::Ancestor`]s. The candidates of `0.NA/88.118.8` are those of
    /// its own prefix `0.NA`; for the prefix it describes ask [`Self::prefix_handle`].
    pub fn prefix_candidates(&self) -> PrefixCandidates<'_> {
        PrefixCandidates::of(self)
    }

    /// The prefix it belongs to: the first of [`Self::prefix_candidates`].
    pub fn prefix(&self) -> Option<Prefix> {
        let longest = self.prefix_candidates().next()?;
        Prefix::from_key(longest.key).ok()
    }

    /// Of `0.NA/<prefix>`, the handle prefix it describes; otherwise `None`.
    pub fn prefix_handle(&self) -> Option<Prefix> {
        if self.scheme() != Scheme::Handle || self.head() != handle::PREFIX_AUTHORITY.as_bytes() {
            return None;
        }
        let prefix = std::str::from_utf8(self.tail()).ok()?;
        // Not `Prefix::parse_as`: a suffix starting with `hdl:` describes a prefix of that spelling.
        handle::check_prefix(prefix).ok()?;
        let mut key = Vec::with_capacity(prefix.len() + 1);
        key.push(Scheme::Handle as u8);
        key.extend_from_slice(prefix.as_bytes());
        Prefix::from_key(&key).ok()
    }

    /// The parts of a GS1 identifier; `None` for other schemes.
    pub fn gs1(&self) -> Option<Gs1Key> {
        match self.scheme() {
            Scheme::Gs1 => gs1::decode(self.head(), self.tail()),
            _ => None,
        }
    }

    /// The GS1 identifier of a key and its qualifiers, as pairs of application identifier and
    /// value, the key first; qualifiers may be in any order, a GTIN of any length.
    ///
    /// # Errors
    /// What is wrong with the key or a qualifier.
    pub fn from_gs1(elements: &[(&str, &str)]) -> Result<Self, IdentifierError> {
        let (head, tail) = gs1::from_elements(elements)?;
        Ok(Self::join(Scheme::Gs1, &head, &tail))
    }

    /// The OID of arcs written as numbers, root first.
    ///
    /// # Errors
    /// What is wrong with an arc, or with their number.
    pub fn from_oid_arcs<'a>(arcs: impl Iterator<Item = &'a str>) -> Result<Self, IdentifierError> {
        let head = oid::encode_arcs("OID", arcs)?;
        Ok(Self::join(Scheme::Oid, &head, &[]))
    }

    /// A GS1 identifier without its last qualifier (an instance's batch, a batch's product);
    /// `None` when it has none. A Digital Link resolver walks up this way when it finds no record.
    pub fn without_last_qualifier(&self) -> Option<Identifier> {
        if self.scheme() != Scheme::Gs1 {
            return None;
        }
        let tail = self.tail();
        let end = tail
            .iter()
            .rposition(|byte| *byte == gs1::QUALIFIER_SEPARATOR)?;
        Some(Self::join(Scheme::Gs1, self.head(), tail.get(..end)?))
    }

    /// Whether upper and lower case differ in the tail: true of GS1, DID and Ecode V4.
    pub fn is_case_sensitive(&self) -> bool {
        match self.scheme() {
            Scheme::Handle | Scheme::Oid | Scheme::Vaa => false,
            Scheme::Gs1 | Scheme::Did => true,
            Scheme::Ecode => ecode::is_case_sensitive(self.head()),
        }
    }

    /// The arcs of an OID, root first; none for other schemes.
    pub fn oid_arcs(&self) -> impl Iterator<Item = &str> {
        let head: &[u8] = match self.scheme() {
            Scheme::Oid => self.head(),
            _ => &[],
        };
        oid::arcs(head)
    }
}

impl PartialEq for Identifier {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Identifier {}

impl PartialOrd for Identifier {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Identifier {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl Hash for Identifier {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl Borrow<[u8]> for Identifier {
    fn borrow(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display())
    }
}

impl std::str::FromStr for Identifier {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

fn starts_with_ignore_case(text: &str, lead: &str) -> bool {
    text.get(..lead.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(lead))
}

/// Texts in front of an identifier that say its scheme.
const LEADS: [(&str, Scheme); 12] = [
    ("hdl:", Scheme::Handle),
    ("oid:", Scheme::Oid),
    ("urn:oid:", Scheme::Oid),
    ("gs1:", Scheme::Gs1),
    ("gtin:", Scheme::Gs1),
    ("sscc:", Scheme::Gs1),
    ("gln:", Scheme::Gs1),
    ("https://", Scheme::Gs1),
    ("http://", Scheme::Gs1),
    ("ecode:", Scheme::Ecode),
    ("vaa:", Scheme::Vaa),
    ("did:", Scheme::Did),
];

fn lead_scheme(text: &str) -> Option<Scheme> {
    LEADS
        .into_iter()
        .find(|(lead, _)| starts_with_ignore_case(text, lead))
        .map(|(_, scheme)| scheme)
}

/// The scheme an identifier's text is read as.
fn detect(text: &str) -> Result<Scheme, IdentifierError> {
    let Some(first) = text.bytes().next() else {
        return Err(IdentifierError::Empty);
    };
    if !first.is_ascii_digit()
        && let Some(scheme) = lead_scheme(text)
    {
        return Ok(scheme);
    }
    match first {
        b'(' => return Ok(Scheme::Gs1),
        b'{' => return Ok(Scheme::Oid),
        _ => {}
    }
    if looks_like_vaa(text) {
        return Ok(Scheme::Vaa);
    }
    if text.contains('/') {
        return Ok(Scheme::Handle);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(IdentifierError::BareDigits {
            text: Quoted::new(text),
        });
    }
    if text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return Ok(if oid::looks_like_oid(text) {
            Scheme::Oid
        } else {
            Scheme::Handle
        });
    }
    Err(IdentifierError::Unrecognised {
        text: Quoted::new(text),
    })
}

/// The scheme a prefix's text is read as.
fn detect_prefix(text: &str) -> Result<Scheme, IdentifierError> {
    if text.is_empty() {
        return Err(IdentifierError::Empty);
    }
    if let Some(scheme) = lead_scheme(text) {
        return Ok(scheme);
    }
    if text.starts_with('{') {
        return Ok(Scheme::Oid);
    }
    if looks_like_vaa(text) {
        return Ok(Scheme::Vaa);
    }
    let dotted = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    Ok(if dotted && oid::looks_like_oid(text) {
        Scheme::Oid
    } else {
        Scheme::Handle
    })
}

/// `VAA` and three digits: no handle prefix is written so without dots.
fn looks_like_vaa(text: &str) -> bool {
    starts_with_ignore_case(text, "VAA")
        && text
            .get(3..6)
            .is_some_and(|country| country.bytes().all(|byte| byte.is_ascii_digit()))
}
