//! Reports in the journal: made, on their way, taken or refused. A report and the place that its
//! kind has come to are one batch, so that it is made once whatever happens.
//!
//! One that is answered by an error of its own a few times is set aside: the others go first, and it
//! is sent again after a wait. A new process sends it in its place again.

use super::owed::Made;
use crate::upward::{Entry, Journal, Topic};
use crate::{Error, Result};
use bytes::Bytes;
use idnode_proto::api::{self, ReportState};
use idnode_proto::report::{Kind, ReportKey, check, timestamp};
use parking_lot::Mutex;
use prost::Message;
use std::collections::HashSet;
use std::ops::Bound;
use std::time::Duration;

// The first byte of a key in `Topic::Report`.
const ROWS: u8 = 1;
const QUEUE: u8 = 2;
const MADE: u8 = 3;
const REFUSED: u8 = 4;
// 5 is what was told of enterprises.
const ASIDE: u8 = 6;

/// Longest error that is kept, bytes.
const MAX_ERROR_BYTES: usize = 500;
/// Errors of its own after which a report is set aside.
const PATIENCE: u32 = 3;
/// The longest wait of a report that is set aside, in first waits.
const LONGEST_WAIT: u32 = 60;
/// Places in the queue read in one go.
const PLACES_AT_ONCE: usize = 4_096;
/// Class and number: what a place in the queue ends with.
const PLACE_BYTES: usize = 9;
/// Rows looked at in one go when old ones are forgotten.
const FORGOTTEN_AT_ONCE: usize = 512;

/// A report as the journal keeps it.
#[derive(Clone, PartialEq, Message)]
struct Row {
    /// The encoded [`api::Report`].
    #[prost(bytes = "bytes", tag = "1")]
    report: Bytes,
    #[prost(enumeration = "ReportState", tag = "2")]
    state: i32,
    #[prost(uint32, tag = "3")]
    attempts: u32,
    #[prost(string, tag = "4")]
    last_error: String,
    #[prost(uint64, tag = "5")]
    taken_ms: u64,
    #[prost(uint64, tag = "6")]
    made_ms: u64,
    /// Errors of its own.
    #[prost(uint32, tag = "7")]
    errors: u32,
    /// When it is sent again; 0: it is not set aside.
    #[prost(uint64, tag = "8")]
    aside_until_ms: u64,
}

/// A report's key in the queue.
#[derive(Clone, PartialEq, Eq, Message)]
struct Queued {
    #[prost(string, tag = "1")]
    key: String,
}

/// The reports of a node. Its methods may block on the disk.
#[derive(Debug)]
pub struct Outbox {
    journal: Journal,
    /// The last place given in the queue, and how many wait and were refused. Whoever changes a row
    /// holds it from reading to committing.
    counts: Mutex<Counts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    last: u64,
    pending: u64,
    refused: u64,
    /// Of those that wait, those that are set aside.
    aside: u64,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// This report is to be sent.
    Send(Box<Pending>),
    /// Nothing before this time, milliseconds since the Unix epoch: what waits is set aside.
    Wait(u64),
    /// Nothing waits.
    Nothing,
}

/// A report on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    place: Bytes,
    /// The report.
    pub report: api::Report,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken, now or before.
    Taken,
    /// It breaks a rule: it is not sent again by itself.
    Refused(String),
    /// It did not come through, and nor would another one; it is sent again.
    Failed(String),
    /// It is answered by an error, which may be its own: after a few of them it is set aside, for this
    /// long and then twice as long each time.
    Errored(String, Duration),
}

impl Outbox {
    /// The reports of a journal.
    ///
    /// # Errors
    /// The store fails.
    pub fn open(journal: Journal) -> Result<Self> {
        put_back(&journal)?;
        let of = |kind: u8| -> Result<(u64, u64)> {
            let (mut last, mut count, mut greatest) = (vec![kind], 0, 0);
            loop {
                let end = [kind + 1];
                let range = (Bound::Excluded(&last[..]), Bound::Excluded(&end[..]));
                let rows: Vec<(Bytes, Queued)> =
                    journal.scan(Topic::Report, range, PLACES_AT_ONCE)?;
                let Some((key, _)) = rows.last() else {
                    return Ok((greatest, count));
                };
                let places = rows
                    .iter()
                    .filter_map(|(key, _)| key.get(2..)?.first_chunk::<8>());
                let places = places.map(|place| u64::from_be_bytes(*place));
                greatest = places.fold(greatest, u64::max);
                (last, count) = (key.to_vec(), count + rows.len() as u64);
            }
        };
        let ((last, pending), (_, refused)) = (of(QUEUE)?, of(REFUSED)?);
        let counts = Mutex::new(Counts {
            last,
            pending,
            refused,
            aside: 0,
        });
        Ok(Self { journal, counts })
    }

    /// How far a kind has come; `None`: the node was not docked yet.
    ///
    /// # Errors
    /// The store fails.
    pub fn made(&self, kind: Kind) -> Result<Option<Made>> {
        self.journal.get(Topic::Report, &[MADE, kind as u8])
    }

    /// The entry that keeps how far a kind has come.
    #[must_use]
    pub fn made_entry(kind: Kind, made: &Made) -> Entry {
        Entry::put(Topic::Report, [MADE, kind as u8], made)
    }

    /// Journals reports, to be sent in this order, together with other entries. One whose key is
    /// there already is left out: it was made before. One that breaks a rule, which is a mistake of
    /// this node, is kept as refused, so that others are not held up.
    ///
    /// # Errors
    /// The store fails. Nothing is kept then.
    pub fn put(&self, reports: Vec<api::Report>, mut with: Vec<Entry>, now_ms: u64) -> Result<()> {
        let mut counts = self.counts.lock();
        let mut next = *counts;
        let mut seen = HashSet::new();
        for report in reports {
            if !seen.insert(report.key.clone()) || self.row(&report.key)?.is_some() {
                continue;
            }
            let mut row = Row {
                report: report.encode_to_vec().into(),
                state: ReportState::Pending.into(),
                made_ms: now_ms,
                ..Row::default()
            };
            match check(&report) {
                Ok(key) => {
                    next.last += 1;
                    next.pending += 1;
                    with.push(queue_entry(&key, next.last, report.key.clone()));
                }
                Err(flaw) => {
                    tracing::error!(key = report.key, %flaw, "a report breaks the node's own rules");
                    next.refused += 1;
                    row.state = ReportState::Refused.into();
                    row.last_error = shortened(&format!("not sent: {flaw}"));
                    let queued = Queued {
                        key: report.key.clone(),
                    };
                    with.push(Entry::put(Topic::Report, refused_key(&report.key), &queued));
                }
            }
            with.push(Entry::put(Topic::Report, row_key(&report.key), &row));
        }
        self.journal.commit(&with)?;
        *counts = next;
        Ok(())
    }

    /// The next report to be sent: events first, then in the order they were made; last what is set
    /// aside, when its time has come, so that it holds up nobody.
    ///
    /// # Errors
    /// The store fails.
    pub fn next(&self, now_ms: u64) -> Result<Next> {
        let first = match first_of(&self.journal, QUEUE)? {
            Some(first) => first,
            None => match first_of(&self.journal, ASIDE)? {
                Some(aside) => match until(&aside.0) {
                    until_ms if until_ms > now_ms => return Ok(Next::Wait(until_ms)),
                    _ => aside,
                },
                None => return Ok(Next::Nothing),
            },
        };
        let (place, queued) = first;
        let row = self.row(&queued.key)?;
        let row = row.ok_or_else(|| Error::Storage(format!("no report {}", queued.key)))?;
        let report = decoded(&row)?;
        Ok(Next::Send(Box::new(Pending { place, report })))
    }

    /// What became of a report; how many errors it has had, if it is set aside for them.
    ///
    /// # Errors
    /// The store fails.
    pub fn close(&self, pending: &Pending, outcome: &Outcome, now_ms: u64) -> Result<Option<u32>> {
        let key = &pending.report.key;
        let mut counts = self.counts.lock();
        let Some(mut row) = self.row(key)? else {
            return Ok(None);
        };
        row.attempts = row.attempts.saturating_add(1);
        let mut entries = Vec::new();
        let mut next = *counts;
        let (was_aside, mut is_aside) = (row.aside_until_ms > 0, row.aside_until_ms > 0);
        match outcome {
            Outcome::Taken => {
                (row.state, row.taken_ms) = (ReportState::Taken.into(), now_ms);
                row.last_error.clear();
            }
            Outcome::Refused(reason) => {
                row.state = ReportState::Refused.into();
                row.last_error = shortened(reason);
                next.refused += 1;
                let queued = Queued { key: key.clone() };
                entries.push(Entry::put(Topic::Report, refused_key(key), &queued));
            }
            Outcome::Failed(reason) => row.last_error = shortened(reason),
            Outcome::Errored(reason, first_wait) => {
                row.last_error = shortened(reason);
                row.errors = row.errors.saturating_add(1);
                if let Some(wait_ms) = wait_ms(row.errors, *first_wait) {
                    is_aside = true;
                    row.aside_until_ms = now_ms.saturating_add(wait_ms).max(1);
                    let aside = aside_key(row.aside_until_ms, &pending.place);
                    let queued = Queued { key: key.clone() };
                    entries.push(Entry::delete(Topic::Report, &pending.place));
                    entries.push(Entry::put(Topic::Report, aside, &queued));
                }
            }
        }
        if matches!(outcome, Outcome::Taken | Outcome::Refused(_)) {
            (is_aside, row.aside_until_ms) = (false, 0);
            entries.push(Entry::delete(Topic::Report, &pending.place));
            next.pending = next.pending.saturating_sub(1);
        }
        entries.push(Entry::put(Topic::Report, row_key(key), &row));
        next.aside = (next.aside + u64::from(is_aside)).saturating_sub(u64::from(was_aside));
        self.journal.commit(&entries)?;
        *counts = next;
        Ok(is_aside.then_some(row.errors))
    }

    /// Puts a refused report back into the queue, as it was made; the row then. `None`: it is not
    /// there, or not refused.
    ///
    /// # Errors
    /// The store fails.
    pub fn resend(&self, key: &str) -> Result<Option<api::ReportRow>> {
        let Some(parsed) = ReportKey::parse(key) else {
            return Ok(None);
        };
        // Before the row is read: two that read it refused would both queue it.
        let mut counts = self.counts.lock();
        let refused = i32::from(ReportState::Refused);
        let Some(mut row) = self.row(key)?.filter(|row| row.state == refused) else {
            return Ok(None);
        };
        row.state = ReportState::Pending.into();
        let next = Counts {
            last: counts.last + 1,
            pending: counts.pending + 1,
            refused: counts.refused.saturating_sub(1),
            ..*counts
        };
        self.journal.commit(&[
            Entry::put(Topic::Report, row_key(key), &row),
            Entry::delete(Topic::Report, refused_key(key)),
            queue_entry(&parsed, next.last, key.to_owned()),
        ])?;
        *counts = next;
        drop(counts);
        shown(key, &row, true).map(Some)
    }

    /// How many reports wait, and how many were refused.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let counts = self.counts.lock();
        (counts.pending, counts.refused)
    }

    /// How many of those that wait are set aside.
    #[must_use]
    pub fn aside(&self) -> u64 {
        self.counts.lock().aside
    }

    /// One report with its document.
    ///
    /// # Errors
    /// The store fails.
    pub fn get(&self, key: &str) -> Result<Option<api::ReportRow>> {
        let row = self.row(key)?;
        row.map(|row| shown(key, &row, true)).transpose()
    }

    /// Reports after a key, by key, at most `limit`, of a kind and in a state if these are given.
    /// Looks at 100 times as many.
    ///
    /// # Errors
    /// The store fails.
    pub fn list(
        &self,
        kind: Option<Kind>,
        state: Option<ReportState>,
        after: &str,
        limit: usize,
    ) -> Result<Listed> {
        let start = kind.map_or(String::new(), |kind| format!("{}/", kind.name()));
        let end = kind.map_or(vec![ROWS + 1], |kind| row_key(&format!("{}0", kind.name())));
        let mut last = if after > start.as_str() {
            after.to_owned()
        } else {
            start
        };
        let mut found = Listed::default();
        for _ in 0..100 {
            let from = row_key(&last);
            let range = (Bound::Excluded(&from[..]), Bound::Excluded(&end[..]));
            let rows: Vec<(Bytes, Row)> = self.journal.scan(Topic::Report, range, limit)?;
            let is_last = rows.len() < limit;
            for (key, row) in rows {
                let key = String::from_utf8_lossy(key.get(1..).unwrap_or_default()).into_owned();
                last.clone_from(&key);
                if state.is_none_or(|state| row.state == i32::from(state)) {
                    found.rows.push(shown(&key, &row, false)?);
                }
                if found.rows.len() == limit {
                    found.next = Some(last);
                    return Ok(found);
                }
            }
            if is_last {
                return Ok(found);
            }
        }
        found.next = Some(last);
        Ok(found)
    }

    /// Forgets reports of a kind that were made before a time, after a key (empty: from the first
    /// one on), and have been taken, or refused and left at that. Looks at a bounded number of them;
    /// the key to go on after, if there are more.
    ///
    /// # Errors
    /// The store fails.
    pub fn forget(&self, kind: Kind, after: &str, made_before_ms: u64) -> Result<Option<String>> {
        let from = match after {
            "" => row_key(&format!("{}/", kind.name())),
            after => row_key(after),
        };
        let to = row_key(&format!("{}0", kind.name()));
        let range = (Bound::Excluded(&from[..]), Bound::Excluded(&to[..]));
        let mut counts = self.counts.lock();
        let mut next = *counts;
        let rows: Vec<(Bytes, Row)> = self.journal.scan(Topic::Report, range, FORGOTTEN_AT_ONCE)?;
        let text = |key: &Bytes| {
            let key = key.get(1..).unwrap_or_default();
            String::from_utf8_lossy(key).into_owned()
        };
        // By key is by period, and that is in the order in which they were made.
        let is_old = |row: &Row| row.made_ms < made_before_ms;
        let last = rows.last().filter(|(_, row)| is_old(row));
        let last = last.filter(|_| rows.len() == FORGOTTEN_AT_ONCE);
        let last = last.map(|(key, _)| text(key));
        let mut entries = Vec::new();
        for (key, row) in rows {
            let is_refused = row.state == i32::from(ReportState::Refused);
            let is_settled = is_refused || row.state == i32::from(ReportState::Taken);
            if !is_settled || !is_old(&row) {
                continue;
            }
            if is_refused {
                entries.push(Entry::delete(Topic::Report, refused_key(&text(&key))));
                next.refused = next.refused.saturating_sub(1);
            }
            entries.push(Entry::delete(Topic::Report, key));
        }
        if !entries.is_empty() {
            self.journal.commit(&entries)?;
            *counts = next;
        }
        Ok(last)
    }

    fn row(&self, key: &str) -> Result<Option<Row>> {
        self.journal.get(Topic::Report, &row_key(key))
    }
}

/// Some reports, and where the next ones begin.
#[derive(Debug, Default)]
pub struct Listed {
    /// Without their documents.
    pub rows: Vec<api::ReportRow>,
    /// The key to go on after; `None`: these are the last.
    pub next: Option<String>,
}

fn row_key(key: &str) -> Vec<u8> {
    [&[ROWS], key.as_bytes()].concat()
}

fn refused_key(key: &str) -> Vec<u8> {
    [&[REFUSED], key.as_bytes()].concat()
}

fn queue_entry(key: &ReportKey, place: u64, text: String) -> Entry {
    // Events before all else.
    let class = u8::from(key.kind != Kind::Fault);
    let place = [&[QUEUE, class][..], &place.to_be_bytes()].concat();
    Entry::put(Topic::Report, place, &Queued { key: text })
}

/// The first entry of the queue, or of what is set aside.
fn first_of(journal: &Journal, kind: u8) -> Result<Option<(Bytes, Queued)>> {
    let (from, to) = ([kind], [kind + 1]);
    let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
    let mut rows = journal.scan(Topic::Report, range, 1)?;
    Ok(rows.pop())
}

/// Where a report is whose place in the queue this was: those that are to be sent first come first.
fn aside_key(until_ms: u64, place: &[u8]) -> Vec<u8> {
    let place = place.last_chunk::<PLACE_BYTES>().map(<[u8; _]>::as_slice);
    [
        &[ASIDE][..],
        &until_ms.to_be_bytes(),
        place.unwrap_or_default(),
    ]
    .concat()
}

/// When what has such a key is to be sent.
fn until(aside_key: &[u8]) -> u64 {
    let until = aside_key.get(1..).and_then(<[u8]>::first_chunk::<8>);
    until.map_or(0, |it| u64::from_be_bytes(*it))
}

/// How long a report waits after so many errors of its own; `None`: it keeps its place.
fn wait_ms(errors: u32, first_wait: Duration) -> Option<u64> {
    let times = errors.checked_sub(PATIENCE)?;
    let waits = 2_u32.saturating_pow(times).min(LONGEST_WAIT);
    Some(u64::try_from((first_wait * waits).as_millis()).unwrap_or(u64::MAX))
}

/// Puts what is set aside back into its place in the queue.
fn put_back(journal: &Journal) -> Result<()> {
    loop {
        let (from, to) = ([ASIDE], [ASIDE + 1]);
        let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        let rows: Vec<(Bytes, Queued)> = journal.scan(Topic::Report, range, PLACES_AT_ONCE)?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut entries = Vec::new();
        for (aside, queued) in rows {
            let place = aside.last_chunk::<PLACE_BYTES>().map(<[u8; _]>::as_slice);
            let place = [&[QUEUE][..], place.unwrap_or_default()].concat();
            entries.push(Entry::delete(Topic::Report, &aside));
            entries.push(Entry::put(Topic::Report, place, &queued));
            let row: Option<Row> = journal.get(Topic::Report, &row_key(&queued.key))?;
            if let Some(row) = row {
                let row = Row {
                    aside_until_ms: 0,
                    ..row
                };
                entries.push(Entry::put(Topic::Report, row_key(&queued.key), &row));
            }
        }
        journal.commit(&entries)?;
    }
}

fn decoded(row: &Row) -> Result<api::Report> {
    api::Report::decode(row.report.clone()).map_err(|error| Error::Storage(error.to_string()))
}

fn shown(key: &str, row: &Row, whole: bool) -> Result<api::ReportRow> {
    Ok(api::ReportRow {
        key: key.to_owned(),
        state: row.state,
        attempts: row.attempts,
        last_error: row.last_error.clone(),
        taken_at: (row.taken_ms > 0).then(|| timestamp(row.taken_ms)),
        report: whole.then(|| decoded(row)).transpose()?,
        made_at: Some(timestamp(row.made_ms)),
        aside_until: (row.aside_until_ms > 0).then(|| timestamp(row.aside_until_ms)),
    })
}

fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_ERROR_BYTES);
    text.get(..end).unwrap_or_default().to_owned()
}
