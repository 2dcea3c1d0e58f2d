//! Reports upward: what was asked is what is reported, once, whatever happens meanwhile.

mod clock;
mod counts;
mod enterprises;
mod faults;
mod intake;
mod kills;
mod outage;
mod stuck;
pub(super) mod world;
