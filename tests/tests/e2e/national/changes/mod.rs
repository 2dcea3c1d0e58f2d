//! The stream of changes upward: both sides have the same in the end, whatever happens in between.

mod docking;
mod faults;
mod kills;
mod objects;
mod pace;
mod restored;
mod rules;
mod story;
pub(super) mod world;
