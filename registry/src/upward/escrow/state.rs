//! What a prefix has at one moment, in the order of a listing.

use super::convert;
use super::make::MakeError;
use crate::prefix::PrefixRecord;
use crate::read::Moment;
use crate::record::Record;
use bytes::Bytes;
use idnode_proto::escrow::listing::Listing;
use idnode_proto::escrow::object;
use idnode_proto::identifier::Prefix;

/// Hands on every identifier that a prefix owns, deleted ones among them, in the order of keys:
/// what longer registered prefixes own is not its own.
pub(super) fn each_owned<E: From<crate::Error>>(
    moment: &Moment<'_>,
    prefix: &Prefix,
    mut visit: impl FnMut(Bytes, Record) -> Result<(), E>,
) -> Result<(), E> {
    let (start, end) = prefix.key_range();
    let mut inner = moment.prefixes(&start, Some(&end))?;
    let mut from = start.clone();
    loop {
        let longer = inner.find(|record| {
            record
                .as_ref()
                .map_or(true, |record| record.key != prefix.key())
        });
        let (until, next) = match longer.transpose()? {
            Some(record) => record.prefix()?.key_range(),
            None => (end.clone(), end.clone()),
        };
        if from < until {
            for row in moment.identifiers(&from, Some(&until))? {
                let (key, record) = row?;
                visit(key, record)?;
            }
        }
        if next == end {
            return Ok(());
        }
        from = from.max(next);
    }
}

/// The digest of a prefix's listing at a moment, and how many identifiers it has. Blocks.
///
/// # Errors
/// The store fails, or holds what cannot be deposited.
pub fn listing(moment: &Moment<'_>, record: &PrefixRecord) -> Result<(u64, String), MakeError> {
    let mut listing = Listing::of(&convert::prefix(record)?);
    each_owned(
        moment,
        &record.prefix()?,
        |key, record| -> Result<(), MakeError> {
            let identifier: object::Identifier = convert::identifier(&key, record)?;
            listing.add(&identifier);
            Ok(())
        },
    )?;
    Ok((listing.listed(), listing.finish()))
}
