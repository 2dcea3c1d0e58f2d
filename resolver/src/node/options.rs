//! What the configuration says to each part.

use super::error::{NodeError, bind_error};
use crate::config::{Config, parse_cookie_secret, parse_network};
use crate::front::Core;
use crate::front::directory::DirectoryOptions;
use crate::front::dns::{
    Allowed, BadEntry, DnsOptions, DnssecOptions, EncryptedOptions, GuardOptions, Keys, Secondary,
};
use crate::front::grpc::GrpcOptions;
use crate::front::guesses::GuessLimits;
use crate::front::handle::{HandleOptions, HandleSockets};
use crate::front::http::{HttpOptions, Monitor};
use crate::front::tls::CertificateFiles;
use crate::front::whois::{WhoisFront, WhoisOptions};
use crate::recursion::{Recursion, RecursionOptions};
use crate::resolve::Resolver;
use crate::trust::read_text;
use crate::upward::UpwardError;
use idnode_proto::handle::site::{NodePorts, Server, Site};
use idnode_registry::upward::routes::Siblings;
use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Shortest token of the monitoring endpoint, bytes.
const MIN_TOKEN_BYTES: usize = 16;

/// The node's HS_SITE: the answer for prefixes served here, and to site information requests.
/// `public_key` is HS_PUBKEY data of the key that it signs answers with, or empty.
pub(super) fn own_site(config: &Config, ports: NodePorts, public_key: &[u8]) -> Vec<u8> {
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

pub(super) fn grpc_options(config: &Config) -> GrpcOptions {
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
pub(super) async fn https_listener(config: &Config) -> Result<Option<TcpListener>, NodeError> {
    match config.http.tls_listen {
        Some(address) => TcpListener::bind(address)
            .await
            .map(Some)
            .map_err(bind_error("http", address)),
        None => Ok(None),
    }
}

pub(super) fn http_options(
    config: &Config,
    metrics: PrometheusHandle,
) -> Result<HttpOptions, NodeError> {
    Ok(HttpOptions {
        max_connections: config.http.max_connections as usize,
        body_limit_bytes: u64::from(config.http.body_limit_kib) << 10,
        redirect_schemes: config.http.redirect_schemes.clone(),
        public_url: config.http.public_url.clone(),
        basic_without_tls: config.http.basic_without_tls,
        answer_cache_bytes: u64::from(config.http.answer_cache_mib) << 20,
        iiidap: config.iiidap.enabled,
        monitor: monitor(config)?,
        ..HttpOptions::new(metrics)
    })
}

/// Whom the monitoring endpoint answers: the holder of the token in the file.
fn monitor(config: &Config) -> Result<Option<Monitor>, NodeError> {
    let path = &config.upward.monitor_token_file;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let unusable = |reason: String| UpwardError {
        path: path.clone(),
        reason,
    };
    let text = read_text(path, true).map_err(|error| unusable(error.to_string()))?;
    let token = text.trim();
    if token.len() < MIN_TOKEN_BYTES || token.contains(char::is_whitespace) {
        let reason = format!("holds no token: one line of at least {MIN_TOKEN_BYTES} characters");
        return Err(unusable(reason).into());
    }
    Ok(Some(Monitor::new(&config.node.id, token)))
}

pub(super) fn directory_options(config: &Config) -> DirectoryOptions {
    let iiidap = &config.iiidap;
    let file = |path: &Path| Some(path.to_owned()).filter(|it| !it.as_os_str().is_empty());
    DirectoryOptions {
        lang: iiidap.lang.clone(),
        own_file: file(&iiidap.own_file),
        bootstrap_file: file(&iiidap.bootstrap_file),
        base_url: match config.http.public_url.as_str() {
            "" => String::new(),
            url => format!("{url}/iiidap/"),
        },
        support: iiidap.support.clone(),
        max_results: iiidap.max_results as usize,
        max_results_known: iiidap.max_results_known as usize,
        queries_per_s: iiidap.queries_per_s,
        searches_per_s: iiidap.searches_per_s,
        rate_exempt: networks(&iiidap.rate_exempt),
        personal_without_tls: iiidap.personal_without_tls,
    }
}

/// The front of `whois.listen`, if it is on.
pub(super) async fn whois_front(
    config: &Config,
    core: &Arc<Core>,
) -> Result<Option<WhoisFront>, NodeError> {
    let Some(address) = config.whois.listen else {
        return Ok(None);
    };
    let options = WhoisOptions {
        max_connections: config.whois.max_connections as usize,
        idle: Duration::from_secs(config.whois.idle_s.into()),
    };
    let bound = WhoisFront::bind(address, core.clone(), options).await;
    bound.map(Some).map_err(bind_error("whois", address))
}

/// # Errors
/// The file of keys cannot be read, or not by its owner alone.
pub(super) fn dns_options(config: &Config) -> io::Result<DnsOptions> {
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
        udp_realtime: dns.udp_realtime,
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

pub(super) fn dnssec_options(config: &Config) -> DnssecOptions {
    let dns = &config.dns;
    DnssecOptions {
        signature_validity_s: dns.dnssec_signature_validity_s,
        zone_ttl_s: dns.default_ttl_s,
        negative_ttl_s: dns.negative_ttl_s,
        cache_bytes: u64::from(dns.dnssec_cache_mib) << 20,
    }
}

/// Networks that the configuration has checked.
pub(crate) fn networks(texts: &[String]) -> Vec<IpNet> {
    let parsed = texts.iter().map(|text| parse_network(text));
    parsed.filter_map(Result::ok).collect()
}

/// Where the node is found: what the operator says, else where the Handle front listens.
pub(crate) fn own_addresses(config: &Config) -> impl Iterator<Item = IpAddr> {
    let listening = config.handle.listen.ip();
    let told = config.handle.public_addresses.clone();
    let fallback = (told.is_empty() && !listening.is_unspecified()).then_some(listening);
    told.into_iter().chain(fallback)
}

pub(super) fn recursion(
    config: &Config,
    own_port: u16,
    siblings: &Arc<Siblings>,
    core: &Arc<Resolver>,
) -> Option<Recursion> {
    let handle = &config.handle;
    let upstream = handle.upstream.iter();
    handle.recursion.then(|| {
        let options = RecursionOptions {
            // The configuration's rule has them read once already.
            upstream: upstream.filter_map(|it| it.parse().ok()).collect(),
            timeout: Duration::from_millis(handle.recursion_timeout_ms.into()),
            max_in_flight: handle.max_recursions as usize,
            capacity_bytes: u64::from(handle.recursion_cache_mib) << 20,
            deny: networks(&handle.recursion_deny),
            own: own_addresses(config).collect(),
            own_port,
            siblings: siblings.clone(),
        };
        Recursion::new(options, core.clone())
    })
}

pub(super) fn handle_sockets(config: &Config) -> Result<HandleSockets, NodeError> {
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

pub(super) fn handle_options(config: &Config) -> HandleOptions {
    HandleOptions {
        udp_long_answer_bytes_per_s: config.handle.udp_long_answer_kib_per_s << 10,
        udp_long_answer_exempt: networks(&config.handle.udp_long_answer_exempt),
        answer_cache_bytes: u64::from(config.handle.answer_cache_mib) << 20,
        tcp_idle: Duration::from_secs(config.handle.tcp_idle_s.into()),
        max_tcp_connections: config.handle.max_tcp_connections as usize,
        max_udp_in_flight: config.handle.max_udp_in_flight as usize,
        udp_realtime: config.handle.udp_realtime,
        backups: config.node.data_dir.join("backups"),
        ..HandleOptions::default()
    }
}

pub(super) fn guess_limits(config: &Config) -> GuessLimits {
    GuessLimits {
        failed_per_minute: config.limits.failed_proofs_per_minute,
        exempt: networks(&config.limits.failed_proofs_exempt),
    }
}
