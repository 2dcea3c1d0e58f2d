//! Why a node did not start.

use crate::front::directory::FileError;
use crate::front::dns::StoreError as KeyStoreError;
use crate::trust::TrustError;
use crate::upward::UpwardError;
use idnode_proto::dnsname::NameError;
use idnode_proto::handle::auth::KeyError;
use metrics_exporter_prometheus::BuildError;
use std::io;
use std::net::SocketAddr;
use thiserror::Error;

/// Why a node did not start.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The registry can't be opened or made.
    #[error(transparent)]
    Registry(#[from] idnode_registry::Error),
    /// A zone is not a name.
    #[error("zones: {0}")]
    Zones(#[from] NameError),
    /// The keys of signed zones can't be read.
    #[error("DNSSEC keys: {0}")]
    Keys(#[from] KeyStoreError),
    /// The files of registrations can't be used.
    #[error("iiidap: {0}")]
    Directory(#[from] FileError),
    /// The files of trusted resolution can't be used.
    #[error("trust: {0}")]
    Trust(#[from] TrustError),
    /// The key that signs answers has no public key that can be written.
    #[error("the site's key: {0}")]
    SiteKey(KeyError),
    /// What a channel upward needs can't be used.
    #[error("upward: {0}")]
    Upward(#[from] UpwardError),
    /// A front can't listen.
    #[error("{front} front on {address}: {error}")]
    Bind {
        /// Which front.
        front: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The metrics recorder can't be installed.
    #[error("metrics: {0}")]
    Metrics(#[from] BuildError),
    /// The operating system refuses something.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        error: io::Error,
    },
}

pub(super) fn bind_error(
    front: &'static str,
    address: SocketAddr,
) -> impl Fn(io::Error) -> NodeError {
    move |error| NodeError::Bind {
        front,
        address,
        error,
    }
}
