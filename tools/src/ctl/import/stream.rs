//! The `Import` call with chunks that are encoded already, so that they can be sent again as
//! they are.

use bytes::{BufMut as _, Bytes};
use idnode_proto::api::import_response::Message;
use idnode_proto::api::{
    ImportRequest, ImportResponse, ImportStart, ImportStarted, import_request,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{GrpcMethod, Status};

use super::super::error::Failure;
use super::super::session::{MAX_ANSWER_BYTES, Session};
use super::state::State;

/// Chunks let on their way at most, whatever the node takes: each may be 3.5 MiB.
const MOST_IN_FLIGHT: usize = 16;

/// An open call.
pub(super) struct Upload {
    requests: mpsc::Sender<Bytes>,
    answers: Streaming<ImportResponse>,
    /// How many chunks may be on their way.
    pub(super) in_flight: usize,
    pub(super) started: ImportStarted,
}

impl Upload {
    /// Connects and says which import it is.
    pub(super) async fn open(session: &Session, state: &State) -> Result<Self, Failure> {
        let start = ImportStart {
            import_id: state.import_id.clone(),
            mode: idnode_proto::api::ImportMode::from_str_name(&state.mode)
                .unwrap_or_default()
                .into(),
        };
        let start = ImportRequest {
            message: Some(import_request::Message::Start(start)),
        };
        let (requests, outbound) = mpsc::channel(MOST_IN_FLIGHT + 1);
        requests
            .send(start.encode_to_vec().into())
            .await
            .map_err(|_| Failure::Answer("the call ended before it began".to_owned()))?;
        let opened = tokio::time::timeout(session.timeout(), async {
            let mut grpc =
                Grpc::new(session.channel().await?).max_decoding_message_size(MAX_ANSWER_BYTES);
            grpc.ready()
                .await
                .map_err(|error| Status::from_error(error.into()))?;
            let mut request = session.stream_request(ReceiverStream::new(outbound));
            request
                .extensions_mut()
                .insert(GrpcMethod::new("idnode.v1.IdentifierService", "Import"));
            let path = PathAndQuery::from_static("/idnode.v1.IdentifierService/Import");
            let mut answers = grpc.streaming(request, path, Encoded).await?.into_inner();
            let first = answers.message().await?;
            Ok::<_, Failure>((answers, first))
        });
        let (answers, first) = opened
            .await
            .map_err(|_| Failure::from(Status::deadline_exceeded("the import does not begin")))??;
        let Some(ImportResponse {
            message: Some(Message::Started(started)),
        }) = first
        else {
            return Err(Failure::Answer(
                "the node does not begin the import".to_owned(),
            ));
        };
        let in_flight = usize::try_from(started.max_in_flight).unwrap_or(MOST_IN_FLIGHT);
        Ok(Self {
            requests,
            answers,
            in_flight: in_flight.clamp(1, MOST_IN_FLIGHT),
            started,
        })
    }

    /// Sends a chunk. That the call is over shows in [`Upload::answer`].
    pub(super) async fn send(&self, request: Bytes) {
        let _ = self.requests.send(request).await;
    }

    /// The node's next answer.
    pub(super) async fn answer(&mut self) -> Result<Message, Failure> {
        match self.answers.message().await? {
            Some(ImportResponse {
                message: Some(message),
            }) => Ok(message),
            Some(_) => Err(Failure::Answer(
                "the node answers nothing to a chunk".to_owned(),
            )),
            None => Err(Status::unavailable("the node ended the import in the middle").into()),
        }
    }
}

/// Requests are bytes as they are; answers are decoded.
#[derive(Debug, Clone, Copy)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ImportResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, request: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.reserve(request.len());
        into.put(request);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = ImportResponse;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<ImportResponse>, Status> {
        ImportResponse::decode(from)
            .map(Some)
            .map_err(|error| Status::internal(format!("the node's answer is malformed: {error}")))
    }
}
