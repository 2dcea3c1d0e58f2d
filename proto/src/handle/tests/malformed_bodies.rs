//! Bodies, keys, proofs and credentials that hostile peers send: an error, or what reads the same
//! again, never a panic or an allocation beyond the input.

use super::vectors::*;
use crate::handle::auth::{
    ClientKey, Credential, ProofKey, PublicKey, SessionKey, proof::verify_response,
};
use crate::handle::body::challenge::{Challenge, VerifyRequest};
use crate::handle::body::change::ValuesRequest;
use crate::handle::body::list::{HandleList, decode_handle_list};
use crate::handle::body::session::{KeyAgreement, KeyExchange, SessionSetup};
use crate::handle::testing::{Mutator, rounds};
use crate::handle::*;
use crate::value::{Value, types};

fn challenge() -> Challenge {
    Challenge {
        digest: RequestDigest::Sha256([0xd1; 32]),
        nonce: (0..16).collect(),
    }
}

/// A request of every operation with a body.
fn requests() -> Vec<Vec<u8>> {
    let head = RequestHead::new(1);
    let user: AdminId = "301:0.NA/88.118.8".parse().unwrap();
    let values = [
        Value::new(1, types::URL, "https://a.example"),
        Value::new(2, types::EMAIL, "a@example"),
    ];
    let mut setup = SessionSetup {
        identity: "0.NA/88.118.8",
        identity_index: 301,
        agreement: KeyAgreement::None,
        timeout_s: Some(60),
    };
    let mut all = vec![
        head.create("88.118.8/a", &values),
        head.add_values("88.118.8/a", &values),
        head.modify_values("88.118.8/a", &values),
        head.remove_values("88.118.8/a", &[1, 2, 3]),
        head.delete("88.118.8/a"),
        head.list_handles("0.NA/88.118.8"),
        head.log_in(&user),
        head.log_in_with_password("factory", "pass"),
        head.answer_challenge(&ClientKey::secret("x"), &user, &challenge())
            .unwrap(),
        head.verify_answer(&VerifyRequest {
            handle: "0.NA/88.118.8",
            index: 300,
            challenge: challenge(),
            response: &[2; 21],
        }),
        head.set_up_session(&setup),
        head.exchange_key(&KeyExchange {
            encrypted_key: &[1; 128],
            algorithm: Some("AES"),
        }),
    ];
    for agreement in [
        KeyAgreement::ClientKey(&[7; 40]),
        KeyAgreement::ServerKey,
        KeyAgreement::HandleKey {
            handle: "0.NA/88.118.8",
            index: 301,
        },
        KeyAgreement::DiffieHellman([&[1; 16], &[5], &[2; 16]]),
    ] {
        setup.agreement = agreement;
        all.push(head.set_up_session(&setup));
    }
    all.into_iter().map(Result::unwrap).collect()
}

/// What an operation holds reads the same again.
fn again(operation: &Operation<'_>, length: usize) {
    let body = match operation {
        Operation::Create(read) | Operation::AddValues(read) | Operation::ModifyValues(read) => {
            let values: Vec<Value> = read.values().map(|value| value.to_owned()).collect();
            assert_eq!(values.len(), read.len());
            let body = ValuesRequest::encode(read.handle, &values);
            assert_eq!(ValuesRequest::decode(&body).as_ref(), Ok(read));
            body
        }
        Operation::RemoveValues(read) => {
            assert!(read.indexes.capacity() * 4 <= length);
            body::change::RemoveRequest::encode(read.handle, &read.indexes)
        }
        Operation::AnswerChallenge(read) => read.encode(),
        Operation::VerifyAnswer(read) => read.encode(),
        Operation::LogIn(read) => read.encode(),
        Operation::ExchangeKey(read) => read.encode(),
        _ => return,
    };
    assert!(body.len() <= length);
}

#[test]
fn operations_fail_or_read_the_same_again() {
    let seeds = requests();
    for seed in &seeds {
        let read = decode_request(seed, Transport::Tcp).unwrap();
        assert!(!matches!(
            read.operation().unwrap(),
            Operation::Unspecified(_)
        ));
    }
    let mut mutator = Mutator::new(11);
    let mut accepted = 0u32;
    for _ in 0..rounds() {
        let bytes = mutator.mutate(&seeds);
        let Ok(request) = decode_request(bytes, Transport::Tcp) else {
            continue;
        };
        match request.operation() {
            Ok(operation) => {
                again(&operation, bytes.len());
                accepted += 1;
            }
            Err(fault) => assert!(fault.code().known_to_clients()),
        }
    }
    assert!(accepted > rounds() / 100, "{accepted}");
}

#[test]
fn lists_challenges_and_credentials_fail_or_stay_within_the_limits() {
    let mut list = HandleList::new();
    assert!(list.push("88.118.8/a") && list.push("88.118.8/b"));
    let (mut listed, mut challenged) = (Vec::new(), Vec::new());
    list.encode(&mut listed);
    challenge().encode(&mut challenged);
    let credential = Credential {
        options: 0,
        handle: "",
        index: 7,
        credential_type: "HS_MAC",
        algorithm: "HMAC-SHA256",
        signature: &[3; 32],
    };
    let seeds = [listed, challenged, credential.encode()];
    let mut mutator = Mutator::new(12);
    let mut accepted = [0u32; 3];
    for _ in 0..rounds() {
        let bytes = mutator.mutate(&seeds);
        if let Ok(handles) = decode_handle_list(bytes) {
            assert!(handles.capacity() * 4 <= bytes.len());
            accepted[0] += 1;
        }
        if let Ok(challenge) = Challenge::decode(bytes) {
            let mut again = Vec::new();
            challenge.encode(&mut again);
            assert_eq!(again, bytes[..again.len()]);
            accepted[1] += 1;
        }
        if let Ok(credential) = Credential::decode(bytes) {
            assert_eq!(Credential::decode(&credential.encode()), Ok(credential));
            let _ = credential.verify_mac(7, &[1; 16], bytes);
            accepted[2] += 1;
        }
    }
    assert!(
        accepted.iter().all(|count| *count > rounds() / 100),
        "{accepted:?}"
    );
}

#[test]
fn keys_fail_or_read_the_same_again() {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for (_, pem) in PAIRS {
        seeds.push(public(pem).encode().unwrap());
        seeds.push(public(pem).to_spki().unwrap());
        seeds.push(pem.as_bytes().to_vec());
    }
    let mut mutator = Mutator::new(13);
    let mut accepted = 0u32;
    for _ in 0..rounds() / 100 {
        let bytes = mutator.mutate(&seeds);
        let Ok(key) = PublicKey::decode(bytes).or_else(|_| PublicKey::from_spki(bytes)) else {
            continue;
        };
        assert_eq!(PublicKey::decode(&key.encode().unwrap()), Ok(key));
        accepted += 1;
    }
    assert!(accepted > rounds() / 10_000, "{accepted}");
}

#[test]
fn proofs_that_are_none_never_hold() {
    let user: AdminId = "301:0.NA/88.118.8".parse().unwrap();
    let mut keys = vec![(ClientKey::secret("x"), ProofKey::Secret(b"y".to_vec()))];
    for (pem, public_pem) in PAIRS {
        let data = public(public_pem).encode().unwrap();
        keys.push((ClientKey::Private(private(pem)), ProofKey::Public(data)));
    }
    let mut other = challenge();
    other.nonce[3] ^= 0x40;
    let mut mutator = Mutator::new(14);
    for (own, registered) in &keys {
        let body = own.answer(&user, &challenge()).unwrap();
        let answer = body::challenge::ChallengeAnswer::decode(&body).unwrap();
        let seeds = [answer.response.to_vec()];
        for _ in 0..rounds() / 2000 {
            let response = mutator.mutate(&seeds);
            let held = verify_response(registered, &other, "0.NA/88.118.8", response);
            assert!(held.unwrap_err().code().known_to_clients());
        }
    }
}

#[test]
fn encrypted_messages_that_are_none_fail() {
    let message = RequestHead::new(1).site_info().unwrap();
    for key in [SessionKey::Aes128([1; 16]), SessionKey::Sm4([1; 16])] {
        let seeds = [key.encrypt_message(&message).unwrap()];
        let mut mutator = Mutator::new(15);
        for _ in 0..rounds() / 50 {
            let bytes = mutator.mutate(&seeds);
            if let Ok(plain) = key.decrypt_message(bytes) {
                assert!(plain.len() <= bytes.len());
                let _ = decode_request(&plain, Transport::Tcp);
            }
        }
    }
}
