//! Operations 1000 to 1003: the change log, dumps and backups, for mirrors. What running servers put
//! into their bodies is not public; these are this project's own.
//!
//! | operation | request | answer |
//! |---|---|---|
//! | 1000 next transaction number | nothing | u64 number |
//! | 1001 retrieve transactions | u64 from, u32 most, u32 count × str prefix | messages: u64 oldest, u64 next, u32 count × transaction |
//! | 1002 dump | u32 count × str prefix | messages: u64 number, u32 count × handle |
//! | 1003 back up | nothing | u64 number, str name |
//!
//! A transaction is u64 number, u64 time (milliseconds since 1970), u8 action (1 create, 2 update,
//! 3 delete), str handle, u32 count × value; a handle of a dump is str handle, u32 count × value.
//! Values are as in resolution. Of answers in several messages all but the last have
//! [`crate::handle::OpFlags::CONTINUES`].

use super::super::wire::{Reader, WireError, length_field, put_sized};
use super::list::MAX_LIST_LEN;
use crate::handle::message::MAX_MESSAGE_LEN;
use crate::value::{MAX_HANDLE_LEN, MAX_VALUES, MIN_VALUE_LEN, Value, Values};

/// Most prefixes that one request names.
pub const MAX_PREFIXES: usize = 1_024;
/// The shortest transaction, bytes.
const MIN_TRANSACTION_LEN: usize = 25;
/// The shortest handle of a dump, bytes.
const MIN_DUMPED_LEN: usize = 8;
/// The longest name of a backup, bytes.
const MAX_NAME_LEN: usize = 1_024;

/// What transactions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionsRequest<'a> {
    /// The first number.
    pub from: u64,
    /// How many are enough, 0 for all; those of one number come together.
    pub most: u32,
    /// The handles of prefixes, `0.NA/…`; none: of everything.
    pub prefixes: Vec<&'a str>,
}

impl<'a> TransactionsRequest<'a> {
    /// Reads a body. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        Ok(Self {
            from: read_u64(&mut reader, "transaction number")?,
            most: reader.u32("transaction limit")?,
            prefixes: read_prefixes(&mut reader)?,
        })
    }

    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.from.to_be_bytes().to_vec();
        out.extend_from_slice(&self.most.to_be_bytes());
        put_prefixes(&mut out, &self.prefixes);
        out
    }
}

/// What is to be dumped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpRequest<'a> {
    /// The handles of prefixes, `0.NA/…`; none: everything.
    pub prefixes: Vec<&'a str>,
}

impl<'a> DumpRequest<'a> {
    /// Reads a body. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let prefixes = read_prefixes(&mut Reader::new(body))?;
        Ok(Self { prefixes })
    }

    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_prefixes(&mut out, &self.prefixes);
        out
    }
}

/// What was done to a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was not there before.
    Create,
    /// It has other values.
    Update,
    /// It is gone.
    Delete,
}

impl Action {
    fn number(self) -> u8 {
        match self {
            Self::Create => 1,
            Self::Update => 2,
            Self::Delete => 3,
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let offset = reader.offset();
        Ok(match reader.u8("action")? {
            1 => Self::Create,
            2 => Self::Update,
            3 => Self::Delete,
            number => {
                return Err(WireError::Unknown {
                    part: "action",
                    offset,
                    number: number.into(),
                });
            }
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// A change of one handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Its number; the handles of one write have one number.
    pub number: u64,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// What was done.
    pub action: Action,
    /// To which handle.
    pub handle: String,
    /// What it has had since.
    pub values: Vec<Value>,
}

/// The transactions of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transactions {
    /// The oldest number that is kept. Above the one that was asked for: there is a gap, and whoever
    /// mirrors takes a dump.
    pub oldest: u64,
    /// The number to go on from behind the answer's last message.
    pub next: u64,
    /// In the order of their numbers.
    pub items: Vec<Transaction>,
}

/// The handles of one message of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// The last transaction that is in every handle of the dump. Later ones may be in some: who makes them
    /// anew from the next one on has what the server has.
    pub number: u64,
    /// The handles, in the order of the server's keys.
    pub items: Vec<(String, Vec<Value>)>,
}

/// Appends a transaction whose `count` values are encoded already.
#[allow(clippy::too_many_arguments, reason = "the parts of one row")]
pub fn put_transaction(
    out: &mut Vec<u8>,
    number: u64,
    at_ms: u64,
    action: Action,
    handle: &str,
    count: u32,
    values: &[u8],
) {
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&at_ms.to_be_bytes());
    out.push(action.number());
    put_dumped(out, handle, count, values);
}

/// Appends a handle of a dump whose `count` values are encoded already.
pub fn put_dumped(out: &mut Vec<u8>, handle: &str, count: u32, values: &[u8]) {
    put_sized(out, handle.as_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(values);
}

impl Transactions {
    /// What stands in front of the items.
    pub fn head(oldest: u64, next: u64) -> Vec<u8> {
        [oldest.to_be_bytes(), next.to_be_bytes()].concat()
    }

    /// Reads the body of one message. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let oldest = read_u64(&mut reader, "oldest number")?;
        let next = read_u64(&mut reader, "next number")?;
        let count = reader.count("transactions", MAX_MESSAGE_LEN, MIN_TRANSACTION_LEN)?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            let number = read_u64(&mut reader, "transaction number")?;
            let at_ms = read_u64(&mut reader, "transaction time")?;
            let action = Action::read(&mut reader)?;
            let (handle, values) = read_dumped(&mut reader)?;
            items.push(Transaction {
                number,
                at_ms,
                action,
                handle,
                values,
            });
        }
        Ok(Self {
            oldest,
            next,
            items,
        })
    }
}

impl Dump {
    /// What stands in front of the items.
    pub fn head(number: u64) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    /// Reads the body of one message. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let number = read_u64(&mut reader, "dump number")?;
        let count = reader.count("dump", MAX_MESSAGE_LEN, MIN_DUMPED_LEN)?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read_dumped(&mut reader)?);
        }
        Ok(Self { number, items })
    }
}

/// The answer to operation 1000.
pub fn encode_next_transaction(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// Reads it. Errors: [`WireError`] with offsets in `body`.
pub fn decode_next_transaction(body: &[u8]) -> Result<u64, WireError> {
    read_u64(&mut Reader::new(body), "transaction number")
}

/// The answer to operation 1003: the last transaction that is certainly in the backup, and its name.
pub fn encode_backup(number: u64, name: &str) -> Vec<u8> {
    let mut out = number.to_be_bytes().to_vec();
    put_sized(&mut out, name.as_bytes());
    out
}

/// Reads it. Errors: [`WireError`] with offsets in `body`.
pub fn decode_backup(body: &[u8]) -> Result<(u64, &str), WireError> {
    let mut reader = Reader::new(body);
    let number = read_u64(&mut reader, "transaction number")?;
    Ok((number, reader.str("name of a backup", MAX_NAME_LEN)?))
}

/// The items of one message, being filled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Items {
    items: Vec<u8>,
    count: usize,
}

impl Items {
    /// Puts an encoded item at the end, unless the list would become longer than [`MAX_LIST_LEN`]:
    /// then it is left as it was, and the answer is `false`. One item is taken whatever its length.
    pub fn push(&mut self, item: &[u8]) -> bool {
        if self.count > 0 && self.items.len() + 24 + item.len() > MAX_LIST_LEN {
            return false;
        }
        self.items.extend_from_slice(item);
        self.count += 1;
        true
    }

    /// The body behind a head.
    pub fn encode(&self, head: &[u8]) -> Vec<u8> {
        [head, &length_field(self.count), &self.items].concat()
    }
}

/// A handle as an item of a list (RFC 3652 §3.7).
pub fn listed(handle: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + handle.len());
    put_sized(&mut out, handle.as_bytes());
    out
}

fn read_dumped(reader: &mut Reader<'_>) -> Result<(String, Vec<Value>), WireError> {
    let handle = reader.str("handle", MAX_HANDLE_LEN)?.to_owned();
    let count = reader.count("values", MAX_VALUES, MIN_VALUE_LEN)?;
    let (mut values, mut length) = (Vec::with_capacity(count), 0);
    for value in Values::in_reader(*reader, count as u32) {
        let value = value?;
        length += value.raw().len();
        values.push(value.to_owned());
    }
    reader.bytes("values", length)?;
    Ok((handle, values))
}

fn read_u64(reader: &mut Reader<'_>, part: &'static str) -> Result<u64, WireError> {
    reader.array(part).map(u64::from_be_bytes)
}

fn read_prefixes<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a str>, WireError> {
    let count = reader.count("prefixes", MAX_PREFIXES, 4)?;
    let mut prefixes = Vec::with_capacity(count);
    for _ in 0..count {
        prefixes.push(reader.str("handle", MAX_HANDLE_LEN)?);
    }
    Ok(prefixes)
}

fn put_prefixes(out: &mut Vec<u8>, prefixes: &[&str]) {
    out.extend_from_slice(&length_field(prefixes.len()));
    for prefix in prefixes {
        put_sized(out, prefix.as_bytes());
    }
}
