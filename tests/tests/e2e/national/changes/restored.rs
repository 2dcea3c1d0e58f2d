//! When the two do not have the same history: either side was put back to an older state, made anew, or
//! the log reaches back no more.

use std::fs;
use std::path::Path;
use std::time::Duration;

use idnode_tests::node::DataDir;
use idnode_tests::run::{files_below, until};
use serde_json::json;

use super::super::streams::{PREFIX, Streams};
use super::world::*;

fn copy(from: &Path, to: &Path) {
    fs::remove_dir_all(to).ok();
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}

fn names(kind: &str, count: usize) -> impl Iterator<Item = String> {
    let kind = kind.to_owned();
    (0..count).map(move |n| format!("{PREFIX}/{kind}-{n:04}"))
}

#[test]
fn a_national_node_that_has_lost_is_told_again() {
    let mut world = Streams::new();
    let mut national = world.national();
    let node = world.node();
    world.register(&node);
    let caller = Caller::new(&world, &node);
    caller.register(names("a", 300), 16);
    until_equal(&caller, &national, Duration::from_secs(30));
    national.kill();
    let (data, kept) = (
        world.home.path().join("national"),
        world.home.path().join("kept"),
    );
    copy(&data, &kept);
    national = world.national();
    caller.register(names("b", 300), 16);
    until_equal(&caller, &national, Duration::from_secs(30));
    // It is put back to what it was, and lacks what it had acknowledged.
    national.kill();
    copy(&kept, &data);
    national = world.national();
    until_equal(&caller, &national, Duration::from_secs(30));
    assert_eq!(there(&national)["changes"]["added"], 600);
    // It has lost everything.
    national.kill();
    fs::remove_dir_all(&data).unwrap();
    national = world.national();
    caller.register(names("c", 10), 16);
    until_equal(&caller, &national, Duration::from_secs(30));
    assert_eq!(there(&national)["changes"]["added"], 610);
}

#[test]
fn an_older_registry_waits_for_the_operator_before_it_replaces_what_is_there() {
    let mut world = Streams::new();
    let national = world.national();
    let node = world.node();
    world.register(&node);
    let caller = Caller::new(&world, &node);
    caller.register(names("a", 100), 16);
    until_equal(&caller, &national, Duration::from_secs(30));
    drop(caller);
    node.stop();
    let kept = world.dir.beside("kept");
    copy(&world.dir.path(), &kept);
    let node = world.node();
    let caller = Caller::new(&world, &node);
    caller.register(names("b", 100), 16);
    until_equal(&caller, &national, Duration::from_secs(30));
    let (before, log) = (sequence_there(&national), there(&national)["log"].clone());
    drop(caller);
    node.stop();

    for written in [0, 300] {
        // An older copy, and then one that went on by itself further than what was told.
        copy(&kept, &world.dir.path());
        world
            .settings
            .push("upward.sync.server=127.0.0.1:1".to_owned());
        let alone = world.node();
        let caller = Caller::new(&world, &alone);
        caller.register(names("other", written), 16);
        drop(caller);
        alone.stop();
        world.settings.pop();

        let node = world.node();
        let operator = world.operator(&node);
        until("the stream waits", || {
            let channel = &operator.json(&["upward", "status"])["channels"][0];
            let error = channel["last_error"].as_str().unwrap();
            channel["state"] == "down" && error.contains("restart-changes")
        });
        assert_eq!(sequence_there(&national), before);
        assert_eq!(there(&national)["log"], log, "nothing is replaced");
        assert!(known(&national, &format!("{PREFIX}/b-0001")).is_some());
        if written == 0 {
            node.stop();
            continue;
        }
        operator.json(&["upward", "restart-changes"]);
        let caller = Caller::new(&world, &node);
        until("another log is told", || there(&national)["log"] != log);
        until_equal(&caller, &national, Duration::from_secs(30));
        assert!(known(&national, &format!("{PREFIX}/b-0001")).is_none());
        assert!(known(&national, &format!("{PREFIX}/other-0001")).is_some());
    }
}

#[test]
fn a_registry_that_was_made_anew_replaces_the_old_one() {
    let mut world = Streams::new();
    let national = world.national();
    let node = world.node();
    world.register(&node);
    let caller = Caller::new(&world, &node);
    caller.register(names("old", 100), 16);
    until_equal(&caller, &national, Duration::from_secs(30));
    let log = there(&national)["log"].clone();
    drop(caller);
    node.stop();
    world.dir = DataDir::init();
    let node = world.node();
    world.register(&node);
    let caller = Caller::new(&world, &node);
    caller.register(names("new", 10), 16);
    until("another log is told", || there(&national)["log"] != log);
    until_equal(&caller, &national, Duration::from_secs(30));
    assert!(known(&national, &format!("{PREFIX}/old-0001")).is_none());
}

#[test]
fn what_the_log_holds_no_more_comes_as_a_snapshot_that_goes_on_after_kills() {
    let mut world = Streams::new();
    world.settings.push("store.log_retention_s=1".to_owned());
    let node = world.node();
    world.register(&node);
    let caller = Caller::new(&world, &node);
    let imported: Vec<String> = names("imported", 9_000).collect();
    caller.import(&imported, 500);
    caller.runtime.block_on(async {
        for n in (0..9_000).step_by(1_000) {
            let name = format!("{PREFIX}/imported-{n:04}");
            caller.api.delete(&name, "停产", "").await.unwrap();
        }
    });
    drop(caller);
    std::thread::sleep(Duration::from_millis(1_500));
    node.stop();
    // The log is trimmed when the node starts, before there is anybody to be told.
    let node = world.node();
    std::thread::sleep(Duration::from_secs(2));
    let mut national = world.national();
    let caller = Caller::new(&world, &node);
    let operator = world.operator(&node);
    until("a snapshot has begun, or is over", || {
        let there = there(&national);
        there["making"] != json!(null) || there["identifiers"]["live"] == 8_991
    });
    for _ in 0..5 {
        national.faults(&json!({"sync": [{"kind": "half-answer", "times": 2}]}));
        national.kill();
        national = world.national();
    }
    caller.register(names("later", 50), 16);
    until_equal(&caller, &national, Duration::from_secs(60));
    let there = there(&national);
    assert_eq!(there["identifiers"], json!({"live": 9_041, "deleted": 9}));
    let added = there["changes"]["added"].as_u64().unwrap();
    assert!(added <= 50, "what a snapshot has is no change: {there}");
    until("nothing is owed", || {
        operator.json(&["upward", "status"])["channels"][0]["backlog"] == 0
    });
}
