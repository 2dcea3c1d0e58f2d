//! Keys made for these tests alone, and what OpenSSL made with them: an implementation of its own
//! agrees with this one.

use data_encoding::HEXLOWER;

use crate::handle::auth::{PrivateKey, PublicKey};

pub(crate) const RSA: &str = include_str!("keys/rsa.pem");
pub(crate) const RSA_PKCS1: &str = include_str!("keys/rsa_pkcs1.pem");
pub(crate) const RSA_PUBLIC: &str = include_str!("keys/rsa.pub.pem");
pub(crate) const DSA_1024: &str = include_str!("keys/dsa1024.pem");
pub(crate) const DSA_1024_PUBLIC: &str = include_str!("keys/dsa1024.pub.pem");
pub(crate) const DSA_2048: &str = include_str!("keys/dsa2048.pem");
pub(crate) const DSA_2048_PUBLIC: &str = include_str!("keys/dsa2048.pub.pem");
pub(crate) const ED25519: &str = include_str!("keys/ed25519.pem");
pub(crate) const ED25519_PUBLIC: &str = include_str!("keys/ed25519.pub.pem");
pub(crate) const SM2: &str = include_str!("keys/sm2.pem");
pub(crate) const SM2_SEC1: &str = include_str!("keys/sm2_sec1.pem");
pub(crate) const SM2_PUBLIC: &str = include_str!("keys/sm2.pub.pem");

/// Every private key and its public key.
pub(crate) const PAIRS: [(&str, &str); 5] = [
    (RSA, RSA_PUBLIC),
    (DSA_1024, DSA_1024_PUBLIC),
    (DSA_2048, DSA_2048_PUBLIC),
    (ED25519, ED25519_PUBLIC),
    (SM2, SM2_PUBLIC),
];

/// The user whose id SM2's signature digests.
pub(crate) const USER: &str = "0.NA/88.118.8";

/// What is signed: a nonce of 0 to 15 and a request digest of 0xd1.
pub(crate) fn message() -> Vec<u8> {
    (0..16).chain([0xd1; 32]).collect()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

pub(crate) fn private(pem: &str) -> PrivateKey {
    PrivateKey::from_pem(pem).unwrap()
}

pub(crate) fn public(pem: &str) -> PublicKey {
    PublicKey::from_pem(pem).unwrap()
}

/// RSA's signature with SHA-256.
pub(crate) const RSA_SHA256: &str = "\
    6938bb7f6d668d7d2d271d2af5697efdbd44892a263cc8b2bbe4948eca3fb2524314f5530164e5817ae2dc335991\
    db78219c12dfbebc8beb621f0cef3e58f29075b612dc6a6c276214146e0bd1a5753b824b37b23292e5748ffb18dc\
    abba47006a026b34fb40a06307ee6c4d537bd9c20b63f49954f777be5ee7f9dcad2b37b79c2e8dc2b0ba1a3f0153\
    cb915b5fb020716029863d79361eb329552ab6784827e72d62f0af3f9920bd843312a7cfd08df2f785e37d4875a7\
    c087f25cae436d709328bdebca7844b35677de0a126c261046555361572c8915e01dcbfe4e361d67fd6bafa48ee6\
    c8628cc8581c96a4173c98e8503cbd0fe1b78868a7b323de9c3a";
/// RSA's signature with SHA-1.
pub(crate) const RSA_SHA1: &str = "\
    3f73137562d763549d14ae20f731a11d5a6f682a07b68dd1a397adc5438fa64ff9527ea01a19d8236977cf299553\
    7981f0cd4b21be0a7846791d847385cfc555790a9f013878ca0aca128ed85b07af55452ff1f719f8fd7662cac8fe\
    aaabc85c8dbae22219c12571fe0af1fb757443328af120df1aa74f01a361753003bfbe99ad96e76872be7ebe2c7c\
    4623d589e1d3e32a916e27b2cd909fcc77b2e0662cac621bcfa9d2413ac0ce16d70a4ac71c63b61606f30469d70b\
    7f50e98338cd849db7470a4e9da2a28984cbb197c615f27d52d5ed75022712224de9061fcfd0900ead59a54046fb\
    71b4d100d5b2a94333ac5cacdca47554ad7334a6c504c7c84b33";
/// The short DSA key's signature with SHA-1.
pub(crate) const DSA_1024_SHA1: &str = "\
    302d02140e36a502c69d5ca41f0354dabfcb4811326b22e0021500b29c93b59322f68d0b0718ce6bc3f99b73d95f\
    df";
/// The same with SHA-256, of which q takes the first 160 bits.
pub(crate) const DSA_1024_SHA256: &str = "\
    302c021418fe0fa1816d16dfe83c67e745081611cdb5bb0a021464127e2a72ee32de63376d07ecc3df07addf43a8";
/// The long DSA key's signature with SHA-1.
pub(crate) const DSA_2048_SHA1: &str = "\
    304602210080dddf0fa9add507e23239f6168e160b8009cf5b2a6809f8b0b7a333ff00082c022100c53810237782\
    443f1eb2fa34eda04fcfc35142a86dbec318cfc3cccf2c32b7d6";
/// The same with SHA-256.
pub(crate) const DSA_2048_SHA256: &str = "\
    3045022100c5795f122af5ce4672df3621ce6fdb200146915fe811b111017a382585cc6398022019aaf340453b07\
    3f389cacdeea4a8895772c81b679dffa5c3c5a052b71d08aac";
/// Ed25519's signature.
pub(crate) const ED25519_SIGNATURE: &str = "\
    1183ec4a833ed9f89d419e7868fe21112b925fab0f782d15ab5a389555df6c85c98c0e45cdd7ad6c499f71677a00\
    970529cedd6538dc3c799a7afe8afd926905";
/// SM2's signature with the user's id over SM3 of the message.
pub(crate) const SM2_SM3: &str = "\
    3046022100a260cdd6293853266fbb83129776facadc1f17dafefa6e2c41a16940c8bb2385022100fd56298a6942\
    0f9f8dfa6a0958608acb04e9a665064168c6b2fecbaacf93ee10";
/// Number 3 and the key 0x10 to 0x1f, encrypted to the RSA key.
pub(crate) const RSA_SEALED: &str = "\
    4bf1332540f49a8d0e3e7daea37ce6f4f4d9c586f8214911ccc8ed5fe928956218b23e423b4fb346c05ca9fbf037\
    a3fd5589754b0fd65e1cbd806da2a180d2f91f97611e9bd56b40b945948d7f969a83f815fc35b3021c0efe60da09\
    cda5f132ef74543c64b89104807d2457a32a3bee9bd9568c3e76f6627ac560d79d991d519942af2431a8fd4029a8\
    b9d059bb008c6b39f8530e686fba7c71cea8e1ea9575bf00df761cec7638038ebfe24cb6fb6aac655fb47bee407e\
    4bed6d191e5752fd26cf4bfd46193802d15c7a23126b4ede419a42315ba54f7ce5e951eba6a2da47e3e4843fcef4\
    5935484d556ccfc3d2e9e4c1640e1417cdb13807d9c0342b408a";
/// Number 4 and the same key, encrypted to the SM2 key: C1 ‖ C3 ‖ C2.
pub(crate) const SM2_SEALED: &str = "\
    04b34c154ba6d41e0e432cddb022881bd1a80e29cbec80a01349bd4c4e42aa3b72562f78a39e57841d0ff15c6708\
    650ad2a184f97bbe57e5227336c1ecd643ef60d8822e10b60965034f5aa72f009e746441e8f10955fd6447823ad4\
    a23a0db35c46a2fd2d17f16ed72a83127cd3db99201248f35c";
