//! Which prefix is due for what: a function of its entries in the deposit log and of the time.
//!
//! An escrow day begins at the configured time of day in Beijing (UTC+8) and has one deposit of
//! each prefix. What happens to the clock:
//!
//! - it goes back, across a day's beginning too: the day before has its deposit, or the last one
//!   was begun "later today", and nothing is due;
//! - it leaps ahead: the day it comes to gets its deposit. Days in between have none: a deposit
//!   tells how things are, and nobody knows how they would have been;
//! - it comes back from a leap: entries that were begun at times that are still to come count no
//!   longer as soon as one after them shows it, so that the real day gets its deposit when it comes.
//!
//! Deposits follow each other by their numbers, whatever the clock says.

use super::entry::{Deposit, Status};
use idnode_proto::calendar::BEIJING_MS;

const DAY_MS: u64 = 86_400_000;
/// A last entry begun no further ahead than this shows a clock that was set back, not one that
/// had leapt.
const SET_BACK_MS: u64 = 6 * 3_600_000;
/// The last place of a day: two digits to base 36 in an id.
const MAX_ORDER: u32 = 36 * 36 - 1;
/// The wait after the first failure and the longest one, milliseconds.
pub const BACKOFF_MS: (u64, u64) = (1_000, 3_600_000);

/// When what is deposited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Minutes from midnight in Beijing at which a day of escrow begins.
    pub begins_at_min: u32,
    /// Every which deposit is FULL.
    pub full_every: u32,
}

/// How a prefix stands beside its own deposits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// It is registered.
    pub registered: bool,
    /// Somebody asks for a deposit now, FULL if true.
    pub asked: Option<bool>,
    /// What it owned has gone to a longer prefix, or come from one, whose deposit tells so: its own
    /// is not to wait for another day, since together they would tell of no registry.
    pub moved: bool,
}

impl Standing {
    /// A registered prefix that nothing has happened to.
    pub const REGISTERED: Self = Self {
        registered: true,
        asked: None,
        moved: false,
    };
}

/// What is to be done for a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Nothing now.
    Nothing,
    /// A deposit is to be made: this entry of the log, begun now.
    Make(Box<Deposit>),
    /// A deposit that lies ready is to be sent.
    Send(Box<Deposit>),
}

impl Plan {
    /// The escrow day of a time: days since 1970-01-01 in Beijing, each beginning at
    /// [`Plan::begins_at_min`].
    pub fn day(&self, now_ms: u64) -> u64 {
        (now_ms + BEIJING_MS).saturating_sub(u64::from(self.begins_at_min) * 60_000) / DAY_MS
    }

    /// What is due for a prefix with these last entries, oldest first. The entry of [`Due::Make`]
    /// has no id yet, and may yet become FULL.
    pub fn due<'a>(
        &self,
        entries: impl DoubleEndedIterator<Item = &'a Deposit> + Clone,
        standing: Standing,
        now_ms: u64,
    ) -> Due {
        let asked = standing.asked;
        let last = entries.clone().next_back();
        let day = self.day(now_ms);
        if let Some(last) = last {
            match last.status() {
                // Nothing of it has left the node: it is made anew.
                Status::Making => return self.make(entries, Some(last), standing, now_ms),
                Status::Failed if is_time(last, now_ms) || asked.is_some() => {
                    return self.make(entries, Some(last), standing, now_ms);
                }
                // Who asks does not wait for a time, unless it has just been found to be of no use.
                Status::Sending
                    if is_time(last, now_ms) || (asked.is_some() && last.attempts == 0) =>
                {
                    return Due::Send(Box::new(last.clone()));
                }
                Status::Refused if is_time(last, now_ms) => {
                    return self.make(entries, None, standing, now_ms);
                }
                Status::Failed | Status::Sending => return Due::Nothing,
                Status::Refused if asked.is_none() => return Due::Nothing,
                _ => {}
            }
        }
        // That it is gone is told at once: what it owned is its parent's, or nobody's.
        let may_wait = standing.registered && asked.is_none() && !standing.moved;
        if may_wait && is_covered(entries.clone(), day, now_ms) {
            return Due::Nothing;
        }
        self.make(entries, None, standing, now_ms)
    }

    /// The entry of a deposit that is begun now, in place of `again`, which was begun before.
    fn make<'a>(
        &self,
        entries: impl DoubleEndedIterator<Item = &'a Deposit> + Clone,
        again: Option<&Deposit>,
        Standing {
            registered, asked, ..
        }: Standing,
        now_ms: u64,
    ) -> Due {
        let number = again.map(|it| it.number);
        let before = entries.clone().rfind(|it| Some(it.number) != number);
        let day = again.map_or_else(|| self.day(now_ms), |it| it.day);
        let base = before.filter(|it| it.stands() && !it.closes);
        let is_told = before.is_none_or(|it| it.stands() && it.closes);
        if !registered && again.is_none() && is_told {
            return Due::Nothing;
        }
        // What has no id yet never left the node, and keeps its place.
        let order = match again.filter(|it| it.id.is_empty()) {
            Some(again) => again.order,
            None => next_order(entries, day),
        };
        if order > MAX_ORDER {
            return Due::Nothing;
        }
        // Of a prefix that is gone what is FULL is empty: whatever the receiver holds, it then knows.
        let full = match registered {
            true => {
                asked == Some(true)
                    || base.is_none_or(|base| base.after_full + 1 >= self.full_every.max(1))
            }
            false => base.is_none(),
        };
        Due::Make(Box::new(Deposit {
            number: number.unwrap_or_else(|| before.map_or(0, |it| it.number) + 1),
            order,
            prev_id: before
                .filter(|it| it.stands())
                .map_or_else(String::new, |it| it.id.clone()),
            full,
            day,
            since: if full {
                0
            } else {
                base.map_or(0, |base| base.revision)
            },
            after_full: if full {
                0
            } else {
                base.map_or(0, |base| base.after_full + 1)
            },
            started_ms: now_ms,
            status: Status::Making as i32,
            attempts: again.map_or(0, |it| it.attempts),
            closes: !registered,
            ..Deposit::default()
        }))
    }
}

/// The place behind the last one of a day, whatever is missing before it: no place is given twice.
pub(super) fn next_order<'a>(entries: impl Iterator<Item = &'a Deposit>, day: u64) -> u32 {
    let of_the_day = entries.filter(|it| it.day == day);
    let last = of_the_day.map(|it| it.order).max();
    last.map_or(0, |last| last.saturating_add(1))
}

/// Whether it is time to try again; also where the clock has gone back by more than any wait.
fn is_time(last: &Deposit, now_ms: u64) -> bool {
    now_ms >= last.next_try_ms || now_ms + BACKOFF_MS.1 < last.next_try_ms
}

/// Whether a day has its deposit.
fn is_covered<'a>(
    entries: impl DoubleEndedIterator<Item = &'a Deposit>,
    day: u64,
    now_ms: u64,
) -> bool {
    // From the last one back: those begun later than one after them were under a wrong clock.
    let mut earliest = u64::MAX;
    for (place, entry) in entries.rev().enumerate() {
        let set_back =
            place == 0 && entry.started_ms > now_ms && entry.started_ms - now_ms <= SET_BACK_MS;
        if set_back || (entry.day == day && entry.started_ms <= earliest) {
            return true;
        }
        earliest = earliest.min(entry.started_ms);
    }
    false
}
