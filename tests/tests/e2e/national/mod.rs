//! A node and the national node above it.

mod escrow;
mod faults;
mod kills;
mod openssl;
mod page;
mod provisioning;
mod reports;
pub(crate) mod world;
