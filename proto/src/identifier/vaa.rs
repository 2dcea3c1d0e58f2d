//! VAA codes: ISO/IEC 15459 identifiers of the issuing agency "VAA" (中国信息通信研究院).
//!
//! `VAA08810012345678/SN-0001` = issuing agency code (发码机构代码) `VAA`, service organisation code
//! (服务机构代码: country 3 digits, industry 3 digits, enterprise), '/', the enterprise's own code
//! (企业内部编码). ISO/IEC 15459 leaves the length of the company's part to the issuing agency and
//! prints no separator; VAA's '/' is what tells where it ends, so it is required here.
//!
//! | | |
//! |---|---|
//! | head | the service organisation code: 6 digits, then 1 or more of 0-9 A-Z |
//! | tail | the enterprise's code: 0-9 A-Z and `- . _ + /` |
//! | length | `VAA`, head and tail together at most 50 characters (ISO/IEC 15459-1) |
//! | order | bytes of the two; ISO/IEC 15459 has capitals only, lower case is folded |
//!
//! Written with or without `vaa:` in front; the canonical text has it.

use super::error::{IdentifierError, PartRule, Quoted, bad_key};
use super::scheme::Scheme;
use super::{Identifier, starts_with_ignore_case};

const SCHEME: Scheme = Scheme::Vaa;
const AGENCY: &str = "VAA";
const MAX_CHARS: usize = 50 - AGENCY.len();
const COUNTRY_CHARS: usize = 3;
const INDUSTRY_END: usize = 6;

static SERVICE_CODE: PartRule = PartRule {
    scheme: SCHEME,
    part: "service organisation code",
    allowed: "0-9 and A-Z",
    accepts: |c| c.is_ascii_alphanumeric(),
    min_chars: INDUSTRY_END + 1,
    max_chars: MAX_CHARS - 1,
    lengths: "7 to 46 (country 3, industry 3, enterprise)",
};

static INTERNAL_CODE: PartRule = PartRule {
    scheme: SCHEME,
    part: "internal code",
    allowed: "0-9, A-Z and - . _ + /",
    accepts: |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '+' | '/'),
    min_chars: 1,
    max_chars: MAX_CHARS - 1,
    lengths: "1 or more",
};

pub(super) fn parse(text: &str) -> Result<Identifier, IdentifierError> {
    let body = after_agency(strip(text))?;
    let Some((head, tail)) = body.split_once('/') else {
        return Err(IdentifierError::Missing {
            scheme: SCHEME,
            part: "internal code",
            text: Quoted::new(text),
            expected: "'/' and the enterprise's own code",
        });
    };
    check(head, tail)?;
    Ok(Identifier::assemble(
        SCHEME,
        head.to_ascii_uppercase().as_bytes(),
        tail.to_ascii_uppercase().as_bytes(),
        text,
    ))
}

/// A country (3 digits), an industry in it (6) or an enterprise (7 and more characters).
pub(super) fn parse_prefix(text: &str) -> Result<Vec<u8>, IdentifierError> {
    let body = strip(text);
    let head = after_agency(body).unwrap_or(body);
    if head.len() == COUNTRY_CHARS || head.len() == INDUSTRY_END {
        check_levels(head)?;
    } else {
        SERVICE_CODE.check(head)?;
        check_levels(head)?;
    }
    Ok(head.to_ascii_uppercase().into_bytes())
}

fn strip(text: &str) -> &str {
    if starts_with_ignore_case(text, "vaa:") {
        text.get(4..).unwrap_or_default()
    } else {
        text
    }
}

fn after_agency(body: &str) -> Result<&str, IdentifierError> {
    if starts_with_ignore_case(body, AGENCY) {
        Ok(body.get(AGENCY.len()..).unwrap_or_default())
    } else {
        Err(IdentifierError::Missing {
            scheme: SCHEME,
            part: "issuing agency code",
            text: Quoted::new(body),
            expected: "VAA in front",
        })
    }
}

fn check(head: &str, tail: &str) -> Result<(), IdentifierError> {
    SERVICE_CODE.check(head)?;
    check_levels(head)?;
    INTERNAL_CODE.check(tail)?;
    let chars = head.len() + tail.len();
    if chars > MAX_CHARS {
        return Err(IdentifierError::Length {
            scheme: SCHEME,
            part: "code",
            text: Quoted::new(tail),
            chars: chars + AGENCY.len(),
            allowed: "at most 50 with VAA and the service organisation code (ISO/IEC 15459)",
        });
    }
    Ok(())
}

fn check_levels(head: &str) -> Result<(), IdentifierError> {
    match head
        .char_indices()
        .take(INDUSTRY_END)
        .find(|(_, c)| !c.is_ascii_digit())
    {
        Some((offset, found)) => Err(IdentifierError::Character {
            scheme: SCHEME,
            part: "service organisation code",
            text: Quoted::new(head),
            offset,
            found,
            allowed: "0-9 in the country's and the industry's three digits",
        }),
        None => Ok(()),
    }
}

/// Length of the enclosing prefix: enterprise → industry → country.
pub(super) fn parent_len(head: &[u8]) -> Option<usize> {
    match head.len() {
        len if len > INDUSTRY_END => Some(INDUSTRY_END),
        len if len > COUNTRY_CHARS => Some(COUNTRY_CHARS),
        _ => None,
    }
}

pub(super) fn check_key(head: &[u8], tail: &[u8]) -> Result<(), IdentifierError> {
    check(utf8(head)?, utf8(tail)?)?;
    check_case(head)?;
    check_case(tail)
}

pub(super) fn check_head(head: &[u8]) -> Result<(), IdentifierError> {
    let text = utf8(head)?;
    check_case(head)?;
    if parse_prefix(text)? == head {
        Ok(())
    } else {
        Err(bad_key(SCHEME, "it repeats the issuing agency code"))
    }
}

fn check_case(bytes: &[u8]) -> Result<(), IdentifierError> {
    if bytes.iter().any(u8::is_ascii_lowercase) {
        Err(bad_key(SCHEME, "it is not folded to upper case"))
    } else {
        Ok(())
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, IdentifierError> {
    std::str::from_utf8(bytes).map_err(|_| bad_key(SCHEME, "it is not UTF-8"))
}

pub(super) fn canonical(head: &[u8], tail: &[u8]) -> String {
    format!(
        "vaa:{AGENCY}{}/{}",
        String::from_utf8_lossy(head),
        String::from_utf8_lossy(tail)
    )
}

pub(super) fn canonical_prefix(head: &[u8]) -> String {
    format!("vaa:{AGENCY}{}", String::from_utf8_lossy(head))
}
