//! `idctl upward takeover|conflicts`: what the national node has taken over, and what could not be
//! merged when it handed back.

use clap::{Subcommand, ValueEnum};
use idnode_proto::api::upward_service_client::UpwardServiceClient;
use idnode_proto::api::{
    GetTakeoverRequest, ListTakeoverConflictsRequest, SettleTakeoverConflictRequest, ShownConflict,
    ShownVersion, TakeoverPhase, TakeoverSettlement, TakeoverStatus,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::error::Failure;
use super::json;
use super::output::Table;
use super::resolve::value_table;
use super::session::{MAX_ANSWER_BYTES, Session};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ConflictsArgs {
    #[command(subcommand)]
    command: Option<ConflictsCommand>,
    /// Settled ones too
    #[arg(long)]
    all: bool,
    /// Most rows
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on behind this conflict
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    after: String,
}

#[derive(Debug, Subcommand)]
enum ConflictsCommand {
    /// Settle a conflict: the version that is kept is registered, and the national node told
    Resolve {
        /// Which, such as 1-3
        id: String,
        /// Whose version is kept
        #[arg(long)]
        keep: Keep,
    },
}

/// Whose version is kept.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Keep {
    /// The node's own: nothing is written
    Here,
    /// The national node's
    Theirs,
}

async fn client(session: &Session) -> Result<UpwardServiceClient<Channel>, Failure> {
    let client = UpwardServiceClient::new(session.channel().await?);
    Ok(client.max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// `idctl upward takeover`.
pub(crate) async fn status(session: &Session) -> Result<(), Failure> {
    let request = session.request(GetTakeoverRequest {});
    let status = client(session).await?.get_takeover(request).await?;
    let status = status.into_inner();
    session
        .out
        .show(|| status_json(&status), || status_table(&status))
}

/// `idctl upward conflicts`.
pub(crate) async fn conflicts(args: ConflictsArgs, session: &Session) -> Result<(), Failure> {
    if let Some(ConflictsCommand::Resolve { id, keep }) = args.command {
        let keep = match keep {
            Keep::Here => TakeoverSettlement::Here,
            Keep::Theirs => TakeoverSettlement::Theirs,
        };
        let request = session.request(SettleTakeoverConflictRequest {
            id,
            keep: keep.into(),
        });
        let mut client = client(session).await?;
        let settled = client.settle_takeover_conflict(request).await?.into_inner();
        return session
            .out
            .show(|| conflict_json(&settled), || conflict_table(&settled));
    }
    let request = session.request(ListTakeoverConflictsRequest {
        all: args.all,
        limit: args.limit,
        after: args.after,
    });
    let mut client = client(session).await?;
    let listed = client.list_takeover_conflicts(request).await?.into_inner();
    let found = &listed.conflicts;
    session.out.show(
        || {
            let found: Vec<_> = found.iter().map(conflict_json).collect();
            json!({"conflicts": found, "next": listed.next})
        },
        || conflicts_table(found, &listed.next),
    )
}

fn phase(phase: TakeoverPhase) -> String {
    match phase {
        TakeoverPhase::Unspecified => "none".to_owned(),
        phase => json::name(phase.as_str_name(), "TAKEOVER_PHASE_"),
    }
}

fn status_json(status: &TakeoverStatus) -> Value {
    json!({
        "epoch": status.epoch,
        "revision": status.revision,
        "phase": phase(status.phase()),
        "prefixes": status.prefixes,
        "taken_at": json::time(status.taken_at.as_ref()),
        "told_at": json::time(status.told_at.as_ref()),
        "cause": status.cause,
        "registrations": status.registrations,
        "merged": status.merged,
        "applied": status.applied,
        "unchanged": status.unchanged,
        "conflicts": status.conflicts,
        "open_conflicts": status.open_conflicts,
    })
}

fn status_table(status: &TakeoverStatus) -> Table {
    if status.epoch == 0 {
        return Table::of_one(&[("phase", "none: there has been no takeover".to_owned())]);
    }
    let time = |at: Option<&prost_types::Timestamp>| json::time(at).unwrap_or_default();
    let table = Table::of_one(&[
        ("epoch", status.epoch.to_string()),
        ("phase", phase(status.phase())),
        ("prefixes", status.prefixes.join(", ")),
        ("taken_at", time(status.taken_at.as_ref())),
        ("told_at", time(status.told_at.as_ref())),
        ("cause", status.cause.clone()),
        ("registrations", status.registrations.to_string()),
        ("merged", status.merged.to_string()),
        ("applied", status.applied.to_string()),
        ("unchanged", status.unchanged.to_string()),
        ("conflicts", status.conflicts.to_string()),
        ("open_conflicts", status.open_conflicts.to_string()),
    ]);
    match status.phase() {
        TakeoverPhase::TakenOver => table.below(
            "the national node registers in these prefixes: writes to them are refused here \
             until it hands back",
        ),
        TakeoverPhase::HandingBack => {
            table.below("what was registered meanwhile is being merged: no writes yet")
        }
        _ => table,
    }
}

fn kind(conflict: &ShownConflict) -> String {
    json::name(conflict.kind().as_str_name(), "TAKEOVER_CONFLICT_KIND_")
}

fn operation(conflict: &ShownConflict) -> String {
    json::name(conflict.operation().as_str_name(), "TAKEOVER_OPERATION_")
}

fn settlement(conflict: &ShownConflict) -> String {
    match conflict.settlement() {
        TakeoverSettlement::Unspecified => "open".to_owned(),
        settlement => json::name(settlement.as_str_name(), "TAKEOVER_SETTLEMENT_"),
    }
}

fn version_json(version: Option<&ShownVersion>) -> Value {
    let Some(version) = version else {
        return Value::Null;
    };
    json!({
        "live": version.live,
        "version": version.version,
        "values": json::values(&version.values),
        "template": version.template,
        "reason": version.reason,
    })
}

fn conflict_json(conflict: &ShownConflict) -> Value {
    json!({
        "id": conflict.id,
        "identifier": conflict.identifier,
        "kind": kind(conflict),
        "operation": operation(conflict),
        "error": conflict.error.as_ref().map(json::error),
        "here": version_json(conflict.here.as_ref()),
        "theirs": version_json(conflict.theirs.as_ref()),
        "registered_at": json::time(conflict.registered_at.as_ref()),
        "found_at": json::time(conflict.found_at.as_ref()),
        "settlement": settlement(conflict),
        "settled_at": json::time(conflict.settled_at.as_ref()),
        "told": conflict.told,
    })
}

fn conflicts_table(found: &[ShownConflict], next: &str) -> Table {
    let titles = ["ID", "IDENTIFIER", "WHY", "THERE", "SETTLED", "MESSAGE"];
    let mut table = Table::new(&titles);
    for conflict in found {
        let message = conflict.error.as_ref().map(|error| error.message.clone());
        table.row([
            conflict.id.clone(),
            conflict.identifier.clone(),
            kind(conflict),
            operation(conflict),
            settlement(conflict),
            message.unwrap_or_default(),
        ]);
    }
    match next {
        "" => table.below("both versions: --json; one is kept with: resolve ID --keep here|theirs"),
        next => table.below(format!("there are more: --after {next}")),
    }
}

fn conflict_table(conflict: &ShownConflict) -> Table {
    let table = Table::of_one(&[
        ("id", conflict.id.clone()),
        ("identifier", conflict.identifier.clone()),
        ("why", kind(conflict)),
        ("there", operation(conflict)),
        ("kept", settlement(conflict)),
    ]);
    let kept = match conflict.settlement() {
        TakeoverSettlement::Theirs => &conflict.theirs,
        _ => &conflict.here,
    };
    match kept {
        Some(kept) if kept.live => table.with(&value_table(&kept.values)),
        _ => table,
    }
}
