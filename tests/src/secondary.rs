//! Secondary name servers: NSD and Knot as processes with a directory of their own, and `dig`
//! to compare them.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::run::success;

/// A key shared by primary and secondary.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name, without the final dot.
    pub name: &'static str,
    /// `hmac-sha256` and others.
    pub algorithm: &'static str,
    /// In base64.
    pub secret: &'static str,
}

impl Key {
    /// As `dig -y` takes it, and the node.
    pub fn dig(&self) -> String {
        format!("{}:{}:{}", self.algorithm, self.name, self.secret)
    }

    /// As the node's configuration has it.
    pub fn node(&self) -> String {
        format!("{}:{}:{}", self.name, self.algorithm, self.secret)
    }
}

/// What a secondary is told of its primary.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Where it is to listen.
    pub listen: SocketAddr,
    /// Its primary.
    pub primary: SocketAddr,
    /// Zones, with their final dots.
    pub zones: &'a [&'a str],
    /// Signs everything between the two.
    pub key: Option<Key>,
}

/// A secondary that runs; killed when dropped.
#[derive(Debug)]
pub struct Secondary {
    child: Child,
    /// Where it answers.
    pub at: SocketAddr,
    dir: TempDir,
}

impl Secondary {
    /// NSD.
    pub fn nsd(setup: &Setup<'_>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("nsd.conf");
        fs::write(&file, nsd_conf(setup, dir.path())).expect("a configuration");
        let mut command = Command::new("/usr/sbin/nsd");
        command.arg("-d").arg("-c").arg(&file);
        Self::start(command, setup.listen, dir)
    }

    /// Knot DNS.
    pub fn knot(setup: &Setup<'_>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("db")).expect("a directory");
        let file = dir.path().join("knot.conf");
        fs::write(&file, knot_conf(setup, dir.path())).expect("a configuration");
        let mut command = Command::new("/usr/sbin/knotd");
        command.arg("-c").arg(&file);
        Self::start(command, setup.listen, dir)
    }

    fn start(mut command: Command, at: SocketAddr, dir: TempDir) -> Self {
        let output = fs::File::create(dir.path().join("output")).expect("a file");
        let errors = output.try_clone().expect("the same file");
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, at, dir }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        let files = ["output", "log"].map(|name| self.dir.path().join(name));
        let texts = files.map(|file| fs::read_to_string(file).unwrap_or_default());
        texts.concat()
    }
}

impl Drop for Secondary {
    fn drop(&mut self) {
        // NSD has children of its own, which SIGTERM makes it end.
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().ok();
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            sleep(Duration::from_millis(50));
        }
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(25).collect();
            for line in tail.iter().rev() {
                eprintln!("secondary: {line}");
            }
        }
    }
}

fn nsd_conf(setup: &Setup<'_>, dir: &Path) -> String {
    let (dir, at) = (dir.display(), setup.listen);
    let mut text = format!(
        r#"server:
    ip-address: {}@{}
    server-count: 1
    zonesdir: "{dir}"
    database: ""
    pidfile: "{dir}/pid"
    xfrdfile: "{dir}/xfrd.state"
    xfrdir: "{dir}"
    zonelistfile: "{dir}/zone.list"
    logfile: "{dir}/log"
    username: ""
    verbosity: 2
remote-control:
    control-enable: no
"#,
        at.ip(),
        at.port()
    );
    let key = setup.key.map_or("NOKEY", |key| key.name);
    if let Some(key) = setup.key {
        let (name, algorithm, secret) = (key.name, key.algorithm, key.secret);
        write!(
            text,
            "key:\n    name: \"{name}\"\n    algorithm: {algorithm}\n    secret: \"{secret}\"\n"
        )
        .expect("a string");
    }
    let (ip, port) = (setup.primary.ip(), setup.primary.port());
    for zone in setup.zones {
        write!(
            text,
            r#"zone:
    name: "{zone}"
    zonefile: "{zone}zone"
    request-xfr: {ip}@{port} {key}
    allow-notify: {ip} {key}
    provide-xfr: 127.0.0.1 NOKEY
"#
        )
        .expect("a string");
    }
    text
}

fn knot_conf(setup: &Setup<'_>, dir: &Path) -> String {
    let (dir, at) = (dir.display(), setup.listen);
    let key = setup
        .key
        .map(|key| format!("    key: {}\n", key.name))
        .unwrap_or_default();
    let mut text = format!(
        "server:\n    listen: {}@{}\n    rundir: {dir}\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n",
        at.ip(),
        at.port()
    );
    write!(
        text,
        "database:\n    storage: {dir}/db\n    journal-db-max-size: 256M\nlog:\n  - target: {dir}/log\n    any: info\n"
    )
    .expect("a string");
    if let Some(key) = setup.key {
        let (name, algorithm, secret) = (key.name, key.algorithm, key.secret);
        write!(
            text,
            "key:\n  - id: {name}\n    algorithm: {algorithm}\n    secret: {secret}\n"
        )
        .expect("a string");
    }
    let (ip, port) = (setup.primary.ip(), setup.primary.port());
    write!(
        text,
        r#"remote:
  - id: primary
    address: {ip}@{port}
{key}acl:
  - id: notify
    address: {ip}
{key}    action: notify
  - id: transfer
    address: 127.0.0.1
    action: transfer
template:
  - id: default
    storage: {dir}
    master: primary
    acl: [notify, transfer]
    zonefile-sync: -1
    zonefile-load: none
zone:
"#
    )
    .expect("a string");
    for zone in setup.zones {
        writeln!(text, "  - domain: {zone}").expect("a string");
    }
    text
}

/// `dig` at a server.
pub fn dig(at: SocketAddr) -> Command {
    let mut command = Command::new("dig");
    command
        .arg(format!("@{}", at.ip()))
        .args(["-p", &at.port().to_string()])
        .args(["+time=10", "+tries=1", "+norecurse", "+nocmd"]);
    command
}

/// The serial of a zone at a server; `None`: it has no such zone, or does not answer.
pub fn serial(at: SocketAddr, zone: &str) -> Option<u32> {
    let answer = dig(at).args(["+short", zone, "SOA"]).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    text.split(' ').nth(2)?.parse().ok()
}

/// All of a zone by AXFR, a record a line, sorted.
///
/// # Panics
/// There is no transfer.
pub fn whole_zone(at: SocketAddr, zone: &str, arguments: &[&str]) -> Vec<String> {
    let text = success(
        dig(at)
            .args(arguments)
            .args(["+noall", "+answer", "+onesoa", zone, "AXFR"]),
    );
    let is_record = |line: &&str| !line.is_empty() && !line.starts_with(';');
    let mut lines: Vec<String> = text.lines().filter(is_record).map(str::to_owned).collect();
    assert!(lines.len() > 1, "{zone} at {at}: {text}");
    lines.sort();
    lines
}

/// What a server answers to one question, as far as servers must agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Name and type.
    pub question: String,
    /// The response code.
    pub status: String,
    /// Whether with authority.
    pub authoritative: bool,
    /// Records of the answer section, sorted.
    pub answers: Vec<String>,
    /// Records of the authority section, sorted, where there is no answer.
    pub authorities: Vec<String>,
}

/// Asks many questions with one `dig`.
///
/// # Panics
/// One of them is not answered.
pub fn ask_all(at: SocketAddr, questions: &[(String, &str)]) -> Vec<Said> {
    let mut command = dig(at);
    command.args([
        "+tcp",
        "+noedns",
        "+noall",
        "+comments",
        "+answer",
        "+authority",
    ]);
    for (name, rtype) in questions {
        command.args([name, *rtype]);
    }
    let text = success(&mut command);
    let answers: Vec<&str> = text.split(";; Got answer:").skip(1).collect();
    assert_eq!(answers.len(), questions.len(), "{text}");
    let said = answers.iter().zip(questions);
    said.map(|(answer, (name, rtype))| read_answer(answer, format!("{name} {rtype}")))
        .collect()
}

fn read_answer(text: &str, question: String) -> Said {
    let between = |begin: &str, end: &str| {
        let rest = text.split(begin).nth(1).unwrap_or_default();
        rest.split(end).next().unwrap_or_default().to_owned()
    };
    let section = |name: &str| {
        let rest = between(&format!(";; {name} SECTION:\n"), "\n\n");
        let mut lines: Vec<String> = rest.lines().map(str::to_owned).collect();
        lines.retain(|line| !line.is_empty() && !line.starts_with(';'));
        lines.sort();
        lines
    };
    let answers = section("ANSWER");
    let authorities = if answers.is_empty() {
        section("AUTHORITY")
    } else {
        Vec::new()
    };
    Said {
        question,
        status: between("status: ", ","),
        authoritative: between(";; flags:", ";")
            .split(' ')
            .any(|flag| flag == "aa"),
        answers,
        authorities,
    }
}
