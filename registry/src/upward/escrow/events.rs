//! What the change log tells that identifiers' own versions do not: prefixes that came or went,
//! templates that were deleted. One pass over the log serves all prefixes of a run.

use crate::change::Change;
use crate::read::Moment;
use crate::{Error, Result, Sequence};
use bytes::Bytes;
use idnode_proto::identifier::Prefix;

/// Most events held; with more of them deposits are FULL.
const MAX_EVENTS: usize = 100_000;

enum Event {
    /// A prefix was registered or removed.
    Prefix(Bytes),
    /// A template was deleted.
    Template(String),
}

/// Events of a stretch of the log.
#[derive(Default)]
pub(super) struct Events {
    /// The first entry that was read.
    from: Sequence,
    /// The last one.
    upto: Sequence,
    events: Vec<(Sequence, Event)>,
    too_many: bool,
}

impl Events {
    /// From behind an entry on; nothing is read yet.
    pub fn after(since: Sequence) -> Self {
        Self {
            from: since + 1,
            upto: since,
            ..Self::default()
        }
    }

    /// Reads on, to the end of what a moment shows. What is no longer kept is passed over.
    pub fn read_to(&mut self, moment: &Moment<'_>) -> Result<()> {
        while self.upto < moment.sequence() {
            let entries = match moment.entries(self.upto + 1) {
                Ok(entries) => entries,
                Err(Error::Bound { limit: oldest, .. }) if oldest > self.from => {
                    self.from = oldest;
                    self.upto = oldest - 1;
                    self.events.clear();
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(last) = entries.last() else {
                return Ok(());
            };
            self.upto = last.sequence;
            for entry in entries {
                let event = match entry.change {
                    Some(Change::Prefix(change)) if change.removed || change.replaced.is_none() => {
                        Event::Prefix(change.record.key)
                    }
                    Some(Change::Template(change)) if change.deleted => {
                        Event::Template(change.template.name)
                    }
                    _ => continue,
                };
                self.too_many |= self.events.len() >= MAX_EVENTS;
                if !self.too_many {
                    self.events.push((entry.sequence, event));
                }
            }
        }
        Ok(())
    }

    /// Templates deleted since; `None`: a DIFF cannot tell what has happened to the prefix, since
    /// the log is not kept that far, or because what it owns changed hands: it or a prefix within
    /// it was registered or removed.
    pub fn of(&self, prefix: &Prefix, since: Sequence) -> Option<Vec<&str>> {
        if self.too_many || since + 1 < self.from {
            return None;
        }
        let (start, end) = prefix.key_range();
        let mut deleted = Vec::new();
        for (_, event) in self.events.iter().filter(|(sequence, _)| *sequence > since) {
            match event {
                Event::Prefix(key) => {
                    if key == prefix.key() || (**key >= *start && **key < *end) {
                        return None;
                    }
                }
                Event::Template(name) => deleted.push(name.as_str()),
            }
        }
        deleted.sort_unstable();
        deleted.dedup();
        Some(deleted)
    }
}
