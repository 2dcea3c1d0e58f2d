//! What goes to a network in a second, or comes from it in a longer time: counted in bounded memory.

use foldhash::fast::SeedableRandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is counted at a time; things that share a place push each other out, which lets a little
/// too much through and never keeps a wrong one back.
const PLACES: usize = 1 << 16;
/// Sources are counted by networks of these lengths: whoever can forge one address of a network
/// can forge all.
const IPV4_PREFIX_BITS: u32 = 24;
const IPV6_PREFIX_BITS: u32 = 56;

/// Counts of many things by windows of time.
pub(super) struct Rates {
    began: Instant,
    window_s: u64,
    hasher: SeedableRandomState,
    /// Tag, window and count; see [`Place`].
    places: Box<[AtomicU64]>,
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").finish_non_exhaustive()
    }
}

/// A count of one window: 16 bits tell what is counted, 16 the window, 32 are the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    tag: u16,
    window: u16,
    count: u32,
}

impl Place {
    fn unpack(packed: u64) -> Self {
        Self {
            tag: (packed >> 48) as u16,
            window: (packed >> 32) as u16,
            count: packed as u32,
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.tag) << 48 | u64::from(self.window) << 32 | u64::from(self.count)
    }
}

impl Rates {
    /// By seconds.
    pub(super) fn new() -> Self {
        Self::over(Duration::from_secs(1))
    }

    /// By windows of so many whole seconds.
    pub(super) fn over(window: Duration) -> Self {
        Self {
            window_s: window.as_secs().max(1),
            began: Instant::now(),
            hasher: SeedableRandomState::random(),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// With things at the same places every time, for tests that count exactly.
    #[cfg(test)]
    pub(super) fn at_fixed_places(mut self) -> Self {
        self.hasher = SeedableRandomState::fixed();
        self
    }

    /// What something has been counted to in this window, or in one so many before it. Only the
    /// last window that it was counted in is known.
    pub(super) fn counted(&self, thing: impl Hash, windows_ago: u16) -> u32 {
        let hash = self.hasher.hash_one(thing);
        let Some(place) = self.places.get(hash as usize % PLACES) else {
            return 0;
        };
        let known = Place::unpack(place.load(Ordering::Relaxed));
        let wanted = ((hash >> 48) as u16, self.window().wrapping_sub(windows_ago));
        match (known.tag, known.window) == wanted {
            true => known.count,
            false => 0,
        }
    }

    /// Counts `amount` more of something; what its count of this window is then.
    pub(super) fn count(&self, thing: impl Hash, amount: u32) -> u32 {
        let hash = self.hasher.hash_one(thing);
        match self.places.get(hash as usize % PLACES) {
            Some(place) => self.count_in(place, (hash >> 48) as u16, amount),
            None => amount,
        }
    }

    /// Takes back so much of what was counted of something, if it was counted in this window.
    pub(super) fn uncount(&self, thing: impl Hash, amount: u32) {
        let hash = self.hasher.hash_one(thing);
        let Some(place) = self.places.get(hash as usize % PLACES) else {
            return;
        };
        let this = ((hash >> 48) as u16, self.window());
        let less = |packed| {
            let now = Place::unpack(packed);
            let count = now.count.saturating_sub(amount);
            ((now.tag, now.window) == this).then(|| Place { count, ..now }.pack())
        };
        // `Err`: it is not counted there any more.
        let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// [`Self::count`] in a place that one thing alone has, or has for as long as its tag is there.
    pub(super) fn count_in(&self, place: &AtomicU64, tag: u16, amount: u32) -> u32 {
        let window = self.window();
        let more = |packed| {
            let now = Place::unpack(packed);
            let count = match (now.tag, now.window) == (tag, window) {
                true => now.count.saturating_add(amount),
                false => amount,
            };
            Place { tag, window, count }.pack()
        };
        let before = place
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |packed| {
                Some(more(packed))
            })
            .unwrap_or_else(|packed| packed);
        Place::unpack(more(before)).count
    }

    /// Windows since the start, modulo 2¹⁶.
    fn window(&self) -> u16 {
        (self.began.elapsed().as_secs() / self.window_s) as u16
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
