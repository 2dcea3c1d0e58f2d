//! `idctl import`: bulk registration (批量注册) from a file, to be taken up again after a cut.
//!
//! A thread reads the file and cuts it into encoded chunks ([`crate::bulk::chunk`]); `upload`
//! keeps several of them on their way; `record` writes down, in the file's order, what became of
//! each: rejects, counts, and every second the place to go on from.

mod bar;
mod record;
mod state;
mod stream;
mod upload;

use std::fs::File;
use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use idnode_proto::api::ImportMode;
use serde_json::json;
use tokio::sync::mpsc;

use super::error::Failure;
use super::output::printable;
use super::session::Session;
use crate::bulk::chunk::{Chunker, Unit};
use crate::bulk::format::{Compression, Format, Input, decompressed};
use crate::bulk::read::{Items, ReadError};
use bar::Bar;
use record::Recorder;
use state::{Fingerprint, State, Tally};

/// Register the identifiers of a CSV or JSON Lines file.
///
/// CSV has a header; identifier, type and data are needed, and understood are template, index,
/// encoding (string, base64), ttl (seconds, or @ and seconds since 1970), permissions (1110),
/// timestamp and references as well. Rows of one identifier are adjacent. JSON Lines have one
/// identifier a line: {"identifier":"…","values":[{"type":"URL","data":"https://…"}]}.
///
/// What is refused goes to FILE.rejects, a JSON line each, and stops nothing. After a cut the
/// same command goes on where it was: FILE.progress knows the place, until the import is complete.
///
/// Exit status: 0 everything was registered; 3 some was refused; 1 it broke off; 2 the file or
/// the command line cannot be used.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// CSV or JSON Lines, may be compressed by gzip or zstd; - is standard input
    file: PathBuf,
    /// By the file's extension, else by its first character
    #[arg(long)]
    format: Option<Format>,
    /// What to do with an identifier that is registered already
    #[arg(long, default_value = "create")]
    mode: Mode,
    /// Items in a chunk: each is one atomic write
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    chunk: u32,
    /// Where rejects go; FILE.rejects unless given
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// How long to try to connect again after the connection broke
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    retry_for: Duration,
    /// Begin anew, whatever an earlier import of this file has left
    #[arg(long)]
    restart: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// It is rejected
    Create,
    /// It gets exactly the values of the file
    Upsert,
}

/// Reads `60` or `60s`.
fn seconds(text: &str) -> Result<Duration, String> {
    let digits = text.strip_suffix('s').unwrap_or(text);
    digits
        .parse()
        .map(Duration::from_secs)
        .map_err(|_| "not a number of seconds".to_owned())
}

/// Units read ahead of the upload.
const READ_AHEAD: usize = 8;

/// Units the reading thread has cut, or why it could not go on.
type Units = mpsc::Receiver<Result<Unit, ReadError>>;

pub(crate) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let started = Instant::now();
    let source = Source::open(&args)?;
    let mode = match args.mode {
        Mode::Create => ImportMode::Create,
        Mode::Upsert => ImportMode::Upsert,
    };
    let mut recorder = prepare(&args, &source, mode)?;
    let before = recorder.state().tally;
    if before.total() > 0 {
        session
            .out
            .note(&format!("going on after {} items", before.total()));
    }
    let mut bar = Bar::new(source.length_bytes, session.out.is_json());
    let outcome = tokio::select! {
        outcome = upload::upload(session, &mut recorder, source, args.retry_for, &mut bar) => outcome,
        _ = tokio::signal::ctrl_c() => Err(Failure::Answer("interrupted".to_owned())),
    };
    bar.finish();
    let rejects = recorder.rejects_path().to_owned();
    let tally = match outcome {
        Ok(()) => recorder.complete()?,
        Err(cause) => return Err(broken_off(cause, recorder)),
    };
    summarize(session, tally, before, started.elapsed(), &rejects)
}

/// Keeps the place of an import that has begun, and says how to go on.
fn broken_off(cause: Failure, mut recorder: Recorder) -> Failure {
    if !recorder.has_begun() {
        return cause;
    }
    let done = recorder.state().tally.total();
    let hint = match recorder.save() {
        Ok(true) => format!("{done} items are done; the same command goes on from there"),
        Ok(false) => format!("{done} items are done; standard input cannot be taken up again"),
        Err(failure) => format!("{done} items are done; the place is not saved: {failure}"),
    };
    Failure::BrokenOff {
        cause: Box::new(cause),
        hint,
    }
}

/// The file to be read.
struct Source {
    /// Its name for people.
    place: String,
    format: Format,
    items: Items,
    taken: Arc<AtomicU64>,
    length_bytes: Option<u64>,
    /// Missing for standard input, which cannot be taken up again.
    fingerprint: Option<Fingerprint>,
}

impl Source {
    fn open(args: &Args) -> Result<Self, Failure> {
        let path = &args.file;
        let refused = |error: io::Error| Failure::File {
            path: path.clone(),
            reason: error.to_string(),
        };
        let taken = Arc::new(AtomicU64::new(0));
        let (fingerprint, mut text): (_, Input) = if is_stdin(path) {
            (
                None,
                decompressed(io::stdin(), taken.clone()).map_err(refused)?,
            )
        } else {
            let mut file = File::open(path).map_err(refused)?;
            let fingerprint = Fingerprint::of(&mut file).map_err(refused)?;
            (
                Some(fingerprint),
                decompressed(file, taken.clone()).map_err(refused)?,
            )
        };
        let format = match args.format.or_else(|| Format::of_path(path)) {
            Some(format) => format,
            None => Format::of_text(&mut text).map_err(refused)?,
        };
        if text.fill_buf().map_err(refused)?.is_empty() && format == Format::Csv {
            let compressed = Compression::of_path(path) != Compression::None;
            let reason = if compressed {
                "no CSV header: no text in it"
            } else {
                "the file is empty"
            };
            return Err(Failure::File {
                path: path.clone(),
                reason: reason.to_owned(),
            });
        }
        let items = Items::new(text, format).map_err(|error| Failure::reading(path, error))?;
        Ok(Self {
            place: path.display().to_string(),
            format,
            items,
            taken,
            length_bytes: fingerprint.as_ref().map(|f| f.length_bytes),
            fingerprint,
        })
    }

    /// Reads, cuts and encodes on a thread of its own. The first `skip` units are done already.
    fn cut(self, entries: usize, skip: u64) -> Units {
        let (units, receiver) = mpsc::channel(READ_AHEAD);
        let Self {
            mut items, taken, ..
        } = self;
        std::thread::spawn(move || {
            let mut chunker = Chunker::new(entries);
            let send = |mut unit: Unit| {
                unit.source_bytes = taken.load(Ordering::Relaxed);
                unit.ordinal < skip || units.blocking_send(Ok(unit)).is_ok()
            };
            loop {
                match items.next_entry() {
                    Ok(Some(entry)) => {
                        if let Some(unit) = chunker.push(entry)
                            && !send(unit)
                        {
                            return;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        // What was read before belongs to units that a later run would cut
                        // otherwise: it stays unsent.
                        let _ = units.blocking_send(Err(error));
                        return;
                    }
                }
            }
            chunker.finish().map(send);
        });
        receiver
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Finds out where to begin.
fn prepare(args: &Args, source: &Source, mode: ImportMode) -> Result<Recorder, Failure> {
    let beside = |suffix: &str| {
        let mut path = match is_stdin(&args.file) {
            true => "stdin".into(),
            false => args.file.as_os_str().to_owned(),
        };
        path.push(suffix);
        PathBuf::from(path)
    };
    let rejects = args.rejects.clone().unwrap_or_else(|| beside(".rejects"));
    let Some(fingerprint) = source.fingerprint.clone() else {
        let state = State::new(Fingerprint::none(), source.format, mode, args.chunk)?;
        return Recorder::new(state, None, rejects);
    };
    let path = beside(".progress");
    let found = if args.restart {
        None
    } else {
        State::load(&path)?
    };
    let state = match found {
        Some(state) => {
            let wanted = (&fingerprint, source.format, mode);
            state.check(wanted).map_err(|reason| Failure::File {
                path: path.clone(),
                reason,
            })?;
            state
        }
        None => State::new(fingerprint, source.format, mode, args.chunk)?,
    };
    Recorder::new(state, Some(path), rejects)
}

fn summarize(
    session: &Session,
    tally: Tally,
    before: Tally,
    elapsed: Duration,
    rejects: &Path,
) -> Result<(), Failure> {
    let seconds = elapsed.as_secs_f64();
    let rate = (tally.total() - before.total()) as f64 / seconds.max(0.001);
    let Tally {
        created,
        updated,
        unchanged,
        rejected,
    } = tally;
    session.out.stream(
        || {
            json!({
                "created": created,
                "updated": updated,
                "unchanged": unchanged,
                "rejected": rejected,
                "seconds": (seconds * 1000.0).round() / 1000.0,
                "items_per_s": rate.round(),
                "rejects_file": (rejected > 0).then(|| rejects.to_string_lossy()),
            })
        },
        || {
            format!(
                "created {created}, updated {updated}, unchanged {unchanged}, rejected {rejected} \
                 in {seconds:.1} s ({rate:.0} items/s)"
            )
        },
    )?;
    match rejected {
        0 => Ok(()),
        _ => Err(Failure::Partly(format!(
            "{rejected} rejected: see {}",
            printable(&rejects.to_string_lossy())
        ))),
    }
}
