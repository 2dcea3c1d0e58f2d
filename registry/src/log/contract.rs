//! What every [`ChangeLog`] must do, as a test suite to run over it.
//!
//! An engine's tests call [`check`] with a function that makes a fresh, empty subject. The
//! suite panics with the broken rule.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::{AppendError, ChangeLog};
use crate::Error;
use crate::change::{Change, IdentifierChange, IdentifierChanges, LogEntry};
use crate::layout::{Family, index_key};
use crate::record::Record;
use crate::store::Mutation;
use bytes::Bytes;

/// Reads one key of the state that a log's engine keeps.
pub type StateReader = Box<dyn Fn(Family, &[u8]) -> Option<Bytes>>;

/// A log that can be closed and opened again.
pub struct Subject {
    open: Box<dyn FnMut() -> (Box<dyn ChangeLog>, StateReader)>,
}

impl Subject {
    /// A subject from a function that opens the same log each time it is called.
    pub fn new(open: impl FnMut() -> (Box<dyn ChangeLog>, StateReader) + 'static) -> Self {
        Self {
            open: Box::new(open),
        }
    }
}

/// Runs every rule over fresh subjects.
pub fn check(mut fresh: impl FnMut() -> Subject) {
    appends_are_numbered_and_durable(&mut fresh());
    a_lost_race_writes_nothing(&mut fresh());
    numbers_must_continue(&mut fresh());
    state_and_entries_go_together(&mut fresh());
    reading_is_bounded_and_ordered(&mut fresh());
    trimming_keeps_the_head(&mut fresh());
    replaced_records_stay_in_their_entries(&mut fresh());
}

fn entry(sequence: u64, size: usize) -> LogEntry {
    let item = IdentifierChange {
        key: Bytes::from(format!("key {sequence}")),
        record: Bytes::from(vec![sequence as u8; size]),
        replaced: None,
        enterprise: sequence,
    };
    LogEntry {
        sequence,
        committed_at_ms: 1_000 + sequence,
        actor: "tester".into(),
        change: Some(Change::Identifiers(IdentifierChanges { items: vec![item] })),
    }
}

fn put(key: &'static [u8], value: &'static [u8]) -> Mutation {
    Mutation {
        family: Family::Identifiers,
        key: Bytes::from_static(key),
        value: Some(Bytes::from_static(value)),
    }
}

fn appends_are_numbered_and_durable(subject: &mut Subject) {
    {
        let (log, _) = (subject.open)();
        assert_eq!(log.head(), Ok(0), "an empty log's head is 0");
        assert_eq!(log.oldest(), Ok(1), "an empty log's oldest is head + 1");
        assert_eq!(log.read(1, 10, 1 << 20), Ok(vec![]));
        assert_eq!(log.append(0, &[entry(1, 4)], vec![]), Ok(()));
        assert_eq!(log.append(1, &[entry(2, 4), entry(3, 4)], vec![]), Ok(()));
        assert_eq!(log.head(), Ok(3));
    }
    let (log, _) = (subject.open)();
    assert_eq!(log.head(), Ok(3), "the head survives closing");
    assert_eq!(log.oldest(), Ok(1));
    let want = vec![entry(1, 4), entry(2, 4), entry(3, 4)];
    assert_eq!(
        log.read(1, 10, 1 << 20),
        Ok(want),
        "entries come back as they went in"
    );
}

fn a_lost_race_writes_nothing(subject: &mut Subject) {
    let (log, state) = (subject.open)();
    log.append(0, &[entry(1, 4)], vec![put(b"a", b"first")])
        .unwrap();
    let lost = log.append(0, &[entry(1, 4)], vec![put(b"a", b"second")]);
    assert_eq!(
        lost,
        Err(AppendError::Conflict { head: 1 }),
        "the expected head is compared"
    );
    assert_eq!(log.head(), Ok(1));
    assert_eq!(
        state(Family::Identifiers, b"a").as_deref(),
        Some(&b"first"[..]),
        "state is untouched"
    );
}

fn numbers_must_continue(subject: &mut Subject) {
    let (log, state) = (subject.open)();
    for wrong in [
        vec![entry(2, 4)],
        vec![entry(1, 4), entry(3, 4)],
        vec![entry(1, 4), entry(1, 4)],
    ] {
        let refused = log.append(0, &wrong, vec![put(b"a", b"x")]);
        assert!(
            matches!(refused, Err(AppendError::NotContiguous { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(log.head(), Ok(0));
    assert_eq!(state(Family::Identifiers, b"a"), None);
}

fn state_and_entries_go_together(subject: &mut Subject) {
    {
        let (log, _) = (subject.open)();
        log.append(0, &[entry(1, 4)], vec![put(b"a", b"1"), put(b"b", b"1")])
            .unwrap();
        let remove = Mutation {
            value: None,
            ..put(b"a", b"")
        };
        log.append(1, &[entry(2, 4)], vec![remove, put(b"b", b"2")])
            .unwrap();
        log.append(2, &[], vec![put(b"c", b"3")]).unwrap();
        assert_eq!(log.head(), Ok(2), "mutations alone take no number");
    }
    let (_, state) = (subject.open)();
    assert_eq!(
        state(Family::Identifiers, b"a"),
        None,
        "a deletion is applied"
    );
    assert_eq!(state(Family::Identifiers, b"b").as_deref(), Some(&b"2"[..]));
    assert_eq!(state(Family::Identifiers, b"c").as_deref(), Some(&b"3"[..]));
}

fn reading_is_bounded_and_ordered(subject: &mut Subject) {
    let (log, _) = (subject.open)();
    let all: Vec<LogEntry> = (1..=300).map(|sequence| entry(sequence, 1_000)).collect();
    log.append(0, &all, vec![]).unwrap();
    let numbers = |entries: Vec<LogEntry>| entries.iter().map(|e| e.sequence).collect::<Vec<_>>();
    assert_eq!(
        numbers(log.read(250, 3, 1 << 20).unwrap()),
        [250, 251, 252],
        "max_entries"
    );
    let by_bytes = numbers(log.read(1, 300, 5_000).unwrap());
    assert!((4..=6).contains(&by_bytes.len()), "max_bytes: {by_bytes:?}");
    assert_eq!(
        numbers(log.read(255, 1, 1).unwrap()),
        [255],
        "at least one entry"
    );
    assert_eq!(
        numbers(log.read(256, 2, 1 << 20).unwrap()),
        [256, 257],
        "order is numeric"
    );
    assert_eq!(
        numbers(log.read(301, 10, 1 << 20).unwrap()),
        [] as [u64; 0],
        "past the head is empty"
    );
}

fn trimming_keeps_the_head(subject: &mut Subject) {
    {
        let (log, _) = (subject.open)();
        let all: Vec<LogEntry> = (1..=20).map(|sequence| entry(sequence, 8)).collect();
        log.append(0, &all, vec![]).unwrap();
        log.trim(11).unwrap();
        assert_eq!(log.oldest(), Ok(11));
        assert!(
            matches!(
                log.read(10, 5, 1 << 20),
                Err(Error::Bound { limit: 11, .. })
            ),
            "a gap is an error"
        );
        assert_eq!(log.read(11, 1, 1 << 20).unwrap()[0].sequence, 11);
        log.trim(1_000).unwrap();
        assert_eq!(log.head(), Ok(20), "trimming everything keeps the head");
    }
    let (log, _) = (subject.open)();
    assert_eq!(log.head(), Ok(20), "also across opening");
    assert_eq!(
        log.append(20, &[entry(21, 8)], vec![]),
        Ok(()),
        "numbers go on"
    );
}

/// The record that an entry leaves at a key.
fn record(version: u64, size: usize) -> Bytes {
    let record = Record {
        version,
        created_at_ms: 1,
        updated_at_ms: version,
        deleted: Some("x".repeat(size)),
        display: None,
        template: None,
        value_count: 0,
        values: Bytes::new(),
    };
    record.encode()
}

fn replaced_records_stay_in_their_entries(subject: &mut Subject) {
    let row = |family, key: Bytes, value: Bytes| Mutation {
        family,
        key,
        value: Some(value),
    };
    // Each key with the version of the record that is replaced there.
    let change = |sequence, keys: &[(&'static str, u64)]| LogEntry {
        change: Some(Change::Identifiers(IdentifierChanges {
            items: keys
                .iter()
                .map(|(key, replaced)| IdentifierChange {
                    key: Bytes::from_static(key.as_bytes()),
                    record: record(sequence, key.len()),
                    replaced: Some(*replaced),
                    enterprise: 1,
                })
                .collect(),
        })),
        ..entry(sequence, 0)
    };
    let put = |sequence, key: &'static str| {
        let value = record(sequence, key.len());
        row(
            Family::Identifiers,
            Bytes::from_static(key.as_bytes()),
            value,
        )
    };
    let superseded = |sequence, key: &'static str| {
        let value = record(sequence, key.len());
        let place = index_key(sequence, key.as_bytes());
        row(Family::Superseded, place, value)
    };
    // The second entry's items are out of order, and one of them is replaced in its own group.
    let entries = [
        change(1, &[("a", 0), ("b", 0), ("c", 0)]),
        change(2, &[("c", 1), ("bb", 0), ("b", 1)]),
        change(3, &[("b", 2)]),
        change(4, &[("a", 1)]),
    ];
    let [first, second, third, fourth] = &entries;
    {
        let (log, _) = (subject.open)();
        let rows = vec![put(1, "a"), put(1, "b"), put(1, "c")];
        log.append(0, std::slice::from_ref(first), rows).unwrap();
        let rows = vec![
            put(3, "b"),
            put(2, "bb"),
            put(2, "c"),
            superseded(1, "b"),
            superseded(1, "c"),
            superseded(2, "b"),
        ];
        log.append(1, &[second.clone(), third.clone()], rows)
            .unwrap();
        let rows = vec![put(4, "a"), superseded(1, "a")];
        log.append(3, std::slice::from_ref(fourth), rows).unwrap();
        assert_eq!(log.read(1, 10, 1 << 20), Ok(entries.to_vec()));
    }
    let (log, state) = (subject.open)();
    assert_eq!(log.read(1, 10, 1 << 20), Ok(entries.to_vec()), "reopened");
    log.trim(2).unwrap();
    assert_eq!(log.read(2, 10, 1 << 20), Ok(entries[1..].to_vec()));
    log.trim(4).unwrap();
    assert_eq!(log.read(4, 10, 1 << 20), Ok(entries[3..].to_vec()));
    for (version, key) in [(1, &b"b"[..]), (1, b"c"), (2, b"b")] {
        assert_eq!(
            state(Family::Superseded, &index_key(version, key)),
            None,
            "what only forgotten entries tell of, and replaced, goes with them"
        );
    }
}
