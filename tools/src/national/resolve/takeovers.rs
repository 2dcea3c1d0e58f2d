//! What the national node answers itself: the scopes of nodes that it has taken over.

use std::fmt::Debug;

use idnode_proto::identifier::Identifier;
use idnode_proto::value::Value;

use crate::national::takeover::Ledger;
use crate::national::takeover::ledger::Record;

/// What is known of an identifier in a scope that was taken over.
#[derive(Debug, Clone, PartialEq)]
pub enum TakenOver {
    /// It has these values.
    Values(Vec<Value>),
    /// It is not registered.
    Missing,
}

/// The scopes that were taken over, and what is in them.
pub trait Takeovers: Debug + Send + Sync {
    /// What is to be answered for an identifier, or for a prefix's handle (`0.NA/88.119`); `None`:
    /// its scope is not taken over, or its node is to be asked.
    fn record(&self, identifier: &Identifier) -> Option<TakenOver>;
}

impl Takeovers for Ledger {
    fn record(&self, identifier: &Identifier) -> Option<TakenOver> {
        match Self::record(self, identifier) {
            Ok(Some(Record::Live(values))) => Some(TakenOver::Values(values)),
            Ok(Some(Record::Deleted(_))) => Some(TakenOver::Missing),
            Ok(None) => None,
            Err(error) => {
                eprintln!("idnational: {identifier} can't be looked up: {error}");
                None
            }
        }
    }
}
