//! The schedule under a clock that jumps.

use crate::upward::escrow::entry::{Deposit, RECENT, Status};
use crate::upward::escrow::make::deposit_id;
use crate::upward::escrow::schedule::{BACKOFF_MS, Due, Plan, Standing};
use idnode_proto::calendar::civil;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// 2026-11-28, 08:00 in Beijing: the beginning of an escrow day.
const EIGHT: u64 = 1_795_824_000_000;

const PLAN: Plan = Plan {
    begins_at_min: 8 * 60,
    full_every: 7,
};

/// A node that deposits whatever is due whenever it looks at its clock.
#[derive(Default)]
struct Node {
    log: Vec<Deposit>,
}

impl Node {
    fn due(&self, now_ms: u64) -> Due {
        PLAN.due(self.log.iter(), Standing::REGISTERED, now_ms)
    }

    /// Looks every ten minutes from one time to another.
    fn live(&mut self, from: u64, to: u64) {
        for now in (from..to).step_by(10 * 60_000) {
            self.look(now);
        }
    }

    fn look(&mut self, now: u64) {
        if let Due::Make(mut entry) = self.due(now) {
            entry.set_status(Status::Accepted);
            entry.revision = self.log.len() as u64;
            self.log.push(*entry);
        }
    }

    /// Counted from the day that begins at [`EIGHT`].
    fn days(&self) -> Vec<i64> {
        let first = PLAN.day(EIGHT).cast_signed();
        self.log
            .iter()
            .map(|it| it.day.cast_signed() - first)
            .collect()
    }
}

#[test]
fn a_day_begins_at_its_time_in_beijing() {
    assert_eq!(civil(PLAN.day(EIGHT)), (2026, 11, 28));
    assert_eq!(civil(PLAN.day(EIGHT - 1)), (2026, 11, 27));
    assert_eq!(civil(PLAN.day(EIGHT + DAY - 1)), (2026, 11, 28));
}

#[test]
fn every_day_has_one_deposit_and_every_seventh_is_full() {
    let mut node = Node::default();
    node.live(EIGHT - HOUR, EIGHT + 15 * DAY);
    let expected: Vec<i64> = (-1..15).collect();
    assert_eq!(node.days(), expected);
    let full: Vec<usize> = (0..16).filter(|at| node.log[*at].full).collect();
    assert_eq!(full, [0, 7, 14]);
    let ten_minutes = 10 * 60_000;
    assert!(
        node.log[1..]
            .iter()
            .all(|it| it.started_ms % DAY < ten_minutes)
    );
    assert!(
        node.log
            .windows(2)
            .all(|two| two[1].prev_id == two[0].id && two[1].number == two[0].number + 1)
    );
    assert!(
        node.log
            .windows(2)
            .all(|two| two[1].full || two[1].since == two[0].revision)
    );
}

#[test]
fn a_clock_that_goes_back_an_hour_neither_skips_nor_doubles() {
    // Across the day's beginning, with and without a deposit the day before.
    for begin in [EIGHT - 3 * HOUR, EIGHT] {
        let mut node = Node::default();
        node.live(begin, EIGHT + HOUR / 2);
        let before = node.days().len();
        node.live(EIGHT - HOUR / 2, EIGHT + 2 * DAY + HOUR);
        let after = node.days();
        assert_eq!(after[before..], [1, 2], "{begin}");
    }
}

#[test]
fn a_clock_that_leaps_a_day_ahead_and_back_neither_skips_nor_doubles() {
    let mut node = Node::default();
    node.live(EIGHT, EIGHT + 2 * HOUR);
    node.live(EIGHT + DAY + 2 * HOUR, EIGHT + DAY + 3 * HOUR);
    node.live(EIGHT + 3 * HOUR, EIGHT + 4 * DAY);
    assert_eq!(node.days(), [0, 1, 2, 3]);
    let mut stayed = Node::default();
    stayed.live(EIGHT, EIGHT + 2 * HOUR);
    stayed.live(EIGHT + DAY + 2 * HOUR, EIGHT + 4 * DAY);
    assert_eq!(stayed.days(), [0, 1, 2, 3]);
}

#[test]
fn a_clock_that_leaps_a_month_ahead_and_back_does_not_stop_deposits() {
    let mut node = Node::default();
    node.live(EIGHT, EIGHT + 2 * HOUR);
    node.live(EIGHT + 30 * DAY, EIGHT + 30 * DAY + HOUR);
    node.live(EIGHT + 3 * HOUR, EIGHT + 33 * DAY);
    let expected: Vec<i64> = [0, 30].into_iter().chain(1..33).collect();
    assert_eq!(node.days(), expected);
    let ids: std::collections::HashSet<String> = node.log.iter().map(deposit_id).collect();
    assert_eq!(ids.len(), node.log.len());
    // Whatever the clock said, each follows the one that was made before it.
    assert!(
        node.log
            .windows(2)
            .all(|two| two[1].full || two[1].since == two[0].revision)
    );
    let mut stayed = Node::default();
    stayed.live(EIGHT, EIGHT + HOUR);
    stayed.live(EIGHT + 30 * DAY, EIGHT + 32 * DAY);
    assert_eq!(stayed.days(), [0, 30, 31]);
}

#[test]
fn what_was_begun_is_finished_first() {
    let mut node = Node::default();
    node.look(EIGHT);
    node.log[0].set_status(Status::Making);
    let Due::Make(again) = node.due(EIGHT + 1) else {
        panic!("it is not made again")
    };
    assert_eq!(
        (again.number, again.day, again.full),
        (1, node.log[0].day, true)
    );
    node.log[0].set_status(Status::Sending);
    let sending = node.log[0].clone();
    // Days later too: nothing is made while one waits to be sent.
    for now in [EIGHT, EIGHT + 5 * DAY] {
        assert_eq!(node.due(now), Due::Send(Box::new(sending.clone())));
    }
    node.log[0] = sending.after_failure("no route".into(), EIGHT, BACKOFF_MS);
    assert_eq!(node.due(EIGHT + BACKOFF_MS.0 - 1), Due::Nothing);
    assert!(matches!(node.due(EIGHT + BACKOFF_MS.0), Due::Send(_)));
    // A clock that has gone back does not make it wait until then.
    assert!(matches!(node.due(EIGHT - 2 * DAY), Due::Send(_)));
}

#[test]
fn waits_grow_to_a_bound() {
    let mut entry = Deposit::default();
    let waits: Vec<u64> = (0..40)
        .map(|_| {
            entry = entry.clone().after_failure(String::new(), 0, BACKOFF_MS);
            entry.next_try_ms
        })
        .collect();
    assert_eq!(waits[..3], [1_000, 2_000, 4_000]);
    assert!(waits[12..].iter().all(|wait| *wait == BACKOFF_MS.1));
}

#[test]
fn a_refused_deposit_is_followed_by_a_full_one_at_once() {
    let mut node = Node::default();
    node.look(EIGHT);
    node.look(EIGHT + DAY);
    assert!(!node.log[1].full);
    node.log[1].set_status(Status::Refused);
    let Due::Make(next) = node.due(EIGHT + DAY + HOUR) else {
        panic!("nothing follows")
    };
    assert!(next.full);
    assert_eq!((next.number, next.order, next.prev_id.as_str()), (3, 1, ""));
    node.log[1].next_try_ms = EIGHT + DAY + 2 * HOUR;
    assert_eq!(node.due(EIGHT + DAY + HOUR + 1), Due::Nothing);
}

#[test]
fn a_prefix_that_is_gone_has_one_last_deposit() {
    let mut node = Node::default();
    let standing = Standing {
        registered: false,
        ..Standing::REGISTERED
    };
    let gone = |node: &Node, now| PLAN.due(node.log.iter(), standing, now);
    assert_eq!(gone(&node, EIGHT), Due::Nothing);
    node.look(EIGHT);
    let Due::Make(mut last) = gone(&node, EIGHT + DAY) else {
        panic!("it is not told")
    };
    assert!(last.closes && !last.full);
    last.set_status(Status::Sent);
    node.log.push(*last);
    assert_eq!(gone(&node, EIGHT + 2 * DAY), Due::Nothing);
    // Registered again, it begins anew.
    node.look(EIGHT + 3 * DAY);
    assert!(node.log[2].full);
}

#[test]
fn who_asks_gets_a_deposit_now() {
    let mut node = Node::default();
    node.look(EIGHT);
    for (full, asked) in [(false, Some(false)), (true, Some(true))] {
        let standing = Standing {
            asked,
            ..Standing::REGISTERED
        };
        let Due::Make(entry) = PLAN.due(node.log.iter(), standing, EIGHT + HOUR) else {
            panic!("none is made")
        };
        assert_eq!((entry.full, entry.order), (full, 1));
    }
}

#[test]
fn no_two_deposits_of_a_day_have_one_place() {
    // More than the entries that decide: only the last ones are there.
    let mut node = Node::default();
    for number in 0..40 {
        let standing = Standing {
            asked: Some(false),
            ..Standing::REGISTERED
        };
        let recent = node.log.len().saturating_sub(RECENT);
        let Due::Make(mut entry) = PLAN.due(node.log[recent..].iter(), standing, EIGHT + number)
        else {
            panic!("none is made")
        };
        entry.set_status(Status::Accepted);
        entry.revision = 7;
        node.log.push(*entry);
    }
    let ids: std::collections::HashSet<String> = node.log.iter().map(deposit_id).collect();
    assert_eq!(ids.len(), 40);
}

#[test]
fn a_day_has_as_many_deposits_as_an_id_tells_apart() {
    let mut node = Node::default();
    node.look(EIGHT);
    node.log[0].order = 36 * 36 - 1;
    let standing = Standing {
        asked: Some(true),
        ..Standing::REGISTERED
    };
    let due = |now| PLAN.due(node.log.iter(), standing, now);
    assert_eq!(due(EIGHT + HOUR), Due::Nothing);
    assert!(matches!(due(EIGHT + DAY), Due::Make(entry) if entry.order == 0));
}

#[test]
fn what_may_have_left_the_node_is_not_made_again_under_its_name() {
    let mut node = Node::default();
    node.look(EIGHT);
    node.log[0].set_status(Status::Failed);
    let again = |node: &Node| match node.due(EIGHT + HOUR) {
        Due::Make(entry) => (entry.number, entry.order),
        other => panic!("{other:?}"),
    };
    // It has no name yet: nothing of it left.
    assert_eq!(again(&node), (1, 0));
    node.log[0].id = deposit_id(&node.log[0]);
    assert_eq!(again(&node), (1, 1));
}

#[test]
fn a_prefix_that_is_gone_is_closed_whatever_was_refused() {
    let standing = Standing {
        registered: false,
        ..Standing::REGISTERED
    };
    let gone = |node: &Node, now| PLAN.due(node.log.iter(), standing, now);
    // Its last deposit was refused: an empty FULL one follows, again and again if need be.
    let mut node = Node::default();
    node.look(EIGHT);
    node.look(EIGHT + DAY);
    node.log[1].set_status(Status::Refused);
    for round in 0..3 {
        let Due::Make(mut last) = gone(&node, EIGHT + DAY + HOUR + round) else {
            panic!("it is not told")
        };
        assert!(last.closes && last.full && last.prev_id.is_empty());
        last.set_status(Status::Refused);
        node.log.push(*last);
    }
    // It was not made, or is being made, and is the first: it is closed too.
    for status in [Status::Making, Status::Failed] {
        let mut node = Node::default();
        node.look(EIGHT);
        node.log[0].set_status(status);
        let Due::Make(last) = gone(&node, EIGHT + HOUR) else {
            panic!("it is not told")
        };
        assert!(last.closes && last.full && last.number == 1);
    }
    // At once, not on the next day.
    let mut node = Node::default();
    node.look(EIGHT);
    assert!(matches!(gone(&node, EIGHT + HOUR), Due::Make(last) if last.closes && !last.full));
}

#[test]
fn what_has_moved_is_told_on_the_same_day() {
    let mut node = Node::default();
    node.look(EIGHT);
    let standing = Standing {
        moved: true,
        ..Standing::REGISTERED
    };
    assert!(matches!(
        PLAN.due(node.log.iter(), standing, EIGHT + HOUR),
        Due::Make(_)
    ));
    // Not before the time of what has failed, however often is looked.
    node.log[0].set_status(Status::Failed);
    node.log[0].next_try_ms = EIGHT + 2 * HOUR;
    let due = PLAN.due(node.log.iter(), standing, EIGHT + HOUR + 1);
    assert_eq!(due, Due::Nothing);
}
