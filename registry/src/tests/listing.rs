//! Listings are complete and free of duplicates while others write; an export is one moment.

use super::support::*;
use crate::change::Change;
use crate::read::{MAX_PAGE, Page, PageRequest};
use crate::record::Record;
use crate::{Caller, Result};
use idnode_proto::identifier::Identifier;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

/// Everything of a listing, page by page.
fn all<T>(size: u32, mut page: impl FnMut(&PageRequest) -> Result<Page<T>>) -> Vec<T> {
    let mut request = PageRequest {
        size,
        token: String::new(),
    };
    let mut items = Vec::new();
    loop {
        let next = page(&request).unwrap();
        assert!(
            next.items.len() <= size as usize,
            "a page of more than {size}"
        );
        items.extend(next.items);
        if next.next_token.is_empty() {
            return items;
        }
        request.token = next.next_token;
    }
}

fn identifiers(node: &Node, size: u32, deleted: bool) -> Vec<String> {
    let prefix = parsed("88.118.8");
    let listed = all(size, |request| {
        node.registry()
            .list_identifiers(&node.operator, &prefix, request, deleted)
    });
    listed
        .into_iter()
        .map(|(identifier, _)| identifier.canonical())
        .collect()
}

#[test]
fn pages_of_any_size_give_the_same_items() {
    let node = Node::with_prefixes(&["88.118.8", "88.118.7", "88.118.80"]);
    let names: Vec<_> = (0..57).map(|n| format!("88.118.8/P{n:03}")).collect();
    for name in &names {
        node.write(create(name, "x"));
    }
    node.write(create("88.118.7/Z", "x"));
    node.write(create("88.118.80/A", "x"));
    node.write(delete("88.118.8/P013", None));
    let live: Vec<_> = names
        .iter()
        .filter(|name| !name.ends_with("013"))
        .cloned()
        .collect();
    for size in [1, 2, 7, 56, 57, 58, 1_000] {
        assert_eq!(identifiers(&node, size, false), live, "pages of {size}");
        assert_eq!(identifiers(&node, size, true), names, "pages of {size}");
    }
}

#[test]
fn every_kind_of_object_is_listed_in_full() {
    let node = Node::new();
    let owners: Vec<_> = (0..5)
        .map(|n| node.enterprise(&format!("code {n}")))
        .collect();
    for n in 0..20 {
        node.write(apply(&format!("88.118.{}", 100 + n), owners[n % 2]));
    }
    for size in [1, 3, 100] {
        let enterprises = all(size, |r| {
            node.registry().list_enterprises(&node.operator, r)
        });
        let ids: Vec<_> = enterprises.iter().map(|enterprise| enterprise.id).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5]);
        let prefixes = |caller: &Caller, enterprise| {
            all(size, |request| {
                node.registry()
                    .list_prefixes(caller, enterprise, None, request)
            })
        };
        assert_eq!(prefixes(&node.operator, None).len(), 20);
        let firsts = prefixes(&node.operator, Some(owners[0]));
        assert_eq!(firsts.len(), 10);
        assert!(firsts.iter().all(|prefix| prefix.owner() == owners[0]));
        assert_eq!(prefixes(&holder(owners[0]), None), firsts);
        assert_eq!(prefixes(&holder(owners[4]), None), []);
    }
    let others = node.registry().list_prefixes(
        &holder(owners[1]),
        Some(owners[0]),
        None,
        &PageRequest::default(),
    );
    assert_eq!(others.unwrap_err().reason(), "DENIED");
}

#[test]
fn a_page_request_is_bounded_and_its_token_checked() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let list = |size: u32, token: &str| {
        let request = PageRequest {
            size,
            token: token.into(),
        };
        node.registry().list_enterprises(&node.operator, &request)
    };
    assert_eq!(list(MAX_PAGE as u32, "").unwrap().items.len(), 1);
    assert_eq!(
        list(MAX_PAGE as u32 + 1, "").unwrap_err().field(),
        "page.size"
    );
    assert_eq!(list(1, "!").unwrap_err().field(), "page.token");
}

#[test]
fn pages_are_complete_while_others_write() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let kept: BTreeSet<_> = (0..100).map(|n| format!("88.118.8/K{n:03}")).collect();
    for name in &kept {
        node.write(create(name, "x"));
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (registry, operator) = (node.registry().clone(), node.operator.clone());
        let done = &done;
        // Before, between and behind what is listed; made, changed and deleted.
        scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            for n in 0_u32.. {
                if done.load(Ordering::Acquire) {
                    break;
                }
                let place = n.wrapping_mul(2_654_435_761) % 100;
                let name = format!("88.118.8/K{place:03}-{n}");
                for command in [
                    create(&name, "x"),
                    update(&name, "y", None),
                    delete(&name, None),
                ] {
                    runtime
                        .block_on(registry.write(&operator, None, command))
                        .unwrap();
                }
            }
        });
        for _ in 0..30 {
            let listed = identifiers(&node, 3, false);
            assert!(listed.is_sorted_by(|a, b| a < b), "out of order or twice");
            let missed: Vec<_> = kept.iter().filter(|name| !listed.contains(name)).collect();
            assert_eq!(missed, [] as [&String; 0], "not listed");
        }
        done.store(true, Ordering::Release);
    });
}

/// Text by name of what is live.
type State = BTreeMap<String, String>;

fn export(node: &Node, mut between: impl FnMut()) -> (u64, State) {
    let mut state = State::new();
    let sequence = node
        .registry()
        .export(&node.operator, None, false, |_, batch| {
            for (identifier, record) in batch {
                let twice = state.insert(identifier.canonical(), text(&record));
                assert_eq!(twice, None, "{identifier} is exported twice");
            }
            between();
            ControlFlow::Continue(())
        });
    (sequence.unwrap(), state)
}

#[test]
fn an_export_is_one_moment_and_the_log_goes_on_from_it() {
    let node = Node::with_prefixes(&["88.118.8", "oid:1.2.156.3001", "oid:1.2.156.3001.7"]);
    let mut expected = State::new();
    for n in 0..1_500 {
        let name = format!("88.118.8/P{n:04}");
        expected.insert(name, format!("{n}"));
    }
    expected.insert("1.2.156.3001.7.1".into(), "inner".into());
    expected.insert("1.2.156.3001.8".into(), "outer".into());
    let commands = expected
        .iter()
        .map(|(name, text)| (None, create(name, text)));
    for result in node.write_together(commands.collect()) {
        result.unwrap();
    }
    let expected: State = expected
        .into_iter()
        .map(|(name, text)| (name.parse::<Identifier>().unwrap().canonical(), text))
        .collect();
    let before = node.registry().applied();
    let mut round = 0;
    let (sequence, mut state) = export(&node, || {
        round += 1;
        node.write(create(&format!("88.118.8/A{round}"), "new"));
        node.write(update("88.118.8/P1499", &format!("changed {round}"), None));
        node.write(delete(&format!("88.118.8/P149{round}"), None));
    });
    assert!(round >= 2, "more than one batch");
    assert_eq!(sequence, before);
    assert_eq!(state, expected);
    // What the log has from there on makes of it what there is now.
    for entry in node
        .registry()
        .read_log(sequence + 1, 10_000, 1 << 30)
        .unwrap()
    {
        let Some(Change::Identifiers(changes)) = entry.change else {
            panic!("{entry:?}");
        };
        for item in changes.items {
            let name = Identifier::from_key(&item.key).unwrap().canonical();
            let record = Record::decode(item.record).unwrap();
            if record.is_live() {
                state.insert(name, text(&record));
            } else {
                state.remove(&name);
            }
        }
    }
    let (after, now) = export(&node, || {});
    assert_eq!(after, node.registry().applied());
    assert_eq!(state, now);
}

#[test]
fn an_enterprise_exports_its_own_once() {
    let node = Node::new();
    let (one, two) = (node.enterprise("one"), node.enterprise("two"));
    for (prefix, owner) in [
        ("88.118.8", one),
        ("88.118.9", two),
        ("oid:1.2.156.3001", one),
        ("oid:1.2.156.3001.7", one),
    ] {
        node.activate(prefix, owner);
    }
    let names = [
        "88.118.8/A",
        "88.118.9/A",
        "1.2.156.3001.7.1",
        "1.2.156.3001.8",
    ];
    for name in names {
        node.write(create(name, "x"));
    }
    let exported = |caller: &Caller| {
        let mut names = Vec::new();
        let sink = |_, batch: Vec<(Identifier, Record)>| {
            names.extend(
                batch
                    .into_iter()
                    .map(|(identifier, _)| identifier.canonical()),
            );
            ControlFlow::Continue(())
        };
        node.registry().export(caller, None, true, sink).unwrap();
        names
    };
    let canonical = |name: &str| name.parse::<Identifier>().unwrap().canonical();
    assert_eq!(exported(&holder(one)).len(), 3);
    assert_eq!(exported(&holder(two)), [canonical("88.118.9/A")]);
    assert_eq!(exported(&node.operator).len(), 4);
    let strangers = node
        .registry()
        .export(&Caller::Stranger, None, true, |_, _| {
            ControlFlow::Continue(())
        });
    assert_eq!(strangers.unwrap_err().reason(), "UNAUTHENTICATED");
}
