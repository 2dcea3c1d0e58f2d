//! What HTTPS and QUIC need to know of a message beside its bytes.

use super::raw::{self, Section};

/// Type codes (RFC 1035 §3.2.2, RFC 6891 §6.1.1).
const SOA: u16 = 6;
const OPT: u16 = 41;
/// EDNS option of RFC 7828.
const TCP_KEEPALIVE: u16 = 11;

/// How long an answer may be kept by who does not look into it, seconds: the least TTL of what
/// it says, and of what it denies (RFC 8484 §5.1, RFC 2308 §5). Errors are not to be kept.
pub(super) fn freshness_s(answer: &[u8]) -> u32 {
    const NOERROR: u8 = 0;
    const NXDOMAIN: u8 = 3;
    let rcode = answer.get(3).map_or(u8::MAX, |flags| flags & 0x0f);
    if !matches!(rcode, NOERROR | NXDOMAIN) {
        return 0;
    }
    let records = raw::records(answer).unwrap_or_default();
    let told = records
        .iter()
        .filter(|record| record.section != Section::Additional);
    told.map(|record| match record.rtype {
        SOA => record.ttl_s.min(soa_minimum_s(record.data)),
        _ => record.ttl_s,
    })
    .min()
    .unwrap_or(0)
}

/// The last field of SOA data (RFC 1035 §3.3.13).
fn soa_minimum_s(data: &[u8]) -> u32 {
    data.last_chunk()
        .map_or(0, |last| u32::from_be_bytes(*last))
}

/// Whether a query carries the option edns-tcp-keepalive, which has no place on some transports.
pub(super) fn asks_for_keepalive(query: &[u8]) -> bool {
    let records = raw::records(query).unwrap_or_default();
    records
        .iter()
        .filter(|record| record.section == Section::Additional && record.rtype == OPT)
        .any(|record| has_option(record.data, TCP_KEEPALIVE))
}

fn has_option(mut options: &[u8], wanted: u16) -> bool {
    while let Some(([c0, c1, l0, l1], rest)) = options.split_first_chunk() {
        if u16::from_be_bytes([*c0, *c1]) == wanted {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        options = rest.get(length..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// A message whose names are all a pointer to the question's.
    fn message(rcode: u8, counts: [u8; 3], records: &[(u16, u32, &[u8])]) -> Vec<u8> {
        let [answers, authorities, additionals] = counts;
        let mut bytes = vec![
            0,
            0,
            0x84,
            rcode,
            0,
            1,
            0,
            answers,
            0,
            authorities,
            0,
            additionals,
        ];
        bytes.extend(b"\x01a\x02id\x00\x00\x10\x00\x01");
        for (rtype, ttl_s, data) in records {
            bytes.extend([0xc0, 12]);
            bytes.extend(rtype.to_be_bytes());
            bytes.extend([0, 1]);
            bytes.extend(ttl_s.to_be_bytes());
            bytes.extend((data.len() as u16).to_be_bytes());
            bytes.extend(*data);
        }
        bytes
    }

    #[test]
    fn an_answer_is_fresh_as_long_as_its_least_ttl() {
        let txt = |ttl_s| (16, ttl_s, &b"\x01x"[..]);
        let two = message(0, [2, 0, 1], &[txt(60), txt(30), txt(0)]);
        assert_eq!(freshness_s(&two), 30);
        let soa: Vec<u8> = [&b"\0\0"[..], &[0; 16], &[0, 0, 0, 9]].concat();
        assert_eq!(freshness_s(&message(3, [0, 1, 0], &[(SOA, 300, &soa)])), 9);
        assert_eq!(freshness_s(&message(0, [0, 1, 0], &[(SOA, 5, &soa)])), 5);
        assert_eq!(freshness_s(&message(0, [0, 1, 0], &[(2, 77, b"\0")])), 77);
        assert_eq!(freshness_s(&message(2, [1, 0, 0], &[txt(60)])), 0);
        assert_eq!(freshness_s(&message(0, [0, 0, 0], &[])), 0);
        for cut in 0..two.len() {
            freshness_s(&two[..cut]);
        }
        assert_eq!(freshness_s(&[]), 0);
    }

    #[test]
    fn the_option_is_found_among_others() {
        let with = |options: &[u8]| message(0, [0, 0, 1], &[(OPT, 0, options)]);
        assert!(asks_for_keepalive(&with(&[0, 3, 0, 1, 9, 0, 11, 0, 0])));
        assert!(!asks_for_keepalive(&with(&[0, 3, 0, 4, 0, 11, 0, 0])));
        assert!(!asks_for_keepalive(&with(&[0, 3, 0, 9, 0, 11])));
        assert!(!asks_for_keepalive(&with(&[])));
    }
}
