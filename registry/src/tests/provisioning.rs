//! Approval where the national node has the last word.

use super::support::*;
use crate::prefix::{PrefixAction as A, PrefixState as S};
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
