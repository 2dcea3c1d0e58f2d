//! `idbench create`: registrations over the Handle protocol and its HTTP JSON API.
//!
//! | module | holds |
//! |---|---|
//! | `record` | what is registered |
//! | `native` | operation 100, over TCP |
//! | `http` | PUT /api/handles, over HTTP/1.1 |
//! | `writers` | the closed loop, and by the clock |

mod http;
mod native;
mod record;
mod writers;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use idnode_proto::handle::AdminId;
use idnode_proto::handle::auth::ClientKey;
use serde_json::{Value, json};

use super::handles::Pattern;
use crate::bench::cpu;
use crate::bench::error::Failure;
use crate::bench::load::{count, positive};
use crate::bench::pace::Limits;
use crate::bench::report::{Counted, Report};
use crate::handle_client::without_line_end;
use record::Records;
use writers::Target;

/// Registers handles, each writer as fast as its creates are acknowledged.
///
/// A closed loop: every writer has one connection and waits for the acknowledgement of one create
/// before it sends the next, or has up to --in-flight of them unanswered. Over TCP it speaks the Handle protocol and has proven --identity
/// before the clock starts; over HTTP it sends the bearer token with every request. A create that
/// is answered with anything but success is mismatched and not counted in the rate: handles that
/// are there already are refused, so runs on one registry need a --first of their own. With --rate
/// creates are sent by the clock, and a latency counts from the time a create was due.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(in crate::bench) struct Args {
    /// The server's address and port
    #[arg(long, value_name = "ADDRESS:PORT")]
    server: SocketAddr,
    /// What carries the requests
    #[arg(long, value_enum, default_value_t = Transport::Tcp)]
    transport: Transport,
    /// Handles to register: {} is a number
    #[arg(long, value_name = "TEXT")]
    pattern: String,
    /// Digits of the pattern's number at least, with zeros in front
    #[arg(long, value_name = "N", default_value_t = 1)]
    digits: usize,
    /// The first number
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// How many are registered
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How long creates are sent, seconds [default: 10, without --count]
    #[arg(long, value_name = "S", value_parser = positive)]
    seconds: Option<f64>,
    /// Send so many creates a second (open loop), as far as writers are free
    #[arg(long, value_name = "N", value_parser = positive)]
    rate: Option<f64>,
    /// Values of each, of about 60 bytes
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    values: u32,
    /// Writers, each with a connection
    #[arg(long, value_name = "N", default_value = "8", value_parser = count)]
    writers: usize,
    /// Creates that each writer sends without having the answers of those before: pipelined
    #[arg(long, value_name = "N", default_value = "1", value_parser = count, conflicts_with = "rate")]
    in_flight: usize,
    /// Who registers (TCP), e.g. 300:0.NA/88.118.8
    #[arg(
        long,
        value_name = "INDEX:HANDLE",
        required_if_eq("transport", "tcp"),
        requires = "secret_file"
    )]
    identity: Option<AdminId>,
    /// File with the identity's secret key; a line end behind it is left out
    #[arg(long, value_name = "FILE", requires = "identity")]
    secret_file: Option<PathBuf>,
    /// How the identity is proven (TCP)
    #[arg(long, value_enum, default_value_t = Proof::LogIn)]
    proof: Proof,
    /// File with the operator token or an API key (HTTP)
    #[arg(long, value_name = "FILE", required_if_eq("transport", "http"))]
    token_file: Option<PathBuf>,
    /// When an unanswered create counts as lost, milliseconds; its writer goes on with another
    /// connection
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout_ms: u64,
    /// Measure the CPU time of this process and its descendants
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What carries the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Transport {
    /// The Handle protocol
    Tcp,
    /// PUT /api/handles
    Http,
}

/// How often the identity is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Proof {
    /// Once a connection (operation 2001)
    LogIn,
    /// For each create, which is challenged: two round trips
    Challenge,
}

/// Does the run and prints what came of it.
pub(in crate::bench) fn run(args: &Args) -> Result<(), Failure> {
    let records = Records::new(Pattern::new(&args.pattern, args.digits)?, args.values);
    let default_s = args.count.is_none().then_some(10.0);
    let seconds = args.seconds.or(default_s);
    let load = writers::Load {
        target: args.target()?,
        records,
        first: args.first,
        writers: args.writers,
        in_flight: args.in_flight,
        limits: Limits {
            duration_ns: seconds.map_or(u64::MAX, |seconds| (seconds * 1e9) as u64),
            queries: args.count.unwrap_or(u64::MAX),
        },
        rate: args.rate,
        timeout: Duration::from_millis(args.timeout_ms),
    };
    let used = || args.server_pid.map(cpu::Used::by_server).transpose();
    let mut before = None;
    let tally = load.run(|| {
        before = Some((used()?, cpu::own_s()));
        Ok(())
    })?;
    let after = (used()?, cpu::own_s());
    let (server_before, client_before_s) = before.unwrap_or((None, 0.0));
    let report = Report {
        counted: Counted::Creates,
        conditions: args.conditions(),
        code_name: match args.transport {
            Transport::Tcp => super::native::code_name,
            Transport::Http => super::http::code_name,
        },
        tally,
        server_cpu_s: server_before
            .zip(after.0)
            .map(|(before, after)| before.until_s(&after)),
        client_cpu_s: after.1 - client_before_s,
    };
    report.print(args.json)
}

impl Args {
    fn target(&self) -> Result<Target, Failure> {
        if self.in_flight > 1 && self.transport == Transport::Tcp && self.proof == Proof::Challenge
        {
            let words = "a challenge is answered before the next create is sent: --in-flight is 1";
            return Err(Failure::Usage(words.to_owned()));
        }
        match (
            self.transport,
            &self.identity,
            &self.secret_file,
            &self.token_file,
        ) {
            (Transport::Tcp, Some(identity), Some(path), _) => Ok(Target::Native(native::Target {
                server: self.server,
                identity: identity.clone(),
                key: ClientKey::secret(without_line_end(contents(path)?)),
                logs_in: self.proof == Proof::LogIn,
            })),
            (Transport::Http, _, _, Some(path)) => {
                let token = String::from_utf8_lossy(&contents(path)?).trim().to_owned();
                Ok(Target::Http(http::Target::new(self.server, &token)))
            }
            // The grammar of the command line asks for what each transport needs.
            _ => Err(Failure::Usage("there is no credential".to_owned())),
        }
    }

    /// What the result's reader has to know.
    fn conditions(&self) -> Vec<(&'static str, Value)> {
        let transport = format!("{:?}", self.transport).to_lowercase();
        let mut conditions = vec![
            ("server", json!(self.server.to_string())),
            ("transport", json!(transport)),
            (
                "mode",
                json!(if self.rate.is_some() {
                    "open loop"
                } else {
                    "closed loop"
                }),
            ),
            ("writers", json!(self.writers)),
            ("in_flight", json!(self.in_flight)),
            ("values", json!(self.values)),
        ];
        if self.transport == Transport::Tcp {
            let proof = match self.proof {
                Proof::LogIn => "log-in",
                Proof::Challenge => "challenge",
            };
            conditions.push(("proof", json!(proof)));
        }
        conditions
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::File {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}
