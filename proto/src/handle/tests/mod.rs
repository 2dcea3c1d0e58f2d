#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod admin;
mod golden;
mod malformed;
mod refused;
mod round_trip;
mod stream;
