//! Session keys, encrypted messages, credentials and replays.

use super::golden::{ID_SDK_RESOLVE, POINTER_SDK_RESOLVE};
use super::vectors::*;
use crate::handle::auth::credential::{AttachError, attach_mac, attach_signature};
use crate::handle::auth::session::SealError;
use crate::handle::auth::{Credential, HashName, ProofError, SessionKey, credential};
use crate::handle::*;

const KEY: [u8; 16] = [
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
];
const PLAIN: &[u8] = b"header, body, credential";

#[test]
fn session_keys_sealed_by_openssl_open() {
    let rsa = SessionKey::open(&private(RSA), &hex(RSA_SEALED));
    assert_eq!(rsa, Ok(SessionKey::Aes128(KEY)));
    let sm2 = SessionKey::open(&private(SM2), &hex(SM2_SEALED));
    assert_eq!(sm2, Ok(SessionKey::Sm4(KEY)));
    // Without the first octet of the point.
    let sm2 = SessionKey::open(&private(SM2), &hex(SM2_SEALED)[1..]);
    assert_eq!(sm2, Ok(SessionKey::Sm4(KEY)));
}

#[test]
fn made_session_keys_open_for_their_user_alone() {
    for (pem, public_pem) in [(RSA, RSA_PUBLIC), (SM2, SM2_PUBLIC)] {
        let (key, sealed) = SessionKey::make_for(&public(public_pem)).unwrap();
        assert_eq!(SessionKey::open(&private(pem), &sealed).as_ref(), Ok(&key));
        let (other, _) = SessionKey::make_for(&public(public_pem)).unwrap();
        assert_ne!(key, other);
        let mut changed = sealed.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        assert_ne!(SessionKey::open(&private(pem), &changed).as_ref(), Ok(&key));
        for length in 0..sealed.len().min(120) {
            assert!(SessionKey::open(&private(pem), &sealed[..length]).is_err());
        }
    }
    for (pem, public_pem) in [(DSA_1024, DSA_1024_PUBLIC), (ED25519, ED25519_PUBLIC)] {
        let refused = SessionKey::make_for(&public(public_pem)).unwrap_err();
        assert_eq!(refused, ProofError::Digest);
        assert!(SessionKey::open(&private(pem), &[0; 128]).is_err());
    }
}

#[test]
fn text_encrypted_by_openssl_decrypts() {
    let iv: Vec<u8> = (32..48).collect();
    let text = hex("4ccdc9c9ae4ccf2bea4803e799904abd05c497f13d977bf44ead0417776a4d72");
    let aes = SessionKey::Aes128(KEY);
    assert_eq!(aes.decrypt(&[&iv[..], &text].concat()).unwrap(), PLAIN);
    // SM4: the key is the IV, and none is sent.
    let sm4 = SessionKey::Sm4(KEY);
    let text = hex("f2f31daa6ff7af5ef3167b8274bf2642600d3f86b3107969d469ee5b66207ea7");
    assert_eq!(sm4.decrypt(&text).unwrap(), PLAIN);
    assert_eq!(sm4.encrypt(PLAIN).unwrap(), text);
    let fresh = || aes.encrypt(PLAIN).unwrap();
    assert_ne!(fresh(), fresh());
}

#[test]
fn a_message_is_encrypted_behind_its_envelope() {
    for key in [SessionKey::Aes128(KEY), SessionKey::Sm4(KEY)] {
        let sealed = key.encrypt_message(POINTER_SDK_RESOLVE).unwrap();
        let envelope = Envelope::decode(&sealed).unwrap();
        assert!(envelope.flags.encrypted());
        assert_eq!(sealed[2], 0x42);
        assert_eq!(envelope.message_len as usize, sealed.len() - 20);
        assert_eq!(sealed[..2], POINTER_SDK_RESOLVE[..2]);
        assert_eq!(sealed[3..16], POINTER_SDK_RESOLVE[3..16]);
        // Nobody but the holder of the key reads it.
        let refused = decode_request(&sealed, Transport::Tcp).unwrap_err();
        assert_eq!(refused.fault, RequestFault::Encrypted);
        assert_eq!(key.decrypt_message(&sealed).unwrap(), POINTER_SDK_RESOLVE);
        let mut changed = sealed.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        assert_ne!(
            key.decrypt_message(&changed).ok().as_deref(),
            Some(POINTER_SDK_RESOLVE)
        );
        for length in 0..sealed.len() {
            assert!(key.decrypt_message(&sealed[..length]).is_err());
        }
    }
    let long = [
        &[2, 10][..],
        &[0; 14],
        &262_120u32.to_be_bytes(),
        &vec![0; 262_120],
    ]
    .concat();
    let refused = SessionKey::Aes128(KEY).encrypt_message(&long);
    assert!(matches!(refused, Err(SealError::TooLong(_))));
}

#[test]
fn a_mac_holds_for_its_session_and_message() {
    let mut message = ID_SDK_RESOLVE.to_vec();
    attach_mac(&mut message, 77, &KEY).unwrap();
    let whole = Message::decode(&message).unwrap();
    assert_eq!(
        whole.signed,
        Message::decode(ID_SDK_RESOLVE).unwrap().signed
    );
    let mac = Credential::decode(whole.credential).unwrap();
    assert_eq!((mac.handle, mac.index), ("", 77));
    assert_eq!(
        (mac.credential_type, mac.algorithm),
        ("HS_MAC", "HMAC-SHA256")
    );
    assert_eq!(mac.encode(), whole.credential);
    assert_eq!(mac.verify_mac(77, &KEY, whole.signed), Ok(()));
    assert_eq!(
        mac.verify_mac(78, &KEY, whole.signed),
        Err(ProofError::OtherKind)
    );
    assert_eq!(
        mac.verify_mac(77, &[0; 16], whole.signed),
        Err(ProofError::Wrong)
    );
    assert_eq!(
        mac.verify_mac(77, &KEY, &whole.signed[1..]),
        Err(ProofError::Wrong)
    );
    let session = Credential { index: 0, ..mac };
    assert!(session.verify_mac(0, &KEY, whole.signed).is_err());
    // A second one does not go on top.
    let before = message.clone();
    let refused = attach_mac(&mut message, 77, &KEY);
    assert_eq!(refused, Err(AttachError::Message));
    assert_eq!(message, before);
}

/// SHA-1 over key, header, body, key (RFC 3652 §2.2.4).
#[test]
fn the_mac_of_the_rfc() {
    use sha1::{Digest, Sha1};
    let signed = Message::decode(ID_SDK_RESOLVE).unwrap().signed;
    let digest = Sha1::digest([&KEY[..], signed, &KEY].concat());
    let mac = Credential {
        options: 0,
        handle: "",
        index: 5,
        credential_type: "HS_MAC",
        algorithm: "SHA-1",
        signature: &digest,
    };
    assert_eq!(mac.verify_mac(5, &KEY, signed), Ok(()));
    let other = Credential {
        algorithm: "MD5",
        ..mac
    };
    assert_eq!(other.verify_mac(5, &KEY, signed), Err(ProofError::Digest));
}

#[test]
fn a_signed_answer_holds_for_the_key_of_the_site() {
    for (pem, public_pem) in PAIRS {
        let (key, hash) = (private(pem), private(pem).hash_for(false));
        let mut message = ID_SDK_RESOLVE.to_vec();
        attach_signature(&mut message, &key, hash, "0.SITE/a", 1).unwrap();
        let whole = Message::decode(&message).unwrap();
        let signature = Credential::decode(whole.credential).unwrap();
        assert_eq!((signature.handle, signature.index), ("0.SITE/a", 1));
        let verify = |signed: &[u8]| signature.verify_signature(&public(public_pem), signed);
        assert_eq!(verify(whole.signed), Ok(()));
        assert_eq!(verify(&whole.signed[1..]), Err(ProofError::Wrong));
    }
    let mut message = ID_SDK_RESOLVE.to_vec();
    let refused = attach_signature(&mut message, &private(RSA), HashName::Sm3, "", 0);
    assert_eq!(refused, Err(AttachError::Proof(ProofError::Digest)));
    assert_eq!(message, ID_SDK_RESOLVE);
    let none = credential::Credential::decode(&[9, 0, 0, 0]).unwrap_err();
    assert_eq!(none.part(), "credential version");
}

/// What OpenSSL signs of the answer to a resolution of 88.118.8/A with CERT, its flag among it.
const SIGNED_BY_OPENSSL: &str = "\
    a02a1b25f93ba9e2e6a41ccc9f31b619a9f89a46b241fdb5264e78c3b9a015accfc12f5f49c65be6a21809558f46\
    de16fa16f0f49991b644c60c06df07943c66024ab2c757bccec127eda529d22390334d7886253243078726422014\
    c7262dbf4de2cb2626c9662900fa8b813dd570027f246e79d780722b9f8d60ae90b32674495998583c244746da01\
    d160984b744f4b2af26b09cc891f2f4b875767ff2d8d45cb16fe200f73237671a3bb06ac9eef47b0d39e692c2ed6\
    61b044db38944e246b0041b5dce32c6dfc5ed7b19c37a0a0b2ea61b7e4e7a94b4d4d7bed3937b37b719faaf5692c\
    5f1196486483bdfe6e96b46a47c9de385b71eb5b119a003dc4d8";

#[test]
fn a_signed_answer_to_the_byte() {
    let contents: &[u8] = &[
        0, 0, 0, 1, 0, 0, 0, 1, 0x51, 0, 0, 0, 0, 3, 0, 0, 0x60, 0, 0, 0, 0, 0, 0,
        48, // header
        0, 0, 0, 10, b'8', b'8', b'.', b'1', b'1', b'8', b'.', b'8', b'/', b'A', // handle
        0, 0, 0, 1, // one value
        0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0x51, 0x80, 0x0e, // index, timestamp, TTL, 1110
        0, 0, 0, 3, b'U', b'R', b'L', 0, 0, 0, 1, b'x', 0, 0, 0, 0, // type, data, references
    ];
    let envelope = |length: [u8; 2]| {
        let start = [2, 11, 2, 11, 0, 0, 0, 0, 0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, 0];
        [&start[..], &[0, 0], &length].concat()
    };
    let mut message = [&envelope([0, 76])[..], contents, &[0; 4]].concat();
    let signer = "0.NA/88.118.8";
    attach_signature(&mut message, &private(RSA), HashName::Sha256, signer, 300).unwrap();
    let expected = [
        &envelope([1, 133])[..],
        contents,
        &[0, 0, 1, 57], // the credential's length
        &[0, 0, 0, 0],  // version, reserved, options
        &[0, 0, 0, 13], // the handle with the key
        signer.as_bytes(),
        &[0, 0, 1, 44], // its index
        &[0, 0, 0, 9],  // the type of the credential
        b"HS_SIGNED",
        &[0, 0, 1, 15], // the length of what follows
        &[0, 0, 0, 7],  // the digest
        b"SHA-256",
        &[0, 0, 1, 0], // the signature
        &hex(SIGNED_BY_OPENSSL),
    ];
    assert_eq!(message, expected.concat());
}
