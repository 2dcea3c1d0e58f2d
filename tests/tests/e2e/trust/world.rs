//! A root, a prefix that it certifies, and a node that signs in the prefix's name.

use std::path::PathBuf;
use std::process::Command;

use idnode_tests::api::CODES;
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{Done, Idctl, success};
use serde_json::Value;

/// The root: the value that holds its key, at a prefix of this node.
pub const ROOT: &str = "300:0.NA/88.118.1";
/// The node's own name as a signer.
pub const SIGNER: &str = "300:0.NA/88.118.8";
/// A handle of the prefix.
pub const HANDLE: &str = "88.118.8/A-1";

pub struct World {
    pub node: Node,
    pub idctl: Idctl,
    pub dir: DataDir,
}

impl World {
    /// A node that signs with an SM2 key certified by an RSA root, and knows the root.
    pub fn new(settings: &[&str]) -> Self {
        Self::with_key("sm2", settings)
    }

    /// The same with a signing key of this algorithm.
    pub fn with_key(algorithm: &str, settings: &[&str]) -> Self {
        let dir = DataDir::init();
        let offline = Idctl {
            server: "http://127.0.0.1:1".to_owned(),
            token_file: None,
        };
        for (file, algorithm) in [("root.key", "rsa"), ("node.key", algorithm)] {
            let file = path(&dir, file);
            offline.json(&["trust-key", "generate", &file, "--algorithm", algorithm]);
        }
        let mut arguments = Vec::new();
        for (key, value) in [
            ("trust.signer", SIGNER.to_owned()),
            ("trust.key_file", path(&dir, "node.key")),
            ("trust.root", ROOT.to_owned()),
            ("trust.root_key_file", path(&dir, "root.key.pub")),
        ] {
            arguments.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
        for setting in settings {
            arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let node = Node::run_at(&dir, &Addresses::free(), &arguments);
        let idctl = node.idctl(Some(&dir.token_file()));
        let enterprise = idctl.verified_enterprise(CODES[0]);
        let world = Self { node, idctl, dir };
        for prefix in ["88.118.1", "88.118.8"] {
            world.idctl.active_prefix(prefix, &enterprise);
        }
        world.certify("88.118.1", &[ROOT]);
        let key = world.path("node.key.pub");
        world.certify("88.118.8", &[SIGNER, "--public-key", &key]);
        world
    }

    /// A file beside the data.
    pub fn path(&self, name: &str) -> String {
        path(&self.dir, name)
    }

    /// Puts a certificate by the root among a prefix's values.
    pub fn certify(&self, prefix: &str, certificate: &[&str]) {
        let key = self.path("root.key");
        let sign = ["sign", "certificate", "--signer", ROOT, "--key", &key];
        let made = self.idctl.json(&[&sign[..], certificate].concat());
        let file = self.path("values.json");
        std::fs::write(&file, made.to_string()).unwrap();
        let update = ["prefix", "values", "update", prefix, "--values-file", &file];
        self.idctl.json(&update);
    }

    /// Registers the handle with a public value and one that is not.
    pub fn register(&self, handle: &str) {
        let url = "1:URL=https://example.com/a-1";
        let create = ["identifier", "create", handle, "--value", url];
        self.idctl
            .json(&[&create[..], &["--value", "2:NOTE:perm=1100=内部"]].concat());
    }

    /// `idctl verify` with more arguments; its exit code and verdict.
    pub fn verify(&self, handle: &str, more: &[&str]) -> (i32, Value) {
        let key = self.path("root.key.pub");
        let mut command = self.node.idctl(None).command();
        command.args(["--json", "verify", handle, "--root", ROOT]);
        command.args(["--root-key", &key]).args(more);
        let done = Done::of(&mut command);
        (done.code, done.document())
    }

    /// Verifies and is trusted.
    #[track_caller]
    pub fn trusted(&self, handle: &str) -> Value {
        let (code, verdict) = self.verify(handle, &[]);
        assert_eq!(verdict["trusted"], true, "{verdict:#}");
        assert_eq!(code, 0);
        verdict
    }

    /// All that is wrong with a handle.
    pub fn faults(&self, handle: &str, more: &[&str]) -> Vec<String> {
        let (code, verdict) = self.verify(handle, more);
        assert_eq!(verdict["trusted"], false, "{verdict:#}");
        assert_eq!(code, 1);
        let reports = [&verdict["signatures"], &verdict["values"]];
        let reports = reports
            .into_iter()
            .flat_map(|list| list.as_array().unwrap());
        std::iter::once(&verdict)
            .chain(reports)
            .flat_map(|report| report["faults"].as_array().unwrap())
            .map(|fault| fault.as_str().unwrap().to_owned())
            .collect()
    }

    /// The data of a value of a handle, as the operator sees it.
    pub fn data(&self, handle: &str, index: u64) -> String {
        let shown = self.idctl.json(&["identifier", "get", handle]);
        let values = shown["values"].as_array().unwrap();
        let value = values.iter().find(|value| value["index"] == index);
        value.unwrap()["data"]["value"].as_str().unwrap().to_owned()
    }
}

fn path(dir: &DataDir, name: &str) -> String {
    dir.beside(name).display().to_string()
}

/// Runs OpenSSL.
pub fn openssl(arguments: &[&str]) -> String {
    success(Command::new("openssl").args(arguments))
}

/// The header and payload of a JWS, and its signature, in files of their own.
pub fn parts(world: &World, jws: &str) -> (PathBuf, PathBuf) {
    let (signed, signature) = jws.rsplit_once('.').unwrap();
    let (input, bytes) = (world.dir.beside("signed.txt"), world.dir.beside("sig.bin"));
    std::fs::write(&input, signed).unwrap();
    let script =
        "import base64,sys;sys.stdout.buffer.write(base64.urlsafe_b64decode(sys.argv[1]+'=='))";
    let decoded = Command::new("python3")
        .args(["-c", script, signature])
        .output()
        .unwrap();
    assert!(decoded.status.success());
    std::fs::write(&bytes, decoded.stdout).unwrap();
    (input, bytes)
}
