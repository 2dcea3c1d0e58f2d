//! JSON Lines: one identifier a line.
//!
//! ```json
//! {"identifier":"88.118.8/A","template":"bearing","values":[{"index":1,"type":"URL",…}]}
//! ```
//! `template` may be left out; values are those of [`super::json`]. Blank lines mean nothing.

use std::io::{self, BufRead, Read, Write};

use idnode_proto::api::{IdentifierRecord, ImportItem};
use serde::{Deserialize, Serialize};

use super::MAX_ITEM_BYTES;
use super::item::EncodedItem;
use super::json::{ValueIn, ValuesOut};
use super::read::{Entry, ReadError, Reject, reason};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineIn {
    identifier: String,
    #[serde(default)]
    template: String,
    #[serde(default)]
    values: Vec<ValueIn>,
}

/// Reads items from JSON Lines.
pub struct JsonlItems<R> {
    text: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> JsonlItems<R> {
    /// Reads from the start of a text.
    pub fn new(text: R) -> Self {
        Self {
            text,
            line: Vec::new(),
            number: 0,
        }
    }

    /// The next item or reject; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            self.number += 1;
            let number = self.number;
            let fits = self.read_line().map_err(|source| ReadError::Io {
                line: number,
                source,
            })?;
            if self.line.is_empty() {
                return Ok(None);
            }
            if !fits {
                let message = format!("the line is longer than {MAX_ITEM_BYTES} bytes");
                return Ok(Some(reject(number, "", reason::TOO_LARGE, "", message)));
            }
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(parse(number, &self.line)));
            }
        }
    }

    /// Reads one physical line, or skips it and says that it does not fit.
    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let limit = MAX_ITEM_BYTES as u64 + 1;
        self.text
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut self.line)?;
        let fits = self.line.ends_with(b"\n") || (self.line.len() as u64) < limit;
        if !fits {
            self.text.skip_until(b'\n')?;
        }
        Ok(fits)
    }
}

fn parse(number: u64, line: &[u8]) -> Entry {
    let parsed = match serde_json::from_slice::<LineIn>(line) {
        Ok(parsed) => parsed,
        Err(error) => return explain(number, line, &error),
    };
    let LineIn {
        identifier,
        template,
        values: values_in,
    } = parsed;
    let mut values = Vec::with_capacity(values_in.len());
    for (n, value) in values_in.into_iter().enumerate() {
        match value.into_value() {
            Ok(value) => values.push(value),
            Err(message) => {
                let field = format!("values[{n}].expires_at_s");
                return reject(
                    number,
                    &identifier,
                    reason::INVALID_FIELD,
                    &field,
                    message.into(),
                );
            }
        }
    }
    let item = ImportItem {
        line: number,
        identifier,
        values,
        template,
    };
    Entry::Item(EncodedItem::from(&item))
}

/// Finds out which part of a refused line was wrong.
fn explain(number: u64, line: &[u8], error: &serde_json::Error) -> Entry {
    let found = match serde_json::from_slice::<serde_json::Value>(line) {
        Ok(serde_json::Value::Object(found)) => found,
        Ok(_) => {
            let message = "a line is a JSON object".to_owned();
            return reject(number, "", reason::MALFORMED_JSON, "", message);
        }
        Err(_) if std::str::from_utf8(line).is_err() => {
            return reject(
                number,
                "",
                reason::NOT_UTF8,
                "",
                "the line is not UTF-8".to_owned(),
            );
        }
        Err(syntax) => {
            let message = format!("column {}: {}", syntax.column(), bare(&syntax));
            return reject(number, "", reason::MALFORMED_JSON, "", message);
        }
    };
    let identifier = found
        .get("identifier")
        .and_then(|id| id.as_str())
        .unwrap_or_default();
    let refuse = |field: &str, message: String| {
        reject(number, identifier, reason::INVALID_FIELD, field, message)
    };
    for (name, part) in &found {
        match (name.as_str(), part) {
            ("identifier" | "template", serde_json::Value::String(_)) => {}
            ("identifier" | "template", _) => return refuse(name, "is not a string".to_owned()),
            ("values", serde_json::Value::Array(values)) => {
                for (n, value) in values.iter().enumerate() {
                    if let Some((field, message)) = ValueIn::misfit(value) {
                        let dot = if field.is_empty() { "" } else { "." };
                        return refuse(&format!("values[{n}]{dot}{field}"), message);
                    }
                }
            }
            ("values", _) => return refuse(name, "is not an array".to_owned()),
            _ => return refuse(name, "a line has no such field".to_owned()),
        }
    }
    if !found.contains_key("identifier") {
        return refuse("identifier", "is missing".to_owned());
    }
    // What is left is a repeated field, which a JSON object as such does not show.
    refuse("", bare(error))
}

/// The message without serde's own position, which counts from the line's start.
fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ")
        .map_or(text.as_str(), |(message, _)| message)
        .to_owned()
}

fn reject(line: u64, identifier: &str, reason: &str, field: &str, message: String) -> Entry {
    Entry::Reject(Reject {
        line,
        identifier: identifier.to_owned(),
        reason: reason.to_owned(),
        field: field.to_owned(),
        message,
    })
}

/// Appends one record; its values must be in the order of their indexes.
///
/// # Errors
/// Those of the writer.
pub fn write_record(record: &IdentifierRecord, into: &mut impl Write) -> io::Result<()> {
    struct LineOut<'a>(&'a IdentifierRecord);
    impl Serialize for LineOut<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeMap;
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("identifier", &self.0.identifier)?;
            if !self.0.template.is_empty() {
                map.serialize_entry("template", &self.0.template)?;
            }
            map.serialize_entry("values", &ValuesOut(&self.0.values))?;
            map.end()
        }
    }
    serde_json::to_writer(&mut *into, &LineOut(record))?;
    into.write_all(b"\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn entries(text: &[u8]) -> Vec<Entry> {
        let mut items = JsonlItems::new(text);
        std::iter::from_fn(|| items.next_entry().unwrap()).collect()
    }

    #[test]
    fn what_a_person_writes_is_read() {
        let text = "\n{\"identifier\":\"88.118.8/A\",\"values\":[{\"type\":\"URL\",\"data\":\"https://a\"}]}\r\n  \n{\"identifier\":\"x\"}";
        let read = entries(text.as_bytes());
        let [Entry::Item(first), Entry::Item(second)] = read.as_slice() else {
            unreachable!("{read:?}")
        };
        let (first, second) = (first.decode(), second.decode());
        assert_eq!((first.line, first.identifier.as_str()), (2, "88.118.8/A"));
        assert_eq!(first.values.first().unwrap().r#type, "URL");
        assert_eq!((second.line, second.values.len()), (4, 0));
    }

    #[test]
    fn a_bad_line_names_its_part_and_stops_nothing() {
        for (line, reason, field) in [
            ("{", reason::MALFORMED_JSON, ""),
            ("[]", reason::MALFORMED_JSON, ""),
            (r#"{"values":[]}"#, reason::INVALID_FIELD, "identifier"),
            (
                r#"{"identifier":"a","colour":1}"#,
                reason::INVALID_FIELD,
                "colour",
            ),
            (
                r#"{"identifier":"a","values":{}}"#,
                reason::INVALID_FIELD,
                "values",
            ),
            (
                r#"{"identifier":"a","identifier":"b"}"#,
                reason::INVALID_FIELD,
                "",
            ),
            (
                r#"{"identifier":"a","values":[{"type":"A","data":""},{"type":"B","data":1}]}"#,
                reason::INVALID_FIELD,
                "values[1].data",
            ),
            (
                r#"{"identifier":"a","values":[{"type":"A","data":"","ttl_s":1,"expires_at_s":1}]}"#,
                reason::INVALID_FIELD,
                "values[0].expires_at_s",
            ),
        ] {
            let text = format!("{line}\n{{\"identifier\":\"good\"}}\n");
            let read = entries(text.as_bytes());
            let [Entry::Reject(reject), Entry::Item(_)] = read.as_slice() else {
                unreachable!("{line}: {read:?}")
            };
            assert_eq!((reject.line, reject.reason.as_str()), (1, reason), "{line}");
            assert_eq!(reject.field, field, "{line}: {}", reject.message);
        }
        let read = entries(b"{\"identifier\":\"\xff\"}");
        assert!(matches!(read.as_slice(), [Entry::Reject(r)] if r.reason == reason::NOT_UTF8));
    }

    #[test]
    fn a_line_without_end_is_one_reject() {
        let mut text = vec![b'x'; 3 * MAX_ITEM_BYTES];
        text.extend_from_slice(b"\n{\"identifier\":\"good\"}\n");
        let read = entries(&text);
        let [Entry::Reject(reject), Entry::Item(item)] = read.as_slice() else {
            unreachable!()
        };
        assert_eq!(
            (reject.line, reject.reason.as_str(), item.line()),
            (1, reason::TOO_LARGE, 2)
        );
    }
}
