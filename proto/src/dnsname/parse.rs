//! From names to what they stand for.

use super::encode::{
    COMPANY_PREFIX_LABEL, MAX_NAME_BYTES, MAX_RELATIVE_BYTES, ONS_KEYS, describes_prefix,
    prefix_spelling, tail_spelling,
};
use super::label::{MAX_LABEL_BYTES, decode_hash, scheme_label, scheme_of_label, text};
use super::zone::Zones;
use super::{NameError, Subject, ZoneKind};
use crate::identifier::{Identifier, Prefix, Quoted, Scheme, gs1_check_digit};

type Labels<'b, 'a> = &'b [&'a [u8]];

impl Zones {
    /// What the name with these labels (leftmost first, without the root) stands for; ASCII case
    /// does not matter. Where zones are nested the closest one counts.
    ///
    /// # Errors
    /// Why the name stands for nothing here.
    pub fn parse_name<'a>(
        &self,
        labels: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Subject, NameError> {
        let labels: Vec<&[u8]> = labels.collect();
        let (kind, before) = self.enclosing(&labels).ok_or(NameError::OutsideZones)?;
        if before.is_empty() {
            return Ok(Subject::Apex(kind));
        }
        check_lengths(&labels)?;
        match kind {
            ZoneKind::Node => parse_node(before),
            ZoneKind::Ors => parse_oid(before),
            ZoneKind::Ons => parse_ons(before),
        }
    }
}

/// What DNS carries has these lengths (RFC 1035 §2.3.4); what people write may not.
fn check_lengths(labels: Labels) -> Result<(), NameError> {
    let fits = |label: &&&[u8]| (1..=MAX_LABEL_BYTES).contains(&label.len());
    if let Some(label) = labels.iter().find(|label| !fits(label)) {
        return Err(malformed(label));
    }
    let bytes: usize = labels.iter().map(|label| label.len() + 1).sum();
    if bytes + 1 > MAX_NAME_BYTES {
        return Err(malformed(labels.first().copied().unwrap_or_default()));
    }
    Ok(())
}

fn malformed(label: &[u8]) -> NameError {
    NameError::Malformed {
        label: Quoted::new(&text(label)),
    }
}

fn parse_node(labels: Labels) -> Result<Subject, NameError> {
    let Some((last, before)) = labels.split_last() else {
        return Ok(Subject::Apex(ZoneKind::Node));
    };
    let scheme = scheme_of_label(last).ok_or_else(|| NameError::NoSuchScheme {
        label: Quoted::new(&text(last)),
    })?;
    if before.is_empty() {
        return Ok(Subject::SchemeRoot(scheme));
    }
    match scheme {
        Scheme::Oid | Scheme::Gs1 => {
            if let Some(hashed) = parse_hashed_below_scheme(scheme, before)? {
                return Ok(hashed);
            }
            let bytes: usize = labels.iter().map(|label| label.len() + 1).sum();
            if bytes > MAX_RELATIVE_BYTES {
                return Err(malformed(before.first().copied().unwrap_or_default()));
            }
            if scheme == Scheme::Oid {
                parse_oid(before)
            } else {
                parse_gs1(before)
            }
        }
        Scheme::Handle | Scheme::Ecode | Scheme::Vaa | Scheme::Did => {
            parse_two_labels(scheme, before)
        }
    }
}

fn parse_hashed_below_scheme(scheme: Scheme, labels: Labels) -> Result<Option<Subject>, NameError> {
    let hash = labels.last().and_then(|label| decode_hash(label));
    match (hash, labels.len()) {
        (Some(hash), 1) => Ok(Some(Subject::HashedIdentifier {
            scheme,
            hash,
            prefix: None,
            prefix_hash: None,
        })),
        (Some(_), _) => Err(NameError::Below),
        (None, _) => Ok(None),
    }
}

fn parse_two_labels(scheme: Scheme, labels: Labels) -> Result<Subject, NameError> {
    match labels {
        [prefix] => match decode_hash(prefix) {
            Some(hash) => Ok(Subject::HashedPrefix { scheme, hash }),
            None => decode_prefix(scheme, prefix).map(Subject::Prefix),
        },
        [tail, prefix] => match (decode_hash(tail), decode_hash(prefix)) {
            (Some(hash), Some(prefix_hash)) => Ok(Subject::HashedIdentifier {
                scheme,
                hash,
                prefix: None,
                prefix_hash: Some(prefix_hash),
            }),
            (Some(hash), None) => Ok(Subject::HashedIdentifier {
                scheme,
                hash,
                prefix: Some(decode_prefix(scheme, prefix)?),
                prefix_hash: None,
            }),
            (None, Some(_)) => Err(malformed(tail)),
            (None, None) => decode_identifier(scheme, tail, prefix).map(Subject::Identifier),
        },
        _ => Err(NameError::Below),
    }
}

fn decode_prefix(scheme: Scheme, label: &[u8]) -> Result<Prefix, NameError> {
    let key = decode_head(scheme, label)?;
    Prefix::from_key(&key).map_err(|_| malformed(label))
}

/// Scheme byte and head.
fn decode_head(scheme: Scheme, label: &[u8]) -> Result<Vec<u8>, NameError> {
    // An escaped 0x00 would end the head of the key early.
    let head = prefix_spelling(scheme)
        .decode(label)
        .filter(|head| !head.contains(&0))
        .ok_or_else(|| malformed(label))?;
    let mut key = Vec::with_capacity(head.len() + 65);
    key.push(scheme as u8);
    key.extend_from_slice(&head);
    Ok(key)
}

fn decode_identifier(scheme: Scheme, tail: &[u8], prefix: &[u8]) -> Result<Identifier, NameError> {
    let mut key = decode_head(scheme, prefix)?;
    let case_sensitive = match scheme {
        Scheme::Did => true,
        // Ecode V4 (GB/T 31866): the version is the first character.
        Scheme::Ecode => key.get(1) == Some(&b'4'),
        _ => false,
    };
    let bytes = tail_spelling(case_sensitive)
        .decode(tail)
        .ok_or_else(|| malformed(tail))?;
    key.push(0);
    key.extend_from_slice(&bytes);
    Identifier::from_key(&key)
        .ok()
        .filter(|identifier| describes_prefix(identifier).is_none())
        .ok_or_else(|| malformed(tail))
}

fn parse_oid(labels: Labels) -> Result<Subject, NameError> {
    let arcs = || {
        labels
            .iter()
            .rev()
            .map(|label| std::str::from_utf8(label).unwrap_or_default())
    };
    if labels.len() == 1 {
        return match arcs().next() {
            Some("0" | "1" | "2") => Ok(Subject::EmptyNonTerminal(Scheme::Oid)),
            _ => Err(malformed(labels.first().copied().unwrap_or_default())),
        };
    }
    Identifier::from_oid_arcs(arcs())
        .map(Subject::Identifier)
        .map_err(|_| malformed(labels.first().copied().unwrap_or_default()))
}

fn parse_gs1(labels: Labels) -> Result<Subject, NameError> {
    if let Some((last, before)) = labels.split_last()
        && last.eq_ignore_ascii_case(COMPANY_PREFIX_LABEL)
    {
        return parse_company_prefix(before);
    }
    let mut elements: Vec<(String, String)> = Vec::with_capacity(labels.len().div_ceil(2));
    for pair in labels.rchunks(2) {
        let (value, ai) = match pair {
            [value, ai] => (decode_value(value)?, ai),
            [ai] => ("".to_owned(), ai),
            _ => return Err(NameError::Below),
        };
        let ai = std::str::from_utf8(ai).map_err(|_| malformed(ai))?;
        elements.push((ai.to_owned(), value));
    }
    if labels.len().is_multiple_of(2) {
        return canonical_gs1(&elements)
            .map(Subject::Identifier)
            .ok_or_else(|| malformed(labels.first().copied().unwrap_or_default()));
    }
    // An application identifier without its value: it exists if one could follow.
    let (ai, before) = elements.split_last().ok_or(NameError::Below)?;
    let possible = if before.is_empty() {
        Identifier::from_gs1(&[(&ai.0, "")])
            .is_err_and(|error| error.part() != "application identifier")
    } else {
        let mut longer = before.to_vec();
        longer.push((ai.0.clone(), "1".to_owned()));
        canonical_gs1(&longer).is_some()
    };
    if possible {
        Ok(Subject::EmptyNonTerminal(Scheme::Gs1))
    } else {
        Err(malformed(labels.first().copied().unwrap_or_default()))
    }
}

fn decode_value(label: &[u8]) -> Result<String, NameError> {
    tail_spelling(true)
        .decode(label)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| malformed(label))
}

/// The identifier of these elements if they are written as its canonical form has them.
fn canonical_gs1(elements: &[(String, String)]) -> Option<Identifier> {
    let borrowed: Vec<(&str, &str)> = elements
        .iter()
        .map(|(ai, value)| (ai.as_str(), value.as_str()))
        .collect();
    let identifier = Identifier::from_gs1(&borrowed).ok()?;
    let key = identifier.gs1()?;
    let own = std::iter::once((key.ai, key.value.as_str())).chain(
        key.qualifiers
            .iter()
            .map(|(ai, value)| (*ai, value.as_str())),
    );
    own.eq(borrowed.iter().copied()).then_some(identifier)
}

fn parse_company_prefix(labels: Labels) -> Result<Subject, NameError> {
    match labels {
        [] => Ok(Subject::EmptyNonTerminal(Scheme::Gs1)),
        [digits] => company_prefix(digits).map(Subject::Prefix),
        _ => Err(NameError::Below),
    }
}

fn company_prefix(digits: &[u8]) -> Result<Prefix, NameError> {
    let mut key = vec![Scheme::Gs1 as u8];
    key.extend_from_slice(digits);
    Prefix::from_key(&key).map_err(|_| malformed(digits))
}

/// Names of ONS 2.0.1; four digits and more without the rest are the company prefix they start,
/// which is where an ONS zone is cut.
fn parse_ons(labels: Labels) -> Result<Subject, NameError> {
    let gap = Ok(Subject::EmptyNonTerminal(Scheme::Gs1));
    let mut rest = labels;
    for expected in [&b"id"[..], scheme_label(Scheme::Gs1)] {
        let Some((last, before)) = rest.split_last() else {
            return gap;
        };
        if !last.eq_ignore_ascii_case(expected) {
            return Err(malformed(last));
        }
        rest = before;
    }
    let Some((key, digits)) = rest.split_last() else {
        return gap;
    };
    let (_, ai) = ONS_KEYS
        .iter()
        .find(|(label, _)| key.eq_ignore_ascii_case(label.as_bytes()))
        .ok_or_else(|| malformed(key))?;
    parse_ons_digits(ai, digits)
}

fn parse_ons_digits(ai: &str, labels: Labels) -> Result<Subject, NameError> {
    let mut digits = String::with_capacity(labels.len() + 1);
    for label in labels.iter().rev() {
        match label {
            [digit @ b'0'..=b'9'] => digits.push(char::from(*digit)),
            _ => return Err(malformed(label)),
        }
    }
    let key_digits = match ai {
        "01" => 13,
        "00" => 17,
        _ => 12,
    };
    match digits.len() {
        len if len > key_digits => return Err(NameError::Below),
        len if len == key_digits => {}
        len if (4..=12).contains(&len) => {
            return company_prefix(digits.as_bytes()).map(Subject::Prefix);
        }
        _ => return Ok(Subject::EmptyNonTerminal(Scheme::Gs1)),
    }
    // The indicator or extension digit is the leftmost label, so the last one here.
    if ai != "414"
        && let Some(lead) = digits.pop()
    {
        digits.insert(0, lead);
    }
    digits.push(gs1_check_digit(&digits));
    Identifier::from_gs1(&[(ai, &digits)])
        .map(Subject::Identifier)
        .map_err(|_| malformed(labels.first().copied().unwrap_or_default()))
}
