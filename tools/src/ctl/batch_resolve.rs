//! `idctl batch-resolve`: many identifiers over one stream.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use idnode_proto::api::batch_resolve_request::Item;
use idnode_proto::api::batch_resolve_response::item::Result as ItemResult;
use idnode_proto::api::resolution_service_client::ResolutionServiceClient;
use idnode_proto::api::resolve_response::Outcome;
use idnode_proto::api::{BatchResolveRequest, ResolveResponse};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio_stream::wrappers::ReceiverStream;

use super::error::Failure;
use super::json;
use super::output::printable;
use super::resolve::{Filters, data_label};
use super::session::{MAX_ANSWER_BYTES, Session};

/// Resolve many identifiers over one stream.
///
/// Identifiers come one a line; answers are printed in their order: with --json one JSON line
/// each, else one line for each value. Exit status 3 when some were not resolved.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the identifiers are; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    filters: Filters,
    /// Identifiers in a message
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
}

/// Messages sent and not yet answered.
const IN_FLIGHT: usize = 4;
/// The longest line that is read, bytes: twice the longest handle.
const MAX_LINE_BYTES: u64 = 4096;

pub(crate) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let lines = open(&args.file)?;
    let mut client = ResolutionServiceClient::new(session.channel().await?)
        .max_decoding_message_size(MAX_ANSWER_BYTES);
    let (requests, outbound) = mpsc::channel(IN_FLIGHT);
    let call = client.batch_resolve(session.stream_request(ReceiverStream::new(outbound)));
    let mut run = Run {
        session,
        lines,
        batch: args.batch.into(),
        ended: false,
        unresolved: 0,
    };
    let mut waiting: VecDeque<Vec<String>> = VecDeque::new();
    let mut next_id = 0;

    // Servers may keep their headers until they have read something.
    let first = run.next_batch().await?;
    let mut pending = first;
    let mut answers = None;
    let mut call = Some(Box::pin(call));
    loop {
        if let Some(identifiers) = pending.take() {
            let items = identifiers
                .iter()
                .zip(next_id..)
                .map(|(identifier, id)| Item {
                    id,
                    request: Some(args.filters.request(identifier.clone())),
                });
            let request = BatchResolveRequest {
                items: items.collect(),
            };
            next_id += identifiers.len() as u64;
            waiting.push_back(identifiers);
            // The channel holds as many as are let in flight; it is closed when the call is over,
            // and then the call says why.
            let _ = requests.send(request).await;
        }
        if run.ended && waiting.is_empty() {
            break;
        }
        if let Some(call) = call.take() {
            answers = Some(call.await?.into_inner());
        }
        let Some(stream) = answers.as_mut() else {
            break;
        };
        tokio::select! {
            batch = run.next_batch(), if !run.ended && waiting.len() < IN_FLIGHT => {
                pending = batch?;
            }
            answer = stream.message(), if !waiting.is_empty() => {
                let answer = answer?.ok_or_else(|| {
                    Failure::Answer("the node ended the stream before the last answer".to_owned())
                })?;
                let identifiers = waiting.pop_front().unwrap_or_default();
                run.print(&identifiers, answer.items.into_iter().map(|item| item.result))?;
            }
        }
    }
    match run.unresolved {
        0 => Ok(()),
        1 => Err(Failure::Partly("1 identifier was not resolved".to_owned())),
        some => Err(Failure::Partly(format!(
            "{some} identifiers were not resolved"
        ))),
    }
}

/// Reads lines on a thread of their own: standard input cannot be read without waiting.
fn open(path: &PathBuf) -> Result<mpsc::Receiver<io::Result<String>>, Failure> {
    let mut input: Box<dyn BufRead + Send> = if path.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(path).map_err(|error| Failure::File {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Box::new(BufReader::new(file))
    };
    let (lines, receiver) = mpsc::channel(10_000);
    std::thread::spawn(move || {
        loop {
            let line = read_line(&mut *input);
            let last = !matches!(line, Ok(Some(_)));
            let Some(line) = line.transpose() else { break };
            let blank = matches!(&line, Ok(text) if text.is_empty());
            if !blank && lines.blocking_send(line).is_err() || last {
                break;
            }
        }
    });
    Ok(receiver)
}

/// The next line, without its end; a longer one than any identifier comes cut, to be refused.
fn read_line(input: &mut (impl BufRead + ?Sized)) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    io::Read::take(&mut *input, MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if !line.ends_with(b"\n") && line.len() as u64 == MAX_LINE_BYTES {
        input.skip_until(b'\n')?;
    }
    let text = String::from_utf8_lossy(&line);
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

struct Run<'a> {
    session: &'a Session,
    lines: mpsc::Receiver<io::Result<String>>,
    batch: usize,
    ended: bool,
    unresolved: u64,
}

impl Run<'_> {
    /// What has been read so far, at most a batch; waits for the first line only.
    async fn next_batch(&mut self) -> Result<Option<Vec<String>>, Failure> {
        let broken = |source| Failure::Io {
            what: "reading identifiers".to_owned(),
            source,
        };
        let Some(first) = self.lines.recv().await else {
            self.ended = true;
            return Ok(None);
        };
        let mut batch = vec![first.map_err(broken)?];
        while batch.len() < self.batch {
            match self.lines.try_recv() {
                Ok(line) => batch.push(line.map_err(broken)?),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.ended = true;
                    break;
                }
            }
        }
        Ok(Some(batch))
    }

    fn print(
        &mut self,
        identifiers: &[String],
        results: impl ExactSizeIterator<Item = Option<ItemResult>>,
    ) -> Result<(), Failure> {
        if results.len() != identifiers.len() {
            return Err(Failure::Answer(format!(
                "the node answered {} of {} identifiers of a message",
                results.len(),
                identifiers.len()
            )));
        }
        for (identifier, result) in identifiers.iter().zip(results) {
            match &result {
                Some(ItemResult::Response(answer)) => {
                    self.session
                        .out
                        .stream(|| resolved(identifier, answer), || lines(answer))?;
                }
                Some(ItemResult::Error(error)) => {
                    self.unresolved += 1;
                    self.session.out.stream(
                        || json!({"requested": identifier, "error": json::error(error)}),
                        || {
                            let reason = if error.reason.is_empty() {
                                "ERROR"
                            } else {
                                &error.reason
                            };
                            format!("{}\t!{reason}\t{}", printable(identifier), error.message)
                        },
                    )?;
                }
                None => return Err(Failure::Answer("the node left an item open".to_owned())),
            }
        }
        Ok(())
    }
}

fn resolved(requested: &str, answer: &ResolveResponse) -> Value {
    let mut document = json!({"requested": requested});
    if let (Some(fields), Value::Object(rest)) = (document.as_object_mut(), json::resolved(answer))
    {
        fields.extend(rest);
    }
    document
}

/// One line for each value: identifier, index, type and data, apart by tabs.
fn lines(answer: &ResolveResponse) -> String {
    let name = printable(&answer.identifier);
    match &answer.outcome {
        Some(Outcome::Record(record)) if !record.values.is_empty() => {
            let lines = record.values.iter().map(|value| {
                let data = printable(&data_label(value));
                format!(
                    "{name}\t{}\t{}\t{data}",
                    value.index,
                    printable(&value.r#type)
                )
            });
            lines.collect::<Vec<_>>().join("\n")
        }
        Some(Outcome::Referral(referral)) => {
            format!("{name}\t>\t{}", printable(&referral.prefix))
        }
        _ => format!("{name}\t-"),
    }
}
