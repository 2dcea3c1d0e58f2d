//! Groups of administrators (HS_VLIST): inside each other, in circles, too deep, too many.

use super::*;
use crate::administrator::{HandleValues, Handles, MAX_GROUP_DEPTH, MAX_GROUP_READS, rights_of};
use crate::prefix::PrefixRecord;
use crate::record::Record;
use idnode_proto::identifier::Identifier;
use idnode_proto::value::encode_values;
use std::sync::Arc;

/// A handle under [`AWAY`] that this group administers.
fn administered_by(node: &Node, name: &str, group: &str) -> String {
    let handle = format!("{AWAY}/{name}");
    let rights = admin(100, AdminRights::ALL, group);
    node.write(create_with(&handle, vec![text_value(1, "is"), rights]));
    handle
}

fn write_to(node: &Node, handle: &str) -> Fate {
    let caller = node.administrator(ADMIN);
    fate(&node.try_as(&caller, put(handle, vec![text_value(1, "changed")])))
}

#[test]
fn members_of_a_group_are_administrators() {
    let node = node();
    node.write(put_on(AWAY, vec![group(200, &[ADMIN.into()])]));
    let direct = administered_by(&node, "direct", "200:0.NA/88.118.9");
    assert_eq!(write_to(&node, &direct), Fate::Done);
    // The group is at its index and nowhere else.
    let beside = administered_by(&node, "beside", "201:0.NA/88.118.9");
    assert_eq!(write_to(&node, &beside), Fate::NotAdministrator);
    // A group without it, and what is no group.
    let none = vec![
        group(202, &["300:88.118.8/other".into()]),
        text_value(203, "no group"),
    ];
    node.write(put_on(AWAY, none));
    for index in [202, 203] {
        let handle = format!("{index}:0.NA/88.118.9");
        let other = administered_by(&node, &format!("other-{index}"), &handle);
        assert_eq!(write_to(&node, &other), Fate::NotAdministrator);
    }
    // Whoever leaves it is none any more, and index 0 names every key of a handle.
    node.write(put_on(AWAY, vec![group(200, &[])]));
    assert_eq!(write_to(&node, &direct), Fate::NotAdministrator);
    node.write(put_on(AWAY, vec![group(200, &["0:0.NA/88.118.8".into()])]));
    assert_eq!(write_to(&node, &direct), Fate::Done);
}

#[test]
fn rights_of_several_values_add_up() {
    let node = node();
    node.write(put_on(AWAY, vec![group(200, &[ADMIN.into()])]));
    let handle = format!("{AWAY}/1");
    let values = vec![
        text_value(1, "is"),
        admin(100, AdminRights::MODIFY_VALUE, ADMIN),
        admin(101, AdminRights::ADD_VALUE, "200:0.NA/88.118.9"),
    ];
    node.write(create_with(&handle, values));
    let caller = node.administrator(ADMIN);
    let both = put(
        &handle,
        vec![text_value(1, "changed"), text_value(2, "new")],
    );
    assert_eq!(fate(&node.try_as(&caller, both)), Fate::Done);
    let removed = change(&handle, SetMode::Put, vec![], &[2]);
    assert_eq!(fate(&node.try_as(&caller, removed)), Fate::NoRight);
}

/// Groups `from`, `from + 1`, …, each naming the next one, and the last naming `member`.
fn chain(node: &Node, from: u32, length: u32, member: &str) {
    let groups = (from..from + length).map(|index| {
        let next = if index + 1 == from + length {
            member.to_owned()
        } else {
            format!("{}:0.NA/88.118.9", index + 1)
        };
        group(index, &[next])
    });
    node.write(put_on(AWAY, groups.collect()));
}

#[test]
fn groups_are_looked_into_so_deep_and_no_deeper() {
    let node = node();
    chain(&node, 200, MAX_GROUP_DEPTH as u32 + 1, ADMIN);
    let deepest = administered_by(&node, "deepest", "201:0.NA/88.118.9");
    assert_eq!(write_to(&node, &deepest), Fate::Done);
    let deeper = administered_by(&node, "deeper", "200:0.NA/88.118.9");
    assert_eq!(write_to(&node, &deeper), Fate::NotAdministrator);
}

#[test]
fn groups_in_a_circle_end() {
    let node = node();
    // 200 → 201 → 202 → 200, and 203 names itself.
    chain(&node, 200, 3, "200:0.NA/88.118.9");
    node.write(put_on(
        AWAY,
        vec![group(203, &["203:0.NA/88.118.9".into()])],
    ));
    for index in 200..204 {
        let handle = format!("{index}:0.NA/88.118.9");
        let handle = administered_by(&node, &format!("c{index}"), &handle);
        assert_eq!(write_to(&node, &handle), Fate::NotAdministrator);
    }
    // With the administrator in it, whoever is in the circle leads there.
    let circle = ["200:0.NA/88.118.9".to_owned(), ADMIN.to_owned()];
    node.write(put_on(AWAY, vec![group(202, &circle)]));
    for index in 200..203 {
        let handle = format!("{AWAY}/c{index}");
        assert_eq!(write_to(&node, &handle), Fate::Done, "{index}");
    }
}

#[test]
fn so_many_handles_are_read_and_no_more() {
    let node = node();
    let read = MAX_GROUP_READS;
    for number in 0..read {
        let member = vec![group(200, &["1:88.118.8/nobody".into()])];
        node.write(create_with(&format!("{AWAY}/g{number}"), member));
    }
    let groups: Vec<_> = (0..read).map(|n| format!("200:{AWAY}/g{n}")).collect();
    // The list is the first handle read, so that of its members all but the last are.
    node.write(put_on(AWAY, vec![group(200, &groups)]));
    let handle = administered_by(&node, "1", "200:0.NA/88.118.9");
    for (last, expected) in [(read - 2, Fate::Done), (read - 1, Fate::NotAdministrator)] {
        let group_handle = format!("{AWAY}/g{last}");
        node.write(put(&group_handle, vec![group(200, &[ADMIN.into()])]));
        assert_eq!(write_to(&node, &handle), expected, "{last}");
        node.write(put(&group_handle, vec![group(200, &[])]));
    }
}

#[test]
fn a_question_about_many_groups_takes_bounded_time() {
    let node = node();
    // As many administrators as fit, all of them groups that name as many others as fit.
    let many: Vec<_> = (0..2_000).map(|n| format!("{n}:88.118.9/x")).collect();
    node.write(create_with(&format!("{AWAY}/x"), vec![group(200, &many)]));
    let mut values = vec![text_value(1, "is")];
    values.extend((100..2_000).map(|index| {
        let key = format!("{}:88.118.9/x", if index % 2 == 0 { 200 } else { index });
        admin(index, AdminRights::ALL, &key)
    }));
    let handle = format!("{AWAY}/1");
    node.write(create_with(&handle, values));
    let began = std::time::Instant::now();
    assert_eq!(write_to(&node, &handle), Fate::NotAdministrator);
    let took = began.elapsed();
    assert!(took.as_millis() < 500, "{took:?}");
}

/// A list of references of which the last is cut short.
fn broken_list() -> Vec<u8> {
    let keys: Vec<_> = (0..2_048)
        .map(|n| reference(&format!("{n}:88.118.9/{}", "x".repeat(100))))
        .collect();
    let mut data = encode_value_list(&keys);
    data.pop();
    data
}

#[test]
fn a_list_that_cannot_be_read_is_refused_in_any_spelling_of_its_type() {
    for (kind, data) in [
        ("hs_vlist", broken_list()),
        ("Hs_Admin", vec![1]),
        ("hs_SITE", vec![1]),
    ] {
        let values = vec![Value::new(1, kind, data)];
        let identifier = "88.118.8/x".parse().unwrap();
        let refused = crate::write::Draft::new(identifier, values, None, STAMP_S).unwrap_err();
        assert_eq!(refused.field(), "values[0].data", "{kind}");
    }
}

/// Every handle has the same values.
struct Alike(HandleValues);

impl Handles for Alike {
    fn prefix_record(&self, _: &[u8]) -> Result<Option<Arc<PrefixRecord>>> {
        Ok(None)
    }

    fn owner_record(&self, _: &Identifier) -> Result<Option<Arc<PrefixRecord>>> {
        Ok(None)
    }

    fn identifier_record(&self, _: &Identifier) -> Result<Option<Record>> {
        Ok(None)
    }

    fn values_of(&self, _: &Identifier) -> Result<Option<HandleValues>> {
        Ok(Some(self.0.clone()))
    }
}

fn encoded(values: &[Value]) -> HandleValues {
    HandleValues::of_prefix(&PrefixRecord {
        values: encode_values(values).into(),
        value_count: values.len() as u32,
        ..PrefixRecord::default()
    })
}

#[test]
fn a_list_that_cannot_be_read_is_looked_at_once() {
    let node = node();
    let Caller::Administrator(administrator) = node.administrator(ADMIN) else {
        panic!("no administrator");
    };
    let list = Value::new(200, "hs_vlist", broken_list());
    let handles = Alike(encoded(&[list]));
    let admins: Vec<_> = (300..2_300)
        .map(|index| admin(index, AdminRights::ALL, "200:88.118.9/x"))
        .collect();
    let began = std::time::Instant::now();
    let rights = rights_of(&handles, &administrator, &encoded(&admins)).unwrap();
    assert!(rights.is_none());
    let took = began.elapsed();
    assert!(took.as_millis() < 60, "{took:?}");
}
