//! Validators: `delv`, and `unbound` as a resolver with a cache.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use idnode_tests::run::{free_address, output, until};
use tempfile::TempDir;

use super::world::dig;

/// What `delv` comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Records, validated from the anchor on.
    Secure,
    /// Nothing of this type, validated.
    SecureNothing,
    /// It does not exist, validated.
    SecureNoName,
    /// Not signed, and that is validated.
    Insecure,
    /// Not to be believed.
    Failed(String),
}

/// `delv` with a trust anchor for one zone.
pub struct Delv {
    anchor: PathBuf,
    zone: String,
    _dir: TempDir,
}

impl Delv {
    /// Trusts the keys of these DS records.
    pub fn new(zone: &str, ds: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let anchor = dir.path().join("anchor");
        let keys: String = ds
            .iter()
            .map(|line| {
                let data = line.split_once(" IN DS ").unwrap().1;
                let (numbers, digest) = data.rsplit_once(' ').unwrap();
                format!("  \"{zone}\" static-ds {numbers} \"{digest}\";\n")
            })
            .collect();
        std::fs::write(&anchor, format!("trust-anchors {{\n{keys}}};\n")).unwrap();
        Self {
            anchor,
            zone: zone.to_owned(),
            _dir: dir,
        }
    }

    /// Asks a server and validates what it says.
    pub fn ask(&self, server: SocketAddr, name: &str, qtype: &str) -> Verdict {
        let mut command = Command::new("delv");
        command
            .arg(format!("@{}", server.ip()))
            .args(["-p", &server.port().to_string(), "-a"])
            .arg(&self.anchor)
            .arg(format!("+root={}", self.zone))
            .args(["-q", name, "-t", qtype]);
        let done = output(&mut command);
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let errors = String::from_utf8_lossy(&done.stderr).into_owned();
        let all = format!("{text}{errors}");
        if text.contains("; negative response, fully validated") {
            return match all.contains("ncache nxdomain") {
                true => Verdict::SecureNoName,
                false => Verdict::SecureNothing,
            };
        }
        if text.contains("; fully validated") {
            return Verdict::Secure;
        }
        if text.contains("; unsigned answer") {
            return Verdict::Insecure;
        }
        Verdict::Failed(all)
    }
}

/// A resolver that validates, with a cache; ends when dropped.
pub struct Unbound {
    child: Child,
    pub at: SocketAddr,
    log: PathBuf,
    _dir: TempDir,
}

impl Unbound {
    /// Trusts DS records; asks these servers for these zones.
    pub fn start(ds: &[String], zones: &[(&str, SocketAddr)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_address().port();
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        let here = dir.path().display();
        let anchors: String = ds
            .iter()
            .map(|line| format!("  trust-anchor: \"{line}\"\n"))
            .collect();
        let stubs: String = zones
            .iter()
            .map(|(zone, server)| {
                format!(
                    "stub-zone:\n  name: \"{zone}\"\n  stub-addr: 127.0.0.1@{}\n",
                    server.port()
                )
            })
            .collect();
        let text = format!(
            "server:\n  interface: 127.0.0.1\n  port: {port}\n  do-daemonize: no\n  \
             use-syslog: no\n  logfile: \"\"\n  chroot: \"\"\n  username: \"\"\n  \
             directory: \"{here}\"\n  pidfile: \"\"\n  num-threads: 1\n  \
             do-not-query-localhost: no\n  module-config: \"validator iterator\"\n  \
             val-log-level: 2\n  do-ip6: no\n  edns-buffer-size: 1232\n  \
             harden-algo-downgrade: no\n{anchors}\
             remote-control:\n  control-enable: no\n{stubs}"
        );
        let (config, log) = (dir.path().join("unbound.conf"), dir.path().join("log"));
        std::fs::write(&config, text).unwrap();
        let errors = std::fs::File::create(&log).unwrap();
        let child = Command::new("unbound")
            .arg("-d")
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("unbound (tools/setup.sh installs it)");
        let unbound = Self {
            child,
            at,
            log,
            _dir: dir,
        };
        until("unbound answers", || {
            let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
            probe
                .set_read_timeout(Some(Duration::from_millis(200)))
                .unwrap();
            // A question for version.bind TXT CH.
            let query = b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03";
            probe.send_to(query, at).unwrap();
            probe.recv(&mut [0; 512]).is_ok()
        });
        unbound
    }

    /// What `dig` gets of it: the answer, which must be AD or must not.
    pub fn ask(&self, name: &str, qtype: &str) -> Resolved {
        let text = dig(self.at, &["+recurse", "+dnssec", name, qtype]);
        let (flags, _) = text
            .split_once(";; flags:")
            .and_then(|(_, rest)| rest.split_once(';'))
            .unwrap_or_else(|| panic!("no flags: {text}"));
        Resolved {
            secure: flags.contains(" ad"),
            status: text
                .split_once("status: ")
                .and_then(|(_, rest)| rest.split_once(','))
                .map(|(status, _)| status.to_owned())
                .unwrap_or_default(),
            text,
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// What a resolver answers.
#[derive(Debug)]
pub struct Resolved {
    /// The AD bit.
    pub secure: bool,
    pub status: String,
    pub text: String,
}

impl Drop for Unbound {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("unbound: {}", self.log());
        }
    }
}
