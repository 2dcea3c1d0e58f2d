//! Escrow: deposits over SFTP, their verification, a registry from them.

mod altered;
mod faults;
mod kills;
mod nested;
mod refusals;
mod servers;
mod story;
pub(super) mod world;
