//! Signatures and certificates of trusted resolution: JWS of both forms, their claims, and the
//! verifier over values that hold them.
#![no_main]

use idnode_proto::trust::claims::Token;
use idnode_proto::trust::jws::Jws;
use idnode_proto::trust::{
    CertificateClaims, PrivateKey, Root, SignatureClaims, Step, TrustKey, Verifier,
};
use idnode_proto::value::{Value, Values, encode_values, types};
use libfuzzer_sys::fuzz_target;

const KEY: &str = include_str!("../../../proto/src/trust/tests/keys/enterprise.pem");

fuzz_target!(|bytes: &[u8]| {
    let _ = Jws::parse(bytes);
    let _ = Token::certificate(bytes);
    if let Ok(claims) = serde_json::from_slice::<CertificateClaims>(bytes) {
        let again = serde_json::to_vec(&claims).expect("claims are JSON");
        assert_eq!(
            serde_json::from_slice::<CertificateClaims>(&again).expect("the same"),
            claims
        );
    }
    if let Ok(claims) = serde_json::from_slice::<SignatureClaims>(bytes) {
        let again = serde_json::to_vec(&claims).expect("claims are JSON");
        assert_eq!(
            serde_json::from_slice::<SignatureClaims>(&again).expect("the same"),
            claims
        );
    }
    if Token::signature(bytes).is_ok() {
        verify(bytes);
    }
});

/// Nobody's signature holds under a root that has signed nothing.
fn verify(signature: &[u8]) {
    let key = PrivateKey::from_pem(KEY)
        .map_err(Into::into)
        .and_then(|key| TrustKey::of(&key))
        .expect("a key");
    let name = "1:0.NA/fuzz".parse().expect("a name");
    let root = Root { name, key };
    let encoded = encode_values(&[
        Value::new(1, types::URL, "http://a.cn"),
        Value::new(2, types::HS_SIGNATURE, signature),
        Value::new(3, types::HS_CERT, signature),
    ]);
    let values: Vec<_> = Values::all(&encoded).map_while(Result::ok).collect();
    let mut verifier = Verifier::new(&root, "88.118.8/A-1", &values, 1_750_000_000);
    for _ in 0..100 {
        match verifier.step() {
            Step::NeedsCertificates(handle) => verifier.resolved(&handle, values.iter().copied()),
            Step::Done(verdict) => return assert!(!verdict.is_valid()),
        }
    }
    panic!("the verifier asks for ever");
}
