//! A node that is taken over, and what is done at either side meanwhile.

use idnode_tests::node::{Addresses, Node};
use idnode_tests::run::{Idctl, curl, until};
use serde_json::Value;

use super::super::streams::{NODE, PREFIX, Streams};
use super::super::world::National;

/// Both sides, running.
pub struct World {
    pub streams: Streams,
    pub national: National,
    pub node: Node,
    /// Where the node is whenever it runs.
    pub at: Addresses,
}

impl World {
    /// A verified enterprise with an active prefix, docked.
    pub fn new() -> Self {
        let mut streams = Streams::new();
        let national = streams.national();
        let node = streams.node();
        streams.register(&node);
        Self {
            at: node.at,
            streams,
            national,
            node,
        }
    }

    pub fn operator(&self) -> Idctl {
        self.streams.operator(&self.node)
    }

    /// The node is killed and comes back where it was.
    pub fn restart_node(&mut self) {
        self.node.kill();
        self.node = self.streams.node_at(&self.at);
    }

    /// The national node is killed and comes back where it was.
    pub fn restart_national(&mut self) {
        self.national.kill();
        self.national = self.streams.national();
    }

    /// A form of the national node's page.
    pub fn post(&self, path: &str, fields: &[&str]) -> (u16, String) {
        let node = format!("node={NODE}");
        let mut arguments = vec!["--data-urlencode", node.as_str()];
        for field in fields {
            arguments.extend(["--data-urlencode", *field]);
        }
        let (status, _, body) = curl(&self.national.url(path), &arguments);
        (status, body)
    }

    /// A person takes all of the node's prefixes over.
    pub fn take(&self) {
        let (status, body) = self.post("/takeover", &["cause=应急演练"]);
        assert_eq!(status, 200, "{body}");
    }

    /// A person hands them back.
    pub fn hand_back(&self) {
        let (status, body) = self.post("/hand-back", &[]);
        assert_eq!(status, 200, "{body}");
    }

    /// Registers at the national node; the status and what it says.
    pub fn register(&self, operation: &str, name: &str, text: &str) -> (u16, String) {
        self.national
            .register(operation, &format!("{PREFIX}/{name}"), text)
    }

    #[track_caller]
    pub fn registered(&self, operation: &str, name: &str, text: &str) {
        let (status, body) = self.register(operation, name, text);
        assert_eq!(status, 201, "{body}");
    }

    /// How the node stands there.
    pub fn row(&self) -> Value {
        self.national.takeover(NODE)
    }

    /// The conflicts that are known there.
    pub fn conflicts_there(&self) -> Vec<Value> {
        let conflicts = self.national.status()["takeover"]["conflicts"].clone();
        conflicts.as_array().unwrap().clone()
    }

    /// How the takeover stands here.
    pub fn takeover(&self) -> Value {
        self.operator().json(&["upward", "takeover"])
    }

    /// Waits until the node has come to a phase, and the national node knows that it has.
    pub fn until_phase(&self, phase: &str) {
        until(phase, || {
            self.takeover()["phase"] == phase.replace('-', "_")
        });
        self.national.until_phase(NODE, phase);
    }

    /// Waits until the national node was told of everything that is registered here.
    pub fn until_told(&self) {
        let head = self.operator().json(&["stats"])["sequence"].clone();
        until("everything is told", || {
            let told = &self.national.status()["changes"]["nodes"][NODE]["sequence"];
            told.as_u64() >= head.as_u64()
        });
    }

    pub fn create(&self, name: &str, text: &str) {
        self.operator()
            .json(&create(&format!("{PREFIX}/{name}"), &format!("URL={text}")));
    }

    /// The text of an identifier's first value here; `None`: it is not live.
    pub fn text(&self, name: &str) -> Option<String> {
        let identifier = format!("{PREFIX}/{name}");
        let done = self
            .operator()
            .run(&["--json", "identifier", "get", &identifier]);
        if done.code != 0 {
            return None;
        }
        let record = done.document();
        if record["deleted"] == true {
            return None;
        }
        Some(
            record["values"][0]["data"]["value"]
                .as_str()
                .unwrap()
                .to_owned(),
        )
    }

    /// Conflicts as the operator lists them.
    pub fn conflicts(&self, options: &[&str]) -> Vec<Value> {
        let listed = self
            .operator()
            .json(&[&["upward", "conflicts"], options].concat());
        listed["conflicts"].as_array().unwrap().clone()
    }

    pub fn settle(&self, id: &str, keep: &str) -> Value {
        let resolve = ["upward", "conflicts", "resolve", id, "--keep", keep];
        self.operator().json(&resolve)
    }
}

/// What registers an identifier with `idctl`.
pub fn create<'a>(identifier: &'a str, value: &'a str) -> [&'a str; 5] {
    ["identifier", "create", identifier, "--value", value]
}
