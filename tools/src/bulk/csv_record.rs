//! CSV records (RFC 4180) with the physical line each starts on.
//!
//! A record that cannot be one costs its first line only: reading goes on at the next physical
//! line when a quote is left open (to the end, or until another field's quote closes it) and
//! when a record is longer than [`MAX_ITEM_BYTES`].

use std::io::{self, Read};
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr3};

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

/// Where the text of a field is.
#[derive(Debug, Clone)]
enum Field {
    /// As it stands in the record, from the record's start.
    Plain(Range<usize>),
    /// Without its doubled quotes.
    Unescaped(Range<usize>),
}

/// What parsing found at the buffer's front.
enum Parsed {
    /// A record of so many bytes, its line end not among them, and whether any of its fields is
    /// quoted: no others have line ends in them.
    Record(usize, bool),
    Unclosed,
    TooLong,
}

/// Reads records from a text.
pub struct Records<R> {
    source: R,
    /// Bytes read and not yet taken: `buffer[start..end]`. Behind them is room.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at_end: bool,
    /// Newlines taken so far.
    newlines: u64,
    /// The record that was read last, in the buffer.
    record: Range<usize>,
    fields: Vec<Field>,
    unescaped: Vec<u8>,
}

const READ_BYTES: usize = 256 * 1024;

impl<R: Read> Records<R> {
    /// Reads from the start of a text.
    pub fn new(source: R) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            at_end: false,
            newlines: 0,
            record: 0..0,
            fields: Vec::new(),
            unescaped: Vec::new(),
        }
    }

    /// The physical line reading has come to, from 1.
    pub fn line(&self) -> u64 {
        self.newlines + 1
    }

    /// A field of the record that was read last.
    pub fn field(&self, n: usize) -> Option<&[u8]> {
        match self.fields.get(n)? {
            Field::Plain(at) => self.buffer.get(self.record.clone())?.get(at.clone()),
            Field::Unescaped(at) => self.unescaped.get(at.clone()),
        }
    }

    /// How many fields the record that was read last has.
    pub fn count(&self) -> usize {
        self.fields.len()
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
        let shape = match self.parse()? {
            Parsed::TooLong => {
                self.fields.clear();
                self.skip_line()?;
                Shape::TooLong
            }
            Parsed::Unclosed => {
                self.keep_fields();
                self.skip_line()?;
                Shape::Unclosed
            }
            Parsed::Record(length, quoted) => {
                self.record = self.start..self.start + length;
                if quoted {
                    let raw = self.buffer.get(self.record.clone()).unwrap_or_default();
                    self.newlines += count(raw, b'\n');
                }
                self.start += length;
                match expected {
                    Some(expected) if expected != self.count() => Shape::Fields(self.count()),
                    _ => Shape::Whole,
                }
            }
        };
        Ok(Some((line, shape)))
    }

    fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
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

    /// Parses one record without taking it, reading on until it is whole.
    fn parse(&mut self) -> io::Result<Parsed> {
        loop {
            self.fields.clear();
            self.unescaped.clear();
            let record = self.buffer.get(self.start..self.end).unwrap_or_default();
            match split(record, self.at_end, &mut self.fields, &mut self.unescaped) {
                Some(Parsed::Record(length, _)) if length > MAX_ITEM_BYTES => {
                    return Ok(Parsed::TooLong);
                }
                Some(parsed) => return Ok(parsed),
                None if record.len() > MAX_ITEM_BYTES => return Ok(Parsed::TooLong),
                None => _ = self.fill()?,
            }
        }
    }

    /// Copies the fields out of the buffer, which skipping a line may empty.
    fn keep_fields(&mut self) {
        let record = self.buffer.get(self.start..self.end).unwrap_or_default();
        for field in &mut self.fields {
            if let Field::Plain(at) = field {
                let from = self.unescaped.len();
                let text = record.get(at.clone()).unwrap_or_default();
                self.unescaped.extend_from_slice(text);
                *field = Field::Unescaped(from..self.unescaped.len());
            }
        }
    }

    /// Takes the physical line at hand, whatever it is.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let pending = self.pending();
            if let Some(end) = memchr(b'\n', pending) {
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
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let room = self.end + READ_BYTES;
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let into = self.buffer.get_mut(self.end..room).unwrap_or_default();
        let read = loop {
            match self.source.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.end += read.as_ref().map_or(0, |bytes| *bytes);
        self.at_end |= matches!(read, Ok(0));
        Ok(read? > 0)
    }
}

/// Splits the record at the front of a text; `None` when the text, of which more is to come,
/// ends before the record does.
fn split(
    text: &[u8],
    at_end: bool,
    fields: &mut Vec<Field>,
    unescaped: &mut Vec<u8>,
) -> Option<Parsed> {
    let mut at = 0;
    let mut any_quoted = false;
    loop {
        let quoted = text.get(at) == Some(&b'"');
        any_quoted |= quoted;
        let end = if quoted {
            match unquote(text, at + 1, at_end, unescaped)? {
                (field, Some(end)) => {
                    fields.push(field);
                    end
                }
                (_, None) => return Some(Parsed::Unclosed),
            }
        } else {
            let rest = text.get(at..).unwrap_or_default();
            let end = match memchr3(b',', b'\n', b'\r', rest) {
                Some(length) => at + length,
                None if at_end => text.len(),
                None => return None,
            };
            fields.push(Field::Plain(at..end));
            end
        };
        if text.get(end) != Some(&b',') {
            return Some(Parsed::Record(end, any_quoted));
        }
        at = end + 1;
    }
}

/// The quoted field whose text begins at `start`, and where it ends; no end if its quote is left
/// open or followed by anything but a comma or a line end, which means that it was left open and
/// another field's opening quote has closed it. `None`: more is needed to know.
fn unquote(
    text: &[u8],
    start: usize,
    at_end: bool,
    unescaped: &mut Vec<u8>,
) -> Option<(Field, Option<usize>)> {
    let open = (Field::Plain(start..start), None);
    let copied_from = unescaped.len();
    let mut from = start;
    loop {
        let Some(length) = text.get(from..).and_then(|rest| memchr(b'"', rest)) else {
            return at_end.then_some(open);
        };
        let quote = from + length;
        match text.get(quote + 1) {
            Some(b'"') => {
                // With one of the two quotes.
                unescaped.extend_from_slice(text.get(from..=quote).unwrap_or_default());
                from = quote + 2;
                continue;
            }
            Some(b',' | b'\r' | b'\n') => {}
            Some(_) => return Some(open),
            None if at_end => {}
            None => return None,
        }
        let field = if unescaped.len() == copied_from {
            Field::Plain(start..quote)
        } else {
            unescaped.extend_from_slice(text.get(from..quote).unwrap_or_default());
            Field::Unescaped(copied_from..unescaped.len())
        };
        return Some((field, Some(quote + 1)));
    }
}

fn count(bytes: &[u8], wanted: u8) -> u64 {
    memchr_iter(wanted, bytes).count() as u64
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

    proptest::proptest! {
        /// Whatever the text, the records are those that the csv crate finds, as long as no quote
        /// is out of place.
        #[test]
        fn records_are_those_of_another_reader(
            text in "([a\\n\\r,]|\"([a,\\n\\r]|\"\"){0,4}\"[,\\n]|é,){0,12}",
            step in 1..40usize,
        ) {
            let mut other = csv::ReaderBuilder::new();
            let other = other.has_headers(false).flexible(true);
            let expected: Vec<Vec<String>> = other
                .from_reader(text.as_bytes())
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect();
            let found = lines(&text, step);
            if found.iter().all(|found| found.1 != Shape::Unclosed) {
                let found: Vec<Vec<String>> = found.into_iter().map(|found| found.2).collect();
                proptest::prop_assert_eq!(found, expected);
            }
        }
    }
}
