//! A node, its keys, and whom it deposits with.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{Idctl, binary, free_address, python_client, success, until};
use serde_json::Value;
use tempfile::TempDir;

use super::super::world::National;

/// The name the node logs in by.
pub const USER: &str = "node118";

/// Keys of both sides, in a directory.
pub struct Keys {
    pub dir: TempDir,
}

impl Keys {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let make = |arguments: &[&str]| {
            let mut idctl = Command::new(binary("idctl"));
            success(
                idctl
                    .args(["escrow", "keygen"])
                    .args(arguments)
                    .current_dir(&dir),
            );
        };
        make(&["receiver.pem"]);
        make(&["signer.pem"]);
        make(&["login", "--login"]);
        Self { dir }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    /// A national node that takes this node's deposits.
    pub fn national(&self, dir: &Path, listen: Option<SocketAddr>) -> National {
        let client = format!(
            "{USER}={},{}",
            self.text("login.pub"),
            self.text("signer.pem.pub")
        );
        let listen = listen.unwrap_or_else(free_address).to_string();
        let receiver = self.text("receiver.pem");
        let arguments = [
            "--escrow-key",
            &receiver,
            "--escrow-client",
            &client,
            "--listen-sftp",
            &listen,
        ];
        National::start(dir, &arguments)
    }

    /// Settings of a node that deposits at a server.
    pub fn settings(&self, server: SocketAddr, host_key: &str, user: &str) -> Vec<String> {
        [
            "upward.prefixes=88.118".to_owned(),
            format!("upward.escrow.server={server}"),
            format!("upward.escrow.user={user}"),
            format!("upward.escrow.key_file={}", self.text("login")),
            format!("upward.escrow.host_key={host_key}"),
            format!(
                "upward.escrow.receiver_key_file={}",
                self.text("receiver.pem.pub")
            ),
            format!("upward.escrow.signing_key_file={}", self.text("signer.pem")),
            "upward.escrow.check_ms=200".to_owned(),
            "upward.escrow.timeout_ms=5000".to_owned(),
        ]
        .into()
    }

    /// Verifies deposits in a directory.
    pub fn verify(&self, deposits: &Path) -> Value {
        let mut idctl = Command::new(binary("idctl"));
        idctl.args(["--json", "escrow", "verify"]).arg(deposits);
        idctl.arg("--key").arg(self.file("receiver.pem"));
        idctl.arg("--signer").arg(self.file("signer.pem.pub"));
        serde_json::from_str(&success(&mut idctl)).unwrap()
    }

    /// A deposit's document, read by a program that shares nothing with ours.
    pub fn read(&self, deposit: &Path) -> String {
        let client = python_client("escrow_client.py");
        let mut python = Command::new("python3");
        python.arg(client).arg(deposit);
        python
            .arg(self.file("receiver.pem"))
            .arg(self.file("signer.pem.pub"));
        success(&mut python)
    }
}

/// A node with `--set` for each of these.
pub fn node(dir: &DataDir, settings: &[String], more: &[&str]) -> Node {
    let all = settings
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied());
    let arguments: Vec<&str> = all.flat_map(|setting| ["--set", setting]).collect();
    Node::run_at(dir, &Addresses::free(), &arguments)
}

/// The newest deposit of a prefix, as the node's log has it.
pub fn newest(operator: &Idctl, prefix: &str) -> Option<Value> {
    let listed = operator.json(&["escrow", "deposits", prefix, "--limit", "1"]);
    listed["deposits"].as_array()?.first().cloned()
}

/// Waits until the newest deposit of a prefix stands like this and, if given, is behind another.
#[track_caller]
pub fn until_newest(operator: &Idctl, prefix: &str, status: &str, behind: Option<&str>) -> Value {
    let mut found = Value::Null;
    until(&format!("a deposit of {prefix} {status}"), || {
        found = newest(operator, prefix).unwrap_or_default();
        let id = found["id"].as_str().unwrap_or_default();
        found["status"] == status && behind.is_none_or(|behind| id != behind)
    });
    found
}

/// The newest deposits of prefixes, once they are accepted and no other has followed for a while.
pub fn until_settled<const N: usize>(operator: &Idctl, prefixes: [&str; N]) -> [Value; N] {
    loop {
        let found = prefixes.map(|it| until_newest(operator, it, "accepted", None));
        std::thread::sleep(Duration::from_secs(2));
        if found == prefixes.map(|it| newest(operator, it).unwrap_or_default()) {
            return found;
        }
    }
}

/// Registers an identifier with values.
pub fn create(operator: &Idctl, name: &str, values: &[&str]) {
    let mut arguments = vec!["identifier", "create", name];
    for value in values {
        arguments.extend(["--value", value]);
    }
    operator.json(&arguments);
}

/// Directories of deposits in a prefix's directory.
pub fn deposits(prefix: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(prefix)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}
