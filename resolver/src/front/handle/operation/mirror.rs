//! Operations 1000 to 1003: what mirrors read, and backups (`proto`'s `body/mirror.rs` says what is in
//! the bodies).

use super::super::answer::{Answerer, Scratch};
use super::super::metrics::{Bound, Outcome};
use super::list::{Listing, Part};
use super::{Act, Client, write};
use crate::clock::now_ms;
use idnode_proto::handle::ResponseCode;
use idnode_proto::handle::body::mirror::{
    Dump, DumpRequest, Transactions, TransactionsRequest, encode_backup, encode_next_transaction,
    put_dumped, put_transaction,
};
use idnode_registry::read::{Mirrored, MirroredChange, MirroredRecord};
use idnode_registry::{Error, Registry, Result, Sequence};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Dumps and retrievals at once.
const MOST: usize = 4;

/// What mirrors share.
#[derive(Debug)]
pub(super) struct Mirrors {
    places: Arc<Semaphore>,
    backups: Arc<Semaphore>,
}

impl Default for Mirrors {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST)),
            backups: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Answerer {
    /// Operation 1000.
    pub(super) fn next_transaction(&self, act: &Act<'_>, scratch: &mut Scratch) -> Outcome {
        if let Err(error) = act.caller.require_known() {
            return self.registry_error(&act.to, &error, scratch);
        }
        let next = self.core.registry.applied() + 1;
        self.done(&act.to, &encode_next_transaction(next), scratch)
    }

    /// Operation 1001.
    pub(super) async fn transactions(
        &self,
        act: &Act<'_>,
        asked: &TransactionsRequest<'_>,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        let (mirrored, place) = match self.to_mirror(act, &asked.prefixes, scratch) {
            Ok(mirrored) => mirrored,
            Err(outcome) => return outcome,
        };
        let mut retrieval = Retrieval {
            mirrored,
            next: asked.from.max(1),
            // What is written from now on is for the next retrieval: this one comes to an end.
            end: self.core.registry.applied(),
            wanted: match asked.most {
                0 => usize::MAX,
                most => most as usize,
            },
        };
        let listing = Listing::new(act, move |registry| {
            let _until_its_end = &place;
            retrieval.part(registry)
        });
        self.list(listing, client, scratch).await
    }

    /// Operation 1002.
    pub(super) async fn dump(
        &self,
        act: &Act<'_>,
        asked: &DumpRequest<'_>,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        let (mirrored, place) = match self.to_mirror(act, &asked.prefixes, scratch) {
            Ok(mirrored) => mirrored,
            Err(outcome) => return outcome,
        };
        // Before the first page is read, which has at least what was applied by now.
        let head = Dump::head(self.core.registry.applied());
        let mut after = Vec::new();
        let listing = Listing::new(act, move |registry| {
            let _until_its_end = &place;
            let (records, reached) = registry.mirror_page(&mirrored, &after)?;
            let last = reached.is_none();
            after = reached.unwrap_or_default().into();
            Ok(Part {
                head: head.clone(),
                items: records.iter().map(dumped).collect(),
                last,
            })
        });
        self.list(listing, client, scratch).await
    }

    /// What is mirrored, and a place among those who mirror.
    fn to_mirror(
        &self,
        act: &Act<'_>,
        prefixes: &[&str],
        scratch: &mut Scratch,
    ) -> std::result::Result<(Mirrored, OwnedSemaphorePermit), Outcome> {
        let prefixes: Result<_> = prefixes.iter().map(|it| write::prefix(it)).collect();
        let prefixes = match prefixes {
            Ok(prefixes) => prefixes,
            Err(error) => return Err(self.registry_error(&act.to, &error, scratch)),
        };
        let caller = act.caller.clone();
        let Ok(place) = self.operations.mirrors.places.clone().try_acquire_owned() else {
            self.metrics.bound(Bound::Mirrors);
            let text = "as many mirrors read as may at once";
            self.error(&act.to, ResponseCode::BUSY, text, scratch);
            return Err(Outcome::Busy);
        };
        Ok((Mirrored { caller, prefixes }, place))
    }

    /// Operation 1003.
    pub(super) async fn back_up(&self, act: &Act<'_>, scratch: &mut Scratch) -> Outcome {
        if let Err(error) = act.caller.require_operator("a backup") {
            return self.registry_error(&act.to, &error, scratch);
        }
        let Ok(one) = self.operations.mirrors.backups.clone().try_acquire_owned() else {
            let text = "a backup is being made";
            self.error(&act.to, ResponseCode::BACKUP, text, scratch);
            return Outcome::Busy;
        };
        let name = format!("{}-{}", now_ms(), self.core.registry.applied());
        let made = made(self.core.registry.clone(), self.backups.clone(), name, one);
        // Who no longer waits for it does not end it.
        match tokio::task::spawn_blocking(made).await {
            Ok(Ok((number, name))) => self.done(&act.to, &encode_backup(number, &name), scratch),
            Ok(Err(error)) => self.registry_error(&act.to, &error, scratch),
            Err(error) => self.failed(&act.to, &error.to_string(), scratch),
        }
    }
}

fn made(
    registry: Arc<Registry>,
    dir: PathBuf,
    name: String,
    one: OwnedSemaphorePermit,
) -> impl FnOnce() -> Result<(Sequence, String)> {
    move || {
        let _until_it_is_done = one;
        Ok((registry.back_up(&dir, &name)?, name))
    }
}

/// Transactions on their way to a mirror.
struct Retrieval {
    mirrored: Mirrored,
    /// Where it goes on.
    next: Sequence,
    /// The last one of it.
    end: Sequence,
    /// How many are still enough.
    wanted: usize,
}

impl Retrieval {
    fn part(&mut self, registry: &Registry) -> Result<Part> {
        let oldest = registry.oldest()?;
        if self.next < oldest {
            // Nobody gets to know less than the mirrored may, and no more.
            return match registry.mirror_log(&self.mirrored, oldest) {
                Ok(_) | Err(Error::Bound { .. }) => Ok(self.read(oldest, &[], true)),
                Err(error) => Err(error),
            };
        }
        let (mut changes, reached) = match registry.mirror_log(&self.mirrored, self.next) {
            Ok(page) => page,
            // Forgotten since it was looked at.
            Err(Error::Bound { .. }) => {
                return Ok(self.read(registry.oldest()?, &[], true));
            }
            Err(error) => return Err(error),
        };
        changes.retain(|it| it.sequence <= self.end);
        let enough = changes.get(self.wanted.saturating_sub(1));
        let enough = enough.map(|it| it.sequence);
        if let Some(enough) = enough {
            changes.retain(|it| it.sequence <= enough);
        }
        self.wanted = self.wanted.saturating_sub(changes.len());
        let behind = self.end + 1;
        self.next = match (enough, reached) {
            (Some(enough), _) => enough + 1,
            (None, Some(reached)) => reached.min(behind).max(self.next),
            (None, None) => self.next.max(behind),
        };
        let last = enough.is_some() || self.next >= behind;
        Ok(self.read(oldest, &changes, last))
    }

    fn read(&self, oldest: Sequence, changes: &[MirroredChange], last: bool) -> Part {
        Part {
            head: Transactions::head(oldest, self.next),
            items: changes.iter().map(transaction).collect(),
            last,
        }
    }
}

fn dumped(record: &MirroredRecord) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.values.len() + 64);
    let handle = record.identifier.display();
    put_dumped(&mut out, &handle, record.count, &record.values);
    out
}

fn transaction(change: &MirroredChange) -> Vec<u8> {
    let record = &change.record;
    let mut out = Vec::with_capacity(record.values.len() + 96);
    put_transaction(
        &mut out,
        change.sequence,
        change.at_ms,
        change.action,
        &record.identifier.display(),
        record.count,
        &record.values,
    );
    out
}
