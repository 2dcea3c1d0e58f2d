//! DNSSEC (RFC 4033 to 4035): the node's zones are signed while they are answered from, since
//! their records are made on being asked for. `docs/dnssec.md` tells operators how.
//!
//! | module | holds |
//! |---|---|
//! | `algorithm` | key pairs and their signatures |
//! | `key` | the keys of a zone, their states, what may become of them |
//! | `store` | the directory of the keys |
//! | `rdata` | the data of DNSKEY, DS, NSEC; key tags; canonical names |
//! | `window` | when a signature is valid |
//! | `rrset` | sets of records in canonical form, and their RRSIG records |
//! | `reply` | what a reply shows to those who want signatures: RRSIG, NSEC (RFC 9824), DS |
//!
//! A zone is signed if it has an active key. Everything that depends on keys is in one table
//! that a change replaces whole; a generation number tells whoever keeps answers.

mod algorithm;
mod key;
mod rdata;
mod reply;
mod rrset;
mod store;
mod window;

pub use algorithm::{Algorithm, CryptoError, SIGNATURE_BYTES, SigningKey};
pub use key::{KeyInfo, KeyState, Refusal};
pub(super) use rdata::{NXNAME, opaque};
pub use rrset::RrsetError;
pub(super) use rrset::SoaSignatures;
pub use store::StoreError;

pub(super) use crate::clock::now_s;
use arc_swap::ArcSwap;
use hickory_proto::rr::{Name, Record, RecordType};
use idnode_proto::dnsname::{ZoneKind, ZoneName, Zones};
use key::{Key, KeySet, removable_at_s};
use parking_lot::Mutex;
use rdata::{CDNSKEY_DELETE, CDS_DELETE, canonical_name, ds};
use rrset::Signatures;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::Store;

/// How often a key is made again because its tag is taken: with 8 keys of 65,536 tags, once is
/// hardly ever needed.
const TAG_ATTEMPTS: usize = 8;

/// What an operator sets of signing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnssecOptions {
    /// How long a signature is valid, seconds; one that has used an eighth of it is replaced.
    pub signature_validity_s: u32,
    /// TTL of the zones' own records, DNSKEY among them, seconds.
    pub zone_ttl_s: u32,
    /// TTL of what says that there is nothing (NSEC, RFC 9077), seconds.
    pub negative_ttl_s: u32,
    /// Memory for signatures, bytes.
    pub cache_bytes: u64,
}

impl Default for DnssecOptions {
    fn default() -> Self {
        Self {
            signature_validity_s: 1_209_600,
            zone_ttl_s: 3_600,
            negative_ttl_s: 300,
            cache_bytes: 32 << 20,
        }
    }
}

/// Why keys are not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The node has no such zone.
    #[error("the node has no zone {0}")]
    UnknownZone(String),
    /// The keys' state does not allow it.
    #[error("key {tag} of {zone}: {refusal}")]
    Refused {
        /// The zone.
        zone: String,
        /// The key.
        tag: u16,
        /// Why.
        refusal: Refusal,
    },
    /// The directory of the keys.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No key could be made.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// A zone and its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneStatus {
    /// The zone, in lower case with its final dot.
    pub zone: String,
    /// It has an active key.
    pub signed: bool,
    /// CDS asks the parent to take the DS records away (RFC 8078).
    pub ds_withdrawn: bool,
    /// TTL of its DNSKEY set, seconds.
    pub dnskey_ttl_s: u32,
    /// Its keys, in the order in which they were made.
    pub keys: Vec<KeyStatus>,
}

/// A key and what its times come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// The key.
    pub info: KeyInfo,
    /// The public key as DNSKEY has it.
    pub public_key: Vec<u8>,
    /// When a published key may begin to sign, a retired one be removed; seconds since the epoch.
    pub ready_at_s: Option<u64>,
}

/// A DS record for the parent (RFC 4034 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsRecord {
    /// Tag of the key it is for.
    pub key_tag: u16,
    /// That key's algorithm.
    pub algorithm: Algorithm,
    /// How the digest is made: 2, SHA-256.
    pub digest_type: u8,
    /// The digest.
    pub digest: Vec<u8>,
}

/// A zone's keys as answers need them.
#[derive(Debug)]
struct ZoneKeys {
    kind: ZoneKind,
    /// In lower case with its final dot.
    zone: String,
    /// In canonical form.
    apex: Vec<u8>,
    set: KeySet,
    /// The signatures of the SOA record as it was last asked for.
    soa: arc_swap::ArcSwapOption<SoaSignatures>,
}

impl ZoneKeys {
    fn new(kind: ZoneKind, name: &ZoneName, set: KeySet) -> Self {
        Self {
            kind,
            zone: name.to_string(),
            // Zone names are in lower case.
            apex: name.wire().to_vec(),
            set,
            soa: arc_swap::ArcSwapOption::empty(),
        }
    }

    fn with(&self, set: KeySet) -> Self {
        Self {
            kind: self.kind,
            zone: self.zone.clone(),
            apex: self.apex.clone(),
            set,
            soa: arc_swap::ArcSwapOption::empty(),
        }
    }
}

/// The zones' keys, by kind.
type Table = Vec<Arc<ZoneKeys>>;

/// The node's keys, and the signatures made by them.
#[derive(Debug)]
pub struct Dnssec {
    options: DnssecOptions,
    store: Store,
    table: ArcSwap<Table>,
    /// Grows after the table has changed.
    generation: AtomicU64,
    /// Held by whoever changes keys.
    changing: Mutex<()>,
    signatures: Signatures,
}

impl Dnssec {
    /// Reads the zones' keys from a directory, which is made when it is needed.
    ///
    /// # Errors
    /// A file of it is damaged, or open to others.
    pub fn open(
        directory: PathBuf,
        zones: &Zones,
        options: DnssecOptions,
    ) -> Result<Self, StoreError> {
        let store = Store::open(directory)?;
        let mut table = Table::new();
        for kind in [ZoneKind::Node, ZoneKind::Ors, ZoneKind::Ons] {
            if let Some(name) = zones.get(kind) {
                let set = store.load(&name.to_string())?;
                if set.is_signed() {
                    tracing::info!(zone = %name, "the zone is signed");
                }
                table.push(Arc::new(ZoneKeys::new(kind, name, set)));
            }
        }
        Ok(Self {
            signatures: Signatures::new(options.cache_bytes),
            options,
            store,
            table: ArcSwap::from_pointee(table),
            generation: AtomicU64::new(0),
            changing: Mutex::new(()),
        })
    }

    /// Counts the changes of keys. Read before an answer is made, it tells later whether that
    /// would be made by the same keys.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The keys of a zone that is signed.
    fn signing(&self, kind: ZoneKind) -> Option<Arc<ZoneKeys>> {
        self.zone(kind).filter(|zone| zone.set.is_signed())
    }

    fn zone(&self, kind: ZoneKind) -> Option<Arc<ZoneKeys>> {
        let table = self.table.load();
        table.iter().find(|zone| zone.kind == kind).cloned()
    }

    /// Whether a zone is signed.
    pub(super) fn is_signed(&self, kind: ZoneKind) -> bool {
        let table = self.table.load();
        let zone = table.iter().find(|zone| zone.kind == kind);
        zone.is_some_and(|zone| zone.set.is_signed())
    }

    /// DNSKEY, CDS or CDNSKEY records of a zone; the last two only where it is signed, since
    /// nobody may follow them otherwise (RFC 7344 §4.1).
    pub(super) fn apex_records(
        &self,
        kind: ZoneKind,
        owner: &Name,
        qtype: RecordType,
    ) -> Vec<Record> {
        let Some(zone) = self.zone(kind) else {
            return Vec::new();
        };
        let record = |data: &[u8]| {
            let ttl_s = self.options.zone_ttl_s;
            Record::from_rdata(owner.clone(), ttl_s, opaque(qtype, data))
        };
        let keys = &zone.set;
        match qtype {
            RecordType::DNSKEY => keys.keys.iter().map(|key| record(&key.dnskey)).collect(),
            RecordType::CDS | RecordType::CDNSKEY if !keys.is_signed() => Vec::new(),
            RecordType::CDS if keys.withdrawn => vec![record(&CDS_DELETE)],
            RecordType::CDNSKEY if keys.withdrawn => vec![record(&CDNSKEY_DELETE)],
            RecordType::CDNSKEY => keys.for_parent().map(|key| record(&key.dnskey)).collect(),
            RecordType::CDS => keys
                .for_parent()
                .map(|key| record(&ds(&zone.apex, key.info.algorithm, &key.dnskey)))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// All zones and their keys.
    pub fn status(&self) -> Vec<ZoneStatus> {
        let table = self.table.load();
        table.iter().map(|zone| self.status_of(zone)).collect()
    }

    /// One zone and its keys.
    ///
    /// # Errors
    /// [`KeyError::UnknownZone`].
    pub fn zone_status(&self, zone: &str) -> Result<ZoneStatus, KeyError> {
        let keys = self.named(zone)?;
        Ok(self.status_of(&keys))
    }

    /// How long caches may hold what a retired key has signed: whatever their TTL, records go from
    /// a validating cache when their signature expires (RFC 4035 §5.3.3).
    fn retired_hold_s(&self) -> u64 {
        let DnssecOptions {
            zone_ttl_s,
            signature_validity_s,
            ..
        } = self.options;
        zone_ttl_s.max(signature_validity_s).into()
    }

    fn status_of(&self, zone: &ZoneKeys) -> ZoneStatus {
        let dnskey_ttl_s = u64::from(self.options.zone_ttl_s);
        let key = |key: &Key| KeyStatus {
            info: key.info.clone(),
            public_key: key.pair.public_key().to_vec(),
            ready_at_s: match key.info.state {
                KeyState::Published if !zone.set.is_signed() => None,
                KeyState::Published => Some(key.info.published_at_s + dnskey_ttl_s),
                KeyState::Active => None,
                KeyState::Retired => Some(removable_at_s(&key.info, self.retired_hold_s())),
            },
        };
        ZoneStatus {
            zone: zone.zone.clone(),
            signed: zone.set.is_signed(),
            ds_withdrawn: zone.set.withdrawn,
            dnskey_ttl_s: self.options.zone_ttl_s,
            keys: zone.set.keys.iter().map(key).collect(),
        }
    }

    /// DS records of the keys that the parent should know.
    ///
    /// # Errors
    /// [`KeyError::UnknownZone`].
    pub fn ds_records(&self, zone: &str) -> Result<Vec<DsRecord>, KeyError> {
        let zone = self.named(zone)?;
        let record = |key: &Key| {
            let data = ds(&zone.apex, key.info.algorithm, &key.dnskey);
            DsRecord {
                key_tag: key.info.tag,
                algorithm: key.info.algorithm,
                digest_type: rdata::DIGEST_SHA256,
                digest: data.get(4..).unwrap_or_default().to_vec(),
            }
        };
        Ok(zone.set.for_parent().map(record).collect())
    }

    /// Makes a key and publishes it. Blocks, as all that changes keys.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn generate(&self, zone: &str, algorithm: Algorithm) -> Result<KeyInfo, KeyError> {
        let _changing = self.changing.lock();
        let zone = self.named(zone)?;
        for _ in 0..TAG_ATTEMPTS {
            let pkcs8 = SigningKey::generate(algorithm)?;
            let key = Key::published(SigningKey::from_pkcs8(algorithm, &pkcs8)?, now_s());
            let admitted = zone.set.admits(key.info.tag);
            if !admitted.map_err(|refusal| refused(&zone, key.info.tag, refusal))? {
                continue;
            }
            let info = key.info.clone();
            let stored = self.store.create(&zone.zone, &key, &pkcs8);
            self.reload(&zone, stored)?;
            tracing::info!(
                zone = zone.zone,
                tag = info.tag,
                "a DNSSEC key is published"
            );
            return Ok(info);
        }
        Err(refused(&zone, 0, Refusal::TooMany))
    }

    /// Lets a key sign; the others of its algorithm cease to. `force`: although caches may not
    /// know it yet.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn activate(&self, zone: &str, tag: u16, force: bool) -> Result<KeyInfo, KeyError> {
        let _changing = self.changing.lock();
        let zone = self.named(zone)?;
        let ttl_s = u64::from(self.options.zone_ttl_s);
        let changed = zone.set.activated(tag, force, ttl_s, now_s());
        let changed = changed.map_err(|refusal| refused(&zone, tag, refusal))?;
        // The new one first: between the two, both sign.
        let stored = changed
            .iter()
            .try_for_each(|key| self.store.update(&zone.zone, &key.info));
        self.reload(&zone, stored)?;
        tracing::info!(zone = zone.zone, tag, force, "a DNSSEC key signs");
        self.key(&zone.zone, tag)
    }

    /// Lets a key cease to sign, where another signs.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn retire(&self, zone: &str, tag: u16) -> Result<KeyInfo, KeyError> {
        let _changing = self.changing.lock();
        let zone = self.named(zone)?;
        let retired = zone.set.retired(tag, now_s());
        let retired = retired.map_err(|refusal| refused(&zone, tag, refusal))?;
        let stored = self.store.update(&zone.zone, &retired.info);
        self.reload(&zone, stored)?;
        tracing::info!(zone = zone.zone, tag, "a DNSSEC key is retired");
        self.key(&zone.zone, tag)
    }

    /// Forgets a key. `force`: although caches may hold its signatures; `unsign`: although the
    /// zone has no other that signs.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn remove(&self, zone: &str, tag: u16, force: bool, unsign: bool) -> Result<(), KeyError> {
        let _changing = self.changing.lock();
        let zone = self.named(zone)?;
        let hold_s = self.retired_hold_s();
        let removable = zone.set.removable(tag, force, unsign, hold_s, now_s());
        removable.map_err(|refusal| refused(&zone, tag, refusal))?;
        let key = zone.set.get(tag);
        let key = key.map_err(|refusal| refused(&zone, tag, refusal))?;
        let stored = self.store.remove(&zone.zone, &key.info);
        self.reload(&zone, stored)?;
        tracing::info!(
            zone = zone.zone,
            tag,
            force,
            unsign,
            "a DNSSEC key is removed"
        );
        Ok(())
    }

    /// Sets whether CDS and CDNSKEY ask the parent to take the DS records away (RFC 8078 §4).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn set_ds_withdrawn(&self, zone: &str, withdrawn: bool) -> Result<ZoneStatus, KeyError> {
        let _changing = self.changing.lock();
        let zone = self.named(zone)?;
        let stored = self.store.set_withdrawn(&zone.zone, withdrawn);
        self.reload(&zone, stored)?;
        tracing::info!(zone = zone.zone, withdrawn, "what the parent is asked for");
        self.zone_status(&zone.zone)
    }

    /// Takes in what the directory holds after a change of it, whole or not.
    fn reload(&self, zone: &ZoneKeys, stored: Result<(), StoreError>) -> Result<(), KeyError> {
        let loaded = self.store.load(&zone.zone);
        if let Ok(set) = &loaded {
            let mut table = Table::clone(&self.table.load());
            for entry in &mut table {
                if entry.kind == zone.kind {
                    *entry = Arc::new(zone.with(set.clone()));
                }
            }
            self.table.store(Arc::new(table));
            self.generation.fetch_add(1, Ordering::Release);
        }
        stored?;
        loaded?;
        Ok(())
    }

    fn key(&self, zone: &str, tag: u16) -> Result<KeyInfo, KeyError> {
        let zone = self.named(zone)?;
        let key = zone.set.get(tag);
        let key = key.map_err(|refusal| refused(&zone, tag, refusal))?;
        Ok(key.info.clone())
    }

    /// The zone of a name, in any spelling.
    fn named(&self, name: &str) -> Result<Arc<ZoneKeys>, KeyError> {
        let unknown = || KeyError::UnknownZone(name.to_owned());
        let parsed = Name::from_ascii(name).map_err(|_| unknown())?;
        let wire = canonical_name(&parsed);
        let table = self.table.load();
        let zone = table.iter().find(|zone| zone.apex == wire);
        zone.cloned().ok_or_else(unknown)
    }
}

fn refused(zone: &ZoneKeys, tag: u16, refusal: Refusal) -> KeyError {
    KeyError::Refused {
        zone: zone.zone.clone(),
        tag,
        refusal,
    }
}
