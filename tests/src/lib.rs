//! What the end-to-end tests stand on: the real `idnode` and `idctl` binaries started as
//! processes on free ports, and a thin layer over the generated gRPC clients.
//!
//! Everything here panics when it fails: it runs in tests only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod api;
pub mod dns;
pub mod node;
pub mod run;
pub mod secondary;
