//! A registry, deposited and restored: every row must be the same.

use crate::enterprise::EnterpriseId;
use crate::layout::{Family, decode_value};
use crate::prefix::{Delegation, NameServer, PrefixAction};
use crate::quota::{Quota, Usage};
use crate::read::Counters;
use crate::template::{Attribute, AttributeType, Template};
use crate::tests::support::{Node, apply, create, delete, review, step, update};
use crate::upward::escrow::entry::{Deposit, DepositLog, Status, listed};
use crate::upward::escrow::events::Events;
use crate::upward::escrow::make::Maker;
use crate::upward::escrow::moved::moved;
use crate::upward::escrow::restore::{Restored, restore};
use crate::upward::escrow::schedule::{Due, Plan, Standing};
use crate::upward::escrow::spool::Spool;
use crate::upward::escrow::{MakeError, directory_name};
use crate::write::Command;
use crate::{Options, Registry};
use bytes::Bytes;
use idnode_proto::escrow::compress::Compression;
use idnode_proto::escrow::package::PackOptions;
use idnode_proto::identifier::Prefix;
use idnode_proto::trust::key::{Algorithm, generate_pem};
use idnode_proto::trust::{PrivateKey, TrustKey};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PLAN: Plan = Plan {
    begins_at_min: 480,
    full_every: 4,
};

/// A node whose deposits lie in a directory, sent and accepted as soon as they are made.
struct Depositor {
    maker: Maker,
    receiver: PrivateKey,
    log: DepositLog,
    dir: tempfile::TempDir,
    now_ms: u64,
}

fn key_pair() -> (PrivateKey, TrustKey) {
    let key = PrivateKey::from_pem(&generate_pem(Algorithm::Sm2256).unwrap()).unwrap();
    let public = TrustKey::of(&key).unwrap();
    (key, public)
}

impl Depositor {
    fn new(node: &Node) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (receiver, public) = key_pair();
        let (signer, _) = key_pair();
        Self {
            maker: Maker {
                node: "88.118".into(),
                pack: PackOptions {
                    compression: Compression::Zip,
                    part_bytes: 700,
                    ..PackOptions::new(public)
                },
                signer,
                spool: Spool::new(dir.path().join("deposits")),
                stopping: false.into(),
            },
            receiver,
            log: DepositLog::open(node.registry().journal()).unwrap(),
            dir,
            now_ms: 1_795_824_000_000,
        }
    }

    fn deposits(&self) -> PathBuf {
        self.dir.path().join("deposits")
    }

    /// Deposits every prefix that was ever registered, a day later.
    fn deposit(&mut self, node: &Node) -> BTreeMap<String, Deposit> {
        self.now_ms += 86_400_000;
        let registry = node.registry();
        let registered: Vec<Bytes> = {
            let moment = registry.moment().unwrap();
            let all = moment.prefixes(&[], None).unwrap();
            all.map(|record| record.unwrap().key).collect()
        };
        let mut keys = registered.clone();
        keys.extend(
            self.log
                .prefixes()
                .filter(|key| !registered.contains(key))
                .cloned(),
        );
        let mut made = BTreeMap::new();
        for key in keys {
            if let Some(entry) = self.deposit_of(node, &key) {
                made.insert(Prefix::from_key(&key).unwrap().to_string(), entry);
            }
        }
        made
    }

    /// Deposits one prefix, if it is due, whatever the day has.
    fn deposit_of(&mut self, node: &Node, key: &Bytes) -> Option<Deposit> {
        let registry = node.registry();
        let prefix = Prefix::from_key(key).unwrap();
        let standing = Standing {
            registered: registry.prefixes().get(key).is_some(),
            moved: true,
            ..Standing::REGISTERED
        };
        let due = PLAN.due(self.log.recent(key), standing, self.now_ms);
        let Due::Make(entry) = due else { return None };
        let entry = self.log.begin(key, *entry).unwrap();
        let (mut events, now_ms) = (Events::after(0), self.now_ms);
        let made = self
            .maker
            .make(registry, &prefix, entry, &mut events, now_ms);
        let mut entry = made.unwrap();
        entry.set_status(Status::Accepted);
        self.log.put(key, &entry).unwrap();
        Some(entry)
    }

    fn restore(&self, to: &Path) -> Result<Restored, MakeError> {
        let signer = TrustKey::of(&self.maker.signer).unwrap();
        restore(&self.deposits(), &self.receiver, &signer, to)
    }
}

/// The families that deposits carry.
const CARRIED: [Family; 7] = [
    Family::Identifiers,
    Family::HashedNames,
    Family::Prefixes,
    Family::PrefixesByEnterprise,
    Family::Enterprises,
    Family::EnterprisesByCertificate,
    Family::Templates,
];

fn rows(registry: &Registry, family: Family) -> Vec<(Bytes, Bytes)> {
    let view = registry.store().snapshot();
    view.scan(family, &[], None)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// Counters of prefixes, of the node as far as they follow from what was deposited, and of quotas
/// but for the day's.
fn counted(registry: &Registry) -> Vec<(Bytes, Vec<u64>)> {
    // What former registrations have counted is not deposited.
    let mut all = rows(registry, Family::Statistics);
    all.retain(|(key, _)| key.first() != Some(&(u8::MAX - 1)));
    let numbers = |(key, value): (Bytes, Bytes)| {
        if key.first() == Some(&u8::MAX) {
            let usage: Usage = decode_value(&value).unwrap();
            return (key, vec![usage.registrations, usage.prefixes]);
        }
        let it: Counters = decode_value(&value).unwrap();
        let mut numbers = vec![it.identifiers, it.deleted, it.value_bytes];
        match key.is_empty() {
            true => numbers.extend([
                it.prefixes,
                it.enterprises,
                it.templates,
                it.last_enterprise,
            ]),
            false => numbers.extend([it.creations, it.updates, it.deletions, it.last_change_ms]),
        }
        (key, numbers)
    };
    all.into_iter().map(numbers).collect()
}

#[track_caller]
fn same(node: &Node, depositor: &Depositor, named: &str) -> Restored {
    let dir = depositor.dir.path().join(named);
    let restored = depositor.restore(&dir).unwrap();
    let registry = Registry::open(&dir, &Options::default(), Arc::new(())).unwrap();
    for family in CARRIED {
        assert_eq!(
            rows(&registry, family),
            rows(node.registry(), family),
            "{}",
            family.name()
        );
    }
    assert_eq!(counted(&registry), counted(node.registry()));
    assert!(
        registry
            .authenticate(&restored.token)
            .unwrap()
            .is_operator()
    );
    assert_eq!(registry.applied(), restored.revision + 1);
    restored
}

fn template(name: &str, enterprise: Option<u64>) -> Command {
    Command::PutTemplate {
        template: Template {
            name: name.into(),
            title: "车".into(),
            enterprise,
            attributes: vec![Attribute {
                name: "mass".into(),
                kind: AttributeType::Decimal as i32,
                minimum: Some(0.25),
                ..Attribute::default()
            }],
            ..Template::default()
        },
        expected_version: None,
    }
}

/// Two enterprises, prefixes in several states and within each other, templates, a quota, tombstones.
fn world() -> (Node, EnterpriseId, EnterpriseId) {
    let node = Node::new();
    let (one, two) = (node.enterprise("one"), node.enterprise("two"));
    node.activate("88.118.8", one);
    node.activate("oid:1.2.156.3001", one);
    node.activate("oid:1.2.156.3001.7", two);
    node.activate("gs1:6901", two);
    node.write(apply("88.118.9", two));
    node.write(template("common", None));
    node.write(template("own", Some(one.0)));
    node.write(template("old", Some(one.0)));
    node.write(Command::SetQuota {
        id: two,
        quota: Quota {
            registrations: Some(1_000),
            ..Quota::default()
        },
        expected_version: None,
    });
    for (name, text) in [
        ("88.118.8/A-1", "one"),
        ("88.118.8/ü<&>\"'%", "odd"),
        ("1.2.156.3001.5", "outer"),
        ("1.2.156.3001.7.1", "inner"),
        ("1.2.156.3001.9", "outer"),
        ("gs1:(01)06901234567892", "item"),
    ] {
        node.write(create(name, text));
    }
    // A name too long for DNS has a hash.
    node.write(create(&format!("88.118.8/{}", "x".repeat(200)), "long"));
    node.write(create("88.118.8/gone", "x"));
    node.write(delete("88.118.8/gone", None));
    (node, one, two)
}

#[test]
fn a_registry_restored_from_full_deposits_is_the_same() {
    let (node, ..) = world();
    let mut depositor = Depositor::new(&node);
    let made = depositor.deposit(&node);
    assert!(made.values().all(|it| it.full) && made.len() == 5);
    assert!(made["88.118.8"].parts > 1);
    let restored = same(&node, &depositor, "restored");
    assert_eq!(restored.prefixes.len(), 5);
}

#[test]
fn a_registry_restored_from_full_deposits_and_diffs_is_the_same() {
    let (node, one, two) = world();
    let mut depositor = Depositor::new(&node);
    depositor.deposit(&node);
    node.write(update("88.118.8/A-1", "changed", None));
    node.write(create("88.118.8/A-0", "new"));
    node.write(delete("88.118.8/ü<&>\"'%", None));
    node.write(create("88.118.8/gone", "again"));
    node.write(step("88.118.9", PrefixAction::StartReview));
    node.write(step("88.118.9", PrefixAction::Reject));
    node.write(step("gs1:6901", PrefixAction::Suspend));
    node.write(Command::SetDelegation {
        prefix: "oid:1.2.156.3001".parse().unwrap(),
        delegation: Some(Delegation {
            name_servers: vec![NameServer {
                name: "ns.example".into(),
                addresses: vec!["192.0.2.1".into()],
            }],
            ..Delegation::default()
        }),
        expected_version: None,
    });
    node.write(template("own", Some(one.0)));
    node.write(Command::DeleteTemplate {
        name: "old".into(),
        expected_version: None,
    });
    node.write(Command::SetDelegation {
        prefix: "oid:1.2.156.3001.7".parse().unwrap(),
        delegation: Some(Delegation {
            service_handle: "88.119/服务 <&>\"'".into(),
            ..Delegation::default()
        }),
        expected_version: None,
    });
    let made = depositor.deposit(&node);
    assert!(made.values().all(|it| !it.full), "{made:?}");
    assert_eq!(made["88.118.8"].identifiers, 4);
    assert_eq!(made["oid:1.2.156.3001.7"].identifiers, 0);
    same(&node, &depositor, "after one");
    // Nothing changed; then only an enterprise.
    let made = depositor.deposit(&node);
    assert!(made.values().all(|it| !it.full && it.identifiers == 0));
    same(&node, &depositor, "after two");
    node.write(review(two, crate::enterprise::ReviewAction::Suspend, None));
    let made = depositor.deposit(&node);
    assert!(made.values().all(|it| !it.full));
    same(&node, &depositor, "after three");
    let made = depositor.deposit(&node);
    assert!(made.values().all(|it| it.full));
    same(&node, &depositor, "after the second full one");
}

#[test]
fn what_changes_hands_is_deposited_whole() {
    let (node, one, _) = world();
    let mut depositor = Depositor::new(&node);
    node.write(create("1.2.156.3001.4.1", "x"));
    node.write(delete("1.2.156.3001.4.1", None));
    depositor.deposit(&node);
    // The tombstone is the longer prefix's from now on.
    node.write(apply("oid:1.2.156.3001.4", one));
    let made = depositor.deposit(&node);
    assert!(made["oid:1.2.156.3001"].full && made["oid:1.2.156.3001.4"].full);
    assert!(!made["oid:1.2.156.3001.7"].full && !made["88.118.8"].full);
    same(&node, &depositor, "longer");
    node.write(step("oid:1.2.156.3001.4", PrefixAction::MarkForDeletion));
    node.write(step("oid:1.2.156.3001.4", PrefixAction::Remove));
    let made = depositor.deposit(&node);
    assert!(made["oid:1.2.156.3001"].full);
    assert!(made["oid:1.2.156.3001.4"].closes);
    same(&node, &depositor, "gone");
    assert!(!depositor.deposit(&node).contains_key("oid:1.2.156.3001.4"));
}

#[test]
fn a_log_that_was_trimmed_makes_full_deposits() {
    let (node, ..) = world();
    let mut depositor = Depositor::new(&node);
    depositor.deposit(&node);
    node.write(update("88.118.8/A-1", "changed", None));
    node.write(update("88.118.8/A-1", "changed twice", None));
    node.registry().trim_log(u64::MAX).unwrap();
    let made = depositor.deposit(&node);
    assert!(made.values().all(|it| it.full));
    same(&node, &depositor, "restored");
}

#[test]
fn what_is_damaged_or_missing_is_not_restored() {
    let (node, ..) = world();
    let mut depositor = Depositor::new(&node);
    let first = depositor.deposit(&node)["88.118.8"].clone();
    depositor.deposit(&node);
    let last = depositor.deposit(&node)["88.118.8"].clone();
    let dir = depositor
        .deposits()
        .join(directory_name(&"88.118.8".parse().unwrap()));
    let to = depositor.dir.path().join("restored");
    let part = dir.join(&first.id).join("part-00002");
    let whole = std::fs::read(&part).unwrap();
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    std::fs::write(&part, &flipped).unwrap();
    let said = depositor.restore(&to).unwrap_err().to_string();
    assert!(said.starts_with("part 2 has the SM3 digest"), "{said}");
    std::fs::remove_file(&part).unwrap();
    assert_eq!(
        depositor.restore(&to).unwrap_err().to_string(),
        "part 2 is missing"
    );
    std::fs::write(&part, &whole).unwrap();
    let second = std::fs::rename(dir.join(&last.prev_id), depositor.dir.path().join("aside"));
    second.unwrap();
    let said = depositor.restore(&to).unwrap_err().to_string();
    assert_eq!(
        said,
        format!(
            "deposit {} follows {}, which is missing",
            last.id, last.prev_id
        )
    );
    std::fs::rename(depositor.dir.path().join("aside"), dir.join(&last.prev_id)).unwrap();
    let (other, _) = key_pair();
    let mut another = Depositor {
        receiver: other,
        ..depositor
    };
    let said = another.restore(&to).unwrap_err().to_string();
    assert!(said.contains("another receiver's key"), "{said}");
    another.maker.signer = key_pair().0;
    let said = another.restore(&to).unwrap_err().to_string();
    assert!(said.contains("not its signer's"), "{said}");
    assert!(!to.exists());
}

#[test]
fn the_deposit_log_is_there_again_and_keeps_to_its_bound() {
    let mut node = Node::new();
    let key = Bytes::copy_from_slice("88.118.8".parse::<Prefix>().unwrap().key());
    let other = Bytes::copy_from_slice("88.118".parse::<Prefix>().unwrap().key());
    let mut log = DepositLog::open(node.registry().journal()).unwrap();
    for number in 1..=450 {
        let entry = Deposit {
            number,
            id: format!("d{number}"),
            ..Deposit::default()
        };
        log.put(&key, &entry).unwrap();
    }
    log.put(
        &other,
        &Deposit {
            number: 1,
            ..Deposit::default()
        },
    )
    .unwrap();
    drop(log);
    node.reopen();
    let journal = node.registry().journal();
    let log = DepositLog::open(journal.clone()).unwrap();
    assert!(log.recent(&key).map(|it| it.number).eq(439..=450));
    assert_eq!(log.recent(&other).count(), 1);
    let all = listed(&journal, Some(&key), usize::MAX).unwrap();
    assert_eq!((all.len(), all[0].1.number), (400, 450));
    assert_eq!(listed(&journal, Some(&other), 10).unwrap().len(), 1);
    assert_eq!(listed(&journal, None, 3).unwrap().len(), 3);
}

#[test]
fn places_of_a_day_are_given_once_however_far_back_and_old_entries_stay_behind() {
    let node = Node::new();
    let key = Bytes::copy_from_slice("88.118.8".parse::<Prefix>().unwrap().key());
    let mut log = DepositLog::open(node.registry().journal()).unwrap();
    // A day; then a clock that leaps ahead and comes back.
    for (number, day) in (1..=20).map(|number| (number, if number < 4 { 5 } else { 9 })) {
        let entry = Deposit {
            number,
            day,
            ..Deposit::default()
        };
        assert_eq!(log.begin(&key, entry).unwrap().number, number);
    }
    let back = Deposit {
        number: 21,
        day: 5,
        ..Deposit::default()
    };
    assert_eq!(log.begin(&key, back).unwrap().order, 3);
    // A verdict on an old one: what is last stays last, and the old one is found.
    let mut old = log.entry(&key, 2).unwrap().unwrap();
    old.set_status(Status::Sent);
    log.put(&key, &old).unwrap();
    assert_eq!(log.recent(&key).next_back().unwrap().number, 21);
    assert!(log.recent(&key).map(|it| it.number).eq(10..=21));
    assert_eq!(log.unanswered().unwrap(), [(key.clone(), 2)]);
}

#[test]
fn what_moves_between_prefixes_is_known_from_the_log() {
    let (node, one, _) = world();
    let mut depositor = Depositor::new(&node);
    node.write(create("1.2.156.3001.4.1", "x"));
    node.write(delete("1.2.156.3001.4.1", None));
    depositor.deposit(&node);
    let shorter = Bytes::copy_from_slice("oid:1.2.156.3001".parse::<Prefix>().unwrap().key());
    let moving = |depositor: &Depositor| {
        let moment = node.registry().moment().unwrap();
        let all = moment.prefixes(&[], None).unwrap();
        let registered = all.map(|record| record.unwrap().key).collect();
        moved(&depositor.log, &registered)
    };
    assert!(moving(&depositor).is_empty());
    let only = |depositor: &mut Depositor, prefix: &str| {
        let key = Bytes::copy_from_slice(prefix.parse::<Prefix>().unwrap().key());
        depositor.deposit_of(&node, &key);
    };
    node.write(apply("oid:1.2.156.3001.4", one));
    only(&mut depositor, "oid:1.2.156.3001.4");
    assert!(moving(&depositor).iter().eq([&shorter]));
    // Until then the two tell of no registry together; then they do.
    let between = depositor.dir.path().join("between");
    assert!(depositor.restore(&between).is_err());
    only(&mut depositor, "oid:1.2.156.3001");
    assert!(moving(&depositor).is_empty());
    depositor.restore(&between).unwrap();
    node.write(step("oid:1.2.156.3001.4", PrefixAction::MarkForDeletion));
    node.write(step("oid:1.2.156.3001.4", PrefixAction::Remove));
    only(&mut depositor, "oid:1.2.156.3001.4");
    assert!(moving(&depositor).iter().eq([&shorter]));
    only(&mut depositor, "oid:1.2.156.3001");
    assert!(moving(&depositor).is_empty());
}

#[test]
fn a_prefix_that_vanishes_before_its_full_deposit_is_made_is_closed() {
    let node = Node::new();
    let one = node.enterprise("one");
    node.activate("88.118.8", one);
    node.activate("88.118.9", one);
    let mut depositor = Depositor::new(&node);
    let key = Bytes::copy_from_slice("88.118.8".parse::<Prefix>().unwrap().key());
    depositor.deposit(&node);
    // Refused: a FULL one is planned, and the prefix goes before it is made.
    let mut refused = depositor.log.recent(&key).next_back().unwrap().clone();
    refused.set_status(Status::Refused);
    depositor.log.put(&key, &refused).unwrap();
    depositor.now_ms += 86_400_000;
    let due = PLAN.due(
        depositor.log.recent(&key),
        Standing::REGISTERED,
        depositor.now_ms,
    );
    let Due::Make(planned) = due else {
        panic!("{due:?}")
    };
    node.write(step("88.118.8", PrefixAction::MarkForDeletion));
    node.write(step("88.118.8", PrefixAction::Remove));
    let planned = depositor.log.begin(&key, *planned).unwrap();
    let prefix = "88.118.8".parse().unwrap();
    let made = depositor.maker.make(
        node.registry(),
        &prefix,
        planned,
        &mut Events::after(0),
        depositor.now_ms,
    );
    let mut made = made.unwrap();
    assert!(made.closes && made.full && made.listing.is_empty());
    made.set_status(Status::Accepted);
    depositor.log.put(&key, &made).unwrap();
    same(&node, &depositor, "without it");
    assert!(!depositor.deposit(&node).contains_key("88.118.8"));
}

#[test]
fn nothing_is_left_of_what_was_not_made() {
    let (node, ..) = world();
    let mut depositor = Depositor::new(&node);
    depositor.maker.stopping = true.into();
    let begun = Deposit {
        number: 1,
        full: true,
        ..Deposit::default()
    };
    let prefix: Prefix = "88.118.8".parse().unwrap();
    let made = depositor
        .maker
        .make(node.registry(), &prefix, begun, &mut Events::after(0), 1);
    assert!(matches!(made, Err(MakeError::Ended)));
    let dir = depositor.deposits().join(directory_name(&prefix));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    // Nor at the start, where a process was killed; what is not ours stays.
    std::fs::create_dir(dir.join("x.making")).unwrap();
    std::fs::write(dir.join("note"), "").unwrap();
    depositor.maker.spool.tidy("88.118.8", &[]).unwrap();
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    // A deposit is whole with all its parts, at their lengths.
    depositor.maker.stopping = false.into();
    let made = depositor.deposit(&node)["88.118.8"].clone();
    let spool = &depositor.maker.spool;
    assert!(made.parts > 1 && spool.is_whole("88.118.8", &made.id));
    let part = dir.join(&made.id).join("part-00002");
    let bytes = std::fs::read(&part).unwrap();
    std::fs::write(&part, &bytes[1..]).unwrap();
    assert!(!spool.is_whole("88.118.8", &made.id));
    std::fs::remove_file(&part).unwrap();
    assert!(!spool.is_whole("88.118.8", &made.id));
}

#[test]
fn directories_have_names_that_no_file_system_minds() {
    for (prefix, name) in [
        ("88.118.8", "88.118.8"),
        ("oid:1.2.156", "oid%3A1.2.156"),
        ("gs1:6901", "gs1%3A6901"),
    ] {
        assert_eq!(directory_name(&prefix.parse().unwrap()), name);
    }
}
