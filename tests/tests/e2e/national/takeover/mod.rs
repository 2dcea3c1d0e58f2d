//! Probes, emergency takeover, hand-back.

mod conflicts;
mod faults;
mod kills;
mod story;
mod world;
