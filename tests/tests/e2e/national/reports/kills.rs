//! `kill -9` on either side at any moment, with answers that are lost, doubled or broken: at the end
//! both sides have the same reports, each once, and every registration is in one of them.

use super::world::*;
use serde_json::json;
use std::time::Duration;

/// How often one of the two is killed.
const KILLS: u64 = 100;

#[test]
fn after_kills_on_both_sides_both_have_the_same() {
    not_at_midnight();
    let mut world = World::new();
    let mut national = world.national();
    let mut node = world.node(0);
    world.register(&node);
    let (mut ahead_s, mut registered_before) = (0, 0);
    for round in 0..KILLS {
        let faults = ["drop", "duplicate", "half-answer", "wrong-answer", "down"];
        let kind = faults[round as usize % faults.len()];
        national.faults(&json!({"report": [{"kind": kind, "times": 2, "delay_ms": 0}]}));
        create(&world.operator(&node), &format!("k{round}"));
        dig(&node, &format!("k{round}"), "127.0.0.1");
        let mut random = [0; 2];
        getrandom::fill(&mut random).unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(
            u16::from_be_bytes(random) % 700,
        )));
        if round % 2 == 0 {
            node.kill();
            ahead_s += DAY_S;
            registered_before = round + 1;
            node = world.node(ahead_s);
        } else {
            national.kill();
            national = world.national();
        }
    }
    national.faults(&json!({"report": []}));
    let operator = world.operator(&node);
    until_told(&operator, &last_hour(ahead_s));
    until_told(&operator, &statistics(day(ahead_s - DAY_S)));

    let told = reports(&operator);
    assert!(told.len() as u64 > 20 * 24, "{} reports", told.len());
    for row in &told {
        assert_eq!(row["state"], "taken", "{row}");
    }
    let status = &national.status()["report"];
    assert_eq!(status["refused"], json!([]));
    let lines = status["nodes"][NODE].as_object().unwrap();
    let taken_there: u64 = lines.values().map(|it| it["taken"].as_u64().unwrap()).sum();
    let events = status["events"].as_array().unwrap().len() as u64;
    assert_eq!(taken_there + events, told.len() as u64, "{status}");
    for (kind, line) in lines {
        assert_eq!(line["missing"], json!([]), "{kind}");
    }
    // Of registrations nothing is lost, of questions what was asked within ten seconds of a crash.
    let (mut registered, mut queries, mut before) = (0, 0, 0);
    for ahead_s in (0..ahead_s).step_by(DAY_S as usize) {
        let key = statistics(day(ahead_s));
        let counted = &taken(&national, &key)["report"]["statistics"];
        let number = |field: &str| counted[field].as_u64().unwrap();
        assert_eq!(number("identifiers_before"), before, "{key}");
        before = number("identifiers");
        registered += number("new_identifiers");
        queries += number("queries");
        assert!(number("unrecorded_s") >= 10, "{counted}");
    }
    assert_eq!((registered, before), (registered_before, registered_before));
    assert!(queries <= registered_before, "{queries}");
    for row in told.iter().step_by(17) {
        let key = row["key"].as_str().unwrap();
        assert_eq!(
            taken(&national, key)["report"],
            report(&operator, key)["report"]
        );
    }
}
