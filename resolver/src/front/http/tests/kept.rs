//! Answers that are given again.

use super::{Answer, Node, change_full, draft, url};
use idnode_proto::value::{Ttl, Value};
use idnode_registry::prefix::PrefixAction;
use idnode_registry::write::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

const FULL: &str = "88.118.8/full";

/// All that an answer says but when.
fn said(answer: &Answer) -> (u16, Vec<&str>, &[u8]) {
    let mut lines: Vec<_> = answer.head.lines().collect();
    lines.retain(|line| !line.to_ascii_lowercase().starts_with("date:"));
    lines.sort_unstable();
    (answer.status, lines, &answer.body)
}

/// Asks until the answer comes from what is kept.
fn warmed(node: &Node, path: &str) -> Answer {
    for _ in 0..3 {
        node.handle(path);
    }
    node.handle(path)
}

#[test]
fn what_is_asked_again_is_answered_the_same_until_it_changes() {
    let node = Node::start();
    let first = node.handle(FULL);
    let again = warmed(&node, FULL);
    assert_eq!(said(&again), said(&first));
    assert_eq!(again.indexes(), [1, 2, 4, 100]);
    // Other parameters, another answer.
    assert_eq!(warmed(&node, "88.118.8/full?index=2").indexes(), [2]);
    assert_eq!(said(&warmed(&node, FULL)), said(&first));

    node.write(change_full());
    let changed = node.handle(FULL);
    assert_ne!(changed.body, first.body);
    assert_ne!(changed.field("etag"), first.field("etag"));
    assert_eq!(said(&warmed(&node, FULL)), said(&changed));

    node.write(Command::DeleteIdentifier {
        identifier: FULL.parse().unwrap(),
        reason: "停产".into(),
        expected_version: None,
    });
    node.handle(FULL).assert_code(404, 100, "停产");
    node.write(draft(FULL, vec![url(1, "https://example.com/anew")]));
    assert_eq!(warmed(&node, FULL).indexes(), [1]);
    node.write(Command::TransitionPrefix {
        prefix: "88.118.8".parse().unwrap(),
        action: PrefixAction::Suspend,
        message: "检查".into(),
        expected_version: None,
    });
    node.handle(FULL).assert_code(400, 301, "88.118.8 is");
}

#[test]
fn who_is_somebody_gets_his_own_answer() {
    let node = Node::start();
    assert_eq!(warmed(&node, FULL).indexes(), [1, 2, 4, 100]);
    let owner = node.owner_token.clone();
    for _ in 0..3 {
        assert_eq!(
            node.handle_as(&owner, FULL).indexes(),
            [1, 2, 3, 4, 100],
            "the price, too"
        );
        assert_eq!(node.handle(FULL).indexes(), [1, 2, 4, 100]);
    }
    node.handle_as("idn_nobody_x", FULL)
        .assert_code(401, 402, "");
}

#[test]
fn conditions_and_heads_are_seen_to() {
    let node = Node::start();
    let whole = warmed(&node, FULL);
    let tag = whole.field("etag").unwrap();
    let path = format!("/api/handles/{FULL}");
    let condition = format!("If-None-Match: {tag}");
    let unchanged = node.curl(&path, &["-H", &condition]);
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let head = node.curl(&path, &["-I"]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    let length = whole.body.len().to_string();
    assert_eq!(head.field("content-length"), Some(length.as_str()));
}

#[test]
fn what_ends_at_a_time_is_never_older() {
    let node = Node::start();
    let until = crate::clock::now_s() as u32 + 1_000;
    let value = Value {
        ttl: Ttl::AbsoluteS(until),
        ..Value::new(1, "URL", "x")
    };
    node.write(draft("88.118.8/ends", vec![value]));
    let max_age = || {
        let answer = warmed(&node, "88.118.8/ends");
        let control = answer.field("cache-control").unwrap();
        control.strip_prefix("max-age=").unwrap().parse::<u32>()
    };
    let first = max_age().unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    assert!(max_age().unwrap() < first);
}

#[test]
fn every_answer_counts_for_its_prefix() {
    let node = Node::start();
    let prefix = "88.118.8".parse::<idnode_proto::identifier::Prefix>();
    let prefix = node.core.registry.prefixes().get(prefix.unwrap().key());
    let traffic = prefix.unwrap().traffic.clone();
    let before = traffic.queries.load(Ordering::Relaxed);
    for _ in 0..10 {
        node.handle(FULL);
    }
    assert_eq!(traffic.queries.load(Ordering::Relaxed) - before, 10);
    assert_eq!(traffic.successes.load(Ordering::Relaxed), 10);
}
