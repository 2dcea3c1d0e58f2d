//! Import (批量注册): chunks are checked beside each other and beside the writer, handed to the
//! writer in order, and answered in order.

use super::auth;
use super::call::{Api, draining};
use super::convert::{self, unnamed, value};
use super::identifiers::{draft, now_s};
use super::status::{self, MAX_ITEM_MESSAGE_BYTES, Refused, Result, clipped};
use bytes::BytesMut;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use idnode_proto::api;
use idnode_proto::api::import_item_result::Status as ItemStatus;
use idnode_proto::api::import_request::Message as Inbound;
use idnode_proto::api::import_response::Message as Outbound;
use idnode_proto::import::{ImportChunk, ItemRef, ItemValue};
use idnode_proto::value::ValueParts;
use idnode_registry::Error;
use idnode_registry::write::{
    Command, Draft, Idempotency, ImportMode, ImportStatus, ItemError, ItemResult, Outcome, Receipt,
};
use prost::Message;
use std::time::Instant;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tonic::metadata::MetadataMap;
use tonic::{Status, Streaming};

/// Longest name of an import, bytes.
const MAX_IMPORT_ID_BYTES: usize = 64;

/// The answers to an import. It ends when the chunks do and all are answered, with the first
/// chunk that is wrong as a whole, or when the node drains; what is committed by then stays.
pub(super) fn answers(
    api: Api,
    metadata: MetadataMap,
    inbound: Streaming<api::ImportRequest>,
) -> impl Stream<Item = std::result::Result<api::ImportResponse, Status>> {
    let import = Import {
        api,
        metadata,
        inbound,
        name: None,
        next_number: None,
        checking: FuturesOrdered::new(),
        writing: FuturesOrdered::new(),
        reading: true,
        failed: None,
    };
    futures_util::stream::unfold(import, |mut import| async move {
        let answer = import.next().await.transpose()?;
        let answer = answer.map(|message| api::ImportResponse {
            message: Some(message),
        });
        Some((answer.map_err(Refused::into_status), import))
    })
}

/// What the first message says.
#[derive(Debug, Clone)]
struct ImportName {
    import_id: String,
    mode: ImportMode,
}

struct Import {
    api: Api,
    metadata: MetadataMap,
    inbound: Streaming<api::ImportRequest>,
    /// Known from the first message on.
    name: Option<ImportName>,
    /// The number the next chunk must have, from the first chunk on.
    next_number: Option<u64>,
    checking: FuturesOrdered<JoinHandle<Checked>>,
    writing: FuturesOrdered<BoxFuture<'static, Result<api::ImportChunkResult>>>,
    /// Whether more messages are taken.
    reading: bool,
    /// Why none is taken any more, said after the answers of the chunks under way.
    failed: Option<Refused>,
}

/// A chunk, ready for the writer.
struct Checked {
    number: u64,
    lines: Vec<u64>,
    items: Vec<std::result::Result<Draft, ItemError>>,
    idempotency: Option<Idempotency>,
    received: Instant,
}

impl Import {
    /// The next answer; `None` after the last one.
    async fn next(&mut self) -> Result<Option<Outbound>> {
        loop {
            let under_way = self.checking.len() + self.writing.len();
            if !self.reading && under_way == 0 {
                return self.failed.take().map_or(Ok(None), Err);
            }
            let room = under_way < self.api.options.max_in_flight_imports.max(1);
            tokio::select! {
                biased;
                Some(written) = self.writing.next(), if !self.writing.is_empty() => match written {
                    Ok(result) => return Ok(Some(Outbound::Result(result))),
                    Err(refused) => return Err(self.give_up(refused)),
                },
                Some(checked) = self.checking.next(), if !self.checking.is_empty() => match checked {
                    Ok(checked) => self.hand_in(checked),
                    Err(_) => {
                        let lost = Error::Storage("the check of a chunk ended without a result".into());
                        return Err(self.give_up(lost.into()));
                    }
                },
                () = self.api.shutdown.cancelled(), if self.reading => self.stop(draining()),
                message = self.inbound.message(), if self.reading && room => match message {
                    Ok(None) => self.reading = false,
                    Ok(Some(api::ImportRequest { message })) => match self.take(message) {
                        Ok(None) => {}
                        Ok(started) => return Ok(started),
                        Err(refused) => self.stop(refused),
                    },
                    Err(status) => self.stop(Refused::Transport(status)),
                },
            }
        }
    }

    /// Takes no more messages.
    fn stop(&mut self, refused: Refused) {
        self.reading = false;
        self.failed = Some(refused);
    }

    /// Ends the stream at once.
    fn give_up(&mut self, refused: Refused) -> Refused {
        self.reading = false;
        self.failed = None;
        self.checking = FuturesOrdered::new();
        self.writing = FuturesOrdered::new();
        refused
    }

    /// One message of the client.
    fn take(&mut self, message: Option<Inbound>) -> Result<Option<Outbound>> {
        match (message, self.name.clone()) {
            (Some(Inbound::Start(start)), None) => self.start(start).map(Some),
            (Some(Inbound::Chunk(chunk)), Some(name)) => self.check(chunk, name).map(|()| None),
            (Some(Inbound::Chunk(_)) | None, None) => {
                Err(Error::invalid("start", "must be the first message").into())
            }
            (Some(Inbound::Start(_)), Some(_)) => {
                Err(Error::invalid("start", "may be the first message only").into())
            }
            (None, Some(_)) => Err(Error::invalid("chunk", "is missing").into()),
        }
    }

    fn start(&mut self, start: api::ImportStart) -> Result<Outbound> {
        let mode = match api::ImportMode::try_from(start.mode) {
            Ok(api::ImportMode::Unspecified | api::ImportMode::Create) => ImportMode::Create,
            Ok(api::ImportMode::Upsert) => ImportMode::Upsert,
            Err(_) => return Err(unnamed("start.mode", start.mode)),
        };
        if !(1..=MAX_IMPORT_ID_BYTES).contains(&start.import_id.len()) {
            let reason = format!(
                "is {} bytes, must be 1 to {MAX_IMPORT_ID_BYTES}",
                start.import_id.len()
            );
            return Err(Error::invalid("start.import_id", reason).into());
        }
        let caller = auth::known(&self.api.core, &self.metadata)?;
        let last_chunk = self
            .api
            .registry()
            .import_progress(&caller, &start.import_id)?;
        self.name = Some(ImportName {
            import_id: start.import_id,
            mode,
        });
        let bound = |bound: usize| u32::try_from(bound).unwrap_or(u32::MAX);
        Ok(Outbound::Started(api::ImportStarted {
            last_chunk,
            max_items: bound(self.api.options.batch_items),
            max_in_flight: bound(self.api.options.max_in_flight_imports.max(1)),
        }))
    }

    /// Begins to check a chunk's items, on a thread of its own.
    fn check(&mut self, chunk: ImportChunk, name: ImportName) -> Result<()> {
        let expected = self.next_number.unwrap_or(chunk.number.max(1));
        if chunk.number != expected {
            let reason = format!("is {}, the next one is {expected}", chunk.number);
            return Err(Error::invalid("chunk.number", reason).into());
        }
        let limit = self.api.options.batch_items;
        if chunk.is_empty() {
            return Err(Error::invalid("chunk.items", "must be at least one").into());
        }
        if chunk.len() > limit {
            metrics::counter!("idnode_bound_hits_total", "bound" => "limits.batch_items")
                .increment(1);
            return Err(Error::Bound {
                what: "items of one chunk".into(),
                limit: limit as u64,
            }
            .into());
        }
        self.next_number = Some(expected.saturating_add(1));
        self.checking
            .push_back(tokio::task::spawn_blocking(move || {
                checked(chunk, &name, now_s())
            }));
        Ok(())
    }

    /// Puts a checked chunk into the writer's queue, behind those before it.
    fn hand_in(&mut self, checked: Checked) {
        let mut writing = write(
            self.api.clone(),
            self.metadata.clone(),
            self.name.clone(),
            checked,
        )
        .boxed();
        // Polled once now: from here on it has its place in the queue.
        match writing.as_mut().now_or_never() {
            Some(written) => self.writing.push_back(std::future::ready(written).boxed()),
            None => self.writing.push_back(writing),
        }
    }
}

/// Checks every item of a chunk; one that is wrong in itself keeps its error and stops no other.
fn checked(chunk: ImportChunk, name: &ImportName, now_s: u32) -> Checked {
    let received = Instant::now();
    let key = format!("import/{}/{}", name.import_id, chunk.number);
    let kind = match name.mode {
        ImportMode::Create => "Import/create",
        ImportMode::Upsert => "Import/upsert",
    };
    let idempotency = Idempotency::of_pieces(key, kind, chunk.items());
    let mut drafts = Drafts {
        now_s,
        values: Vec::new(),
        parts: Vec::new(),
        // Encoded values are longer than those of a message, mostly by less than this.
        space: BytesMut::with_capacity(chunk.body_bytes() + chunk.len() * 64),
    };
    let (lines, items) = chunk
        .items()
        .map(|item| {
            let (line, draft) = drafts.take(item);
            (line, draft.map_err(Refused::into_import_item))
        })
        .unzip();
    Checked {
        number: chunk.number,
        lines,
        items,
        idempotency,
        received,
    }
}

/// Makes drafts of encoded items, with room that all of them share.
struct Drafts<'a> {
    now_s: u32,
    values: Vec<ItemValue<'a>>,
    parts: Vec<ValueParts<'a>>,
    space: BytesMut,
}

impl<'a> Drafts<'a> {
    /// The line and the draft of an item.
    fn take(&mut self, item: &'a [u8]) -> (u64, Result<Draft>) {
        let Some(read) = ItemRef::read(item, &mut self.values) else {
            return self.take_decoded(item);
        };
        (read.line, self.draft(&read))
    }

    fn draft(&mut self, item: &ItemRef<'_>) -> Result<Draft> {
        let identifier = convert::identifier(item.identifier, "identifier")?;
        value::parse_item(&mut self.values, &mut self.parts)?;
        let template = Some(item.template.to_owned()).filter(|name| !name.is_empty());
        let (parts, space) = (&mut self.parts, &mut self.space);
        Ok(Draft::of_parts(
            identifier, parts, template, self.now_s, space,
        )?)
    }

    /// The same for an item that [`ItemRef`] does not read.
    fn take_decoded(&self, item: &[u8]) -> (u64, Result<Draft>) {
        match api::ImportItem::decode(item) {
            Ok(item) => {
                let draft = draft(&item.identifier, &item.values, item.template, self.now_s);
                (item.line, draft)
            }
            Err(error) => {
                let malformed = Error::invalid("item", format!("is malformed: {error}"));
                (0, Err(malformed.into()))
            }
        }
    }
}

async fn write(
    api: Api,
    metadata: MetadataMap,
    name: Option<ImportName>,
    checked: Checked,
) -> Result<api::ImportChunkResult> {
    let Checked {
        number,
        lines,
        items,
        idempotency,
        received,
    } = checked;
    // Again for each chunk: a credential may be revoked while the stream goes on.
    let caller = auth::known(&api.core, &metadata)?;
    let ImportName { import_id, mode } = convert::required(name, "start")?;
    let command = Command::ImportChunk {
        import_id,
        number,
        mode,
        items,
    };
    let receipt = api.write(&caller, idempotency, command).await?;
    api.meter.count(received.elapsed(), status::Outcome::Ok);
    Ok(chunk_result(number, lines, receipt))
}

fn chunk_result(number: u64, lines: Vec<u64>, receipt: Receipt) -> api::ImportChunkResult {
    let answered = Some(convert::receipt(&receipt));
    let results = match receipt.outcome {
        Outcome::Import(results) => results,
        _ => Vec::new(),
    };
    let items = lines
        .into_iter()
        .zip(results)
        .map(
            |(line, ItemResult { status, error })| api::ImportItemResult {
                line,
                status: match status {
                    ImportStatus::Created => ItemStatus::Created,
                    ImportStatus::Updated => ItemStatus::Updated,
                    ImportStatus::Unchanged => ItemStatus::Unchanged,
                    ImportStatus::Rejected => ItemStatus::Rejected,
                }
                .into(),
                error: error.map(
                    |ItemError {
                         code,
                         reason,
                         field,
                         message,
                     }| {
                        let message = clipped(message, MAX_ITEM_MESSAGE_BYTES);
                        api::Error {
                            code,
                            reason,
                            message,
                            field,
                        }
                    },
                ),
            },
        );
    api::ImportChunkResult {
        number,
        receipt: answered,
        items: items.collect(),
    }
}
