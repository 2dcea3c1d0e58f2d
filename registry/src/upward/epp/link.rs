//! A connection to an EPP server: documents there and back, over TLS with a client certificate
//! (RFC 5734), or as bodies of HTTP with a cookie for the session.

use super::Options;
use super::http::Http;
use hyper::Method;
use idnode_proto::epp::frame::{self, HEADER_BYTES};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

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
    /// The node stops, and asks nothing more.
    #[error("the node stops")]
    Stopping,
    /// The node's own store.
    #[error(transparent)]
    Registry(#[from] crate::Error),
}

impl LinkError {
    pub(super) fn answer(reason: impl std::fmt::Display) -> Self {
        Self::Answer(reason.to_string())
    }
}

/// A connection.
pub(super) enum Link {
    /// Frames on TLS.
    Frames(Box<TlsStream<TcpStream>>),
    /// Bodies of HTTP.
    Http(Box<Http>),
}

impl Link {
    /// Connects to the server of the options.
    pub async fn connect(options: &Options) -> Result<Self, LinkError> {
        match options.server.contains("://") {
            true => Ok(Self::Http(Box::new(Http::new(options)?))),
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
            Self::Http(http) => http.ask(Method::GET, "").await,
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

    /// Ends the connection behind the last answer.
    pub async fn close(self) {
        if let Self::Frames(mut stream) = self {
            // The other side may have ended it first.
            let _ = stream.shutdown().await;
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

pub(super) async fn over_tls(
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
