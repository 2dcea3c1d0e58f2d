//! Escrow: deposits over SFTP, their verification, a registry from them.

mod kills;
mod refusals;
mod servers;
mod story;
mod world;
