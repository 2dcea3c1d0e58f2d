//! The ways GS1 keys are written: element strings and Digital Link URIs.

use std::fmt::Write;

use super::super::MAX_IDENTIFIER_BYTES;
use super::super::error::{IdentifierError, Quoted};
use super::super::starts_with_ignore_case;
use super::key::{Element, Gs1Key, key_rule};
use super::{SCHEME, unsupported};

/// Domain of the canonical Digital Link URI (GS1 Digital Link Standard: URI Syntax).
const CANONICAL_ROOT: &str = "https://id.gs1.org";

/// Attributes that element strings commonly carry beside a key: dates, variant, counts. Like the
/// query of a Digital Link URI they describe the thing and do not identify it.
const ATTRIBUTES: [&str; 9] = ["11", "12", "13", "15", "16", "17", "20", "30", "37"];

/// The key element and its qualifiers in `text`.
pub(super) fn elements(text: &str) -> Result<Vec<Element>, IdentifierError> {
    if text.len() > MAX_IDENTIFIER_BYTES {
        return Err(IdentifierError::TooLong { bytes: text.len() });
    }
    if text.starts_with('(') {
        return element_string(text);
    }
    for (lead, ai) in [("gtin:", "01"), ("sscc:", "00"), ("gln:", "414")] {
        if starts_with_ignore_case(text, lead) {
            let rest = text.get(lead.len()..).unwrap_or_default();
            return path_elements(&format!("{ai}/{rest}"), Stem::None);
        }
    }
    for lead in ["https://", "http://"] {
        if starts_with_ignore_case(text, lead) {
            return uri_elements(text.get(lead.len()..).unwrap_or_default());
        }
    }
    let path = if starts_with_ignore_case(text, "gs1:") {
        text.get(4..).unwrap_or_default()
    } else {
        text
    };
    if path.starts_with('(') {
        return element_string(path);
    }
    if !path.contains('/') && !path.is_empty() && path.bytes().all(|b| b.is_ascii_digit()) {
        return Err(IdentifierError::BareDigits {
            text: Quoted::new(path),
        });
    }
    path_elements(path, Stem::None)
}

/// Whether segments may precede the key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stem {
    None,
    Any,
}

fn element_string(text: &str) -> Result<Vec<Element>, IdentifierError> {
    let mut elements = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some((ai, after)) = leading_ai(rest) else {
            return Err(IdentifierError::Missing {
                scheme: SCHEME,
                part: "application identifier",
                text: Quoted::new(rest),
                expected: "2 to 4 digits in parentheses",
            });
        };
        let end = after
            .match_indices('(')
            .map(|(at, _)| at)
            .find(|at| leading_ai(after.get(*at..).unwrap_or_default()).is_some())
            .unwrap_or(after.len());
        let (value, next) = after.split_at_checked(end).unwrap_or_default();
        elements.push(Element {
            ai: ai.to_owned(),
            value: value.to_owned(),
        });
        rest = next;
    }
    key_first(text, elements)
}

/// `(21)…` → `21` and what follows; looks at six bytes, so that a text of '(' stays cheap.
fn leading_ai(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_prefix('(')?;
    let digits = body.bytes().take(5).take_while(u8::is_ascii_digit).count();
    let (ai, rest) = body.split_at_checked(digits)?;
    let after = rest.strip_prefix(')')?;
    (2..=4).contains(&digits).then_some((ai, after))
}

/// Puts the key before its qualifiers and drops attributes.
fn key_first(text: &str, elements: Vec<Element>) -> Result<Vec<Element>, IdentifierError> {
    let (mut keys, mut others): (Vec<_>, Vec<_>) = elements
        .into_iter()
        .partition(|element| key_rule(&element.ai).is_some());
    others.retain(|element| !ATTRIBUTES.contains(&element.ai.as_str()));
    if keys.len() > 1 {
        return Err(IdentifierError::Value {
            scheme: SCHEME,
            part: "key",
            text: Quoted::new(text),
            problem: "holds more than one GS1 key",
        });
    }
    if keys.is_empty() {
        return Err(match others.first() {
            Some(element) => unsupported(&element.ai, "not a GS1 key supported here"),
            None => no_key(text),
        });
    }
    keys.append(&mut others);
    Ok(keys)
}

/// `rest` starts at the host.
fn uri_elements(rest: &str) -> Result<Vec<Element>, IdentifierError> {
    let path = rest
        .split_once('/')
        .map_or("", |(_, path)| path)
        .split(['?', '#'])
        .next()
        .unwrap_or_default();
    path_elements(path, Stem::Any)
}

/// Elements of a Digital Link path: the last pair position that names a key starts them, whatever
/// is before it is the stem.
fn path_elements(path: &str, stem: Stem) -> Result<Vec<Element>, IdentifierError> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = path.split('/').collect();
    let mut key_at = None;
    for (at, pair) in pairs_from_end(&segments) {
        let allowed = at == 0 || stem == Stem::Any;
        if allowed && pair.first().is_some_and(|ai| key_rule(ai).is_some()) {
            key_at = Some(at);
            break;
        }
    }
    let Some(elements) = key_at.and_then(|at| segments.get(at..)) else {
        return Err(no_key_in(path, &segments));
    };
    elements
        .chunks_exact(2)
        .map(|pair| match pair {
            [ai, value] => Ok(Element {
                ai: (*ai).to_owned(),
                value: percent_decode(value)?,
            }),
            _ => Err(no_key(path)),
        })
        .collect()
}

fn pairs_from_end<'a, 'b>(segments: &'b [&'a str]) -> impl Iterator<Item = (usize, &'b [&'a str])> {
    segments
        .rchunks_exact(2)
        .enumerate()
        .map(|(back, pair)| (segments.len() - 2 * (back + 1), pair))
}

fn no_key_in(path: &str, segments: &[&str]) -> IdentifierError {
    if segments.iter().any(|segment| key_rule(segment).is_some()) {
        return IdentifierError::Missing {
            scheme: SCHEME,
            part: "value",
            text: Quoted::new(path),
            expected: "pairs of application identifier and value",
        };
    }
    segments
        .iter()
        .find(|segment| {
            (2..=4).contains(&segment.len()) && segment.bytes().all(|b| b.is_ascii_digit())
        })
        .map_or_else(
            || no_key(path),
            |ai| unsupported(ai, "not a GS1 key supported here"),
        )
}

fn no_key(text: &str) -> IdentifierError {
    IdentifierError::Missing {
        scheme: SCHEME,
        part: "key",
        text: Quoted::new(text),
        expected: "an application identifier and its value, such as 01/09506000134352",
    }
}

fn percent_decode(segment: &str) -> Result<String, IdentifierError> {
    let malformed = || IdentifierError::Value {
        scheme: SCHEME,
        part: "percent-encoding",
        text: Quoted::new(segment),
        problem: "has a '%' without two hexadecimal digits of an ASCII character",
    };
    let mut pieces = segment.split('%');
    let mut decoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (hex, rest) = piece.split_at_checked(2).ok_or_else(malformed)?;
        let byte = hex
            .bytes()
            .all(|b| b.is_ascii_hexdigit())
            .then(|| u8::from_str_radix(hex, 16).ok())
            .flatten()
            .filter(u8::is_ascii)
            .ok_or_else(malformed)?;
        decoded.push(char::from(byte));
        decoded.push_str(rest);
    }
    Ok(decoded)
}

pub(super) fn canonical_uri(key: &Gs1Key) -> String {
    let mut uri = String::with_capacity(64);
    uri.push_str(CANONICAL_ROOT);
    push_pair(&mut uri, key.ai, &key.value);
    for (ai, value) in &key.qualifiers {
        push_pair(&mut uri, ai, value);
    }
    uri
}

fn push_pair(uri: &mut String, ai: &str, value: &str) {
    uri.push('/');
    uri.push_str(ai);
    uri.push('/');
    for c in value.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~') {
            uri.push(c);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(uri, "%{:02X}", u32::from(c));
        }
    }
}
