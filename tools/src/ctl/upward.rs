//! `idctl upward`: what the node has told the national node.

use clap::Subcommand;
use idnode_proto::api::upward_service_client::UpwardServiceClient;
use idnode_proto::api::{GetUpwardStatusRequest, UpwardChannel};
use serde_json::{Value, json};

use super::error::Failure;
use super::json;
use super::output::Table;
use super::reports;
use super::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// How each channel to the national node stands
    Status,
    /// List reports: on their way, taken, refused
    Reports(reports::ListArgs),
    /// Print a report
    Report(reports::ReportArgs),
    /// Send a refused report again, as it was made
    Resend(reports::ReportArgs),
    /// List fault events and the node's checks of itself
    Events,
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Reports(args) => reports::list(args, session).await,
        Command::Report(args) => reports::show(args, session).await,
        Command::Resend(args) => reports::resend(args, session).await,
        Command::Events => reports::events(session).await,
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
    }
}

fn state(channel: &UpwardChannel) -> String {
    json::name(channel.state().as_str_name(), "STATE_")
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
    })
}

fn channels_table(channels: &[UpwardChannel]) -> Table {
    let titles = [
        "CHANNEL",
        "SERVER",
        "STATE",
        "SINCE",
        "BACKLOG",
        "LAST ERROR",
    ];
    let mut table = Table::new(&titles);
    for channel in channels {
        table.row([
            channel.name.clone(),
            channel.server.clone(),
            state(channel),
            json::time(channel.since.as_ref()).unwrap_or_default(),
            channel.backlog.to_string(),
            channel.last_error.clone(),
        ]);
    }
    if channels.is_empty() {
        return table.below("no uplink is configured: see upward in the configuration");
    }
    table
}
