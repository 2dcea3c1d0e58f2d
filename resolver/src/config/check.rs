//! What keys must hold together, beyond what each allows alone.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::sections::Config;

/// Keys that are good alone but not together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conflict {
    /// The keys as `section.key`.
    pub keys: [&'static str; 2],
    /// What is wrong with them.
    pub message: String,
}

/// Everything that does not hold together in `config`.
pub(super) fn conflicts(config: &Config) -> Vec<Conflict> {
    let mut found = zones(config);
    found.extend(listeners(config));
    found.extend(certificates(config));
    found.extend(soa_times(config));
    found.extend(trust(config));
    found.extend(upward(config));
    found.extend(escrow(config));
    found.extend(upward_report(config));
    found.extend(upward_sync(config));
    found
}

/// Warnings: what works, but probably not as the operator means.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if config.handle.public_addresses.is_empty() {
        found.push(format!(
            "handle.public_addresses: is empty and handle.listen is {}, so the site information \
             tells Handle clients no address",
            config.handle.listen
        ));
    }
    let is_own_server = |name: &String| {
        zone_names(config)
            .iter()
            .any(|(_, zone)| is_within(name, zone))
    };
    if config.dns.node_addresses.is_empty() && config.dns.ns.iter().any(is_own_server) {
        found.push(format!(
            "dns.node_addresses: is empty and dns.listen is {}, so the name servers within the \
             node's zones have no address",
            config.dns.listen
        ));
    }
    let is_off = encrypted(config).iter().all(|(_, listen)| listen.is_none());
    if is_off && !config.dns.tls_certificate.as_os_str().is_empty() {
        found.push(
            "dns.tls_certificate: is not used, as dns.tls_listen, dns.https_listen and \
             dns.quic_listen are all off"
                .to_owned(),
        );
    }
    let handle = &config.handle;
    if handle.tls_listen.is_none() && !handle.tls_certificate.as_os_str().is_empty() {
        found.push("handle.tls_certificate: is not used, as handle.tls_listen is off".to_owned());
    }
    let http = &config.http;
    if http.tls_listen.is_none() && !http.tls_certificate.as_os_str().is_empty() {
        found.push("http.tls_certificate: is not used, as http.tls_listen is off".to_owned());
    }
    if http.basic_without_tls && !http.listen.ip().is_loopback() {
        found.push(format!(
            "http.basic_without_tls: is true and http.listen is {}, so secret keys of handle \
             administrators may cross networks in clear",
            http.listen
        ));
    }
    if u64::from(config.node.drain_deadline_s) * 1000 < u64::from(config.limits.request_deadline_ms)
    {
        found.push(
            "node.drain_deadline_s: is shorter than limits.request_deadline_ms, so a stop may cut \
             requests off"
                .to_owned(),
        );
    }
    found
}

fn zone_names(config: &Config) -> [(&'static str, &str); 3] {
    [
        ("dns.zone", &config.dns.zone),
        ("dns.ors_zone", &config.dns.ors_zone),
        ("dns.ons_zone", &config.dns.ons_zone),
    ]
}

/// A name in one zone must not be a name in another: each zone has its own mapping to identifiers.
fn zones(config: &Config) -> Vec<Conflict> {
    pairs(zone_names(config))
        .into_iter()
        .filter(|((_, left), (_, right))| is_within(left, right) || is_within(right, left))
        .map(|((left_key, left), (right_key, right))| Conflict {
            keys: [left_key, right_key],
            message: format!(
                "zones must not contain one another, but {left_key} is {left:?} and {right_key} is {right:?}"
            ),
        })
        .collect()
}

fn is_within(name: &str, zone: &str) -> bool {
    let (name, zone) = (name.to_ascii_lowercase(), zone.to_ascii_lowercase());
    name.strip_suffix(&zone)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// No two listeners of TCP can share an address, nor can two of UDP.
fn listeners(config: &Config) -> Vec<Conflict> {
    let dns = &config.dns;
    let tcp = [
        ("grpc.listen", Some(config.grpc.listen)),
        ("http.listen", Some(config.http.listen)),
        ("http.tls_listen", config.http.tls_listen),
        ("dns.listen", Some(dns.listen)),
        ("handle.listen", Some(config.handle.listen)),
        ("dns.tls_listen", dns.tls_listen),
        ("dns.https_listen", dns.https_listen),
        ("handle.tls_listen", config.handle.tls_listen),
        ("whois.listen", config.whois.listen),
    ];
    let udp = [
        ("dns.listen", Some(dns.listen)),
        ("handle.listen", Some(config.handle.listen)),
        ("dns.quic_listen", dns.quic_listen),
    ];
    // Those of `dns.listen` and `handle.listen` have been seen among the first.
    let udp = pairs(udp)
        .into_iter()
        .filter(|(_, (key, _))| *key == "dns.quic_listen");
    pairs(tcp)
        .into_iter()
        .chain(udp)
        .filter_map(|((left_key, left), (right_key, right))| {
            let (left, right) = (left?, right?);
            collide(left, right).then(|| Conflict {
                keys: [left_key, right_key],
                message: format!(
                    "two fronts cannot share an address, but {left_key} is {left} and {right_key} is {right}"
                ),
            })
        })
        .collect()
}

/// The encrypted transports of DNS, each by its key, with where it listens if it is on.
fn encrypted(config: &Config) -> [(&'static str, Option<SocketAddr>); 3] {
    [
        ("dns.tls_listen", config.dns.tls_listen),
        ("dns.https_listen", config.dns.https_listen),
        ("dns.quic_listen", config.dns.quic_listen),
    ]
}

/// Whoever is to encrypt needs a certificate and its key.
fn certificates(config: &Config) -> Vec<Conflict> {
    let (dns, handle, http) = (&config.dns, &config.handle, &config.http);
    let dns_files = [
        ("dns.tls_certificate", &dns.tls_certificate),
        ("dns.tls_key", &dns.tls_key),
    ];
    let handle_files = [
        ("handle.tls_certificate", &handle.tls_certificate),
        ("handle.tls_key", &handle.tls_key),
    ];
    let handle_listener = [("handle.tls_listen", handle.tls_listen)];
    let mut found = missing_files(&encrypted(config), dns_files);
    found.extend(missing_files(&handle_listener, handle_files));
    let http_files = [
        ("http.tls_certificate", &http.tls_certificate),
        ("http.tls_key", &http.tls_key),
    ];
    let http_listener = [("http.tls_listen", http.tls_listen)];
    found.extend(missing_files(&http_listener, http_files));
    found
}

/// Files that are not named although one of the listeners is on.
fn missing_files(
    listeners: &[(&'static str, Option<SocketAddr>)],
    files: [(&'static str, &PathBuf); 2],
) -> Vec<Conflict> {
    // One that is on is enough to say what is missing.
    let mut on = listeners
        .iter()
        .filter_map(|(key, address)| Some((*key, (*address)?)));
    let Some((listen, address)) = on.next() else {
        return Vec::new();
    };
    let missing = files
        .into_iter()
        .filter(|(_, path)| path.as_os_str().is_empty());
    missing
        .map(|(file, _)| Conflict {
            keys: [listen, file],
            message: format!("{listen} is {address}, which needs {file}, a PEM file"),
        })
        .collect()
}

/// Who signs needs a key, and so does who is trusted.
fn trust(config: &Config) -> Vec<Conflict> {
    let trust = &config.trust;
    [
        (
            "trust.signer",
            &trust.signer,
            "trust.key_file",
            &trust.key_file,
        ),
        (
            "trust.root",
            &trust.root,
            "trust.root_key_file",
            &trust.root_key_file,
        ),
    ]
    .into_iter()
    .filter(|(_, name, _, file)| !name.is_empty() && file.as_os_str().is_empty())
    .map(|(name_key, name, file_key, _)| Conflict {
        keys: [name_key, file_key],
        message: format!("{name_key} is {name:?}, which needs {file_key}, a PEM file"),
    })
    .collect()
}

/// Who reports shows a certificate, and knows whose it takes.
fn upward_report(config: &Config) -> Vec<Conflict> {
    let report = &config.upward_report;
    both_show_certificates(
        ("upward.report.server", &report.server),
        [
            ("upward.report.authority", &report.authority),
            ("upward.report.certificate", &report.certificate),
            ("upward.report.key", &report.key),
        ],
    )
}

/// So does whoever sends changes.
fn upward_sync(config: &Config) -> Vec<Conflict> {
    let sync = &config.upward_sync;
    both_show_certificates(
        ("upward.sync.server", &sync.server),
        [
            ("upward.sync.authority", &sync.authority),
            ("upward.sync.certificate", &sync.certificate),
            ("upward.sync.key", &sync.key),
        ],
    )
}

/// Files that a server with TLS on both sides needs.
fn both_show_certificates(
    (server_key, server): (&'static str, &String),
    files: [(&'static str, &PathBuf); 3],
) -> Vec<Conflict> {
    if server.is_empty() {
        return Vec::new();
    }
    let missing = files
        .into_iter()
        .filter(|(_, path)| path.as_os_str().is_empty());
    missing
        .map(|(key, _)| Conflict {
            keys: [server_key, key],
            message: format!("{server_key} is {server:?}, which needs {key}, a file"),
        })
        .collect()
}

/// Who speaks EPP logs in, and says under which prefixes.
fn upward(config: &Config) -> Vec<Conflict> {
    let (epp, server) = (&config.upward_epp, &config.upward_epp.server);
    if server.is_empty() {
        return Vec::new();
    }
    let needs = |needed: bool, key: &'static str, what: &str| {
        needed.then(|| Conflict {
            keys: ["upward.epp.server", key],
            message: format!("upward.epp.server is {server:?}, which needs {key}, {what}"),
        })
    };
    let no_file = |path: &PathBuf| path.as_os_str().is_empty();
    [
        needs(
            no_file(&epp.password_file),
            "upward.epp.password_file",
            "a file of one line",
        ),
        needs(
            no_file(&epp.authority) && !server.starts_with("http://"),
            "upward.epp.authority",
            "a PEM file",
        ),
        needs(
            config.upward.prefixes.is_empty(),
            "upward.prefixes",
            "the prefixes of the node",
        ),
        needs(
            config.upward.user.is_empty(),
            "upward.user",
            "the node's user there",
        ),
        needs(
            no_file(&epp.certificate) != no_file(&epp.key),
            if no_file(&epp.key) {
                "upward.epp.key"
            } else {
                "upward.epp.certificate"
            },
            "as the other of the two is named",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Who deposits says to whom, and with which keys.
fn escrow(config: &Config) -> Vec<Conflict> {
    let (escrow, server) = (&config.upward_escrow, &config.upward_escrow.server);
    if server.is_empty() {
        return Vec::new();
    }
    let no_file = |path: &PathBuf| path.as_os_str().is_empty();
    let no_user = escrow.user.is_empty() && config.upward.user.is_empty();
    [
        (
            no_file(&escrow.key_file),
            "upward.escrow.key_file",
            "the key it logs in with",
        ),
        (
            escrow.host_key.is_empty(),
            "upward.escrow.host_key",
            "the server's key",
        ),
        (
            no_file(&escrow.receiver_key_file),
            "upward.escrow.receiver_key_file",
            "the key that deposits are encrypted to",
        ),
        (
            no_file(&escrow.signing_key_file),
            "upward.escrow.signing_key_file",
            "the key that deposits are signed with",
        ),
        (no_user, "upward.escrow.user", "the name it logs in by"),
        (
            config.upward.prefixes.is_empty(),
            "upward.prefixes",
            "the prefixes of the node",
        ),
    ]
    .into_iter()
    .filter(|(needed, ..)| *needed)
    .map(|(_, key, what)| Conflict {
        keys: ["upward.escrow.server", key],
        message: format!("upward.escrow.server is {server:?}, which needs {key}, {what}"),
    })
    .collect()
}

fn collide(left: SocketAddr, right: SocketAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| {
        wide == narrow || (wide.is_unspecified() && wide.is_ipv4() == narrow.is_ipv4())
    };
    left.port() != 0
        && left.port() == right.port()
        && (covers(left.ip(), right.ip()) || covers(right.ip(), left.ip()))
}

/// A secondary that retries later than it refreshes, or expires before it refreshes, would serve
/// the zone now and then only (RFC 1912 section 2.2).
fn soa_times(config: &Config) -> Vec<Conflict> {
    let dns = &config.dns;
    let mut found = Vec::new();
    if dns.retry_s > dns.refresh_s {
        let message = format!(
            "retry_s ({}) must not exceed refresh_s ({})",
            dns.retry_s, dns.refresh_s
        );
        found.push(Conflict {
            keys: ["dns.retry_s", "dns.refresh_s"],
            message,
        });
    }
    if dns.expire_s < dns.refresh_s {
        let message = format!(
            "expire_s ({}) must not be less than refresh_s ({})",
            dns.expire_s, dns.refresh_s
        );
        found.push(Conflict {
            keys: ["dns.expire_s", "dns.refresh_s"],
            message,
        });
    }
    found
}

fn pairs<T: Copy, const N: usize>(items: [T; N]) -> Vec<(T, T)> {
    let later = |index: usize| items.into_iter().skip(index + 1);
    items
        .into_iter()
        .enumerate()
        .flat_map(|(index, left)| {
            later(index)
                .map(move |right| (left, right))
                .collect::<Vec<_>>()
        })
        .collect()
}
