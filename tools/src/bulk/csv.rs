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

use super::MAX_ITEM_BYTES;
use super::csv_record::{Records, Shape};
use super::field::{self, FieldError};
use super::item::{DataRef, ItemBuilder, ValueParts};
use super::json::{Encoding, decode_base64};
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

    /// A column's bytes in the record at hand; nothing when the file has no such column.
    fn bytes<'a, R: Read>(&self, records: &'a Records<R>, column: usize) -> &'a [u8] {
        let place = self.places.get(column).copied().flatten();
        place
            .and_then(|place| records.field(place))
            .unwrap_or_default()
    }

    /// A column's text in the record at hand; nothing when the file has no such column.
    fn text<'a, R: Read>(
        &self,
        records: &'a Records<R>,
        column: usize,
    ) -> Result<&'a str, Problem> {
        let bytes = self.bytes(records, column);
        simdutf8::basic::from_utf8(bytes).map_err(|_| Problem {
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

/// Reads items from CSV.
pub struct CsvItems<R> {
    records: Records<R>,
    columns: Columns,
    /// The record at hand begins the next item: the line it starts on and its shape.
    ahead: Option<(u64, Shape)>,
    item: ItemBuilder,
    /// The template of the item at hand.
    template: String,
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
            item: ItemBuilder::new(),
            template: String::new(),
        })
    }

    /// The next item or reject; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let first = match self.ahead.take() {
            Some(row) => Some(row),
            None => self.read()?,
        };
        let Some((line, shape)) = first else {
            return Ok(None);
        };
        let mut problem = self.begin(line, shape).err().map(|found| (line, found));
        while let Some((at, shape)) = self.read()? {
            if !self.goes_on(shape) {
                self.ahead = Some((at, shape));
                break;
            }
            // The first one found is told.
            if problem.is_none() {
                problem = self.add(shape, false).err().map(|found| (at, found));
            }
        }
        Ok(Some(match problem {
            None => Entry::Item(self.item.finish(&self.template)),
            Some((at, problem)) => Entry::Reject(Reject {
                line,
                identifier: self.item.identifier().to_owned(),
                reason: problem.reason.to_owned(),
                field: problem.field.to_owned(),
                message: match at == line {
                    true => problem.message,
                    false => format!("line {at}: {}", problem.message),
                },
            }),
        }))
    }

    /// Reads a record.
    fn read(&mut self) -> Result<Option<(u64, Shape)>, ReadError> {
        let read = self.records.read(Some(self.columns.count));
        let line = self.records.line();
        read.map_err(|source| ReadError::Io { line, source })
    }

    /// Begins an item with the record at hand.
    fn begin(&mut self, line: u64, shape: Shape) -> Result<(), Problem> {
        let identifier = self.columns.identifier(&self.records, shape);
        let text = identifier.as_ref().copied().unwrap_or_default();
        self.item.begin(line, text);
        self.template.clear();
        identifier?;
        self.add(shape, true)
    }

    /// Whether the record at hand has the identifier of the item at hand.
    fn goes_on(&self, shape: Shape) -> bool {
        let item = self.item.identifier_bytes();
        if shape == Shape::Whole {
            // What equals text need not be checked to be text.
            return !item.is_empty() && self.columns.bytes(&self.records, 0) == item;
        }
        let identifier = self.columns.identifier(&self.records, shape);
        let identifier = identifier.unwrap_or_default();
        !identifier.is_empty() && identifier.as_bytes() == item
    }

    /// Adds the record at hand to the item at hand.
    fn add(&mut self, shape: Shape, is_first: bool) -> Result<(), Problem> {
        self.columns.check(shape)?;
        let (template, value) = self.columns.value(&self.records)?;
        if is_first {
            template.clone_into(&mut self.template);
        } else if !template.is_empty() && template != self.template {
            return Err(Problem {
                reason: reason::INVALID_FIELD,
                field: "template",
                message: "differs between the rows of one identifier".to_owned(),
            });
        }
        let Some(value) = value else {
            return Ok(());
        };
        if self.item.add(&value) > MAX_ITEM_BYTES {
            let message = format!("the identifier's values exceed {MAX_ITEM_BYTES} bytes");
            return Err(Problem {
                reason: reason::TOO_LARGE,
                field: "data",
                message,
            });
        }
        Ok(())
    }
}

impl Columns {
    /// The identifier of the record at hand, or what a malformed one has in place of it.
    fn identifier<'a, R: Read>(
        &self,
        records: &'a Records<R>,
        shape: Shape,
    ) -> Result<&'a str, Problem> {
        let text = self.text(records, 0);
        match shape {
            Shape::Whole => text,
            Shape::Fields(_) | Shape::Unclosed => {
                let text = text.unwrap_or_default();
                Ok(if text.contains('\n') { "" } else { text })
            }
            Shape::TooLong => Ok(""),
        }
    }

    /// Whether a record has the columns it should have.
    fn check(&self, shape: Shape) -> Result<(), Problem> {
        match shape {
            Shape::Whole => Ok(()),
            Shape::Fields(count) => {
                let expected = self.count;
                let message = format!("{count} columns, the header has {expected}");
                Err(Problem::malformed(message))
            }
            Shape::Unclosed => Err(Problem::malformed(
                "a quoted field is not closed, or goes on after its closing quote".to_owned(),
            )),
            Shape::TooLong => Err(Problem {
                reason: reason::TOO_LARGE,
                field: "",
                message: format!("the row is longer than {MAX_ITEM_BYTES} bytes"),
            }),
        }
    }

    /// The template of the record at hand, and its value unless its columns are all empty.
    fn value<'a, R: Read>(
        &self,
        records: &'a Records<R>,
    ) -> Result<(&'a str, Option<ValueParts<'a>>), Problem> {
        let text = |column| self.text(records, column);
        let template = text(1)?;
        let index = text(2)?;
        let value_type = text(3)?;
        let encoding = text(4)?;
        let data = text(5)?;
        let (ttl, permissions) = (text(6)?, text(7)?);
        let (timestamp, references) = (text(8)?, text(9)?);
        if [
            index,
            value_type,
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
            return Ok((template, None));
        }
        let encoding = given(encoding, Encoding::parse, "encoding")?.unwrap_or(Encoding::String);
        let value = ValueParts {
            index: given(index, field::parse_index, "index")?.unwrap_or(0),
            value_type,
            data: data_ref(encoding, data).map_err(Problem::of_field("data"))?,
            ttl: given(ttl, field::parse_ttl, "ttl")?,
            permissions: given(permissions, field::parse_permissions, "permissions")?,
            timestamp_s: given(timestamp, field::parse_timestamp, "timestamp")?.unwrap_or(0),
            references: given(references, field::parse_references, "references")?
                .unwrap_or_default(),
        };
        Ok((template, Some(value)))
    }
}

fn data_ref(encoding: Encoding, text: &str) -> Result<DataRef<'_>, FieldError> {
    Ok(match encoding {
        Encoding::String => DataRef::Text(text),
        Encoding::Base64 => DataRef::Raw(decode_base64(text)?),
    })
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
