//! `idnode demo`: a real industrial data set, loaded through the same write path as any other.

mod catalogue;
pub mod dataset;
pub mod examples;
mod ieee;
mod load;

pub use load::{DemoError, Loaded, load};
