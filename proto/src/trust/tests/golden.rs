//! What other implementations signed.

use super::*;
use crate::trust::claims::Token;
use crate::trust::digest::{DigestAlgorithm, Digests};
use crate::trust::jws::Jws;

/// `openssl dgst -sha256 -sign root.pem`
const OPENSSL_RS256: &str = include_str!("openssl.rs256.jws");
/// `openssl pkeyutl -sign -inkey enterprise.pem -rawin -digest sm3 -pkeyopt
/// distid:1234567812345678`
const OPENSSL_SM2256: &str = include_str!("openssl.sm2256.jws");
/// `gmssl` 3.2.2, `CryptSM2(asn1=True).sign_with_sm3`
const GMSSL_SM2256: &str = include_str!("gmssl.sm2256.jws");

#[test]
fn signatures_of_others_verify_under_the_right_key_alone() {
    let rsa = TrustKey::from_pem(include_str!("keys/root.pub.pem")).unwrap();
    let sm2 = TrustKey::from_pem(include_str!("keys/enterprise.pub.pem")).unwrap();
    let other = public(OTHER_PEM);
    for (text, right, wrong) in [
        (OPENSSL_RS256, &rsa, [&sm2, &other]),
        (OPENSSL_SM2256, &sm2, [&rsa, &other]),
        (GMSSL_SM2256, &sm2, [&rsa, &other]),
    ] {
        let token = Token::signature(text.as_bytes()).unwrap();
        assert!(token.jws.verifies(right), "{text}");
        assert!(!wrong.iter().any(|key| token.jws.verifies(key)), "{text}");
        let claims = &token.claims;
        assert_eq!(claims.claims.iss, ENTERPRISE);
        assert_eq!(claims.claims.sub, HANDLE);
        assert_eq!(claims.claims.exp, 1_800_000_000);
        assert_eq!(claims.digests.digests[0].digest, [0; 32]);
    }
}

#[test]
fn keys_of_others_read_and_write_the_same() {
    for (private, public_pem) in [
        (ROOT_PEM, include_str!("keys/root.pub.pem")),
        (ENTERPRISE_PEM, include_str!("keys/enterprise.pub.pem")),
    ] {
        let read = public(private);
        assert_eq!(read, TrustKey::from_pem(public_pem).unwrap());
        let written = read.key().to_pem().unwrap().replace('\r', "");
        assert_eq!(written.trim(), public_pem.trim());
        let jwk = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<TrustKey>(&jwk).unwrap(), read);
    }
}

/// The bytes that clients expect, field by field.
#[test]
fn what_is_made_has_the_shape_that_clients_read() {
    let data = certificate(
        &signer(PREFIX, PREFIX_PEM),
        ENTERPRISE,
        ENTERPRISE_PEM,
        Permission::of_prefix("0.NA/88.118.8"),
    );
    assert!(data.starts_with("eyJhbGciOiJSUzI1NiJ9.") && !data.contains('='));
    let claims: serde_json::Value =
        serde_json::from_slice(Jws::parse(data.as_bytes()).unwrap().payload()).unwrap();
    let der = public(ENTERPRISE_PEM).key().to_pem().unwrap();
    let der: String = der.lines().filter(|line| !line.starts_with('-')).collect();
    let d = der.replace('+', "-").replace('/', "_");
    assert_eq!(
        claims,
        serde_json::json!({
            "iss": PREFIX, "sub": ENTERPRISE,
            "iat": NOW_S, "nbf": NOW_S - 600, "exp": NOW_S + YEAR_S,
            "publicKey": {"kty": "SM2", "d": d.trim_end_matches('=')},
            "perms": [
                {"handle": "0.NA/88.118.8", "perm": "thisHandle"},
                {"handle": "0.NA/88.118.8", "perm": "derivedPrefixes"},
                {"handle": "0.NA/88.118.8", "perm": "handlesUnderThisPrefix"},
            ],
        })
    );
    let by = signer(ENTERPRISE, ENTERPRISE_PEM);
    let encoded = encode_values(&[Value::new(1, types::URL, "http://a.cn")]);
    let data = by.signature(HANDLE, views(&encoded), year()).unwrap();
    assert!(data.starts_with("eyJhbGciOiJTTTIyNTYifQ."));
    let claims: serde_json::Value =
        serde_json::from_slice(Jws::parse(data.as_bytes()).unwrap().payload()).unwrap();
    // By `openssl dgst -sha256` of 00 00015180 0e 00000003"URL" 0000000b"http://a.cn" 00000000
    let digest = "Kfl7wH+D7HjMZ29CKN+lmMNzeFMMBRMdrdshgCWKUDU=";
    assert_eq!(
        claims["digests"],
        serde_json::json!({
            "alg": "SHA-256", "digests": [{"index": 1, "digest": digest}],
        })
    );
}

#[test]
fn a_digest_covers_a_value_from_its_ttl_on() {
    let mut value = Value::new(1, types::URL, "http://a.cn");
    let digests = |value: &Value| {
        let encoded = encode_values(std::slice::from_ref(value));
        [DigestAlgorithm::Sha256, DigestAlgorithm::Sm3]
            .map(|alg| Digests::of(alg, views(&encoded)).digests[0].digest)
    };
    let before = digests(&value);
    value.timestamp_s = 7;
    assert_eq!(digests(&value), before);
    value.index = 3;
    assert_eq!(digests(&value), before);
    value.permissions = Permissions(0b1101);
    assert!(
        digests(&value)
            .iter()
            .all(|digest| !before.contains(digest))
    );
}
