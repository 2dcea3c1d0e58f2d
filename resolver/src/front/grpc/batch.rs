//! BatchResolve: many identifiers a message, answered in order.

use super::auth;
use super::call::{Api, draining};
use super::resolution::{Asked, outcome, shown};
use super::status::{Refused, Result};
use crate::measure;
use futures_util::{StreamExt, stream};
use idnode_proto::api;
use idnode_proto::api::batch_resolve_request::Item as Question;
use idnode_proto::api::batch_resolve_response::{Item, item};
use idnode_registry::{Caller, Error};
use prost::Message;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio_stream::Stream;
use tonic::metadata::MetadataMap;
use tonic::{Status, Streaming};

/// Items looked up at a time: bounds both the disk reads under way and the answers held.
const WINDOW: usize = 64;
/// Bytes an item takes in a message beside its own: tag and length.
const ITEM_FRAME_BYTES: usize = 6;

/// The answers of a stream of questions. It ends when the questions do, with the first message
/// that is wrong as a whole, or when the node drains.
pub(super) fn answers(
    api: Api,
    metadata: MetadataMap,
    inbound: Streaming<api::BatchResolveRequest>,
    from: Option<IpAddr>,
) -> impl Stream<Item = std::result::Result<api::BatchResolveResponse, Status>> {
    let batch = Batch {
        api,
        metadata,
        inbound,
        message: None,
        work: Work::default(),
        full: None,
        ended: false,
    };
    stream::unfold(batch, move |mut batch| async move {
        let (answer, asked) = measure::asker::of_task(from, batch.next()).await;
        batch.measure(asked);
        let answer = answer.transpose()?;
        batch.ended |= answer.is_err();
        Some((answer.map_err(Refused::into_status), batch))
    })
}

struct Batch {
    api: Api,
    metadata: MetadataMap,
    inbound: Streaming<api::BatchResolveRequest>,
    /// The message that is being answered.
    message: Option<Asking>,
    /// What has been done for it.
    work: Work,
    /// Items that did not fit the answer before.
    full: Option<Vec<Item>>,
    ended: bool,
}

/// What was done for a message, without the time that its client has taken to read.
#[derive(Default)]
struct Work {
    /// When it was last taken up; `None`: nothing is done for a message.
    since: Option<Instant>,
    took: Duration,
    /// Resolutions.
    asked: measure::Asked,
}

/// A message that is being answered.
struct Asking {
    caller: Caller,
    /// The place of the next question in the message.
    position: usize,
    questions: std::vec::IntoIter<Question>,
}

impl Batch {
    /// The next answer: a whole message's items, or as many as one answer carries.
    async fn next(&mut self) -> Result<Option<api::BatchResolveResponse>> {
        if self.ended {
            return Ok(None);
        }
        let mut asking = match self.message.take() {
            Some(asking) => asking,
            None => match self.receive().await? {
                Some(asking) => asking,
                None => return Ok(None),
            },
        };
        self.work.since = Some(Instant::now());
        let limit = self.api.options.message_limit_bytes;
        let mut items = Vec::with_capacity(asking.questions.len().min(WINDOW));
        let mut bytes = 0;
        let mut window = self.full.take().unwrap_or_default().into_iter();
        loop {
            while let Some(item) = window.next() {
                let length = item.encoded_len() + ITEM_FRAME_BYTES;
                if bytes + length > limit && !items.is_empty() {
                    self.full = Some(std::iter::once(item).chain(window).collect());
                    self.message = Some(asking);
                    return Ok(Some(api::BatchResolveResponse { items }));
                }
                bytes += length;
                items.push(item);
            }
            if asking.questions.len() == 0 {
                return Ok(Some(api::BatchResolveResponse { items }));
            }
            window = self.answer_window(&mut asking).await.into_iter();
            // Ten thousand cache hits in a row must leave the thread to others in between.
            tokio::task::yield_now().await;
        }
    }

    /// An answer is made, with so many resolutions: where it is a message's last, what was done for
    /// the message is measured.
    fn measure(&mut self, asked: measure::Asked) {
        let Some(since) = self.work.since.take() else {
            return;
        };
        self.work.took += since.elapsed();
        self.work.asked.add(asked);
        if self.message.is_none() {
            let Work { took, asked, .. } = std::mem::take(&mut self.work);
            self.api.meter.count_message(took);
            measure::answered(took, asked);
        }
    }

    /// The next message, checked as a whole.
    async fn receive(&mut self) -> Result<Option<Asking>> {
        let message = tokio::select! {
            biased;
            () = self.api.shutdown.cancelled() => return Err(draining()),
            message = self.inbound.message() => message.map_err(Refused::Transport)?,
        };
        let Some(api::BatchResolveRequest { items }) = message else {
            return Ok(None);
        };
        let limit = self.api.options.batch_items;
        if items.len() > limit {
            metrics::counter!("idnode_bound_hits_total", "bound" => "limits.batch_items")
                .increment(1);
            return Err(Error::Bound {
                what: "items of one message".into(),
                limit: limit as u64,
            }
            .into());
        }
        if items.is_empty() {
            return Err(
                Error::invalid("items", "a message asks for at least one identifier").into(),
            );
        }
        // Again for each message: a credential may be revoked while the stream goes on.
        let caller = auth::caller(&self.api.core, &self.metadata)?;
        Ok(Some(Asking {
            caller,
            position: 0,
            questions: items.into_iter(),
        }))
    }

    /// Answers the next questions: what memory knows at once, the rest from the disk together.
    async fn answer_window(&self, asking: &mut Asking) -> Vec<Item> {
        let caller = &asking.caller;
        let first = asking.position;
        let questions = asking.questions.by_ref().take(WINDOW).zip(first..);
        let quick: Vec<(u64, usize, Quick)> = questions
            .map(|(question, at)| (question.id, at, self.answer_quickly(question, caller)))
            .collect();
        asking.position += quick.len();
        let answered = stream::iter(quick).map(|(id, position, quick)| async move {
            let result = match quick {
                Quick::Answered(result) => *result,
                Quick::Disk(asked) => self.api.resolve_from_disk(&asked.query(caller)).await,
            };
            self.api.meter.count_item(outcome(&result));
            let result = match result {
                Ok(response) => item::Result::Response(response),
                Err(refused) => {
                    item::Result::Error(refused.into_item(&format!("items[{position}].request")))
                }
            };
            Item {
                id,
                result: Some(result),
            }
        });
        answered.buffered(WINDOW).collect().await
    }

    fn answer_quickly(&self, question: Question, caller: &Caller) -> Quick {
        let parsed = question
            .request
            .ok_or_else(|| Error::invalid("identifier", "is missing").into())
            .and_then(Asked::parse)
            .and_then(Asked::without_recursion);
        let asked = match parsed {
            Ok(asked) => asked,
            Err(refused) => return Quick::Answered(Box::new(Err(refused))),
        };
        let query = asked.query(caller);
        match self.api.core.resolver.try_resolve(&query) {
            Some(answer) => {
                let result = answer
                    .map_err(Refused::from)
                    .and_then(|answer| shown(answer, &query));
                Quick::Answered(Box::new(result))
            }
            None => Quick::Disk(asked),
        }
    }
}

/// What memory said to a question.
enum Quick {
    Answered(Box<Result<api::ResolveResponse>>),
    Disk(Asked),
}
