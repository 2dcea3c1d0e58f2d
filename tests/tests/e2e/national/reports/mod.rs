//! Reports upward: what was asked is what is reported, once, whatever happens meanwhile.

mod counts;
mod faults;
mod intake;
mod kills;
mod outage;
mod world;
