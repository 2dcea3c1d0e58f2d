#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::events::{Events, Turn};
use super::outbox::{Next, Outbox, Outcome, Pending};
use crate::store::{Store, StoreOptions};
use crate::upward::Journal;
use idnode_proto::api::{FaultState, FaultType, ReportState};
use idnode_proto::report::Kind;
use std::sync::Arc;
use std::time::Duration;

const NOW_MS: u64 = 1_795_795_200_000;

fn journal(dir: &std::path::Path) -> Journal {
    if !dir.join("CURRENT").exists() {
        Store::create(dir).unwrap();
    }
    Journal::new(Arc::new(
        Store::open(dir, &StoreOptions::default()).unwrap(),
    ))
}

/// What is to be sent now.
fn next(outbox: &Outbox) -> Option<Pending> {
    match outbox.next(NOW_MS).unwrap() {
        Next::Send(pending) => Some(*pending),
        Next::Wait(_) | Next::Nothing => None,
    }
}

fn turn(check: &'static str, faulty: bool) -> Turn {
    Turn {
        check,
        kind: FaultType::System,
        faulty,
        since_ms: NOW_MS - 1_000,
        cause: "as it was seen".into(),
    }
}

#[test]
fn events_are_numbered_related_and_told_once_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    {
        let journal = journal(dir.path());
        let (outbox, events) = (
            Outbox::open(journal.clone()).unwrap(),
            Events::open(journal).unwrap(),
        );
        let tell = |turn| events.tell(&outbox, "n", &turn, NOW_MS, 0).unwrap();
        assert_eq!(tell(turn("disk", false)), None);
        assert_eq!(tell(turn("disk", true)), Some(1));
        assert_eq!(tell(turn("disk", true)), None);
        assert_eq!(tell(turn("dns", true)), Some(2));
        assert_eq!(outbox.counts(), (2, 0));
    }
    let journal = journal(dir.path());
    let (outbox, events) = (
        Outbox::open(journal.clone()).unwrap(),
        Events::open(journal).unwrap(),
    );
    let tell = |turn| events.tell(&outbox, "n", &turn, NOW_MS + 5, 0).unwrap();
    assert_eq!(events.faulty().len(), 2);
    assert_eq!(tell(turn("disk", true)), None);
    assert_eq!(tell(turn("disk", false)), Some(3));
    let newest = events.newest(2).unwrap();
    assert_eq!((newest[0].number, newest[0].related_number), (3, 1));
    assert_eq!(newest[0].state(), FaultState::Recovery);
    assert_eq!(newest.len(), 2);
    let incidents = events.incidents(NOW_MS - 9, NOW_MS + 9, 10).unwrap();
    let ends: Vec<_> = incidents.iter().map(|it| it.ends_at.is_some()).collect();
    assert_eq!(ends, [true, false]);
    assert_eq!(outbox.counts(), (3, 0));
}

#[test]
fn a_report_is_on_its_way_until_it_is_taken_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    {
        let journal = journal(dir.path());
        let (outbox, events) = (
            Outbox::open(journal.clone()).unwrap(),
            Events::open(journal).unwrap(),
        );
        for check in ["disk", "dns", "http"] {
            events
                .tell(&outbox, "n", &turn(check, true), NOW_MS, 0)
                .unwrap();
        }
        let first = next(&outbox).unwrap();
        outbox
            .close(&first, &Outcome::Failed("down".into()), NOW_MS)
            .unwrap();
        assert_eq!(next(&outbox).unwrap(), first);
        outbox.close(&first, &Outcome::Taken, NOW_MS).unwrap();
        let second = next(&outbox).unwrap();
        assert_ne!(second.report.key, first.report.key);
        outbox
            .close(&second, &Outcome::Refused("a: b".into()), NOW_MS)
            .unwrap();
    }
    let outbox = Outbox::open(journal(dir.path())).unwrap();
    assert_eq!(outbox.counts(), (1, 1));
    let listed = |state| outbox.list(Some(Kind::Fault), state, "", 10).unwrap().rows;
    assert_eq!(listed(None).len(), 3);
    let refused = listed(Some(ReportState::Refused));
    assert_eq!((refused[0].attempts, &*refused[0].last_error), (1, "a: b"));
    let taken = listed(Some(ReportState::Taken));
    assert_eq!(taken[0].attempts, 2);
    // A page at a time.
    let page = outbox.list(None, None, "", 2).unwrap();
    let rest = outbox.list(None, None, &page.next.unwrap(), 2).unwrap();
    assert_eq!((page.rows.len(), rest.rows.len()), (2, 1));
    // Put back, behind the others.
    assert!(outbox.resend(&taken[0].key).unwrap().is_none());
    outbox.resend(&refused[0].key).unwrap().unwrap();
    assert_eq!(outbox.counts(), (2, 0));
    let behind = next(&outbox).unwrap();
    assert_ne!(behind.report.key, refused[0].key);
    outbox.close(&behind, &Outcome::Taken, NOW_MS).unwrap();
    assert_eq!(next(&outbox).unwrap().report.key, refused[0].key);
    // What was taken is forgotten when it is old; what was not is not.
    outbox.forget(Kind::Fault, "", NOW_MS + 1).unwrap();
    assert_eq!(outbox.list(None, None, "", 10).unwrap().rows.len(), 1);
}

#[test]
fn a_report_that_breaks_a_rule_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(journal(dir.path())).unwrap();
    let key = idnode_proto::report::ReportKey::of_event(1, NOW_MS);
    let bare = key.report("n", NOW_MS, 0);
    outbox
        .put(vec![bare.clone(), bare.clone()], Vec::new(), NOW_MS)
        .unwrap();
    assert_eq!(outbox.counts(), (0, 1));
    let row = outbox.get(&bare.key).unwrap().unwrap();
    assert_eq!(row.state(), ReportState::Refused);
    assert!(
        row.last_error.starts_with("not sent: body"),
        "{}",
        row.last_error
    );
}

/// The outbox and the events of a journal with `count` faults of checks by turns, told but not sent.
fn with_faults(journal: &Journal, count: u64) -> (Outbox, Events) {
    let outbox = Outbox::open(journal.clone()).unwrap();
    let events = Events::open(journal.clone()).unwrap();
    for number in 0..count {
        let turn = turn("disk", number % 2 == 0);
        let told = events.tell(&outbox, "n", &turn, NOW_MS + number, 0);
        assert_eq!(told.unwrap(), Some(number + 1));
    }
    (outbox, events)
}

fn forget_all(outbox: &Outbox, before_ms: u64) {
    let mut after = String::new();
    while let Some(last) = outbox.forget(Kind::Fault, &after, before_ms).unwrap() {
        after = last;
    }
}

#[test]
fn what_waits_keeps_nothing_behind_it_from_being_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    // More that wait than are looked at in one go, and behind them one taken and one refused.
    let (outbox, _) = with_faults(&journal, 516);
    let mut pending = Vec::new();
    let rows = |outbox: &Outbox| outbox.list(None, None, "", 2_000).unwrap().rows.len();
    while let Some(next) = next(&outbox) {
        let outcome = match next.report.scope.as_str() {
            "515" => Outcome::Taken,
            "516" => Outcome::Refused("a: b".into()),
            // Put back behind the others, as far as this test needs it.
            _ => Outcome::Refused("later".into()),
        };
        outbox.close(&next, &outcome, NOW_MS + 5_000).unwrap();
        if outcome == Outcome::Refused("later".into()) {
            pending.push(next.report.key);
        }
    }
    for key in &pending {
        outbox.resend(key).unwrap().unwrap();
    }
    assert_eq!(outbox.counts(), (514, 1));
    forget_all(&outbox, NOW_MS + 515);
    assert_eq!((rows(&outbox), outbox.counts()), (515, (514, 1)));
    forget_all(&outbox, NOW_MS + 5_000);
    assert_eq!((rows(&outbox), outbox.counts()), (514, (514, 0)));
    // And what is left can be sent, after a restart, too.
    let again = Outbox::open(journal).unwrap();
    assert_eq!(again.counts(), (514, 0));
    assert_eq!(next(&again).unwrap().report.key, pending[0]);
}

#[test]
fn events_that_are_over_are_forgotten_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let (outbox, events) = with_faults(&journal, 1_299);
    // The last one is a fault that is not over; the one before is its predecessor's recovery.
    events.forget(NOW_MS + 1_100).unwrap();
    let left = events.newest(10_000).unwrap();
    let numbers: Vec<u64> = left.iter().rev().map(|it| it.number).collect();
    assert_eq!(numbers, (1_101..=1_299).collect::<Vec<_>>());
    events.forget(NOW_MS + 10_000).unwrap();
    let left = events.newest(10_000).unwrap();
    assert_eq!(left.iter().map(|it| it.number).collect::<Vec<_>>(), [1_299]);
    let events = Events::open(journal).unwrap();
    assert_eq!(events.faulty().get("disk"), Some(&1_299));
    let over = events.tell(&outbox, "n", &turn("disk", false), NOW_MS + 9_000, 0);
    assert_eq!(over.unwrap(), Some(1_300));
}

#[test]
fn one_who_resends_is_the_only_one() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let (outbox, _) = with_faults(&journal, 1);
    for _ in 0..100 {
        let sent = next(&outbox).unwrap();
        let refused = Outcome::Refused("a: b".into());
        outbox.close(&sent, &refused, NOW_MS).unwrap();
        let (start, key) = (std::sync::Barrier::new(4), &sent.report.key);
        let resent: usize = std::thread::scope(|scope| {
            let resend = || {
                start.wait();
                usize::from(outbox.resend(key).unwrap().is_some())
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(resend)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!(resent, 1);
        assert_eq!(outbox.counts(), (1, 0));
    }
}

#[test]
fn what_is_answered_by_errors_of_its_own_steps_aside() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let (outbox, _) = with_faults(&journal, 3);
    let minute = Duration::from_secs(60);
    let errored = Outcome::Errored("internal: no".into(), minute);
    let sent = |outbox: &Outbox, now_ms| match outbox.next(now_ms).unwrap() {
        Next::Send(pending) => *pending,
        other => panic!("{other:?}"),
    };
    let first = sent(&outbox, NOW_MS);
    // It keeps its place at first, and for as long as the server is away.
    for _ in 0..2 {
        assert_eq!(outbox.close(&first, &errored, NOW_MS).unwrap(), None);
        let failed = Outcome::Failed("unavailable: ".into());
        assert_eq!(outbox.close(&first, &failed, NOW_MS).unwrap(), None);
        assert_eq!(sent(&outbox, NOW_MS), first);
    }
    assert_eq!(outbox.close(&first, &errored, NOW_MS).unwrap(), Some(3));
    assert_eq!((outbox.counts(), outbox.aside()), ((3, 0), 1));
    let row = outbox.get(&first.report.key).unwrap().unwrap();
    assert_eq!((row.state(), row.attempts), (ReportState::Pending, 5));
    assert_eq!(row.aside_until.unwrap().seconds, NOW_MS as i64 / 1_000 + 60);
    // The others go on, also when its time has come.
    for _ in 0..2 {
        let other = sent(&outbox, NOW_MS + 90_000);
        assert_ne!(other.report.key, first.report.key);
        outbox.close(&other, &Outcome::Taken, NOW_MS).unwrap();
    }
    assert_eq!(outbox.next(NOW_MS).unwrap(), Next::Wait(NOW_MS + 60_000));
    // Each error makes the wait twice as long, up to an hour.
    let mut now_ms = NOW_MS + 60_000;
    for minutes in [2, 4, 8, 16, 32, 60, 60] {
        let again = sent(&outbox, now_ms);
        assert_eq!(again.report, first.report);
        assert!(outbox.close(&again, &errored, now_ms).unwrap().is_some());
        let until_ms = now_ms + minutes * 60_000;
        assert_eq!(outbox.next(now_ms).unwrap(), Next::Wait(until_ms));
        now_ms = until_ms;
    }
    assert_eq!((outbox.counts(), outbox.aside()), ((1, 0), 1));
    // A new process sends it in its place, and one more error is enough.
    let outbox = Outbox::open(journal).unwrap();
    assert_eq!((outbox.counts(), outbox.aside()), ((1, 0), 0));
    let again = sent(&outbox, NOW_MS);
    assert!(outbox.close(&again, &errored, NOW_MS).unwrap().is_some());
    let again = sent(&outbox, now_ms + 3_600_000);
    outbox.close(&again, &Outcome::Taken, now_ms).unwrap();
    assert_eq!(outbox.next(now_ms).unwrap(), Next::Nothing);
    assert_eq!((outbox.counts(), outbox.aside()), ((0, 0), 0));
    let row = outbox.get(&first.report.key).unwrap().unwrap();
    assert_eq!((row.state(), row.aside_until), (ReportState::Taken, None));
}
