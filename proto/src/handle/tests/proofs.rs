//! Keys and proofs: this implementation and OpenSSL's agree, and what is changed does not hold.

use super::vectors::*;
use crate::handle::auth::api::OwnApiProof;
use crate::handle::auth::proof::verify_response;
use crate::handle::auth::public::verify_sm2;
use crate::handle::auth::secret::{MAX_ITERATIONS, SecretAlgorithm, make_response};
use crate::handle::auth::{
    ApiProof, ClientKey, HashName, KeyError, PrivateKey, ProofError, ProofKey, PublicKey,
    verify_answer,
};
use crate::handle::body::challenge::{Challenge, ChallengeAnswer};
use crate::handle::{AdminId, RequestDigest, ResponseCode};
use crate::value::types;

const SECRET: &[u8] = b"secret";

/// Key, digest and OpenSSL's signature.
const SIGNATURES: [(&str, HashName, &str); 8] = [
    (RSA_PUBLIC, HashName::Sha256, RSA_SHA256),
    (RSA_PUBLIC, HashName::Sha1, RSA_SHA1),
    (DSA_1024_PUBLIC, HashName::Sha1, DSA_1024_SHA1),
    (DSA_1024_PUBLIC, HashName::Sha256, DSA_1024_SHA256),
    (DSA_2048_PUBLIC, HashName::Sha1, DSA_2048_SHA1),
    (DSA_2048_PUBLIC, HashName::Sha256, DSA_2048_SHA256),
    (ED25519_PUBLIC, HashName::Ed25519, ED25519_SIGNATURE),
    (SM2_PUBLIC, HashName::Sm3, SM2_SM3),
];

fn challenge(older: bool) -> Challenge {
    let digest = if older {
        RequestDigest::Sha1([0xd1; 20])
    } else {
        RequestDigest::Sha256([0xd1; 32])
    };
    Challenge {
        digest,
        nonce: (0..16).collect(),
    }
}

fn identity() -> AdminId {
    "301:0.NA/88.118.8".parse().unwrap()
}

/// A length in front of each part.
fn sized(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        out.extend_from_slice(&(part.len() as u32).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[test]
fn a_proof_covers_nonce_and_digest_without_its_octet() {
    assert_eq!(challenge(false).covered(), message());
}

#[test]
fn signatures_of_openssl_hold_and_changed_ones_do_not() {
    for (pem, hash, signature) in SIGNATURES {
        let (key, signature) = (public(pem), hex(signature));
        let verify = |message: &[u8], signature: &[u8]| key.verify(hash, USER, message, signature);
        assert_eq!(verify(&message(), &signature), Ok(()), "{hash:?} {pem}");
        for at in [0, signature.len() / 2, signature.len() - 1] {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            assert!(verify(&message(), &changed).is_err());
        }
        assert!(verify(&message()[1..], &signature).is_err());
        assert!(verify(&message(), &signature[1..]).is_err());
        assert!(verify(&message(), &[]).is_err());
        assert!(verify(&message(), &[0xff; 5000]).is_err());
    }
}

#[test]
fn an_sm2_proof_digests_with_sm3_first_and_with_the_user_without_index() {
    let (key, signature) = (public(SM2_PUBLIC), hex(SM2_SM3));
    let other = key.verify(HashName::Sm3, "0.NA/88.118.9", &message(), &signature);
    assert_eq!(other, Err(ProofError::Wrong));
    let PublicKey::Sm2(key) = key else {
        panic!("an SM2 key");
    };
    // Without the first SM3 it is a signature over something else.
    let direct = verify_sm2(&key, USER, &message(), &signature);
    assert_eq!(direct, Err(ProofError::Wrong));
}

#[test]
fn keys_sign_only_with_their_digests() {
    for (pem, _) in PAIRS {
        let key = private(pem);
        let usual = key.hash_for(false);
        for hash in [
            HashName::Sha1,
            HashName::Sha256,
            HashName::Sm3,
            HashName::Ed25519,
        ] {
            let fits = hash == usual || hash == key.hash_for(true);
            match key.sign(hash, USER, &message()) {
                Ok(signature) => {
                    assert!(fits);
                    let public = key.public_key().unwrap();
                    assert_eq!(public.verify(hash, USER, &message(), &signature), Ok(()));
                }
                Err(error) => assert!(!fits && error == ProofError::Digest),
            }
        }
    }
}

#[test]
fn private_keys_in_every_encoding() {
    for (pem, public_pem) in PAIRS {
        assert_eq!(private(pem).public_key().unwrap(), public(public_pem));
    }
    assert_eq!(private(RSA_PKCS1).public_key(), Ok(public(RSA_PUBLIC)));
    assert_eq!(private(SM2_SEC1).public_key(), Ok(public(SM2_PUBLIC)));
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqgRzPVQGCLQ==\n-----END EC PARAMETERS-----\n";
    let with_parameters = format!("{parameters}{SM2_SEC1}");
    assert_eq!(
        private(&with_parameters).public_key(),
        Ok(public(SM2_PUBLIC))
    );
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
    let error = |text: &str| PrivateKey::from_pem(text).unwrap_err();
    assert_eq!(error(encrypted), KeyError::Encrypted);
    assert_eq!(error("no key"), KeyError::Encoding);
    assert_eq!(error(RSA_PUBLIC), KeyError::Kind);
}

#[test]
fn public_keys_in_their_four_encodings() {
    for (_, pem) in PAIRS {
        let key = public(pem);
        let encoded = key.encode().unwrap();
        assert_eq!(PublicKey::decode(&encoded).as_ref(), Ok(&key));
        // PEM text with either line end.
        let text = key.to_pem().unwrap();
        assert_eq!(text.replace("\r\n", "\n"), pem);
        assert_eq!(PublicKey::decode(text.as_bytes()).as_ref(), Ok(&key));
        assert_eq!(PublicKey::decode(pem.as_bytes()).as_ref(), Ok(&key));
        // Octets behind the key that nobody reads.
        if encoded[0] == 0 {
            let trailing = [&encoded[..], &[0; 4]].concat();
            assert_eq!(PublicKey::decode(&trailing), Ok(key));
        }
    }
}

#[test]
fn an_rsa_key_is_written_as_others_write_it() {
    let encoded = public(RSA_PUBLIC).encode().unwrap();
    let start = [
        &sized(&[b"RSA_PUB_KEY"])[..],
        &[0, 0],
        &sized(&[&[1, 0, 1]]),
    ]
    .concat();
    assert_eq!(encoded[..start.len()], start);
    // 2,048 bits with the leading zero of a signed number.
    assert_eq!(encoded[start.len()..start.len() + 5], [0, 0, 1, 1, 0]);
    assert_eq!(encoded.len(), start.len() + 4 + 257 + 4);
    assert_eq!(encoded[encoded.len() - 4..], [0; 4]);
}

#[test]
fn an_sm2_key_is_written_as_der_and_read_as_pem_too() {
    let key = public(SM2_PUBLIC);
    let encoded = key.encode().unwrap();
    let wrapping = "3059301306072a8648ce3d020106082a811ccf5501822d03420004";
    let start = [
        &sized(&[b"SM2_PUB_KEY"])[..],
        &[0, 0, 0, 0, 0, 91],
        &hex(wrapping),
    ]
    .concat();
    assert_eq!(encoded[..start.len()], start);
    assert_eq!(encoded.len(), start.len() + 64);
    let pem = key.to_pem().unwrap();
    let with_pem = [
        &sized(&[b"SM2_PUB_KEY"])[..],
        &[0, 0],
        &sized(&[pem.as_bytes()]),
    ]
    .concat();
    assert_eq!(PublicKey::decode(&with_pem), Ok(key));
}

#[test]
fn data_that_is_no_key_says_why() {
    let decode = |data: &[u8]| PublicKey::decode(data).unwrap_err();
    assert_eq!(decode(b""), KeyError::Encoding);
    assert_eq!(decode(b"\xff\xfe"), KeyError::Encoding);
    assert_eq!(decode(&[0; 40]), KeyError::Kind);
    let kind = [&sized(&[b"ECC_PUB_KEY"])[..], &[0, 0]].concat();
    assert_eq!(decode(&kind), KeyError::Kind);
    let rsa = |exponent: &[u8], modulus: &[u8]| {
        [
            &sized(&[b"RSA_PUB_KEY"])[..],
            &[0, 0],
            &sized(&[exponent, modulus]),
        ]
        .concat()
    };
    assert_eq!(decode(&rsa(&[3], &[])), KeyError::Numbers);
    assert_eq!(decode(&rsa(&[3], &[0xff; 64])), KeyError::Numbers);
    assert_eq!(decode(&rsa(&[3], &[0xff; 1090])), KeyError::Numbers);
    assert_eq!(decode(&rsa(&[0xff; 32], &[0xff; 256])), KeyError::Numbers);
    assert_eq!(decode(&rsa(&[3], &[0xfe; 256])), KeyError::Numbers);
    let dsa =
        |numbers: [&[u8]; 4]| [&sized(&[b"DSA_PUB_KEY"])[..], &[0, 0], &sized(&numbers)].concat();
    assert_eq!(decode(&dsa([&[], &[], &[], &[]])), KeyError::Numbers);
    let odd = [0xff; 128];
    assert_eq!(
        decode(&dsa([&[0xff; 20], &odd, &[2], &[1]])),
        KeyError::Numbers
    );
    assert_eq!(
        decode(&dsa([&[0xff; 20], &odd, &odd, &odd])),
        KeyError::Numbers
    );
    assert_eq!(
        decode(&dsa([&[0xff; 20], &odd, &[2], &[3]])),
        KeyError::Numbers
    );
}

#[test]
fn a_dsa_key_is_read_whichever_of_p_and_q_comes_first() {
    let key = public(DSA_1024_PUBLIC);
    let encoded = key.encode().unwrap();
    // str type, u16, then q, p, g, y.
    let mut numbers = Vec::new();
    let mut rest = &encoded[17..];
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        numbers.push(&rest[4..4 + length]);
        rest = &rest[4 + length..];
    }
    assert_eq!(numbers.len(), 4);
    assert!(numbers[0].len() == 21 && numbers[1].len() == 129);
    let swapped = sized(&[numbers[1], numbers[0], numbers[2], numbers[3]]);
    let swapped = [&encoded[..17], &swapped].concat();
    assert_eq!(PublicKey::decode(&swapped), Ok(key));
}

#[test]
fn secret_proofs_as_clients_make_them() {
    let proof = |head: &[u8], mac: &str| [head, &hex(mac)].concat();
    let check = |response: &[u8]| {
        let key = ProofKey::Secret(SECRET.to_vec());
        verify_response(&key, &challenge(false), USER, response)
    };
    let salt: Vec<u8> = (100..116).collect();
    let derived = [
        &[0x22][..],
        &sized(&[&salt]),
        &10_000u32.to_be_bytes(),
        &160u32.to_be_bytes(),
    ]
    .concat();
    let with_length = [&derived[..], &20u32.to_be_bytes()].concat();
    let mac = "8e2ca10178d361dd24473b23498d922cedf0aadd";
    assert_eq!(check(&proof(&with_length, mac)), Ok(()));
    assert_eq!(check(&proof(&derived, mac)), Ok(()));
    let plain = "28d6aed3dac3287b1332597e3939d2f22fd58f1d";
    assert_eq!(check(&proof(&[0x02], plain)), Ok(()));
    let hmac = "eed800137b372abfd845b5302ab1eced483d784a";
    assert_eq!(check(&proof(&[0x12], hmac)), Ok(()));
    // Each under another's number, MD5, nothing, and too little.
    assert_eq!(check(&proof(&[0x02], hmac)), Err(ProofError::Wrong));
    assert_eq!(check(&proof(&[0x12], plain)), Err(ProofError::Wrong));
    assert_eq!(check(&proof(&[0x01], plain)), Err(ProofError::Digest));
    assert_eq!(check(&proof(&[0x11], plain)), Err(ProofError::Digest));
    assert_eq!(check(&proof(&[0x77], plain)), Err(ProofError::Malformed));
    assert_eq!(check(&[]), Err(ProofError::Malformed));
    assert_eq!(check(&[0x02]), Err(ProofError::Wrong));
    assert_eq!(check(&with_length), Err(ProofError::Malformed));
}

#[test]
fn the_client_does_not_choose_how_long_the_server_works() {
    let check = |iterations: u32, key_bits: u32| {
        let response = [
            &[0x22][..],
            &sized(&[b"salt"]),
            &iterations.to_be_bytes(),
            &key_bits.to_be_bytes(),
            &sized(&[&[0; 20]]),
        ]
        .concat();
        let key = ProofKey::Secret(SECRET.to_vec());
        verify_response(&key, &challenge(false), USER, &response).unwrap_err()
    };
    assert_eq!(check(1, 160), ProofError::Wrong);
    assert_eq!(check(MAX_ITERATIONS, 160), ProofError::Wrong);
    assert_eq!(check(MAX_ITERATIONS + 1, 160), ProofError::Work);
    assert_eq!(check(MAX_ITERATIONS, 168), ProofError::Work);
    assert_eq!(check(u32::MAX, 160), ProofError::Work);
    assert_eq!(check(0, 160), ProofError::Work);
    assert_eq!(check(1, 128), ProofError::Wrong);
    // Of a short one all could be tried, whatever the secret is.
    for key_bits in [0, 7, 8, 64, 120, 520, u32::MAX] {
        assert_eq!(check(1, key_bits), ProofError::Work);
    }
}

#[test]
fn the_empty_secret_which_everybody_knows_proves_nothing() {
    for algorithm in [SecretAlgorithm::Sha256, SecretAlgorithm::HmacSha1] {
        let nobodys = algorithm.prove(b"", b"message").unwrap();
        let proven = algorithm.verify(b"", b"message", &nobodys);
        assert_eq!(proven, Err(ProofError::Wrong));
    }
}

#[test]
fn own_answers_prove_every_kind_of_key_to_old_and_new_servers() {
    let mut keys: Vec<(ClientKey, ProofKey)> = PAIRS
        .iter()
        .map(|(pem, public_pem)| {
            let data = public(public_pem).encode().unwrap();
            (ClientKey::Private(private(pem)), ProofKey::Public(data))
        })
        .collect();
    keys.push((ClientKey::secret(SECRET), ProofKey::Secret(SECRET.to_vec())));
    let user = identity();
    for (own, registered) in &keys {
        for older in [false, true] {
            let body = own.answer(&user, &challenge(older)).unwrap();
            let answer = ChallengeAnswer::decode(&body).unwrap();
            assert_eq!((answer.handle, answer.index), (USER, 301));
            let verify = |challenge: &Challenge| verify_answer(registered, challenge, &answer);
            assert_eq!(verify(&challenge(older)), Ok(()), "{own:?}");
            // A replayed answer meets another nonce, or another request's digest.
            let mut other = challenge(older);
            other.nonce[0] ^= 1;
            assert_eq!(verify(&other), Err(ProofError::Wrong));
            other = challenge(older);
            other.digest = RequestDigest::Sha256([0; 32]);
            assert_eq!(verify(&other), Err(ProofError::Wrong));
        }
    }
}

#[test]
fn a_proof_is_for_its_kind_of_key() {
    let body = ClientKey::secret(SECRET)
        .answer(&identity(), &challenge(false))
        .unwrap();
    let answer = ChallengeAnswer::decode(&body).unwrap();
    assert_eq!(answer.key_type, types::HS_SECKEY);
    let public = ProofKey::Public(public(RSA_PUBLIC).encode().unwrap());
    let refused = verify_answer(&public, &challenge(false), &answer);
    assert_eq!(refused, Err(ProofError::OtherKind));
    // The secret sent as a public key's value is none.
    let claimed = ChallengeAnswer {
        key_type: types::HS_PUBKEY,
        ..answer
    };
    let refused = verify_answer(&public, &challenge(false), &claimed).unwrap_err();
    assert!(matches!(
        refused,
        ProofError::Malformed | ProofError::Digest
    ));
    let broken = ProofKey::Public(b"nothing".to_vec());
    let refused = verify_answer(&broken, &challenge(false), &claimed);
    assert_eq!(refused, Err(ProofError::Key(KeyError::Encoding)));
}

#[test]
fn every_failure_has_a_code_that_clients_know() {
    for error in [
        ProofError::Wrong,
        ProofError::Malformed,
        ProofError::OtherKind,
        ProofError::Digest,
        ProofError::Work,
        ProofError::Random,
        ProofError::Key(KeyError::Kind),
    ] {
        assert!(error.code().known_to_clients());
    }
    assert_eq!(
        ProofError::Wrong.code(),
        ResponseCode::AUTHENTICATION_FAILED
    );
}

#[test]
fn secrets_stay_out_of_logs() {
    assert_eq!(
        format!("{:?}", ProofKey::Secret(SECRET.to_vec())),
        "HS_SECKEY"
    );
    assert!(!format!("{:?}", ClientKey::secret(SECRET)).contains("115"));
    assert_eq!(format!("{:?}", private(SM2)), "PrivateKey(SM2)");
}

/// The JSON API: the server's nonce, then the client's.
#[test]
fn api_proofs_with_a_secret_key() {
    let (server_nonce, client_nonce) = (&message()[..16], &message()[16..]);
    let key = ProofKey::Secret(SECRET.to_vec());
    let salt: Vec<u8> = (100..116).collect();
    let proofs = [
        ("SHA1", "28d6aed3dac3287b1332597e3939d2f22fd58f1d"),
        (
            "SHA256",
            "3d02730993860a7bd1a4fd68855d017050b43712b1cdd85e14bd9b72d0fd7d99",
        ),
        ("HMAC-SHA1", "eed800137b372abfd845b5302ab1eced483d784a"),
        (
            "HMAC-SHA256",
            "ab59d1184252fbe936c348b9dcaa3893d3776ea0fd60905a27dfad389d5d2cbf",
        ),
        (
            "PBKDF2-HMAC-SHA1",
            "8e2ca10178d361dd24473b23498d922cedf0aadd",
        ),
    ];
    for (algorithm, signature) in proofs {
        let signature = hex(signature);
        let proof = ApiProof {
            salt: &salt,
            iterations: 10_000,
            key_bits: 160,
            ..ApiProof::new(types::HS_SECKEY, algorithm, client_nonce, &signature)
        };
        assert_eq!(
            proof.verify(&key, USER, server_nonce),
            Ok(()),
            "{algorithm}"
        );
        let other = proof.verify(&key, USER, &[0; 16]);
        assert_eq!(other, Err(ProofError::Wrong));
        let without_nonce = ApiProof {
            client_nonce: &[],
            ..proof
        };
        let refused = without_nonce.verify(&key, USER, server_nonce);
        assert_eq!(refused, Err(ProofError::Malformed));
    }
    let md5 = ApiProof::new(types::HS_SECKEY, "MD5", client_nonce, &[0; 16]);
    let refused = md5.verify(&key, USER, server_nonce);
    assert_eq!(refused, Err(ProofError::Digest));
}

#[test]
fn api_proofs_with_public_keys_and_own_ones() {
    let (server_nonce, client_nonce) = (&message()[..16], &message()[16..]);
    for (pem, hash, signature) in SIGNATURES {
        let key = ProofKey::Public(public(pem).encode().unwrap());
        let signature = hex(signature);
        let proof = ApiProof::new(types::HS_PUBKEY, hash.api(), client_nonce, &signature);
        assert_eq!(proof.verify(&key, USER, server_nonce), Ok(()));
        let swapped = proof.verify(&key, USER, client_nonce);
        assert_eq!(swapped, Err(ProofError::Wrong));
    }
    for (pem, public_pem) in PAIRS {
        let key = ProofKey::Public(public(public_pem).encode().unwrap());
        own_api_proof(&ClientKey::Private(private(pem)), &key, server_nonce);
    }
    let key = ProofKey::Secret(SECRET.to_vec());
    own_api_proof(&ClientKey::secret(SECRET), &key, server_nonce);
}

fn own_api_proof(own: &ClientKey, registered: &ProofKey, server_nonce: &[u8]) {
    let made = OwnApiProof::make(own, USER, server_nonce).unwrap();
    let (salt, iterations, key_bits) = made.derivation.unwrap_or_default();
    let proof = ApiProof {
        salt: &salt,
        iterations,
        key_bits,
        ..ApiProof::new(
            made.key_type,
            made.algorithm,
            &made.client_nonce,
            &made.signature,
        )
    };
    assert_eq!(proof.verify(registered, USER, server_nonce), Ok(()));
}

#[test]
fn digests_by_every_name() {
    for (name, hash) in [
        ("SHA-1", HashName::Sha1),
        ("SHA1", HashName::Sha1),
        ("SHA1withDSA", HashName::Sha1),
        ("sha-256", HashName::Sha256),
        ("SHA256withRSA", HashName::Sha256),
        ("SM3", HashName::Sm3),
        ("SM3withSM2", HashName::Sm3),
        ("Ed25519", HashName::Ed25519),
    ] {
        assert_eq!(HashName::parse(name), Some(hash));
        assert_eq!(HashName::parse(hash.native()), Some(hash));
        assert_eq!(HashName::parse(hash.api()), Some(hash));
    }
    for name in ["MD5", "", "SHA-512", "with"] {
        assert_eq!(HashName::parse(name), None);
    }
}

#[test]
fn fresh_salts_make_fresh_proofs() {
    let make = || make_response(SECRET, &message(), false).unwrap();
    assert_ne!(make(), make());
}
