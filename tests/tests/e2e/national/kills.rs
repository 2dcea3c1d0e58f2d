//! Either side is killed at random in the middle of provisioning; both are equal at the end.

use super::world::Docked;
use idnode_tests::api::CODES;
use serde_json::json;
use std::time::Duration;

/// How often one side is killed.
const KILLS: usize = 100;

#[test]
fn both_sides_are_equal_after_kills_at_random() {
    let mut world = Docked::new("auto");
    let enterprises: Vec<String> = CODES
        .iter()
        .map(|code| world.operator().verified_enterprise(code))
        .collect();
    let mut random = [0; KILLS * 2];
    getrandom::fill(&mut random).unwrap();
    for (number, draw) in random.chunks(2).enumerate() {
        let enterprise = &enterprises[number % enterprises.len()];
        world.submit(&format!("88.118.{}", number + 1), enterprise);
        std::thread::sleep(Duration::from_millis(u64::from(draw[0]) / 4));
        match draw[1] % 2 {
            0 => world.restart_node(),
            _ => world.restart_national(Duration::ZERO),
        }
    }
    for number in 1..=KILLS {
        world.until(&format!("88.118.{number}"), "active");
    }
    idnode_tests::run::until("an empty queue", || world.there()["queue"] == json!([]));
    let there = world.there();
    let prefixes = there["prefixes"].as_object().unwrap();
    assert_eq!(prefixes.len(), KILLS);
    assert!(prefixes.values().all(|it| it["state"] == "passed"));
    // Each certificate has one enterprise there, whatever was asked how often.
    assert_eq!(there["enterprises"].as_object().unwrap().len(), CODES.len());
    let made = world.transactions(&["--limit", "1000"]);
    assert_eq!(made.len(), KILLS + CODES.len());
    for one in &made {
        assert_eq!(one["state"], "done", "{one}");
        let there = prefixes.get(one["subject"].as_str().unwrap());
        if let Some(there) = there {
            assert_eq!(there["client_id"], one["client_id"]);
            assert_eq!(there["server_id"], one["server_id"]);
        }
    }
    assert_eq!(world.channel()["backlog"], 0);
}
