//! `idnational` as a process, and a node that is docked to it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{Idctl, binary, curl, free_address, until};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
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

    /// How a node stands that may be taken over.
    pub fn takeover(&self, node: &str) -> Value {
        self.status()["takeover"]["nodes"][node].clone()
    }

    /// Waits until a node has come to a phase of a takeover, and has said so.
    pub fn until_phase(&self, node: &str, phase: &str) {
        until(&format!("{phase} acknowledged"), || {
            let row = self.takeover(node);
            row["phase"] == phase && row["acknowledged"] == row["revision"]
        });
    }

    /// Registers in a scope that is taken over; the status and what it says.
    pub fn register(&self, operation: &str, identifier: &str, text: &str) -> (u16, String) {
        let wish = match operation {
            "delete" => json!({"operation": operation, "identifier": identifier, "reason": text}),
            _ => json!({"operation": operation, "identifier": identifier,
                "values": [{"index": 1, "type": "URL", "data": text}]}),
        };
        let json = ["-H", "content-type: application/json"];
        let (status, _, body) = curl(
            &self.url("/takeover/registrations"),
            &[&json[..], &["-d", &wish.to_string()]].concat(),
        );
        (status, body)
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

/// A node that is docked to a national node over EPP.
pub struct Docked {
    pub national: National,
    pub node: Node,
    pub dir: DataDir,
    pub home: TempDir,
    review: &'static str,
    epp: SocketAddr,
    settings: Vec<String>,
}

/// The user and the password that the node logs in with.
pub const USER: &str = "shanxi-118";
/// Another node's user, with the same password.
pub const OTHER_USER: &str = "shanxi-119";
pub const PASSWORD: &str = "provisioning";

/// Certificates of both sides, in a directory.
pub fn certify(dir: &Path) {
    let authority = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        fs::write(
            dir.join(format!("{name}.pem")),
            params.self_signed(&key).unwrap().pem(),
        )
        .unwrap();
        Issuer::new(params, key)
    };
    let (good, other) = (authority("authority"), authority("other-authority"));
    for (name, issuer) in [("server", &good), ("client", &good), ("stranger", &other)] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap();
        fs::write(dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    fs::write(dir.join("password"), format!("{PASSWORD}\n")).unwrap();
}

/// What `idnational` is told to speak EPP.
pub fn epp_arguments(dir: &Path, listen: &str, review: &str) -> Vec<String> {
    let file = |name: &str| dir.join(name).display().to_string();
    let any = || "127.0.0.1:0".to_owned();
    [
        ("--listen-epp", listen.to_owned()),
        ("--listen-epp-http", any()),
        ("--listen-epp-https", any()),
        ("--epp-certificate", file("server.pem")),
        ("--epp-key", file("server.key")),
        ("--epp-client-authority", file("authority.pem")),
        ("--epp-account", format!("{USER}:{PASSWORD}:88.118")),
        ("--epp-account", format!("{OTHER_USER}:{PASSWORD}:88.119")),
        ("--review", review.to_owned()),
    ]
    .into_iter()
    .flat_map(|(flag, value)| [flag.to_owned(), value])
    .collect()
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

impl Docked {
    pub fn new(review: &'static str) -> Self {
        Self::with(review, |national| national.at("epp").to_string(), &[])
    }

    /// With the server that `server` names, and further keys of the configuration.
    pub fn with(
        review: &'static str,
        server: impl Fn(&National) -> String,
        further: &[&str],
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        certify(home.path());
        let arguments = epp_arguments(home.path(), &free_address().to_string(), review);
        let national = National::start(home.path(), &strs(&arguments));
        let file = |name: &str| home.path().join(name).display().to_string();
        let settings = [
            "upward.prefixes=88.118".to_owned(),
            format!("upward.user={USER}"),
            format!("upward.epp.server={}", server(&national)),
            format!("upward.epp.authority={}", file("authority.pem")),
            format!("upward.epp.certificate={}", file("client.pem")),
            format!("upward.epp.key={}", file("client.key")),
            format!("upward.epp.password_file={}", file("password")),
            "upward.epp.poll_ms=50".to_owned(),
            "upward.epp.idle_poll_ms=100".to_owned(),
            "upward.epp.timeout_ms=700".to_owned(),
            "upward.epp.keepalive_ms=500".to_owned(),
            "upward.epp.max_backoff_ms=200".to_owned(),
            // Where not said otherwise: it is told beside everything else.
            "upward.epp.identifiers=false".to_owned(),
        ];
        let mut settings = settings.to_vec();
        settings.extend(further.iter().map(|it| (*it).to_owned()));
        let dir = DataDir::init();
        Self {
            node: run(&dir, &settings),
            epp: national.at("epp"),
            national,
            dir,
            home,
            review,
            settings,
        }
    }

    pub fn operator(&self) -> Idctl {
        self.node.idctl(Some(&self.dir.token_file()))
    }

    /// The national node is killed and comes back after a while.
    pub fn restart_national(&mut self, after: Duration) {
        self.national.kill();
        std::thread::sleep(after);
        let arguments = epp_arguments(self.home.path(), &self.epp.to_string(), self.review);
        self.national = National::start(self.home.path(), &strs(&arguments));
    }

    /// The node is killed and comes back.
    pub fn restart_node(&mut self) {
        self.node.kill();
        self.node = run(&self.dir, &self.settings);
    }

    /// Another node in the place of this world's, with further keys of the configuration.
    pub fn redocked(&self, further: &[String]) -> (Node, DataDir) {
        let dir = DataDir::init();
        let settings: Vec<String> = self.settings.iter().chain(further).cloned().collect();
        (run(&dir, &settings), dir)
    }

    /// A node over a registry of before in the place of this world's.
    pub fn redock(&mut self, dir: DataDir) {
        self.node.kill();
        self.node = run(&dir, &self.settings);
        self.dir = dir;
    }

    /// Applies for a prefix and approves it here.
    pub fn submit(&self, prefix: &str, enterprise: &str) -> Value {
        let operator = self.operator();
        operator.json(&["prefix", "apply", prefix, "--enterprise-id", enterprise]);
        operator.json(&["prefix", "start-review", prefix]);
        operator.json(&["prefix", "approve", prefix])["prefix"].clone()
    }

    /// What a prefix is here.
    pub fn prefix(&self, prefix: &str) -> Value {
        self.operator().json(&["prefix", "get", prefix])
    }

    /// Waits until a prefix has come to a state here.
    pub fn until(&self, prefix: &str, state: &str) {
        until(&format!("{prefix} {state}"), || {
            self.prefix(prefix)["state"] == state
        });
    }

    /// What the national node has of provisioning.
    pub fn there(&self) -> Value {
        self.national.status()["epp"].clone()
    }

    /// What a person decides on the page.
    pub fn decide(&self, prefix: &str, result: &str, message: &str) -> u16 {
        let (status, _, _) = curl(
            &self.national.url("/epp/review"),
            &[
                "--data-urlencode",
                &format!("prefix={prefix}"),
                "--data-urlencode",
                &format!("result={result}"),
                "--data-urlencode",
                &format!("message={message}"),
            ],
        );
        status
    }

    /// The channel, as `idctl upward status` tells it.
    pub fn channel(&self) -> Value {
        self.operator().json(&["upward", "status"])["channels"][0].clone()
    }

    /// The commands of provisioning, as `idctl upward transactions` tells them.
    pub fn transactions(&self, filter: &[&str]) -> Vec<Value> {
        let listed = self
            .operator()
            .json(&[&["upward", "transactions"], filter].concat());
        listed["transactions"].as_array().unwrap().clone()
    }
}

fn run(dir: &DataDir, settings: &[String]) -> Node {
    let flags: Vec<&str> = settings
        .iter()
        .flat_map(|it| ["--set", it.as_str()])
        .collect();
    Node::run_at(dir, &Addresses::free(), &flags)
}
