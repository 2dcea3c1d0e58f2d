//! The front over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod clients;
mod connections;
mod datagrams;
pub(super) mod harness;
mod resolution;
