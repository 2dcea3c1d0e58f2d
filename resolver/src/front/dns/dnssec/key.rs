//! The keys of a zone and their states. Each key signs all of the zone (a combined signing key);
//! a rollover publishes the next key before it signs (RFC 6781 §4.1.1.1, RFC 7583 §3.1).

use super::algorithm::{Algorithm, SigningKey};
use super::rdata::{dnskey, key_tag};
use std::sync::Arc;

/// Keys of one zone at once: all of them are in every DNSKEY answer.
pub(super) const MAX_KEYS: usize = 8;
/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It is in the DNSKEY set, so that validators know it when it begins to sign.
    Published,
    /// It signs.
    Active,
    /// It is in the DNSKEY set still, for signatures that caches hold.
    Retired,
}

impl KeyState {
    /// Its name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// What is known of a key; times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Its tag (RFC 4034 appendix B); no other key of the zone has it.
    pub tag: u16,
    /// What it does.
    pub state: KeyState,
    /// When it was made and published.
    pub published_at_s: u64,
    /// When it began to sign.
    pub activated_at_s: Option<u64>,
    /// When it ceased to sign.
    pub retired_at_s: Option<u64>,
}

/// A key of a zone.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) info: KeyInfo,
    pub(super) pair: Arc<SigningKey>,
    /// DNSKEY data.
    pub(super) dnskey: Arc<[u8]>,
}

impl Key {
    /// A key that was just made.
    pub(super) fn published(pair: SigningKey, now_s: u64) -> Self {
        let dnskey = dnskey(pair.algorithm(), pair.public_key());
        let info = KeyInfo {
            algorithm: pair.algorithm(),
            tag: key_tag(&dnskey),
            state: KeyState::Published,
            published_at_s: now_s,
            activated_at_s: None,
            retired_at_s: None,
        };
        Self {
            info,
            pair: Arc::new(pair),
            dnskey: dnskey.into(),
        }
    }
}

/// Why a key is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The zone has no key of this tag.
    #[error("the zone has no key with this tag")]
    Unknown,
    /// The zone has as many keys as it may have.
    #[error("the zone has {MAX_KEYS} keys already: remove one")]
    TooMany,
    /// The key is not in a state from which this is done.
    #[error("the key is {}: {needed}", state.label())]
    State {
        /// What it is.
        state: KeyState,
        /// What must be.
        needed: &'static str,
    },
    /// It is too early.
    #[error("{what}: wait {wait_s} s more, or force it")]
    TooEarly {
        /// What would go wrong.
        what: &'static str,
        /// How long to wait, seconds.
        wait_s: u64,
    },
    /// The zone would be signed no longer.
    #[error("it is the zone's only active key: {0}")]
    LastActive(&'static str),
}

/// The keys of one zone.
#[derive(Debug, Clone, Default)]
pub(super) struct KeySet {
    /// In the order in which they were made.
    pub(super) keys: Vec<Key>,
    /// The parent is asked to take the DS records away.
    pub(super) withdrawn: bool,
}

impl KeySet {
    pub(super) fn active(&self) -> impl Iterator<Item = &Key> {
        self.in_state(KeyState::Active)
    }

    /// Keys whose signatures are in answers: the active ones, and all of an algorithm that no active
    /// key has. Each algorithm of the DNSKEY set signs the whole zone (RFC 4035 §2.2), from when
    /// its first key is published until its last one is removed.
    pub(super) fn signing(&self) -> impl Iterator<Item = &Key> {
        let stands_in = |key: &Key| {
            let mut active = self.active();
            self.is_signed() && active.all(|other| other.info.algorithm != key.info.algorithm)
        };
        self.keys
            .iter()
            .filter(move |key| key.info.state == KeyState::Active || stands_in(key))
    }

    /// Keys that the parent should have DS records for (RFC 7344 §4.1): those that sign and those
    /// that will.
    pub(super) fn for_parent(&self) -> impl Iterator<Item = &Key> {
        self.keys
            .iter()
            .filter(|key| key.info.state != KeyState::Retired)
    }

    pub(super) fn is_signed(&self) -> bool {
        self.active().next().is_some()
    }

    pub(super) fn get(&self, tag: u16) -> Result<&Key, Refusal> {
        let key = self.keys.iter().find(|key| key.info.tag == tag);
        key.ok_or(Refusal::Unknown)
    }

    fn in_state(&self, state: KeyState) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.info.state == state)
    }

    /// Whether another key may be made, of a tag.
    pub(super) fn admits(&self, tag: u16) -> Result<bool, Refusal> {
        if self.keys.len() >= MAX_KEYS {
            return Err(Refusal::TooMany);
        }
        // Validators choose keys by their tags, and have to try all that are alike.
        Ok(self.get(tag).is_err())
    }

    /// What begins to sign, and what ceases to by that: the active keys of the same algorithm.
    /// Keys of another algorithm go on, so that each algorithm's signatures are there until the
    /// parent has changed.
    pub(super) fn activated(
        &self,
        tag: u16,
        force: bool,
        dnskey_ttl_s: u64,
        now_s: u64,
    ) -> Result<Vec<Key>, Refusal> {
        let key = self.get(tag)?;
        if key.info.state == KeyState::Active {
            return Err(Refusal::State {
                state: KeyState::Active,
                needed: "it signs already",
            });
        }
        let known_at_s = key.info.published_at_s.saturating_add(dnskey_ttl_s);
        // Where nothing is signed yet, no validator holds a set of keys without this one.
        if self.is_signed() && now_s < known_at_s && !force {
            return Err(Refusal::TooEarly {
                what: "caches may hold the DNSKEY set without it",
                wait_s: known_at_s - now_s,
            });
        }
        let mut activated = key.clone();
        activated.info.state = KeyState::Active;
        activated.info.activated_at_s = Some(now_s);
        activated.info.retired_at_s = None;
        let replaced = self
            .active()
            .filter(|other| other.info.algorithm == key.info.algorithm);
        let mut changed = vec![activated];
        changed.extend(replaced.map(|other| retired(other, now_s)));
        Ok(changed)
    }

    /// A key that ceases to sign.
    pub(super) fn retired(&self, tag: u16, now_s: u64) -> Result<Key, Refusal> {
        let key = self.get(tag)?;
        if key.info.state != KeyState::Active {
            return Err(Refusal::State {
                state: key.info.state,
                needed: "only an active key can be retired",
            });
        }
        if self.active().count() == 1 {
            return Err(Refusal::LastActive(
                "activate another, or remove this one and say that the zone is to be unsigned",
            ));
        }
        Ok(retired(key, now_s))
    }

    /// Whether a key may go.
    pub(super) fn removable(
        &self,
        tag: u16,
        force: bool,
        unsign: bool,
        hold_s: u64,
        now_s: u64,
    ) -> Result<(), Refusal> {
        let key = &self.get(tag)?.info;
        match key.state {
            KeyState::Active if self.active().count() > 1 => Err(Refusal::State {
                state: key.state,
                needed: "retire it first",
            }),
            KeyState::Active if !unsign => Err(Refusal::LastActive(
                "say that the zone is to be unsigned, once the parent has no DS record for it",
            )),
            KeyState::Retired if self.is_signed() && !force => {
                let until_s = removable_at_s(key, hold_s);
                match until_s.checked_sub(now_s) {
                    None | Some(0) => Ok(()),
                    Some(wait_s) => Err(Refusal::TooEarly {
                        what: "caches may hold signatures made by it",
                        wait_s,
                    }),
                }
            }
            KeyState::Active | KeyState::Published | KeyState::Retired => Ok(()),
        }
    }

    /// Takes a changed or new key in.
    #[cfg(test)]
    pub(super) fn put(&mut self, key: Key) {
        let known = self
            .keys
            .iter_mut()
            .find(|other| other.info.tag == key.info.tag);
        match known {
            Some(known) => *known = key,
            None => self.keys.push(key),
        }
    }
}

/// When a retired key may be removed, seconds since the Unix epoch. `hold_s`: how long caches may
/// hold what it has signed.
pub(super) fn removable_at_s(key: &KeyInfo, hold_s: u64) -> u64 {
    key.retired_at_s.unwrap_or(0).saturating_add(hold_s)
}

fn retired(key: &Key, now_s: u64) -> Key {
    let mut key = key.clone();
    key.info.state = KeyState::Retired;
    key.info.retired_at_s = Some(now_s);
    key
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    const TTL_S: u64 = 3_600;
    const HOLD_S: u64 = 1_209_600;

    fn key(algorithm: Algorithm, now_s: u64) -> Key {
        let pkcs8 = SigningKey::generate(algorithm).unwrap();
        Key::published(SigningKey::from_pkcs8(algorithm, &pkcs8).unwrap(), now_s)
    }

    fn activate(set: &mut KeySet, tag: u16, now_s: u64) -> Result<(), Refusal> {
        let changed = set.activated(tag, false, TTL_S, now_s)?;
        changed.into_iter().for_each(|key| set.put(key));
        Ok(())
    }

    fn states(set: &KeySet) -> Vec<KeyState> {
        set.keys.iter().map(|key| key.info.state).collect()
    }

    /// A whole life: the guards hold at each step.
    #[test]
    fn a_rollover_waits_where_caches_need_it() {
        use KeyState::{Active, Retired};
        let (first, second) = (
            key(Algorithm::EcdsaP256Sha256, 0),
            key(Algorithm::EcdsaP256Sha256, 100),
        );
        let (a, b) = (first.info.tag, second.info.tag);
        let mut set = KeySet::default();
        set.put(first);
        activate(&mut set, a, 0).unwrap();
        set.put(second);
        let early = activate(&mut set, b, 100 + TTL_S - 1);
        assert!(matches!(early, Err(Refusal::TooEarly { wait_s: 1, .. })));
        assert!(matches!(set.retired(a, 0), Err(Refusal::LastActive(_))));
        assert!(matches!(
            set.removable(a, true, false, HOLD_S, 0),
            Err(Refusal::LastActive(_))
        ));
        activate(&mut set, b, 100 + TTL_S).unwrap();
        assert_eq!(states(&set), [Retired, Active]);
        let at_s = 100 + TTL_S + HOLD_S;
        assert!(matches!(
            set.removable(a, false, false, HOLD_S, at_s - 1),
            Err(Refusal::TooEarly { wait_s: 1, .. })
        ));
        assert_eq!(set.removable(a, true, false, HOLD_S, at_s - 1), Ok(()));
        assert_eq!(set.removable(a, false, false, HOLD_S, at_s), Ok(()));
        // Back to the first key, which everybody knows still.
        activate(&mut set, a, at_s).unwrap();
        assert_eq!(states(&set), [Active, Retired]);
        assert_eq!(set.removable(a, false, true, HOLD_S, at_s), Ok(()));
    }

    #[test]
    fn another_algorithm_signs_beside() {
        use KeyState::{Active, Retired};
        let (first, second) = (
            key(Algorithm::EcdsaP256Sha256, 0),
            key(Algorithm::Ed25519, 0),
        );
        let (a, b) = (first.info.tag, second.info.tag);
        let mut set = KeySet::default();
        set.put(first);
        set.put(second);
        assert_eq!(set.signing().count(), 0, "it is not signed yet");
        activate(&mut set, a, 0).unwrap();
        assert_eq!(set.signing().count(), 2, "its algorithm is published");
        activate(&mut set, b, TTL_S).unwrap();
        assert_eq!(states(&set), [Active, Active]);
        assert!(matches!(
            set.removable(a, true, true, HOLD_S, TTL_S),
            Err(Refusal::State { .. })
        ));
        set.put(set.retired(a, TTL_S).unwrap());
        assert_eq!(states(&set), [Retired, Active]);
        assert_eq!(set.for_parent().count(), 1);
        assert_eq!(set.signing().count(), 2, "its algorithm is still published");
    }

    #[test]
    fn keys_are_bounded_and_their_tags_differ() {
        let mut set = KeySet::default();
        let one = key(Algorithm::Ed25519, 0);
        assert_eq!(set.admits(one.info.tag), Ok(true));
        set.put(one.clone());
        assert_eq!(set.admits(one.info.tag), Ok(false));
        while set.keys.len() < MAX_KEYS {
            set.put(key(Algorithm::Ed25519, 0));
        }
        assert_eq!(set.admits(1), Err(Refusal::TooMany));
        let absent = (0..).find(|tag| set.get(*tag).is_err()).unwrap();
        assert_eq!(
            set.retired(absent, 0).map(drop).unwrap_err(),
            Refusal::Unknown
        );
    }
}
