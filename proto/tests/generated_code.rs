//! The committed generated code is what the `.proto` files give. To regenerate it:
//! `UPDATE_GENERATED=1 cargo test --release -p idnode-proto --test generated_code`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use prost::Message;
use std::path::{Path, PathBuf};

const PROTOS: [&str; 11] = [
    "common",
    "resolution",
    "registry",
    "sync",
    "dnssec",
    "escrow",
    "upward",
    "report",
    "takeover",
    "intake",
    "routes",
];

fn generate(out: &Path) {
    let root = PathBuf::from("proto");
    let files = PROTOS.map(|name| root.join(format!("idnode/v1/{name}.proto")));
    let descriptors = protox::compile(files, [&root]).expect("the .proto files compile");
    std::fs::write(out.join("descriptor.bin"), descriptors.encode_to_vec()).unwrap();
    tonic_prost_build::configure()
        .out_dir(out)
        .build_client(true)
        .build_server(true)
        .extern_path(".idnode.v1.ImportChunk", "crate::import::ImportChunk")
        .compile_fds(descriptors)
        .expect("code generation");
}

#[test]
fn generated_code_is_current() {
    let committed = PathBuf::from("src/gen");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        generate(&committed);
    }
    let fresh = tempfile::tempdir().unwrap();
    generate(fresh.path());
    for name in ["idnode.v1.rs", "descriptor.bin"] {
        let want = std::fs::read(fresh.path().join(name)).unwrap();
        let have = std::fs::read(committed.join(name)).unwrap_or_default();
        assert!(want == have, "{name} is stale: run with UPDATE_GENERATED=1");
    }
}
