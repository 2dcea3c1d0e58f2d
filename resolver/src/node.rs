//! A running node: the one place that knows all parts and how they are put together.

use crate::cache::HotCache;
use crate::config::{Config, parse_cookie_secret, parse_network};
use crate::front::Core;
use crate::front::dns::{
    Allowed, BadEntry, DnsFront, DnsOptions, Dnssec, DnssecOptions, EncryptedOptions, GuardOptions,
    Keys, Secondary, StoreError as KeyStoreError,
};
use crate::front::grpc::{GrpcFront, GrpcOptions};
use crate::front::guesses::GuessLimits;
use crate::front::handle::{HandleFront, HandleOptions, HandleSockets, SiteKey};
use crate::front::http::{HttpFront, HttpOptions};
use crate::front::proofs::Proofs;
use crate::front::tls::{CertificateFiles, Reload};
use crate::recursion::{Recursion, RecursionOptions};
use crate::resolve::Resolver;
use crate::trust::{self, TrustError, Verdicts};
use idnode_proto::dnsname::{NameError, Zones};
use idnode_proto::handle::auth::KeyError;
use idnode_proto::handle::site::{NodePorts, Server, Site};
use idnode_registry::store::StoreOptions;
use idnode_registry::write::{Command, Outcome};
use idnode_registry::{Caller, Options, Registry};
use ipnet::IpNet;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::Signal;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often expired idempotency keys and log entries are looked for.
const MAINTENANCE_PERIOD: Duration = Duration::from_secs(600);
/// Most prunings of idempotency keys one after another: about a second of the writer, between the
/// commands of others.
const MAX_PRUNINGS: usize = 100;
/// Latency buckets of the histograms in microseconds.
const LATENCY_BUCKETS_US: [f64; 12] = [
    10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 1e4, 5e4, 2.5e5, 1e6,
];

/// Why a node did not start.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The registry can't be opened or made.
    #[error(transparent)]
    Registry(#[from] idnode_registry::Error),
    /// A zone is not a name.
    #[error("zones: {0}")]
    Zones(#[from] NameError),
    /// The keys of signed zones can't be read.
    #[error("DNSSEC keys: {0}")]
    Keys(#[from] KeyStoreError),
    /// The files of trusted resolution can't be used.
    #[error("trust: {0}")]
    Trust(#[from] TrustError),
    /// The key that signs has no public key that can be written.
    #[error("trust.key_file: {0}")]
    SiteKey(KeyError),
    /// A front can't listen.
    #[error("{front} front on {address}: {error}")]
    Bind {
        /// Which front.
        front: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The metrics recorder can't be installed.
    #[error("metrics: {0}")]
    Metrics(#[from] BuildError),
    /// The operating system refuses something.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        error: io::Error,
    },
}

/// Where the fronts listen: the one line `idnode run` prints on standard output.
#[derive(Debug, Clone, Serialize)]
pub struct Addresses {
    /// gRPC front.
    pub grpc: SocketAddr,
    /// HTTP front.
    pub http: SocketAddr,
    /// HTTP front over TLS, if it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https: Option<SocketAddr>,
    /// DNS front.
    pub dns: SocketAddr,
    /// Handle front.
    pub handle: SocketAddr,
    /// Handle front over TLS, if it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handle_tls: Option<SocketAddr>,
    /// DNS over TLS, if it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dot: Option<SocketAddr>,
    /// DNS over HTTPS, if it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doh: Option<SocketAddr>,
    /// DNS over QUIC, if it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doq: Option<SocketAddr>,
}

/// A node whose registry is open and whose fronts are bound.
#[derive(Debug)]
pub struct Node {
    core: Arc<Core>,
    grpc: GrpcFront,
    http: HttpFront,
    dns: DnsFront,
    handle: HandleFront,
    drain_deadline: Duration,
    log_retention_ms: u64,
}

/// Opens the registry of a configuration together with the hot cache that follows it.
///
/// # Errors
/// There is no registry, it is open elsewhere, or it is of another version.
pub fn open_registry(config: &Config) -> Result<(Arc<Registry>, Arc<HotCache>), NodeError> {
    let cache = Arc::new(HotCache::new(u64::from(config.cache.capacity_mib) << 20));
    let options = Options {
        store: StoreOptions {
            block_cache_mib: config.store.block_cache_mib as usize,
            write_buffer_mib: config.store.write_buffer_mib as usize,
            max_open_files: i32::try_from(config.store.max_open_files).unwrap_or(i32::MAX),
        },
        group_commit_max: config.store.group_commit_max as usize,
        idempotency_retention_ms: config.store.idempotency_retention_s * 1_000,
    };
    let registry = Registry::open(
        &config.node.data_dir.join("registry"),
        &options,
        cache.clone(),
    )?;
    if let Some(endorser) = trust::endorser(&config.trust)? {
        registry.endorse_by(endorser);
    }
    Ok((Arc::new(registry), cache))
}

impl Node {
    /// Opens the registry and binds every front.
    ///
    /// # Errors
    /// See [`NodeError`]; nothing is left running.
    pub async fn start(config: &Config) -> Result<Self, NodeError> {
        let (registry, cache) = open_registry(config)?;
        Self::start_on(config, registry, cache).await
    }

    /// Binds every front over an open registry.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn start_on(
        config: &Config,
        registry: Arc<Registry>,
        cache: Arc<HotCache>,
    ) -> Result<Self, NodeError> {
        // Before the fronts: they take their metrics' handles when they are made.
        let metrics = install_metrics()?;
        let zones = Zones::parse(
            &config.dns.zone,
            Some(&config.dns.ors_zone),
            Some(&config.dns.ons_zone),
        )?;
        let dnssec = Dnssec::open(
            config.node.data_dir.join("dnssec"),
            &zones,
            dnssec_options(config),
        )?;
        let sockets = handle_sockets(config)?;
        // Bound before the core is made, as the Handle sockets are: the site names its port.
        let http_error = bind_error("http", config.http.listen);
        let http_listener = TcpListener::bind(config.http.listen)
            .await
            .map_err(&http_error)?;
        let http_port = http_listener.local_addr().map_err(&http_error)?.port();
        let handle_port = sockets.local_addr().port();
        let https_listener = https_listener(config).await?;
        let ports = NodePorts {
            tcp: Some(handle_port),
            udp: Some(handle_port),
            http: Some(http_port),
            https: match &https_listener {
                Some(listener) => Some(listener.local_addr().map_err(&http_error)?.port()),
                None => None,
            },
        };
        let site_key = trust::endorser(&config.trust)?.map(|it| SiteKey::new(it.signer));
        let public_key = site_key.as_ref().map(SiteKey::public);
        let public_key = public_key.transpose().map_err(NodeError::SiteKey)?;
        let own_site = own_site(config, ports, &public_key.unwrap_or_default());
        let core = Arc::new(Core {
            resolver: Resolver::new(registry.clone(), cache, own_site),
            registry: registry.clone(),
            zones,
            dnssec: Arc::new(dnssec),
            recursion: recursion(config, handle_port),
            proofs: Proofs::new(registry.clone()).with_limits(GuessLimits {
                failed_per_minute: config.limits.failed_proofs_per_minute,
                exempt: networks(&config.limits.failed_proofs_exempt),
            }),
            started_at_ms: now_ms(),
            request_deadline: Duration::from_millis(config.limits.request_deadline_ms.into()),
        });
        let grpc = GrpcFront::bind(config.grpc.listen, core.clone(), grpc_options(config))
            .await
            .map_err(bind_error("grpc", config.grpc.listen))?;
        let http_options = http_options(config, metrics);
        let mut http =
            HttpFront::new(http_listener, core.clone(), http_options).map_err(&http_error)?;
        if let Some(listener) = https_listener {
            let files = CertificateFiles {
                certificate: config.http.tls_certificate.clone(),
                key: config.http.tls_key.clone(),
            };
            http = http
                .with_tls(listener, files, config.http.client_certificates)
                .map_err(http_error)?;
        }
        let dns_error = bind_error("dns", config.dns.listen);
        let dns_options = dns_options(config).map_err(&dns_error)?;
        let dns = DnsFront::bind(config.dns.listen, core.clone(), dns_options)
            .await
            .map_err(dns_error)?;
        let verdicts = Verdicts::open(&config.trust)?.map(Arc::new);
        let handle_options = HandleOptions {
            verdicts,
            site_key: site_key.map(Arc::new),
            ..handle_options(config)
        };
        let handle = HandleFront::new(sockets, core.clone(), handle_options);
        Ok(Self {
            core,
            grpc,
            http,
            dns,
            handle,
            drain_deadline: Duration::from_secs(config.node.drain_deadline_s.into()),
            log_retention_ms: config.store.log_retention_s * 1_000,
        })
    }

    /// Where the fronts listen, with the ports that were chosen.
    pub fn addresses(&self) -> Addresses {
        let encrypted = self.dns.encrypted_addresses();
        Addresses {
            grpc: self.grpc.local_addr(),
            http: self.http.local_addr(),
            https: self.http.tls_addr(),
            dns: self.dns.local_addr(),
            handle: self.handle.local_addr(),
            handle_tls: self.handle.tls_addr(),
            dot: encrypted.tls,
            doh: encrypted.https,
            doq: encrypted.quic,
        }
    }

    /// Serves until `shutdown`, then lets requests under way finish for up to the drain
    /// deadline and closes the registry. At each `hangup` it reads again what it can.
    pub async fn serve(self, hangup: Signal, shutdown: CancellationToken) {
        let reloading = [self.dns.reload(), self.handle.reload(), self.http.reload()];
        let reloading = tokio::spawn(reload_at(hangup, reloading.into_iter().flatten().collect()));
        let mut fronts = JoinSet::new();
        fronts.spawn(self.grpc.serve(shutdown.clone()));
        fronts.spawn(self.http.serve(shutdown.clone()));
        fronts.spawn(self.dns.serve(shutdown.clone()));
        fronts.spawn(self.handle.serve(shutdown.clone()));
        let upkeep = tokio::spawn(maintain(self.core.registry.clone(), self.log_retention_ms));
        shutdown.cancelled().await;
        tracing::info!(deadline_s = self.drain_deadline.as_secs(), "draining");
        let drained = tokio::time::timeout(self.drain_deadline, async {
            while let Some(front) = fronts.join_next().await {
                if let Err(error) = front {
                    tracing::error!(%error, "a front failed");
                }
            }
        });
        if drained.await.is_err() {
            tracing::warn!("the drain deadline passed with requests under way");
        }
        upkeep.abort();
        reloading.abort();
        let registry = self.core.registry.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || registry.close()).await {
            tracing::error!(%error, "closing the registry failed");
        }
        tracing::info!("stopped");
    }
}

/// Reads again, at each signal, what can be read again.
async fn reload_at(mut hangup: Signal, reloads: Vec<Reload>) {
    while hangup.recv().await.is_some() {
        if reloads.is_empty() {
            tracing::info!(
                "SIGHUP: there is nothing to read again; the configuration is read at the start"
            );
        }
        for reload in &reloads {
            reload.now().await;
        }
    }
}

/// Forgets what is past its retention, now and then.
async fn maintain(registry: Arc<Registry>, log_retention_ms: u64) {
    let caller = Caller::Operator {
        credential: "node".into(),
    };
    let mut tick = tokio::time::interval(MAINTENANCE_PERIOD);
    loop {
        tick.tick().await;
        for _ in 0..MAX_PRUNINGS {
            match registry.write(&caller, None, Command::Prune).await {
                Ok(receipt) if receipt.outcome == Outcome::Unfinished => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "pruning idempotency keys failed");
                    break;
                }
            }
        }
        if log_retention_ms == 0 {
            continue;
        }
        let (registry, before_ms) = (registry.clone(), now_ms().saturating_sub(log_retention_ms));
        match tokio::task::spawn_blocking(move || registry.trim_log(before_ms)).await {
            Ok(Err(error)) => tracing::warn!(%error, "trimming the log failed"),
            Err(error) => tracing::warn!(%error, "trimming the log failed"),
            Ok(Ok(())) => {}
        }
    }
}

fn install_metrics() -> Result<PrometheusHandle, NodeError> {
    Ok(PrometheusBuilder::new()
        .set_buckets(&LATENCY_BUCKETS_US)?
        .install_recorder()?)
}

/// The node's HS_SITE: the answer for prefixes served here, and to site information requests.
/// The node's site; `public_key` is HS_PUBKEY data of the key that it signs answers with, or empty.
fn own_site(config: &Config, ports: NodePorts, public_key: &[u8]) -> Vec<u8> {
    let address = own_addresses(config)
        .next()
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut site = Site::of_node(
        config.handle.site_serial,
        &config.node.id,
        Server::of_node(1, address, public_key.to_vec(), ports),
    );
    for (id, further) in (2..).zip(config.handle.public_addresses.iter().skip(1)) {
        site.servers
            .push(Server::of_node(id, *further, public_key.to_vec(), ports));
    }
    site.encode()
}

fn grpc_options(config: &Config) -> GrpcOptions {
    GrpcOptions {
        max_connections: config.grpc.max_connections as usize,
        max_streams_per_connection: config.grpc.max_streams_per_connection,
        reflection: config.grpc.reflection,
        message_limit_bytes: (config.limits.stream_message_mib as usize) << 20,
        max_in_flight_imports: config.limits.max_in_flight_imports as usize,
        batch_items: config.limits.batch_items as usize,
        max_exports: config.grpc.max_exports as usize,
    }
}

/// The socket of `http.tls_listen`, if it is on.
async fn https_listener(config: &Config) -> Result<Option<TcpListener>, NodeError> {
    match config.http.tls_listen {
        Some(address) => TcpListener::bind(address)
            .await
            .map(Some)
            .map_err(bind_error("http", address)),
        None => Ok(None),
    }
}

fn http_options(config: &Config, metrics: PrometheusHandle) -> HttpOptions {
    HttpOptions {
        max_connections: config.http.max_connections as usize,
        body_limit_bytes: u64::from(config.http.body_limit_kib) << 10,
        redirect_schemes: config.http.redirect_schemes.clone(),
        public_url: config.http.public_url.clone(),
        basic_without_tls: config.http.basic_without_tls,
        ..HttpOptions::new(metrics)
    }
}

/// # Errors
/// The file of keys cannot be read, or not by its owner alone.
fn dns_options(config: &Config) -> io::Result<DnsOptions> {
    let dns = &config.dns;
    let key_file = Some(Path::new(&dns.tsig_key_file)).filter(|file| !file.as_os_str().is_empty());
    let parsed = |error: BadEntry| io::Error::new(io::ErrorKind::InvalidInput, error);
    let allowed = dns.allow_transfer.iter().map(|text| Allowed::parse(text));
    let secondaries = dns.notify.iter().map(|text| Secondary::parse(text));
    Ok(DnsOptions {
        name_servers: dns.ns.clone(),
        soa_rname: dns.soa_rname.clone(),
        refresh_s: dns.refresh_s,
        retry_s: dns.retry_s,
        expire_s: dns.expire_s,
        default_ttl_s: dns.default_ttl_s,
        negative_ttl_s: dns.negative_ttl_s,
        node_addresses: dns.node_addresses.clone(),
        tcp_idle_s: dns.tcp_idle_s,
        max_tcp_connections: dns.max_tcp_connections as usize,
        max_connections_per_client: dns.max_connections_per_client as usize,
        encrypted: EncryptedOptions {
            tls: dns.tls_listen,
            https: dns.https_listen,
            quic: dns.quic_listen,
            certificate: CertificateFiles {
                certificate: dns.tls_certificate.clone(),
                key: dns.tls_key.clone(),
            },
        },
        max_queries_per_connection: dns.max_queries_per_connection as usize,
        max_waiting_queries: dns.max_waiting_queries as usize,
        max_udp_payload: dns.max_udp_payload_bytes,
        udp_threads: dns.udp_threads as usize,
        answer_cache_bytes: u64::from(dns.answer_cache_mib) << 20,
        nsid: match dns.nsid.as_str() {
            "" => config.node.id.clone(),
            given => given.to_owned(),
        },
        cookie_secret: parse_cookie_secret(&dns.cookie_secret),
        guard: GuardOptions {
            allow: networks(&dns.allow_query),
            deny: networks(&dns.deny_query),
            responses_per_s: dns.rrl_responses_per_s,
            slip: dns.rrl_slip,
            exempt: networks(&dns.rrl_exempt),
            zone_queries_per_s: dns.max_zone_queries_per_s,
        },
        tsig_keys: Keys::read(&dns.tsig_keys, key_file)?,
        allow_transfer: allowed.collect::<Result<_, _>>().map_err(parsed)?,
        notify: secondaries.collect::<Result<_, _>>().map_err(parsed)?,
        notify_delay: Duration::from_millis(dns.notify_delay_ms.into()),
        max_transfers: dns.max_transfers as usize,
        state_file: Some(config.node.data_dir.join("zones.state")),
    })
}

fn dnssec_options(config: &Config) -> DnssecOptions {
    let dns = &config.dns;
    DnssecOptions {
        signature_validity_s: dns.dnssec_signature_validity_s,
        zone_ttl_s: dns.default_ttl_s,
        negative_ttl_s: dns.negative_ttl_s,
        cache_bytes: u64::from(dns.dnssec_cache_mib) << 20,
    }
}

/// Networks that the configuration has checked.
fn networks(texts: &[String]) -> Vec<IpNet> {
    let parsed = texts.iter().map(|text| parse_network(text));
    parsed.filter_map(Result::ok).collect()
}

/// Where the node is found: what the operator says, else where the Handle front listens.
fn own_addresses(config: &Config) -> impl Iterator<Item = IpAddr> {
    let listening = config.handle.listen.ip();
    let told = config.handle.public_addresses.clone();
    let fallback = (told.is_empty() && !listening.is_unspecified()).then_some(listening);
    told.into_iter().chain(fallback)
}

fn recursion(config: &Config, own_port: u16) -> Option<Recursion> {
    let handle = &config.handle;
    let upstream = handle.upstream.iter();
    handle.recursion.then(|| {
        Recursion::new(RecursionOptions {
            // The configuration's rule has them read once already.
            upstream: upstream.filter_map(|it| it.parse().ok()).collect(),
            timeout: Duration::from_millis(handle.recursion_timeout_ms.into()),
            max_in_flight: handle.max_recursions as usize,
            capacity_bytes: u64::from(handle.recursion_cache_mib) << 20,
            deny: networks(&handle.recursion_deny),
            own: own_addresses(config).collect(),
            own_port,
        })
    })
}

fn handle_sockets(config: &Config) -> Result<HandleSockets, NodeError> {
    let handle = &config.handle;
    let sockets = HandleSockets::bind(handle.listen, handle.udp_threads as usize)
        .map_err(bind_error("handle", handle.listen))?;
    let Some(tls_listen) = handle.tls_listen else {
        return Ok(sockets);
    };
    let files = CertificateFiles {
        certificate: handle.tls_certificate.clone(),
        key: handle.tls_key.clone(),
    };
    sockets
        .with_tls(tls_listen, files)
        .map_err(bind_error("handle", tls_listen))
}

fn handle_options(config: &Config) -> HandleOptions {
    HandleOptions {
        udp_long_answer_bytes_per_s: config.handle.udp_long_answer_kib_per_s << 10,
        udp_long_answer_exempt: networks(&config.handle.udp_long_answer_exempt),
        answer_cache_bytes: u64::from(config.handle.answer_cache_mib) << 20,
        tcp_idle: Duration::from_secs(config.handle.tcp_idle_s.into()),
        max_tcp_connections: config.handle.max_tcp_connections as usize,
        max_udp_in_flight: config.handle.max_udp_in_flight as usize,
        ..HandleOptions::default()
    }
}

fn bind_error(front: &'static str, address: SocketAddr) -> impl Fn(io::Error) -> NodeError {
    move |error| NodeError::Bind {
        front,
        address,
        error,
    }
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
