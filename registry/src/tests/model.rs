//! Random commands, alone and in groups, against a model in a few maps: what is refused, what is
//! left, the counters and the log must agree, also after opening the registry again.

mod state;

use super::support::*;
use crate::Object;
use crate::change::Change;
use crate::prefix::PrefixRecord;
use crate::read::{Counters, PageRequest};
use crate::record::Record;
use crate::write::Outcome;
use idnode_proto::identifier::Identifier;
use proptest::collection::vec;
use proptest::prelude::*;
use state::{IDENTIFIERS, Model, ModelIdentifier, ModelPrefix, Op, PREFIXES, op};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Turn {
    Together(Vec<Op>),
    Reopen,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        12 => vec(op(), 1..6).prop_map(Turn::Together),
        1 => Just(Turn::Reopen),
    ];
    vec(turn, 1..40)
}

fn check_results(node: &Node, model: &mut Model, ops: &[Op]) {
    let (commands, expected): (Vec<_>, Vec<_>) = ops.iter().map(|op| model.run(op)).unzip();
    let commands = commands.into_iter().map(|command| (None, command));
    let results = node.write_together(commands.collect());
    for ((op, expected), result) in ops.iter().zip(expected).zip(results) {
        match (expected, result) {
            (Err(reason), Err(error)) => assert_eq!(error.reason(), reason, "{op:?}: {error}"),
            (Ok((sequence, statuses)), Ok(receipt)) => {
                assert_eq!(receipt.sequence, sequence, "{op:?}");
                if let Outcome::Import(results) = receipt.outcome {
                    let results: Vec<_> = results
                        .iter()
                        .map(|item| match &item.error {
                            Some(error) => Err(error.reason.as_str()),
                            None => Ok(item.status),
                        })
                        .collect();
                    assert_eq!(results, statuses, "{op:?}");
                }
            }
            (expected, result) => panic!("{op:?}: {expected:?} expected, {result:?} found"),
        }
    }
    assert_eq!(node.registry().applied(), model.head);
}

fn model_prefix(record: &PrefixRecord) -> ModelPrefix {
    ModelPrefix {
        state: record.state(),
        delegated: record.delegation.is_some(),
        version: record.version,
    }
}

fn model_identifier(record: &Record) -> ModelIdentifier {
    ModelIdentifier {
        text: record.is_live().then(|| text(record)),
        version: record.version,
    }
}

/// Everything that can be read agrees with the model.
fn check_state(node: &Node, model: &Model) {
    let registry = node.registry();
    for (place, (name, _)) in IDENTIFIERS.iter().enumerate() {
        let identifier: Identifier = name.parse().unwrap();
        let (_, record) = registry.read(identifier.key()).unwrap();
        let found = record.as_ref().map(model_identifier);
        assert_eq!(found.as_ref(), model.identifiers.get(&place), "{name}");
    }
    for (place, name) in PREFIXES.iter().enumerate() {
        let found = node.prefix(name);
        let Some(expected) = model.prefixes.get(&place) else {
            assert_eq!(
                found,
                Err(crate::Error::not_found(Object::Prefix, parsed(name)))
            );
            continue;
        };
        assert_eq!(&model_prefix(&found.unwrap()), expected, "{name}");
        let page = registry
            .list_identifiers(
                &node.operator,
                &parsed(name),
                &PageRequest::default(),
                false,
            )
            .unwrap();
        let mut listed: Vec<_> = page
            .items
            .into_iter()
            .map(|(identifier, _)| identifier)
            .collect();
        let mut live: Vec<Identifier> = (0..IDENTIFIERS.len())
            .filter(|i| IDENTIFIERS[*i].1.contains(&place) && model.live(*i).is_some())
            .map(|i| IDENTIFIERS[i].0.parse().unwrap())
            .collect();
        live.sort();
        assert!(listed.is_sorted());
        listed.sort();
        assert_eq!(listed, live, "{name}");
        check_counters(node, model, place);
    }
    let found = registry.node_counters().unwrap();
    let expected = Counters {
        prefixes: model.prefixes.len() as u64,
        enterprises: 1,
        last_enterprise: 1,
        last_change_ms: found.last_change_ms,
        ..model.recount(None)
    };
    assert_eq!(found, expected, "the node's counters");
}

fn check_counters(node: &Node, model: &Model, place: usize) {
    let prefix = parsed(PREFIXES[place]);
    let found = node
        .registry()
        .prefix_counters(&node.operator, &prefix)
        .unwrap();
    let mut expected = model.recount(Some(place));
    expected.last_change_ms = found.last_change_ms;
    assert_eq!(found, expected, "{prefix}");
}

/// Who reads the log alone arrives at the same state.
fn check_log(node: &Node, model: &Model) {
    let mut prefixes = BTreeMap::new();
    let mut identifiers = BTreeMap::new();
    let entries = node.registry().read_log(1, usize::MAX, usize::MAX).unwrap();
    assert!(
        entries
            .iter()
            .map(|entry| entry.sequence)
            .eq(1..=model.head)
    );
    for entry in entries {
        match entry.change.unwrap() {
            Change::Identifiers(changes) => {
                for item in changes.items {
                    let record = Record::decode(item.record).unwrap();
                    assert_eq!(record.version, entry.sequence);
                    identifiers.insert(item.key.to_vec(), model_identifier(&record));
                }
            }
            Change::Prefix(change) if change.removed => {
                prefixes.remove(&change.record.key.to_vec());
            }
            Change::Prefix(change) => {
                assert_eq!(change.record.version, entry.sequence);
                prefixes.insert(change.record.key.to_vec(), model_prefix(&change.record));
            }
            Change::Enterprise(_) | Change::Template(_) | Change::Credential(_) => {}
        }
    }
    let expected: BTreeMap<_, _> = model
        .prefixes
        .iter()
        .map(|(place, prefix)| (parsed(PREFIXES[*place]).key().to_vec(), prefix.clone()))
        .collect();
    assert_eq!(prefixes, expected);
    let key = |name: &str| name.parse::<Identifier>().unwrap().key().to_vec();
    let expected: BTreeMap<_, _> = model
        .identifiers
        .iter()
        .map(|(place, identifier)| (key(IDENTIFIERS[*place].0), identifier.clone()))
        .collect();
    assert_eq!(identifiers, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_registry_does_what_the_model_does(turns in turns()) {
        let mut node = Node::with_prefixes(&PREFIXES[..3]);
        let version = |place: usize| node.prefix(PREFIXES[place]).unwrap().version;
        let active = (0..3).map(|place| (place, version(place)));
        let mut model = Model::after(node.registry().applied(), active);
        for turn in turns {
            match turn {
                Turn::Together(ops) => check_results(&node, &mut model, &ops),
                Turn::Reopen => node.reopen(),
            }
            check_state(&node, &model);
        }
        check_log(&node, &model);
        node.reopen();
        check_state(&node, &model);
        check_log(&node, &model);
    }
}
