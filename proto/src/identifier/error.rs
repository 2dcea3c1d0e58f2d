//! Why a text or a stored key is no identifier.

use std::fmt;

use super::scheme::Scheme;

const QUOTED_CHARS: usize = 40;

/// Input quoted in an error: at most 40 characters, control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted(Box<str>);

impl Quoted {
    /// Quotes `text`, with `…` where it was cut.
    pub fn new(text: &str) -> Self {
        let mut chars = text.chars();
        let mut quoted: String = chars
            .by_ref()
            .take(QUOTED_CHARS)
            .flat_map(char::escape_debug)
            .collect();
        if chars.next().is_some() {
            quoted.push('…');
        }
        Self(quoted.into_boxed_str())
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// Why a text, or a stored key, is not an identifier (or not a prefix).
///
/// Byte offsets count from the start of the quoted part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// No text at all.
    #[error("identifier is empty")]
    Empty,
    /// Longer than [`super::MAX_IDENTIFIER_BYTES`].
    #[error(
        "identifier has {bytes} bytes, at most {} are allowed",
        super::MAX_IDENTIFIER_BYTES
    )]
    TooLong {
        /// Bytes of the text given.
        bytes: usize,
    },
    /// A word that names none of the six schemes.
    #[error("{text} is no identifier scheme (handle, oid, gs1, ecode, vaa, did)")]
    UnknownScheme {
        /// The word given.
        text: Quoted,
    },
    /// A text that has the form of no scheme.
    #[error(
        "{text} has the form of no identifier scheme: a handle has a '/', an OID dots between \
         numbers, the others start with gs1:, ecode:, vaa: or did:"
    )]
    Unrecognised {
        /// The text given.
        text: Quoted,
    },
    /// Digits without a scheme: GTIN, Ecode and others would all match.
    #[error("{text} could be of several schemes: write gtin:, sscc:, gln: or ecode: in front")]
    BareDigits {
        /// The digits given.
        text: Quoted,
    },
    /// A part that must be there is missing or empty.
    #[error("{}: {part} of {text} is missing: {expected}", scheme.title())]
    Missing {
        /// The scheme.
        scheme: Scheme,
        /// The missing part.
        part: &'static str,
        /// The text it is missing from.
        text: Quoted,
        /// What was expected there.
        expected: &'static str,
    },
    /// A character the scheme does not allow there.
    #[error("{}: {part} {text} has {found:?} at byte {offset}, allowed: {allowed}", scheme.title())]
    Character {
        /// The scheme.
        scheme: Scheme,
        /// The part it is in.
        part: &'static str,
        /// That part.
        text: Quoted,
        /// Byte offset in the part.
        offset: usize,
        /// The character.
        found: char,
        /// The characters allowed.
        allowed: &'static str,
    },
    /// A part of the wrong length.
    #[error("{}: {part} {text} has {chars} characters, must have {allowed}", scheme.title())]
    Length {
        /// The scheme.
        scheme: Scheme,
        /// The part.
        part: &'static str,
        /// That part.
        text: Quoted,
        /// Its characters.
        chars: usize,
        /// The lengths allowed, in words.
        allowed: &'static str,
    },
    /// A value out of the range the scheme allows, or not in its normal form.
    #[error("{}: {part} {text} {problem}", scheme.title())]
    Value {
        /// The scheme.
        scheme: Scheme,
        /// The part.
        part: &'static str,
        /// That part.
        text: Quoted,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A wrong GS1 check digit (mod 10, weights 3 and 1 from the right).
    #[error("GS1: check digit of {key} {text} is {found}, should be {expected}")]
    CheckDigit {
        /// The key's name, such as `GTIN-13`.
        key: &'static str,
        /// The key as given.
        text: Quoted,
        /// The digit found.
        found: char,
        /// The digit that would be right.
        expected: char,
    },
    /// A GS1 application identifier that is no key or qualifier understood here.
    #[error("GS1: ({ai}) is {problem}")]
    ApplicationIdentifier {
        /// The application identifier as given.
        ai: Quoted,
        /// Why it is refused.
        problem: &'static str,
    },
    /// A stored key that no identifier has.
    #[error("{}: stored key is broken: {reason}", scheme.map_or("identifier", Scheme::title))]
    BadKey {
        /// The scheme, if its byte could be read.
        scheme: Option<Scheme>,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl IdentifierError {
    /// A short machine-readable name of the offending part: `identifier`, `scheme`, `prefix`,
    /// `suffix`, `arc`, `check digit`, `application identifier`, `key` …
    pub fn part(&self) -> &'static str {
        match self {
            Self::Empty | Self::TooLong { .. } | Self::Unrecognised { .. } => "identifier",
            Self::UnknownScheme { .. } | Self::BareDigits { .. } => "scheme",
            Self::Missing { part, .. }
            | Self::Character { part, .. }
            | Self::Length { part, .. }
            | Self::Value { part, .. } => part,
            Self::CheckDigit { .. } => "check digit",
            Self::ApplicationIdentifier { .. } => "application identifier",
            Self::BadKey { .. } => "key",
        }
    }

    /// The scheme the text was read as, where one was recognised.
    pub fn scheme(&self) -> Option<Scheme> {
        match self {
            Self::Missing { scheme, .. }
            | Self::Character { scheme, .. }
            | Self::Length { scheme, .. }
            | Self::Value { scheme, .. } => Some(*scheme),
            Self::CheckDigit { .. } | Self::ApplicationIdentifier { .. } => Some(Scheme::Gs1),
            Self::BadKey { scheme, .. } => *scheme,
            _ => None,
        }
    }
}

/// A rule for one part of an identifier, checked in one place so that errors read alike.
pub(super) struct PartRule {
    pub(super) scheme: Scheme,
    pub(super) part: &'static str,
    pub(super) allowed: &'static str,
    pub(super) accepts: fn(char) -> bool,
    pub(super) min_chars: usize,
    pub(super) max_chars: usize,
    pub(super) lengths: &'static str,
}

impl PartRule {
    pub(super) fn check(&self, text: &str) -> Result<(), IdentifierError> {
        if let Some((offset, found)) = text.char_indices().find(|(_, c)| !(self.accepts)(*c)) {
            return Err(IdentifierError::Character {
                scheme: self.scheme,
                part: self.part,
                text: Quoted::new(text),
                offset,
                found,
                allowed: self.allowed,
            });
        }
        let chars = text.chars().count();
        if chars < self.min_chars || chars > self.max_chars {
            return Err(IdentifierError::Length {
                scheme: self.scheme,
                part: self.part,
                text: Quoted::new(text),
                chars,
                allowed: self.lengths,
            });
        }
        Ok(())
    }
}

/// A broken stored key of `scheme`.
pub(super) fn bad_key(scheme: Scheme, reason: &'static str) -> IdentifierError {
    IdentifierError::BadKey {
        scheme: Some(scheme),
        reason,
    }
}
