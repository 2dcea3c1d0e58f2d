//! Handle administrators: who holds the key at an index of a handle, and what the HS_ADMIN values
//! of another handle let it do (RFC 3651 §3.2.1, groups by HS_VLIST §3.2.7).
//!
//! An administrator with a [`crate::credential::Credential`] is that credential's enterprise or
//! the operator. One whose key is a value registered here is [`Caller::Administrator`] and has
//! the rights that the handle in question gives it, asked for anew with every command and every
//! reading.

use crate::credential::Credential;
use crate::layout::{Family, decode_value};
use crate::prefix::PrefixRecord;
use crate::prefix_table::PrefixTable;
use crate::record::Record;
use crate::store::Store;
use crate::{Caller, Error, Registry, Result};
use bytes::Bytes;
use idnode_proto::handle::admin::AdminId;
pub use idnode_proto::handle::auth::ProofKey;
use idnode_proto::handle::{Admin, AdminPermissions, decode_value_list};
use idnode_proto::identifier::Identifier;
use idnode_proto::value::{Reference, ValueRef, Values, types};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

/// Most groups inside each other that are looked into.
pub const MAX_GROUP_DEPTH: usize = 8;
/// Most handles whose values one question about rights reads.
pub const MAX_GROUP_READS: usize = 64;
/// Most references that one question about rights compares: some milliseconds of the writer.
const MAX_REFERENCES_COMPARED: usize = 8_192;
/// The shortest reference of an HS_VLIST value: an empty handle and an index.
const MIN_REFERENCE_BYTES: usize = 8;

/// The key that a value holds; `None`: it is of another type, or a secret that anybody may read.
fn key_of_value(value: &ValueRef<'_>) -> Option<ProofKey> {
    let kind = value.value_type();
    if kind.eq_ignore_ascii_case(types::HS_PUBKEY) {
        return Some(ProofKey::Public(value.data().to_vec()));
    }
    let secret = kind.eq_ignore_ascii_case(types::HS_SECKEY);
    let kept = secret && !value.permissions().public_read();
    kept.then(|| ProofKey::Secret(value.data().to_vec()))
}

fn digest_of(key: &ProofKey) -> [u8; 32] {
    let (kind, data) = match key {
        ProofKey::Secret(data) => (0, data),
        ProofKey::Public(data) => (1, data),
    };
    Sha256::new()
        .chain_update([kind])
        .chain_update(data)
        .finalize()
        .into()
}

/// An administrator's key and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdministratorKey {
    /// What a proof is checked with.
    pub key: ProofKey,
    /// Who whoever proves it is.
    pub caller: Caller,
}

/// Who holds a key that is a value registered here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administrator {
    id: AdminId,
    /// `300:0.NA/88.118.8`.
    name: String,
    /// Of the key that was proven: another one at the same place is another administrator.
    key_digest: [u8; 32],
}

impl Administrator {
    fn new(id: AdminId, key: &ProofKey) -> Self {
        Self {
            name: id.to_string(),
            key_digest: digest_of(key),
            id,
        }
    }

    /// Where its key is.
    pub fn id(&self) -> &AdminId {
        &self.id
    }

    /// `300:0.NA/88.118.8`: what the change log calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A text of bounded length and without control characters that is nobody else's.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = Sha256::new()
            .chain_update(self.id.index.to_be_bytes())
            .chain_update(self.id.handle.key())
            .finalize();
        data_encoding::HEXLOWER.encode(&digest)
    }
}

/// Encoded values of a handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct HandleValues {
    encoded: Bytes,
    count: u32,
}

impl HandleValues {
    /// Those of a live identifier.
    pub fn of_record(record: &Record) -> Self {
        Self {
            encoded: record.values.clone(),
            count: record.value_count.into(),
        }
    }

    /// Those a prefix has beside its sites.
    pub fn of_prefix(record: &PrefixRecord) -> Self {
        Self {
            encoded: record.values.clone(),
            count: record.value_count,
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// One by one, ascending by index.
    pub fn iter(&self) -> impl Iterator<Item = ValueRef<'_>> {
        Values::new(&self.encoded, self.count).map_while(std::result::Result::ok)
    }

    /// The HS_VLIST values by index.
    fn groups(&self) -> HashMap<u32, Group> {
        self.iter()
            .filter(|value| value.value_type().eq_ignore_ascii_case(types::HS_VLIST))
            .map(|value| {
                let data = self.encoded.slice_ref(value.data());
                (value.index(), Group::Encoded(data))
            })
            .collect()
    }
}

/// Where the values of handles are read: the state of a transaction, or what is committed.
pub(crate) trait Handles {
    /// The record of a prefix, in whatever state.
    fn prefix_record(&self, key: &[u8]) -> Result<Option<PrefixRecord>>;

    /// The record of the prefix that owns an identifier.
    fn owner_record(&self, identifier: &Identifier) -> Result<Option<PrefixRecord>>;

    /// An identifier's record, a tombstone included.
    fn identifier_record(&self, identifier: &Identifier) -> Result<Option<Record>>;

    /// The values of what is answered for here: a live identifier under an active prefix that is
    /// not delegated, or an active prefix.
    fn values_of(&self, handle: &Identifier) -> Result<Option<HandleValues>> {
        if let Some(prefix) = handle.prefix_handle() {
            let record = self.prefix_record(prefix.key())?;
            let active = record.filter(PrefixRecord::is_active);
            return Ok(active.as_ref().map(HandleValues::of_prefix));
        }
        let owner = self.owner_record(handle)?;
        if !owner.is_some_and(|owner| owner.is_active() && owner.delegation.is_none()) {
            return Ok(None);
        }
        let record = self.identifier_record(handle)?.filter(Record::is_live);
        Ok(record.as_ref().map(HandleValues::of_record))
    }
}

/// The key at a place, with its index; index 0: the only one the handle has.
fn key_at(handles: &impl Handles, id: &AdminId) -> Result<Option<(u32, ProofKey)>> {
    let Some(values) = handles.values_of(&id.handle)? else {
        return Ok(None);
    };
    let mut keys = values
        .iter()
        .filter(|value| id.index == 0 || value.index() == id.index)
        .filter_map(|value| Some((value.index(), key_of_value(&value)?)));
    let key = keys.next();
    Ok(key.filter(|_| keys.next().is_none()))
}

/// Err if the key that the administrator proved is no longer where it was.
pub(crate) fn require_standing(
    handles: &impl Handles,
    administrator: &Administrator,
) -> Result<()> {
    match key_at(handles, &administrator.id)? {
        Some((_, key)) if digest_of(&key) == administrator.key_digest => Ok(()),
        _ => Err(Error::Unauthenticated(format!(
            "the key of administrator {} is no longer valid",
            administrator.name
        ))),
    }
}

/// What the HS_ADMIN values among `values` let an administrator do; `None`: they do not name it.
///
/// # Errors
/// [`Error::Storage`].
pub(crate) fn rights_of(
    handles: &impl Handles,
    administrator: &Administrator,
    values: &HandleValues,
) -> Result<Option<AdminPermissions>> {
    let is_admin = |value: &ValueRef<'_>| value.value_type().eq_ignore_ascii_case(types::HS_ADMIN);
    let mut search = Search::new(handles, &administrator.id);
    let mut rights: Option<AdminPermissions> = None;
    let mut grant = |permissions: AdminPermissions| {
        let before = rights.unwrap_or_default();
        rights = Some(AdminPermissions(before.0 | permissions.0));
    };
    let mut groups = Vec::new();
    for value in values.iter().filter(is_admin) {
        let Ok(Admin {
            permissions,
            reference,
        }) = Admin::decode(value.data())
        else {
            continue;
        };
        match search.compare(&reference) {
            Some(Compared::Same) => grant(permissions),
            Some(Compared::Other(place)) => groups.push((permissions, place)),
            None => {}
        }
    }
    for (permissions, place) in groups {
        if search.is_member(place)? {
            grant(permissions);
        }
    }
    Ok(rights)
}

/// A value of a handle.
type Place = (Identifier, u32);

/// What a reference is to whoever is looked for.
enum Compared {
    /// Its own key.
    Same,
    /// Another value, perhaps a group.
    Other(Place),
}

/// A value of type HS_VLIST.
enum Group {
    /// Not looked at yet.
    Encoded(Bytes),
    /// What it lists: nothing if it cannot be read.
    Listed(Rc<[Reference]>),
}

/// One question about rights: the groups it has read and what it may still look at.
struct Search<'a, H> {
    handles: &'a H,
    wanted: &'a AdminId,
    /// The groups, by index, of the handles read so far.
    groups: HashMap<Identifier, HashMap<u32, Group>>,
    references_left: usize,
}

impl<'a, H: Handles> Search<'a, H> {
    fn new(handles: &'a H, wanted: &'a AdminId) -> Self {
        Self {
            handles,
            wanted,
            groups: HashMap::new(),
            references_left: MAX_REFERENCES_COMPARED,
        }
    }

    /// `None`: it is no identifier, or enough has been compared.
    fn compare(&mut self, reference: &Reference) -> Option<Compared> {
        self.references_left = self.references_left.checked_sub(1)?;
        let handle = Identifier::parse(&reference.handle).ok()?;
        let same_index = reference.index == self.wanted.index || reference.index == 0;
        Some(if handle == self.wanted.handle && same_index {
            Compared::Same
        } else {
            Compared::Other((handle, reference.index))
        })
    }

    /// Whether the group at a place, or one inside it, names whoever is wanted. Level by level, so
    /// that each group is met where it is least deep, and once.
    fn is_member(&mut self, group: Place) -> Result<bool> {
        if self.references_left == 0 {
            return Ok(false);
        }
        let mut met = HashSet::from([group.clone()]);
        let mut level = vec![group];
        for _ in 0..MAX_GROUP_DEPTH {
            let mut below = Vec::new();
            for (handle, index) in level {
                for reference in self.members(&handle, index)?.iter() {
                    match self.compare(reference) {
                        Some(Compared::Same) => return Ok(true),
                        Some(Compared::Other(place)) if met.insert(place.clone()) => {
                            below.push(place);
                        }
                        Some(Compared::Other(_)) => {}
                        None if self.references_left == 0 => return Ok(false),
                        None => {}
                    }
                }
            }
            level = below;
        }
        Ok(false)
    }

    /// What the HS_VLIST value at a place lists; nothing where there is none. Reads each once: one
    /// that cannot be read counts as if what it might list had been compared.
    fn members(&mut self, handle: &Identifier, index: u32) -> Result<Rc<[Reference]>> {
        if !self.groups.contains_key(handle) {
            if self.groups.len() >= MAX_GROUP_READS {
                return Ok(Rc::default());
            }
            let values = self.handles.values_of(handle)?.unwrap_or_default();
            self.groups.insert(handle.clone(), values.groups());
        }
        let lists = self.groups.get_mut(handle);
        let Some(group) = lists.and_then(|lists| lists.get_mut(&index)) else {
            return Ok(Rc::default());
        };
        let data = match group {
            Group::Listed(listed) => return Ok(listed.clone()),
            Group::Encoded(data) => data,
        };
        let listed: Rc<[Reference]> = match decode_value_list(data) {
            Ok(listed) => listed.into(),
            Err(_) => {
                let most = data.len() / MIN_REFERENCE_BYTES;
                self.references_left = self.references_left.saturating_sub(most);
                Rc::default()
            }
        };
        *group = Group::Listed(listed.clone());
        Ok(listed)
    }
}

/// What is committed.
pub(crate) struct Committed<'a> {
    pub store: &'a Store,
    pub prefixes: &'a PrefixTable,
}

impl Handles for Committed<'_> {
    fn prefix_record(&self, key: &[u8]) -> Result<Option<PrefixRecord>> {
        Ok(self.prefixes.get(key).map(|entry| entry.record.clone()))
    }

    fn owner_record(&self, identifier: &Identifier) -> Result<Option<PrefixRecord>> {
        let entry = self.prefixes.owner_of(identifier);
        Ok(entry.map(|entry| entry.record.clone()))
    }

    fn identifier_record(&self, identifier: &Identifier) -> Result<Option<Record>> {
        let stored = self.store.get(Family::Identifiers, identifier.key())?;
        stored.map(Record::decode).transpose()
    }
}

impl Registry {
    fn committed(&self) -> Committed<'_> {
        Committed {
            store: self.store(),
            prefixes: self.prefixes(),
        }
    }

    /// The key of an administrator and who whoever proves it is: first among the credentials,
    /// then among the values registered here. Index 0 means the only key of a handle. May block
    /// on the disk.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn administrator(&self, id: &AdminId) -> Result<Option<AdministratorKey>> {
        if let Some(credential) = self.administrator_credential(id)? {
            let key = credential.proof_key();
            let caller = credential.caller();
            return Ok(key.map(|key| AdministratorKey { key, caller }));
        }
        Ok(key_at(&self.committed(), id)?.map(|(index, key)| {
            let id = AdminId {
                handle: id.handle.clone(),
                index,
            };
            let administrator = Administrator::new(id, &key);
            AdministratorKey {
                caller: Caller::Administrator(Arc::new(administrator)),
                key,
            }
        }))
    }

    fn administrator_credential(&self, id: &AdminId) -> Result<Option<Credential>> {
        let index = self
            .store()
            .get(Family::CredentialsByAdministrator, &administrator_key(id))?;
        let Some(credential_id) = index else {
            return Ok(None);
        };
        let stored = self.store().get(Family::Credentials, &credential_id)?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let credential: Credential = decode_value(&stored)?;
        let holds = holds_name(&self.committed(), &credential, &id.handle)?;
        Ok(holds.then_some(credential))
    }

    /// Err if what the caller proved once would prove nothing now: the credential was revoked,
    /// the key was changed. For sessions that outlast one request. May block on the disk.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Storage`].
    pub fn require_valid(&self, caller: &Caller) -> Result<()> {
        let id = match caller {
            Caller::Stranger => return Ok(()),
            Caller::Administrator(administrator) => {
                return require_standing(&self.committed(), administrator);
            }
            Caller::Operator { credential } | Caller::Enterprise { credential, .. } => credential,
        };
        let stored = self.store().get(Family::Credentials, id.as_bytes())?;
        let found: Option<Credential> = stored.map(|s| decode_value(&s)).transpose()?;
        match found {
            Some(found) if !found.revoked => Ok(()),
            _ => Err(Error::Unauthenticated(
                "the credential is not known, or revoked".into(),
            )),
        }
    }

    /// Whether an administrator may read the values of a handle that administrators may read:
    /// its HS_ADMIN values, which are among these `count` encoded `values`, grant READ_VALUE. May
    /// block on the disk.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn administrator_reads(
        &self,
        administrator: &Administrator,
        values: Bytes,
        count: u32,
    ) -> Result<bool> {
        let values = HandleValues {
            encoded: values,
            count,
        };
        let rights = rights_of(&self.committed(), administrator, &values)?.unwrap_or_default();
        if !rights.contains(AdminPermissions::READ_VALUE) {
            return Ok(false);
        }
        match require_standing(&self.committed(), administrator) {
            Ok(()) => Ok(true),
            Err(Error::Unauthenticated(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Err unless an administrator has a right on a prefix.
    pub(crate) fn require_prefix_right(
        &self,
        administrator: &Administrator,
        prefix: &PrefixRecord,
        right: AdminPermissions,
    ) -> Result<()> {
        require_standing(&self.committed(), administrator)?;
        let rights = rights_of(
            &self.committed(),
            administrator,
            &HandleValues::of_prefix(prefix),
        )?;
        let name = format!("prefix {}", prefix.prefix()?);
        require_right(administrator, &name, rights, right)
    }
}

/// Err unless these rights on a thing include one.
pub(crate) fn require_right(
    administrator: &Administrator,
    name: &str,
    rights: Option<AdminPermissions>,
    right: AdminPermissions,
) -> Result<()> {
    let Some(rights) = rights else {
        return Err(Error::NotAdministrator {
            administrator: administrator.name.clone(),
            name: name.to_owned(),
        });
    };
    let missing = AdminPermissions(right.0 & !rights.0);
    if missing.0 == 0 {
        return Ok(());
    }
    Err(Error::AdministratorRight {
        administrator: administrator.name.clone(),
        name: name.to_owned(),
        right: labels(missing),
    })
}

/// The names of rights, for messages.
fn labels(rights: AdminPermissions) -> String {
    use AdminPermissions as A;
    let names = [
        (A::ADD_HANDLE, "create handles"),
        (A::DELETE_HANDLE, "delete the handle"),
        (A::ADD_PREFIX, "create prefixes"),
        (A::DELETE_PREFIX, "delete prefixes"),
        (A::MODIFY_VALUE, "modify values"),
        (A::REMOVE_VALUE, "remove values"),
        (A::ADD_VALUE, "add values"),
        (A::MODIFY_ADMIN, "modify administrators"),
        (A::REMOVE_ADMIN, "remove administrators"),
        (A::ADD_ADMIN, "add administrators"),
        (A::READ_VALUE, "read values"),
        (A::LIST_HANDLES, "list handles"),
        (A::LIST_PREFIXES, "list prefixes"),
    ];
    let missing = names.iter().filter(|(right, _)| rights.contains(*right));
    let missing: Vec<_> = missing.map(|(_, name)| *name).collect();
    missing.join(", ")
}

/// Key of an administrator among the credentials.
pub(crate) fn administrator_key(id: &AdminId) -> Bytes {
    let mut key = Vec::with_capacity(4 + id.handle.key().len());
    key.extend_from_slice(&id.index.to_be_bytes());
    key.extend_from_slice(id.handle.key());
    key.into()
}

/// The prefix whose owner may say who proves a handle's keys.
pub(crate) fn prefix_of_handle(
    handles: &impl Handles,
    handle: &Identifier,
) -> Result<Option<PrefixRecord>> {
    match handle.prefix_handle() {
        Some(prefix) => handles.prefix_record(prefix.key()),
        None => handles.owner_record(handle),
    }
}

/// Whether a credential for an administrator of `handle` is good for that: it is not revoked, and
/// an enterprise that took the name for itself still owns the handle. What the operator gave
/// holds until it is revoked.
pub(crate) fn holds_name(
    handles: &impl Handles,
    credential: &Credential,
    handle: &Identifier,
) -> Result<bool> {
    let taken = (credential.administrator.as_ref()).is_some_and(|record| record.taken_by_owner);
    if credential.revoked || !taken {
        return Ok(!credential.revoked);
    }
    let prefix = prefix_of_handle(handles, handle)?;
    Ok(prefix.is_some_and(|prefix| Some(prefix.enterprise) == credential.enterprise))
}
