//! Makes a deposit: one snapshot of the registry, from which nobody is kept waiting.

use super::entry::{Deposit, Status};
use super::events::Events;
use super::spool::Spool;
use super::state::each_owned;
use super::{convert, directory_name};
use crate::prefix::PrefixRecord;
use crate::read::Moment;
use crate::record::Record;
use crate::registry::Registry;
use bytes::Bytes;
use idnode_proto::calendar::civil;
use idnode_proto::escrow::EscrowError;
use idnode_proto::escrow::deposit::{Counts, Head, Kind, Summary};
use idnode_proto::escrow::listing::{BesideDigest, Listing};
use idnode_proto::escrow::object::{Deletion, Object};
use idnode_proto::escrow::package::{PackOptions, Packer};
use idnode_proto::escrow::part::PartSink;
use idnode_proto::identifier::Prefix;
use idnode_proto::trust::PrivateKey;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

/// Why a deposit was not made, or not taken in again.
#[derive(Debug, Error)]
pub enum MakeError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] crate::Error),
    /// The deposit.
    #[error(transparent)]
    Escrow(#[from] EscrowError),
    /// The files.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The task that made it ended without a result.
    #[error("the task ended without a result")]
    Ended,
}

/// Who makes deposits, and for whom.
#[derive(Debug)]
pub(super) struct Maker {
    pub node: String,
    pub pack: PackOptions,
    pub signer: PrivateKey,
    pub spool: Spool,
    /// Set when the node stops: what is being made is given up.
    pub stopping: AtomicBool,
}

impl Maker {
    /// Makes the deposit that an entry of the log begins; the entry as it then is. `events` has
    /// what the log tells since the entry's [`Deposit::since`], or is made to. Blocks.
    pub fn make(
        &self,
        registry: &Registry,
        prefix: &Prefix,
        mut entry: Deposit,
        events: &mut Events,
        now_ms: u64,
    ) -> Result<Deposit, MakeError> {
        let moment = registry.moment()?;
        let record = moment.prefix(prefix.key())?;
        let deleted = match (entry.full, &record) {
            (false, Some(_)) => {
                events.read_to(&moment)?;
                events.of(prefix, entry.since)
            }
            _ => Some(Vec::new()),
        };
        // It has changed since the entry was begun, or a DIFF could not tell how.
        entry.closes = record.is_none();
        if deleted.is_none() {
            entry = Deposit {
                full: true,
                since: 0,
                after_full: 0,
                ..entry
            };
        }
        entry.revision = moment.sequence();
        entry.watermark_ms = now_ms;
        entry.id = deposit_id(&entry);
        let dir = directory_name(prefix);
        let making = self.spool.begin(&dir, &entry.id)?;
        let mut packer = Packer::new(making.parts(), self.head(prefix, &entry), &self.pack)?;
        let summary = match &record {
            // It is gone: a DIFF deletes it, a FULL one has nothing in it.
            None => {
                if !entry.full {
                    let gone = Deletion::Prefix(prefix.canonical());
                    packer.document().delete(&gone)?;
                }
                Summary::default()
            }
            Some(record) => {
                for name in deleted.into_iter().flatten() {
                    packer
                        .document()
                        .delete(&Deletion::Template(name.to_owned()))?;
                }
                self.write_state(&mut packer, &moment, record, &mut entry)?
            }
        };
        entry.listing.clone_from(&summary.listing);
        let (_, manifest) = packer.finish(summary)?;
        making.finish(&manifest.sign(&self.signer)?)?;
        entry.parts = manifest.parts.len() as u32;
        entry.bytes = manifest.bytes();
        entry.set_status(Status::Sending);
        (entry.attempts, entry.next_try_ms) = (0, 0);
        entry.reason.clear();
        Ok(entry)
    }

    fn head(&self, prefix: &Prefix, entry: &Deposit) -> Head {
        Head {
            id: entry.id.clone(),
            prev_id: Some(entry.prev_id.clone()).filter(|id| !id.is_empty()),
            kind: if entry.full { Kind::Full } else { Kind::Diff },
            watermark_ms: entry.watermark_ms,
            node: self.node.clone(),
            prefix: prefix.canonical(),
            revision: entry.revision,
            since: (!entry.full).then_some(entry.since),
        }
    }

    /// Writes the objects of a deposit; what they lead to.
    fn write_state<S: PartSink>(
        &self,
        packer: &mut Packer<S>,
        moment: &Moment<'_>,
        record: &PrefixRecord,
        entry: &mut Deposit,
    ) -> Result<Summary, MakeError> {
        let prefix = convert::prefix(record)?;
        let mut listing = Listing::of(&prefix);
        let since = entry.since;
        let document = packer.document();
        document.put(&Object::Prefix(prefix))?;
        let mut beside = BesideDigest::default();
        if let Some(enterprise) = moment.enterprise(record.owner())? {
            document.put_element(beside.enterprise(&convert::enterprise(enterprise)))?;
        }
        for template in moment.templates()? {
            let template = template?;
            if template
                .enterprise
                .is_some_and(|id| id != record.enterprise)
            {
                continue;
            }
            let is_new = template.version > since;
            let element = beside.template(&convert::template(template));
            if is_new {
                document.put_element(element)?;
            }
        }
        let mut identifiers = 0;
        let add = |key: Bytes, record: Record| -> Result<(), MakeError> {
            if self.stopping.load(Ordering::Relaxed) {
                return Err(MakeError::Ended);
            }
            let is_new = record.version > since;
            let element = listing.add(&convert::identifier(&key, record)?);
            if is_new {
                identifiers += 1;
                document.put_element(element)?;
            }
            Ok(())
        };
        each_owned(moment, &record.prefix()?, add)?;
        entry.identifiers = identifiers;
        let counters = moment.counters(&record.key)?;
        Ok(Summary {
            listed: listing.listed(),
            listing: listing.finish(),
            beside: Some(beside.finish()),
            counts: Counts {
                creations: counters.creations,
                updates: counters.updates,
                deletions: counters.deletions,
                last_change_ms: counters.last_change_ms,
            },
            ..Summary::default()
        })
    }
}

/// The id of a deposit: the day as YYMMDD, F or D, the last four base-36 digits of its revision,
/// and two of its order among the prefix's deposits of that day.
pub(super) fn deposit_id(entry: &Deposit) -> String {
    let (year, month, day) = civil(entry.day);
    let kind = if entry.full { 'F' } else { 'D' };
    format!(
        "{:02}{month:02}{day:02}{kind}{}{}",
        year % 100,
        base36(entry.revision, 4),
        base36(entry.order.into(), 2)
    )
}

/// The last digits of a number, to base 36.
fn base36(mut number: u64, digits: usize) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut text = vec![b'0'; digits];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS.get((number % 36) as usize).copied().unwrap_or(b'0');
        number /= 36;
    }
    text.iter().map(|byte| char::from(*byte)).collect()
}
