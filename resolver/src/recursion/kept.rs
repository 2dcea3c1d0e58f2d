//! What other services have answered, kept as long as they said.

use super::exchange::Server;
use crate::resolve::{Answer, Missing, Resolved};
use idnode_proto::value::{Value, encode_values};
use idnode_registry::enterprise::EnterpriseId;
use idnode_registry::record::Record;
use moka::Expiry;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An answer is kept no longer, whatever its values say, seconds.
const MAX_TTL_S: u32 = 86_400;
/// Bounds of the time that servers are kept, whatever the referral says, seconds.
const SERVERS_TTL_S: std::ops::RangeInclusive<u32> = 1..=MAX_TTL_S;
/// How long it is kept that a handle is not registered, seconds.
const NEGATIVE_TTL_S: u32 = 30;
/// Servers kept of one prefix.
pub(super) const MAX_SERVERS: usize = 8;
/// Prefixes whose servers are kept, and services.
const MAX_PREFIXES: u64 = 65_536;
/// What an entry takes beside its values, about, bytes.
const ENTRY_BYTES: usize = 500;

/// What another service said of a handle.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) answer: Answer,
    /// Where the question started that it answers.
    origin: u64,
    /// Of what is not registered, how it was spelled: who takes other spellings of an identifier
    /// for other handles may have it under one of them.
    spelling: Option<Box<str>>,
    weight: usize,
    lasts: Duration,
}

impl Remote {
    /// Its values; those that strangers may read, since nothing else was asked for.
    pub(super) fn values(values: &[Value], now_s: u64) -> Self {
        let ttl_s = values.iter().map(|value| value.ttl.remaining_s(now_s));
        let lasts_s = ttl_s.min().unwrap_or(NEGATIVE_TTL_S);
        let record = Record {
            version: 0,
            created_at_ms: 0,
            updated_at_ms: now_s * 1_000,
            deleted: None,
            display: None,
            template: None,
            value_count: u16::try_from(values.len()).unwrap_or(u16::MAX),
            values: encode_values(values).into(),
        };
        let weight = record.weight();
        // No enterprise of this node has it.
        let resolved = Resolved::new(Arc::new(record), EnterpriseId(0));
        Self::new(Answer::Found(resolved), weight, lasts_s)
    }

    /// It is not registered under this spelling.
    pub(super) fn missing(spelling: &str) -> Self {
        let answer = Answer::Missing(Missing::Identifier);
        Self {
            spelling: Some(spelling.into()),
            ..Self::new(answer, spelling.len(), NEGATIVE_TTL_S)
        }
    }

    /// The same as the answer to a question that started there.
    pub(super) fn from(self, origin: u64) -> Self {
        Self { origin, ..self }
    }

    fn new(answer: Answer, weight: usize, lasts_s: u32) -> Self {
        let lasts_s = lasts_s.min(MAX_TTL_S);
        Self {
            answer,
            origin: 0,
            spelling: None,
            weight: weight + ENTRY_BYTES,
            lasts: Duration::from_secs(lasts_s.into()),
        }
    }
}

/// The servers of a prefix or a service.
#[derive(Debug, Clone)]
pub(super) struct Served {
    pub(super) servers: Arc<[Server]>,
    since: Instant,
    lasts: Duration,
}

impl Served {
    fn for_s(servers: Arc<[Server]>, ttl_s: u32) -> Self {
        let lasts_s = ttl_s.clamp(*SERVERS_TTL_S.start(), *SERVERS_TTL_S.end());
        let lasts = Duration::from_secs(lasts_s.into());
        Self {
            servers,
            since: Instant::now(),
            lasts,
        }
    }
}

/// What is kept for a time of its own.
trait Lasting {
    fn lasts(&self) -> Duration;
}

impl Lasting for Remote {
    fn lasts(&self) -> Duration {
        self.lasts
    }
}

impl Lasting for Served {
    fn lasts(&self) -> Duration {
        self.lasts
    }
}

struct AsLongAsTheySay;

impl<V: Lasting> Expiry<Box<[u8]>, V> for AsLongAsTheySay {
    fn expire_after_create(&self, _: &Box<[u8]>, kept: &V, _: Instant) -> Option<Duration> {
        Some(kept.lasts())
    }

    // What takes another's place would otherwise last as long as that.
    fn expire_after_update(
        &self,
        _: &Box<[u8]>,
        kept: &V,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(kept.lasts())
    }
}

/// Answers by the identifier's key, servers by the prefix's or by what names their service.
#[derive(Debug)]
pub(super) struct Kept {
    answers: Cache<Box<[u8]>, Remote>,
    servers: Cache<Box<[u8]>, Served>,
    services: Cache<Box<[u8]>, Served>,
}

fn served() -> Cache<Box<[u8]>, Served> {
    Cache::builder()
        .max_capacity(MAX_PREFIXES)
        .expire_after(AsLongAsTheySay)
        .build()
}

#[allow(
    clippy::borrowed_box,
    reason = "moka weighs keys of the type it stores"
)]
fn weight_of(key: &Box<[u8]>, kept: &Remote) -> u32 {
    u32::try_from(key.len() + kept.weight).unwrap_or(u32::MAX)
}

impl Kept {
    pub(super) fn new(capacity_bytes: u64) -> Self {
        Self {
            answers: Cache::builder()
                .max_capacity(capacity_bytes)
                .weigher(weight_of)
                .expire_after(AsLongAsTheySay)
                .build(),
            servers: served(),
            services: served(),
        }
    }

    /// What was answered to a question that started there and was spelled like this.
    pub(super) fn answer(&self, key: &[u8], origin: u64, spelling: &str) -> Option<Answer> {
        let kept = self.answers.get(key)?;
        let is_spelled_so = kept.spelling.as_deref().is_none_or(|it| it == spelling);
        (kept.origin == origin && is_spelled_so).then_some(kept.answer)
    }

    /// Keeps an answer, unless it is to be asked for each time (a TTL of 0).
    pub(super) fn keep(&self, key: &[u8], remote: Remote) {
        match remote.lasts.is_zero() {
            true => self.answers.invalidate(key),
            false => self.answers.insert(key.into(), remote),
        }
    }

    pub(super) fn servers(&self, prefix: &[u8]) -> Option<Arc<[Server]>> {
        self.servers.get(prefix).map(|kept| kept.servers)
    }

    pub(super) fn keep_servers(&self, prefix: &[u8], servers: Arc<[Server]>, ttl_s: u32) {
        self.servers
            .insert(prefix.into(), Served::for_s(servers, ttl_s));
    }

    /// They do not serve the prefix any more.
    pub(super) fn forget_servers(&self, prefix: &[u8]) {
        self.servers.invalidate(prefix);
    }

    /// The servers of a service, by its handle and who was asked for that, and how long they hold
    /// still, seconds.
    pub(super) fn service(&self, key: &[u8]) -> Option<(Arc<[Server]>, u32)> {
        let kept = self.services.get(key)?;
        let left = kept.lasts.saturating_sub(kept.since.elapsed());
        Some((kept.servers, left.as_secs() as u32))
    }

    pub(super) fn keep_service(&self, key: Box<[u8]>, servers: Arc<[Server]>, ttl_s: u32) {
        self.services.insert(key, Served::for_s(servers, ttl_s));
    }

    /// They do not serve for it any more.
    pub(super) fn forget_service(&self, key: &[u8]) {
        self.services.invalidate(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use idnode_proto::value::Ttl;

    fn lasting(ttl_s: u32) -> Remote {
        let value = Value {
            ttl: Ttl::RelativeS(ttl_s),
            ..Value::new(1, "URL", "x")
        };
        Remote::values(&[value], 1_700_000_000)
    }

    #[test]
    fn what_takes_another_s_place_lasts_as_long_as_itself() {
        let (kept, key) = (Kept::new(1 << 20), b"key");
        kept.keep(key, lasting(3_600));
        kept.keep(key, lasting(1));
        kept.keep_servers(key, Arc::new([]), 3_600);
        kept.keep_servers(key, Arc::new([]), 1);
        kept.keep_service(key.as_slice().into(), Arc::new([]), 3_600);
        kept.keep_service(key.as_slice().into(), Arc::new([]), 1);
        std::thread::sleep(Duration::from_millis(1_100));
        assert!(kept.answer(key, 0, "key").is_none());
        assert!(kept.servers(key).is_none() && kept.service(key).is_none());
        // Nor less long.
        kept.keep(key, lasting(1));
        kept.keep(key, lasting(3_600));
        std::thread::sleep(Duration::from_millis(1_100));
        assert!(kept.answer(key, 0, "key").is_some());
    }

    #[test]
    fn what_is_to_be_asked_for_each_time_is_not_kept() {
        let kept = Kept::new(1 << 20);
        let is_kept = || kept.answer(b"key", 0, "key").is_some();
        kept.keep(b"key", lasting(0));
        assert!(!is_kept());
        kept.keep(b"key", lasting(60));
        assert!(is_kept());
        // Nor is what was answered before it.
        kept.keep(b"key", lasting(0));
        assert!(!is_kept());
    }
}
