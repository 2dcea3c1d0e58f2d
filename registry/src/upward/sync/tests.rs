//! A registry, told: what goes up, what does not, and that parts and batches lead to the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use super::batch::{BATCH_BYTES, Batches};
use super::rows::Scope;
use super::snapshot::part_after;
use super::wire::Told;
use crate::change::{Change, IdentifierChange, IdentifierChanges, LogEntry};
use crate::credential::Credential;
use crate::record::Record;
use crate::template::{Attribute, AttributeType, Template};
use crate::tests::support::{Node, STAMP_S, create, delete, draft, parsed, update};
use crate::write::{Command, Draft};
use bytes::Bytes;
use idnode_proto::api::tell_changes_request::Request;
use idnode_proto::api::{
    IntakeBatch, IntakeEntry, MasterData, MasterDataOperation, TellChangesRequest,
};
use idnode_proto::value::{Permissions, Value};
use prost::Message as _;

fn own() -> Scope {
    Scope::below(vec![parsed("88.118")])
}

/// The registry's whole log as batches, as they are sent.
fn told(node: &Node, scope: &Scope) -> Vec<IntakeBatch> {
    let registry = node.registry();
    let entries = registry.read_log(1, usize::MAX, usize::MAX).unwrap();
    let mut batches = Batches::from(1, scope, |_: &IdentifierChange| Ok(true));
    for entry in entries {
        batches.add(entry).unwrap();
    }
    let sent = batches.finish().into_iter().map(|batch| {
        let encoded = Told::batch(batch.encoded).encode_to_vec();
        let message = TellChangesRequest::decode(&*encoded).unwrap();
        match message.request {
            Some(Request::Batch(it)) => {
                assert_eq!(it.last - u64::from(it.unfinished), batch.told);
                it
            }
            other => panic!("{other:?}"),
        }
    });
    sent.collect()
}

fn entries(batches: &[IntakeBatch]) -> Vec<IntakeEntry> {
    batches.iter().flat_map(|it| it.entries.clone()).collect()
}

fn put_template(name: &str) -> Command {
    Command::PutTemplate {
        template: Template {
            name: name.into(),
            title: "车".into(),
            attributes: vec![
                Attribute {
                    name: "产品名称".into(),
                    kind: AttributeType::String as i32,
                    repeated: true,
                    max_length: 64,
                    ..Attribute::default()
                },
                Attribute {
                    name: "diameter".into(),
                    kind: AttributeType::Decimal as i32,
                    minimum: Some(0.5),
                    maximum: Some(90.0),
                    ..Attribute::default()
                },
                Attribute {
                    name: "grade".into(),
                    kind: AttributeType::Enumeration as i32,
                    allowed_values: vec!["P0".into(), "P5".into()],
                    ..Attribute::default()
                },
            ],
            ..Template::default()
        },
        expected_version: None,
    }
}

#[test]
fn what_the_guide_names_goes_up_and_nothing_else() {
    let node = Node::with_prefixes(&["88.118.8", "88.119.9"]);
    node.write(put_template("car"));
    let hidden = Permissions(Permissions::ADMIN_READ | Permissions::ADMIN_WRITE);
    let values = vec![
        Value::new(1, "产品名称", "门锁"),
        Value::new(2, "URL", "https://example.cn/not-told"),
        Value::new(3, "品牌", "红旗"),
        Value {
            permissions: hidden,
            ..Value::new(4, "生产企业", "hidden-maker")
        },
        Value {
            permissions: hidden,
            ..Value::new(300, "HS_SECKEY", "hidden-key")
        },
        Value::new(5, "产品名称", "the second one"),
    ];
    let name = "88.118.8/A-1".parse().unwrap();
    let car = Draft::new(name, values, Some("car".into()), STAMP_S).unwrap();
    node.write(Command::CreateIdentifier(car));
    node.write(create("88.119.9/ELSEWHERE", "x"));
    let (key, token) = Credential::generate(None, "hidden-credential".into()).unwrap();
    node.write(Command::AddCredential(key));
    let batches = told(&node, &own());
    let head = node.registry().applied();
    assert_eq!(
        (batches.len(), batches[0].first, batches[0].last),
        (1, 1, head)
    );
    let all = entries(&batches);
    let identifiers: Vec<_> = all.iter().flat_map(|it| &it.identifiers).collect();
    assert_eq!(identifiers.len(), 1);
    let (told, record) = (identifiers[0], node.record("88.118.8/A-1").unwrap());
    assert_eq!((&*told.code, &*told.template), ("88.118.8/A-1", "car"));
    assert_eq!(told.created_at_ms, record.created_at_ms);
    assert_eq!(told.operation(), MasterDataOperation::Add);
    let product = told.product.clone().unwrap();
    assert_eq!((&*product.name, &*product.brand), ("门锁", "红旗"));
    assert_eq!(product.maker, "");
    let prefixes: Vec<_> = all.iter().filter_map(|it| it.prefix.as_ref()).collect();
    assert!(prefixes.iter().all(|it| it.prefix == "88.118.8"));
    assert_eq!(prefixes.last().unwrap().state, "启用");
    let template = all.iter().find_map(|it| it.template.as_ref()).unwrap();
    assert_eq!((&*template.name, template.attributes.len()), ("car", 3));
    let [text, number, choice] = template.attributes.as_slice() else {
        panic!("{template:?}")
    };
    assert_eq!((text.max_length, text.minimum), (64, None));
    assert_eq!((number.minimum, number.maximum), (Some(0.5), Some(90.0)));
    assert_eq!(choice.allowed_values, ["P0", "P5"]);
    let enterprises: Vec<_> = all.iter().filter_map(|it| it.enterprise.as_ref()).collect();
    assert_eq!(enterprises.last().unwrap().status, "已实名");
    // What is on the wire has nothing of the rest, whatever the messages' shape.
    let wire: Vec<u8> = batches.iter().flat_map(|it| it.encode_to_vec()).collect();
    let wire = String::from_utf8_lossy(&wire);
    for secret in [
        "hidden",
        "not-told",
        "ELSEWHERE",
        token.as_str(),
        "HS_SECKEY",
    ] {
        assert!(!wire.contains(secret), "{secret}");
    }
    // Whoever has no prefixes of its own tells of all.
    let everything = entries(&self::told(&node, &Scope::default()));
    let codes: Vec<_> = everything
        .iter()
        .flat_map(|it| &it.identifiers)
        .map(|it| it.code.as_str())
        .collect();
    assert_eq!(codes, ["88.118.8/A-1", "88.119.9/ELSEWHERE"]);
}

#[test]
fn every_change_says_what_was_done() {
    let node = Node::with_prefixes(&["88.118.8"]);
    node.write(create("88.118.8/1", "x"));
    std::thread::sleep(std::time::Duration::from_millis(3));
    node.write(update("88.118.8/1", "y", None));
    node.write(delete("88.118.8/1", None));
    let all = entries(&told(&node, &own()));
    let done: Vec<_> = all
        .iter()
        .flat_map(|it| it.identifiers.iter().map(|row| (it.sequence, row)))
        .collect();
    let operations: Vec<_> = done.iter().map(|(_, row)| row.operation()).collect();
    use MasterDataOperation::{Add, Delete, Modify};
    assert_eq!(operations, [Add, Modify, Delete]);
    let record = node.record("88.118.8/1").unwrap();
    let (sequence, last) = done[2];
    assert_eq!((sequence, last.version), (record.version, 0));
    assert_eq!(last.modified_at_ms, record.updated_at_ms);
}

#[test]
fn an_entry_of_any_size_comes_in_batches_of_a_bounded_one() {
    let items: Vec<IdentifierChange> = (0..60_000)
        .map(|n| {
            let draft = draft(&format!("88.118.8/{n:0>40}"), "x");
            let record = Record {
                version: 2,
                created_at_ms: 5,
                updated_at_ms: 5,
                deleted: None,
                display: None,
                template: None,
                value_count: 0,
                values: Bytes::new(),
            };
            IdentifierChange {
                key: Bytes::copy_from_slice(draft.identifier().key()),
                record: record.encode(),
                replaced: Some(0),
                enterprise: 1,
            }
        })
        .collect();
    let entry = |sequence, items| LogEntry {
        sequence,
        committed_at_ms: 5,
        actor: "x".into(),
        change: Some(Change::Identifiers(IdentifierChanges { items })),
    };
    let scope = own();
    let mut batches = Batches::from(1, &scope, |_: &IdentifierChange| Ok(true));
    batches.add(entry(1, items[..1].to_vec())).unwrap();
    batches.add(entry(2, items.clone())).unwrap();
    batches.add(entry(3, items[..1].to_vec())).unwrap();
    let batches = batches.finish();
    assert!(batches.len() >= 4, "{} batches", batches.len());
    let mut reached = 0;
    let mut rows: Vec<MasterData> = Vec::new();
    for batch in &batches {
        assert!(batch.encoded.len() < BATCH_BYTES + (64 << 10));
        let it = IntakeBatch::decode(&*batch.encoded).unwrap();
        assert_eq!(it.first, reached + 1, "no gap");
        reached = batch.told;
        if it.unfinished {
            assert_eq!((it.last, it.entries.len(), batch.told), (2, 1, 1));
        }
        let second = it.entries.into_iter().filter(|it| it.sequence == 2);
        rows.extend(second.flat_map(|it| it.identifiers));
    }
    assert_eq!((reached, rows.len()), (3, items.len()));
    let changes = batches.iter().map(|it| it.changes).sum::<usize>();
    assert_eq!(changes, items.len() + 2);
    assert!(rows.is_sorted_by_key(|it| it.code.clone()));
}

#[test]
fn entries_that_tell_nothing_move_the_sequence_on() {
    let node = Node::with_prefixes(&["88.119.9"]);
    for n in 0..50 {
        node.write(create(&format!("88.119.9/{n}"), "x"));
    }
    let scope = own();
    let (first, head) = (node.registry().applied() - 40, node.registry().applied());
    let mut batches = Batches::from(first, &scope, |_: &IdentifierChange| Ok(true));
    for entry in node
        .registry()
        .read_log(first, usize::MAX, usize::MAX)
        .unwrap()
    {
        batches.add(entry).unwrap();
    }
    let batches = batches.finish();
    let it = IntakeBatch::decode(&*batches[0].encoded).unwrap();
    assert_eq!((batches.len(), it.first, it.last), (1, first, head));
    assert!(it.entries.is_empty() && it.mark != 0);
}

#[test]
fn a_snapshot_goes_on_from_any_place() {
    let node = Node::with_prefixes(&["88.118.8", "88.119.9"]);
    node.write(put_template("car"));
    for n in 0..3_000 {
        node.write(create(&format!("88.118.8/{n:04}"), &"x".repeat(8)));
    }
    node.write(create("88.119.9/elsewhere", "x"));
    node.write(delete("88.118.8/0007", None));
    let (registry, scope) = (node.registry(), own());
    let (mut after, mut rows, mut places) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let part = part_after(registry, &scope, &after).unwrap();
        assert_eq!(part.after, after);
        assert!(part.reached > after);
        rows.extend(part.identifiers.clone());
        after.clone_from(&part.reached);
        places.push(after.clone());
        if part.last {
            assert_eq!((part.prefixes.len(), part.enterprises.len()), (1, 1));
            break;
        }
    }
    assert_eq!(rows.len(), 3_000);
    assert!(rows.is_sorted_by_key(|it| it.code.clone()));
    let deleted = &rows[7];
    assert_eq!(deleted.operation(), MasterDataOperation::Delete);
    let record = node.record(&deleted.code).unwrap();
    assert_eq!(deleted.version, record.version);
    // Between any two identifiers, too.
    let key = draft("88.118.8/1500", "x").identifier().key().to_vec();
    let rest = part_after(registry, &scope, &[&[4], &key[..]].concat()).unwrap();
    assert_eq!(rest.identifiers[0].code, "88.118.8/1501");
    assert!(rest.prefixes.is_empty() && rest.templates.is_empty());
}
