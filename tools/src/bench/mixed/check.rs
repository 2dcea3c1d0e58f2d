//! Whether an answer is right: id and question are known to fit, the rest is read here.

use super::model::{Allowed, Names, is_live, ttl_s};

/// Bytes of a message's header.
const HEADER_BYTES: usize = 12;
const TYPE_SOA: u16 = 6;
const TYPE_OPT: u16 = 41;
const CLASS_IN: u16 = 1;
const NOERROR: u8 = 0;
const NXDOMAIN: u8 = 3;

/// What was asked, and what the answer may be of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// The identifier.
    pub(super) number: u32,
    /// The type.
    pub(super) kind: u16,
    /// Whether the query had an OPT record.
    pub(super) edns: bool,
    /// The versions.
    pub(super) allowed: Allowed,
    /// The log's place of the last write acknowledged when it was asked: serials are not lower.
    pub(super) sequence: u64,
}

/// A record of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Record<'a> {
    /// Whether its owner is the question's name.
    own: bool,
    kind: u16,
    class: u16,
    ttl_s: u32,
    data: &'a [u8],
}

/// Says what is wrong with an answer; `question_end` is where its question section ends.
pub(super) fn judge(
    message: &[u8],
    question_end: usize,
    expected: &Expected,
    names: &Names,
) -> Result<(), String> {
    let header = message
        .first_chunk::<HEADER_BYTES>()
        .ok_or("no whole header")?;
    let [_, _, high, low, q0, q1, a0, a1, n0, n1, r0, r1] = *header;
    // QR and AA, without TC; RD as asked, which is not.
    if high != 0x84 || low & 0xF0 != 0 {
        return Err(format!("flags {high:#04x} {low:#04x}"));
    }
    if [q0, q1] != [0, 1] {
        return Err("not one question".to_owned());
    }
    let mut reader = Reader {
        message,
        at: question_end,
    };
    let [answer, authority, additional] = [[a0, a1], [n0, n1], [r0, r1]].map(u16::from_be_bytes);
    let answers = reader.records(answer).ok_or("a broken answer section")?;
    let authorities = reader
        .records(authority)
        .ok_or("a broken authority section")?;
    let additionals = reader
        .records(additional)
        .ok_or("a broken additional section")?;
    if reader.at != message.len() {
        return Err("bytes after the last record".to_owned());
    }
    let opts = additionals
        .iter()
        .filter(|record| record.kind == TYPE_OPT)
        .count();
    if opts != usize::from(expected.edns) {
        return Err(format!("{opts} OPT records"));
    }
    if answers.is_empty() {
        check_soa(&authorities, expected)?;
    }
    let fits = |version| fits(version, low & 0x0F, &answers, expected, names);
    match expected.allowed.versions().any(fits) {
        true => Ok(()),
        false => Err(format!(
            "rcode {} and {answers:?} are of no version allowed",
            low & 0x0F
        )),
    }
}

/// Whether the answer is what a version says.
fn fits(
    version: u32,
    rcode: u8,
    answers: &[Record<'_>],
    expected: &Expected,
    names: &Names,
) -> bool {
    if !is_live(version) {
        return rcode == NXDOMAIN && answers.is_empty();
    }
    let data = names.data(expected.number, version, expected.kind);
    let is_right = |record: &Record<'_>| {
        record.own
            && record.kind == expected.kind
            && record.class == CLASS_IN
            && record.ttl_s == ttl_s(version)
    };
    // As sets: there are no two equal ones among `data`.
    rcode == NOERROR
        && answers.len() == data.len()
        && answers.iter().all(is_right)
        && data
            .iter()
            .all(|wanted| answers.iter().any(|record| record.data == wanted))
}

/// A negative answer names the zone's SOA record (RFC 2308 §3), whose serial is no older than
/// what had been acknowledged.
fn check_soa(authorities: &[Record<'_>], expected: &Expected) -> Result<(), String> {
    let [soa] = authorities else {
        return Err(format!("{} authority records", authorities.len()));
    };
    if soa.kind != TYPE_SOA || soa.class != CLASS_IN {
        return Err("an authority record that is no SOA".to_owned());
    }
    // The serial is the first of the five numbers at the end (RFC 1035 §3.3.13).
    let serial = soa
        .data
        .len()
        .checked_sub(20)
        .and_then(|at| soa.data.get(at..)?.first_chunk::<4>())
        .map(|bytes| u32::from_be_bytes(*bytes))
        .ok_or("a short SOA")?;
    match serial >= expected.sequence as u32 {
        true => Ok(()),
        false => Err(format!(
            "serial {serial}, though {} was acknowledged",
            expected.sequence
        )),
    }
}

/// Reads a message from front to back.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn records(&mut self, count: u16) -> Option<Vec<Record<'a>>> {
        (0..count).map(|_| self.record()).collect()
    }

    fn record(&mut self) -> Option<Record<'a>> {
        let own = self.name()?;
        let kind = self.number()?;
        let class = self.number()?;
        let ttl_s = u32::from(self.number()?) << 16 | u32::from(self.number()?);
        let length = usize::from(self.number()?);
        let data = self.message.get(self.at..self.at + length)?;
        self.at += length;
        Some(Record {
            own,
            kind,
            class,
            ttl_s,
            data,
        })
    }

    fn number(&mut self) -> Option<u16> {
        let bytes = self.message.get(self.at..)?.first_chunk::<2>()?;
        self.at += 2;
        Some(u16::from_be_bytes(*bytes))
    }

    /// Passes a name over; whether it is the question's, by a pointer or spelt out.
    fn name(&mut self) -> Option<bool> {
        let begin = self.at;
        loop {
            match *self.message.get(self.at)? {
                0 => {
                    self.at += 1;
                    let name = self.message.get(begin..self.at)?;
                    let question = self.message.get(HEADER_BYTES..HEADER_BYTES + name.len());
                    return Some(question == Some(name));
                }
                length @ 1..=63 => self.at += 1 + usize::from(length),
                high @ 0xC0.. => {
                    let low = *self.message.get(self.at + 1)?;
                    let is_first = self.at == begin;
                    self.at += 2;
                    let target = usize::from(high & 0x3F) << 8 | usize::from(low);
                    return Some(is_first && target == HEADER_BYTES);
                }
                _ => return None,
            }
        }
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

    use super::super::model::TYPE_URI;
    use super::*;

    const QUESTION: &[u8] = b"\x01a\0\x01\0\0\x01";

    fn names() -> Names {
        Names {
            prefix: "88.118.8".to_owned(),
            zone: "id.example.".to_owned(),
        }
    }

    /// The answer that a version calls for.
    fn answer(version: u32) -> (Vec<u8>, usize) {
        let data = names().data(5, version, TYPE_URI);
        let missing = data.is_empty();
        let rcode = if missing { 3 } else { 0 };
        let mut wire = vec![0, 7, 0x84, rcode, 0, 1, 0, data.len() as u8, 0];
        wire.extend([u8::from(missing), 0, 0]);
        wire.extend(QUESTION);
        let question_end = wire.len();
        for data in data {
            wire.extend([0xC0, 12, 1, 0, 0, 1]);
            wire.extend(ttl_s(version).to_be_bytes());
            wire.extend((data.len() as u16).to_be_bytes());
            wire.extend(data);
        }
        if missing {
            wire.extend([0, 0, 6, 0, 1, 0, 0, 0, 9, 0, 22, 0, 0]);
            wire.extend([0, 0, 0, 40].into_iter().chain([0; 16]));
        }
        (wire, question_end)
    }

    fn judged(version: u32, oldest: u32, newest: u32, sequence: u64) -> Result<(), String> {
        let (message, question_end) = answer(version);
        let expected = Expected {
            number: 5,
            kind: TYPE_URI,
            edns: false,
            allowed: Allowed { oldest, newest },
            sequence,
        };
        judge(&message, question_end, &expected, &names())
    }

    #[test]
    fn an_answer_of_an_allowed_version_is_right() {
        for version in 0..9 {
            judged(version, version, version, 40).unwrap();
        }
        judged(6, 5, 7, 0).unwrap();
    }

    #[test]
    fn an_answer_of_another_version_is_wrong() {
        assert!(judged(5, 6, 7, 0).is_err(), "older than acknowledged");
        assert!(judged(8, 5, 7, 0).is_err(), "a deletion that was not begun");
        assert!(judged(4, 5, 5, 0).is_err(), "denied though registered");
        assert!(judged(0, 0, 0, 41).unwrap_err().contains("serial 40"));
    }

    #[test]
    fn every_changed_byte_behind_the_question_is_noticed() {
        let (message, question_end) = answer(2);
        let expected = Expected {
            number: 5,
            kind: TYPE_URI,
            edns: false,
            allowed: Allowed {
                oldest: 2,
                newest: 2,
            },
            sequence: 0,
        };
        for place in (2..HEADER_BYTES).chain(question_end..message.len()) {
            let mut broken = message.clone();
            broken[place] ^= 1;
            let judged = judge(&broken, question_end, &expected, &names());
            assert!(judged.is_err(), "byte {place}");
        }
        for length in 0..message.len() {
            assert!(judge(&message[..length], question_end, &expected, &names()).is_err());
        }
    }
}
