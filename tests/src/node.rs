//! A node of the real binary: its data directory, its process, its ports.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::run::{Idctl, binary, free_address, success};

/// A data directory made by `idnode init`; goes away when dropped.
#[derive(Debug)]
pub struct DataDir {
    dir: TempDir,
}

impl DataDir {
    /// An empty registry and its operator token.
    pub fn init() -> Self {
        let made = Self::empty();
        success(idnode().args(["init", "--data-dir"]).arg(made.path()));
        made
    }

    /// A directory where nothing is.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self { dir }
    }

    /// Where the node keeps its data; does not exist before `init`.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A file beside the data.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The operator token's file.
    pub fn token_file(&self) -> PathBuf {
        self.path().join("operator.token")
    }

    /// The operator token.
    pub fn token(&self) -> String {
        let text = fs::read_to_string(self.token_file()).expect("operator.token");
        text.trim().to_owned()
    }
}

/// `idnode`, without what the environment of the test could set.
pub fn idnode() -> Command {
    let mut command = Command::new(binary("idnode"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("IDNODE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Where the fronts of a node listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// gRPC front.
    pub grpc: SocketAddr,
    /// HTTP front.
    pub http: SocketAddr,
    /// HTTP front over TLS, if it is on.
    pub https: Option<SocketAddr>,
    /// DNS front.
    pub dns: SocketAddr,
    /// Handle front.
    pub handle: SocketAddr,
    /// Handle front over TLS, if it is on.
    pub handle_tls: Option<SocketAddr>,
    /// WHOIS front, if it is on.
    pub whois: Option<SocketAddr>,
    /// DNS over TLS, if it is on.
    pub dot: Option<SocketAddr>,
    /// DNS over HTTPS, if it is on.
    pub doh: Option<SocketAddr>,
    /// DNS over QUIC, if it is on.
    pub doq: Option<SocketAddr>,
}

impl Addresses {
    /// Free ports, which a node can have again when it is started again.
    pub fn free() -> Self {
        Self {
            grpc: free_address(),
            http: free_address(),
            https: None,
            dns: free_address(),
            handle: free_address(),
            handle_tls: None,
            whois: None,
            dot: None,
            doh: None,
            doq: None,
        }
    }

    /// As `idnode run` prints them.
    pub fn parse(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let at = |front: &str| line.get(front)?.as_str()?.parse().ok();
        Some(Self {
            grpc: at("grpc")?,
            http: at("http")?,
            https: at("https"),
            dns: at("dns")?,
            handle: at("handle")?,
            handle_tls: at("handle_tls"),
            whois: at("whois"),
            dot: at("dot"),
            doh: at("doh"),
            doq: at("doq"),
        })
    }

    /// The flags that have a node listen there.
    pub fn flags(&self) -> [String; 8] {
        [
            "--grpc".to_owned(),
            self.grpc.to_string(),
            "--http".to_owned(),
            self.http.to_string(),
            "--dns".to_owned(),
            self.dns.to_string(),
            "--handle".to_owned(),
            self.handle.to_string(),
        ]
    }
}

/// A running node; killed when dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
    /// Where it listens.
    pub at: Addresses,
}

impl Node {
    /// `idnode run` on a directory, on free ports.
    pub fn run(dir: &DataDir) -> Self {
        Self::run_at(dir, &Addresses::free(), &[])
    }

    /// `idnode run` on a directory, on these ports, with further arguments.
    pub fn run_at(dir: &DataDir, at: &Addresses, arguments: &[&str]) -> Self {
        let mut command = idnode();
        command.arg("run").arg("--data-dir").arg(dir.path());
        command.args(at.flags()).args(arguments);
        Self::start(&mut command, &dir.beside("node.log"))
    }

    /// Starts a command that becomes a node; its log goes to a file.
    ///
    /// # Panics
    /// It ends, or prints something else than its ports.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let errors = File::options().append(true).create(true).open(log);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors.expect("a log file"))
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stdout = BufReader::new(child.stdout.take().expect("standard output"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line of ports");
        let Some(at) = Addresses::parse(&line) else {
            child.kill().ok();
            child.wait().ok();
            panic!(
                "{command:?} printed {line:?}\n{}",
                fs::read_to_string(log).unwrap_or_default()
            );
        };
        Self {
            child,
            stdout,
            log: log.to_owned(),
            at,
        }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its gRPC URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.at.grpc)
    }

    /// A URL of its HTTP front.
    pub fn http(&self, path: &str) -> String {
        format!("http://{}{path}", self.at.http)
    }

    /// `idctl` as the holder of the credential in a file, or as a stranger.
    pub fn idctl(&self, token_file: Option<&Path>) -> Idctl {
        Idctl {
            server: self.url(),
            token_file: token_file.map(Path::to_owned),
        }
    }

    /// The next line it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        line
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it has not ended.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("a process to wait for");
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// A signal by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        success(Command::new("kill").args(["-s", name, &self.pid().to_string()]));
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut rest = Vec::new();
        self.stdout.read_to_end(&mut rest).ok();
        self.child.wait().expect("a process to wait for")
    }

    /// SIGTERM, and it must end well.
    pub fn stop(mut self) {
        self.terminate();
        let status = self.wait();
        assert!(status.success(), "{status}\n{}", self.log());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            for line in tail.iter().rev() {
                eprintln!("node: {line}");
            }
        }
    }
}
