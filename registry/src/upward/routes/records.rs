//! What the journal has of routes: the set of siblings as it was told, and what the node has to
//! tell of itself.

use crate::Result;
use crate::upward::{Entry, Journal, Topic};
use idnode_proto::api::{Announcement, Sibling};
use idnode_proto::routes::Held;
use idnode_proto::routes::held::MAX_SIBLINGS;
use prost::{Enumeration, Message};
use std::ops::Bound;

const HEAD: &[u8] = b"head";
const OWN: &[u8] = b"own";
const SIBLING: &str = "sibling/";
/// Behind all keys of siblings.
const BEHIND_SIBLINGS: &[u8] = b"sibling0";

/// Which set of siblings is held.
#[derive(Clone, PartialEq, Eq, Message)]
struct Head {
    #[prost(string, tag = "1")]
    set_id: String,
    #[prost(uint64, tag = "2")]
    version: u64,
}

/// What the node has to tell of itself, and how far that has come.
#[derive(Clone, PartialEq, Message)]
pub struct OwnRecord {
    /// What is to be told.
    #[prost(message, optional, tag = "1")]
    pub announcement: Option<Announcement>,
    /// How far it has come.
    #[prost(enumeration = "OwnState", tag = "2")]
    pub state: i32,
    /// Why it was refused.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// When it was taken or refused, milliseconds since the Unix epoch; 0: it is owed.
    #[prost(uint64, tag = "4")]
    pub settled_ms: u64,
    /// The first of the prefixes that are registered and left out of it.
    #[prost(message, repeated, tag = "5")]
    pub left_out: Vec<LeftOut>,
    /// How many are.
    #[prost(uint64, tag = "6")]
    pub left_out_count: u64,
}

/// A prefix that is registered here and not announced.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LeftOut {
    /// Canonical.
    #[prost(string, tag = "1")]
    pub prefix: String,
    /// Why.
    #[prost(string, tag = "2")]
    pub reason: String,
}

/// How far an announcement has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum OwnState {
    /// It is not taken yet.
    Owed = 0,
    /// The national node has it.
    Told = 1,
    /// The national node does not want it.
    Refused = 2,
}

impl OwnRecord {
    /// One that is owed.
    pub fn owed(announcement: Announcement) -> Self {
        Self {
            announcement: Some(announcement),
            ..Self::default()
        }
    }

    /// What its content is known by.
    pub fn digest(&self) -> &str {
        self.announcement.as_ref().map_or("", |it| &it.digest)
    }
}

/// The journal's records of routes.
#[derive(Debug)]
pub struct Records<'j>(pub &'j Journal);

impl Records<'_> {
    /// The set of siblings that is held.
    ///
    /// # Errors
    /// The store fails.
    pub fn held(&self) -> Result<Held> {
        let head: Head = self.0.get(Topic::Route, HEAD)?.unwrap_or_default();
        let range = (
            Bound::Included(SIBLING.as_bytes()),
            Bound::Excluded(BEHIND_SIBLINGS),
        );
        let siblings: Vec<(_, Sibling)> = self.0.scan(Topic::Route, range, MAX_SIBLINGS)?;
        let siblings = siblings.into_iter();
        let siblings = siblings.map(|(_, it)| (it.node.clone(), it)).collect();
        Ok(Held::new(head.set_id, head.version, siblings))
    }

    /// Keeps a set that has changed, in one batch: what is to be put and taken away, and its
    /// version.
    ///
    /// # Errors
    /// The store fails; nothing is kept then.
    pub fn keep(&self, held: &Held, put: &[Sibling], gone: &[String]) -> Result<()> {
        let key = |node: &str| format!("{SIBLING}{node}");
        let head = Head {
            set_id: held.set_id.clone(),
            version: held.version,
        };
        let mut entries = vec![Entry::put(Topic::Route, HEAD, &head)];
        let gone = gone.iter().map(|it| Entry::delete(Topic::Route, key(it)));
        entries.extend(gone);
        let put = put
            .iter()
            .map(|it| Entry::put(Topic::Route, key(&it.node), it));
        entries.extend(put);
        self.0.commit(&entries)
    }

    /// What the node has to tell of itself.
    ///
    /// # Errors
    /// The store fails.
    pub fn own(&self) -> Result<Option<OwnRecord>> {
        self.0.get(Topic::Route, OWN)
    }

    /// Keeps it.
    ///
    /// # Errors
    /// The store fails.
    pub fn keep_own(&self, own: &OwnRecord) -> Result<()> {
        self.0.commit(&[Entry::put(Topic::Route, OWN, own)])
    }
}
