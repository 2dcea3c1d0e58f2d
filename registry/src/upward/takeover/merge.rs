//! Merges registrations one by one through the one write path. What is about to be written is
//! journalled before, and what has become of it after: whenever the process ends, the next one goes
//! on where it was, and writes nothing twice.

use super::decide::{Decision, decide};
use super::records::{ConflictId, Merged, Pending, Records, State};
use super::registration::{Content, Operation, Registration};
use crate::enterprise::EnterpriseId;
use crate::record::Record;
use crate::registry::Registry;
use crate::upward::sync;
use crate::write::{Command, Draft, IdentifierUpdate};
use crate::{Error, Object, Result, Sequence, now_ms};
use idnode_proto::api;
use idnode_proto::api::{
    TakeoverConflict, TakeoverConflictKind as Kind, TakeoverRegistration, TakeoverSettlement,
    TakeoverVersion,
};
use idnode_proto::identifier::Identifier;
use idnode_proto::report::timestamp;
use std::sync::Arc;

/// Longest reason of a deletion, bytes: what the write path takes.
const MAX_REASON_BYTES: usize = 256;

/// What has become of a registration.
enum Outcome {
    Applied(Sequence),
    Unchanged,
    Conflict(Kind, Option<api::Error>),
}

/// A registration and what is here.
struct Case {
    wire: TakeoverRegistration,
    /// The registration, or why it is none.
    read: Result<Registration>,
    here: Option<Record>,
    merged: Option<Merged>,
}

/// Merges the registration behind the last one that was; `state` is how things stand then.
///
/// # Errors
/// The store fails, or the node is shutting down: the registration is to be merged again.
pub(super) async fn merge(
    registry: &Arc<Registry>,
    records: &Records,
    state: &mut State,
    wire: TakeoverRegistration,
) -> Result<()> {
    let epoch = state.notice().epoch;
    let case = {
        let (registry, records) = (registry.clone(), records.clone());
        blocking(move || Case::open(&registry, &records, epoch, wire)).await?
    };
    let outcome = match &case.read {
        Err(error) => Outcome::Conflict(Kind::RefusedHere, Some(told(error))),
        Ok(registration) => carry_out(registry, records, state, &case, registration).await?,
    };
    let (next, records) = (state.clone(), records.clone());
    *state = blocking(move || close(&records, next, &case, &outcome)).await?;
    Ok(())
}

impl Case {
    fn open(
        registry: &Registry,
        records: &Records,
        epoch: u64,
        wire: TakeoverRegistration,
    ) -> Result<Self> {
        let read = Registration::read(&wire, &sync::state::State::log_name(&records.0)?);
        let here = match &read {
            Ok(registration) => registry.read(registration.identifier.key())?.1,
            Err(_) => None,
        };
        Ok(Self {
            merged: records.merged(epoch, &wire.identifier)?,
            wire,
            read,
            here,
        })
    }

    fn version(&self) -> Sequence {
        self.here.as_ref().map_or(0, |record| record.version)
    }
}

async fn carry_out(
    registry: &Registry,
    records: &Records,
    state: &mut State,
    case: &Case,
    registration: &Registration,
) -> Result<Outcome> {
    let (number, before) = (case.wire.number, case.version());
    if let Some(pending) = state.pending
        && pending.number == number
        && pending.before != before
    {
        return Ok(Outcome::Applied(before));
    }
    match decide(registration, case.here.as_ref(), case.merged.as_ref()) {
        Decision::Unchanged => return Ok(Outcome::Unchanged),
        Decision::Conflict(kind) => return Ok(Outcome::Conflict(kind, None)),
        Decision::Apply => {}
    }
    state.pending = Some(Pending { number, before });
    let (next, records) = (state.clone(), records.clone());
    blocking(move || records.commit(&next, Vec::new())).await?;
    let written = match owner(registry, &registration.identifier) {
        Err(error) => Err(error),
        Ok(owner) => match command(registration, case.here.as_ref(), now_ms()) {
            Err(error) => Err(error),
            Ok(command) => registry.write_for(owner, command).await,
        },
    };
    match written {
        Ok(receipt) => Ok(Outcome::Applied(receipt.sequence)),
        Err(error @ (Error::Storage(_) | Error::Unavailable(_))) => Err(error),
        Err(error) => Ok(Outcome::Conflict(Kind::RefusedHere, Some(told(&error)))),
    }
}

/// Whose prefix an identifier is under.
fn owner(registry: &Registry, identifier: &Identifier) -> Result<EnterpriseId> {
    let owner = registry.prefixes().owner_of(identifier);
    let owner =
        owner.ok_or_else(|| Error::not_found(Object::Prefix, format!("of {identifier}")))?;
    Ok(owner.record.owner())
}

/// What makes a live record, or none, what a registration leaves.
///
/// # Errors
/// [`Error::Invalid`] naming the part.
pub(super) fn command(
    registration: &Registration,
    here: Option<&Record>,
    now_ms: u64,
) -> Result<Command> {
    let live = here.filter(|record| record.is_live());
    let expected_version = live.map(|record| record.version);
    let identifier = registration.identifier.clone();
    let now_s = u32::try_from(now_ms / 1_000).unwrap_or(u32::MAX);
    match (&registration.operation, live) {
        (Operation::Create(content) | Operation::Modify(content), Some(_)) => {
            let Content { values, template } = content.clone();
            let template = Some(template.unwrap_or_default());
            let update = IdentifierUpdate::new(
                identifier,
                values,
                Vec::new(),
                true,
                template,
                expected_version,
                now_s,
            )?;
            Ok(Command::UpdateIdentifier(update))
        }
        (Operation::Create(content) | Operation::Modify(content), None) => {
            let Content { values, template } = content.clone();
            let draft = Draft::new(identifier, values, template, now_s)?;
            Ok(Command::CreateIdentifier(draft))
        }
        (Operation::Delete(reason), _) => {
            let mut reason = reason.clone();
            reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
            Ok(Command::DeleteIdentifier {
                identifier,
                reason,
                expected_version,
            })
        }
    }
}

/// Journals what has become of a registration.
fn close(records: &Records, mut state: State, case: &Case, outcome: &Outcome) -> Result<State> {
    let (epoch, number) = (state.notice().epoch, case.wire.number);
    let (version, is_conflict) = match outcome {
        Outcome::Applied(version) => (*version, false),
        Outcome::Unchanged => (case.version(), false),
        Outcome::Conflict(..) => (case.version(), true),
    };
    let merged = Merged {
        number,
        version,
        is_conflict,
    };
    let mut entries = vec![Records::merged_entry(epoch, &case.wire.identifier, &merged)];
    // What came before about the same identifier is no longer what there is to settle.
    if let Some(before) = case.merged.filter(|before| before.is_conflict) {
        let id = ConflictId {
            epoch,
            number: before.number,
        };
        if let Some(mut row) = records.conflict(id)?.filter(super::ConflictRow::is_open) {
            row.conflict.settlement = TakeoverSettlement::Followed.into();
            row.conflict.settled_at = Some(timestamp(now_ms()));
            entries.extend(Records::conflict_entries(&row.conflict));
        }
    }
    match outcome {
        Outcome::Applied(_) => state.applied += 1,
        Outcome::Unchanged => state.unchanged += 1,
        Outcome::Conflict(kind, error) => {
            state.conflicts += 1;
            let conflict = TakeoverConflict {
                epoch,
                number,
                identifier: case.wire.identifier.clone(),
                kind: (*kind).into(),
                error: error.clone(),
                here: case.here.as_ref().map(version_of),
                theirs: Some(case.wire.clone()),
                found_at: Some(timestamp(now_ms())),
                settlement: TakeoverSettlement::Unspecified.into(),
                settled_at: None,
            };
            entries.extend(Records::conflict_entries(&conflict));
        }
    }
    state.merged = number;
    state.pending = None;
    records.commit(&state, entries)?;
    Ok(state)
}

/// A record as a conflict tells of it.
pub(super) fn version_of(record: &Record) -> TakeoverVersion {
    TakeoverVersion {
        live: record.is_live(),
        version: record.version,
        values: record.values.to_vec(),
        template: record.template.clone().unwrap_or_default(),
        reason: record.deleted.clone().unwrap_or_default(),
    }
}

/// An error as a conflict tells of it.
fn told(error: &Error) -> api::Error {
    api::Error {
        code: error.code(),
        reason: error.reason().to_owned(),
        message: error.to_string(),
        field: error.field().to_owned(),
    }
}

/// Runs what may wait for the disk where that hurts nobody.
pub(super) async fn blocking<T: Send + 'static>(
    task: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(task).await {
        Ok(done) => done,
        Err(error) => Err(Error::Unavailable(error.to_string())),
    }
}
