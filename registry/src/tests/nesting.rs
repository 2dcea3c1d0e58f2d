//! Prefixes inside prefixes, and identifiers that are deleted and made again.

use super::support::*;
use crate::Caller;
use crate::change::Change;
use crate::prefix::PrefixAction;
use crate::read::PageRequest;
use crate::write::{Command, ImportMode};
use idnode_proto::identifier::{Identifier, Prefix};
use std::ops::ControlFlow;

/// The prefix that answers for an identifier.
fn governing(node: &Node, identifier: &str) -> Option<String> {
    let identifier: Identifier = identifier.parse().unwrap();
    let entry = node.registry().prefixes().governing(&identifier)?;
    Some(entry.record.prefix().unwrap().to_string())
}

#[test]
fn the_longest_registered_prefix_owns() {
    let mut node = Node::new();
    let (arc, company) = (node.enterprise("arc"), node.enterprise("company"));
    node.activate("oid:1.2.156.3001", arc);
    node.activate("oid:1.2.156.3001.7", company);
    node.activate("oid:1.2.156.3001.7.1.2", arc);
    let cases = [
        ("1.2.156.3001.8", "oid:1.2.156.3001", arc),
        ("1.2.156.3001.70.1", "oid:1.2.156.3001", arc),
        ("1.2.156.3001.7.1", "oid:1.2.156.3001.7", company),
        ("1.2.156.3001.7.1.3", "oid:1.2.156.3001.7", company),
        ("1.2.156.3001.7.1.2.9", "oid:1.2.156.3001.7.1.2", arc),
    ];
    for (identifier, _, owner) in cases {
        let other = if owner == arc { company } else { arc };
        let refused = node.write_as(&holder(other), None, create(identifier, "x"));
        assert_eq!(refused.unwrap_err().reason(), "DENIED", "{identifier}");
        node.write_as(&holder(owner), None, create(identifier, "x"))
            .unwrap();
    }
    for reopened in [false, true] {
        if reopened {
            node.reopen();
        }
        for (identifier, prefix, _) in cases {
            assert_eq!(governing(&node, identifier).as_deref(), Some(prefix));
        }
        assert_eq!(governing(&node, "1.2.156.3002.1"), None);
    }
}

#[test]
fn a_longer_prefix_owns_in_whatever_state_it_is() {
    let node = Node::with_prefixes(&["oid:1.2.156.3001"]);
    let owner = node.prefix("oid:1.2.156.3001").unwrap().owner();
    node.write(apply("oid:1.2.156.3001.7", owner));
    assert_eq!(
        node.refusal(create("1.2.156.3001.7.1", "x")),
        "PREFIX_NOT_ACTIVE"
    );
    node.write(step("oid:1.2.156.3001.7", PrefixAction::MarkForDeletion));
    node.write(step("oid:1.2.156.3001.7", PrefixAction::Remove));
    node.write(create("1.2.156.3001.7.1", "x"));
    // Registered over a live identifier, it would change whose that is.
    assert_eq!(
        node.refusal(apply("oid:1.2.156.3001.7", owner)),
        "PREFIX_STATE"
    );
    node.write(delete("1.2.156.3001.7.1", None));
    node.write(apply("oid:1.2.156.3001.7", owner));
}

#[test]
fn part_of_anothers_prefix_is_the_operators_to_give() {
    let node = Node::new();
    let (arc, company) = (node.enterprise("arc"), node.enterprise("company"));
    node.activate("oid:1.2.156.3001", arc);
    node.activate("gs1:95060", arc);
    for (inside, identifier) in [
        ("oid:1.2.156.3001.7", "1.2.156.3001.7.1"),
        ("oid:1.2.156.3001.7.1", "1.2.156.3001.7.1"),
        ("gs1:9506000", "(01)09506000134352"),
    ] {
        let refused = node.write_as(&holder(company), None, apply(inside, company));
        assert_eq!(refused.unwrap_err().reason(), "DENIED", "{inside}");
        if node.record(identifier).is_err() {
            node.write_as(&holder(arc), None, create(identifier, "x"))
                .unwrap();
        }
    }
    // Suspended, it is its enterprise's all the same.
    node.write(step("oid:1.2.156.3001", PrefixAction::Suspend));
    let inside = apply("oid:1.2.156.3001.8", company);
    let refused = node.write_as(&holder(company), None, inside.clone());
    assert_eq!(refused.unwrap_err().reason(), "DENIED");
    // Of one's own, and beside it, one applies.
    node.write_as(&holder(arc), None, apply("oid:1.2.156.3001.9", arc))
        .unwrap();
    node.write_as(&holder(company), None, apply("oid:1.2.156.3002", company))
        .unwrap();
    node.write(inside);
    let inside = apply("oid:1.2.156.3001.8.1", company);
    node.write_as(&holder(company), None, inside).unwrap();
    // A handle prefix is no part of the one it is derived from.
    node.activate("88.118", arc);
    node.write_as(&holder(company), None, apply("88.118.8", company))
        .unwrap();
}

#[test]
fn gs1_company_prefixes_nest_and_handle_prefixes_do_not() {
    let node = Node::new();
    let (short, long) = (node.enterprise("short"), node.enterprise("long"));
    node.activate("gs1:95060", short);
    node.activate("gs1:9506000", long);
    let product = "(01)09506000134352";
    assert_eq!(governing(&node, product).as_deref(), Some("gs1:9506000"));
    let refused = node.write_as(&holder(short), None, create(product, "x"));
    assert_eq!(refused.unwrap_err().reason(), "DENIED");
    node.write_as(&holder(long), None, create(product, "x"))
        .unwrap();
    // Who holds 88.118 holds 88.118/…, not 88.118.8/….
    node.activate("88.118", short);
    assert_eq!(node.refusal(create("88.118.8/a", "x")), "PREFIX_NOT_FOUND");
    node.write(create("88.118/a", "x"));
    node.write(apply("88.118.8", long));
    assert_eq!(node.refusal(create("88.118.8/a", "x")), "PREFIX_NOT_ACTIVE");
}

#[test]
fn who_holds_the_shorter_prefix_is_not_shown_the_longer_ones_identifiers() {
    let node = Node::new();
    let (arc, company) = (node.enterprise("arc"), node.enterprise("company"));
    node.activate("oid:1.2.156.3001", arc);
    node.activate("oid:1.2.156.3001.7", company);
    node.activate("oid:1.2.156.3001.7.1.2", arc);
    let owned = [
        ("1.2.156.3001.6", arc),
        ("1.2.156.3001.7.1", company),
        ("1.2.156.3001.7.1.2.9", arc),
        ("1.2.156.3001.8", arc),
    ];
    for (identifier, owner) in owned {
        node.write_as(&holder(owner), None, create(identifier, "x"))
            .unwrap();
    }
    let of = |owner: Option<_>| -> Vec<_> {
        let wanted = owned
            .iter()
            .filter(|(_, of)| owner.is_none_or(|o| o == *of));
        wanted
            .map(|(identifier, _)| (*identifier).to_owned())
            .collect()
    };
    let outer = parsed("oid:1.2.156.3001");
    let page = PageRequest::default();
    for (caller, expected) in [
        (node.operator.clone(), of(None)),
        (holder(arc), of(Some(arc))),
    ] {
        let listed = node
            .registry()
            .list_identifiers(&caller, &outer, &page, false);
        let listed = listed.unwrap().items.into_iter();
        let listed: Vec<_> = listed
            .map(|(identifier, _)| identifier.canonical())
            .collect();
        assert_eq!(listed, expected, "{caller:?}");
        for prefix in [Some(&outer), None] {
            assert_eq!(exported(&node, &caller, prefix), expected, "{caller:?}");
        }
    }
    assert_eq!(exported(&node, &holder(company), None), of(Some(company)));
}

fn exported(node: &Node, caller: &Caller, prefix: Option<&Prefix>) -> Vec<String> {
    let mut names = Vec::new();
    let done = node.registry().export(caller, prefix, false, |_, batch| {
        names.extend(batch.iter().map(|(identifier, _)| identifier.canonical()));
        ControlFlow::Continue(())
    });
    done.unwrap();
    names
}

#[test]
fn a_change_stays_with_who_owned_it_then() {
    let node = Node::new();
    let (first, second) = (node.enterprise("first"), node.enterprise("second"));
    node.activate("88.118.8", first);
    node.write(create("88.118.8/a", "x"));
    node.write(delete("88.118.8/a", None));
    node.write(step("88.118.8", PrefixAction::MarkForDeletion));
    node.write(step("88.118.8", PrefixAction::Remove));
    node.activate("88.118.8", second);
    let counters = node
        .registry()
        .prefix_counters(&holder(second), &parsed("88.118.8"))
        .unwrap();
    // The tombstone is there still; what led to it is not the second one's.
    assert_eq!(
        (counters.creations, counters.deletions, counters.deleted),
        (0, 0, 1)
    );
    node.write(create("88.118.8/a", "y"));
    let entries = node.registry().read_log(1, usize::MAX, usize::MAX).unwrap();
    let owners: Vec<_> = entries
        .into_iter()
        .filter_map(|entry| match entry.change {
            Some(Change::Identifiers(changes)) => Some(changes.items),
            _ => None,
        })
        .flatten()
        .map(|item| item.enterprise)
        .collect();
    assert_eq!(owners, [first.0, first.0, second.0]);
}

#[test]
fn a_deleted_identifier_leaves_a_tombstone_and_can_be_made_again() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    let made = node.write(create("88.118.8/Teil-1", "1"));
    let deleted = node.write(delete("88.118.8/TEIL-1", None));
    for reopened in [false, true] {
        if reopened {
            node.reopen();
        }
        let tombstone = node.record("88.118.8/teil-1").unwrap();
        assert_eq!(tombstone.deleted.as_deref(), Some("停产"));
        assert_eq!(tombstone.version, deleted.sequence);
        assert_eq!(tombstone.created_at_ms, made.committed_at_ms);
        assert_eq!(tombstone.values().count(), 0);
        assert_eq!(
            node.refusal(delete("88.118.8/Teil-1", None)),
            "IDENTIFIER_NOT_FOUND"
        );
        let changed = node.refusal(update("88.118.8/Teil-1", "2", None));
        assert_eq!(changed, "IDENTIFIER_NOT_FOUND");
        let list = |deleted| {
            let page = node.registry().list_identifiers(
                &node.operator,
                &parsed("88.118.8"),
                &PageRequest::default(),
                deleted,
            );
            page.unwrap().items.len()
        };
        assert_eq!((list(false), list(true)), (0, 1));
    }
    let again = node.write(create("88.118.8/Teil-1", "3"));
    let record = node.record("88.118.8/Teil-1").unwrap();
    assert_eq!(
        (record.version, text(&record)),
        (again.sequence, "3".into())
    );
    assert_eq!(
        (record.deleted, record.created_at_ms),
        (None, again.committed_at_ms)
    );
    assert_eq!(
        node.refusal(create("88.118.8/TEIL-1", "4")),
        "IDENTIFIER_EXISTS"
    );
    let counters = node
        .registry()
        .prefix_counters(&node.operator, &parsed("88.118.8"))
        .unwrap();
    assert_eq!((counters.identifiers, counters.deleted), (1, 0));
    assert_eq!((counters.creations, counters.deletions), (2, 1));
}

#[test]
fn what_was_never_there_cannot_be_deleted() {
    let node = Node::with_prefixes(&["88.118.8"]);
    assert_eq!(
        node.refusal(delete("88.118.8/a", None)),
        "IDENTIFIER_NOT_FOUND"
    );
    assert_eq!(node.refusal(delete("88.118.9/a", None)), "PREFIX_NOT_FOUND");
}

#[test]
fn what_an_inactive_prefix_has_is_not_found_below_a_key() {
    let node = Node::with_prefixes(&["oid:1.2.156.3001", "oid:1.2.156.3001.5", "oid:1.2.156.3002"]);
    let below = |arc: &str| {
        let key = parsed(arc).key().to_vec();
        let found = node.registry().any_answered_below(&key, |_| None, |_| true);
        found.unwrap()
    };
    node.write(create("1.2.156.3001.5.1", "x"));
    node.write(create("1.2.156.3001.5.2", "x"));
    assert!(below("oid:1.2.156.3001") && below("oid:1.2.156.3001.5"));
    node.write(step("oid:1.2.156.3001.5", PrefixAction::Suspend));
    assert!(!below("oid:1.2.156") && !below("oid:1.2.156.3001.5"));
    // Behind what is passed over.
    node.write(create("1.2.156.3001.6", "x"));
    assert!(below("oid:1.2.156.3001") && !below("oid:1.2.156.3001.5"));
    node.write(delete("1.2.156.3001.6", None));
    node.write(create("1.2.156.3002.1", "x"));
    assert!(below("oid:1.2.156") && !below("oid:1.2.156.3001"));
    let named = |wanted: &str| {
        let is_it = |identifier: &Identifier| identifier.canonical() == wanted;
        let key = parsed("oid:1.2.156").key().to_vec();
        node.registry()
            .any_answered_below(&key, |_| None, is_it)
            .unwrap()
    };
    assert!(named("1.2.156.3002.1") && !named("1.2.156.3002.2"));
    node.write(step("oid:1.2.156.3001.5", PrefixAction::Resume));
    assert!(below("oid:1.2.156.3001.5"));
}

/// So many that looking at each would be beyond the bound, which says yes.
#[test]
fn what_cannot_be_wanted_is_passed_over() {
    let node = Node::with_prefixes(&["oid:1.2.156.3001"]);
    node.write(Command::ImportChunk {
        import_id: "many".into(),
        number: 1,
        mode: ImportMode::Create,
        items: (0..5_001)
            .map(|n| Ok(draft(&format!("1.2.156.3001.5.{n}"), "x")))
            .collect(),
    });
    let key = parsed("oid:1.2.156.3001").key().to_vec();
    let none = |_: &Identifier| false;
    let registry = node.registry();
    assert!(registry.any_answered_below(&key, |_| None, none).unwrap());
    let below = parsed("oid:1.2.156.3001.5").key().to_vec();
    let past = |at: &[u8]| {
        let passed_over = at.starts_with(&below);
        passed_over.then(|| crate::layout::prefix_end(&below).unwrap())
    };
    assert!(!registry.any_answered_below(&key, past, none).unwrap());
    node.write(create("1.2.156.3001.6", "x"));
    let behind = |identifier: &Identifier| identifier.canonical() == "1.2.156.3001.6";
    assert!(registry.any_answered_below(&key, past, behind).unwrap());
}

#[test]
fn what_is_below_a_key_is_found() {
    let node = Node::with_prefixes(&["oid:1.2.156.3001"]);
    let owner = node.prefix("oid:1.2.156.3001").unwrap().owner();
    let key = |prefix: &str| parsed(prefix).key().to_vec();
    let all = |_: &Identifier| true;
    let live = |prefix: &str| {
        let found = node
            .registry()
            .any_answered_below(&key(prefix), |_| None, all);
        found.unwrap()
    };
    let prefixes = |prefix: &str| {
        let found = node
            .registry()
            .any_active_prefix_below(&key(prefix), |_| true);
        found.unwrap()
    };
    assert!(!live("oid:1.2.156.3001"));
    node.write(create("1.2.156.3001.7.1", "x"));
    assert!(live("oid:1.2.156.3001") && live("oid:1.2.156.3001.7"));
    assert!(!live("oid:1.2.156.3001.70") && !live("oid:1.2.156.3001.7.1.1"));
    node.write(delete("1.2.156.3001.7.1", None));
    assert!(!live("oid:1.2.156.3001.7"));
    assert!(prefixes("oid:1.2.156") && !prefixes("oid:1.2.156.3001"));
    node.write(apply("oid:1.2.156.3001.7.1", owner));
    assert!(!prefixes("oid:1.2.156.3001"), "it is not active yet");
    node.write(step("oid:1.2.156.3001.7.1", PrefixAction::StartReview));
    node.write(step("oid:1.2.156.3001.7.1", PrefixAction::Approve));
    assert!(prefixes("oid:1.2.156.3001") && prefixes("oid:1.2.156.3001.7"));
    assert!(!prefixes("oid:1.2.156.3001.7.1"));
}
