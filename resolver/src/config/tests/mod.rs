#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod documents;
mod mistakes;
mod precedence;
mod rules;

use std::ffi::OsString;
use std::path::PathBuf;

use super::*;
use table::Key;
use value::{Kind, Value};

/// Writes `text` to a file of its own; the directory goes away with the guard.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.toml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn load_file(text: &str) -> Result<Config, ConfigErrors> {
    let (_guard, path) = file(text);
    Config::load(Some(&path), [], &[])
}

/// The errors of a file, each without the directory in front of the file's name.
fn mistakes_of(text: &str) -> Vec<String> {
    let (guard, path) = file(text);
    let directory = format!("{}/", guard.path().display());
    match Config::load(Some(&path), [], &[]) {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .to_string()
            .lines()
            .map(|line| line.replacen(&directory, "", 1))
            .collect(),
    }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

/// A value of the key that is allowed, is not its default and conflicts with no other key's.
fn other_value(key: &Key) -> String {
    let default = (key.get)(&Config::unsettled());
    match (key.path().as_str(), default) {
        ("log.format", _) => "json".to_owned(),
        ("log.level", _) => "warn,idnode_resolver=debug".to_owned(),
        ("node.id", _) => "shuozhou-1".to_owned(),
        ("node.data_dir", _) => "/var/lib/idnode".to_owned(),
        ("http.public_url", _) => "https://id.example.org/base".to_owned(),
        ("http.redirect_schemes", _) => "https,coap+tcp".to_owned(),
        ("iiidap.lang", _) => "en".to_owned(),
        ("iiidap.own_file" | "iiidap.bootstrap_file", _) => "other.json".to_owned(),
        ("iiidap.support", _) => "noc@example.org".to_owned(),
        ("dns.soa_rname", _) => "noc.example.org.".to_owned(),
        ("dns.retry_s", _) => "601".to_owned(),
        ("dns.ns", _) => "ns.example.org., ns.example.net.".to_owned(),
        ("dns.nsid", _) => "shuozhou-1 a".to_owned(),
        ("dns.cookie_secret", _) => "e5e973e5a6b2a43f48e7dc849e37bfcf".to_owned(),
        (
            "dns.allow_query"
            | "dns.deny_query"
            | "dns.rrl_exempt"
            | "dns.allow_transfer"
            | "handle.recursion_deny"
            | "upward.routes.sibling_networks"
            | "iiidap.rate_exempt",
            _,
        ) => "192.0.2.0/24,2001:db8::/32".to_owned(),
        ("handle.upstream", _) => "192.0.2.1:2641,[2001:db8::1]:2641".to_owned(),
        (
            "dns.tls_certificate"
            | "dns.tls_key"
            | "dns.tsig_key_file"
            | "handle.tls_certificate"
            | "handle.tls_key"
            | "http.tls_certificate"
            | "http.tls_key",
            _,
        ) => "other.pem".to_owned(),
        ("handle.udp_long_answer_exempt" | "limits.failed_proofs_exempt", _) => {
            "192.0.2.0/24".to_owned()
        }
        ("trust.signer" | "trust.root", _) => "300:0.NA/88.118.8".to_owned(),
        ("trust.chain", _) => "400:0.NA/88.118.8".to_owned(),
        (path, _) if path.starts_with("trust.") && path.ends_with("_file") => "other".to_owned(),
        ("dns.tsig_keys", _) => "k.:hmac-sha256:c2VjcmV0IG9mIHRoZSB0ZXN0cw==".to_owned(),
        ("upward.prefixes", _) => "88.118,88.119".to_owned(),
        ("upward.user" | "upward.epp.client_id", _) => "shr-118".to_owned(),
        ("upward.operator", _) => "山西省标识中心".to_owned(),
        ("upward.epp.server", _) => "bms.example.org:700".to_owned(),
        ("upward.report.server", _) => "reports.example.org:7443".to_owned(),
        ("upward.report.probe_prefix", _) => "88.118".to_owned(),
        ("upward.sync.server", _) => "uplink.example.org:7444".to_owned(),
        ("upward.epp.server_name" | "upward.report.server_name" | "upward.sync.server_name", _) => {
            "bms.example.org".to_owned()
        }
        (
            "upward.report.authority"
            | "upward.report.certificate"
            | "upward.report.key"
            | "upward.sync.authority"
            | "upward.sync.certificate"
            | "upward.sync.key"
            | "upward.epp.authority"
            | "upward.epp.certificate"
            | "upward.epp.key"
            | "upward.epp.password_file"
            | "upward.monitor_token_file",
            _,
        ) => "other.pem".to_owned(),
        ("upward.routes.certificate_type", _) => "other".to_owned(),
        ("upward.routes.certificate_code", _) => "91110000600037341L".to_owned(),
        ("upward.routes.other_prefixes", _) => "oid:1.2.156.3001,gs1:6901234".to_owned(),
        (path, _) if path.starts_with("upward.routes.contact_") => "0351-1234567".to_owned(),
        ("upward.escrow.server", _) => "escrow.example.org:22".to_owned(),
        ("upward.escrow.user", _) => "shr-118".to_owned(),
        ("upward.escrow.host_key", _) => {
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
                .to_owned()
        }
        ("upward.escrow.begins_at", _) => "09:30".to_owned(),
        ("upward.escrow.compression", _) => "zstd".to_owned(),
        ("upward.escrow.directory", _) => "deposits".to_owned(),
        (path, _)
            if path.starts_with("upward.escrow.")
                && (path.ends_with("_file") || path.ends_with("_dir")) =>
        {
            "other.pem".to_owned()
        }
        ("dns.notify", _) => "192.0.2.1:53".to_owned(),
        ("dns.node_addresses" | "handle.public_addresses", _) => "192.0.2.1,2001:db8::1".to_owned(),
        (_, Value::Integer(number)) => {
            let more = Value::Integer(number + 1);
            if key.rule.check(&more).is_ok() {
                more
            } else {
                Value::Integer(number - 1)
            }
            .to_string()
        }
        (_, Value::Boolean(truth)) => (!truth).to_string(),
        (path, Value::Text(_)) if path.ends_with("listen") => "127.0.0.1:0".to_owned(),
        (path, Value::Text(_)) if path.ends_with("zone") => {
            format!("{}.example.org.", path.replace(['.', '_'], "-"))
        }
        (path, _) => panic!("no other value for {path}"),
    }
}
