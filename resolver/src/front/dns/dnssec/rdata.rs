//! The data of DNSSEC's records (RFC 4034), and names in wire form. The DNS library has types for
//! them only together with a signer of its own, which is not used: what is made here is little,
//! and exactly what is signed.

use super::algorithm::Algorithm;
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{Name, RData, RecordType};
use ring::digest::{SHA256, digest};

/// The type that says in an NSEC record that the name does not exist (RFC 9824 §2).
pub(in super::super) const NXNAME: RecordType = RecordType::Unknown(128);
/// DNSKEY flags of a key that signs all (RFC 4034 §2.1.1): zone key and secure entry point.
const CSK_FLAGS: u16 = 257;
/// DNSKEY protocol (RFC 4034 §2.1.2).
const DNSSEC_PROTOCOL: u8 = 3;
/// DS digest type SHA-256 (RFC 4509).
pub(super) const DIGEST_SHA256: u8 = 2;
/// Longest label and longest name in wire form, bytes (RFC 1035 §2.3.4).
const MAX_LABEL_BYTES: usize = 63;
const MAX_NAME_BYTES: usize = 255;

/// Data of a type that the DNS library does not take apart.
pub(in super::super) fn opaque(code: RecordType, data: &[u8]) -> RData {
    RData::Unknown {
        code,
        rdata: NULL::with(data.to_vec()),
    }
}

/// A name in canonical form: uncompressed, in lower case (RFC 4034 §6.2).
pub(super) fn canonical_name(name: &Name) -> Vec<u8> {
    let mut wire = Vec::with_capacity(name.len() + 1);
    for label in name.iter() {
        // Labels have at most 63 bytes.
        wire.push(label.len() as u8);
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    wire.push(0);
    wire
}

/// DNSKEY data (RFC 4034 §2.1); CDNSKEY has the same (RFC 7344 §3.2).
pub(super) fn dnskey(algorithm: Algorithm, public_key: &[u8]) -> Box<[u8]> {
    let mut data = CSK_FLAGS.to_be_bytes().to_vec();
    data.extend_from_slice(&[DNSSEC_PROTOCOL, algorithm.number()]);
    data.extend_from_slice(public_key);
    data.into()
}

/// CDNSKEY data that asks the parent to take the DS records away (RFC 8078 §4).
pub(super) const CDNSKEY_DELETE: [u8; 5] = [0, 0, DNSSEC_PROTOCOL, 0, 0];
/// CDS data of the same meaning.
pub(super) const CDS_DELETE: [u8; 5] = [0, 0, 0, 0, 0];

/// The key tag of DNSKEY data (RFC 4034 appendix B).
pub(super) fn key_tag(dnskey: &[u8]) -> u16 {
    let sum: u32 = dnskey
        .iter()
        .enumerate()
        .map(|(at, byte)| u32::from(*byte) << if at % 2 == 0 { 8 } else { 0 })
        .sum();
    (sum + (sum >> 16)) as u16
}

/// DS data of a key (RFC 4034 §5.1) by SHA-256; CDS has the same (RFC 7344 §3.1).
pub(super) fn ds(apex: &[u8], algorithm: Algorithm, dnskey: &[u8]) -> Vec<u8> {
    let digest = digest(&SHA256, &[apex, dnskey].concat());
    let mut data = key_tag(dnskey).to_be_bytes().to_vec();
    data.extend_from_slice(&[algorithm.number(), DIGEST_SHA256]);
    data.extend_from_slice(digest.as_ref());
    data
}

/// NSEC data (RFC 4034 §4.1) of a name in canonical form: it ends at the name's immediate
/// successor, so that it denies nothing but types at this name (RFC 9824 §3).
pub(super) fn nsec(name: &[u8], types: &[RecordType]) -> Vec<u8> {
    let mut data = successor(name);
    append_bitmaps(types, &mut data);
    data
}

/// Type bit maps (RFC 4034 §4.1.2).
fn append_bitmaps(types: &[RecordType], out: &mut Vec<u8>) {
    let mut numbers: Vec<u16> = types.iter().map(|rtype| u16::from(*rtype)).collect();
    numbers.sort_unstable();
    for window in numbers.chunk_by(|a, b| a >> 8 == b >> 8) {
        let mut bits = [0; 32];
        let mut length = 0;
        for number in window {
            let [_, low] = number.to_be_bytes();
            let at = usize::from(low / 8);
            if let Some(byte) = bits.get_mut(at) {
                *byte |= 0x80 >> (low % 8);
            }
            length = at + 1;
        }
        let number = window.first().map_or(0, |number| number >> 8);
        out.extend_from_slice(&[number as u8, length as u8]);
        out.extend(bits.iter().take(length));
    }
}

/// The name that follows another immediately in canonical order (RFC 4034 §6.1): the first below
/// it or, where that would be too long, the first after it.
fn successor(name: &[u8]) -> Vec<u8> {
    if name.len() + 2 <= MAX_NAME_BYTES {
        return [&[1, 0], name].concat();
    }
    sibling_after(name)
}

/// The name that follows another and all names below it.
fn sibling_after(name: &[u8]) -> Vec<u8> {
    let Some((label, rest)) = split_label(name) else {
        return name.to_vec();
    };
    if name.len() < MAX_NAME_BYTES && label.len() < MAX_LABEL_BYTES {
        return join_label(&[label, &[0]].concat(), rest);
    }
    // The greatest bytes at the end give way, the last that can grows.
    let mut label = label.to_vec();
    while let Some(last) = label.pop() {
        let next = match last {
            // Upper-case letters are lower-case ones in canonical order.
            b'@' => b'[',
            u8::MAX => continue,
            byte => byte + 1,
        };
        label.push(next);
        return join_label(&label, rest);
    }
    sibling_after(rest)
}

/// The leftmost label of a name in wire form, and the rest; `None` at the root.
fn split_label(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = name.split_first()?;
    (*length > 0)
        .then(|| rest.split_at_checked(usize::from(*length)))
        .flatten()
}

fn join_label(label: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut name = vec![label.len() as u8];
    name.extend_from_slice(label);
    name.extend_from_slice(rest);
    name
}

/// The labels of a name that RRSIG counts (RFC 4034 §3.1.3): not the root's, nor a leading `*`.
pub(super) fn counted_labels(name: &Name) -> u8 {
    let wildcard = name.iter().next() == Some(b"*");
    (name.iter().len() - usize::from(wildcard)) as u8
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn wire(text: &str) -> Vec<u8> {
        canonical_name(&Name::from_ascii(text).unwrap())
    }

    /// The example of RFC 4034 §4.3: A, MX, RRSIG, NSEC and TYPE1234.
    #[test]
    fn bitmaps_are_those_of_the_rfc() {
        let mut out = Vec::new();
        let types = [47, 1, 1234, 15, 46].map(RecordType::from);
        append_bitmaps(&types, &mut out);
        let mut expected = vec![0x00, 0x06, 0x40, 0x01, 0x00, 0x00, 0x00, 0x03, 0x04, 0x1b];
        expected.extend([0; 26]);
        expected.push(0x20);
        assert_eq!(out, expected);
    }

    #[test]
    fn a_nonexistent_name_has_type_128() {
        let data = nsec(
            &wire("x.example."),
            &[RecordType::RRSIG, RecordType::NSEC, NXNAME],
        );
        let (name, bitmap) = data.split_at(wire("a.x.example.").len());
        assert_eq!(name, [&[1, 0][..], &wire("x.example.")].concat());
        let mut expected = vec![0, 17];
        expected.extend([0; 5]);
        expected.push(0x03);
        expected.extend([0; 10]);
        expected.push(0x80);
        assert_eq!(bitmap, expected);
    }

    /// The key and DS record of RFC 6605 §6.1.
    #[test]
    fn key_tag_and_ds_are_those_of_the_rfc() {
        let public = data_encoding::BASE64
            .decode(
                b"GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
            )
            .unwrap();
        let key = dnskey(Algorithm::EcdsaP256Sha256, &public);
        assert_eq!(key_tag(&key), 55_648);
        let ds = ds(&wire("example.net."), Algorithm::EcdsaP256Sha256, &key);
        assert_eq!(
            data_encoding::HEXLOWER.encode(&ds[4..]),
            "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17"
        );
    }

    #[test]
    fn the_longest_names_have_successors() {
        let label = "a".repeat(63);
        let long = |last: &str| wire(&format!("{last}.{label}.{label}.{label}."));
        // 255 bytes: nothing fits below, the last byte grows.
        let full = long(&"b".repeat(61));
        assert_eq!(full.len(), 255);
        assert_eq!(successor(&full), long(&format!("{}c", "b".repeat(60))));
        // 254 bytes: one more byte fits into the label.
        let almost = long(&"b".repeat(60));
        let mut expected = vec![61];
        expected.extend([b'b'; 60]);
        expected.push(0);
        expected.extend(&almost[61..]);
        assert_eq!(successor(&almost), expected);
        // 253 bytes: a label fits.
        let shorter = long(&"b".repeat(59));
        assert_eq!(successor(&shorter), [&[1, 0][..], &shorter].concat());
        // What cannot grow gives way to the label above.
        let mut greatest = vec![61];
        greatest.extend([0xff; 61]);
        greatest.extend(&almost[61..]);
        assert_eq!(greatest.len(), 255);
        let after = format!("{}b.{label}.{label}.", "a".repeat(62));
        assert_eq!(successor(&greatest), wire(&after));
    }
}
