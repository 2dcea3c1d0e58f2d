//! The node notices by itself what is wrong with it, and tells it once, and when it is over.

use super::world::*;
use idnode_proto::report::{Period, Unit};
use idnode_tests::node::Addresses;
use idnode_tests::node::{Node, idnode};
use idnode_tests::run::{success, until, until_within};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// Whether this machine lets the test mount a file system.
fn may_mount() -> bool {
    let mut tried = Command::new("unshare");
    tried.args(["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    let done = tried.stderr(std::process::Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_is_a_fault_and_its_end_a_recovery() {
    assert!(
        may_mount(),
        "this test mounts a file system of its own: run it as root"
    );
    let mut world = World::new();
    let national = world.national();
    world.settings = [
        "upward.report.check_interval_ms=200",
        "upward.report.checks_to_fault=2",
        "upward.report.checks_to_recovery=2",
        "upward.report.min_free_mib=256",
        "upward.report.probe_prefix=88.118.8",
    ]
    .map(str::to_owned)
    .to_vec();
    let node = on_small_disk(&world);
    let operator = world.operator(&node);
    world.register(&node);
    let faulty = |name: &str, expected: bool| {
        let checks = operator.json(&["upward", "events"])["checks"].clone();
        let all = checks.as_array().unwrap();
        let mut of_name = all.iter().filter(|it| it["name"] == name);
        of_name.any(|it| it["faulty"] == expected)
    };
    // Until the prefix was there, its probe could not register: that may be a fault, and is over.
    until("registration works", || {
        faulty("registration", false) && faulty("disk", false)
    });
    let before = events(&operator);
    let file = format!(
        "/proc/{}/root{}/filler",
        node.pid(),
        world.dir.path().display()
    );
    success(Command::new("fallocate").args(["-l", "300M", &file]));
    until("the fault is raised", || faulty("disk", true));
    std::fs::remove_file(&file).unwrap();
    until("the fault is over", || faulty("disk", false));

    let told: Vec<Value> = events(&operator)
        .into_iter()
        .filter(|it| it["check"] == "disk")
        .collect();
    assert!(events(&operator).len() >= before.len() + 2);
    let [over, raised] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(
        (&raised["state"], &raised["related_number"]),
        (&json!("fault"), &json!(0))
    );
    assert_eq!(over["state"], "recovery");
    assert_eq!(over["related_number"], raised["number"]);
    assert_eq!(raised["type"], 2);
    let cause = raised["cause"].as_str().unwrap();
    assert!(cause.contains("MiB free, less than 256 MiB"), "{cause}");
    let told = |is_it: &dyn Fn(&Value) -> bool| {
        let there = national.status()["report"]["events"].clone();
        let there = there.as_array().unwrap();
        there.iter().any(|it| is_it(&it["fault"]))
    };
    let is_there = |event: &Value| told(&|it| it == event);
    until("the national node knows both", || {
        is_there(raised) && is_there(over)
    });
}

/// The node on a disk of 600 MiB that it alone sees.
fn on_small_disk(world: &World) -> Node {
    let data = world.dir.path();
    let arguments = world.arguments(0);
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=600m tmpfs \"$1\" && cp -a \"$2\"/. \"$1\" && shift 2 && exec \"$@\"";
    let kept = world.dir.beside("kept");
    success(Command::new("cp").arg("-a").arg(&data).arg(&kept));
    command
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(&data)
        .arg(&kept);
    let program = idnode();
    command.arg(program.get_program());
    command.arg("run").arg("--data-dir").arg(&data);
    command.args(Addresses::free().flags());
    command.args(arguments.iter().flat_map(|it| ["--set", it.as_str()]));
    Node::start(&mut command, &world.dir.beside("node.log"))
}

fn events(operator: &idnode_tests::run::Idctl) -> Vec<Value> {
    let listed = operator.json(&["upward", "events"]);
    listed["events"].as_array().unwrap().clone()
}

/// Set in the process that has a network of its own.
const INSIDE: &str = "IDNODE_TEST_OWN_NETWORK";

/// Runs a test of this binary again in a network of its own; true: this is there.
fn in_own_network(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        success(Command::new("ip").args(["link", "set", "lo", "up"]));
        return true;
    }
    let own = std::env::current_exe().unwrap();
    let mut again = Command::new("unshare");
    again
        .arg("-n")
        .arg(own)
        .args(["--exact", test, "--nocapture"]);
    success(again.env(INSIDE, "1"));
    false
}

/// Each front has an address of its own, which it can be cut off from.
const FRONTS: [(&str, &str); 4] = [
    ("dns", "10.9.8.1"),
    ("handle", "10.9.8.2"),
    ("http", "10.9.8.3"),
    ("grpc", "10.9.8.4"),
];

/// Adds an address to this network, or deletes it.
fn address(what: &str, at: &str) {
    success(Command::new("ip").args(["addr", what, &format!("{at}/32"), "dev", "lo"]));
}

/// The node on these addresses, its clock of reports so far ahead of the system's.
fn on_addresses(world: &World, ahead_s: u64) -> Node {
    let any = |front: usize| format!("{}:0", FRONTS[front].1).parse().unwrap();
    let at = Addresses {
        dns: any(0),
        handle: any(1),
        http: any(2),
        grpc: any(3),
        ..Addresses::free()
    };
    let settings = world.arguments(ahead_s);
    let arguments: Vec<&str> = settings.iter().flat_map(|it| ["--set", it]).collect();
    Node::run_at(&world.dir, &at, &arguments)
}

#[test]
fn a_front_that_stops_answering_is_a_fault_until_it_answers() {
    let own = "national::reports::faults::a_front_that_stops_answering_is_a_fault_until_it_answers";
    if !in_own_network(own) {
        return;
    }
    let mut world = World::new();
    let national = world.national();
    world.settings = [
        "upward.report.check_interval_ms=200",
        "upward.report.checks_to_fault=2",
        "upward.report.checks_to_recovery=2",
        "upward.report.min_free_mib=1",
    ]
    .map(str::to_owned)
    .to_vec();
    for (_, at) in FRONTS {
        address("add", at);
    }
    let node = on_addresses(&world, 0);
    let operator = world.operator(&node);
    let faulty = || -> Vec<String> {
        let checks = operator.json(&["upward", "events"])["checks"].clone();
        let checks = checks.as_array().unwrap().iter();
        let faulty = checks.filter(|it| it["faulty"] == true);
        faulty
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let told = |is_it: &dyn Fn(&Value) -> bool| {
        let there = national.status()["report"]["events"].clone();
        let there = there.as_array().unwrap();
        there.iter().any(|it| is_it(&it["fault"]))
    };
    let is_there = |event: &Value| told(&|it| it == event);
    for (number, (front, at)) in FRONTS.into_iter().enumerate() {
        address("del", at);
        until(
            &format!("the national node knows that {front} is at fault"),
            || told(&|it| it["check"] == front && it["state"] == "fault"),
        );
        // The operator asks over gRPC.
        assert!(front == "grpc" || faulty() == [front]);
        address("add", at);
        until(&format!("{front} is no longer at fault"), || {
            faulty().is_empty()
        });
        let events = events(&operator);
        assert_eq!(events.len(), 2 * (number + 1), "{events:?}");
        let (over, raised) = (&events[0], &events[1]);
        assert_eq!(
            (&raised["check"], &raised["state"]),
            (&json!(front), &json!("fault"))
        );
        assert_eq!(
            (&over["check"], &over["state"]),
            (&json!(front), &json!("recovery"))
        );
        assert_eq!(over["related_number"], raised["number"]);
        assert_eq!(raised["type"], 2);
        until("the national node knows both", || {
            is_there(raised) && is_there(over)
        });
    }
    node.stop();
}

/// How long each front is cut off, seconds, and by how much less that may show: until it is noticed.
const CUT_S: u64 = 4;
const UNNOTICED_S: u64 = 2;

#[test]
fn a_month_in_which_fronts_did_not_answer_is_not_all_available() {
    let own =
        "national::reports::faults::a_month_in_which_fronts_did_not_answer_is_not_all_available";
    if !in_own_network(own) {
        return;
    }
    not_at_midnight();
    let mut world = World::new();
    let national = world.national();
    world.settings = [
        "upward.report.check_interval_ms=100",
        "upward.report.checks_to_fault=1",
        "upward.report.checks_to_recovery=1",
        "upward.report.min_free_mib=1",
    ]
    .map(str::to_owned)
    .to_vec();
    for (_, at) in FRONTS {
        address("add", at);
    }
    let month = Period::at(Unit::Month, day(0).begins_ms());
    let node = on_addresses(&world, 0);
    for (front, at) in FRONTS {
        address("del", at);
        until(&format!("{front} is at fault"), || {
            let there = national.status()["report"]["events"].clone();
            let last = there
                .as_array()
                .unwrap()
                .last()
                .cloned()
                .unwrap_or_default();
            last["fault"]["check"] == front && last["fault"]["state"] == "fault"
        });
        std::thread::sleep(Duration::from_secs(CUT_S));
        address("add", at);
        until(&format!("{front} answers"), || {
            let there = national.status()["report"]["events"].clone();
            there.as_array().unwrap().last().unwrap()["fault"]["state"] == "recovery"
        });
    }
    node.stop();
    // Forty days ahead the month is over for certain.
    let node = on_addresses(&world, 40 * DAY_S);
    let key = format!("service/{month}/");
    until_told(&world.operator(&node), &key);
    let service = taken(&national, &key)["report"]["service"].clone();
    let number = |field: &str| service[field].as_u64().unwrap();
    let lost_s = number("uptime_s") - number("available_s");
    let least_s = FRONTS.len() as u64 * (CUT_S - UNNOTICED_S);
    assert!(lost_s >= least_s, "{lost_s} s of {least_s}: {service}");
    assert!(service["availability"].as_f64().unwrap() < 1.0, "{service}");
    assert_eq!(service["incidents"].as_array().unwrap().len(), FRONTS.len());
}

#[test]
fn who_is_turned_away_by_the_hundred_raises_an_attack_until_it_is_over() {
    let mut world = World::new();
    let national = world.national();
    world.settings = [
        "upward.report.check_interval_ms=200",
        "upward.report.checks_to_fault=2",
        "upward.report.checks_to_recovery=2",
        "upward.report.min_free_mib=1",
        "upward.report.attack_per_minute=100",
        "dns.rrl_responses_per_s=5",
        "dns.rrl_exempt=",
    ]
    .map(str::to_owned)
    .to_vec();
    let node = world.node(0);
    world.register(&node);
    let told = |state: &str| {
        let there = national.status()["report"]["events"].clone();
        let there = there.as_array().unwrap();
        let mut of_it = there.iter().map(|it| &it["fault"]);
        let found = of_it.find(|it| it["check"] == "attack" && it["state"] == state);
        found.cloned()
    };
    // The same question again and again, with nobody reading what is answered.
    let mut question = b"\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    for label in ["none", "88-118-8", "hdl", "id", "example"] {
        question.push(label.len() as u8);
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(b"\x00\x00\x01\x00\x01");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let flood = |count: u32| {
        for number in 0..count {
            socket.send_to(&question, node.at.dns).unwrap();
            if number % 32 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    };
    // A few are nobody's attack.
    flood(50);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(told("fault"), None);
    until("the national node knows of it", || {
        flood(200);
        told("fault").is_some()
    });
    let raised = told("fault").unwrap();
    assert_eq!(raised["type"], 3, "{raised}");
    let cause = raised["cause"].as_str().unwrap();
    assert!(cause.contains("more than 100"), "{cause}");
    until_within(Duration::from_secs(120), "it is over", || {
        told("recovery").is_some()
    });
    let over = told("recovery").unwrap();
    assert_eq!(over["related_number"], raised["number"]);
}
