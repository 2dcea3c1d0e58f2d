//! What every command has: the node's address, the caller's credential, where answers go.

use std::path::PathBuf;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use super::error::Failure;
use super::output::Out;

/// Answers of a node stay below 4 MiB; an older one's may not.
pub(crate) const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// The node's gRPC address
    #[arg(
        long,
        global = true,
        help_heading = "Common options",
        value_name = "URL",
        env = "IDCTL_SERVER"
    )]
    #[arg(default_value = "http://127.0.0.1:2643")]
    server: String,
    /// File with the operator token or an API key; without one, and without IDCTL_TOKEN in the
    /// environment, calls are made as a stranger
    #[arg(
        long,
        global = true,
        help_heading = "Common options",
        value_name = "FILE",
        env = "IDCTL_TOKEN_FILE"
    )]
    token_file: Option<PathBuf>,
    /// Print JSON: one document, or JSON lines where the answer is a stream
    #[arg(long, global = true, help_heading = "Common options")]
    json: bool,
    /// How long a single call may take
    #[arg(
        long,
        global = true,
        help_heading = "Common options",
        value_name = "SECONDS",
        default_value_t = 30
    )]
    timeout: u64,
}

impl Global {
    /// Whether answers and errors are JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }
}

/// The node, the credential and the output of one run.
pub(crate) struct Session {
    server: String,
    authorization: Option<MetadataValue<Ascii>>,
    timeout: Duration,
    /// Where answers go.
    pub(crate) out: Out,
}

impl Session {
    /// Reads the credential; connects only when a command needs to.
    pub(crate) fn new(global: Global) -> Result<Self, Failure> {
        Ok(Self {
            authorization: authorization(global.token_file)?,
            server: global.server,
            timeout: Duration::from_secs(global.timeout.max(1)),
            out: Out::new(global.json),
        })
    }

    /// A connection to the node.
    pub(crate) async fn channel(&self) -> Result<Channel, Failure> {
        if self.server.starts_with("https://") {
            return Err(Failure::Usage(format!(
                "--server {}: this build speaks plain http:// only",
                self.server
            )));
        }
        let endpoint = Endpoint::from_shared(self.server.clone())
            .ok()
            .filter(|endpoint| endpoint.uri().scheme_str() == Some("http"))
            .ok_or_else(|| {
                Failure::Usage(format!(
                    "--server {}: not a URL like http://HOST:PORT",
                    self.server
                ))
            })?;
        endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .connect()
            .await
            .map_err(|error| Failure::Unreachable {
                server: self.server.clone(),
                reason: last_cause(&error),
            })
    }

    /// A request for one answer, with the credential and the deadline.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = self.stream_request(message);
        request.set_timeout(self.timeout);
        request
    }

    /// A request that opens a stream: with the credential, without a deadline.
    pub(crate) fn stream_request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(authorization) = &self.authorization {
            request
                .metadata_mut()
                .insert("authorization", authorization.clone());
        }
        request
    }

    /// How long one call may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }
}

fn authorization(file: Option<PathBuf>) -> Result<Option<MetadataValue<Ascii>>, Failure> {
    let (token, origin) = match file {
        Some(path) => {
            let token = std::fs::read_to_string(&path).map_err(|error| Failure::File {
                path: path.clone(),
                reason: error.to_string(),
            })?;
            (token, path.display().to_string())
        }
        None => match std::env::var("IDCTL_TOKEN") {
            Ok(token) if !token.is_empty() => (token, "IDCTL_TOKEN".to_owned()),
            _ => return Ok(None),
        },
    };
    let mut header: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
        .parse()
        .ok()
        .filter(|_| !token.trim().is_empty())
        .ok_or_else(|| Failure::Usage(format!("{origin}: holds no token")))?;
    header.set_sensitive(true);
    Ok(Some(header))
}

/// The words of the innermost error, which are the operating system's.
fn last_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
