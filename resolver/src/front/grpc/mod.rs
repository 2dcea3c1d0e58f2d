//! The gRPC front: every service of `proto/idnode/v1/*.proto`, `grpc.health.v1` and
//! `grpc.reflection.v1`.
//!
//! | module | holds |
//! |---|---|
//! | `accept` | connections: their bound and their first bytes |
//! | `call` | what every call goes through: deadline, metrics, idempotency |
//! | `auth` | who calls |
//! | `status` | what is refused, as a `google.rpc.Status` |
//! | `convert` | messages to domain types and back |
//! | `resolution`, `batch` | ResolutionService |
//! | `enterprises`, `prefixes`, `templates`, `credentials` | the services of these names |
//! | `identifiers`, `import`, `export` | IdentifierService |
//! | `changes`, `watch` | ChangeService |
//! | `dnssec` | DnssecService |
//! | `upward`, `takeover` | UpwardService |
//! | `reports` | ReportService: what was reported to the national node |
//! | `health` | the health service |

mod accept;
mod auth;
mod batch;
mod call;
mod changes;
mod convert;
mod credentials;
mod dnssec;
mod enterprises;
mod export;
mod health;
mod identifiers;
mod import;
mod prefixes;
mod reports;
mod resolution;
mod routes;
mod status;
mod takeover;
mod templates;
#[cfg(test)]
mod tests;
mod upward;
mod watch;

use super::Core;
use call::Api;
use idnode_proto::api;
use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tower_http::catch_panic::CatchPanicLayer;

/// How often a connection that says nothing is asked whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may take to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of a request's metadata.
const MAX_METADATA_BYTES: u32 = 16 << 10;
/// Bytes a stream and a connection may send before the node has taken them: a chunk of an
/// import should not have to wait for the window in the middle.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// The bounds of the gRPC front.
#[derive(Debug, Clone)]
pub struct GrpcOptions {
    /// Connections at once; one more is closed as soon as it is accepted.
    pub max_connections: usize,
    /// Calls at once on one connection.
    pub max_streams_per_connection: u32,
    /// Whether `grpc.reflection.v1` tells clients which services there are.
    pub reflection: bool,
    /// Longest message, both ways, bytes.
    pub message_limit_bytes: usize,
    /// Chunks of one import taken in before the first of them is committed.
    pub max_in_flight_imports: usize,
    /// Items of one message of a batch resolution or of an import.
    pub batch_items: usize,
    /// Exports at once: each holds a snapshot of the store and a thread.
    pub max_exports: usize,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_streams_per_connection: 256,
            reflection: true,
            message_limit_bytes: 4 << 20,
            max_in_flight_imports: 32,
            batch_items: 10_000,
            max_exports: 16,
        }
    }
}

/// The gRPC front, bound to its address.
#[derive(Debug)]
pub struct GrpcFront {
    listener: TcpListener,
    local_addr: SocketAddr,
    core: Arc<Core>,
    options: GrpcOptions,
}

impl GrpcFront {
    /// Takes the address. Errors: it can't be had.
    pub async fn bind(addr: SocketAddr, core: Arc<Core>, options: GrpcOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let local_addr = listener.local_addr()?;
        Ok(Self {
            listener,
            local_addr,
            core,
            options,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers until `shutdown`; then health says NOT_SERVING, nothing new is accepted, streams
    /// end with UNAVAILABLE after what they have under way, and it returns when all calls are
    /// over.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Self {
            listener,
            core,
            options,
            ..
        } = self;
        let connections = accept::connections(listener, options.max_connections, shutdown.clone());
        let router = router(&Api::new(core, options, shutdown.clone()));
        let served = router
            .serve_with_incoming_shutdown(connections, shutdown.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the gRPC front ended");
        }
    }
}

type PanicLayer = CatchPanicLayer<fn(Box<dyn Any + Send>) -> http::Response<Body>>;
type Layers = tower::layer::util::Stack<PanicLayer, tower::layer::util::Identity>;

fn router(api: &Api) -> Router<Layers> {
    /// A service with the message limit on both ways.
    macro_rules! service {
        ($module:ident :: $server:ident) => {
            api::$module::$server::new(api.clone())
                .max_decoding_message_size(api.options.message_limit_bytes)
                .max_encoding_message_size(api.options.message_limit_bytes)
        };
    }
    let on_panic: fn(Box<dyn Any + Send>) -> http::Response<Body> = panicked;
    Server::builder()
        .max_concurrent_streams(api.options.max_streams_per_connection)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(MAX_METADATA_BYTES)
        .layer(CatchPanicLayer::custom(on_panic))
        .add_service(service!(resolution_service_server::ResolutionServiceServer))
        .add_service(service!(enterprise_service_server::EnterpriseServiceServer))
        .add_service(service!(prefix_service_server::PrefixServiceServer))
        .add_service(service!(template_service_server::TemplateServiceServer))
        .add_service(service!(identifier_service_server::IdentifierServiceServer))
        .add_service(service!(credential_service_server::CredentialServiceServer))
        .add_service(service!(change_service_server::ChangeServiceServer))
        .add_service(service!(dnssec_service_server::DnssecServiceServer))
        .add_service(service!(upward_service_server::UpwardServiceServer))
        .add_service(service!(report_service_server::ReportServiceServer))
        .add_service(health::server(api))
        .add_optional_service(api.options.reflection.then(reflection).flatten())
}

/// The reflection service over the node's own and the health descriptors.
fn reflection() -> Option<
    tonic_reflection::server::v1::ServerReflectionServer<
        impl tonic_reflection::server::v1::ServerReflection,
    >,
> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(api::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .inspect_err(|error| tracing::error!(%error, "no gRPC reflection"))
        .ok()
}

/// A handler that panicked costs its own call, which is told so.
fn panicked(panic: Box<dyn Any + Send>) -> http::Response<Body> {
    let reason = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(reason, "a gRPC handler panicked");
    tonic::Status::internal("the node failed on this call").into_http()
}
