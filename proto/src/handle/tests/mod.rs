#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod admin;
mod agreement;
mod bodies;
mod exchanges;
mod golden;
mod malformed;
mod malformed_bodies;
mod mirrors;
mod proofs;
mod refused;
mod round_trip;
mod sessions;
mod stream;
mod vectors;
