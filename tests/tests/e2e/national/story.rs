//! A week without the national node: a factory goes on registering and resolving with everything docked, and
//! when the national node is back, all of it is there, in order, once.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use idnode_proto::api as pb;
use idnode_tests::node::Node;
use idnode_tests::run::{Idctl, curl, free_address, python_client, success, until, until_within};
use serde_json::{Value, json};

use super::changes::world::{Caller, equal, known, objects, there};
use super::escrow::world::{Keys, USER as DEPOSITOR, until_newest};
use super::reports::world::{
    DAY_S, create, day, dig, last_hour, not_at_midnight, report, statistics, taken, until_told,
};
use super::streams::{NODE, PREFIX, Streams};
use super::world::{National, PASSWORD, USER};

/// Identifiers that are registered one by one, and in an import.
const SINGLE: usize = 20_000;
const IMPORTED: usize = 80_000;
/// How long the national node is away.
const AWAY_S: u64 = 7 * DAY_S;
/// A prefix that is approved here while the national node is away.
const LATE: &str = "88.118.9";
/// The certificate of the enterprise.
const CODE: &str = "91110000600037341L";
/// Questions of a day, of which the last is for what is not registered.
const QUESTIONS: u64 = 9;

/// Both sides, with every channel between them.
struct Story {
    streams: Streams,
    keys: Keys,
}

impl Story {
    fn new() -> Self {
        let mut streams = Streams::new();
        let keys = Keys::new();
        let (epp, report, sftp) = (free_address(), free_address(), free_address());
        let file = |name: &str| streams.home.path().join(name).display().to_string();
        std::fs::write(file("password"), PASSWORD).unwrap();
        let (own, key) = (format!("{NODE}.pem"), format!("{NODE}.key"));
        let depositor = format!(
            "{DEPOSITOR}={},{}",
            keys.text("login.pub"),
            keys.text("signer.pem.pub")
        );
        let arguments = [
            ("--listen-epp", epp.to_string()),
            ("--epp-certificate", file("server.pem")),
            ("--epp-key", file("server.key")),
            ("--epp-client-authority", file("authority.pem")),
            ("--epp-account", format!("{USER}:{PASSWORD}:88.118")),
            ("--review", "auto".to_owned()),
            ("--listen-report", report.to_string()),
            ("--report-certificate", file("server.pem")),
            ("--report-key", file("server.key")),
            ("--report-authority", file("authority.pem")),
            ("--listen-sftp", sftp.to_string()),
            ("--escrow-key", keys.text("receiver.pem")),
            ("--escrow-client", depositor),
        ];
        let settings = [
            format!("upward.user={USER}"),
            format!("upward.epp.server={epp}"),
            format!("upward.epp.authority={}", file("authority.pem")),
            format!("upward.epp.certificate={}", file(&own)),
            format!("upward.epp.key={}", file(&key)),
            format!("upward.epp.password_file={}", file("password")),
            "upward.epp.max_backoff_ms=500".to_owned(),
            format!("upward.report.server={report}"),
            format!("upward.report.authority={}", file("authority.pem")),
            format!("upward.report.certificate={}", file(&own)),
            format!("upward.report.key={}", file(&key)),
            "upward.report.max_backoff_ms=500".to_owned(),
        ];
        let arguments = arguments
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value]);
        let arguments = arguments.collect();
        (streams.arguments, streams.settings) = (arguments, settings.into());
        Self { streams, keys }
    }

    /// The national node, and what a node needs to know of its SFTP server.
    fn national(&mut self) -> National {
        let national = self.streams.national();
        let host_key = &national.status()["escrow"]["host_key"];
        let escrow = self
            .keys
            .settings(national.at("sftp"), host_key.as_str().unwrap(), DEPOSITOR);
        let is_new = |it: &String| !self.streams.settings.contains(it);
        let new: Vec<String> = escrow.into_iter().filter(is_new).collect();
        self.streams.settings.extend(new);
        national
    }

    /// The node, its clock of reports so far ahead.
    fn node(&mut self, ahead_s: u64) -> Node {
        let clock = "upward.report.clock_ahead_s=";
        self.streams.settings.retain(|it| !it.starts_with(clock));
        self.streams.settings.push(format!("{clock}{ahead_s}"));
        self.streams.node()
    }
}

/// A channel of the uplink, as the operator sees it.
fn channel(operator: &Idctl, name: &str) -> Value {
    let status = operator.json(&["upward", "status"]);
    let channels = status["channels"].as_array().unwrap();
    let found = channels.iter().find(|it| it["name"] == name);
    found
        .unwrap_or_else(|| panic!("no {name}: {status}"))
        .clone()
}

fn state(operator: &Idctl, prefix: &str) -> Value {
    operator.json(&["prefix", "get", prefix])["state"].clone()
}

/// A day's questions, over three fronts.
fn ask(node: &Node, operator: &Idctl, name: &str) {
    (0..4).for_each(|_| dig(node, name, "127.0.0.1"));
    for _ in 0..2 {
        let mut client = Command::new("python3");
        client.arg(python_client("handle_client.py")).arg("--tcp");
        client.args([node.at.handle.to_string(), format!("{PREFIX}/{name}")]);
        success(&mut client);
    }
    for _ in 0..2 {
        operator.json(&["resolve", &format!("{PREFIX}/{name}")]);
    }
    dig(node, "none", "127.0.0.1");
}

/// Registers and resolves while a backlog drains: each of it must be answered.
struct Beside {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Beside {
    fn start(world: &Streams, node: &Node) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (until, count) = (stop.clone(), done.clone());
        let caller = Caller::new(world, node);
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let number = count.fetch_add(1, Ordering::Relaxed);
                let name = format!("{PREFIX}/beside-{number}");
                caller.register(std::iter::once(name.clone()), 1);
                let question = pb::ResolveRequest {
                    identifier: name.clone(),
                    ..Default::default()
                };
                let mut resolution = caller.api.resolution();
                let resolved = caller.runtime.block_on(resolution.resolve(question));
                assert_eq!(resolved.unwrap().into_inner().identifier, name);
            }
        });
        Self { stop, done, thread }
    }

    /// How many it has registered and resolved.
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.done.load(Ordering::Relaxed)
    }
}

#[test]
fn a_week_without_the_national_node_is_there_afterwards() {
    not_at_midnight();
    let mut story = Story::new();
    let mut national = story.national();
    let node = story.node(0);
    let operator = story.streams.operator(&node);
    let enterprise = operator.verified_enterprise(CODE);
    operator.active_prefix(PREFIX, &enterprise);
    until("the prefix is granted", || {
        state(&operator, PREFIX) == "active"
    });
    national.kill();
    drop(national);

    // The first day: the factory registers, another prefix is approved, and the enterprise moves.
    let caller = Caller::new(&story.streams, &node);
    let single = (0..SINGLE).map(|n| format!("{PREFIX}/single-{n:06}"));
    caller.register(single, 64);
    let imported: Vec<String> = (0..IMPORTED)
        .map(|n| format!("{PREFIX}/import-{n:06}"))
        .collect();
    caller.import(&imported, 1_000);
    operator.active_prefix(LATE, &enterprise);
    operator.json(&["enterprise", "update", &enterprise, "--city-code", "140200"]);
    ask(&node, &operator, "single-000007");
    assert_eq!(state(&operator, LATE), "under_review");
    node.stop();

    // A week later.
    let node = story.node(AWAY_S);
    let operator = story.streams.operator(&node);
    create(&operator, "later");
    ask(&node, &operator, "later");
    until("a week waits", || {
        let owed = channel(&operator, "report")["backlog"].as_u64();
        owed.unwrap() >= 7 * 24 + 7 && channel(&operator, "epp")["backlog"] != 0
    });
    for name in ["sync", "report", "epp", "escrow"] {
        let channel = channel(&operator, name);
        assert_eq!(channel["state"], "down", "{channel}");
    }
    let sync = channel(&operator, "sync");
    let entries = (SINGLE + IMPORTED / 1_000) as u64;
    assert!(sync["backlog"].as_u64() > Some(entries), "{sync}");
    assert!(sync["oldest_owed_s"].is_u64(), "{sync}");

    let beside = Beside::start(&story.streams, &node);
    let national = story.national();
    until("the late prefix is granted", || {
        state(&operator, LATE) == "active"
    });
    create_late(&operator);
    let caller = Caller::new(&story.streams, &node);
    until_within(Duration::from_secs(180), "the backlog is gone", || {
        there(&national)["sequence"].as_u64().unwrap_or(0) + 100 >= caller.statistics().sequence
    });
    reports_are_complete(&operator, &national);
    let registered = beside.stop();
    assert!(registered > 0);

    until("nothing is owed", || {
        ["sync", "report", "epp"].iter().all(|name| {
            let channel = channel(&operator, name);
            channel["backlog"] == 0 && channel["state"] == "up"
        })
    });
    equal(&caller, &national);
    let there = there(&national);
    let all = (SINGLE + IMPORTED) as u64 + 1 + 1 + registered;
    assert_eq!(
        (&there["changes"], &there["repeated"]),
        (
            &json!({"added": all, "deleted": 0, "modified": 0}),
            &json!(0)
        ),
        "each in order, and once"
    );
    told_rightly(&national);
    provisioned_once(&operator, &national);
    deposited(&story, &operator);
}

/// What the national node knows, and shows, of what was told.
fn told_rightly(national: &National) {
    let name = format!("{PREFIX}/import-079999");
    let one = known(national, &name).unwrap();
    assert_eq!((&one["operation"], &one["live"]), (&json!(1), &json!(true)));
    assert_eq!(one["product"]["name"], format!("门锁 {name}"));
    assert_eq!(known(national, &format!("{PREFIX}/never")), None);
    for prefix in [PREFIX, LATE] {
        let prefix = &objects(national)[format!("prefix {prefix}")];
        assert_eq!(
            (&prefix["state"], &prefix["removed"]),
            (&json!("启用"), &json!(false))
        );
    }
    let (status, _, page) = curl(&national.url("/"), &[]);
    assert_eq!(status, 200);
    let sequence = there(national)["sequence"].to_string();
    assert!(page.contains(NODE) && page.contains(&sequence), "{page}");
}

/// The prefix that was granted after the week is registered under.
fn create_late(operator: &Idctl) {
    let identifier = format!("{LATE}/first");
    operator.json(&["identifier", "create", &identifier, "--value", "DESC=first"]);
}

/// Of every hour and day there is a report, once, which says what was asked and registered.
fn reports_are_complete(operator: &Idctl, national: &National) {
    until_told(operator, &last_hour(AWAY_S));
    until_told(operator, &statistics(day(AWAY_S - DAY_S)));
    let status = &national.status()["report"];
    assert_eq!(status["refused"], json!([]), "{status}");
    for kind in ["enterprises", "statistics", "monitoring"] {
        let line = &status["nodes"][NODE][kind];
        assert_eq!(line["missing"], json!([]), "{kind}: {line}");
        assert_eq!(line["incomplete"], json!([]), "{kind}: {line}");
    }
    // Of both prefixes: one that is under review is registered, too.
    assert_eq!(status["nodes"][NODE]["statistics"]["taken"], 2 * 7);
    for number in 0..7 {
        let key = statistics(day(number * DAY_S));
        let document = taken(national, &key);
        assert_eq!(document["times"], 1, "{key}");
        assert_eq!(document["report"], report(operator, &key)["report"]);
        let counted = &document["report"]["statistics"];
        let (new, queries) = match number {
            0 => ((SINGLE + IMPORTED) as u64, QUESTIONS),
            _ => (0, 0),
        };
        assert_eq!(counted["new_identifiers"], new, "{key}: {counted}");
        assert_eq!(counted["queries"], queries, "{key}: {counted}");
        assert_eq!(counted["successes"], queries.saturating_sub(1), "{key}");
    }
}

/// Each command of provisioning is settled, and in effect there once.
fn provisioned_once(operator: &Idctl, national: &National) {
    let listed = operator.json(&["upward", "transactions", "--limit", "100"]);
    for one in listed["transactions"].as_array().unwrap() {
        assert_eq!(one["state"], "done", "{one}");
    }
    let there = &national.status()["epp"];
    let prefixes = there["prefixes"].as_object().unwrap();
    assert_eq!(prefixes.keys().collect::<Vec<_>>(), [PREFIX, LATE]);
    let enterprises = there["enterprises"].as_object().unwrap();
    assert_eq!(enterprises.len(), 1, "{there}");
    assert_eq!(enterprises["00000001"]["updates"], 1, "{there}");
}

/// A deposit of what is there now is taken, and says as much as the registry does.
fn deposited(story: &Story, operator: &Idctl) {
    operator.json(&["escrow", "deposit", "--full"]);
    let sequence = operator.json(&["stats"])["sequence"].as_u64();
    for prefix in [PREFIX, LATE] {
        until_within(Duration::from_secs(120), "a deposit of everything", || {
            let newest = until_newest(operator, prefix, "accepted", None);
            newest["type"] == "FULL" && newest["revision"].as_u64() >= sequence
        });
    }
    let held = story.streams.home.path().join("national/escrow");
    let verified = story.keys.verify(&held.join(DEPOSITOR));
    let counted = |prefix: &str| {
        let prefixes = verified["prefixes"].as_array().unwrap();
        let found = prefixes.iter().find(|it| it["prefix"] == prefix);
        found.unwrap_or_else(|| panic!("{prefix}: {verified}"))["identifiers"].clone()
    };
    let live = |prefix: &str| operator.json(&["prefix", "stats", prefix])["identifiers"].clone();
    for prefix in [PREFIX, LATE] {
        assert_eq!(counted(prefix), live(prefix), "{prefix}");
    }
}
