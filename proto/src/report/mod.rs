//! What a secondary node reports at fixed times: the documents of `report.proto`, the periods they
//! are for, their keys, and what both sides hold them to.
//!
//! | module | holds |
//! |---|---|
//! | [`period`] | hours, days and months of Beijing time; working days |
//! | [`key`] | what a report is known by |
//! | [`mod@check`] | what a report must fulfil, with the field and the reason if it does not |

pub mod check;
pub mod key;
pub mod period;
#[cfg(test)]
mod tests;

pub use check::{Flaw, check};
pub use key::{Kind, ReportKey};
pub use period::{Period, Unit};

use prost_types::Timestamp;

/// A moment in milliseconds since the Unix epoch as a message has it.
#[must_use]
pub fn timestamp(ms: u64) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(ms / 1_000).unwrap_or(i64::MAX),
        nanos: (ms % 1_000) as i32 * 1_000_000,
    }
}

/// The same backwards; `None`: before 1970, or not within a second.
#[must_use]
pub fn millis(at: &Timestamp) -> Option<u64> {
    let nanos = u64::try_from(at.nanos)
        .ok()
        .filter(|it| *it < 1_000_000_000)?;
    let seconds = u64::try_from(at.seconds).ok()?;
    seconds.checked_mul(1_000)?.checked_add(nanos / 1_000_000)
}
