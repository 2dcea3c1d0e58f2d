#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod frames;
mod golden;
mod refused;
mod round_trip;
mod sessions;
