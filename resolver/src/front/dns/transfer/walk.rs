//! A walk through everything that has names in a zone, in the order of keys: identifiers and
//! prefixes, merged. Holds no more than the prefixes above the place it has come to.

use super::chain::{Chain, Path};
use super::contents::{Contents, Named, Thing};
use super::emit::Emitter;
use super::pack::PackError;
use bytes::Bytes;
use hickory_proto::rr::Record;
use idnode_proto::identifier::{Identifier, Scheme};
use idnode_registry::prefix::PrefixRecord;
use idnode_registry::read::Moment;
use idnode_registry::record::Record as Stored;
use idnode_registry::{Error, Result};
use std::iter::Peekable;
use std::sync::Arc;

/// Why a transfer ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransferError {
    #[error(transparent)]
    Registry(#[from] Error),
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// Hands on every record of a zone but its SOA.
pub(super) fn whole_zone(
    moment: &Moment<'_>,
    contents: &Contents<'_>,
    mut add: impl FnMut(&Record) -> std::result::Result<(), PackError>,
) -> std::result::Result<(), TransferError> {
    contents.apex().iter().try_for_each(&mut add)?;
    let (start, end) = contents.keys();
    let mut walk = Walk {
        prefixes: moment.prefixes(&start, end.as_deref())?.peekable(),
        identifiers: moment.identifiers(&start, end.as_deref())?.peekable(),
        path: Path::default(),
    };
    let mut emitter = Emitter::default();
    while let Some(thing) = walk.next_thing()? {
        for record in emitter.records(contents, &thing) {
            add(record)?;
        }
    }
    Ok(())
}

struct Walk<P: Iterator, I: Iterator> {
    prefixes: Peekable<P>,
    identifiers: Peekable<I>,
    path: Path,
}

impl<P, I> Walk<P, I>
where
    P: Iterator<Item = Result<PrefixRecord>>,
    I: Iterator<Item = Result<(Bytes, Stored)>>,
{
    fn next_thing(&mut self) -> Result<Option<Thing>> {
        loop {
            let prefix_is_next = match (self.prefixes.peek(), self.identifiers.peek()) {
                (None, None) => return Ok(None),
                (Some(Ok(prefix)), Some(Ok((key, _)))) => prefix.key < *key,
                (Some(_), _) => true,
                (None, Some(_)) => false,
            };
            let thing = if prefix_is_next {
                self.take_prefix()?
            } else {
                self.take_identifier()?
            };
            if thing.is_some() {
                return Ok(thing);
            }
        }
    }

    fn take_prefix(&mut self) -> Result<Option<Thing>> {
        let Some(record) = self.prefixes.next().transpose()? else {
            return Ok(None);
        };
        let key = record.key.clone();
        self.path.push(Arc::new(record));
        let path = &self.path;
        let mut lookup = |key: &[u8]| Ok(path.get(key));
        let subject = Named::of_prefix(&key)?;
        match &subject {
            Named::Prefix(prefix) => {
                let chain = Chain::of_prefix(prefix, &mut lookup)?;
                Ok(Some(Thing {
                    subject,
                    record: None,
                    chain,
                }))
            }
            // The identifier of the same name comes next, if there is one.
            Named::Identifier(identifier) => {
                let chain = Chain::of(identifier, &mut lookup)?;
                let own = identifier.key();
                let is_own = |row: &Result<(Bytes, Stored)>| match row {
                    Ok((key, _)) => *key == *own,
                    Err(_) => false,
                };
                let row = self.identifiers.next_if(is_own).transpose()?;
                let record = row.map(|(_, record)| record);
                Ok(Some(Thing {
                    subject,
                    record: record.filter(Stored::is_live).map(Arc::new),
                    chain,
                }))
            }
        }
    }

    fn take_identifier(&mut self) -> Result<Option<Thing>> {
        let Some((key, record)) = self.identifiers.next().transpose()? else {
            return Ok(None);
        };
        self.path.move_to(&key);
        if !record.is_live() {
            return Ok(None);
        }
        let identifier = identifier_of(&key)?;
        let path = &self.path;
        let chain = Chain::of(&identifier, &mut |key| Ok(path.get(key)))?;
        Ok(Some(Thing {
            subject: Named::Identifier(identifier),
            record: Some(Arc::new(record)),
            chain,
        }))
    }
}

pub(super) fn identifier_of(key: &[u8]) -> Result<Identifier> {
    Identifier::from_key(key).map_err(|error| Error::Storage(error.to_string()))
}

/// Whether a prefix has the name of an identifier, as an OID arc's and a DID sub-chain's has.
pub(super) fn shares_name(key: &[u8]) -> bool {
    let scheme = key.first().copied().unwrap_or_default();
    [Scheme::Oid, Scheme::Did]
        .iter()
        .any(|shared| *shared as u8 == scheme)
}
