//! What is asked: questions from a file, encoded once, and the queries made of them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use crate::bench::error::Failure;

/// Bytes of a message's header.
pub(in crate::bench) const HEADER_BYTES: usize = 12;
/// The longest query: header, name, type and class, OPT record.
pub(in crate::bench) const MAX_QUERY_BYTES: usize = HEADER_BYTES + 255 + 4 + OPT_BYTES;
/// Bytes of an OPT record without options (RFC 6891 §6.1.2).
const OPT_BYTES: usize = 11;
/// Class IN.
const CLASS_IN: u16 = 1;
/// Mnemonics of the types that files name; others are written `TYPE` and a number (RFC 3597 §5).
const TYPES: [(&str, u16); 20] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("HINFO", 13),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("NAPTR", 35),
    ("DS", 43),
    ("RRSIG", 46),
    ("NSEC", 47),
    ("DNSKEY", 48),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("ANY", 255),
    ("URI", 256),
    ("CAA", 257),
];

/// The questions of a file, in its order.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Name, type and class of one after the other, as on the wire.
    wire: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Questions {
    /// Reads `name TYPE` lines, as dnsperf does; what follows `;` or `#` at the beginning of a
    /// line, and empty lines, are passed over.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let broken = |reason: String| Failure::File {
            path: path.to_owned(),
            reason,
        };
        let file = fs::File::open(path).map_err(|error| broken(error.to_string()))?;
        let mut input = BufReader::with_capacity(1 << 20, file);
        let mut questions = Self::default();
        let mut line = String::new();
        for number in 1_u64.. {
            line.clear();
            let read = input
                .read_line(&mut line)
                .map_err(|error| broken(format!("line {number}: {error}")))?;
            if read == 0 {
                break;
            }
            questions
                .add_line(line.trim())
                .map_err(|reason| broken(format!("line {number}: {reason}")))?;
        }
        match questions.ends.is_empty() {
            true => Err(broken("holds no question".to_owned())),
            false => Ok(questions),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Name, type and class of a question.
    pub(super) fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let begin = match number.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
            None => 0,
        };
        let end = self.ends.get(number).copied().unwrap_or(begin);
        self.wire
            .get(begin as usize..end as usize)
            .unwrap_or_default()
    }

    fn add_line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with([';', '#']) {
            return Ok(());
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(kind), None) = (words.next(), words.next(), words.next()) else {
            return Err("not a name and a type".to_owned());
        };
        let kind = type_number(kind).ok_or_else(|| format!("there is no type {kind:?}"))?;
        let begin = self.wire.len();
        push_name(&mut self.wire, name).inspect_err(|_| self.wire.truncate(begin))?;
        self.wire.extend_from_slice(&kind.to_be_bytes());
        self.wire.extend_from_slice(&CLASS_IN.to_be_bytes());
        let end = u32::try_from(self.wire.len()).map_err(|_| "more than 4 GiB of questions")?;
        self.ends.push(end);
        Ok(())
    }
}

/// What all queries of a run have alike.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Shape {
    /// The size the OPT record offers, bytes; nothing for a query without EDNS.
    pub(in crate::bench) edns_bytes: Option<u16>,
    /// Whether DO is set (RFC 3225).
    pub(in crate::bench) dnssec_ok: bool,
    /// Whether RD is set.
    pub(in crate::bench) recursion: bool,
}

impl Shape {
    /// Appends the query of a question to `into`; how many bytes it has.
    pub(in crate::bench) fn push_query(
        &self,
        into: &mut Vec<u8>,
        id: u16,
        question: &[u8],
    ) -> usize {
        let begin = into.len();
        let additional = u8::from(self.edns_bytes.is_some());
        into.extend_from_slice(&id.to_be_bytes());
        into.extend_from_slice(&[u8::from(self.recursion), 0]);
        into.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, additional]);
        into.extend_from_slice(question);
        if let Some(size) = self.edns_bytes {
            let [high, low] = size.to_be_bytes();
            let flags = if self.dnssec_ok { 0x80 } else { 0 };
            into.extend_from_slice(&[0, 0, 41, high, low, 0, 0, flags, 0, 0, 0]);
        }
        into.len() - begin
    }
}

fn type_number(text: &str) -> Option<u16> {
    let known = TYPES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    known.map(|(_, number)| *number).or_else(|| {
        let digits = text
            .get(..4)
            .filter(|head| head.eq_ignore_ascii_case("TYPE"));
        text.get(digits?.len()..)?.parse().ok()
    })
}

/// Appends a name in presentation format (RFC 1035 §5.1) as on the wire.
pub(in crate::bench) fn push_name(wire: &mut Vec<u8>, text: &str) -> Result<(), String> {
    let begin = wire.len();
    let mut label_at = begin;
    wire.push(0);
    let mut bytes = match text {
        "." => "".bytes(),
        _ => text.bytes(),
    };
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' => {
                close_label(wire, label_at)?;
                label_at = wire.len();
                wire.push(0);
            }
            b'\\' => wire.push(escaped(&mut bytes).ok_or("a broken escape")?),
            other => wire.push(other),
        }
    }
    // After a final dot the label that was begun is the root's.
    if wire.len() > label_at + 1 {
        close_label(wire, label_at)?;
        wire.push(0);
    }
    match wire.len() - begin {
        ..=255 => Ok(()),
        length => Err(format!("a name of {length} bytes, more than 255")),
    }
}

fn close_label(wire: &mut [u8], label_at: usize) -> Result<(), String> {
    let length = wire.len() - label_at - 1;
    match (length, wire.get_mut(label_at)) {
        (1..=63, Some(place)) => {
            *place = length as u8;
            Ok(())
        }
        _ => Err(format!("a label of {length} bytes, allowed: 1 to 63")),
    }
}

/// The byte that an escape stands for: `\X` or `\DDD`.
fn escaped(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = bytes.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, bytes.next()?, bytes.next()?];
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]

    use std::io::Write as _;

    use super::*;

    fn read(text: &str) -> Result<Questions, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Questions::read(file.path()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn questions_are_read_as_dnsperf_reads_them() {
        let questions =
            read("; comment\nA-1.example. NAPTR\n\n. ns\nb\\.c\\065.example TYPE65280\n").unwrap();
        assert_eq!(questions.count(), 3);
        assert_eq!(questions.get(0), b"\x03A-1\x07example\0\0\x23\0\x01");
        assert_eq!(questions.get(1), b"\0\0\x02\0\x01");
        assert_eq!(questions.get(2), b"\x04b.cA\x07example\0\xff\0\0\x01");
    }

    #[test]
    fn mistakes_are_named_by_line() {
        let long = "a".repeat(64);
        let longer = "a.".repeat(128);
        for (line, reason) in [
            ("example.", "not a name and a type"),
            ("example. A IN", "not a name and a type"),
            ("example. NAPTRS", "there is no type"),
            ("a..example. A", "a label of 0 bytes"),
            (".example. A", "a label of 0 bytes"),
            ("a\\25 A", "a broken escape"),
            (&format!("{long}. A"), "a label of 64 bytes"),
            (&format!("{longer} A"), "a name of 257 bytes"),
        ] {
            let error = read(&format!("example. A\n{line}\n")).unwrap_err();
            assert!(error.contains(&format!("line 2: {reason}")), "{error}");
        }
        assert!(
            read("; nothing\n")
                .unwrap_err()
                .contains("holds no question")
        );
    }

    #[test]
    fn a_query_is_header_question_and_opt() {
        let shape = Shape {
            edns_bytes: Some(1232),
            dnssec_ok: true,
            recursion: false,
        };
        let mut wire = vec![0xAA];
        let length = shape.push_query(&mut wire, 0x0102, b"\0\0\x02\0\x01");
        assert_eq!(
            wire,
            b"\xAA\x01\x02\0\0\0\x01\0\0\0\0\0\x01\0\0\x02\0\x01\0\0\x29\x04\xD0\0\0\x80\0\0\0"
        );
        assert_eq!(length, wire.len() - 1);
    }
}
