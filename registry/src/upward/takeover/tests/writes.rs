//! What is taken over is not registered here, on the one write path and whatever writes.

use crate::prefix::PrefixAction;
use crate::tests::support::{Node, apply, delete, key, step, update};
use crate::write::{Command, Held, ImportMode, ImportStatus, Outcome, PrefixUpdate};
use crate::{Caller, Error};
use idnode_proto::identifier::Prefix;
use idnode_proto::value::Value;

fn create(identifier: &str) -> Command {
    crate::tests::support::create(identifier, "x")
}

fn hold(node: &Node, prefixes: &[&str]) {
    let prefixes = prefixes.iter().map(|it| Prefix::parse(it).unwrap());
    let held = Held {
        epoch: 3,
        prefixes: prefixes.collect(),
    };
    let held = Some(held).filter(|held| !held.prefixes.is_empty());
    node.runtime.block_on(node.registry().hold(held)).unwrap();
}

#[test]
fn every_write_below_a_prefix_that_is_taken_over_is_refused() {
    let node = Node::with_prefixes(&["88.118.8", "88.119.1"]);
    node.write(create("88.118.8/A"));
    node.write(create("88.119.1/A"));
    hold(&node, &["88.118"]);
    let prefix = Prefix::parse("88.118.8").unwrap();
    let values = PrefixUpdate::new(
        prefix.clone(),
        vec![Value::new(1_000, "DESC", "x")],
        vec![],
        false,
        None,
        1,
    );
    let owner = node.prefix("88.118.8").unwrap().owner();
    for command in [
        create("88.118.8/B"),
        update("88.118.8/A", "y", None),
        delete("88.118.8/A", None),
        apply("88.118.9", owner),
        step("88.118.8", PrefixAction::MarkForDeletion),
        Command::SetDelegation {
            prefix,
            delegation: None,
            expected_version: None,
        },
        Command::UpdatePrefix(values.unwrap()),
    ] {
        let error = node.try_write(command.clone()).unwrap_err();
        let expected = Error::TakenOver {
            name: "88.118".to_owned(),
            epoch: 3,
        };
        assert_eq!(error, expected, "{command:?}");
        assert_eq!((error.code(), error.reason()), (9, "PREFIX_TAKEN_OVER"));
    }
    // What is beside it goes on, and so does what the national node decides.
    node.write(create("88.119.1/B"));
    let above = node.registry().write_as_node(create("88.118.8/C"));
    node.runtime.block_on(above).unwrap();
    let by_rules = node.registry().write_for(owner, create("88.118.8/D"));
    node.runtime.block_on(by_rules).unwrap();
    let stranger = node.enterprise("stranger");
    let not_its_own = node.registry().write_for(stranger, create("88.118.8/E"));
    let refused = node.runtime.block_on(not_its_own).unwrap_err();
    assert!(matches!(refused, Error::Denied(_)), "{refused}");
    hold(&node, &[]);
    node.write(create("88.118.8/B"));
}

#[test]
fn what_was_acknowledged_before_is_acknowledged_again() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let first = node.write_as(&node.operator, key("k", "A"), create("88.118.8/A"));
    hold(&node, &["88.118.8"]);
    let again = node.write_as(&node.operator, key("k", "A"), create("88.118.8/A"));
    let (first, again) = (first.unwrap(), again.unwrap());
    assert_eq!((again.sequence, again.replayed), (first.sequence, true));
    let another = node.write_as(&node.operator, key("l", "A"), create("88.118.8/A"));
    assert!(matches!(another, Err(Error::TakenOver { .. })));
}

#[test]
fn an_import_s_items_are_refused_one_by_one() {
    let node = Node::with_prefixes(&["88.118.8", "88.119.1"]);
    hold(&node, &["88.118.8"]);
    let drafts = ["88.118.8/A", "88.119.1/A", "88.118.8/B"].map(|name| match create(name) {
        Command::CreateIdentifier(draft) => Ok(draft),
        other => panic!("{other:?}"),
    });
    let receipt = node.write(Command::ImportChunk {
        import_id: "i".to_owned(),
        number: 1,
        mode: ImportMode::Upsert,
        items: drafts.into(),
    });
    let Outcome::Import(results) = receipt.outcome else {
        panic!("{receipt:?}");
    };
    let reasons: Vec<_> = results
        .iter()
        .map(|it| (it.status, it.error.as_ref().map(|error| &*error.reason)))
        .collect();
    let refused = (ImportStatus::Rejected, Some("PREFIX_TAKEN_OVER"));
    assert_eq!(reasons, [refused, (ImportStatus::Created, None), refused]);
}

#[test]
fn a_stranger_is_told_that_it_is_one_first() {
    let node = Node::with_prefixes(&["88.118.8"]);
    hold(&node, &["88.118.8"]);
    let error = node.write_as(&Caller::Stranger, None, create("88.118.8/A"));
    assert!(matches!(error, Err(Error::Unauthenticated(_))));
}
