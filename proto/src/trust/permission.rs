//! Which handles a certificate lets its subject sign, and what of that it may hand on.

use serde::{Deserialize, Serialize};

use super::name::{prefix_of, same_handle};

/// One permission of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// The handle that `perm` is about; without meaning for [`Scope::Everything`].
    #[serde(default)]
    pub handle: String,
    /// What about it.
    pub perm: Scope,
}

/// What a permission is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// Every handle.
    Everything,
    /// The handle itself.
    ThisHandle,
    /// Of `0.NA/88.118`: `0.NA/88.118.8` and whatever else is derived from it.
    DerivedPrefixes,
    /// Of `0.NA/88.118`: `88.118/…`.
    HandlesUnderThisPrefix,
}

impl Permission {
    /// A permission about a handle.
    pub fn new(scope: Scope, handle: impl Into<String>) -> Self {
        Self {
            handle: handle.into(),
            perm: scope,
        }
    }

    /// What a prefix's certificate usually grants: the prefix's own values, the prefixes derived
    /// from it, the handles under it.
    pub fn of_prefix(handle: &str) -> Vec<Self> {
        [
            Scope::ThisHandle,
            Scope::DerivedPrefixes,
            Scope::HandlesUnderThisPrefix,
        ]
        .map(|scope| Self::new(scope, handle))
        .into()
    }

    /// Whether it lets its holder sign `handle`.
    pub fn covers(&self, handle: &str) -> bool {
        match self.perm {
            Scope::Everything => true,
            Scope::ThisHandle => same_handle(&self.handle, handle),
            Scope::DerivedPrefixes => match (prefix_of(&self.handle), prefix_of(handle)) {
                (Some(parent), Some(prefix)) => derived(prefix, parent),
                _ => false,
            },
            Scope::HandlesUnderThisPrefix => {
                match (prefix_of(&self.handle), handle.split_once('/')) {
                    (Some(parent), Some((prefix, _))) => parent.eq_ignore_ascii_case(prefix),
                    _ => false,
                }
            }
        }
    }

    /// Whether its holder may grant `other`: nobody hands on more than there is. Whoever has a
    /// prefix's derived prefixes has what is under them as well, since it certifies their keys.
    pub fn may_grant(&self, other: &Self) -> bool {
        match (self.perm, other.perm) {
            (Scope::Everything, _) => true,
            (_, Scope::Everything) => false,
            (_, Scope::ThisHandle) => self.covers(&other.handle) || self.reaches(&other.handle),
            (Scope::DerivedPrefixes, _) => self.covers(&other.handle),
            (mine, theirs) => mine == theirs && same_handle(&self.handle, &other.handle),
        }
    }

    /// Whether `handle` is under a prefix derived from this permission's.
    fn reaches(&self, handle: &str) -> bool {
        match (self.perm, prefix_of(&self.handle), handle.split_once('/')) {
            (Scope::DerivedPrefixes, Some(parent), Some((prefix, _))) => derived(prefix, parent),
            _ => false,
        }
    }
}

/// Whether `prefix` is `parent` with more behind a dot.
fn derived(prefix: &str, parent: &str) -> bool {
    prefix
        .get(..parent.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(parent))
        && prefix.as_bytes().get(parent.len()) == Some(&b'.')
}
