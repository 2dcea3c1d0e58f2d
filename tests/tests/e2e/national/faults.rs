//! Whatever goes wrong with an exchange, what is applied for is there once.

use super::world::Docked;
use idnode_tests::api::CODES;
use serde_json::json;

#[test]
fn every_kind_of_fault_in_every_place_is_survived() {
    let world = Docked::new("auto");
    let enterprise = world.operator().verified_enterprise(CODES[0]);
    let kinds = [
        "drop",
        "delay",
        "duplicate",
        "reorder",
        "half-answer",
        "wrong-answer",
        "down",
    ];
    let mut number = 100;
    for kind in kinds {
        // One exchange after another is hit: check, create, poll, acknowledgement.
        for times in 1..=4 {
            number += 1;
            let fault = json!({"kind": kind, "times": times, "delay_ms": 900});
            world.national.faults(&json!({"epp": [fault]}));
            let prefix = format!("88.118.{number}");
            world.submit(&prefix, &enterprise);
            world.until(&prefix, "active");
        }
    }
    world.national.faults(&json!({"epp": []}));
    idnode_tests::run::until("an empty queue", || world.there()["queue"] == json!([]));
    let there = world.there();
    assert_eq!(
        there["prefixes"].as_object().unwrap().len(),
        kinds.len() * 4
    );
    assert_eq!(there["enterprises"].as_object().unwrap().len(), 1);
    let made = world.transactions(&["--kind", "create-prefix", "--limit", "1000"]);
    assert_eq!(made.len(), kinds.len() * 4);
    assert!(made.iter().all(|it| it["state"] == "done"), "{made:?}");
}
