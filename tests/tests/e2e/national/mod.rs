//! A node and the national node above it.

mod escrow;
mod page;
pub(crate) mod world;
