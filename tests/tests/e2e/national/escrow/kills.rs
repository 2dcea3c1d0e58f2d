//! Both sides die in the middle of uploads; every deposit arrives once.

use std::collections::BTreeSet;
use std::time::Duration;

use idnode_tests::node::DataDir;
use idnode_tests::run::until;
use serde_json::{Value, json};

use super::world::{Keys, USER, create, node};

/// How often one of them is killed.
const KILLS: u64 = 100;

#[test]
fn killed_in_the_middle_of_uploads_both_sides_end_equal() {
    let keys = Keys::new();
    let dir = tempfile::tempdir().unwrap();
    let mut national = keys.national(dir.path(), None);
    let at = national.at("sftp");
    let host_key = national.status()["escrow"]["host_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let data = DataDir::init();
    let settings = keys.settings(at, &host_key, USER);
    let more = [
        "upward.escrow.part_bytes=1024",
        "upward.escrow.timeout_ms=1000",
    ];
    // An upload of some dozen requests, each of which takes a moment.
    let slow = json!({"sftp": [{"kind": "delay", "times": 1_000_000, "delay_ms": 4}]});
    national.faults(&slow);
    let mut running = node(&data, &settings, &more);
    {
        let operator = running.idctl(Some(&data.token_file()));
        let one = operator.verified_enterprise("91110000600037341L");
        operator.active_prefix("88.118.8", &one);
        operator.active_prefix("88.118.9", &one);
    }
    for round in 0..KILLS {
        let operator = running.idctl(Some(&data.token_file()));
        create(
            &operator,
            &format!("88.118.8/{round}"),
            &[&format!("DESC={round}")],
        );
        create(&operator, &format!("88.118.9/{round}"), &["DESC=x"]);
        let full: &[&str] = if round % 3 == 0 { &["--full"] } else { &[] };
        operator.json(&[&["escrow", "deposit"], full].concat());
        // Spread over the time that making and sending take.
        std::thread::sleep(Duration::from_millis(round * 37 % 400));
        if round % 2 == 0 {
            running.kill();
            running = node(&data, &settings, &more);
        } else {
            national.kill();
            national = keys.national(dir.path(), Some(at));
            national.faults(&slow);
        }
    }
    national.faults(&json!({"sftp": []}));
    let operator = running.idctl(Some(&data.token_file()));
    for prefix in ["88.118.8", "88.118.9"] {
        // Who asks now gets all there is.
        let wanted = operator.json(&["stats"])["sequence"].as_u64();
        operator.json(&["escrow", "deposit", prefix]);
        let mut log = Value::Null;
        // The last one covers everything, and nothing is under way any more.
        until("rest", || {
            let before = std::mem::take(&mut log);
            std::thread::sleep(Duration::from_millis(1_000));
            log = operator.json(&["escrow", "deposits", prefix, "--limit", "1000"]);
            let newest = &log["deposits"][0];
            log == before && newest["status"] == "accepted" && newest["revision"].as_u64() >= wanted
        });
        let log = log["deposits"].as_array().unwrap();
        assert!(log.iter().all(|it| it["status"] == "accepted"), "{log:#?}");
        let told: BTreeSet<&str> = log.iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!(told.len(), log.len(), "an id was given twice");
        let status = national.status();
        let verdicts: Vec<&Value> = status["escrow"]["deposits"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["prefix"] == prefix)
            .collect();
        assert!(
            verdicts.iter().all(|it| it["accepted"] == true),
            "{verdicts:#?}"
        );
        let held: BTreeSet<&str> = verdicts
            .iter()
            .map(|it| it["id"].as_str().unwrap())
            .collect();
        assert_eq!(held, told);
        let verified = keys.verify(&dir.path().join("national/escrow").join(USER));
        let of_prefix = verified["prefixes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["prefix"] == prefix);
        let of_prefix = of_prefix.unwrap();
        assert_eq!(of_prefix["listing"], log[0]["listing"]);
        assert_eq!(of_prefix["identifiers"], KILLS);
    }
    // Some of them were in the middle of an upload.
    assert!(running.log().contains("a deposit was not sent"));
    running.stop();
}
