//! The state in parts, each read by itself: what is written meanwhile may show in it, and comes again
//! from the log behind it. A part says how far it has come, and the next one goes on there, after
//! whatever has happened to either side.

use super::rows::{self, Scope};
use crate::Registry;
use crate::Result;
use crate::enterprise::Enterprise;
use crate::layout::{Family, decode_value};
use crate::prefix::PrefixRecord;
use crate::record::Record;
use crate::template::Template;
use bytes::Bytes;
use idnode_proto::api::{IntakePart, MasterDataOperation};
use prost::Message;

/// A part is closed when it has so much, bytes.
const PART_BYTES: usize = 128 << 10;
/// Most rows that are read for a part, those that are not told among them.
const PART_ROWS: usize = 20_000;

/// The kinds of rows in their order; the number begins a place.
const SECTIONS: [(u8, Family); 4] = [
    (1, Family::Enterprises),
    (2, Family::Templates),
    (3, Family::Prefixes),
    (4, Family::Identifiers),
];
/// The place behind all rows.
const END: u8 = 5;

/// The part behind a place; empty: the first. Blocks on the disk.
///
/// # Errors
/// The store fails, or has a damaged row.
pub fn part_after(registry: &Registry, scope: &Scope, after: &[u8]) -> Result<IntakePart> {
    let view = registry.store().snapshot();
    let mut part = IntakePart {
        after: after.to_vec(),
        ..IntakePart::default()
    };
    let (mut bytes, mut seen) = (0, 0);
    let (section, key) = after.split_first().unwrap_or((&0, &[]));
    for (number, family) in SECTIONS {
        if number < *section {
            continue;
        }
        let start = match number == *section {
            true => [key, &[0]].concat(),
            false => Vec::new(),
        };
        for row in view.scan(family, &start, None)? {
            let (key, value) = row?;
            bytes += add(&mut part, scope, family, &key, value)?;
            seen += 1;
            if bytes >= PART_BYTES || seen >= PART_ROWS {
                part.reached = [&[number], &key[..]].concat();
                return Ok(part);
            }
        }
    }
    part.reached = vec![END];
    part.last = true;
    Ok(part)
}

/// Adds a row to a part, if it is told; how many bytes that takes.
fn add(
    part: &mut IntakePart,
    scope: &Scope,
    family: Family,
    key: &[u8],
    value: Bytes,
) -> Result<usize> {
    Ok(match family {
        Family::Enterprises => {
            let row = rows::enterprise(decode_value::<Enterprise>(&value)?);
            push(&mut part.enterprises, row)
        }
        Family::Templates => {
            let template: Template = decode_value(&value)?;
            let version = template.version;
            push(
                &mut part.templates,
                rows::template(template, false, version),
            )
        }
        Family::Prefixes => {
            let record: PrefixRecord = decode_value(&value)?;
            let (prefix, row) = rows::prefix(&record, false, record.version)?;
            match scope.has_prefix(&prefix) {
                true => push(&mut part.prefixes, row),
                false => 0,
            }
        }
        _ => {
            let identifier = rows::identifier(key)?;
            if !scope.has(&identifier) {
                return Ok(0);
            }
            let record = Record::decode(value)?;
            let operation = match (
                record.is_live(),
                record.created_at_ms == record.updated_at_ms,
            ) {
                (false, _) => MasterDataOperation::Delete,
                (true, true) => MasterDataOperation::Add,
                (true, false) => MasterDataOperation::Modify,
            };
            let row = rows::master_data(&identifier, &record, operation, 0);
            push(&mut part.identifiers, row)
        }
    })
}

fn push<Row: Message>(rows: &mut Vec<Row>, row: Row) -> usize {
    let bytes = row.encoded_len();
    rows.push(row);
    bytes
}
