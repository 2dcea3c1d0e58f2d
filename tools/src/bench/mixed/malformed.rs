//! Packets that are no queries, each with what a server may say to it: nothing, or a response
//! without records and with one of few codes.

use crate::bench::order::below;

const FORMERR: u8 = 1;
const NOTIMP: u8 = 4;
const REFUSED: u8 = 5;

/// What may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// Nothing: it is no query at all (RFC 8906 §3.2.1 speaks of queries), or a response, which
    /// nobody answers.
    Nothing,
    /// A response with one of these codes, or nothing.
    Code(&'static [u8]),
}

/// One malformed packet.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) bytes: Vec<u8>,
    pub(super) reply: Reply,
}

/// How many kinds there are.
pub(super) const KINDS: u64 = 14;

/// Makes a packet of a kind, with this ID, out of a right query.
pub(super) fn packet(kind: u64, id: u16, query: &[u8], draws: &mut u64) -> Packet {
    let mut bytes = query.to_vec();
    if let Some(place) = bytes.get_mut(..2) {
        place.copy_from_slice(&id.to_be_bytes());
    }
    let malformed = Reply::Code(&[FORMERR]);
    let reply = match kind {
        0 => cut(&mut bytes, below(draws, 12) as usize, Reply::Nothing),
        1 => set(&mut bytes, &[(2, 0x80)], Reply::Nothing),
        // No question, two of them while one is there, and an answer that is not there.
        2 => {
            bytes.truncate(12);
            set(&mut bytes, &[(5, 0), (11, 0)], malformed)
        }
        3 => set(&mut bytes, &[(5, 2)], malformed),
        4 => set(&mut bytes, &[(7, 1)], malformed),
        // A name that ends in the middle, points to itself, has a label of a type that there
        // is not, and one longer than the packet.
        5 => cut(&mut bytes, 12 + 1 + below(draws, 20) as usize, malformed),
        6 => set(&mut bytes, &[(12, 0xC0), (13, 12)], malformed),
        7 => set(&mut bytes, &[(12, 0x80)], malformed),
        8 => {
            bytes.truncate(30);
            set(&mut bytes, &[(12, 63)], malformed)
        }
        // Opcodes that are not assigned, or not for a zone's readers (RFC 1035 §4.1.1).
        9 => set(&mut bytes, &[(2, 7 << 3)], Reply::Code(&[NOTIMP, FORMERR])),
        10 => set(&mut bytes, &[(2, 15 << 3)], Reply::Code(&[NOTIMP, FORMERR])),
        // A name of more than 255 bytes (RFC 1035 §2.3.4).
        11 => {
            bytes.truncate(12);
            for _ in 0..5 {
                bytes.push(60);
                bytes.extend([b'a'; 60]);
            }
            bytes.extend([0, 0, 16, 0, 1]);
            set(&mut bytes, &[(11, 0)], malformed)
        }
        // A second OPT record (RFC 6891 §6.1.1).
        12 => {
            bytes.extend([0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, 0]);
            let count = bytes.get(11).copied().unwrap_or(0);
            if count == 0 {
                bytes.extend([0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, 0]);
            }
            set(&mut bytes, &[(11, 2)], malformed)
        }
        // Noise with the flags of a query.
        _ => {
            bytes.truncate(2);
            let length = 12 + below(draws, 400);
            bytes.resize_with(length as usize, || below(draws, 256) as u8);
            set(
                &mut bytes,
                &[(2, 0)],
                Reply::Code(&[FORMERR, NOTIMP, REFUSED]),
            )
        }
    };
    Packet { bytes, reply }
}

fn cut(bytes: &mut Vec<u8>, length: usize, reply: Reply) -> Reply {
    bytes.truncate(length);
    reply
}

fn set(bytes: &mut [u8], changes: &[(usize, u8)], reply: Reply) -> Reply {
    for (place, value) in changes {
        if let Some(byte) = bytes.get_mut(*place) {
            *byte = *value;
        }
    }
    reply
}

/// Says what is wrong with what came back to a malformed packet.
pub(super) fn judge(message: &[u8], codes: &[u8]) -> Result<(), String> {
    let [_, _, high, low, _, _, a0, a1, n0, n1, _, _, ..] = message else {
        return Err("no whole header".to_owned());
    };
    let code = low & 0x0F;
    match (
        high & 0x80 != 0,
        codes.contains(&code),
        [*a0, *a1, *n0, *n1] == [0; 4],
    ) {
        (true, true, true) => Ok(()),
        _ => Err(format!(
            "flags {high:#04x} {low:#04x} to a malformed packet"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]

    use super::*;

    const QUERY: &[u8] = b"\0\0\0\0\0\x01\0\0\0\0\0\x01\x0amx00000007\x0288\0\0\x10\0\x01\
        \0\0\x29\x04\xD0\0\0\0\0\0\0";

    #[test]
    fn none_of_the_kinds_is_the_query_and_all_have_the_id() {
        let mut draws = 1;
        for kind in 0..KINDS {
            for _ in 0..50 {
                let packet = packet(kind, 0x1234, QUERY, &mut draws);
                assert_ne!(&packet.bytes.get(2..), &QUERY.get(2..), "{kind}");
                if let Reply::Code(_) = packet.reply {
                    assert_eq!(&packet.bytes[..2], [0x12, 0x34], "{kind}");
                    assert!(packet.bytes.len() >= 12, "{kind}");
                    assert_eq!(packet.bytes[2] & 0x80, 0, "{kind}");
                }
            }
        }
    }

    #[test]
    fn an_answer_with_records_is_wrong() {
        let formerr = [0, 7, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        judge(&formerr, &[FORMERR]).unwrap();
        assert!(judge(&formerr, &[NOTIMP]).is_err());
        let mut answered = formerr;
        answered[7] = 1;
        assert!(judge(&answered, &[FORMERR]).is_err());
        assert!(judge(&formerr[..7], &[FORMERR]).is_err());
    }
}
