//! Where an administrator's key is, and when it is no longer one.

use super::*;
use crate::administrator::ProofKey;

fn found(node: &Node, text: &str) -> Option<ProofKey> {
    let key = node.registry().administrator(&id(text)).unwrap();
    key.map(|found| found.key)
}

#[test]
fn a_key_is_a_value_of_a_prefix_or_of_an_identifier() {
    let node = node();
    let secret_of = |text: &'static str| Some(ProofKey::Secret(text.as_bytes().into()));
    assert_eq!(found(&node, ADMIN), secret_of("geheim"));
    // A handle compares without case, and a prefix may be written without 0.NA.
    assert_eq!(found(&node, "300:0.na/88.118.8"), secret_of("geheim"));
    assert_eq!(found(&node, "300:88.118.8"), secret_of("geheim"));
    // Index 0 is the only key there is.
    assert_eq!(found(&node, "0:0.NA/88.118.8"), secret_of("geheim"));
    assert_eq!(node.administrator("0:0.NA/88.118.8").credential(), ADMIN);

    let public = stamped(Value::new(301, types::HS_PUBKEY, "public"));
    node.write(put_on(
        HOME,
        vec![public.clone(), text_value(302, "no key")],
    ));
    let expected = Some(ProofKey::Public("public".into()));
    assert_eq!(found(&node, "301:0.NA/88.118.8"), expected);
    assert_eq!(found(&node, "0:0.NA/88.118.8"), None, "one of two");
    for absent in ["302:0.NA/88.118.8", "303:0.NA/88.118.8", "300:88.118.8/x"] {
        assert_eq!(found(&node, absent), None, "{absent}");
    }
    let handle = format!("{HOME}/admin");
    node.write(create_with(&handle, vec![secret(300, "its own"), public]));
    assert_eq!(found(&node, "300:88.118.8/ADMIN"), secret_of("its own"));
    node.write(delete(&handle, None));
    assert_eq!(found(&node, "300:88.118.8/ADMIN"), None);
}

#[test]
fn a_prefix_that_is_not_active_has_no_administrators() {
    let node = node();
    let caller = node.administrator(ADMIN);
    let all = admin(100, AdminPermissions::ALL, ADMIN);
    node.write(put_on(AWAY, vec![all]));
    node.try_as(&caller, create(&format!("{AWAY}/1"), "x"))
        .unwrap();
    suspend(&node, HOME);
    assert_eq!(found(&node, ADMIN), None);
    // Nor does one that was proven before.
    let refused = node.try_as(&caller, create(&format!("{AWAY}/2"), "x"));
    assert!(
        matches!(refused, Err(Error::Unauthenticated(_))),
        "{refused:?}"
    );
    assert!(node.registry().require_valid(&caller).is_err());
    node.write(step(HOME, PrefixAction::Resume));
    node.registry().require_valid(&caller).unwrap();
    node.try_as(&caller, create(&format!("{AWAY}/2"), "x"))
        .unwrap();
}

#[test]
fn a_key_that_was_changed_proves_nothing() {
    let node = node();
    let caller = node.administrator(ADMIN);
    let all = admin(100, AdminPermissions::ALL, ADMIN);
    node.write(put_on(AWAY, vec![all]));
    node.write(put_on(HOME, vec![secret(300, "another")]));
    let command = || create(&format!("{AWAY}/1"), "x");
    let refused = node.try_as(&caller, command());
    assert!(
        matches!(refused, Err(Error::Unauthenticated(_))),
        "{refused:?}"
    );
    let anew = node.administrator(ADMIN);
    assert_ne!(anew, caller);
    node.try_as(&anew, command()).unwrap();
    // The public half of a pair is another key than a secret of the same bytes.
    let public = stamped(Value::new(300, types::HS_PUBKEY, "another"));
    node.write(put_on(HOME, vec![public]));
    assert!(node.registry().require_valid(&anew).is_err());
}

#[test]
fn a_secret_that_everybody_may_read_is_refused() {
    let public = Value {
        permissions: Permissions::default(),
        ..secret(300, "geheim")
    };
    let refused = |error: Error| {
        let Error::Invalid { field, .. } = error else {
            panic!("{error:?}");
        };
        field
    };
    for written in ["HS_SECKEY", "hs_seckey"] {
        let value = || Value {
            value_type: written.into(),
            ..public.clone()
        };
        let (handle, prefix) = ("88.118.8/x".parse().unwrap(), parsed(HOME));
        let draft = crate::write::Draft::new(handle, vec![value()], None, STAMP_S);
        assert_eq!(refused(draft.unwrap_err()), "values[0].permissions");
        let update = PrefixUpdate::new(prefix, vec![value()], vec![], false, None, STAMP_S);
        assert_eq!(refused(update.unwrap_err()), "set_values[0].permissions");
    }
}
