//! A container in parts of bounded size, each with its SM3 digest.

use super::EscrowError;
use super::manifest::PartEntry;
use data_encoding::HEXLOWER;
use sm3::{Digest as _, Sm3};
use std::io::{self, Read, Write};

/// The size of a part where nothing else is said: 1 GiB.
pub const DEFAULT_PART_BYTES: u64 = 1 << 30;
/// Most parts of a deposit.
pub const MAX_PARTS: u32 = 10_000;

/// The file name of a part, whose numbers begin at 1.
pub fn part_name(number: u32) -> String {
    format!("part-{number:05}")
}

/// Where parts are written.
pub trait PartSink {
    /// A part in the making.
    type Part: Write;

    /// Begins a part.
    ///
    /// # Errors
    /// It cannot be made.
    fn begin(&mut self, number: u32) -> io::Result<Self::Part>;

    /// A part is whole.
    ///
    /// # Errors
    /// It cannot be kept.
    fn end(&mut self, part: Self::Part) -> io::Result<()>;
}

/// Where parts are read.
pub trait PartSource {
    /// A part.
    type Part: Read;

    /// Opens a part.
    ///
    /// # Errors
    /// It cannot be read; [`io::ErrorKind::NotFound`]: it is not there.
    fn open(&self, number: u32) -> io::Result<Self::Part>;
}

struct Open<P> {
    part: P,
    digest: Sm3,
    size: u64,
}

/// Cuts what is written to it into parts.
pub struct PartWriter<S: PartSink> {
    sink: S,
    part_bytes: u64,
    open: Option<Open<S::Part>>,
    entries: Vec<PartEntry>,
}

impl<S: PartSink> std::fmt::Debug for PartWriter<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartWriter")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

impl<S: PartSink> PartWriter<S> {
    /// Parts of so many bytes, the last one of what is left.
    pub fn new(sink: S, part_bytes: u64) -> Self {
        Self {
            sink,
            part_bytes: part_bytes.max(1),
            open: None,
            entries: Vec::new(),
        }
    }

    /// Ends the last part; what was written.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn finish(mut self) -> io::Result<(S, Vec<PartEntry>)> {
        self.end_part()?;
        Ok((self.sink, self.entries))
    }

    fn end_part(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        self.sink.end(open.part)?;
        self.entries.push(PartEntry {
            number: self.entries.len() as u32 + 1,
            bytes: open.size,
            sm3: HEXLOWER.encode(&open.digest.finalize()),
        });
        Ok(())
    }
}

impl<S: PartSink> Write for PartWriter<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.size >= self.part_bytes)
        {
            self.end_part()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            closed => {
                let number = self.entries.len() as u32 + 1;
                if number > MAX_PARTS {
                    let reason =
                        format!("the deposit has more than {MAX_PARTS} parts: make them larger");
                    return Err(io::Error::other(reason));
                }
                closed.insert(Open {
                    part: self.sink.begin(number)?,
                    digest: Sm3::new(),
                    size: 0,
                })
            }
        };
        let room = usize::try_from(self.part_bytes - open.size).unwrap_or(usize::MAX);
        let length = open.part.write(bytes.get(..room).unwrap_or(bytes))?;
        open.digest.update(bytes.get(..length).unwrap_or_default());
        open.size += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), |open| open.part.flush())
    }
}

/// Reads every part and compares it with what the manifest says.
///
/// # Errors
/// [`EscrowError::Part`] for the first that is missing or another.
pub fn check_parts(source: &impl PartSource, entries: &[PartEntry]) -> Result<(), EscrowError> {
    let mut buffer = vec![0; 128 << 10];
    for entry in entries {
        let number = entry.number;
        let wrong = |what: String| EscrowError::Part { number, what };
        let mut part = open_part(source, number)?;
        let (mut digest, mut size) = (Sm3::new(), 0);
        loop {
            let length = match part.read(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
            };
            if length == 0 {
                break;
            }
            digest.update(buffer.get(..length).unwrap_or_default());
            size += length as u64;
        }
        if size != entry.bytes {
            let expected = entry.bytes;
            return Err(wrong(format!(
                "has {size} bytes, the manifest says {expected}"
            )));
        }
        let digest = HEXLOWER.encode(&digest.finalize());
        if digest != entry.sm3 {
            let expected = &entry.sm3;
            return Err(wrong(format!(
                "has the SM3 digest {digest}, the manifest says {expected}"
            )));
        }
    }
    Ok(())
}

fn open_part<S: PartSource>(source: &S, number: u32) -> Result<S::Part, EscrowError> {
    source.open(number).map_err(|error| EscrowError::Part {
        number,
        what: match error.kind() {
            io::ErrorKind::NotFound => "is missing".to_owned(),
            _ => format!("cannot be read: {error}"),
        },
    })
}

/// The parts one after another.
pub struct PartReader<S: PartSource> {
    source: S,
    count: u32,
    next: u32,
    open: Option<S::Part>,
}

impl<S: PartSource> std::fmt::Debug for PartReader<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartReader")
            .field("count", &self.count)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl<S: PartSource> PartReader<S> {
    /// So many parts.
    pub fn new(source: S, count: u32) -> Self {
        Self {
            source,
            count,
            next: 1,
            open: None,
        }
    }
}

impl<S: PartSource> Read for PartReader<S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(part) = &mut self.open {
                let length = part.read(out)?;
                if length > 0 || out.is_empty() {
                    return Ok(length);
                }
                self.open = None;
            }
            if self.next > self.count {
                return Ok(0);
            }
            let part = open_part(&self.source, self.next).map_err(EscrowError::into_source)?;
            self.open = Some(part);
            self.next += 1;
        }
    }
}
