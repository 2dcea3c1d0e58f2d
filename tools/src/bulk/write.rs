//! Either format from exported records.

use std::io;

use idnode_proto::api::IdentifierRecord;

use super::csv_write::CsvWriter;
use super::format::{Format, Output};
use super::jsonl;

/// Writes records in either format.
pub enum Records {
    /// As CSV.
    Csv(Box<CsvWriter<Output>>),
    /// As JSON Lines.
    Jsonl(Output),
}

impl Records {
    /// Begins to write; of CSV, the header.
    ///
    /// # Errors
    /// Those of the output.
    pub fn new(into: Output, format: Format) -> io::Result<Self> {
        Ok(match format {
            Format::Csv => Self::Csv(Box::new(CsvWriter::new(into)?)),
            Format::Jsonl => Self::Jsonl(into),
        })
    }

    /// Writes one record, its values in the order of their indexes.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write(&mut self, record: &mut IdentifierRecord) -> io::Result<()> {
        record.values.sort_by_key(|value| value.index);
        match self {
            Self::Csv(rows) => rows.write_record(record),
            Self::Jsonl(lines) => jsonl::write_record(record, lines),
        }
    }

    /// Ends the text and its compression.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Csv(rows) => rows.finish()?.finish(),
            Self::Jsonl(lines) => lines.finish(),
        }
    }
}
