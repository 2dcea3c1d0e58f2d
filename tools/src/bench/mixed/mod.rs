//! `idbench mixed`: reads, writes, zone transfers and malformed packets at once, every answer
//! checked against what the registry has acknowledged.
//!
//! | module | holds |
//! |---|---|
//! | `model` | identifiers, their versions, what each says |
//! | `load` | the stream of queries |
//! | `check` | whether an answer is right |
//! | `malformed` | packets that are no queries |
//! | `writes` | writes through the API, and the registry's contents |
//! | `transfers`, `zone` | zone transfers by `dig` |
//! | `kernel` | dropped datagrams, memory |
//! | `outcome` | the result |

mod check;
mod kernel;
mod load;
mod malformed;
mod model;
mod outcome;
mod transfers;
mod writes;
mod zone;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::error::Failure;
use super::load::positive;
use crate::ctl::session::{Global, Session};
use load::{Choice, Plan};
use model::{Model, Names};
use outcome::Outcome;
use transfers::Secondary;
use writes::Writer;

/// Loads a node with everything at once and checks every answer.
///
/// The registry holds the identifiers that --write-import writes, and nobody else writes them.
/// Each write makes a version of one identifier; an answer has to be of the version whose write
/// was acknowledged last before the query was sent, or of one whose write was under way until
/// the answer came. So have zone transfers (AXFR and IXFR by turns, by dig) and, at the end, an
/// export of the registry and one query for every identifier.
///
/// Exit status: 0 everything was right; 1 something was wrong, a query stayed unanswered that the
/// kernel has not dropped, a write failed, or the load was not reached; 2 the command line or a
/// file named on it cannot be used.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The node's gRPC address, and the operator's credential
    #[command(flatten)]
    global: Global,
    /// The node's DNS address
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5353")]
    dns: SocketAddr,
    /// The node's zone
    #[arg(long, value_name = "NAME", default_value = "id.example.")]
    zone: String,
    /// The prefix of the identifiers, which is active
    #[arg(long, value_name = "PREFIX", default_value = "88.118.8")]
    prefix: String,
    /// Identifiers that were imported
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    identifiers: u32,
    /// Further ones, not registered at the beginning
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    absent: u32,
    /// Writes the file to import, and does nothing else
    #[arg(long, value_name = "FILE")]
    write_import: Option<PathBuf>,
    /// How long, seconds
    #[arg(long, value_name = "S", default_value_t = 600)]
    seconds: u64,
    /// Packets a second
    #[arg(long, value_name = "QPS", default_value_t = 30_000.0, value_parser = positive)]
    rate: f64,
    /// Of which this share is malformed
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    malformed: f64,
    /// Writes a second: creations, updates and deletions
    #[arg(long, value_name = "N", default_value_t = 200.0, value_parser = positive)]
    writes: f64,
    /// Seconds from one zone transfer to the next
    #[arg(long, value_name = "S", default_value_t = 10)]
    transfer_every: u64,
    /// What transfers
    #[arg(long, value_name = "FILE", default_value = "dig")]
    dig: PathBuf,
    /// Seed of all draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The node's process, whose memory is shown
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
}

/// Does the run, prints what came of it; whether everything was right.
pub(super) fn run(args: Args) -> Result<bool, Failure> {
    let names = Names {
        prefix: args.prefix.clone(),
        zone: args.zone.to_ascii_lowercase(),
    };
    if let Some(path) = &args.write_import {
        write_import(path, args.identifiers, &names)?;
        return Ok(true);
    }
    let as_json = args.global.json();
    let session = Session::new(args.global.clone());
    let session = session.map_err(|error| Failure::Usage(error.to_string()))?;
    let outcome = Mixed {
        model: Arc::new(Model::new(args.identifiers, args.absent)),
        names,
        session: Arc::new(session),
        args,
    }
    .run()?;
    match outcome.print(as_json) {
        // Whoever reads no further still learns whether all was right.
        Ok(()) | Err(Failure::ClosedPipe) => Ok(outcome.is_right()),
        Err(failure) => Err(failure),
    }
}

/// Everything registered, in version 1, as `idctl import` reads it.
fn write_import(path: &Path, identifiers: u32, names: &Names) -> Result<(), Failure> {
    let broken = || Failure::io(path.display().to_string());
    let file = std::fs::File::create(path).map_err(broken())?;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, file);
    writeln!(out, "identifier,index,type,data,ttl").map_err(broken())?;
    for number in 0..identifiers {
        let identifier = names.identifier(number);
        for (index, link) in (1..).zip(model::links(number, 1)) {
            let ttl_s = model::ttl_s(1);
            writeln!(out, "{identifier},{index},URL,{link},{ttl_s}").map_err(broken())?;
        }
    }
    out.flush().map_err(broken())
}

struct Mixed {
    args: Args,
    model: Arc<Model>,
    names: Names,
    session: Arc<Session>,
}

impl Mixed {
    fn run(self) -> Result<Outcome, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(Failure::io("starting"))?;
        // Whatever is there at the beginning is what the model says.
        let found = runtime.block_on(writes::compare(&self.session, &self.model, &self.names))?;
        if let Some(first) = found.first() {
            let text = format!("the registry does not hold the identifiers: {first}");
            return Err(Failure::Usage(text));
        }
        let memory = |pid: Option<u32>| pid.and_then(kernel::memory);
        let memory_before = memory(self.args.server_pid);
        let server_ports = [self.args.dns.port()];
        let drops_before = kernel::drops(&server_ports);

        let stop = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            session: Arc::clone(&self.session),
            model: Arc::clone(&self.model),
            names: self.names.clone(),
            rate: self.args.writes,
            seed: self.args.seed.wrapping_add(1),
        };
        let writing = runtime.spawn(writer.run(Arc::clone(&stop)));
        let secondary = self.secondary();
        let (seen, transferred) = std::thread::scope(|scope| {
            let transferring = scope.spawn(|| secondary.run(&self.model, &self.names, &stop));
            let seen = load::run(&self.plan(), &self.model, &self.names, &stop);
            stop.store(true, Ordering::Relaxed);
            (seen, transferring.join())
        });
        let seen = seen?;
        let panicked = |_| Failure::Protocol("the transfers have panicked".to_owned());
        let transferred = transferred.map_err(panicked)?;
        let written = runtime.block_on(writing);
        let written = written.map_err(|error| Failure::Protocol(error.to_string()))??;
        // The load's own sockets are closed: what they dropped went with them, and it counted.
        let drops = seen.client_drops + kernel::drops(&server_ports) - drops_before;
        let memory_after = memory(self.args.server_pid);

        let registry =
            runtime.block_on(writes::compare(&self.session, &self.model, &self.names))?;
        let at_the_end = load::run(
            &self.plan_of_the_end(),
            &self.model,
            &self.names,
            &AtomicBool::new(false),
        )?;
        Ok(Outcome {
            seconds: self.args.seconds as f64,
            rate_qps: self.args.rate,
            malformed_share: self.args.malformed,
            writes_per_s: self.args.writes,
            seen,
            written,
            transferred,
            drops,
            memory_before,
            memory_after,
            registry,
            at_the_end,
        })
    }

    fn plan(&self) -> Plan {
        Plan {
            server: self.args.dns,
            rate_qps: self.args.rate,
            duration_ns: self.args.seconds.saturating_mul(1_000_000_000),
            seed: self.args.seed,
            choice: Choice::Mixed {
                malformed: self.args.malformed,
            },
        }
    }

    fn plan_of_the_end(&self) -> Plan {
        Plan {
            duration_ns: u64::MAX,
            choice: Choice::All,
            ..self.plan()
        }
    }

    fn secondary(&self) -> Secondary {
        Secondary {
            dig: self.args.dig.clone(),
            server: self.args.dns,
            every: Duration::from_secs(self.args.transfer_every),
        }
    }
}
