//! End-to-end tests: the real binaries, asked by real clients.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod abuse;
mod access;
mod administration;
mod ask;
mod bulk;
mod conformance;
mod crash;
mod demo;
mod dns_transports;
mod dnssec;
mod fronts;
mod handle_http;
mod handle_transports;
mod indirection;
mod malformed;
mod national;
mod one_prefix;
mod operators;
mod province;
mod records;
mod recursion;
mod registration;
mod registrations;
mod secondaries;
mod trust;
mod zones;
