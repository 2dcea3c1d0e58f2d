//! One question for four fronts, and one shape for their answers.

use std::net::SocketAddr;
use std::process::Command;

use idnode_proto::api as pb;
use idnode_proto::api::resolve_response;
use idnode_proto::handle::site::Site;
use idnode_tests::api::{Api, reason};
use idnode_tests::node::Node;
use idnode_tests::run::{Idctl, curl, output, python_client, success};
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::Code;

/// A value as a front shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub index: u32,
    pub value_type: String,
    pub data: String,
}

/// A value that is expected.
pub fn shown(index: u32, value_type: &str, data: &str) -> Shown {
    Shown {
        index,
        value_type: value_type.to_owned(),
        data: data.to_owned(),
    }
}

/// What a front answers, in terms that all of them share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Values, ascending by index.
    Found(Vec<Shown>),
    /// It is registered, and nothing asked for is there or may be seen.
    NoSuchValues,
    /// It is not registered.
    Missing,
    /// It is deleted; the front's words.
    Deleted(String),
    /// Its prefix is served at these addresses.
    Referral(Vec<String>),
    /// Its prefix is not served here; the front's words.
    NotServed(String),
    /// It is no identifier; the front's words.
    Invalid(String),
}

/// What is asked for; nothing: everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub types: Vec<&'static str>,
    pub indexes: Vec<u32>,
}

/// A front and a client of its protocol.
pub trait Front {
    /// For messages.
    fn name(&self) -> &'static str;

    /// Asks, with a credential where the protocol knows them.
    fn ask(&self, identifier: &str, filter: &Filter, token: Option<&str>) -> Outcome;

    /// Whether its clients can show a credential.
    fn knows_credentials(&self) -> bool {
        false
    }
}

fn found(values: Vec<Shown>) -> Outcome {
    if values.is_empty() {
        Outcome::NoSuchValues
    } else {
        Outcome::Found(values)
    }
}

/// The generated client.
pub struct Grpc {
    runtime: Runtime,
    api: Api,
}

impl Grpc {
    pub fn of(node: &Node) -> Self {
        let runtime = Runtime::new().unwrap();
        let api = runtime.block_on(Api::connect(&node.url(), None)).unwrap();
        Self { runtime, api }
    }
}

impl Front for Grpc {
    fn name(&self) -> &'static str {
        "grpc"
    }

    fn ask(&self, identifier: &str, filter: &Filter, token: Option<&str>) -> Outcome {
        let api = self.api.with_token(token);
        let request = api.request(pb::ResolveRequest {
            identifier: identifier.to_owned(),
            types: filter.types.iter().map(|kind| (*kind).to_owned()).collect(),
            indexes: filter.indexes.clone(),
            public_only: false,
            recurse: false,
        });
        let answer = self.runtime.block_on(api.resolution().resolve(request));
        let status = match answer {
            Ok(answer) => return grpc_answer(answer.into_inner()),
            Err(status) => status,
        };
        match (status.code(), reason(&status).as_str()) {
            (Code::NotFound, "IDENTIFIER_NOT_FOUND") => Outcome::Missing,
            (Code::NotFound, "IDENTIFIER_DELETED") => {
                use tonic_types::StatusExt;
                let info = status.get_details_error_info().unwrap();
                Outcome::Deleted(info.metadata["deletion_reason"].clone())
            }
            (Code::NotFound, "PREFIX_NOT_FOUND")
            | (Code::FailedPrecondition, "PREFIX_NOT_ACTIVE") => {
                Outcome::NotServed(status.message().to_owned())
            }
            (Code::InvalidArgument, _) => Outcome::Invalid(status.message().to_owned()),
            _ => panic!("{identifier}: {status:?}"),
        }
    }

    fn knows_credentials(&self) -> bool {
        true
    }
}

fn grpc_answer(answer: pb::ResolveResponse) -> Outcome {
    match answer.outcome.unwrap() {
        resolve_response::Outcome::Record(record) => {
            let values = record.values.iter();
            let values = values.map(|v| shown(v.index, &v.r#type, &idnode_tests::api::text(v)));
            found(values.collect())
        }
        resolve_response::Outcome::Referral(referral) => {
            let delegation = referral.delegation.unwrap();
            let servers = delegation.sites.into_iter().flat_map(|site| site.servers);
            Outcome::Referral(servers.map(|server| server.address).collect())
        }
    }
}

/// `dig`.
pub struct Dns {
    at: SocketAddr,
    idctl: Idctl,
}

/// What `dig` prints.
#[derive(Debug)]
pub struct Dug {
    pub status: String,
    pub flags: String,
    pub extended_error: String,
    /// Section, type and data of each record.
    pub records: Vec<(String, String, String)>,
}

impl Dug {
    /// The data of the records of a type in a section.
    pub fn data(&self, section: &str, kind: &str) -> Vec<String> {
        let records = self.records.iter();
        records
            .filter(|(of, is, _)| of == section && is == kind)
            .map(|(_, _, data)| data.clone())
            .collect()
    }
}

impl Dns {
    pub fn of(node: &Node) -> Self {
        Self {
            at: node.at.dns,
            idctl: node.idctl(None),
        }
    }

    pub fn dig(&self, name: &str, kind: &str) -> Dug {
        let mut command = Command::new("dig");
        command
            .arg(format!("@{}", self.at.ip()))
            .args(["-p", &self.at.port().to_string(), name, kind])
            .args([
                "+norecurse",
                "+nocookie",
                "+tries=2",
                "+time=5",
                "+noidnout",
            ]);
        let text = success(&mut command);
        let between = |from: &str, to: char| {
            let rest = text.split_once(from).map_or("", |(_, rest)| rest);
            rest.split(to).next().unwrap_or_default().trim().to_owned()
        };
        let mut section = String::new();
        let mut records = Vec::new();
        for line in text.lines() {
            if let Some(title) = line.strip_prefix(";; ") {
                section = title.trim_end_matches(" SECTION:").to_owned();
            } else if !line.starts_with(';') && !line.is_empty() {
                let fields: Vec<&str> = line.split_ascii_whitespace().take(4).collect();
                let at = line.find(fields[3]).unwrap() + fields[3].len();
                let kind_at = line.find(&format!("\t{}", fields[3]));
                let at = kind_at.map_or(at, |found| found + 1 + fields[3].len());
                let data = line[at..].trim().to_owned();
                records.push((section.clone(), fields[3].to_owned(), data));
            }
        }
        Dug {
            status: between("status: ", ','),
            flags: between("flags: ", ';'),
            extended_error: between("; EDE: ", '\n'),
            records,
        }
    }
}

/// The text of a TXT record as `dig` prints it: strings in quotes, `\ddd` a byte.
fn joined(data: &str) -> String {
    let mut bytes = Vec::new();
    let mut inside = false;
    let mut rest = data.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => inside = !inside,
            b'\\' => {
                let next = rest.next().unwrap();
                if next.is_ascii_digit() {
                    let digits = [next, rest.next().unwrap(), rest.next().unwrap()];
                    let code = std::str::from_utf8(&digits).unwrap().parse().unwrap();
                    bytes.push(code);
                } else {
                    bytes.push(next);
                }
            }
            byte if inside => bytes.push(byte),
            _ => {}
        }
    }
    String::from_utf8(bytes).unwrap()
}

impl Front for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    /// DNS has no filter of its own: its client reads what it wants from the TXT records, and
    /// asks for URLs by record type as well.
    fn ask(&self, identifier: &str, filter: &Filter, _: Option<&str>) -> Outcome {
        let named = output(self.idctl.command().args(["dns-name", identifier]));
        if !named.status.success() {
            return Outcome::Invalid(String::from_utf8(named.stderr).unwrap());
        }
        let name = String::from_utf8(named.stdout).unwrap();
        let dug = self.dig(name.trim(), "TXT");
        let error = dug.extended_error.clone();
        match dug.status.as_str() {
            "NXDOMAIN" if error.contains("deleted") => return Outcome::Deleted(error),
            "NXDOMAIN" if error.contains("prefix") => return Outcome::NotServed(error),
            "NXDOMAIN" => return Outcome::Missing,
            "NOERROR" => {}
            status => panic!("{identifier}: {status}"),
        }
        if !dug.data("AUTHORITY", "NS").is_empty() {
            assert!(!dug.flags.contains("aa"), "a referral is not authoritative");
            return Outcome::Referral(dug.data("ADDITIONAL", "A"));
        }
        let texts = dug.data("ANSWER", "TXT");
        let texts: Vec<String> = texts.iter().map(|data| joined(data)).collect();
        let full = texts
            .iter()
            .find_map(|text| text.strip_prefix("identifier="));
        let full = full.unwrap_or_else(|| panic!("{identifier}: no name in {texts:?}"));
        assert!(
            full.eq_ignore_ascii_case(identifier),
            "{full}: {identifier}"
        );
        let mut values: Vec<Shown> = texts.iter().filter_map(|text| txt_value(text)).collect();
        values.sort_by_key(|value| value.index);
        let everything = filter.types.is_empty() && filter.indexes.is_empty();
        values.retain(|value| {
            everything
                || filter.indexes.contains(&value.index)
                || filter.types.contains(&value.value_type.as_str())
        });
        if filter.types == ["URL"] && filter.indexes.is_empty() {
            let links = self.dig(name.trim(), "URI").data("ANSWER", "URI");
            assert_eq!(links.len(), values.len(), "{identifier}: {links:?}");
            for value in &values {
                let quoted = format!("\"{}\"", value.data);
                assert!(
                    links.iter().any(|link| link.ends_with(&quoted)),
                    "{links:?}"
                );
            }
        }
        found(values)
    }
}

fn txt_value(text: &str) -> Option<Shown> {
    let (index, rest) = text.strip_prefix("index=")?.split_once(" type=")?;
    let (value_type, data) = rest.split_once(" data=")?;
    Some(shown(index.parse().unwrap(), value_type, data))
}

/// `tests/clients/handle_client.py`.
pub struct Handle {
    at: SocketAddr,
    tcp: bool,
}

impl Handle {
    pub fn of(node: &Node, tcp: bool) -> Self {
        let at = node.at.handle;
        Self { at, tcp }
    }
}

impl Front for Handle {
    fn name(&self) -> &'static str {
        if self.tcp { "handle/tcp" } else { "handle/udp" }
    }

    fn ask(&self, identifier: &str, filter: &Filter, _: Option<&str>) -> Outcome {
        let script = python_client("handle_client.py");
        let mut command = Command::new("python3");
        // Without, it would be challenged for what is not public.
        command.arg(script).arg("--public");
        if self.tcp {
            command.arg("--tcp");
        }
        for value_type in &filter.types {
            command.args(["--type", value_type]);
        }
        for index in &filter.indexes {
            command.args(["--index", &index.to_string()]);
        }
        command.args([&self.at.to_string(), identifier]);
        let answer: Value = serde_json::from_str(&success(&mut command)).unwrap();
        let message = answer["message"].as_str().unwrap().to_owned();
        match answer["code"].as_u64().unwrap() {
            1 => {
                assert_eq!(answer["handle"], identifier, "the client's spelling");
                found(json_values(&answer["values"], |value| {
                    value["data"].as_str().unwrap().to_owned()
                }))
            }
            100 if message.contains("deleted") => Outcome::Deleted(message),
            100 => Outcome::Missing,
            102 => Outcome::Invalid(message),
            200 => Outcome::NoSuchValues,
            301 => Outcome::NotServed(message),
            303 => Outcome::Referral(handle_sites(&answer["values"])),
            code => panic!("{identifier}: {code} {message}"),
        }
    }
}

fn json_values(values: &Value, data: impl Fn(&Value) -> String) -> Vec<Shown> {
    let values = values.as_array().unwrap().iter();
    let values = values.map(|value| Shown {
        index: value["index"].as_u64().unwrap() as u32,
        value_type: value["type"].as_str().unwrap().to_owned(),
        data: data(value),
    });
    values.collect()
}

fn handle_sites(values: &Value) -> Vec<String> {
    let sites = values.as_array().unwrap().iter();
    let sites = sites.map(|value| {
        assert_eq!(value["type"], "HS_SITE");
        assert_eq!(value["encoding"], "base64");
        let data = idnode_tests::run::base64(value["data"].as_str().unwrap());
        Site::decode(&data).unwrap()
    });
    sites
        .flat_map(|site| site.servers)
        .map(|server| server.address.to_string())
        .collect()
}

/// `curl`.
pub struct Http {
    url: String,
}

impl Http {
    pub fn of(node: &Node) -> Self {
        let url = node.http("/api/handles/");
        Self { url }
    }
}

/// Every byte but letters and digits percent-encoded (RFC 3986 section 2.1).
pub fn percent_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'/' | b'-' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}

impl Front for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn ask(&self, identifier: &str, filter: &Filter, token: Option<&str>) -> Outcome {
        let types = filter.types.iter().map(|kind| format!("type={kind}"));
        let indexes = filter.indexes.iter().map(|index| format!("index={index}"));
        let query: Vec<String> = types.chain(indexes).collect();
        let path = percent_encoded(identifier);
        let url = format!("{}{path}?{}", self.url, query.join("&"));
        let header = token.map(|token| format!("Authorization: Bearer {token}"));
        let arguments: Vec<&str> = header.iter().flat_map(|field| ["-H", field]).collect();
        let (status, head, body) = curl(&url, &arguments);
        let answer: Value = serde_json::from_str(&body).unwrap();
        let message = answer["message"].as_str().unwrap_or_default().to_owned();
        match (status, answer["responseCode"].as_u64().unwrap()) {
            (200, 1) => found(json_values(&answer["values"], |value| {
                value["data"]["value"].as_str().unwrap().to_owned()
            })),
            (200, 200) => Outcome::NoSuchValues,
            (404, 100) if message.contains("deleted") => Outcome::Deleted(message),
            (404, 100) => Outcome::Missing,
            (400, 102) => Outcome::Invalid(message),
            (400, 301) => Outcome::NotServed(message),
            (300, 303) => {
                let addresses = http_sites(&answer["values"]);
                let location = head.lines().find(|line| {
                    let line = line.to_ascii_lowercase();
                    line.starts_with("location: http://")
                });
                let location = location.unwrap_or_else(|| panic!("no location: {head}"));
                assert!(location.contains(&addresses[0]), "{location}");
                Outcome::Referral(addresses)
            }
            (_, 302) => panic!("{identifier}: 302 is for servers, not prefixes"),
            other => panic!("{identifier}: {other:?} {message}"),
        }
    }

    fn knows_credentials(&self) -> bool {
        true
    }
}

fn http_sites(values: &Value) -> Vec<String> {
    let sites = values.as_array().unwrap().iter();
    let servers = sites.flat_map(|value| value["data"]["value"]["servers"].as_array().unwrap());
    servers
        .map(|server| server["address"].as_str().unwrap().to_owned())
        .collect()
}
