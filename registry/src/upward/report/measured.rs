//! What a node has measured, as the journal keeps it: a row for each prefix and day, and one for
//! the node itself.

use crate::latency::Gathered;
use crate::upward::{Entry, Journal, Topic};
use crate::{Error, Result};
use bytes::Bytes;
use idnode_proto::api;
use idnode_proto::report::timestamp;
use std::ops::Bound;

/// Rows read at a time.
pub const ROWS: usize = 256;

/// The row of the node itself has this in place of a prefix's key.
pub const NODE: &[u8] = b"";

// The first byte of a key in `Topic::Measurement`.
const DAYS: u8 = 1;
const STATE: u8 = 2;
const DOWNTIMES: u8 = 3;

/// One day of a prefix, or of the node.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MeasuredDay {
    /// Resolutions asked for.
    #[prost(uint64, tag = "1")]
    pub queries: u64,
    /// Of these, answered with values or a referral.
    #[prost(uint64, tag = "2")]
    pub successes: u64,
    /// Most of one second.
    #[prost(uint64, tag = "3")]
    pub peak_qps: u64,
    /// That second, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "4")]
    pub peak_at_ms: u64,
    /// How long resolutions took.
    #[prost(message, required, tag = "5")]
    pub resolving: Spread,
    /// How long registrations took.
    #[prost(message, required, tag = "6")]
    pub registering: Spread,
    /// The most frequent sources.
    #[prost(message, repeated, tag = "7")]
    pub sources: Vec<Source>,
    /// Queries whose source was looked at.
    #[prost(uint64, tag = "8")]
    pub looked_at: u64,
    /// Queries that these stand for.
    #[prost(uint64, tag = "9")]
    pub stood_for: u64,
    /// The registry's counters when the day began.
    #[prost(message, required, tag = "10")]
    pub before: Stock,
    /// When it ended; `None`: it has not.
    #[prost(message, optional, tag = "11")]
    pub after: Option<Stock>,
    /// Node only: seconds that the process ran.
    #[prost(uint64, tag = "12")]
    pub uptime_s: u64,
    /// Node only: of these, without a fault of registration or resolution.
    #[prost(uint64, tag = "13")]
    pub available_s: u64,
    /// Node only: most seconds whose counts were lost in crashes.
    #[prost(uint64, tag = "14")]
    pub unrecorded_s: u64,
    /// Node only: from a registration until resolution shows it, by the node's own probe.
    #[prost(message, required, tag = "15")]
    pub effect: Spread,
    /// Sources that the sketch has room for.
    #[prost(uint32, tag = "16")]
    pub source_capacity: u32,
}

/// Registry counters of a prefix at one moment.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Stock {
    /// Live identifiers.
    #[prost(uint64, tag = "1")]
    pub identifiers: u64,
    /// Created, ever: under former registrations of the prefix, too.
    #[prost(uint64, tag = "2")]
    pub creations: u64,
    /// Deleted, ever.
    #[prost(uint64, tag = "3")]
    pub deletions: u64,
}

/// Latencies of a day.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Spread {
    /// How many.
    #[prost(uint64, tag = "1")]
    pub count: u64,
    /// Together, nanoseconds.
    #[prost(uint64, tag = "2")]
    pub sum_ns: u64,
    /// The greatest, nanoseconds.
    #[prost(uint64, tag = "3")]
    pub max_ns: u64,
    /// Its second, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "4")]
    pub max_at_ms: u64,
    /// The least, nanoseconds.
    #[prost(uint64, tag = "5")]
    pub min_ns: u64,
    /// Its second, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "6")]
    pub min_at_ms: u64,
}

impl Spread {
    /// Adds what was gathered up to a moment, milliseconds since the Unix epoch.
    pub fn add(&mut self, gathered: Gathered, at_ms: u64) {
        if gathered.max_ns > self.max_ns || self.count == 0 {
            (self.max_ns, self.max_at_ms) = (gathered.max_ns, at_ms);
        }
        if gathered.min_ns < self.min_ns || self.count == 0 {
            (self.min_ns, self.min_at_ms) = (gathered.min_ns, at_ms);
        }
        self.count += gathered.count;
        self.sum_ns = self.sum_ns.saturating_add(gathered.sum_ns);
    }

    /// Adds one of a time, milliseconds since the Unix epoch.
    pub fn add_one(&mut self, ns: u64, at_ms: u64) {
        let gathered = Gathered {
            count: 1,
            sum_ns: ns,
            max_ns: ns,
            min_ns: ns,
        };
        self.add(gathered, at_ms);
    }

    /// Adds those of another time.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if other.max_ns > self.max_ns || self.count == 0 {
            (self.max_ns, self.max_at_ms) = (other.max_ns, other.max_at_ms);
        }
        if other.min_ns < self.min_ns || self.count == 0 {
            (self.min_ns, self.min_at_ms) = (other.min_ns, other.min_at_ms);
        }
        self.count += other.count;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// As reports have it.
    #[must_use]
    pub fn shown(&self) -> api::LatencyDay {
        if self.count == 0 {
            return api::LatencyDay::default();
        }
        let ms = |ns: u64| ns as f64 / 1e6;
        let (max_ms, min_ms) = (ms(self.max_ns), ms(self.min_ns));
        let average_ms = self.sum_ns as f64 / self.count as f64 / 1e6;
        api::LatencyDay {
            count: self.count,
            average_ms: average_ms.clamp(min_ms, max_ms),
            max_ms,
            max_at: Some(timestamp(self.max_at_ms)),
            min_ms,
            min_at: Some(timestamp(self.min_at_ms)),
        }
    }
}

/// A source in a sketch.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Source {
    /// An IPv4 address: 4 bytes; an IPv6 network of 64 bits: 8.
    #[prost(bytes = "bytes", tag = "1")]
    pub address: Bytes,
    /// Queries, estimated.
    #[prost(uint64, tag = "2")]
    pub queries: u64,
    /// How much of it may be others'.
    #[prost(uint64, tag = "3")]
    pub over: u64,
    /// Of the estimate, by sampling.
    #[prost(double, tag = "4")]
    pub variance: f64,
}

impl Source {
    /// As reports have it; `None`: it is damaged.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        if let Ok(octets) = <[u8; 4]>::try_from(&*self.address) {
            return Some(std::net::Ipv4Addr::from(octets).to_string());
        }
        let network = u64::from_be_bytes(self.address.first_chunk().copied()?);
        let address = std::net::Ipv6Addr::from_bits(u128::from(network) << 64);
        Some(format!("{address}/64"))
    }
}

/// What the measuring has come to: where it goes on after a restart.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Progress {
    /// The day that is measured, see [`idnode_proto::report::Period::number`].
    #[prost(uint64, tag = "1")]
    pub day: u64,
    /// The last sign of life, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "2")]
    pub alive_ms: u64,
    /// The process ended in order after it.
    #[prost(bool, tag = "3")]
    pub ended: bool,
    /// When the node was first docked, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "4")]
    pub docked_ms: u64,
    /// How far these times were ahead of the system's, as configured, seconds.
    #[prost(int64, tag = "5")]
    pub offset_s: i64,
}

impl Progress {
    /// What the journal has; `None`: nothing was measured yet.
    ///
    /// # Errors
    /// The store fails.
    pub fn read(journal: &Journal) -> Result<Option<Self>> {
        journal.get(Topic::Measurement, &[STATE])
    }

    /// The entry that keeps it.
    #[must_use]
    pub fn entry(&self) -> Entry {
        Entry::put(Topic::Measurement, [STATE], self)
    }
}

/// A time that no process ran.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Gap {
    /// The last sign of life before it, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "1")]
    pub begins_ms: u64,
    /// The first one after it.
    #[prost(uint64, tag = "2")]
    pub ends_ms: u64,
    /// The process had ended in order.
    #[prost(bool, tag = "3")]
    pub planned: bool,
}

impl Gap {
    /// The entry that keeps it.
    #[must_use]
    pub fn entry(&self) -> Entry {
        Entry::put(Topic::Measurement, gap_key(self.begins_ms), self)
    }

    /// Those that ended after a time and before another, milliseconds since the Unix epoch; at
    /// most `limit`.
    ///
    /// # Errors
    /// The store fails.
    pub fn between(
        journal: &Journal,
        begins_ms: u64,
        ends_ms: u64,
        limit: usize,
    ) -> Result<Vec<Self>> {
        // One that began long before may reach into it: there are few of them.
        let (from, to) = (gap_key(0), gap_key(ends_ms));
        let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        let rows: Vec<(Bytes, Self)> = journal.scan(Topic::Measurement, range, usize::MAX)?;
        let gaps = rows.into_iter().map(|(_, gap)| gap);
        Ok(gaps
            .filter(|it| it.ends_ms > begins_ms)
            .take(limit)
            .collect())
    }
}

fn gap_key(begins_ms: u64) -> [u8; 9] {
    keyed(DOWNTIMES, begins_ms)
}

fn keyed(kind: u8, number: u64) -> [u8; 9] {
    let mut key = [kind; 9];
    if let Some(rest) = key.last_chunk_mut::<8>() {
        *rest = number.to_be_bytes();
    }
    key
}

fn day_key(day: u64, prefix: &[u8]) -> Vec<u8> {
    [&keyed(DAYS, day)[..], prefix].concat()
}

impl MeasuredDay {
    /// The entry that keeps it: of a day by its number, and of a prefix by its key.
    #[must_use]
    pub fn entry(&self, day: u64, prefix: &[u8]) -> Entry {
        Entry::put(Topic::Measurement, day_key(day, prefix), self)
    }

    /// One prefix's row of a day; [`NODE`]: the node's.
    ///
    /// # Errors
    /// The store fails.
    pub fn read(journal: &Journal, day: u64, prefix: &[u8]) -> Result<Option<Self>> {
        journal.get(Topic::Measurement, &day_key(day, prefix))
    }

    /// The rows of prefixes on a day after one prefix's key, at most [`ROWS`], by key.
    ///
    /// # Errors
    /// The store fails.
    pub fn after(journal: &Journal, day: u64, prefix: &[u8]) -> Result<Vec<(Bytes, Self)>> {
        let (from, to) = (day_key(day, prefix), keyed(DAYS, day.saturating_add(1)));
        let range = (Bound::Excluded(&from[..]), Bound::Excluded(&to[..]));
        let rows: Vec<(Bytes, Self)> = journal.scan(Topic::Measurement, range, ROWS)?;
        rows.into_iter()
            .map(|(key, row)| {
                let prefix = key.get(9..).map(|rest| key.slice_ref(rest));
                let prefix = prefix.ok_or_else(|| Error::Storage("a short key".into()))?;
                Ok((prefix, row))
            })
            .collect()
    }

    /// The entries that forget rows of days before one, at most [`ROWS`].
    ///
    /// # Errors
    /// The store fails.
    pub fn forget_before(journal: &Journal, day: u64) -> Result<Vec<Entry>> {
        let (from, to) = (keyed(DAYS, 0), keyed(DAYS, day));
        let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        let rows: Vec<(Bytes, Self)> = journal.scan(Topic::Measurement, range, ROWS)?;
        let forget = |(key, _): (Bytes, Self)| Entry::delete(Topic::Measurement, key);
        Ok(rows.into_iter().map(forget).collect())
    }

    /// Identifiers that were registered on the day.
    #[must_use]
    pub fn created(&self) -> u64 {
        let after = self.after.unwrap_or(self.before);
        after.creations.saturating_sub(self.before.creations)
    }

    /// Identifiers that were deleted on the day.
    #[must_use]
    pub fn deleted(&self) -> u64 {
        let after = self.after.unwrap_or(self.before);
        after.deletions.saturating_sub(self.before.deletions)
    }
}
