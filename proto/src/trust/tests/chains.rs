//! Chains from a signature to the root.

use super::*;
use crate::trust::MAX_LINKS;

#[test]
fn a_handle_that_is_signed_up_to_the_root_is_valid() {
    let world = World::new();
    let verdict = world.verify();
    assert!(verdict.is_valid(), "{verdict:?}");
    let chain: Vec<_> = verdict.signatures[0]
        .chain
        .iter()
        .map(|link| link.subject.as_str())
        .collect();
    assert_eq!(chain, [ENTERPRISE, PREFIX, ROOT]);
    assert_eq!(verdict.signatures[0].issuer, ENTERPRISE);
    let covered = verdict.values.iter().take(2);
    assert!(covered.clone().all(|value| value.signed_by == [401]));
}

#[test]
fn a_suffix_of_another_case_is_another_handle() {
    let mut world = World::new();
    let values = world.values(HANDLE).clone();
    world.handles.push(("88.118.8/a-1".into(), values));
    let verdict = world.verify_at("88.118.8/a-1", NOW_S);
    let fault = "the signature is over \"88.118.8/A-1\", another handle";
    assert_eq!(verdict.all_faults().next().unwrap().to_string(), fault);
}

#[test]
fn a_chain_claim_says_where_the_certificate_is() {
    let mut world = World::new();
    let mut by = signer(ENTERPRISE, ENTERPRISE_PEM);
    by.chain = vec![name("400:88.118.8/certificates")];
    world.sign(&by, year());
    let faults = world.faults();
    assert!(
        faults[0].starts_with("88.118.8/certificates cannot be resolved"),
        "{faults:?}"
    );
    let moved = world.values("0.NA/88.118.8").clone();
    world.handles.push(("88.118.8/certificates".into(), moved));
    assert_eq!(world.faults(), [""; 0]);
}

#[test]
fn the_certificate_made_last_counts() {
    let mut world = World::new();
    let prefix = signer(PREFIX, PREFIX_PEM);
    let key = public(OTHER_PEM);
    let later = |seconds| Validity {
        made_s: year().made_s + seconds,
        ..year()
    };
    let permissions = Permission::of_prefix("0.NA/88.118.8");
    let newer = prefix.certificate(&name(ENTERPRISE), &key, permissions.clone(), later(1));
    world
        .values("0.NA/88.118.8")
        .insert(0, Value::new(399, types::HS_CERT, newer.unwrap()));
    assert!(
        world.faults()[0].contains("is not signed by the key of"),
        "{:?}",
        world.faults()
    );
    world.sign(&signer(ENTERPRISE, OTHER_PEM), year());
    assert_eq!(world.faults(), [""; 0]);
    // One about another index is not the signer's.
    let other = prefix.certificate(&name("301:0.NA/88.118.8"), &key, permissions, later(2));
    world
        .values("0.NA/88.118.8")
        .push(Value::new(401, types::HS_CERT, other.unwrap()));
    assert_eq!(world.faults(), [""; 0]);
}

#[test]
fn the_root_may_sign_a_handle_itself() {
    let mut world = World::new();
    world.sign(&signer(ROOT, ROOT_PEM), year());
    let verdict = world.verify();
    assert!(verdict.is_valid(), "{verdict:?}");
    assert_eq!(verdict.signatures[0].chain.len(), 1);
}

#[test]
fn a_general_json_form_verifies_like_the_compact_one() {
    use crate::trust::jws::{Jws, sign_general};
    let mut world = World::new();
    let value = world.values(HANDLE).pop().unwrap();
    let payload = Jws::parse(&value.data).unwrap().payload().to_vec();
    let keys = [&key(OTHER_PEM), &key(ENTERPRISE_PEM)];
    let data = sign_general(&keys, &payload).unwrap();
    world
        .values(HANDLE)
        .push(Value::new(401, types::HS_SIGNATURE, data));
    assert_eq!(world.faults(), [""; 0]);
    world.values(HANDLE).pop();
    let data = sign_general(&keys[..1], &payload).unwrap();
    world
        .values(HANDLE)
        .push(Value::new(401, types::HS_SIGNATURE, data));
    assert!(world.faults()[0].contains("is not signed by the key"));
}

/// Links of a chain that grows by a label each, `count` above the handle.
fn long_chain(count: usize) -> World {
    let mut world = World::new();
    world.handles.truncate(1);
    let mut above = signer(ROOT, ROOT_PEM);
    let mut prefix = "0.NA/88".to_owned();
    for _ in 0..count - 1 {
        prefix.push_str(".1");
        let subject = format!("300:{prefix}");
        let mut permissions = Permission::of_prefix(&prefix);
        permissions.push(Permission::new(Scope::ThisHandle, HANDLE));
        let data = certificate(&above, &subject, ENTERPRISE_PEM, permissions);
        world
            .handles
            .push((prefix.clone(), vec![Value::new(400, types::HS_CERT, data)]));
        above = signer(&subject, ENTERPRISE_PEM);
    }
    let handle = format!("{}/x", &prefix["0.NA/".len()..]);
    let encoded = encode_values(&[Value::new(1, types::URL, "http://a.cn")]);
    let data = above.signature(&handle, views(&encoded), year()).unwrap();
    let mut values: Vec<Value> = views(&encoded).map(|value| value.to_owned()).collect();
    values.push(Value::new(2, types::HS_SIGNATURE, data));
    world.handles.push((handle, values));
    world
}

#[test]
fn a_chain_has_as_many_links_as_it_may_and_no_more() {
    for (count, valid) in [(MAX_LINKS, true), (MAX_LINKS + 1, false)] {
        let world = long_chain(count);
        let handle = world.handles.last().unwrap().0.clone();
        let verdict = world.verify_at(&handle, NOW_S);
        assert_eq!(verdict.is_valid(), valid, "{verdict:?}");
        if !valid {
            let fault = verdict.all_faults().next().unwrap().to_string();
            assert_eq!(fault, "the chain has more than 50 certificates");
        }
    }
}
