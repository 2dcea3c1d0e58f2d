//! Prefixes within each other: what moves from one to the other is told by both, on the same day.

use std::process::Command;

use idnode_tests::node::DataDir;
use idnode_tests::run::{binary, success, until};
use serde_json::Value;

use super::world::{Keys, USER, create, newest, node};

#[test]
fn what_moves_between_prefixes_is_told_by_both_at_once() {
    let keys = Keys::new();
    let dir = tempfile::tempdir().unwrap();
    let national = keys.national(dir.path(), None);
    let host_key = national.status()["escrow"]["host_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let data = DataDir::init();
    let settings = keys.settings(national.at("sftp"), &host_key, USER);
    let running = node(&data, &settings, &[]);
    let operator = running.idctl(Some(&data.token_file()));
    let (shorter, longer) = ("oid:1.2.156.3001", "oid:1.2.156.3001.4");
    let one = operator.verified_enterprise("91110000600037341L");
    operator.active_prefix(shorter, &one);
    create(&operator, "1.2.156.3001.5", &["DESC=stays"]);
    create(&operator, "1.2.156.3001.4.1", &["DESC=moves"]);
    operator.json(&["identifier", "delete", "1.2.156.3001.4.1"]);
    operator.json(&["escrow", "deposit", shorter]);
    let held = |prefix: &str, sequence: Option<u64>| {
        until(&format!("a deposit of {prefix} that knows"), || {
            newest(&operator, prefix)
                .is_some_and(|it| it["status"] == "accepted" && it["revision"].as_u64() >= sequence)
        });
        newest(&operator, prefix).unwrap()
    };
    let sequence = || operator.json(&["stats"])["sequence"].as_u64();
    let first = held(shorter, sequence());
    // The day's own deposit may have been made before the one that was asked for, which then has what
    // has changed since.
    if first["type"] == "FULL" {
        assert_eq!(first["identifiers"], 2, "{first}");
    }

    // Nobody asks from here on, and the day has its deposits.
    let restored = |name: &str| {
        let to = dir.path().join(name);
        let mut idctl = Command::new(binary("idctl"));
        idctl.args(["--json", "escrow", "restore"]);
        idctl.arg(dir.path().join("national/escrow").join(USER));
        idctl.arg("--key").arg(keys.file("receiver.pem"));
        idctl.arg("--signer").arg(keys.file("signer.pem.pub"));
        let said = success(idctl.arg("--data-dir").arg(to));
        let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    operator.json(&["prefix", "apply", longer, "--enterprise-id", &one]);
    let applied = sequence();
    assert_eq!(held(longer, applied)["identifiers"], 1);
    let told = held(shorter, applied);
    assert_eq!(
        (told["type"].as_str(), told["identifiers"].as_u64()),
        (Some("FULL"), Some(1))
    );
    let lines = restored("with it");
    assert_eq!(lines[0]["equal"], true, "{lines:?}");

    operator.json(&["prefix", "mark-for-deletion", longer]);
    operator.json(&["prefix", "remove", longer]);
    let removed = sequence();
    until("the longer prefix closed", || {
        newest(&operator, longer)
            .is_some_and(|it| it["closes"] == true && it["status"] == "accepted")
    });
    assert_eq!(held(shorter, removed)["identifiers"], 2);
    let lines = restored("without it");
    assert_eq!(lines[0]["equal"], true, "{lines:?}");
    running.stop();
}
