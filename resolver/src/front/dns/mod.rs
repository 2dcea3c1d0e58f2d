//! The DNS front (RFC 1034, 1035): identifiers as names in the node's zones, over UDP and TCP,
//! and encrypted over TLS, HTTPS and QUIC.
//! `docs/dns.md` describes names, zones and records for those who ask.
//!
//! | module | holds |
//! |---|---|
//! | `exchange` | from a query's bytes to its answer's: what is refused, how long it may take, who waits |
//! | `frame`, `query` | a query taken apart |
//! | `edns`, `cookie` | EDNS (RFC 6891) of clients and answers |
//! | `answer` | from a question to a reply, at once or after the disk was asked |
//! | `lookup` | which thing a name stands for |
//! | `present` | what is said at the name of a thing |
//! | `names` | the names of a thing in a zone |
//! | `existence` | whether a name without records has names below it (RFC 8020) |
//! | `zone` | apexes, name servers and their addresses |
//! | `records` | an identifier's values as records |
//! | `text` | the texts inside those records |
//! | `referral` | prefixes that are served elsewhere, and prefixes themselves |
//! | `reply`, `encode` | what is answered, and its bytes |
//! | `desk` | queries answered at once, with what is kept or from memory |
//! | `datagram` | queries in datagrams, on the batched loop of [`crate::udp`] |
//! | `guard` | access lists and rate limits |
//! | `kept` | encoded answers by question |
//! | `accept`, `clients` | connections over TCP, bounded in number, and for each client |
//! | `stream` | queries over a byte stream (RFC 7766) |
//! | `encrypted` | which encrypted transports there are |
//! | `tls`, `https`, `quic` | DNS over TLS (RFC 7858), HTTPS (RFC 8484) and QUIC (RFC 9250) |
//! | `wire` | what HTTPS and QUIC must know of a message |
//! | `dnssec` | keys of signed zones, signatures, denial of existence |
//! | `transfer` | zones for secondary servers (RFC 5936, RFC 1995, RFC 1996) |
//! | `tsig`, `raw` | signed messages (RFC 8945); messages read where they lie |
//!
//! Records and unusual messages are encoded and parsed by hickory. Its zone handlers are not
//! used, since they hold a zone in memory.

mod accept;
mod answer;
mod clients;
mod cookie;
mod datagram;
mod desk;
mod dnssec;
mod edns;
mod encode;
mod encrypted;
mod exchange;
mod existence;
mod frame;
mod guard;
mod https;
mod kept;
mod lookup;
mod meters;
mod names;
mod peer;
mod present;
mod query;
mod quic;
mod raw;
mod records;
mod referral;
mod reply;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod tls;
mod transfer;
mod tsig;
mod wire;
mod zone;

pub use dnssec::{
    Algorithm, CryptoError, Dnssec, DnssecOptions, DsRecord, KeyError, KeyInfo, KeyState,
    KeyStatus, Refusal, RrsetError, SIGNATURE_BYTES, SigningKey, StoreError, ZoneStatus,
};
pub use encrypted::{EncryptedAddresses, EncryptedOptions};
pub use transfer::{Allowed, BadEntry, Secondary};
pub use tsig::{BadKey, Key, Keys};

use super::Core;
use super::desks::Desks;
use super::tls::Reload;
use crate::udp::{Sockets, threads};
use accept::Acceptor;
use answer::Responder;
use clients::Clients;
use datagram::Datagrams;
use desk::Desk;
use encrypted::Encrypted;
use exchange::Exchange;
pub use guard::GuardOptions;
use peer::{Peer, Transport};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stream::{Connections, Limits};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use transfer::{Notifier, Transfers};

/// How often a port that is free for UDP is looked for when any port will do.
const PORT_ATTEMPTS: usize = 16;
/// The greatest UDP answer when nobody says otherwise: it fits one Ethernet frame on any path
/// (DNS flag day 2020).
pub const DEFAULT_MAX_UDP_PAYLOAD: u16 = 1_232;

/// What an operator sets of the DNS front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsOptions {
    /// Host names of the zones' name servers, the first being the primary (SOA MNAME); empty:
    /// `ns1.` and the zone.
    pub name_servers: Vec<String>,
    /// Mailbox of the person responsible as a domain name (RFC 1035 §3.3.13); empty:
    /// `hostmaster.` and the zone.
    pub soa_rname: String,
    /// SOA REFRESH, seconds, at most 2³¹ − 1 as all times here.
    pub refresh_s: u32,
    /// SOA RETRY, seconds.
    pub retry_s: u32,
    /// SOA EXPIRE, seconds.
    pub expire_s: u32,
    /// TTL of the zones' own records and of what the node says about prefixes, seconds.
    pub default_ttl_s: u32,
    /// How long others may remember that there is nothing (SOA MINIMUM, RFC 2308), seconds.
    pub negative_ttl_s: u32,
    /// Addresses of those name servers whose names are in the zones; empty: the address that
    /// is listened on, unless that is 0.0.0.0 or `::`.
    pub node_addresses: Vec<IpAddr>,
    /// How long a connection may be without a whole query, seconds.
    pub tcp_idle_s: u32,
    /// TCP connections at once, and as many of each encrypted transport.
    pub max_tcp_connections: usize,
    /// Connections at once of one client, over all transports together: an IPv4 address, or an
    /// IPv6 network of 64 bits.
    pub max_connections_per_client: usize,
    /// Encrypted transports.
    pub encrypted: EncryptedOptions,
    /// Queries of one connection at once: those that wait for the disk over TCP and TLS,
    /// streams over HTTPS and QUIC.
    pub max_queries_per_connection: usize,
    /// Queries at once that wait for the disk; those beyond get SERVFAIL, over UDP nothing.
    pub max_waiting_queries: usize,
    /// The greatest UDP answer, bytes, whatever the client offers; 512 at least.
    pub max_udp_payload: u16,
    /// UDP sockets, each with a thread of its own; 0: one a core.
    pub udp_threads: usize,
    /// Whether they go before other threads.
    pub udp_realtime: bool,
    /// Memory for encoded answers, bytes: all threads of UDP together, and as much for TCP
    /// and TLS.
    pub answer_cache_bytes: u64,
    /// What the node answers to those who ask for its name (NSID, RFC 5001); empty: nothing.
    pub nsid: String,
    /// Secret of the server cookies (RFC 9018), to be shared by nodes of one address; `None`:
    /// a new one.
    pub cookie_secret: Option<[u8; 16]>,
    /// Who may ask, and how often.
    pub guard: GuardOptions,
    /// Keys that queries may be signed with (TSIG, RFC 8945).
    pub tsig_keys: Keys,
    /// Who may have zone transfers; empty: nobody.
    pub allow_transfer: Vec<Allowed>,
    /// Secondaries that are told of changes (NOTIFY, RFC 1996).
    pub notify: Vec<Secondary>,
    /// How long changes are gathered before a secondary is told.
    pub notify_delay: Duration,
    /// Zone transfers at once, each with a thread and a snapshot of the store.
    pub max_transfers: usize,
    /// Where it is kept since when the zones are made as they are now; `None`: since the node
    /// runs.
    pub state_file: Option<PathBuf>,
}

impl Default for DnsOptions {
    fn default() -> Self {
        Self {
            name_servers: Vec::new(),
            soa_rname: String::new(),
            refresh_s: 3_600,
            retry_s: 600,
            expire_s: 1_209_600,
            default_ttl_s: 3_600,
            negative_ttl_s: 300,
            node_addresses: Vec::new(),
            tcp_idle_s: 10,
            max_tcp_connections: 1_024,
            max_connections_per_client: 128,
            encrypted: EncryptedOptions::default(),
            max_queries_per_connection: 64,
            max_waiting_queries: 4_096,
            max_udp_payload: DEFAULT_MAX_UDP_PAYLOAD,
            udp_threads: 0,
            udp_realtime: true,
            answer_cache_bytes: 64 << 20,
            nsid: String::new(),
            cookie_secret: None,
            guard: GuardOptions::default(),
            tsig_keys: Keys::default(),
            allow_transfer: Vec::new(),
            notify: Vec::new(),
            notify_delay: Duration::from_secs(1),
            max_transfers: 8,
            state_file: None,
        }
    }
}

impl DnsOptions {
    /// Bounds of one connection.
    fn limits(&self) -> Limits {
        Limits {
            idle: Duration::from_secs(u64::from(self.tcp_idle_s)),
            max_queries: self.max_queries_per_connection,
        }
    }
}

/// The DNS front, bound and ready to serve.
#[derive(Debug)]
pub struct DnsFront {
    udp: Sockets,
    tcp: TcpListener,
    encrypted: Option<Encrypted>,
    local_addr: SocketAddr,
    exchange: Exchange,
    notifier: Notifier,
    options: DnsOptions,
}

impl DnsFront {
    /// Binds UDP and TCP on the same port; port 0 chooses one that both can have.
    ///
    /// # Errors
    /// An address cannot be had; [`io::ErrorKind::InvalidInput`] naming the option that is no
    /// domain name, or the certificate that cannot be used.
    pub async fn bind(
        addr: SocketAddr,
        core: Arc<Core>,
        options: DnsOptions,
    ) -> Result<Self, io::Error> {
        let (udp, tcp) = bind_both(addr, threads(options.udp_threads)).await?;
        let local_addr = udp.local_addr();
        let mut addresses = options.node_addresses.clone();
        if addresses.is_empty() && !local_addr.ip().is_unspecified() {
            addresses.push(local_addr.ip());
        }
        let zones = zone::ZoneSet::new(&core.zones, &options, &addresses)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let encrypted = Encrypted::bind(&options.encrypted, options.limits()).await?;
        let zones = Arc::new(zones);
        let transfers = Transfers::new(core.clone(), zones.clone(), &options, &addresses)?;
        let notifier = Notifier::new(core.clone(), zones.clone(), &options, local_addr)?;
        let deadline = core.request_deadline;
        let responder = Responder::new(core, zones);
        let exchange = Exchange::new(responder, transfers, &options, deadline)?;
        Ok(Self {
            udp,
            tcp,
            encrypted,
            local_addr,
            exchange,
            notifier,
            options,
        })
    }

    /// Where it listens, UDP and TCP.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where the encrypted transports listen, those that are on.
    pub fn encrypted_addresses(&self) -> EncryptedAddresses {
        self.encrypted
            .as_ref()
            .map(Encrypted::addresses)
            .unwrap_or_default()
    }

    /// What can be read again while it serves; `None`: nothing.
    pub fn reload(&self) -> Option<Reload> {
        self.encrypted.as_ref().map(Encrypted::reload)
    }

    /// Answers until `shutdown` is cancelled; then takes no further queries, lets those under
    /// way finish, and returns. Dropping the future ends everything at once.
    pub async fn serve(self, shutdown: CancellationToken) {
        let desk = |share_bytes| Desk::new(self.exchange.clone(), share_bytes);
        let connections = Connections {
            exchange: self.exchange.clone(),
            desks: Arc::new(Desks::new(self.options.answer_cache_bytes, desk)),
            limits: self.options.limits(),
            meters: stream::Meters::new(),
            shutdown: shutdown.clone(),
        };
        let clients = Clients::new(self.options.max_connections_per_client);
        let tcp = Acceptor {
            listener: self.tcp,
            max_connections: self.options.max_tcp_connections,
            over_limit: bound_counter("dns_tcp_connections"),
            clients: clients.clone(),
            exchange: self.exchange.clone(),
        };
        let tcp = tcp.serve(shutdown.clone(), |stream, addr| {
            let peer = Peer::new(addr, Transport::Tcp);
            connections.clone().converse(stream, peer)
        });
        let max_connections = self.options.max_tcp_connections;
        let encrypted = async {
            if let Some(encrypted) = self.encrypted {
                let connections = connections.clone();
                encrypted.serve(connections, max_connections, clients).await;
            }
        };
        tokio::join!(
            tcp,
            encrypted,
            self.notifier.serve(shutdown.clone()),
            serve_udp(self.udp, self.exchange.clone(), &self.options, shutdown)
        );
        // Last: who waits for all places keeps others from having one.
        self.exchange.drain().await;
    }
}

/// Counts how often a bound was met.
fn bound_counter(bound: &'static str) -> metrics::Counter {
    metrics::counter!("idnode_bound_hits_total", "bound" => bound)
}

async fn serve_udp(
    sockets: Sockets,
    exchange: Exchange,
    options: &DnsOptions,
    shutdown: CancellationToken,
) {
    let runtime = Handle::current();
    let capacity_bytes = options.answer_cache_bytes / threads(options.udp_threads) as u64;
    let service =
        |sender| Datagrams::new(exchange.clone(), capacity_bytes, sender, runtime.clone());
    // At once: the threads themselves end a little later.
    let ignoring = async {
        shutdown.cancelled().await;
        exchange.ignore_datagrams();
    };
    let serving = sockets.serve("dns-udp", options.udp_realtime, service, shutdown.clone());
    let (served, ()) = tokio::join!(serving, ignoring);
    if let Err(error) = served {
        tracing::error!(%error, "the DNS front's UDP threads cannot be started");
    }
}

async fn bind_both(addr: SocketAddr, udp_sockets: usize) -> io::Result<(Sockets, TcpListener)> {
    let mut attempt = 1;
    loop {
        let tcp = TcpListener::bind(addr).await?;
        match Sockets::bind(tcp.local_addr()?, udp_sockets) {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) if addr.port() != 0 || attempt == PORT_ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}
