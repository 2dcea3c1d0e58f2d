//! Where reports are taken, and from whom.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// Settings of the intake of reports; it is on where it listens.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportSettings {
    /// Where reports are taken (gRPC over TLS)
    #[arg(long, value_name = "ADDRESS")]
    pub listen_report: Option<SocketAddr>,
    /// File of the certificates shown to nodes: PEM
    #[arg(long, value_name = "FILE")]
    pub report_certificate: Option<PathBuf>,
    /// File of the certificate's private key: PEM
    #[arg(long, value_name = "FILE")]
    pub report_key: Option<PathBuf>,
    /// File of the certificates that sign nodes': PEM
    #[arg(long, value_name = "FILE")]
    pub report_authority: Option<PathBuf>,
}

impl ReportSettings {
    /// These flags over what a file says.
    pub fn over(self, file: Self) -> Self {
        Self {
            listen_report: self.listen_report.or(file.listen_report),
            report_certificate: self.report_certificate.or(file.report_certificate),
            report_key: self.report_key.or(file.report_key),
            report_authority: self.report_authority.or(file.report_authority),
        }
    }
}
