//! The deposit log.

use super::schedule::next_order;
use crate::upward::{Entry, Journal, Topic};
use crate::{Result, Sequence};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// Entries of a prefix that decide what is due; older ones are for people.
pub const RECENT: usize = 12;
/// Entries that are kept of each prefix: more than a year of days.
const KEPT: u64 = 400;
/// Entries read from the journal at once.
const PAGE: usize = 1_000;

/// How a deposit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Status {
    /// None.
    Unspecified = 0,
    /// It is being made; nothing has left the node.
    Making = 1,
    /// It lies ready, and is being uploaded.
    Sending = 2,
    /// All of it has arrived.
    Sent = 3,
    /// The receiver has verified it.
    Accepted = 4,
    /// The receiver has refused it: what follows is FULL.
    Refused = 5,
    /// It could not be made; nothing has left the node.
    Failed = 6,
}

impl Status {
    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Making => "making",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One deposit.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Deposit {
    /// Its number among its prefix's, from 1 on.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// Its id (RFC 8909).
    #[prost(string, tag = "2")]
    pub id: String,
    /// The id of the one it follows; empty: none.
    #[prost(string, tag = "3")]
    pub prev_id: String,
    /// Whether it is FULL; otherwise it is DIFF.
    #[prost(bool, tag = "4")]
    pub full: bool,
    /// The escrow day that it is of: [`super::schedule::Plan::day`].
    #[prost(uint64, tag = "5")]
    pub day: u64,
    /// When the registry was as it tells, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "6")]
    pub watermark_ms: u64,
    /// The last change it tells of.
    #[prost(uint64, tag = "7")]
    pub revision: Sequence,
    /// DIFF: the revision of the one before.
    #[prost(uint64, tag = "8")]
    pub since: Sequence,
    /// How many deposits there have been since the last FULL one.
    #[prost(uint32, tag = "9")]
    pub after_full: u32,
    /// When it was begun, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "10")]
    pub started_ms: u64,
    /// When it arrived, or was given up; 0: not yet.
    #[prost(uint64, tag = "11")]
    pub ended_ms: u64,
    /// How it stands.
    #[prost(enumeration = "Status", tag = "12")]
    pub status: i32,
    /// Why it was refused or failed, or the last attempt did.
    #[prost(string, tag = "13")]
    pub reason: String,
    /// Attempts that have failed, to make or to send it.
    #[prost(uint32, tag = "14")]
    pub attempts: u32,
    /// When it is tried again, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "15")]
    pub next_try_ms: u64,
    /// Its parts.
    #[prost(uint32, tag = "16")]
    pub parts: u32,
    /// Its parts' length, bytes.
    #[prost(uint64, tag = "17")]
    pub bytes: u64,
    /// Identifiers in it.
    #[prost(uint64, tag = "18")]
    pub identifiers: u64,
    /// The digest of the prefix's listing at the watermark.
    #[prost(string, tag = "19")]
    pub listing: String,
    /// It tells that the prefix is gone.
    #[prost(bool, tag = "20")]
    pub closes: bool,
    /// Its place among the prefix's deposits of the day, from 0 on.
    #[prost(uint32, tag = "21")]
    pub order: u32,
}

impl Deposit {
    /// Whether others may follow it.
    pub fn stands(&self) -> bool {
        matches!(
            self.status(),
            Status::Sending | Status::Sent | Status::Accepted
        )
    }

    /// What an attempt that failed leaves: when to try again, and why.
    #[must_use]
    pub fn after_failure(mut self, reason: String, now_ms: u64, backoff: (u64, u64)) -> Self {
        let (least_ms, most_ms) = backoff;
        self.next_try_ms = now_ms + (least_ms << self.attempts.min(20)).min(most_ms);
        self.attempts = self.attempts.saturating_add(1);
        self.reason = reason;
        self
    }
}

/// The key of an entry: the prefix's key, which has no 0, then 0 and the number.
fn key(prefix: &[u8], number: u64) -> Vec<u8> {
    [prefix, &[0], &number.to_be_bytes()].concat()
}

fn prefix_of(key: &[u8]) -> &[u8] {
    key.get(..key.len().saturating_sub(9)).unwrap_or_default()
}

/// The deposit log: durable in the journal, with what decides in memory.
#[derive(Debug)]
pub struct DepositLog {
    journal: Journal,
    recent: BTreeMap<Bytes, VecDeque<Deposit>>,
}

impl DepositLog {
    /// Reads the log.
    ///
    /// # Errors
    /// The store fails.
    pub fn open(journal: Journal) -> Result<Self> {
        let mut recent: BTreeMap<Bytes, VecDeque<Deposit>> = BTreeMap::new();
        for_each(&journal, |prefix, deposit| {
            let entries = recent.entry(prefix).or_default();
            entries.push_back(deposit);
            if entries.len() > RECENT {
                entries.pop_front();
            }
        })?;
        Ok(Self { journal, recent })
    }

    /// Prefixes that have entries.
    pub fn prefixes(&self) -> impl Iterator<Item = &Bytes> {
        self.recent.keys()
    }

    /// The last entries of a prefix, oldest first.
    pub fn recent<'a>(
        &'a self,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = &'a Deposit> + Clone + use<'a> {
        self.recent.get(prefix).into_iter().flatten()
    }

    /// An entry by its number, however old; `None`: it is kept no longer.
    ///
    /// # Errors
    /// The store fails.
    pub fn entry(&self, prefix: &[u8], number: u64) -> Result<Option<Deposit>> {
        match self.recent(prefix).find(|it| it.number == number) {
            Some(entry) => Ok(Some(entry.clone())),
            None => self.journal.get(Topic::Deposit, &key(prefix, number)),
        }
    }

    /// Prefixes and numbers of the deposits that have arrived and of which no verdict is known.
    ///
    /// # Errors
    /// The store fails.
    pub fn unanswered(&self) -> Result<Vec<(Bytes, u64)>> {
        let mut found = Vec::new();
        for_each(&self.journal, |prefix, deposit| {
            if deposit.status() == Status::Sent {
                found.push((prefix, deposit.number));
            }
        })?;
        Ok(found)
    }

    /// Puts an entry that is begun, in the place of its day that no other entry of its prefix has
    /// had, as far back as entries are kept; the entry then. Durable on return.
    ///
    /// # Errors
    /// The store fails.
    pub fn begin(&mut self, prefix: &Bytes, mut deposit: Deposit) -> Result<Deposit> {
        let kept = of_prefix(&self.journal, prefix)?;
        let others = kept.iter().filter(|it| it.number != deposit.number);
        deposit.order = deposit.order.max(next_order(others, deposit.day));
        self.put(prefix, &deposit)?;
        Ok(deposit)
    }

    /// Puts an entry, new or in place of what it was. Durable on return.
    ///
    /// # Errors
    /// The store fails.
    pub fn put(&mut self, prefix: &Bytes, deposit: &Deposit) -> Result<()> {
        let mut batch = vec![Entry::put(
            Topic::Deposit,
            key(prefix, deposit.number),
            deposit,
        )];
        if let Some(old) = deposit.number.checked_sub(KEPT) {
            batch.push(Entry::delete(Topic::Deposit, key(prefix, old)));
        }
        self.journal.commit(&batch)?;
        let entries = self.recent.entry(prefix.clone()).or_default();
        // In the order of their numbers: the last one decides what is due.
        match entries.binary_search_by_key(&deposit.number, |it| it.number) {
            Ok(place) => {
                if let Some(entry) = entries.get_mut(place) {
                    entry.clone_from(deposit);
                }
            }
            Err(place) => entries.insert(place, deposit.clone()),
        }
        if entries.len() > RECENT {
            entries.pop_front();
        }
        Ok(())
    }
}

/// Entries of one prefix or of all, the newest of each prefix first, at most `limit`.
///
/// # Errors
/// The store fails.
pub fn listed(
    journal: &Journal,
    prefix: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Bytes, Deposit)>> {
    let mut of_prefixes: BTreeMap<Bytes, VecDeque<Deposit>> = BTreeMap::new();
    let mut add = |prefix: Bytes, deposit: Deposit| {
        let entries = of_prefixes.entry(prefix).or_default();
        entries.push_front(deposit);
        entries.truncate(limit);
    };
    match prefix {
        None => for_each(journal, add)?,
        Some(prefix) => {
            for deposit in of_prefix(journal, prefix)? {
                add(Bytes::copy_from_slice(prefix), deposit);
            }
        }
    }
    let all = of_prefixes
        .into_iter()
        .flat_map(|(prefix, entries)| entries.into_iter().map(move |it| (prefix.clone(), it)));
    Ok(all.take(limit).collect())
}

/// Every entry of a prefix that is kept, the oldest first.
fn of_prefix(journal: &Journal, prefix: &[u8]) -> Result<Vec<Deposit>> {
    let range = (key(prefix, 0), key(prefix, u64::MAX));
    let bounds = (Bound::Included(&range.0[..]), Bound::Included(&range.1[..]));
    let rows = journal.scan(Topic::Deposit, bounds, usize::MAX)?;
    Ok(rows.into_iter().map(|(_, deposit)| deposit).collect())
}

fn for_each(journal: &Journal, mut visit: impl FnMut(Bytes, Deposit)) -> Result<()> {
    let mut after = Bytes::new();
    loop {
        let bounds = (Bound::Excluded(&after[..]), Bound::Unbounded);
        let page: Vec<(Bytes, Deposit)> = journal.scan(Topic::Deposit, bounds, PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        after = last.clone();
        for (key, deposit) in page {
            visit(key.slice_ref(prefix_of(&key)), deposit);
        }
    }
}
