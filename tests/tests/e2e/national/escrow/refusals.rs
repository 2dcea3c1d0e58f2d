//! Deposits that the national node refuses, and why.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use idnode_tests::node::DataDir;
use idnode_tests::run::{Done, binary, until};
use serde_json::json;

use super::servers::{Sshd, deposited, sftp};
use super::world::{Keys, USER, create, newest, node, until_newest};
use crate::national::world::National;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Uploads a deposit's files under a prefix's name of its own; the reason it is refused for.
fn verdict(keys: &Keys, national: &National, deposit: &Path, prefix: &str) -> String {
    let id = deposit.file_name().unwrap().to_str().unwrap();
    let batch = format!(
        "mkdir {prefix}\nmkdir {prefix}/{id}\nput {deposit}/part-* {prefix}/{id}/\nput {deposit}/manifest {prefix}/{id}/manifest\n",
        deposit = deposit.display()
    );
    let done = sftp(keys, national.at("sftp"), &batch);
    assert_eq!(done.code, 0, "{done:?}");
    let receipt = national_file(keys, national, &format!("{prefix}/{id}/receipt"));
    let receipt: serde_json::Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt["accepted"], false, "{receipt}");
    let reason = receipt["reason"].as_str().unwrap().to_owned();
    // The page says the same.
    let all = national.status()["escrow"]["deposits"].clone();
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .any(|it| it["reason"] == reason.as_str()),
        "{all}"
    );
    reason
}

fn national_file(keys: &Keys, national: &National, path: &str) -> String {
    let here = keys.file("fetched");
    fs::remove_file(&here).ok();
    let batch = format!("get {path} {}\n", here.display());
    until(path, || sftp(keys, national.at("sftp"), &batch).code == 0);
    fs::read_to_string(&here).unwrap()
}

#[test]
fn what_is_wrong_with_a_deposit_is_said() {
    let keys = Keys::new();
    let sshd = Sshd::start(&keys);
    let (_data, deposit) = deposited(&keys, &sshd, &["upward.escrow.part_bytes=1024"]);
    let id = deposit.file_name().unwrap().to_str().unwrap().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let national = keys.national(dir.path(), None);
    let variant = |name: &str, change: &dyn Fn(&Path)| -> PathBuf {
        let to = keys.file(name).join(&id);
        copy(&deposit, &to);
        change(&to);
        to
    };
    let flipped = variant("flipped", &|dir| {
        let part = dir.join("part-00002");
        let mut bytes = fs::read(&part).unwrap();
        bytes[77] ^= 1;
        fs::write(part, bytes).unwrap();
    });
    let reason = verdict(&keys, &national, &flipped, "flipped");
    assert!(reason.starts_with("part 2 has the SM3 digest "), "{reason}");
    let missing = variant("missing", &|dir| {
        fs::remove_file(dir.join("part-00001")).unwrap()
    });
    assert_eq!(
        verdict(&keys, &national, &missing, "missing"),
        "part 1 is missing"
    );
    let reordered = variant("reordered", &|dir| {
        fs::rename(dir.join("part-00001"), dir.join("x")).unwrap();
        fs::rename(dir.join("part-00002"), dir.join("part-00001")).unwrap();
        fs::rename(dir.join("x"), dir.join("part-00002")).unwrap();
    });
    let reason = verdict(&keys, &national, &reordered, "reordered");
    assert!(
        reason.starts_with("part 1 has ") && reason.contains(", the manifest says "),
        "{reason}"
    );
    let forged = variant("forged", &|dir| {
        let path = dir.join("manifest");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replacen("\"revision\":", "\"revision\":1", 1)).unwrap();
    });
    let reason = verdict(&keys, &national, &forged, "forged");
    assert_eq!(
        reason,
        "the manifest has a signature that is not its signer's over it"
    );
    // Whoever does not have the right key or the right deposits learns it offline, too.
    let offline = |directory: &Path, key: &str, signer: &str| -> Done {
        let mut idctl = Command::new(binary("idctl"));
        idctl.args(["escrow", "verify"]).arg(directory);
        Done::of(
            idctl
                .arg("--key")
                .arg(keys.file(key))
                .arg("--signer")
                .arg(keys.file(signer)),
        )
    };
    let alone = keys.file("alone");
    copy(&deposit, &alone.join("88.118.8").join(&id));
    let done = offline(&alone, "signer.pem", "signer.pem.pub");
    assert!(
        done.code != 0 && done.stderr.contains("another receiver's key"),
        "{done:?}"
    );
    let done = offline(&alone, "receiver.pem", "receiver.pem.pub");
    assert!(
        done.code != 0 && done.stderr.contains("not its signer's"),
        "{done:?}"
    );
    assert_eq!(offline(&alone, "receiver.pem", "signer.pem.pub").code, 0);
}

#[test]
fn after_a_refusal_the_next_deposit_is_full() {
    let keys = Keys::new();
    let dir = tempfile::tempdir().unwrap();
    let mut national = keys.national(dir.path(), None);
    let at = national.at("sftp");
    let host_key = national.status()["escrow"]["host_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let data = DataDir::init();
    let running = node(&data, &keys.settings(at, &host_key, USER), &[]);
    let operator = running.idctl(Some(&data.token_file()));
    let one = operator.verified_enterprise("91110000600037341L");
    operator.active_prefix("88.118.8", &one);
    operator.json(&["escrow", "deposit"]);
    let first = until_newest(&operator, "88.118.8", "accepted", None);
    // The national node loses what it knew: a DIFF now follows nothing.
    national.kill();
    fs::remove_dir_all(dir.path().join("national/escrow")).unwrap();
    fs::remove_file(dir.path().join("national/book.redb")).unwrap();
    let national = keys.national(dir.path(), Some(at));
    create(&operator, "88.118.8/A-1", &["URL=https://example.com/"]);
    operator.json(&["escrow", "deposit"]);
    let id = first["id"].as_str().unwrap();
    let mut last = json!(null);
    until("a FULL deposit that is accepted", || {
        last = newest(&operator, "88.118.8").unwrap_or_default();
        last["type"] == "FULL" && last["status"] == "accepted" && last["id"] != id
    });
    let log = operator.json(&["escrow", "deposits", "88.118.8"]);
    let refused = &log["deposits"][1];
    assert_eq!(
        (refused["type"].as_str(), refused["status"].as_str()),
        (Some("DIFF"), Some("refused"))
    );
    let reason = refused["reason"].as_str().unwrap();
    assert!(
        reason.ends_with("is no FULL one, and none is before it"),
        "{reason}"
    );
    let held = dir
        .path()
        .join("national/escrow")
        .join(USER)
        .join("88.118.8");
    fs::remove_dir_all(held.join(refused["id"].as_str().unwrap())).unwrap();
    let verified = keys.verify(held.parent().unwrap());
    assert_eq!(verified["prefixes"][0]["listing"], last["listing"]);
    drop(national);
    running.stop();
}
