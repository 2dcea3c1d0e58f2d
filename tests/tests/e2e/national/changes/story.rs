//! A factory registers while the national node is away; when it is back, all of it arrives in order, and
//! counts once.

use std::time::Duration;

use idnode_tests::run::{curl, until};
use serde_json::{Value, json};

use super::super::streams::{NODE, PREFIX, Streams};
use super::world::*;

/// Identifiers that are registered one by one, and in an import.
const SINGLE: usize = 20_000;
const IMPORTED: usize = 80_000;

#[test]
fn what_was_registered_without_the_national_node_arrives_when_it_is_back() {
    let mut world = Streams::new();
    let node = world.node();
    world.register(&node);
    let caller = Caller::new(&world, &node);
    let names = |kind: &str, count: usize| -> Vec<String> {
        (0..count)
            .map(|n| format!("{PREFIX}/{kind}-{n:06}"))
            .collect()
    };
    caller.register(names("single", SINGLE).into_iter(), 64);
    caller.import(&names("import", IMPORTED), 1_000);
    let head = caller.statistics().sequence;
    let operator = world.operator(&node);
    until("the backlog is known", || {
        let channel = &operator.json(&["upward", "status"])["channels"][0];
        channel["backlog"] == head && channel["state"] == "down"
    });
    let channel = &operator.json(&["upward", "status"])["channels"][0];
    assert_ne!(channel["owed_since"], Value::Null, "{channel}");
    assert!(channel["oldest_owed_s"].is_u64(), "{channel}");

    let national = world.national();
    until_equal(&caller, &national, Duration::from_secs(120));
    let all = (SINGLE + IMPORTED) as u64;
    let there = there(&national);
    assert_eq!(
        there["changes"],
        json!({"added": all, "deleted": 0, "modified": 0}),
        "each counts once"
    );
    assert_eq!(
        (&there["repeated"], &there["connected"]),
        (&json!(0), &json!(true))
    );
    until("nothing is owed", || {
        let channel = &operator.json(&["upward", "status"])["channels"][0];
        channel["backlog"] == 0 && channel["state"] == "up" && channel["owed_since"].is_null()
    });
    let one = known(&national, &format!("{PREFIX}/import-000007")).unwrap();
    assert_eq!((&one["operation"], &one["live"]), (&json!(1), &json!(true)));
    assert_eq!(
        one["product"]["name"],
        format!("门锁 {PREFIX}/import-000007")
    );
    assert_eq!(known(&national, &format!("{PREFIX}/never")), None);
    let prefix = &objects(&national)[format!("prefix {PREFIX}")];
    assert_eq!(
        (&prefix["state"], &prefix["removed"]),
        (&json!("启用"), &json!(false))
    );
    let (status, _, page) = curl(&national.url("/"), &[]);
    assert_eq!(status, 200);
    assert!(
        page.contains(NODE) && page.contains(&head.to_string()),
        "{page}"
    );
}

#[test]
fn what_is_acknowledged_here_is_there_within_a_second() {
    let mut world = Streams::new();
    let national = world.national();
    let node = world.node();
    world.register(&node);
    let caller = Caller::new(&world, &node);
    caller.register((0..2_000).map(|n| format!("{PREFIX}/{n}")), 8);
    until_equal(&caller, &national, Duration::from_secs(60));
    let lag = &there(&national)["lag_ms"];
    assert!(lag["entries"].as_u64().unwrap() >= 2_000, "{lag}");
    assert!(lag["p50"].as_u64().unwrap() < 1_000, "{lag}");
}
