//! After a failed append nothing is written until the registry is opened again; reads go on.

use super::altered_log::{Append, Gate, open_altered};
use super::support::*;
use crate::change::LogEntry;
use crate::log::{AppendError, ChangeLog};
use crate::{CommitObserver, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// How an append fails.
#[derive(Clone, Copy)]
enum Failure {
    /// Nothing was written.
    Before,
    /// Everything was written, and then the answer was lost.
    After,
}

/// Lets so many appends through, then fails one; those after it would not fail.
fn fails_once(failure: Failure, let_through: usize) -> Box<Append> {
    let left = AtomicUsize::new(let_through);
    Box::new(move |log, expected_head, entries, mutations| {
        // Wraps around after the one that fails.
        if left.fetch_sub(1, Ordering::AcqRel) != 0 {
            return log.append(expected_head, entries, mutations);
        }
        if matches!(failure, Failure::After) {
            log.append(expected_head, entries, mutations)?;
        }
        Err(AppendError::Failed("the disk is gone".into()))
    })
}

/// Counts the entries it is told of.
#[derive(Default)]
struct Told(AtomicU64);

impl CommitObserver for Told {
    fn committed(&self, entries: &[LogEntry]) {
        self.0.fetch_add(entries.len() as u64, Ordering::AcqRel);
    }
}

#[test]
fn a_failed_log_ends_writing_and_not_reading() {
    for failure in [Failure::Before, Failure::After] {
        let mut node = Node::with_prefixes(&["88.118.8"]);
        node.write(create("88.118.8/a", "1"));
        let head = node.registry().applied();
        let told = Arc::new(Told::default());
        let observer = told.clone();
        node.reopen_over(|dir| open_altered(dir, fails_once(failure, 1), observer));
        node.write(update("88.118.8/a", "2", None));
        assert!(node.registry().takes_writes());
        let failed = node.write_as(&node.operator, key("k", "b"), create("88.118.8/b", "x"));
        let Err(Error::Unavailable(reason)) = failed else {
            panic!("{failed:?}");
        };
        assert!(reason.contains("the log has failed"), "{reason}");

        // The log would take it now: what it holds is not known.
        for _ in 0..3 {
            let refused = node.try_write(create("88.118.8/c", "x")).unwrap_err();
            assert_eq!(refused.reason(), "UNAVAILABLE");
        }
        assert!(!node.registry().takes_writes());
        assert_eq!(node.registry().applied(), head + 1);
        assert_eq!(
            told.0.load(Ordering::Acquire),
            1,
            "only what was acknowledged"
        );
        assert_eq!(text(&node.record("88.118.8/a").unwrap()), "2");
        assert_eq!(node.registry().read_log(head + 1, 1, 1).unwrap().len(), 1);
        assert!(node.prefix("88.118.8").is_ok());

        // Opened again, it knows which it was; the key tells whoever asks again.
        node.reopen();
        let written = matches!(failure, Failure::After);
        assert_eq!(node.registry().applied(), head + 1 + u64::from(written));
        assert_eq!(node.record("88.118.8/b").is_ok(), written);
        let again = node
            .write_as(&node.operator, key("k", "b"), create("88.118.8/b", "x"))
            .unwrap();
        assert_eq!((again.replayed, again.sequence), (written, head + 2));
        assert_eq!(node.write(create("88.118.8/c", "x")).sequence, head + 3);
    }
}

/// What the second was refused for came with the first, and went with it.
#[test]
fn a_refusal_is_no_answer_before_what_it_rests_on_is_durable() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    let (gate, fails) = (Gate::new(), fails_once(Failure::Before, 1));
    let passed = gate.clone();
    let append: Box<Append> = Box::new(move |log, expected_head, entries, mutations| {
        passed.pass();
        fails(log, expected_head, entries, mutations)
    });
    node.reopen_over(|dir| open_altered(dir, append, Arc::new(())));
    gate.shut();
    let write = |identifier| {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let command = create(identifier, "x");
        let written = node.registry().write(&node.operator, None, command);
        runtime.unwrap().block_on(written)
    };
    let answers = std::thread::scope(|scope| {
        scope.spawn(|| write("88.118.8/a").unwrap());
        gate.wait();
        // While that one is on its way to the disk, two come in: they are one group.
        let two = [(); 2].map(|()| scope.spawn(|| write("88.118.8/b")));
        std::thread::sleep(Duration::from_millis(200));
        gate.release();
        two.map(|it| it.join().unwrap())
    });
    for answer in &answers {
        let Err(Error::Unavailable(reason)) = answer else {
            panic!("{answers:?}");
        };
        assert!(reason.contains("the log has failed"), "{reason}");
    }
}

/// Whatever ends the writer: nobody is told that all is well.
#[test]
fn a_writer_that_panics_ends_writing() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    let append: Box<Append> = Box::new(|_, _, _, _| panic!("a fault of its own"));
    node.reopen_over(|dir| open_altered(dir, append, Arc::new(())));
    assert!(node.registry().takes_writes());
    for _ in 0..2 {
        let refused = node.try_write(create("88.118.8/a", "1")).unwrap_err();
        assert_eq!(refused.reason(), "UNAVAILABLE");
    }
    let began = std::time::Instant::now();
    while node.registry().takes_writes() {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::yield_now();
    }
    assert!(node.prefix("88.118.8").is_ok());
}

#[test]
fn a_closed_registry_takes_no_writes_and_reads_on() {
    let node = Node::with_prefixes(&["88.118.8"]);
    node.write(create("88.118.8/a", "1"));
    node.registry().close();
    assert!(!node.registry().takes_writes());
    let refused = node.try_write(create("88.118.8/b", "1")).unwrap_err();
    assert_eq!(refused.reason(), "UNAVAILABLE");
    assert_eq!(text(&node.record("88.118.8/a").unwrap()), "1");
}
