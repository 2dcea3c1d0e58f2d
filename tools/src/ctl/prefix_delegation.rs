//! Where a prefix is served when it is not served here: on the command line, from a file, as a
//! table.

use std::path::PathBuf;

use idnode_proto::api::interface::Protocol;
use idnode_proto::api::{Delegation, DsRecord, Interface, NameServer, Server, Site};
use serde::Deserialize;

use super::error::Failure;
use super::json;
use super::output::Table;

/// Servers of a delegated prefix.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct DelegateArgs {
    /// A DNS server of the prefix's zone, with its addresses if they are below it:
    /// ns1.example.com or ns1.example.com=192.0.2.1,2001:db8::1
    #[arg(long = "name-server", value_name = "NAME[=ADDRESS,…]", value_parser = name_server)]
    name_servers: Vec<NameServer>,
    /// A server of the prefix's Handle or HTTP service:
    /// 192.0.2.1,udp:2641,tcp:2641 — udp, tcp, http or https; `+admin` after a port takes
    /// administration as well as resolution
    #[arg(long = "service", value_name = "ADDRESS,PROTOCOL:PORT,…", value_parser = service)]
    services: Vec<Server>,
    /// Instead of servers, the handle of the service that serves the prefix: its HS_SITE values say
    /// where, wherever it is registered (HS_SERV)
    #[arg(long, value_name = "HANDLE", conflicts_with = "services")]
    service_handle: Option<String>,
    /// A DS record of the prefix's zone, as its data stands in a zone file:
    /// "KEYTAG ALGORITHM DIGESTTYPE DIGEST"
    #[arg(long = "ds", value_name = "DATA", value_parser = ds, requires = "name_servers")]
    ds: Vec<DsRecord>,
    /// The whole delegation as JSON, as `prefix get --json` shows it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name_servers", "services", "service_handle", "ds"])]
    file: Option<PathBuf>,
}

impl DelegateArgs {
    /// The delegation that was described.
    pub(crate) fn into_delegation(self) -> Result<Delegation, Failure> {
        if let Some(path) = self.file {
            let refused = |reason: String| Failure::File {
                path: path.clone(),
                reason,
            };
            let text = std::fs::read(&path).map_err(|error| refused(error.to_string()))?;
            let read: DelegationIn =
                serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?;
            return read.into_delegation().map_err(refused);
        }
        let servers: Vec<_> = (1..)
            .zip(self.services)
            .map(|(id, server)| Server { id, ..server })
            .collect();
        let site = Site {
            serial: 1,
            primary: true,
            servers,
            description: String::new(),
        };
        Ok(Delegation {
            sites: if site.servers.is_empty() {
                Vec::new()
            } else {
                vec![site]
            },
            name_servers: self.name_servers,
            ds: self.ds,
            service_handle: self.service_handle.unwrap_or_default(),
        })
    }
}

fn name_server(text: &str) -> Result<NameServer, String> {
    let (name, addresses) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() {
        return Err("the name is missing".to_owned());
    }
    let addresses = addresses.split(',').filter(|address| !address.is_empty());
    let addresses = addresses.map(address).collect::<Result<_, _>>()?;
    Ok(NameServer {
        name: name.to_owned(),
        addresses,
    })
}

fn ds(text: &str) -> Result<DsRecord, String> {
    let mut fields = text.split_ascii_whitespace();
    let mut number = |what: &str| {
        let field = fields.next().unwrap_or_default();
        field
            .parse()
            .map_err(|_| format!("the {what} `{field}` is not a number"))
    };
    let (key_tag, algorithm) = (number("key tag")?, number("algorithm")?);
    let digest_type = number("digest type")?;
    // Zone files may break the digest into several parts (RFC 4034 §5.3).
    let digest: String = fields.collect();
    Ok(DsRecord {
        key_tag,
        algorithm,
        digest_type,
        digest: hexadecimal(&digest)?,
    })
}

fn hexadecimal(digest: &str) -> Result<Vec<u8>, String> {
    data_encoding::HEXUPPER_PERMISSIVE
        .decode(digest.as_bytes())
        .ok()
        .filter(|bytes| !bytes.is_empty())
        .ok_or_else(|| format!("the digest `{digest}` is not hexadecimal"))
}

fn service(text: &str) -> Result<Server, String> {
    let mut parts = text.split(',');
    let address = address(parts.next().unwrap_or_default())?;
    let interfaces: Vec<_> = parts.map(interface).collect::<Result<_, _>>()?;
    if interfaces.is_empty() {
        return Err("no PROTOCOL:PORT after the address".to_owned());
    }
    Ok(Server {
        id: 0,
        address,
        public_key: Vec::new(),
        interfaces,
    })
}

fn address(text: &str) -> Result<String, String> {
    let parsed: Result<std::net::IpAddr, _> = text.parse();
    parsed
        .map(|ip| ip.to_string())
        .map_err(|_| format!("`{text}` is not an IP address"))
}

fn interface(text: &str) -> Result<Interface, String> {
    let refused = || format!("`{text}` is not PROTOCOL:PORT");
    let (protocol, port) = text.split_once(':').ok_or_else(refused)?;
    let (port, admin) = match port.strip_suffix("+admin") {
        Some(port) => (port, true),
        None => (port, false),
    };
    let port: u16 = port.parse().map_err(|_| refused())?;
    let protocol = protocol_of(protocol).ok_or_else(refused)?;
    Ok(Interface {
        protocol: protocol.into(),
        port: port.into(),
        query: true,
        admin,
    })
}

fn protocol_of(name: &str) -> Option<Protocol> {
    Protocol::from_str_name(&format!("PROTOCOL_{}", name.to_ascii_uppercase()))
        .filter(|protocol| *protocol != Protocol::Unspecified)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DelegationIn {
    #[serde(default)]
    sites: Vec<SiteIn>,
    #[serde(default)]
    name_servers: Vec<NameServerIn>,
    #[serde(default)]
    ds: Vec<DsIn>,
    #[serde(default)]
    service_handle: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DsIn {
    key_tag: u32,
    algorithm: u32,
    digest_type: u32,
    digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteIn {
    #[serde(default)]
    serial: u32,
    #[serde(default)]
    primary: bool,
    servers: Vec<ServerIn>,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerIn {
    #[serde(default)]
    id: u32,
    address: String,
    #[serde(default)]
    public_key: String,
    interfaces: Vec<InterfaceIn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InterfaceIn {
    protocol: String,
    port: u32,
    #[serde(default)]
    query: bool,
    #[serde(default)]
    admin: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NameServerIn {
    name: String,
    #[serde(default)]
    addresses: Vec<String>,
}

impl DelegationIn {
    fn into_delegation(self) -> Result<Delegation, String> {
        let sites = self
            .sites
            .into_iter()
            .map(SiteIn::into_site)
            .collect::<Result<_, _>>()?;
        let name_servers = self
            .name_servers
            .into_iter()
            .map(|server| NameServer {
                name: server.name,
                addresses: server.addresses,
            })
            .collect();
        let ds = self.ds.into_iter().map(|ds| {
            Ok::<_, String>(DsRecord {
                key_tag: ds.key_tag,
                algorithm: ds.algorithm,
                digest_type: ds.digest_type,
                digest: hexadecimal(&ds.digest)?,
            })
        });
        Ok(Delegation {
            sites,
            name_servers,
            ds: ds.collect::<Result<_, _>>()?,
            service_handle: self.service_handle,
        })
    }
}

impl SiteIn {
    fn into_site(self) -> Result<Site, String> {
        let Self {
            serial,
            primary,
            description,
            ..
        } = self;
        let servers = self.servers.into_iter().map(ServerIn::into_server);
        Ok(Site {
            serial,
            primary,
            description,
            servers: servers.collect::<Result<_, _>>()?,
        })
    }
}

impl ServerIn {
    fn into_server(self) -> Result<Server, String> {
        let public_key = data_encoding::BASE64
            .decode(self.public_key.as_bytes())
            .map_err(|error| format!("public_key of {}: {error}", self.address))?;
        let interfaces = self.interfaces.into_iter().map(|given| {
            let protocol = protocol_of(&given.protocol)
                .ok_or_else(|| format!("protocol `{}`: udp, tcp, http or https", given.protocol))?;
            let InterfaceIn {
                port, query, admin, ..
            } = given;
            Ok::<_, String>(Interface {
                protocol: protocol.into(),
                port,
                query,
                admin,
            })
        });
        let interfaces = interfaces.collect::<Result<_, _>>()?;
        Ok(Server {
            id: self.id,
            address: self.address,
            public_key,
            interfaces,
        })
    }
}

/// A delegation as a table, one server a row.
pub(crate) fn table(delegation: &Delegation) -> Table {
    let mut table = Table::new(&["SERVED BY", "ADDRESS", "INTERFACES"]);
    for site in &delegation.sites {
        let kind = if site.primary { "primary site" } else { "site" };
        for server in &site.servers {
            let interfaces: Vec<_> = server.interfaces.iter().map(interface_label).collect();
            table.row([
                format!("{kind} {}", site.description).trim_end().to_owned(),
                server.address.clone(),
                interfaces.join(" "),
            ]);
        }
    }
    if !delegation.service_handle.is_empty() {
        let handle = format!("service {}", delegation.service_handle);
        table.row([handle, String::new(), String::new()]);
    }
    for server in &delegation.name_servers {
        let addresses = server.addresses.join(" ");
        table.row([
            format!("name server {}", server.name),
            addresses,
            "dns".to_owned(),
        ]);
    }
    delegation.ds.iter().fold(table, |table, ds| {
        let digest = data_encoding::HEXUPPER.encode(&ds.digest);
        let (tag, algorithm, kind) = (ds.key_tag, ds.algorithm, ds.digest_type);
        table.below(format!("DS {tag} {algorithm} {kind} {digest}"))
    })
}

fn interface_label(interface: &Interface) -> String {
    let admin = if interface.admin { "+admin" } else { "" };
    format!(
        "{}:{}{admin}",
        json::protocol(interface.protocol()),
        interface.port
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_an_address_and_its_interfaces() {
        let server = service("2001:db8::1,udp:2641,tcp:2641+admin").unwrap();
        assert_eq!(server.address, "2001:db8::1");
        let labels: Vec<_> = server.interfaces.iter().map(interface_label).collect();
        assert_eq!(labels, ["udp:2641", "tcp:2641+admin"]);
        for refused in [
            "",
            "192.0.2.1",
            "192.0.2.1,2641",
            "192.0.2.1,ftp:21",
            "host,udp:1",
        ] {
            assert!(service(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read() {
        let delegation = Delegation {
            sites: vec![Site {
                serial: 3,
                primary: true,
                servers: vec![Server {
                    id: 1,
                    ..service("192.0.2.1,https:443").unwrap()
                }],
                description: "north".into(),
            }],
            name_servers: vec![name_server("ns.example.com=192.0.2.2").unwrap()],
            ds: vec![ds("54321 13 2 0a0B FF").unwrap()],
            service_handle: "88.119/SVC".into(),
        };
        assert_eq!(delegation.ds[0].digest, [0x0a, 0x0b, 0xff]);
        for refused in ["", "1 2", "1 2 3", "1 2 3 4", "x 13 2 00"] {
            assert!(ds(refused).is_err(), "{refused}");
        }
        let shown = json::delegation(&delegation).to_string();
        let read: DelegationIn = serde_json::from_str(&shown).unwrap();
        assert_eq!(read.into_delegation().unwrap(), delegation);
    }
}
