//! Whom permissions let sign what.

use super::*;

fn permission(scope: Scope, handle: &str) -> Permission {
    Permission::new(scope, handle)
}

#[test]
fn permissions_cover_what_they_say_and_no_more() {
    use Scope::{DerivedPrefixes, Everything, HandlesUnderThisPrefix, ThisHandle};
    for (scope, handle, covered, not) in [
        (Everything, "", vec!["a/b", "0.NA/1"], vec![]),
        (
            ThisHandle,
            "88.118.8/A-1",
            vec!["88.118.8/A-1"],
            vec!["88.118.8/a-1", "88.118.8/A-12", "0.NA/88.118.8"],
        ),
        (ThisHandle, "0.NA/Ab", vec!["0.na/aB"], vec!["0.NA/Abc"]),
        (
            DerivedPrefixes,
            "0.NA/88.118",
            vec!["0.NA/88.118.8", "0.na/88.118.8.1"],
            vec![
                "0.NA/88.118",
                "0.NA/88.1180",
                "88.118.8/x",
                "88.118/x",
                "0.NA/88",
            ],
        ),
        (
            HandlesUnderThisPrefix,
            "0.NA/Ab.1",
            vec!["aB.1/x", "Ab.1/0.NA/y"],
            vec!["Ab.1.2/x", "0.NA/Ab.1", "Ab/x", "Ab.1"],
        ),
        (DerivedPrefixes, "88.118", vec![], vec!["0.NA/88.118.8"]),
        (HandlesUnderThisPrefix, "88.118", vec![], vec!["88.118/x"]),
    ] {
        let permission = permission(scope, handle);
        for handle in covered {
            assert!(permission.covers(handle), "{permission:?} {handle}");
        }
        for handle in not {
            assert!(!permission.covers(handle), "{permission:?} {handle}");
        }
    }
}

#[test]
fn nobody_grants_more_than_there_is() {
    use Scope::{DerivedPrefixes, Everything, HandlesUnderThisPrefix, ThisHandle};
    let derived = permission(DerivedPrefixes, "0.NA/88.118");
    let under = permission(HandlesUnderThisPrefix, "0.NA/88.118");
    let everything = permission(Everything, "");
    for (granter, granted, may) in [
        (&everything, permission(Everything, ""), true),
        (&derived, permission(Everything, ""), false),
        (&derived, permission(DerivedPrefixes, "0.NA/88.118.8"), true),
        (
            &derived,
            permission(HandlesUnderThisPrefix, "0.NA/88.118.8"),
            true,
        ),
        (&derived, permission(ThisHandle, "0.NA/88.118.8"), true),
        (&derived, permission(ThisHandle, "88.118.8/x"), true),
        (&derived, permission(ThisHandle, "88.118/x"), false),
        (
            &derived,
            permission(HandlesUnderThisPrefix, "0.NA/88.118"),
            false,
        ),
        (&derived, permission(DerivedPrefixes, "0.NA/88"), false),
        (
            &under,
            permission(HandlesUnderThisPrefix, "0.NA/88.118"),
            true,
        ),
        (&under, permission(ThisHandle, "88.118/x"), true),
        (&under, permission(DerivedPrefixes, "0.NA/88.118"), false),
    ] {
        assert_eq!(granter.may_grant(&granted), may, "{granter:?} {granted:?}");
    }
}
