//! Prefixes that are served elsewhere. Where the enterprise runs its own DNS, its names are cut
//! off (NS and glue); where it has service sites only, every name below the prefix answers with
//! the sites' interfaces. A prefix's own name answers with the interfaces that serve it.

use super::dnssec::opaque;
use super::records::{RecordSet, URI, naptr, txt, uri};
use super::reply::Reply;
use super::text::{interface_url, uri_service};
use super::zone::{Zone, address_record, ns_record};
use hickory_proto::rr::{Name, Record, RecordType};
use idnode_proto::dnsname::{Subject, ZoneKind};
use idnode_proto::handle::site::{Interface, InterfaceProtocol, Site};
use idnode_proto::identifier::{Prefix, Scheme};
use idnode_registry::prefix::{Delegation, DelegationSigner, PrefixRecord};
use std::net::IpAddr;

/// Labels before a prefix's label in the node's zone, itself included: `88-118-8.hdl`.
const PREFIX_LABELS: usize = 2;
/// Those of a GS1 key or company prefix: `09506000134352.01.gs1`.
const GS1_KEY_LABELS: usize = 3;
/// Those of an ONS name before its digits: `gtin.gs1.id`.
const ONS_LABELS: usize = 3;

/// How many labels before the zone's the cut of a delegated prefix has.
///
/// A cut is an ancestor of what is asked or that name itself. Company prefixes are no ancestors
/// of GS1 keys in the node's zone: there each key is cut off by itself.
pub(super) fn cut_labels(zone: ZoneKind, prefix: &Prefix) -> usize {
    let arcs = || {
        prefix
            .prefix_identifier()
            .map_or(0, |oid| oid.oid_arcs().count())
    };
    match (zone, prefix.scheme()) {
        (ZoneKind::Ors, _) => arcs(),
        (ZoneKind::Ons, _) => ONS_LABELS + prefix.head().len(),
        (ZoneKind::Node, Scheme::Oid) => 1 + arcs(),
        (ZoneKind::Node, Scheme::Gs1) => GS1_KEY_LABELS,
        (ZoneKind::Node, _) => PREFIX_LABELS,
    }
}

/// The referral to the name servers of a delegated prefix (RFC 1034 §4.3.2): not ours to answer
/// with authority.
pub(super) fn to_name_servers(cut: &Name, delegation: &Delegation, ttl_s: u32) -> Option<Reply> {
    let (mut servers, mut glue) = (Vec::new(), Vec::new());
    for server in &delegation.name_servers {
        let Ok(host) = Name::from_ascii(&server.name) else {
            continue;
        };
        servers.push(ns_record(cut, ttl_s, &host));
        let addresses = server
            .addresses
            .iter()
            .filter_map(|text| text.parse::<IpAddr>().ok());
        glue.extend(addresses.map(|address| address_record(&host, ttl_s, address)));
    }
    (!servers.is_empty()).then(|| Reply {
        delegation_signers: ds_records(cut, delegation, ttl_s),
        ..Reply::referral(servers, glue)
    })
}

/// The DS records of a delegated prefix whose zone is signed.
pub(super) fn ds_records(cut: &Name, delegation: &Delegation, ttl_s: u32) -> Vec<Record> {
    let record = |ds: &DelegationSigner| {
        // The registry keeps the numbers within their fields.
        let mut data = (ds.key_tag as u16).to_be_bytes().to_vec();
        data.extend_from_slice(&[ds.algorithm as u8, ds.digest_type as u8]);
        data.extend_from_slice(&ds.digest);
        Record::from_rdata(cut.clone(), ttl_s, opaque(RecordType::DS, &data))
    };
    delegation.ds.iter().map(record).collect()
}

/// What a name says about the service behind it.
#[derive(Debug)]
pub(super) struct Service<'a> {
    pub(super) owner: &'a Name,
    pub(super) zone: &'a Zone,
    /// What to ask there; `None` where the name is a hash.
    pub(super) identifier: Option<&'a str>,
    pub(super) sites: &'a [Site],
    pub(super) ttl_s: u32,
}

impl Service<'_> {
    /// Records of one type: NAPTR and URI of the HTTP interfaces, TXT of all after `heading`.
    pub(super) fn records(&self, qtype: RecordType, heading: &str) -> Vec<Record> {
        let mut set = RecordSet::new(self.owner, self.ttl_s);
        match qtype {
            RecordType::TXT => {
                set.push(txt(heading.as_bytes()));
                self.interfaces()
                    .for_each(|at| set.push(txt(at.describe().as_bytes())));
            }
            URI => {
                for (priority, url) in (1..).zip(self.urls()) {
                    set.push(uri(priority, &url));
                }
            }
            RecordType::NAPTR => {
                for (preference, url) in (1..).zip(self.urls()) {
                    let service = match self.zone.kind {
                        ZoneKind::Ors => "ORS+UINF".to_owned(),
                        ZoneKind::Node | ZoneKind::Ons => uri_service(&url, "I2C"),
                    };
                    if let Some(data) = naptr(self.zone.kind, preference, &service, &url) {
                        set.push(data);
                    }
                }
            }
            _ => {}
        }
        set.finish()
    }

    fn interfaces(&self) -> impl Iterator<Item = Place> {
        (1..).zip(self.sites).flat_map(|(site, record)| {
            record.servers.iter().flat_map(move |server| {
                let (server_id, address) = (server.id, server.address);
                let interfaces = server.interfaces.iter();
                interfaces.map(move |interface| Place {
                    site,
                    server_id,
                    address,
                    interface: *interface,
                })
            })
        })
    }

    fn urls(&self) -> impl Iterator<Item = String> {
        self.interfaces()
            .filter(|at| at.interface.query)
            .filter_map(|at| {
                interface_url(
                    at.interface.protocol,
                    at.address,
                    at.interface.port,
                    self.identifier,
                )
            })
    }
}

/// An interface and where it is.
struct Place {
    site: usize,
    server_id: u32,
    address: IpAddr,
    interface: Interface,
}

impl Place {
    fn describe(&self) -> String {
        let Self {
            site,
            server_id,
            address,
            interface,
        } = self;
        let protocol = match interface.protocol {
            InterfaceProtocol::Udp => "hdl-udp".to_owned(),
            InterfaceProtocol::Tcp => "hdl-tcp".to_owned(),
            InterfaceProtocol::Http => "http".to_owned(),
            InterfaceProtocol::Https => "https".to_owned(),
            InterfaceProtocol::Other(number) => format!("protocol-{number}"),
        };
        let used_for = match (interface.query, interface.admin) {
            (true, true) => "query,admin",
            (true, false) => "query",
            (false, true) => "admin",
            (false, false) => "none",
        };
        let port = interface.port;
        format!(
            "site={site} server={server_id} address={address} protocol={protocol} port={port} use={used_for}"
        )
    }
}

/// What a prefix's name says first: `prefix=88.118.8 state=active`; of one that is delegated by a
/// service's handle also that handle, which is no name that DNS could lead to.
pub(super) fn prefix_heading(prefix: &Prefix, record: &PrefixRecord) -> String {
    let served = if record.delegation.is_some() {
        " served=elsewhere"
    } else {
        ""
    };
    let delegation = record.delegation.as_ref();
    let service = delegation.and_then(Delegation::service);
    let service = service.map(|handle| format!(" service={handle}"));
    let service = service.unwrap_or_default();
    format!("prefix={prefix} state=active{served}{service}")
}

/// The identifier to ask a delegated prefix's sites for, as text.
pub(super) fn text_of(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Identifier(identifier) => Some(identifier.canonical()),
        Subject::Prefix(prefix) => Some(prefix.prefix_identifier()?.canonical()),
        _ => None,
    }
}
