//! Approval where the national node has the last word.

use super::support::*;
use crate::prefix::{PrefixAction as A, PrefixState as S, Withdrawal as W};
use crate::write::Command;

/// What is below 88.118 is left to the national node, and E1 has applied for two prefixes.
fn node() -> Node {
    let node = Node::new();
    node.registry().provision_below(vec![parsed("88.118")]);
    let owner = node.enterprise("one");
    for prefix in ["88.118.8", "88.119.8", "88.118"] {
        node.write(apply(prefix, owner));
        node.write(step(prefix, A::StartReview));
        node.write(step(prefix, A::Approve));
    }
    node
}

fn as_node(node: &Node, command: Command) {
    let written = node.registry().write_as_node(command);
    node.runtime.block_on(written).unwrap();
}

#[test]
fn an_approval_is_a_submission_below_the_nodes_own_prefixes_alone() {
    let node = node();
    let left = node.prefix("88.118.8").unwrap();
    assert_eq!(left.state(), S::UnderReview);
    assert_eq!(left.submitted, left.version);
    for own in ["88.119.8", "88.118"] {
        let own = node.prefix(own).unwrap();
        assert_eq!((own.state(), own.submitted), (S::Active, 0));
    }
    assert_eq!(node.refusal(step("88.118.8", A::Approve)), "PREFIX_STATE");
}

#[test]
fn the_node_approves_or_rejects_by_itself() {
    let node = node();
    as_node(&node, step("88.118.8", A::Approve));
    let record = node.prefix("88.118.8").unwrap();
    assert_eq!((record.state(), record.submitted), (S::Active, 0));
    let entries = node
        .registry()
        .read_log(record.version, 1, 1 << 20)
        .unwrap();
    assert_eq!(entries[0].actor, "node");

    let node = self::node();
    let first = node.prefix("88.118.8").unwrap().submitted;
    as_node(&node, step("88.118.8", A::Reject));
    assert_eq!(node.prefix("88.118.8").unwrap().state(), S::Rejected);
    for action in [A::Reapply, A::StartReview, A::Approve] {
        node.write(step("88.118.8", action));
    }
    assert!(node.prefix("88.118.8").unwrap().submitted > first);
}

#[test]
fn the_operator_may_still_reject() {
    let node = node();
    node.write(step("88.118.8", A::Reject));
    let record = node.prefix("88.118.8").unwrap();
    assert_eq!((record.state(), record.submitted), (S::Rejected, 0));
}

#[test]
fn what_the_national_node_withdraws_it_alone_grants_again() {
    let node = node();
    as_node(&node, step("88.118.8", A::Approve));
    as_node(&node, step("88.118.8", A::Withdraw));
    let stands = || {
        let record = node.prefix("88.118.8").unwrap();
        (record.state(), record.withdrawal())
    };
    assert_eq!(stands(), (S::Suspended, W::Suspended));
    assert_eq!(node.refusal(step("88.118.8", A::Resume)), "PREFIX_STATE");
    as_node(&node, step("88.118.8", A::Regrant));
    assert_eq!(stands(), (S::Active, W::None));

    // What the operator has suspended stays so.
    node.write(step("88.118.8", A::Suspend));
    as_node(&node, step("88.118.8", A::Withdraw));
    assert_eq!(stands(), (S::Suspended, W::Noted));
    as_node(&node, step("88.118.8", A::Regrant));
    assert_eq!(stands(), (S::Suspended, W::None));
    node.write(step("88.118.8", A::Resume));

    // As does what is to be deleted; whoever takes that back has it suspended.
    as_node(&node, step("88.118.8", A::Withdraw));
    node.write(step("88.118.8", A::MarkForDeletion));
    node.write(step("88.118.8", A::CancelDeletion));
    assert_eq!(stands(), (S::Suspended, W::Noted));
    assert_eq!(node.refusal(step("88.118.8", A::Resume)), "PREFIX_STATE");
    as_node(&node, step("88.118.8", A::Regrant));
    assert_eq!(stands(), (S::Suspended, W::None));
}

#[test]
fn without_an_uplink_the_operator_resumes_what_was_withdrawn() {
    let node = Node::new();
    let owner = node.enterprise("one");
    node.write(apply("88.118.8", owner));
    for action in [A::StartReview, A::Approve] {
        node.write(step("88.118.8", action));
    }
    as_node(&node, step("88.118.8", A::Withdraw));
    node.write(step("88.118.8", A::Resume));
    let record = node.prefix("88.118.8").unwrap();
    assert_eq!((record.state(), record.withdrawal()), (S::Active, W::None));
}
