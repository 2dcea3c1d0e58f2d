//! Known traffic over every front gives the numbers of the reports.

use super::world::*;
use idnode_tests::run::{curl, success};
use std::process::Command;

#[test]
fn what_was_asked_and_registered_is_what_is_reported() {
    not_at_midnight();
    let mut world = World::new();
    let national = world.national();
    let node = world.node(0);
    world.register(&node);
    let operator = world.operator(&node);
    for number in 0..5 {
        create(&operator, &format!("a{number}"));
    }
    operator.json(&["identifier", "delete", "88.118.8/a4", "--reason", "test"]);
    // 12 over UDP, from two sources; 4 of them for what is not there.
    (0..8).for_each(|_| dig(&node, "a1", "127.0.0.1"));
    (0..4).for_each(|_| dig(&node, "none", "127.0.0.3"));
    let (at, port) = (
        format!("@{}", node.at.dns.ip()),
        node.at.dns.port().to_string(),
    );
    for _ in 0..3 {
        let name = "a2.88-118-8.hdl.id.example.";
        success(Command::new("kdig").args(["+tcp", &at, "-p", &port, name, "URI"]));
    }
    for _ in 0..6 {
        let url = node.http("/api/handles/88.118.8/a3");
        assert_eq!(curl(&url, &["--interface", "127.0.0.5"]).0, 200);
    }
    // Deleted: not a success.
    assert_ne!(curl(&node.http("/api/handles/88.118.8/a4"), &[]).0, 200);
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/handle_client.py");
    let server = node.at.handle.to_string();
    for transport in [None, None, Some("--tcp")] {
        let mut command = Command::new("python3");
        command.arg(client).args(transport);
        success(command.args([&*server, "88.118.8/a0"]));
    }
    for _ in 0..2 {
        operator.json(&["resolve", "88.118.8/a0"]);
    }
    node.stop();

    let node = world.node(DAY_S);
    let operator = world.operator(&node);
    let key = statistics(day(0));
    until_told(&operator, &key);
    let document = taken(&national, &key);
    assert_eq!(document["times"], 1);
    assert_eq!(document["report"], report(&operator, &key)["report"]);
    assert_eq!(document["report"]["clock_offset_s"], 86_400);
    let counted = &document["report"]["statistics"];
    let expected = [
        ("new_identifiers", 5),
        ("deleted_identifiers", 1),
        ("identifiers", 4),
        ("identifiers_before", 0),
        ("queries", 12 + 3 + 6 + 1 + 3 + 2),
        ("successes", 8 + 3 + 6 + 3 + 2),
        ("unlisted_at_most", 0),
        ("unrecorded_s", 0),
    ];
    for (field, number) in expected {
        assert_eq!(counted[field], number, "{field}: {counted}");
    }
    assert_eq!(counted["sampled_one_in"], 1.0);
    let sources: Vec<(&str, u64)> = counted["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["source"].as_str().unwrap(),
                it["queries"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected = [("127.0.0.1", 17), ("127.0.0.5", 6), ("127.0.0.3", 4)];
    assert_eq!(sources, expected);
    monitoring_fits(&taken(&national, &format!("monitoring/{}/1", day(0)))["report"]["monitoring"]);
    assert_eq!(
        national.status()["report"]["refused"],
        serde_json::json!([])
    );
}

fn monitoring_fits(monitoring: &serde_json::Value) {
    let (node, prefix) = (&monitoring["node"], &monitoring["prefixes"][0]);
    assert_eq!(node["queries"], 27, "{monitoring}");
    assert_eq!(prefix["prefix"], PREFIX);
    assert_eq!(prefix["queries"], 27);
    for level in [node, prefix] {
        let peak = level["peak_qps"].as_u64().unwrap();
        assert!((1..=27).contains(&peak), "{monitoring}");
        assert_eq!(level["registration"]["count"], 5);
        let latency = |field: &str| level["resolution"][field].as_f64().unwrap();
        let [least, average, most] = ["min_ms", "average_ms", "max_ms"].map(latency);
        assert!(0.0 < least && least <= average && average <= most && most < 5_000.0);
    }
    // Of prefixes, datagrams alone that memory has answered: of 12 in DNS, 2 in Handle.
    let count = prefix["resolution"]["count"].as_u64().unwrap();
    assert!((1..=14).contains(&count), "{count}");
}
