//! Public keys in their encodings, and private keys as a client reads them.
#![no_main]

use std::sync::LazyLock;

use idnode_proto::handle::auth::agreement::{ExchangeKey, ExchangeKind};
use idnode_proto::handle::auth::{HashName, PrivateKey, PublicKey, SessionKey};
use libfuzzer_sys::fuzz_target;

/// What clients encrypt the keys of sessions to.
static EXCHANGE: LazyLock<ExchangeKey> =
    LazyLock::new(|| ExchangeKey::make(ExchangeKind::Sm2).expect("a key"));

fuzz_target!(|bytes: &[u8]| {
    for key in [PublicKey::decode(bytes), PublicKey::from_spki(bytes)] {
        let Ok(key) = key else {
            continue;
        };
        let written = key.encode().expect("a key that was read is written");
        assert_eq!(PublicKey::decode(&written).expect("and read again"), key);
        for hash in [
            HashName::Sha1,
            HashName::Sha256,
            HashName::Sm3,
            HashName::Ed25519,
        ] {
            let _ = key.verify(hash, "0.NA/88.118.8", b"message", bytes);
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = PrivateKey::from_pem(text)
    {
        let _ = key.public_key();
        let _ = SessionKey::open(&key, bytes);
    }
    let _ = PrivateKey::from_pkcs8(bytes);
    assert!(EXCHANGE.open(bytes).is_err(), "nobody has encrypted it");
});
