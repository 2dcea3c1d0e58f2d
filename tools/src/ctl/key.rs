//! `idctl key` and `idctl whoami`: credentials.

use std::path::PathBuf;

use clap::Subcommand;
use idnode_proto::api::add_administrator_request::Key;
use idnode_proto::api::credential_service_client::CredentialServiceClient;
use idnode_proto::api::{
    AddAdministratorRequest, ApiKey, CreateApiKeyRequest, ListApiKeysRequest, RevokeApiKeyRequest,
    WhoAmIRequest,
};
use serde_json::json;

use super::error::Failure;
use super::identifier::show_receipt;
use super::json;
use super::output::Table;
use super::page::PageArgs;
use super::session::Session;
use crate::handle_client::without_line_end;

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
    /// Let a handle administrator write over the Handle protocol and HTTP
    ///
    /// Whoever proves the key may do all that the enterprise may. The node keeps a secret key as
    /// it is until it is revoked, since the protocol proves it by a digest.
    AddAdministrator {
        /// Which, as INDEX:HANDLE, e.g. 300:0.NA/88.118.8
        administrator: String,
        #[command(flatten)]
        key: AdministratorKeyArgs,
        /// For which enterprise; the caller's own unless given
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        enterprise_id: String,
        /// What it is for, up to 64 bytes
        #[arg(long, default_value = "", hide_default_value = true)]
        label: String,
    },
    /// List API keys and administrators
    List {
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        enterprise_id: String,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Make an API key, or an administrator's key, useless
    Revoke { id: String },
}

/// The key of an administrator.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct AdministratorKeyArgs {
    /// File with the secret, as an HS_SECKEY value has it; a line end behind it is left out
    #[arg(long, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
    /// File with the public key, as an HS_PUBKEY value has it or in PEM
    #[arg(long, value_name = "FILE")]
    public_key_file: Option<PathBuf>,
}

impl AdministratorKeyArgs {
    fn read(self) -> Result<Option<Key>, Failure> {
        if let Some(path) = self.secret_key_file {
            let secret = without_line_end(contents(path)?);
            return Ok(Some(Key::SecretKey(secret)));
        }
        let public = self.public_key_file.map(contents).transpose()?;
        Ok(public.map(Key::PublicKey))
    }
}

fn contents(path: PathBuf) -> Result<Vec<u8>, Failure> {
    std::fs::read(&path).map_err(|error| Failure::File {
        path,
        reason: error.to_string(),
    })
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
        Command::AddAdministrator {
            administrator,
            key,
            enterprise_id,
            label,
        } => {
            let request = AddAdministratorRequest {
                administrator,
                key: key.read()?,
                enterprise_id,
                label,
            };
            let done = client
                .add_administrator(session.request(request))
                .await?
                .into_inner();
            let key = done.key.clone().unwrap_or_default();
            session.out.show(
                || {
                    json!({
                        "receipt": json::receipt(done.receipt.as_ref()),
                        "key": json::api_key(&key),
                    })
                },
                || {
                    Table::of_one(&[
                        ("id", key.id.clone()),
                        ("enterprise_id", key.enterprise_id.clone()),
                        ("administrator", key.administrator.clone()),
                        ("label", key.label.clone()),
                    ])
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
            let mut table = Table::new(&[
                "ID",
                "ENTERPRISE",
                "ADMINISTRATOR",
                "LABEL",
                "CREATED",
                "STATE",
            ]);
            for key in found {
                table.row([
                    key.id.clone(),
                    key.enterprise_id.clone(),
                    key.administrator.clone(),
                    key.label.clone(),
                    json::time(key.created_at.as_ref()).unwrap_or_default(),
                    if key.revoked { "revoked" } else { "valid" }.to_owned(),
                ]);
            }
            table.more(next)
        },
    )
}
