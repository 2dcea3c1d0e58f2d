//! The files that say what no registry holds: who this node is, and who answers for what else.

use super::DirectoryOptions;
use idnode_proto::identifier::Prefix;
use idnode_proto::iiidap::{Bootstrap, DocumentError, Registration, Service};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// How often the files are looked at.
pub(super) const LOOK_PERIOD: Duration = Duration::from_secs(2);

/// A file that cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It holds something else.
    #[error("{path}: {error}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        error: DocumentError,
    },
    /// A registration is of no prefix.
    #[error("{path}: entry {position} has no identifier that is a prefix")]
    NoPrefix {
        /// Which file.
        path: PathBuf,
        /// Which entry, from 1.
        position: usize,
    },
}

/// What the files say.
#[derive(Debug)]
pub(super) struct Known {
    /// The node's own registrations with their prefixes.
    pub(super) own: Vec<(Prefix, Registration)>,
    /// Who answers for what, as the file has it.
    pub(super) others: Bootstrap,
    /// The same with this node's own entry.
    pub(super) published: Bootstrap,
}

/// Time of change in nanoseconds, length, inode.
type Stamp = Option<(i128, u64, u64)>;

/// Where the files are.
#[derive(Debug)]
pub(super) struct Files {
    own: Option<PathBuf>,
    bootstrap: Option<PathBuf>,
    base_url: String,
    opened_at: Timestamp,
    seen: Mutex<[Stamp; 2]>,
}

impl Files {
    pub(super) fn of(options: &DirectoryOptions) -> Self {
        let files = Self {
            own: options.own_file.clone(),
            bootstrap: options.bootstrap_file.clone(),
            base_url: options.base_url.clone(),
            opened_at: Timestamp::now(),
            seen: Mutex::default(),
        };
        *files.seen.lock() = files.stamps();
        files
    }

    fn stamps(&self) -> [Stamp; 2] {
        [&self.own, &self.bootstrap].map(|path| {
            let metadata = fs::metadata(path.as_ref()?).ok()?;
            let changed_ns =
                i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
            Some((changed_ns, metadata.len(), metadata.ino()))
        })
    }

    /// What the files say if they have changed and can be used; the log says what came of it.
    pub(super) fn read_if_changed(&self) -> Option<Known> {
        // Taken before they are read: what changes meanwhile is seen the next time.
        let stamps = self.stamps();
        if std::mem::replace(&mut *self.seen.lock(), stamps) == stamps {
            return None;
        }
        match self.read() {
            Ok(known) => {
                tracing::info!("iiidap: the files of registrations were read again");
                Some(known)
            }
            Err(error) => {
                tracing::error!(%error, "iiidap: a file cannot be used, what it said before stays");
                None
            }
        }
    }

    /// # Errors
    /// A file cannot be read or holds something else.
    pub(super) fn read(&self) -> Result<Known, FileError> {
        let own = self.own.as_deref().map_or(Ok(Vec::new()), read_own)?;
        let others = match self.bootstrap.as_deref() {
            Some(path) => Bootstrap::parse(&bytes(path)?).map_err(content(path))?,
            None => Bootstrap {
                version: Bootstrap::VERSION.to_owned(),
                publication: self.opened_at.to_string(),
                ..Bootstrap::default()
            },
        };
        let mut published = others.clone();
        if !self.base_url.is_empty() && !own.is_empty() {
            let entries = own.iter().map(|(prefix, _)| entry_of(prefix)).collect();
            let service = Service(entries, vec![self.base_url.clone()]);
            published.services.push(service);
        }
        Ok(Known {
            own,
            others,
            published,
        })
    }
}

/// A prefix as bootstrap registries have it: in lower case (AUTHORITY §3).
pub(super) fn entry_of(prefix: &Prefix) -> String {
    prefix.canonical().to_lowercase()
}

fn read_own(path: &Path) -> Result<Vec<(Prefix, Registration)>, FileError> {
    let all = Registration::parse_all(&bytes(path)?).map_err(content(path))?;
    let placed = all.into_iter().zip(1..).map(|(registration, position)| {
        let identifier = registration.identifier.as_deref().unwrap_or_default();
        match Prefix::parse(identifier) {
            Ok(prefix) => Ok((prefix, registration)),
            Err(_) => Err(FileError::NoPrefix {
                path: path.to_owned(),
                position,
            }),
        }
    });
    placed.collect()
}

/// A file up to a little more than a document may have.
fn bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    let most = idnode_proto::iiidap::MAX_DOCUMENT_BYTES as u64 + 1;
    let mut read = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut read))
        .map_err(|error| FileError::Io {
            path: path.to_owned(),
            error,
        })?;
    Ok(read)
}

fn content(path: &Path) -> impl Fn(DocumentError) -> FileError {
    move |error| FileError::Content {
        path: path.to_owned(),
        error,
    }
}
