//! A node whose streams lead to a national node over TLS, in directories that outlive both.

use std::fs;
use std::path::Path;

use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{Idctl, free_address};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use tempfile::TempDir;

use super::world::National;

/// The node's name, which its certificate has.
pub const NODE: &str = "taiyuan";
/// The prefix that it may speak for.
pub const OWN: &str = "88.118";
/// An enterprise's prefix below it.
pub const PREFIX: &str = "88.118.8";
/// The enterprise's certificate.
const CODE: &str = "91110000600037341L";

/// What both sides are started on.
pub struct Streams {
    /// The node's registry.
    pub dir: DataDir,
    /// The national node's directory, and the certificates: `NAME.pem` and `NAME.key` of `server`,
    /// of each node, and of `stranger`, whom another authority has signed; `authority.pem`.
    pub home: TempDir,
    /// Further arguments of the national node.
    pub arguments: Vec<String>,
    /// Further keys of the node's configuration.
    pub settings: Vec<String>,
    /// Where streams are taken.
    pub at: String,
}

impl Streams {
    /// An empty registry, and a national node that knows the node by name.
    pub fn new() -> Self {
        Self::of(DataDir::init())
    }

    /// On a registry that is there.
    pub fn of(dir: DataDir) -> Self {
        let home = tempfile::tempdir().unwrap();
        certify(home.path(), &["server", NODE]);
        Self {
            dir,
            home,
            arguments: Vec::new(),
            settings: Vec::new(),
            at: free_address().to_string(),
        }
    }

    /// Starts the national node, where it was before, if it was.
    pub fn national(&mut self) -> National {
        let file = |name: &str| self.home.path().join(name).display().to_string();
        let mut arguments = vec![
            "--listen-sync".to_owned(),
            self.at.clone(),
            "--sync-certificate".to_owned(),
            file("server.pem"),
            "--sync-key".to_owned(),
            file("server.key"),
            "--sync-authority".to_owned(),
            file("authority.pem"),
            "--sync-node".to_owned(),
            format!("{NODE}:{OWN}"),
        ];
        arguments.extend(self.arguments.iter().cloned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let national = National::start(self.home.path(), &arguments);
        self.at = national.at("sync").to_string();
        national
    }

    /// Starts the node.
    pub fn node(&self) -> Node {
        self.node_at(&Addresses::free())
    }

    /// Starts the node on these addresses.
    pub fn node_at(&self, at: &Addresses) -> Node {
        let settings = self.node_settings();
        let flags: Vec<&str> = settings
            .iter()
            .flat_map(|it| ["--set", it.as_str()])
            .collect();
        Node::run_at(&self.dir, at, &flags)
    }

    /// The node's configuration.
    pub fn node_settings(&self) -> Vec<String> {
        let file = |name: String| self.home.path().join(name).display().to_string();
        let mut settings = vec![
            format!("node.id={NODE}"),
            format!("upward.prefixes={OWN}"),
            format!("upward.sync.server={}", self.at),
            format!("upward.sync.authority={}", file("authority.pem".to_owned())),
            format!("upward.sync.certificate={}", file(format!("{NODE}.pem"))),
            format!("upward.sync.key={}", file(format!("{NODE}.key"))),
            "upward.sync.max_backoff_ms=500".to_owned(),
            "upward.sync.timeout_ms=2000".to_owned(),
        ];
        settings.extend(self.settings.iter().cloned());
        settings
    }

    /// The node's operator.
    pub fn operator(&self, node: &Node) -> Idctl {
        node.idctl(Some(&self.dir.token_file()))
    }

    /// A verified enterprise with an active prefix.
    pub fn register(&self, node: &Node) {
        let operator = self.operator(node);
        let enterprise = operator.verified_enterprise(CODE);
        operator.active_prefix(PREFIX, &enterprise);
    }
}

/// Certificates that one authority has signed, each with its name as common name and DNS name, for
/// 127.0.0.1 too; and one named [`NODE`] that another has signed, `stranger`.
pub fn certify(dir: &Path, names: &[&str]) {
    let (good, pem) = authority("authority");
    let (other, _) = authority("other");
    fs::write(dir.join("authority.pem"), pem).unwrap();
    for name in names {
        issue(dir, name, name, &good);
    }
    issue(dir, "stranger", NODE, &other);
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = named(name);
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

fn issue(dir: &Path, file: &str, name: &str, issuer: &Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let names = vec![name.to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = named(name);
    let certificate = params.signed_by(&key, issuer).unwrap();
    fs::write(dir.join(format!("{file}.pem")), certificate.pem()).unwrap();
    fs::write(dir.join(format!("{file}.key")), key.serialize_pem()).unwrap();
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}
