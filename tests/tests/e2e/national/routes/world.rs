//! Two cities and the national node above them, in directories that outlive all of them.

use std::net::SocketAddr;
use std::process::Command;

use idnode_tests::api::CODES;
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{Idctl, curl, free_address, python_client, success, until};
use serde_json::Value;
use tempfile::TempDir;

use super::super::streams::certify;
use super::super::world::National;

/// The national node, and where it listens, whether it runs or not.
pub struct World {
    pub home: TempDir,
    /// Further arguments of the national node.
    pub arguments: Vec<String>,
    /// The two cities, and what they may speak for.
    pub members: [String; 2],
    /// Where streams are taken.
    pub streams: SocketAddr,
    /// Where the resolver is asked.
    pub resolver: SocketAddr,
}

impl World {
    /// With certificates of both cities.
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        certify(home.path(), &["server", "datong", "linfen"]);
        Self {
            home,
            arguments: Vec::new(),
            members: ["datong:88.119", "linfen:88.123"].map(str::to_owned),
            streams: free_address(),
            resolver: free_address(),
        }
    }

    /// Starts the national node.
    pub fn national(&self) -> National {
        let (streams, resolver) = (self.streams.to_string(), self.resolver.to_string());
        let (certificate, key) = (self.file("server.pem"), self.file("server.key"));
        let authority = self.file("authority.pem");
        let mut arguments = vec![
            "--listen-sync",
            &streams,
            "--sync-certificate",
            &certificate,
            "--sync-key",
            &key,
            "--sync-authority",
            &authority,
            "--listen-resolve",
            &resolver,
        ];
        for member in &self.members {
            arguments.extend(["--sync-node", member]);
        }
        arguments.extend(self.arguments.iter().map(String::as_str));
        National::start(self.home.path(), &arguments)
    }

    pub fn file(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }
}

/// A secondary node, and what it is started with.
pub struct City {
    pub name: &'static str,
    pub dir: DataDir,
    pub settings: Vec<String>,
    pub at: Addresses,
    /// `None` while it does not run.
    pub node: Option<Node>,
    enterprise: String,
}

impl City {
    /// Starts one of the two cities, its streams on.
    pub fn start(world: &World, name: &'static str, own: &str) -> Self {
        let file = |suffix: &str| world.file(&format!("{name}.{suffix}"));
        let settings = [
            format!("node.id={name}"),
            format!("upward.prefixes={own}"),
            format!("upward.operator={name} 标识中心"),
            format!("upward.sync.server={}", world.streams),
            format!("upward.sync.authority={}", world.file("authority.pem")),
            format!("upward.sync.certificate={}", file("pem")),
            format!("upward.sync.key={}", file("key")),
            "upward.sync.max_backoff_ms=500".to_owned(),
            "upward.sync.timeout_ms=1000".to_owned(),
            format!("handle.upstream={}", world.resolver),
            "handle.recursion_timeout_ms=1500".to_owned(),
            "upward.routes.sibling_networks=127.0.0.0/8".to_owned(),
        ];
        Self::with(name, settings.to_vec())
    }

    /// Starts one with these settings.
    pub fn with(name: &'static str, settings: Vec<String>) -> Self {
        let mut city = Self {
            name,
            dir: DataDir::init(),
            settings,
            at: Addresses::free(),
            node: None,
            enterprise: String::new(),
        };
        city.run();
        city.enterprise = city.idctl().verified_enterprise(CODES[0]);
        city
    }

    /// Datong, 88.119.
    pub fn datong(world: &World) -> Self {
        Self::start(world, "datong", "88.119")
    }

    /// Linfen, 88.123.
    pub fn linfen(world: &World) -> Self {
        Self::start(world, "linfen", "88.123")
    }

    /// Starts it again after it was stopped.
    pub fn run(&mut self) {
        let settings = self.settings.iter();
        let flags: Vec<&str> = settings.flat_map(|it| ["--set", it.as_str()]).collect();
        self.node = Some(Node::run_at(&self.dir, &self.at, &flags));
    }

    pub fn stop(&mut self) {
        self.node.take().unwrap().stop();
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.node.take().unwrap().kill();
    }

    pub fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    pub fn idctl(&self) -> Idctl {
        self.node().idctl(Some(&self.dir.token_file()))
    }

    pub fn serves(&self, prefix: &str) {
        self.idctl().active_prefix(prefix, &self.enterprise);
    }

    /// Registers an identifier with a URL that may be kept so long, seconds.
    pub fn registers(&self, identifier: &str, ttl_s: u32, url: &str) {
        let value = format!("1:URL:ttl={ttl_s}={url}");
        self.idctl()
            .json(&["identifier", "create", identifier, "--value", &value]);
    }

    /// Replaces what it has registered.
    pub fn changes(&self, identifier: &str, url: &str) {
        let value = format!("1:URL={url}");
        self.idctl()
            .json(&["identifier", "update", identifier, "--value", &value]);
    }

    /// Asks over the Handle protocol.
    pub fn ask(&self, handle: &str, options: &[&str]) -> Value {
        ask(self.node().at.handle, handle, options)
    }

    /// The same, and has the node ask others.
    pub fn recurse(&self, handle: &str) -> Value {
        self.ask(handle, &["--recurse"])
    }

    /// Asks over HTTP: status and document.
    pub fn http(&self, path: &str) -> (u16, Value) {
        let (status, _, body) = curl(&self.node().http(path), &[]);
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// What it knows of its siblings, and has told of itself.
    pub fn siblings(&self) -> Value {
        self.idctl().json(&["upward", "siblings"])
    }

    /// How the channel stands.
    pub fn channel(&self) -> Value {
        let status = self.idctl().json(&["upward", "status"]);
        let mut channels = status["channels"].as_array().unwrap().iter();
        channels.find(|it| it["name"] == "routes").unwrap().clone()
    }

    /// Waits until it knows another one.
    pub fn until_it_knows(&self, node: &str) {
        until(&format!("{} knows {node}", self.name), || {
            let siblings = self.siblings();
            siblings["siblings"]
                .as_array()
                .unwrap()
                .iter()
                .any(|it| it["node"] == node)
        });
    }

    /// Waits until what it has to tell of itself is there.
    pub fn until_told(&self) {
        until(&format!("{} has told", self.name), || {
            self.siblings()["own"]["state"] == "told"
        });
    }
}

/// Asks a Handle server.
pub fn ask(server: SocketAddr, handle: &str, options: &[&str]) -> Value {
    let client = python_client("handle_client.py");
    let mut command = Command::new("python3");
    command.arg(client).args(["--timeout", "10"]).args(options);
    let text = success(command.args([&server.to_string(), handle]));
    serde_json::from_str(&text).unwrap()
}

/// Both cities, Linfen knowing Datong, which has 88.119.1/A.
pub fn both(world: &World) -> (City, City) {
    let datong = City::datong(world);
    datong.serves("88.119.1");
    datong.registers("88.119.1/A", 86_400, "https://datong.example/a");
    let linfen = City::linfen(world);
    linfen.until_it_knows("datong");
    (datong, linfen)
}

/// The URLs of an answer that must have values.
pub fn urls(answer: &Value) -> Vec<&str> {
    assert_eq!(answer["code"], 1, "{answer}");
    let values = answer["values"].as_array().unwrap().iter();
    values
        .map(|value| value["data"].as_str().unwrap())
        .collect()
}

/// How many questions the national resolver has had.
pub fn questions(national: &National) -> u64 {
    national.status()["resolve"]["questions"].as_u64().unwrap()
}
