//! Emergency takeover (应急接管): the national node registers in this node's place, and hands back.
//!
//! | module | holds |
//! |---|---|
//! | [`records`] | what the journal keeps of it |
//! | [`notice`] | which notice counts: pure |
//! | [`registration`] | what was registered meanwhile, as the wire has it |
//! | [`decide`] | what becomes of a registration that is merged: pure |
//! | `merge` | merges one registration, once whatever crashes |
//! | [`settle`] | settles a conflict |
//! | `talk` | the task that speaks with the national node |
//!
//! What is taken over is durable here before the national node learns that it is known, and is
//! loaded before a front opens. That nothing is registered in it is decided in one place, on the
//! write path: see [`crate::write::Held`].

pub mod decide;
mod merge;
pub mod notice;
pub mod records;
pub mod registration;
pub mod settle;
mod talk;
#[cfg(test)]
mod tests;

pub use records::{ConflictRow, Records, State};
pub use talk::run;

use super::Journal;
use crate::Result;
use crate::write::Held;

/// What is taken over by a journal.
///
/// # Errors
/// The store fails, or holds what can't be read: a node that does not know what is taken over does
/// not start.
pub(crate) fn held(journal: &Journal) -> Result<Option<Held>> {
    Records(journal.clone()).state()?.held()
}
