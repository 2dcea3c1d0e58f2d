//! Writing the CSV that [`super::csv`] describes.

use std::io::{self, Write};

use idnode_proto::api::IdentifierRecord;
use idnode_proto::api::value::Data;

use super::csv::HEADER;
use super::field;

/// Writes records as rows.
pub struct CsvWriter<W: Write> {
    rows: csv::Writer<W>,
    text: String,
}

impl<W: Write> CsvWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(into: W) -> io::Result<Self> {
        let mut rows = csv::WriterBuilder::new()
            .buffer_capacity(64 * 1024)
            .from_writer(into);
        rows.write_record(HEADER)?;
        Ok(Self {
            rows,
            text: String::new(),
        })
    }

    /// Writes one record; its values must be in the order of their indexes.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_record(&mut self, record: &IdentifierRecord) -> io::Result<()> {
        if record.values.is_empty() {
            self.begin(record)?;
            for _ in 2..HEADER.len() {
                self.rows.write_field("")?;
            }
            self.rows.write_record(None::<&[u8]>)?;
        }
        for value in &record.values {
            self.begin(record)?;
            self.column(|text| number(value.index, text))?;
            self.rows.write_field(&value.r#type)?;
            match &value.data {
                Some(Data::Raw(bytes)) => {
                    self.rows.write_field("base64")?;
                    self.column(|text| data_encoding::BASE64.encode_append(bytes, text))?;
                }
                Some(Data::Text(data)) => {
                    self.rows.write_field("string")?;
                    self.rows.write_field(data)?;
                }
                None => {
                    self.rows.write_field("string")?;
                    self.rows.write_field("")?;
                }
            }
            self.column(|text| {
                if let Some(ttl) = value.ttl {
                    field::write_ttl(ttl, text);
                }
            })?;
            self.column(|text| {
                if let Some(bits) = value.permissions {
                    field::write_permissions(bits, text);
                }
            })?;
            self.column(|text| number(value.timestamp_s, text))?;
            self.column(|text| field::write_references(&value.references, text))?;
            self.rows.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    /// Gives the underlying writer back.
    ///
    /// # Errors
    /// Those of flushing.
    pub fn finish(self) -> io::Result<W> {
        self.rows.into_inner().map_err(|error| error.into_error())
    }

    fn begin(&mut self, record: &IdentifierRecord) -> io::Result<()> {
        self.rows.write_field(&record.identifier)?;
        self.rows.write_field(&record.template)?;
        Ok(())
    }

    fn column(&mut self, write: impl FnOnce(&mut String)) -> io::Result<()> {
        self.text.clear();
        write(&mut self.text);
        self.rows.write_field(&self.text)?;
        Ok(())
    }
}

fn number(n: u32, into: &mut String) {
    use std::fmt::Write as _;
    if n != 0 {
        let _ = write!(into, "{n}");
    }
}
