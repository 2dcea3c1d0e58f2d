//! The registry's rules, through what it offers to the rest of the node: commands in, reads and
//! log entries out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod administrators;
mod altered_log;
mod endorsing;
mod failing_log;
mod idempotency;
mod lifecycle;
mod listing;
mod log;
mod mirrors;
mod model;
mod nesting;
mod provisioning;
mod quotas;
mod records;
mod registrations;
pub(crate) mod support;
mod templates;
mod versions;
