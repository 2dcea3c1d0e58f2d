//! Other programs: where the node's own binaries are, and running one to its end.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A binary of this workspace, in the profile's directory that the test itself was built to.
///
/// # Panics
/// It has not been built.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let path = test
        .ancestors()
        .skip(1)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file());
    path.unwrap_or_else(|| {
        panic!(
            "there is no {name} beside {}: build the workspace first (cargo build --release --workspace)",
            test.display()
        )
    })
}

/// A client in another language. Found from the package's folder, where tests run, when they run:
/// what was built elsewhere may run here.
///
/// # Panics
/// There is no current folder.
pub fn python_client(name: &str) -> PathBuf {
    std::path::absolute(PathBuf::from("clients").join(name)).expect("a current folder")
}

/// Runs a command to its end.
///
/// # Panics
/// It cannot be started.
pub fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// The standard output of a command that must succeed.
///
/// # Panics
/// It exits with another status than 0.
pub fn success(command: &mut Command) -> String {
    let done = output(command);
    assert!(
        done.status.success(),
        "{command:?}: {}\n{}{}",
        done.status,
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).expect("UTF-8 output")
}

/// Waits until something is so.
///
/// # Panics
/// It is not so within a minute.
pub fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(Duration::from_secs(60), what, holds);
}

/// Waits until something is so.
///
/// # Panics
/// It is not so within that time.
pub fn until_within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < patience,
            "{what}: not within {patience:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `idctl` of one node, with one credential or none.
#[derive(Debug, Clone)]
pub struct Idctl {
    /// The node's gRPC URL.
    pub server: String,
    /// File of the credential.
    pub token_file: Option<PathBuf>,
}

impl Idctl {
    /// A command that is yet to be given its arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary("idctl"));
        command
            .env_remove("IDCTL_SERVER")
            .env_remove("IDCTL_TOKEN")
            .env_remove("IDCTL_TOKEN_FILE")
            .args(["--server", &self.server]);
        if let Some(file) = &self.token_file {
            command.arg("--token-file").arg(file);
        }
        command
    }

    /// The JSON document a call prints.
    ///
    /// # Panics
    /// The call fails, or prints something else.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = success(self.command().arg("--json").args(arguments));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{text}"))
    }

    /// Runs a call to its end, whatever that is.
    pub fn run(&self, arguments: &[&str]) -> Done {
        Done::of(self.command().args(arguments))
    }

    /// Exit code and the `error` object of a call that must fail.
    ///
    /// # Panics
    /// The call succeeds, or does not say in JSON why it failed.
    pub fn refused(&self, arguments: &[&str]) -> (i32, Value) {
        let done = Done::of(self.command().arg("--json").args(arguments));
        assert_ne!(done.code, 0, "{arguments:?} succeeded");
        (done.code, done.error())
    }

    /// Registers an enterprise under a social credit code and verifies it; its id.
    ///
    /// # Panics
    /// The node refuses it.
    pub fn verified_enterprise(&self, code: &str) -> String {
        let name = format!("企业 {code}");
        let create = ["enterprise", "create", "--certificate-code", code];
        let made = self.json(&[&create[..], &["--name", &name]].concat());
        let id = made["enterprise"]["id"].as_str().expect("an id").to_owned();
        self.json(&["enterprise", "review", &id, "verify"]);
        id
    }

    /// Registers a prefix for an enterprise and takes it to 启用.
    ///
    /// # Panics
    /// The node refuses it.
    pub fn active_prefix(&self, prefix: &str, enterprise_id: &str) {
        self.json(&["prefix", "apply", prefix, "--enterprise-id", enterprise_id]);
        self.json(&["prefix", "start-review", prefix]);
        self.json(&["prefix", "approve", prefix]);
    }
}

/// What a program that has ended left behind.
#[derive(Debug)]
pub struct Done {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Done {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn of(command: &mut Command) -> Self {
        Self::from(output(command))
    }

    /// The JSON document on standard output.
    ///
    /// # Panics
    /// There is none.
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The `error` object on standard error, where progress and notes may stand as well.
    ///
    /// # Panics
    /// There is none.
    pub fn error(&self) -> Value {
        let line = self.stderr.lines().find(|line| line.starts_with('{'));
        let error: Value = serde_json::from_str(line.unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}: {self:?}"));
        error["error"].clone()
    }
}

impl From<Output> for Done {
    fn from(done: Output) -> Self {
        Self {
            code: done.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }
}

/// HTTP status, head and body of a URL as `curl` gets it.
///
/// # Panics
/// `curl` gets no answer.
pub fn curl(url: &str, arguments: &[&str]) -> (u16, String, String) {
    let mut command = Command::new("curl");
    command
        .args([
            "-s",
            "-S",
            "-i",
            "--globoff",
            "--path-as-is",
            "--max-time",
            "30",
        ])
        .args(arguments)
        .arg(url);
    let text = success(&mut command);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no head: {text}"));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    (
        status.unwrap_or_else(|| panic!("no status: {head}")),
        head.to_owned(),
        body.to_owned(),
    )
}

/// Every file below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// What of a directory and all below it others than its owner have access to.
pub fn open_to_others(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let metadata = std::fs::metadata(directory).expect("a file");
    if metadata.permissions().mode() & 0o077 != 0 {
        found.push(directory.to_owned());
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            found.extend(open_to_others(&entry.expect("an entry").path()));
        }
    }
    found
}

/// The bytes of base64 (RFC 4648 section 4).
///
/// # Panics
/// It is none.
pub fn base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for character in text.bytes().filter(|byte| *byte != b'=') {
        let sextet = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            other => panic!("{other:#x} is not base64"),
        };
        bits = (bits << 6) | u32::from(sextet);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    bytes
}

/// An address of the loopback network whose port is free for UDP and TCP, and stays so for a program that
/// is started there again: it is none that the system gives to whoever asks for any.
///
/// # Panics
/// Every port is taken.
pub fn free_address() -> SocketAddr {
    const FIRST: u32 = 20_000;
    const PORTS: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes of tests that run side by side begin at different ones.
    let own = std::process::id().wrapping_mul(997);
    for _ in 0..PORTS {
        let place = own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let port = u16::try_from(FIRST + place).expect("a port");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free for both UDP and TCP");
}
