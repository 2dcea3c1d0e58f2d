//! `idctl export`: identifiers as a CSV or JSON Lines file that `idctl import` reads.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use idnode_proto::api::identifier_service_client::IdentifierServiceClient;
use idnode_proto::api::{ExportRequest, ExportResponse};
use serde_json::json;
use tonic::Streaming;

use super::error::Failure;
use super::output::Table;
use super::session::{MAX_ANSWER_BYTES, Session};
use crate::bulk::format::{Compression, Format, Output};
use crate::bulk::write::Records;

/// Write every identifier, or those of a prefix, to a CSV or JSON Lines file.
///
/// The file is of one snapshot and has all that a registration can set, in the order of keys and indexes: export, import
/// and export again gives the same bytes. It appears under its name when it is complete.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only identifiers of this prefix
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
    /// Where to write; standard output unless given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// csv or jsonl; by the file's extension, else jsonl
    #[arg(long)]
    format: Option<Format>,
    /// By the file's extension unless given
    #[arg(long)]
    compress: Option<Compression>,
}

pub(crate) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let by_name = args.output.as_deref().and_then(Format::of_path);
    let format = args.format.or(by_name).unwrap_or(Format::Jsonl);
    if session.out.is_json() && args.output.is_none() && format == Format::Csv {
        return Err(Failure::Usage(
            "--json and --format csv exclude each other on standard output: add -o FILE".to_owned(),
        ));
    }
    let by_name = args.output.as_deref().map(Compression::of_path);
    let compression = args.compress.or(by_name).unwrap_or(Compression::None);

    let request = ExportRequest {
        prefix: args.prefix,
        include_deleted: false,
    };
    let mut client = IdentifierServiceClient::new(session.channel().await?)
        .max_decoding_message_size(MAX_ANSWER_BYTES);
    let mut answers = client
        .export(session.stream_request(request))
        .await?
        .into_inner();

    let target = Target::create(args.output.as_deref())?;
    let written = write(&mut answers, &target, format, compression).await;
    let Written {
        identifiers,
        values,
        sequence,
    } = written.inspect_err(|_| target.discard())?;
    let Some(path) = target.complete()? else {
        return Ok(());
    };
    session.out.show(
        || {
            json!({
                "file": path.to_string_lossy(),
                "identifiers": identifiers,
                "values": values,
                "sequence": sequence,
            })
        },
        || {
            Table::of_one(&[
                ("file", path.display().to_string()),
                ("identifiers", identifiers.to_string()),
                ("values", values.to_string()),
                ("sequence", sequence.to_string()),
            ])
        },
    )
}

/// What has been written.
#[derive(Default)]
struct Written {
    identifiers: u64,
    values: u64,
    /// The log position of the snapshot.
    sequence: u64,
}

async fn write(
    answers: &mut Streaming<ExportResponse>,
    target: &Target,
    format: Format,
    compression: Compression,
) -> Result<Written, Failure> {
    let broken = |source| target.broken(source);
    let mut records = target
        .open()
        .and_then(|stream| Output::new(stream, compression))
        .and_then(|output| Records::new(output, format))
        .map_err(broken)?;
    let mut written = Written::default();
    while let Some(answer) = answers.message().await? {
        written.sequence = answer.sequence;
        let live = answer.identifiers.into_iter();
        for mut record in live.filter(|record| !record.deleted) {
            written.identifiers += 1;
            written.values += record.values.len() as u64;
            records.write(&mut record).map_err(broken)?;
        }
    }
    records.finish().map_err(broken)?;
    Ok(written)
}

/// Standard output, or a file that gets its name when it is complete.
pub(super) enum Target {
    Stdout,
    File { partial: PathBuf, path: PathBuf },
}

impl Target {
    pub(super) fn create(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::Stdout);
        };
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let target = Self::File {
            partial: partial.into(),
            path: path.to_owned(),
        };
        target.open().map_err(|error| Failure::File {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(target)
    }

    pub(super) fn open(&self) -> io::Result<Box<dyn io::Write + Send>> {
        Ok(match self {
            Self::Stdout => Box::new(io::stdout()),
            // What its caller may read may be secret keys.
            Self::File { partial, .. } => Box::new(
                OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(partial)?,
            ),
        })
    }

    pub(super) fn broken(&self, source: io::Error) -> Failure {
        match self {
            Self::Stdout => Failure::stdout(source),
            Self::File { partial, .. } => Failure::Io {
                what: format!("writing {}", partial.display()),
                source,
            },
        }
    }

    /// Leaves nothing behind of a file that was not completed.
    pub(super) fn discard(&self) {
        if let Self::File { partial, .. } = self {
            // It is no use to anybody; that it cannot be removed is not worth hiding the cause.
            let _ = fs::remove_file(partial);
        }
    }

    /// Makes the file durable under its name.
    pub(super) fn complete(&self) -> Result<Option<&Path>, Failure> {
        let Self::File { partial, path } = self else {
            return Ok(None);
        };
        File::open(partial)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(partial, path))
            .map_err(|error| self.broken(error))?;
        Ok(Some(path))
    }
}
