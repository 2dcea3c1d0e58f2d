//! Escrow: deposits over SFTP, their verification, a registry from them.

mod faults;
mod kills;
mod refusals;
mod servers;
mod story;
mod world;
