//! The part of UpwardService that is about takeovers, for the operator alone.

use super::call::Api;
use super::convert::{timestamp, unnamed, value};
use super::status::Result;
use idnode_proto::api;
use idnode_proto::api::{TakeoverConflict, TakeoverOperation, TakeoverSettlement, TakeoverVersion};
use idnode_proto::value::Values;
use idnode_registry::upward::takeover::Records;
use idnode_registry::upward::takeover::records::ConflictId;
use idnode_registry::upward::takeover::settle::{Keep, settle};
use idnode_registry::{Caller, Error};
use prost::Message as _;

/// Conflicts of a page, if the caller does not say, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;
/// Bytes of a page from which on nothing is added.
const PAGE_BYTES: usize = 2 << 20;
/// Most open conflicts that are counted.
const MAX_COUNTED: usize = 100_000;

fn records(api: &Api, caller: &Caller) -> Result<Records> {
    caller.require_operator("takeovers")?;
    Ok(Records(api.core.uplink.journal().clone()))
}

/// How the takeover stands.
pub(super) async fn status(api: Api, caller: Caller) -> Result<api::TakeoverStatus> {
    let records = records(&api, &caller)?;
    api.read(move |_| {
        let state = records.state()?;
        let notice = state.notice();
        let open = records.conflicts(None, false, MAX_COUNTED)?.len() as u64;
        Ok(api::TakeoverStatus {
            epoch: notice.epoch,
            revision: notice.revision,
            phase: notice.phase,
            prefixes: notice.prefixes,
            taken_at: notice.taken_at,
            told_at: (state.told_ms > 0)
                .then(|| timestamp(state.told_ms))
                .flatten(),
            cause: notice.cause,
            registrations: notice.registrations.max(state.merged),
            merged: state.merged,
            applied: state.applied,
            unchanged: state.unchanged,
            conflicts: state.conflicts,
            open_conflicts: open,
        })
    })
    .await
}

/// A page of conflicts.
pub(super) async fn conflicts(
    api: Api,
    caller: Caller,
    request: api::ListTakeoverConflictsRequest,
) -> Result<api::ListTakeoverConflictsResponse> {
    let records = records(&api, &caller)?;
    let limit = match request.limit as usize {
        0 => PAGE,
        limit if limit <= MAX_PAGE => limit,
        limit => {
            let reason = format!("{limit} is more than {MAX_PAGE}");
            return Err(Error::invalid("limit", reason).into());
        }
    };
    let after = match request.after.as_str() {
        "" => None,
        id => Some(id.parse::<ConflictId>()?),
    };
    api.read(move |_| {
        let ids = records.conflicts(after, request.all, limit + 1)?;
        let (mut shown, mut bytes, mut last) = (Vec::new(), 0, None);
        for id in &ids {
            if shown.len() == limit || bytes > PAGE_BYTES {
                break;
            }
            let Some(row) = records.conflict(*id)? else {
                continue;
            };
            let conflict = shown_conflict(row.conflict, records.is_told(*id)?);
            bytes += conflict.encoded_len();
            shown.push(conflict);
            last = Some(*id);
        }
        let more = last.filter(|last| ids.last().is_some_and(|end| end > last));
        Ok(api::ListTakeoverConflictsResponse {
            conflicts: shown,
            next: more.map(|id| id.to_string()).unwrap_or_default(),
        })
    })
    .await
}

/// Settles a conflict.
pub(super) async fn settled(
    api: Api,
    caller: Caller,
    request: api::SettleTakeoverConflictRequest,
) -> Result<api::ShownConflict> {
    records(&api, &caller)?;
    let id = request.id.parse::<ConflictId>()?;
    let keep = match request.keep() {
        TakeoverSettlement::Here => Keep::Here,
        TakeoverSettlement::Theirs => Keep::Theirs,
        TakeoverSettlement::Unspecified | TakeoverSettlement::Followed => {
            return Err(unnamed("keep", request.keep));
        }
    };
    let core = api.core.clone();
    // Goes on when the caller has gone: a conflict that is written and not journalled would be open.
    let settling = tokio::spawn(async move {
        let (registry, uplink) = (&core.registry, &core.uplink);
        settle(registry, uplink, id, keep).await
    });
    let lost = |_| Error::Unavailable("the node is shutting down".into());
    let conflict = settling.await.map_err(lost)??;
    tracing::info!(conflict = %id, keep = ?keep, "a conflict of a takeover is settled");
    Ok(shown_conflict(conflict, false))
}

fn shown_conflict(conflict: TakeoverConflict, told: bool) -> api::ShownConflict {
    let id = ConflictId::of(&conflict);
    let (kind, settlement) = (conflict.kind, conflict.settlement);
    let theirs = conflict.theirs.unwrap_or_default();
    api::ShownConflict {
        id: id.to_string(),
        identifier: conflict.identifier,
        kind,
        error: conflict.error,
        here: Some(shown_version(&conflict.here.unwrap_or_default())),
        operation: theirs.operation,
        registered_at: theirs.registered_at,
        theirs: Some(api::ShownVersion {
            live: theirs.operation() != TakeoverOperation::Delete,
            version: 0,
            values: shown_values(&theirs.values),
            template: theirs.template,
            reason: theirs.reason,
        }),
        found_at: conflict.found_at,
        settlement,
        settled_at: conflict.settled_at,
        told,
    }
}

fn shown_version(version: &TakeoverVersion) -> api::ShownVersion {
    api::ShownVersion {
        live: version.live,
        version: version.version,
        values: shown_values(&version.values),
        template: version.template.clone(),
        reason: version.reason.clone(),
    }
}

/// As far as they can be read: what can't be is a conflict for this reason, and kept as it came.
fn shown_values(encoded: &[u8]) -> Vec<api::Value> {
    let values = Values::all(encoded).map_while(std::result::Result::ok);
    values.map(value::shown).collect()
}
