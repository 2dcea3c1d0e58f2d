//! What mirrors read, and backups.

use super::support::*;
use crate::read::{Mirrored, MirroredChange};
use crate::{Error, Registry};
use idnode_proto::handle::body::mirror::Action;
use std::sync::Arc;

const PREFIX: &str = "88.118.8";

fn mirrored(node: &Node) -> Mirrored {
    Mirrored {
        caller: node.operator.clone(),
        prefixes: vec![parsed(PREFIX)],
    }
}

fn told(change: &MirroredChange) -> (Action, String, u32) {
    let record = &change.record;
    (change.action, record.identifier.canonical(), record.count)
}

#[test]
fn each_change_is_told_with_what_it_left() {
    let node = Node::with_prefixes(&[PREFIX, "88.118.9"]);
    for command in [
        create("88.118.8/1", "x"),
        create("88.118.9/1", "x"),
        update("88.118.8/1", "y", None),
        delete("88.118.8/1", None),
        create("88.118.8/1", "z"),
    ] {
        node.write(command);
    }
    let (changes, next) = node.registry().mirror_log(&mirrored(&node), 1).unwrap();
    let told: Vec<_> = changes.iter().map(told).collect();
    let expected = [
        (Action::Create, 1),
        (Action::Update, 1),
        (Action::Delete, 0),
        (Action::Create, 1),
    ];
    let expected = expected.map(|(action, count)| (action, "88.118.8/1".to_owned(), count));
    assert_eq!(told, expected);
    assert_eq!(next, Some(node.registry().applied() + 1));
    let (records, more) = node.registry().mirror_page(&mirrored(&node), &[]).unwrap();
    assert_eq!((records.len(), more), (1, None));
    assert_eq!(records[0].values, changes[3].record.values);
    // What has been forgotten is an error, not silence.
    node.registry().trim_log(u64::MAX).unwrap();
    let forgotten = node.registry().mirror_log(&mirrored(&node), 1);
    assert!(matches!(forgotten, Err(Error::Bound { .. })));
}

#[test]
fn a_backup_has_what_was_there_and_opens() {
    let node = Node::with_prefixes(&[PREFIX]);
    node.write(create("88.118.8/1", "x"));
    let dir = tempfile::tempdir().unwrap();
    let number = node.registry().back_up(dir.path(), "first").unwrap();
    assert_eq!(number, node.registry().applied());
    node.write(delete("88.118.8/1", None));
    // A name is given once; what was left unfinished is in nobody's way.
    assert!(node.registry().back_up(dir.path(), "first").is_err());
    std::fs::create_dir(dir.path().join("unfinished")).unwrap();
    node.registry().back_up(dir.path(), "second").unwrap();
    let live = |name: &str| {
        let path = dir.path().join(name);
        let backup = Registry::open(&path, &node.options, Arc::new(())).unwrap();
        backup.node_counters().unwrap().identifiers
    };
    assert_eq!((live("first"), live("second")), (1, 0));
}
