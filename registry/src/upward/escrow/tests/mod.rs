//! Deposits of a registry.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod clock;
mod registry;
