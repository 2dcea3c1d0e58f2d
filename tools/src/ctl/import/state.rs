//! Where an import has come to: what `FILE.progress` holds.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::path::Path;

use data_encoding::HEXLOWER;
use idnode_proto::api::ImportMode;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::super::error::Failure;
use crate::bulk::format::Format;

/// The only layout of the file there is.
const LAYOUT: u32 = 1;
/// How much of a file's start tells it from another, bytes.
const HEAD_BYTES: u64 = 64 * 1024;

/// What tells a file from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fingerprint {
    pub(super) length_bytes: u64,
    /// SHA-256 of the first 64 KiB, hexadecimal.
    head_sha256: String,
}

impl Fingerprint {
    /// Of a file, which is read from its start afterwards.
    pub(super) fn of(file: &mut File) -> io::Result<Self> {
        let length_bytes = file.metadata()?.len();
        let mut head = Vec::new();
        Read::take(&mut *file, HEAD_BYTES).read_to_end(&mut head)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self {
            length_bytes,
            head_sha256: HEXLOWER.encode(&Sha256::digest(&head)),
        })
    }

    /// Of what is no file.
    pub(super) fn none() -> Self {
        Self {
            length_bytes: 0,
            head_sha256: String::new(),
        }
    }
}

/// What became of the items so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tally {
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) unchanged: u64,
    pub(super) rejected: u64,
}

impl Tally {
    pub(super) fn total(self) -> u64 {
        self.created + self.updated + self.unchanged + self.rejected
    }
}

/// The place an import has come to. Everything before it has been acknowledged by the node and
/// its rejects are on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    layout: u32,
    pub(super) import_id: String,
    file: Fingerprint,
    format: String,
    pub(super) mode: String,
    /// Entries in a unit; may be lowered to what the node takes before the first one is sent.
    pub(super) chunk: u32,
    /// How many units are done.
    pub(super) units: u64,
    /// The last chunk the node acknowledged, 0 for none.
    pub(super) last_chunk: u64,
    /// How much of the rejects file belongs to the units that are done.
    pub(super) rejects_bytes: u64,
    pub(super) tally: Tally,
}

impl State {
    /// An import that has not begun, with an id of its own.
    pub(super) fn new(
        file: Fingerprint,
        format: Format,
        mode: ImportMode,
        chunk: u32,
    ) -> Result<Self, Failure> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| Failure::Io {
            what: "import id".to_owned(),
            source: std::io::Error::other(error.to_string()),
        })?;
        Ok(Self {
            layout: LAYOUT,
            import_id: format!("idctl-{}", HEXLOWER.encode(&id)),
            file,
            format: format_name(format).to_owned(),
            mode: mode.as_str_name().to_owned(),
            chunk,
            units: 0,
            last_chunk: 0,
            rejects_bytes: 0,
            tally: Tally::default(),
        })
    }

    /// The state an earlier run left, if it left one.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, Failure> {
        let refused = |reason: String| Failure::File {
            path: path.to_owned(),
            reason,
        };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(error.to_string())),
        };
        let state: Self = serde_json::from_slice(&text).map_err(|error| {
            refused(format!(
                "is no progress of this idctl ({error}); --restart begins anew"
            ))
        })?;
        Ok(Some(state))
    }

    /// Whether it is of the import that is wanted.
    pub(super) fn check(
        &self,
        (file, format, mode): (&Fingerprint, Format, ImportMode),
    ) -> Result<(), String> {
        let differs = if self.layout != LAYOUT {
            format!("has layout {}, this idctl writes {LAYOUT}", self.layout)
        } else if self.file != *file {
            format!(
                "is of another file ({} bytes, this one has {})",
                self.file.length_bytes, file.length_bytes
            )
        } else if self.format != format_name(format) {
            format!("is of an import as {}", self.format)
        } else if self.mode != mode.as_str_name() {
            format!("is of an import with mode {}", self.mode)
        } else {
            return Ok(());
        };
        Err(format!("{differs}; --restart begins anew"))
    }

    /// Puts the state in place of what is there, durably and in one step.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let mut file = File::create(&temporary)?;
        serde_json::to_writer(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_directory(path)
    }
}

/// Makes the presence or absence of a file in its directory durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Csv => "csv",
        Format::Jsonl => "jsonl",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn state(text: &str) -> State {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let fingerprint = Fingerprint::of(&mut file).unwrap();
        State::new(fingerprint, Format::Csv, ImportMode::Create, 10).unwrap()
    }

    #[test]
    fn a_state_is_read_back_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.progress");
        assert_eq!(State::load(&path).unwrap(), None);
        let mut saved = state("a");
        saved.units = 7;
        saved.save(&path).unwrap();
        assert_eq!(State::load(&path).unwrap(), Some(saved));
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn another_file_or_another_way_is_told_apart() {
        let saved = state("identifier,type,data\n");
        let same = state("identifier,type,data\n").file;
        let check = |file, format, mode| saved.check((file, format, mode));
        assert_eq!(check(&same, Format::Csv, ImportMode::Create), Ok(()));
        let longer = state("identifier,type,data\nx").file;
        let other = state("identifier,data,type\n").file;
        for refused in [
            check(&longer, Format::Csv, ImportMode::Create),
            check(&other, Format::Csv, ImportMode::Create),
            check(&same, Format::Jsonl, ImportMode::Create),
            check(&same, Format::Csv, ImportMode::Upsert),
        ] {
            assert!(refused.unwrap_err().ends_with("--restart begins anew"));
        }
    }

    #[test]
    fn two_imports_have_two_ids() {
        assert_ne!(state("").import_id, state("").import_id);
    }
}
