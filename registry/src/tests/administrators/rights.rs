//! Each right, what it lets an administrator do, and nothing else.

use super::*;
use crate::read::PageRequest;
use crate::registry::Registry;
use bytes::Bytes;

/// What an administrator may ask for, and the right it needs.
const DEEDS: [(&str, AdminPermissions); 10] = [
    ("create", AdminPermissions::ADD_HANDLE),
    ("delete", AdminPermissions::DELETE_HANDLE),
    ("add", AdminPermissions::ADD_VALUE),
    ("modify", AdminPermissions::MODIFY_VALUE),
    ("remove", AdminPermissions::REMOVE_VALUE),
    ("add admin", AdminPermissions::ADD_ADMIN),
    ("modify admin", AdminPermissions::MODIFY_ADMIN),
    ("remove admin", AdminPermissions::REMOVE_ADMIN),
    ("list", AdminPermissions::LIST_HANDLES),
    ("read", AdminPermissions::READ_VALUE),
];

fn stranger_admin(index: u32, rights: AdminPermissions) -> Value {
    admin(index, rights, "300:0.NA/88.118.77")
}

/// Does a deed under [`AWAY`], on `handle` if it is there.
fn deed(node: &Node, caller: &Caller, deed: &str, handle: &str) -> Fate {
    let none = AdminPermissions::default();
    let command = match deed {
        "create" => create(&format!("{handle}-new"), "x"),
        "delete" => delete(handle, None),
        "add" => put(handle, vec![text_value(5, "new")]),
        "modify" => put(handle, vec![text_value(1, "changed")]),
        "remove" => change(handle, SetMode::Put, vec![], &[1]),
        "add admin" => put(handle, vec![stranger_admin(105, none)]),
        "modify admin" => put(handle, vec![stranger_admin(101, AdminPermissions::ALL)]),
        "remove admin" => change(handle, SetMode::Put, vec![], &[101]),
        "list" => {
            let page = PageRequest::default();
            let listed = node
                .registry()
                .list_identifiers(caller, &parsed(AWAY), &page, false);
            if let Ok(listed) = &listed {
                assert!(
                    listed
                        .items
                        .iter()
                        .all(|(_, record)| record.values.is_empty())
                );
                assert!(!listed.items.is_empty());
            }
            return fate(&listed);
        }
        "read" => return reads(node, caller, handle),
        other => panic!("{other}"),
    };
    fate(&node.try_as(caller, command))
}

fn reads(node: &Node, caller: &Caller, handle: &str) -> Fate {
    let Caller::Administrator(administrator) = caller else {
        panic!("{caller:?}");
    };
    let registry: &Registry = node.registry();
    let record = node.record(handle).unwrap();
    let values = Bytes::clone(&record.values);
    match registry.administrator_reads(administrator, values, record.value_count.into()) {
        Ok(true) => Fate::Done,
        Ok(false) => Fate::NoRight,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn each_right_lets_an_administrator_do_one_thing() {
    let node = node();
    let caller = node.administrator(ADMIN);
    let mut number = 0;
    for bit in 0..13 {
        let right = AdminPermissions(1 << bit);
        node.write(put_on(AWAY, vec![admin(100, right, ADMIN)]));
        for (name, needed) in DEEDS {
            number += 1;
            let handle = format!("{AWAY}/{number}");
            let values = vec![
                text_value(1, "is"),
                admin(100, right, ADMIN),
                stranger_admin(101, AdminPermissions::default()),
            ];
            node.write(create_with(&handle, values));
            let before = node.registry().applied();
            let expected = if right.contains(needed) {
                Fate::Done
            } else {
                Fate::NoRight
            };
            let done = deed(&node, &caller, name, &handle);
            assert_eq!(done, expected, "{name} with {right:?}");
            if done != Fate::Done {
                assert_eq!(node.registry().applied(), before, "{name} wrote");
            }
        }
    }
}

#[test]
fn who_is_named_nowhere_is_no_administrator() {
    let node = node();
    let caller = node.administrator(ADMIN);
    let handle = format!("{AWAY}/1");
    // One of another index, one of another handle, one that is no reference at all.
    let all = AdminPermissions::ALL;
    let values = vec![
        text_value(1, "is"),
        admin(100, all, "301:0.NA/88.118.8"),
        admin(101, all, "300:88.118.8/x"),
        stamped(Value {
            data: admin(0, all, "300:not an identifier").data,
            ..admin(102, all, ADMIN)
        }),
    ];
    node.write(create_with(&handle, values));
    for (name, _) in DEEDS {
        let expected = match name {
            "read" => Fate::NoRight,
            _ => Fate::NotAdministrator,
        };
        assert_eq!(deed(&node, &caller, name, &handle), expected, "{name}");
    }
    // Its enterprise's prefix is not its own, and it is no administrator there either.
    let own = node.try_as(&caller, create(&format!("{HOME}/1"), "x"));
    assert_eq!(fate(&own), Fate::NotAdministrator);
}

#[test]
fn an_administrator_owns_nothing() {
    let node = node();
    let caller = node.administrator(ADMIN);
    let all = admin(100, AdminPermissions::ALL, ADMIN);
    node.write(put_on(AWAY, vec![all.clone()]));
    node.write(put_on(HOME, vec![all]));
    let (credential, _) = crate::credential::Credential::generate(None, String::new()).unwrap();
    let commands = [
        Command::AddCredential(credential),
        step(AWAY, PrefixAction::MarkForDeletion),
        apply("88.118.10", crate::enterprise::EnterpriseId(1)),
        Command::SetDelegation {
            prefix: parsed(AWAY),
            delegation: None,
            expected_version: None,
        },
        Command::CreateEnterprise {
            profile: profile("three"),
        },
        Command::DeleteTemplate {
            name: "none".into(),
            expected_version: None,
        },
    ];
    for command in commands {
        let refused = node.try_as(&caller, command.clone()).unwrap_err();
        assert!(
            matches!(refused.code(), 7 | 5),
            "{command:?} gave {refused:?}"
        );
    }
    let registry = node.registry();
    let page = PageRequest::default();
    assert!(registry.get_prefix(&caller, &parsed(AWAY)).is_err());
    assert!(registry.list_prefixes(&caller, None, None, &page).is_err());
    assert!(registry.list_credentials(&caller, None, &page).is_err());
    assert!(registry.list_enterprises(&caller, &page).is_err());
    let export = registry.export(&caller, None, true, |_, _| panic!("exported"));
    assert!(export.is_err());
    let import = Command::ImportChunk {
        import_id: "i".into(),
        number: 1,
        mode: crate::write::ImportMode::Upsert,
        items: vec![Ok(draft(&format!("{AWAY}/1"), "x"))],
    };
    node.try_as(&caller, import).unwrap();
    assert!(node.record(&format!("{AWAY}/1")).is_err(), "imported");
}

#[test]
fn what_is_protected_stays_and_what_is_the_same_needs_no_right() {
    let node = node();
    let caller = node.administrator(ADMIN);
    let handle = format!("{AWAY}/1");
    let fixed = Value {
        permissions: Permissions(Permissions::ADMIN_READ | Permissions::PUBLIC_READ),
        ..text_value(2, "fixed")
    };
    let rights =
        AdminPermissions(AdminPermissions::MODIFY_VALUE.0 | AdminPermissions::REMOVE_VALUE.0);
    let named = admin(100, rights, ADMIN);
    let values = vec![text_value(1, "is"), fixed.clone(), named.clone()];
    node.write(create_with(&handle, values));
    for command in [
        put(&handle, vec![text_value(2, "moved")]),
        change(&handle, SetMode::Put, vec![], &[2]),
    ] {
        let refused = node.try_as(&caller, command).unwrap_err();
        assert!(matches!(refused, Error::Denied(_)), "{refused:?}");
    }
    // As `PUT` with everything that `GET` has shown.
    let whole = |text: &str, later: Value| {
        let set = vec![text_value(1, text), fixed.clone(), later];
        let handle = handle.parse().unwrap();
        Command::update_handle(handle, set, SetMode::Put, vec![], true, None, None, STAMP_S)
            .unwrap()
    };
    node.try_as(&caller, whole("changed", named.clone()))
        .unwrap();
    assert_eq!(node.record(&handle).unwrap().value_count, 3);
    let more = admin(100, AdminPermissions::ALL, ADMIN);
    let grown = node.try_as(&caller, whole("changed", more));
    assert_eq!(fate(&grown), Fate::NoRight);
}

#[test]
fn an_hs_admin_value_in_place_of_another_counts_as_added() {
    let node = node();
    let caller = node.administrator(ADMIN);
    let handle = format!("{AWAY}/1");
    let rights = AdminPermissions(
        AdminPermissions::MODIFY_VALUE.0
            | AdminPermissions::MODIFY_ADMIN.0
            | AdminPermissions::ADD_VALUE.0,
    );
    let values = vec![text_value(1, "is"), admin(100, rights, ADMIN)];
    node.write(create_with(&handle, values));
    let all = AdminPermissions::ALL;
    for written in ["HS_ADMIN", "hs_admin"] {
        let value = Value {
            value_type: written.into(),
            ..admin(1, all, ADMIN)
        };
        let outcome = node.try_as(&caller, put(&handle, vec![value]));
        assert_eq!(fate(&outcome), Fate::NoRight, "{written}");
    }
    let outcome = node.try_as(&caller, put(&handle, vec![text_value(100, "was")]));
    assert_eq!(fate(&outcome), Fate::NoRight);
}

#[test]
fn rights_are_those_at_the_time_of_the_command() {
    let node = node();
    let caller = node.administrator(ADMIN);
    let handle = format!("{AWAY}/1");
    let rights = admin(100, AdminPermissions::ALL, ADMIN);
    node.write(create_with(&handle, vec![text_value(1, "is"), rights]));
    // It takes its own rights away.
    let gone = change(&handle, SetMode::Put, vec![], &[100]);
    node.try_as(&caller, gone).unwrap();
    let outcome = node.try_as(&caller, put(&handle, vec![text_value(1, "more")]));
    assert_eq!(fate(&outcome), Fate::NotAdministrator);
    assert_eq!(
        node.registry()
            .read_log(1, 1_000, 1 << 20)
            .unwrap()
            .last()
            .unwrap()
            .actor,
        ADMIN
    );
}

#[test]
fn under_a_suspended_prefix_an_administrator_writes_nothing() {
    let node = node();
    let caller = node.administrator(ADMIN);
    let all = admin(100, AdminPermissions::ALL, ADMIN);
    node.write(put_on(AWAY, vec![all.clone()]));
    let handle = format!("{AWAY}/1");
    node.write(create_with(&handle, vec![text_value(1, "is"), all]));
    suspend(&node, AWAY);
    for command in [
        create(&format!("{AWAY}/2"), "x"),
        put(&handle, vec![text_value(1, "x")]),
        delete(&handle, None),
        put_on(AWAY, vec![text_value(20, "x")]),
    ] {
        let refused = node.try_as(&caller, command).unwrap_err();
        assert!(
            matches!(refused, Error::PrefixNotActive { .. }),
            "{refused:?}"
        );
    }
}
