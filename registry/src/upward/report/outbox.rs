//! Reports in the journal: made, on their way, taken or refused. A report and the place that its
//! kind has come to are one batch, so that it is made once whatever happens.

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

// The first byte of a key in `Topic::Report`.
const ROWS: u8 = 1;
const QUEUE: u8 = 2;
const MADE: u8 = 3;
const REFUSED: u8 = 4;

/// Longest error that is kept, bytes.
const MAX_ERROR_BYTES: usize = 500;
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
    /// The last place given in the queue, and how many wait and were refused.
    counts: Mutex<Counts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    last: u64,
    pending: u64,
    refused: u64,
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
    /// It did not come through; it is sent again.
    Failed(String),
}

impl Outbox {
    /// The reports of a journal.
    ///
    /// # Errors
    /// The store fails.
    pub fn open(journal: Journal) -> Result<Self> {
        let of = |kind: u8| -> Result<(u64, u64)> {
            let (mut last, mut count, mut greatest) = (vec![kind], 0, 0);
            loop {
                let end = [kind + 1];
                let range = (Bound::Excluded(&last[..]), Bound::Excluded(&end[..]));
                let rows: Vec<(Bytes, Queued)> = journal.scan(Topic::Report, range, 4_096)?;
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

    /// The next report to be sent: events first, then in the order they were made.
    ///
    /// # Errors
    /// The store fails.
    pub fn next(&self) -> Result<Option<Pending>> {
        let (from, to) = ([QUEUE], [QUEUE + 1]);
        let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        let mut rows: Vec<(Bytes, Queued)> = self.journal.scan(Topic::Report, range, 1)?;
        let Some((place, queued)) = rows.pop() else {
            return Ok(None);
        };
        let row = self.row(&queued.key)?;
        let row = row.ok_or_else(|| Error::Storage(format!("no report {}", queued.key)))?;
        let report = decoded(&row)?;
        Ok(Some(Pending { place, report }))
    }

    /// What became of a report.
    ///
    /// # Errors
    /// The store fails.
    pub fn close(&self, pending: &Pending, outcome: &Outcome, now_ms: u64) -> Result<()> {
        let key = &pending.report.key;
        let Some(mut row) = self.row(key)? else {
            return Ok(());
        };
        row.attempts = row.attempts.saturating_add(1);
        let mut entries = Vec::new();
        let mut counts = self.counts.lock();
        let mut next = *counts;
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
        }
        if !matches!(outcome, Outcome::Failed(_)) {
            entries.push(Entry::delete(Topic::Report, &pending.place));
            next.pending = next.pending.saturating_sub(1);
        }
        entries.push(Entry::put(Topic::Report, row_key(key), &row));
        self.journal.commit(&entries)?;
        *counts = next;
        Ok(())
    }

    /// Puts a refused report back into the queue, as it was made; the row then. `None`: it is not
    /// there, or not refused.
    ///
    /// # Errors
    /// The store fails.
    pub fn resend(&self, key: &str) -> Result<Option<api::ReportRow>> {
        let refused = i32::from(ReportState::Refused);
        let Some(mut row) = self.row(key)?.filter(|row| row.state == refused) else {
            return Ok(None);
        };
        let Some(parsed) = ReportKey::parse(key) else {
            return Ok(None);
        };
        row.state = ReportState::Pending.into();
        let mut counts = self.counts.lock();
        let next = Counts {
            last: counts.last + 1,
            pending: counts.pending + 1,
            refused: counts.refused.saturating_sub(1),
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

    /// Forgets reports that were made before a time and have been taken; whether there may be more.
    ///
    /// # Errors
    /// The store fails.
    pub fn forget(&self, kind: Kind, made_before_ms: u64) -> Result<bool> {
        let from = row_key(&format!("{}/", kind.name()));
        let to = row_key(&format!("{}0", kind.name()));
        let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        let rows: Vec<(Bytes, Row)> = self.journal.scan(Topic::Report, range, FORGOTTEN_AT_ONCE)?;
        let is_full = rows.len() == FORGOTTEN_AT_ONCE;
        let taken = i32::from(ReportState::Taken);
        let old = rows
            .into_iter()
            .filter(|(_, row)| row.state == taken && row.made_ms < made_before_ms);
        let entries: Vec<_> = old
            .map(|(key, _)| Entry::delete(Topic::Report, key))
            .collect();
        if entries.is_empty() {
            return Ok(false);
        }
        self.journal.commit(&entries)?;
        Ok(is_full)
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
    })
}

fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_ERROR_BYTES);
    text.get(..end).unwrap_or_default().to_owned()
}
