//! What is true: enterprises, prefixes, templates, identifiers and credentials; the store they
//! live in, the one path that writes them, and the change log that everything else follows.
//!
//! | module | holds |
//! |---|---|
//! | [`registry`] | [`Registry`]: open, write, read |
//! | [`mod@write`] | the only way to change anything: commands, the writer thread, group commit |
//! | [`log`] | the [`log::ChangeLog`] trait, the embedded log, the contract every log must pass |
//! | [`change`] | what a log entry says |
//! | [`store`], [`layout`] | RocksDB: column families, keys, options, tiered and snapshot reads |
//! | [`record`] | an identifier's stored record |
//! | [`enterprise`], [`prefix`], [`template`], [`credential`] | the other objects and their rules |
//! | [`prefix_table`] | every prefix in memory, read on each resolution |
//! | [`name_table`] | every enterprise's names in memory, read by those who ask who has one |
//! | [`permission`] | who may read and write what |
//! | [`administrator`] | handle administrators: their keys and their rights |
//! | [`quota`] | how much an enterprise may register |
//! | [`private`] | files and directories that are their owner's alone |
//! | [`latency`] | how long things took, between two looks |
//! | [`read`] | listings, exports and statistics |
//! | [`upward`] | what the node owes the national node: the journal of what it told, and its tasks |
//! | [`error`] | what can go wrong, in the domain's words |

pub mod administrator;
mod background;
mod backup;
pub mod change;
pub mod credential;
pub mod enterprise;
pub mod error;
pub mod latency;
pub mod layout;
pub mod log;
pub mod name_table;
pub mod permission;
pub mod prefix;
pub mod prefix_table;
pub mod private;
pub mod quota;
pub mod read;
pub mod record;
pub mod registry;
pub mod store;
pub mod template;
#[cfg(test)]
mod tests;
pub mod upward;
mod valid;
pub mod write;

pub use error::{Error, Object, Result};
pub use permission::Caller;
pub use registry::{CommitObserver, HashedName, Options, Registry, Submission};

/// A place in the change log, from 1 up without gaps; also the version of what it wrote.
pub type Sequence = u64;

/// That a credential proves nothing, or nothing any more.
pub(crate) fn unknown_credential() -> Error {
    Error::Unauthenticated("the credential is not known, or revoked".into())
}

/// Milliseconds since the Unix epoch, now.
pub(crate) fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
