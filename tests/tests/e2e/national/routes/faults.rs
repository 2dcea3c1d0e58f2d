//! Whatever goes wrong on the way, the siblings are known in the end, and questions are answered
//! right or not at all.

use super::world::{City, World, both, urls};
use idnode_tests::run::until;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn fault(kind: &str, times: u32) -> Value {
    json!({"kind": kind, "times": times, "delay_ms": 300})
}

#[test]
fn updates_and_announcements_go_wrong_and_the_table_is_right() {
    let world = World::new();
    let national = world.national();
    let mut datong = City::datong(&world);
    let linfen = City::linfen(&world);
    linfen.until_it_knows("datong");
    let kinds = [
        "drop",
        "delay",
        "duplicate",
        "reorder",
        "half-answer",
        "wrong-answer",
        "down",
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        national.faults(&json!({"routes": [fault(kind, 3)]}));
        // The announcement of what has changed, and the updates that tell it on.
        let name = format!("大同 {number}");
        datong.stop();
        datong.settings.push(format!("upward.operator={name}"));
        datong.run();
        until(&format!("{kind}: the change has come"), || {
            linfen.siblings()["siblings"][0]["operator"] == *name
        });
        let left = national.status()["faults"]["routes"].clone();
        assert_ne!(left[0]["times"], 3, "{kind}: nothing went wrong");
        national.faults(&json!({"routes": []}));
        let told = national.status()["routes"].clone();
        until(&format!("{kind}: all is told"), || {
            let siblings = linfen.siblings();
            siblings["version"] == told["version"] && siblings["set_id"] == told["set_id"]
        });
        assert_eq!(linfen.siblings()["refused"], json!([]));
    }
}

#[test]
fn answers_of_the_national_resolver_go_wrong_and_are_not_taken() {
    let mut world = World::new();
    let elsewhere = City::with("elsewhere", Vec::new());
    elsewhere.serves("88.150.1");
    let by_hand = format!("88.150={}", elsewhere.node().at.handle);
    world.arguments = vec!["--route".to_owned(), by_hand];
    let national = world.national();
    // Without streams: what is not its own it asks the national resolver for.
    let linfen = City::with(
        "linfen",
        vec![
            format!("handle.upstream={}", world.resolver),
            "handle.recursion_deny=".to_owned(),
            "handle.recursion_timeout_ms=1500".to_owned(),
        ],
    );
    let kinds = [
        ("delay", true),
        ("duplicate", true),
        ("drop", true),
        ("half-answer", false),
        ("wrong-answer", false),
        ("reorder", false),
        ("down", false),
    ];
    for (number, (kind, once_is_survived)) in kinds.into_iter().enumerate() {
        // A prefix of its own, so that no referral is known.
        let prefix = format!("88.150.{}", number + 2);
        elsewhere.serves(&prefix);
        elsewhere.registers(&format!("{prefix}/A"), 60, "https://elsewhere.example/a");
        if once_is_survived {
            national.faults(&json!({"resolve": [fault(kind, 1)]}));
            let answer = linfen.recurse(&format!("{prefix}/A"));
            assert_eq!(urls(&answer), ["https://elsewhere.example/a"], "{kind}");
            continue;
        }
        national.faults(&json!({"resolve": [fault(kind, 1_000)]}));
        let began = Instant::now();
        let answer = linfen.recurse(&format!("{prefix}/A"));
        assert_eq!(answer["code"], 2, "{kind}: {answer}");
        assert!(began.elapsed() < Duration::from_secs(4), "{kind}");
        national.faults(&json!({"resolve": []}));
        let answer = linfen.recurse(&format!("{prefix}/A"));
        assert_eq!(urls(&answer), ["https://elsewhere.example/a"], "{kind}");
    }
}

#[test]
fn a_question_for_a_sibling_does_not_wait_for_the_national_node() {
    let world = World::new();
    let national = world.national();
    let (_datong, linfen) = both(&world);
    national.faults(&json!({"resolve": [fault("drop", 1_000)]}));
    let began = Instant::now();
    let answer = linfen.recurse("88.119.1/A");
    assert_eq!(urls(&answer), ["https://datong.example/a"]);
    assert!(began.elapsed() < Duration::from_secs(1));
}
