//! Ecode, the entity code of the Internet of things (物品编码 Ecode, GB/T 31866-2023).
//!
//! Written `ecode:` and then version (V), numbering system (NSI, 编码体系标识) and main code (MD,
//! 主码) without separators, as on the carrier: `ecode:100036930100…` is V1, NSI 0003.
//!
//! | V | NSI | MD | characters |
//! |---|---|---|---|
//! | 0 | – | – | reserved for compatibility with GS1/EPC in binary carriers; has no text form |
//! | 1 | 4 | 1–20 | 0-9 |
//! | 2 | 4 | 1–28 | 0-9 |
//! | 3 | 5 | 1–39 | 0-9, A-Z (lower case is folded) |
//! | 4 | 5 | 1 or more | NSI 0-9; MD any Unicode but control characters, compared as written |
//!
//! Head = V and NSI, tail = MD; order is byte order of the two.

use super::error::{IdentifierError, PartRule, Quoted, bad_key};
use super::scheme::Scheme;
use super::{Identifier, MAX_IDENTIFIER_BYTES, starts_with_ignore_case};

const SCHEME: Scheme = Scheme::Ecode;

struct Version {
    nsi: PartRule,
    md: PartRule,
}

impl Version {
    const fn of(
        nsi_chars: usize,
        nsi_lengths: &'static str,
        max_md: usize,
        md_lengths: &'static str,
        nsi: (&'static str, fn(char) -> bool),
        md: (&'static str, fn(char) -> bool),
    ) -> Self {
        Version {
            nsi: PartRule {
                scheme: SCHEME,
                part: "NSI",
                allowed: nsi.0,
                accepts: nsi.1,
                min_chars: nsi_chars,
                max_chars: nsi_chars,
                lengths: nsi_lengths,
            },
            md: PartRule {
                scheme: SCHEME,
                part: "MD",
                allowed: md.0,
                accepts: md.1,
                min_chars: 1,
                max_chars: max_md,
                lengths: md_lengths,
            },
        }
    }
}

const DIGITS: (&str, fn(char) -> bool) = ("0-9", |c| c.is_ascii_digit());
const ALPHANUMERIC: (&str, fn(char) -> bool) = ("0-9 and A-Z", |c| c.is_ascii_alphanumeric());
const UNICODE: (&str, fn(char) -> bool) = ("anything but control characters", |c| !c.is_control());

static V1: Version = Version::of(4, "4", 20, "1 to 20", DIGITS, DIGITS);
static V2: Version = Version::of(4, "4", 28, "1 to 28", DIGITS, DIGITS);
static V3: Version = Version::of(5, "5", 39, "1 to 39", ALPHANUMERIC, ALPHANUMERIC);
static V4: Version = Version::of(5, "5", MAX_IDENTIFIER_BYTES, "1 or more", DIGITS, UNICODE);

pub(super) fn parse(text: &str) -> Result<Identifier, IdentifierError> {
    let (head, tail) = split(strip(text))?;
    Ok(Identifier::assemble(
        SCHEME,
        head.as_bytes(),
        tail.as_bytes(),
        text,
    ))
}

pub(super) fn parse_prefix(text: &str) -> Result<Vec<u8>, IdentifierError> {
    let body = strip(text);
    let (version, rest) = version(body)?;
    version.nsi.check(rest)?;
    Ok(body.to_ascii_uppercase().into_bytes())
}

fn strip(text: &str) -> &str {
    if starts_with_ignore_case(text, "ecode:") {
        text.get(6..).unwrap_or_default()
    } else {
        text
    }
}

fn version(body: &str) -> Result<(&'static Version, &str), IdentifierError> {
    let problem = match body.chars().next() {
        None => {
            return Err(IdentifierError::Missing {
                scheme: SCHEME,
                part: "version",
                text: Quoted::new(body),
                expected: "a digit 1 to 4",
            });
        }
        Some('1') => return Ok((&V1, after_version(body))),
        Some('2') => return Ok((&V2, after_version(body))),
        Some('3') => return Ok((&V3, after_version(body))),
        Some('4') => return Ok((&V4, after_version(body))),
        Some('0') => "starts with V0, which is reserved for GS1 codes: write gs1: instead",
        Some(_) => "does not start with a version 1 to 4",
    };
    Err(IdentifierError::Value {
        scheme: SCHEME,
        part: "version",
        text: Quoted::new(body),
        problem,
    })
}

fn after_version(body: &str) -> &str {
    body.get(1..).unwrap_or_default()
}

/// Splits into head (V and NSI) and tail (MD), both in canonical case.
fn split(body: &str) -> Result<(String, String), IdentifierError> {
    if body.len() > MAX_IDENTIFIER_BYTES {
        return Err(IdentifierError::TooLong { bytes: body.len() });
    }
    let (version, rest) = version(body)?;
    let Some((nsi, md)) = rest.split_at_checked(version.nsi.min_chars) else {
        return Err(version
            .nsi
            .check(rest)
            .err()
            .unwrap_or(IdentifierError::Missing {
                scheme: SCHEME,
                part: "NSI",
                text: Quoted::new(body),
                expected: "ASCII characters",
            }));
    };
    version.nsi.check(nsi)?;
    if md.is_empty() {
        return Err(IdentifierError::Missing {
            scheme: SCHEME,
            part: "MD",
            text: Quoted::new(body),
            expected: "the main code after version and NSI",
        });
    }
    version.md.check(md)?;
    let head_len = body.len() - md.len();
    let head = body.get(..head_len).unwrap_or_default();
    let tail = if is_case_sensitive(head.as_bytes()) {
        md.to_owned()
    } else {
        md.to_ascii_uppercase()
    };
    Ok((head.to_ascii_uppercase(), tail))
}

/// V4 codes are Unicode text, compared as written; the others have no lower case.
pub(super) fn is_case_sensitive(head: &[u8]) -> bool {
    head.first() == Some(&b'4')
}

pub(super) fn check_key(head: &[u8], tail: &[u8]) -> Result<(), IdentifierError> {
    let mut body = utf8(head)?.to_owned();
    body.push_str(utf8(tail)?);
    let (canonical_head, canonical_tail) = split(&body)?;
    if canonical_head.as_bytes() == head && canonical_tail.as_bytes() == tail {
        Ok(())
    } else {
        Err(bad_key(
            SCHEME,
            "it is not split after the NSI in canonical case",
        ))
    }
}

pub(super) fn check_head(head: &[u8]) -> Result<(), IdentifierError> {
    if parse_prefix(utf8(head)?)? == head {
        Ok(())
    } else {
        Err(bad_key(SCHEME, "its NSI is not in canonical case"))
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, IdentifierError> {
    std::str::from_utf8(bytes).map_err(|_| bad_key(SCHEME, "it is not UTF-8"))
}

pub(super) fn canonical(head: &[u8], tail: &[u8]) -> String {
    format!(
        "ecode:{}{}",
        String::from_utf8_lossy(head),
        String::from_utf8_lossy(tail)
    )
}
