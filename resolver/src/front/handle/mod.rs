//! The Handle protocol (RFC 3652, versions 2.1 to 2.11) over UDP and TCP: resolution and site
//! information. docs/handle.md says what is answered to what.
//!
//! | module | holds |
//! |---|---|
//! | `answer` | a request's bytes to its answer's bytes, for both transports |
//! | `operation` | changes, lists, challenges, log-ins, sessions |
//! | `certify` | signed answers |
//! | `outcome` | how the core's answers read in this protocol |
//! | `desk` | requests answered at once, with what is kept or from memory |
//! | `kept` | encoded answers by request |
//! | `recurse` | what others answer, for clients that want recursion |
//! | `udp` | requests in datagrams, on the batched loop of [`crate::udp`] |
//! | `tcp` | connections |
//! | `tls` | connections with TLS |
//! | `metrics` | what is counted |

mod answer;
mod certify;
mod desk;
mod kept;
mod metrics;
mod operation;
mod outcome;
mod recurse;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod udp;

use super::Core;
use super::desks::Desks;
use super::tls::{CertificateFiles, Reload};
use crate::trust::Verdicts;
use crate::udp::{Sockets, threads};
use answer::Answerer;
use desk::Desk;
use idnode_proto::handle::{Reassembler, ReassemblyLimits};
use ipnet::IpNet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tls::TlsListener;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use certify::SiteKey;

/// Connections the kernel keeps until they are accepted.
const TCP_BACKLOG: u32 = 1024;
/// How often another port is tried when UDP does not get the one that TCP was given.
const PORT_ATTEMPTS: u32 = 16;

/// The bounds of the front.
#[derive(Debug, Clone)]
pub struct HandleOptions {
    /// How long a connection may be silent, and how long one request may take to arrive.
    pub tcp_idle: Duration,
    /// How long a client may take to accept what is written to it.
    pub tcp_write: Duration,
    /// Connections served at once; further ones get code 3 (busy) and are closed.
    pub max_tcp_connections: usize,
    /// UDP requests that wait for the disk, or whose answers are being sent in many pieces, at
    /// once; further ones get code 3 (busy).
    pub max_udp_in_flight: usize,
    /// Whether UDP threads go before others.
    pub udp_realtime: bool,
    /// Requests in several datagrams that are kept until they are complete, for each socket.
    pub reassembly: ReassemblyLimits,
    /// Bytes of UDP answers in several datagrams that go to one network (IPv4 /24, IPv6 /56) in
    /// a second; further ones are dropped. 0: as many as are asked for.
    pub udp_long_answer_bytes_per_s: u32,
    /// Networks whose long answers are not counted.
    pub udp_long_answer_exempt: Vec<IpNet>,
    /// Memory for encoded answers, bytes: all threads of UDP together, and as much for TCP.
    pub answer_cache_bytes: u64,
    /// Who says whether an answer is trusted; `None`: none is.
    pub verdicts: Option<Arc<Verdicts>>,
    /// What answers are signed with for clients that want it; `None`: none is.
    pub site_key: Option<Arc<SiteKey>>,
    /// Where backups are made.
    pub backups: PathBuf,
}

impl Default for HandleOptions {
    fn default() -> Self {
        Self {
            tcp_idle: Duration::from_secs(60),
            tcp_write: Duration::from_secs(10),
            max_tcp_connections: 10_000,
            max_udp_in_flight: 4096,
            udp_realtime: true,
            reassembly: ReassemblyLimits::default(),
            udp_long_answer_bytes_per_s: 1 << 20,
            udp_long_answer_exempt: vec![
                IpNet::from(IpAddr::from(Ipv4Addr::LOCALHOST)),
                IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST)),
            ],
            answer_cache_bytes: 128 << 20,
            verdicts: None,
            site_key: None,
            backups: PathBuf::from("backups"),
        }
    }
}

/// The sockets of the front, bound before the rest of the node is built: its site information
/// names their port.
#[derive(Debug)]
pub struct HandleSockets {
    tcp: TcpListener,
    udp: Sockets,
    udp_threads: usize,
    tls: Option<TlsListener>,
    local_addr: SocketAddr,
}

impl HandleSockets {
    /// TCP and `udp_sockets` UDP sockets (0: see [`threads`]) on the same port, for port 0 on
    /// one that both get. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is in use, not this machine's, or not permitted.
    pub fn bind(addr: SocketAddr, udp_sockets: usize) -> io::Result<Self> {
        let udp_threads = threads(udp_sockets);
        let mut attempts = 1;
        loop {
            let tcp = bind_tcp(addr)?;
            let local_addr = tcp.local_addr()?;
            match bind_udp(local_addr, udp_threads) {
                Ok(udp) => {
                    return Ok(Self {
                        tcp,
                        udp,
                        udp_threads,
                        tls: None,
                        local_addr,
                    });
                }
                Err(error)
                    if addr.port() == 0
                        && error.kind() == io::ErrorKind::AddrInUse
                        && attempts < PORT_ATTEMPTS =>
                {
                    attempts += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The same with a port for TLS (TCP). Must be called within a tokio runtime.
    ///
    /// # Errors
    /// As [`Self::bind`], or [`io::ErrorKind::InvalidInput`] for a certificate that cannot be used.
    pub fn with_tls(mut self, addr: SocketAddr, files: CertificateFiles) -> io::Result<Self> {
        self.tls = Some(TlsListener::new(bind_tcp(addr)?, files)?);
        Ok(self)
    }

    /// The address that UDP and TCP are bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

fn bind_tcp(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restarted node must not wait for its predecessor's connections to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(TCP_BACKLOG)
}

fn bind_udp(addr: SocketAddr, count: usize) -> io::Result<Sockets> {
    // Sockets that share a port do not notice another program's that do: ask without sharing.
    drop(std::net::UdpSocket::bind(addr)?);
    Sockets::bind(addr, count)
}

/// The Handle front, ready to serve.
#[derive(Debug)]
pub struct HandleFront {
    sockets: HandleSockets,
    answerer: Arc<Answerer>,
    options: HandleOptions,
}

impl HandleFront {
    /// A front on sockets that are bound already.
    pub fn new(sockets: HandleSockets, core: Arc<Core>, options: HandleOptions) -> Self {
        let answerer = Answerer::new(core)
            .with_verdicts(options.verdicts.clone())
            .with_site_key(options.site_key.clone())
            .with_backups(options.backups.clone());
        Self {
            sockets,
            answerer: Arc::new(answerer),
            options,
        }
    }

    /// Binds sockets, one for UDP on each core, and makes a front on them.
    ///
    /// # Errors
    /// As [`HandleSockets::bind`].
    pub async fn bind(
        addr: SocketAddr,
        core: Arc<Core>,
        options: HandleOptions,
    ) -> io::Result<Self> {
        Ok(Self::new(HandleSockets::bind(addr, 0)?, core, options))
    }

    /// The address that UDP and TCP are bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.sockets.local_addr
    }

    /// Where TLS is listened for, if it is on.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.sockets.tls.as_ref().map(TlsListener::local_addr)
    }

    /// What can be read again while it serves; `None`: nothing.
    pub fn reload(&self) -> Option<Reload> {
        self.sockets.tls.as_ref().map(TlsListener::reload)
    }

    /// Serves until `shutdown` is cancelled, then finishes what is under way. Dropping the future
    /// ends everything at once.
    pub async fn serve(self, shutdown: CancellationToken) {
        let tasks = Tasks::new();
        let stop = shutdown.child_token();
        let _end_with_this_future = (
            tasks.abandon.clone().drop_guard(),
            stop.clone().drop_guard(),
        );
        let (answerer, options) = (self.answerer, self.options);
        let udp = serve_udp(
            self.sockets.udp,
            self.sockets.udp_threads,
            &answerer,
            &options,
            tasks.clone(),
            stop.clone(),
        );
        let desk = |share_bytes| Desk::new(answerer.clone(), share_bytes);
        let connections = tcp::Connections {
            desks: Arc::new(Desks::new(options.answer_cache_bytes, desk)),
            answerer: answerer.clone(),
            idle: options.tcp_idle,
            write: options.tcp_write,
            shutdown: stop,
        };
        let slots = tcp::Slots::new(options.max_tcp_connections);
        let tls = async {
            if let Some(listener) = self.sockets.tls {
                let connections = connections.clone();
                listener.serve(connections, slots.clone(), &tasks).await;
            }
        };
        let open = |stream| std::future::ready(Some(stream));
        let tcp = connections
            .clone()
            .accept(self.sockets.tcp, slots.clone(), &tasks, open);
        tokio::join!(udp, tcp, tls);
        tasks.tracker.close();
        tasks.tracker.wait().await;
    }
}

async fn serve_udp(
    sockets: Sockets,
    threads: usize,
    answerer: &Arc<Answerer>,
    options: &HandleOptions,
    tasks: Tasks,
    shutdown: CancellationToken,
) {
    let shared = Arc::new(udp::Shared::new(answerer.clone(), options, tasks));
    let capacity_bytes = options.answer_cache_bytes / threads as u64;
    let service = |sender| {
        let desk = Desk::new(answerer.clone(), capacity_bytes);
        let reassembler = Reassembler::new(options.reassembly);
        udp::Datagrams::new(shared.clone(), desk, reassembler, sender)
    };
    if let Err(error) = sockets
        .serve("handle-udp", options.udp_realtime, service, shutdown)
        .await
    {
        tracing::error!(%error, "the Handle front's UDP threads cannot be started");
    }
}

/// The front's tasks: awaited when it drains, ended when it is dropped.
#[derive(Debug, Clone)]
struct Tasks {
    tracker: TaskTracker,
    abandon: CancellationToken,
    runtime: Handle,
}

impl Tasks {
    /// Of the runtime that this is called on.
    fn new() -> Self {
        Self {
            tracker: TaskTracker::new(),
            abandon: CancellationToken::new(),
            runtime: Handle::current(),
        }
    }

    /// From whatever thread.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let abandon = self.abandon.clone();
        let task = async move {
            abandon.run_until_cancelled(task).await;
        };
        self.tracker.spawn_on(task, &self.runtime);
    }

    /// Work that may wait for the disk.
    fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        self.tracker.spawn_blocking_on(work, &self.runtime);
    }
}
