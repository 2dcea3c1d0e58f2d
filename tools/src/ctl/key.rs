//! `idctl key` and `idctl whoami`: credentials.

use clap::Subcommand;
use idnode_proto::api::credential_service_client::CredentialServiceClient;
use idnode_proto::api::{
    ApiKey, CreateApiKeyRequest, ListApiKeysRequest, RevokeApiKeyRequest, WhoAmIRequest,
};
use serde_json::json;

use super::error::Failure;
use super::identifier::show_receipt;
use super::json;
use super::output::Table;
use super::page::PageArgs;
use super::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an API key; its token is shown this once
    Create {
        /// For which enterprise; the caller's own unless given
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        enterprise_id: String,
        /// What it is for, up to 64 bytes
        #[arg(long, default_value = "", hide_default_value = true)]
        label: String,
    },
    /// List API keys
    List {
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        enterprise_id: String,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Make an API key useless
    Revoke { id: String },
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let mut client = CredentialServiceClient::new(session.channel().await?);
    match command {
        Command::Create {
            enterprise_id,
            label,
        } => {
            let request = CreateApiKeyRequest {
                enterprise_id,
                label,
            };
            let done = client
                .create_api_key(session.request(request))
                .await?
                .into_inner();
            let key = done.key.clone().unwrap_or_default();
            session.out.show(
                || {
                    json!({
                        "receipt": json::receipt(done.receipt.as_ref()),
                        "key": json::api_key(&key),
                        "token": done.token,
                    })
                },
                || {
                    Table::of_one(&[
                        ("id", key.id.clone()),
                        ("enterprise_id", key.enterprise_id.clone()),
                        ("label", key.label.clone()),
                        ("token", done.token.clone()),
                    ])
                    .below("the token is not shown again")
                },
            )
        }
        Command::List {
            enterprise_id,
            page,
        } => {
            let (found, next) = page
                .fetch(async |page| {
                    let enterprise_id = enterprise_id.clone();
                    let request = ListApiKeysRequest {
                        enterprise_id,
                        page: Some(page),
                    };
                    let listed = client.list_api_keys(session.request(request)).await?;
                    let listed = listed.into_inner();
                    Ok((listed.keys, listed.next_page_token))
                })
                .await?;
            show_list(session, &found, &next)
        }
        Command::Revoke { id } => {
            let request = session.request(RevokeApiKeyRequest { id });
            let done = client.revoke_api_key(request).await?;
            show_receipt(session, done.into_inner())
        }
    }
}

/// Shows who the credential belongs to.
pub(crate) async fn whoami(session: &Session) -> Result<(), Failure> {
    let mut client = CredentialServiceClient::new(session.channel().await?);
    let who = client
        .who_am_i(session.request(WhoAmIRequest {}))
        .await?
        .into_inner();
    session.out.show(
        || {
            json!({
                "operator": who.operator,
                "enterprise_id": who.enterprise_id,
                "credential_id": who.credential_id,
            })
        },
        || {
            let role = if who.operator {
                "operator"
            } else {
                "enterprise"
            };
            Table::of_one(&[
                ("role", role.to_owned()),
                ("enterprise_id", who.enterprise_id.clone()),
                ("credential_id", who.credential_id.clone()),
            ])
        },
    )
}

fn show_list(session: &Session, found: &[ApiKey], next: &str) -> Result<(), Failure> {
    session.out.show(
        || {
            let keys: Vec<_> = found.iter().map(json::api_key).collect();
            json!({"keys": keys, "next_page_token": next})
        },
        || {
            let mut table = Table::new(&["ID", "ENTERPRISE", "LABEL", "CREATED", "STATE"]);
            for key in found {
                table.row([
                    key.id.clone(),
                    key.enterprise_id.clone(),
                    key.label.clone(),
                    json::time(key.created_at.as_ref()).unwrap_or_default(),
                    if key.revoked { "revoked" } else { "valid" }.to_owned(),
                ]);
            }
            table.more(next)
        },
    )
}
