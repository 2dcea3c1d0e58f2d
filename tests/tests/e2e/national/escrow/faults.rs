//! Scripted faults of the receiver: a deposit arrives once, and nobody waits for it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use idnode_tests::node::DataDir;
use idnode_tests::run::until;
use serde_json::json;

use super::world::{Keys, USER, create, newest, node, until_newest};

#[test]
fn a_deposit_arrives_once_through_every_fault() {
    let keys = Keys::new();
    let dir = tempfile::tempdir().unwrap();
    let national = keys.national(dir.path(), None);
    let host_key = national.status()["escrow"]["host_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64;
    // Each cuts an attempt off at another request.
    national.faults(&json!({"sftp": [
        {"kind": "down", "until_ms": now_ms + 2_000},
        {"kind": "wrong-answer"},
        {"kind": "delay", "times": 3, "delay_ms": 100},
        {"kind": "drop"},
        {"kind": "delay", "times": 6, "delay_ms": 10},
        {"kind": "half-answer"},
    ]}));
    let data = DataDir::init();
    let settings = keys.settings(national.at("sftp"), &host_key, USER);
    let more = [
        "upward.escrow.timeout_ms=1000",
        "upward.escrow.part_bytes=1024",
    ];
    let running = node(&data, &settings, &more);
    let operator = running.idctl(Some(&data.token_file()));
    let one = operator.verified_enterprise("91110000600037341L");
    operator.active_prefix("88.118.8", &one);
    until("an attempt that fails", || {
        newest(&operator, "88.118.8").is_some_and(|it| it["attempts"].as_u64() > Some(0))
    });
    assert_eq!(
        operator.json(&["upward", "status"])["channels"][0]["state"],
        "down"
    );
    assert_eq!(
        operator.json(&["upward", "status"])["channels"][0]["backlog"],
        1
    );
    // The node registers meanwhile as ever.
    let began = Instant::now();
    for number in 0..20 {
        create(
            &operator,
            &format!("88.118.8/{number}"),
            &["URL=https://example.com/"],
        );
    }
    assert!(began.elapsed() < Duration::from_secs(20));
    let first = until_newest(&operator, "88.118.8", "accepted", None);
    assert!(first["attempts"].as_u64() >= Some(3), "{first}");
    assert_eq!(national.status()["faults"], json!({}));
    operator.json(&["escrow", "deposit"]);
    let next = until_newest(&operator, "88.118.8", "accepted", first["id"].as_str());
    assert_eq!(
        (next["type"].as_str(), next["prev_id"].as_str()),
        (Some("DIFF"), first["id"].as_str())
    );
    let status = national.status();
    let held = status["escrow"]["deposits"].as_array().unwrap();
    assert_eq!(held.len(), 2, "{held:?}");
    assert_eq!(
        operator.json(&["upward", "status"])["channels"][0]["state"],
        "up"
    );
    running.stop();
}
