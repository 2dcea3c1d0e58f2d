//! A running node: the one place that knows all parts and how they are put together; `options` says
//! what the configuration says to each, `upkeep` what it does beside serving.

mod error;
mod open_files;
pub(crate) mod options;
mod upkeep;

use self::error::bind_error;
use self::options::{
    directory_options, dns_options, dnssec_options, grpc_options, handle_options, handle_sockets,
    http_options, https_listener, own_site, recursion, whois_front,
};
use self::upkeep::{maintain, reload_at};
use crate::cache::HotCache;
use crate::config::Config;
use crate::front::Core;
use crate::front::directory::Directory;
use crate::front::dns::{DnsFront, Dnssec};
use crate::front::grpc::GrpcFront;
use crate::front::handle::{HandleFront, HandleOptions, SiteKey};
use crate::front::http::HttpFront;
use crate::front::proofs::Proofs;
use crate::front::tls::CertificateFiles;
use crate::front::whois::WhoisFront;
use crate::resolve::Resolver;
use crate::trust::{self, Verdicts};
use crate::upward::Upward;
use idnode_proto::dnsname::Zones;
use idnode_proto::handle::site::NodePorts;
use idnode_registry::store::StoreOptions;
use idnode_registry::upward::Uplink;
use idnode_registry::{Options, Registry};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::signal::unix::Signal;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::error::NodeError;

/// Latency buckets of the histograms in microseconds.
const LATENCY_BUCKETS_US: [f64; 12] = [
    10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 1e4, 5e4, 2.5e5, 1e6,
];

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
    /// WHOIS front, if it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whois: Option<SocketAddr>,
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
    whois: Option<WhoisFront>,
    /// Made last: it asks the fronts.
    upward: Option<Upward>,
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
        let config = &open_files::fitted(config);
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
        let site_key = site_key(config).await?;
        let public_key = site_key.public().map_err(NodeError::SiteKey)?;
        let own_site = own_site(config, ports, &public_key);
        let uplink = Arc::new(Uplink::new(registry.journal()));
        let resolver = Resolver::new(registry.clone(), cache, own_site);
        let core = Arc::new(Core {
            recursion: recursion(config, handle_port, uplink.siblings(), &resolver),
            resolver,
            registry: registry.clone(),
            zones,
            dnssec: Arc::new(dnssec),
            directory: Arc::new(Directory::open(
                registry.clone(),
                directory_options(config),
            )?),
            uplink,
            proofs: Proofs::new(registry.clone()).with_limits(options::guess_limits(config)),
            started_at_ms: now_ms(),
            request_deadline: Duration::from_millis(config.limits.request_deadline_ms.into()),
        });
        let grpc = GrpcFront::bind(config.grpc.listen, core.clone(), grpc_options(config))
            .await
            .map_err(bind_error("grpc", config.grpc.listen))?;
        let http_options = http_options(config, metrics)?;
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
            site_key: Some(Arc::new(site_key)),
            ..handle_options(config)
        };
        let handle = HandleFront::new(sockets, core.clone(), handle_options);
        let whois = whois_front(config, &core).await?;
        let mut node = Self {
            core,
            grpc,
            http,
            dns,
            handle,
            whois,
            upward: None,
            drain_deadline: Duration::from_secs(config.node.drain_deadline_s.into()),
            log_retention_ms: config.store.log_retention_s * 1_000,
        };
        node.upward = Some(Upward::new(config, &node.core, &node.addresses())?);
        Ok(node)
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
            whois: self.whois.as_ref().map(WhoisFront::local_addr),
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
        fronts.spawn(self.core.directory.clone().follow(shutdown.clone()));
        if let Some(whois) = self.whois {
            fronts.spawn(whois.serve(shutdown.clone()));
        }
        let upward = self.upward.map(|upward| upward.start(&shutdown));
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
        if let Some(upward) = upward {
            upward.stopped().await;
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

/// What answers are signed with: the signer's key where one is configured, else the node's own, which
/// an older program's node makes now.
async fn site_key(config: &Config) -> Result<SiteKey, NodeError> {
    if let Some(endorser) = trust::endorser(&config.trust)? {
        return Ok(SiteKey::of_signer(endorser.signer));
    }
    let data_dir = config.node.data_dir.clone();
    let own = tokio::task::spawn_blocking(move || trust::own_key(&data_dir)).await;
    let own = own.map_err(|error| NodeError::System {
        what: "the node's own key",
        error: error.into(),
    })?;
    Ok(SiteKey::own(own?))
}

fn install_metrics() -> Result<PrometheusHandle, NodeError> {
    Ok(PrometheusBuilder::new()
        .set_buckets(&LATENCY_BUCKETS_US)?
        .install_recorder()?)
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
