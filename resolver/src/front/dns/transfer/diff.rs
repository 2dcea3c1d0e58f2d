//! What of a zone has changed since a place in the log: the identifiers and prefixes that
//! entries since then tell of, as they were then and as they are now. Entries in between are
//! condensed (RFC 1995 §5).
//!
//! As it was then, an identifier has the record that the first of these entries replaced.
//! Where the log does not tell that, or so much has changed that the whole zone is the shorter
//! answer, there is no difference to be had.

use super::chain::Chain;
use super::contents::{Contents, Named, Thing};
use super::emit::Emitter;
use super::pack::PackError;
use super::walk::{TransferError, identifier_of, shares_name};
use bytes::Bytes;
use hickory_proto::rr::{Record, RecordType};
use idnode_proto::dnsname::ZoneKind;
use idnode_proto::identifier::{Prefix, Scheme};
use idnode_registry::change::{Change, IdentifierChange, LogEntry, PrefixChange};
use idnode_registry::prefix::{PrefixRecord, PrefixState};
use idnode_registry::read::Moment;
use idnode_registry::{Error, Result, Sequence};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// However large the zone, no difference has more things than this.
const MAX_THINGS: usize = 200_000;
/// Nor more bytes of their keys.
const MAX_KEY_BYTES: usize = 32 << 20;
/// However small the zone, a difference may have so many things.
const MIN_THINGS: usize = 1_000;
/// Prefixes remembered while a difference is made.
const REMEMBERED_PREFIXES: usize = 1_024;

/// Why the whole zone is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// Entries are no longer kept, or do not tell what they replaced.
    Forgotten,
    /// Too much has changed.
    TooMuch,
}

/// The record of a changed identifier as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// There was none.
    Nothing,
    /// That of a version.
    Version(Sequence),
    /// As it is now.
    Same,
}

/// What has changed, by key.
#[derive(Debug)]
pub(super) struct Difference {
    /// Identifiers, and prefixes that share their names, in the order of keys.
    identifiers: Vec<(Bytes, Before)>,
    /// Prefixes with names of their own.
    prefixes: Vec<Bytes>,
    /// Prefixes as they were; `None`: not registered.
    prefixes_before: BTreeMap<Bytes, Option<Arc<PrefixRecord>>>,
}

/// Finds what has changed in a zone since an entry.
pub(super) fn since(
    moment: &Moment<'_>,
    contents: &Contents<'_>,
    zone: ZoneKind,
    from: Sequence,
) -> Result<std::result::Result<Difference, Whole>> {
    let live = usize::try_from(moment.live_identifiers()?).unwrap_or(usize::MAX);
    let mut collected = Collected {
        range: contents.keys(),
        most: (live / 2).clamp(MIN_THINGS, MAX_THINGS),
        identifiers: Vec::new(),
        key_bytes: 0,
        prefixes: BTreeMap::new(),
    };
    // Reading more entries than there are names costs more than the zone.
    let most_entries = live.max(100 * MIN_THINGS) as u64;
    if moment.sequence() - from > most_entries {
        return Ok(Err(Whole::TooMuch));
    }
    let mut next = from + 1;
    loop {
        let entries = match moment.entries(next) {
            Ok(entries) => entries,
            Err(Error::Bound { .. }) => return Ok(Err(Whole::Forgotten)),
            Err(error) => return Err(error),
        };
        next += entries.len() as u64;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            if let Err(whole) = collected.take(entry) {
                return Ok(Err(whole));
            }
        }
    }
    collected.finish(moment, zone)
}

/// What the log tells.
struct Collected {
    range: (Vec<u8>, Option<Vec<u8>>),
    most: usize,
    identifiers: Vec<(Bytes, Before)>,
    key_bytes: usize,
    prefixes: BTreeMap<Bytes, Option<PrefixRecord>>,
}

impl Collected {
    fn is_inside(&self, key: &[u8]) -> bool {
        let (start, end) = &self.range;
        key >= &start[..] && end.as_ref().is_none_or(|end| key < &end[..])
    }

    fn take(&mut self, entry: LogEntry) -> std::result::Result<(), Whole> {
        match entry.change {
            Some(Change::Identifiers(changes)) => {
                for item in changes.items {
                    self.take_identifier(item)?;
                }
            }
            Some(Change::Prefix(change)) => self.take_prefix(change)?,
            _ => {}
        }
        Ok(())
    }

    fn take_identifier(&mut self, item: IdentifierChange) -> std::result::Result<(), Whole> {
        if !self.is_inside(&item.key) {
            return Ok(());
        }
        let before = match item.replaced {
            None => return Err(Whole::Forgotten),
            Some(0) => Before::Nothing,
            Some(version) => Before::Version(version),
        };
        self.add(item.key, before)
    }

    fn add(&mut self, key: Bytes, before: Before) -> std::result::Result<(), Whole> {
        self.key_bytes += key.len();
        self.identifiers.push((key, before));
        if self.identifiers.len() <= 2 * self.most && self.key_bytes <= MAX_KEY_BYTES {
            return Ok(());
        }
        // What changes again and again is one thing.
        self.condense();
        if self.identifiers.len() > self.most || self.key_bytes > MAX_KEY_BYTES / 2 {
            return Err(Whole::TooMuch);
        }
        Ok(())
    }

    /// Leaves of each identifier the first change, in the order of keys.
    fn condense(&mut self) {
        self.identifiers.sort_by(|a, b| a.0.cmp(&b.0));
        self.identifiers.dedup_by(|later, first| later.0 == first.0);
        self.key_bytes = self.identifiers.iter().map(|(key, _)| key.len()).sum();
    }

    fn take_prefix(&mut self, change: PrefixChange) -> std::result::Result<(), Whole> {
        let key = change.record.key.clone();
        if !self.is_inside(&key) || self.prefixes.contains_key(&key) {
            return Ok(());
        }
        let before = match change.replaced {
            Some(before) => Some(before),
            // What is applied for was not registered, or refused.
            None if change.record.state() == PrefixState::PendingReview => None,
            None => return Err(Whole::Forgotten),
        };
        self.prefixes.insert(key, before);
        Ok(())
    }

    fn finish(
        mut self,
        moment: &Moment<'_>,
        zone: ZoneKind,
    ) -> Result<std::result::Result<Difference, Whole>> {
        self.condense();
        if self.identifiers.len() > self.most {
            return Ok(Err(Whole::TooMuch));
        }
        for (key, before) in &self.identifiers {
            if let Before::Version(version) = before
                && moment.replaced(key, *version)?.is_none()
            {
                return Ok(Err(Whole::Forgotten));
            }
        }
        let mut changed = Vec::new();
        for (key, before) in std::mem::take(&mut self.prefixes) {
            let now = moment.prefix(&key)?;
            let shown = [
                before.as_ref().and_then(shown),
                now.as_ref().and_then(shown),
            ];
            // While the identifiers are in order, and none but those that changed themselves.
            if zone == ZoneKind::Node && self.cuts_keys(&key, &shown)? {
                return Ok(Err(Whole::TooMuch));
            }
            if shown[0] != shown[1] {
                changed.push((key, before));
            }
        }
        let (mut prefixes, mut prefixes_before) = (Vec::new(), BTreeMap::new());
        for (key, before) in changed {
            if let Err(whole) = self.add_all_below(moment, &key, &mut prefixes)? {
                return Ok(Err(whole));
            }
            prefixes_before.insert(key, before.map(Arc::new));
        }
        self.condense();
        prefixes.sort();
        prefixes.dedup();
        if self.identifiers.len() + prefixes.len() > self.most {
            return Ok(Err(Whole::TooMuch));
        }
        Ok(Ok(Difference {
            identifiers: self.identifiers,
            prefixes,
            prefixes_before,
        }))
    }

    /// Whether a GS1 prefix is or was cut off key by key while keys of it changed: identifiers
    /// of one key share its cut, so that a change of one does not tell what becomes of it.
    fn cuts_keys(&self, key: &[u8], shown: &[Option<Shown<'_>>]) -> Result<bool> {
        let prefix = prefix_of(key)?;
        let is_cut = |shown: &Option<Shown<'_>>| {
            shown.as_ref().is_some_and(|shown| {
                shown
                    .delegation
                    .is_some_and(|delegation| !delegation.name_servers.is_empty())
            })
        };
        if prefix.scheme() != Scheme::Gs1 || !shown.iter().any(is_cut) {
            return Ok(false);
        }
        let (start, end) = prefix.key_range();
        let begin = self.identifiers.partition_point(|(key, _)| **key < *start);
        let next = self.identifiers.get(begin);
        Ok(next.is_some_and(|(key, _)| **key < *end))
    }

    /// All that a prefix may decide about: it answers otherwise than before.
    fn add_all_below(
        &mut self,
        moment: &Moment<'_>,
        key: &Bytes,
        prefixes: &mut Vec<Bytes>,
    ) -> Result<std::result::Result<(), Whole>> {
        let prefix = prefix_of(key)?;
        if let Err(whole) = self.add_prefix(key, prefixes) {
            return Ok(Err(whole));
        }
        let (start, end) = prefix.key_range();
        for below in moment.identifier_keys(&start, Some(&end))? {
            // The first change of one that changed itself is before it, and stays.
            if let Err(whole) = self.add(below?, Before::Same) {
                return Ok(Err(whole));
            }
        }
        for below in moment.prefixes(&start, Some(&end))? {
            if let Err(whole) = self.add_prefix(&below?.key, prefixes) {
                return Ok(Err(whole));
            }
        }
        Ok(Ok(()))
    }

    /// A prefix with names of its own, or the identifier whose name it shares.
    fn add_prefix(
        &mut self,
        key: &Bytes,
        prefixes: &mut Vec<Bytes>,
    ) -> std::result::Result<(), Whole> {
        if shares_name(key) {
            return self.add([&key[..], &[0]].concat().into(), Before::Same);
        }
        prefixes.push(key.clone());
        if prefixes.len() > self.most {
            return Err(Whole::TooMuch);
        }
        Ok(())
    }
}

fn prefix_of(key: &[u8]) -> Result<Prefix> {
    Prefix::from_key(key).map_err(|error| Error::Storage(error.to_string()))
}

/// What names show of a prefix.
#[derive(Debug, PartialEq)]
struct Shown<'a> {
    delegation: Option<&'a idnode_registry::prefix::Delegation>,
}

fn shown(record: &PrefixRecord) -> Option<Shown<'_>> {
    record.is_active().then_some(Shown {
        delegation: record.delegation.as_ref(),
    })
}

/// Prefixes that have been looked up, by key.
type Remembered = HashMap<Box<[u8]>, Option<Arc<PrefixRecord>>>;

/// A difference between the zone then and now, to be told.
pub(super) struct Teller<'a> {
    moment: &'a Moment<'a>,
    contents: &'a Contents<'a>,
    difference: &'a Difference,
    remembered: RefCell<Remembered>,
}

/// Which half of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Deleted,
    Added,
}

impl<'a> Teller<'a> {
    pub(super) fn new(
        moment: &'a Moment<'a>,
        contents: &'a Contents<'a>,
        difference: &'a Difference,
    ) -> Self {
        Self {
            moment,
            contents,
            difference,
            remembered: RefCell::default(),
        }
    }

    /// Hands on the records of one half.
    pub(super) fn tell(
        &self,
        half: Half,
        mut add: impl FnMut(&Record) -> std::result::Result<(), PackError>,
    ) -> std::result::Result<(), TransferError> {
        let (mut then, mut now) = (Emitter::default(), Emitter::default());
        let difference = self.difference;
        let mut one = |before: Thing, after: Thing| {
            let before = then.records(self.contents, &before);
            let after = now.records(self.contents, &after);
            let (told, other) = match half {
                Half::Deleted => (before, after),
                Half::Added => (after, before),
            };
            let other = Lookup::new(other);
            told.iter()
                .filter(|record| !other.has(record))
                .try_for_each(&mut add)
        };
        for (key, before) in &difference.identifiers {
            one(
                self.identifier_then(key, *before)?,
                self.identifier_now(key)?,
            )?;
        }
        for key in &difference.prefixes {
            one(
                self.prefix_thing(key, true)?,
                self.prefix_thing(key, false)?,
            )?;
        }
        Ok(())
    }

    fn identifier_now(&self, key: &[u8]) -> Result<Thing> {
        let record = self.moment.identifier(key)?;
        self.identifier_thing(key, record, false)
    }

    fn identifier_then(&self, key: &[u8], before: Before) -> Result<Thing> {
        let record = match before {
            Before::Nothing => None,
            Before::Same => self.moment.identifier(key)?,
            Before::Version(version) => self.moment.replaced(key, version)?,
        };
        self.identifier_thing(key, record, true)
    }

    fn identifier_thing(
        &self,
        key: &[u8],
        record: Option<idnode_registry::record::Record>,
        then: bool,
    ) -> Result<Thing> {
        let identifier = identifier_of(key)?;
        let chain = Chain::of(&identifier, &mut |key| self.prefix(key, then))?;
        Ok(Thing {
            subject: Named::Identifier(identifier),
            record: record.filter(|record| record.is_live()).map(Arc::new),
            chain,
        })
    }

    fn prefix_thing(&self, key: &[u8], then: bool) -> Result<Thing> {
        let prefix = prefix_of(key)?;
        let chain = Chain::of_prefix(&prefix, &mut |key| self.prefix(key, then))?;
        Ok(Thing {
            subject: Named::Prefix(prefix),
            record: None,
            chain,
        })
    }

    fn prefix(&self, key: &[u8], then: bool) -> Result<Option<Arc<PrefixRecord>>> {
        if then && let Some(before) = self.difference.prefixes_before.get(key) {
            return Ok(before.clone());
        }
        if let Some(known) = self.remembered.borrow().get(key) {
            return Ok(known.clone());
        }
        let found = self.moment.prefix(key)?.map(Arc::new);
        let mut remembered = self.remembered.borrow_mut();
        if remembered.len() >= REMEMBERED_PREFIXES {
            remembered.clear();
        }
        remembered.insert(key.into(), found.clone());
        Ok(found)
    }
}

/// Records, to be found by owner, type, TTL and data.
enum Lookup<'a> {
    Few(&'a [Record]),
    Many(HashMap<(RecordType, &'a hickory_proto::rr::RData), Vec<&'a Record>>),
}

impl<'a> Lookup<'a> {
    fn new(records: &'a [Record]) -> Self {
        const FEW: usize = 16;
        if records.len() <= FEW {
            return Self::Few(records);
        }
        let mut many: HashMap<_, Vec<&Record>> = HashMap::with_capacity(records.len());
        for record in records {
            let place = (record.record_type(), &record.data);
            many.entry(place).or_default().push(record);
        }
        Self::Many(many)
    }

    fn has(&self, record: &Record) -> bool {
        // Records are equal by name, type and data; TTLs count, too.
        let same = |other: &Record| other == record && other.ttl == record.ttl;
        match self {
            Self::Few(records) => records.iter().any(same),
            Self::Many(many) => many
                .get(&(record.record_type(), &record.data))
                .is_some_and(|records| records.iter().any(|other| same(other))),
        }
    }
}
