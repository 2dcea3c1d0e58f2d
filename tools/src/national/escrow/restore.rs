//! `idnational escrow restore`: what the deposits that are held lead to.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::client;
use super::intake::{VERDICTS, Verdict};
use crate::escrow::{Found, directories, found, write_state};
use crate::national::Failure;
use crate::national::book::Book;

/// Arguments of `idnational escrow restore`.
#[derive(Debug, clap::Args)]
pub(in crate::national) struct Args {
    /// Directory of everything it knows; it must not be serving
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// File of its private SM2 key (PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The node whose deposits they are
    #[arg(long, value_name = "NAME")]
    node: String,
    /// File of the public SM2 key that the node signs with (PEM)
    #[arg(long, value_name = "FILE")]
    signer: PathBuf,
    /// Directory to write to: one FULL document of each prefix, readable
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes the state of each prefix, and says on standard output what it was proved to be.
pub(in crate::national) fn run(args: &Args) -> Result<(), Failure> {
    let receiver = client::receiver(&args.key)?;
    let signer = client::signer(&args.signer)?;
    let book = Book::open(&args.data_dir.join("book.redb"))?;
    // What is written is no longer encrypted.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&args.out)?;
    let root = args.data_dir.join(super::DIRECTORY).join(&args.node);
    for prefix in directories(&root).map_err(|error| format!("{}: {error}", root.display()))? {
        let name = prefix
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut held: Vec<Found> = Vec::new();
        for deposit in directories(&prefix)? {
            let id = deposit
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let key = format!("{}/{name}/{id}", args.node);
            let verdict: Option<Verdict> = book.get(VERDICTS, &key)?;
            if verdict.is_some_and(|verdict| verdict.accepted) {
                held.extend(found(&deposit, &signer)?);
            }
        }
        if held.is_empty() {
            continue;
        }
        let path = args.out.join(format!("{name}.xml"));
        let out = BufWriter::new(create(&path)?);
        let verified = write_state(&held, &receiver, out)?;
        let line = json!({
            "prefix": verified.head.prefix,
            "deposits": verified.ids,
            "watermark": verified.head.watermark(),
            "revision": verified.head.revision,
            "identifiers": verified.proved.listed,
            "listing": verified.proved.listing,
            "file": path,
        });
        writeln!(io::stdout().lock(), "{line}")?;
    }
    Ok(())
}

/// A file that nobody else reads, whatever was there.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600);
    let file = file.open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}
