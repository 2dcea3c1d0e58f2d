//! Settles a conflict: the version that the operator keeps is what is registered, and the national
//! node is told.

use super::decide::is_so;
use super::merge::{blocking, command, version_of};
use super::records::{ConflictId, ConflictRow, Records};
use super::registration::Registration;
use crate::record::Record;
use crate::registry::Registry;
use crate::upward::Uplink;
use crate::{Error, Object, Result, now_ms};
use idnode_proto::api::{TakeoverConflict, TakeoverSettlement};
use idnode_proto::report::timestamp;
use std::sync::Arc;

/// Which version is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The node's own.
    Here,
    /// The national node's.
    Theirs,
}

/// Settles an open conflict and returns it. What is registered is what the operator keeps when this
/// returns; cut off in between, the conflict is open still and is settled by asking again.
///
/// # Errors
/// There is no such conflict; it is settled; its identifier is taken over now; the write path refuses
/// the national node's version.
pub async fn settle(
    registry: &Arc<Registry>,
    uplink: &Uplink,
    id: ConflictId,
    keep: Keep,
) -> Result<TakeoverConflict> {
    let records = Records(uplink.journal().clone());
    let (row, here) = {
        let (registry, records) = (registry.clone(), records.clone());
        blocking(move || open(&registry, &records, id)).await?
    };
    let mut conflict = row.conflict;
    if keep == Keep::Theirs {
        let theirs = conflict.theirs.clone().unwrap_or_default();
        let registration = Registration::read(&theirs, &[])?;
        let live = here.as_ref().filter(|record| record.is_live());
        if !is_so(&registration, live) {
            let command = command(&registration, here.as_ref(), now_ms())?;
            registry.write_as_node(command).await?;
        }
    }
    // As it was before: what was found may have changed since.
    conflict.here = here.as_ref().map(version_of);
    conflict.settlement = match keep {
        Keep::Here => TakeoverSettlement::Here,
        Keep::Theirs => TakeoverSettlement::Theirs,
    }
    .into();
    conflict.settled_at = Some(timestamp(now_ms()));
    let settled = conflict.clone();
    blocking(move || records.put_conflict(&settled)).await?;
    uplink.takeover_news().notify_one();
    Ok(conflict)
}

/// An open conflict, and what is here of its identifier.
fn open(
    registry: &Registry,
    records: &Records,
    id: ConflictId,
) -> Result<(ConflictRow, Option<Record>)> {
    let row = records.conflict(id)?;
    let row = row.ok_or_else(|| Error::not_found(Object::Conflict, id))?;
    if !row.is_open() {
        return Err(Error::state(Object::Conflict, id, "is settled"));
    }
    let theirs = row.conflict.theirs.clone().unwrap_or_default();
    let Ok(registration) = Registration::read(&theirs, &[]) else {
        return Ok((row, None));
    };
    let identifier = &registration.identifier;
    if let Some(held) = registry.held()
        && let Some(prefix) = held.over(identifier.prefix_candidates())
    {
        return Err(Error::TakenOver {
            name: prefix.canonical(),
            epoch: held.epoch,
        });
    }
    let (_, here) = registry.read(identifier.key())?;
    Ok((row, here))
}
