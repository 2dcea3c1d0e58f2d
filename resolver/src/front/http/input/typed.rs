//! The JSON of data whose type the system reads itself, as [`super::super::data`] shows it.

use super::{DataJson, Number};
use data_encoding::BASE64URL_NOPAD;
use idnode_proto::handle::site::{HashOption, Interface, InterfaceProtocol, Server, Site};
use idnode_proto::handle::{Admin, AdminPermissions, Version};
use idnode_proto::value::Reference;
use std::net::IpAddr;

/// HS_ADMIN data.
#[derive(serde::Deserialize)]
pub(super) struct AdminJson {
    handle: String,
    index: Number,
    permissions: String,
}

impl AdminJson {
    pub(super) fn read(self) -> Result<Vec<u8>, String> {
        let binary = !self.permissions.is_empty()
            && self.permissions.bytes().all(|c| c == b'0' || c == b'1');
        let bits = Some(&self.permissions)
            .filter(|_| binary)
            .and_then(|text| u16::from_str_radix(text, 2).ok())
            .ok_or("permissions are up to 16 characters 0 or 1, list handles first")?;
        let index = self.index.read("index").map_err(|it| it.to_string())?;
        let admin = Admin {
            permissions: AdminPermissions(bits),
            reference: Reference {
                handle: self.handle,
                index,
            },
        };
        Ok(admin.encode())
    }
}

/// A public key as a JSON Web Key (RFC 7517, RFC 7518 §6.3.1).
#[derive(serde::Deserialize)]
pub(super) struct KeyJson {
    kty: String,
    n: Option<String>,
    e: Option<String>,
}

impl KeyJson {
    /// HS_PUBKEY data, as all clients write it: with the zero bytes at its end that none reads.
    pub(super) fn read(self) -> Result<Vec<u8>, String> {
        let (Some(modulus), Some(exponent), "RSA") = (self.n, self.e, self.kty.as_str()) else {
            return Err("is no RSA key with n and e; other keys are sent as base64".to_owned());
        };
        let mut key = Vec::new();
        put_sized(&mut key, b"RSA_PUB_KEY");
        key.extend([0, 0]);
        put_sized(&mut key, &signed(&exponent)?);
        put_sized(&mut key, &signed(&modulus)?);
        key.extend([0; 4]);
        Ok(key)
    }
}

pub(super) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    // No body is as long as 4 GiB.
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A positive number of base64url as two's complement: a zero in front of a set highest bit.
fn signed(text: &str) -> Result<Vec<u8>, String> {
    let mut number = BASE64URL_NOPAD
        .decode(text.trim_end_matches('=').as_bytes())
        .map_err(|error| format!("is no base64url: {error}"))?;
    if number.first().is_some_and(|first| first & 0x80 != 0) {
        number.insert(0, 0);
    }
    Ok(number)
}

/// HS_SITE data. What is left out is as a node says it of itself.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SiteJson {
    #[serde(default = "one")]
    version: u16,
    protocol_version: Option<String>,
    #[serde(default)]
    serial_number: u16,
    #[serde(default)]
    primary_site: bool,
    #[serde(default)]
    multi_primary: bool,
    hash_option: Option<String>,
    #[serde(default)]
    hash_filter: String,
    #[serde(default)]
    attributes: Vec<AttributeJson>,
    #[serde(default)]
    servers: Vec<ServerJson>,
}

fn one() -> u16 {
    1
}

#[derive(serde::Deserialize)]
struct AttributeJson {
    name: String,
    value: String,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerJson {
    server_id: u32,
    address: IpAddr,
    public_key: Option<DataJson>,
    #[serde(default)]
    interfaces: Vec<InterfaceJson>,
}

#[derive(serde::Deserialize)]
struct InterfaceJson {
    #[serde(default)]
    query: bool,
    #[serde(default)]
    admin: bool,
    protocol: String,
    port: u16,
}

impl SiteJson {
    pub(super) fn read(self) -> Result<Vec<u8>, String> {
        let protocol = match &self.protocol_version {
            None => Version::LATEST,
            Some(text) => version(text)
                .ok_or_else(|| format!("protocolVersion: {text:.20?} is not like 2.11"))?,
        };
        let hash_option = match self.hash_option.as_deref() {
            None => HashOption::ByHandle,
            Some(text) => hash_option(text)
                .ok_or_else(|| format!("hashOption: {text:.20?} is no prefix, suffix or handle"))?,
        };
        let servers = self.servers.into_iter().map(ServerJson::read);
        let attributes = self.attributes.into_iter();
        let site = Site {
            version: self.version,
            protocol,
            serial: self.serial_number,
            primary: self.primary_site,
            multi_primary: self.multi_primary,
            hash_option,
            hash_filter: self.hash_filter,
            attributes: attributes.map(|it| (it.name, it.value)).collect(),
            servers: servers.collect::<Result<_, _>>()?,
        };
        let data = site.encode();
        Site::decode(&data).map_err(|error| format!("is no site: {error}"))?;
        Ok(data)
    }
}

fn version(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    Some(Version::new(major.parse().ok()?, minor.parse().ok()?))
}

fn hash_option(text: &str) -> Option<HashOption> {
    Some(match text {
        "prefix" | "0" => HashOption::ByPrefix,
        "suffix" | "1" => HashOption::BySuffix,
        "handle" | "2" => HashOption::ByHandle,
        number => HashOption::Other(number.parse().ok()?),
    })
}

impl ServerJson {
    fn read(self) -> Result<Server, String> {
        let key = self.public_key.map_or(Ok(Vec::new()), DataJson::read);
        let interfaces = self.interfaces.into_iter().map(InterfaceJson::read);
        Ok(Server {
            id: self.server_id,
            address: self.address,
            public_key: key.map_err(|error| format!("publicKey.{error}"))?,
            interfaces: interfaces.collect::<Result<_, _>>()?,
        })
    }
}

impl InterfaceJson {
    fn read(self) -> Result<Interface, String> {
        let protocol = match self.protocol.to_ascii_uppercase().as_str() {
            "UDP" => InterfaceProtocol::Udp,
            "TCP" => InterfaceProtocol::Tcp,
            "HTTP" => InterfaceProtocol::Http,
            "HTTPS" => InterfaceProtocol::Https,
            number => number.parse().map(InterfaceProtocol::Other).map_err(|_| {
                format!("protocol: {number:.20?} is none of UDP, TCP, HTTP and HTTPS")
            })?,
        };
        Ok(Interface {
            admin: self.admin,
            query: self.query,
            protocol,
            port: self.port,
        })
    }
}
