//! Whatever goes wrong on the way: in the end both sides have the same, and nothing twice.

use serde_json::{Value, json};

use super::world::World;

/// How often the fault that was set is still to come.
fn faults_left(world: &World) -> u64 {
    let left = world.national.status()["faults"]["takeover"][0].clone();
    left["times"].as_u64().unwrap_or(0)
}

#[test]
fn every_fault_of_the_channel_is_survived() {
    let world = World::new();
    let kinds = [
        "drop",
        "delay",
        "duplicate",
        "reorder",
        "half-answer",
        "wrong-answer",
        "down",
    ];
    for (round, kind) in kinds.into_iter().enumerate() {
        let name = |number: usize| format!("{kind}-{number}");
        world
            .national
            .faults(&json!({"takeover": [{"kind": kind, "times": 3, "delay_ms": 100}]}));
        world.take();
        world.until_phase("taken-over");
        assert!(faults_left(&world) < 3, "{kind}: nothing went wrong");
        for number in 0..3 {
            world.registered("create", &name(number), "https://there.example/");
        }
        world.registered("modify", &name(0), "https://there.example/changed");
        world.registered("delete", &name(1), "");
        let faults = json!({"takeover": [{"kind": kind, "times": 6, "delay_ms": 100}]});
        world.national.faults(&faults);
        world.hand_back();
        world.until_phase("handed-back");
        assert!(faults_left(&world) < 6, "{kind}: nothing went wrong");
        world.national.faults(&json!({"takeover": []}));
        let done = world.takeover();
        assert_eq!(done["epoch"], round + 1, "{kind}: {done}");
        let counts = ["merged", "applied", "conflicts"].map(|it| done[it].as_u64().unwrap());
        assert_eq!(counts, [5, 5, 0], "{kind}: {done}");
        let texts = [0, 1, 2].map(|number| world.text(&name(number)));
        let expected = [
            Some("https://there.example/changed"),
            None,
            Some("https://there.example/"),
        ];
        assert_eq!(texts, expected.map(|it| it.map(str::to_owned)), "{kind}");
    }
    assert_eq!(world.conflicts(&["--all"]), [] as [Value; 0]);
}

#[test]
fn a_hand_back_is_taken_back_while_it_is_merged() {
    let world = World::new();
    world.take();
    world.until_phase("taken-over");
    for number in 0..150 {
        world.registered("create", &format!("N{number}"), "https://there.example/");
    }
    // The second page does not come.
    let fault = json!({"kind": "down", "until_ms": u64::MAX / 4});
    world
        .national
        .faults(&json!({"takeover": [{"kind": "delay", "times": 2}, fault]}));
    world.hand_back();
    std::thread::sleep(std::time::Duration::from_millis(700));
    world.take();
    world.registered("create", "LAST", "https://there.example/");
    world.national.faults(&json!({"takeover": []}));
    world.until_phase("taken-over");
    world.hand_back();
    world.until_phase("handed-back");
    let done = world.takeover();
    let counts = ["epoch", "merged", "applied", "conflicts"].map(|it| done[it].as_u64().unwrap());
    assert_eq!(counts, [1, 151, 151, 0], "{done}");
    assert!(world.text("LAST").is_some() && world.text("N149").is_some());
}
