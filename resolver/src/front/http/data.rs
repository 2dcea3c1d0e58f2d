//! Handle values in JSON, in the shape of the Handle System's HTTP API: data is text where it
//! is text, typed where the type is known, base64 otherwise.

use super::input;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use idnode_proto::handle::site::{HashOption, Interface, InterfaceProtocol, Server, Site};
use idnode_proto::handle::{Admin, decode_value_list, encode_value_list};
use idnode_proto::value::{Permissions, Ttl, ValueRef, types};
use jiff::Timestamp;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::net::IpAddr;

/// One value.
#[derive(Debug)]
pub(super) struct ValueJson<'a>(pub(super) &'a ValueRef<'a>);

impl Serialize for ValueJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        let mut fields = serializer.serialize_struct("value", 7)?;
        fields.serialize_field("index", &value.index())?;
        fields.serialize_field("type", value.value_type())?;
        fields.serialize_field("data", &Data::of(value))?;
        // The upper bits are signed with the value and mean nothing.
        if value.permissions().0 & 0b1111 != Permissions::default().0 {
            fields.serialize_field("permissions", &Text(value.permissions()))?;
        }
        match value.ttl() {
            Ttl::RelativeS(ttl_s) => fields.serialize_field("ttl", &ttl_s)?,
            Ttl::AbsoluteS(end_s) => fields.serialize_field("ttl", &Time(end_s))?,
        }
        fields.serialize_field("timestamp", &Time(value.timestamp_s()))?;
        if value.references().next().is_some() {
            let references: Vec<_> = value
                .references()
                .map(|(handle, index)| ReferenceJson {
                    index,
                    handle: handle.into(),
                })
                .collect();
            fields.serialize_field("references", &references)?;
        }
        fields.end()
    }
}

/// A site by itself.
pub(super) fn site_json(site: Site) -> impl Serialize {
    SiteJson::from(site)
}

/// Seconds since 1970 as RFC 3339 has them, in UTC.
struct Time(u32);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Every u32 is a moment that jiff knows: 1970 to 2106.
        serializer.collect_str(&Timestamp::from_second(self.0.into()).unwrap_or_default())
    }
}

/// A thing as it is written.
struct Text<T>(T);

impl<T: std::fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Bytes in base64 (RFC 4648 §4).
struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&BASE64.encode_display(self.0))
    }
}

/// A value's data: `{"format": …, "value": …}`.
#[derive(serde::Serialize)]
#[serde(tag = "format", content = "value", rename_all = "lowercase")]
enum Data<'a> {
    String(&'a str),
    Base64(Base64<'a>),
    Admin(AdminJson),
    Vlist(Vec<ReferenceJson>),
    Site(SiteJson),
    Key(KeyJson),
}

impl<'a> Data<'a> {
    /// Typed where that says all that there is.
    fn of(value: &ValueRef<'a>) -> Self {
        let data = value.data();
        let typed = match value.value_type() {
            types::HS_ADMIN => Admin::decode(data)
                .ok()
                .filter(|admin| admin.encode() == data)
                .map(|admin| Self::Admin(admin.into())),
            types::HS_SITE | types::HS_SITE_PREFIX | types::HS_NA_DELEGATE => Site::decode(data)
                .ok()
                .map(|site| Self::Site(site.into()))
                .filter(|shown| shown.is_read_as(data)),
            types::HS_VLIST => decode_value_list(data)
                .ok()
                .filter(|list| encode_value_list(list) == data)
                .map(|list| {
                    Self::Vlist(
                        list.into_iter()
                            .map(|r| ReferenceJson {
                                index: r.index,
                                handle: r.handle,
                            })
                            .collect(),
                    )
                }),
            types::HS_PUBKEY => KeyJson::of(data)
                .map(Self::Key)
                .filter(|shown| shown.is_read_as(data)),
            _ => None,
        };
        typed.unwrap_or_else(|| Self::untyped(data))
    }

    /// Whether who writes what is shown writes these bytes: signatures are over them.
    fn is_read_as(&self, data: &[u8]) -> bool {
        let shown = serde_json::to_vec(self).ok();
        let read = shown.and_then(|shown| input::data(&shown).ok());
        read.is_some_and(|read| read == data)
    }

    /// Text without control characters other than those of lines is text.
    fn untyped(data: &'a [u8]) -> Self {
        let control = |c: u8| c < b' ' && !matches!(c, b'\t' | b'\n' | b'\r') || c == 0x7f;
        match std::str::from_utf8(data) {
            Ok(text) if !data.iter().any(|c| control(*c)) => Self::String(text),
            _ => Self::Base64(Base64(data)),
        }
    }
}

#[derive(serde::Serialize)]
struct ReferenceJson {
    index: u32,
    handle: String,
}

#[derive(serde::Serialize)]
struct AdminJson {
    handle: String,
    index: u32,
    permissions: String,
}

impl From<Admin> for AdminJson {
    /// The permissions in binary, the highest bit (list handles) first.
    fn from(admin: Admin) -> Self {
        let permissions = format!("{:012b}", admin.permissions.0);
        Self {
            handle: admin.reference.handle,
            index: admin.reference.index,
            permissions,
        }
    }
}

/// A public key as a JSON Web Key (RFC 7517, RFC 7518 §6.3).
#[derive(serde::Serialize)]
struct KeyJson {
    kty: &'static str,
    n: String,
    e: String,
}

impl KeyJson {
    /// Of `RSA_PUB_KEY` data: name, u16 flags, exponent, modulus, each with its length except
    /// the flags. Other kinds of key have no JSON form that clients know.
    fn of(data: &[u8]) -> Option<Self> {
        let (name, rest) = sized(data)?;
        if name != b"RSA_PUB_KEY" {
            return None;
        }
        let (exponent, rest) = sized(rest.get(2..)?)?;
        let (modulus, _) = sized(rest)?;
        Some(Self {
            kty: "RSA",
            n: unsigned(modulus),
            e: unsigned(exponent),
        })
    }
}

/// A u32 length, that many bytes, and the rest.
fn sized(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

/// A number in as few bytes as it needs, base64url.
fn unsigned(number: &[u8]) -> String {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    BASE64URL_NOPAD.encode(number.get(zeros..).unwrap_or_default())
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct SiteJson {
    version: u16,
    protocol_version: String,
    serial_number: u16,
    primary_site: bool,
    multi_primary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_option: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    hash_filter: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<AttributeJson>,
    servers: Vec<ServerJson>,
}

#[derive(serde::Serialize)]
struct AttributeJson {
    name: String,
    value: String,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerJson {
    server_id: u32,
    address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKeyJson>,
    interfaces: Vec<InterfaceJson>,
}

#[derive(serde::Serialize)]
#[serde(tag = "format", content = "value", rename_all = "lowercase")]
enum PublicKeyJson {
    Key(KeyJson),
    Base64(String),
}

#[derive(serde::Serialize)]
struct InterfaceJson {
    query: bool,
    admin: bool,
    protocol: String,
    port: u16,
}

impl From<Site> for SiteJson {
    fn from(site: Site) -> Self {
        let hash_option = match site.hash_option {
            // What everyone uses goes without saying.
            HashOption::ByHandle => None,
            HashOption::ByPrefix => Some("prefix".to_owned()),
            HashOption::BySuffix => Some("suffix".to_owned()),
            HashOption::Other(number) => Some(number.to_string()),
        };
        Self {
            version: site.version,
            protocol_version: format!("{}.{}", site.protocol.major, site.protocol.minor),
            serial_number: site.serial,
            primary_site: site.primary,
            multi_primary: site.multi_primary,
            hash_option,
            hash_filter: site.hash_filter,
            attributes: site
                .attributes
                .into_iter()
                .map(|(name, value)| AttributeJson { name, value })
                .collect(),
            servers: site.servers.into_iter().map(ServerJson::from).collect(),
        }
    }
}

impl From<Server> for ServerJson {
    fn from(server: Server) -> Self {
        let key = server.public_key;
        let public_key = (!key.is_empty()).then(|| match KeyJson::of(&key) {
            Some(key) => PublicKeyJson::Key(key),
            None => PublicKeyJson::Base64(BASE64.encode(&key)),
        });
        Self {
            server_id: server.id,
            address: server.address,
            public_key,
            interfaces: server
                .interfaces
                .into_iter()
                .map(InterfaceJson::from)
                .collect(),
        }
    }
}

impl From<Interface> for InterfaceJson {
    fn from(interface: Interface) -> Self {
        let protocol = match interface.protocol {
            InterfaceProtocol::Udp => "UDP".to_owned(),
            InterfaceProtocol::Tcp => "TCP".to_owned(),
            InterfaceProtocol::Http => "HTTP".to_owned(),
            InterfaceProtocol::Https => "HTTPS".to_owned(),
            InterfaceProtocol::Other(number) => number.to_string(),
        };
        Self {
            query: interface.query,
            admin: interface.admin,
            protocol,
            port: interface.port,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use idnode_proto::handle::site::NodePorts;
    use idnode_proto::handle::{AdminPermissions, encode_value_list};
    use idnode_proto::value::{Reference, Value};

    fn json(value: Value) -> String {
        let mut scratch = Vec::new();
        serde_json::to_string(&ValueJson(&value.view_in(&mut scratch).unwrap())).unwrap()
    }

    fn data(value_type: &str, data: impl Into<Vec<u8>>) -> String {
        let json: serde_json::Value =
            serde_json::from_str(&json(Value::new(1, value_type, data))).unwrap();
        json["data"].to_string()
    }

    fn reference(handle: &str, index: u32) -> Reference {
        Reference {
            handle: handle.into(),
            index,
        }
    }

    #[test]
    fn a_plain_value_has_five_members_and_a_rare_one_seven() {
        let plain = Value {
            timestamp_s: 1_006_356_935,
            ..Value::new(1, "URL", "http://example.com/产")
        };
        assert_eq!(
            json(plain),
            r#"{"index":1,"type":"URL","data":{"format":"string","value":"http://example.com/产"},"ttl":86400,"timestamp":"2001-11-21T15:35:35Z"}"#
        );
        let rare = Value {
            ttl: Ttl::AbsoluteS(u32::MAX),
            permissions: Permissions(0b1100),
            references: vec![reference("88.118.8/r", 2)],
            ..Value::new(7, "X", [0, 1])
        };
        assert_eq!(
            json(rare),
            r#"{"index":7,"type":"X","data":{"format":"base64","value":"AAE="},"permissions":"1100","ttl":"2106-02-07T06:28:15Z","timestamp":"1970-01-01T00:00:00Z","references":[{"index":2,"handle":"88.118.8/r"}]}"#
        );
    }

    #[test]
    fn text_is_a_string_and_the_rest_base64() {
        assert_eq!(
            data("DESC", "二\n行\t"),
            r#"{"format":"string","value":"二\n行\t"}"#
        );
        assert_eq!(data("DESC", ""), r#"{"format":"string","value":""}"#);
        for binary in [b"\xff\xfe".as_slice(), b"a\0b", b"\x7f", b"\x1b[0m"] {
            assert!(
                data("DESC", binary).starts_with(r#"{"format":"base64""#),
                "{binary:?}"
            );
        }
        // Damaged typed data is shown as the bytes it is.
        assert_eq!(
            data("HS_ADMIN", b"\xff".as_slice()),
            r#"{"format":"base64","value":"/w=="}"#
        );
    }

    #[test]
    fn administrators_lists_and_keys_are_typed() {
        let admin = Admin {
            permissions: AdminPermissions(0x7f3),
            reference: reference("0.NA/88.118.8", 200),
        };
        assert_eq!(
            data("HS_ADMIN", admin.encode()),
            r#"{"format":"admin","value":{"handle":"0.NA/88.118.8","index":200,"permissions":"011111110011"}}"#
        );
        assert_eq!(
            data("HS_VLIST", encode_value_list(&[reference("a/b", 3)])),
            r#"{"format":"vlist","value":[{"index":3,"handle":"a/b"}]}"#
        );
        let mut key = Vec::new();
        for part in [
            b"RSA_PUB_KEY".as_slice(),
            b"flags",
            &[1, 0, 1],
            &[0, 0xc0, 0xff],
            &[],
        ] {
            if part == b"flags" {
                key.extend([0, 0]);
            } else {
                key.extend((part.len() as u32).to_be_bytes());
                key.extend(part);
            }
        }
        assert_eq!(
            data("HS_PUBKEY", &*key),
            r#"{"format":"key","value":{"kty":"RSA","n":"wP8","e":"AQAB"}}"#
        );
        key.truncate(20);
        assert!(data("HS_PUBKEY", key).contains("base64"));
    }

    #[test]
    fn sites_are_typed() {
        let ports = NodePorts {
            tcp: Some(2641),
            http: Some(8000),
            ..NodePorts::default()
        };
        let server = Server::of_node(1, "192.0.2.7".parse().unwrap(), vec![1, 2], ports);
        let site = Site::of_node(3, "node", server).encode();
        let expected = concat!(
            r#"{"format":"site","value":{"version":1,"protocolVersion":"2.11","serialNumber":3,"primarySite":true,"#,
            r#""multiPrimary":false,"attributes":[{"name":"desc","value":"node"}],"servers":[{"serverId":1,"#,
            r#""address":"192.0.2.7","publicKey":{"format":"base64","value":"AQI="},"interfaces":["#,
            r#"{"query":true,"admin":true,"protocol":"TCP","port":2641},"#,
            r#"{"query":true,"admin":true,"protocol":"HTTP","port":8000}]}]}}"#,
        );
        for kind in ["HS_SITE", "HS_SITE.PREFIX", "HS_NA_DELEGATE"] {
            assert_eq!(data(kind, &*site), expected);
        }
    }
}
