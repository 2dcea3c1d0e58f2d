//! Generated from `proto/idnode/v1/*.proto`; the shapes, units and errors are documented there.
//! `tests/generated_code.rs` regenerates it and fails on a difference.
#![allow(missing_docs, clippy::all, clippy::pedantic)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(rustdoc::all)]

include!("idnode.v1.rs");

/// The encoded `FileDescriptorSet` of the API, for the gRPC reflection service.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("descriptor.bin");
