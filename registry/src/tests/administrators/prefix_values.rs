//! The values of a prefix: the rules of an identifier's, and those of their own.

use super::*;
use crate::change::Change;
use crate::enterprise::EnterpriseId;
use crate::prefix::{Delegation, PrefixState};
use crate::write::{Outcome, PrefixDraft};

fn invalid(update: Result<PrefixUpdate>) -> String {
    match update.unwrap_err() {
        Error::Invalid { field, .. } => field,
        other => panic!("{other:?}"),
    }
}

fn update(set: Vec<Value>, remove: Vec<u32>, replace_all: bool) -> Result<PrefixUpdate> {
    PrefixUpdate::new(parsed(HOME), set, remove, replace_all, None, STAMP_S)
}

fn indexes(node: &Node) -> Vec<u32> {
    let record = node.prefix(HOME).unwrap();
    record.values().map(|value| value.index()).collect()
}

#[test]
fn sites_and_their_indexes_are_the_delegation_s() {
    assert_eq!(
        invalid(update(vec![text_value(16, "x")], vec![], false)),
        "set_values[0].index"
    );
    for value_type in ["hs_site", "HS_SERV"] {
        let elsewhere = Value::new(17, value_type, "88.119/SVC");
        assert_eq!(
            invalid(update(vec![elsewhere], vec![], false)),
            "set_values[0].type"
        );
    }
    assert_eq!(invalid(update(vec![], vec![], false)), "set_values");
    let fresh = text_value(0, "x");
    assert_eq!(
        invalid(update(vec![fresh.clone()], vec![], false)),
        "set_values[0].index"
    );
    let broken = Value::new(100, types::HS_ADMIN, "x");
    assert_eq!(
        invalid(update(vec![broken], vec![], false)),
        "set_values[0].data"
    );
    // Values without an index get the first that are free.
    let node = node();
    let whole = update(
        vec![fresh, text_value(17, "x"), text_value(0, "y")],
        vec![],
        true,
    );
    node.write(Command::UpdatePrefix(whole.unwrap()));
    assert_eq!(indexes(&node), [17, 18, 19]);
    // All may go.
    node.write(Command::UpdatePrefix(update(vec![], vec![], true).unwrap()));
    assert_eq!(indexes(&node), [0; 0]);
}

#[test]
fn a_change_is_one_entry_with_what_it_replaced() {
    let mut node = node();
    let set = vec![text_value(20, "x")];
    let receipt = node.write(put_on(HOME, set));
    let Outcome::Prefix(record) = &receipt.outcome else {
        panic!("{receipt:?}");
    };
    assert_eq!(record.version, receipt.sequence);
    assert_eq!(indexes(&node), [20, 300]);
    let entry = node
        .registry()
        .read_log(receipt.sequence, 1, 1)
        .unwrap()
        .remove(0);
    let Some(Change::Prefix(change)) = entry.change else {
        panic!("{entry:?}");
    };
    assert_eq!(change.record, **record);
    assert_eq!(change.replaced.unwrap().value_count, 1);
    node.write(Command::UpdatePrefix(
        update(vec![], vec![20], false).unwrap(),
    ));
    node.reopen();
    assert_eq!(indexes(&node), [300]);
    // The next holder of the prefix has none of them.
    node.write(step(HOME, PrefixAction::MarkForDeletion));
    node.write(step(HOME, PrefixAction::Remove));
    node.activate(HOME, EnterpriseId(2));
    assert_eq!(indexes(&node), [0; 0]);
}

#[test]
fn versions_keys_and_owners_count_as_for_identifiers() {
    let node = node();
    let version = node.prefix(HOME).unwrap().version;
    let at = |expected| {
        let set = vec![text_value(20, "x")];
        let update = PrefixUpdate::new(parsed(HOME), set, vec![], false, Some(expected), STAMP_S);
        Command::UpdatePrefix(update.unwrap())
    };
    assert_eq!(node.refusal(at(version + 1)), "VERSION_MISMATCH");
    let owner = holder(EnterpriseId(1));
    let first = node.write_as(&owner, key("k", "1"), at(version)).unwrap();
    let again = node.write_as(&owner, key("k", "1"), at(version)).unwrap();
    assert_eq!((again.sequence, again.replayed), (first.sequence, true));
    assert_eq!(again.outcome, first.outcome);
    let other = holder(EnterpriseId(2));
    let refused = node.try_as(&other, put_on(HOME, vec![text_value(20, "y")]));
    assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
    assert_eq!(
        node.refusal(put_on("88.118.99", vec![text_value(20, "y")])),
        "PREFIX_NOT_FOUND"
    );
    // What the enterprise may not touch, the operator may.
    let fixed = Value {
        permissions: Permissions(Permissions::PUBLIC_READ),
        ..text_value(21, "fixed")
    };
    node.write(put_on(HOME, vec![fixed]));
    let change = || put_on(HOME, vec![text_value(21, "moved")]);
    assert!(node.try_as(&owner, change()).is_err());
    node.write(change());
    // The keys of an administrator are its own.
    let caller = node.administrator(ADMIN);
    node.write(put_on(HOME, vec![admin(100, AdminRights::ALL, ADMIN)]));
    let by_administrator = node.write_as(&caller, key("k", "2"), change()).unwrap();
    assert!(!by_administrator.replayed);
}

#[test]
fn a_value_is_added_or_modified_where_that_is_asked_for() {
    let node = node();
    node.write(create_with(
        &format!("{HOME}/1"),
        vec![text_value(30, "is")],
    ));
    for handle in [format!("0.NA/{HOME}"), format!("{HOME}/1")] {
        let one = |index, mode| change(&handle, mode, vec![text_value(index, "x")], &[]);
        node.write(one(31, SetMode::Add));
        assert_eq!(node.refusal(one(31, SetMode::Add)), "VALUE_EXISTS");
        node.write(one(31, SetMode::Modify));
        assert_eq!(node.refusal(one(32, SetMode::Modify)), "VALUE_NOT_FOUND");
        node.write(one(32, SetMode::Put));
        assert_eq!(
            node.refusal(change(&handle, SetMode::Put, vec![], &[33])),
            "VALUE_NOT_FOUND"
        );
    }
}

#[test]
fn sites_and_values_fit_one_answer_together() {
    let node = node();
    let site = idnode_proto::handle::Site {
        attributes: vec![("desc".into(), "x".repeat(60_000))],
        ..idnode_proto::handle::Site::of_node(
            1,
            "",
            idnode_proto::handle::Server::of_node(
                1,
                std::net::Ipv4Addr::LOCALHOST.into(),
                Vec::new(),
                Default::default(),
            ),
        )
    };
    let delegate = |sites: usize| Command::SetDelegation {
        prefix: parsed(HOME),
        delegation: Some(Delegation {
            sites: vec![site.encode().into(); sites],
            ..Delegation::default()
        }),
        expected_version: None,
    };
    node.write(delegate(2));
    let large = |index| put_on(HOME, vec![text_value(index, &"x".repeat(100_000))]);
    node.write(large(20));
    assert_eq!(node.refusal(large(21)), "INVALID");
    assert_eq!(node.refusal(delegate(3)), "INVALID");
    // What a prefix is asked for is kept where it is, wherever its identifiers are.
    assert_eq!(indexes(&node), [20, 300]);
}

fn draft(prefix: &str, values: Vec<Value>) -> Command {
    Command::CreatePrefix(PrefixDraft::new(parsed(prefix), values, STAMP_S).unwrap())
}

#[test]
fn a_prefix_that_is_applied_for_by_its_handle_keeps_the_values_it_came_with() {
    let node = node();
    let owner = holder(EnterpriseId(1));
    let values = vec![text_value(17, "x"), secret(300, "geheim")];
    node.try_as(&owner, draft("88.118.8.1", values)).unwrap();
    let record = node.prefix("88.118.8.1").unwrap();
    assert_eq!(record.state(), PrefixState::PendingReview);
    assert_eq!(record.owner(), EnterpriseId(1));
    let kept: Vec<_> = record.values().map(|value| value.index()).collect();
    assert_eq!(kept, [17, 300]);
    // Its key proves nothing before it is approved.
    let key = node.registry().administrator(&id("300:0.NA/88.118.8.1"));
    assert!(key.unwrap().is_none());
    assert!(matches!(
        node.try_as(&owner, draft("88.118.8.1", vec![])),
        Err(Error::Exists { .. })
    ));
    // The operator's are of the enterprise that has the prefix above.
    node.write(draft("88.118.9.1", vec![]));
    let owner = node.prefix("88.118.9").unwrap().owner();
    assert_eq!(node.prefix("88.118.9.1").unwrap().owner(), owner);
    let alone = node.try_write(draft("88.118.10", vec![]));
    assert!(matches!(alone, Err(Error::Denied(_))));
    let site = Value::new(1, types::HS_SITE, "");
    assert!(PrefixDraft::new(parsed("88.118.10"), vec![site], STAMP_S).is_err());
}

#[test]
fn an_administrator_adds_prefixes_with_the_right_to() {
    let node = node();
    let administrator = node.administrator(ADMIN);
    let asked = || node.try_as(&administrator, draft("88.118.8.1", vec![]));
    assert_eq!(fate(&asked()), Fate::NotAdministrator);
    node.write(put_on(
        HOME,
        vec![admin(100, AdminRights::ADD_HANDLE, ADMIN)],
    ));
    assert_eq!(fate(&asked()), Fate::NoRight);
    node.write(put_on(
        HOME,
        vec![admin(100, AdminRights::ADD_PREFIX, ADMIN)],
    ));
    assert_eq!(fate(&asked()), Fate::Done);
    assert_eq!(node.prefix("88.118.8.1").unwrap().owner(), EnterpriseId(1));
    let elsewhere = node.try_as(&administrator, draft("88.118.10", vec![]));
    assert_eq!(fate(&elsewhere), Fate::NotAdministrator);
}
