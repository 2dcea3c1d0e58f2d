//! Everything that can be wrong, and how the verdict names it.

use proptest::prelude::*;

use super::*;
use crate::trust::MAX_SIGNATURES;
use crate::trust::claims::Token;
use crate::trust::jws::{Jws, sign_compact};

fn by() -> Signer {
    signer(ENTERPRISE, ENTERPRISE_PEM)
}

/// The faults after `change`, of which there must be some.
#[track_caller]
fn broken(change: impl FnOnce(&mut World)) -> Vec<String> {
    let mut world = World::new();
    change(&mut world);
    let faults = world.faults();
    assert!(!faults.is_empty());
    faults
}

#[test]
fn values_that_are_not_what_was_signed_fail_it() {
    let faults = broken(|world| world.values(HANDLE)[0].data[0] ^= 1);
    assert_eq!(
        faults,
        [
            "value 1 is not what signature 401 covers",
            "value 1 is not covered by a signature that holds",
        ]
    );
    let faults = broken(|world| world.values(HANDLE)[1].permissions = Permissions(0b1110));
    assert_eq!(faults[0], "value 2 is not what signature 401 covers");
    let faults = broken(|world| world.values(HANDLE)[0].ttl = crate::value::Ttl::RelativeS(60));
    assert_eq!(faults[0], "value 1 is not what signature 401 covers");
    let faults = broken(|world| drop(world.values(HANDLE).remove(1)));
    assert_eq!(faults, ["signature 401 covers value 2, which is missing"]);
    let faults = broken(|world| {
        world
            .values(HANDLE)
            .push(Value::new(3, types::EMAIL, "a@b.cn"));
    });
    assert_eq!(faults, ["value 3 is not covered by a signature that holds"]);
    let faults = broken(|world| {
        let twice = world.values(HANDLE)[0].clone();
        world.values(HANDLE).push(twice);
    });
    assert_eq!(faults, ["value 1 is there twice"]);
    // A type may be empty: that says nothing of whether the value is there.
    let faults = broken(|world| world.values(HANDLE).push(Value::new(900, "", "unsigned")));
    assert_eq!(
        faults,
        ["value 900 is not covered by a signature that holds"]
    );
    let faults = broken(|world| drop(world.values(HANDLE).pop()));
    assert_eq!(faults[0], "the handle has no signature");
}

#[test]
fn a_value_may_be_covered_by_any_signature_that_holds() {
    let mut world = World::new();
    world
        .values(HANDLE)
        .push(Value::new(3, types::EMAIL, "a@b.cn"));
    let encoded = encode_values(&world.values(HANDLE)[3..]);
    let data = by().signature(HANDLE, views(&encoded), year()).unwrap();
    world
        .values(HANDLE)
        .push(Value::new(402, types::HS_SIGNATURE, data));
    assert_eq!(world.faults(), [""; 0]);
    let data = signer("301:0.NA/88.118.8", ENTERPRISE_PEM);
    let data = data.signature(HANDLE, views(&encoded), year()).unwrap();
    world.values(HANDLE)[4].data = data.into();
    assert_eq!(
        world.faults(),
        [
            "0.NA/88.118.8 has no certificate of 301:0.NA/88.118.8",
            "value 3 is not covered by a signature that holds",
        ]
    );
}

#[test]
fn too_many_signatures_fail_it() {
    let faults = broken(|world| {
        let one = world.values(HANDLE)[2].clone();
        for index in 0..MAX_SIGNATURES as u32 {
            world.values(HANDLE).push(Value {
                index: 500 + index,
                ..one.clone()
            });
        }
    });
    assert_eq!(faults, ["the handle has more than 16 signatures"]);
}

#[test]
fn signatures_over_other_handles_and_by_others_fail_it() {
    let faults = broken(|world| {
        let encoded = encode_values(&world.values(HANDLE)[..2]);
        let data = by()
            .signature("88.118.8/A-2", views(&encoded), year())
            .unwrap();
        world.values(HANDLE)[2].data = data.into();
    });
    assert_eq!(
        faults[0],
        "the signature is over \"88.118.8/A-2\", another handle"
    );
    let faults = broken(|world| world.sign(&signer(ENTERPRISE, OTHER_PEM), year()));
    assert_eq!(
        faults[0],
        "the signature is not signed by the key of 300:0.NA/88.118.8"
    );
    let faults = broken(|world| world.sign(&signer("1:88.9/nowhere", OTHER_PEM), year()));
    assert!(faults[0].contains("cannot be resolved"), "{faults:?}");
}

#[test]
fn dates_that_do_not_hold_fail_it() {
    let world = World::new();
    let faults = |now_s| -> Vec<String> {
        let verdict = world.verify_at(HANDLE, now_s);
        verdict.all_faults().map(ToString::to_string).collect()
    };
    assert_eq!(faults(NOW_S - 600), [""; 0]);
    assert_eq!(faults(NOW_S + YEAR_S - 1), [""; 0]);
    let early = faults(NOW_S - 601);
    assert_eq!(
        early[0],
        "the signature does not hold before 1749999400 s since 1970"
    );
    // The signature, its certificates, and the two values it no longer covers.
    assert_eq!(early.len(), 6);
    let late = faults(NOW_S + YEAR_S);
    assert_eq!(
        late[1],
        "the certificate of 300:0.NA/88.118.8 expired at 1781536000 s since 1970"
    );
    assert_eq!(late.len(), 6);
}

#[test]
fn certificates_that_are_wrong_fail_it() {
    let prefix = signer(PREFIX, PREFIX_PEM);
    let root = signer(ROOT, ROOT_PEM);
    let of_8 = || Permission::of_prefix("0.NA/88.118.8");
    let everything = || vec![Permission::new(Scope::Everything, "")];
    let at_8 = "0.NA/88.118.8";
    let faults = broken(|world| {
        let data = certificate(
            &signer(PREFIX, OTHER_PEM),
            ENTERPRISE,
            ENTERPRISE_PEM,
            of_8(),
        );
        world.certify(at_8, data);
    });
    assert_eq!(
        faults[0],
        "the certificate of 300:0.NA/88.118.8 is not signed by the key of 300:0.NA/88.118"
    );
    let faults = broken(|world| {
        let data = certificate(&root, ENTERPRISE, ENTERPRISE_PEM, Vec::new());
        world.certify(at_8, data);
    });
    assert_eq!(
        faults[0],
        "300:0.NA/88.118.8 has no permission to sign 88.118.8/A-1"
    );
    // What 88.118 may not hand on is worth nothing.
    let faults = broken(|world| {
        let data = certificate(&prefix, ENTERPRISE, ENTERPRISE_PEM, everything());
        world.certify(at_8, data);
    });
    assert_eq!(
        faults[0],
        "300:0.NA/88.118.8 has no permission to sign 88.118.8/A-1"
    );
    let faults = broken(|world| {
        let data = certificate(
            &root,
            PREFIX,
            PREFIX_PEM,
            Permission::of_prefix("0.NA/88.119"),
        );
        world.certify("0.NA/88.118", data);
    });
    assert_eq!(
        faults[0],
        "300:0.NA/88.118 has no permission to sign 300:0.NA/88.118.8"
    );
    let faults = broken(|world| world.certify(at_8, "a.b".into()));
    assert_eq!(
        faults[0],
        "certificate 400:0.NA/88.118.8: is no JSON Web Signature: not three parts with dots between"
    );
    let faults = broken(|world| drop(world.handles.remove(1)));
    assert_eq!(
        faults[0],
        "0.NA/88.118 cannot be resolved: it is not registered"
    );
}

#[test]
fn chains_that_end_elsewhere_or_nowhere_fail_it() {
    let everything = || vec![Permission::new(Scope::Everything, "")];
    let faults = broken(|world| world.root.name = name("300:0.NA/0.NB"));
    assert_eq!(
        faults[0],
        "the chain ends at 300:0.NA/0.NA, which is not the trusted root"
    );
    let faults = broken(|world| world.root.name = name("301:0.NA/0.NA"));
    assert!(faults[0].contains("which is not the trusted root"));
    let mut world = World::new();
    world.root.name.index = 0;
    assert_eq!(world.faults(), [""; 0]);
    let faults = broken(|world| world.root.key = public(OTHER_PEM));
    assert_eq!(
        faults[0],
        "the root's certificate 300:0.NA/0.NA has another key than the trusted one"
    );
    // Somebody's own root of the trusted one's name, with the trusted key in it.
    let faults = broken(|world| {
        let forger = signer(ROOT, OTHER_PEM);
        let data = certificate(&forger, ROOT, ROOT_PEM, everything());
        world.certify("0.NA/0.NA", data);
    });
    assert_eq!(
        faults[0],
        "the certificate of 300:0.NA/0.NA is not signed by the key of 300:0.NA/0.NA"
    );
    // Two that certify each other.
    let faults = broken(|world| {
        let data = certificate(&by(), PREFIX, PREFIX_PEM, everything());
        world.certify("0.NA/88.118", data);
    });
    assert_eq!(
        faults[0],
        "the chain comes back to the certificate of 300:0.NA/88.118.8"
    );
}

/// Claims of a signature with one thing changed.
fn altered(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut world = World::new();
    let jws = Jws::parse(&world.values(HANDLE)[2].data).unwrap();
    let mut claims = serde_json::from_slice(jws.payload()).unwrap();
    change(&mut claims);
    sign_compact(&key(ENTERPRISE_PEM), claims.to_string().as_bytes()).unwrap()
}

#[test]
fn claims_that_are_not_what_they_must_be_are_refused() {
    use serde_json::json;
    let good = altered(|_| ());
    Token::signature(good.as_bytes()).unwrap();
    type Change = fn(&mut serde_json::Value);
    let changes: [(Change, &str); 10] = [
        (
            |c| drop(c.as_object_mut().unwrap().remove("exp")),
            "missing field `exp`",
        ),
        (
            |c| drop(c.as_object_mut().unwrap().remove("iss")),
            "missing field `iss`",
        ),
        (|c| c["nbf"] = json!("now"), "invalid type"),
        (|c| c["exp"] = json!(-1), "invalid value"),
        (|c| c["digests"]["alg"] = json!("MD5"), "unknown variant"),
        (
            |c| c["digests"]["digests"][0]["digest"] = json!("AAA="),
            "base64 of 32 bytes",
        ),
        (
            |c| c["digests"]["digests"][0]["index"] = json!(1u64 << 32),
            "invalid value",
        ),
        (
            |c| c["chain"] = json!(vec!["1:a/b"; 51]),
            "more than 50 links",
        ),
        (
            |c| c["digests"]["digests"] = json!(vec![c["digests"]["digests"][0].clone(); 2_049]),
            "more than 2048",
        ),
        (
            |c| c["digests"]["digests"] = json!(vec![c["digests"]["digests"][1].clone(); 2]),
            "value 2 has two digests",
        ),
    ];
    for (change, error) in changes {
        let text = altered(change);
        let found = Token::signature(text.as_bytes()).unwrap_err().to_string();
        assert!(found.contains(error), "{error}: {found}");
    }
    let mut duplicate =
        String::from_utf8(Jws::parse(good.as_bytes()).unwrap().payload().into()).unwrap();
    duplicate.insert_str(1, "\"sub\":\"88.118.8/A-2\",");
    let text = sign_compact(&key(ENTERPRISE_PEM), duplicate.as_bytes()).unwrap();
    let found = Token::signature(text.as_bytes()).unwrap_err().to_string();
    assert!(found.contains("duplicate field"), "{found}");
}

#[test]
fn headers_that_cannot_be_trusted_are_refused() {
    let b64 = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    for (header, error) in [
        (r#"{"alg":"none"}"#, "the algorithm \"none\" is not known"),
        (r#"{"alg":"HS256"}"#, "the algorithm \"HS256\" is not known"),
        (r#"{"alg":"RS256","crit":["x"]}"#, "demands extensions"),
        (r#"{}"#, "missing field `alg`"),
        ("x", "cannot be used"),
    ] {
        let text = format!("{}.{}.{}", b64(header), b64("{}"), b64("x"));
        let found = Jws::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(found.contains(error), "{found}");
    }
    for text in [
        "",
        ".",
        "..",
        "a.b.c.d",
        "e30=.e30.",
        "{",
        "{}",
        r#"{"payload":"","signatures":[]}"#,
    ] {
        assert!(Jws::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Jws::parse(&vec![b'a'; 262_145]).is_err());
    // An RSA key's token under an SM2 key and the other way round.
    let rsa = sign_compact(&key(ROOT_PEM), b"{}").unwrap();
    let sm2 = sign_compact(&key(ENTERPRISE_PEM), b"{}").unwrap();
    assert!(
        !Jws::parse(rsa.as_bytes())
            .unwrap()
            .verifies(&public(ENTERPRISE_PEM))
    );
    assert!(
        !Jws::parse(sm2.as_bytes())
            .unwrap()
            .verifies(&public(ROOT_PEM))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_signed_verifies_and_any_flipped_bit_fails(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        rsa in any::<bool>(),
        place in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let signing = key(if rsa { ROOT_PEM } else { ENTERPRISE_PEM });
        let public = TrustKey::of(&signing).unwrap();
        let mut text = sign_compact(&signing, &payload).unwrap().into_bytes();
        let read = Jws::parse(&text).unwrap();
        prop_assert_eq!(read.payload(), &payload[..]);
        prop_assert!(read.verifies(&public));
        let at = place.index(text.len());
        text[at] ^= 1 << bit;
        prop_assert!(!Jws::parse(&text).is_ok_and(|jws| jws.verifies(&public)));
    }

    #[test]
    fn any_flipped_bit_of_a_signed_value_fails_the_verdict(
        value in 0usize..3,
        place in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut world = World::new();
        let data = &mut world.values(HANDLE)[value].data;
        let at = place.index(data.len());
        data[at] ^= 1 << bit;
        prop_assert!(!world.verify().is_valid());
    }
}

#[test]
fn junk_is_refused_without_a_panic() {
    use crate::handle::testing::{Mutator, rounds};
    let mut world = World::new();
    let seeds = [
        world.values(HANDLE)[2].data.clone(),
        world.values("0.NA/88.118.8")[0].data.clone(),
        Jws::parse(&world.values(HANDLE)[2].data)
            .unwrap()
            .payload()
            .to_vec(),
    ];
    let mut mutator = Mutator::new(7);
    for _ in 0..rounds() / 10 {
        let junk = mutator.mutate(&seeds).to_vec();
        let _ = Token::signature(&junk);
        let _ = Token::certificate(&junk);
        let _ = serde_json::from_slice::<crate::trust::SignatureClaims>(&junk);
    }
}
