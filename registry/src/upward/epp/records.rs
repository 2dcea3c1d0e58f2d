//! What the journal keeps of provisioning, all in [`Topic::Transaction`] and [`Topic::Message`].

use crate::enterprise::{EnterpriseId, Profile};
use crate::upward::{Entry, Journal, Topic};
use crate::{Result, Sequence};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::ops::Bound;

/// Longest id of a message that is a key as it is, bytes.
const MAX_ID_BYTES: usize = 128;
/// Records read from the journal at once.
const PAGE: usize = 1_000;

/// What a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// Not stored.
    Unspecified = 0,
    /// `ent:create`.
    CreateEnterprise = 1,
    /// `ent:update`.
    UpdateEnterprise = 2,
    /// `prefix:create`.
    CreatePrefix = 3,
    /// `identifier:create`.
    CreateIdentifier = 4,
    /// `identifier:update`.
    UpdateIdentifier = 5,
    /// `identifier:delete`.
    DeleteIdentifier = 6,
}

impl Kind {
    /// What begins the names of its transactions.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Unspecified => "xx",
            Self::CreateEnterprise => "ec",
            Self::UpdateEnterprise => "eu",
            Self::CreatePrefix => "pc",
            Self::CreateIdentifier => "ic",
            Self::UpdateIdentifier => "iu",
            Self::DeleteIdentifier => "id",
        }
    }
}

/// How far a command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum TransactionState {
    /// Journalled, and not sent.
    Owed = 0,
    /// Sent, perhaps; no answer is known.
    Sent = 1,
    /// The national node has it.
    Done = 2,
    /// The national node does not want it.
    Refused = 3,
}

/// A command that was told, or is to be: journalled before it is sent.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Transaction {
    /// The node's name for it (clTRID): what is asked gives it, so that the same is asked once.
    #[prost(string, tag = "1")]
    pub client_id: String,
    /// What it is.
    #[prost(enumeration = "Kind", tag = "2")]
    pub kind: i32,
    /// The prefix or the enterprise.
    #[prost(string, tag = "3")]
    pub subject: String,
    /// The document that is sent.
    #[prost(string, tag = "4")]
    pub request: String,
    /// How far it has come.
    #[prost(enumeration = "TransactionState", tag = "5")]
    pub state: i32,
    /// When it was journalled, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "6")]
    pub created_at_ms: u64,
    /// When it was sent last; 0: never.
    #[prost(uint64, tag = "7")]
    pub sent_at_ms: u64,
    /// How often it was sent, or was about to be.
    #[prost(uint32, tag = "8")]
    pub attempts: u32,
    /// The national node's name for it (svTRID).
    #[prost(string, tag = "9")]
    pub server_id: String,
    /// The last result code; 0: there was no answer yet.
    #[prost(uint32, tag = "10")]
    pub code: u32,
    /// What the national node said, or what went wrong.
    #[prost(string, tag = "11")]
    pub message: String,
    /// When it was settled; 0: it is not.
    #[prost(uint64, tag = "12")]
    pub settled_at_ms: u64,
}

/// How far an application for a prefix has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Phase {
    /// The enterprise is not known to be registered there.
    Enrol = 0,
    /// The prefix is to be applied for.
    Apply = 1,
    /// It is under review there.
    Waiting = 2,
    /// It is granted; this is yet to be written here.
    Granted = 3,
    /// It is refused; this is yet to be written here.
    Refused = 4,
    /// It is over.
    Settled = 5,
}

/// An application for a prefix.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Application {
    /// Key of the prefix.
    #[prost(bytes = "bytes", tag = "1")]
    pub prefix: Bytes,
    /// Whose it is.
    #[prost(uint64, tag = "2")]
    pub enterprise: u64,
    /// The change that approved it here: a later approval is another application.
    #[prost(uint64, tag = "3")]
    pub submitted: Sequence,
    /// How far it has come.
    #[prost(enumeration = "Phase", tag = "4")]
    pub phase: i32,
    /// The transaction that applied; empty: none has.
    #[prost(string, tag = "5")]
    pub client_id: String,
    /// What the auditor said.
    #[prost(string, tag = "6")]
    pub message: String,
    /// The enterprise's number there to which this prefix was granted before; empty: it was not.
    #[prost(string, tag = "7")]
    pub granted_to: String,
    /// It was granted, and is withdrawn since.
    #[prost(bool, tag = "8")]
    pub withdrawn: bool,
    /// It was withdrawn, or granted again; this is yet to be written here.
    #[prost(bool, tag = "9")]
    pub turned: bool,
}

impl Application {
    /// Whether something is to be done here or told there.
    pub fn is_owed(&self) -> bool {
        self.turned || !matches!(self.phase(), Phase::Waiting | Phase::Settled)
    }
}

/// An enterprise that is registered at the national node.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Enrolment {
    /// Its number here.
    #[prost(uint64, tag = "1")]
    pub enterprise: u64,
    /// Its number there.
    #[prost(string, tag = "2")]
    pub national_id: String,
    /// What was told of it last.
    #[prost(message, required, tag = "3")]
    pub told: Profile,
    /// The version that was refused there, and is not told again; 0: none.
    #[prost(uint64, tag = "4")]
    pub refused: Sequence,
}

/// What the national node has of a prefix's handle.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Handle {
    /// Key of the prefix.
    #[prost(bytes = "bytes", tag = "1")]
    pub prefix: Bytes,
    /// Whether it is registered there, or may be.
    #[prost(bool, tag = "2")]
    pub is_there: bool,
    /// Digest of what was told last and is there; empty: nothing is known to be.
    #[prost(string, tag = "3")]
    pub told: String,
    /// Digest of what was refused and is not told again as it is; [`Handle::DELETION`]; empty: nothing.
    #[prost(string, tag = "4")]
    pub refused: String,
    /// The transaction under way; empty: none.
    #[prost(string, tag = "5")]
    pub client_id: String,
    /// Digest of what that one leads to; empty: nothing is there then.
    #[prost(string, tag = "9")]
    pub leads_to: String,
    /// Goes up with each transaction that is over: the same may be told again later, and is another one then.
    /// It begins with the time, since a journal may be lost.
    #[prost(uint64, tag = "6")]
    pub turns: u64,
    /// The version of the prefix that was looked at last.
    #[prost(uint64, tag = "7")]
    pub version: Sequence,
    /// Digest of the node's own site then.
    #[prost(string, tag = "8")]
    pub site: String,
}

impl Handle {
    /// What [`Handle::refused`] says of a deletion.
    pub const DELETION: &str = "-";
}

/// A message of the national node's queue.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Message {
    /// Its id there.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The transaction it is about, by this node's name.
    #[prost(string, tag = "2")]
    pub client_id: String,
    /// The prefix it is about.
    #[prost(string, tag = "3")]
    pub prefix: String,
    /// Whether the prefix is granted.
    #[prost(bool, tag = "4")]
    pub passed: bool,
    /// What the auditor said.
    #[prost(string, tag = "5")]
    pub message: String,
    /// When it came, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "6")]
    pub received_at_ms: u64,
    /// Whether it is about an application that waited for it, or turns what was granted before.
    #[prost(bool, tag = "7")]
    pub matched: bool,
}

/// Marks of the kinds of records that share a topic.
const TRANSACTION: u8 = b't';
const APPLICATION: u8 = b'p';
const ENROLMENT: u8 = b'e';
const HANDLE: u8 = b'h';

fn key(mark: u8, rest: &[u8]) -> Vec<u8> {
    [&[mark], rest].concat()
}

/// Where a message is kept: by its id, or by the digest of one that is longer than any should be.
fn message_key(id: &str) -> Vec<u8> {
    match id.len() <= MAX_ID_BYTES {
        true => id.as_bytes().to_vec(),
        false => Sha256::digest(id).to_vec(),
    }
}

/// The journal as provisioning reads and writes it. Blocks on the disk.
#[derive(Debug, Clone)]
pub struct Records(pub Journal);

impl Records {
    /// A transaction by the node's name for it.
    ///
    /// # Errors
    /// The store fails.
    pub fn transaction(&self, client_id: &str) -> Result<Option<Transaction>> {
        let key = key(TRANSACTION, client_id.as_bytes());
        self.0.get(Topic::Transaction, &key)
    }

    /// The application for a prefix, the last one if there were several.
    ///
    /// # Errors
    /// The store fails.
    pub fn application(&self, prefix: &[u8]) -> Result<Option<Application>> {
        self.0.get(Topic::Transaction, &key(APPLICATION, prefix))
    }

    /// An enterprise that is registered there.
    ///
    /// # Errors
    /// The store fails.
    pub fn enrolment(&self, id: EnterpriseId) -> Result<Option<Enrolment>> {
        let key = key(ENROLMENT, &id.0.to_be_bytes());
        self.0.get(Topic::Transaction, &key)
    }

    /// What is there of a prefix's handle.
    ///
    /// # Errors
    /// The store fails.
    pub fn handle(&self, prefix: &[u8]) -> Result<Option<Handle>> {
        self.0.get(Topic::Transaction, &key(HANDLE, prefix))
    }

    /// A message by its id.
    ///
    /// # Errors
    /// The store fails.
    pub fn message(&self, id: &str) -> Result<Option<Message>> {
        self.0.get(Topic::Message, &message_key(id))
    }

    /// Hands on every transaction.
    ///
    /// # Errors
    /// The store fails; what `visit` fails with.
    pub fn each_transaction(&self, visit: impl FnMut(Transaction) -> Result<()>) -> Result<()> {
        self.each(TRANSACTION, visit)
    }

    /// Hands on every application.
    ///
    /// # Errors
    /// As [`Records::each_transaction`].
    pub fn each_application(&self, visit: impl FnMut(Application) -> Result<()>) -> Result<()> {
        self.each(APPLICATION, visit)
    }

    /// Hands on every enterprise that is registered there.
    ///
    /// # Errors
    /// As [`Records::each_transaction`].
    pub fn each_enrolment(&self, visit: impl FnMut(Enrolment) -> Result<()>) -> Result<()> {
        self.each(ENROLMENT, visit)
    }

    /// Hands on what is there of every prefix's handle.
    ///
    /// # Errors
    /// As [`Records::each_transaction`].
    pub fn each_handle(&self, visit: impl FnMut(Handle) -> Result<()>) -> Result<()> {
        self.each(HANDLE, visit)
    }

    fn each<M: prost::Message + Default>(
        &self,
        mark: u8,
        mut visit: impl FnMut(M) -> Result<()>,
    ) -> Result<()> {
        let mut after = Bytes::copy_from_slice(&[mark]);
        loop {
            let range = (
                Bound::Excluded(&after[..]),
                Bound::Excluded(&[mark + 1][..]),
            );
            let page: Vec<(Bytes, M)> = self.0.scan(Topic::Transaction, range, PAGE)?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = last.clone();
            for (_, record) in page {
                visit(record)?;
            }
        }
    }

    /// Commits entries.
    ///
    /// # Errors
    /// The store fails.
    pub fn commit(&self, entries: &[Entry]) -> Result<()> {
        self.0.commit(entries)
    }
}

impl Transaction {
    /// It as an entry.
    pub fn entry(&self) -> Entry {
        let key = key(TRANSACTION, self.client_id.as_bytes());
        Entry::put(Topic::Transaction, key, self)
    }
}

impl Application {
    /// It as an entry.
    pub fn entry(&self) -> Entry {
        Entry::put(Topic::Transaction, key(APPLICATION, &self.prefix), self)
    }
}

impl Enrolment {
    /// It as an entry.
    pub fn entry(&self) -> Entry {
        let key = key(ENROLMENT, &self.enterprise.to_be_bytes());
        Entry::put(Topic::Transaction, key, self)
    }
}

impl Handle {
    /// It as an entry.
    pub fn entry(&self) -> Entry {
        Entry::put(Topic::Transaction, key(HANDLE, &self.prefix), self)
    }
}

impl Message {
    /// It as an entry.
    pub fn entry(&self) -> Entry {
        Entry::put(Topic::Message, message_key(&self.id), self)
    }
}
