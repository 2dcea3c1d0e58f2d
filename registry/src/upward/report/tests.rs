#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::events::{Events, Turn};
use super::outbox::{Outbox, Outcome};
use crate::store::{Store, StoreOptions};
use crate::upward::Journal;
use idnode_proto::api::{FaultState, FaultType, ReportState};
use idnode_proto::report::Kind;
use std::sync::Arc;

const NOW_MS: u64 = 1_795_795_200_000;

fn journal(dir: &std::path::Path) -> Journal {
    if !dir.join("CURRENT").exists() {
        Store::create(dir).unwrap();
    }
    Journal::new(Arc::new(
        Store::open(dir, &StoreOptions::default()).unwrap(),
    ))
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
        let first = outbox.next().unwrap().unwrap();
        outbox
            .close(&first, &Outcome::Failed("down".into()), NOW_MS)
            .unwrap();
        assert_eq!(outbox.next().unwrap().unwrap(), first);
        outbox.close(&first, &Outcome::Taken, NOW_MS).unwrap();
        let second = outbox.next().unwrap().unwrap();
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
    let next = outbox.next().unwrap().unwrap();
    assert_ne!(next.report.key, refused[0].key);
    outbox.close(&next, &Outcome::Taken, NOW_MS).unwrap();
    assert_eq!(outbox.next().unwrap().unwrap().report.key, refused[0].key);
    // What was taken is forgotten when it is old; what was not is not.
    outbox.forget(Kind::Fault, NOW_MS + 1).unwrap();
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
