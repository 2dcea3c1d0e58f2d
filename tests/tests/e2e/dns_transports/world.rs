//! A node with all transports on, and what is asked of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use idnode_tests::api::{Api, CODES, value};
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::curl;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use tokio::runtime::Runtime;

/// The name in the node's certificate.
pub const HOST: &str = "node.test";
/// Type codes.
pub const TXT: u16 = 16;
pub const A: u16 = 1;
pub const URI: u16 = 256;
/// Names of identifiers.
pub const HIT: &str = "one.88-118-8.hdl.id.example";
pub const MISS: &str = "nothing.88-118-8.hdl.id.example";
pub const BIG: &str = "big.88-118-8.hdl.id.example";

/// A certificate authority that exists for one test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = named(name);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// Writes a certificate for [`HOST`] and its key, as an operator would: each file whole.
    pub fn issue(&self, files: &Files) {
        self.issue_for(HOST, files);
    }

    /// The same for a name.
    pub fn issue_for(&self, name: &str, files: &Files) {
        let key = KeyPair::generate().unwrap();
        let names = vec![name.to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = named(name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        put(&files.key, &key.serialize_pem());
        put(&files.certificate, &certificate.pem());
        put(&files.authority, &self.pem);
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Replaces a file in one step, readable by its owner alone.
pub fn put(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// PEM files.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// That of the authority, for clients.
    pub authority: PathBuf,
}

impl Files {
    pub fn of(dir: &DataDir) -> Self {
        Self {
            certificate: dir.beside("node.pem"),
            key: dir.beside("node.key"),
            authority: dir.beside("authority.pem"),
        }
    }

    /// What `idnode run` is told of them.
    pub fn flags(&self) -> [String; 4] {
        let set = "--set".to_owned();
        [
            set.clone(),
            format!("dns.tls_certificate={}", self.certificate.display()),
            set,
            format!("dns.tls_key={}", self.key.display()),
        ]
    }
}

/// A node with some identifiers and every transport on.
pub struct World {
    pub node: Node,
    pub dir: DataDir,
    pub files: Files,
    pub authority: Authority,
}

impl World {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// With further keys of the configuration.
    pub fn with(settings: &[&str]) -> Self {
        let dir = DataDir::init();
        let (files, authority) = (Files::of(&dir), Authority::new("first authority"));
        authority.issue(&files);
        let node = run(&dir, &files, settings);
        fill(&node, &dir);
        Self {
            node,
            dir,
            files,
            authority,
        }
    }

    /// How often a bound was met.
    pub fn bound_hits(&self, bound: &str) -> u64 {
        metric(
            &self.node,
            &format!("idnode_bound_hits_total{{bound=\"{bound}\"}}"),
        )
    }
}

/// Runs a node with every transport on.
pub fn run(dir: &DataDir, files: &Files, settings: &[&str]) -> Node {
    let mut arguments = files.flags().to_vec();
    let listeners = ["tls", "https", "quic"].map(|it| format!("dns.{it}_listen=127.0.0.1:0"));
    for setting in listeners
        .iter()
        .map(String::as_str)
        .chain(settings.iter().copied())
    {
        arguments.extend(["--set".to_owned(), setting.to_owned()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Node::run_at(dir, &Addresses::free(), &arguments)
}

/// A metric's value; 0 as long as nothing was counted.
pub fn metric(node: &Node, series: &str) -> u64 {
    let (_, _, text) = curl(&node.http("/metrics"), &[]);
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

fn fill(node: &Node, dir: &DataDir) {
    Runtime::new().unwrap().block_on(async {
        let api = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
        let enterprise = api.verified_enterprise(CODES[0]).await;
        api.active_prefix("88.118.8", &enterprise).await;
        let one = vec![
            value(1, "URL", "https://example.cn/one"),
            value(2, "NAME", "轴承 6204"),
        ];
        api.create("88.118.8/one", one, "").await.unwrap();
        let data = "x".repeat(60);
        let parts = (1..=400).map(|index| value(index, "PART", &data)).collect();
        api.create("88.118.8/big", parts, "").await.unwrap();
        let url = vec![value(1, "URL", "https://example.cn/hashed")];
        api.create(&hashed(), url, "").await.unwrap();
    });
}

/// An identifier whose name is a hash: only the store knows which it is.
pub fn hashed() -> String {
    format!("88.118.8/{}", "h".repeat(200))
}

/// A query of class IN.
pub fn query(id: u16, name: &str, qtype: u16) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(qtype.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

/// A message as a byte stream carries it.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = (message.len() as u16).to_be_bytes().to_vec();
    bytes.extend(message);
    bytes
}

pub fn id(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[0], message[1]])
}

pub fn rcode(message: &[u8]) -> u8 {
    message[3] & 15
}

/// How many records are in the answer section.
pub fn answers(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[6], message[7]])
}
