//! Either format as a sequence of items and rejects.

use std::io;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::csv::CsvItems;
use super::format::{Format, Input};
use super::item::EncodedItem;
use super::jsonl::JsonlItems;

/// An item that is not registered, and why. One JSON line of the rejects file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The physical line the item starts on, from 1.
    pub line: u64,
    /// As far as it could be read.
    pub identifier: String,
    /// Stable: the node's own, or one of [`reason`].
    pub reason: String,
    /// The offending part: a column, or a path such as `values[2].data`; may be empty.
    pub field: String,
    /// For people.
    pub message: String,
}

/// Why an item never left for the node.
pub mod reason {
    /// The line is not JSON.
    pub const MALFORMED_JSON: &str = "MALFORMED_JSON";
    /// The row has not the header's columns, or a quote is never closed.
    pub const MALFORMED_CSV: &str = "MALFORMED_CSV";
    /// A field does not hold what it should.
    pub const INVALID_FIELD: &str = "INVALID_FIELD";
    /// A text is not UTF-8.
    pub const NOT_UTF8: &str = "NOT_UTF8";
    /// The line or item is longer than [`super::super::MAX_ITEM_BYTES`].
    pub const TOO_LARGE: &str = "TOO_LARGE";
}

/// What comes next in a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// An item to be registered.
    Item(EncodedItem),
    /// Lines that are none.
    Reject(Reject),
}

/// Why a file cannot be read on.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Reading or decompressing failed.
    #[error("reading line {line}: {source}")]
    Io {
        /// The physical line that was about to be read.
        line: u64,
        /// What happened.
        source: io::Error,
    },
    /// A column of the header means nothing here.
    #[error("line 1: unknown column `{0}`; columns are {columns}", columns = super::csv::HEADER.join(", "))]
    UnknownColumn(String),
    /// A column occurs twice.
    #[error("line 1: column `{0}` occurs twice")]
    RepeatedColumn(String),
    /// A column every file needs is not in the header.
    #[error("line 1: column `{0}` is missing; identifier, type and data are needed")]
    MissingColumn(&'static str),
    /// The header row cannot be read.
    #[error("line 1 is no CSV header: {0}")]
    Header(&'static str),
}

/// Reads items from a text of either format.
pub enum Items {
    /// From CSV.
    Csv(Box<CsvItems<Input>>),
    /// From JSON Lines.
    Jsonl(JsonlItems<Input>),
}

impl Items {
    /// Begins to read; of CSV, the header.
    ///
    /// # Errors
    /// [`ReadError`] for an unusable header.
    pub fn new(text: Input, format: Format) -> Result<Self, ReadError> {
        Ok(match format {
            Format::Csv => Self::Csv(Box::new(CsvItems::new(text)?)),
            Format::Jsonl => Self::Jsonl(JsonlItems::new(text)),
        })
    }

    /// The next item or reject; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        match self {
            Self::Csv(items) => items.next_entry(),
            Self::Jsonl(items) => items.next_entry(),
        }
    }
}
