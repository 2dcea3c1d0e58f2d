//! `idbench dns`: load over DNS.
//!
//! | module | holds |
//! |---|---|
//! | `questions` | what is asked, from a file; queries on the wire |
//! | `run` | the senders of a run |
//! | `udp`, `batch` | UDP in batches |
//! | `stream` | TCP and TLS, pipelined |
//! | `https` | DNS over HTTPS |
//! | `tls` | what the encrypted transports need |
//! | `answer` | answers and the queries they belong to |

mod answer;
pub(super) mod batch;
mod https;
pub(super) mod questions;
mod run;
mod stream;
mod tls;
mod udp;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::cpu;
use super::error::Failure;
use super::order::Order;
use super::pace::{Clock, Limits};
use super::report::Report;
use super::tally::{Seen, rcode_name};
use questions::{Questions, Shape};
use run::{Division, Job};
use tls::Tls;

/// Queries in flight of a closed loop, unless said otherwise.
const IN_FLIGHT: usize = 100;
/// Queries in flight of an open loop at which sending is held back, unless said otherwise. What
/// is held back keeps the time it was due, so that the delay shows in its latency.
const IN_FLIGHT_OPEN: usize = 20_000;

/// Asks a DNS server: as fast as it answers, or so many queries a second.
///
/// Without --rate the loop is closed: --in-flight queries wait for their answers at any time,
/// and the next is sent when one has come. With --rate queries are sent by the clock, and a
/// latency counts from the time a query was due, not from when it could be sent: a server that
/// stalls does not get fewer queries while it does (no coordinated omission). Answers are
/// matched by ID and have to repeat the question.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The server's address and port
    #[arg(long, value_name = "ADDRESS:PORT")]
    server: SocketAddr,
    /// What carries the queries
    #[arg(long, value_enum, default_value_t = Transport::Udp)]
    transport: Transport,
    /// File of questions, a name and a type on each line
    #[arg(long, value_name = "FILE")]
    names: PathBuf,
    /// How the questions are drawn
    #[arg(long, value_enum, default_value_t = Order::Random)]
    order: Order,
    /// Seed of the draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Begin so many questions later (shuffle, file)
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u32,
    /// How long queries are sent, seconds [default: 10, without --queries]
    #[arg(long, value_name = "S", value_parser = positive)]
    seconds: Option<f64>,
    /// How many queries are sent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    queries: Option<u64>,
    /// The same load for so many seconds before anything is counted
    #[arg(long, value_name = "S", value_parser = positive)]
    warmup: Option<f64>,
    /// Send so many queries a second (open loop)
    #[arg(long, value_name = "QPS", value_parser = positive)]
    rate: Option<f64>,
    /// Most queries that wait for their answer [default: 100; with --rate 20000]
    #[arg(long, value_name = "N", value_parser = count)]
    in_flight: Option<usize>,
    /// Sockets (UDP) or connections, over all threads; at least one a thread
    #[arg(long, value_name = "N", default_value = "4", value_parser = count)]
    connections: usize,
    /// Threads that send
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    threads: usize,
    /// When an unanswered query counts as lost, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    timeout_ms: u64,
    /// Never sleep between queries (UDP): takes a processor for each thread, and sends on time
    #[arg(long)]
    spin: bool,
    /// Size of answers that EDNS offers, bytes; 0 asks without EDNS
    #[arg(long, value_name = "BYTES", default_value_t = 1232)]
    edns: u16,
    /// Set DO: ask for signatures
    #[arg(long)]
    dnssec_ok: bool,
    /// Set RD: ask for recursion
    #[arg(long)]
    recursion: bool,
    #[command(flatten)]
    tls: tls::Args,
    /// Path that is asked (HTTPS)
    #[arg(long, value_name = "PATH", default_value = "/dns-query")]
    path: String,
    /// Measure the CPU time of this process and its descendants
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Write what was answered to each question into this file, in their order: the question's
    /// number from 0, response code, records of the answer, authority and additional sections,
    /// and TC if it was set
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What carries the queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Transport {
    /// Datagrams, in batches
    Udp,
    /// Connections, pipelined (RFC 7766)
    Tcp,
    /// DNS over TLS (RFC 7858)
    Tls,
    /// DNS over HTTPS (RFC 8484), HTTP/2
    Https,
}

impl Transport {
    /// What TLS says the connection carries (RFC 7301), if there is TLS.
    fn alpn(self) -> Option<&'static [u8]> {
        match self {
            Self::Udp | Self::Tcp => None,
            Self::Tls => Some(b"dot"),
            Self::Https => Some(b"h2"),
        }
    }
}

/// Does the run and prints what came of it.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.dnssec_ok && args.edns == 0 {
        return Err(Failure::Usage("--dnssec-ok needs EDNS".to_owned()));
    }
    let job = args.job()?;
    let division = args.division();
    if let Some(warmup_s) = args.warmup {
        let limits = Limits {
            duration_ns: nanoseconds(warmup_s),
            queries: u64::MAX,
        };
        // Another seed: what is measured shall not be a replay of the warm-up.
        let seed = division.seed.wrapping_add(u64::MAX / 2);
        job.run(&Division {
            limits,
            seed,
            ..division
        })?;
    }
    let server_before = args.server_pid.map(cpu::Used::by_server).transpose()?;
    let client_before = cpu::own_s();
    let tally = job.run(&division)?;
    let client_cpu_s = cpu::own_s() - client_before;
    let server_cpu_s = match (args.server_pid, server_before) {
        (Some(pid), Some(before)) => Some(before.until_s(&cpu::Used::by_server(pid)?)),
        _ => None,
    };
    if let Some(path) = &args.answers {
        write_answers(path, &tally.answers)?;
    }
    let report = Report {
        conditions: args.conditions(&job),
        tally,
        server_cpu_s,
        client_cpu_s,
    };
    report.print(args.json)
}

impl Args {
    fn job(&self) -> Result<Job, Failure> {
        let tls = self
            .transport
            .alpn()
            .map(|alpn| Tls::new(&self.tls, self.server, alpn));
        Ok(Job {
            server: self.server,
            transport: self.transport,
            questions: Arc::new(Questions::read(&self.names)?),
            shape: Shape {
                edns_bytes: (self.edns > 0).then_some(self.edns),
                dnssec_ok: self.dnssec_ok,
                recursion: self.recursion,
            },
            clock: Clock::start(),
            timeout_ns: self.timeout_ms.saturating_mul(1_000_000),
            rate_qps: self.rate,
            spin: self.spin,
            tls: tls.transpose()?,
            url: format!("https://{}{}", self.server, self.path),
            keeps_answers: self.answers.is_some(),
        })
    }

    fn division(&self) -> Division {
        let default_s = self.queries.is_none().then_some(10.0);
        let in_flight = match self.rate {
            Some(_) => IN_FLIGHT_OPEN,
            None => IN_FLIGHT,
        };
        Division {
            threads: self.threads,
            connections: self.connections.max(self.threads),
            in_flight: self.in_flight.unwrap_or(in_flight),
            limits: Limits {
                duration_ns: self.seconds.or(default_s).map_or(u64::MAX, nanoseconds),
                queries: self.queries.unwrap_or(u64::MAX),
            },
            order: self.order,
            seed: self.seed,
            skip: self.skip,
        }
    }

    /// What the result's reader has to know.
    fn conditions(&self, job: &Job) -> Vec<(&'static str, Value)> {
        let mode = match self.rate {
            Some(_) => "open loop",
            None => "closed loop",
        };
        let division = self.division();
        let mut conditions = vec![
            ("server", json!(self.server.to_string())),
            (
                "transport",
                json!(format!("{:?}", self.transport).to_lowercase()),
            ),
            ("questions", json!(job.questions.count())),
            ("mode", json!(mode)),
            ("in_flight", json!(division.in_flight)),
            ("connections", json!(division.connections)),
        ];
        if let Some(rate_qps) = self.rate {
            conditions.push(("rate_qps", json!(rate_qps)));
        }
        conditions
    }
}

/// One line for each question that was answered.
fn write_answers(path: &Path, answers: &[Option<Seen>]) -> Result<(), Failure> {
    let mut text = String::new();
    for (number, seen) in answers.iter().enumerate() {
        let Some(seen) = seen else { continue };
        let rcode = rcode_name(seen.rcode.into());
        let [answer, authority, additional] = seen.records;
        let tc = if seen.truncated { " TC" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{number} {rcode} {answer} {authority} {additional}{tc}"
        );
    }
    std::fs::write(path, text).map_err(Failure::io(path.display().to_string()))
}

fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// A number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match number.is_finite() && number > 0.0 {
        true => Ok(number),
        false => Err("not above 0".to_owned()),
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=1_000_000).contains(&number) => Ok(number),
        _ => Err("allowed: 1 to 1000000".to_owned()),
    }
}
