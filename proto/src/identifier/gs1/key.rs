//! The supported GS1 keys, and their encoding into head and tail.

use super::super::error::{IdentifierError, PartRule, Quoted, bad_key};
use super::{COMPANY_PREFIX_DIGITS, SCHEME, check_digit, unsupported};

/// Stands before every qualifier in a tail; FNC1 separates elements with it in a bar code, and no
/// value can contain it.
pub const QUALIFIER_SEPARATOR: u8 = 0x1D;

/// A GS1 key with its qualifiers, as application identifiers (AI) and values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gs1Key {
    /// The key's AI, such as `01` of a GTIN.
    pub ai: &'static str,
    /// The key's name, such as `GTIN`.
    pub name: &'static str,
    /// The whole value with check digit and serial: a GTIN has 14 digits here.
    pub value: String,
    /// Qualifiers as AI and value, in the order of the standard (22, 10, 21 of a GTIN).
    pub qualifiers: Vec<(&'static str, String)>,
}

/// A key or qualifier as written: AI and value with percent-encoding removed.
pub(super) struct Element {
    pub(super) ai: String,
    pub(super) value: String,
}

pub(super) struct KeyRule {
    pub(super) ai: &'static str,
    name: &'static str,
    shape: Shape,
    qualifiers: &'static [Field],
}

enum Shape {
    /// `filler`, `lead` digits that precede the company prefix, `body` digits from it on, the
    /// check digit, and a serial if `serial` is given.
    Checked {
        filler: &'static str,
        lead: usize,
        body: usize,
        serial: Option<PartRule>,
    },
    /// A company prefix of unknown length, then free characters; no check digit.
    Open(PartRule),
}

struct Field {
    ai: &'static str,
    rule: PartRule,
}

const SET_82: (&str, fn(char) -> bool) = ("GS1 character set 82", is_set_82);
const SET_39: (&str, fn(char) -> bool) = ("0-9, A-Z and # - /", |c| {
    c.is_ascii_digit() || c.is_ascii_uppercase() || matches!(c, '#' | '-' | '/')
});
const DIGITS: (&str, fn(char) -> bool) = ("0-9", |c| c.is_ascii_digit());

/// GS1 General Specifications, figure 7.11-1.
fn is_set_82(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(
            c,
            '!' | '"' | '%' | '&' | '\'' | '(' | ')' | '*' | '+' | ',' | '-' | '.'
        )
        || matches!(c, '/' | ':' | ';' | '<' | '=' | '>' | '?' | '_')
}

const fn rule(
    part: &'static str,
    (allowed, accepts): (&'static str, fn(char) -> bool),
    min_chars: usize,
    max_chars: usize,
    lengths: &'static str,
) -> PartRule {
    PartRule {
        scheme: SCHEME,
        part,
        allowed,
        accepts,
        min_chars,
        max_chars,
        lengths,
    }
}

const fn checked(
    ai: &'static str,
    name: &'static str,
    (filler, lead, body): (&'static str, usize, usize),
    serial: Option<PartRule>,
    qualifiers: &'static [Field],
) -> KeyRule {
    KeyRule {
        ai,
        name,
        shape: Shape::Checked {
            filler,
            lead,
            body,
            serial,
        },
        qualifiers,
    }
}

const fn open(
    ai: &'static str,
    name: &'static str,
    value: PartRule,
    qualifiers: &'static [Field],
) -> KeyRule {
    KeyRule {
        ai,
        name,
        shape: Shape::Open(value),
        qualifiers,
    }
}

static GTIN_QUALIFIERS: [Field; 3] = [
    Field {
        ai: "22",
        rule: rule("consumer product variant", SET_82, 1, 20, "1 to 20"),
    },
    Field {
        ai: "10",
        rule: rule("batch or lot", SET_82, 1, 20, "1 to 20"),
    },
    Field {
        ai: "21",
        rule: rule("serial number", SET_82, 1, 20, "1 to 20"),
    },
];
static GLN_QUALIFIERS: [Field; 1] = [Field {
    ai: "254",
    rule: rule("GLN extension", SET_82, 1, 20, "1 to 20"),
}];
static GSRN_QUALIFIERS: [Field; 1] = [Field {
    ai: "8019",
    rule: rule("service relation instance", DIGITS, 1, 10, "1 to 10"),
}];
static CPID_QUALIFIERS: [Field; 1] = [Field {
    ai: "8011",
    rule: rule("component serial", DIGITS, 1, 12, "1 to 12"),
}];

static KEYS: [KeyRule; 13] = [
    checked("01", "GTIN", ("", 1, 12), None, &GTIN_QUALIFIERS),
    checked("00", "SSCC", ("", 1, 16), None, &[]),
    checked("414", "GLN", ("", 0, 12), None, &GLN_QUALIFIERS),
    checked("417", "party GLN", ("", 0, 12), None, &[]),
    checked(
        "253",
        "GDTI",
        ("", 0, 12),
        Some(rule("GDTI serial", SET_82, 1, 17, "1 to 17")),
        &[],
    ),
    checked(
        "255",
        "GCN",
        ("", 0, 12),
        Some(rule("GCN serial", DIGITS, 1, 12, "1 to 12")),
        &[],
    ),
    checked("402", "GSIN", ("", 0, 16), None, &[]),
    checked(
        "8003",
        "GRAI",
        ("0", 0, 12),
        Some(rule("GRAI serial", SET_82, 1, 16, "1 to 16")),
        &[],
    ),
    checked(
        "8017",
        "GSRN of a provider",
        ("", 0, 17),
        None,
        &GSRN_QUALIFIERS,
    ),
    checked("8018", "GSRN", ("", 0, 17), None, &GSRN_QUALIFIERS),
    open("401", "GINC", rule("GINC", SET_82, 5, 30, "5 to 30"), &[]),
    open("8004", "GIAI", rule("GIAI", SET_82, 5, 30, "5 to 30"), &[]),
    open(
        "8010",
        "CPID",
        rule("CPID", SET_39, 5, 30, "5 to 30"),
        &CPID_QUALIFIERS,
    ),
];

pub(super) fn key_rule(ai: &str) -> Option<&'static KeyRule> {
    KEYS.iter().find(|rule| rule.ai == ai)
}

impl KeyRule {
    pub(super) fn has_qualifier(&self, ai: &str) -> bool {
        self.qualifiers.iter().any(|field| field.ai == ai)
    }
}

/// Head and tail of a key element followed by its qualifiers in any order.
pub(super) fn encode(elements: &[Element]) -> Result<(Vec<u8>, Vec<u8>), IdentifierError> {
    let Some((key, qualifiers)) = elements.split_first() else {
        return Err(IdentifierError::Missing {
            scheme: SCHEME,
            part: "key",
            text: Quoted::new(""),
            expected: "an application identifier and its value",
        });
    };
    let rule =
        key_rule(&key.ai).ok_or_else(|| unsupported(&key.ai, "not a GS1 key supported here"))?;
    let mut head = Vec::with_capacity(20);
    let mut tail = Vec::with_capacity(rule.ai.len() + key.value.len() + 8);
    tail.extend_from_slice(rule.ai.as_bytes());
    encode_value(rule, &key.value, &mut head, &mut tail)?;
    encode_qualifiers(rule, qualifiers, &mut tail)?;
    Ok((head, tail))
}

fn encode_value(
    rule: &KeyRule,
    value: &str,
    head: &mut Vec<u8>,
    tail: &mut Vec<u8>,
) -> Result<(), IdentifierError> {
    let (filler, lead, body, serial_rule) = match &rule.shape {
        Shape::Open(value_rule) => return encode_open(value_rule, value, head, tail),
        Shape::Checked {
            filler,
            lead,
            body,
            serial,
        } => (*filler, *lead, *body, serial),
    };
    let padded;
    let value = if rule.ai == "01" {
        padded = pad_gtin(value)?;
        padded.as_str()
    } else {
        value
    };
    let fixed_len = filler.len() + lead + body + 1;
    let Some((fixed, serial)) = value.split_at_checked(fixed_len) else {
        return Err(value_length(rule, value));
    };
    check_fixed(rule.name, filler, fixed)?;
    match serial_rule {
        Some(serial_rule) if !serial.is_empty() => serial_rule.check(serial)?,
        None if !serial.is_empty() => return Err(value_length(rule, value)),
        _ => {}
    }
    let digits = fixed.as_bytes().split_at_checked(filler.len() + lead);
    let (before, rest) = digits.unwrap_or_default();
    let (from_prefix, check) = rest.split_at_checked(body).unwrap_or_default();
    head.extend_from_slice(from_prefix);
    tail.extend_from_slice(before.get(filler.len()..).unwrap_or_default());
    tail.extend_from_slice(check);
    tail.extend_from_slice(serial.as_bytes());
    Ok(())
}

fn encode_open(
    rule: &PartRule,
    value: &str,
    head: &mut Vec<u8>,
    tail: &mut Vec<u8>,
) -> Result<(), IdentifierError> {
    rule.check(value)?;
    let digits = value
        .bytes()
        .take(*COMPANY_PREFIX_DIGITS.end())
        .take_while(u8::is_ascii_digit)
        .count();
    if digits < *COMPANY_PREFIX_DIGITS.start() {
        return Err(IdentifierError::Missing {
            scheme: SCHEME,
            part: "company prefix",
            text: Quoted::new(value),
            expected: "4 digits or more at the start",
        });
    }
    let (prefix, rest) = value
        .as_bytes()
        .split_at_checked(digits)
        .unwrap_or_default();
    head.extend_from_slice(prefix);
    tail.extend_from_slice(rest);
    Ok(())
}

fn encode_qualifiers(
    rule: &KeyRule,
    qualifiers: &[Element],
    tail: &mut Vec<u8>,
) -> Result<(), IdentifierError> {
    for (position, element) in qualifiers.iter().enumerate() {
        if !rule.has_qualifier(&element.ai) {
            return Err(unsupported(&element.ai, "no qualifier of that key"));
        }
        if qualifiers
            .iter()
            .take(position)
            .any(|other| other.ai == element.ai)
        {
            return Err(unsupported(&element.ai, "given twice"));
        }
    }
    for field in rule.qualifiers {
        if let Some(element) = qualifiers.iter().find(|element| element.ai == field.ai) {
            field.rule.check(&element.value)?;
            tail.push(QUALIFIER_SEPARATOR);
            tail.extend_from_slice(field.ai.as_bytes());
            tail.extend_from_slice(element.value.as_bytes());
        }
    }
    Ok(())
}

/// The GTIN-14 of a GTIN-8, -12, -13 or -14; the check digit is verified under its own name.
fn pad_gtin(value: &str) -> Result<String, IdentifierError> {
    let name = match value.len() {
        8 => "GTIN-8",
        12 => "GTIN-12",
        13 => "GTIN-13",
        14 => "GTIN-14",
        _ => {
            return Err(IdentifierError::Length {
                scheme: SCHEME,
                part: "GTIN",
                text: Quoted::new(value),
                chars: value.chars().count(),
                allowed: "8, 12, 13 or 14",
            });
        }
    };
    check_fixed(name, "", value)?;
    Ok(format!("{value:0>14}"))
}

fn check_fixed(key: &'static str, filler: &str, fixed: &str) -> Result<(), IdentifierError> {
    if let Some((offset, found)) = fixed.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        return Err(IdentifierError::Character {
            scheme: SCHEME,
            part: key,
            text: Quoted::new(fixed),
            offset,
            found,
            allowed: "0-9",
        });
    }
    if !fixed.starts_with(filler) {
        return Err(IdentifierError::Value {
            scheme: SCHEME,
            part: key,
            text: Quoted::new(fixed),
            problem: "does not start with its filler digit 0",
        });
    }
    let mut digits = fixed.chars();
    let found = digits.next_back().unwrap_or_default();
    let expected = check_digit(digits.as_str());
    if found == expected {
        Ok(())
    } else {
        Err(IdentifierError::CheckDigit {
            key,
            text: Quoted::new(fixed),
            found,
            expected,
        })
    }
}

fn value_length(rule: &KeyRule, value: &str) -> IdentifierError {
    IdentifierError::Length {
        scheme: SCHEME,
        part: rule.name,
        text: Quoted::new(value),
        chars: value.chars().count(),
        allowed: match rule.ai {
            "00" | "8017" | "8018" => "18",
            "402" => "17",
            "414" | "417" => "13",
            "8003" => "14 and a serial of at most 16",
            _ => "13 and a serial",
        },
    }
}

/// The key of head and tail; `None` where no identifier has them.
pub(super) fn decode(head: &[u8], tail: &[u8]) -> Option<Gs1Key> {
    let rule = KEYS
        .iter()
        .find(|rule| tail.starts_with(rule.ai.as_bytes()))?;
    let mut parts = tail
        .get(rule.ai.len()..)?
        .split(|byte| *byte == QUALIFIER_SEPARATOR);
    let own = std::str::from_utf8(parts.next()?).ok()?;
    let from_prefix = std::str::from_utf8(head).ok()?;
    let value = match &rule.shape {
        Shape::Open(_) => format!("{from_prefix}{own}"),
        Shape::Checked { filler, lead, .. } => {
            let (before, after) = own.split_at_checked(*lead)?;
            format!("{filler}{before}{from_prefix}{after}")
        }
    };
    let qualifiers = parts
        .map(|part| decode_qualifier(rule, part))
        .collect::<Option<Vec<_>>>()?;
    Some(Gs1Key {
        ai: rule.ai,
        name: rule.name,
        value,
        qualifiers,
    })
}

fn decode_qualifier(rule: &KeyRule, part: &[u8]) -> Option<(&'static str, String)> {
    let text = std::str::from_utf8(part).ok()?;
    let field = rule
        .qualifiers
        .iter()
        .find(|field| text.starts_with(field.ai))?;
    Some((field.ai, text.get(field.ai.len()..)?.to_owned()))
}

/// The identifier key (head and tail) of AIs and values already separated.
pub(in super::super) fn from_elements(
    elements: &[(&str, &str)],
) -> Result<(Vec<u8>, Vec<u8>), IdentifierError> {
    let elements: Vec<Element> = elements
        .iter()
        .map(|(ai, value)| Element {
            ai: (*ai).to_owned(),
            value: (*value).to_owned(),
        })
        .collect();
    encode(&elements)
}

pub(in super::super) fn check_key(head: &[u8], tail: &[u8]) -> Result<(), IdentifierError> {
    let key = decode(head, tail).ok_or_else(|| bad_key(SCHEME, "it holds no GS1 key"))?;
    let mut elements = vec![(key.ai, key.value.as_str())];
    elements.extend(
        key.qualifiers
            .iter()
            .map(|(ai, value)| (*ai, value.as_str())),
    );
    let (canonical_head, canonical_tail) = from_elements(&elements)?;
    if canonical_head == head && canonical_tail == tail {
        Ok(())
    } else {
        Err(bad_key(
            SCHEME,
            "it is not split at the company prefix, qualifiers in order",
        ))
    }
}

pub(in super::super) fn check_head(head: &[u8]) -> Result<(), IdentifierError> {
    if head.iter().all(u8::is_ascii_digit) && COMPANY_PREFIX_DIGITS.contains(&head.len()) {
        Ok(())
    } else {
        Err(bad_key(SCHEME, "a company prefix has 4 to 12 digits"))
    }
}
