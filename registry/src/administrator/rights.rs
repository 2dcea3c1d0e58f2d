//! What HS_ADMIN values, and the groups that they name, let an administrator do.

use super::Administrator;
use super::values::{HandleValues, Handles};
use crate::{Error, Result};
use bytes::Bytes;
use idnode_proto::handle::admin::AdminId;
use idnode_proto::handle::{Admin, AdminPermissions, decode_value_list};
use idnode_proto::identifier::Identifier;
use idnode_proto::value::{Reference, ValueRef, types};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Most groups inside each other that are looked into.
pub const MAX_GROUP_DEPTH: usize = 8;
/// Most handles whose values one question about rights reads.
pub const MAX_GROUP_READS: usize = 64;
/// Most references that one question about rights compares: some milliseconds of the writer.
const MAX_REFERENCES_COMPARED: usize = 8_192;
/// The shortest reference of an HS_VLIST value: an empty handle and an index.
const MIN_REFERENCE_BYTES: usize = 8;

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
            self.groups.insert(handle.clone(), groups_of(&values));
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

/// The HS_VLIST values of a handle by index.
fn groups_of(values: &HandleValues) -> HashMap<u32, Group> {
    values
        .iter()
        .filter(|value| value.value_type().eq_ignore_ascii_case(types::HS_VLIST))
        .map(|value| {
            let data = values.encoded.slice_ref(value.data());
            (value.index(), Group::Encoded(data))
        })
        .collect()
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
