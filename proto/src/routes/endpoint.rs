//! Addresses by service: rows of the resolution configuration, and what a program makes of them.

use crate::api::{
    EndpointService, IpType, ResolutionConfiguration, ResolutionEndpoint, ResolutionProtocol,
};
use std::net::IpAddr;

/// The ports of a node on each of its addresses; `None`: the service is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ports {
    /// The Handle protocol over TCP.
    pub handle_tcp: Option<u16>,
    /// The Handle protocol over UDP.
    pub handle_udp: Option<u16>,
    /// HTTP.
    pub http: Option<u16>,
    /// HTTP over TLS.
    pub https: Option<u16>,
    /// DNS over UDP and TCP.
    pub dns: Option<u16>,
}

/// A service as it is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// The Handle protocol over TCP.
    HandleTcp,
    /// The Handle protocol over UDP.
    HandleUdp,
    /// The HTTP API.
    Http,
    /// The HTTP API over TLS.
    Https,
    /// DNS over TCP.
    DnsTcp,
    /// DNS over UDP.
    DnsUdp,
}

impl Service {
    /// All of them, in the order in which they are announced.
    pub const ALL: [Self; 6] = [
        Self::HandleTcp,
        Self::HandleUdp,
        Self::Http,
        Self::Https,
        Self::DnsUdp,
        Self::DnsTcp,
    ];

    fn named(self) -> (EndpointService, ResolutionProtocol) {
        match self {
            Self::HandleTcp => (EndpointService::Handle, ResolutionProtocol::Tcp),
            Self::HandleUdp => (EndpointService::Handle, ResolutionProtocol::Udp),
            Self::Http => (EndpointService::Http, ResolutionProtocol::Http),
            Self::Https => (EndpointService::Http, ResolutionProtocol::Https),
            Self::DnsTcp => (EndpointService::Dns, ResolutionProtocol::Tcp),
            Self::DnsUdp => (EndpointService::Dns, ResolutionProtocol::Udp),
        }
    }

    /// The service of an endpoint; `None`: none of those that there are.
    #[must_use]
    pub fn of(endpoint: &ResolutionEndpoint) -> Option<Self> {
        let named = (endpoint.service(), endpoint.protocol());
        Self::ALL.into_iter().find(|it| it.named() == named)
    }

    /// Its name, such as `handle/udp`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HandleTcp => "handle/tcp",
            Self::HandleUdp => "handle/udp",
            Self::Http => "http",
            Self::Https => "https",
            Self::DnsTcp => "dns/tcp",
            Self::DnsUdp => "dns/udp",
        }
    }

    fn port(self, ports: &Ports) -> Option<u16> {
        match self {
            Self::HandleTcp => ports.handle_tcp,
            Self::HandleUdp => ports.handle_udp,
            Self::Http => ports.http,
            Self::Https => ports.https,
            Self::DnsTcp | Self::DnsUdp => ports.dns,
        }
    }
}

/// The endpoints of a node that has these ports on each of these addresses.
#[must_use]
pub fn endpoints(addresses: &[IpAddr], ports: &Ports) -> Vec<ResolutionEndpoint> {
    let of = |address: &IpAddr| {
        let ip = *address;
        Service::ALL.into_iter().filter_map(move |service| {
            let (named, protocol) = service.named();
            Some(ResolutionEndpoint {
                service: named.into(),
                ip_type: ip_type(ip).into(),
                ip: ip.to_string(),
                protocol: protocol.into(),
                port: service.port(ports)?.into(),
            })
        })
    };
    addresses.iter().flat_map(of).collect()
}

/// The type of an address.
pub(super) fn ip_type(ip: IpAddr) -> IpType {
    match ip {
        IpAddr::V4(_) => IpType::V4,
        IpAddr::V6(_) => IpType::V6,
    }
}

/// What a configuration says, read: each address with its ports, in the order in which they are
/// there. What can't be read is left out.
#[must_use]
pub fn by_address(configuration: &ResolutionConfiguration) -> Vec<(IpAddr, Ports)> {
    let mut found: Vec<(IpAddr, Ports)> = Vec::new();
    for endpoint in &configuration.endpoints {
        let (Some(service), Ok(ip), Ok(port)) = (
            Service::of(endpoint),
            endpoint.ip.parse::<IpAddr>(),
            u16::try_from(endpoint.port),
        ) else {
            continue;
        };
        let place = match found.iter().position(|(known, _)| *known == ip) {
            Some(place) => place,
            None => {
                found.push((ip, Ports::default()));
                found.len() - 1
            }
        };
        let Some((_, ports)) = found.get_mut(place) else {
            continue;
        };
        let slot = match service {
            Service::HandleTcp => &mut ports.handle_tcp,
            Service::HandleUdp => &mut ports.handle_udp,
            Service::Http => &mut ports.http,
            Service::Https => &mut ports.https,
            Service::DnsTcp | Service::DnsUdp => &mut ports.dns,
        };
        slot.get_or_insert(port);
    }
    found
}
