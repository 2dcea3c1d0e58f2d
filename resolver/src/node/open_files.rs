//! Connections and the store share the files that the process may have open. Whoever only connects must
//! not take those that the store needs: a write-ahead file that cannot be opened ends all writing.

use crate::config::Config;
use nix::sys::resource::{Resource, getrlimit};

/// Files beside connections and the store's tables: what it writes, sockets, logs, key files.
const OTHERS: u64 = 128;

/// The configuration with limits of connections that fit the limit of open files, each less by the same
/// part where they do not.
pub(super) fn fitted(config: &Config) -> Config {
    let mut fitted = config.clone();
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((most, _)) => fit(&mut fitted, most),
        Err(error) => tracing::warn!(%error, "the limit of open files is not known"),
    }
    fitted
}

fn fit(config: &mut Config, most: u64) {
    let kept = u64::from(config.store.max_open_files) + OTHERS;
    let wanted: u64 = limits(config)
        .iter()
        .map(|(limit, listeners)| u64::from(**limit) * listeners)
        .sum();
    let left = most.saturating_sub(kept);
    if wanted <= left {
        return;
    }
    for (limit, _) in limits(config) {
        let part = u64::from(*limit) * left / wanted;
        *limit = u32::try_from(part).unwrap_or(u32::MAX).max(1);
    }
    tracing::warn!(
        limit = most,
        wanted = wanted + kept,
        grpc = config.grpc.max_connections,
        http = config.http.max_connections,
        dns = config.dns.max_tcp_connections,
        handle = config.handle.max_tcp_connections,
        whois = config.whois.max_connections,
        "fewer connections are taken than configured: the limit of open files is too low"
    );
}

/// The limits of connections, and how many listeners have each.
fn limits(config: &mut Config) -> [(&mut u32, u64); 5] {
    let of_dns = [config.dns.tls_listen, config.dns.https_listen];
    let of_http = u64::from(config.http.tls_listen.is_some());
    let of_dns = of_dns.iter().flatten().count() as u64;
    [
        (&mut config.grpc.max_connections, 1),
        (&mut config.http.max_connections, 1 + of_http),
        (&mut config.dns.max_tcp_connections, 1 + of_dns),
        (&mut config.handle.max_tcp_connections, 1),
        (&mut config.whois.max_connections, 1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_the_store_its_files() {
        let asked = Config::default();
        for most in [0, 256, 1_024, 4_096, 20_000, 1_000_000] {
            let mut config = asked.clone();
            fit(&mut config, most);
            let taken: u64 = limits(&mut config)
                .iter()
                .map(|(limit, listeners)| u64::from(**limit) * listeners)
                .sum();
            let kept = u64::from(config.store.max_open_files) + OTHERS;
            assert!(taken + kept <= most.max(kept + 5), "{most}");
            assert_eq!(config == asked, most >= 20_000, "{most}");
        }
    }
}
