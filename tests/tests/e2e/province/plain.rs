//! Without namespaces: starting, watching, crashes, ending.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use idnode_tests::run::{Done, success, until};
use serde_json::Value;

use super::world::{PLACES, Province, Remains, idprovince, node};

fn kill(pid: &Value) {
    success(Command::new("kill").args(["-s", "KILL", &pid.to_string()]));
}

/// Waits until a place is in a state; as it is then.
fn until_state(province: &Province, name: &str, state: &str) -> Value {
    until(&format!("{name} {state}"), || {
        province.node(name)["state"] == state
    });
    province.node(name)
}

#[test]
fn six_nodes_come_up_seeded_and_are_ended() {
    let mut province = Province::up(&["--identifiers", "3"]);
    let names: Vec<_> = province.first["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, PLACES);
    for (number, city) in (118..).zip(&PLACES[..6]) {
        let node = node(&province.first, city);
        assert_eq!(node["state"], "up", "{node}");
        assert_eq!(node["prefix"], format!("88.{number}"));
        let identifier = format!("88.{number}.8/SEED-3");
        let answer = province.idctl(city).json(&["resolve", &identifier]);
        let url = format!("https://{city}.example/SEED/3");
        assert_eq!(
            answer["record"]["values"][0]["data"]["value"], url,
            "{answer}"
        );
        let upward = province.idctl(city).json(&["upward", "status"]);
        assert_eq!(upward["channels"][0]["state"], "up", "{upward}");
    }
    let next = province.next();
    assert_eq!(next["nodes"].as_array().unwrap().len(), 7);
    assert_eq!(next["links"], serde_json::json!([]));
    let done = province.run(&["cut", "datong"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stderr.contains("--netns"), "{done:?}");
    // The directory is in use.
    let done = province.run(&["up"]);
    assert_eq!(done.code, 2, "{done:?}");
    let home = province.down();
    // What is there already is used again.
    let province = Province::up_in(home, &["--identifiers", "4"]);
    let listed = province.idctl("linfen").json(&["enterprise", "list"]);
    assert_eq!(
        listed["enterprises"].as_array().map(Vec::len),
        Some(1),
        "{listed}"
    );
    province.signal("INT");
}

#[test]
fn a_crashed_node_is_shown_and_started_again_if_that_is_wanted() {
    let province = Province::up(&["--identifiers", "1"]);
    kill(&province.node("datong")["pid"]);
    let datong = until_state(&province, "datong", "down");
    assert_eq!(datong["why"], "ended by signal 9", "{datong}");
    assert_eq!(datong["pid"], Value::Null);
    assert_eq!(province.node("linfen")["state"], "up");
    let lines = province.told(&["status"]);
    assert!(lines.contains("datong down (ended by signal 9)"), "{lines}");
    let home = province.down();
    let province = Province::up_in(home, &["--identifiers", "1", "--restart"]);
    for name in ["datong", "national"] {
        let before = province.node(name)["pid"].clone();
        kill(&before);
        until("another process", || {
            let now = province.node(name);
            now["state"] == "up" && now["pid"] != before
        });
        assert_eq!(province.node(name)["restarts"], 1);
    }
    let answer = province
        .idctl("datong")
        .json(&["resolve", "88.119.8/SEED-1"]);
    assert_eq!(
        answer["record"]["values"][0]["data"]["value"],
        "https://datong.example/SEED/1"
    );
    province.signal("TERM");
}

#[test]
fn what_a_killed_supervisor_leaves_is_removed() {
    let mut province = Province::up(&["--identifiers", "1"]);
    province.kill();
    let remains = Remains::of(&province);
    assert_eq!(remains.processes().len(), 7);
    let done = province.run(&["status"]);
    assert_eq!(done.code, 1, "{done:?}");
    let told = province.told(&["down"]);
    assert!(told.contains("7 processes"), "{told}");
    remains.assert_none();
    assert_eq!(province.told(&["down"]), "");
}

#[test]
fn without_a_terminal_there_is_a_line_for_each_node() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("p");
    let up = ["up", "--identifiers", "0", "--interval-ms", "100", "--dir"];
    let mut child = idprovince(&up)
        .arg(&dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines: Vec<_> = lines.take(7).map(Result::unwrap).collect();
    for (line, place) in lines.iter().zip(PLACES) {
        let (_, told) = line.split_once(' ').unwrap();
        assert!(told.starts_with(&format!("{place} up: ")), "{line}");
        assert!(
            told.contains(" q/s, p50 ") && !line.contains('\u{1b}'),
            "{line}"
        );
    }
    let dir = dir.display().to_string();
    let done = Done::of(&mut idprovince(&["down", "--dir", &dir]));
    assert_eq!(done.code, 0, "{done:?}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn commands_that_cannot_be_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().display().to_string();
    for (arguments, code, words) in [
        (&["status", "--dir", &dir][..], 1, "no province runs"),
        (&["down", "--dir", "/nonexistent/x"], 1, "/nonexistent/x"),
        (&["up", "--dir", &dir, "--bin-dir", &dir], 2, "no idnode"),
        (&["up", "--dir", &dir, "--latency-by", "wire"], 2, "--netns"),
        (&["load", "--dir", &dir, "--rate", "0"], 2, "1 to 100000"),
    ] {
        let done = Done::of(&mut idprovince(arguments));
        assert_eq!(done.code, code, "{arguments:?}: {done:?}");
        assert!(done.stderr.contains(words), "{arguments:?}: {done:?}");
    }
}
