//! Keys of sessions that both sides have a part in, or that the client makes.

use crate::handle::auth::agreement::{
    DiffieHellman, ExchangeKey, ExchangeKind, MAX_PRIME_BITS, MIN_PRIME_BITS,
};
use crate::handle::auth::{ProofError, PublicKey, SessionKey};

/// 2¹⁰²³ + 1,155 is odd and long enough; whether it is a prime makes no difference to the sums.
fn modulus() -> Vec<u8> {
    let mut modulus = vec![0; MIN_PRIME_BITS / 8];
    modulus[0] = 0x80;
    let end = modulus.len() - 2;
    modulus[end..].copy_from_slice(&1_155u16.to_be_bytes());
    modulus
}

#[test]
fn both_sides_agree_whatever_the_order_of_the_numbers() {
    let modulus = modulus();
    let client = DiffieHellman::new(&modulus, &[5]).unwrap();
    let public = client.public();
    assert_eq!(public.len(), modulus.len());
    let signed = [&[0][..], &modulus].concat();
    let mut keys = Vec::new();
    for numbers in [
        [&modulus[..], &[5], &public],
        [&public, &[5], &modulus],
        [&[5], &signed, &public],
        [&[0, 5], &public, &modulus],
    ] {
        let (server, of_client) = DiffieHellman::with(numbers).unwrap();
        assert_eq!(of_client, &public[..]);
        let key = server.key_with(of_client).unwrap();
        assert_eq!(client.key_with(&server.public()).unwrap(), key);
        assert!(matches!(key, SessionKey::Aes128(_)));
        assert!(!keys.contains(&key), "a secret of its own each time");
        keys.push(key);
    }
    assert_eq!(format!("{client:?}"), "DiffieHellman(1024 bits)");
}

#[test]
fn numbers_of_no_use_are_refused() {
    let modulus = modulus();
    let refused = |prime: &[u8], generator: &[u8]| {
        let made = DiffieHellman::new(prime, generator);
        assert!(matches!(made, Err(ProofError::Key(_))), "{made:?}");
    };
    let mut even = modulus.clone();
    *even.last_mut().unwrap() ^= 1;
    refused(&even, &[5]);
    refused(&modulus[1..], &[5]);
    refused(&vec![0xff; MAX_PRIME_BITS / 8 + 1], &[5]);
    refused(&[], &[]);
    // 0, 1, the prime less 1, the prime.
    for number in [&[][..], &[0, 0], &[1], &even, &modulus] {
        refused(&modulus, number);
        let own = DiffieHellman::new(&modulus, &[5]).unwrap();
        assert!(own.key_with(number).is_err());
    }
    assert!(DiffieHellman::with([&[], &[], &[]]).is_err());
    assert!(DiffieHellman::with([&modulus, &modulus, &modulus]).is_err());
}

#[test]
fn a_clients_key_opens_and_no_error_tells_of_rsa() {
    for kind in [ExchangeKind::Rsa, ExchangeKind::Sm2] {
        let server = ExchangeKey::make(kind).unwrap();
        let public = PublicKey::decode(server.public()).unwrap();
        let (key, sealed) = SessionKey::make_for(&public).unwrap();
        assert_eq!(server.open(&sealed).as_ref(), Ok(&key));
        let mut wrong = sealed.clone();
        *wrong.last_mut().unwrap() ^= 1;
        match kind {
            ExchangeKind::Rsa => {
                let (one, other) = (server.open(&wrong).unwrap(), server.open(&wrong).unwrap());
                assert!(one != key && one != other, "nobody knows it");
            }
            ExchangeKind::Sm2 => assert!(server.open(&wrong).is_err()),
        }
        assert!(server.open(&sealed[2..]).is_err());
        assert!(server.open(&[]).is_err());
    }
}
