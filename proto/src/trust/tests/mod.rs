//! Signatures and chains, made here and by others, whole and broken in every way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod bounds;
mod broken;
mod chains;
mod golden;
mod permissions;

use super::chain::{Root, Step, Verifier};
use super::key::{PrivateKey, TrustKey};
use super::name::ValueName;
use super::permission::{Permission, Scope};
use super::sign::{Signer, Validity};
use super::verdict::Verdict;
use crate::value::{Permissions, Value, ValueRef, encode_values, types};

const ROOT_PEM: &str = include_str!("keys/root.pem");
const PREFIX_PEM: &str = include_str!("keys/prefix.pem");
const ENTERPRISE_PEM: &str = include_str!("keys/enterprise.pem");
const OTHER_PEM: &str = include_str!("keys/other.pem");

const ROOT: &str = "300:0.NA/0.NA";
const PREFIX: &str = "300:0.NA/88.118";
const ENTERPRISE: &str = "300:0.NA/88.118.8";
const HANDLE: &str = "88.118.8/A-1";

/// The time of the tests, seconds since 1970.
const NOW_S: u64 = 1_750_000_000;
const YEAR_S: u64 = 365 * 86_400;

fn key(pem: &str) -> PrivateKey {
    PrivateKey::from_pem(pem).unwrap()
}

fn public(pem: &str) -> TrustKey {
    TrustKey::of(&key(pem)).unwrap()
}

fn name(text: &str) -> ValueName {
    text.parse().unwrap()
}

fn signer(of: &str, pem: &str) -> Signer {
    Signer {
        name: name(of),
        key: key(pem),
        chain: Vec::new(),
    }
}

fn year() -> Validity {
    Validity::starting(NOW_S, YEAR_S)
}

/// HS_CERT data about `subject`'s key.
fn certificate(by: &Signer, subject: &str, pem: &str, permissions: Vec<Permission>) -> String {
    let key = public(pem);
    by.certificate(&name(subject), &key, permissions, year())
        .unwrap()
}

/// Handles and their values: a root (RSA) that certifies 88.118 (RSA), which certifies 88.118.8
/// (SM2), which signs a handle.
struct World {
    root: Root,
    handles: Vec<(String, Vec<Value>)>,
}

impl World {
    fn new() -> Self {
        let root = signer(ROOT, ROOT_PEM);
        let prefix = signer(PREFIX, PREFIX_PEM);
        let everything = vec![Permission::new(Scope::Everything, "")];
        let cert = |data: String| vec![Value::new(400, types::HS_CERT, data)];
        let mut world = Self {
            root: Root {
                name: name(ROOT),
                key: public(ROOT_PEM),
            },
            handles: vec![
                (
                    "0.NA/0.NA".into(),
                    cert(certificate(&root, ROOT, ROOT_PEM, everything)),
                ),
                (
                    "0.NA/88.118".into(),
                    cert(certificate(
                        &root,
                        PREFIX,
                        PREFIX_PEM,
                        Permission::of_prefix("0.NA/88.118"),
                    )),
                ),
                (
                    "0.NA/88.118.8".into(),
                    cert(certificate(
                        &prefix,
                        ENTERPRISE,
                        ENTERPRISE_PEM,
                        Permission::of_prefix("0.NA/88.118.8"),
                    )),
                ),
                (
                    HANDLE.into(),
                    vec![
                        Value::new(1, types::URL, "https://example.com/a-1"),
                        Value {
                            permissions: Permissions(0b1100),
                            ..Value::new(2, types::DESC, "一号")
                        },
                    ],
                ),
            ],
        };
        world.sign(&signer(ENTERPRISE, ENTERPRISE_PEM), year());
        world
    }

    fn values(&mut self, handle: &str) -> &mut Vec<Value> {
        let found = self.handles.iter_mut().find(|(name, _)| name == handle);
        &mut found.unwrap().1
    }

    /// Signs the handle's values anew.
    fn sign(&mut self, by: &Signer, validity: Validity) {
        let values = self.values(HANDLE);
        values.retain(|value| value.value_type != types::HS_SIGNATURE);
        let encoded = encode_values(values);
        let data = by.signature(HANDLE, views(&encoded), validity).unwrap();
        values.push(Value::new(401, types::HS_SIGNATURE, data));
    }

    /// Puts another certificate at a handle.
    fn certify(&mut self, handle: &str, data: String) {
        *self.values(handle) = vec![Value::new(400, types::HS_CERT, data)];
    }

    fn verify(&self) -> Verdict {
        self.verify_at(HANDLE, NOW_S)
    }

    fn verify_at(&self, handle: &str, now_s: u64) -> Verdict {
        let find = |handle: &str| {
            let found = self.handles.iter().find(|(name, _)| name == handle);
            found.map(|(_, values)| encode_values(values))
        };
        let encoded = find(handle).unwrap();
        let values: Vec<_> = views(&encoded).collect();
        let mut verifier = Verifier::new(&self.root, handle, &values, now_s);
        for _ in 0..1_000 {
            match verifier.step() {
                Step::Done(verdict) => return verdict,
                Step::NeedsCertificates(handle) => match find(&handle) {
                    Some(encoded) => verifier.resolved(&handle, views(&encoded)),
                    None => verifier.unavailable(&handle, "it is not registered"),
                },
            }
        }
        panic!("the verifier does not end");
    }

    /// The texts of what is wrong.
    fn faults(&self) -> Vec<String> {
        let verdict = self.verify();
        verdict.all_faults().map(ToString::to_string).collect()
    }
}

fn views(encoded: &[u8]) -> impl Iterator<Item = ValueRef<'_>> {
    crate::value::Values::all(encoded).map(Result::unwrap)
}

#[test]
fn rsa_keys_are_trusted_from_2048_bits_on() {
    let of = |first: u8| {
        let mut modulus = vec![0xff; 256];
        modulus[0] = first;
        let n = data_encoding::BASE64URL_NOPAD.encode(&modulus);
        let jwk = serde_json::json!({ "kty": "RSA", "n": n, "e": "AQAB" });
        serde_json::from_value::<TrustKey>(jwk).map_err(|error| error.to_string())
    };
    assert!(of(0x80).is_ok());
    for first in [0x7f, 0x01] {
        assert_eq!(
            of(first).unwrap_err(),
            "the key: it is neither an RSA key of 2048 bits or more nor an SM2 key"
        );
    }
}
