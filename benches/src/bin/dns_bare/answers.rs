//! Answers, encoded when the zone is loaded.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use foldhash::fast::FixedState;

/// Bytes of a message's header.
const HEADER_BYTES: usize = 12;
/// The longest query that is answered: longer ones are none of the load generator's.
const MAX_QUERY_BYTES: usize = 512;
/// An OPT record without options, offering 1,232 bytes.
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0];
/// Types of the zone file.
const SOA: u16 = 6;
const NS: u16 = 2;
const TXT: u16 = 16;
const NAPTR: u16 = 35;

/// The records of one name and type, without their owner's name: it is the question's.
#[derive(Debug, Default)]
struct Set {
    count: u16,
    wire: Vec<u8>,
}

/// Everything that is answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// By name as on the wire, in lower case.
    names: HashMap<Box<[u8]>, Vec<(u16, Set)>, FixedState>,
    /// The zone's name on the wire.
    apex: Vec<u8>,
    /// The SOA record of negative answers, without its owner's name.
    soa: Vec<u8>,
}

impl Answers {
    /// Reads a zone file of the form that `benches/dns-peers` writes: `$ORIGIN`, `$TTL`, then
    /// one record a line, its owner first.
    pub fn load(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut input = BufReader::with_capacity(1 << 20, file);
        let mut answers = Self::default();
        let mut ttl_s = 0;
        let mut line = String::new();
        for number in 1_u64.. {
            line.clear();
            let read = input.read_line(&mut line);
            let broken = |reason: String| format!("{}:{number}: {reason}", path.display());
            match read.map_err(|error| broken(error.to_string()))? {
                0 => break,
                _ => answers
                    .add_line(line.trim_end(), &mut ttl_s)
                    .map_err(broken)?,
            }
        }
        for (_, set) in answers.names.values_mut().flatten() {
            set.wire.shrink_to_fit();
        }
        answers.names.values_mut().for_each(Vec::shrink_to_fit);
        match answers.soa.is_empty() {
            true => Err(format!("{}: no SOA", path.display())),
            false => Ok(answers),
        }
    }

    /// How many names have records.
    pub fn names(&self) -> usize {
        self.names.len()
    }

    fn add_line(&mut self, line: &str, ttl_s: &mut u32) -> Result<(), String> {
        let (owner, rest) = line.split_once(' ').ok_or("a line without blanks")?;
        match owner {
            "$ORIGIN" => {
                self.apex = wire_name(rest, &[])?;
                return Ok(());
            }
            "$TTL" => {
                *ttl_s = rest.parse().map_err(|_| "an odd TTL")?;
                return Ok(());
            }
            _ => {}
        }
        let (kind, data) = rest.split_once(' ').ok_or("a record without data")?;
        let (kind, data) = match kind {
            "SOA" => (SOA, soa(data, &self.apex)?),
            "NS" => (NS, wire_name(data, &self.apex)?),
            "TXT" => (TXT, strings(&words(data))?),
            "NAPTR" => (NAPTR, naptr(data)?),
            // Addresses of name servers are not asked for.
            "A" => return Ok(()),
            other => return Err(format!("no type {other:?} is expected")),
        };
        let wire = record(kind, *ttl_s, &data)?;
        if kind == SOA {
            self.soa.clone_from(&wire);
        }
        let owner = wire_name(owner, &self.apex)?;
        let sets = self.names.entry(owner.into()).or_default();
        let at = match sets.iter().position(|(other, _)| *other == kind) {
            Some(at) => at,
            None => {
                sets.push((kind, Set::default()));
                sets.len() - 1
            }
        };
        if let Some((_, set)) = sets.get_mut(at) {
            set.count += 1;
            set.wire.extend_from_slice(&[0xC0, HEADER_BYTES as u8]);
            set.wire.extend_from_slice(&wire);
        }
        Ok(())
    }

    /// Appends the answer to a query to `out`; false, and nothing appended, if it is none that
    /// the load generator sends.
    pub fn answer(&self, query: &[u8], out: &mut Vec<u8>) -> bool {
        let Some((question_end, name_end)) = question(query) else {
            return false;
        };
        let mut lower = [0_u8; MAX_QUERY_BYTES];
        let (Some(name), Some(key)) = (
            query.get(HEADER_BYTES..name_end),
            lower.get_mut(..name_end - HEADER_BYTES),
        ) else {
            return false;
        };
        key.copy_from_slice(name);
        key.make_ascii_lowercase();
        let kind = match query.get(name_end..name_end + 2) {
            Some([high, low]) => u16::from_be_bytes([*high, *low]),
            _ => return false,
        };
        let sets = self.names.get(&*key);
        let set = sets.and_then(|sets| sets.iter().find(|(own, _)| *own == kind));
        let has_opt = query.get(11) == Some(&1);
        let rcode = if sets.is_some() { 0 } else { 3 };
        let [a0, a1] = set.map_or(0, |(_, set)| set.count).to_be_bytes();
        let counts = [
            0,
            1,
            a0,
            a1,
            0,
            u8::from(set.is_none()),
            0,
            u8::from(has_opt),
        ];
        out.extend_from_slice(query.get(..2).unwrap_or_default());
        // QR, AA, and RD as it was asked.
        out.extend_from_slice(&[0x84 | (query.get(2).unwrap_or(&0) & 1), rcode]);
        out.extend_from_slice(&counts);
        out.extend_from_slice(query.get(HEADER_BYTES..question_end).unwrap_or_default());
        match set {
            Some((_, set)) => out.extend_from_slice(&set.wire),
            None => {
                let apex = (name_end.saturating_sub(self.apex.len())) as u16 | 0xC000;
                out.extend_from_slice(&apex.to_be_bytes());
                out.extend_from_slice(&self.soa);
            }
        }
        if has_opt {
            out.extend_from_slice(&OPT);
        }
        true
    }
}

/// Where a query's question ends, and where its name does; nothing for anything odd.
fn question(query: &[u8]) -> Option<(usize, usize)> {
    let flags = query.get(2..4)?;
    let counts = query.get(4..10)?;
    let is_query = matches!(flags, [high, _] if high & 0xF8 == 0);
    if !is_query || counts != [0, 1, 0, 0, 0, 0] || query.len() > MAX_QUERY_BYTES {
        return None;
    }
    let mut at = HEADER_BYTES;
    loop {
        match *query.get(at)? {
            0 => break,
            length @ 1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
    let name_end = at + 1;
    query.get(name_end..name_end + 4)?;
    Some((name_end + 4, name_end))
}

/// Type, class IN, TTL and data of a record.
fn record(kind: u16, ttl_s: u32, data: &[u8]) -> Result<Vec<u8>, String> {
    let length = u16::try_from(data.len()).map_err(|_| "more than 65535 bytes of data")?;
    let mut wire = Vec::with_capacity(10 + data.len());
    wire.extend_from_slice(&kind.to_be_bytes());
    wire.extend_from_slice(&1_u16.to_be_bytes());
    wire.extend_from_slice(&ttl_s.to_be_bytes());
    wire.extend_from_slice(&length.to_be_bytes());
    wire.extend_from_slice(data);
    Ok(wire)
}

/// A name without escapes, as on the wire, in lower case; relative ones are the apex's.
fn wire_name(text: &str, apex: &[u8]) -> Result<Vec<u8>, String> {
    let mut wire = Vec::new();
    let absolute = text.strip_suffix('.');
    let relative = absolute.unwrap_or(text);
    for label in relative
        .split('.')
        .filter(|label| !["", "@"].contains(label))
    {
        let length = u8::try_from(label.len()).ok().filter(|length| *length < 64);
        wire.push(length.ok_or_else(|| format!("a long label {label:?}"))?);
        wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    match absolute {
        Some(_) => wire.push(0),
        None => wire.extend_from_slice(apex),
    }
    Ok(wire)
}

/// `MNAME RNAME SERIAL REFRESH RETRY EXPIRE MINIMUM`
fn soa(text: &str, apex: &[u8]) -> Result<Vec<u8>, String> {
    let words: Vec<&str> = text.split(' ').collect();
    let [mname, rname, numbers @ ..] = words.as_slice() else {
        return Err("a short SOA".to_owned());
    };
    let mut wire = wire_name(mname, apex)?;
    wire.extend(wire_name(rname, apex)?);
    for number in numbers {
        let number: u32 = number.parse().map_err(|_| "an odd SOA")?;
        wire.extend_from_slice(&number.to_be_bytes());
    }
    Ok(wire)
}

/// `ORDER PREFERENCE "FLAGS" "SERVICE" "REGEXP" .`
fn naptr(text: &str) -> Result<Vec<u8>, String> {
    let words = words(text);
    let [order, preference, strings_of @ .., "."] = words.as_slice() else {
        return Err("a NAPTR that names a replacement".to_owned());
    };
    let mut wire = Vec::new();
    for number in [order, preference] {
        let number: u16 = number.parse().map_err(|_| "an odd NAPTR")?;
        wire.extend_from_slice(&number.to_be_bytes());
    }
    wire.extend(strings(strings_of)?);
    wire.push(0);
    Ok(wire)
}

/// Character strings as on the wire.
fn strings(words: &[&str]) -> Result<Vec<u8>, String> {
    let mut wire = Vec::new();
    for word in words {
        let length = u8::try_from(word.len());
        wire.push(length.map_err(|_| "a string of more than 255 bytes")?);
        wire.extend_from_slice(word.as_bytes());
    }
    Ok(wire)
}

/// Words between blanks, or in quotation marks, which have no escapes in them.
fn words(text: &str) -> Vec<&str> {
    let pieces = text.split('"').enumerate();
    pieces
        .flat_map(|(place, piece)| match place % 2 {
            1 => vec![piece],
            _ => piece.split_ascii_whitespace().collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::io::Write as _;

    use super::*;

    const ZONE: &str = "$ORIGIN id.example.\n$TTL 60\n\
        @ SOA ns1 hostmaster 1 2 3 4 300\n@ NS ns1\nns1 A 192.0.2.1\n\
        a.hdl NAPTR 100 1 \"U\" \"https+I2R\" \"!^.*$!https://e/1!\" .\n\
        a.hdl TXT \"one two\"\na.hdl TXT \"three\"\n";

    fn ask(name: &[u8], kind: u8) -> Vec<u8> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(ZONE.as_bytes()).unwrap();
        let answers = Answers::load(file.path()).unwrap();
        let mut query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01".to_vec();
        query.extend_from_slice(name);
        query.extend_from_slice(&[0, kind, 0, 1]);
        query.extend_from_slice(&OPT);
        let mut out = Vec::new();
        assert!(answers.answer(&query, &mut out));
        out
    }

    #[test]
    fn records_come_as_the_zone_has_them() {
        let answer = ask(b"\x01A\x03hdl\x02id\x07example\0", 16);
        let expected =
            b"\x12\x34\x85\0\0\x01\0\x02\0\0\0\x01\x01A\x03hdl\x02id\x07example\0\0\x10\0\x01\
            \xC0\x0C\0\x10\0\x01\0\0\0\x3C\0\x08\x07one two\
            \xC0\x0C\0\x10\0\x01\0\0\0\x3C\0\x06\x05three\
            \0\0\x29\x04\xD0\0\0\0\0\0\0";
        assert_eq!(answer, expected);
    }

    #[test]
    fn an_unknown_name_gets_the_soa() {
        let answer = ask(b"\x01b\x03hdl\x02id\x07example\0", 35);
        assert_eq!(&answer[2..12], b"\x85\x03\0\x01\0\0\0\x01\0\x01");
        let soa = b"\xC0\x12\0\x06\0\x01\0\0\0\x3C";
        assert!(
            answer.windows(soa.len()).any(|part| part == soa),
            "{answer:x?}"
        );
    }

    #[test]
    fn what_is_no_query_gets_nothing() {
        let mut out = Vec::new();
        let answers = Answers::default();
        assert!(!answers.answer(b"", &mut out));
        assert!(!answers.answer(&[0x80; 40], &mut out));
        assert!(!answers.answer(b"\0\0\0\0\0\x01\0\0\0\0\0\0\x3f", &mut out));
        assert!(out.is_empty());
    }
}
