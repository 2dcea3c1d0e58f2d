//! Answers to challenges by those who hold no key, and messages encrypted with no session's key.
#![no_main]

use std::sync::LazyLock;

use idnode_proto::handle::auth::proof::verify_response;
use idnode_proto::handle::auth::{ProofKey, PublicKey, SessionKey};
use idnode_proto::handle::body::challenge::Challenge;
use idnode_proto::handle::{RequestDigest, Transport, decode_request};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<Vec<ProofKey>> = LazyLock::new(|| {
    let pems = [
        include_str!("../../../proto/src/handle/tests/keys/rsa.pub.pem"),
        include_str!("../../../proto/src/handle/tests/keys/dsa1024.pub.pem"),
        include_str!("../../../proto/src/handle/tests/keys/ed25519.pub.pem"),
        include_str!("../../../proto/src/handle/tests/keys/sm2.pub.pem"),
    ];
    let public = pems.iter().map(|pem| {
        let key = PublicKey::from_pem(pem).expect("a key of the tests");
        ProofKey::Public(key.encode().expect("that is written"))
    });
    public
        .chain([ProofKey::Secret(b"a secret that nobody guesses".to_vec())])
        .collect()
});

fuzz_target!(|input: &[u8]| {
    let Some((choice, response)) = input.split_first() else {
        return;
    };
    let challenge = Challenge {
        digest: RequestDigest::Sha256([0xd1; 32]),
        // Not the nonce that the seeds were made for.
        nonce: (1..17).collect(),
    };
    let key = &KEYS[usize::from(*choice) % KEYS.len()];
    let held = verify_response(key, &challenge, "0.NA/88.118.8", response);
    let error = held.expect_err("no proof without the key");
    assert!(error.code().known_to_clients());
    for key in [SessionKey::Aes128([1; 16]), SessionKey::Sm4([1; 16])] {
        if let Ok(plain) = key.decrypt_message(response) {
            assert!(plain.len() <= response.len());
            let _ = decode_request(&plain, Transport::Tcp);
        }
    }
});
