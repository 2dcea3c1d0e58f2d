//! A registry from deposits: for each prefix the last FULL one and the DIFFs after it.
//!
//! It is a new store, written beside the write path since there is nothing yet that a write could
//! be checked against, and bears its name only when it is whole. Everything deposited is in it as
//! it was, with its versions and times; the change log goes on behind the last revision deposited,
//! with one entry that makes a new operator credential. Other credentials, idempotency keys and
//! what enterprises have registered today of their quota were not deposited.

use super::convert;
use super::make::MakeError;
use super::prove;
use crate::change::{Change, LogEntry};
use crate::credential::Credential;
use crate::enterprise::EnterpriseId;
use crate::layout::{self, Family, encode_value, index_key, number_key, usage_key};
use crate::prefix::PrefixRecord;
use crate::quota::Usage;
use crate::read::Counters;
use crate::record::Record;
use crate::store::{Mutation, Store, StoreOptions};
use crate::{Error, Sequence, now_ms, private};
use bytes::Bytes;
use idnode_proto::dnsname;
use idnode_proto::escrow::EscrowError;
use idnode_proto::escrow::chain::{Chain, Proved, last_chain};
use idnode_proto::escrow::deposit::Counts;
use idnode_proto::escrow::manifest::{MANIFEST_NAME, MAX_MANIFEST_BYTES, Manifest};
use idnode_proto::escrow::object;
use idnode_proto::escrow::package::{Document, open};
use idnode_proto::escrow::part::{PartSource, part_name};
use idnode_proto::identifier::{Identifier, Scheme};
use idnode_proto::trust::{PrivateKey, TrustKey};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Rows that are written at once, bytes.
const BATCH_BYTES: usize = 4 << 20;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The token of the new operator credential, which is kept nowhere.
    pub token: String,
    /// The last revision that was deposited.
    pub revision: Sequence,
    /// Each prefix with its deposits, and what it has.
    pub prefixes: Vec<RestoredPrefix>,
}

/// One prefix that was restored, and proved to be what was deposited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredPrefix {
    /// Its canonical text.
    pub prefix: String,
    /// The deposits it was restored from, in order.
    pub deposits: Vec<String>,
    /// The watermark of the last one, RFC 3339.
    pub watermark: String,
    /// Identifiers, deleted ones among them.
    pub listed: u64,
    /// The digest of its listing: what the node deposited, and what the restored registry has.
    pub listing: String,
}

/// Makes a registry in `data_dir` (which holds none) of the deposits in a directory: a directory
/// of each prefix, in it one of each deposit, as they were uploaded. Blocks.
///
/// # Errors
/// A deposit is refused; the deposits do not lead to what they say; there is a registry already.
pub fn restore(
    deposits: &Path,
    receiver: &PrivateKey,
    signer: &TrustKey,
    registry_dir: &Path,
) -> Result<Restored, MakeError> {
    let mut beside = registry_dir.as_os_str().to_owned();
    beside.push(".restoring");
    let beside = PathBuf::from(beside);
    if registry_dir.exists() {
        let what = format!("{} is there already", registry_dir.display());
        return Err(Error::Storage(what).into());
    }
    match fs::remove_dir_all(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut building = Building::begin(&beside)?;
    let mut prefixes = Vec::new();
    for dir in directories(deposits)? {
        prefixes.extend(building.take_prefix(&dir, receiver, signer)?);
    }
    if prefixes.is_empty() {
        let what = format!("{} has no deposit", deposits.display());
        return Err(EscrowError::Chain(what).into());
    }
    let (token, revision, around) = building.finish()?;
    prove::equal(&beside, &prefixes, &around)?;
    fs::rename(&beside, registry_dir)?;
    Ok(Restored {
        token,
        revision,
        prefixes,
    })
}

/// Directories in a directory, in the order of their names.
fn directories(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// What was deposited beside identifiers and prefixes: of what several deposits have, the newest.
#[derive(Debug, Default)]
pub(super) struct Deposited {
    /// Enterprises by number.
    pub enterprises: BTreeMap<u64, object::Enterprise>,
    /// Templates by name.
    pub templates: BTreeMap<String, object::Template>,
    /// Of each prefix, its live identifiers, its tombstones, and how often they have changed.
    pub counts: BTreeMap<String, (u64, u64, Counts)>,
}

/// Parts as files of a directory.
struct Parts(PathBuf);

impl PartSource for Parts {
    type Part = File;

    fn open(&self, number: u32) -> io::Result<File> {
        File::open(self.0.join(part_name(number)))
    }
}

/// A store that is being built.
struct Building {
    store: Store,
    batch: Vec<Mutation>,
    batch_bytes: usize,
    around: Deposited,
    usage: BTreeMap<u64, Usage>,
    node: Counters,
    revision: Sequence,
}

impl Building {
    fn begin(dir: &Path) -> Result<Self, MakeError> {
        private::make_dir(dir)?;
        Store::create(dir)?;
        Ok(Self {
            store: Store::open(dir, &StoreOptions::default())?,
            batch: Vec::new(),
            batch_bytes: 0,
            around: Deposited::default(),
            usage: BTreeMap::new(),
            node: Counters::default(),
            revision: 0,
        })
    }

    /// Takes in the last chain of deposits in a prefix's directory; `None`: there is none.
    fn take_prefix(
        &mut self,
        dir: &Path,
        receiver: &PrivateKey,
        signer: &TrustKey,
    ) -> Result<Option<RestoredPrefix>, MakeError> {
        let mut manifests = Vec::new();
        for deposit in directories(dir)? {
            let path = deposit.join(MANIFEST_NAME);
            let length = match fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                // It never arrived whole, or is no deposit at all.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            if length > MAX_MANIFEST_BYTES as u64 {
                return Err(EscrowError::Manifest("is longer than is read".to_owned()).into());
            }
            manifests.push((Manifest::verify(&fs::read(&path)?, signer)?, deposit));
        }
        if manifests.is_empty() {
            return Ok(None);
        }
        let heads: Vec<_> = manifests
            .iter()
            .map(|(manifest, _)| &manifest.deposit)
            .collect();
        let chosen = last_chain(&heads)?;
        let mut documents = Vec::new();
        let mut ids = Vec::new();
        let mut watermark = String::new();
        for place in chosen {
            let Some((manifest, dir)) = manifests.get(place) else {
                continue;
            };
            documents.push(open(manifest, Parts(dir.clone()), receiver)?);
            ids.push(manifest.deposit.id.clone());
            watermark = manifest.deposit.watermark();
            self.revision = self.revision.max(manifest.deposit.revision);
        }
        let name = heads
            .first()
            .map(|head| head.prefix.clone())
            .unwrap_or_default();
        let proved = self.take_chain(documents)?;
        Ok(Some(RestoredPrefix {
            prefix: name,
            deposits: ids,
            watermark,
            listed: proved.listed,
            listing: proved.listing,
        }))
    }

    fn take_chain(&mut self, documents: Vec<Document<Parts>>) -> Result<Proved, MakeError> {
        let mut chain = Chain::new(documents)?;
        let around = chain.around().clone();
        for enterprise in around.enterprises.into_values() {
            let newer = self.around.enterprises.get(&enterprise.id);
            if newer.is_none_or(|it| it.version < enterprise.version) {
                self.around.enterprises.insert(enterprise.id, enterprise);
            }
        }
        for template in around.templates.into_values() {
            let newer = self.around.templates.get(&template.name);
            if newer.is_none_or(|it| it.version < template.version) {
                let name = template.name.clone();
                self.around.templates.insert(name, template);
            }
        }
        let mut counters = Counters::default();
        while let Some((identifier, _)) = chain.next_identifier()? {
            self.take_identifier(identifier, &mut counters)?;
        }
        let proved = chain.finish()?;
        counters.creations = proved.counts.creations;
        counters.updates = proved.counts.updates;
        counters.deletions = proved.counts.deletions;
        counters.last_change_ms = proved.counts.last_change_ms;
        if let Some(prefix) = around.prefix {
            let counted = (counters.identifiers, counters.deleted, proved.counts);
            self.around.counts.insert(prefix.name.clone(), counted);
            self.take_record(&convert::prefix_record(prefix)?, &counters)?;
        }
        Ok(proved)
    }

    fn take_identifier(
        &mut self,
        identifier: object::Identifier,
        counters: &mut Counters,
    ) -> Result<(), MakeError> {
        let key = Bytes::from(identifier.key.clone());
        let parsed = Identifier::from_key(&key).map_err(|e| Error::Storage(e.to_string()))?;
        let record: Record = convert::record(identifier)?;
        match record.is_live() {
            true => {
                counters.identifiers += 1;
                counters.value_bytes += record.values.len() as u64;
            }
            false => counters.deleted += 1,
        }
        if let Some(hash) = dnsname::name_hash(&parsed) {
            self.put(
                Family::HashedNames,
                Bytes::copy_from_slice(&hash),
                key.clone(),
            )?;
        }
        self.put(Family::Identifiers, key, record.encode())
    }

    fn take_record(&mut self, record: &PrefixRecord, counters: &Counters) -> Result<(), MakeError> {
        let prefix = record.prefix()?;
        if let Some(hash) = dnsname::prefix_name_hash(&prefix) {
            let named = match prefix.prefix_identifier() {
                Some(oid) if oid.scheme() == Scheme::Oid => Bytes::copy_from_slice(oid.key()),
                _ => record.key.clone(),
            };
            self.put(Family::HashedNames, Bytes::copy_from_slice(&hash), named)?;
        }
        let owned = index_key(record.enterprise, &record.key);
        self.put(Family::PrefixesByEnterprise, owned, Bytes::new())?;
        self.put(
            Family::Statistics,
            record.key.clone(),
            encode_value(counters),
        )?;
        self.put(Family::Prefixes, record.key.clone(), encode_value(record))?;
        let usage = self.usage.entry(record.enterprise).or_default();
        usage.prefixes += 1;
        usage.registrations += counters.identifiers;
        let node = &mut self.node;
        node.prefixes += 1;
        node.identifiers += counters.identifiers;
        node.deleted += counters.deleted;
        node.value_bytes += counters.value_bytes;
        node.creations = node.creations.saturating_add(counters.creations);
        node.updates = node.updates.saturating_add(counters.updates);
        node.deletions = node.deletions.saturating_add(counters.deletions);
        node.last_change_ms = node.last_change_ms.max(counters.last_change_ms);
        Ok(())
    }

    /// Writes what was gathered, and the log's one entry; the operator's token, the revision, and what
    /// was gathered.
    fn finish(mut self) -> Result<(String, Sequence, Deposited), MakeError> {
        let around = std::mem::take(&mut self.around);
        for enterprise in around.enterprises.values().cloned() {
            let enterprise = convert::enterprise_record(enterprise);
            let number = number_key(enterprise.id);
            let certificate = enterprise.profile.certificate_key();
            self.put(
                Family::EnterprisesByCertificate,
                certificate,
                number.clone(),
            )?;
            if enterprise.quota.is_some() {
                let usage = self.usage.get(&enterprise.id).copied().unwrap_or_default();
                let key = usage_key(EnterpriseId(enterprise.id));
                self.put(Family::Statistics, key, encode_value(&usage))?;
            }
            self.node.enterprises += 1;
            self.node.last_enterprise = self.node.last_enterprise.max(enterprise.id);
            self.put(Family::Enterprises, number, encode_value(&enterprise))?;
        }
        for template in around.templates.values().cloned() {
            let template = convert::template_record(template);
            self.node.templates += 1;
            let key = Bytes::from(template.name.clone().into_bytes());
            self.put(Family::Templates, key, encode_value(&template))?;
        }
        let node = encode_value(&self.node);
        self.put(Family::Statistics, Bytes::new(), node)?;
        let (mut credential, token) = Credential::generate(None, "operator".into())?;
        credential.version = self.revision + 1;
        let id = Bytes::from(credential.id.clone().into_bytes());
        self.put(Family::Credentials, id, encode_value(&credential))?;
        let entry = LogEntry {
            sequence: self.revision + 1,
            committed_at_ms: now_ms(),
            actor: credential.id.clone(),
            change: Some(Change::Credential(credential)),
        };
        let number = number_key(entry.sequence);
        self.put(Family::Log, number, layout::encode_value(&entry))?;
        self.store.write(&self.batch, true)?;
        Ok((token, self.revision, around))
    }

    fn put(&mut self, family: Family, key: Bytes, value: Bytes) -> Result<(), MakeError> {
        self.batch_bytes += key.len() + value.len();
        self.batch.push(Mutation {
            family,
            key,
            value: Some(value),
        });
        if self.batch_bytes > BATCH_BYTES {
            // A store that is not whole is thrown away: only its last write need be synced, before
            // which all of these are.
            self.batch
                .sort_by(|a, b| (a.family as u8, &a.key).cmp(&(b.family as u8, &b.key)));
            self.store.write(&self.batch, false)?;
            self.batch.clear();
            self.batch_bytes = 0;
        }
        Ok(())
    }
}
