//! What becomes of a registration, by everything that can be here.

use super::{registration, url};
use crate::record::Record;
use crate::upward::takeover::decide::{Decision, decide};
use crate::upward::takeover::records::Merged;
use crate::upward::takeover::registration::Registration;
use bytes::Bytes;
use idnode_proto::api::TakeoverConflictKind as Kind;
use idnode_proto::api::TakeoverOperation::{self, Create, Delete, Modify};
use idnode_proto::value::{Value, encode_values, types};
use proptest::prelude::*;

fn record(version: u64, values: &[Value]) -> Record {
    Record {
        version,
        created_at_ms: 1,
        updated_at_ms: 1,
        deleted: values.is_empty().then(String::new),
        display: None,
        template: None,
        value_count: values.len() as u16,
        values: Bytes::from(encode_values(values)),
    }
}

fn theirs(operation: TakeoverOperation, text: &str, known: u64) -> Registration {
    Registration::read(&registration(1, operation, "88.118.8/A", text, known), &[]).unwrap()
}

#[test]
fn only_what_was_known_is_replaced() {
    let here = record(7, &[url("old")]);
    let gone = record(7, &[]);
    let conflict = |kind| Decision::Conflict(kind);
    for (operation, text, known, here, expected) in [
        (Create, "new", 0, None, Decision::Apply),
        (Create, "new", 0, Some(&gone), Decision::Apply),
        (Create, "new", 9, Some(&here), conflict(Kind::ExistsHere)),
        (Create, "old", 0, Some(&here), Decision::Unchanged),
        (Modify, "new", 7, Some(&here), Decision::Apply),
        (Modify, "new", 6, Some(&here), conflict(Kind::ChangedHere)),
        (Modify, "old", 6, Some(&here), Decision::Unchanged),
        (Modify, "new", 9, Some(&gone), conflict(Kind::DeletedHere)),
        (Modify, "new", 9, None, conflict(Kind::DeletedHere)),
        (Delete, "", 7, Some(&here), Decision::Apply),
        (Delete, "", 6, Some(&here), conflict(Kind::ChangedHere)),
        (Delete, "", 0, Some(&gone), Decision::Unchanged),
        (Delete, "", 0, None, Decision::Unchanged),
    ] {
        let decision = decide(&theirs(operation, text, known), here, None);
        assert_eq!(decision, expected, "{operation:?} {text} {known} {here:?}");
    }
}

#[test]
fn what_the_takeover_itself_has_registered_is_known() {
    let here = record(9, &[url("created there")]);
    let merged = |is_conflict| Merged {
        number: 1,
        version: 9,
        is_conflict,
    };
    let modify = theirs(Modify, "modified there", 3);
    assert_eq!(
        decide(&modify, Some(&here), Some(&merged(false))),
        Decision::Apply
    );
    let follows = Decision::Conflict(Kind::FollowsConflict);
    assert_eq!(decide(&modify, Some(&here), Some(&merged(true))), follows);
    // Which has come to the same in the end.
    let same = theirs(Modify, "created there", 3);
    assert_eq!(
        decide(&same, Some(&here), Some(&merged(true))),
        Decision::Unchanged
    );
}

#[test]
fn of_another_log_nothing_is_known() {
    let told = registration(1, Modify, "88.118.8/A", "new", 9);
    let told = idnode_proto::api::TakeoverRegistration {
        known_log: b"another".to_vec(),
        ..told
    };
    let here = record(7, &[url("old")]);
    let own = Registration::read(&told, b"another").unwrap();
    assert_eq!(decide(&own, Some(&here), None), Decision::Apply);
    let others = Registration::read(&told, b"own").unwrap();
    let changed = Decision::Conflict(Kind::ChangedHere);
    assert_eq!(decide(&others, Some(&here), None), changed);
}

#[test]
fn signatures_and_times_are_no_content() {
    let signature = Value::new(400, types::HS_SIGNATURE, "jws");
    let here = record(
        9,
        &[
            Value {
                timestamp_s: 5,
                ..url("a")
            },
            signature,
        ],
    );
    assert_eq!(
        decide(&theirs(Create, "a", 0), Some(&here), None),
        Decision::Unchanged
    );
    let more = record(9, &[url("a"), Value::new(2, "DESC", "b")]);
    let exists = Decision::Conflict(Kind::ExistsHere);
    assert_eq!(decide(&theirs(Create, "a", 0), Some(&more), None), exists);
}

proptest! {
    /// Whatever is applied is unchanged when it is decided again; nothing unknown is ever replaced.
    #[test]
    fn applying_settles(
        operation in prop_oneof![Just(Create), Just(Modify), Just(Delete)],
        text in 0..3_u8,
        known in 0..6_u64,
        here in proptest::option::of((1..6_u64, proptest::option::of(0..3_u8))),
        merged in proptest::option::of((1..6_u64, any::<bool>())),
    ) {
        let wanted = theirs(operation, &text.to_string(), known);
        let here = here.map(|(version, text)| match text {
            Some(text) => record(version, &[url(&text.to_string())]),
            None => record(version, &[]),
        });
        let merged = merged.map(|(version, is_conflict)| Merged { number: 1, version, is_conflict });
        if decide(&wanted, here.as_ref(), merged.as_ref()) != Decision::Apply {
            return Ok(());
        }
        if let Some(live) = here.as_ref().filter(|it| it.is_live()) {
            let by_merge = merged.is_some_and(|it| it.version == live.version);
            prop_assert!(live.version <= known || by_merge);
        }
        let after = match operation {
            Delete => record(9, &[]),
            _ => record(9, &[url(&text.to_string())]),
        };
        let again = decide(&wanted, Some(&after), merged.as_ref());
        prop_assert_eq!(again, Decision::Unchanged);
    }
}
