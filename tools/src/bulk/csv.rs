//! CSV (RFC 4180): one value a row, the rows of one identifier adjacent.
//!
//! | column | holds |
//! |---|---|
//! | `identifier` | in any accepted spelling |
//! | `template` | the template's name, or nothing |
//! | `index` | of the value; nothing: the node chooses |
//! | `type` | of the value |
//! | `encoding` | of `data`: `string` (or nothing), `base64` |
//! | `data` | the value's data |
//! | `ttl` | seconds, or `@` and seconds since 1970; nothing: the default |
//! | `permissions` | `1110`: owner read, write, public read, write; nothing: the default |
//! | `timestamp` | seconds since 1970; nothing: the node's clock |
//! | `references` | `INDEX:HANDLE`, separated by `;` |
//!
//! Columns come in any order; `identifier`, `type` and `data` are needed. A row whose value
//! columns are all empty stands for an identifier without values.

use std::io::Read;

use idnode_proto::api::{ImportItem, Value};

use super::MAX_ITEM_BYTES;
use super::csv_record::{Records, Shape};
use super::field::{self, FieldError};
use super::json::{Encoding, decode};
use super::read::{Entry, ReadError, Reject, reason};

/// The columns in the order they are written.
pub const HEADER: [&str; 10] = [
    "identifier",
    "template",
    "index",
    "type",
    "encoding",
    "data",
    "ttl",
    "permissions",
    "timestamp",
    "references",
];

/// Where each column of [`HEADER`] is in a file's rows.
#[derive(Debug, Default)]
struct Columns {
    places: [Option<usize>; HEADER.len()],
    count: usize,
}

impl Columns {
    fn read<R: Read>(records: &mut Records<R>) -> Result<Self, ReadError> {
        let first = records
            .read(None)
            .map_err(|source| ReadError::Io { line: 1, source })?;
        match first {
            Some((_, Shape::Whole)) => {}
            Some(_) => return Err(ReadError::Header("it is too long or has an open quote")),
            None => return Err(ReadError::Header("the file is empty")),
        }
        let mut columns = Self {
            count: records.count(),
            ..Self::default()
        };
        for n in 0..records.count() {
            let name = String::from_utf8_lossy(records.field(n).unwrap_or_default());
            let name = name.trim();
            let place = HEADER
                .iter()
                .position(|known| known.eq_ignore_ascii_case(name))
                .and_then(|known| columns.places.get_mut(known))
                .ok_or_else(|| ReadError::UnknownColumn(name.to_owned()))?;
            if place.replace(n).is_some() {
                return Err(ReadError::RepeatedColumn(name.to_owned()));
            }
        }
        for needed in ["identifier", "type", "data"] {
            if columns.place(needed).is_none() {
                return Err(ReadError::MissingColumn(needed));
            }
        }
        Ok(columns)
    }

    fn place(&self, name: &str) -> Option<usize> {
        let known = HEADER.iter().position(|column| *column == name)?;
        *self.places.get(known)?
    }

    /// A column's text in the record at hand; nothing when the file has no such column.
    fn text<'a, R: Read>(
        &self,
        records: &'a Records<R>,
        column: usize,
    ) -> Result<&'a str, Problem> {
        let Some(place) = self.places.get(column).copied().flatten() else {
            return Ok("");
        };
        let bytes = records.field(place).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| Problem {
            reason: reason::NOT_UTF8,
            field: HEADER.get(column).copied().unwrap_or_default(),
            message: "is not UTF-8".to_owned(),
        })
    }
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq)]
struct Problem {
    reason: &'static str,
    field: &'static str,
    message: String,
}

impl Problem {
    fn malformed(message: String) -> Self {
        Self {
            reason: reason::MALFORMED_CSV,
            field: "",
            message,
        }
    }

    fn of_field(field: &'static str) -> impl FnOnce(FieldError) -> Self {
        move |error| Self {
            reason: reason::INVALID_FIELD,
            field,
            message: error.to_string(),
        }
    }
}

#[derive(Debug)]
struct Row {
    line: u64,
    /// Nothing where it is the item's at hand.
    identifier: String,
    /// Whether it has the identifier of the item at hand.
    goes_on: bool,
    template: String,
    value: Result<Option<Value>, Problem>,
}

/// Reads items from CSV.
pub struct CsvItems<R> {
    records: Records<R>,
    columns: Columns,
    ahead: Option<Row>,
}

impl<R: Read> CsvItems<R> {
    /// Reads the header of a text.
    ///
    /// # Errors
    /// [`ReadError`] when it cannot be used.
    pub fn new(text: R) -> Result<Self, ReadError> {
        let mut records = Records::new(text);
        let columns = Columns::read(&mut records)?;
        Ok(Self {
            records,
            columns,
            ahead: None,
        })
    }

    /// The next item or reject; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let mut first = match self.ahead.take() {
            Some(row) => row,
            None => match self.next_row("")? {
                Some(row) => row,
                None => return Ok(None),
            },
        };
        let line = first.line;
        let mut item = ImportItem {
            line,
            identifier: std::mem::take(&mut first.identifier),
            values: vec![],
            template: std::mem::take(&mut first.template),
        };
        let mut size_bytes = 0;
        let mut problem = self.take(&mut item, first, &mut size_bytes);
        while let Some(row) = self.next_row(&item.identifier)? {
            if !row.goes_on {
                self.ahead = Some(row);
                break;
            }
            let found = self.take(&mut item, row, &mut size_bytes);
            problem = problem.or(found);
        }
        Ok(Some(match problem {
            None => Entry::Item(item),
            Some((at, problem)) => Entry::Reject(Reject {
                line,
                identifier: item.identifier,
                reason: problem.reason.to_owned(),
                field: problem.field.to_owned(),
                message: match at == line {
                    true => problem.message,
                    false => format!("line {at}: {}", problem.message),
                },
            }),
        }))
    }

    /// Adds a row to its item, or says on which line what is wrong.
    fn take(&self, item: &mut ImportItem, row: Row, size: &mut usize) -> Option<(u64, Problem)> {
        let problem = |problem| Some((row.line, problem));
        let value = match row.value {
            Ok(value) => value,
            Err(found) => return problem(found),
        };
        if !row.template.is_empty() && row.template != item.template {
            return problem(Problem {
                reason: reason::INVALID_FIELD,
                field: "template",
                message: "differs between the rows of one identifier".to_owned(),
            });
        }
        if let Some(value) = value {
            *size += prost::Message::encoded_len(&value);
            if *size > MAX_ITEM_BYTES {
                item.values.clear();
                let message = format!("the identifier's values exceed {MAX_ITEM_BYTES} bytes");
                return problem(Problem {
                    reason: reason::TOO_LARGE,
                    field: "data",
                    message,
                });
            }
            item.values.push(value);
        }
        None
    }

    /// The next row. `at_hand`: the identifier of the item that it may go on with; none if empty.
    fn next_row(&mut self, at_hand: &str) -> Result<Option<Row>, ReadError> {
        let read = self.records.read(Some(self.columns.count));
        let line = self.records.line();
        let Some((line, shape)) = read.map_err(|source| ReadError::Io { line, source })? else {
            return Ok(None);
        };
        let mut row = Row {
            line,
            identifier: String::new(),
            goes_on: false,
            template: String::new(),
            value: Ok(None),
        };
        match shape {
            Shape::Whole => {
                let identifier = self.columns.text(&self.records, 0);
                row.value = identifier.and_then(|identifier| {
                    row.goes_on = is_same(identifier, at_hand);
                    if !row.goes_on {
                        identifier.clone_into(&mut row.identifier);
                    }
                    self.parse(&mut row.template)
                });
            }
            Shape::Fields(count) => {
                row.identifier = self.identifier_at_least();
                row.goes_on = is_same(&row.identifier, at_hand);
                let expected = self.columns.count;
                let message = format!("{count} columns, the header has {expected}");
                row.value = Err(Problem::malformed(message));
            }
            Shape::Unclosed => {
                row.identifier = self.identifier_at_least();
                row.goes_on = is_same(&row.identifier, at_hand);
                row.value = Err(Problem::malformed(
                    "a quoted field is not closed, or goes on after its closing quote".to_owned(),
                ));
            }
            Shape::TooLong => {
                row.value = Err(Problem {
                    reason: reason::TOO_LARGE,
                    field: "",
                    message: format!("the row is longer than {MAX_ITEM_BYTES} bytes"),
                });
            }
        }
        Ok(Some(row))
    }

    /// What a malformed row has in place of an identifier.
    fn identifier_at_least(&self) -> String {
        let text = self.columns.text(&self.records, 0).unwrap_or_default();
        if text.contains('\n') {
            String::new()
        } else {
            text.to_owned()
        }
    }

    /// All but the identifier of a row.
    fn parse(&self, template: &mut String) -> Result<Option<Value>, Problem> {
        let text = |column| self.columns.text(&self.records, column);
        text(1)?.clone_into(template);
        let index = text(2)?;
        let kind = text(3)?;
        let encoding = text(4)?;
        let data = text(5)?;
        let (ttl, permissions) = (text(6)?, text(7)?);
        let (timestamp, references) = (text(8)?, text(9)?);
        if [
            index,
            kind,
            encoding,
            data,
            ttl,
            permissions,
            timestamp,
            references,
        ]
        .iter()
        .all(|column| column.is_empty())
        {
            return Ok(None);
        }
        let encoding = given(encoding, Encoding::parse, "encoding")?.unwrap_or(Encoding::String);
        Ok(Some(Value {
            index: given(index, field::parse_index, "index")?.unwrap_or(0),
            r#type: kind.to_owned(),
            data: Some(decode(encoding, data.to_owned()).map_err(Problem::of_field("data"))?),
            ttl: given(ttl, field::parse_ttl, "ttl")?,
            permissions: given(permissions, field::parse_permissions, "permissions")?,
            timestamp_s: given(timestamp, field::parse_timestamp, "timestamp")?.unwrap_or(0),
            references: given(references, field::parse_references, "references")?
                .unwrap_or_default(),
        }))
    }
}

/// Whether a row goes on with the item at hand, if there is one.
fn is_same(identifier: &str, at_hand: &str) -> bool {
    !identifier.is_empty() && identifier == at_hand
}

/// Parses what is in a column, if anything is.
fn given<T>(
    text: &str,
    parse: fn(&str) -> Result<T, FieldError>,
    field: &'static str,
) -> Result<Option<T>, Problem> {
    match text {
        "" => Ok(None),
        _ => parse(text).map(Some).map_err(Problem::of_field(field)),
    }
}
