//! A node and the national node above it.

mod faults;
mod kills;
mod openssl;
mod page;
mod provisioning;
mod world;
