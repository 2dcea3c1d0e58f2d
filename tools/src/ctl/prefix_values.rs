//! `idctl prefix values`: what `0.NA/<prefix>` has beside the sites of the prefix.

use clap::Subcommand;
use idnode_proto::api::{GetPrefixRequest, UpdatePrefixValuesRequest};
use serde_json::json;

use super::error::Failure;
use super::json;
use super::page::WriteArgs;
use super::prefix::{connect, show_receipt};
use super::resolve::value_table;
use super::session::Session;
use super::value_arg::ValueArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show them, secret keys too
    List { prefix: String },
    /// Set or remove some; indexes are from 17 on
    Update {
        prefix: String,
        #[command(flatten)]
        values: ValueArgs,
        /// Remove the value of this index; may be repeated
        #[arg(long = "remove", value_name = "INDEX")]
        remove_indexes: Vec<u32>,
        /// The values given are all there is afterwards
        #[arg(long)]
        replace_all: bool,
        #[command(flatten)]
        write: WriteArgs,
    },
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let mut client = connect(session).await?;
    match command {
        Command::List { prefix } => {
            let request = session.request(GetPrefixRequest { prefix });
            let found = client.get_prefix(request).await?.into_inner();
            session.out.show(
                || {
                    json!({
                        "prefix": found.prefix,
                        "values": json::values(&found.values),
                        "version": found.version,
                    })
                },
                || value_table(&found.values),
            )
        }
        Command::Update {
            prefix,
            values,
            remove_indexes,
            replace_all,
            write,
        } => {
            let request = UpdatePrefixValuesRequest {
                prefix,
                set_values: values.read()?,
                remove_indexes,
                replace_all,
                expected_version: write.expected_version,
                idempotency_key: write.once.idempotency_key,
            };
            let done = client
                .update_prefix_values(session.request(request))
                .await?;
            show_receipt(session, &done.into_inner())
        }
    }
}
