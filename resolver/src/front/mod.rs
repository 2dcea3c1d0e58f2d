//! The fronts: each decodes its protocol to a [`crate::resolve::Query`], lets the core answer,
//! and encodes the answer in its own terms. Nothing about how an answer is found is here.

pub(crate) mod abuse;
mod code;
mod desks;
pub mod directory;
pub mod dns;
pub mod grpc;
pub mod guesses;
pub mod handle;
pub mod http;
mod kept;
mod lifetime;
pub mod proofs;
mod rate;
pub mod tls;
mod unread;
pub mod whois;

use crate::recursion::Recursion;
use crate::resolve::Resolver;
use idnode_proto::dnsname::Zones;
use idnode_registry::upward::Uplink;
use idnode_registry::{Caller, Registry, Result};
use std::sync::Arc;
use std::time::Duration;

/// What every front works with.
#[derive(Debug)]
pub struct Core {
    /// How answers are found.
    pub resolver: Arc<Resolver>,
    /// What is true.
    pub registry: Arc<Registry>,
    /// The node's DNS zones.
    pub zones: Zones,
    /// The keys of those that are signed.
    pub dnssec: Arc<dns::Dnssec>,
    /// How others are asked; `None`: they are not.
    pub recursion: Option<Recursion>,
    /// Who holds what, as others are told.
    pub directory: Arc<directory::Directory>,
    /// How handle administrators prove their keys.
    pub proofs: proofs::Proofs,
    /// What the national node was told, and how the channels to it stand.
    pub uplink: Arc<Uplink>,
    /// When this process began, milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    /// How long one request may take.
    pub request_deadline: Duration,
}

impl Core {
    /// Who a request comes from: a bearer token's holder, or a stranger when there is none.
    ///
    /// # Errors
    /// [`idnode_registry::Error::Unauthenticated`] for a token that is not valid.
    pub fn caller(&self, bearer_token: Option<&str>) -> Result<Caller> {
        bearer_token.map_or(Ok(Caller::Stranger), |token| {
            self.registry.authenticate(token)
        })
    }
}

/// The token of an `authorization: Bearer <token>` field (RFC 6750 §2.1).
///
/// # Errors
/// [`idnode_registry::Error::Unauthenticated`] for another scheme.
pub fn bearer_token(field: &str) -> Result<&str> {
    match field.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(idnode_registry::Error::Unauthenticated(
            "the authorization field is not of the form Bearer <token>".into(),
        )),
    }
}
