//! GS1 identification keys with their qualifiers (GS1 General Specifications; GS1 Digital Link
//! Standard: URI Syntax).
//!
//! Accepted texts, all of one key the same identifier:
//! - element strings `(01)09506000134352(10)ABC123(21)456`;
//! - Digital Link URIs `https://any.host/some/stem/01/09506000134352/10/ABC123/21/456?…`: host,
//!   stem, query and fragment do not count for identity;
//! - `gs1:01/09506000134352/…`, `gtin:9506000134352`, `sscc:…`, `gln:…`.
//!
//! A GTIN-8, -12 or -13 is the GTIN-14 with zeros in front. Values are case-sensitive (character
//! set 82). The canonical text is the canonical Digital Link URI, `https://id.gs1.org/01/…`, with
//! everything but unreserved characters percent-encoded and qualifiers in the order of the standard.
//!
//! | | |
//! |---|---|
//! | head | the key's digits from the company prefix (厂商识别代码) on: 12 of a GTIN, GLN, GDTI, GCN, GRAI; 16 of an SSCC, GSIN; 17 of a GSRN; up to 12 leading digits of a GIAI, GINC, CPID |
//! | tail | application identifier; indicator or extension digit; check digit; serial; then per qualifier 0x1D, its AI and value |
//! | order | company prefix and reference as digits, so that all keys of a company are contiguous |

mod key;
mod syntax;

pub(super) use key::from_elements;
pub use key::{Gs1Key, QUALIFIER_SEPARATOR};
pub(super) use key::{check_head, check_key};

use super::error::{IdentifierError, PartRule, Quoted};
use super::scheme::Scheme;
use super::{Identifier, starts_with_ignore_case};

const SCHEME: Scheme = Scheme::Gs1;
/// Shortest and longest GS1 company prefix, in digits.
pub(super) const COMPANY_PREFIX_DIGITS: std::ops::RangeInclusive<usize> = 4..=12;

static COMPANY_PREFIX: PartRule = PartRule {
    scheme: SCHEME,
    part: "company prefix",
    allowed: "0-9",
    accepts: |c| c.is_ascii_digit(),
    min_chars: *COMPANY_PREFIX_DIGITS.start(),
    max_chars: *COMPANY_PREFIX_DIGITS.end(),
    lengths: "4 to 12",
};

pub(super) fn parse(text: &str) -> Result<Identifier, IdentifierError> {
    let elements = syntax::elements(text)?;
    let (head, tail) = key::encode(&elements)?;
    Ok(Identifier::assemble(SCHEME, &head, &tail, text))
}

/// `gs1:` and the 4 to 12 digits of a company prefix.
pub(super) fn parse_prefix(text: &str) -> Result<Vec<u8>, IdentifierError> {
    let digits = if starts_with_ignore_case(text, "gs1:") {
        text.get(4..).unwrap_or_default()
    } else {
        text
    };
    COMPANY_PREFIX.check(digits)?;
    Ok(digits.as_bytes().to_vec())
}

pub(super) fn canonical(head: &[u8], tail: &[u8]) -> String {
    key::decode(head, tail).map_or_else(String::new, |key| syntax::canonical_uri(&key))
}

/// The parts of a stored key.
pub(super) fn decode(head: &[u8], tail: &[u8]) -> Option<Gs1Key> {
    key::decode(head, tail)
}

/// The mod-10 check digit of `digits`, given without it: weights 3, 1, 3 … from the right (GS1
/// General Specifications §7.9).
pub fn check_digit(digits: &str) -> char {
    let sum: u32 = digits
        .bytes()
        .rev()
        .zip([3, 1].into_iter().cycle())
        .map(|(byte, weight)| u32::from(byte.wrapping_sub(b'0')) * weight)
        .sum();
    char::from(b'0' + ((10 - sum % 10) % 10) as u8)
}

fn unsupported(ai: &str, problem: &'static str) -> IdentifierError {
    IdentifierError::ApplicationIdentifier {
        ai: Quoted::new(ai),
        problem,
    }
}
