//! The configuration files of the nodes and of the national node.

use std::path::Path;

use toml::{Table, Value};

use super::certify::write;
use super::city::{City, Site};
use super::error::Failure;
use super::layout::{
    DNS_PORT, EPP_PORT, GRPC_PORT, HANDLE_PORT, HTTP_PORT, HTTPS_PORT, Layout, Map, REPORT_PORT,
    STATUS_PORT, SYNC_PORT,
};

/// Writes the files of all places.
///
/// # Errors
/// A file cannot be written.
pub(super) fn configure(layout: &Layout, map: &Map) -> Result<(), Failure> {
    let mut accounts = Vec::new();
    for city in City::ALL {
        let password = password(layout, city)?;
        accounts.push(format!("{}:{password}:{}", user(city), city.prefix()));
        let file = node(layout, map, city).to_string();
        write(&layout.config(Site::City(city)), &file, 0o644)?;
    }
    let file = national(layout, map, accounts).to_string();
    write(&layout.config(Site::National), &file, 0o600)
}

/// The name that a city's node logs in with at the national node.
fn user(city: City) -> String {
    format!("shanxi-{}", city.number())
}

/// The password that a city's node logs in with: made once.
fn password(layout: &Layout, city: City) -> Result<String, Failure> {
    let path = layout.file(Site::City(city), "epp.password");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Ok(text.trim().to_owned());
    }
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|error| Failure::Program(error.to_string()))?;
    let password = data_encoding::HEXLOWER.encode(&random);
    write(&path, &format!("{password}\n"), 0o600)?;
    Ok(password)
}

fn text(path: &Path) -> Value {
    Value::String(path.display().to_string())
}

fn strings(texts: impl IntoIterator<Item = String>) -> Value {
    Value::Array(texts.into_iter().map(Value::String).collect())
}

/// A table of what is given.
macro_rules! table {
    ($($key:literal = $value:expr),* $(,)?) => {
        Table::from_iter([$(($key.to_owned(), Value::from($value))),*])
    };
}

fn node(layout: &Layout, map: &Map, city: City) -> Table {
    let site = Site::City(city);
    let file = |name: &str| text(&layout.file(site, name));
    let at = |port| map.at(site, port).to_string();
    let (certificate, key) = (file("node.pem"), file("node.key"));
    table! {
        "version" = 1,
        "node" = table! {
            "id" = city.name(), "data_dir" = file("data"), "drain_deadline_s" = 5,
            "worker_threads" = 2,
        },
        "store" = table! { "block_cache_mib" = 64, "write_buffer_mib" = 16 },
        "cache" = table! { "capacity_mib" = 32 },
        "grpc" = table! { "listen" = at(GRPC_PORT) },
        "http" = table! {
            "listen" = at(HTTP_PORT), "tls_listen" = at(HTTPS_PORT),
            "tls_certificate" = certificate.clone(), "tls_key" = key.clone(),
        },
        "dns" = table! { "listen" = at(DNS_PORT), "udp_threads" = 1 },
        // Siblings of a province on the loopback network are there.
        "handle" = table! {
            "listen" = at(HANDLE_PORT), "udp_threads" = 1, "recursion_deny" = strings([]),
            "upstream" = strings([map.at(Site::National, HANDLE_PORT).to_string()]),
        },
        "upward" = table! {
            "prefixes" = strings([city.prefix()]), "user" = user(city),
            "operator" = city.operator(),
            "epp" = channel(layout, map, city, EPP_PORT, table! {
                "password_file" = file("epp.password"), "poll_ms" = 500, "max_backoff_ms" = 2000,
                "timeout_ms" = 5000,
            }),
            "report" = channel(layout, map, city, REPORT_PORT, table! {
                "max_backoff_ms" = 2000, "timeout_ms" = 5000,
            }),
            "sync" = channel(layout, map, city, SYNC_PORT, table! {
                "max_backoff_ms" = 2000, "timeout_ms" = 5000,
            }),
        },
        "log" = table! { "level" = "info" },
    }
}

/// A channel to the national node: what all of them have, and what this one has besides.
fn channel(layout: &Layout, map: &Map, city: City, port: u16, further: Table) -> Table {
    let file = |name: &str| text(&layout.file(Site::City(city), name));
    let mut channel = table! {
        "server" = map.at(Site::National, port).to_string(),
        "server_name" = Site::National.name(),
        "authority" = text(&layout.authority("pem")),
        "certificate" = file("node.pem"),
        "key" = file("node.key"),
    };
    channel.extend(further);
    channel
}

fn national(layout: &Layout, map: &Map, accounts: Vec<String>) -> Table {
    let file = |name: &str| text(&layout.file(Site::National, name));
    let at = |port| map.at(Site::National, port).to_string();
    let (certificate, key) = (file("node.pem"), file("node.key"));
    let authority = text(&layout.authority("pem"));
    table! {
        "data_dir" = file("data"),
        "listen_status" = at(STATUS_PORT),
        "epp" = table! {
            "listen_epp" = at(EPP_PORT),
            "epp_certificate" = certificate.clone(), "epp_key" = key.clone(),
            "epp_client_authority" = authority.clone(),
            "epp_accounts" = strings(accounts), "review" = "auto",
        },
        "report" = table! {
            "listen_report" = at(REPORT_PORT),
            "report_certificate" = certificate.clone(), "report_key" = key.clone(),
            "report_authority" = authority.clone(),
        },
        "resolve" = table! { "listen_resolve" = at(HANDLE_PORT) },
        "uplink" = table! {
            "listen_sync" = at(SYNC_PORT), "sync_certificate" = certificate, "sync_key" = key,
            "sync_authority" = authority,
            "sync_node" = strings(City::ALL.map(|it| format!("{}:{}", it.name(), it.prefix()))),
        },
    }
}
