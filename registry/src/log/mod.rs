//! The change log: every write, numbered without gaps. What follows a write (cache
//! invalidation, `Watch`, synchronisation, replicas) reads it from a cursor of its own.
//!
//! [`ChangeLog`] is what an engine must offer; [`local::LocalLog`] keeps log and state in one
//! RocksDB batch. [`contract::check`] is the test suite every engine must pass.

pub mod contract;
pub mod local;

use crate::change::LogEntry;
use crate::store::{Mutation, View};
use crate::{Error, Sequence};
use thiserror::Error as ThisError;

/// Why an append did not happen, or may not have.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum AppendError {
    /// Somebody else has appended: check again against the new state. Nothing was written.
    #[error("the log's head is {head}, not the expected one")]
    Conflict {
        /// The head now.
        head: Sequence,
    },
    /// The entries do not continue the log: their numbers are not `expected_head + 1` on.
    /// Nothing was written.
    #[error("entry {sequence} does not continue the log")]
    NotContiguous {
        /// The first number that does not fit.
        sequence: Sequence,
    },
    /// The engine failed. Whether the entries were written is unknown until it is opened again.
    #[error("the log failed: {0}")]
    Failed(String),
}

/// A durable, totally ordered log with the state it leads to.
///
/// All methods may block; none is called from an async task. One process appends at a time,
/// and an engine shared by several refuses the loser of a race with
/// [`AppendError::Conflict`].
pub trait ChangeLog: Send + Sync {
    /// Number of the last entry; 0 for an empty log.
    fn head(&self) -> Result<Sequence, Error>;

    /// Number of the oldest entry still kept; `head + 1` when none is.
    fn oldest(&self) -> Result<Sequence, Error>;

    /// Appends entries and applies the mutations of state they lead to, all or nothing, if
    /// the head is `expected_head`; durable on return. No entries: the mutations alone.
    ///
    /// The mutations are sorted by family and key. Where they replace an identifier's record
    /// that an earlier entry tells of, they also put that record into [`Family::Superseded`],
    /// so that an engine whose entries share the state's records can still read the entry, and
    /// what an entry replaced can be read as long as the entry. An engine that keeps whole
    /// entries may leave these rows out; then nobody learns what entries replaced.
    ///
    /// [`Family::Superseded`]: crate::layout::Family::Superseded
    fn append(
        &self,
        expected_head: Sequence,
        entries: &[LogEntry],
        mutations: Vec<Mutation>,
    ) -> Result<(), AppendError>;

    /// Entries from number `from` on, in order, without gaps; at most `max_entries`, and not
    /// more than about `max_bytes` of them encoded, but at least one if there is one.
    /// Errors: [`Error::Bound`] when `from` is no longer kept.
    fn read(
        &self,
        from: Sequence,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, Error>;

    /// Number of the last entry whose effects a view of the store shows; 0: of none.
    fn head_in(&self, view: &View<'_>) -> Result<Sequence, Error>;

    /// As [`ChangeLog::read`], of the entries a view of the store shows. Identifiers' records
    /// may be left out: who asks for a view has the state that the entries lead to.
    fn read_in(
        &self,
        view: &View<'_>,
        from: Sequence,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, Error>;

    /// Forgets the entries before number `before`, and the records that none but these
    /// replaced ([`Family::Superseded`]). The head stays, however much is forgotten.
    ///
    /// [`Family::Superseded`]: crate::layout::Family::Superseded
    fn trim(&self, before: Sequence) -> Result<(), Error>;
}
