//! What the node owes those above it, and what it has told them.
//!
//! | module | holds |
//! |---|---|
//! | [`channel`] | connections to the national node's gRPC services |
//! | [`journal`] | the [`Journal`]: everything that was told, durable before it is sent |
//! | [`epp`] | provisioning: enterprises and their prefixes, reviewed at the national node |
//! | [`escrow`] | daily deposits of every prefix, and a registry from them |
//! | [`report`] | reports at fixed times, fault and recovery events |
//! | [`routes`] | what the node tells of itself, and where its siblings are |
//! | [`stream`] | what the streams have in common: connections, waits |
//! | [`sync`] | the stream of changes |
//! | [`takeover`] | emergency takeover by the national node, and hand-back |
//! | [`status`] | how each channel upward stands, for people and metrics |
//!
//! What is decided (state machines, schedules, what is owed) takes the time as a parameter; only
//! the tasks that send look at a clock. The uplink never blocks the node: no write and no
//! resolution waits for it, and without it there is a backlog on disk, nothing more.

pub mod channel;
pub mod epp;
pub mod escrow;
pub mod journal;
pub mod report;
pub mod routes;
pub mod status;
pub mod stream;
pub mod sync;
pub mod takeover;

pub use journal::{Entry, Journal, Topic};
pub use status::{Channel, ChannelStatus, LinkState, Uplink};
