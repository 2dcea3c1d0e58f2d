//! `idctl escrow`: keys of deposits, their log, and what deposits in a directory lead to.

mod keygen;
pub(super) mod log;
mod verify;

use clap::Subcommand;

use super::error::Failure;
use super::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an SM2 key: FILE holds it (PEM, for its owner alone), FILE.pub its public half; with
    /// --login a key to log in with over SSH (Ed25519, OpenSSH's format) instead
    Keygen(keygen::Args),
    /// List the node's deposits, the newest of each prefix first
    Deposits(log::ListArgs),
    /// Ask the node for a deposit now, of one prefix or of all
    Deposit(log::MakeArgs),
    /// Verify deposits in a directory, without the node: signatures, parts, documents, and that
    /// each prefix's last FULL deposit with the DIFFs after it leads to what the node had
    Verify(verify::Args),
    /// Make a registry of deposits in a directory, by the idnode beside this program, and prove
    /// that it is what was deposited
    Restore(verify::RestoreArgs),
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Keygen(args) => keygen::run(&args, session),
        Command::Deposits(args) => log::list(args, session).await,
        Command::Deposit(args) => log::make(args, session).await,
        Command::Verify(args) => verify::run(&args, session),
        Command::Restore(args) => verify::restore(&args, session),
    }
}
