//! Connections to the nodes, from inside their namespaces: gRPC, and HTTP for health and metrics.

use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint, Uri};

use super::city::{City, Site};
use super::error::Failure;
use super::layout::{GRPC_PORT, Layout, Map};
use super::net::namespace::inside;

/// How long a connection may take, and an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer of health, metrics or a status page, bytes.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A TCP connection that begins in a namespace.
async fn connect(namespace: Option<String>, to: SocketAddr) -> io::Result<TcpStream> {
    let connecting = move || {
        inside(namespace.as_deref(), || {
            let stream = StdStream::connect_timeout(&to, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        })
    };
    let stream = tokio::task::spawn_blocking(connecting).await;
    TcpStream::from_std(stream.map_err(io::Error::other)??)
}

/// What a GET is answered: status and body.
///
/// # Errors
/// There is no answer in time, or it is too long.
pub(super) async fn get(
    map: &Map,
    site: Site,
    port: u16,
    path: &'static str,
) -> io::Result<(u16, Vec<u8>)> {
    let at = map.at(site, port);
    let asking = async {
        let stream = connect(map.namespace(site), at).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let connection = tokio::spawn(connection);
        let request = http::Request::get(path)
            .header("host", at.to_string())
            .body(Empty::<bytes::Bytes>::new())
            .map_err(io::Error::other)?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES);
        let body = body.collect().await.map_err(io::Error::other)?;
        connection.abort();
        Ok((status, body.to_bytes().to_vec()))
    };
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(late)
}

/// A city's node over gRPC, as its operator.
#[derive(Debug, Clone)]
pub(super) struct Api {
    /// Whose node.
    pub(super) city: City,
    /// The connection.
    pub(super) channel: Channel,
    authorization: MetadataValue<Ascii>,
}

impl Api {
    /// Connects.
    ///
    /// # Errors
    /// Nothing listens there; its token cannot be read.
    pub(super) async fn connect(layout: &Layout, map: &Map, city: City) -> Result<Self, Failure> {
        let path = layout.operator_token(city);
        let named = || path.display().to_string();
        let token = std::fs::read_to_string(&path).map_err(Failure::io(named()))?;
        let bearer = format!("Bearer {}", token.trim());
        let mut authorization: MetadataValue<Ascii> = bearer
            .parse()
            .map_err(|_| Failure::Program(format!("{}: holds no token", named())))?;
        authorization.set_sensitive(true);
        let site = Site::City(city);
        let (namespace, at) = (map.namespace(site), map.at(site, GRPC_PORT));
        let connector = tower::service_fn(move |_: Uri| {
            let namespace = namespace.clone();
            async move { connect(namespace, at).await.map(TokioIo::new) }
        });
        let refused = |error: tonic::transport::Error| {
            Failure::Program(format!("{}: gRPC at {at}: {error}", city.name()))
        };
        let endpoint = Endpoint::from_shared(format!("http://{at}")).map_err(refused)?;
        let endpoint = endpoint.timeout(Duration::from_secs(30));
        let channel = endpoint.connect_with_connector(connector).await;
        Ok(Self {
            city,
            channel: channel.map_err(refused)?,
            authorization,
        })
    }

    /// A request with the operator's token.
    pub(super) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let authorization = self.authorization.clone();
        request
            .metadata_mut()
            .insert("authorization", authorization);
        request
    }

    /// For `map_err`: a refusal with what was being done.
    pub(super) fn refused(&self, what: &'static str) -> impl FnOnce(tonic::Status) -> Failure {
        let node = self.city.name();
        move |status| Failure::Call {
            node,
            what,
            status: Box::new(status),
        }
    }
}
