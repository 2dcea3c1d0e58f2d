//! The directory of the keys: for each key its private half as PKCS#8, which is written once, and
//! what is known of it as JSON, which is replaced whole when it changes. All of it is the node's
//! alone (directory 0700, files 0600).
//!
//! | file | holds |
//! |---|---|
//! | `<zone>+013+54321.pk8` | the private key of algorithm 13 with tag 54321, PKCS#8 in DER |
//! | `<zone>+013+54321.json` | its state and times |
//! | `<zone>.json` | what is said to the parent, if that is not the usual |

use super::algorithm::{Algorithm, SigningKey};
use super::key::{Key, KeyInfo, KeySet, KeyState};
use idnode_registry::private::{self, DIRECTORY_MODE, FILE_MODE};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The layout of the files.
const VERSION: u32 = 1;
const PRIVATE_KEY: &str = "pk8";
const METADATA: &str = "json";
/// Longest file that is read, bytes: keys have less than 200.
const MAX_FILE_BYTES: u64 = 16 << 10;

/// Why the keys cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct StoreError {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong with it, and what would help.
    pub reason: String,
}

impl StoreError {
    fn new(path: &Path, reason: impl ToString) -> Self {
        Self {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

type Result<T> = std::result::Result<T, StoreError>;

/// A key's metadata as stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    version: u32,
    zone: String,
    algorithm: u8,
    key_tag: u16,
    state: KeyState,
    published_at_s: u64,
    activated_at_s: Option<u64>,
    retired_at_s: Option<u64>,
}

/// What is stored of a zone beside its keys.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneFile {
    version: u32,
    zone: String,
    withdraw_ds: bool,
}

/// The directory of the keys.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
}

impl Store {
    /// Looks at the directory; it need not exist.
    ///
    /// # Errors
    /// Others than its owner may use it.
    pub(super) fn open(directory: PathBuf) -> Result<Self> {
        match fs::metadata(&directory) {
            Ok(metadata) => check_mode(&directory, &metadata)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::new(&directory, error)),
        }
        Ok(Self { directory })
    }

    /// The keys of a zone; `zone` in lower case with its final dot.
    ///
    /// # Errors
    /// A file is damaged, missing or open to others.
    pub(super) fn load(&self, zone: &str) -> Result<KeySet> {
        let mut set = KeySet::default();
        for path in self.files()? {
            let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
                continue;
            };
            let Some(number) = stem.strip_prefix(bare(zone)) else {
                continue;
            };
            let extension = path.extension().and_then(|extension| extension.to_str());
            match (number, extension) {
                ("", Some(METADATA)) => set.withdrawn = self.load_zone(&path, zone)?,
                (number, Some(METADATA)) if number.starts_with('+') => {
                    set.keys.push(self.load_key(&path, zone)?);
                }
                // Making or removing a key was interrupted: the metadata are what counts.
                (number, Some(PRIVATE_KEY))
                    if number.starts_with('+') && !path.with_extension(METADATA).exists() =>
                {
                    tracing::warn!(file = %path.display(), "a private key without metadata is not used");
                }
                _ => {}
            }
        }
        // Of those made within one second, the one that has come further was made first.
        set.keys.sort_by_key(|key| {
            let KeyInfo {
                published_at_s,
                state,
                tag,
                ..
            } = key.info;
            (published_at_s, Reverse(state as u8), tag)
        });
        Ok(set)
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::new(&self.directory, error)),
        };
        let paths = entries.map(|entry| Ok(entry?.path()));
        paths
            .collect::<io::Result<_>>()
            .map_err(|error| StoreError::new(&self.directory, error))
    }

    fn load_zone(&self, path: &Path, zone: &str) -> Result<bool> {
        let file: ZoneFile = parse(path)?;
        check_head(path, zone, file.version, &file.zone)?;
        Ok(file.withdraw_ds)
    }

    fn load_key(&self, path: &Path, zone: &str) -> Result<Key> {
        let file: KeyFile = parse(path)?;
        check_head(path, zone, file.version, &file.zone)?;
        let algorithm = Algorithm::of_number(file.algorithm).ok_or_else(|| {
            StoreError::new(path, format!("algorithm {} is not known", file.algorithm))
        })?;
        let private = path.with_extension(PRIVATE_KEY);
        let pkcs8 = read(&private)?;
        let pair = SigningKey::from_pkcs8(algorithm, &pkcs8)
            .map_err(|error| StoreError::new(&private, error))?;
        let mut key = Key::published(pair, file.published_at_s);
        if key.info.tag != file.key_tag || path != self.path(zone, &key.info, METADATA) {
            let reason = format!(
                "holds a key with tag {}, not {}",
                key.info.tag, file.key_tag
            );
            return Err(StoreError::new(&private, reason));
        }
        key.info.state = file.state;
        key.info.activated_at_s = file.activated_at_s;
        key.info.retired_at_s = file.retired_at_s;
        Ok(key)
    }

    /// Stores a new key: its private half first, since metadata without it are damage.
    pub(super) fn create(&self, zone: &str, key: &Key, pkcs8: &[u8]) -> Result<()> {
        self.write(&self.path(zone, &key.info, PRIVATE_KEY), pkcs8)?;
        self.update(zone, &key.info)
    }

    /// Stores what a key does now.
    pub(super) fn update(&self, zone: &str, key: &KeyInfo) -> Result<()> {
        let file = KeyFile {
            version: VERSION,
            zone: zone.to_owned(),
            algorithm: key.algorithm.number(),
            key_tag: key.tag,
            state: key.state,
            published_at_s: key.published_at_s,
            activated_at_s: key.activated_at_s,
            retired_at_s: key.retired_at_s,
        };
        let path = self.path(zone, key, METADATA);
        self.write(&path, &to_json(&path, &file)?)
    }

    /// Forgets a key.
    pub(super) fn remove(&self, zone: &str, key: &KeyInfo) -> Result<()> {
        for extension in [METADATA, PRIVATE_KEY] {
            let path = self.path(zone, key, extension);
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::new(&path, error)),
            }
        }
        self.sync_directory()
    }

    /// Stores what is said to the parent.
    pub(super) fn set_withdrawn(&self, zone: &str, withdraw_ds: bool) -> Result<()> {
        let path = self.directory.join(format!("{}.{METADATA}", bare(zone)));
        let file = ZoneFile {
            version: VERSION,
            zone: zone.to_owned(),
            withdraw_ds,
        };
        self.write(&path, &to_json(&path, &file)?)
    }

    fn path(&self, zone: &str, key: &KeyInfo, extension: &str) -> PathBuf {
        let (zone, number, tag) = (bare(zone), key.algorithm.number(), key.tag);
        let name = format!("{zone}+{number:03}+{tag:05}.{extension}");
        self.directory.join(name)
    }

    /// Replaces a file whole: after a crash it is the old one or the new one.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        private::make_dir(&self.directory)
            .and_then(|()| private::replace(path, bytes))
            .map_err(|error| StoreError::new(path, error))
    }

    fn sync_directory(&self) -> Result<()> {
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| StoreError::new(&self.directory, error))
    }
}

/// A zone as it stands in file names.
fn bare(zone: &str) -> &str {
    zone.strip_suffix('.').unwrap_or(zone)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let refused = |error| StoreError::new(path, error);
    let metadata = fs::metadata(path).map_err(refused)?;
    check_mode(path, &metadata)?;
    if metadata.len() > MAX_FILE_BYTES {
        return Err(StoreError::new(path, "is too large for what it should be"));
    }
    fs::read(path).map_err(refused)
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let refused = |error| StoreError::new(path, format!("is damaged: {error}"));
    serde_json::from_slice(&read(path)?).map_err(refused)
}

fn to_json(path: &Path, file: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(file).map_err(|error| StoreError::new(path, error))?;
    text.push(b'\n');
    Ok(text)
}

fn check_head(path: &Path, zone: &str, version: u32, named: &str) -> Result<()> {
    if version != VERSION {
        let reason = format!("is of version {version}, this node knows {VERSION}");
        return Err(StoreError::new(path, reason));
    }
    if named != zone {
        return Err(StoreError::new(path, format!("belongs to zone {named}")));
    }
    Ok(())
}

/// Private keys are nobody else's.
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let needed = if metadata.is_dir() {
        DIRECTORY_MODE
    } else {
        FILE_MODE
    };
    let reason = format!("is open to others (mode {mode:04o}): chmod {needed:04o} it");
    Err(StoreError::new(path, reason))
}
