//! Reports to the national node: which are owed, what they say, and that each is told once.
//!
//! | module | holds |
//! |---|---|
//! | [`clock`] | the time that reports go by, which never goes back |
//! | [`owed`] | which reports are owed: pure |
//! | [`measured`] | what was measured, as the journal keeps it |
//! | `make`, `listing` | what reports say |
//! | [`outbox`] | reports in the journal: on their way, taken, refused |
//! | [`events`] | fault and recovery events |
//! | `send` | the task that makes and sends |

pub mod clock;
pub mod events;
mod listing;
mod make;
pub mod measured;
pub mod outbox;
pub mod owed;
mod send;
#[cfg(test)]
mod tests;

use super::channel::ChannelOptions;
use super::{Journal, Uplink};
use crate::registry::Registry;
use crate::{Result, now_ms};
use clock::ReportClock;
use events::{Events, Turn};
use idnode_proto::api::{FaultCheck, ReportRow};
use idnode_proto::report::{Kind, Period, Unit};
use measured::{MeasuredDay, Progress};
use outbox::Outbox;
use owed::Made;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Most batches that are made in one go, so that sending goes on meanwhile.
const BATCHES_AT_ONCE: usize = 1_024;

/// What whole months are needed of for the monthly reports, beyond what is kept: days, and the same
/// in milliseconds.
const MONTHS_DAYS: u64 = 62;
const MONTHS_MS: u64 = MONTHS_DAYS * 86_400_000;

/// How a node reports.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// The node's id.
    pub node: String,
    /// Where reports go.
    pub channel: ChannelOptions,
    /// How long reports, and what they are computed from, are kept.
    pub keep: Duration,
    /// The longest wait between two attempts.
    pub max_backoff: Duration,
    /// How far the clock that reports go by is ahead of the system's, seconds.
    pub clock_offset_s: i64,
    /// How long a jump of the system's clock lasts before they go by it.
    pub clock_settle: Duration,
}

/// The reports of a node.
#[derive(Debug)]
pub struct Reports {
    registry: Arc<Registry>,
    uplink: Arc<Uplink>,
    journal: Journal,
    outbox: Outbox,
    events: Events,
    options: ReportOptions,
    clock: Mutex<ReportClock>,
    began: Instant,
    /// Something is to be sent.
    news: Notify,
    /// How the node's checks of itself stand.
    checks: Mutex<Vec<FaultCheck>>,
}

/// What documents are made from.
pub(crate) struct Context<'a> {
    registry: &'a Registry,
    journal: &'a Journal,
    events: &'a Events,
    node: &'a str,
    now_ms: u64,
    docked_ms: u64,
    clock_offset_s: i64,
}

impl Reports {
    /// The reports of a registry's journal; a node that reports for the first time is docked from
    /// now on. Blocks on the disk.
    ///
    /// # Errors
    /// The store fails.
    pub fn open(
        registry: Arc<Registry>,
        uplink: Arc<Uplink>,
        options: ReportOptions,
    ) -> Result<Self> {
        let journal = registry.journal();
        let settle_ms = options.clock_settle.as_millis() as u64;
        let known = Progress::read(&journal)?.unwrap_or_default();
        let told_ms = known.alive_ms;
        // A rehearsal's offset is no doubt of the clock.
        let more_ms = (options.clock_offset_s.saturating_sub(known.offset_s)).saturating_mul(1_000);
        let before_ms = told_ms.saturating_add_signed(more_ms);
        let clock = ReportClock::after(told_ms, before_ms, settle_ms);
        let reports = Self {
            outbox: Outbox::open(journal.clone())?,
            events: Events::open(journal.clone())?,
            registry,
            uplink,
            journal,
            options,
            clock: Mutex::new(clock),
            began: Instant::now(),
            news: Notify::new(),
            checks: Mutex::default(),
        };
        let now_ms = reports.now_ms();
        let mut first = Vec::new();
        for kind in Kind::PERIODIC {
            if reports.outbox.made(kind)?.is_none()
                && let Some(made) = Made::docked(kind, now_ms)
            {
                first.push(Outbox::made_entry(kind, &made));
            }
        }
        reports.journal.commit(&first)?;
        Ok(reports)
    }

    /// The time that reports go by, milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        let offset_ms = self.options.clock_offset_s.saturating_mul(1_000);
        let steady = self.began.elapsed().as_millis();
        let steady_ms = u64::try_from(steady).unwrap_or(u64::MAX);
        let wall_ms = now_ms().saturating_add_signed(offset_ms);
        self.clock.lock().now_ms(wall_ms, steady_ms)
    }

    /// How far that time is ahead of the system's, as configured, seconds.
    pub fn clock_offset_s(&self) -> i64 {
        self.options.clock_offset_s
    }

    /// When the process began by that time, milliseconds since the Unix epoch: once, where it was not known
    /// at the beginning, since the clock was far ahead.
    pub fn take_beginning_ms(&self) -> Option<u64> {
        self.clock.lock().take_beginning()
    }

    /// The reports themselves.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Fault and recovery events.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Tells of a fault, or that it is over. Blocks on the disk.
    ///
    /// # Errors
    /// The store fails: it is to be told again.
    pub fn tell(&self, turn: &Turn) -> Result<()> {
        let (options, now_ms) = (&self.options, self.now_ms());
        let told = self.events.tell(
            &self.outbox,
            &options.node,
            turn,
            now_ms,
            options.clock_offset_s,
        )?;
        if let Some(number) = told {
            let (check, cause) = (turn.check, &turn.cause);
            match turn.faulty {
                true => tracing::warn!(number, check, cause, "a fault"),
                false => tracing::info!(number, check, cause, "a fault is over"),
            }
            self.news.notify_one();
        }
        Ok(())
    }

    /// How the node's checks of itself stand.
    pub fn checks(&self) -> Vec<FaultCheck> {
        self.checks.lock().clone()
    }

    /// The node has checked itself.
    pub fn checked(&self, checks: Vec<FaultCheck>) {
        *self.checks.lock() = checks;
    }

    /// Puts a refused report back; see [`Outbox::resend`]. Blocks on the disk.
    ///
    /// # Errors
    /// The store fails.
    pub fn resend(&self, key: &str) -> Result<Option<ReportRow>> {
        let row = self.outbox.resend(key)?;
        self.news.notify_one();
        Ok(row)
    }

    /// Makes reports that are owed, a bounded number. Blocks on the disk.
    ///
    /// # Errors
    /// The store fails; nothing is lost.
    pub fn make_owed(&self) -> Result<()> {
        let Some(progress) = Progress::read(&self.journal)? else {
            // Nothing is measured yet.
            return Ok(());
        };
        let now_ms = self.now_ms();
        let keep_ms = u64::try_from(self.options.keep.as_millis()).unwrap_or(u64::MAX);
        let keep_from_ms = now_ms.saturating_sub(keep_ms);
        let context = Context {
            registry: &self.registry,
            journal: &self.journal,
            events: &self.events,
            node: &self.options.node,
            now_ms,
            docked_ms: progress.docked_ms,
            clock_offset_s: self.options.clock_offset_s,
        };
        for kind in Kind::PERIODIC {
            let closed_ms = owed::closed_ms(kind, progress.day, now_ms);
            for _ in 0..BATCHES_AT_ONCE {
                let Some(made) = self.outbox.made(kind)? else {
                    break;
                };
                let given_up = made.given_up;
                let Some((period, mut made)) = made.owed(kind, closed_ms, keep_from_ms) else {
                    break;
                };
                if made.given_up > given_up {
                    let periods = made.given_up - given_up;
                    let kind = kind.name();
                    tracing::warn!(kind, periods, next = %period, "reports are given up: too old");
                }
                let batch = make::next_batch(&context, kind, period, &made.prefix)?;
                let is_done = batch.reached.is_none();
                match batch.reached {
                    Some(prefix) => made.prefix = prefix,
                    None => made.finish_period(),
                }
                let mut entries = batch.entries;
                entries.push(Outbox::made_entry(kind, &made));
                self.outbox.put(batch.reports, entries, now_ms)?;
                if is_done {
                    tracing::info!(kind = kind.name(), %period, "a period's reports are made");
                    self.forget(kind, keep_from_ms)?;
                }
                self.news.notify_one();
            }
        }
        Ok(())
    }

    fn forget_reports(&self, kind: Kind, keep_from_ms: u64) -> Result<()> {
        let mut after = String::new();
        while let Some(last) = self.outbox.forget(kind, &after, keep_from_ms)? {
            after = last;
        }
        Ok(())
    }

    /// Forgets what is older than what is kept.
    fn forget(&self, kind: Kind, keep_from_ms: u64) -> Result<()> {
        self.forget_reports(kind, keep_from_ms)?;
        if kind == Kind::Statistics {
            // Once a day, what has no periods of its own.
            self.forget_reports(Kind::Fault, keep_from_ms)?;
            self.events.forget(keep_from_ms.saturating_sub(MONTHS_MS))?;
            let day = Period::at(Unit::Day, keep_from_ms);
            let first = day.number().saturating_sub(MONTHS_DAYS);
            loop {
                let entries = MeasuredDay::forget_before(&self.journal, first)?;
                if entries.is_empty() {
                    break;
                }
                self.journal.commit(&entries)?;
            }
        }
        Ok(())
    }
}
