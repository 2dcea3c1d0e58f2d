//! Where things are: files below the directory of a province, names that no other province has,
//! addresses.
//!
//! ```text
//! DIR/province.json     how it was started
//! DIR/lock              held while `idprovince up` runs
//! DIR/control.sock      where it takes commands
//! DIR/authority.pem     who signs the certificates; its key beside it
//! DIR/<city>/           node.toml, data/, node.pem, node.key, epp.password, node.log
//! DIR/national/         national.toml, data/, node.pem, node.key, national.log
//! ```

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::city::{City, Site};
use super::error::Failure;

/// What the nodes' fronts listen on; the same in every city, since each has its own address.
pub(super) const HANDLE_PORT: u16 = 2641;
/// gRPC.
pub(super) const GRPC_PORT: u16 = 2643;
/// DNS.
pub(super) const DNS_PORT: u16 = 2653;
/// HTTP: health, metrics, the JSON API.
pub(super) const HTTP_PORT: u16 = 2680;
/// The same with TLS.
pub(super) const HTTPS_PORT: u16 = 2681;
/// The national node: its page.
pub(super) const STATUS_PORT: u16 = 2690;
/// Its EPP server.
pub(super) const EPP_PORT: u16 = 2700;
/// Its intake of reports.
pub(super) const REPORT_PORT: u16 = 2743;
/// Its listener of nodes' streams.
pub(super) const SYNC_PORT: u16 = 2744;

/// How a province's places are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Apart {
    /// By addresses of the loopback network; there are no links.
    Addresses,
    /// By network namespaces, joined by a pair of veths for each link.
    Veths,
    /// By network namespaces, joined by the wire of `idprovince` itself.
    Wire,
}

/// How a province was started: what is in `province.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Started {
    /// How its places are kept apart.
    pub(super) apart: Apart,
    /// One way between two cities, and between a city and the national node, milliseconds; 0
    /// where nothing delays.
    pub(super) between_ms: f64,
    /// One way between a city's clients and its node, milliseconds.
    pub(super) city_ms: f64,
}

/// The directory of a province.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Absolute, without symbolic links.
    dir: PathBuf,
    /// Two bytes made of it.
    tag: [u8; 2],
}

impl Layout {
    /// Of a directory that is there.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn of(dir: &Path) -> Result<Self, Failure> {
        let dir = fs::canonicalize(dir).map_err(Failure::io(dir.display().to_string()))?;
        let digest = Sha256::digest(dir.as_os_str().as_encoded_bytes());
        let mut tag = [0; 2];
        tag.copy_from_slice(digest.get(..2).unwrap_or(&[0; 2]));
        Ok(Self { dir, tag })
    }

    /// Of a directory, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn make(dir: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(dir).map_err(Failure::io(dir.display().to_string()))?;
        Self::of(dir)
    }

    /// The directory itself.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What names of namespaces and devices have, four hexadecimal digits.
    pub(super) fn tag(&self) -> String {
        HEXLOWER.encode(&self.tag)
    }

    /// The file that is locked while the province runs.
    pub(super) fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// The socket that it takes commands on.
    pub(super) fn control(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// A file of the authority: `pem` or `key`.
    pub(super) fn authority(&self, extension: &str) -> PathBuf {
        self.dir.join(format!("authority.{extension}"))
    }

    /// The directory of a place.
    pub(super) fn home(&self, site: Site) -> PathBuf {
        self.dir.join(site.name())
    }

    /// A file of a place.
    pub(super) fn file(&self, site: Site, name: &str) -> PathBuf {
        self.home(site).join(name)
    }

    /// The configuration of a place's program. No other process names this path on its command
    /// line: processes that were left behind are known by it.
    pub(super) fn config(&self, site: Site) -> PathBuf {
        match site {
            Site::City(_) => self.file(site, "node.toml"),
            Site::National => self.file(site, "national.toml"),
        }
    }

    /// What a place's program logs to.
    pub(super) fn log(&self, site: Site) -> PathBuf {
        match site {
            Site::City(_) => self.file(site, "node.log"),
            Site::National => self.file(site, "national.log"),
        }
    }

    /// The operator's token of a city's node.
    pub(super) fn operator_token(&self, city: City) -> PathBuf {
        self.file(Site::City(city), "data/operator.token")
    }

    /// How it was started last, if it ever was.
    ///
    /// # Errors
    /// The file says something else.
    pub(super) fn started(&self) -> Result<Option<Started>, Failure> {
        let path = self.dir.join("province.json");
        let named = |error: String| Failure::Program(format!("{}: {error}", path.display()));
        match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .map_err(|error| named(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(named(error.to_string())),
        }
    }

    /// Writes down how it is started.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn note(&self, started: &Started) -> Result<(), Failure> {
        let json = serde_json::to_vec_pretty(started)
            .map_err(|error| Failure::Program(error.to_string()))?;
        let path = self.dir.join("province.json");
        fs::write(&path, json).map_err(Failure::io(path.display().to_string()))
    }
}

/// Where places are on the network.
#[derive(Debug, Clone)]
pub(super) struct Map {
    apart: Apart,
    tag: [u8; 2],
    prefix: String,
}

impl Map {
    /// Of a province whose places are kept apart so.
    pub(super) fn new(layout: &Layout, apart: Apart) -> Self {
        Self {
            apart,
            tag: layout.tag,
            prefix: format!("idp-{}", layout.tag()),
        }
    }

    /// How places are kept apart.
    pub(super) fn apart(&self) -> Apart {
        self.apart
    }

    /// The address of a place: below 10.88 in a namespace, else one of the loopback network that
    /// the directory's tag has a part in.
    pub(super) fn address(&self, site: Site) -> Ipv4Addr {
        let [high, low] = self.tag;
        match self.apart {
            Apart::Addresses => Ipv4Addr::new(127, 1 + high % 254, low, site.number()),
            Apart::Veths | Apart::Wire => Ipv4Addr::new(10, 88, site.number(), 1),
        }
    }

    /// The address of a city's clients.
    pub(super) fn client_address(&self, city: City) -> Ipv4Addr {
        match self.apart {
            Apart::Addresses => self.address(Site::City(city)),
            Apart::Veths | Apart::Wire => Ipv4Addr::new(10, 88, city.number(), 2),
        }
    }

    /// A port of a place.
    pub(super) fn at(&self, site: Site, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address(site)), port)
    }

    /// The namespace of a place, if it has one.
    pub(super) fn namespace(&self, site: Site) -> Option<String> {
        match self.apart {
            Apart::Addresses => None,
            Apart::Veths | Apart::Wire => Some(format!("{}-{}", self.prefix, site.name())),
        }
    }

    /// The namespace of a city's clients, if it has one.
    pub(super) fn client_namespace(&self, city: City) -> Option<String> {
        let namespace = self.namespace(Site::City(city))?;
        Some(format!("{namespace}-clients"))
    }

    /// What the names of all namespaces of the province begin with.
    pub(super) fn namespace_prefix(&self) -> String {
        format!("{}-", self.prefix)
    }

    /// The device at one end of the link that leads to `to`; at most 15 bytes.
    pub(super) fn device(&self, to: &str) -> String {
        let tag = HEXLOWER.encode(&self.tag);
        format!("p{tag}-{to}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn provinces_have_names_and_addresses_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let layouts = ["a", "b"].map(|name| Layout::make(&dir.path().join(name)).unwrap());
        let [one, other] = layouts.each_ref().map(|it| Map::new(it, Apart::Addresses));
        assert_ne!(one.address(Site::National), other.address(Site::National));
        assert!(one.address(Site::National).is_loopback());
        assert_eq!(one.namespace(Site::National), None);
        let [one, other] = layouts.each_ref().map(|it| Map::new(it, Apart::Wire));
        assert_ne!(
            one.namespace(Site::National),
            other.namespace(Site::National)
        );
        let longest = Site::all().map(|site| one.device(site.name()).len()).max();
        assert!(longest.unwrap() <= 15, "IFNAMSIZ");
    }
}
