//! The change log as its readers see it.

use super::support::*;
use crate::Error;
use crate::change::{Change, LogEntry};
use std::time::Duration;

fn numbers(entries: &[LogEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.sequence).collect()
}

#[test]
fn the_log_reads_from_any_entry_on() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    for n in 0..30 {
        node.write(create(&format!("88.118.8/{n}"), &"x".repeat(1_000)));
    }
    // What is refused takes no number.
    node.refusal(create("88.118.8/0", "x"));
    let head = node.registry().applied();
    let everything = node.registry().read_log(1, usize::MAX, usize::MAX).unwrap();
    for reopened in [false, true] {
        if reopened {
            node.reopen();
        }
        let registry = node.registry();
        assert_eq!((registry.oldest(), registry.applied()), (Ok(1), head));
        for from in 1..=head + 1 {
            let entries = registry.read_log(from, usize::MAX, usize::MAX).unwrap();
            assert_eq!(numbers(&entries), (from..=head).collect::<Vec<_>>());
            assert_eq!(entries, everything[from as usize - 1..]);
            let some = registry.read_log(from, 4, usize::MAX).unwrap();
            assert_eq!(
                numbers(&some),
                (from..=head.min(from + 3)).collect::<Vec<_>>()
            );
            let one = registry.read_log(from, usize::MAX, 1).unwrap();
            assert_eq!(one.len(), usize::from(from <= head), "at least one");
        }
        let few = registry.read_log(head - 20, usize::MAX, 5_000).unwrap();
        assert!(
            (3..=6).contains(&few.len()),
            "{} entries of 1 kB",
            few.len()
        );
    }
    assert!(everything.is_sorted_by_key(|entry| entry.committed_at_ms));
    assert!(
        everything
            .iter()
            .all(|entry| entry.change.is_some() && !entry.actor.is_empty())
    );
}

#[test]
fn refused_commands_wake_nobody() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let mut applied = node.registry().watch_applied();
    applied.mark_unchanged();
    node.refusal(create("88.118.9/0", "x"));
    assert!(!applied.has_changed().unwrap());
    node.write(create("88.118.8/0", "x"));
    assert!(applied.has_changed().unwrap());
}

#[test]
fn a_follower_that_waits_misses_nothing() {
    const WRITES: u64 = 60;
    let node = Node::with_prefixes(&["88.118.8"]);
    let start = node.registry().applied();
    let registry = node.registry().clone();
    let follower = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let (mut seen, mut next) = (Vec::new(), start + 1);
        let mut applied = registry.watch_applied();
        runtime.block_on(async {
            while next <= start + WRITES {
                let grown = applied.wait_for(|applied| *applied >= next);
                let grown = tokio::time::timeout(Duration::from_secs(30), grown).await;
                let applied = *grown.expect("the log grows").unwrap();
                let entries = registry.read_log(next, 7, usize::MAX).unwrap();
                assert!(
                    !entries.is_empty(),
                    "{applied} is applied, {next} cannot be read"
                );
                next += entries.len() as u64;
                seen.extend(numbers(&entries));
            }
        });
        seen
    });
    for n in 0..WRITES {
        node.write(create(&format!("88.118.8/{n}"), "x"));
    }
    let seen = follower.join().unwrap();
    assert_eq!(seen, (start + 1..=start + WRITES).collect::<Vec<_>>());
}

#[test]
fn what_is_forgotten_is_said_and_numbers_go_on() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    for n in 0..20 {
        node.write(create(&format!("88.118.8/{n}"), "x"));
    }
    let head = node.registry().applied();
    let entries = node.registry().read_log(1, usize::MAX, usize::MAX).unwrap();
    // Several entries may have been committed in the same millisecond.
    let before_ms = entries[12].committed_at_ms;
    let oldest = entries.partition_point(|entry| entry.committed_at_ms < before_ms) as u64 + 1;
    node.registry().trim_log(0).unwrap();
    assert_eq!(node.registry().oldest(), Ok(1), "nothing is that old");
    node.registry().trim_log(before_ms).unwrap();
    assert_eq!(node.registry().oldest(), Ok(oldest));
    node.registry().trim_log(u64::MAX).unwrap();
    for reopened in [false, true] {
        if reopened {
            node.reopen();
        }
        let registry = node.registry();
        assert_eq!((registry.oldest(), registry.applied()), (Ok(head), head));
        for from in [1, head - 1] {
            let forgotten = registry.read_log(from, 1, 1);
            let Err(Error::Bound { limit, what }) = forgotten else {
                panic!("{forgotten:?}");
            };
            assert_eq!(limit, head, "the oldest that is kept is named");
            assert!(what.contains(&from.to_string()), "{what}");
        }
        assert_eq!(numbers(&registry.read_log(head, 9, 1).unwrap()), [head]);
        assert_eq!(registry.read_log(head + 1, 9, 1), Ok(vec![]));
    }
    assert_eq!(node.write(create("88.118.8/new", "x")).sequence, head + 1);
    assert_eq!(
        node.record("88.118.8/3").map(|record| record.is_live()),
        Ok(true)
    );
}

/// What an entry replaced can be read as long as the entry is kept, however old it is.
#[test]
fn an_entry_tells_what_it_replaced() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    let created = node.write(create("88.118.8/a", "first")).sequence;
    for n in 0..20 {
        node.write(create(&format!("88.118.8/{n}"), "x"));
    }
    let deleted = node.write(delete("88.118.8/a", None)).sequence;
    let again = node.write(create("88.118.8/a", "second")).sequence;
    // The first entries go; the one that replaced the oldest record stays.
    std::thread::sleep(Duration::from_millis(5));
    node.write(create("88.118.8/b", "x"));
    let entry = node.registry().read_log(deleted, 1, usize::MAX).unwrap();
    node.registry().trim_log(entry[0].committed_at_ms).unwrap();
    node.reopen();
    let moment = node.registry().moment().unwrap();
    assert_eq!(moment.sequence(), node.registry().applied());
    let replaced = |sequence: u64| match &moment.entries(sequence).unwrap()[0].change {
        Some(Change::Identifiers(changes)) => {
            let item = changes.items[0].clone();
            let version = item.replaced.expect("entries tell");
            (version, moment.replaced(&item.key, version).unwrap())
        }
        other => panic!("{other:?}"),
    };
    let (version, record) = replaced(deleted);
    assert_eq!(version, created);
    assert!(record.unwrap().is_live());
    let (version, record) = replaced(again);
    assert_eq!(version, deleted);
    assert!(!record.unwrap().is_live());
    assert_eq!(replaced(again + 1), (0, None), "there was none");
    // When its last reader is forgotten, so is the record.
    let key = idnode_proto::identifier::Identifier::parse("88.118.8/a").unwrap();
    assert!(moment.replaced(key.key(), created).unwrap().is_some());
    drop(moment);
    node.registry().trim_log(u64::MAX).unwrap();
    let moment = node.registry().moment().unwrap();
    for version in [created, deleted] {
        assert_eq!(moment.replaced(key.key(), version), Ok(None));
    }
}

/// A moment shows one place of the log, whatever is written meanwhile.
#[test]
fn a_moment_does_not_move() {
    let node = Node::with_prefixes(&["88.118.8"]);
    node.write(create("88.118.8/a", "x"));
    let moment = node.registry().moment().unwrap();
    let sequence = moment.sequence();
    node.write(create("88.118.8/b", "x"));
    assert_eq!(moment.sequence(), sequence);
    assert_eq!(moment.entries(sequence + 1).unwrap(), vec![]);
    assert_eq!(moment.live_identifiers(), Ok(1));
    assert_eq!(moment.identifiers(&[], None).unwrap().count(), 1);
    assert_eq!(moment.prefixes(&[], None).unwrap().count(), 1);
    let now = node.registry().moment().unwrap();
    assert_eq!(now.sequence(), sequence + 1);
    assert_eq!(now.identifiers(&[], None).unwrap().count(), 2);
}
