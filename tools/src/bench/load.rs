//! The options that every kind of load has, and a measured run with them.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::cpu;
use super::error::Failure;
use super::order::Order;
use super::pace::{Clock, Limits};
use super::protocol::Protocol;
use super::report::{Counted, Report};
use super::run::{Division, Job, Sender};
use super::tally::Tally;

/// Queries in flight of a closed loop, unless said otherwise.
const IN_FLIGHT: usize = 100;
/// Queries in flight of an open loop at which sending is held back, unless said otherwise. What
/// is held back keeps the time it was due, so that the delay shows in its latency.
const IN_FLIGHT_OPEN: usize = 20_000;

/// How much is asked, how fast, and by whom.
#[derive(Debug, clap::Args)]
pub(super) struct Load {
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
    /// Measure the CPU time of this process and its descendants
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

impl Load {
    /// What all senders have alike; without TLS, connections are kept.
    pub(super) fn job<P>(&self, server: SocketAddr, protocol: Arc<P>) -> Job<P> {
        Job {
            server,
            protocol,
            clock: Clock::start(),
            timeout_ns: self.timeout_ms.saturating_mul(1_000_000),
            rate_qps: self.rate,
            spin: self.spin,
            tls: None,
            per_connection: None,
            keeps_answers: false,
        }
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

    /// What of it the result's reader has to know.
    fn conditions(&self) -> Vec<(&'static str, Value)> {
        let mode = match self.rate {
            Some(_) => "open loop",
            None => "closed loop",
        };
        let division = self.division();
        let mut conditions = vec![
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

/// A run to be measured.
pub(super) struct Run<'a> {
    pub(super) load: &'a Load,
    /// What is asked of whom, for the result's reader.
    pub(super) conditions: Vec<(&'static str, Value)>,
    /// What response codes are called.
    pub(super) code_name: fn(usize) -> String,
}

impl Run<'_> {
    /// Warms up if that is asked for, runs, and measures.
    pub(super) fn measure<P: Protocol>(
        self,
        job: &Job<P>,
        send: impl Fn(&Job<P>, Sender) -> Result<Tally, Failure> + Sync,
    ) -> Result<Report, Failure> {
        let (load, division) = (self.load, self.load.division());
        if let Some(warmup_s) = load.warmup {
            let limits = Limits {
                duration_ns: nanoseconds(warmup_s),
                queries: u64::MAX,
            };
            // Another seed: what is measured shall not be a replay of the warm-up.
            let seed = division.seed.wrapping_add(u64::MAX / 2);
            let warmup = Division {
                limits,
                seed,
                ..division
            };
            job.run(&warmup, &send)?;
        }
        let server_before = load.server_pid.map(cpu::Used::by_server).transpose()?;
        let client_before = cpu::own_s();
        let tally = job.run(&division, send)?;
        let client_cpu_s = cpu::own_s() - client_before;
        let server_cpu_s = match (load.server_pid, server_before) {
            (Some(pid), Some(before)) => Some(before.until_s(&cpu::Used::by_server(pid)?)),
            _ => None,
        };
        let mut conditions = self.conditions;
        conditions.extend(load.conditions());
        Ok(Report {
            counted: Counted::Answers,
            conditions,
            code_name: self.code_name,
            tally,
            server_cpu_s,
            client_cpu_s,
        })
    }
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

/// A number from 1 on.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=1_000_000).contains(&number) => Ok(number),
        _ => Err("allowed: 1 to 1000000".to_owned()),
    }
}
