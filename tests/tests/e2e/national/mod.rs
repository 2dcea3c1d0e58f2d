//! A node and the national node above it.

mod page;
mod reports;
mod world;
