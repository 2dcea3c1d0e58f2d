//! What every command asks for, kept from one group to the next: its caller's credential, its prefix's
//! enterprise, counters. Nobody but the writer changes them.

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

/// Committed credentials, enterprises and counters.
#[derive(Debug, Default)]
pub(crate) struct Known {
    credentials: Kept<Credential>,
    enterprises: Kept<Enterprise>,
    /// Rows of [`Family::Statistics`], which change with nearly every group.
    counters: RefCell<HashMap<Bytes, Bytes>>,
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

    /// The committed counters under this key.
    pub fn counters(&self, store: &Store, key: &[u8]) -> Result<Option<Bytes>> {
        if let Some(row) = self.counters.borrow().get(key) {
            return Ok(Some(row.clone()));
        }
        store.get(Family::Statistics, key)
    }

    /// Goes on from what is about to be committed. If that fails, nothing is asked for any more.
    pub fn follow(&self, mutations: &[Mutation]) {
        for of_family in mutations.chunk_by(|a, b| a.family == b.family) {
            match of_family.first().map(|mutation| mutation.family) {
                Some(Family::Credentials) => self.credentials.clear(),
                Some(Family::Enterprises) => self.enterprises.clear(),
                Some(Family::Statistics) => self.count(of_family),
                _ => {}
            }
        }
    }

    fn count(&self, rows: &[Mutation]) {
        let mut counters = self.counters.borrow_mut();
        if counters.len() + rows.len() > MOST {
            counters.clear();
        }
        for row in rows {
            match &row.value {
                Some(value) => counters.insert(row.key.clone(), value.clone()),
                None => counters.remove(&row.key),
            };
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
