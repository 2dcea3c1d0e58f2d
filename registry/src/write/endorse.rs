//! Signs what is registered (trusted resolution), before it reaches the writer.
//!
//! A signature takes 2.6 ms of a core with an RSA-2048 key and 0.22 ms with SM2, measured over an
//! import of 10,000 identifiers: too long for the one writer thread, bearable on the caller's side,
//! where there is a thread for each. What an update leaves depends on the record, so that is read first,
//! and the writer takes the signature only if the record is still the one that was signed; else it is made
//! again. What may not be registered as far as can be told beside the writer is not signed, and the writer
//! takes it no more, even if it has become allowed meanwhile: it is tried again.

use super::Command;
use super::draft::{self, Draft, IdentifierUpdate, MAX_RECORD_BYTES};
use super::import::ItemError;
use crate::administrator::{HandleValues, Handles};
use crate::record::Record;
use crate::{Error, Result, now_ms};
use idnode_proto::identifier::{Identifier, Scheme};
use idnode_proto::trust::claims::Token;
use idnode_proto::trust::{Permission, Signer, Validity};
use idnode_proto::value::{MAX_VALUES, Permissions, Value, ValueRef, Values, encode_values, types};
use std::thread::available_parallelism;

/// The index of a signature, if it is free; else the next free one above.
const SIGNATURE_INDEX: u32 = 400;
/// What a signature over values that administrators alone read may be read by.
const RESTRICTED: Permissions = Permissions(Permissions::ADMIN_READ | Permissions::ADMIN_WRITE);

/// Signs the values of Handle identifiers on behalf of the node.
#[derive(Debug)]
pub struct Endorser {
    /// The node's key, and its name to those who verify.
    pub signer: Signer,
    /// How long a signature holds, seconds.
    pub validity_s: u64,
    /// Whether bulk loads are signed as well.
    pub imports: bool,
}

/// Signatures over what an update leaves of one version of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endorsement {
    /// The version that the update was applied to; 0: there was no live record.
    pub version: u64,
    /// Indexes of the node's own signatures in that version.
    own: Vec<u32>,
    /// `None`: the update does not apply to that version.
    signatures: Option<Signatures>,
}

/// HS_SIGNATURE values, and the indexes of those whose place they take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Signatures {
    replaced: Vec<u32>,
    made: Vec<Value>,
}

impl Endorsement {
    /// The indexes of signatures that are taken away before the update is applied. Another version
    /// than the one that was signed may have others.
    pub fn own(&self) -> Vec<u32> {
        self.own.clone()
    }

    /// The values with the signatures over them; `None`: nothing was signed, since the update did
    /// not apply.
    pub fn placed(&self, values: Vec<Value>) -> Option<Vec<Value>> {
        let signatures = self.signatures.as_ref()?;
        Some(signatures.placed(values))
    }
}

impl Signatures {
    fn placed(&self, mut values: Vec<Value>) -> Vec<Value> {
        values.retain(|value| !self.replaced.contains(&value.index));
        values.extend(self.made.iter().cloned());
        values.sort_by_key(|value| value.index);
        values
    }
}

/// What a record has room for beside its other values. Signatures must not make less of what clients
/// may register: where there is no room for them, there are none.
struct Room {
    values: usize,
    bytes: usize,
}

impl Room {
    fn beside<'v>(values: impl Iterator<Item = &'v ValueRef<'v>>) -> Self {
        let whole = Self {
            values: MAX_VALUES,
            bytes: MAX_RECORD_BYTES,
        };
        values.fold(whole, |room, value| Self {
            values: room.values.saturating_sub(1),
            bytes: room.bytes.saturating_sub(value.raw().len()),
        })
    }

    fn takes(&mut self, value: &Value) -> bool {
        let length = value.encoded_len();
        let fits = self.values > 0 && length <= self.bytes;
        if fits {
            self.values -= 1;
            self.bytes -= length;
        }
        fits
    }
}

/// What a signer's certificate lets it sign; without one that is known here, whatever it is asked to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants(Option<Vec<Permission>>);

impl Grants {
    /// Those of the newest of certificates that is the signer's.
    fn of_certificates<'v>(signer: &Signer, values: impl Iterator<Item = ValueRef<'v>>) -> Self {
        let name = signer.name.to_string();
        let own = values
            .filter(|value| value.value_type() == types::HS_CERT)
            // What others are not shown they do not verify by.
            .filter(|value| value.permissions().public_read())
            .filter_map(|value| Token::certificate(value.data()).ok())
            .filter(|token| token.claims.claims.sub == name);
        let newest = own.max_by_key(|token| token.claims.claims.iat);
        Self(newest.map(|token| token.claims.perms))
    }

    fn cover(&self, handle: &str) -> bool {
        let Self(Some(granted)) = self else {
            return true;
        };
        granted.iter().any(|permission| permission.covers(handle))
    }
}

impl Endorser {
    /// Whether what a command registers is signed.
    pub(crate) fn concerns(&self, command: &Command) -> bool {
        match command {
            Command::CreateIdentifier(_) | Command::UpdateIdentifier(_) => true,
            Command::ImportChunk { .. } => self.imports,
            _ => false,
        }
    }

    /// What the signer may sign as things stand: its certificate is read where whoever verifies would
    /// look for it. May block on the disk.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) fn grants(&self, handles: &impl Handles) -> Result<Grants> {
        let at = self.signer.chain.first().unwrap_or(&self.signer.name);
        let Ok(handle) = Identifier::parse(&at.handle) else {
            return Ok(Grants::default());
        };
        let values = handles.values_of(&handle)?.unwrap_or_default();
        Ok(Grants::of_certificates(&self.signer, values.iter()))
    }

    /// A draft with a signature among its values, if the signer may sign it.
    ///
    /// # Errors
    /// The key fails.
    pub(crate) fn draft(&self, draft: Draft, grants: &Grants) -> Result<Draft> {
        let Some(handle) = signed_name(&draft.identifier, draft.identifier.spelling()) else {
            return Ok(draft);
        };
        let signatures = self.signatures(&handle, &draft.values().collect::<Vec<_>>(), grants)?;
        let values = draft.values().map(|value| value.to_owned()).collect();
        let values = signatures.placed(values);
        Ok(Draft {
            value_count: values.len() as u16,
            values: draft::encode(&values)?,
            ..draft
        })
    }

    /// An update with signatures over what it leaves of `existing`, the live record. Without
    /// signatures, but with the version that was read, where the writer will refuse it as it is:
    /// whoever may not write must not learn here why the update is wrong.
    ///
    /// # Errors
    /// The key fails.
    pub(crate) fn update(
        &self,
        mut update: IdentifierUpdate,
        existing: Option<&Record>,
        grants: &Grants,
    ) -> Result<IdentifierUpdate> {
        let registered = existing.and_then(|record| record.display.as_deref());
        let Some(handle) = signed_name(&update.identifier, registered) else {
            return Ok(update);
        };
        let own = self.own_among(existing.iter().flat_map(|existing| existing.values()));
        let left = existing.and_then(|existing| {
            let values = HandleValues::of_record(existing).without(own.clone());
            update.change.outcome(&values, &update.identifier).ok()
        });
        let sign = |left: Vec<Value>| {
            let encoded = encode_values(&left);
            let views: Vec<_> = Values::all(&encoded)
                .map_while(std::result::Result::ok)
                .collect();
            self.signatures(&handle, &views, grants)
        };
        update.endorsement = Some(Endorsement {
            version: existing.map_or(0, |existing| existing.version),
            own,
            signatures: left.map(sign).transpose()?,
        });
        Ok(update)
    }

    /// A chunk's items, those that are `wanted` with signatures, made by every core beside each
    /// other; the others are not to be registered.
    pub(crate) fn chunk(
        &self,
        items: Vec<std::result::Result<Draft, ItemError>>,
        grants: &Grants,
        wanted: impl Fn(&Identifier) -> bool + Sync,
    ) -> Vec<std::result::Result<Draft, ItemError>> {
        let threads = available_parallelism().map_or(1, usize::from);
        let share = items.len().div_ceil(threads).max(1);
        let sign = |item: &std::result::Result<Draft, ItemError>| {
            let draft = item.clone()?;
            if !wanted(draft.identifier()) {
                return Ok(draft.withheld_at(0));
            }
            self.draft(draft, grants)
                .map_err(|error| ItemError::from(&error))
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = items
                .chunks(share)
                .map(|items| scope.spawn(move || items.iter().map(sign).collect::<Vec<_>>()))
                .collect();
            let lost = || {
                let error = Error::Storage("signing ended without a result".into());
                vec![Err(ItemError::from(&error))]
            };
            let signed = workers
                .into_iter()
                .flat_map(|worker| worker.join().unwrap_or_else(|_| lost()));
            signed.collect()
        })
    }

    /// One signature over what everybody may read, and, where there is more, one over what
    /// administrators alone may read, which they alone may read as well: nobody is told of values
    /// that nobody shows them. Secret keys are in neither.
    fn signatures(
        &self,
        handle: &str,
        values: &[ValueRef<'_>],
        grants: &Grants,
    ) -> Result<Signatures> {
        let replaced = self.own_among(values.iter().copied());
        // What the signer may not sign nobody would trust, nor what others have signed of it.
        if !grants.cover(handle) {
            let made = Vec::new();
            return Ok(Signatures { replaced, made });
        }
        let is_signed = |value: &&ValueRef<'_>| {
            ![types::HS_SIGNATURE, types::HS_SECKEY]
                .iter()
                .any(|other| value.value_type().eq_ignore_ascii_case(other))
        };
        let (public, others): (Vec<_>, Vec<_>) = values
            .iter()
            .filter(is_signed)
            .partition(|value| value.permissions().public_read());
        let restricted = others
            .into_iter()
            .filter(|value: &&ValueRef<'_>| value.permissions().admin_read());
        let taken: Vec<u32> = values
            .iter()
            .map(|value| value.index())
            .filter(|index| !replaced.contains(index))
            .collect();
        let mut free = (SIGNATURE_INDEX..).filter(|index| !taken.contains(index));
        let mut made = Vec::new();
        let kept = values
            .iter()
            .filter(|value| !replaced.contains(&value.index()));
        let mut room = Room::beside(kept);
        for (group, permissions) in [
            (public, Permissions::default()),
            (restricted.collect(), RESTRICTED),
        ] {
            if !group.is_empty() {
                let index = free.next().unwrap_or_default();
                let signature = Value {
                    permissions,
                    ..self.signature(handle, index, group)?
                };
                if !room.takes(&signature) {
                    tracing::debug!(handle, "is not signed: with a signature it is too long");
                    let made = Vec::new();
                    return Ok(Signatures { replaced, made });
                }
                made.push(signature);
            }
        }
        Ok(Signatures { replaced, made })
    }

    fn signature(&self, handle: &str, index: u32, values: Vec<&ValueRef<'_>>) -> Result<Value> {
        let now_s = now_ms() / 1_000;
        let data = self
            .signer
            .signature(
                handle,
                values.into_iter().copied(),
                Validity::starting(now_s, self.validity_s),
            )
            .map_err(|error| Error::Storage(format!("the values cannot be signed: {error}")))?;
        Ok(Value {
            timestamp_s: u32::try_from(now_s).unwrap_or(u32::MAX),
            ..Value::new(index, types::HS_SIGNATURE, data)
        })
    }

    /// The indexes of this signer's signatures.
    fn own_among<'v>(&self, values: impl Iterator<Item = ValueRef<'v>>) -> Vec<u32> {
        let own = values.filter(|value| self.is_own(value));
        own.map(|value| value.index()).collect()
    }

    /// Whether a value is a signature of this signer's.
    fn is_own(&self, value: &ValueRef<'_>) -> bool {
        value.value_type() == types::HS_SIGNATURE
            && Token::signature(value.data())
                .is_ok_and(|token| token.claims.claims.iss == self.signer.name.to_string())
    }
}

/// The name that a signature is over: the spelling that it is registered under, if that is not the
/// canonical one; clients compare suffixes with their case. `None`: identifiers of other schemes
/// are resolved by other protocols, which have no signatures of this kind.
fn signed_name(identifier: &Identifier, registered: Option<&str>) -> Option<String> {
    let is_handle = identifier.scheme() == Scheme::Handle;
    is_handle.then(|| registered.map_or_else(|| identifier.canonical(), str::to_owned))
}
