//! `idctl batch-resolve`: many identifiers over one stream.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use idnode_proto::api::batch_resolve_request::Item;
use idnode_proto::api::batch_resolve_response::Item as ResultItem;
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
    let mut waiting = Waiting::default();
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
            waiting.messages.push_back(identifiers.into());
            // The channel holds as many as are let in flight; it is closed when the call is over,
            // and then the call says why.
            let _ = requests.send(request).await;
        }
        if run.ended && waiting.messages.is_empty() {
            break;
        }
        if let Some(call) = call.take() {
            answers = Some(call.await?.into_inner());
        }
        let Some(stream) = answers.as_mut() else {
            break;
        };
        tokio::select! {
            batch = run.next_batch(), if !run.ended && waiting.messages.len() < IN_FLIGHT => {
                pending = batch?;
            }
            answer = stream.message(), if !waiting.messages.is_empty() => {
                let answer = answer?.ok_or_else(|| {
                    Failure::Answer("the node ended the stream before the last answer".to_owned())
                })?;
                for (identifier, result) in waiting.take(answer.items)? {
                    run.print(&identifier, result)?;
                }
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

/// What was asked and is not answered yet, message by message in the order of asking.
#[derive(Default)]
struct Waiting {
    messages: VecDeque<VecDeque<String>>,
    next_id: u64,
}

impl Waiting {
    /// Puts results to the identifiers they are of. A node answers every item in its order, but
    /// may spread the answers to one message over several, and never answers two in one.
    fn take(&mut self, items: Vec<ResultItem>) -> Result<Vec<(String, ItemResult)>, Failure> {
        let mut asked = self.messages.pop_front().unwrap_or_default();
        if items.is_empty() || items.len() > asked.len() {
            return Err(Failure::Answer(format!(
                "the node answered {} items where {} were open",
                items.len(),
                asked.len()
            )));
        }
        let mut answered = Vec::with_capacity(items.len());
        for (item, identifier) in items.into_iter().zip(asked.drain(..answered.capacity())) {
            if item.id != self.next_id {
                let (id, expected) = (item.id, self.next_id);
                return Err(Failure::Answer(format!(
                    "the node answered item {id} where {expected} was next"
                )));
            }
            self.next_id += 1;
            let left_open = || Failure::Answer("the node left an item open".to_owned());
            answered.push((identifier, item.result.ok_or_else(left_open)?));
        }
        if !asked.is_empty() {
            self.messages.push_front(asked);
        }
        Ok(answered)
    }
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

    fn print(&mut self, identifier: &str, result: ItemResult) -> Result<(), Failure> {
        match &result {
            ItemResult::Response(answer) => self
                .session
                .out
                .stream(|| resolved(identifier, answer), || lines(answer)),
            ItemResult::Error(error) => {
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
                )
            }
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn results(ids: std::ops::Range<u64>) -> Vec<ResultItem> {
        ids.map(|id| ResultItem {
            id,
            result: Some(ItemResult::Response(ResolveResponse::default())),
        })
        .collect()
    }

    fn waiting() -> Waiting {
        let message = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Waiting {
            messages: [message(&["a", "b", "c"]), message(&["d"])].into(),
            next_id: 0,
        }
    }

    fn names(taken: Vec<(String, ItemResult)>) -> Vec<String> {
        taken.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn one_message_may_be_answered_by_several() {
        let mut waiting = waiting();
        assert_eq!(names(waiting.take(results(0..1)).unwrap()), ["a"]);
        assert_eq!(waiting.messages.len(), 2);
        assert_eq!(names(waiting.take(results(1..3)).unwrap()), ["b", "c"]);
        assert_eq!(names(waiting.take(results(3..4)).unwrap()), ["d"]);
        assert!(waiting.messages.is_empty());
    }

    #[test]
    fn answers_that_fit_no_question_are_refused() {
        assert!(waiting().take(results(0..4)).is_err());
        assert!(waiting().take(results(0..0)).is_err());
        assert!(waiting().take(results(1..2)).is_err());
        let open = vec![ResultItem {
            id: 0,
            result: None,
        }];
        assert!(waiting().take(open).is_err());
    }
}
