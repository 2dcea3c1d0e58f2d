//! The document under compression: a zip archive of one file, as the national escrow client makes
//! them, or a zstd frame (RFC 8878).

use super::EscrowError;
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Read, Write};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};

/// The file in a zip archive.
pub const FILE_NAME: &str = "deposit.xml";
/// Of zstd: three times as fast as deflate, and smaller.
const ZSTD_LEVEL: i32 = 3;
/// The largest window a frame may ask for, log2 of bytes: what reading it takes.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a document is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// A zip archive of one file, [`FILE_NAME`].
    Zip,
    /// A zstd frame.
    Zstd,
}

impl Compression {
    /// Its number in a container's header.
    pub fn number(self) -> u8 {
        match self {
            Self::Zip => 1,
            Self::Zstd => 2,
        }
    }

    /// The reverse of [`Compression::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Zip, Self::Zstd]
            .into_iter()
            .find(|it| it.number() == number)
    }
}

/// Compresses what is written to it.
pub enum Compressor<W: Write> {
    /// Into a zip archive.
    Zip(Box<ZipWriter<StreamWriter<W>>>),
    /// Into a zstd frame.
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> std::fmt::Debug for Compressor<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Zip(_) => "Compressor(zip)",
            Self::Zstd(_) => "Compressor(zstd)",
        })
    }
}

impl<W: Write> Compressor<W> {
    /// Begins.
    ///
    /// # Errors
    /// Nothing can be written.
    pub fn new(compression: Compression, out: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::Zip => {
                let mut archive = ZipWriter::new_stream(out);
                // Of any length: it is not known before.
                let options = SimpleFileOptions::default()
                    .compression_method(CompressionMethod::Deflated)
                    .large_file(true);
                archive.start_file(FILE_NAME, options)?;
                Self::Zip(Box::new(archive))
            }
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(out, ZSTD_LEVEL)?),
        })
    }

    /// Ends, and gives back what was written to.
    ///
    /// # Errors
    /// Nothing can be written.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Zip(archive) => Ok(archive.finish()?.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zip(archive) => archive.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// Nothing: what is compressed is whole at its end only.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads what a [`Compressor`] wrote, up to the end of what is below it.
pub enum Decompressor<R: BufRead> {
    /// From a zip archive.
    Zip(Box<Unzip<R>>),
    /// From a zstd frame.
    Zstd(zstd::Decoder<'static, R>),
}

impl<R: BufRead> std::fmt::Debug for Decompressor<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Zip(_) => "Decompressor(zip)",
            Self::Zstd(_) => "Decompressor(zstd)",
        })
    }
}

impl<R: BufRead> Decompressor<R> {
    /// Begins.
    ///
    /// # Errors
    /// It does not begin as it should.
    pub fn new(compression: Compression, source: R) -> Result<Self, EscrowError> {
        match compression {
            Compression::Zip => Ok(Self::Zip(Box::new(Unzip::new(source)?))),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(source)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Ok(Self::Zstd(decoder))
            }
        }
    }
}

impl<R: BufRead> Read for Decompressor<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Zip(archive) => archive.read(out),
            Self::Zstd(decoder) => decoder.read(out),
        }
    }
}

/// Reads the one file of a zip archive from its first byte on (APPNOTE 4.3.7 to 4.3.9), as no
/// library does where, as here, its length is written behind it.
pub struct Unzip<R: BufRead> {
    inflate: Option<DeflateDecoder<R>>,
    crc: Crc,
    /// Lengths are of eight bytes instead of four.
    long: bool,
}

const LOCAL_HEADER: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const DIRECTORY: u32 = 0x0201_4b50;
/// The extra field that says that lengths are of eight bytes.
const ZIP64: u16 = 1;
/// The flag that says that lengths are behind the file.
const LENGTHS_BEHIND: u16 = 8;
const DEFLATED: u16 = 8;

impl<R: BufRead> Unzip<R> {
    fn new(mut source: R) -> Result<Self, EscrowError> {
        let wrong = |what: &str| EscrowError::Container(format!("the zip archive {what}"));
        let header: [u8; 30] = take(&mut source)?;
        let u16_at = |at: usize| -> u16 {
            let bytes = header.get(at..at + 2).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| u16::from_le_bytes(*bytes))
        };
        if header.first_chunk::<4>() != Some(&LOCAL_HEADER.to_le_bytes()) {
            return Err(wrong("does not begin with a file"));
        }
        if u16_at(8) != DEFLATED || u16_at(6) & LENGTHS_BEHIND == 0 || u16_at(6) & 1 != 0 {
            return Err(wrong("is not one of a stream, deflated and not encrypted"));
        }
        let mut name = vec![0; usize::from(u16_at(26))];
        source.read_exact(&mut name)?;
        if name != FILE_NAME.as_bytes() {
            return Err(wrong(&format!("does not begin with {FILE_NAME}")));
        }
        let mut extra = vec![0; usize::from(u16_at(28))];
        source.read_exact(&mut extra)?;
        Ok(Self {
            inflate: Some(DeflateDecoder::new(source)),
            crc: Crc::new(),
            long: has_field(&extra, ZIP64),
        })
    }

    /// What is behind the file: its lengths, which must be right, and the archive's directory.
    fn end(&mut self, inflate: DeflateDecoder<R>) -> io::Result<()> {
        let wrong = |what: &str| {
            EscrowError::Container(format!("the zip archive's file {what}")).into_source()
        };
        let lengths = (inflate.total_in(), inflate.total_out());
        let mut source = inflate.into_inner();
        if take(&mut source)? != DESCRIPTOR.to_le_bytes() {
            return Err(wrong("has no lengths behind it"));
        }
        if u32::from_le_bytes(take(&mut source)?) != self.crc.sum() {
            return Err(wrong("has another checksum"));
        }
        let mut length = |long: bool| -> io::Result<u64> {
            Ok(match long {
                true => u64::from_le_bytes(take(&mut source)?),
                false => u32::from_le_bytes(take(&mut source)?).into(),
            })
        };
        if (length(self.long)?, length(self.long)?) != lengths {
            return Err(wrong("has another length"));
        }
        if take(&mut source)? != DIRECTORY.to_le_bytes() {
            return Err(wrong("is not the only one"));
        }
        // To the end of what is below: only then it is known to be whole.
        io::copy(&mut source, &mut io::sink())?;
        Ok(())
    }
}

impl<R: BufRead> Read for Unzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(inflate) = &mut self.inflate else {
            return Ok(0);
        };
        let length = inflate.read(out)?;
        self.crc.update(out.get(..length).unwrap_or_default());
        if length == 0
            && !out.is_empty()
            && let Some(inflate) = self.inflate.take()
        {
            self.end(inflate)?;
        }
        Ok(length)
    }
}

fn take<const N: usize>(source: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Whether a file has an extra field (APPNOTE 4.5.1).
fn has_field(mut extra: &[u8], wanted: u16) -> bool {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let [kind_low, kind_high, length_low, length_high] = *head;
        if u16::from_le_bytes([kind_low, kind_high]) == wanted {
            return true;
        }
        let length = usize::from(u16::from_le_bytes([length_low, length_high]));
        extra = rest.get(length..).unwrap_or_default();
    }
    false
}

/// A buffer that what is below a decompressor is read through.
pub(super) fn buffered<R: Read>(source: R) -> BufReader<R> {
    BufReader::with_capacity(128 << 10, source)
}
