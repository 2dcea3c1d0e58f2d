//! A write that is sent twice happens once.

use super::altered_log::Gate;
use super::support::*;
use crate::enterprise::EnterpriseId;
use crate::layout::{Family, encode_value};
use crate::prefix::PrefixAction;
use crate::store::Mutation;
use crate::template::{Attribute, AttributeType, Template};
use crate::write::idempotency::{MAX_KEY_BYTES, Remembered, storage_key};
use crate::write::{Command, ImportMode, ImportStatus, Outcome, PRUNE_ROWS, PrefixUpdate, Receipt};
use crate::{Caller, Error};
use bytes::Bytes;
use idnode_proto::value::{Permissions, Value, types};

#[test]
fn the_same_request_gets_the_first_receipt_and_another_is_refused() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    let send = |node: &Node, name: &str, identifier: &str| {
        node.write_as(
            &node.operator,
            key(name, identifier),
            create(identifier, "x"),
        )
    };
    let first = send(&node, "k", "88.118.8/a").unwrap();
    assert!(!first.replayed);
    let replay = Receipt {
        replayed: true,
        ..first.clone()
    };
    let reused = Err(Error::IdempotencyKeyReused("k".into()));
    for reopened in [false, true] {
        if reopened {
            node.reopen();
        }
        let head = node.registry().applied();
        assert_eq!(send(&node, "k", "88.118.8/a"), Ok(replay.clone()));
        assert_eq!(send(&node, "k", "88.118.8/b"), reused);
        assert_eq!(node.registry().applied(), head, "nothing was written");
        assert!(node.record("88.118.8/b").is_err());
    }
    // Without the key, or under another, the request is what it is: a second creation.
    for name in ["", "k2"] {
        let again = send(&node, name, "88.118.8/a").unwrap_err();
        assert_eq!(again.reason(), "IDENTIFIER_EXISTS");
    }
}

#[test]
fn a_refused_request_leaves_its_key_free() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let send = || {
        node.write_as(
            &node.operator,
            key("k", "update"),
            update("88.118.8/a", "2", None),
        )
    };
    assert_eq!(send().unwrap_err().reason(), "IDENTIFIER_NOT_FOUND");
    node.write(create("88.118.8/a", "1"));
    assert!(!send().unwrap().replayed);
    assert!(send().unwrap().replayed);
}

#[test]
fn keys_are_each_callers_own() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let other = node.enterprise("two");
    node.activate("88.118.9", other);
    let write = |caller: &Caller, identifier: &str| {
        node.write_as(caller, key("k", identifier), create(identifier, "x"))
    };
    assert!(!write(&node.operator, "88.118.8/a").unwrap().replayed);
    assert!(!write(&holder(other), "88.118.9/a").unwrap().replayed);
    assert!(write(&holder(other), "88.118.9/a").unwrap().replayed);
    // An operator's second credential is the operator still.
    let second = Caller::Operator {
        credential: "another".into(),
    };
    assert!(write(&second, "88.118.8/a").unwrap().replayed);
}

#[test]
fn one_of_many_at_once_happens() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let head = node.registry().applied();
    let same = || (key("k", "a"), create("88.118.8/a", "x"));
    let receipts = node.write_together((0..20).map(|_| same()).collect());
    let receipts: Vec<_> = receipts.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        receipts.iter().filter(|receipt| !receipt.replayed).count(),
        1
    );
    assert!(receipts.iter().all(|receipt| receipt.sequence == head + 1));
    assert_eq!(node.registry().applied(), head + 1);
}

#[test]
fn what_the_node_chose_is_told_again() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    let enterprise = Command::CreateEnterprise {
        profile: profile("two"),
    };
    node.write(create("88.118.8/live", "x"));
    let chunk = |mode| Command::ImportChunk {
        import_id: "load".into(),
        number: 1,
        mode,
        items: ["88.118.8/new", "88.118.8/live", "77.1/nowhere"]
            .map(|identifier| Ok(draft(identifier, "x")))
            .to_vec(),
    };
    let made = node
        .write_as(&node.operator, key("e", "e"), enterprise.clone())
        .unwrap();
    let imported = node
        .write_as(&node.operator, key("i", "i"), chunk(ImportMode::Create))
        .unwrap();
    let Outcome::Import(results) = &imported.outcome else {
        panic!("{imported:?}");
    };
    let statuses: Vec<_> = results.iter().map(|result| result.status).collect();
    use ImportStatus::{Created, Rejected};
    assert_eq!(statuses, [Created, Rejected, Rejected]);
    node.reopen();
    let again = node
        .write_as(&node.operator, key("e", "e"), enterprise)
        .unwrap();
    assert_eq!(
        (again.sequence, again.outcome),
        (made.sequence, made.outcome)
    );
    assert!(again.replayed);
    let again = node
        .write_as(&node.operator, key("i", "i"), chunk(ImportMode::Create))
        .unwrap();
    assert_eq!(
        (again.sequence, again.outcome, again.replayed),
        (imported.sequence, imported.outcome, true)
    );
    let progress = |id| node.registry().import_progress(&node.operator, id).unwrap();
    assert_eq!((progress("load"), progress("another")), (1, 0));
}

/// Puts an enterprise's template `parts`.
fn template_of(owner: EnterpriseId) -> Command {
    let attribute = Attribute {
        name: "DESC".into(),
        kind: AttributeType::String as i32,
        ..Attribute::default()
    };
    Command::PutTemplate {
        template: Template {
            name: "parts".into(),
            enterprise: Some(owner.0),
            attributes: vec![attribute],
            ..Template::default()
        },
        expected_version: None,
    }
}

#[test]
fn a_replay_shows_nothing_that_has_become_anothers() {
    let node = Node::with_prefixes(&[]);
    let (one, two) = (node.enterprise("A"), node.enterprise("B"));
    let (holder_one, holder_two) = (holder(one), holder(two));
    let applied = |node: &Node| {
        let receipt = node.write_as(&holder_one, key("k", "apply"), apply("88.118.8", one));
        receipt.unwrap()
    };
    let put = |node: &Node| {
        let command = template_of(one);
        let receipt = node.write_as(&holder_one, key("t", "template"), command);
        receipt.unwrap()
    };
    let (first, first_put) = (applied(&node), put(&node));
    assert_eq!(applied(&node).outcome, first.outcome, "it is its own still");
    assert_eq!(put(&node).outcome, first_put.outcome);
    for action in [
        PrefixAction::StartReview,
        PrefixAction::Approve,
        PrefixAction::MarkForDeletion,
        PrefixAction::Remove,
    ] {
        node.write(step("88.118.8", action));
    }
    node.write(Command::DeleteTemplate {
        name: "parts".into(),
        expected_version: None,
    });
    node.activate("88.118.8", two);
    let secret = Value {
        permissions: Permissions(Permissions::ADMIN_READ | Permissions::ADMIN_WRITE),
        ..Value::new(300, types::HS_SECKEY, "secret")
    };
    let kept = PrefixUpdate::new(parsed("88.118.8"), vec![secret], vec![], false, None, 1).unwrap();
    node.write_as(&holder_two, None, Command::UpdatePrefix(kept))
        .unwrap();
    node.write_as(&holder_two, None, template_of(two)).unwrap();

    for (again, first) in [(applied(&node), first), (put(&node), first_put)] {
        assert!(again.replayed);
        assert_eq!(
            (again.sequence, again.outcome),
            (first.sequence, Outcome::Done)
        );
    }
}

#[test]
fn a_key_is_free_again_after_its_retention() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    let send = |node: &Node, identifier: &str| {
        node.write_as(
            &node.operator,
            key("k", identifier),
            create(identifier, "x"),
        )
    };
    let kept = |node: &Node| {
        let stored = node
            .registry()
            .store()
            .get(Family::Idempotency, &storage_key(&node.operator, "k"));
        stored.unwrap().is_some()
    };
    send(&node, "88.118.8/a").unwrap();
    node.write(Command::Prune);
    assert!(kept(&node), "within its retention it stays");
    node.options.idempotency_retention_ms = 0;
    node.reopen();
    let other = send(&node, "88.118.8/b").unwrap();
    assert!(!other.replayed);
    let head = node.registry().applied();
    assert_eq!(
        node.write(Command::Prune).sequence,
        0,
        "pruning is no change"
    );
    assert_eq!(node.registry().applied(), head);
    assert!(!kept(&node));
    node.options.idempotency_retention_ms = 60_000;
    node.reopen();
    assert!(!send(&node, "88.118.8/c").unwrap().replayed);
    assert!(send(&node, "88.118.8/c").unwrap().replayed);
}

#[test]
fn a_key_is_bounded() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let name = "k".repeat(MAX_KEY_BYTES);
    let written = node.write_as(&node.operator, key(&name, "a"), create("88.118.8/a", "x"));
    assert!(written.is_ok());
    let long = format!("{name}k");
    let refused = node.write_as(&node.operator, key(&long, "b"), create("88.118.8/b", "x"));
    assert_eq!(refused.unwrap_err().field(), "idempotency_key");
    assert!(node.record("88.118.8/b").is_err());
}

/// Puts idempotency records as if they had been written then.
fn put_rows(node: &Node, rows: impl Iterator<Item = (Bytes, u64)>) {
    let mutations: Vec<_> = rows
        .map(|(key, committed_at_ms)| Mutation {
            family: Family::Idempotency,
            key,
            value: Some(encode_value(&Remembered {
                committed_at_ms,
                ..Remembered::default()
            })),
        })
        .collect();
    node.registry().store().write(&mutations, true).unwrap();
}

fn is_kept(node: &Node, key: &[u8]) -> bool {
    let stored = node.registry().store().get(Family::Idempotency, key);
    stored.unwrap().is_some()
}

#[test]
fn pruning_passes_what_is_within_its_retention() {
    let node = Node::new();
    let now = crate::now_ms();
    let (first, last) = (holder(EnterpriseId(1)), &node.operator);
    let live = |number: usize| storage_key(&first, &format!("{number:06}"));
    let old = |number: usize| storage_key(last, &format!("{number:06}"));
    put_rows(&node, (0..=PRUNE_ROWS).map(|number| (live(number), now)));
    put_rows(&node, (0..5).map(|number| (old(number), 1)));
    let prune = || node.write(Command::Prune).outcome;
    assert_eq!(prune(), Outcome::Unfinished);
    assert_eq!(prune(), Outcome::Done);
    assert!((0..5).all(|number| !is_kept(&node, &old(number))));
    assert!((0..=PRUNE_ROWS).all(|number| is_kept(&node, &live(number))));
    // And then from the first one on again.
    put_rows(&node, std::iter::once((live(0), 1)));
    assert_eq!(prune(), Outcome::Unfinished);
    assert!(!is_kept(&node, &live(0)));
}

#[test]
fn a_key_that_is_renewed_beside_a_pruning_stays() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    let gate = Gate::new();
    node.reopen_over(|dir| gate.open(dir));
    let row = storage_key(&node.operator, "k");
    put_rows(&node, std::iter::once((row.clone(), 1)));
    gate.shut();
    let (registry, caller) = (node.registry(), &node.operator);
    let write = |idempotency, command| {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let written = registry.write(caller, idempotency, command);
        runtime.unwrap().block_on(written).unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| write(None, create("88.118.8/a", "x")));
        gate.wait();
        // One group, in this order.
        let commands = [
            (key("k", "renewed"), create("88.118.8/b", "x")),
            (None, Command::Prune),
        ];
        for (idempotency, command) in commands {
            let write = &write;
            scope.spawn(move || write(idempotency, command));
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        gate.release();
    });
    assert!(is_kept(&node, &row));
}
