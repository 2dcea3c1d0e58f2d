//! `idbench handle`: resolutions over the Handle protocol and its HTTP JSON API.
//!
//! | module | holds |
//! |---|---|
//! | `handles` | what is asked: handles that are registered, and some that are not |
//! | `create` | `idbench create`: registrations over both |
//! | `native` | the Handle protocol, over UDP, TCP and TLS |
//! | `http` | GET /api/handles, over HTTP/1.1 |

pub(super) mod create;
mod handles;
mod http;
mod native;

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::error::Failure;
use super::load::{Load, Run};
use super::protocol::Protocol;
use super::run::block_on;
use super::tls::{self, Tls};
use super::{stream, udp};
use handles::Handles;
use http::Http;
use native::Native;

/// Resolves handles: as fast as the server answers, or so many a second.
///
/// Loops and latencies are those of `idbench dns`. Handles come from --handles, or from
/// --pattern and --count; --missing makes some of the questions ask for handles that are not
/// registered. Over UDP, TCP and TLS answers are matched by request ID, over HTTP by their order
/// on a connection. An answer with another code than the question should get is mismatched, as
/// is one that names another handle.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The server's address and port
    #[arg(long, value_name = "ADDRESS:PORT")]
    server: SocketAddr,
    /// What carries the requests
    #[arg(long, value_enum, default_value_t = Transport::Udp)]
    transport: Transport,
    #[command(flatten)]
    what: handles::Args,
    #[command(flatten)]
    load: Load,
    /// Requests after which a connection is closed and another opened: 1 for a connection a
    /// request [default: none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    per_connection: Option<u64>,
    #[command(flatten)]
    tls: tls::Args,
}

/// What carries the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Transport {
    /// Datagrams, in batches
    Udp,
    /// Connections, pipelined as far as --in-flight exceeds --connections
    Tcp,
    /// The same over TLS
    Tls,
    /// GET /api/handles, likewise
    Http,
}

/// Does the run and prints what came of it.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let handles = Handles::new(&args.what)?;
    match args.transport {
        Transport::Http => args.measure(Http::new(handles, args.server), http::code_name),
        _ => args.measure(Native::new(handles)?, native::code_name),
    }
}

impl Args {
    fn measure<P: Protocol>(
        &self,
        protocol: P,
        code_name: fn(usize) -> String,
    ) -> Result<(), Failure> {
        let tls = (self.transport == Transport::Tls)
            .then(|| Tls::new(&self.tls, self.server, None))
            .transpose()?;
        let mut job = self.load.job(self.server, Arc::new(protocol));
        job.tls = tls;
        job.per_connection = self.per_connection;
        let run = Run {
            load: &self.load,
            conditions: self.conditions(job.protocol.questions()),
            code_name,
        };
        let report = run.measure(&job, |job, sender| match self.transport {
            Transport::Udp => udp::run(job, sender),
            _ => block_on(stream::run(job, sender)),
        })?;
        report.print(self.load.json)
    }

    /// What the result's reader has to know.
    fn conditions(&self, questions: u32) -> Vec<(&'static str, Value)> {
        let transport = format!("{:?}", self.transport).to_lowercase();
        let mut conditions = vec![
            ("server", json!(self.server.to_string())),
            ("transport", json!(transport)),
            ("questions", json!(questions)),
        ];
        if let Some(count) = self.per_connection {
            conditions.push(("per_connection", json!(count)));
        }
        conditions
    }
}
