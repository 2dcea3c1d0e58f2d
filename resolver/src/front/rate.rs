//! What goes to a network in a second: counted where sources may be forged.

use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What is counted at a time; things that share a place push each other out, which lets a little
/// too much through and never keeps a wrong one back.
const PLACES: usize = 1 << 16;
/// Sources are counted by networks of these lengths: whoever can forge one address of a network
/// can forge all.
const IPV4_PREFIX_BITS: u32 = 24;
const IPV6_PREFIX_BITS: u32 = 56;

/// Counts by second, of many things.
pub(super) struct Rates {
    began: Instant,
    hasher: foldhash::fast::RandomState,
    /// Tag, second and count; see [`Place`].
    places: Box<[AtomicU64]>,
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").finish_non_exhaustive()
    }
}

/// A count of one second: 16 bits tell what is counted, 16 the second, 32 are the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    tag: u16,
    second: u16,
    count: u32,
}

impl Place {
    fn unpack(packed: u64) -> Self {
        Self {
            tag: (packed >> 48) as u16,
            second: (packed >> 32) as u16,
            count: packed as u32,
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.tag) << 48 | u64::from(self.second) << 32 | u64::from(self.count)
    }
}

impl Rates {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            hasher: foldhash::fast::RandomState::default(),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts `amount` more of something; what its count of this second is then.
    pub(super) fn count(&self, thing: impl Hash, amount: u32) -> u32 {
        let hash = self.hasher.hash_one(thing);
        match self.places.get(hash as usize % PLACES) {
            Some(place) => self.count_in(place, (hash >> 48) as u16, amount),
            None => amount,
        }
    }

    /// The same in a place that one thing alone has, or has for as long as its tag is there.
    pub(super) fn count_in(&self, place: &AtomicU64, tag: u16, amount: u32) -> u32 {
        let second = self.second();
        let more = |packed| {
            let now = Place::unpack(packed);
            let count = match (now.tag, now.second) == (tag, second) {
                true => now.count.saturating_add(amount),
                false => amount,
            };
            Place { tag, second, count }.pack()
        };
        let before = place
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |packed| {
                Some(more(packed))
            })
            .unwrap_or_else(|packed| packed);
        Place::unpack(more(before)).count
    }

    /// Seconds since the start, modulo 2¹⁶.
    fn second(&self) -> u16 {
        self.began.elapsed().as_secs() as u16
    }
}

/// The network that a source is counted by.
pub(super) fn network_of(source: IpAddr) -> u64 {
    match source {
        IpAddr::V4(address) => u64::from(address.to_bits() >> (32 - IPV4_PREFIX_BITS)),
        // Never that of an IPv4 network.
        IpAddr::V6(address) => (address.to_bits() >> (128 - IPV6_PREFIX_BITS)) as u64 | 1 << 63,
    }
}
