//! Connections to the national node's gRPC services: TLS, both sides showing certificates. The one
//! place where they are made, for reports and for the stream of changes.

use std::path::PathBuf;
use std::time::Duration;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// How often a silent connection is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Longest file of certificates, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where a channel leads and how it is proven on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelOptions {
    /// `host:port`.
    pub server: String,
    /// The name in the server's certificate; empty: the host.
    pub server_name: String,
    /// File of the certificates that sign the server's: PEM.
    pub authority: PathBuf,
    /// File of the node's own certificates: PEM, its own first.
    pub certificate: PathBuf,
    /// File of its private key: PEM.
    pub key: PathBuf,
    /// How long connecting, and one answer, may take.
    pub timeout: Duration,
}

/// Connects; the files are read anew, so that certificates can be replaced.
///
/// # Errors
/// A file can't be used, or there is no connection: in words for the operator.
pub async fn connect(options: &ChannelOptions) -> Result<Channel, String> {
    let authority = read(&options.authority).await?;
    let certificate = read(&options.certificate).await?;
    let key = read(&options.key).await?;
    let host = options.server.rsplit_once(':').map_or("", |(host, _)| host);
    let name = match options.server_name.as_str() {
        "" => host.trim_start_matches('[').trim_end_matches(']'),
        given => given,
    };
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(authority))
        .identity(Identity::from_pem(certificate, key))
        .domain_name(name);
    let endpoint = Endpoint::from_shared(format!("https://{}", options.server))
        .and_then(|endpoint| endpoint.tls_config(tls))
        .map_err(|error| innermost(&error))?;
    endpoint
        .connect_timeout(options.timeout)
        .timeout(options.timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(options.timeout)
        .connect()
        .await
        .map_err(|error| innermost(&error))
}

async fn read(path: &PathBuf) -> Result<Vec<u8>, String> {
    let named = |reason: String| format!("{}: {reason}", path.display());
    let about = tokio::fs::metadata(path).await;
    let about = about.map_err(|error| named(error.to_string()))?;
    if about.len() > MAX_FILE_BYTES {
        return Err(named(format!("is longer than {MAX_FILE_BYTES} bytes")));
    }
    let content = tokio::fs::read(path).await;
    content.map_err(|error| named(error.to_string()))
}

/// The words of an error and of what caused it, where these say more.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
