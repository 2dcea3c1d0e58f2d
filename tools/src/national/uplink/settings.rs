//! Where streams of nodes are taken, and from whom.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// Settings of the streams; they are on where the listener is.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UplinkSettings {
    /// Where nodes' streams are taken: changes, takeover, routes (gRPC over TLS)
    #[arg(long, value_name = "ADDRESS")]
    pub listen_sync: Option<SocketAddr>,
    /// File of the certificates shown to nodes: PEM
    #[arg(long, value_name = "FILE")]
    pub sync_certificate: Option<PathBuf>,
    /// File of the certificate's private key: PEM
    #[arg(long, value_name = "FILE")]
    pub sync_key: Option<PathBuf>,
    /// File of the certificates that sign nodes': PEM
    #[arg(long, value_name = "FILE")]
    pub sync_authority: Option<PathBuf>,
    /// A node and the prefixes that it may speak for; its name is in its certificate
    #[arg(long, value_name = "NAME:PREFIX[,PREFIX]")]
    pub sync_node: Vec<String>,
}

impl UplinkSettings {
    /// These flags over what a file says.
    #[must_use]
    pub fn over(self, file: Self) -> Self {
        Self {
            listen_sync: self.listen_sync.or(file.listen_sync),
            sync_certificate: self.sync_certificate.or(file.sync_certificate),
            sync_key: self.sync_key.or(file.sync_key),
            sync_authority: self.sync_authority.or(file.sync_authority),
            sync_node: match self.sync_node.is_empty() {
                true => file.sync_node,
                false => self.sync_node,
            },
        }
    }
}
