//! Merging: everything once, whatever is cut off; what can't be merged is kept with both versions.

use super::{notice, registration};
use crate::enterprise::EnterpriseId;
use crate::quota::Quota;
use crate::record::Record;
use crate::tests::support::{Node, create, delete, text, update};
use crate::upward::Uplink;
use crate::upward::takeover::merge::merge;
use crate::upward::takeover::records::{ConflictId, Records, State};
use crate::upward::takeover::settle::{Keep, settle};
use crate::write::Command;
use crate::{Error, Sequence};
use idnode_proto::api::TakeoverConflictKind as Kind;
use idnode_proto::api::TakeoverOperation::{Create, Delete, Modify};
use idnode_proto::api::{TakeoverPhase, TakeoverRegistration, TakeoverSettlement};
use idnode_proto::value::Values;

fn records(node: &Node) -> Records {
    Records(node.registry().journal())
}

/// The national node hands so many registrations back.
fn hand_back(node: &Node, registrations: u64) -> State {
    let state = State {
        notice: Some(notice(1, 2, TakeoverPhase::HandingBack, registrations)),
        ..State::default()
    };
    records(node).commit(&state, Vec::new()).unwrap();
    let held = node.registry().hold(state.held().unwrap());
    node.runtime.block_on(held).unwrap();
    state
}

fn over(node: &Node) {
    let done = node.registry().hold(None);
    node.runtime.block_on(done).unwrap();
}

fn merge_one(node: &Node, state: &mut State, wire: TakeoverRegistration) {
    let records = records(node);
    let merged = merge(node.registry(), &records, state, wire);
    node.runtime.block_on(merged).unwrap();
}

fn merge_all(node: &Node, told: &[TakeoverRegistration]) -> State {
    let mut state = records(node).state().unwrap();
    for wire in told
        .iter()
        .filter(|it| it.number > state.merged)
        .cloned()
        .collect::<Vec<_>>()
    {
        merge_one(node, &mut state, wire);
    }
    assert_eq!(records(node).state().unwrap(), state);
    state
}

fn here(node: &Node, identifier: &str) -> Option<Record> {
    let key = identifier
        .parse::<idnode_proto::identifier::Identifier>()
        .unwrap();
    node.registry().read(key.key()).unwrap().1
}

fn version(node: &Node, identifier: &str) -> Sequence {
    here(node, identifier).unwrap().version
}

fn conflict(node: &Node, number: u64) -> idnode_proto::api::TakeoverConflict {
    let id = ConflictId { epoch: 1, number };
    records(node).conflict(id).unwrap().unwrap().conflict
}

#[test]
fn what_was_registered_there_is_registered_here_by_the_node() {
    let node = Node::with_prefixes(&["88.118.8"]);
    node.write(create("88.118.8/OLD", "old"));
    node.write(create("88.118.8/GONE", "old"));
    let known = node.registry().applied();
    hand_back(&node, 5);
    let told = [
        registration(1, Create, "88.118.8/NEW", "first", known),
        registration(2, Modify, "88.118.8/NEW", "second", known),
        registration(3, Modify, "88.118.8/OLD", "changed", known),
        registration(4, Delete, "88.118.8/GONE", "停产", known),
        registration(5, Create, "88.118.8/GONE", "again", known),
    ];
    let state = merge_all(&node, &told);
    assert_eq!((state.merged, state.applied, state.conflicts), (5, 5, 0));
    for (name, expected) in [("NEW", "second"), ("OLD", "changed"), ("GONE", "again")] {
        let record = here(&node, &format!("88.118.8/{name}")).unwrap();
        assert_eq!(text(&record), expected);
    }
    let actors: Vec<String> = (known + 1..=node.registry().applied())
        .map(|at| {
            node.registry().log().read(at, 1, 1 << 20).unwrap()[0]
                .actor
                .clone()
        })
        .collect();
    assert_eq!(actors, ["node"; 5]);
}

#[test]
fn what_is_cut_off_anywhere_is_merged_once() {
    // Before the write is told, after it, and after what has become of it is told: everything is
    // there that a crash leaves behind at these points.
    let mut node = Node::with_prefixes(&["88.118.8"]);
    node.write(create("88.118.8/OLD", "old"));
    let known = node.registry().applied();
    hand_back(&node, 3);
    let told = [
        registration(1, Create, "88.118.8/NEW", "new", known),
        registration(2, Modify, "88.118.8/OLD", "changed", known),
        registration(3, Delete, "88.118.8/NEW", "", known),
    ];
    for done in &told {
        let before = records(&node).state().unwrap();
        let mut state = before.clone();
        merge_one(&node, &mut state, done.clone());
        let written = node.registry().applied();
        // As if the process had ended between the write and its row in the journal.
        let pending = crate::upward::takeover::records::Pending {
            number: done.number,
            before: match done.number {
                1 => 0,
                2 => known,
                _ => known + 1,
            },
        };
        let cut = State {
            pending: Some(pending),
            ..before
        };
        records(&node).commit(&cut, Vec::new()).unwrap();
        node.reopen();
        let mut again = records(&node).state().unwrap();
        merge_one(&node, &mut again, done.clone());
        assert_eq!(again, state, "registration {}", done.number);
        assert_eq!(node.registry().applied(), written, "written twice");
    }
    assert!(
        node.registry().held().is_some(),
        "it is kept to after a restart"
    );
    assert_eq!(node.refusal(create("88.118.8/B", "b")), "PREFIX_TAKEN_OVER");
}

#[test]
fn both_versions_of_a_conflict_are_kept_and_one_is_settled_on() {
    let node = Node::with_prefixes(&["88.118.8"]);
    for name in ["A", "B", "C"] {
        node.write(create(&format!("88.118.8/{name}"), "old"));
    }
    let known = node.registry().applied();
    // What the national node was not told of before it took over.
    node.write(create("88.118.8/NEW", "here"));
    node.write(update("88.118.8/A", "here", None));
    node.write(delete("88.118.8/B", None));
    node.write(update("88.118.8/C", "here", None));
    hand_back(&node, 6);
    let told = [
        registration(1, Create, "88.118.8/NEW", "theirs", known),
        registration(2, Modify, "88.118.8/A", "theirs", known),
        registration(3, Modify, "88.118.8/B", "theirs", known),
        registration(4, Delete, "88.118.8/C", "停产", known),
        registration(5, Modify, "88.118.8/NEW", "later", known),
        registration(6, Create, "no identifier", "x", known),
    ];
    let state = merge_all(&node, &told);
    assert_eq!((state.applied, state.conflicts), (0, 6));
    let kinds: Vec<Kind> = (1..=6)
        .map(|number| conflict(&node, number).kind())
        .collect();
    use Kind::{ChangedHere, DeletedHere, ExistsHere, FollowsConflict, RefusedHere};
    let expected = [
        ExistsHere,
        ChangedHere,
        DeletedHere,
        ChangedHere,
        FollowsConflict,
        RefusedHere,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(
        conflict(&node, 1).settlement(),
        TakeoverSettlement::Followed
    );
    let second = conflict(&node, 2);
    let both = [second.here.unwrap().values, second.theirs.unwrap().values];
    let both = both.map(|it| Values::all(&it).next().unwrap().unwrap().data().to_vec());
    assert_eq!(both, [b"here".to_vec(), b"theirs".to_vec()]);
    settles(&node);
}

fn settles(node: &Node) {
    let uplink = Uplink::new(node.registry().journal());
    let decide = |number, keep| {
        let id = ConflictId { epoch: 1, number };
        node.runtime
            .block_on(settle(node.registry(), &uplink, id, keep))
    };
    let early = decide(2, Keep::Theirs).unwrap_err();
    assert!(matches!(early, Error::TakenOver { .. }), "{early}");
    over(node);
    let head = node.registry().applied();
    for number in [2, 3, 4] {
        decide(number, Keep::Here).unwrap();
    }
    assert_eq!(node.registry().applied(), head, "the node's version stays");
    let twice = decide(2, Keep::Theirs).unwrap_err();
    assert_eq!(twice.reason(), "CONFLICT_STATE");
    assert_eq!(
        decide(9, Keep::Here).unwrap_err().reason(),
        "CONFLICT_NOT_FOUND"
    );
    let fifth = decide(5, Keep::Theirs).unwrap();
    assert_eq!(text(&here(node, "88.118.8/NEW").unwrap()), "later");
    assert_eq!(fifth.settlement(), TakeoverSettlement::Theirs);
    let refused = decide(6, Keep::Theirs).unwrap_err();
    assert_eq!(refused.reason(), "INVALID");
    decide(6, Keep::Here).unwrap();
    let open = records(node).conflicts(None, false, 9).unwrap();
    assert_eq!(open, []);
    assert_eq!(records(node).untold(9).unwrap().len(), 6);
}

#[test]
fn theirs_is_registered_whatever_was_here() {
    let node = Node::with_prefixes(&["88.118.8"]);
    for name in ["A", "B", "C"] {
        node.write(create(&format!("88.118.8/{name}"), "old"));
    }
    node.write(delete("88.118.8/B", None));
    hand_back(&node, 3);
    let told = [
        registration(1, Modify, "88.118.8/A", "theirs", 0),
        registration(2, Modify, "88.118.8/B", "theirs", 0),
        registration(3, Delete, "88.118.8/C", "停产", 0),
    ];
    assert_eq!(merge_all(&node, &told).conflicts, 3);
    over(&node);
    let uplink = Uplink::new(node.registry().journal());
    for number in 1..=3 {
        let id = ConflictId { epoch: 1, number };
        let settled = settle(node.registry(), &uplink, id, Keep::Theirs);
        node.runtime.block_on(settled).unwrap();
    }
    assert_eq!(text(&here(&node, "88.118.8/A").unwrap()), "theirs");
    assert_eq!(text(&here(&node, "88.118.8/B").unwrap()), "theirs");
    assert!(!here(&node, "88.118.8/C").unwrap().is_live());
}

#[test]
fn the_rules_of_the_node_hold_for_what_was_registered_there() {
    let node = Node::with_prefixes(&["88.118.8"]);
    node.write(Command::SetQuota {
        id: EnterpriseId(1),
        quota: Quota {
            registrations: Some(1),
            ..Quota::default()
        },
        expected_version: None,
    });
    hand_back(&node, 4);
    let mut templated = registration(1, Create, "88.118.8/T", "x", 0);
    templated.template = "none".to_owned();
    let told = [
        templated,
        registration(2, Create, "88.118.8/A", "a", 0),
        registration(3, Create, "88.118.8/B", "b", 0),
        registration(4, Create, "88.118.7/A", "a", 0),
    ];
    let state = merge_all(&node, &told);
    assert_eq!((state.applied, state.conflicts), (1, 3));
    let reasons: Vec<String> = [1, 3, 4]
        .into_iter()
        .map(|number| conflict(&node, number).error.unwrap().reason)
        .collect();
    assert_eq!(
        reasons,
        [
            "TEMPLATE_NOT_FOUND",
            "QUOTA_REGISTRATIONS",
            "PREFIX_NOT_FOUND"
        ]
    );
    assert!(version(&node, "88.118.8/A") > 0);
}
