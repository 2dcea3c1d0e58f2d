//! The text forms of a value's small fields, in CSV columns and on the command line.

use std::fmt::Write as _;

use idnode_proto::api::Reference;
use idnode_proto::api::value::Ttl;
use thiserror::Error;

/// Why a field's text was not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FieldError {
    /// Neither seconds nor a moment.
    #[error("`{0}` is not a TTL: seconds (86400) or @ and seconds since 1970 (@1767225600)")]
    Ttl(String),
    /// Not binary digits.
    #[error(
        "`{0}` is not a permission: four binary digits for owner read, owner write, public read, \
         public write (1110)"
    )]
    Permissions(String),
    /// Not a value index.
    #[error("`{0}` is not an index: a number from 0 (the node chooses) to 2147483647")]
    Index(String),
    /// Not seconds since the epoch.
    #[error("`{0}` is not a time: seconds since 1970")]
    Timestamp(String),
    /// Not `index:handle`, or an escape that means nothing.
    #[error("`{0}` is not a list of references: INDEX:HANDLE, separated by `;`")]
    References(String),
    /// Not base64 with padding.
    #[error("the data is not base64 (RFC 4648, with padding): {0}")]
    Base64(String),
    /// An encoding other than `string` and `base64`.
    #[error("`{0}` is not an encoding: string or base64")]
    Encoding(String),
}

/// Reads `86400` (relative, seconds) or `@1767225600` (absolute, seconds since 1970).
///
/// # Errors
/// [`FieldError::Ttl`] for anything else, and for what does not fit 32 bits.
pub fn parse_ttl(text: &str) -> Result<Ttl, FieldError> {
    let ttl = match text.strip_prefix('@') {
        Some(moment) => number(moment).map(Ttl::ExpiresAtS),
        None => number(text).map(Ttl::TtlS),
    };
    ttl.ok_or_else(|| FieldError::Ttl(text.to_owned()))
}

/// Appends what [`parse_ttl`] reads.
pub fn write_ttl(ttl: Ttl, into: &mut String) {
    let _ = match ttl {
        Ttl::TtlS(seconds) => write!(into, "{seconds}"),
        Ttl::ExpiresAtS(seconds) => write!(into, "@{seconds}"),
    };
}

/// Reads four binary digits (RFC 3651 §3.1), or eight when reserved bits are set.
///
/// # Errors
/// [`FieldError::Permissions`] for anything else.
pub fn parse_permissions(text: &str) -> Result<u32, FieldError> {
    let binary = matches!(text.len(), 4 | 8) && text.bytes().all(|b| b == b'0' || b == b'1');
    match u32::from_str_radix(text, 2) {
        Ok(bits) if binary => Ok(bits),
        _ => Err(FieldError::Permissions(text.to_owned())),
    }
}

/// Appends what [`parse_permissions`] reads; bits beyond the eighth are not defined and lost.
pub fn write_permissions(bits: u32, into: &mut String) {
    let _ = match bits {
        0..=15 => write!(into, "{bits:04b}"),
        _ => write!(into, "{:08b}", bits & 0xff),
    };
}

/// Reads a value index, 0 to 2³¹ − 1.
///
/// # Errors
/// [`FieldError::Index`] for anything else.
pub fn parse_index(text: &str) -> Result<u32, FieldError> {
    number(text)
        .filter(|index| *index <= i32::MAX.unsigned_abs())
        .ok_or_else(|| FieldError::Index(text.to_owned()))
}

/// Reads seconds since 1970.
///
/// # Errors
/// [`FieldError::Timestamp`] for anything else.
pub fn parse_timestamp(text: &str) -> Result<u32, FieldError> {
    number(text).ok_or_else(|| FieldError::Timestamp(text.to_owned()))
}

/// Reads `300:88.118.8/ADMIN;1:88.118.8/KEY`; a backslash takes the next `;` or `\` as it is.
///
/// # Errors
/// [`FieldError::References`] for anything else.
pub fn parse_references(text: &str) -> Result<Vec<Reference>, FieldError> {
    let refused = || FieldError::References(text.to_owned());
    let mut references = Vec::new();
    let mut entry = String::new();
    let mut finish = |entry: &mut String| -> Result<(), FieldError> {
        let (index, handle) = entry.split_once(':').ok_or_else(refused)?;
        let index = number(index).ok_or_else(refused)?;
        references.push(Reference {
            handle: handle.to_owned(),
            index,
        });
        entry.clear();
        Ok(())
    };
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            ';' => finish(&mut entry)?,
            '\\' => match rest.next() {
                Some(escaped @ (';' | '\\')) => entry.push(escaped),
                _ => return Err(refused()),
            },
            _ => entry.push(c),
        }
    }
    finish(&mut entry)?;
    Ok(references)
}

/// Appends what [`parse_references`] reads.
pub fn write_references(references: &[Reference], into: &mut String) {
    for (n, reference) in references.iter().enumerate() {
        if n > 0 {
            into.push(';');
        }
        let _ = write!(into, "{}:", reference.index);
        for c in reference.handle.chars() {
            if matches!(c, ';' | '\\') {
                into.push('\\');
            }
            into.push(c);
        }
    }
}

/// Decimal digits only: no sign, no blank.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_that_are_refused_say_what_they_are() {
        assert_eq!(parse_ttl("1h"), Err(FieldError::Ttl("1h".into())));
        assert_eq!(parse_ttl("+5"), Err(FieldError::Ttl("+5".into())));
        assert_eq!(
            parse_ttl("4294967296"),
            Err(FieldError::Ttl("4294967296".into()))
        );
        for refused in ["14", "111", "01110", "1120", "+111", ""] {
            assert_eq!(
                parse_permissions(refused),
                Err(FieldError::Permissions(refused.into()))
            );
        }
        assert_eq!(
            parse_index("2147483648"),
            Err(FieldError::Index("2147483648".into()))
        );
        for refused in [";", "1", "x:a", r"1:a\b", r"1:a\", "1:a;"] {
            assert_eq!(
                parse_references(refused),
                Err(FieldError::References(refused.into()))
            );
        }
    }

    proptest! {
        #[test]
        fn ttl_round_trip(seconds: u32, absolute: bool) {
            let ttl = if absolute { Ttl::ExpiresAtS(seconds) } else { Ttl::TtlS(seconds) };
            let mut text = String::new();
            write_ttl(ttl, &mut text);
            prop_assert_eq!(parse_ttl(&text), Ok(ttl));
        }

        #[test]
        fn permissions_round_trip(bits in 0u32..256) {
            let mut text = String::new();
            write_permissions(bits, &mut text);
            prop_assert_eq!(parse_permissions(&text), Ok(bits));
        }

        #[test]
        fn references_round_trip(list in prop::collection::vec((any::<String>(), any::<u32>()), 0..5)) {
            let list: Vec<Reference> =
                list.into_iter().map(|(handle, index)| Reference { handle, index }).collect();
            let mut text = String::new();
            write_references(&list, &mut text);
            prop_assert_eq!(parse_references(&text), Ok(list));
        }
    }
}
