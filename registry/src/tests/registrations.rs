//! Registrations as others see them.

use super::support::*;
use crate::Caller;
use crate::enterprise::{Contact, EnterpriseId, LegalPerson, Profile};
use crate::prefix::PrefixAction;
use crate::read::Registration;
use crate::write::{Command, PrefixUpdate};
use idnode_proto::iiidap::Pattern;
use idnode_proto::value::Value;

fn full(code: &str, name: &str) -> Profile {
    Profile {
        name: name.into(),
        address: "某路1号".into(),
        province_code: "140600".into(),
        contact: Some(Contact {
            name: "Li Si".into(),
            ..Contact::default()
        }),
        legal_person: Some(LegalPerson {
            id_number: "131187199507297827".into(),
            ..LegalPerson::default()
        }),
        ..profile(code)
    }
}

fn seen(node: &Node, caller: &Caller, prefix: &str) -> Option<Registration> {
    let found = node
        .registry()
        .registration(caller, parsed(prefix).candidates());
    found.unwrap()
}

#[test]
fn what_is_personal_is_for_the_operator_and_the_holder() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let profile = full("one", "甲");
    node.write(Command::UpdateEnterprise {
        id: EnterpriseId(1),
        profile: profile.clone(),
        expected_version: None,
    });
    for caller in [&node.operator, &holder(EnterpriseId(1))] {
        let found = seen(&node, caller, "88.118.8").unwrap();
        assert!(found.whole);
        assert_eq!(found.profile, profile);
    }
    for caller in [Caller::Stranger, holder(EnterpriseId(2))] {
        let found = seen(&node, &caller, "88.118.8").unwrap();
        assert!(!found.whole);
        let public = Profile {
            name: "甲".into(),
            ..Profile::default()
        };
        assert_eq!(found.profile, public);
        let named = Pattern::exactly("甲");
        let found = node
            .registry()
            .registrations_named(&caller, &named, 5)
            .unwrap();
        assert_eq!(found.found.len(), 1);
        assert_eq!(found.found[0].profile, public);
    }
}

#[test]
fn no_registration_of_a_holder_is_passed_over() {
    let names: Vec<_> = (1..=9).map(|n| format!("88.118.{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let node = Node::with_prefixes(&names);
    // More in all than a page of a listing is long.
    let values = vec![Value {
        timestamp_s: STAMP_S,
        ..Value::new(100, "DESC", "x".repeat(200 << 10))
    }];
    for name in &names {
        let update = PrefixUpdate::new(parsed(name), values.clone(), vec![], false, None, STAMP_S);
        node.write(Command::UpdatePrefix(update.unwrap()));
    }
    let name = seen(&node, &node.operator, names[0]).unwrap().profile.name;
    let find = |most| {
        let named = Pattern::exactly(&name);
        let found = node
            .registry()
            .registrations_named(&Caller::Stranger, &named, most);
        let found = found.unwrap();
        (found.found.len(), found.more)
    };
    assert_eq!(find(20), (9, false));
    assert_eq!(find(9), (9, false));
    assert_eq!(find(8), (8, true));
}

#[test]
fn what_is_applied_for_is_not_registered_and_names_outlive_a_restart() {
    let mut node = Node::with_prefixes(&["88.118.8", "88.118.9"]);
    node.write(apply("88.118.10", EnterpriseId(1)));
    node.write(step("88.118.9", PrefixAction::Suspend));
    let stranger = Caller::Stranger;
    assert!(seen(&node, &stranger, "88.118.10").is_none());
    assert!(seen(&node, &stranger, "88.118.9").is_some());
    assert!(seen(&node, &stranger, "88.118.8.1").is_none());
    let name = seen(&node, &node.operator, "88.118.8")
        .unwrap()
        .profile
        .name;
    for _ in 0..2 {
        let find = |pattern: &Pattern, most| {
            let found = node
                .registry()
                .registrations_named(&stranger, pattern, most);
            let found = found.unwrap();
            (found.found.len(), found.more)
        };
        let exactly = Pattern::exactly(&name);
        assert_eq!(find(&exactly, 5), (2, false));
        assert_eq!(find(&exactly, 2), (2, false));
        assert_eq!(find(&exactly, 1), (1, true));
        assert_eq!(find(&Pattern::exactly("nobody"), 5), (0, false));
        node.reopen();
    }
}
