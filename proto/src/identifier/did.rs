//! Decentralised identifiers of the methods run by CAICT (W3C DID Core 1.0 §3.1).
//!
//! | method | grammar after `did:<method>:` | head | tail |
//! |---|---|---|---|
//! | `bid` | `[AC:]suffix` or `AC[:]`; AC 4 letters or digits, suffix 22–42 (BID Protocol 2.0) | `bid` or `bid:AC` | suffix, or empty: the sub-chain AC itself |
//! | `cn` | issuer 2 digits `.` industry 3–5 `.` enterprise 1–128 (CN DID method 1.0) | `cn:issuer.industry` | enterprise |
//! | `vaa` | 27–31 base58 characters (VAA DID method 1.0) | `vaa` | suffix |
//!
//! `did:cn:88.118.8` is owned by the secondary node `did:cn:88.118`, as a `bid` suffix is by its
//! sub-chain. Everything is case-sensitive; order is byte order of head, then tail. A DID URL
//! (path, query or fragment) names something inside a DID document and is refused.

use super::error::{IdentifierError, PartRule, Quoted, bad_key};
use super::scheme::Scheme;
use super::{Identifier, starts_with_ignore_case};

const SCHEME: Scheme = Scheme::Did;

const fn part(
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

const DIGITS: (&str, fn(char) -> bool) = ("0-9", |c| c.is_ascii_digit());
const ALPHANUMERIC: (&str, fn(char) -> bool) = ("A-Z, a-z and 0-9", |c| c.is_ascii_alphanumeric());
const BASE58: (&str, fn(char) -> bool) = ("base58 (no 0, O, I, l)", |c| {
    c.is_ascii_alphanumeric() && !matches!(c, '0' | 'O' | 'I' | 'l')
});

static BID_AC: PartRule = part("AC", ALPHANUMERIC, 4, 4, "4");
static BID_SUFFIX: PartRule = part("suffix", ALPHANUMERIC, 22, 42, "22 to 42");
static CN_ISSUER: PartRule = part("issuer", DIGITS, 2, 2, "2");
static CN_INDUSTRY: PartRule = part("industry", DIGITS, 3, 5, "3 to 5");
static CN_ENTERPRISE: PartRule = part("enterprise", DIGITS, 1, 128, "1 to 128");
static VAA_SUFFIX: PartRule = part("suffix", BASE58, 27, 31, "27 to 31");

pub(super) fn parse(text: &str) -> Result<Identifier, IdentifierError> {
    let (head, tail) = split(specific(text)?)?;
    Ok(Identifier::assemble(
        SCHEME,
        head.as_bytes(),
        tail.as_bytes(),
        text,
    ))
}

/// `did:bid`, `did:bid:AC`, `did:cn`, `did:cn:issuer.industry` or `did:vaa`.
pub(super) fn parse_prefix(text: &str) -> Result<Vec<u8>, IdentifierError> {
    let body = specific(text)?;
    match body.split_once(':') {
        None if matches!(body, "bid" | "cn" | "vaa") => {}
        Some(("bid", ac)) => BID_AC.check(ac)?,
        Some(("cn", node)) => check_cn_node(node)?,
        Some(("vaa", rest)) => {
            return Err(IdentifierError::Value {
                scheme: SCHEME,
                part: "prefix",
                text: Quoted::new(rest),
                problem: "is no prefix: did:vaa has no level below the method",
            });
        }
        _ => return Err(unknown_method(body)),
    }
    Ok(body.as_bytes().to_vec())
}

/// What follows `did:`; refuses DID URLs.
fn specific(text: &str) -> Result<&str, IdentifierError> {
    let Some(body) = text.strip_prefix("did:") else {
        return Err(IdentifierError::Missing {
            scheme: SCHEME,
            part: "scheme",
            text: Quoted::new(text),
            expected: if starts_with_ignore_case(text, "did:") {
                "did: in lower case (W3C DID Core)"
            } else {
                "did: in front"
            },
        });
    };
    let Some((offset, found)) = body
        .char_indices()
        .find(|(_, c)| matches!(c, '/' | '?' | '#'))
    else {
        return Ok(body);
    };
    let (part, problem) = match found {
        '/' => (
            "path",
            "is the path of a DID URL: leave it out to name the DID",
        ),
        '?' => (
            "query",
            "is the query of a DID URL: leave it out to name the DID",
        ),
        _ => (
            "fragment",
            "is the fragment of a DID URL: leave it out to name the DID",
        ),
    };
    Err(IdentifierError::Value {
        scheme: SCHEME,
        part,
        text: Quoted::new(body.get(offset..).unwrap_or_default()),
        problem,
    })
}

fn split(body: &str) -> Result<(&str, &str), IdentifierError> {
    match body.split_once(':') {
        Some(("bid", rest)) => split_bid(body, rest),
        Some(("cn", rest)) => split_cn(body, rest),
        Some(("vaa", suffix)) => {
            VAA_SUFFIX.check(suffix)?;
            Ok(("vaa", suffix))
        }
        _ => Err(unknown_method(body)),
    }
}

fn split_bid<'a>(body: &'a str, rest: &'a str) -> Result<(&'a str, &'a str), IdentifierError> {
    let (ac, suffix) = match rest.split_once(':') {
        Some((ac, suffix)) => (ac, suffix),
        None if rest.len() <= BID_AC.max_chars => (rest, ""),
        None => {
            BID_SUFFIX.check(rest)?;
            return Ok(("bid", rest));
        }
    };
    BID_AC.check(ac)?;
    if !suffix.is_empty() {
        BID_SUFFIX.check(suffix)?;
    }
    let head = body.get(.."bid:".len() + ac.len()).unwrap_or_default();
    Ok((head, suffix))
}

fn split_cn<'a>(body: &'a str, rest: &'a str) -> Result<(&'a str, &'a str), IdentifierError> {
    let Some((node, enterprise)) = rest.rsplit_once('.') else {
        return Err(missing_industry(rest));
    };
    check_cn_node(node)?;
    CN_ENTERPRISE.check(enterprise)?;
    let head = body.get(.."cn:".len() + node.len()).unwrap_or_default();
    Ok((head, enterprise))
}

fn check_cn_node(node: &str) -> Result<(), IdentifierError> {
    let Some((issuer, industry)) = node.split_once('.') else {
        return Err(missing_industry(node));
    };
    CN_ISSUER.check(issuer)?;
    CN_INDUSTRY.check(industry)
}

fn missing_industry(text: &str) -> IdentifierError {
    IdentifierError::Missing {
        scheme: SCHEME,
        part: "industry",
        text: Quoted::new(text),
        expected: "issuer.industry.enterprise, such as 88.118.8",
    }
}

fn unknown_method(body: &str) -> IdentifierError {
    let method = body.split(':').next().unwrap_or_default();
    IdentifierError::Value {
        scheme: SCHEME,
        part: "method",
        text: Quoted::new(method),
        problem: "with what follows is no DID this system resolves: did:bid:, did:cn: or did:vaa:",
    }
}

/// Length of the head without its last part: `bid:AC` → `bid`.
pub(super) fn parent_len(head: &[u8]) -> Option<usize> {
    head.iter().position(|byte| *byte == b':')
}

pub(super) fn check_key(head: &[u8], tail: &[u8]) -> Result<(), IdentifierError> {
    let text = canonical(head, tail);
    let (canonical_head, canonical_tail) = split(specific(&text)?)?;
    if canonical_head.as_bytes() == head && canonical_tail.as_bytes() == tail {
        Ok(())
    } else {
        Err(bad_key(SCHEME, "its head is not method and AC"))
    }
}

pub(super) fn check_head(head: &[u8]) -> Result<(), IdentifierError> {
    if parse_prefix(&canonical_prefix(head))? == head {
        Ok(())
    } else {
        Err(bad_key(SCHEME, "its head is not method and AC"))
    }
}

pub(super) fn canonical(head: &[u8], tail: &[u8]) -> String {
    let mut text = canonical_prefix(head);
    if !tail.is_empty() {
        text.push(if head.starts_with(b"cn:") { '.' } else { ':' });
        text.push_str(&String::from_utf8_lossy(tail));
    }
    text
}

pub(super) fn canonical_prefix(head: &[u8]) -> String {
    format!("did:{}", String::from_utf8_lossy(head))
}
