//! `idctl escrow verify` and `restore`: deposits in a directory, without the node that made them.

use std::path::{Path, PathBuf};
use std::process::Command;

use idnode_proto::escrow::EscrowError;
use idnode_proto::trust::{PrivateKey, TrustKey};
use serde_json::json;

use crate::ctl::error::Failure;
use crate::ctl::output::Table;
use crate::ctl::session::Session;
use crate::ctl::trust::key::{private, public};
use crate::escrow::{Verified, directories, found, verify};

/// Which deposits, and with which keys.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the deposits: one of each prefix, in it one of each deposit
    directory: PathBuf,
    /// File of the receiver's private SM2 key (PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// File of the public SM2 key of the node that made them (PEM)
    #[arg(long, value_name = "FILE")]
    signer: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    deposits: Args,
    /// Directory of the new registry
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let receiver = private(&args.key)?;
    let signer = public(&args.signer)?;
    let mut verified = Vec::new();
    let here = |error: std::io::Error| Failure::File {
        path: args.directory.clone(),
        reason: error.to_string(),
    };
    for prefix in directories(&args.directory).map_err(here)? {
        let one = verify_prefix(&prefix, &receiver, &signer)
            .map_err(|error| Failure::NotTrusted(format!("{}: {error}", prefix.display())))?;
        verified.extend(one);
    }
    if verified.is_empty() {
        return Err(Failure::File {
            path: args.directory.clone(),
            reason: "has no deposit: directories of prefixes, in each one of each deposit".into(),
        });
    }
    session.out.show(
        || json!({"prefixes": verified.iter().map(shown).collect::<Vec<_>>()}),
        || table(&verified),
    )
}

fn verify_prefix(
    dir: &Path,
    receiver: &PrivateKey,
    signer: &TrustKey,
) -> Result<Option<Verified>, EscrowError> {
    let mut deposits = Vec::new();
    for deposit in directories(dir)? {
        deposits.extend(found(&deposit, signer)?);
    }
    match deposits.is_empty() {
        true => Ok(None),
        false => verify(&deposits, receiver).map(Some),
    }
}

fn shown(verified: &Verified) -> serde_json::Value {
    json!({
        "prefix": verified.head.prefix,
        "node": verified.head.node,
        "deposits": verified.ids,
        "watermark": verified.head.watermark(),
        "revision": verified.head.revision,
        "identifiers": verified.proved.listed,
        "listing": verified.proved.listing,
    })
}

fn table(verified: &[Verified]) -> Table {
    let mut table = Table::new(&[
        "PREFIX",
        "DEPOSITS",
        "WATERMARK",
        "REVISION",
        "IDENTIFIERS",
        "LISTING (SM3)",
    ]);
    for it in verified {
        table.row([
            it.head.prefix.clone(),
            it.ids.join(" "),
            it.head.watermark(),
            it.head.revision.to_string(),
            it.proved.listed.to_string(),
            it.proved.listing.clone(),
        ]);
    }
    table
}

pub(super) fn restore(args: &RestoreArgs, session: &Session) -> Result<(), Failure> {
    let beside = std::env::current_exe()
        .ok()
        .map(|exe| exe.with_file_name("idnode"))
        .filter(|idnode| idnode.exists());
    let program = beside.unwrap_or_else(|| PathBuf::from("idnode"));
    let output = Command::new(&program)
        .arg("escrow-restore")
        .arg("--deposits")
        .arg(&args.deposits.directory)
        .arg("--key")
        .arg(&args.deposits.key)
        .arg("--signer")
        .arg(&args.deposits.signer)
        .arg("--data-dir")
        .arg(&args.data_dir)
        .output()
        .map_err(|source| Failure::Io {
            what: format!("starting {}", program.display()),
            source,
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().trim_start_matches("idnode: ").to_owned();
        return Err(Failure::NotTrusted(said));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    for line in said.lines() {
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| json!(line));
        session.out.stream(|| read(line), || line.to_owned())?;
    }
    Ok(())
}
