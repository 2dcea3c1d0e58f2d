//! Random histories: after each step copies are refreshed from whatever they had.

use super::copy::*;
use super::harness::*;
use crate::front::dns::{Allowed, DnsOptions};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use idnode_proto::dnsname::{
    Subject, ons_name, ons_prefix_names, ors_name, prefix_to_name, to_name,
};
use idnode_proto::handle::site::Site;
use idnode_proto::identifier::{Identifier, Prefix, Scheme};
use idnode_proto::value::{Permissions, Ttl, Value, types};
use idnode_registry::prefix::{Delegation, DelegationSigner, NameServer, PrefixAction};
use idnode_registry::write::{Command, Draft, IdentifierUpdate, ImportMode};
use std::collections::{BTreeMap, BTreeSet};

const ZONES: [&str; 3] = [ZONE, "ors.example.", "ons.example."];
const TYPES: [RecordType; 9] = [
    RecordType::TXT,
    URI,
    RecordType::NAPTR,
    RecordType::A,
    RecordType::AAAA,
    RecordType::DS,
    RecordType::SVCB,
    RecordType::HTTPS,
    RecordType::PTR,
];

/// Prefixes that come and go, some inside others, some with hashed names.
fn prefixes() -> Vec<String> {
    let mut all: Vec<String> = [
        "88.118.8",
        "88.118.9",
        "88.118.11",
        "88.118.12",
        "oid:1.2.156.3001",
        "oid:1.2.156.3001.7",
        "oid:1.2.156.3002",
        "oid:1.2.156.3003",
        "gs1:9506000",
        "gs1:95060001",
        "gs1:6901234",
        "gs1:950600013435",
        "did:bid:byo1",
        "ecode:10003",
        "vaa:VAA0881001234",
    ]
    .map(str::to_owned)
    .to_vec();
    all.push(format!("88.{}", "7".repeat(70)));
    all
}

/// Identifiers below them.
fn identifiers() -> Vec<String> {
    let mut all = Vec::new();
    for prefix in ["88.118.8", "88.118.9", "88.118.11", "88.118.12"] {
        for tail in ["a", "B-1", "温度", &"l".repeat(80)] {
            all.push(format!("{prefix}/{tail}"));
        }
    }
    all.push(format!("88.{}/a", "7".repeat(70)));
    for arcs in ["1.2.156.3001", "1.2.156.3002", "1.2.156.3003"] {
        for below in ["", ".5.6", ".5", ".7", ".7.8", ".7.8.9"] {
            all.push(format!("{arcs}{below}"));
        }
        all.push(format!("{arcs}{}", ".1234567890".repeat(15)));
    }
    for key in [
        "gtin:9506000134352",
        "https://id.gs1.org/01/09506000134352/10/ABC",
        "https://id.gs1.org/01/09506000134352/10/ABC/21/x",
        "https://id.gs1.org/01/19506000134359/21/y",
        "gln:9506000134352",
        "gtin:6901234567892",
        "https://id.gs1.org/01/06901234567892/10/L",
        "sscc:069012340000000015",
    ] {
        all.extend(Identifier::parse(key).is_ok().then(|| key.to_owned()));
    }
    for text in [
        "did:bid:byo1",
        "did:bid:byo1:efzV4oV3dzVx8BVREDfuYL",
        "ecode:10003693010",
        "ecode:1000342",
        "vaa:VAA0881001234/SN1",
    ] {
        all.push(text.to_owned());
    }
    all
}

/// A small generator of numbers, the same ones each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn one<'a, T: ?Sized>(&mut self, of: &'a [Box<T>]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn values(&mut self) -> Vec<Value> {
        let count = 1 + self.below(4);
        let values = (1..=count as u32).map(|index| {
            let (kind, data) = [
                (types::URL, "https://example.cn/a"),
                (types::URL, "http://b.example/!x"),
                (types::INET_HOST, "192.0.2.7"),
                ("AAAA", "2001:db8::7"),
                ("RINF", "https://oid.example/6.xml"),
                ("gs1:recallStatus", "https://example.com/recall"),
                (types::DESC, "text"),
                ("SVCB", "0 pool.example.cn."),
                ("HTTPS", "1 . alpn=h2 port=8443"),
                ("PTR", "host.example.cn."),
            ][self.below(10)];
            let ttl = [
                Ttl::RelativeS(60),
                Ttl::RelativeS(7_200),
                Ttl::DEFAULT,
                Ttl::AbsoluteS(4_000_000_000),
            ][self.below(4)];
            let permissions = [Permissions::default(), Permissions(0b1100)][self.below(8) / 7];
            Value {
                ttl,
                permissions,
                ..Value::new(index, kind, data)
            }
        });
        values.collect()
    }

    fn delegation(&mut self, prefix: &str) -> Option<Delegation> {
        let site = Site::decode(&super::super::harness::site(9_000).encode()).unwrap();
        let server = |name: &str, addresses: &[&str]| NameServer {
            name: name.to_owned(),
            addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
        };
        let label = prefix.replace('.', "-");
        match self.below(5) {
            0 | 1 => None,
            2 => Some(Delegation {
                service_handle: "88.200/SVC".to_owned(),
                ..Delegation::default()
            }),
            3 => Some(Delegation {
                sites: vec![site.encode().into()],
                name_servers: Vec::new(),
                ..Delegation::default()
            }),
            _ => Some(Delegation {
                sites: Vec::new(),
                name_servers: vec![
                    server("ns1.factory.example.", &["192.0.2.11"]),
                    // Below the cut of a Handle prefix: this is what needs glue.
                    server(
                        &format!("ns2.{label}.hdl.{ZONE}").replace(':', "-"),
                        &["192.0.2.12", "2001:db8::12"],
                    ),
                ],
                ds: vec![DelegationSigner {
                    key_tag: 1,
                    algorithm: 13,
                    digest_type: 2,
                    digest: vec![7; 32].into(),
                }],
                ..Delegation::default()
            }),
        }
    }

    /// Something that may be refused.
    fn command(&mut self, prefixes: &[Box<str>], identifiers: &[Box<str>]) -> Command {
        const NOW_S: u32 = 1_700_000_000;
        let prefix_text = self.one(prefixes);
        let prefix = Prefix::parse(prefix_text).unwrap();
        let identifier = Identifier::parse(self.one(identifiers)).unwrap();
        let (message, expected_version) = (String::new(), None);
        match self.below(12) {
            0..=3 => {
                let values = self.values();
                Command::CreateIdentifier(Draft::new(identifier, values, None, NOW_S).unwrap())
            }
            4 | 5 => Command::UpdateIdentifier(
                IdentifierUpdate::new(identifier, self.values(), vec![], true, None, None, NOW_S)
                    .unwrap(),
            ),
            6 | 7 => Command::DeleteIdentifier {
                identifier,
                reason: String::new(),
                expected_version,
            },
            8 => {
                let items = (0..10).map(|_| {
                    let identifier = Identifier::parse(self.one(identifiers)).unwrap();
                    Ok(Draft::new(identifier, self.values(), None, NOW_S).unwrap())
                });
                let items = items.collect();
                Command::ImportChunk {
                    import_id: format!("i{}", self.below(usize::MAX)),
                    number: 1,
                    mode: ImportMode::Upsert,
                    items,
                }
            }
            9 => Command::SetDelegation {
                delegation: self.delegation(prefix_text),
                prefix,
                expected_version,
            },
            // Back in force sooner than out of it.
            10 => Command::TransitionPrefix {
                action: [
                    PrefixAction::Suspend,
                    PrefixAction::MarkForDeletion,
                    PrefixAction::Remove,
                ][self.below(3)],
                prefix,
                message,
                expected_version,
            },
            _ => Command::TransitionPrefix {
                action: [
                    PrefixAction::Resume,
                    PrefixAction::Resume,
                    PrefixAction::CancelDeletion,
                    PrefixAction::Approve,
                    PrefixAction::StartReview,
                ][self.below(5)],
                prefix,
                message,
                expected_version,
            },
        }
    }
}

fn boxed(texts: Vec<String>) -> Vec<Box<str>> {
    texts.into_iter().map(String::into_boxed_str).collect()
}

async fn start() -> Node {
    Node::start_with(DnsOptions {
        node_addresses: vec!["192.0.2.53".parse().unwrap()],
        allow_transfer: vec![Allowed::parse("127.0.0.0/8").unwrap()],
        ..DnsOptions::default()
    })
    .await
}

/// Refreshed by differences from any serial it has been at, a copy is the zone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn differences_lead_to_the_zone() {
    let (prefixes, identifiers) = (boxed(prefixes()), boxed(identifiers()));
    for seed in 1..=4_u64 {
        let node = start().await;
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for prefix in &prefixes {
            node.filling.try_prefix(prefix).await;
        }
        let mut kept: BTreeMap<&str, Vec<Copy>> = BTreeMap::new();
        let (mut differences, mut wholes) = (0, 0);
        for round in 0..25 {
            for _ in 0..dice.below(6) {
                let command = dice.command(&prefixes, &identifiers);
                let _ = node.filling.try_write(command).await;
            }
            for zone in ZONES {
                let now = Copy::whole(node.addr, zone).await;
                let copies = kept.entry(zone).or_default();
                for old in copies.iter() {
                    let again = match old.refreshed(node.addr, zone).await {
                        Sent::Whole(copy) => {
                            wholes += 1;
                            copy
                        }
                        Sent::Difference(copy) => {
                            differences += 1;
                            copy
                        }
                        Sent::Nothing => old.clone(),
                    };
                    assert_same(
                        &again,
                        &now,
                        &format!("seed {seed} round {round} {zone} from {}", old.serial),
                    );
                }
                copies.push(now);
                if copies.len() > 6 {
                    copies.remove(dice.below(6));
                }
            }
        }
        assert!(
            differences > 100 && differences > 3 * wholes,
            "{differences} and {wholes}"
        );
        node.stop().await;
    }
}

/// A product's cut stays while one of its lots is deleted, its delegation is taken away and set
/// again, and a prefix before it changes as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_that_comes_back_stays() {
    let lots = ["10/A", "10/B"].map(|lot| format!("https://id.gs1.org/01/09506000134352/{lot}"));
    let [first, second] = lots.each_ref().map(|lot| Identifier::parse(lot).unwrap());
    let other = Identifier::parse("88.118.8/other").unwrap();
    let node = start().await;
    for prefix in ["88.118.8", "gs1:9506000"] {
        node.filling.try_prefix(prefix).await;
    }
    let delegate = |delegation| Command::SetDelegation {
        prefix: Prefix::parse("gs1:9506000").unwrap(),
        delegation,
        expected_version: None,
    };
    let server = NameServer {
        name: "ns1.factory.example.".to_owned(),
        addresses: Vec::new(),
    };
    let elsewhere = Delegation {
        sites: Vec::new(),
        name_servers: vec![server],
        ..Delegation::default()
    };
    let create = |identifier: &Identifier| {
        let values = vec![Value::new(1, types::URL, "https://example.cn/a")];
        let draft = Draft::new(identifier.clone(), values, None, 1_700_000_000);
        Command::CreateIdentifier(draft.unwrap())
    };
    let before = [create(&first), create(&second), create(&other)];
    for command in before
        .into_iter()
        .chain([delegate(Some(elsewhere.clone()))])
    {
        node.filling.try_write(command).await.unwrap();
    }
    let old = Copy::whole(node.addr, ZONE).await;
    let delete = Command::DeleteIdentifier {
        identifier: second,
        reason: String::new(),
        expected_version: None,
    };
    let suspend = Command::TransitionPrefix {
        prefix: Prefix::parse("88.118.8").unwrap(),
        action: PrefixAction::Suspend,
        message: String::new(),
        expected_version: None,
    };
    for command in [delegate(None), delete, delegate(Some(elsewhere)), suspend] {
        node.filling.try_write(command).await.unwrap();
    }
    let again = match old.refreshed(node.addr, ZONE).await {
        Sent::Whole(copy) | Sent::Difference(copy) => copy,
        Sent::Nothing => old,
    };
    let now = Copy::whole(node.addr, ZONE).await;
    let cut = |(_, rtype, ..): &&Parts| *rtype == u16::from(RecordType::NS);
    assert!(now.records.iter().filter(cut).count() > 1, "{now:?}");
    assert_same(&again, &now, "after it came back");
    node.stop().await;
}

fn assert_same(got: &Copy, want: &Copy, what: &str) {
    let lost: Vec<_> = want.records.difference(&got.records).collect();
    let left: Vec<_> = got.records.difference(&want.records).collect();
    assert!(
        lost.is_empty() && left.is_empty(),
        "{what}: lost {lost:?}, left over {left:?}"
    );
    assert_eq!(got.serial, want.serial, "{what}");
}

/// What a copy answers is what the node answers; where it is not, `docs/secondaries.md` says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_answer_as_the_node() {
    let (prefixes, identifiers) = (boxed(prefixes()), boxed(identifiers()));
    for seed in 1..=2_u64 {
        let node = start().await;
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for prefix in &prefixes {
            node.filling.try_prefix(prefix).await;
        }
        let mut different = Vec::new();
        for round in 0..4 {
            for _ in 0..25 {
                let command = dice.command(&prefixes, &identifiers);
                let _ = node.filling.try_write(command).await;
            }
            for zone in ZONES {
                let copy = Copy::whole(node.addr, zone).await;
                let lookup = Lookup::new(&copy, zone);
                let apex = Name::from_ascii(zone).unwrap();
                let mut names: Vec<Name> = lookup.names().cloned().collect();
                for text in &identifiers {
                    names.extend(names_of(&node, &Identifier::parse(text).unwrap()));
                }
                for text in &prefixes {
                    names.extend(names_of_prefix(&node, &Prefix::parse(text).unwrap()));
                }
                names.retain(|name| apex.zone_of(name) && name.iter().all(|label| label != b"*"));
                let mut stream = tokio::net::TcpStream::connect(node.addr).await.unwrap();
                for name in &names {
                    for qtype in TYPES {
                        let text = name.to_ascii();
                        let query = Ask::new(&text, qtype).edns(0, 1_232).bytes();
                        let answer = exchange(&mut stream, &query).await.unwrap();
                        let answer = Message::from_vec(&answer).unwrap();
                        let found = lookup.find(name, qtype);
                        if let Some(why) = difference(&node, name, &found, &answer) {
                            different.push(format!("seed {seed} round {round} {text} {qtype}: {why}: {found:?} but {answer}"));
                        }
                    }
                }
            }
        }
        assert!(
            different.is_empty(),
            "{} of them: {:#?}",
            different.len(),
            different.get(..different.len().min(12))
        );
        node.stop().await;
    }
}

fn names_of(node: &Node, identifier: &Identifier) -> Vec<Name> {
    let zones = &node.core.zones;
    let mapped = [
        Some(to_name(identifier, zones)),
        ors_name(identifier, zones),
        ons_name(identifier, zones),
    ];
    let mut names = Vec::new();
    for mapped in mapped.into_iter().flatten() {
        let name = Name::from_labels(mapped.labels()).unwrap();
        // The names above, and one below.
        names.extend((2..=name.iter().len()).map(|length| {
            let labels: Vec<&[u8]> = name.iter().collect();
            Name::from_labels(labels[labels.len() - length..].to_vec()).unwrap()
        }));
        names.extend(Name::from_ascii("x").unwrap().append_name(&name));
    }
    names
}

fn names_of_prefix(node: &Node, prefix: &Prefix) -> Vec<Name> {
    let zones = &node.core.zones;
    let mut names = ons_prefix_names(prefix, zones);
    names.push(prefix_to_name(prefix, zones));
    let names = names.iter();
    names
        .map(|name| Name::from_labels(name.labels()).unwrap())
        .collect()
}

/// What a copy answers otherwise than the node without being allowed to.
fn difference(node: &Node, name: &Name, found: &Found, answer: &Message) -> Option<&'static str> {
    let subject = node.core.zones.parse_name(name.iter());
    let prefixes = node.core.registry.prefixes();
    let governing = match &subject {
        Ok(Subject::Identifier(identifier)) => prefixes.governing(identifier),
        Ok(Subject::Prefix(prefix)) => {
            let mut above = std::iter::successors(Some(prefix.clone()), Prefix::parent);
            above.find_map(|prefix| prefixes.get(prefix.key()))
        }
        _ => None,
    };
    let delegated = governing.is_some_and(|entry| entry.record.delegation.is_some());
    // OIDs and GS1 keys have names between; so have schemes.
    let between = match &subject {
        Ok(Subject::SchemeRoot(_) | Subject::EmptyNonTerminal(_)) => true,
        Ok(Subject::Identifier(identifier)) => {
            matches!(identifier.scheme(), Scheme::Oid | Scheme::Gs1)
        }
        Ok(Subject::Prefix(prefix)) => prefix.scheme() == Scheme::Gs1,
        _ => false,
    };
    let hashed = matches!(
        subject,
        Ok(Subject::HashedIdentifier { .. } | Subject::HashedPrefix { .. })
    );
    let answers: BTreeSet<Parts> = answer.answers.iter().map(parts).collect();
    let rcode = answer.metadata.response_code;
    let is_denied = rcode == ResponseCode::NXDomain;
    match found {
        // Behind a wildcard are interfaces without the identifier, and names of no meaning.
        Found::Records(set, true) => {
            let has_meaning = delegated || hashed;
            let is_text = set.iter().all(|(_, rtype, ..)| *rtype == 16);
            let same = !has_meaning || is_denied || answers == *set;
            (is_text && !same).then_some("another text behind a wildcard")
        }
        Found::Records(set, false) => {
            let is_timeless = set.iter().all(|(_, _, ttl, _)| *ttl == 0);
            let same = answers == *set || is_timeless && without_ttl(&answers) == without_ttl(set);
            (!same).then_some("other records")
        }
        // Below a cut, a prefix inside the delegated one is hidden.
        Found::Referral(set) => {
            let is_ns = |record: &&Record| record.record_type() == RecordType::NS;
            let servers: BTreeSet<Parts> =
                answer.authorities.iter().filter(is_ns).map(parts).collect();
            let hidden =
                servers.is_empty() && (between || hashed || below_inner_prefix(node, name));
            (servers != *set && !hidden).then_some("another referral")
        }
        Found::NoData(true) => (!answers.is_empty()).then_some("nothing behind a wildcard"),
        Found::NoData(false) => {
            let same = rcode == ResponseCode::NoError && answers.is_empty();
            let allowed = delegated && between;
            (!same && !allowed).then_some("no records")
        }
        Found::NoName => {
            let allowed = between || hashed && delegated_somewhere(node);
            (!is_denied && !allowed).then_some("no such name")
        }
    }
}

/// Whether a name of no meaning is below an identifier's whose own prefix has no name servers, as
/// one inside a delegated prefix may.
fn below_inner_prefix(node: &Node, name: &Name) -> bool {
    let above = node.core.zones.parse_name(name.iter().skip(1));
    let Ok(Subject::Identifier(above)) = above else {
        return false;
    };
    let governing = node.core.registry.prefixes().governing(&above);
    let delegation = governing.and_then(|entry| entry.record.delegation.clone());
    delegation.is_none_or(|to| to.name_servers.is_empty())
}

fn without_ttl(set: &BTreeSet<Parts>) -> BTreeSet<(Name, u16, Vec<u8>)> {
    set.iter()
        .map(|(name, rtype, _, data)| (name.clone(), *rtype, data.clone()))
        .collect()
}

/// Hashed names below a delegated prefix are read by their hashes.
fn delegated_somewhere(node: &Node) -> bool {
    prefixes().iter().any(|text| {
        let entry = node
            .core
            .registry
            .prefixes()
            .get(Prefix::parse(text).unwrap().key());
        entry.is_some_and(|entry| entry.record.delegation.is_some())
    })
}
