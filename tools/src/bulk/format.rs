//! Which format and compression a file has; opening one to read, creating one to write.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// How items are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One value a row, with a header.
    Csv,
    /// One identifier a line.
    Jsonl,
}

impl Format {
    /// The format an extension stands for, after that of a compression: `x.csv.gz` is CSV.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let path = match Compression::of_path(path) {
            Compression::None => path.to_owned(),
            Compression::Gzip | Compression::Zstd => path.with_extension(""),
        };
        match extension(&path).as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::Jsonl),
            _ => None,
        }
    }

    /// The format of a text by its first visible character: `{` begins JSON Lines.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn of_text(text: &mut impl BufRead) -> io::Result<Self> {
        let first = text.fill_buf()?.iter().find(|b| !b.is_ascii_whitespace());
        Ok(if first == Some(&b'{') {
            Self::Jsonl
        } else {
            Self::Csv
        })
    }
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, RFC 1952.
    #[value(alias = "gz")]
    Gzip,
    /// Zstandard, RFC 8878.
    #[value(alias = "zst")]
    Zstd,
}

impl Compression {
    /// The compression an extension stands for.
    #[must_use]
    pub fn of_path(path: &Path) -> Self {
        match extension(path).as_str() {
            "gz" => Self::Gzip,
            "zst" | "zstd" => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The compression of a stream by its magic bytes.
    fn of_magic(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

fn extension(path: &Path) -> String {
    path.extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase()
}

/// A readable text: decompressed, without a byte order mark.
pub type Input = Box<dyn BufRead + Send>;

/// Opens a stream, decompressing it if its magic bytes say so. The counter counts the bytes
/// taken from the stream itself, for progress against a file's length.
///
/// # Errors
/// Those of reading its head.
pub fn decompressed(
    stream: impl Read + Send + 'static,
    taken: Arc<AtomicU64>,
) -> io::Result<Input> {
    let mut stream = BufReader::with_capacity(BUFFER_BYTES, Counting { stream, taken });
    let input: Box<dyn Read + Send> = match Compression::of_magic(stream.fill_buf()?) {
        Compression::None => return without_mark(Box::new(stream)),
        Compression::Gzip => Box::new(MultiGzDecoder::new(stream)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(stream)?),
    };
    without_mark(Box::new(BufReader::with_capacity(BUFFER_BYTES, input)))
}

const BUFFER_BYTES: usize = 256 * 1024;

fn without_mark(mut text: Input) -> io::Result<Input> {
    if text.fill_buf()?.starts_with("\u{feff}".as_bytes()) {
        text.consume('\u{feff}'.len_utf8());
    }
    Ok(text)
}

struct Counting<R> {
    stream: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.stream.read(into)?;
        self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// A writable text, compressed on the way. Nothing is whole until [`Output::finish`].
pub enum Output {
    /// As it is.
    Plain(Box<dyn Write + Send>),
    /// Through gzip, with no time and no name in its header.
    Gzip(GzEncoder<Box<dyn Write + Send>>),
    /// Through Zstandard.
    Zstd(zstd::stream::write::Encoder<'static, Box<dyn Write + Send>>),
}

impl Output {
    /// Writes through `compression` into `stream`.
    ///
    /// # Errors
    /// Those of setting up the compressor.
    pub fn new(stream: impl Write + Send + 'static, compression: Compression) -> io::Result<Self> {
        let stream: Box<dyn Write + Send> =
            Box::new(BufWriter::with_capacity(BUFFER_BYTES, stream));
        Ok(match compression {
            Compression::None => Self::Plain(stream),
            Compression::Gzip => Self::Gzip(GzEncoder::new(stream, flate2::Compression::new(6))),
            Compression::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(stream, 0)?),
        })
    }

    /// Ends the compressed stream and flushes it.
    ///
    /// # Errors
    /// Those of the underlying writer.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut stream) => stream.flush(),
            Self::Gzip(encoder) => encoder.finish()?.flush(),
            Self::Zstd(encoder) => encoder.finish()?.flush(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// Opens a file to read.
///
/// # Errors
/// Those of opening and reading its head.
pub fn open(path: &Path, taken: Arc<AtomicU64>) -> io::Result<Input> {
    decompressed(File::open(path)?, taken)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn extensions_are_read_from_the_outside_in() {
        for (name, format, compression) in [
            ("a.csv", Some(Format::Csv), Compression::None),
            ("a.CSV.GZ", Some(Format::Csv), Compression::Gzip),
            ("a.b.jsonl.zst", Some(Format::Jsonl), Compression::Zstd),
            ("a.ndjson", Some(Format::Jsonl), Compression::None),
            ("csv", None, Compression::None),
            ("a.gz", None, Compression::Gzip),
        ] {
            assert_eq!(Format::of_path(Path::new(name)), format, "{name}");
            assert_eq!(Compression::of_path(Path::new(name)), compression, "{name}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let mut input = decompressed("\u{feff}{\"a\":1}".as_bytes(), Arc::default()).unwrap();
        assert_eq!(Format::of_text(&mut input).unwrap(), Format::Jsonl);
        assert_eq!(io::read_to_string(input).unwrap(), "{\"a\":1}");
    }

    #[test]
    fn a_truncated_gzip_stream_is_an_error() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let mut out = Output::new(path.reopen().unwrap(), Compression::Gzip).unwrap();
        out.write_all(&[7; 100_000]).unwrap();
        out.finish().unwrap();
        let whole = std::fs::read(path.path()).unwrap();
        let cut = whole.get(..whole.len() - 9).unwrap().to_vec();
        let mut input = decompressed(io::Cursor::new(cut), Arc::default()).unwrap();
        assert!(input.read_to_end(&mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn compressed_round_trip(bytes: Vec<u8>, which in 0..3) {
            prop_assume!(Compression::of_magic(&bytes) == Compression::None);
            prop_assume!(!bytes.starts_with(b"\xef\xbb\xbf"));
            let compression = [Compression::None, Compression::Gzip, Compression::Zstd][which as usize];
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut out = Output::new(file.reopen().unwrap(), compression).unwrap();
            out.write_all(&bytes).unwrap();
            out.finish().unwrap();
            let taken = Arc::new(AtomicU64::new(0));
            let mut back = Vec::new();
            open(file.path(), taken.clone()).unwrap().read_to_end(&mut back).unwrap();
            prop_assert_eq!(back, bytes);
            prop_assert_eq!(taken.load(Ordering::Relaxed), file.path().metadata().unwrap().len());
        }
    }
}
