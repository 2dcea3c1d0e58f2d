//! `kill -9` on either side at any moment of the merge: in the end both sides have the same, and
//! everything was written once.

use std::time::Duration;

use idnode_tests::run::until_within;
use serde_json::{Value, json};

use super::super::streams::PREFIX;
use super::world::World;

/// How often one of the two is killed.
const KILLS: u32 = 40;
/// Registrations of the takeover: more than are merged between two kills.
const REGISTRATIONS: usize = 2_000;
/// Of these, every so many-eth is one that the node has registered, too.
const BOTH: usize = 20;

fn random_ms(below: u64) -> Duration {
    let mut random = [0; 2];
    getrandom::fill(&mut random).unwrap();
    Duration::from_millis(u64::from(u16::from_be_bytes(random)) % below)
}

#[test]
fn after_kills_on_both_sides_everything_is_merged_once() {
    let mut world = World::new();
    world.national.kill();
    for number in (0..REGISTRATIONS).step_by(BOTH) {
        world.create(&format!("K{number}"), "https://here.example/");
    }
    // The national node is told of none of them before it takes over.
    world.node.kill();
    world.national = world.streams.national();
    world.take();
    for number in 0..REGISTRATIONS {
        world.registered(
            "create",
            &format!("K{number}"),
            &format!("https://there.example/{number}"),
        );
    }
    world.node = world.streams.node_at(&world.at);
    world.until_phase("taken-over");
    let before = head(&world);
    world.hand_back();
    let mut during = 0;
    for round in 0..KILLS {
        let faults = [
            "drop",
            "duplicate",
            "half-answer",
            "wrong-answer",
            "reorder",
        ];
        let kind = faults[round as usize % faults.len()];
        world
            .national
            .faults(&json!({"takeover": [{"kind": kind, "times": 1, "delay_ms": 50}]}));
        // Short, so that on no machine the merge is over before most kills have come.
        std::thread::sleep(random_ms(40));
        during += u32::from(world.row()["phase"] == "handing-back");
        match round % 2 {
            0 => world.restart_node(),
            _ => world.restart_national(),
        }
    }
    eprintln!("{during} kills during the merge");
    world.national.faults(&json!({"takeover": []}));
    until_within(Duration::from_secs(120), "it is handed back", || {
        world.row()["phase"] == "handed-back"
    });
    world.until_phase("handed-back");
    let both = REGISTRATIONS.div_ceil(BOTH);
    let done = world.takeover();
    let counts = ["merged", "applied", "conflicts", "unchanged"];
    let counts = counts.map(|it| done[it].as_u64().unwrap() as usize);
    assert_eq!(
        counts,
        [REGISTRATIONS, REGISTRATIONS - both, both, 0],
        "{done}"
    );
    // Each that was applied is one entry of the log.
    assert_eq!(head(&world) - before, REGISTRATIONS - both, "written twice");
    let open = world.conflicts(&["--limit", "1000"]);
    assert_eq!((open.len(), world.conflicts_there().len()), (both, both));
    for number in [1, 999, REGISTRATIONS - 1] {
        let expected = format!("https://there.example/{number}");
        assert_eq!(world.text(&format!("K{number}")), Some(expected));
    }
    let operator = world.operator();
    let record = operator.json(&["identifier", "get", &format!("{PREFIX}/K0")]);
    assert_eq!(
        record["values"][0]["data"]["value"],
        "https://here.example/"
    );
    let told = open.iter().filter(|it| it["told"] == Value::Bool(true));
    assert_eq!(told.count(), both);
    assert!(during >= 30, "only {during} kills while it was merged");
}

fn head(world: &World) -> usize {
    world.operator().json(&["stats"])["sequence"]
        .as_u64()
        .unwrap() as usize
}
