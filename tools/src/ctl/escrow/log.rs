//! The deposit log of a node: `idctl escrow deposits`, `idctl upward deposits`.

use idnode_proto::api::upward_service_client::UpwardServiceClient;
use idnode_proto::api::{Deposit, ListDepositsRequest, MakeDepositsRequest};
use serde_json::{Value, json};

use crate::ctl::error::Failure;
use crate::ctl::json;
use crate::ctl::output::Table;
use crate::ctl::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only of this prefix
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MakeArgs {
    /// Only of this prefix
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// FULL, even where a DIFF would do
    #[arg(long)]
    full: bool,
}

pub(crate) async fn list(args: ListArgs, session: &Session) -> Result<(), Failure> {
    let mut client = UpwardServiceClient::new(session.channel().await?);
    let request = session.request(ListDepositsRequest {
        prefix: args.prefix,
        limit: args.limit,
    });
    let deposits = client.list_deposits(request).await?.into_inner().deposits;
    session.out.show(
        || json!({"deposits": deposits.iter().map(shown).collect::<Vec<_>>()}),
        || table(&deposits),
    )
}

pub(super) async fn make(args: MakeArgs, session: &Session) -> Result<(), Failure> {
    let mut client = UpwardServiceClient::new(session.channel().await?);
    let request = session.request(MakeDepositsRequest {
        prefix: args.prefix,
        full: args.full,
    });
    let asked = client.make_deposits(request).await?.into_inner().prefixes;
    session.out.show(
        || json!({"prefixes": asked}),
        || Table::of_one(&[("prefixes", asked.to_string())]),
    )
}

fn kind(deposit: &Deposit) -> &'static str {
    match deposit.full {
        true => "FULL",
        false => "DIFF",
    }
}

fn status(deposit: &Deposit) -> String {
    json::name(deposit.status().as_str_name(), "STATUS_")
}

fn shown(deposit: &Deposit) -> Value {
    json!({
        "prefix": deposit.prefix,
        "id": deposit.id,
        "prev_id": deposit.prev_id,
        "type": kind(deposit),
        "status": status(deposit),
        "watermark": json::time(deposit.watermark.as_ref()),
        "revision": deposit.revision,
        "started": json::time(deposit.started.as_ref()),
        "ended": json::time(deposit.ended.as_ref()),
        "reason": deposit.reason,
        "attempts": deposit.attempts,
        "parts": deposit.parts,
        "bytes": deposit.bytes,
        "identifiers": deposit.identifiers,
        "listing": deposit.listing,
        "closes": deposit.closes,
    })
}

fn table(deposits: &[Deposit]) -> Table {
    let titles = [
        "PREFIX",
        "DEPOSIT",
        "TYPE",
        "STATUS",
        "WATERMARK",
        "REVISION",
        "IDENTIFIERS",
        "BYTES",
        "REASON",
    ];
    let mut table = Table::new(&titles);
    for deposit in deposits {
        table.row([
            deposit.prefix.clone(),
            deposit.id.clone(),
            kind(deposit).to_owned(),
            status(deposit),
            json::time(deposit.watermark.as_ref()).unwrap_or_default(),
            deposit.revision.to_string(),
            deposit.identifiers.to_string(),
            deposit.bytes.to_string(),
            deposit.reason.clone(),
        ]);
    }
    match deposits.is_empty() {
        true => table.below("there is no deposit yet: see upward.escrow in the configuration"),
        false => table,
    }
}
