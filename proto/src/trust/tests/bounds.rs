//! What others can make a verifier do.

use super::*;
use crate::trust::jws::{Jws, sign_general};
use crate::trust::{MAX_CERTIFICATES, MAX_CERTIFICATES_READ, MAX_SIGNATURES, MAX_VERIFICATIONS};

/// A verifier of the world's handle that is done, with its verdict.
fn done(world: &World) -> (Verifier, Verdict) {
    let find = |handle: &str| {
        let found = world.handles.iter().find(|(name, _)| name == handle);
        found.map(|(_, values)| encode_values(values))
    };
    let encoded = find(HANDLE).unwrap();
    let values: Vec<_> = views(&encoded).collect();
    let mut verifier = Verifier::new(&world.root, HANDLE, &values, NOW_S);
    loop {
        match verifier.step() {
            Step::Done(verdict) => return (verifier, verdict),
            Step::NeedsCertificates(of) => verifier.resolved(&of, views(&find(&of).unwrap())),
        }
    }
}

/// The same statement signed by each of these keys, in the general form.
fn signed_by(data: &[u8], keys: &[&PrivateKey]) -> Vec<u8> {
    let jws = Jws::parse(data).unwrap();
    sign_general(keys, jws.payload()).unwrap().into_bytes()
}

/// As many signatures as are looked at, all of one kind.
fn with_signatures(data: Vec<u8>) -> World {
    let mut world = World::new();
    let values = world.values(HANDLE);
    values.retain(|value| value.value_type != types::HS_SIGNATURE);
    for index in (401..).take(MAX_SIGNATURES) {
        values.push(Value::new(index, types::HS_SIGNATURE, data.clone()));
    }
    world
}

fn signature() -> Vec<u8> {
    World::new().values(HANDLE)[2].data.clone()
}

#[test]
fn a_certificate_is_verified_once_for_all_signatures() {
    let (verifier, verdict) = done(&with_signatures(signature()));
    assert!(verdict.is_valid(), "{verdict:?}");
    // One of the root, of 88.118 and of 88.118.8.
    assert_eq!(verifier.verifications(), MAX_SIGNATURES + 3);
}

#[test]
fn nothing_below_what_does_not_hold_is_verified() {
    let mut world = with_signatures(signature());
    let other = key(OTHER_PEM);
    let bad = signed_by(&world.values("0.NA/88.118")[0].data, &[&other; 8]);
    world.values("0.NA/88.118")[0].data = bad;
    let (verifier, verdict) = done(&world);
    let fault = "the certificate of 300:0.NA/88.118 is not signed by the key of 300:0.NA/0.NA";
    for report in &verdict.signatures {
        let faults: Vec<_> = report.faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults, [fault]);
    }
    assert_eq!(verifier.verifications(), 1 + 8);
    // A chain that ends at somebody else's root, or nowhere, is not verified at all.
    world.root.name = name("300:0.NA/0.NB");
    assert_eq!(done(&world).0.verifications(), 0);
}

#[test]
fn verifications_have_a_bound() {
    let (other, own) = (key(OTHER_PEM), key(ENTERPRISE_PEM));
    let keys = [&other, &other, &other, &other, &other, &other, &other, &own];
    let (verifier, verdict) = done(&with_signatures(signed_by(&signature(), &keys)));
    assert!(verifier.verifications() <= MAX_VERIFICATIONS);
    let faults: Vec<_> = verdict.all_faults().map(ToString::to_string).collect();
    let fault = "more than 128 signatures would have to be verified";
    assert_eq!(faults, [fault], "of the last signature alone");
}

#[test]
fn certificates_have_a_bound() {
    let mut world = World::new();
    let certificate = world.values("0.NA/88.118.8")[0].clone();
    // Each handle sends on to the next.
    let count = MAX_CERTIFICATES_READ / MAX_CERTIFICATES + 1;
    let mut by = signer(ENTERPRISE, ENTERPRISE_PEM);
    by.chain = vec![name("400:88.118.8/0")];
    world.sign(&by, year());
    for place in 0..count {
        let next = format!("400:88.118.8/{}", place + 1);
        let issuer = format!("{}:0.NA/88.118.8", 301 + place);
        let subject = format!("{}:0.NA/88.118.8", 300 + place);
        let mut by = signer(&issuer, ENTERPRISE_PEM);
        by.chain = vec![name(&next)];
        let first = super::certificate(&by, &subject, ENTERPRISE_PEM, Vec::new());
        let mut values = vec![certificate.clone(); MAX_CERTIFICATES - 1];
        values.insert(0, Value::new(400, types::HS_CERT, first));
        world.handles.push((format!("88.118.8/{place}"), values));
    }
    let (_, verdict) = done(&world);
    assert_eq!(
        verdict.signatures[0].faults[0].to_string(),
        "88.118.8/4 has no certificate of 304:0.NA/88.118.8"
    );
}
