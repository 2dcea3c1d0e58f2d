//! The intake of changes: what nodes have registered, as their streams tell it, each change once.
//!
//! | module | holds |
//! |---|---|
//! | `store` | what is known: a database of its own, since it can be a hundred million rows |
//! | `apply` | what a message does to it |
//! | `known` | what of it others ask |
//! | `stream` | one stream, from hello to its end, and its faults |
//! | `shown` | what is shown of it, and a digest to compare it by |
//! | `lag` | how long changes took from the node to here |
//!
//! Faults of the channel `sync` here, where an exchange is a message of the stream and its answer:
//! `drop` carries it out and does not answer, `delay` answers late, `duplicate` answers twice, `reorder`
//! answers behind the next one, `half-answer` carries it out and ends the stream, `wrong-answer` carries
//! it out and acknowledges what never came, `down` takes nothing and ends streams.

mod apply;
mod known;
mod lag;
mod shown;
mod store;
mod stream;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use idnode_proto::api::change_intake_service_server::{
    ChangeIntakeService, ChangeIntakeServiceServer,
};
use idnode_proto::api::{TellChangesRequest, TellChangesResponse};
use serde_json::Value;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::faults::Faults;
use super::uplink::MESSAGE_LIMIT_BYTES;
use super::uplink::peer::Members;
use super::{Failure, Part, Shared};
use lag::Lags;
use store::Store;

/// The intake.
#[derive(Debug, Clone)]
pub struct Intake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    members: Arc<Members>,
    faults: Arc<Faults>,
    lags: Lags,
    /// The number of each node's latest stream: an older one has nothing to say any more.
    turns: Mutex<BTreeMap<String, Turn>>,
}

/// A node's latest stream.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    number: u64,
    is_open: bool,
}

impl Intake {
    /// Opens what is known.
    ///
    /// # Errors
    /// The database is open elsewhere, or is none.
    pub fn open(data_dir: &Path, shared: &Shared, members: &Arc<Members>) -> Result<Self, Failure> {
        let inner = Inner {
            store: Store::open(&data_dir.join("changes.redb"))?,
            members: members.clone(),
            faults: shared.faults.clone(),
            lags: Lags::default(),
            turns: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Its service.
    pub fn service(&self) -> ChangeIntakeServiceServer<Self> {
        ChangeIntakeServiceServer::new(self.clone())
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
            .max_encoding_message_size(MESSAGE_LIMIT_BYTES)
    }
}

impl Inner {
    /// A new stream of a node: its number.
    fn next_turn(&self, node: &str) -> u64 {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(node.to_owned()).or_default();
        turn.number += 1;
        turn.is_open = true;
        turn.number
    }

    /// Whether it is still a stream's turn.
    fn is_turn_of(&self, node: &str, number: u64) -> bool {
        self.turn(node).number == number
    }

    /// A stream is over.
    fn ends(&self, node: &str, number: u64) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get_mut(node).filter(|turn| turn.number == number) {
            turn.is_open = false;
        }
    }

    fn turn(&self, node: &str) -> Turn {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.get(node).copied().unwrap_or_default()
    }
}

#[tonic::async_trait]
impl ChangeIntakeService for Intake {
    type TellChangesStream = ReceiverStream<Result<TellChangesResponse, Status>>;

    async fn tell_changes(
        &self,
        request: Request<Streaming<TellChangesRequest>>,
    ) -> Result<Response<Self::TellChangesStream>, Status> {
        stream::begin(self.inner.clone(), request).await
    }
}

impl Part for Intake {
    fn name(&self) -> &'static str {
        "changes"
    }

    fn status(&self) -> Result<Value, Failure> {
        shown::status(&self.inner)
    }

    fn section(&self) -> Result<String, Failure> {
        shown::section(&self.inner)
    }

    fn routes(&self) -> Router {
        shown::routes(self.inner.clone())
    }
}
