//! Answers that are lost, late, doubled, out of order, broken or wrong; and none for a week.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use idnode_tests::run::until;
use serde_json::json;

use super::super::streams::{PREFIX, Streams};
use super::world::*;

#[test]
fn whatever_becomes_of_answers_each_change_counts_once() {
    let mut world = Streams::new();
    world.settings.push("upward.sync.timeout_ms=500".to_owned());
    let national = world.national();
    let node = world.node();
    world.register(&node);
    let caller = Caller::new(&world, &node);
    until_equal(&caller, &national, Duration::from_secs(30));
    let mut added = 0;
    for kind in [
        "drop",
        "delay",
        "duplicate",
        "reorder",
        "half-answer",
        "wrong-answer",
        "down",
    ] {
        for times in [1, 3] {
            let fault = json!({"kind": kind, "times": times, "delay_ms": 700});
            national.faults(&json!({"sync": [fault]}));
            let names = (0..50).map(|n| format!("{PREFIX}/{kind}-{times}-{n}"));
            caller.register(names, 8);
            added += 50;
            until_equal(&caller, &national, Duration::from_secs(60));
            let changes = &there(&national)["changes"];
            assert_eq!(changes["added"], added, "{kind} {times} times: {changes}");
            national.faults(&json!({"sync": []}));
        }
    }
    // The hello's answer, too.
    for kind in [
        "drop",
        "duplicate",
        "reorder",
        "half-answer",
        "wrong-answer",
        "down",
    ] {
        national.faults(&json!({"sync": [
            {"kind": "half-answer"},
            {"kind": kind, "times": 2, "delay_ms": 0},
        ]}));
        caller.register([format!("{PREFIX}/hello-{kind}")].into_iter(), 1);
        added += 1;
        until_equal(&caller, &national, Duration::from_secs(60));
        national.faults(&json!({"sync": []}));
    }
    assert_eq!(there(&national)["changes"]["added"], added);
}

#[test]
fn a_week_without_the_channel_is_a_backlog_and_no_outage() {
    let mut world = Streams::new();
    let national = world.national();
    let node = world.node();
    world.register(&node);
    let caller = Caller::new(&world, &node);
    until_equal(&caller, &national, Duration::from_secs(30));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let in_a_week_ms = now.as_millis() as u64 + 7 * 86_400_000;
    national.faults(&json!({"sync": [{"kind": "down", "until_ms": in_a_week_ms}]}));
    let operator = world.operator(&node);
    until("the channel is down", || {
        operator.json(&["upward", "status"])["channels"][0]["state"] == "down"
    });
    let before = sequence_there(&national);
    caller.register((0..3_000).map(|n| format!("{PREFIX}/{n}")), 32);
    let head = caller.statistics().sequence;
    until("all of it is owed", || {
        operator.json(&["upward", "status"])["channels"][0]["backlog"] == head - before
    });
    assert_eq!(sequence_there(&national), before);
    // The week is over.
    national.faults(&json!({"sync": []}));
    until_equal(&caller, &national, Duration::from_secs(60));
    assert_eq!(there(&national)["changes"]["added"], 3_000);
}
