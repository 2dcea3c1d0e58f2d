//! `idbench`, the load generator: asks a server as fast as it answers, or at a given rate, and
//! says how it did, in a table for people or as JSON.
//!
//! | module | holds |
//! |---|---|
//! | `dns` | load over DNS |
//! | `handle` | load over the Handle protocol and its HTTP JSON API: resolutions, registrations |
//! | `mixed` | reads, writes, transfers and malformed packets at once, every answer checked |
//! | `load` | the options that loads have in common, and a measured run |
//! | `run` | the senders of a run |
//! | `protocol` | what senders must know of the protocol they speak |
//! | `udp`, `batch` | senders over UDP, in batches |
//! | `stream`, `tls` | senders over connections, pipelined; with TLS |
//! | `order` | which question is asked next |
//! | `pace` | when: as soon as an answer has come (closed loop), or by the clock (open loop) |
//! | `window` | the queries that await their answer |
//! | `tally` | what came of them: counts and latencies |
//! | `cpu` | CPU time of the server's processes and of this one |
//! | `report` | the result, as table and as JSON |
//! | `error` | failures and exit codes |

mod batch;
mod cpu;
mod dns;
mod error;
mod handle;
mod load;
mod mixed;
pub(crate) mod order;
pub(crate) mod pace;
mod protocol;
mod report;
mod run;
mod stream;
mod tally;
mod tls;
mod udp;
mod window;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::{EXIT_FAILED, EXIT_USAGE, Failure};

/// Puts load on a server and measures how it answers.
///
/// Exit status: 0 the run came to its end; 1 it broke off, or found the server wrong; 2 the command line or a file named on
/// it cannot be used.
#[derive(Debug, Parser)]
#[command(name = "idbench", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dns(Box<dns::Args>),
    Handle(Box<handle::Args>),
    Create(Box<handle::create::Args>),
    Mixed(Box<mixed::Args>),
}

/// Runs the process: reads its arguments, does the run, says what came of it.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    let done = match cli.command {
        Command::Dns(args) => dns::run(&args).map(|()| true),
        Command::Handle(args) => handle::run(&args).map(|()| true),
        Command::Create(args) => handle::create::run(&args).map(|()| true),
        Command::Mixed(args) => mixed::run(*args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_FAILED),
        Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("idbench: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]

    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
