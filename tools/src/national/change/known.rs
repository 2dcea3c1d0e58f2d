//! What the rest of the national node asks: whether an identifier is registered at its node, as far as
//! that was told.

use idnode_proto::identifier::Identifier;

use super::Intake;
use super::apply::Row;
use crate::national::Failure;
use crate::national::takeover::known::{Known, Told};

impl Told for Intake {
    fn known(&self, node: &str, identifier: &Identifier) -> Result<Known, Failure> {
        let store = &self.inner.store;
        // First: what is told meanwhile is known by less than it could be.
        let shown = store.node(node)?.shown;
        if shown.log.is_empty() {
            return Ok(Known::default());
        }
        let stored = store.identifier(node, identifier.key())?;
        let row = stored.map(|stored| Row::decode(identifier.key(), &stored));
        Ok(Known {
            log: shown.log,
            sequence: shown.sequence,
            live: Some(row.transpose()?.is_some_and(|row| row.is_live())),
        })
    }
}
