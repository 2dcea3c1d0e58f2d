//! Handle / IDIS identifiers, `88.118.8/JXDY2106023` (RFC 3651 §2; RFC 3652 §2.1 for case).
//!
//! | | |
//! |---|---|
//! | head | the prefix (标识前缀): dot-separated labels, ASCII folded to upper case |
//! | tail | the suffix (标识后缀): any UTF-8 of at least one byte, ASCII folded to upper case |
//! | order | bytes of the folded prefix, then bytes of the folded suffix |
//!
//! RFC 3652 folds ASCII to upper case before it hashes a handle, so two spellings that differ only
//! in ASCII case are one identifier; other characters are compared as they are.

use super::detect;
use super::error::{IdentifierError, Quoted, bad_key};
use super::scheme::Scheme;
use super::{Identifier, MAX_IDENTIFIER_BYTES, starts_with_ignore_case};

const SCHEME: Scheme = Scheme::Handle;
/// The prefix under which prefixes themselves are identifiers (RFC 3651 §3).
pub(super) const PREFIX_AUTHORITY: &str = "0.NA";

pub(super) fn parse(text: &str) -> Result<Identifier, IdentifierError> {
    let body = if starts_with_ignore_case(text, "hdl:") {
        text.get(4..).unwrap_or_default()
    } else {
        text
    };
    let Some((prefix, suffix)) = body.split_once('/') else {
        check_prefix(body)?;
        return build(PREFIX_AUTHORITY, body, None);
    };
    check_prefix(prefix)?;
    let folds = body.bytes().any(|byte| byte.is_ascii_lowercase());
    build(prefix, suffix, folds.then_some(body))
}

fn build(
    prefix: &str,
    suffix: &str,
    spelling: Option<&str>,
) -> Result<Identifier, IdentifierError> {
    if suffix.is_empty() {
        return Err(IdentifierError::Missing {
            scheme: SCHEME,
            part: "suffix",
            text: Quoted::new(prefix),
            expected: "one character or more after the '/'",
        });
    }
    let bytes = prefix.len() + 1 + suffix.len();
    if bytes > MAX_IDENTIFIER_BYTES {
        return Err(IdentifierError::TooLong { bytes });
    }
    let mut key = Vec::with_capacity(bytes + 1);
    key.push(SCHEME as u8);
    key.extend_from_slice(prefix.as_bytes());
    key.push(0);
    key.extend_from_slice(suffix.as_bytes());
    key.make_ascii_uppercase();
    Ok(Identifier {
        key: key.into_boxed_slice(),
        head_len: prefix.len(),
        display: spelling.map(|spelling| unambiguous(spelling.to_owned()).into_boxed_str()),
    })
}

/// Checks a prefix: dot-separated non-empty labels without '/' or control characters.
pub(super) fn check_prefix(prefix: &str) -> Result<(), IdentifierError> {
    if let Some((offset, found)) = prefix
        .char_indices()
        .find(|(_, c)| *c == '/' || c.is_control())
    {
        return Err(IdentifierError::Character {
            scheme: SCHEME,
            part: "prefix",
            text: Quoted::new(prefix),
            offset,
            found,
            allowed: "anything but '/' and control characters",
        });
    }
    if prefix.split('.').any(str::is_empty) {
        return Err(IdentifierError::Missing {
            scheme: SCHEME,
            part: "prefix",
            text: Quoted::new(prefix),
            expected: "labels with a dot between them, none empty",
        });
    }
    Ok(())
}

pub(super) fn check_key(head: &[u8], tail: &[u8]) -> Result<(), IdentifierError> {
    check_head(head)?;
    if tail.is_empty() {
        return Err(bad_key(SCHEME, "its suffix is empty"));
    }
    if std::str::from_utf8(tail).is_err() {
        return Err(bad_key(SCHEME, "its suffix is not UTF-8"));
    }
    if tail.iter().any(u8::is_ascii_lowercase) {
        return Err(bad_key(SCHEME, "its suffix is not folded to upper case"));
    }
    if head.len() + 1 + tail.len() > MAX_IDENTIFIER_BYTES {
        return Err(bad_key(SCHEME, "it is too long"));
    }
    Ok(())
}

pub(super) fn check_head(head: &[u8]) -> Result<(), IdentifierError> {
    let prefix =
        std::str::from_utf8(head).map_err(|_| bad_key(SCHEME, "its prefix is not UTF-8"))?;
    if head.iter().any(u8::is_ascii_lowercase) {
        return Err(bad_key(SCHEME, "its prefix is not folded to upper case"));
    }
    check_prefix(prefix)
}

pub(super) fn canonical(head: &[u8], tail: &[u8]) -> String {
    let mut text = String::with_capacity(head.len() + 1 + tail.len());
    text.push_str(&String::from_utf8_lossy(head));
    text.push('/');
    text.push_str(&String::from_utf8_lossy(tail));
    unambiguous(text)
}

/// Puts `hdl:` in front of a handle that would otherwise be read as another scheme.
fn unambiguous(text: String) -> String {
    match detect(&text) {
        Ok(SCHEME) if !starts_with_ignore_case(&text, "hdl:") => text,
        _ => format!("hdl:{text}"),
    }
}
