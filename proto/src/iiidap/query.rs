//! What is asked: a path behind the base URL with its parameters (QUERY §3), or a line of WHOIS.

use super::pattern::{Pattern, PatternError};
use crate::identifier::{Identifier, IdentifierError, Prefix};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use thiserror::Error;

/// Longest identifier, characters (QUERY §3.1.1).
const MAX_IDENTIFIER_CHARS: usize = 255;
/// Shortest.
const MIN_IDENTIFIER_CHARS: usize = 2;
/// Longest name, characters (QUERY §3.1.2).
const MAX_NAME_CHARS: usize = 255;

/// A query that is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueryError {
    /// The path is none of IIIDAP's.
    #[error("path: there is identifier/{{identifier}}, name/{{name}}, names?name= and help")]
    Path,
    /// A part is not percent-encoded UTF-8 (RFC 3986 §2.1).
    #[error("{0}: is not UTF-8, percent-encoded")]
    Encoding(&'static str),
    /// A part has too many or too few characters.
    #[error("{part}: has {length} characters, not {least} to {most}")]
    Length {
        /// Which.
        part: &'static str,
        /// How many it has.
        length: usize,
        /// How many it has at least.
        least: usize,
        /// How many it has at most.
        most: usize,
    },
    /// A part is missing.
    #[error("{0}: is missing")]
    Missing(&'static str),
    /// What is asked for is no identifier.
    #[error("identifier: {0}")]
    Identifier(#[from] IdentifierError),
    /// The style of a pattern is not known.
    #[error("name: {0}")]
    Pattern(#[from] PatternError),
}

impl QueryError {
    /// The HTTP status for it: 422 for patterns (QUERY §4.1), otherwise 400 (HTTP §5.4).
    pub fn status(&self) -> u16 {
        match self {
            Self::Pattern(_) => 422,
            _ => 400,
        }
    }
}

/// What somebody's registration is asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A prefix.
    Prefix(Prefix),
    /// An identifier below one.
    Identifier(Identifier),
}

impl Subject {
    /// Reads what may be a prefix, and otherwise an identifier of any scheme.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        length(
            "identifier",
            text,
            MIN_IDENTIFIER_CHARS,
            MAX_IDENTIFIER_CHARS,
        )?;
        match (Prefix::parse(text), Identifier::parse(text)) {
            // A Handle prefix may look like anything: whatever else it can be, it is.
            (Ok(prefix), Ok(identifier)) if prefix.scheme() != identifier.scheme() => {
                Ok(Self::Identifier(identifier))
            }
            (Ok(prefix), _) => Ok(Self::Prefix(prefix)),
            (Err(_), Ok(identifier)) => Ok(Self::Identifier(identifier)),
            // Which of the two it was meant to be, a suffix tells.
            (Err(_), Err(error)) if text.contains('/') => Err(error.into()),
            (Err(error), Err(_)) => Err(error.into()),
        }
    }

    /// As it is written.
    pub fn text(&self) -> String {
        match self {
            Self::Prefix(prefix) => prefix.canonical(),
            Self::Identifier(identifier) => identifier.display().into_owned(),
        }
    }
}

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// `identifier/88.118.8` (QUERY §3.1.1).
    Identifier(Subject),
    /// `name/mengniu` (QUERY §3.1.2): a pattern without an asterisk, since names are compared
    /// folded here too.
    Name(Pattern),
    /// `names?name=meng*` (QUERY §3.2.1).
    Names(Pattern),
    /// `help` (QUERY §3.1.3).
    Help,
}

impl Query {
    /// Reads a path behind the base URL's final slash, and the query behind `?`. Parameters that
    /// are not known are passed over (HTTP §4.3).
    ///
    /// # Errors
    /// It cannot be read, or has a pattern of an unknown style.
    pub fn parse(path: &str, query: Option<&str>) -> Result<Self, QueryError> {
        let (kind, rest) = path.split_once('/').unwrap_or((path, ""));
        match kind {
            "identifier" => Self::identifier(&decoded("identifier", rest)?),
            "name" => Self::name(&decoded("name", without_slash(rest))?),
            "names" if rest.is_empty() => {
                let mut pairs = query.unwrap_or_default().split('&');
                let name = pairs.find_map(|pair| pair.strip_prefix("name="));
                let name = name.ok_or(QueryError::Missing("name"))?;
                Self::names(&decoded("name", &name.replace('+', " "))?)
            }
            "help" if rest.is_empty() => Ok(Self::Help),
            _ => Err(QueryError::Path),
        }
    }

    /// Reads a line of WHOIS (RFC 3912 §2): `help` or `?`, `identifier …`, `name …`, `names …`;
    /// without such a word, what it looks like.
    ///
    /// # Errors
    /// As [`Query::parse`].
    pub fn of_line(line: &str) -> Result<Self, QueryError> {
        let line = &*unicode(line.trim());
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word.to_ascii_lowercase().as_str(), rest.trim()) {
            ("", _) => Err(QueryError::Missing("query")),
            ("help" | "?", "") => Ok(Self::Help),
            ("identifier", rest) if !rest.is_empty() => Self::identifier(rest),
            ("name", rest) if !rest.is_empty() => Self::name(rest),
            ("names", rest) if !rest.is_empty() => Self::names(rest),
            _ if line.contains('*') => Self::names(line),
            _ if looks_like_identifier(line) => Self::identifier(line),
            _ => Self::name(line),
        }
    }

    fn identifier(text: &str) -> Result<Self, QueryError> {
        // `/identifier/XX.YY/...` (QUERY §3.1.1): a final slash is no suffix.
        Subject::parse(without_slash(text)).map(Self::Identifier)
    }

    fn name(text: &str) -> Result<Self, QueryError> {
        length("name", text, 1, MAX_NAME_CHARS)?;
        // An asterisk is one of the name's here.
        Ok(Self::Name(Pattern::exactly(text)))
    }

    fn names(text: &str) -> Result<Self, QueryError> {
        length("name", text, 1, MAX_NAME_CHARS)?;
        Ok(Self::Names(Pattern::parse(text)?))
    }
}

/// A name of which a client has made a domain name, as it was: clients that know WHOIS for its
/// domains send what is not ASCII in Punycode (RFC 5891).
fn unicode(line: &str) -> Cow<'_, str> {
    let is_encoded = |label: &str| {
        let lead = label.get(..4);
        lead.is_some_and(|lead| lead.eq_ignore_ascii_case("xn--"))
    };
    if !line.is_ascii() || !line.split(['.', ' ']).any(is_encoded) {
        return Cow::Borrowed(line);
    }
    let words = line
        .split(' ')
        .map(|word| match idna::domain_to_unicode(word) {
            (decoded, Ok(())) => decoded,
            (_, Err(_)) => word.to_owned(),
        });
    Cow::Owned(words.collect::<Vec<_>>().join(" "))
}

fn without_slash(text: &str) -> &str {
    text.strip_suffix('/').unwrap_or(text)
}

fn length(part: &'static str, text: &str, least: usize, most: usize) -> Result<(), QueryError> {
    match text.chars().count() {
        0 => Err(QueryError::Missing(part)),
        length if (least..=most).contains(&length) => Ok(()),
        length => Err(QueryError::Length {
            part,
            length,
            least,
            most,
        }),
    }
}

/// Decoded once. A '%' that encodes nothing is refused.
fn decoded(part: &'static str, text: &str) -> Result<String, QueryError> {
    let encodes = |(offset, _): (usize, &str)| {
        let digits = text.as_bytes().get(offset + 1..offset + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.match_indices('%').all(encodes) {
        return Err(QueryError::Encoding(part));
    }
    percent_decode_str(text)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| QueryError::Encoding(part))
}

/// Whether a line of WHOIS is an identifier rather than a name: digits and dots, a suffix, or the
/// name of a scheme in front.
fn looks_like_identifier(line: &str) -> bool {
    let lead = line.split(':').next().unwrap_or_default();
    let has_scheme = line.contains(':')
        && ["hdl", "oid", "gs1", "ecode", "vaa", "did"]
            .iter()
            .any(|scheme| lead.eq_ignore_ascii_case(scheme));
    let head = line.split('/').next().unwrap_or_default();
    let is_dotted = head.contains('.')
        && head.starts_with(|c: char| c.is_ascii_digit())
        && !head.contains(char::is_whitespace);
    let is_number = line.len() > 1 && line.bytes().all(|byte| byte.is_ascii_digit());
    has_scheme || is_dotted || is_number || line.starts_with('(')
}
