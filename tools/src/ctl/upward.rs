//! `idctl upward`: what the node has told the national node.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Subcommand, ValueEnum};
use idnode_proto::api::upward_service_client::UpwardServiceClient;
use idnode_proto::api::{
    GetUpwardStatusRequest, ListUpwardTransactionsRequest, RestartChangesRequest, UpwardChannel,
    UpwardTransaction, UpwardTransactionKind, UpwardTransactionState,
};
use serde_json::{Value, json};

use super::error::Failure;
use super::json;
use super::output::Table;
use super::reports;
use super::session::Session;
use super::siblings;
use super::takeover;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// How each channel to the national node stands
    Status,
    /// Commands of provisioning (EPP), the newest first
    Transactions(TransactionsArgs),
    /// List escrow deposits, the newest of each prefix first
    Deposits(super::escrow::log::ListArgs),
    /// List reports: on their way, taken, refused
    Reports(reports::ListArgs),
    /// Print a report
    Report(reports::ReportArgs),
    /// Send a refused report again, as it was made
    Resend(reports::ReportArgs),
    /// List the other secondary nodes and where they resolve what; what was told of this one
    Siblings,
    /// List fault events and the node's checks of itself
    Events,
    /// Emergency takeover (应急接管): what the national node registers in the node's place
    Takeover,
    /// Registrations that could not be merged when a takeover was handed back
    Conflicts(takeover::ConflictsArgs),
    /// Replace what the national node was told of changes by what this registry has
    RestartChanges,
}

/// Which commands are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct TransactionsArgs {
    /// Only those that have come so far
    #[arg(long)]
    state: Option<State>,
    /// Only those of this kind
    #[arg(long)]
    kind: Option<Kind>,
    /// Only those about this prefix or this enterprise
    #[arg(long, default_value = "", hide_default_value = true)]
    subject: String,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

/// How far a command has come.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// Journalled, and not sent
    Owed,
    /// Sent, perhaps; no answer is known
    Sent,
    /// The national node has it
    Done,
    /// The national node does not want it
    Refused,
}

/// What a command does.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// ent:create
    CreateEnterprise,
    /// ent:update
    UpdateEnterprise,
    /// prefix:create
    CreatePrefix,
    /// identifier:create
    CreateIdentifier,
    /// identifier:update
    UpdateIdentifier,
    /// identifier:delete
    DeleteIdentifier,
}

impl From<State> for UpwardTransactionState {
    fn from(state: State) -> Self {
        match state {
            State::Owed => Self::Owed,
            State::Sent => Self::Sent,
            State::Done => Self::Done,
            State::Refused => Self::Refused,
        }
    }
}

impl From<Kind> for UpwardTransactionKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::CreateEnterprise => Self::CreateEnterprise,
            Kind::UpdateEnterprise => Self::UpdateEnterprise,
            Kind::CreatePrefix => Self::CreatePrefix,
            Kind::CreateIdentifier => Self::CreateIdentifier,
            Kind::UpdateIdentifier => Self::UpdateIdentifier,
            Kind::DeleteIdentifier => Self::DeleteIdentifier,
        }
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Deposits(args) => super::escrow::log::list(args, session).await,
        Command::Reports(args) => reports::list(args, session).await,
        Command::Report(args) => reports::show(args, session).await,
        Command::Resend(args) => reports::resend(args, session).await,
        Command::Siblings => siblings::list(session).await,
        Command::Events => reports::events(session).await,
        Command::Takeover => takeover::status(session).await,
        Command::Conflicts(args) => takeover::conflicts(args, session).await,
        Command::RestartChanges => {
            let mut client = UpwardServiceClient::new(session.channel().await?);
            let request = session.request(RestartChangesRequest {});
            client.restart_changes(request).await?;
            session.out.show(
                || json!({}),
                || Table::of_one(&[("changes", "begin anew".to_owned())]),
            )
        }
        Command::Status => {
            let mut client = UpwardServiceClient::new(session.channel().await?);
            let request = session.request(GetUpwardStatusRequest {});
            let status = client.get_upward_status(request).await?.into_inner();
            let channels = &status.channels;
            session.out.show(
                || json!({"channels": channels.iter().map(channel_json).collect::<Vec<_>>()}),
                || channels_table(channels),
            )
        }
        Command::Transactions(args) => {
            let state = args
                .state
                .map_or(UpwardTransactionState::Unspecified, Into::into);
            let kind = args
                .kind
                .map_or(UpwardTransactionKind::Unspecified, Into::into);
            let mut client = UpwardServiceClient::new(session.channel().await?);
            let request = session.request(ListUpwardTransactionsRequest {
                limit: args.limit,
                state: state.into(),
                kind: kind.into(),
                subject: args.subject,
            });
            let listed = client.list_upward_transactions(request).await?.into_inner();
            let found = &listed.transactions;
            session.out.show(
                || {
                    let found = found.iter().map(transaction_json);
                    json!({"transactions": found.collect::<Vec<_>>(), "more": listed.more})
                },
                || transactions_table(found, listed.more),
            )
        }
    }
}

fn transaction_kind(transaction: &UpwardTransaction) -> String {
    json::name(transaction.kind().as_str_name(), "UPWARD_TRANSACTION_KIND_")
}

fn transaction_state(transaction: &UpwardTransaction) -> String {
    json::name(
        transaction.state().as_str_name(),
        "UPWARD_TRANSACTION_STATE_",
    )
}

fn transaction_json(transaction: &UpwardTransaction) -> Value {
    json!({
        "client_id": transaction.client_id,
        "server_id": transaction.server_id,
        "kind": transaction_kind(transaction),
        "subject": transaction.subject,
        "state": transaction_state(transaction),
        "code": transaction.code,
        "message": transaction.message,
        "attempts": transaction.attempts,
        "created_at": json::time(transaction.created_at.as_ref()),
        "sent_at": json::time(transaction.sent_at.as_ref()),
        "settled_at": json::time(transaction.settled_at.as_ref()),
    })
}

fn transactions_table(found: &[UpwardTransaction], more: bool) -> Table {
    let titles = [
        "CREATED", "KIND", "SUBJECT", "STATE", "SENT", "SVTRID", "MESSAGE",
    ];
    let mut table = Table::new(&titles);
    for transaction in found {
        table.row([
            json::time(transaction.created_at.as_ref()).unwrap_or_default(),
            transaction_kind(transaction),
            transaction.subject.clone(),
            transaction_state(transaction),
            format!("{}x", transaction.attempts),
            transaction.server_id.clone(),
            transaction.message.clone(),
        ]);
    }
    match more {
        true => table.below("there are older ones: --limit"),
        false => table,
    }
}

fn state(channel: &UpwardChannel) -> String {
    json::name(channel.state().as_str_name(), "STATE_")
}

/// How old the oldest thing owed is, seconds.
fn owed_s(channel: &UpwardChannel) -> Option<u64> {
    let since = u64::try_from(channel.owed_since.as_ref()?.seconds).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(now.as_secs().saturating_sub(since))
}

fn channel_json(channel: &UpwardChannel) -> Value {
    json!({
        "name": channel.name,
        "server": channel.server,
        "state": state(channel),
        "since": json::time(channel.since.as_ref()),
        "last_exchange": json::time(channel.last_exchange.as_ref()),
        "last_error": channel.last_error,
        "backlog": channel.backlog,
        "owed_since": json::time(channel.owed_since.as_ref()),
        "oldest_owed_s": owed_s(channel),
        "aside": channel.aside,
    })
}

fn channels_table(channels: &[UpwardChannel]) -> Table {
    let titles = [
        "CHANNEL",
        "SERVER",
        "STATE",
        "SINCE",
        "BACKLOG",
        "OLDEST",
        "LAST ERROR",
    ];
    let mut table = Table::new(&titles);
    for channel in channels {
        table.row([
            channel.name.clone(),
            channel.server.clone(),
            state(channel),
            json::time(channel.since.as_ref()).unwrap_or_default(),
            match channel.aside {
                0 => channel.backlog.to_string(),
                aside => format!("{} ({aside} aside)", channel.backlog),
            },
            owed_s(channel).map_or_else(String::new, |age_s| format!("{age_s} s")),
            channel.last_error.clone(),
        ]);
    }
    if channels.is_empty() {
        return table.below("no uplink is configured: see upward in the configuration");
    }
    table
}
