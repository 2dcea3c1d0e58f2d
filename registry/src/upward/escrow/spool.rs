//! Deposits that lie ready: a directory of each prefix, in it one of each deposit. What is being
//! made is in a directory whose name says so.

use crate::private;
use idnode_proto::escrow::manifest::{MANIFEST_NAME, MAX_MANIFEST_BYTES, Manifest};
use idnode_proto::escrow::part::{PartSink, part_name};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Behind the name of what is not whole.
const UNFINISHED: &str = ".making";

/// Where a node's deposits lie.
#[derive(Debug, Clone)]
pub(super) struct Spool {
    root: PathBuf,
}

impl Spool {
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory of a whole deposit.
    pub fn whole(&self, prefix: &str, id: &str) -> PathBuf {
        self.root.join(prefix).join(id)
    }

    /// Whether a deposit lies there: its manifest, and every part at its full length.
    pub fn is_whole(&self, prefix: &str, id: &str) -> bool {
        let dir = self.whole(prefix, id);
        let mut manifest = Vec::new();
        let read = File::open(dir.join(MANIFEST_NAME)).and_then(|file| {
            let bound = MAX_MANIFEST_BYTES as u64 + 1;
            file.take(bound).read_to_end(&mut manifest)
        });
        let manifest = read.ok().and_then(|_| Manifest::unverified(&manifest).ok());
        manifest.is_some_and(|manifest| {
            manifest.parts.iter().all(|part| {
                let there = fs::metadata(dir.join(part_name(part.number)));
                there.is_ok_and(|it| it.is_file() && it.len() == part.bytes)
            })
        })
    }

    /// Begins a deposit: an empty directory for its parts. What an earlier attempt left is gone.
    pub fn begin(&self, prefix: &str, id: &str) -> io::Result<Making> {
        let whole = self.whole(prefix, id);
        let making = self.root.join(prefix).join([id, UNFINISHED].concat());
        for old in [&making, &whole] {
            remove_all(old)?;
        }
        private::make_dir(&making)?;
        Ok(Making {
            making,
            whole,
            finished: false,
        })
    }

    /// Forgets a deposit.
    pub fn forget(&self, prefix: &str, id: &str) -> io::Result<()> {
        remove_all(&self.whole(prefix, id))
    }

    /// Forgets what lies there beside these deposits of a prefix.
    pub fn tidy(&self, prefix: &str, wanted: &[&str]) -> io::Result<()> {
        let Ok(found) = fs::read_dir(self.root.join(prefix)) else {
            return Ok(());
        };
        for entry in found {
            let entry = entry?;
            let name = entry.file_name();
            // What is no directory was not put there by us.
            if entry.file_type()?.is_dir() && !wanted.iter().any(|id| name == **id) {
                remove_all(&entry.path())?;
            }
        }
        Ok(())
    }
}

fn remove_all(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A deposit in the making: what is not finished is gone when this is.
#[derive(Debug)]
pub(super) struct Making {
    making: PathBuf,
    whole: PathBuf,
    finished: bool,
}

impl Drop for Making {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = remove_all(&self.making)
        {
            tracing::warn!(%error, dir = %self.making.display(), "what was not finished stays");
        }
    }
}

impl Making {
    /// Where its parts are written.
    pub fn parts(&self) -> Files {
        Files {
            dir: self.making.clone(),
        }
    }

    /// Puts the manifest beside the parts: now it is whole, and durable on return.
    pub fn finish(mut self, manifest: &str) -> io::Result<()> {
        let mut file = create(&self.making.join(MANIFEST_NAME))?;
        file.write_all(manifest.as_bytes())?;
        file.sync_all()?;
        File::open(&self.making)?.sync_all()?;
        fs::rename(&self.making, &self.whole)?;
        self.finished = true;
        match self.whole.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// Parts as files of a directory.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
}

impl PartSink for Files {
    type Part = BufWriter<File>;

    fn begin(&mut self, number: u32) -> io::Result<Self::Part> {
        Ok(BufWriter::new(create(&self.dir.join(part_name(number)))?))
    }

    fn end(&mut self, part: Self::Part) -> io::Result<()> {
        let file = part.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(private::FILE_MODE);
    options.open(path)
}
