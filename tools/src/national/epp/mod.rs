//! Provisioning: the national node's EPP server, its review of prefixes, its queue of messages.
//!
//! | module | holds |
//! |---|---|
//! | [`store`] | what is registered: tables of the book |
//! | [`engine`] | sessions and commands, whatever they come over |
//! | `objects` | what commands do with what is registered |
//! | `server`, `http` | frames on TLS with client certificates; bodies of HTTP |
//! | `review` | the review a person does, and the section of the page |

pub mod engine;
mod http;
mod objects;
mod review;
mod server;
pub mod store;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::{Failure, Shared, Started, Task};
use engine::{Account, Engine};
use review::Desk;

/// Who reviews prefixes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Review {
    /// Every application that is right in itself passes at once
    #[default]
    Auto,
    /// A person, on the page
    Manual,
}

/// Settings of the EPP server.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EppSettings {
    /// Where EPP is spoken over TLS
    #[arg(long, value_name = "ADDRESS")]
    pub listen_epp: Option<SocketAddr>,
    /// Where EPP is spoken over HTTP
    #[arg(long, value_name = "ADDRESS")]
    pub listen_epp_http: Option<SocketAddr>,
    /// Where EPP is spoken over HTTPS
    #[arg(long, value_name = "ADDRESS")]
    pub listen_epp_https: Option<SocketAddr>,
    /// File of the server's certificates: PEM
    #[arg(long, value_name = "FILE")]
    pub epp_certificate: Option<PathBuf>,
    /// File of its private key: PEM
    #[arg(long, value_name = "FILE")]
    pub epp_key: Option<PathBuf>,
    /// File of the certificates that sign those of clients: PEM
    #[arg(long, value_name = "FILE")]
    pub epp_client_authority: Option<PathBuf>,
    /// A secondary node: its user, its password, its prefixes; may be repeated
    #[arg(long = "epp-account", value_name = "USER:PASSWORD:PREFIX[,PREFIX]")]
    pub epp_accounts: Vec<String>,
    /// Who reviews prefixes; auto unless said
    #[arg(long, value_name = "WHO")]
    pub review: Option<Review>,
}

impl EppSettings {
    /// These over others.
    pub fn over(self, other: Self) -> Self {
        Self {
            listen_epp: self.listen_epp.or(other.listen_epp),
            listen_epp_http: self.listen_epp_http.or(other.listen_epp_http),
            listen_epp_https: self.listen_epp_https.or(other.listen_epp_https),
            epp_certificate: self.epp_certificate.or(other.epp_certificate),
            epp_key: self.epp_key.or(other.epp_key),
            epp_client_authority: self.epp_client_authority.or(other.epp_client_authority),
            epp_accounts: match self.epp_accounts.is_empty() {
                true => other.epp_accounts,
                false => self.epp_accounts,
            },
            review: self.review.or(other.review),
        }
    }
}

/// Starts the EPP server, if it is to listen anywhere.
///
/// # Errors
/// A setting is missing or wrong, an address can't be had.
pub async fn start(settings: &EppSettings, shared: &Shared) -> Result<Option<Started>, Failure> {
    let listens = [
        settings.listen_epp,
        settings.listen_epp_http,
        settings.listen_epp_https,
    ];
    if listens.iter().all(Option::is_none) {
        return Ok(None);
    }
    let accounts = settings
        .epp_accounts
        .iter()
        .map(|text| Account::parse(text));
    let engine = Arc::new(Engine::new(
        shared.book.clone(),
        accounts.collect::<Result<_, _>>()?,
        settings.review.unwrap_or_default(),
    ));
    let (mut addresses, mut tasks) = (Vec::new(), Vec::<Task>::new());
    if let Some(listen) = settings.listen_epp {
        let acceptor = tls::acceptor(settings)?;
        let listener = TcpListener::bind(listen).await?;
        addresses.push(("epp", listener.local_addr()?));
        let (engine, faults) = (engine.clone(), shared.faults.clone());
        tasks.push(Box::pin(server::serve(listener, acceptor, engine, faults)));
    }
    let router = http::router(engine.clone(), shared.faults.clone());
    if let Some(listen) = settings.listen_epp_http {
        let listener = TcpListener::bind(listen).await?;
        addresses.push(("epp_http", listener.local_addr()?));
        tasks.push(Box::pin(http::serve(listener, router.clone())));
    }
    if let Some(listen) = settings.listen_epp_https {
        let acceptor = tls::acceptor(settings)?;
        let listener = TcpListener::bind(listen).await?;
        addresses.push(("epp_https", listener.local_addr()?));
        tasks.push(Box::pin(http::serve_tls(listener, acceptor, router)));
    }
    Ok(Some(Started {
        part: Arc::new(Desk(engine)),
        addresses,
        tasks,
    }))
}
