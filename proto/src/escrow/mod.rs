//! Deposits of a registry's data with an escrow agent: documents in the manner of RFC 8909 with
//! objects of our own, compressed, encrypted, signed and cut into parts. docs/escrow.md specifies
//! them, `proto/escrow/*.xsd` the documents.
//!
//! | module | holds |
//! |---|---|
//! | [`deposit`] | what a deposit says of itself |
//! | [`object`] | prefixes, enterprises, templates, identifiers |
//! | [`mod@write`], [`read`] | documents of any length, object by object |
//! | [`listing`] | the digest over what a prefix has, by which two registries are compared |
//! | [`compress`] | a document as a zip archive or under zstd |
//! | [`seal`] | SM4-GCM in chunks, its key encrypted by SM2 |
//! | [`part`] | the sealed document in parts of bounded size |
//! | [`manifest`] | what names the parts, signed by SM2 |
//! | [`package`] | all of these together, both ways |
//! | [`chain`] | a FULL deposit and the DIFFs after it as one state |
//! | [`differ`] | where two objects differ |
//!
//! Everything here works on streams, and holds one object, one chunk and one buffer at a time,
//! whatever the deposit's length.

pub mod chain;
pub mod compress;
pub mod deposit;
pub mod differ;
mod fields;
pub mod listing;
pub mod manifest;
pub mod object;
pub mod package;
pub mod part;
pub mod read;
pub mod seal;
#[cfg(test)]
mod tests;
pub mod write;

use crate::xml::stream::{Limits, StreamError};
use std::io;
use thiserror::Error;

/// Namespace of RFC 8909 documents.
pub const RDE: &str = "urn:ietf:params:xml:ns:rde-1.0";
/// Namespace of our own objects.
pub const NS: &str = "urn:idnode:params:xml:ns:escrow-1.0";

/// One object with everything in it: the largest, a template of a few MiB, with every character escaped.
pub(crate) const LIMITS: Limits = Limits {
    piece_bytes: 32 << 20,
    depth: 8,
    elements: 70_000,
    attributes: 40,
};

/// Why a deposit cannot be made or is refused.
#[derive(Debug, Error)]
pub enum EscrowError {
    /// The bytes could not be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The document is not XML as it is taken.
    #[error("the document {0}")]
    Xml(StreamError),
    /// The document is not what the schema says.
    #[error("the document has {what} at byte {offset}")]
    Document {
        /// What is wrong.
        what: String,
        /// Where, bytes from its start.
        offset: u64,
    },
    /// The container is not what the format says, or is damaged.
    #[error("{0}")]
    Container(String),
    /// Encrypted for another key, or the key itself is of no use.
    #[error("the deposit's key does not open: {0}")]
    Key(String),
    /// Values of a record that cannot be read.
    #[error("values that cannot be deposited: {0}")]
    Values(String),
    /// The manifest is not one, or not its signer's.
    #[error("the manifest {0}")]
    Manifest(String),
    /// A part is missing, or not the one the manifest names.
    #[error("part {number} {what}")]
    Part {
        /// Which, from 1 on.
        number: u32,
        /// What is wrong with it.
        what: String,
    },
    /// The deposits do not follow each other, or do not lead to what they say.
    #[error("{0}")]
    Chain(String),
}

impl From<StreamError> for EscrowError {
    fn from(error: StreamError) -> Self {
        match error {
            // What lies below the document says its own errors through its bytes.
            StreamError::Io(error) => Self::from_source(error),
            other => Self::Xml(other),
        }
    }
}

impl EscrowError {
    /// As an error of a stream of bytes, from which [`EscrowError::from_source`] has it back.
    pub(crate) fn into_source(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            other => io::Error::other(other),
        }
    }

    /// What a stream of bytes failed with.
    pub(crate) fn from_source(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) => Self::Io(error),
        }
    }
}
