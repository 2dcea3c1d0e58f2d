//! A stand-in node: `Import`, `Export`, `Resolve` and `BatchResolve` over identifiers in memory.
//! It checks almost nothing: what contains `bad` is rejected.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use idnode_proto::api::identifier_service_server::{IdentifierService, IdentifierServiceServer};
use idnode_proto::api::import_item_result::Status as ItemStatus;
use idnode_proto::api::resolution_service_server::{ResolutionService, ResolutionServiceServer};
use idnode_proto::api::*;
use idnode_proto::import::ImportChunk;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

type Stream<T> = Pin<Box<dyn futures_util::Stream<Item = Result<T, Status>> + Send>>;

/// What a test can ask of the node.
#[derive(Default)]
pub struct Behaviour {
    /// Breaks an import after so many chunks of one call, so many times.
    pub break_after: Option<(usize, usize)>,
    /// How long a chunk takes.
    pub chunk_takes: Duration,
    /// Chunks take no more items than this.
    pub max_items: u32,
}

/// What the node has and has seen.
#[derive(Default)]
pub struct State {
    pub behaviour: Behaviour,
    pub identifiers: BTreeMap<String, IdentifierRecord>,
    /// Import id and chunk number to what was answered.
    pub chunks: HashMap<(String, u64), ImportChunkResult>,
    /// Import ids, chunk numbers and numbers of items, in the order they came.
    pub received: Vec<(String, u64, usize)>,
    /// The `authorization` of each call.
    pub authorizations: Vec<Option<String>>,
    sequence: u64,
}

impl State {
    fn see<T>(&mut self, request: &Request<T>) {
        let header = request.metadata().get("authorization");
        self.authorizations
            .push(header.map(|value| value.to_str().unwrap().to_owned()));
    }

    fn commit(
        &mut self,
        import_id: &str,
        mode: ImportMode,
        chunk: ImportChunk,
    ) -> ImportChunkResult {
        let key = (import_id.to_owned(), chunk.number);
        self.received
            .push((key.0.clone(), chunk.number, chunk.len()));
        if let Some(done) = self.chunks.get(&key) {
            return done.clone();
        }
        self.sequence += 1;
        let items = chunk
            .decode_items()
            .unwrap()
            .into_iter()
            .map(|item| self.register(mode, item))
            .collect();
        let receipt = WriteReceipt {
            sequence: self.sequence,
            ..WriteReceipt::default()
        };
        let result = ImportChunkResult {
            number: chunk.number,
            receipt: Some(receipt),
            items,
        };
        self.chunks.insert(key, result.clone());
        result
    }

    fn register(&mut self, mode: ImportMode, item: ImportItem) -> ImportItemResult {
        let line = item.line;
        let reject = |reason: &str, field: &str| ImportItemResult {
            line,
            status: ItemStatus::Rejected.into(),
            error: Some(Error {
                code: Code::InvalidArgument.into(),
                reason: reason.to_owned(),
                message: "no".to_owned(),
                field: field.to_owned(),
            }),
        };
        if item.identifier.contains("bad") {
            return reject("INVALID_IDENTIFIER", "identifier");
        }
        if item.values.is_empty() {
            return reject("NO_VALUES", "values");
        }
        let live = self.identifiers.contains_key(&item.identifier);
        if live && mode != ImportMode::Upsert {
            return reject("IDENTIFIER_EXISTS", "identifier");
        }
        let mut values = item.values;
        for (index, value) in (1..).zip(&mut values) {
            if value.index == 0 {
                value.index = index;
            }
            value.ttl.get_or_insert(value::Ttl::TtlS(86_400));
            value.permissions.get_or_insert(14);
            if value.timestamp_s == 0 {
                value.timestamp_s = 1_767_225_600;
            }
        }
        let record = IdentifierRecord {
            identifier: item.identifier.clone(),
            values,
            template: item.template,
            version: self.sequence,
            ..IdentifierRecord::default()
        };
        self.identifiers.insert(item.identifier, record);
        let status = if live {
            ItemStatus::Updated
        } else {
            ItemStatus::Created
        };
        ImportItemResult {
            line,
            status: status.into(),
            error: None,
        }
    }

    fn resolve(&self, request: &ResolveRequest) -> Result<ResolveResponse, Status> {
        let record = self.identifiers.get(&request.identifier).ok_or_else(|| {
            let mut details = ErrorDetails::new();
            details.set_error_info(
                "IDENTIFIER_NOT_FOUND",
                "idnode",
                [("identifier".to_owned(), request.identifier.clone())],
            );
            details.add_bad_request_violation("identifier", "is not registered");
            Status::with_error_details(Code::NotFound, "there is no such identifier", details)
        })?;
        let all = request.types.is_empty() && request.indexes.is_empty();
        let mut values = record.values.clone();
        values.retain(|value| {
            all || request.types.contains(&value.r#type) || request.indexes.contains(&value.index)
        });
        Ok(ResolveResponse {
            identifier: record.identifier.clone(),
            scheme: Scheme::Handle.into(),
            outcome: Some(resolve_response::Outcome::Record(Record {
                values,
                version: record.version,
                ttl_s: 60,
                ..Record::default()
            })),
        })
    }
}

/// A node that runs until it is dropped.
pub struct Node {
    pub url: String,
    pub state: Arc<Mutex<State>>,
    _runtime: Runtime,
}

impl Node {
    pub fn start(behaviour: Behaviour) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        let state = Arc::new(Mutex::new(State {
            behaviour,
            ..State::default()
        }));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let node = StandIn(state.clone());
        let server = tonic::transport::Server::builder()
            .add_service(IdentifierServiceServer::new(node.clone()))
            .add_service(ResolutionServiceServer::new(node));
        runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self {
            url,
            state,
            _runtime: runtime,
        }
    }

    pub fn identifiers(&self) -> Vec<String> {
        self.state
            .lock()
            .unwrap()
            .identifiers
            .keys()
            .cloned()
            .collect()
    }

    /// How many times each chunk was committed, by number; and the import ids seen.
    pub fn imports(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let mut ids: Vec<_> = state.received.iter().map(|(id, _, _)| id.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

#[derive(Clone)]
struct StandIn(Arc<Mutex<State>>);

#[tonic::async_trait]
impl IdentifierService for StandIn {
    type ImportStream = Stream<ImportResponse>;
    type ExportStream = Stream<ExportResponse>;

    async fn import(
        &self,
        request: Request<Streaming<ImportRequest>>,
    ) -> Result<Response<Self::ImportStream>, Status> {
        self.0.lock().unwrap().see(&request);
        let mut requests = request.into_inner();
        let state = self.0.clone();
        let (answers, stream) = tokio::sync::mpsc::channel(64);
        tokio::spawn(async move {
            let (mut import_id, mut mode, mut chunks) = (String::new(), ImportMode::Create, 0);
            while let Some(Ok(ImportRequest { message })) = requests.next().await {
                let answer = match message.unwrap() {
                    import_request::Message::Start(start) => {
                        mode = start.mode();
                        import_id = start.import_id;
                        let state = state.lock().unwrap();
                        let known = state.chunks.keys().filter(|(id, _)| *id == import_id);
                        import_response::Message::Started(ImportStarted {
                            last_chunk: known.map(|(_, number)| *number).max().unwrap_or(0),
                            max_items: state.behaviour.max_items,
                            max_in_flight: 4,
                        })
                    }
                    import_request::Message::Chunk(chunk) => {
                        let takes = state.lock().unwrap().behaviour.chunk_takes;
                        tokio::time::sleep(takes).await;
                        let mut state = state.lock().unwrap();
                        let result = state.commit(&import_id, mode, chunk);
                        chunks += 1;
                        if let Some((after, times)) = &mut state.behaviour.break_after
                            && chunks > *after
                            && *times > 0
                        {
                            // Committed and not acknowledged.
                            *times -= 1;
                            let _ = answers.try_send(Err(Status::unavailable("draining")));
                            return;
                        }
                        import_response::Message::Result(result)
                    }
                };
                let _ = answers
                    .send(Ok(ImportResponse {
                        message: Some(answer),
                    }))
                    .await;
            }
        });
        Ok(Response::new(Box::pin(
            tokio_stream::wrappers::ReceiverStream::new(stream),
        )))
    }

    async fn export(
        &self,
        request: Request<ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let mut state = self.0.lock().unwrap();
        state.see(&request);
        let sequence = state.sequence;
        let prefix = request.into_inner().prefix;
        let records: Vec<_> = state.identifiers.values().cloned().collect();
        let records = records
            .into_iter()
            .filter(|r| r.identifier.starts_with(&prefix));
        let records: Vec<_> = records.collect();
        let pages: Vec<_> = records
            .chunks(3)
            .map(|page| {
                Ok(ExportResponse {
                    sequence,
                    identifiers: page.to_vec(),
                })
            })
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(pages))))
    }

    async fn create_identifier(
        &self,
        _: Request<CreateIdentifierRequest>,
    ) -> Result<Response<WriteReceipt>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn update_identifier(
        &self,
        _: Request<UpdateIdentifierRequest>,
    ) -> Result<Response<WriteReceipt>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn delete_identifier(
        &self,
        _: Request<DeleteIdentifierRequest>,
    ) -> Result<Response<WriteReceipt>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_identifier(
        &self,
        _: Request<GetIdentifierRequest>,
    ) -> Result<Response<IdentifierRecord>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_identifiers(
        &self,
        _: Request<ListIdentifiersRequest>,
    ) -> Result<Response<ListIdentifiersResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl ResolutionService for StandIn {
    type BatchResolveStream = Stream<BatchResolveResponse>;

    async fn resolve(
        &self,
        request: Request<ResolveRequest>,
    ) -> Result<Response<ResolveResponse>, Status> {
        let mut state = self.0.lock().unwrap();
        state.see(&request);
        state.resolve(request.get_ref()).map(Response::new)
    }

    async fn batch_resolve(
        &self,
        request: Request<Streaming<BatchResolveRequest>>,
    ) -> Result<Response<Self::BatchResolveStream>, Status> {
        let state = self.0.clone();
        let answers = request.into_inner().map(move |request| {
            let items = request?.items.into_iter().map(|item| {
                let found = state.lock().unwrap().resolve(&item.request.unwrap());
                let result = match found {
                    Ok(answer) => batch_resolve_response::item::Result::Response(answer),
                    Err(status) => batch_resolve_response::item::Result::Error(Error {
                        code: status.code().into(),
                        reason: "IDENTIFIER_NOT_FOUND".to_owned(),
                        message: status.message().to_owned(),
                        field: "identifier".to_owned(),
                    }),
                };
                batch_resolve_response::Item {
                    id: item.id,
                    result: Some(result),
                }
            });
            Ok(BatchResolveResponse {
                items: items.collect(),
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
