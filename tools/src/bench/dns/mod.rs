//! `idbench dns`: load over DNS.
//!
//! | module | holds |
//! |---|---|
//! | `questions` | what is asked, from a file; queries on the wire |
//! | `answer` | answers and the queries they belong to |
//! | `https` | DNS over HTTPS |

mod answer;
mod https;
pub(super) mod questions;

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::error::Failure;
use super::load::{Load, Run};
use super::protocol::Protocol;
use super::run::{Job, Sender, block_on};
use super::tally::{Seen, Tally};
use super::tls::{self, Tls};
use super::window::Window;
use super::{stream, udp};
use questions::{Questions, Shape};

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
    #[command(flatten)]
    load: Load,
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
    /// Write what was answered to each question into this file, in their order: the question's
    /// number from 0, response code, records of the answer, authority and additional sections,
    /// and TC if it was set
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
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

/// What is asked over DNS.
#[derive(Debug)]
struct Dns {
    questions: Questions,
    shape: Shape,
    /// Where DNS over HTTPS is asked.
    url: String,
}

impl Protocol for Dns {
    fn questions(&self) -> u32 {
        self.questions.count()
    }

    fn push_datagram(&self, into: &mut Vec<u8>, id: u16, question: u32) {
        self.shape
            .push_query(into, id, self.questions.get(question));
    }

    /// Two bytes of length before each message (RFC 7766 §8).
    fn push_on_stream(&self, into: &mut Vec<u8>, id: u16, question: u32) {
        let at = into.len();
        into.extend_from_slice(&[0, 0]);
        let length = self
            .shape
            .push_query(into, id, self.questions.get(question));
        if let Some(place) = into.get_mut(at..at + 2) {
            place.copy_from_slice(&(length as u16).to_be_bytes());
        }
    }

    fn split<'b>(&self, received: &'b [u8]) -> io::Result<Option<(&'b [u8], &'b [u8])>> {
        let split = received.split_first_chunk::<2>();
        Ok(split.and_then(|(length, body)| {
            body.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        }))
    }

    fn count(&self, answer: &[u8], window: &mut Window, tally: &mut Tally, now_ns: u64) {
        answer::count(answer, window, &self.questions, tally, now_ns);
    }
}

/// Does the run and prints what came of it.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.dnssec_ok && args.edns == 0 {
        return Err(Failure::Usage("--dnssec-ok needs EDNS".to_owned()));
    }
    let job = args.job()?;
    let run = Run {
        load: &args.load,
        conditions: args.conditions(&job),
        code_name: rcode_name,
    };
    let report = run.measure(&job, |job, sender| args.send(job, sender))?;
    if let Some(path) = &args.answers {
        write_answers(path, &report.tally.answers)?;
    }
    report.print(args.load.json)
}

impl Args {
    fn job(&self) -> Result<Job<Dns>, Failure> {
        let alpn = self.transport.alpn();
        let tls = alpn.map(|alpn| Tls::new(&self.tls, self.server, Some(alpn)));
        let dns = Dns {
            questions: Questions::read(&self.names)?,
            shape: Shape {
                edns_bytes: (self.edns > 0).then_some(self.edns),
                dnssec_ok: self.dnssec_ok,
                recursion: self.recursion,
            },
            url: format!("https://{}{}", self.server, self.path),
        };
        Ok(Job {
            tls: tls.transpose()?,
            keeps_answers: self.answers.is_some(),
            ..self.load.job(self.server, Arc::new(dns))
        })
    }

    fn send(&self, job: &Job<Dns>, sender: Sender) -> Result<Tally, Failure> {
        match (self.transport, &job.tls) {
            (Transport::Udp, _) => udp::run(job, sender),
            (Transport::Https, Some(tls)) => block_on(https::run(job, tls, sender)),
            _ => block_on(stream::run(job, sender)),
        }
    }

    /// What the result's reader has to know.
    fn conditions(&self, job: &Job<Dns>) -> Vec<(&'static str, Value)> {
        let transport = format!("{:?}", self.transport).to_lowercase();
        vec![
            ("server", json!(self.server.to_string())),
            ("transport", json!(transport)),
            ("questions", json!(job.protocol.questions())),
        ]
    }
}

/// One line for each question that was answered.
fn write_answers(path: &Path, answers: &[Option<Seen>]) -> Result<(), Failure> {
    let mut text = String::new();
    for (number, seen) in answers.iter().enumerate() {
        let Some(seen) = seen else { continue };
        let rcode = rcode_name(seen.code.into());
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

/// The mnemonic of a response code of the header (RFC 6895 §2.3).
fn rcode_name(code: usize) -> String {
    let names = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
        "NXRRSET", "NOTAUTH", "NOTZONE",
    ];
    names
        .get(code)
        .map_or_else(|| format!("RCODE{code}"), |name| (*name).to_owned())
}
