//! Containers, manifests and compressed documents of escrow deposits.
#![no_main]

use std::io::Read as _;
use std::sync::LazyLock;

use idnode_proto::escrow::compress::{Compression, Decompressor};
use idnode_proto::escrow::manifest::Manifest;
use idnode_proto::escrow::seal::Opener;
use idnode_proto::trust::key::{Algorithm, generate_pem};
use idnode_proto::trust::{PrivateKey, TrustKey};
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::from_pem(&generate_pem(Algorithm::Sm2256).unwrap()).unwrap());

/// Most bytes taken of what grows.
const MOST: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    // Nobody knows the key: nothing opens.
    assert!(Opener::new(data, &KEY).is_err());
    assert!(Manifest::verify(data, &TrustKey::of(&KEY).unwrap()).is_err());
    if let Ok(manifest) = Manifest::unverified(data) {
        let signed = manifest.sign(&KEY).unwrap();
        let again = Manifest::verify(signed.as_bytes(), &TrustKey::of(&KEY).unwrap()).unwrap();
        assert_eq!(again, manifest);
    }
    for compression in [Compression::Zip, Compression::Zstd] {
        if let Ok(source) = Decompressor::new(compression, data) {
            let _ = source.take(MOST).read_to_end(&mut Vec::new());
        }
    }
});
