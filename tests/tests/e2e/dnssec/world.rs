//! A node with signed zones and something in them.

use std::net::SocketAddr;
use std::process::Command;

use idnode_proto::api as pb;
use idnode_tests::api::{Api, CODES, private, value};
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{Idctl, success};
use serde_json::Value;
use tokio::runtime::Runtime;

/// The zones of a node that is told nothing else.
pub const ZONE: &str = "id.example.";
pub const ORS_ZONE: &str = "ors.example.";
pub const ONS_ZONE: &str = "ons.example.";
/// A handle with values of every type of record.
pub const HANDLE: &str = "a-1.88-118-8.hdl.id.example.";
/// The cut of a prefix that is delegated to name servers, not signed.
pub const CUT: &str = "88-118-7.hdl.id.example.";

/// A running node, its registry and its operator.
pub struct World {
    pub runtime: Runtime,
    pub operator: Api,
    pub idctl: Idctl,
    pub node: Node,
    pub enterprise: String,
    dir: DataDir,
}

impl World {
    /// A node with identifiers; no zone is signed.
    pub fn new(arguments: &[&str]) -> Self {
        let dir = DataDir::init();
        let node = Node::run_at(&dir, &Addresses::free(), arguments);
        let runtime = Runtime::new().unwrap();
        let operator = runtime.block_on(Api::connect(&node.url(), Some(&dir.token())));
        let operator = operator.unwrap();
        let enterprise = runtime.block_on(fill(&operator));
        let idctl = node.idctl(Some(&dir.token_file()));
        Self {
            runtime,
            operator,
            idctl,
            node,
            enterprise,
            dir,
        }
    }

    pub fn dns(&self) -> SocketAddr {
        self.node.at.dns
    }

    /// The directory of the keys.
    pub fn keys(&self) -> std::path::PathBuf {
        self.dir.path().join("dnssec")
    }

    /// Stops the node and starts it again on the same directory and ports.
    pub fn restart(self, arguments: &[&str]) -> Self {
        let at = self.node.at;
        self.node.stop();
        let node = Node::run_at(&self.dir, &at, arguments);
        let operator = self
            .runtime
            .block_on(Api::connect(&node.url(), Some(&self.dir.token())));
        Self {
            operator: operator.unwrap(),
            idctl: node.idctl(Some(&self.dir.token_file())),
            node,
            ..self
        }
    }

    /// Stops the node; its directory.
    pub fn stop(self) -> DataDir {
        self.node.stop();
        self.dir
    }

    /// Signs a zone by a new key; its tag.
    pub fn sign(&self, zone: &str, algorithm: &str) -> u64 {
        let arguments = ["dnssec", "rollover", zone, "--algorithm", algorithm];
        let done = self.idctl.json(&arguments);
        assert_eq!(done["zone"]["signed"], true, "{done}");
        tag(&done["zone"]["keys"][0])
    }

    /// DS records of a zone as zone file lines.
    pub fn ds(&self, zone: &str) -> Vec<String> {
        let text = success(self.idctl.command().args(["dnssec", "ds", zone]));
        text.lines().map(str::to_owned).collect()
    }

    /// Delegates a prefix to a name server, with DS records as zone file lines.
    pub fn delegate(&self, prefix: &str, ds: &[String]) {
        let server = "ns1.elsewhere.example=127.0.0.1";
        let mut command = self.idctl.command();
        command.args(["prefix", "delegate", prefix, "--name-server", server]);
        for line in ds {
            let (_, data) = line.split_once(" IN DS ").unwrap();
            command.args(["--ds", data]);
        }
        success(&mut command);
    }
}

/// A key's tag.
pub fn tag(key: &Value) -> u64 {
    key["key_tag"].as_u64().unwrap_or_else(|| panic!("{key}"))
}

/// What `dig` prints of a question to a server.
pub fn dig(server: SocketAddr, arguments: &[&str]) -> String {
    let (address, port) = (format!("@{}", server.ip()), server.port().to_string());
    let mut command = Command::new("dig");
    command.args([&address, "-p", &port, "+norecurse", "+time=5", "+tries=2"]);
    success(command.args(arguments))
}

async fn fill(operator: &Api) -> String {
    let enterprise = operator.verified_enterprise(CODES[0]).await;
    for prefix in [
        "88.118.8",
        "88.118.7",
        "88.118.9",
        "oid:1.2.156.3001",
        "gs1:9506000",
    ] {
        operator.active_prefix(prefix, &enterprise).await;
    }
    let name_server = pb::NameServer {
        name: "ns1.factory.example.".to_owned(),
        addresses: vec!["192.0.2.11".to_owned()],
    };
    let request = operator.request(pb::SetDelegationRequest {
        prefix: "88.118.7".to_owned(),
        delegation: Some(pb::Delegation {
            name_servers: vec![name_server],
            ..pb::Delegation::default()
        }),
        ..pb::SetDelegationRequest::default()
    });
    operator.prefixes().set_delegation(request).await.unwrap();
    let url = |text: &str| value(1, "URL", text);
    let all = vec![
        url("https://example.com/a-1"),
        value(2, "INET_HOST", "192.0.2.7"),
        value(3, "AAAA", "2001:db8::7"),
        private(4, "DESC", "not for strangers"),
        value(5, "HTTPS", "1 Svc.Example.COM. alpn=h2,h3 port=8443"),
        value(6, "SVCB", "0 Pool.example.com."),
        value(7, "PTR", "Host.Example.COM."),
        value(8, "PTR", "a.example.com."),
    ];
    for (identifier, values) in [
        ("88.118.8/A-1", all),
        ("88.118.8/TEXT", vec![value(1, "DESC", "no link")]),
        ("88.118.8/_标", vec![url("https://example.com/b")]),
        ("1.2.156.3001.5.6", vec![url("https://example.com/oid")]),
        ("gtin:9506000134352", vec![url("https://example.com/gtin")]),
    ] {
        operator.create(identifier, values, "").await.unwrap();
    }
    let long = format!("88.118.8/{}", "long".repeat(100));
    operator
        .create(&long, vec![url("https://example.com/long")], "")
        .await
        .unwrap();
    enterprise
}
