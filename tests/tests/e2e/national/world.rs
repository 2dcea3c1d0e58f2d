//! `idnational` as a process.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use idnode_tests::run::{binary, curl};
use serde_json::Value;
use tempfile::TempDir;

/// A national node that runs; killed when dropped.
#[derive(Debug)]
pub struct National {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    addresses: Value,
    dir: PathBuf,
}

impl National {
    /// Starts one that knows nothing, with further arguments.
    pub fn new(dir: &TempDir, arguments: &[&str]) -> Self {
        Self::start(dir.path(), arguments)
    }

    /// Starts one on what a directory has.
    pub fn start(dir: &Path, arguments: &[&str]) -> Self {
        let log = File::options()
            .append(true)
            .create(true)
            .open(dir.join("national.log"));
        let mut child = Command::new(binary("idnational"))
            .arg("serve")
            .arg("--data-dir")
            .arg(dir.join("national"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addresses = serde_json::from_str(&line).unwrap_or_else(|error| {
            child.kill().ok();
            child.wait().ok();
            let log = fs::read_to_string(dir.join("national.log")).unwrap_or_default();
            panic!("{error}: {line:?}\n{log}")
        });
        Self {
            child,
            _stdout: stdout,
            addresses,
            dir: dir.to_owned(),
        }
    }

    /// Where a part listens, by its name in the line of addresses.
    pub fn at(&self, name: &str) -> SocketAddr {
        let at = self.addresses[name].as_str();
        at.unwrap_or_else(|| panic!("no {name} in {}", self.addresses))
            .parse()
            .unwrap()
    }

    /// A URL of its page.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at("status"))
    }

    /// What it says of itself, for programs.
    pub fn status(&self) -> Value {
        let (status, _, body) = curl(&self.url("/status"), &[]);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Sets faults.
    pub fn faults(&self, script: &Value) {
        let json = ["-H", "content-type: application/json"];
        let (status, _, body) = curl(
            &self.url("/faults"),
            &[&json[..], &["-d", &script.to_string()]].concat(),
        );
        assert_eq!(status, 200, "{body}");
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("national.log")).unwrap_or_default()
    }
}

impl Drop for National {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("national node: {}", self.log());
        }
    }
}
