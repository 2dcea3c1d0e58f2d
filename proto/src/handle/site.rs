//! Site records: the servers that answer for a prefix, HS_SITE data (RFC 3651 §3.2.2 with the
//! numbers that running servers use).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::envelope::Version;
use super::wire::{Reader, WireError, length_field, put_sized};
use crate::value::MAX_HANDLE_LEN;

/// The most attributes of a site.
pub const MAX_ATTRIBUTES: usize = 256;
/// The longest attribute name or value, bytes.
pub const MAX_ATTRIBUTE_LEN: usize = 65_536;
/// The most servers of a site.
pub const MAX_SERVERS: usize = 1024;
/// The most interfaces of a server.
pub const MAX_INTERFACES: usize = 64;
/// The longest public key, bytes.
pub const MAX_PUBLIC_KEY_LEN: usize = 65_536;

const PRIMARY: u8 = 0x80;
const MULTI_PRIMARY: u8 = 0x40;
/// The shortest encoded server: no key, no interfaces.
const MIN_SERVER_LEN: usize = 28;
const INTERFACE_LEN: usize = 6;

/// A site: one replica of a service, made of servers that share its handles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The record's format, 1; the RFC's 0 reads the same.
    pub version: u16,
    /// The newest protocol version its servers speak.
    pub protocol: Version,
    /// Goes up with every change of the record and wraps around.
    pub serial: u16,
    /// Whether handles can be administered here.
    pub primary: bool,
    /// Whether the service has several primary sites.
    pub multi_primary: bool,
    /// What a client hashes to choose among the servers.
    pub hash_option: HashOption,
    /// Reserved; empty everywhere.
    pub hash_filter: String,
    /// Text about the site as (name, value), "desc" by custom; at most [`MAX_ATTRIBUTES`].
    pub attributes: Vec<(String, String)>,
    /// Its servers, at most [`MAX_SERVERS`]. The order matters: clients hash into it.
    pub servers: Vec<Server>,
}

/// What of a handle is hashed to find the responsible server of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashOption {
    /// 0: the prefix.
    ByPrefix,
    /// 1: the suffix.
    BySuffix,
    /// 2: the whole handle, what everyone uses.
    ByHandle,
    /// A number without a meaning.
    Other(u8),
}

/// A server of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Unique in the site.
    pub id: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its public key as an HS_PUBKEY value has it; empty for none.
    pub public_key: Vec<u8>,
    /// How to reach it, at most [`MAX_INTERFACES`]. One client uses the first and no other.
    pub interfaces: Vec<Interface>,
}

/// A port of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// Handles are administered here.
    pub admin: bool,
    /// Handles are resolved here.
    pub query: bool,
    /// What is spoken.
    pub protocol: InterfaceProtocol,
    /// Where.
    pub port: u16,
}

/// What an interface speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceProtocol {
    /// 0: the Handle protocol over UDP.
    Udp,
    /// 1: the Handle protocol over TCP.
    Tcp,
    /// 2: HTTP.
    Http,
    /// 3: HTTP over TLS.
    Https,
    /// A number without a meaning.
    Other(u8),
}

impl HashOption {
    fn octet(self) -> u8 {
        match self {
            Self::ByPrefix => 0,
            Self::BySuffix => 1,
            Self::ByHandle => 2,
            Self::Other(octet) => octet,
        }
    }

    fn from_octet(octet: u8) -> Self {
        match octet {
            0 => Self::ByPrefix,
            1 => Self::BySuffix,
            2 => Self::ByHandle,
            other => Self::Other(other),
        }
    }
}

impl InterfaceProtocol {
    fn octet(self) -> u8 {
        match self {
            Self::Udp => 0,
            Self::Tcp => 1,
            Self::Http => 2,
            Self::Https => 3,
            Self::Other(octet) => octet,
        }
    }

    fn from_octet(octet: u8) -> Self {
        match octet {
            0 => Self::Udp,
            1 => Self::Tcp,
            2 => Self::Http,
            3 => Self::Https,
            other => Self::Other(other),
        }
    }
}

/// The ports a node listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodePorts {
    /// The Handle protocol over TCP.
    pub tcp: Option<u16>,
    /// The Handle protocol over UDP.
    pub udp: Option<u16>,
    /// HTTP.
    pub http: Option<u16>,
    /// HTTP over TLS.
    pub https: Option<u16>,
}

impl Server {
    /// A node's own server entry. TCP comes first because the ID-SDK takes the first interface,
    /// whatever it is, and can administer only over TCP; UDP is for queries alone.
    pub fn of_node(id: u32, address: IpAddr, public_key: Vec<u8>, ports: NodePorts) -> Self {
        let ordered = [
            (InterfaceProtocol::Tcp, ports.tcp),
            (InterfaceProtocol::Udp, ports.udp),
            (InterfaceProtocol::Http, ports.http),
            (InterfaceProtocol::Https, ports.https),
        ];
        let interfaces = ordered
            .into_iter()
            .filter_map(|(protocol, port)| {
                Some(Interface {
                    admin: protocol != InterfaceProtocol::Udp,
                    query: true,
                    protocol,
                    port: port?,
                })
            })
            .collect();
        Self {
            id,
            address,
            public_key,
            interfaces,
        }
    }
}

impl Site {
    /// A node's own site: primary, alone, with one server and a description.
    pub fn of_node(serial: u16, description: &str, server: Server) -> Self {
        Self {
            version: 1,
            protocol: Version::LATEST,
            serial,
            primary: true,
            multi_primary: false,
            hash_option: HashOption::ByHandle,
            hash_filter: String::new(),
            attributes: vec![("desc".to_string(), description.to_string())],
            servers: vec![server],
        }
    }

    /// HS_SITE data. What is above a limit encodes to bytes that [`Site::decode`] refuses.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&[self.protocol.major, self.protocol.minor]);
        out.extend_from_slice(&self.serial.to_be_bytes());
        let primary = if self.primary { PRIMARY } else { 0 };
        let multi = if self.multi_primary { MULTI_PRIMARY } else { 0 };
        out.extend_from_slice(&[primary | multi, self.hash_option.octet()]);
        put_sized(out, self.hash_filter.as_bytes());
        out.extend_from_slice(&length_field(self.attributes.len()));
        for (name, value) in &self.attributes {
            put_sized(out, name.as_bytes());
            put_sized(out, value.as_bytes());
        }
        out.extend_from_slice(&length_field(self.servers.len()));
        for server in &self.servers {
            server.encode_into(out);
        }
    }

    /// Reads HS_SITE data, of HS_SITE, HS_SITE.PREFIX and HS_NA_DELEGATE values and of
    /// site-information answers. Bytes behind the record are left alone.
    /// Errors: [`WireError`] with offsets in `data`.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        Self::read(&mut Reader::new(data))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let offset = reader.offset();
        let version = reader.u16("site format")?;
        if version > 1 {
            let (part, number) = ("site format", version.into());
            return Err(WireError::Unknown {
                part,
                offset,
                number,
            });
        }
        let [major, minor] = reader.array("site protocol version")?;
        let serial = reader.u16("site serial")?;
        let [flags, hash_option] = reader.array("site flags")?;
        let hash_filter = reader.str("site hash filter", MAX_HANDLE_LEN)?.to_string();
        let count = reader.count("site attributes", MAX_ATTRIBUTES, 8)?;
        let mut attributes = Vec::with_capacity(count);
        for _ in 0..count {
            let name = reader.str("site attribute name", MAX_ATTRIBUTE_LEN)?;
            let value = reader.str("site attribute value", MAX_ATTRIBUTE_LEN)?;
            attributes.push((name.to_string(), value.to_string()));
        }
        let count = reader.count("site servers", MAX_SERVERS, MIN_SERVER_LEN)?;
        let mut servers = Vec::with_capacity(count);
        for _ in 0..count {
            servers.push(Server::read(reader)?);
        }
        Ok(Self {
            version,
            protocol: Version::new(major, minor),
            serial,
            primary: flags & PRIMARY != 0,
            multi_primary: flags & MULTI_PRIMARY != 0,
            hash_option: HashOption::from_octet(hash_option),
            hash_filter,
            attributes,
            servers,
        })
    }
}

impl Server {
    fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_be_bytes());
        let address = match self.address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        out.extend_from_slice(&address.octets());
        put_sized(out, &self.public_key);
        out.extend_from_slice(&length_field(self.interfaces.len()));
        for interface in &self.interfaces {
            let admin = u8::from(interface.admin);
            let query = u8::from(interface.query) << 1;
            out.extend_from_slice(&[admin | query, interface.protocol.octet()]);
            out.extend_from_slice(&u32::from(interface.port).to_be_bytes());
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let id = reader.u32("server id")?;
        let address = address_of(reader.array("server address")?);
        let public_key = reader
            .sized("server public key", MAX_PUBLIC_KEY_LEN)?
            .to_vec();
        let count = reader.count("server interfaces", MAX_INTERFACES, INTERFACE_LEN)?;
        let mut interfaces = Vec::with_capacity(count);
        for _ in 0..count {
            interfaces.push(Interface::read(reader)?);
        }
        Ok(Self {
            id,
            address,
            public_key,
            interfaces,
        })
    }
}

impl Interface {
    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let [role, protocol] = reader.array("server interface")?;
        let offset = reader.offset();
        let number = reader.u32("server port")?;
        let port = u16::try_from(number).map_err(|_| WireError::Unknown {
            part: "server port",
            offset,
            number,
        })?;
        Ok(Self {
            admin: role & 1 != 0,
            query: role & 2 != 0,
            protocol: InterfaceProtocol::from_octet(protocol),
            port,
        })
    }
}

/// IPv4 addresses come mapped (`::ffff:a.b.c.d`) or, from old records, in the last four of
/// sixteen bytes of zeros.
fn address_of(octets: [u8; 16]) -> IpAddr {
    match octets {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] if a != 0 => {
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => Ipv6Addr::from(octets).to_canonical(),
    }
}
