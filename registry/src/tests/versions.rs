//! Optimistic concurrency: a write that expects another version than there is does nothing.

use super::support::*;
use crate::enterprise::{EnterpriseId, ReviewAction};
use crate::prefix::{Delegation, NameServer, PrefixAction};
use crate::template::{Attribute, AttributeType, Template};
use crate::write::{Command, Outcome, Receipt};
use crate::{Error, Result};

/// Carries a command out with a version too low and too high, which must do nothing, and then
/// with the right one.
#[track_caller]
fn check(node: &Node, current: u64, command: impl Fn(Option<u64>) -> Command) -> Receipt {
    let head = node.registry().applied();
    for wrong in [current + 1, current.saturating_sub(1), u64::MAX] {
        let refused = node.try_write(command(Some(wrong)));
        let Err(Error::VersionMismatch {
            expected,
            current: found,
            ..
        }) = refused
        else {
            panic!("expecting {wrong} at {current}: {refused:?}");
        };
        assert_eq!((expected, found), (wrong, current));
    }
    assert_eq!(node.registry().applied(), head, "nothing was written");
    let receipt = node.write(command(Some(current)));
    assert_eq!(receipt.sequence, head + 1);
    // Now that version is the old one.
    let again = node.try_write(command(Some(current)));
    assert!(again.is_err(), "{again:?}");
    receipt
}

#[test]
fn identifiers() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let created = node.write(create("88.118.8/a", "1"));
    assert_eq!(node.record("88.118.8/a").unwrap().version, created.sequence);
    let updated = check(&node, created.sequence, |expected| {
        update("88.118.8/a", "2", expected)
    });
    let record = node.record("88.118.8/a").unwrap();
    assert_eq!(
        (record.version, text(&record)),
        (updated.sequence, "2".into())
    );
    let deleted = check(&node, updated.sequence, |expected| {
        delete("88.118.8/a", expected)
    });
    assert_eq!(node.record("88.118.8/a").unwrap().version, deleted.sequence);
}

#[test]
fn enterprises() {
    let node = Node::new();
    let made = node.write(Command::CreateEnterprise {
        profile: profile("one"),
    });
    let id = EnterpriseId(1);
    let verified = check(&node, made.sequence, |expected| {
        review(id, ReviewAction::Verify, expected)
    });
    let updated = check(&node, verified.sequence, |expected_version| {
        Command::UpdateEnterprise {
            id,
            profile: profile("another"),
            expected_version,
        }
    });
    let enterprise = node.registry().get_enterprise(&node.operator, id).unwrap();
    assert_eq!(enterprise.version, updated.sequence);
    assert_eq!(enterprise.profile.certificate_code, "another");
}

#[test]
fn prefixes() {
    let node = Node::new();
    let owner = node.enterprise("one");
    let applied = node.write(apply("88.118.8", owner));
    let transition = |action| {
        move |expected_version| Command::TransitionPrefix {
            prefix: parsed("88.118.8"),
            action,
            message: "decided".into(),
            expected_version,
        }
    };
    let reviewed = check(
        &node,
        applied.sequence,
        transition(PrefixAction::StartReview),
    );
    let approved = check(&node, reviewed.sequence, transition(PrefixAction::Approve));
    let delegation = Delegation {
        sites: Vec::new(),
        name_servers: vec![NameServer {
            name: "ns.example.".into(),
            addresses: Vec::new(),
        }],
        ..Delegation::default()
    };
    let delegated = check(&node, approved.sequence, |expected_version| {
        Command::SetDelegation {
            prefix: parsed("88.118.8"),
            delegation: Some(delegation.clone()),
            expected_version,
        }
    });
    assert_eq!(node.prefix("88.118.8").unwrap().version, delegated.sequence);
}

#[test]
fn templates() {
    let node = Node::new();
    let put = |expected_version| Command::PutTemplate {
        template: Template {
            name: "part".into(),
            attributes: vec![Attribute {
                name: "MASS".into(),
                kind: AttributeType::Decimal as i32,
                ..Attribute::default()
            }],
            ..Template::default()
        },
        expected_version,
    };
    // 0: only if there is none.
    let missing = node.try_write(put(Some(3)));
    assert!(
        matches!(missing, Err(Error::VersionMismatch { current: 0, .. })),
        "{missing:?}"
    );
    let first = node.write(put(Some(0)));
    let second = check(&node, first.sequence, put);
    let Outcome::Template(template) = second.outcome else {
        panic!("{:?}", second.outcome);
    };
    assert_eq!((template.revision, template.version), (2, second.sequence));
    check(&node, second.sequence, |expected_version| {
        Command::DeleteTemplate {
            name: "part".into(),
            expected_version,
        }
    });
    assert_eq!(node.write(put(Some(0))).sequence, second.sequence + 2);
}

#[test]
fn one_of_many_who_expect_the_same_version_wins() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let mut version = node.write(create("88.118.8/a", "0")).sequence;
    for round in 0..5 {
        let commands = (0..16).map(|writer| {
            let text = format!("{round} by {writer}");
            (None, update("88.118.8/a", &text, Some(version)))
        });
        let results = node.write_together(commands.collect());
        let winners: Vec<_> = results.iter().flatten().collect();
        let [winner] = winners[..] else {
            panic!("{} of 16 won", winners.len());
        };
        let place = results.iter().position(Result::is_ok).unwrap();
        let record = node.record("88.118.8/a").unwrap();
        assert_eq!(text(&record), format!("{round} by {place}"));
        for lost in results.iter().filter_map(|result| result.as_ref().err()) {
            assert_eq!(lost.reason(), "VERSION_MISMATCH");
        }
        version = winner.sequence;
    }
}
