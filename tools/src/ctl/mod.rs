//! `idctl`, the operator and enterprise CLI: everything the API does, tables for people, JSON
//! with `--json`.
//!
//! One file per command group; beside them:
//!
//! | module | holds |
//! |---|---|
//! | `error` | failures, what the node says was wrong, exit codes |
//! | `session` | the node's address, the credential, deadlines |
//! | `output` | tables and JSON lines |
//! | `json` | the API's messages as JSON |
//! | `value_arg`, `admin_arg` | values on the command line |
//! | `wire_value` | values as the Handle protocol has them |
//! | `page` | listings page by page, versions and idempotency keys of writes |

mod admin_arg;
mod batch_resolve;
mod dns_name;
mod dnssec;
mod dnssec_rollover;
mod enterprise;
mod error;
mod escrow;
mod export;
mod handle;
mod identifier;
mod import;
pub(crate) mod json;
mod key;
mod output;
mod page;
mod prefix;
mod prefix_delegation;
mod prefix_values;
mod reports;
mod resolve;
mod resolve_handle;
pub(crate) mod session;
mod siblings;
mod stats;
mod takeover;
mod template;
mod trust;
mod upward;
mod value_arg;
mod watch;
mod wire_value;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::{EXIT_OK, EXIT_USAGE, Failure};
use session::{Global, Session};

/// Operates a secondary node (二级节点): enterprises, prefixes, identifiers, resolution.
///
/// Exit status: 0 done; 1 a call was refused or failed; 2 the command line or a file named on it
/// cannot be used; 3 a bulk command came to its end and some items were refused.
#[derive(Debug, Parser)]
#[command(name = "idctl", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enterprises (企业) and their real-name review
    #[command(subcommand)]
    Enterprise(enterprise::Command),
    /// Prefixes (前缀), their lifecycle and delegation
    #[command(subcommand)]
    Prefix(prefix::Command),
    /// Attribute templates (元数据模板)
    #[command(subcommand)]
    Template(template::Command),
    /// Identifiers (标识) and their values, one at a time
    #[command(subcommand)]
    Identifier(identifier::Command),
    /// Handles over the Handle protocol, as their administrator
    #[command(subcommand)]
    Handle(handle::Command),
    Import(import::Args),
    Export(export::Args),
    Resolve(resolve::Args),
    BatchResolve(batch_resolve::Args),
    Verify(trust::verify::Args),
    /// Signatures and certificates of trusted resolution, made with a key in a file
    #[command(subcommand)]
    Sign(trust::sign::Command),
    /// Keys of trusted resolution
    #[command(subcommand)]
    TrustKey(trust::key::Command),
    Watch(watch::Args),
    /// The node's own counters
    Stats,
    /// API keys, and the keys of handle administrators
    #[command(subcommand)]
    Key(key::Command),
    /// Keys that the node signs its DNS zones with
    #[command(subcommand)]
    Dnssec(dnssec::Command),
    /// What the node has told the national node
    #[command(subcommand)]
    Upward(upward::Command),
    /// Escrow deposits (数据托管)
    #[command(subcommand)]
    Escrow(escrow::Command),
    /// Who the credential belongs to
    Whoami,
    DnsName(dns_name::Args),
}

/// Runs the process: reads its arguments, does the command, says what went wrong.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse_usage(&error),
    };
    let json = cli.global.json();
    match run(cli) {
        Ok(()) => ExitCode::from(EXIT_OK),
        Err(failure) => {
            if !failure.is_closed_pipe() {
                match json {
                    true => eprintln!("{}", failure.to_json()),
                    false => eprintln!("idctl: {failure}"),
                }
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| Failure::Io {
            what: "starting".to_owned(),
            source,
        })?;
    let done = runtime.block_on(dispatch(cli));
    // A thread that still waits for standard input must not keep the process.
    runtime.shutdown_background();
    done
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let session = Session::new(cli.global)?;
    match cli.command {
        Command::Enterprise(command) => enterprise::run(command, &session).await,
        Command::Prefix(command) => prefix::run(command, &session).await,
        Command::Template(command) => template::run(command, &session).await,
        Command::Identifier(command) => identifier::run(command, &session).await,
        Command::Handle(command) => handle::run(command, &session).await,
        Command::Import(args) => import::run(args, &session).await,
        Command::Export(args) => export::run(args, &session).await,
        Command::Resolve(args) => resolve::run(args, &session).await,
        Command::BatchResolve(args) => batch_resolve::run(args, &session).await,
        Command::Verify(args) => trust::verify::run(args, &session).await,
        Command::Sign(command) => trust::sign::run(command, &session).await,
        Command::TrustKey(command) => trust::key::run(&command, &session),
        Command::Watch(args) => watch::run(args, &session).await,
        Command::Stats => stats::run(&session).await,
        Command::Key(command) => key::run(command, &session).await,
        Command::Dnssec(command) => dnssec::run(command, &session).await,
        Command::Upward(command) => upward::run(command, &session).await,
        Command::Escrow(command) => escrow::run(command, &session).await,
        Command::Whoami => key::whoami(&session).await,
        Command::DnsName(args) => dns_name::run(&args, &session),
    }
}

/// Prints help and version as asked for; anything else is bad usage, as JSON if `--json` is there.
fn refuse_usage(error: &clap::Error) -> ExitCode {
    let asked_for = !error.use_stderr();
    if !asked_for && std::env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let message = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
        eprintln!("{}", Failure::Usage(message.to_owned()).to_json());
    } else {
        let _ = error.print();
    }
    ExitCode::from(if asked_for { EXIT_OK } else { EXIT_USAGE })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
