//! Sets of records in canonical form (RFC 4034 §6.3), and the RRSIG records over them. A
//! signature is kept under the SHA-256 of all that it covers, so that it is made once for a set,
//! a key and a window of time, whoever asks and however often.

use super::algorithm::{CryptoError, SIGNATURE_BYTES};
use super::key::Key;
use super::rdata::{canonical_name, counted_labels, opaque};
use super::window::Window;
use super::{Dnssec, ZoneKeys};
use foldhash::fast::FixedState;
use hickory_proto::ProtoError;
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use idnode_proto::dnsname::ZoneKind;
use metrics::Counter;
use moka::sync::Cache;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use std::hash::BuildHasher;
use std::sync::Arc;

/// What a kept signature takes in memory, about, bytes.
const ENTRY_BYTES: u64 = 256;
/// Seed of the hash that places an owner's steps of time.
const PHASE_SEED: u64 = 0x6964_6e6f_6465;

/// Why a set is not signed.
#[derive(Debug, thiserror::Error)]
pub enum RrsetError {
    /// The records cannot be encoded.
    #[error(transparent)]
    Encoding(#[from] ProtoError),
    /// No signature could be made.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// RRSIG records over one set.
#[derive(Debug)]
pub(super) struct Signed {
    /// Their data, one for each active key.
    pub(super) data: Vec<Box<[u8]>>,
    /// From then on others are made, seconds since the Unix epoch.
    pub(super) until_s: u64,
}

/// The RRSIG data over a zone's SOA record.
#[derive(Debug)]
pub(in super::super) struct SoaSignatures {
    pub(in super::super) serial: u32,
    until_s: u64,
    /// One for each active key.
    pub(in super::super) data: Vec<Box<[u8]>>,
}

/// Signatures that were made.
pub(super) struct Signatures {
    kept: Cache<[u8; SHA256_OUTPUT_LEN], [u8; SIGNATURE_BYTES], foldhash::fast::RandomState>,
    made: Counter,
    repeated: Counter,
}

impl std::fmt::Debug for Signatures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signatures").finish_non_exhaustive()
    }
}

impl Signatures {
    pub(super) fn new(capacity_bytes: u64) -> Self {
        let counter = |source: &'static str| metrics::counter!("idnode_dnssec_signatures_total", "source" => source);
        Self {
            kept: Cache::builder()
                .max_capacity(capacity_bytes / ENTRY_BYTES)
                .build_with_hasher(foldhash::fast::RandomState::default()),
            made: counter("made"),
            repeated: counter("kept"),
        }
    }

    /// The signature of a key over a message.
    fn sign(&self, key: &Key, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], CryptoError> {
        // The message names the key's tag, which is unique only among the keys of one moment.
        let covered = [message, &*key.dnskey].concat();
        let mut name = [0; SHA256_OUTPUT_LEN];
        name.copy_from_slice(digest(&SHA256, &covered).as_ref());
        if let Some(signature) = self.kept.get(&name) {
            self.repeated.increment(1);
            return Ok(signature);
        }
        let signature = key.pair.sign(message)?;
        self.made.increment(1);
        self.kept.insert(name, signature);
        Ok(signature)
    }
}

/// A set of records in canonical form.
struct Canonical {
    rtype: RecordType,
    labels: u8,
    original_ttl_s: u32,
    /// The records one after another, as the signature covers them.
    records: Vec<u8>,
    phase: u32,
}

impl Canonical {
    /// `records` are one set: of one owner and type.
    fn of(
        owner: &Name,
        rtype: RecordType,
        ttl_s: u32,
        records: &[Record],
    ) -> Result<Self, ProtoError> {
        let name = canonical_name(owner);
        let mut data = records
            .iter()
            .map(canonical_data)
            .collect::<Result<Vec<_>, _>>()?;
        data.sort_unstable();
        data.dedup();
        let length = data.iter().map(|data| name.len() + 10 + data.len()).sum();
        let mut bytes = Vec::with_capacity(length);
        for data in &data {
            bytes.extend_from_slice(&name);
            bytes.extend_from_slice(&u16::from(rtype).to_be_bytes());
            bytes.extend_from_slice(&u16::from(DNSClass::IN).to_be_bytes());
            bytes.extend_from_slice(&ttl_s.to_be_bytes());
            let length = u16::try_from(data.len())
                .map_err(|_| ProtoError::from("data of more than 65,535 bytes"))?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(data);
        }
        Ok(Self {
            rtype,
            labels: counted_labels(owner),
            original_ttl_s: ttl_s,
            records: bytes,
            phase: FixedState::with_seed(PHASE_SEED).hash_one(&name) as u32,
        })
    }

    /// RRSIG data but for the signature (RFC 4034 §3.1).
    fn head(&self, zone: &ZoneKeys, key: &Key, window: &Window) -> Vec<u8> {
        let mut head = Vec::with_capacity(18 + zone.apex.len() + SIGNATURE_BYTES);
        head.extend_from_slice(&u16::from(self.rtype).to_be_bytes());
        head.extend_from_slice(&[key.info.algorithm.number(), self.labels]);
        head.extend_from_slice(&self.original_ttl_s.to_be_bytes());
        head.extend_from_slice(&window.expiration_s.to_be_bytes());
        head.extend_from_slice(&window.inception_s.to_be_bytes());
        head.extend_from_slice(&key.info.tag.to_be_bytes());
        head.extend_from_slice(&zone.apex);
        head
    }
}

/// A record's data in canonical form (RFC 4034 §6.2, RFC 6840 §5.1).
fn canonical_data(record: &Record) -> Result<Vec<u8>, ProtoError> {
    let mut bytes = Vec::with_capacity(64);
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(u16::MAX);
    encoder.set_canonical_form(true);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    record.data.emit(&mut encoder)?;
    Ok(bytes)
}

impl Dnssec {
    /// The RRSIG data over a set, of all keys that sign. `ttl_s`: the set's TTL in the zone.
    pub(super) fn sign_set(
        &self,
        zone: &ZoneKeys,
        records: &[Record],
        ttl_s: u32,
        now_s: u64,
    ) -> Result<Signed, RrsetError> {
        let Some(first) = records.first() else {
            return Ok(Signed {
                data: Vec::new(),
                until_s: u64::MAX,
            });
        };
        let set = Canonical::of(&first.name, first.record_type(), ttl_s, records)?;
        let window = Window::at(now_s, self.options.signature_validity_s, set.phase);
        let sign = |key: &Key| {
            let mut data = set.head(zone, key, &window);
            let signature = self
                .signatures
                .sign(key, &[&data[..], &set.records].concat())?;
            data.extend_from_slice(&signature);
            Ok(data.into_boxed_slice())
        };
        let data: Result<_, CryptoError> = zone.set.signing().map(sign).collect();
        Ok(Signed {
            data: data?,
            until_s: window.until_s,
        })
    }

    /// The RRSIG records over one set of a zone, with the set's TTL; none where the zone is not
    /// signed.
    ///
    /// # Errors
    /// [`RrsetError`].
    pub fn rrsig(&self, kind: ZoneKind, records: &[Record]) -> Result<Vec<Record>, RrsetError> {
        let (Some(zone), Some(first)) = (self.signing(kind), records.first()) else {
            return Ok(Vec::new());
        };
        let signed = self.sign_set(&zone, records, first.ttl, super::now_s())?;
        Ok(signed.records(&first.name, first.ttl))
    }

    /// The signatures over a zone's SOA record, which are made once for each serial.
    pub(in super::super) fn soa_signatures(
        &self,
        kind: ZoneKind,
        serial: u32,
        soa: impl FnOnce() -> Record,
    ) -> Option<Arc<SoaSignatures>> {
        let zone = self.signing(kind)?;
        let now_s = super::now_s();
        let last = zone.soa.load();
        if let Some(last) = &*last
            && last.serial == serial
            && now_s < last.until_s
        {
            return Some(last.clone());
        }
        let signed = self.sign_set(&zone, &[soa()], self.options.zone_ttl_s, now_s);
        let signed = signed
            .inspect_err(|error| tracing::warn!(%error, "a SOA record could not be signed"))
            .ok()?;
        let made = Arc::new(SoaSignatures {
            serial,
            until_s: signed.until_s,
            data: signed.data,
        });
        zone.soa.store(Some(made.clone()));
        Some(made)
    }
}

impl Signed {
    /// As records; `ttl_s` is that of the set as it is answered (RFC 4034 §3).
    pub(super) fn records(&self, owner: &Name, ttl_s: u32) -> Vec<Record> {
        let data = self.data.iter();
        data.map(|data| Record::from_rdata(owner.clone(), ttl_s, opaque(RecordType::RRSIG, data)))
            .collect()
    }
}
