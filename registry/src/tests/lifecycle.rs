//! The lifecycle of a prefix: 待审核 → 审核中 → 启用 | 驳回; 停用, 待删除.

use super::support::*;
use crate::enterprise::{EnterpriseId, ReviewAction};
use crate::prefix::PrefixAction::{self, *};
use crate::prefix::PrefixState::{self, *};
use crate::write::{Command, Outcome};
use crate::{Caller, Error};

const ACTIONS: [PrefixAction; 9] = [
    StartReview,
    Approve,
    Reject,
    Reapply,
    Suspend,
    Resume,
    MarkForDeletion,
    CancelDeletion,
    Remove,
];

/// Every state: its official name, how it is reached, and where the actions that are allowed
/// in it lead; `None`: the prefix is gone.
type Row = (
    PrefixState,
    &'static str,
    &'static [PrefixAction],
    &'static [(PrefixAction, Option<PrefixState>)],
);
const TABLE: [Row; 6] = [
    (
        PendingReview,
        "待审核",
        &[],
        &[
            (StartReview, Some(UnderReview)),
            (MarkForDeletion, Some(PendingDeletion)),
        ],
    ),
    (
        UnderReview,
        "审核中",
        &[StartReview],
        &[
            (Approve, Some(Active)),
            (Reject, Some(Rejected)),
            (MarkForDeletion, Some(PendingDeletion)),
        ],
    ),
    (
        Active,
        "启用",
        &[StartReview, Approve],
        &[
            (Suspend, Some(Suspended)),
            (MarkForDeletion, Some(PendingDeletion)),
        ],
    ),
    (
        Rejected,
        "驳回",
        &[StartReview, Reject],
        &[
            (Reapply, Some(PendingReview)),
            (MarkForDeletion, Some(PendingDeletion)),
        ],
    ),
    (
        Suspended,
        "停用",
        &[StartReview, Approve, Suspend],
        &[
            (Resume, Some(Active)),
            (MarkForDeletion, Some(PendingDeletion)),
        ],
    ),
    (
        PendingDeletion,
        "待删除",
        &[StartReview, Approve, MarkForDeletion],
        &[(CancelDeletion, Some(Suspended)), (Remove, None)],
    ),
];

/// A prefix of its own for a case of the table, brought into its state.
fn brought(node: &Node, owner: EnterpriseId, number: usize, path: &[PrefixAction]) -> String {
    let prefix = format!("88.118.{number}");
    node.write(apply(&prefix, owner));
    for action in path {
        node.write(step(&prefix, *action));
    }
    prefix
}

#[test]
fn every_action_in_every_state() {
    let node = Node::new();
    let owner = node.enterprise("one");
    let mut number = 100;
    for (state, name, path, allowed) in TABLE {
        for action in ACTIONS {
            number += 1;
            let prefix = brought(&node, owner, number, path);
            let before = node.prefix(&prefix).unwrap();
            assert_eq!(before.state(), state);
            let result = node.try_write(step(&prefix, action));
            let after = node.prefix(&prefix);
            match allowed.iter().find(|(possible, _)| *possible == action) {
                Some((_, next)) => {
                    let receipt = result.unwrap();
                    let Outcome::Prefix(left) = receipt.outcome else {
                        panic!("{state:?} {action:?}: {:?}", receipt.outcome);
                    };
                    assert_eq!(left.version, receipt.sequence, "{state:?} {action:?}");
                    assert_eq!(left.review_message, "decided");
                    match next {
                        Some(next) => {
                            assert_eq!(left.state(), *next, "{state:?} {action:?}");
                            assert_eq!(after, Ok(*left));
                        }
                        None => assert_eq!(after.unwrap_err().reason(), "PREFIX_NOT_FOUND"),
                    }
                }
                None => {
                    let error = result.unwrap_err();
                    assert_eq!(error.reason(), "PREFIX_STATE", "{state:?} {action:?}");
                    let message = error.to_string();
                    let named = message.contains(name) && message.contains(&prefix);
                    assert!(named, "{state:?} {action:?}: {message}");
                    assert_eq!(after, Ok(before), "a refused step changes nothing");
                }
            }
        }
    }
}

#[test]
fn only_active_prefixes_register() {
    let mut node = Node::new();
    let owner = node.enterprise("one");
    let prefixes: Vec<_> = TABLE
        .iter()
        .zip(100..)
        .map(|((state, name, path, _), number)| {
            (*state, *name, brought(&node, owner, number, path))
        })
        .collect();
    for reopened in [false, true] {
        if reopened {
            node.reopen();
        }
        for (state, name, prefix) in &prefixes {
            let identifier = format!("{prefix}/a-{reopened}");
            let result = node.try_write(create(&identifier, "x"));
            if *state == Active {
                result.unwrap();
                continue;
            }
            let error = result.unwrap_err();
            assert!(
                matches!(&error, Error::PrefixNotActive { state: named, .. } if named == state),
                "{error:?}"
            );
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

#[test]
fn reviewing_is_the_operators() {
    let node = Node::new();
    let owner = node.enterprise("one");
    let stranger = holder(node.enterprise("two"));
    let mut number = 100;
    for (_, _, path, allowed) in TABLE {
        for (action, _) in allowed {
            number += 1;
            let prefix = brought(&node, owner, number, path);
            let other = node.write_as(&stranger, None, step(&prefix, *action));
            assert_eq!(other.unwrap_err().reason(), "DENIED", "{action:?}");
            let nobody = node.write_as(&Caller::Stranger, None, step(&prefix, *action));
            assert_eq!(nobody.unwrap_err().reason(), "UNAUTHENTICATED");
            let own = node.write_as(&holder(owner), None, step(&prefix, *action));
            match action {
                Reapply | MarkForDeletion => drop(own.unwrap()),
                _ => assert_eq!(own.unwrap_err().reason(), "DENIED", "{action:?}"),
            }
        }
    }
}

#[test]
fn a_prefix_needs_a_verified_enterprise_and_a_rejection_its_reason() {
    let node = Node::new();
    node.write(Command::CreateEnterprise {
        profile: profile("one"),
    });
    let owner = EnterpriseId(1);
    node.write(apply("88.118.8", owner));
    node.write(step("88.118.8", StartReview));
    assert_eq!(node.refusal(step("88.118.8", Approve)), "ENTERPRISE_STATE");
    let silent = Command::TransitionPrefix {
        prefix: parsed("88.118.8"),
        action: Reject,
        message: String::new(),
        expected_version: None,
    };
    assert_eq!(node.try_write(silent).unwrap_err().field(), "message");
    node.write(review(owner, ReviewAction::Verify, None));
    node.write(step("88.118.8", Approve));
    // Whose data is in doubt may not write; the operator may for it.
    node.write(review(owner, ReviewAction::Suspend, None));
    let own = node.write_as(&holder(owner), None, create("88.118.8/a", "x"));
    assert_eq!(own.unwrap_err().reason(), "ENTERPRISE_STATE");
    node.write(create("88.118.8/a", "x"));
}

#[test]
fn a_prefix_goes_when_nothing_lives_under_it() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    node.write(create("88.118.8/a", "x"));
    assert_eq!(
        node.refusal(apply("88.118.8", EnterpriseId(1))),
        "PREFIX_EXISTS"
    );
    node.write(step("88.118.8", MarkForDeletion));
    let kept = node.try_write(step("88.118.8", Remove)).unwrap_err();
    assert_eq!(kept.reason(), "PREFIX_STATE");
    assert!(kept.to_string().contains("live identifiers"), "{kept}");
    node.write(step("88.118.8", CancelDeletion));
    node.write(step("88.118.8", Resume));
    node.write(delete("88.118.8/a", None));
    node.write(step("88.118.8", MarkForDeletion));
    node.write(step("88.118.8", Remove));
    assert_eq!(node.registry().node_counters().unwrap().prefixes, 0);
    for reopened in [false, true] {
        if reopened {
            node.reopen();
        }
        assert_eq!(
            node.prefix("88.118.8").unwrap_err().reason(),
            "PREFIX_NOT_FOUND"
        );
        assert_eq!(node.refusal(create("88.118.8/a", "x")), "PREFIX_NOT_FOUND");
        assert_eq!(node.refusal(step("88.118.8", Remove)), "PREFIX_NOT_FOUND");
    }
    // It may be applied for again, by whoever is next; the tombstones stay.
    let next = node.enterprise("two");
    node.activate("88.118.8", next);
    assert_eq!(node.prefix("88.118.8").unwrap().owner(), next);
    assert!(!node.record("88.118.8/a").unwrap().is_live());
}
