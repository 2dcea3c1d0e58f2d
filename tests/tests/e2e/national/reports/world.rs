//! A node that reports to a national node over TLS, in a directory that outlives both.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use idnode_proto::report::{Period, Unit};
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{Idctl, curl, free_address, success, until_within};
use serde_json::Value;

use super::super::world::National;
use crate::dns_transports::world::{Authority, Files};

pub const PREFIX: &str = "88.118.8";
pub const NODE: &str = "taiyuan";
pub const DAY_S: u64 = 86_400;
const CODE: &str = "91110000600037341L";

pub struct World {
    pub dir: DataDir,
    pub files: Files,
    pub authority: Authority,
    /// Further arguments of the node.
    pub settings: Vec<String>,
    home: tempfile::TempDir,
    at: String,
}

impl World {
    pub fn new() -> Self {
        let dir = DataDir::init();
        let files = Files::of(&dir);
        let authority = Authority::new("national authority");
        authority.issue_for(NODE, &files);
        Self {
            dir,
            files,
            authority,
            settings: Vec::new(),
            home: tempfile::tempdir().unwrap(),
            at: free_address().to_string(),
        }
    }

    /// Where reports are taken.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Certificates of another node of the same authority.
    pub fn files_of(&self, node: &str) -> Files {
        let file = |kind: &str| self.dir.beside(&format!("{node}.{kind}"));
        let files = Files {
            certificate: file("pem"),
            key: file("key"),
            authority: file("authority"),
        };
        self.authority.issue_for(node, &files);
        files
    }

    /// Starts the national node, where it was before, if it was.
    pub fn national(&mut self) -> National {
        let path = |path: &PathBuf| path.display().to_string();
        let (certificate, key) = (path(&self.files.certificate), path(&self.files.key));
        let authority = path(&self.files.authority);
        let national = National::start(
            self.home.path(),
            &[
                "--listen-report",
                &self.at,
                "--report-certificate",
                &certificate,
                "--report-key",
                &key,
                "--report-authority",
                &authority,
            ],
        );
        self.at = national.at("report").to_string();
        national
    }

    /// Starts the node, its clock of reports so far ahead of the system's.
    pub fn node(&self, ahead_s: u64) -> Node {
        let settings = self.arguments(ahead_s);
        let arguments: Vec<&str> = settings.iter().flat_map(|it| ["--set", it]).collect();
        Node::run_at(&self.dir, &Addresses::free(), &arguments)
    }

    /// What the node is told of its uplink.
    pub fn arguments(&self, ahead_s: u64) -> Vec<String> {
        let mut settings = vec![
            format!("node.id={NODE}"),
            format!("upward.report.server={}", self.at),
            format!("upward.report.authority={}", self.files.authority.display()),
            format!(
                "upward.report.certificate={}",
                self.files.certificate.display()
            ),
            format!("upward.report.key={}", self.files.key.display()),
            format!("upward.report.clock_ahead_s={ahead_s}"),
            "upward.report.max_backoff_ms=500".to_owned(),
            "upward.report.timeout_ms=1000".to_owned(),
        ];
        settings.extend(self.settings.iter().cloned());
        settings
    }

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

/// Registers an identifier under the prefix.
pub fn create(operator: &Idctl, name: &str) {
    let identifier = format!("{PREFIX}/{name}");
    operator.json(&[
        "identifier",
        "create",
        &identifier,
        "--value",
        "URL=https://example.cn/",
    ]);
}

/// A DNS question over UDP for an identifier of the prefix, from an address of this machine.
pub fn dig(node: &Node, name: &str, source: &str) {
    let (at, port) = (
        format!("@{}", node.at.dns.ip()),
        node.at.dns.port().to_string(),
    );
    let name = format!("{name}.88-118-8.hdl.id.example.");
    let arguments = [
        "-b", source, &at, "-p", &port, "+tries=1", "+time=5", &name, "URI",
    ];
    success(Command::new("dig").args(arguments));
}

/// How a report stands in the node's journal, and its document.
pub fn report(operator: &Idctl, key: &str) -> Value {
    let mut parts = key.splitn(3, '/');
    let (kind, period, scope) = (
        parts.next().unwrap(),
        parts.next().unwrap(),
        parts.next().unwrap(),
    );
    operator.json(&[
        "upward", "report", "--kind", kind, "--period", period, "--scope", scope,
    ])
}

/// Every report in the node's journal.
pub fn reports(operator: &Idctl) -> Vec<Value> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let listed = operator.json(&[
            "upward",
            "reports",
            "--page-size",
            "1000",
            "--page-token",
            &token,
        ]);
        all.extend(listed["reports"].as_array().unwrap().iter().cloned());
        token = listed["next_page_token"].as_str().unwrap().to_owned();
        if token.is_empty() {
            return all;
        }
    }
}

/// Waits until the reports of a period are made and all of them are taken.
pub fn until_told(operator: &Idctl, key: &str) {
    until_within(Duration::from_secs(120), key, || {
        let listed = operator.json(&["upward", "reports", "--page-size", "1"]);
        let is_made = || {
            let mut parts = key.splitn(3, '/');
            let (kind, period) = (parts.next().unwrap(), parts.next().unwrap());
            let scope = parts.next().unwrap();
            let arguments = [
                "upward", "report", "--kind", kind, "--period", period, "--scope", scope,
            ];
            operator.run(&arguments).code == 0
        };
        listed["pending"] == 0 && is_made()
    });
}

/// A report as the national node has it, and how often it has come.
pub fn taken(national: &National, key: &str) -> Value {
    let query = format!("/report?node={NODE}&key={}", key.replace('/', "%2F"));
    let (status, _, body) = curl(&national.url(&query), &[]);
    assert_eq!(status, 200, "{key}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// The day so far ahead of now, in Beijing.
pub fn day(ahead_s: u64) -> Period {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Period::at(Unit::Day, now.as_millis() as u64 + ahead_s * 1_000)
}

/// The key of the listing of the last hour that was over so far ahead of now.
pub fn last_hour(ahead_s: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let hour = Period::at(Unit::Hour, now.as_millis() as u64 + ahead_s * 1_000);
    format!("enterprises/{}/1", hour.previous())
}

/// A key of the prefix's statistics.
pub fn statistics(day: Period) -> String {
    format!("statistics/{day}/{PREFIX}")
}

/// What is left of the day is too little for a test: waits for the next one.
pub fn not_at_midnight() {
    let ends_ms = day(0).ends_ms();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let left = ends_ms.saturating_sub(now.as_millis() as u64);
    if left < 120_000 {
        std::thread::sleep(Duration::from_millis(left + 1_000));
    }
}

/// Bytes of a file, or none.
pub fn read(path: &std::path::Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
