//! What `idnational serve` is told: a file, and flags that count more.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Failure;
use super::epp::EppSettings;
use super::probe::settings::ProbeSettings;
use super::report::settings::ReportSettings;
use super::resolve::settings::ResolveSettings;
use super::uplink::settings::UplinkSettings;

/// Settings of `idnational serve`; all are optional in each place.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Directory of everything it knows; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the status page is; by default any free port of 127.0.0.1
    #[arg(long, value_name = "ADDRESS")]
    pub listen_status: Option<SocketAddr>,
    /// File of scripted faults: JSON, lists of faults by channel, as POST /faults takes them
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// The EPP server.
    #[command(flatten)]
    pub epp: EppSettings,
    /// Where escrow deposits are taken over SFTP; by default any free port of 127.0.0.1
    #[arg(long, value_name = "ADDRESS")]
    pub listen_sftp: Option<SocketAddr>,
    /// File of the private SM2 key (PEM) that deposits are encrypted to; without it none are taken
    #[arg(long, value_name = "FILE")]
    pub escrow_key: Option<PathBuf>,
    /// A node whose deposits are taken: its user name, the file of the key it logs in with
    /// (OpenSSH) and that of the public SM2 key it signs with (PEM)
    #[arg(long, value_name = "NAME=FILE,FILE")]
    pub escrow_client: Vec<String>,
    /// The intake of reports.
    #[command(flatten)]
    pub report: ReportSettings,
    /// The listener of nodes' streams.
    #[command(flatten)]
    pub uplink: UplinkSettings,
    /// The prober.
    #[command(flatten)]
    pub probe: ProbeSettings,
    /// The resolver.
    #[command(flatten)]
    pub resolve: ResolveSettings,
}

impl Settings {
    /// These flags over what a file says.
    ///
    /// # Errors
    /// The file can't be read, or says what is not known.
    pub fn over(self, file: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = file else {
            return Ok(self);
        };
        let named = |error: String| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        let file: Self = toml::from_str(&text).map_err(|error| named(error.to_string()))?;
        Ok(Self {
            data_dir: self.data_dir.or(file.data_dir),
            listen_status: self.listen_status.or(file.listen_status),
            faults: self.faults.or(file.faults),
            epp: self.epp.over(file.epp),
            listen_sftp: self.listen_sftp.or(file.listen_sftp),
            escrow_key: self.escrow_key.or(file.escrow_key),
            escrow_client: match self.escrow_client.is_empty() {
                true => file.escrow_client,
                false => self.escrow_client,
            },
            report: self.report.over(file.report),
            uplink: self.uplink.over(file.uplink),
            probe: self.probe.over(file.probe),
            resolve: self.resolve.over(file.resolve),
        })
    }

    /// Where the status page is.
    pub fn listen_status(&self) -> SocketAddr {
        self.listen_status.unwrap_or(any_port())
    }
}

/// Any free port of this machine's own network.
pub fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn flags_count_more_than_the_file_and_nothing_unknown_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("national.toml");
        std::fs::write(&file, "data_dir = 'a'\nlisten_status = '127.0.0.1:9'\n").unwrap();
        let flags = Settings {
            data_dir: Some("b".into()),
            ..Settings::default()
        };
        let settings = flags.clone().over(Some(&file)).unwrap();
        assert_eq!(settings.data_dir, Some("b".into()));
        assert_eq!(settings.listen_status().port(), 9);
        std::fs::write(&file, "data_dri = 'a'\n").unwrap();
        let error = flags.over(Some(&file)).unwrap_err().to_string();
        assert!(error.contains("data_dri"), "{error}");
    }
}
