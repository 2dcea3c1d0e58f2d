//! Who writes and for whom, kept decoded from one group to the next: every command asks for its caller's
//! credential and its prefix's enterprise, and nobody but the writer changes them.

use crate::Result;
use crate::credential::Credential;
use crate::enterprise::Enterprise;
use crate::layout::{Family, decode_value};
use crate::store::{Mutation, Store};
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Most of each kind; beyond it all of a kind are forgotten.
const MOST: usize = 1_024;

/// Committed credentials and enterprises.
#[derive(Debug, Default)]
pub(crate) struct Known {
    credentials: Kept<Credential>,
    enterprises: Kept<Enterprise>,
}

impl Known {
    /// The committed credential with this id.
    pub fn credential(&self, store: &Store, id: &[u8]) -> Result<Option<Arc<Credential>>> {
        self.credentials.get(store, Family::Credentials, id)
    }

    /// The committed enterprise under this key.
    pub fn enterprise(&self, store: &Store, key: &[u8]) -> Result<Option<Arc<Enterprise>>> {
        self.enterprises.get(store, Family::Enterprises, key)
    }

    /// Forgets what is about to change.
    pub fn forget(&self, mutations: &[Mutation]) {
        for of_family in mutations.chunk_by(|a, b| a.family == b.family) {
            match of_family.first().map(|mutation| mutation.family) {
                Some(Family::Credentials) => self.credentials.clear(),
                Some(Family::Enterprises) => self.enterprises.clear(),
                _ => {}
            }
        }
    }
}

/// Messages of one family by key.
#[derive(Debug)]
struct Kept<M>(RefCell<HashMap<Bytes, Arc<M>>>);

impl<M> Default for Kept<M> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<M: prost::Message + Default> Kept<M> {
    fn get(&self, store: &Store, family: Family, key: &[u8]) -> Result<Option<Arc<M>>> {
        let mut kept = self.0.borrow_mut();
        if let Some(message) = kept.get(key) {
            return Ok(Some(message.clone()));
        }
        let Some(stored) = store.get(family, key)? else {
            return Ok(None);
        };
        let message = Arc::new(decode_value(&stored)?);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(Bytes::copy_from_slice(key), Arc::clone(&message));
        Ok(Some(message))
    }

    fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}
