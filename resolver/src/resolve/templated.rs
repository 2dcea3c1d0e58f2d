//! Handles that are not registered, but that a template of their prefix makes values for: the
//! HS_NAMESPACE value of `0.NA/<prefix>` ([`idnode_proto::handle::namespace`]).
//!
//! Asked only where nothing is registered and the prefix has such a value; on the waiting way, since it
//! takes the base handle, which the disk may have to be asked for. What is computed is not kept,
//! so that it is never older than the base handle and the prefix.

use super::{Answer, Resolved, Resolver, answer_from, read_lost};
use crate::cache::CacheEntry;
use bytes::Bytes;
use idnode_proto::handle::namespace::{Computed, Namespace};
use idnode_proto::identifier::{Identifier, Scheme};
use idnode_proto::value::{ValueRef, encode_values, types};
use idnode_registry::Result;
use idnode_registry::prefix::PrefixRecord;
use idnode_registry::prefix_table::PrefixEntry;
use idnode_registry::record::Record;
use moka::sync::Cache;
use std::sync::Arc;
use tracing::{debug, warn};

/// Templates that are kept ready take about as much, bytes.
const KEPT_BYTES: u64 = 64 << 20;
/// What anything kept takes at least, bytes.
const ENTRY_BYTES: usize = 1 << 10;

/// What templates make of what is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Templates {
    /// Is an answer like others.
    Asked,
    /// Is none.
    PassedOver,
}

/// A prefix's templates as of one version of it.
#[derive(Debug)]
struct Prepared {
    version: u64,
    /// `None`: they cannot be used.
    namespace: Option<Namespace>,
}

/// Templates of prefixes, read once for each version of a prefix.
#[derive(Debug)]
pub(super) struct Namespaces {
    prepared: Cache<Bytes, Arc<Prepared>>,
}

impl Namespaces {
    pub(super) fn new() -> Self {
        let weight = |_: &Bytes, prepared: &Arc<Prepared>| {
            let namespace = prepared.namespace.as_ref();
            let weight = namespace.map_or(0, Namespace::weight) + ENTRY_BYTES;
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        let prepared = Cache::builder().max_capacity(KEPT_BYTES).weigher(weight);
        Self {
            prepared: prepared.build(),
        }
    }

    fn kept(&self, prefix: &PrefixRecord) -> Option<Arc<Prepared>> {
        let prepared = self.prepared.get(&prefix.key)?;
        (prepared.version == prefix.version).then_some(prepared)
    }

    /// Those that are kept; else prepared, once for whoever asks meanwhile, which takes as long as
    /// regular expressions take to compile.
    fn ready(&self, prefix: &PrefixRecord, data: &[u8]) -> Arc<Prepared> {
        let prepare = || {
            let namespace = Namespace::parse(data)
                .inspect_err(|error| {
                    let prefix = prefix.prefix().map(|prefix| prefix.canonical());
                    let prefix = prefix.unwrap_or_default();
                    warn!(%prefix, %error, "the templates of a prefix cannot be used");
                })
                .ok();
            Arc::new(Prepared {
                version: prefix.version,
                namespace,
            })
        };
        let is_old = |kept: &Arc<Prepared>| kept.version < prefix.version;
        let entry = self.prepared.entry_by_ref(&prefix.key);
        let ready = entry.or_insert_with_if(prepare, is_old).into_value();
        match ready.version == prefix.version {
            true => ready,
            // The prefix was changed after it was looked up here.
            false => prepare(),
        }
    }
}

/// The templates that a prefix has, as they were registered.
fn templates(prefix: &PrefixEntry) -> Option<ValueRef<'_>> {
    // Most prefixes have no values at all.
    if prefix.record.value_count == 0 {
        return None;
    }
    let mut values = prefix.record.values();
    values.find(|value| value.value_type().eq_ignore_ascii_case(types::HS_NAMESPACE))
}

impl Resolver {
    /// Whether a template may have an answer for what is not registered. Never waits; a template
    /// that is not ready may.
    pub(super) fn may_be_templated(
        &self,
        prefix: &PrefixEntry,
        identifier: &Identifier,
        entry: &CacheEntry,
    ) -> bool {
        if entry.record.is_some() || identifier.scheme() != Scheme::Handle {
            return false;
        }
        if templates(prefix).is_none() {
            return false;
        }
        let Some(prepared) = self.namespaces.kept(&prefix.record) else {
            return true;
        };
        let namespace = prepared.namespace.as_ref();
        namespace.is_some_and(|namespace| namespace.concerns(&identifier.display()))
    }

    /// What an identifier that is stored like this is answered with: not counted, which is left to
    /// where the question came. May block on the disk.
    pub(super) fn answer_here(
        &self,
        prefix: &PrefixEntry,
        identifier: &Identifier,
        entry: &CacheEntry,
    ) -> Result<Answer> {
        if self.may_be_templated(prefix, identifier, entry)
            && let Some(answer) = self.templated(prefix, identifier)?
        {
            return Ok(answer);
        }
        Ok(answer_from(prefix, entry))
    }

    /// The same on a thread that may block.
    pub(super) async fn answer_elsewhere(
        self: &Arc<Self>,
        prefix: Arc<PrefixEntry>,
        identifier: &Identifier,
        entry: Arc<CacheEntry>,
    ) -> Result<Answer> {
        let (resolver, identifier) = (self.clone(), identifier.clone());
        let answering = move || resolver.answer_here(&prefix, &identifier, &entry);
        let answer = tokio::task::spawn_blocking(answering).await;
        answer.unwrap_or_else(|_| Err(read_lost()))
    }

    /// What a template makes of an identifier that is not registered. May block on the disk.
    ///
    /// # Errors
    /// [`idnode_registry::Error::Storage`].
    fn templated(&self, prefix: &PrefixEntry, identifier: &Identifier) -> Result<Option<Answer>> {
        let Some(templates) = templates(prefix) else {
            return Ok(None);
        };
        let prepared = self.namespaces.ready(&prefix.record, templates.data());
        let handle = identifier.display();
        let namespace = prepared.namespace.as_ref();
        let Some(split) = namespace.and_then(|namespace| namespace.split(&handle)) else {
            return Ok(None);
        };
        // The base is under the same prefix: that is before the slash.
        let base = match Identifier::parse_as(Scheme::Handle, split.base) {
            Ok(base) => self.live(base.key())?,
            Err(_) => None,
        };
        let values: Option<Vec<ValueRef<'_>>> =
            base.as_ref().map(|record| record.values().collect());
        let changed_at_ms = prefix.record.updated_at_ms;
        let computed = split.compute(values.as_deref(), (changed_at_ms / 1_000) as u32);
        let values = match computed {
            Ok(Computed::Values(values)) => values,
            Ok(Computed::NotFound) => return Ok(None),
            Err(error) => {
                debug!(%handle, %error, "a template makes no values");
                return Ok(None);
            }
        };
        let record = Record {
            version: base
                .as_ref()
                .map_or(0, |base| base.version)
                .max(prefix.record.version),
            created_at_ms: base
                .as_ref()
                .map_or(prefix.record.created_at_ms, |base| base.created_at_ms),
            updated_at_ms: base
                .as_ref()
                .map_or(0, |base| base.updated_at_ms)
                .max(changed_at_ms),
            deleted: None,
            display: identifier.spelling().map(str::to_owned),
            template: None,
            value_count: values.len() as u16,
            values: encode_values(&values).into(),
        };
        let resolved = Resolved::new(Arc::new(record), prefix.record.owner());
        Ok(Some(Answer::Found(resolved)))
    }

    /// A record that is not deleted. May block on the disk.
    fn live(&self, key: &[u8]) -> Result<Option<Arc<Record>>> {
        let entry = self.lookup_blocking(key)?;
        Ok(entry.record.clone().filter(|record| record.is_live()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    const THREADS: usize = 8;

    fn prefix(version: u64) -> PrefixRecord {
        PrefixRecord {
            key: Bytes::from_static(b"88.118.8"),
            version,
            ..PrefixRecord::default()
        }
    }

    fn templates(expressions: usize) -> Vec<u8> {
        let test =
            r#"<if value="extension" test="matches" expression="([a-z]{3})+"><notfound/></if>"#;
        let all = test.repeat(expressions);
        format!(r#"<namespace><template delimiter="@">{all}</template></namespace>"#).into_bytes()
    }

    #[test]
    fn whoever_asks_at_once_waits_for_one_preparation() {
        let (namespaces, data) = (Namespaces::new(), templates(20));
        let ready = |version| {
            let together = Barrier::new(THREADS);
            thread::scope(|scope| {
                let asking = || {
                    together.wait();
                    namespaces.ready(&prefix(version), &data)
                };
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(asking)).collect();
                let all = threads.into_iter().map(|it| it.join().unwrap());
                all.collect::<Vec<_>>()
            })
        };
        for version in [1, 2] {
            let all = ready(version);
            assert!(all.iter().all(|it| Arc::ptr_eq(it, &all[0])), "{version}");
            assert_eq!(all[0].version, version);
            assert!(all[0].namespace.is_some());
        }
        // Who still has the old version gets that, and does not put the new one out.
        assert_eq!(namespaces.ready(&prefix(1), &data).version, 1);
        assert!(namespaces.kept(&prefix(2)).is_some());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (namespaces, data) = (Namespaces::new(), templates(60));
        for n in 0..20_u8 {
            let of = PrefixRecord {
                key: Bytes::from(vec![n]),
                ..prefix(1)
            };
            namespaces.ready(&of, &data);
        }
        namespaces.prepared.run_pending_tasks();
        let weight = namespaces.prepared.weighted_size();
        assert!(weight <= KEPT_BYTES, "{weight}");
        assert!(namespaces.prepared.entry_count() < 20);
    }
}
