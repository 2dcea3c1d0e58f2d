//! The files that say what no registry holds: who this node is, and who answers for what else.

use super::DirectoryOptions;
use idnode_proto::identifier::Prefix;
use idnode_proto::iiidap::{Bootstrap, DocumentError, MAX_DOCUMENT_BYTES, Registration, Service};
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
    /// It is longer than [`MAX_DOCUMENT_BYTES`].
    #[error("{path}: is longer than {MAX_DOCUMENT_BYTES} bytes")]
    TooLong {
        /// Which.
        path: PathBuf,
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
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The node's own registrations with their prefixes.
    pub(super) own: Vec<(Prefix, Registration)>,
    /// Who answers for what, as the file has it.
    pub(super) others: Bootstrap,
    /// The same with this node's own entry.
    pub(super) published: Bootstrap,
}

/// Time of change of content and of attributes in nanoseconds, length, inode.
type Stamp = Option<(i128, i128, u64, u64)>;

/// A file and when it was looked at last.
#[derive(Debug)]
struct Followed {
    path: Option<PathBuf>,
    seen: Mutex<Stamp>,
}

impl Followed {
    fn new(path: Option<PathBuf>) -> Self {
        let seen = Mutex::new(stamp(path.as_deref()));
        Self { path, seen }
    }

    /// What it says, if it has changed and can be used; the log says what came of it.
    fn read_if_changed<T>(&self, read: impl FnOnce(&Path) -> Result<T, FileError>) -> Option<T> {
        let path = self.path.as_deref()?;
        // Taken before it is read: what changes meanwhile is seen the next time.
        let stamp = stamp(Some(path));
        if std::mem::replace(&mut *self.seen.lock(), stamp) == stamp {
            return None;
        }
        match read(path) {
            Ok(said) => {
                tracing::info!(path = %path.display(), "iiidap: a file was read again");
                Some(said)
            }
            Err(error) => {
                tracing::error!(%error, "iiidap: a file cannot be used, what it said before stays");
                None
            }
        }
    }
}

fn stamp(path: Option<&Path>) -> Stamp {
    let metadata = fs::metadata(path?).ok()?;
    let ns = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
    Some((
        ns(metadata.mtime(), metadata.mtime_nsec()),
        // Who may read it, too, may change.
        ns(metadata.ctime(), metadata.ctime_nsec()),
        metadata.len(),
        metadata.ino(),
    ))
}

/// Where the files are. Each is followed by itself: what is wrong with one keeps nothing of the
/// other from being known.
#[derive(Debug)]
pub(super) struct Files {
    own: Followed,
    bootstrap: Followed,
    base_url: String,
    opened_at: Timestamp,
}

impl Files {
    pub(super) fn of(options: &DirectoryOptions) -> Self {
        Self {
            own: Followed::new(options.own_file.clone()),
            bootstrap: Followed::new(options.bootstrap_file.clone()),
            base_url: options.base_url.clone(),
            opened_at: Timestamp::now(),
        }
    }

    /// What is known when those files that have changed are read again, if any can be used.
    pub(super) fn read_if_changed(&self, known: &Known) -> Option<Known> {
        let own = self.own.read_if_changed(read_own);
        let others = self.bootstrap.read_if_changed(read_bootstrap);
        if own.is_none() && others.is_none() {
            return None;
        }
        Some(self.known(
            own.unwrap_or_else(|| known.own.clone()),
            others.unwrap_or_else(|| known.others.clone()),
        ))
    }

    /// # Errors
    /// A file cannot be read or holds something else.
    pub(super) fn read(&self) -> Result<Known, FileError> {
        let own = self.own.path.as_deref().map_or(Ok(Vec::new()), read_own)?;
        let others = match self.bootstrap.path.as_deref() {
            Some(path) => read_bootstrap(path)?,
            None => Bootstrap {
                version: Bootstrap::VERSION.to_owned(),
                publication: self.opened_at.to_string(),
                ..Bootstrap::default()
            },
        };
        Ok(self.known(own, others))
    }

    fn known(&self, own: Vec<(Prefix, Registration)>, others: Bootstrap) -> Known {
        let mut published = others.clone();
        if !self.base_url.is_empty() && !own.is_empty() {
            let entries = own.iter().map(|(prefix, _)| entry_of(prefix)).collect();
            let service = Service(entries, vec![self.base_url.clone()]);
            published.services.push(service);
        }
        Known {
            own,
            others,
            published,
        }
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

fn read_bootstrap(path: &Path) -> Result<Bootstrap, FileError> {
    Bootstrap::parse(&bytes(path)?).map_err(content(path))
}

/// A file, as long as a document may be.
fn bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    let most = MAX_DOCUMENT_BYTES as u64;
    let failed = |error| FileError::Io {
        path: path.to_owned(),
        error,
    };
    let file = fs::File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut read = Vec::new();
    // What its length says may not be true of what is no plain file.
    let taken = file.take(most + 1).read_to_end(&mut read).map_err(failed)?;
    match length.max(taken as u64) > most {
        true => Err(FileError::TooLong {
            path: path.to_owned(),
        }),
        false => Ok(read),
    }
}

fn content(path: &Path) -> impl Fn(DocumentError) -> FileError {
    move |error| FileError::Content {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const OWN: &str = r#"[{"identifier": "88.118", "status": "ok"}]"#;
    const OTHERS: &str = r#"{"version": "1.0", "publication": "x", "services": []}"#;

    struct World {
        dir: tempfile::TempDir,
        files: Files,
        known: Known,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let place = |name: &str, content: &str| {
                let path = dir.path().join(name);
                fs::write(&path, content).unwrap();
                Some(path)
            };
            let files = Files::of(&DirectoryOptions {
                own_file: place("own.json", OWN),
                bootstrap_file: place("bootstrap.json", OTHERS),
                ..DirectoryOptions::default()
            });
            let known = files.read().unwrap();
            Self { dir, files, known }
        }

        fn write(&self, name: &str, content: impl AsRef<[u8]>) {
            fs::write(self.dir.path().join(name), content).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_with_one_file_keeps_nothing_of_the_other_back() {
        let world = World::new();
        assert!(world.files.read_if_changed(&world.known).is_none());
        world.write("own.json", "{");
        let services = r#""services": [[["88.119"], ["https://datong.example/"]]]"#;
        world.write(
            "bootstrap.json",
            OTHERS.replace(r#""services": []"#, services),
        );
        let known = world.files.read_if_changed(&world.known).unwrap();
        assert_eq!(known.others.services.len(), 1);
        assert_eq!(known.own, world.known.own, "what it said before stays");
        // And the other way round, each when it changes.
        world.write("own.json", OWN.replace("88.118", "88.117"));
        world.write("bootstrap.json", "");
        let known = world.files.read_if_changed(&known).unwrap();
        assert_eq!(known.own[0].0.canonical(), "88.117");
        assert_eq!(known.others.services.len(), 1);
        assert!(world.files.read_if_changed(&known).is_none());
    }

    #[test]
    fn a_file_that_is_too_long_is_said_to_be() {
        let world = World::new();
        world.write("own.json", vec![b' '; MAX_DOCUMENT_BYTES + 10]);
        let error = world.files.read().unwrap_err().to_string();
        let reason = format!("own.json: is longer than {MAX_DOCUMENT_BYTES} bytes");
        assert!(error.ends_with(&reason), "{error}");
    }
}
