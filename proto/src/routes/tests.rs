#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
use super::endpoint::by_address;
use super::held::{MAX_ROUTES, MAX_SIBLINGS};
use super::*;
use crate::api::{
    OperatorCertificateType, OperatorProfile, ResolutionConfiguration, Sibling, SiblingUpdate,
};
use crate::identifier::Prefix;
use crate::report::timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;

const PORTS: Ports = Ports {
    handle_tcp: Some(2641),
    handle_udp: Some(2641),
    http: Some(8080),
    https: None,
    dns: Some(53),
};

fn configuration(prefix: &str, port: u16) -> ResolutionConfiguration {
    let ports = Ports {
        handle_udp: Some(port),
        ..PORTS
    };
    let parsed = Prefix::parse(prefix).unwrap();
    ResolutionConfiguration {
        code_type: code_type(parsed.scheme()).into(),
        prefix: parsed.canonical(),
        endpoints: endpoints(&["192.0.2.7".parse().unwrap()], &ports),
    }
}

fn announcement() -> Announcement {
    let mut made = Announcement {
        node: "datong".to_owned(),
        operator: Some(OperatorProfile {
            name: "大同".to_owned(),
            certificate_type: OperatorCertificateType::SocialCreditCode.into(),
            certificate_code: "91110000600037341L".to_owned(),
            prefixes: vec!["88.119".to_owned()],
            software: "idnode 0.1.0".to_owned(),
            ..OperatorProfile::default()
        }),
        configurations: vec![
            configuration("88.119", 2641),
            configuration("1.2.156.3001", 2641),
        ],
        made_at: Some(timestamp(1_700_000_000_000)),
        ..Announcement::default()
    };
    made.digest = digest(&made);
    made
}

#[test]
fn what_is_announced_in_order_is_taken() {
    let announcement = announcement();
    let prefixes = check_announcement(&announcement).unwrap();
    let names: Vec<_> = prefixes.iter().map(Prefix::canonical).collect();
    assert_eq!(names, ["88.119", "oid:1.2.156.3001"]);
    let read = by_address(&announcement.configurations[0]);
    assert_eq!(read, [("192.0.2.7".parse().unwrap(), PORTS)]);
}

#[test]
fn a_digest_is_of_the_content_alone() {
    let one = announcement();
    let later = Announcement {
        made_at: Some(timestamp(5)),
        digest: "x".to_owned(),
        ..one.clone()
    };
    assert_eq!(digest(&later), one.digest);
    let mut other = one.clone();
    other.configurations[0].endpoints[0].port += 1;
    assert_ne!(digest(&other), one.digest);
    // What the encoding gives is part of the protocol.
    assert_eq!(
        digest(&Announcement::default()),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

/// What is wrong with an announcement after a change, its digest made anew.
fn flaw(change: impl FnOnce(&mut Announcement)) -> String {
    let mut changed = announcement();
    change(&mut changed);
    changed.digest = digest(&changed);
    check_announcement(&changed).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_told_by_field_and_reason() {
    let endpoint = |change: fn(&mut crate::api::ResolutionEndpoint)| {
        flaw(|it| change(&mut it.configurations[0].endpoints[0]))
    };
    let profile =
        |change: fn(&mut OperatorProfile)| flaw(|it| change(it.operator.as_mut().unwrap()));
    for (found, expected) in [
        (flaw(|it| it.node.clear()), "node: \"\" is no node's id"),
        (flaw(|it| it.operator = None), "operator: is missing"),
        (
            profile(|it| it.name = "x".repeat(513)),
            "operator.name: has 513 bytes, at most 512 are taken",
        ),
        (
            profile(|it| it.contact_phone = "1\n2".into()),
            "operator.contact_phone: has control characters",
        ),
        (
            profile(|it| it.certificate_code.clear()),
            "operator.certificate_type: is there with a code of that type, and without one not",
        ),
        (
            profile(|it| it.prefixes.push("88.120".into())),
            "operator.prefixes[1]: has no configuration",
        ),
        (
            flaw(|it| it.configurations[0].prefix = "hdl:88.119".into()),
            "configurations[0].prefix: \"hdl:88.119\" is not canonical",
        ),
        (
            flaw(|it| it.configurations[0].prefix = "0.NA".into()),
            "configurations[0].prefix: 0.NA is the authority of prefixes",
        ),
        (
            flaw(|it| it.configurations[0].code_type = 2),
            "configurations[0].code_type: is not that of 88.119",
        ),
        (
            flaw(|it| it.configurations.push(configuration("88.119", 1))),
            "configurations[2].prefix: 88.119 is there twice",
        ),
        (
            flaw(|it| it.configurations[1].endpoints.clear()),
            "configurations[1].endpoints: are missing",
        ),
        (
            endpoint(|it| it.port = 0),
            "configurations[0].endpoints[0].port: 0 is none from 1 to 65535",
        ),
        (
            endpoint(|it| it.port = 65_536),
            "configurations[0].endpoints[0].port: 65536 is none from 1 to 65535",
        ),
        (
            endpoint(|it| it.ip = "0.0.0.0".into()),
            "configurations[0].endpoints[0].ip: \"0.0.0.0\" is no host's address",
        ),
        (
            endpoint(|it| it.ip = "there".into()),
            "configurations[0].endpoints[0].ip: \"there\" is no address",
        ),
        (
            endpoint(|it| it.ip = "2001:db8::1".into()),
            "configurations[0].endpoints[0].ip_type: is not that of the address",
        ),
        (
            endpoint(|it| it.protocol = 9),
            "configurations[0].endpoints[0].service: is none that is spoken so",
        ),
        (
            flaw(|it| {
                it.configurations[0].endpoints = vec![it.configurations[0].endpoints[0].clone(); 65]
            }),
            "configurations[0].endpoints: are 65, at most 64 are taken",
        ),
        (
            flaw(|it| it.configurations = vec![ResolutionConfiguration::default(); 1_000_000]),
            "configurations: are 1000000, at most 1024 are taken",
        ),
        (
            flaw(|it| it.configurations[0].prefix = format!("88.{}", "1".repeat(2_000))),
            "configurations[0].prefix: has 2003 bytes, at most 1024 are taken",
        ),
        (flaw(|it| it.made_at = None), "made_at: is missing"),
    ] {
        assert_eq!(found, expected);
    }
    let mut forged = announcement();
    forged.node = "linfen".to_owned();
    let error = check_announcement(&forged).unwrap_err().to_string();
    assert_eq!(error, "digest: is not that of the content");
}

fn sibling(node: &str, prefix: &str, port: u16) -> Sibling {
    Sibling {
        node: node.to_owned(),
        configurations: vec![configuration(prefix, port)],
        ..Sibling::default()
    }
}

fn update(base: u64, version: u64, changed: Vec<Sibling>, gone: &[&str]) -> SiblingUpdate {
    SiblingUpdate {
        set_id: "one".to_owned(),
        version,
        base,
        changed,
        gone: gone.iter().map(|it| (*it).to_owned()).collect(),
        ..SiblingUpdate::default()
    }
}

fn names(held: &Held) -> Vec<&str> {
    held.siblings.keys().map(String::as_str).collect()
}

#[test]
fn the_whole_set_comes_first_then_what_changes() {
    let mut held = Held::default();
    let (a, b) = (sibling("a", "88.119", 1), sibling("b", "88.120", 1));
    let first = SiblingUpdate {
        more: true,
        ..update(0, 5, vec![a.clone()], &[])
    };
    assert_eq!(held.take(first).unwrap(), Step::Nothing);
    assert_eq!(names(&held), [""; 0], "half a set is none");
    let step = held.take(update(0, 5, vec![b.clone()], &[])).unwrap();
    let Step::Changed { put, gone } = step else {
        panic!("{step:?}");
    };
    assert_eq!((put, gone), (vec![a, b], vec![]));
    assert_eq!((held.version, names(&held)), (5, vec!["a", "b"]));
    let moved = sibling("a", "88.119", 2);
    let difference = update(5, 6, vec![moved.clone()], &["b"]);
    let step = held.take(difference.clone()).unwrap();
    let (put, gone) = (vec![moved], vec!["b".to_owned()]);
    assert_eq!(step, Step::Changed { put, gone });
    // It comes twice; one comes late; nothing has changed.
    for known in [
        difference,
        update(4, 5, vec![], &[]),
        update(6, 6, vec![], &[]),
    ] {
        assert_eq!(held.take(known).unwrap(), Step::Nothing);
    }
    // Only that the version goes on, since another's change was the node's own.
    let step = held.take(update(6, 7, vec![], &[])).unwrap();
    let nothing = Step::Changed {
        put: vec![],
        gone: vec![],
    };
    assert_eq!((step, held.version), (nothing, 7));
    let missed = held.take(update(8, 9, vec![], &["a"])).unwrap_err();
    assert_eq!(missed, UpdateError::Missed { held: 7, base: 8 });
    // The national node has begun anew: what it does not tell of is gone.
    let anew = SiblingUpdate {
        set_id: "two".to_owned(),
        ..update(0, 1, vec![sibling("c", "88.121", 1)], &[])
    };
    let step = held.take(anew).unwrap();
    let Step::Changed { put, gone } = step else {
        panic!("{step:?}");
    };
    assert_eq!((put.len(), gone), (1, vec!["a".to_owned()]));
    assert_eq!((held.version, names(&held)), (1, vec!["c"]));
}

#[test]
fn what_breaks_a_rule_changes_nothing() {
    let mut held = Held::default();
    held.take(update(0, 5, vec![sibling("a", "88.119", 1)], &[]))
        .unwrap();
    let before = held.clone();
    let many = |count: usize, routes: usize| {
        let configurations = vec![configuration("88.121", 1); routes];
        (0..count)
            .map(|number| Sibling {
                node: format!("n{number}"),
                configurations: configurations.clone(),
                ..Sibling::default()
            })
            .collect::<Vec<_>>()
    };
    for (changed, expected) in [
        (
            many(MAX_SIBLINGS + 1, 0),
            "changed: has more than 4096 siblings",
        ),
        (
            many(1, MAX_ROUTES + 1),
            "changed: has more than 16384 prefixes",
        ),
        (
            vec![sibling("", "88.119", 1)],
            "changed[0].node: \"\" is no node's id",
        ),
        (
            many(1, 2),
            "changed[0].configurations[1].prefix: 88.121 is there twice",
        ),
    ] {
        let error = held.take(update(5, 6, changed, &[])).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(held, before);
    }
    let begun = SiblingUpdate {
        more: true,
        ..update(5, 6, vec![], &["a"])
    };
    held.take(begun).unwrap();
    let error = held.take(update(6, 7, vec![], &[])).unwrap_err();
    assert_eq!(error.to_string(), "more: another update goes on");
    assert_eq!(held, before);
}

proptest! {
    /// However a set has come, by differences, twice or anew, it is what the last update made of it.
    #[test]
    fn a_set_is_what_updates_make_of_it(
        changes in prop::collection::vec((0_u8..6, 0_u16..4, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let mut held = Held::default();
        let mut model: BTreeMap<String, Sibling> = BTreeMap::new();
        for (number, (name, port, anew, twice)) in changes.into_iter().enumerate() {
            let (base, version) = (number as u64, number as u64 + 1);
            let node = format!("n{name}");
            let mut changed = Vec::new();
            let mut gone = Vec::new();
            if port == 0 {
                model.remove(&node);
                gone.push(node.as_str());
            } else {
                let it = sibling(&node, &format!("88.{name}00"), port);
                model.insert(node.clone(), it.clone());
                changed.push(it);
            }
            let message = if anew {
                update(0, version, model.values().cloned().collect(), &[])
            } else {
                update(base, version, changed, &gone)
            };
            held.take(message.clone()).unwrap();
            if twice {
                let again = held.take(message).unwrap();
                let is_nothing = match &again {
                    Step::Nothing => true,
                    Step::Changed { put, gone } => put.is_empty() && gone.is_empty(),
                };
                prop_assert!(is_nothing, "{:?}", again);
            }
            prop_assert_eq!(&held.siblings, &model);
            prop_assert_eq!(held.version, version);
        }
    }
}
