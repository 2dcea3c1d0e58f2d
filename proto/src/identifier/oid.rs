//! Object identifiers, `1.2.156.3001` (ITU-T X.660, X.680 for the `{1 2 156}` notation).
//!
//! | | |
//! |---|---|
//! | head | per arc one byte holding the number of its digits, then the digits |
//! | tail | empty |
//! | order | arc by arc as numbers, a node before its descendants |
//!
//! The length byte makes byte order numeric order and the arcs prefix-free, so that a subtree is
//! one key range.

use super::error::{IdentifierError, Quoted, bad_key};
use super::scheme::Scheme;
use super::{Identifier, MAX_IDENTIFIER_BYTES, starts_with_ignore_case};

const SCHEME: Scheme = Scheme::Oid;
/// Digits of 2¹²⁸ − 1, the largest arc in use: `2.25.<UUID>` (X.667).
const MAX_ARC_DIGITS: usize = 39;
/// Arcs of one identifier; X.660 sets no limit, the deepest trees in use stay far below.
pub const MAX_OID_ARCS: usize = 128;

pub(super) fn parse(text: &str) -> Result<Identifier, IdentifierError> {
    let head = encode(strip(text))?;
    Ok(Identifier::assemble(SCHEME, &head, &[], text))
}

pub(super) fn parse_prefix(text: &str) -> Result<Vec<u8>, IdentifierError> {
    encode(strip(text))
}

fn strip(text: &str) -> &str {
    ["urn:oid:", "oid:"]
        .into_iter()
        .find(|lead| starts_with_ignore_case(text, lead))
        .and_then(|lead| text.get(lead.len()..))
        .unwrap_or(text)
}

fn encode(text: &str) -> Result<Vec<u8>, IdentifierError> {
    if text.len() > MAX_IDENTIFIER_BYTES {
        return Err(IdentifierError::TooLong { bytes: text.len() });
    }
    let braced = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    match braced {
        Some(inner) => encode_arcs(text, inner.split_ascii_whitespace()),
        None => encode_arcs(text, text.split('.')),
    }
}

/// Encodes arcs given most significant first; `text` is what an error quotes.
pub(super) fn encode_arcs<'a>(
    text: &str,
    arcs: impl Iterator<Item = &'a str>,
) -> Result<Vec<u8>, IdentifierError> {
    let mut head = Vec::with_capacity(text.len() + 1);
    let mut root = None;
    let mut count = 0;
    for arc in arcs {
        check_arc(arc)?;
        match (count, root) {
            (0, _) => root = Some(root_arc(arc)?),
            (1, Some(0 | 1)) => check_second_arc(arc)?,
            _ => {}
        }
        head.push(arc.len() as u8);
        head.extend_from_slice(arc.as_bytes());
        count += 1;
    }
    if count < 2 {
        return Err(IdentifierError::Missing {
            scheme: SCHEME,
            part: "arc",
            text: Quoted::new(text),
            expected: "two arcs or more",
        });
    }
    if count > MAX_OID_ARCS {
        return Err(IdentifierError::Length {
            scheme: SCHEME,
            part: "arc",
            text: Quoted::new(text),
            chars: text.len(),
            allowed: "at most 128 arcs",
        });
    }
    Ok(head)
}

fn check_arc(arc: &str) -> Result<(), IdentifierError> {
    if arc.is_empty() {
        return Err(arc_value(arc, "is empty"));
    }
    if let Some((offset, found)) = arc.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        return Err(IdentifierError::Character {
            scheme: SCHEME,
            part: "arc",
            text: Quoted::new(arc),
            offset,
            found,
            allowed: "0-9 (arcs are written as numbers)",
        });
    }
    if arc.len() > 1 && arc.starts_with('0') {
        return Err(arc_value(arc, "has a leading zero"));
    }
    if arc.len() > MAX_ARC_DIGITS {
        return Err(IdentifierError::Length {
            scheme: SCHEME,
            part: "arc",
            text: Quoted::new(arc),
            chars: arc.len(),
            allowed: "1 to 39",
        });
    }
    Ok(())
}

fn root_arc(arc: &str) -> Result<u8, IdentifierError> {
    match arc {
        "0" => Ok(0),
        "1" => Ok(1),
        "2" => Ok(2),
        _ => Err(arc_value(arc, "is no root arc: 0, 1 or 2 (X.660)")),
    }
}

fn check_second_arc(arc: &str) -> Result<(), IdentifierError> {
    if second_arc_fits(arc) {
        Ok(())
    } else {
        Err(arc_value(
            arc,
            "is above 39, the highest under 0 and 1 (X.660)",
        ))
    }
}

fn second_arc_fits(arc: &str) -> bool {
    arc.parse::<u8>().is_ok_and(|number| number < 40)
}

fn arc_value(arc: &str, problem: &'static str) -> IdentifierError {
    IdentifierError::Value {
        scheme: SCHEME,
        part: "arc",
        text: Quoted::new(arc),
        problem,
    }
}

/// Whether bare dotted decimals are an OID rather than a handle prefix: the root arc is 0, 1 or 2
/// and, under 0 and 1, the second is below 40.
pub(super) fn looks_like_oid(dotted: &str) -> bool {
    let mut arcs = dotted.split('.');
    match (arcs.next(), arcs.next()) {
        (Some("2"), Some(_)) => true,
        (Some("0" | "1"), Some(second)) => second_arc_fits(second),
        _ => false,
    }
}

/// The arcs of an encoded head, most significant first; stops at the first broken one.
pub(super) fn arcs(head: &[u8]) -> impl Iterator<Item = &str> {
    let mut rest = head;
    std::iter::from_fn(move || {
        let (len, tail) = rest.split_first()?;
        let (digits, after) = tail.split_at_checked(usize::from(*len))?;
        rest = after;
        std::str::from_utf8(digits).ok()
    })
}

/// Where the last arc of an encoded head starts; `None` when fewer than two arcs would remain.
pub(super) fn parent_len(head: &[u8]) -> Option<usize> {
    let mut start = 0;
    let mut last = 0;
    let mut count = 0;
    while let Some(len) = head.get(start) {
        last = start;
        start += 1 + usize::from(*len);
        count += 1;
    }
    (count > 2).then_some(last)
}

pub(super) fn check_key(head: &[u8], tail: &[u8]) -> Result<(), IdentifierError> {
    if !tail.is_empty() {
        return Err(bad_key(SCHEME, "it goes on after its last arc"));
    }
    check_head(head)
}

pub(super) fn check_head(head: &[u8]) -> Result<(), IdentifierError> {
    let encoded = encode_arcs("stored key", arcs(head))?;
    if encoded == head {
        Ok(())
    } else {
        Err(bad_key(
            SCHEME,
            "its arcs are not encoded as length and digits",
        ))
    }
}

pub(super) fn canonical(head: &[u8]) -> String {
    let mut text = String::with_capacity(head.len());
    for arc in arcs(head) {
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(arc);
    }
    text
}
