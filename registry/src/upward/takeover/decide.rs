//! What becomes of a registration that is merged. Pure: the same is decided again after a crash.

use super::records::Merged;
use super::registration::{Content, Operation, Registration};
use crate::record::Record;
use idnode_proto::api::TakeoverConflictKind as Kind;
use idnode_proto::value::{ValueRef, types};

/// What becomes of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is here already.
    Unchanged,
    /// It is to be written.
    Apply,
    /// It can't be merged.
    Conflict(Kind),
}

/// Decides, by what is here and the last registration of the same identifier in this takeover.
///
/// What is here counts as known to the national node if it was told of it, or made it itself by an
/// earlier registration. Only what it knew is replaced.
pub fn decide(
    registration: &Registration,
    here: Option<&Record>,
    merged: Option<&Merged>,
) -> Decision {
    let live = here.filter(|record| record.is_live());
    if is_so(registration, live) {
        return Decision::Unchanged;
    }
    if merged.is_some_and(|merged| merged.is_conflict) {
        return Decision::Conflict(Kind::FollowsConflict);
    }
    let is_known = |record: &Record| {
        record.version <= registration.known_sequence
            || merged.is_some_and(|merged| merged.version == record.version)
    };
    match (&registration.operation, live) {
        (Operation::Create(_), None) => Decision::Apply,
        (Operation::Create(_), Some(_)) => Decision::Conflict(Kind::ExistsHere),
        (Operation::Modify(_), None) => Decision::Conflict(Kind::DeletedHere),
        (Operation::Modify(_) | Operation::Delete(_), Some(record)) => match is_known(record) {
            true => Decision::Apply,
            false => Decision::Conflict(Kind::ChangedHere),
        },
        // Deleted on both sides.
        (Operation::Delete(_), None) => Decision::Unchanged,
    }
}

/// Whether what is here is what the registration leaves.
pub fn is_so(registration: &Registration, live: Option<&Record>) -> bool {
    match (&registration.operation, live) {
        (Operation::Create(content) | Operation::Modify(content), Some(record)) => {
            has(record, content)
        }
        (Operation::Delete(_), None) => true,
        _ => false,
    }
}

/// Whether a record has this content, whenever it was given and whatever signs it here.
fn has(record: &Record, content: &Content) -> bool {
    let mut encoded = Vec::new();
    let mut own = record
        .values()
        .filter(|value| !is_signature(value.value_type()));
    let wanted = content.values.iter();
    let mut wanted = wanted.filter(|value| !is_signature(&value.value_type));
    let same = wanted.by_ref().all(|value| {
        let view: Option<ValueRef<'_>> = value.view_in(&mut encoded).ok();
        view.zip(own.next()).is_some_and(|(new, old)| {
            new.index() == old.index() && new.signed_part() == old.signed_part()
        })
    });
    same && own.next().is_none() && record.template == content.template
}

fn is_signature(value_type: &str) -> bool {
    value_type.eq_ignore_ascii_case(types::HS_SIGNATURE)
}
