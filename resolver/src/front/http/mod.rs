//! The HTTP front: the Handle JSON API, redirects to what identifiers point at, and what an
//! operator asks a node. `docs/http.md` has every path with examples.
//!
//! | module | holds |
//! |---|---|
//! | `connection` | sockets: HTTP/1.1 and h2c, bounds of connections, graceful stop |
//! | `tls`, `certificate`, `peer` | TLS, what clients show there, and who is at the other end |
//! | `service` | what all requests have in common: methods, bounds, CORS, HEAD |
//! | `request` | paths, query parameters and bodies |
//! | `auth`, `proof` | who sends a request, and how it is proven |
//! | `session`, `sessions` | sessions, and `/api/sessions`, `/api/verifications` |
//! | `call`, `mint` | what requests for one identifier begin with |
//! | `handles`, `write`, `list` | `/api/handles`, `/api/prefixes` |
//! | `site` | `/api/site` |
//! | `iiidap` | `/iiidap/…`: registration data, and `Authorization: Digest` |
//! | `answer`, `data`, `input` | the JSON of answers and of typed value data, and JSON that is sent |
//! | `refusal` | what goes wrong, in the Handle protocol's codes |
//! | `deadline` | how long a request may take |
//! | `kept` | answers that are given again as they were |
//! | `freshness` | entity tags and how long an answer may be kept |
//! | `redirect`, `target`, `page` | `GET /{identifier}`, which Location is sent, and a page for people |
//! | `problem` | errors outside the JSON API (RFC 9457) |
//! | `health`, `metrics` | `/healthz`, `/readyz`, `/`, `/metrics` |
//! | `monitor` | `/api/monitor`, for the national node |

mod answer;
mod auth;
mod call;
mod certificate;
mod connection;
mod data;
mod deadline;
mod freshness;
mod handles;
mod health;
mod iiidap;
mod input;
mod kept;
mod list;
mod metrics;
mod mint;
mod monitor;
mod page;
mod peer;
mod problem;
mod proof;
mod redirect;
mod refusal;
mod request;
mod service;
mod session;
mod sessions;
mod site;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod write;

use self::iiidap::digest::Digests;
use self::kept::KeptAnswers;
use self::list::Listings;
use self::metrics::Meters;
pub use self::monitor::Monitor;
use self::peer::Peer;
use self::session::Sessions;
use self::tls::Secure;
use super::Core;
use super::tls::{CertificateFiles, Reload};
use metrics_exporter_prometheus::PrometheusHandle;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What an operator sets of the HTTP front.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Connections at once; the next one is answered 503 and closed.
    pub max_connections: usize,
    /// Longest request body, bytes.
    pub body_limit_bytes: u64,
    /// Schemes of URL values that are redirected to, lower case; none: nothing is.
    pub redirect_schemes: Vec<String>,
    /// The node's address as clients see it, in front of links; empty: links are relative.
    pub public_url: String,
    /// How long the head of a request may take, and how long an HTTP/1.1 connection may be
    /// silent between two.
    pub header_timeout: Duration,
    /// Whether a secret key is taken in clear from other machines (`Authorization: Basic`).
    pub basic_without_tls: bool,
    /// Memory for answers that are kept, bytes.
    pub answer_cache_bytes: u64,
    /// Whether registration data is told of, below `/iiidap/`.
    pub iiidap: bool,
    /// A connection on which no request began for this long is closed, even if its client is
    /// still reading.
    pub idle_timeout: Duration,
    /// Where `/metrics` comes from.
    pub metrics: PrometheusHandle,
    /// Who may ask how the node sees itself; `None`: nobody.
    pub monitor: Option<Monitor>,
}

impl HttpOptions {
    /// The defaults of the configuration's `[http]` section.
    pub fn new(metrics: PrometheusHandle) -> Self {
        Self {
            max_connections: 4_096,
            body_limit_bytes: 1 << 20,
            redirect_schemes: vec!["http".to_owned(), "https".to_owned()],
            public_url: String::new(),
            header_timeout: Duration::from_secs(15),
            basic_without_tls: false,
            answer_cache_bytes: 128 << 20,
            iiidap: true,
            idle_timeout: Duration::from_secs(60),
            metrics,
            monitor: None,
        }
    }
}

/// What every request works with.
#[derive(Debug)]
struct Shared {
    core: Arc<Core>,
    options: HttpOptions,
    meters: Meters,
    kept: KeptAnswers,
    listings: Listings,
    sessions: Sessions,
    digests: Digests,
    draining: AtomicBool,
}

impl Shared {
    /// Whether a peer may send a secret as it is.
    fn takes_basic(&self, peer: &Peer) -> bool {
        peer.encrypted || peer.is_local() || self.options.basic_without_tls
    }
}

/// The HTTP front, bound and not yet serving.
#[derive(Debug)]
pub struct HttpFront {
    listener: TcpListener,
    secure: Option<Secure>,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
}

impl HttpFront {
    /// Binds a TCP socket; port 0 takes any that is free. The metrics recorder must be
    /// installed by then: the front's counters are made here.
    ///
    /// # Errors
    /// What the operating system says about the address.
    pub async fn bind(
        addr: SocketAddr,
        core: Arc<Core>,
        options: HttpOptions,
    ) -> Result<Self, io::Error> {
        Self::new(TcpListener::bind(addr).await?, core, options)
    }

    /// As [`HttpFront::bind`] on a socket that is bound already: the node's site information
    /// names its port before there is a core to answer with.
    ///
    /// # Errors
    /// What the operating system says about the socket.
    pub fn new(
        listener: TcpListener,
        core: Arc<Core>,
        options: HttpOptions,
    ) -> Result<Self, io::Error> {
        let local_addr = listener.local_addr()?;
        let meters = Meters::new();
        let draining = AtomicBool::new(false);
        let shared = Arc::new(Shared {
            kept: KeptAnswers::new(options.answer_cache_bytes),
            core,
            options,
            meters,
            listings: Listings::default(),
            sessions: Sessions::new()?,
            digests: Digests::new()?,
            draining,
        });
        Ok(Self {
            listener,
            secure: None,
            local_addr,
            shared,
        })
    }

    /// Serves on another socket as well, with TLS. With `asks`, clients there are asked for a
    /// certificate, and whoever has none is served all the same.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a certificate of the node that cannot be used.
    pub fn with_tls(
        self,
        listener: TcpListener,
        files: CertificateFiles,
        asks: bool,
    ) -> Result<Self, io::Error> {
        Ok(Self {
            secure: Some(Secure::new(listener, files, asks)?),
            ..self
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where it listens with TLS.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.secure.as_ref().map(|secure| secure.local_addr)
    }

    /// What can be read again while it serves: the certificate.
    pub fn reload(&self) -> Option<Reload> {
        self.secure.as_ref().map(Secure::reload)
    }

    /// Serves until `shutdown` is cancelled; then takes no more connections, lets requests
    /// under way finish and returns. Dropping the future ends every connection at once.
    pub async fn serve(self, shutdown: CancellationToken) {
        connection::serve(self.listener, self.secure, self.shared, shutdown).await;
    }
}
