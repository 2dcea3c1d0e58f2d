//! Labels: escaping of bytes, hashed labels, scheme labels.

use std::borrow::Cow;

use data_encoding::BASE32_DNSSEC;

use super::HASH_BYTES;
use crate::identifier::Scheme;

/// Longest label, in bytes (RFC 1035 §2.3.4).
pub(super) const MAX_LABEL_BYTES: usize = 63;
/// The most bytes of a label that stand for one byte.
pub(super) const ESCAPED_BYTES: usize = 3;
/// Starts a hashed label; after `_` no other label has anything but `_` or a hexadecimal digit.
const HASH_MARK: &[u8] = b"_h";
const HEX: [u8; 16] = *b"0123456789abcdef";

/// How the bytes of a label stand for those of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spelling {
    /// `.` is written `-`, and `-` escaped.
    pub(super) dots: bool,
    /// The key holds capitals only, the label lower-case letters.
    pub(super) folded: bool,
}

impl Spelling {
    /// The one byte that stands for `byte` without an escape.
    fn literal(self, byte: u8) -> Option<u8> {
        match byte {
            b'0'..=b'9' => Some(byte),
            b'a'..=b'z' if !self.folded => Some(byte),
            b'A'..=b'Z' if self.folded => Some(byte.to_ascii_lowercase()),
            b'-' if !self.dots => Some(b'-'),
            b'.' if self.dots => Some(b'-'),
            _ => None,
        }
    }

    /// The byte an unescaped one stands for.
    fn meaning(self, literal: u8) -> Option<u8> {
        match literal {
            b'0'..=b'9' => Some(literal),
            b'a'..=b'z' | b'A'..=b'Z' if self.folded => Some(literal.to_ascii_uppercase()),
            b'a'..=b'z' | b'A'..=b'Z' => Some(literal.to_ascii_lowercase()),
            b'-' if self.dots => Some(b'.'),
            b'-' => Some(b'-'),
            _ => None,
        }
    }

    /// The label of `bytes`; `None` when it would be empty or longer than 63 bytes.
    pub(super) fn encode(self, bytes: &[u8]) -> Option<Vec<u8>> {
        if bytes.is_empty() || bytes.len() > MAX_LABEL_BYTES {
            return None;
        }
        let mut label = Vec::with_capacity(MAX_LABEL_BYTES);
        for &byte in bytes {
            match self.literal(byte) {
                Some(literal) => label.push(literal),
                None if byte == b'_' => label.extend_from_slice(b"__"),
                None => {
                    label.push(b'_');
                    label.extend(hex_digits(byte));
                }
            }
        }
        (label.len() <= MAX_LABEL_BYTES).then_some(label)
    }

    /// The bytes of a label; `None` unless it is the canonical spelling (in any case) of some.
    pub(super) fn decode(self, label: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(label.len());
        let mut rest = label.iter().copied();
        while let Some(byte) = rest.next() {
            if byte != b'_' {
                bytes.push(self.meaning(byte)?);
                continue;
            }
            let high = rest.next()?;
            let escaped = if high == b'_' {
                b'_'
            } else {
                let byte = hex_value(high)? << 4 | hex_value(rest.next()?)?;
                if byte == b'_' || self.literal(byte).is_some() {
                    return None;
                }
                byte
            };
            bytes.push(escaped);
        }
        (!bytes.is_empty()).then_some(bytes)
    }
}

fn hex_digits(byte: u8) -> impl Iterator<Item = u8> {
    [byte >> 4, byte & 15]
        .into_iter()
        .filter_map(|nibble| HEX.get(usize::from(nibble)).copied())
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

pub(super) fn hash_label(hash: &[u8; HASH_BYTES]) -> Vec<u8> {
    let mut label = HASH_MARK.to_vec();
    label.extend_from_slice(BASE32_DNSSEC.encode(hash).as_bytes());
    label
}

/// The hash of a hashed label; `None` for any other label.
pub(super) fn decode_hash(label: &[u8]) -> Option<[u8; HASH_BYTES]> {
    let lower = label.to_ascii_lowercase();
    let encoded = lower.strip_prefix(HASH_MARK)?;
    BASE32_DNSSEC.decode(encoded).ok()?.try_into().ok()
}

/// The label of a scheme below the node's zone.
pub(super) fn scheme_label(scheme: Scheme) -> &'static [u8] {
    match scheme {
        Scheme::Handle => b"hdl",
        Scheme::Oid => b"oid",
        Scheme::Gs1 => b"gs1",
        Scheme::Ecode => b"ecode",
        Scheme::Vaa => b"vaa",
        Scheme::Did => b"did",
    }
}

pub(super) fn scheme_of_label(label: &[u8]) -> Option<Scheme> {
    Scheme::ALL
        .into_iter()
        .find(|scheme| label.eq_ignore_ascii_case(scheme_label(*scheme)))
}

/// A label's text for an error.
pub(super) fn text(label: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(label)
}
