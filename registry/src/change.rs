//! What a log entry says: the objects of one commit as they are after it. The state of a
//! follower is a function of the entries it has read.

use crate::Sequence;
use crate::credential::Credential;
use crate::enterprise::Enterprise;
use crate::prefix::PrefixRecord;
use crate::template::Template;
use bytes::Bytes;

/// One entry of the change log.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LogEntry {
    /// Its place, from 1 up without gaps.
    #[prost(uint64, tag = "1")]
    pub sequence: Sequence,
    /// When, milliseconds since the Unix epoch; never less than the entry before.
    #[prost(uint64, tag = "2")]
    pub committed_at_ms: u64,
    /// The credential that wrote.
    #[prost(string, tag = "3")]
    pub actor: String,
    /// What.
    #[prost(oneof = "Change", tags = "4, 5, 6, 7, 8")]
    pub change: Option<Change>,
}

/// What was changed.
#[allow(
    clippy::large_enum_variant,
    reason = "few are alive at a time: a commit group is bounded, and its bulk is identifiers"
)]
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Change {
    /// Identifiers created, updated or deleted: one, or the accepted items of a chunk.
    #[prost(message, tag = "4")]
    Identifiers(IdentifierChanges),
    /// An enterprise created, updated or reviewed.
    #[prost(message, tag = "5")]
    Enterprise(Enterprise),
    /// A prefix applied for, moved, delegated or removed.
    #[prost(message, tag = "6")]
    Prefix(PrefixChange),
    /// A template put or deleted.
    #[prost(message, tag = "7")]
    Template(TemplateChange),
    /// An API key made or revoked.
    #[prost(message, tag = "8")]
    Credential(Credential),
}

/// Identifiers of one commit.
#[derive(Clone, PartialEq, prost::Message)]
pub struct IdentifierChanges {
    /// In the order they were written; the last one of a key counts.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<IdentifierChange>,
}

/// One identifier.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct IdentifierChange {
    /// Its key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Its record as stored: live, or a tombstone.
    #[prost(bytes = "bytes", tag = "2")]
    pub record: Bytes,
    /// Version of the record it replaced, a tombstone included; 0: there was none. `None`:
    /// the entry does not tell, as those written before this field was.
    #[prost(uint64, optional, tag = "3")]
    pub replaced: Option<Sequence>,
    /// The enterprise whose prefix it was under: only this one may learn of the change later,
    /// whoever the prefix belongs to by then.
    #[prost(uint64, tag = "4")]
    pub enterprise: u64,
}

/// One prefix.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PrefixChange {
    /// As it is now, or was when it was removed.
    #[prost(message, required, tag = "1")]
    pub record: PrefixRecord,
    /// It is gone.
    #[prost(bool, tag = "2")]
    pub removed: bool,
    /// As it was before. `None`: it is new, or the entry was written before this field was.
    #[prost(message, optional, tag = "3")]
    pub replaced: Option<PrefixRecord>,
}

/// One template.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TemplateChange {
    /// As it is now, or was when it was deleted.
    #[prost(message, required, tag = "1")]
    pub template: Template,
    /// It is gone.
    #[prost(bool, tag = "2")]
    pub deleted: bool,
}
