//! The node notices by itself what is wrong with it, and tells it once, and when it is over.

use super::world::*;
use idnode_tests::node::Addresses;
use idnode_tests::node::{Node, idnode};
use idnode_tests::run::{success, until};
use serde_json::{Value, json};
use std::process::Command;

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
    let is_there = |event: &Value| {
        let there = national.status()["report"]["events"].clone();
        let there = there.as_array().unwrap();
        there.iter().any(|it| it["fault"] == *event)
    };
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
    let at = Addresses::any();
    command.args([
        "--grpc",
        &at.grpc.to_string(),
        "--http",
        &at.http.to_string(),
    ]);
    command.args([
        "--dns",
        &at.dns.to_string(),
        "--handle",
        &at.handle.to_string(),
    ]);
    command.args(arguments.iter().flat_map(|it| ["--set", it.as_str()]));
    Node::start(&mut command, &world.dir.beside("node.log"))
}

fn events(operator: &idnode_tests::run::Idctl) -> Vec<Value> {
    let listed = operator.json(&["upward", "events"]);
    listed["events"].as_array().unwrap().clone()
}
