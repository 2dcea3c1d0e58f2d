//! What the national node knows of a node's identifiers beside its own registrations: what the stream
//! of changes has told.
//!
//! The stream tells of each identifier that it is there, and of its values only what the docking guide
//! names. So a modification states all values that the identifier has afterwards, and rests on none
//! that it had. What was told last decides whether there is something to modify; the node decides, when
//! it merges, whether that was still so.

use std::sync::{Arc, OnceLock};

use idnode_proto::identifier::Identifier;

use crate::national::Failure;

/// What is known of an identifier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// Which change log of the node's, by its name in hex.
    pub log: String,
    /// Everything up to this entry of it was told.
    pub sequence: u64,
    /// Whether it is registered at the node; `None`: the node has told of nothing yet.
    pub live: Option<bool>,
}

/// Whoever takes the stream of changes.
pub trait Told: Send + Sync {
    /// What a node has told of an identifier.
    ///
    /// # Errors
    /// What was told can't be read.
    fn known(&self, node: &str, identifier: &Identifier) -> Result<Known, Failure>;
}

/// Whom is asked, once it is there.
#[derive(Default)]
pub struct Asked(OnceLock<Arc<dyn Told>>);

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asked")
    }
}

impl Asked {
    /// From now on this one is asked. Once: a second one changes nothing.
    pub fn of(&self, told: Arc<dyn Told>) {
        let _ = self.0.set(told);
    }

    /// What a node has told of an identifier; nothing, if nobody takes it.
    ///
    /// # Errors
    /// As [`Told::known`].
    pub fn known(&self, node: &str, identifier: &Identifier) -> Result<Known, Failure> {
        match self.0.get() {
            Some(told) => told.known(node, identifier),
            None => Ok(Known::default()),
        }
    }
}
