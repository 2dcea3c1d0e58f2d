//! A connection to an EPP server: documents there and back, over TLS with a client certificate
//! (RFC 5734), or as bodies of HTTP with a cookie for the session.

use super::Options;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use idnode_proto::epp::frame::{self, HEADER_BYTES, MAX_DOCUMENT_BYTES};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The media type of EPP (RFC 5730 section 8).
const MEDIA_TYPE: &str = "application/epp+xml";

/// Why a connection is of no more use.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The network, or the other side of it.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// HTTP's.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// A file of the configuration.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An answer took too long.
    #[error("no answer within {0} ms")]
    TimedOut(u64),
    /// What came is no answer.
    #[error("{0}")]
    Answer(String),
    /// The server refuses this client.
    #[error("the log-in was refused: {0}")]
    LogIn(String),
    /// The node's own store.
    #[error(transparent)]
    Registry(#[from] crate::Error),
}

impl LinkError {
    fn answer(reason: impl std::fmt::Display) -> Self {
        Self::Answer(reason.to_string())
    }
}

/// Any stream that bytes go over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl Stream for TcpStream {}
impl Stream for TlsStream<TcpStream> {}

/// A connection.
pub(super) enum Link {
    /// Frames on TLS.
    Frames(Box<TlsStream<TcpStream>>),
    /// Bodies of HTTP.
    Http(Http),
}

/// A connection of HTTP.
pub(super) struct Http {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    path: String,
    cookie: Option<String>,
    greeting: Option<String>,
    driver: JoinHandle<()>,
}

impl Drop for Http {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// Connects to the server of the options.
    pub async fn connect(options: &Options) -> Result<Self, LinkError> {
        match options.server.contains("://") {
            true => Http::connect(options).await.map(Self::Http),
            false => {
                let stream = TcpStream::connect(&options.server).await?;
                let host = options.server.rsplit_once(':').map_or("", |(host, _)| host);
                let stream = over_tls(options, stream, host).await?;
                Ok(Self::Frames(Box::new(stream)))
            }
        }
    }

    /// What the server says before it is asked.
    pub async fn greeting(&mut self) -> Result<String, LinkError> {
        match self {
            Self::Frames(stream) => read_frame(stream).await,
            Self::Http(http) => http
                .greeting
                .take()
                .ok_or_else(|| LinkError::answer("the server has no greeting")),
        }
    }

    /// Sends a document and reads the next one.
    pub async fn exchange(&mut self, document: &str) -> Result<String, LinkError> {
        match self {
            Self::Frames(stream) => {
                let frame = frame::framed(document).map_err(LinkError::answer)?;
                stream.write_all(&frame).await?;
                stream.flush().await?;
                read_frame(stream).await
            }
            Self::Http(http) => http.ask(Method::POST, document).await,
        }
    }

    /// Reads a further document, where one may come unasked.
    pub async fn further(&mut self) -> Result<String, LinkError> {
        match self {
            Self::Frames(stream) => read_frame(stream).await,
            Self::Http(_) => Err(LinkError::answer(
                "what came is no answer to what was asked",
            )),
        }
    }
}

async fn read_frame(stream: &mut TlsStream<TcpStream>) -> Result<String, LinkError> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).await?;
    let length = frame::document_length(header).map_err(LinkError::answer)?;
    // Taken as it comes: a length alone is given no memory.
    let mut document = Vec::new();
    let mut rest = (&mut *stream).take(length as u64);
    rest.read_to_end(&mut document).await?;
    if document.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    String::from_utf8(document).map_err(LinkError::answer)
}

impl Http {
    async fn connect(options: &Options) -> Result<Self, LinkError> {
        let uri: Uri = options.server.parse().map_err(LinkError::answer)?;
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let address = (host.trim_matches(['[', ']']), port);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match is_tls {
            true => Box::new(over_tls(options, stream, host).await?),
            false => Box::new(stream),
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the EPP server ended");
            }
        });
        let mut http = Self {
            sender,
            host: uri.authority().map_or("", |it| it.as_str()).to_owned(),
            path: match uri.path() {
                "" => "/".to_owned(),
                path => path.to_owned(),
            },
            cookie: None,
            greeting: None,
            driver,
        };
        http.greeting = Some(http.ask(Method::GET, "").await?);
        Ok(http)
    }

    async fn ask(&mut self, method: Method, document: &str) -> Result<String, LinkError> {
        let mut request = Request::builder()
            .method(method)
            .uri(&self.path)
            .header(HOST, &self.host)
            .header(ACCEPT, MEDIA_TYPE)
            .header(CONTENT_TYPE, MEDIA_TYPE);
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let body = Full::new(Bytes::copy_from_slice(document.as_bytes()));
        let request = request.body(body).map_err(LinkError::answer)?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let set = answer.headers().get(SET_COOKIE);
        let set = set.and_then(|it| it.to_str().ok()?.split(';').next());
        if let Some(cookie) = set {
            self.cookie = Some(cookie.trim().to_owned());
        }
        let body = Limited::new(answer.into_body(), MAX_DOCUMENT_BYTES);
        let body = body.collect().await.map_err(LinkError::answer)?.to_bytes();
        if !status.is_success() {
            return Err(LinkError::answer(format!("the server answers {status}")));
        }
        String::from_utf8(body.into()).map_err(LinkError::answer)
    }
}

async fn over_tls(
    options: &Options,
    stream: TcpStream,
    host: &str,
) -> Result<TlsStream<TcpStream>, LinkError> {
    stream.set_nodelay(true)?;
    let name = match &*options.server_name {
        "" => host.trim_matches(['[', ']']),
        name => name,
    };
    let name = ServerName::try_from(name.to_owned()).map_err(LinkError::answer)?;
    let options = options.clone();
    let config = tokio::task::spawn_blocking(move || tls_config(&options));
    let config = config.await.map_err(LinkError::answer)??;
    let connector = TlsConnector::from(Arc::new(config));
    Ok(connector.connect(name, stream).await?)
}

/// Reads the files anew: certificates are replaced while the node runs.
fn tls_config(options: &Options) -> Result<ClientConfig, LinkError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&options.authority)? {
        let added = roots.add(certificate);
        added.map_err(|error| unusable(&options.authority, error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(LinkError::answer)?
        .with_root_certificates(roots);
    if options.certificate.as_os_str().is_empty() {
        return Ok(builder.with_no_client_auth());
    }
    let key = PrivateKeyDer::from_pem_file(&options.key);
    let key = key.map_err(|error| unusable(&options.key, error))?;
    builder
        .with_client_auth_cert(certificates(&options.certificate)?, key)
        .map_err(|error| unusable(&options.certificate, error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LinkError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| unusable(path, error))?;
    match read.is_empty() {
        true => Err(unusable(path, "holds no certificate")),
        false => Ok(read),
    }
}

pub(super) fn unusable(path: &Path, reason: impl std::fmt::Display) -> LinkError {
    LinkError::File {
        path: path.display().to_string(),
        reason: reason.to_string(),
    }
}
