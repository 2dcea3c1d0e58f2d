//! Recursion over the Handle protocol: nodes that ask each other on a client's behalf.

mod services;

use std::process::Command;
use std::time::{Duration, Instant};

use idnode_tests::api::CODES;
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{Idctl, curl, python_client, success};
use serde_json::Value;

/// The services of these tests are on the loopback, which recursion keeps away from otherwise.
const LOOPBACK: [&str; 2] = ["--set", "handle.recursion_deny="];

/// A node with an enterprise.
struct City {
    dir: DataDir,
    node: Node,
    enterprise: String,
}

impl City {
    fn new(settings: &[&str]) -> Self {
        let dir = DataDir::init();
        let node = Node::run_at(&dir, &Addresses::free(), settings);
        let enterprise = node
            .idctl(Some(&dir.token_file()))
            .verified_enterprise(CODES[0]);
        Self {
            dir,
            node,
            enterprise,
        }
    }

    fn idctl(&self) -> Idctl {
        self.node.idctl(Some(&self.dir.token_file()))
    }

    fn serves(&self, prefix: &str) {
        self.idctl().active_prefix(prefix, &self.enterprise);
    }

    fn registers(&self, identifier: &str, url: &str) {
        let value = format!("URL={url}");
        self.idctl()
            .json(&["identifier", "create", identifier, "--value", &value]);
    }

    /// Its prefix is served by another city, over these transports.
    fn delegates(&self, prefix: &str, to: &City, transports: &[&str]) {
        self.serves(prefix);
        let port = to.node.at.handle.port();
        let transports = transports.iter().map(|it| format!(",{it}:{port}"));
        let service = format!("127.0.0.1{}", transports.collect::<String>());
        self.idctl()
            .json(&["prefix", "delegate", prefix, "--service", &service]);
    }

    fn ask(&self, handle: &str, options: &[&str]) -> Value {
        let client = python_client("handle_client.py");
        let server = self.node.at.handle.to_string();
        let mut command = Command::new("python3");
        command.arg(client).args(["--timeout", "10"]).args(options);
        let text = success(command.args([&server, handle]));
        serde_json::from_str(&text).unwrap()
    }

    fn recurse(&self, handle: &str) -> Value {
        self.ask(handle, &["--recurse"])
    }
}

fn urls(answer: &Value) -> Vec<&str> {
    assert_eq!(answer["code"], 1, "{answer}");
    let values = answer["values"].as_array().unwrap().iter();
    values
        .map(|value| value["data"].as_str().unwrap())
        .collect()
}

#[test]
fn a_delegated_handle_is_asked_for_and_kept() {
    for transports in [&["udp", "tcp"][..], &["udp"], &["tcp"]] {
        let (here, there) = (City::new(&LOOPBACK), City::new(&[]));
        there.serves("88.118.9");
        there.registers("88.118.9/A", "https://there.example/a");
        there.registers("88.118.9/B", "https://there.example/b");
        let long = "x".repeat(40_000);
        there.registers("88.118.9/Long", &format!("https://there.example/{long}"));
        // Too long for a datagram to ask for.
        let named = format!("88.118.9/{}", "N".repeat(700));
        there.registers(&named, "https://there.example/named");
        here.delegates("88.118.9", &there, transports);
        assert_eq!(here.ask("88.118.9/A", &[])["code"], 303);
        for options in [&["--recurse"][..], &["--recurse", "--tcp"]] {
            let answer = here.ask("88.118.9/A", options);
            assert_eq!(urls(&answer), ["https://there.example/a"]);
            assert_eq!(answer["handle"], "88.118.9/A");
        }
        assert_eq!(here.recurse("88.118.9/none")["code"], 100);
        assert_eq!(urls(&here.recurse(&named)), ["https://there.example/named"]);
        let filtered = here.ask("88.118.9/A", &["--recurse", "--type", "EMAIL"]);
        assert_eq!(filtered["code"], 200);
        let answer = here.ask("88.118.9/Long", &["--recurse", "--tcp"]);
        assert_eq!(urls(&answer)[0].len(), 40_000 + 22);
        // What has been answered is there still when the other node is not.
        there.node.stop();
        assert_eq!(
            urls(&here.recurse("88.118.9/a")),
            ["https://there.example/a"]
        );
        let lost = here.recurse("88.118.9/B");
        assert_eq!(lost["code"], 2, "{lost}");
        assert!(
            lost["message"].as_str().unwrap().contains("127.0.0.1"),
            "{lost}"
        );
    }
}

#[test]
fn what_others_have_changed_is_answered_at_once_where_it_is_not_to_be_kept() {
    let (here, there) = (City::new(&LOOPBACK), City::new(&[]));
    there.serves("88.118.9");
    here.delegates("88.118.9", &there, &["udp", "tcp"]);
    let value = |url: &str| format!("1:URL:ttl=0=https://there.example/{url}");
    let create = ["identifier", "create", "88.118.9/A", "--value"];
    there
        .idctl()
        .json(&[&create[..], &[&value("one")]].concat());
    let over_http = || {
        let url = here.node.http("/api/handles/88.118.9/A?recurse");
        let (status, _, body) = curl(&url, &[]);
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        body["values"][0]["data"]["value"].clone()
    };
    for _ in 0..3 {
        assert_eq!(over_http(), "https://there.example/one");
    }
    let update = ["identifier", "update", "88.118.9/A", "--value"];
    there
        .idctl()
        .json(&[&update[..], &[&value("two")]].concat());
    assert_eq!(over_http(), "https://there.example/two");
    assert_eq!(
        urls(&here.recurse("88.118.9/A")),
        ["https://there.example/two"]
    );
}

/// What was kept before, under another spelling, may last longer.
#[test]
fn what_others_have_answered_lasts_as_long_as_it_says_and_grows_old() {
    let (here, there) = (City::new(&LOOPBACK), City::new(&[]));
    there.serves("88.118.9");
    here.delegates("88.118.9", &there, &["udp", "tcp"]);
    let asked = |handle: &str| {
        let url = here
            .node
            .http(&format!("/api/handles/88.118.9/{handle}?recurse"));
        let (_, head, body) = curl(&url, &[]);
        let age = head
            .lines()
            .find_map(|it| it.strip_prefix("cache-control: max-age="));
        let body: Value = serde_json::from_str(&body).unwrap();
        let max_age_s: u32 = age.map_or(0, |age| age.trim().parse().unwrap());
        (body["values"][0]["data"]["value"].clone(), max_age_s)
    };
    let write = |verb: &str, value: &str| {
        let command = ["identifier", verb, "88.118.9/A", "--value", value];
        there.idctl().json(&command);
    };
    // That it is not there lasts for 30 s.
    assert_eq!(asked("a").0, Value::Null);
    write("create", "1:URL:ttl=4=https://there.example/one");
    assert_eq!(asked("A"), ("https://there.example/one".into(), 4));
    write("update", "1:URL:ttl=4=https://there.example/two");
    std::thread::sleep(Duration::from_millis(1_500));
    let (url, max_age_s) = asked("A");
    assert!(
        max_age_s < 4 || url == "https://there.example/two",
        "{url} for {max_age_s} s"
    );
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(asked("A").0, "https://there.example/two");
}

#[test]
fn unknown_prefixes_go_up_and_their_servers_are_kept() {
    let (national, there) = (City::new(&[]), City::new(&[]));
    let upstream = format!("handle.upstream={}", national.node.at.handle);
    let here = City::new(&[&LOOPBACK[..], &["--set", &upstream]].concat());
    there.serves("88.119.1");
    there.registers("88.119.1/A", "https://there.example/a");
    there.registers("88.119.1/B", "https://there.example/b");
    national.delegates("88.119.1", &there, &["udp", "tcp"]);
    national.serves("88.200");
    national.registers("88.200/own", "https://national.example/");
    assert_eq!(here.ask("88.119.1/A", &[])["code"], 301);
    assert_eq!(
        urls(&here.recurse("88.119.1/A")),
        ["https://there.example/a"]
    );
    assert_eq!(
        urls(&here.recurse("88.200/own")),
        ["https://national.example/"]
    );
    assert_eq!(here.recurse("88.200/none")["code"], 100);
    // A prefix's sites, as clients ask for them.
    let sites = here.recurse("0.NA/88.119.1");
    assert_eq!(sites["values"][0]["type"], "HS_SITE", "{sites}");
    let nowhere = here.recurse("88.121.7/A");
    assert_eq!(nowhere["code"], 301, "{nowhere}");
    national.node.stop();
    assert_eq!(
        urls(&here.recurse("88.119.1/B")),
        ["https://there.example/b"]
    );
}

#[test]
fn a_circle_ends() {
    let (one, two) = (City::new(&LOOPBACK), City::new(&LOOPBACK));
    one.delegates("88.120", &two, &["udp", "tcp"]);
    two.delegates("88.120", &one, &["udp", "tcp"]);
    for city in [&one, &two] {
        let began = Instant::now();
        let answer = city.recurse("88.120/A");
        assert_eq!(answer["code"], 6, "{answer}");
        assert!(began.elapsed() < Duration::from_secs(5));
        // Without recursion it is a referral, as ever.
        assert_eq!(city.ask("88.120/A", &[])["code"], 303);
    }
    let far = one.ask("88.120/B", &["--recurse", "--hops", "8"]);
    assert_eq!(far["code"], 6, "{far}");
}

#[test]
fn where_others_must_not_be_asked_the_client_is_referred() {
    let there = City::new(&[]);
    there.serves("88.118.9");
    there.registers("88.118.9/A", "https://there.example/a");
    for settings in [&[][..], &["--set", "handle.recursion=false"]] {
        let here = City::new(settings);
        here.delegates("88.118.9", &there, &["udp", "tcp"]);
        assert_eq!(here.recurse("88.118.9/A")["code"], 303);
    }
}
