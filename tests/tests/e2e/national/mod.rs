//! A node and the national node above it.

mod changes;
mod escrow;
mod faults;
mod identifiers;
mod kills;
mod openssl;
mod page;
mod provisioning;
mod reports;
mod routes;
mod scripted;
mod shared;
mod story;
pub(crate) mod streams;
mod takeover;
mod withdrawn;
pub(crate) mod world;
