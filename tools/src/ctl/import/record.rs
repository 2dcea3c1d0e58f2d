//! What became of each unit, written down in the file's order.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use idnode_proto::api::import_item_result::Status;
use idnode_proto::api::{ImportChunkResult, ImportItemResult};

use super::super::error::{Failure, code_name};
use super::state::{State, Tally, sync_directory};
use crate::bulk::chunk::Unit;
use crate::bulk::read::Reject;

/// How often the place is made durable at most.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// The rejects file, the counts, and the place to go on from.
pub(super) struct Recorder {
    state: State,
    /// Missing when the import cannot be taken up again.
    state_path: Option<PathBuf>,
    rejects_path: PathBuf,
    /// Opened when there is the first reject.
    rejects: Option<BufWriter<File>>,
    saved: Instant,
    is_saved: bool,
}

impl Recorder {
    /// Goes on from a state: what a later place has left in the rejects file is cut off.
    pub(super) fn new(
        state: State,
        state_path: Option<PathBuf>,
        rejects_path: PathBuf,
    ) -> Result<Self, Failure> {
        let refused = |error: io::Error| Failure::File {
            path: rejects_path.clone(),
            reason: error.to_string(),
        };
        let mut rejects = None;
        if state.rejects_bytes == 0 {
            match fs::remove_file(&rejects_path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(refused(error));
                }
                _ => {}
            }
        } else {
            let mut file = OpenOptions::new()
                .write(true)
                .open(&rejects_path)
                .map_err(refused)?;
            if file.metadata().map_err(refused)?.len() < state.rejects_bytes {
                return Err(Failure::File {
                    path: rejects_path,
                    reason: "is shorter than the import has left it; --restart begins anew".into(),
                });
            }
            file.set_len(state.rejects_bytes).map_err(refused)?;
            file.seek(SeekFrom::End(0)).map_err(refused)?;
            rejects = Some(BufWriter::new(file));
        }
        Ok(Self {
            state,
            state_path,
            rejects_path,
            rejects,
            saved: Instant::now(),
            is_saved: false,
        })
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Whether something may have been sent, so that the import id must be kept.
    pub(super) fn has_begun(&self) -> bool {
        self.is_saved || self.state.units > 0
    }

    pub(super) fn rejects_path(&self) -> &Path {
        &self.rejects_path
    }

    /// Makes units smaller, to what the node takes. Only before the first one is done.
    pub(super) fn limit_chunk(&mut self, most: u32) -> Result<(), Failure> {
        if most == 0 || self.state.chunk <= most {
            return Ok(());
        }
        if self.state.units > 0 {
            return Err(Failure::Answer(format!(
                "the node takes {most} items in a chunk now, the import has chunks of {}; \
                 --restart begins anew",
                self.state.chunk
            )));
        }
        self.state.chunk = most;
        Ok(())
    }

    /// Writes down a unit and what the node said of its chunk.
    pub(super) fn record(
        &mut self,
        unit: &Unit,
        result: Option<&ImportChunkResult>,
    ) -> Result<(), Failure> {
        let mut rejects = unit.rejects.clone();
        if let (Some(chunk), Some(result)) = (&unit.chunk, result) {
            let refused = self.count(result)?;
            if refused {
                let items = chunk.decode();
                let pairs = result.items.iter().zip(items);
                let refused = pairs.filter(|(item, _)| item.status() == Status::Rejected);
                rejects
                    .extend(refused.map(|(item, sent)| reject(item, sent.line, sent.identifier)));
                rejects.sort_by_key(|reject| reject.line);
            }
            self.state.last_chunk = chunk.number;
        }
        self.state.tally.rejected += rejects.len() as u64;
        self.write(&rejects).map_err(|source| self.broken(source))?;
        self.state.units = unit.ordinal + 1;
        self.is_saved = false;
        if self.saved.elapsed() >= SAVE_EVERY {
            self.save()?;
        }
        Ok(())
    }

    /// Counts what was registered; whether anything was rejected.
    fn count(&mut self, result: &ImportChunkResult) -> Result<bool, Failure> {
        let mut refused = false;
        let tally = &mut self.state.tally;
        for item in &result.items {
            match item.status() {
                Status::Created => tally.created += 1,
                Status::Updated => tally.updated += 1,
                Status::Unchanged => tally.unchanged += 1,
                Status::Rejected => refused = true,
                Status::Unspecified => {
                    return Err(Failure::Answer(format!(
                        "the node says nothing of the item on line {}",
                        item.line
                    )));
                }
            }
        }
        Ok(refused)
    }

    fn write(&mut self, rejects: &[Reject]) -> io::Result<()> {
        if rejects.is_empty() {
            return Ok(());
        }
        let file = match &mut self.rejects {
            Some(file) => file,
            None => self
                .rejects
                .insert(BufWriter::new(File::create(&self.rejects_path)?)),
        };
        for reject in rejects {
            let line = serde_json::to_vec(reject)?;
            file.write_all(&line)?;
            file.write_all(b"\n")?;
            self.state.rejects_bytes += line.len() as u64 + 1;
        }
        Ok(())
    }

    /// Makes the place durable, the rejects before it; whether it can be taken up again.
    pub(super) fn save(&mut self) -> Result<bool, Failure> {
        let Some(path) = &self.state_path else {
            self.flush().map_err(|source| self.broken(source))?;
            return Ok(false);
        };
        if !self.is_saved {
            let path = path.clone();
            self.flush().map_err(|source| self.broken(source))?;
            self.state.save(&path).map_err(|source| Failure::Io {
                what: path.display().to_string(),
                source,
            })?;
            self.saved = Instant::now();
            self.is_saved = true;
        }
        Ok(true)
    }

    /// Ends a complete import: nothing is left to go on with.
    pub(super) fn complete(mut self) -> Result<Tally, Failure> {
        self.save()?;
        if let Some(path) = &self.state_path {
            fs::remove_file(path)
                .and_then(|()| sync_directory(path))
                .map_err(|source| Failure::Io {
                    what: path.display().to_string(),
                    source,
                })?;
        }
        Ok(self.state.tally)
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(file) = &mut self.rejects {
            file.flush()?;
            file.get_ref().sync_all()?;
        }
        Ok(())
    }

    fn broken(&self, source: io::Error) -> Failure {
        Failure::Io {
            what: format!("writing {}", self.rejects_path.display()),
            source,
        }
    }
}

fn reject(result: &ImportItemResult, line: u64, identifier: String) -> Reject {
    let error = result.error.clone().unwrap_or_default();
    let reason = match error.reason.as_str() {
        "" => code_name(error.code.into()).to_owned(),
        _ => error.reason,
    };
    Reject {
        line,
        identifier,
        reason,
        field: error.field,
        message: error.message,
    }
}
