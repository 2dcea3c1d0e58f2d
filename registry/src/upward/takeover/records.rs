//! What the journal keeps of a takeover, all in [`Topic::Takeover`].
//!
//! | key | value |
//! |---|---|
//! | `s` | [`State`] |
//! | `c`, epoch, number | [`ConflictRow`] |
//! | `o`, epoch, number | a conflict is open |
//! | `u`, epoch, number | the national node does not know how a conflict stands |
//! | `i`, epoch, SHA-256 of an identifier's key | [`Merged`] |

use crate::error::Error;
use crate::upward::{Entry, Journal, Topic};
use crate::write::Held;
use crate::{Result, Sequence};
use idnode_proto::api::{TakeoverConflict, TakeoverNotice, TakeoverPhase, TakeoverSettlement};
use idnode_proto::identifier::{Identifier, Prefix};
use sha2::{Digest, Sha256};
use std::ops::Bound;

const STATE: &[u8] = b"s";
const CONFLICT: u8 = b'c';
const OPEN: u8 = b'o';
const UNTOLD: u8 = b'u';
const MERGED: u8 = b'i';

/// How many rows of a takeover that is over are forgotten at once.
const FORGET_ROWS: usize = 1_000;

/// How a takeover stands here.
#[derive(Clone, PartialEq, prost::Message)]
pub struct State {
    /// The last notice that counted.
    #[prost(message, optional, tag = "1")]
    pub notice: Option<TakeoverNotice>,
    /// When it came, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "2")]
    pub told_ms: u64,
    /// The last registration of this takeover that was merged, or is a conflict.
    #[prost(uint64, tag = "3")]
    pub merged: u64,
    /// Of these, how many changed something here.
    #[prost(uint64, tag = "4")]
    pub applied: u64,
    /// How many were here already.
    #[prost(uint64, tag = "5")]
    pub unchanged: u64,
    /// How many are conflicts.
    #[prost(uint64, tag = "6")]
    pub conflicts: u64,
    /// The registration that is being written.
    #[prost(message, optional, tag = "7")]
    pub pending: Option<Pending>,
}

/// A registration that is about to be written, or has been.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Pending {
    /// Its number.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The version that its identifier had before; 0: none. While the prefix is taken over nobody else
    /// writes: with another version it has been written.
    #[prost(uint64, tag = "2")]
    pub before: Sequence,
}

impl State {
    /// The last notice; before the first, an empty one.
    pub fn notice(&self) -> TakeoverNotice {
        self.notice.clone().unwrap_or_default()
    }

    /// How far the takeover has come.
    pub fn phase(&self) -> TakeoverPhase {
        self.notice().phase()
    }

    /// What is not registered here now.
    ///
    /// # Errors
    /// A prefix can't be read.
    pub fn held(&self) -> Result<Option<Held>> {
        let notice = self.notice();
        let is_held = matches!(
            notice.phase(),
            TakeoverPhase::TakenOver | TakeoverPhase::HandingBack
        );
        if !is_held {
            return Ok(None);
        }
        let prefixes = notice.prefixes.iter().map(|text| {
            Prefix::parse(text)
                .map_err(|error| Error::Storage(format!("taken over prefix {text}: {error}")))
        });
        Ok(Some(Held {
            epoch: notice.epoch,
            prefixes: prefixes.collect::<Result<_>>()?,
        }))
    }
}

/// A conflict.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ConflictRow {
    /// As it is told.
    #[prost(message, required, tag = "1")]
    pub conflict: TakeoverConflict,
}

impl ConflictRow {
    /// Whether nobody has settled it.
    pub fn is_open(&self) -> bool {
        self.conflict.settlement() == TakeoverSettlement::Unspecified
    }
}

/// The last registration of an identifier that was merged in a takeover.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Merged {
    /// Its number.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The version that it left here.
    #[prost(uint64, tag = "2")]
    pub version: Sequence,
    /// It is a conflict.
    #[prost(bool, tag = "3")]
    pub is_conflict: bool,
}

/// Says that something is so by being there.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct Mark {}

/// A conflict's place: its takeover, and its registration's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConflictId {
    /// The takeover.
    pub epoch: u64,
    /// The registration's number.
    pub number: u64,
}

impl ConflictId {
    /// That of a conflict.
    pub fn of(conflict: &TakeoverConflict) -> Self {
        Self {
            epoch: conflict.epoch,
            number: conflict.number,
        }
    }

    fn key(self, kind: u8) -> Vec<u8> {
        let mut key = vec![kind];
        key.extend_from_slice(&self.epoch.to_be_bytes());
        key.extend_from_slice(&self.number.to_be_bytes());
        key
    }

    fn of_key(key: &[u8]) -> Result<Self> {
        let number = |at: usize| -> Option<u64> {
            let bytes = key.get(at..at + 8)?.first_chunk::<8>()?;
            Some(u64::from_be_bytes(*bytes))
        };
        number(1)
            .zip(number(9))
            .map(|(epoch, number)| Self { epoch, number })
            .ok_or_else(|| Error::Storage("a damaged key of a takeover".into()))
    }
}

impl std::fmt::Display for ConflictId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

impl std::str::FromStr for ConflictId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("id", "is no conflict's id, such as 1-3");
        let (epoch, number) = text.split_once('-').ok_or_else(wrong)?;
        Ok(Self {
            epoch: epoch.parse().map_err(|_| wrong())?,
            number: number.parse().map_err(|_| wrong())?,
        })
    }
}

/// The records in a journal. Methods may block on the disk.
#[derive(Debug, Clone)]
pub struct Records(pub Journal);

impl Records {
    /// How the takeover stands.
    ///
    /// # Errors
    /// The store fails.
    pub fn state(&self) -> Result<State> {
        Ok(self.0.get(Topic::Takeover, STATE)?.unwrap_or_default())
    }

    /// The last registration of an identifier in a takeover.
    ///
    /// # Errors
    /// The store fails.
    pub fn merged(&self, epoch: u64, identifier: &str) -> Result<Option<Merged>> {
        self.0.get(Topic::Takeover, &merged_key(epoch, identifier))
    }

    /// A conflict.
    ///
    /// # Errors
    /// The store fails.
    pub fn conflict(&self, id: ConflictId) -> Result<Option<ConflictRow>> {
        self.0.get(Topic::Takeover, &id.key(CONFLICT))
    }

    /// Whether the national node knows how a conflict stands.
    ///
    /// # Errors
    /// The store fails.
    pub fn is_told(&self, id: ConflictId) -> Result<bool> {
        let untold: Option<Mark> = self.0.get(Topic::Takeover, &id.key(UNTOLD))?;
        Ok(untold.is_none())
    }

    /// Conflicts behind one, the oldest first, at most `limit`; only open ones, or all.
    ///
    /// # Errors
    /// The store fails.
    pub fn conflicts(
        &self,
        after: Option<ConflictId>,
        all: bool,
        limit: usize,
    ) -> Result<Vec<ConflictId>> {
        self.ids(if all { CONFLICT } else { OPEN }, after, limit)
    }

    /// Conflicts of which the national node does not know how they stand, at most `limit`.
    ///
    /// # Errors
    /// The store fails.
    pub fn untold(&self, limit: usize) -> Result<Vec<ConflictId>> {
        self.ids(UNTOLD, None, limit)
    }

    fn ids(&self, kind: u8, after: Option<ConflictId>, limit: usize) -> Result<Vec<ConflictId>> {
        let from = after.map_or_else(|| vec![kind], |id| id.key(kind));
        let until = [kind + 1];
        let range = (Bound::Excluded(&from[..]), Bound::Excluded(&until[..]));
        // What conflicts hold is of no use here: any message reads as one without fields.
        let rows: Vec<(bytes::Bytes, Mark)> = self.0.scan(Topic::Takeover, range, limit)?;
        rows.iter()
            .map(|(key, _)| ConflictId::of_key(key))
            .collect()
    }

    /// Commits how the takeover stands, with what goes with it.
    ///
    /// # Errors
    /// The store fails; nothing is committed.
    pub(super) fn commit(&self, state: &State, mut further: Vec<Entry>) -> Result<()> {
        further.push(Entry::put(Topic::Takeover, STATE, state));
        self.0.commit(&further)
    }

    /// What puts a conflict, which the national node is to be told of.
    pub(super) fn conflict_entries(conflict: &TakeoverConflict) -> Vec<Entry> {
        let id = ConflictId::of(conflict);
        let row = ConflictRow {
            conflict: conflict.clone(),
        };
        let open = match row.is_open() {
            true => Entry::put(Topic::Takeover, id.key(OPEN), &Mark {}),
            false => Entry::delete(Topic::Takeover, id.key(OPEN)),
        };
        vec![
            Entry::put(Topic::Takeover, id.key(CONFLICT), &row),
            Entry::put(Topic::Takeover, id.key(UNTOLD), &Mark {}),
            open,
        ]
    }

    /// Puts a conflict, see [`Records::conflict_entries`].
    ///
    /// # Errors
    /// The store fails.
    pub(super) fn put_conflict(&self, conflict: &TakeoverConflict) -> Result<()> {
        self.0.commit(&Self::conflict_entries(conflict))
    }

    /// The national node knows how a conflict stands: as `told` says, unless it has changed since.
    ///
    /// # Errors
    /// The store fails.
    pub(super) fn is_known(&self, told: &TakeoverConflict) -> Result<()> {
        let id = ConflictId::of(told);
        match self.conflict(id)? {
            Some(row) if row.conflict.settlement == told.settlement => self
                .0
                .commit(&[Entry::delete(Topic::Takeover, id.key(UNTOLD))]),
            _ => Ok(()),
        }
    }

    /// What puts the last registration of an identifier.
    pub(super) fn merged_entry(epoch: u64, identifier: &str, merged: &Merged) -> Entry {
        Entry::put(Topic::Takeover, merged_key(epoch, identifier), merged)
    }

    /// Forgets which identifiers were merged in takeovers before one; whether there are more.
    ///
    /// # Errors
    /// The store fails.
    pub(super) fn forget_before(&self, epoch: u64) -> Result<bool> {
        let mut until = vec![MERGED];
        until.extend_from_slice(&epoch.to_be_bytes());
        let range = (Bound::Included(&[MERGED][..]), Bound::Excluded(&until[..]));
        let rows: Vec<(bytes::Bytes, Mark)> = self.0.scan(Topic::Takeover, range, FORGET_ROWS)?;
        let entries: Vec<Entry> = rows
            .iter()
            .map(|(key, _)| Entry::delete(Topic::Takeover, key))
            .collect();
        if !entries.is_empty() {
            self.0.commit(&entries)?;
        }
        Ok(entries.len() == FORGET_ROWS)
    }
}

fn merged_key(epoch: u64, identifier: &str) -> Vec<u8> {
    // However it is spelt; what is no identifier is only ever a conflict.
    let digest = match Identifier::parse(identifier) {
        Ok(identifier) => Sha256::digest(identifier.key()),
        Err(_) => Sha256::digest(identifier),
    };
    let mut key = vec![MERGED];
    key.extend_from_slice(&epoch.to_be_bytes());
    key.extend_from_slice(&digest);
    key
}
