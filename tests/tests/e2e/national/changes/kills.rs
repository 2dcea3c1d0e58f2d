//! `kill -9` on either side at any moment, under load: both sides have the same in the end.

use std::time::Duration;

use idnode_tests::node::Addresses;
use serde_json::json;

use super::super::streams::Streams;
use super::world::*;

/// How often one of the two is killed.
const KILLS: u32 = 100;

#[test]
fn after_kills_on_both_sides_under_load_both_have_the_same() {
    let mut world = Streams::new();
    world
        .settings
        .push("upward.sync.max_backoff_ms=500".to_owned());
    let mut national = world.national();
    let mut node = world.node();
    world.register(&node);
    let at = Addresses { ..node.at };
    let load = Load::start(node.url(), world.dir.token());
    let faults = [
        "drop",
        "duplicate",
        "half-answer",
        "wrong-answer",
        "reorder",
    ];
    for round in 0..KILLS {
        let kind = faults[round as usize % faults.len()];
        national.faults(&json!({"sync": [{"kind": kind, "times": 1, "delay_ms": 0}]}));
        let mut random = [0; 2];
        getrandom::fill(&mut random).unwrap();
        let wait_ms = u64::from(u16::from_be_bytes(random) % 500);
        std::thread::sleep(Duration::from_millis(wait_ms));
        if round % 2 == 0 {
            national.kill();
            national = world.national();
        } else {
            node.kill();
            node = world.node_at(&at);
        }
    }
    national.faults(&json!({"sync": []}));
    assert!(load.written() > 500, "{} writes", load.written());
    load.stop();
    let caller = Caller::new(&world, &node);
    until_equal(&caller, &national, Duration::from_secs(60));
    let (here, there) = (caller.statistics(), there(&national));
    // Each creation that is still there or was deleted was counted once, however often it came.
    let all = here.identifiers + here.deleted;
    assert_eq!(there["changes"]["added"], all, "{there}");
    assert_eq!(there["changes"]["deleted"], here.deleted, "{there}");
}
