//! `idctl identifier`: identifiers (标识) and their values, one at a time.

use clap::Subcommand;
use idnode_proto::api::identifier_service_client::IdentifierServiceClient;
use idnode_proto::api::{
    CreateIdentifierRequest, DeleteIdentifierRequest, GetIdentifierRequest, IdentifierRecord,
    ListIdentifiersRequest, UpdateIdentifierRequest, WriteReceipt,
};
use serde_json::json;

use super::error::Failure;
use super::json;
use super::output::Table;
use super::page::{OnceArgs, PageArgs, WriteArgs};
use super::resolve::value_table;
use super::session::Session;
use super::value_arg::ValueArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register an identifier
    Create {
        /// Of any scheme, e.g. 88.118.8/JXDY2106023
        identifier: String,
        #[command(flatten)]
        values: ValueArgs,
        /// Attribute template it is checked against
        #[arg(
            long,
            value_name = "NAME",
            default_value = "",
            hide_default_value = true
        )]
        template: String,
        #[command(flatten)]
        once: OnceArgs,
    },
    /// Set or remove values
    Update {
        identifier: String,
        #[command(flatten)]
        values: ValueArgs,
        /// Remove the value of this index; may be repeated
        #[arg(long = "remove", value_name = "INDEX")]
        remove_indexes: Vec<u32>,
        /// The values given are all there is afterwards
        #[arg(long)]
        replace_all: bool,
        /// Change the template; an empty name takes it away
        #[arg(long, value_name = "NAME")]
        template: Option<String>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Show an identifier as it is stored, with every value, deleted or not
    Get { identifier: String },
    /// Delete an identifier; a tombstone stays
    Delete {
        identifier: String,
        /// Kept in the tombstone
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// List the identifiers of a prefix in the order of their keys
    List {
        prefix: String,
        #[arg(long)]
        include_deleted: bool,
        #[arg(long)]
        without_values: bool,
        #[command(flatten)]
        page: PageArgs,
    },
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Create {
            identifier,
            values,
            template,
            once,
        } => {
            let request = CreateIdentifierRequest {
                identifier,
                values: values.read()?,
                template,
                idempotency_key: once.idempotency_key,
            };
            let mut client = IdentifierServiceClient::new(session.channel().await?);
            let done = client.create_identifier(session.request(request)).await?;
            show_receipt(session, done.into_inner())
        }
        Command::Update {
            identifier,
            values,
            remove_indexes,
            replace_all,
            template,
            write,
        } => {
            let request = UpdateIdentifierRequest {
                identifier,
                set_values: values.read()?,
                remove_indexes,
                replace_all,
                template,
                expected_version: write.expected_version,
                idempotency_key: write.once.idempotency_key,
            };
            let mut client = IdentifierServiceClient::new(session.channel().await?);
            let done = client.update_identifier(session.request(request)).await?;
            show_receipt(session, done.into_inner())
        }
        Command::Delete {
            identifier,
            reason,
            write,
        } => {
            let request = DeleteIdentifierRequest {
                identifier,
                reason,
                expected_version: write.expected_version,
                idempotency_key: write.once.idempotency_key,
            };
            let mut client = IdentifierServiceClient::new(session.channel().await?);
            let done = client.delete_identifier(session.request(request)).await?;
            show_receipt(session, done.into_inner())
        }
        Command::Get { identifier } => {
            let request = session.request(GetIdentifierRequest { identifier });
            let mut client = IdentifierServiceClient::new(session.channel().await?);
            let found = client.get_identifier(request).await?.into_inner();
            session.out.show(|| json::record(&found), || table(&found))
        }
        Command::List {
            prefix,
            include_deleted,
            without_values,
            page,
        } => {
            let mut client = IdentifierServiceClient::new(session.channel().await?);
            let (found, next) = page
                .fetch(async |page| {
                    let request = ListIdentifiersRequest {
                        prefix: prefix.clone(),
                        page: Some(page),
                        include_deleted,
                        without_values,
                    };
                    let listed = client.list_identifiers(session.request(request)).await?;
                    let listed = listed.into_inner();
                    Ok((listed.identifiers, listed.next_page_token))
                })
                .await?;
            show_list(session, &found, &next)
        }
    }
}

/// Shows what a write got.
pub(crate) fn show_receipt(session: &Session, receipt: WriteReceipt) -> Result<(), Failure> {
    session.out.show(
        || json::receipt(Some(&receipt)),
        || {
            let replayed = if receipt.replayed {
                "yes: written by an earlier call"
            } else {
                ""
            };
            Table::of_one(&[
                ("sequence", receipt.sequence.to_string()),
                (
                    "committed_at",
                    json::time(receipt.committed_at.as_ref()).unwrap_or_default(),
                ),
                ("replayed", replayed.to_owned()),
            ])
        },
    )
}

fn show_list(session: &Session, found: &[IdentifierRecord], next: &str) -> Result<(), Failure> {
    session.out.show(
        || {
            let identifiers: Vec<_> = found.iter().map(json::record).collect();
            json!({"identifiers": identifiers, "next_page_token": next})
        },
        || {
            let mut table = Table::new(&[
                "IDENTIFIER",
                "VALUES",
                "TEMPLATE",
                "VERSION",
                "UPDATED",
                "STATE",
            ]);
            for record in found {
                table.row([
                    record.identifier.clone(),
                    record.values.len().to_string(),
                    record.template.clone(),
                    record.version.to_string(),
                    json::time(record.updated_at.as_ref()).unwrap_or_default(),
                    if record.deleted { "deleted" } else { "live" }.to_owned(),
                ]);
            }
            table.more(next)
        },
    )
}

fn table(record: &IdentifierRecord) -> Table {
    let table = Table::of_one(&[
        ("identifier", record.identifier.clone()),
        ("scheme", json::scheme(record.scheme())),
        ("template", record.template.clone()),
        ("version", record.version.to_string()),
        (
            "created_at",
            json::time(record.created_at.as_ref()).unwrap_or_default(),
        ),
        (
            "updated_at",
            json::time(record.updated_at.as_ref()).unwrap_or_default(),
        ),
        (
            "deleted",
            if record.deleted {
                "yes".to_owned()
            } else {
                String::new()
            },
        ),
        ("deletion_reason", record.deletion_reason.clone()),
    ]);
    if record.deleted {
        table
    } else {
        table.with(&value_table(&record.values))
    }
}
