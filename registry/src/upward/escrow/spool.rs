//! Deposits that lie ready: a directory of each prefix, in it one of each deposit. What is being
//! made is in a directory whose name says so.

use idnode_proto::escrow::manifest::MANIFEST_NAME;
use idnode_proto::escrow::part::{PartSink, part_name};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
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

    /// Whether a deposit lies there.
    pub fn is_whole(&self, prefix: &str, id: &str) -> bool {
        self.whole(prefix, id).join(MANIFEST_NAME).is_file()
    }

    /// Begins a deposit: an empty directory for its parts. What an earlier attempt left is gone.
    pub fn begin(&self, prefix: &str, id: &str) -> io::Result<Making> {
        let whole = self.whole(prefix, id);
        let making = self.root.join(prefix).join([id, UNFINISHED].concat());
        for old in [&making, &whole] {
            remove_all(old)?;
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&making)?;
        Ok(Making { making, whole })
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
            if !wanted.iter().any(|id| name == **id) {
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

/// A deposit in the making.
#[derive(Debug)]
pub(super) struct Making {
    making: PathBuf,
    whole: PathBuf,
}

impl Making {
    /// Where its parts are written.
    pub fn parts(&self) -> Files {
        Files {
            dir: self.making.clone(),
        }
    }

    /// Puts the manifest beside the parts: now it is whole, and durable on return.
    pub fn finish(self, manifest: &str) -> io::Result<()> {
        let mut file = create(&self.making.join(MANIFEST_NAME))?;
        file.write_all(manifest.as_bytes())?;
        file.sync_all()?;
        File::open(&self.making)?.sync_all()?;
        fs::rename(&self.making, &self.whole)?;
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
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}
