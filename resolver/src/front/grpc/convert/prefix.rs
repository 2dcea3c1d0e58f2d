//! Prefixes, their lifecycle and where they are served.

use super::super::status::Result;
use super::{scheme, timestamp, unnamed, value};
use idnode_proto::api;
use idnode_proto::api::interface::Protocol;
use idnode_proto::handle::Version;
use idnode_proto::handle::site::{HashOption, Interface, InterfaceProtocol, Server, Site};
use idnode_registry::Error;
use idnode_registry::prefix::{
    Delegation, DelegationSigner, NameServer, PrefixAction, PrefixRecord, PrefixState, Withdrawal,
};

/// The attribute of a site that describes it, by custom.
const DESCRIPTION: &str = "desc";

/// A prefix as it is answered. Errors: its key is damaged.
pub(in super::super) fn shown(record: PrefixRecord) -> idnode_registry::Result<api::Prefix> {
    let prefix = record.prefix()?;
    Ok(api::Prefix {
        prefix: prefix.canonical(),
        scheme: scheme(prefix.scheme()),
        enterprise_id: record.owner().to_string(),
        state: shown_state(record.state()).into(),
        delegation: record.delegation.as_ref().map(shown_delegation),
        values: record.values().map(value::shown).collect(),
        submitted: record.submitted > 0,
        withdrawn: record.withdrawal() != Withdrawal::None,
        review_message: record.review_message,
        version: record.version,
        created_at: timestamp(record.created_at_ms),
        updated_at: timestamp(record.updated_at_ms),
    })
}

fn shown_state(state: PrefixState) -> api::PrefixState {
    match state {
        PrefixState::Unspecified => api::PrefixState::Unspecified,
        PrefixState::PendingReview => api::PrefixState::PendingReview,
        PrefixState::UnderReview => api::PrefixState::UnderReview,
        PrefixState::Active => api::PrefixState::Active,
        PrefixState::Rejected => api::PrefixState::Rejected,
        PrefixState::Suspended => api::PrefixState::Suspended,
        PrefixState::PendingDeletion => api::PrefixState::PendingDeletion,
    }
}

/// A listing's state; `None`: any.
pub(in super::super) fn parse_state(number: i32) -> Result<Option<PrefixState>> {
    Ok(Some(match api::PrefixState::try_from(number) {
        Ok(api::PrefixState::Unspecified) => return Ok(None),
        Ok(api::PrefixState::PendingReview) => PrefixState::PendingReview,
        Ok(api::PrefixState::UnderReview) => PrefixState::UnderReview,
        Ok(api::PrefixState::Active) => PrefixState::Active,
        Ok(api::PrefixState::Rejected) => PrefixState::Rejected,
        Ok(api::PrefixState::Suspended) => PrefixState::Suspended,
        Ok(api::PrefixState::PendingDeletion) => PrefixState::PendingDeletion,
        Err(_) => return Err(unnamed("state", number)),
    }))
}

/// A step of the lifecycle.
pub(in super::super) fn parse_action(number: i32) -> Result<PrefixAction> {
    match api::PrefixAction::try_from(number) {
        Ok(api::PrefixAction::StartReview) => Ok(PrefixAction::StartReview),
        Ok(api::PrefixAction::Approve) => Ok(PrefixAction::Approve),
        Ok(api::PrefixAction::Reject) => Ok(PrefixAction::Reject),
        Ok(api::PrefixAction::Reapply) => Ok(PrefixAction::Reapply),
        Ok(api::PrefixAction::Suspend) => Ok(PrefixAction::Suspend),
        Ok(api::PrefixAction::Resume) => Ok(PrefixAction::Resume),
        Ok(api::PrefixAction::MarkForDeletion) => Ok(PrefixAction::MarkForDeletion),
        Ok(api::PrefixAction::CancelDeletion) => Ok(PrefixAction::CancelDeletion),
        Ok(api::PrefixAction::Remove) => Ok(PrefixAction::Remove),
        Ok(api::PrefixAction::Unspecified) | Err(_) => Err(unnamed("action", number)),
    }
}

/// A request's delegation; the registry checks it.
pub(in super::super) fn parse_delegation(delegation: api::Delegation) -> Result<Delegation> {
    let multi_primary = delegation.sites.iter().filter(|site| site.primary).count() > 1;
    let sites = delegation
        .sites
        .into_iter()
        .enumerate()
        .map(|(position, site)| {
            let site = parse_site(site, multi_primary);
            Ok(site
                .map_err(|error| error.within(&format!("delegation.sites[{position}]")))?
                .encode()
                .into())
        });
    let name_servers = delegation
        .name_servers
        .into_iter()
        .map(|api::NameServer { name, addresses }| NameServer { name, addresses });
    Ok(Delegation {
        sites: sites.collect::<Result<_>>()?,
        name_servers: name_servers.collect(),
        ds: delegation.ds.into_iter().map(parse_ds).collect(),
        service_handle: delegation.service_handle,
    })
}

fn parse_ds(ds: api::DsRecord) -> DelegationSigner {
    DelegationSigner {
        key_tag: ds.key_tag,
        algorithm: ds.algorithm,
        digest_type: ds.digest_type,
        digest: ds.digest.into(),
    }
}

fn parse_site(site: api::Site, multi_primary: bool) -> idnode_registry::Result<Site> {
    let serial = u16::try_from(site.serial)
        .map_err(|_| Error::invalid("serial", format!("{} is above {}", site.serial, u16::MAX)))?;
    if site.servers.is_empty() {
        return Err(Error::invalid("servers", "a site has at least one server"));
    }
    let servers = site
        .servers
        .into_iter()
        .enumerate()
        .map(|(position, server)| {
            parse_server(server).map_err(|e| e.within(&format!("servers[{position}]")))
        });
    let attributes = if site.description.is_empty() {
        Vec::new()
    } else {
        vec![(DESCRIPTION.to_owned(), site.description)]
    };
    Ok(Site {
        version: 1,
        protocol: Version::LATEST,
        serial,
        primary: site.primary,
        multi_primary,
        hash_option: HashOption::ByHandle,
        hash_filter: String::new(),
        attributes,
        servers: servers.collect::<idnode_registry::Result<_>>()?,
    })
}

fn parse_server(server: api::Server) -> idnode_registry::Result<Server> {
    let address = server.address.parse().map_err(|_| {
        Error::invalid(
            "address",
            format!("{:.60?} is no IP address", server.address),
        )
    })?;
    let interfaces = server
        .interfaces
        .into_iter()
        .enumerate()
        .map(|(position, interface)| {
            parse_interface(interface).map_err(|e| e.within(&format!("interfaces[{position}]")))
        });
    let interfaces = interfaces.collect::<idnode_registry::Result<_>>()?;
    Ok(Server {
        id: server.id,
        address,
        public_key: server.public_key,
        interfaces,
    })
}

fn parse_interface(interface: api::Interface) -> idnode_registry::Result<Interface> {
    let protocol = match interface.protocol() {
        Protocol::Udp => InterfaceProtocol::Udp,
        Protocol::Tcp => InterfaceProtocol::Tcp,
        Protocol::Http => InterfaceProtocol::Http,
        Protocol::Https => InterfaceProtocol::Https,
        Protocol::Unspecified => {
            return Err(Error::invalid(
                "protocol",
                format!("{} names no protocol", interface.protocol),
            ));
        }
    };
    let port = u16::try_from(interface.port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| {
            Error::invalid(
                "port",
                format!("{} is not 1 to {}", interface.port, u16::MAX),
            )
        })?;
    Ok(Interface {
        admin: interface.admin,
        query: interface.query,
        protocol,
        port,
    })
}

/// A delegation as it is answered.
pub(in super::super) fn shown_delegation(delegation: &Delegation) -> api::Delegation {
    let name_server = |server: &NameServer| api::NameServer {
        name: server.name.clone(),
        addresses: server.addresses.clone(),
    };
    api::Delegation {
        sites: delegation.decoded_sites().map(shown_site).collect(),
        name_servers: delegation.name_servers.iter().map(name_server).collect(),
        ds: delegation.ds.iter().map(shown_ds).collect(),
        service_handle: delegation.service_handle.clone(),
    }
}

fn shown_ds(ds: &DelegationSigner) -> api::DsRecord {
    api::DsRecord {
        key_tag: ds.key_tag,
        algorithm: ds.algorithm,
        digest_type: ds.digest_type,
        digest: ds.digest.to_vec(),
    }
}

fn shown_site(site: Site) -> api::Site {
    let description = site
        .attributes
        .into_iter()
        .find(|(name, _)| name == DESCRIPTION);
    api::Site {
        serial: site.serial.into(),
        primary: site.primary,
        servers: site.servers.into_iter().map(shown_server).collect(),
        description: description.map(|(_, text)| text).unwrap_or_default(),
    }
}

fn shown_server(server: Server) -> api::Server {
    let interfaces = server.interfaces.into_iter().map(|interface| {
        let protocol = match interface.protocol {
            InterfaceProtocol::Udp => Protocol::Udp,
            InterfaceProtocol::Tcp => Protocol::Tcp,
            InterfaceProtocol::Http => Protocol::Http,
            InterfaceProtocol::Https => Protocol::Https,
            InterfaceProtocol::Other(_) => Protocol::Unspecified,
        };
        api::Interface {
            protocol: protocol.into(),
            port: interface.port.into(),
            query: interface.query,
            admin: interface.admin,
        }
    });
    api::Server {
        id: server.id,
        address: server.address.to_string(),
        interfaces: interfaces.collect(),
        public_key: server.public_key,
    }
}
