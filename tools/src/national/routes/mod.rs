//! Routes between nodes: who runs them and where they resolve what, taken from each of them and
//! told to all others.
//!
//! | module | holds |
//! |---|---|
//! | [`directory`] | what nodes have announced |
//! | `stream` | what one node is told of the others |
//!
//! Faults of the channel `routes`, of an announcement: `drop` takes it and never answers, `delay` and
//! `reorder` answer late, `duplicate` takes it twice, `half-answer` takes it and breaks off,
//! `wrong-answer` takes nothing and answers another one, `down` takes nothing. Of an update of
//! siblings: `drop` leaves it out, `delay` sends it late, `duplicate` twice, `reorder` behind the
//! next one, `half-answer` by half and ends the stream, `wrong-answer` sends what does not follow,
//! `down` ends the stream. Updates without changes, which come every five seconds, use up no fault.

pub mod directory;
mod stream;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Form, Router};
use idnode_proto::api::route_service_server::{RouteService, RouteServiceServer};
use idnode_proto::api::{
    AnnounceRequest, AnnounceResponse, AnnouncementVerdict, SiblingUpdate, WatchSiblingsRequest,
};
use idnode_proto::routes::held::MAX_BYTES;
use serde::Deserialize;
use serde_json::Value;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::faults::{Channel, Faults};
use super::uplink::peer::Members;
use super::{Failure, Part, Shared, Started};
use directory::{Directory, Taken};

/// Updates that wait for a node to read them.
const WAITING: usize = 4;

/// The service, for the listener of streams, and its part of the page.
#[must_use]
pub fn service(shared: &Shared, members: &Arc<Members>) -> (RouteServiceServer<Desk>, Started) {
    let desk = Desk {
        directory: shared.directory.clone(),
        members: members.clone(),
        faults: shared.faults.clone(),
    };
    let started = Started {
        part: Arc::new(desk.clone()),
        addresses: Vec::new(),
        tasks: Vec::new(),
    };
    let service = RouteServiceServer::new(desk)
        .max_decoding_message_size(MAX_BYTES)
        .max_encoding_message_size(MAX_BYTES);
    (service, started)
}

/// Answers nodes.
#[derive(Debug, Clone)]
pub struct Desk {
    directory: Arc<Directory>,
    members: Arc<Members>,
    faults: Arc<Faults>,
}

impl Desk {
    async fn take(&self, request: AnnounceRequest) -> Result<AnnounceResponse, Status> {
        let announcement = request.announcement.unwrap_or_default();
        let (directory, members) = (self.directory.clone(), self.members.clone());
        let taken = tokio::task::spawn_blocking(move || {
            let digest = announcement.digest.clone();
            Ok::<_, Failure>((digest, directory.take(announcement, &members)?))
        });
        let taken = taken.await.map_err(|it| Status::internal(it.to_string()))?;
        let (digest, taken) = taken.map_err(|it| Status::internal(it.to_string()))?;
        let (verdict, flaw) = match taken {
            Taken::New => (AnnouncementVerdict::Taken, None),
            Taken::Known => (AnnouncementVerdict::Known, None),
            Taken::Refused(flaw) => (AnnouncementVerdict::Refused, Some(flaw)),
        };
        let (field, reason) = flaw.map_or_else(Default::default, |it| (it.field, it.reason));
        Ok(AnnounceResponse {
            verdict: verdict.into(),
            field,
            reason,
            digest,
        })
    }
}

#[tonic::async_trait]
impl RouteService for Desk {
    async fn announce(
        &self,
        request: Request<AnnounceRequest>,
    ) -> Result<tonic::Response<AnnounceResponse>, Status> {
        let named = request.get_ref().announcement.as_ref();
        let node = named.map_or("", |it| it.node.as_str()).to_owned();
        self.members.check(&request, &node)?;
        let request = request.into_inner();
        let wrong = AnnounceResponse {
            verdict: AnnouncementVerdict::Taken.into(),
            digest: "0".repeat(64),
            ..AnnounceResponse::default()
        };
        let take = || self.take(request.clone());
        let answer = self.faults.call(Channel::Routes, take, wrong).await?;
        Ok(tonic::Response::new(answer))
    }

    type WatchSiblingsStream = ReceiverStream<Result<SiblingUpdate, Status>>;

    async fn watch_siblings(
        &self,
        request: Request<WatchSiblingsRequest>,
    ) -> Result<tonic::Response<Self::WatchSiblingsStream>, Status> {
        let node = request.get_ref().node.clone();
        self.members.check(&request, &node)?;
        if self.faults.is_down(Channel::Routes) {
            self.faults.next(Channel::Routes);
            return Err(Status::unavailable("down"));
        }
        let (sender, updates) = tokio::sync::mpsc::channel(WAITING);
        let telling = stream::Telling::new(
            self.directory.clone(),
            self.faults.clone(),
            request.into_inner(),
            sender,
        );
        tokio::spawn(telling.run());
        Ok(tonic::Response::new(ReceiverStream::new(updates)))
    }
}

impl Part for Desk {
    fn name(&self) -> &'static str {
        "routes"
    }

    fn status(&self) -> Result<Value, Failure> {
        Ok(self.directory.status())
    }

    fn section(&self) -> Result<String, Failure> {
        Ok(self.directory.section())
    }

    fn routes(&self) -> Router {
        Router::new()
            .route("/routes/forget", post(forget))
            .with_state(self.directory.clone())
    }
}

/// Which node is forgotten.
#[derive(Debug, Deserialize)]
struct Forgotten {
    node: String,
}

/// `POST /routes/forget`, with `node`: what a node has announced is forgotten; it is told so, and
/// announces it again.
async fn forget(
    State(directory): State<Arc<Directory>>,
    Form(Forgotten { node }): Form<Forgotten>,
) -> Response {
    let done = tokio::task::spawn_blocking(move || directory.forget(&node)).await;
    match done {
        Ok(Ok(true)) => StatusCode::NO_CONTENT.into_response(),
        Ok(Ok(false)) => StatusCode::NOT_FOUND.into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
