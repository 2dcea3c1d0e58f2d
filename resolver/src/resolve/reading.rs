//! Records, from memory or the disk: read once for however many ask at a time.

use super::Resolver;
use crate::cache::CacheEntry;
use idnode_proto::identifier::Identifier;
use idnode_registry::{Error, Result};
use std::sync::Arc;
use tokio::sync::watch;

type Read = std::result::Result<Arc<CacheEntry>, Error>;
/// Where those who wait for a read get it.
pub(super) type ReadUnderWay = watch::Receiver<Option<Read>>;

impl Resolver {
    /// What is stored under each of several identifiers, read in one go: at less cost for each
    /// than one after the other. May block on the disk.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn read_many(&self, identifiers: &[&Identifier]) -> Result<Vec<Arc<CacheEntry>>> {
        self.odds.handed_over(identifiers.len());
        let keys: Vec<&[u8]> = identifiers.iter().map(|it| it.key()).collect();
        let (read_at, records) = self.registry.read_many(&keys)?;
        self.misses.increment(keys.len() as u64);
        let entries = keys.into_iter().zip(records).map(|(key, record)| {
            let record = record.map(Arc::new);
            let entry = Arc::new(CacheEntry { read_at, record });
            self.cache.fill(key, &entry);
            entry
        });
        Ok(entries.collect())
    }

    /// The version of an identifier's record as those who ask are answered from it, by the node's
    /// own probe: it is not counted. `None`: there is none.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn probe(self: &Arc<Self>, identifier: &Identifier) -> Result<Option<u64>> {
        let key = identifier.key();
        let entry = match self.lookup_in_memory(key)? {
            Some(entry) => entry,
            None => self.read_from_disk(key).await?,
        };
        let record = entry.record.as_ref().filter(|it| it.deleted.is_none());
        Ok(record.map(|record| record.version))
    }

    /// What memory knows of a key. What it does not know is a miss of whoever reads it.
    pub(super) fn lookup_in_memory(&self, key: &[u8]) -> Result<Option<Arc<CacheEntry>>> {
        if let Some(entry) = self.cache.get(key) {
            self.hits.increment(1);
            return Ok(Some(entry));
        }
        if !self.odds.worth_asking() {
            return Ok(None);
        }
        let found = self.registry.read_in_memory(key)?;
        self.odds.learn(found.is_some());
        let Some((read_at, record)) = found else {
            return Ok(None);
        };
        self.misses.increment(1);
        let entry = Arc::new(CacheEntry {
            read_at,
            record: record.map(Arc::new),
        });
        self.cache.fill(key, &entry);
        Ok(Some(entry))
    }

    /// What a key has, read on this thread if the cache does not know. May block on the disk.
    pub(super) fn lookup_blocking(&self, key: &[u8]) -> Result<Arc<CacheEntry>> {
        if let Some(entry) = self.cache.get(key) {
            self.hits.increment(1);
            return Ok(entry);
        }
        self.misses.increment(1);
        self.read(key)
    }

    /// Reads a key from the disk; those who ask for the same key meanwhile share the read.
    pub(super) async fn read_from_disk(self: &Arc<Self>, key: &[u8]) -> Result<Arc<CacheEntry>> {
        self.misses.increment(1);
        let shared = wait(self.join_read(key)).await?;
        if self.cache.is_current(key, &shared) {
            return Ok(shared);
        }
        // A write was acknowledged after the shared read had begun, perhaps before this
        // question was asked: only a read that begins now may answer it.
        wait(self.start_read(key.into())).await
    }

    fn join_read(self: &Arc<Self>, key: &[u8]) -> ReadUnderWay {
        let mut reads = self.reads.lock();
        if let Some(under_way) = reads.get(key) {
            return under_way.clone();
        }
        let result = self.start_read(key.into());
        reads.insert(key.into(), result.clone());
        result
    }

    /// Begins a read as a task of its own: it ends for the others even if its first caller
    /// goes away.
    fn start_read(self: &Arc<Self>, key: Box<[u8]>) -> ReadUnderWay {
        let (done, result) = watch::channel(None);
        let resolver = self.clone();
        tokio::task::spawn_blocking(move || {
            let read = resolver.read(&key);
            resolver.reads.lock().remove(&key);
            done.send_replace(Some(read));
        });
        result
    }

    /// Reads a key and keeps what it found. May block on the disk.
    fn read(&self, key: &[u8]) -> Result<Arc<CacheEntry>> {
        self.odds.handed_over(1);
        let (read_at, record) = self.registry.read(key)?;
        let entry = Arc::new(CacheEntry {
            read_at,
            record: record.map(Arc::new),
        });
        self.cache.fill(key, &entry);
        Ok(entry)
    }
}

async fn wait(mut result: ReadUnderWay) -> Result<Arc<CacheEntry>> {
    match result.wait_for(Option::is_some).await {
        Ok(read) => read.clone().unwrap_or_else(|| Err(read_lost())),
        Err(_) => Err(read_lost()),
    }
}

pub(super) fn read_lost() -> Error {
    Error::Storage("the read was lost".into())
}
