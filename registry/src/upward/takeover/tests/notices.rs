//! Whatever order notices come in, and however often: the newest is how things stand.

use super::notice;
use crate::upward::takeover::notice::{Step, take};
use crate::upward::takeover::records::State;
use idnode_proto::api::TakeoverPhase::{self, HandedBack, HandingBack, TakenOver};
use proptest::prelude::*;

fn taken(state: &State, next: &idnode_proto::api::TakeoverNotice) -> State {
    match take(state, "taiyuan", next, 5).unwrap() {
        Step::Next(next) => *next,
        Step::Known => panic!("known: {next:?}"),
    }
}

#[test]
fn a_takeover_is_followed_from_its_beginning_to_its_end() {
    let state = State::default();
    assert_eq!(state.held().unwrap(), None);
    let state = taken(&state, &notice(1, 1, TakenOver, 0));
    let held = state.held().unwrap().unwrap();
    assert_eq!((held.epoch, state.told_ms), (1, 5));
    assert_eq!(held.prefixes[0].canonical(), "88.118");
    let mut state = taken(&state, &notice(1, 2, HandingBack, 2));
    assert!(state.held().unwrap().is_some());
    let early = take(&state, "taiyuan", &notice(1, 3, HandedBack, 2), 5);
    assert!(early.unwrap_err().contains("0 of 2"));
    state.merged = 2;
    let state = taken(&state, &notice(1, 3, HandedBack, 2));
    assert_eq!(state.held().unwrap(), None);
    let state = taken(&state, &notice(2, 4, TakenOver, 0));
    assert_eq!(state.merged, 0, "another takeover begins anew");
}

#[test]
fn what_can_t_be_is_refused() {
    let state = taken(&State::default(), &notice(2, 4, TakenOver, 0));
    let refused = |change: fn(&mut idnode_proto::api::TakeoverNotice), word: &str| {
        let mut wrong = notice(2, 5, HandingBack, 0);
        change(&mut wrong);
        let reason = take(&state, "taiyuan", &wrong, 5).unwrap_err();
        assert!(reason.contains(word), "{reason}");
    };
    refused(|it| it.node = "datong".to_owned(), "datong");
    refused(|it| it.phase = 9, "phase");
    refused(|it| it.phase = 0, "phase");
    refused(|it| it.epoch = 1, "behind");
    refused(|it| it.epoch = 0, "number");
    refused(|it| it.prefixes.clear(), "0 prefixes");
    refused(|it| it.prefixes = vec!["//".to_owned()], "//");
    refused(|it| (it.revision, it.epoch) = (4, 3), "revision 4");
    refused(|it| it.revision = 4, "revision 4");
}

proptest! {
    /// Notices of one history, told in any order and any number of times, lead to its newest one.
    #[test]
    fn the_newest_counts(told in proptest::collection::vec(0..9_usize, 1..60)) {
        let phases: [(u64, TakeoverPhase); 9] = [
            (1, TakenOver), (1, TakenOver), (1, HandingBack), (1, TakenOver), (1, HandingBack),
            (1, HandedBack), (2, TakenOver), (2, HandingBack), (2, HandedBack),
        ];
        let mut state = State::default();
        let mut newest = 0;
        for at in told {
            let (epoch, phase) = phases[at];
            let revision = at as u64 + 1;
            let step = take(&state, "taiyuan", &notice(epoch, revision, phase, 0), 5).unwrap();
            match step {
                Step::Next(next) => {
                    prop_assert!(revision > newest);
                    (state, newest) = (*next, revision);
                }
                Step::Known => prop_assert!(revision <= newest),
            }
            let (epoch, phase) = phases[newest as usize - 1];
            prop_assert_eq!((state.notice().epoch, state.phase()), (epoch, phase));
            prop_assert_eq!(state.held().unwrap().is_some(), phase != HandedBack);
        }
    }
}
