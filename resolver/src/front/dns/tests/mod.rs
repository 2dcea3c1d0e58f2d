//! Real questions to a real node over sockets: by raw messages, and by `dig` and `kdig`, whose
//! reading of DNS is not ours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod answers;
mod delegation;
mod differential;
pub(super) mod harness;
mod names;
mod protocol;
mod tools;
mod transfer;
