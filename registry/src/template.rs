//! Attribute templates (元数据模板): the attributes of an industry, their types and rules. A
//! value whose type is an attribute's name is checked against it.

use crate::enterprise::bounded;
use crate::{Error, Result};
use idnode_proto::identifier::Identifier;
use idnode_proto::value::ValueRef;
use std::collections::HashSet;

/// Most attributes of one template.
pub const MAX_ATTRIBUTES: usize = 256;
/// Most allowed values of one enumeration.
pub const MAX_ALLOWED_VALUES: usize = 256;

/// What an attribute's data must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum AttributeType {
    /// Not stored.
    Unspecified = 0,
    /// UTF-8 text.
    String = 1,
    /// A whole number, 64 bits, signed.
    Integer = 2,
    /// A decimal number.
    Decimal = 3,
    /// `true` or `false`.
    Boolean = 4,
    /// RFC 3339 full-date.
    Date = 5,
    /// RFC 3339 date-time.
    DateTime = 6,
    /// An absolute URI (RFC 3986).
    Uri = 7,
    /// One of the allowed values.
    Enumeration = 8,
    /// An identifier of any scheme.
    Identifier = 9,
    /// Any bytes.
    Bytes = 10,
}

/// One attribute.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Attribute {
    /// The value type it governs.
    #[prost(string, tag = "1")]
    pub name: String,
    /// For people.
    #[prost(string, tag = "2")]
    pub title: String,
    /// What its data must be.
    #[prost(enumeration = "AttributeType", tag = "3")]
    pub kind: i32,
    /// Its unit; not checked.
    #[prost(string, tag = "4")]
    pub unit: String,
    /// It must occur.
    #[prost(bool, tag = "5")]
    pub required: bool,
    /// It may occur more than once.
    #[prost(bool, tag = "6")]
    pub repeated: bool,
    /// Longest data, bytes; 0: no rule.
    #[prost(uint32, tag = "7")]
    pub max_length: u32,
    /// Least number.
    #[prost(double, optional, tag = "8")]
    pub minimum: Option<f64>,
    /// Greatest number.
    #[prost(double, optional, tag = "9")]
    pub maximum: Option<f64>,
    /// Values of an enumeration.
    #[prost(string, repeated, tag = "10")]
    pub allowed_values: Vec<String>,
}

/// A template as stored.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Template {
    /// Its name, unique on the node.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Counts its revisions from 1.
    #[prost(uint32, tag = "2")]
    pub revision: u32,
    /// For people.
    #[prost(string, tag = "3")]
    pub title: String,
    /// Owner; `None`: the node.
    #[prost(uint64, optional, tag = "4")]
    pub enterprise: Option<u64>,
    /// Its attributes.
    #[prost(message, repeated, tag = "5")]
    pub attributes: Vec<Attribute>,
    /// Values of other types are refused.
    #[prost(bool, tag = "6")]
    pub closed: bool,
    /// Sequence of its last change.
    #[prost(uint64, tag = "7")]
    pub version: u64,
    /// Milliseconds since the Unix epoch.
    #[prost(uint64, tag = "8")]
    pub updated_at_ms: u64,
}

impl Template {
    /// Checks the template itself. Errors name the field.
    pub fn validate(&self) -> Result<()> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        if !(1..=64).contains(&self.name.len()) || !self.name.bytes().all(allowed) {
            return Err(Error::invalid(
                "name",
                format!("{:?} is not 1 to 64 of a-z 0-9 - _ .", self.name),
            ));
        }
        bounded("title", &self.title, 0, 256)?;
        if self.attributes.is_empty() || self.attributes.len() > MAX_ATTRIBUTES {
            return Err(Error::invalid(
                "attributes",
                format!("must be 1 to {MAX_ATTRIBUTES}"),
            ));
        }
        let mut seen = HashSet::new();
        for (position, attribute) in self.attributes.iter().enumerate() {
            let field = format!("attributes[{position}]");
            attribute.validate().map_err(|e| e.within(&field))?;
            if !seen.insert(&attribute.name) {
                return Err(Error::invalid(
                    format!("{field}.name"),
                    format!("{:?} occurs twice", attribute.name),
                ));
            }
        }
        Ok(())
    }

    /// Checks an identifier's values. Errors name the value by its place and say which rule it
    /// breaks.
    pub fn check<'v>(&self, values: impl Iterator<Item = ValueRef<'v>>) -> Result<()> {
        let mut occurrences = vec![0_u32; self.attributes.len()];
        for (position, value) in values.enumerate() {
            let found = self
                .attributes
                .iter()
                .zip(&mut occurrences)
                .find(|(a, _)| a.name == value.value_type());
            let Some((attribute, count)) = found else {
                if self.closed && !value.value_type().starts_with("HS_") {
                    let reason = format!(
                        "template {} has no attribute {:?}",
                        self.name,
                        value.value_type()
                    );
                    return Err(Error::invalid(format!("values[{position}].type"), reason));
                }
                continue;
            };
            *count += 1;
            if *count > 1 && !attribute.repeated {
                let reason = format!("template {}: {} may occur once", self.name, attribute.name);
                return Err(Error::invalid(format!("values[{position}].type"), reason));
            }
            attribute.check(value.data()).map_err(|reason| {
                let reason = format!("template {}: {} {reason}", self.name, attribute.name);
                Error::invalid(format!("values[{position}].data"), reason)
            })?;
        }
        match self
            .attributes
            .iter()
            .zip(&occurrences)
            .find(|(a, count)| a.required && **count == 0)
        {
            Some((missing, _)) => Err(Error::invalid(
                "values",
                format!("template {} requires {}", self.name, missing.name),
            )),
            None => Ok(()),
        }
    }
}

impl Attribute {
    fn validate(&self) -> Result<()> {
        bounded("name", &self.name, 1, 128)?;
        bounded("title", &self.title, 0, 256)?;
        bounded("unit", &self.unit, 0, 32)?;
        let kind = self.kind();
        if kind == AttributeType::Unspecified {
            return Err(Error::invalid("type", "is missing"));
        }
        let numeric = matches!(kind, AttributeType::Integer | AttributeType::Decimal);
        if !numeric && (self.minimum.is_some() || self.maximum.is_some()) {
            return Err(Error::invalid(
                "minimum",
                "minimum and maximum are for INTEGER and DECIMAL",
            ));
        }
        if let (Some(low), Some(high)) = (self.minimum, self.maximum)
            && (low > high || low.is_nan() || high.is_nan())
        {
            return Err(Error::invalid(
                "minimum",
                format!("{low} is not below the maximum {high}"),
            ));
        }
        let listed = self.allowed_values.len();
        if (kind == AttributeType::Enumeration) != (listed > 0) || listed > MAX_ALLOWED_VALUES {
            let reason = format!("an ENUMERATION, and nothing else, has 1 to {MAX_ALLOWED_VALUES}");
            return Err(Error::invalid("allowed_values", reason));
        }
        Ok(())
    }

    fn check(&self, data: &[u8]) -> std::result::Result<(), String> {
        if self.max_length > 0 && data.len() > self.max_length as usize {
            return Err(format!(
                "is {} bytes, at most {} are allowed",
                data.len(),
                self.max_length
            ));
        }
        if self.kind() == AttributeType::Bytes {
            return Ok(());
        }
        let text = std::str::from_utf8(data).map_err(|_| "is not UTF-8".to_owned())?;
        let fits = |good: bool, what: &str| {
            if good {
                Ok(())
            } else {
                Err(format!("{text:?} is not {what}"))
            }
        };
        match self.kind() {
            AttributeType::Unspecified | AttributeType::Bytes | AttributeType::String => Ok(()),
            AttributeType::Integer => {
                let number: i64 = text
                    .parse()
                    .map_err(|_| format!("{text:?} is not a whole number of 64 bits"))?;
                self.check_range(number as f64)
            }
            AttributeType::Decimal => {
                let shaped = text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
                let number: f64 = text
                    .parse()
                    .ok()
                    .filter(|n: &f64| shaped && n.is_finite())
                    .ok_or(format!("{text:?} is not a decimal number"))?;
                self.check_range(number)
            }
            AttributeType::Boolean => fits(matches!(text, "true" | "false"), "true or false"),
            AttributeType::Date => fits(is_date(text), "an RFC 3339 date such as 2026-01-31"),
            AttributeType::DateTime => fits(
                is_date_time(text),
                "an RFC 3339 time such as 2026-01-31T08:00:00+08:00",
            ),
            AttributeType::Uri => fits(is_uri(text), "an absolute URI"),
            AttributeType::Enumeration => {
                let listed = self.allowed_values.iter().any(|allowed| allowed == text);
                fits(listed, &format!("one of {:?}", self.allowed_values))
            }
            AttributeType::Identifier => Identifier::parse(text)
                .map(|_| ())
                .map_err(|e| e.to_string()),
        }
    }

    fn check_range(&self, number: f64) -> std::result::Result<(), String> {
        if let Some(low) = self.minimum.filter(|low| number < *low) {
            return Err(format!("{number} is below {low}"));
        }
        match self.maximum.filter(|high| number > *high) {
            Some(high) => Err(format!("{number} is above {high}")),
            None => Ok(()),
        }
    }
}

/// RFC 3339 full-date: a day that exists.
fn is_date(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| {
        text.get(range)
            .filter(|part| part.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|part| part.parse::<u32>().ok())
    };
    let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        1..=12 => 31,
        _ => return false,
    };
    text.len() == 10
        && text.get(4..5) == Some("-")
        && text.get(7..8) == Some("-")
        && (1..=days).contains(&day)
}

/// RFC 3339 date-time.
fn is_date_time(text: &str) -> bool {
    let clock = |part: &str, hours: u32, seconds: bool| {
        let numbers: Vec<Option<u32>> = part
            .split(':')
            .map(|n| {
                if n.len() == 2 && n.bytes().all(|b| b.is_ascii_digit()) {
                    n.parse().ok()
                } else {
                    None
                }
            })
            .collect();
        match (numbers.as_slice(), seconds) {
            ([Some(h), Some(m), Some(s)], true) => *h <= hours && *m < 60 && *s <= 60,
            ([Some(h), Some(m)], false) => *h <= hours && *m < 60,
            _ => false,
        }
    };
    let (Some(date), Some(separator), Some(rest)) =
        (text.get(..10), text.get(10..11), text.get(11..))
    else {
        return false;
    };
    let (time, zone_fits) = match rest.strip_suffix(['Z', 'z']) {
        Some(time) => (time, true),
        None => match rest.rsplit_once(['+', '-']) {
            Some((time, zone)) => (time, clock(zone, 23, false)),
            None => return false,
        },
    };
    let (whole, fraction_fits) = match time.split_once('.') {
        Some((whole, fraction)) => (
            whole,
            !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit()),
        ),
        None => (time, true),
    };
    is_date(date)
        && matches!(separator, "T" | "t")
        && zone_fits
        && fraction_fits
        && clock(whole, 23, true)
}

/// RFC 3986 absolute URI: a scheme, a colon, something after it, no space or control character.
fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            && !rest.is_empty()
            && !rest
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: AttributeType) -> Attribute {
        let allowed_values = if kind == AttributeType::Enumeration {
            vec!["red".into()]
        } else {
            vec![]
        };
        Attribute {
            name: "X".into(),
            kind: kind as i32,
            allowed_values,
            ..Attribute::default()
        }
    }

    #[test]
    fn every_attribute_type_takes_its_own_and_refuses_others() {
        use AttributeType as T;
        let cases: [(T, &[&str], &[&str]); 9] = [
            (
                T::Integer,
                &["0", "-9223372036854775808"],
                &["", "1.5", "9223372036854775808", "１"],
            ),
            (
                T::Decimal,
                &["1", "-2.5", "6.02e23"],
                &["", "inf", "NaN", "1,5", "1e999", "0x1"],
            ),
            (T::Boolean, &["true", "false"], &["TRUE", "1", ""]),
            (
                T::Date,
                &["2024-02-29", "2026-12-31"],
                &[
                    "2023-02-29",
                    "2026-1-1",
                    "2026-13-01",
                    "2026-04-31",
                    "２０２６-01-01",
                ],
            ),
            (
                T::DateTime,
                &[
                    "2026-01-31T08:00:00Z",
                    "2026-01-31t08:00:00.25+08:00",
                    "2016-12-31T23:59:60Z",
                ],
                &[
                    "2026-01-31",
                    "2026-01-31T08:00Z",
                    "2026-01-31T08:00:00",
                    "2026-01-31T24:00:00Z",
                    "2026-01-31T08:00:00.Z",
                ],
            ),
            (
                T::Uri,
                &["https://example.com/a?b#c", "urn:oid:1.2"],
                &["/a", "example.com", "http:", "ht tp://x", "http://a b"],
            ),
            (T::Enumeration, &["red"], &["Red", "blue", ""]),
            (
                T::Identifier,
                &["88.118.8/A", "oid:1.2.156.1"],
                &["88.118.8/", "gtin:1"],
            ),
            (T::String, &["", "中文"], &[]),
        ];
        for (kind, good, bad) in cases {
            let attribute = attribute(kind);
            for text in good {
                assert_eq!(attribute.check(text.as_bytes()), Ok(()), "{kind:?} {text}");
            }
            for text in bad {
                assert!(attribute.check(text.as_bytes()).is_err(), "{kind:?} {text}");
            }
        }
        assert!(attribute(AttributeType::String).check(b"\xff").is_err());
        assert_eq!(attribute(AttributeType::Bytes).check(b"\xff"), Ok(()));
    }

    #[test]
    fn ranges_and_lengths_hold() {
        let ranged = Attribute {
            minimum: Some(0.0),
            maximum: Some(10.0),
            ..attribute(AttributeType::Integer)
        };
        assert_eq!(ranged.check(b"10"), Ok(()));
        assert_eq!(ranged.check(b"11"), Err("11 is above 10".into()));
        assert_eq!(ranged.check(b"-1"), Err("-1 is below 0".into()));
        let short = Attribute {
            max_length: 3,
            ..attribute(AttributeType::String)
        };
        assert!(short.check("中文".as_bytes()).is_err());
    }
}
