//! `idctl` as a process, against a stand-in node: what it sends, prints, writes and exits with.
//!
//! The stand-in keeps identifiers in memory and follows the comments of the `.proto` files; the
//! real node is put behind the same commands by the end-to-end tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod answers;
mod formats;
mod handle_front;
mod import;
mod node;
mod run;
mod throughput;
