//! `idprovince`: the six secondary nodes of the plan and a national node above them, on one
//! machine: for tests, measurements, and to be looked at by a person. Each node is its own process
//! with its own data directory, prefix, operator, certificates and configuration.
//!
//! | module | holds |
//! |---|---|
//! | `city` | the cities of the plan |
//! | `layout` | files, names, addresses |
//! | `certify`, `configure` | certificates and configuration files |
//! | `net` | namespaces and links |
//! | `child`, `member` | processes, and how they are |
//! | `api`, `seed` | connections to nodes, and what they are seeded with |
//! | `up`, `down`, `lock`, `control`, `orders` | the supervisor, and how others speak with it |
//! | `meter`, `status`, `printer` | what nodes' metrics say, and how it is shown |
//! | `load` | resolutions across all cities, checked and measured |

mod api;
mod certify;
mod child;
mod city;
mod configure;
mod control;
mod down;
mod error;
mod layout;
mod load;
mod lock;
mod member;
mod meter;
mod net;
mod orders;
mod printer;
mod seed;
mod status;
mod up;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::Value;

use control::Order;
use error::{EXIT_FAILED, EXIT_USAGE, Failure};
use layout::Layout;
use status::Status;

/// Six secondary nodes and a national node on one machine.
///
/// Exit status: 0 it is done; 1 it did not come about, or an answer was wrong; 2 the command line
/// asks for what cannot be.
#[derive(Debug, Parser)]
#[command(name = "idprovince", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(Box<up::Args>),
    /// Show how everything is
    Status {
        #[command(flatten)]
        place: Place,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// End the province, and remove whatever a crashed one has left
    Down {
        #[command(flatten)]
        place: Place,
    },
    /// Cut the link between two places, or all links of one
    Cut {
        /// A city, or national
        a: String,
        /// Another one
        b: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Set how long the link between two places takes, one way
    Slow {
        /// A city, or national
        a: String,
        /// Another one
        b: String,
        /// Milliseconds
        #[arg(value_name = "MS", value_parser = up::milliseconds)]
        ms: f64,
        #[command(flatten)]
        place: Place,
    },
    /// Make the link between two places, all links of one, or all links what they were
    Heal {
        /// A city, or national
        a: Option<String>,
        /// Another one
        b: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    Load(Box<load::Args>),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The province's directory
    #[arg(long, value_name = "DIR", default_value = "province")]
    dir: PathBuf,
}

impl Place {
    fn ask(&self, order: &Order) -> Result<Value, Failure> {
        control::ask(&Layout::of(&self.dir)?, order)
    }
}

/// Runs the process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    match run(cli.command) {
        Ok(true) | Err(Failure::Interrupted) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_FAILED),
        Err(failure) => {
            eprintln!("idprovince: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: Command) -> Result<bool, Failure> {
    match command {
        Command::Up(args) => up::run(&args)?,
        Command::Status { place, json } => show(&place.ask(&Order::Status)?, json)?,
        Command::Down { place } => {
            let swept = down::run(&place.dir)?;
            if !swept.is_nothing() {
                println!(
                    "removed what was left: {} processes, {} namespaces",
                    swept.processes, swept.namespaces
                );
            }
        }
        Command::Cut { a, b, place } => drop(place.ask(&Order::Cut { a, b })?),
        Command::Slow { a, b, ms, place } => {
            let one_way_ms = ms;
            place.ask(&Order::Slow { a, b, one_way_ms })?;
        }
        Command::Heal { a, b, place } => drop(place.ask(&Order::Heal { a, b })?),
        Command::Load(args) => return load::run(&args),
    }
    Ok(true)
}

fn show(status: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        println!("{status}");
        return Ok(());
    }
    let status: Status = serde_json::from_value(status.clone())
        .map_err(|error| Failure::Program(error.to_string()))?;
    match std::io::stdout().is_terminal() {
        true => print!("{}", status.table()),
        false => print!("{}", status.lines()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
