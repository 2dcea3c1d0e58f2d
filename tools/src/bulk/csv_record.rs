//! CSV records (RFC 4180) with the physical line each starts on.
//!
//! A record that cannot be one costs its first line only: reading goes on at the next physical
//! line when a quote is left open (to the end, or until another field's quote closes it) and
//! when a record is longer than [`MAX_ITEM_BYTES`].

use std::io::{self, Read};

use csv_core::ReadRecordResult;

use super::MAX_ITEM_BYTES;

/// What a record turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It has the expected number of fields.
    Whole,
    /// It has another number of fields; those it has can be read.
    Fields(usize),
    /// A quoted field is not closed, or goes on after its closing quote.
    Unclosed,
    /// It is longer than [`MAX_ITEM_BYTES`].
    TooLong,
}

/// Reads records from a text.
pub struct Records<R> {
    source: R,
    parser: csv_core::Reader,
    /// Bytes read and not yet taken: `buffer[start..]`.
    buffer: Vec<u8>,
    start: usize,
    at_end: bool,
    /// Newlines taken so far.
    newlines: u64,
    fields: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

const READ_BYTES: usize = 256 * 1024;

impl<R: Read> Records<R> {
    /// Reads from the start of a text.
    pub fn new(source: R) -> Self {
        Self {
            source,
            parser: csv_core::Reader::new(),
            buffer: Vec::new(),
            start: 0,
            at_end: false,
            newlines: 0,
            fields: vec![0; 4096],
            ends: vec![0; 32],
            count: 0,
        }
    }

    /// The physical line reading has come to, from 1.
    pub fn line(&self) -> u64 {
        self.newlines + 1
    }

    /// A field of the record that was read last.
    pub fn field(&self, n: usize) -> Option<&[u8]> {
        let end = *self.ends.get(..self.count)?.get(n)?;
        let start = match n.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.fields.get(start..end)
    }

    /// How many fields the record that was read last has.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Reads a record: the line it starts on and what it is; `None` at the end.
    /// `expected` is the number of fields wanted, if any is.
    ///
    /// # Errors
    /// Those of the source.
    pub fn read(&mut self, expected: Option<usize>) -> io::Result<Option<(u64, Shape)>> {
        if !self.skip_line_ends()? {
            return Ok(None);
        }
        let line = self.line();
        let Some(taken) = self.parse()? else {
            self.skip_line()?;
            return Ok(Some((line, Shape::TooLong)));
        };
        let raw = self.pending().get(..taken).unwrap_or_default();
        if raw.contains(&b'"') && !quotes_are_closed(raw) {
            self.skip_line()?;
            return Ok(Some((line, Shape::Unclosed)));
        }
        self.newlines += count(raw, b'\n');
        self.start += taken;
        let shape = match expected {
            Some(expected) if expected != self.count => Shape::Fields(self.count),
            _ => Shape::Whole,
        };
        Ok(Some((line, shape)))
    }

    fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Takes line ends before a record; whether anything follows.
    fn skip_line_ends(&mut self) -> io::Result<bool> {
        loop {
            let pending = self.pending();
            let blank = pending
                .iter()
                .take_while(|b| matches!(b, b'\r' | b'\n'))
                .count();
            let more = blank < pending.len();
            self.newlines += count(pending.get(..blank).unwrap_or_default(), b'\n');
            self.start += blank;
            if more || !self.fill()? {
                return Ok(more);
            }
        }
    }

    /// Parses one record without taking it: its length, or `None` when it is too long.
    fn parse(&mut self) -> io::Result<Option<usize>> {
        let (mut taken, mut written) = (0, 0);
        self.count = 0;
        loop {
            let input = self.buffer.get(self.start + taken..).unwrap_or_default();
            if input.is_empty() && !self.at_end {
                if taken > MAX_ITEM_BYTES {
                    return Ok(None);
                }
                self.fill()?;
                continue;
            }
            let output = self.fields.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(self.count..).unwrap_or_default();
            let (result, read, wrote, ended) = self.parser.read_record(input, output, ends);
            taken += read;
            written += wrote;
            self.count += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => {
                    return Ok((taken <= MAX_ITEM_BYTES).then_some(taken));
                }
            }
        }
    }

    /// Takes the physical line at hand, whatever it is.
    fn skip_line(&mut self) -> io::Result<()> {
        self.parser.reset();
        loop {
            let pending = self.pending();
            if let Some(end) = pending.iter().position(|b| *b == b'\n') {
                self.start += end + 1;
                self.newlines += 1;
                return Ok(());
            }
            self.start += pending.len();
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Reads more behind what is pending; whether there was any.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let before = self.buffer.len();
        self.buffer.resize(before + READ_BYTES, 0);
        let into = self.buffer.get_mut(before..).unwrap_or_default();
        let read = loop {
            match self.source.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer
            .truncate(before + read.as_ref().map_or(0, |bytes| *bytes));
        self.at_end |= matches!(read, Ok(0));
        Ok(read? > 0)
    }
}

/// Whether every quoted field is closed and its closing quote followed by a comma or a line end.
/// If not, the quote was left open, and perhaps another field's opening quote has closed it.
fn quotes_are_closed(record: &[u8]) -> bool {
    enum At {
        FieldStart,
        Bare,
        Quoted,
        QuoteInQuoted,
    }
    let mut at = At::FieldStart;
    for byte in record {
        at = match (at, byte) {
            (At::FieldStart, b'"') | (At::QuoteInQuoted, b'"') => At::Quoted,
            (At::Quoted, b'"') => At::QuoteInQuoted,
            (At::Quoted, _) => At::Quoted,
            (_, b',' | b'\r' | b'\n') => At::FieldStart,
            (At::QuoteInQuoted, _) => return false,
            (At::FieldStart | At::Bare, _) => At::Bare,
        };
    }
    !matches!(at, At::Quoted)
}

fn count(bytes: &[u8], wanted: u8) -> u64 {
    bytes.iter().filter(|b| **b == wanted).count() as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let wanted = into.len().min(self.1);
            self.0.read(&mut into[..wanted])
        }
    }

    fn lines(text: &str, step: usize) -> Vec<(u64, Shape, Vec<String>)> {
        let mut records = Records::new(Drip(text.as_bytes(), step));
        let mut found = Vec::new();
        while let Some((line, shape)) = records.read(Some(2)).unwrap() {
            let fields = (0..records.count())
                .map(|n| String::from_utf8_lossy(records.field(n).unwrap()).into_owned())
                .collect();
            found.push((line, shape, fields));
        }
        found
    }

    fn whole(line: u64, a: &str, b: &str) -> (u64, Shape, Vec<String>) {
        (line, Shape::Whole, vec![a.to_owned(), b.to_owned()])
    }

    #[test]
    fn each_record_knows_the_line_it_starts_on() {
        for (text, expected) in [
            ("a,b\nc,d", vec![whole(1, "a", "b"), whole(2, "c", "d")]),
            (
                "a,b\r\nc,d\r\n",
                vec![whole(1, "a", "b"), whole(2, "c", "d")],
            ),
            (
                "\n\n a,b\n\r\n\nc,d\n\n",
                vec![whole(3, " a", "b"), whole(6, "c", "d")],
            ),
            (
                "a,\"b\n\nx\"\nc,d",
                vec![whole(1, "a", "b\n\nx"), whole(4, "c", "d")],
            ),
            (
                "a,\"b\r\n\"\r\nc,d",
                vec![whole(1, "a", "b\r\n"), whole(3, "c", "d")],
            ),
            (
                "\"\"\"\",\nc,5\"\n",
                vec![whole(1, "\"", ""), whole(2, "c", "5\"")],
            ),
        ] {
            for step in [1, 2, 1000] {
                assert_eq!(lines(text, step), expected, "{text:?} by {step}");
            }
        }
    }

    #[test]
    fn an_open_quote_costs_one_line() {
        for (text, bad) in [
            ("a,\"b\nc,d\ne,f\n", 1),
            ("a,b\nc,\"d\ne,f", 2),
            ("a,\"b\nc,\"d\",\ne,f\n", 1),
        ] {
            for step in [1, 1000] {
                let found = lines(text, step);
                let shapes: Vec<_> = found.iter().filter(|f| f.1 != Shape::Whole).collect();
                assert_eq!(shapes.first().map(|f| f.0), Some(bad), "{text:?} {found:?}");
                assert_eq!(shapes.first().unwrap().1, Shape::Unclosed, "{text:?}");
                assert_eq!(
                    found.last().unwrap(),
                    &whole(3, "e", "f"),
                    "{text:?} by {step}"
                );
            }
        }
    }

    #[test]
    fn other_records_of_the_wrong_length_keep_their_fields() {
        let found = lines("a\nb,c,d\ne,f", 1000);
        assert_eq!(found[0], (1, Shape::Fields(1), vec!["a".to_owned()]));
        assert_eq!(found[1].1, Shape::Fields(3));
        assert_eq!(found[2], whole(3, "e", "f"));
    }

    #[test]
    fn a_record_without_end_costs_one_line() {
        let text = format!("a,\"{}\nc,d\n", "x".repeat(MAX_ITEM_BYTES + 10));
        let found = lines(&text, 1 << 20);
        assert_eq!((found[0].0, found[0].1), (1, Shape::TooLong));
        assert_eq!(found[1], whole(2, "c", "d"));
    }
}
