//! Handle values as clients send them: the JSON of [`super::data`] read back, and the shorter
//! forms that clients of the Handle System's API use.

use super::refusal::Refusal;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use idnode_proto::handle::site::{HashOption, Interface, InterfaceProtocol, Server, Site};
use idnode_proto::handle::{Admin, AdminPermissions, ResponseCode, Version, encode_value_list};
use idnode_proto::value::{MAX_VALUES, Permissions, Reference, Ttl, Value};
use idnode_registry::Error;
use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use std::fmt;
use std::net::IpAddr;

/// The values in a body: an array of values, an object with an array `values` (its other
/// members say nothing), or one value. A value without an index has index 0.
///
/// # Errors
/// [`ResponseCode::PROTOCOL_ERROR`] for what is no JSON, [`ResponseCode::INVALID_VALUE`] for
/// JSON that is no values; the message names the value and its part.
pub(super) fn values(body: &[u8]) -> Result<Vec<Value>, Refusal> {
    let sent: Body = parsed(body)?;
    let read = sent.0.into_iter().enumerate().map(|(position, value)| {
        value
            .read()
            .map_err(|error| error.within(&format!("values[{position}]")).into())
    });
    read.collect()
}

/// A body's JSON.
///
/// # Errors
/// As [`values`].
pub(super) fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        let code = match error.classify() {
            Category::Data => ResponseCode::INVALID_VALUE,
            _ => ResponseCode::PROTOCOL_ERROR,
        };
        Refusal::new(code, format!("body: {error}"))
    })
}

/// See [`values`].
struct Body(Vec<ValueJson>);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shapes;
        impl<'de> Visitor<'de> for Shapes {
            type Value = Body;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of values, an object with values, or a value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Body, A::Error> {
                bounded(sequence).map(Body)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Body, A::Error> {
                let object = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Body(match object.values {
                    Some(Values(values)) => values,
                    None => vec![object.value],
                }))
            }
        }
        deserializer.deserialize_any(Shapes)
    }
}

/// An object with values, or a value itself.
#[derive(serde::Deserialize)]
struct Object {
    values: Option<Values>,
    #[serde(flatten)]
    value: ValueJson,
}

struct Values(Vec<ValueJson>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;
        impl<'de> Visitor<'de> for Array {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of values")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Values, A::Error> {
                bounded(sequence).map(Values)
            }
        }
        deserializer.deserialize_seq(Array)
    }
}

/// As many values as an identifier can have.
fn bounded<'de, A: SeqAccess<'de>>(mut sequence: A) -> Result<Vec<ValueJson>, A::Error> {
    let mut values = Vec::new();
    while let Some(value) = sequence.next_element()? {
        if values.len() == MAX_VALUES {
            return Err(de::Error::custom(format_args!(
                "more than {MAX_VALUES} values"
            )));
        }
        values.push(value);
    }
    Ok(values)
}

/// One value. Its timestamp is the node's to give.
#[derive(serde::Deserialize)]
struct ValueJson {
    index: Option<Number>,
    r#type: Option<String>,
    data: Option<DataJson>,
    ttl: Option<TtlJson>,
    permissions: Option<String>,
    #[serde(default)]
    references: Vec<ReferenceJson>,
}

impl ValueJson {
    fn read(self) -> Result<Value, Error> {
        let Some(value_type) = self.r#type else {
            return Err(Error::invalid("type", "is missing"));
        };
        let Some(data) = self.data else {
            return Err(Error::invalid("data", "is missing"));
        };
        let permissions = match &self.permissions {
            Some(text) => text
                .parse()
                .map_err(|error| Error::invalid("permissions", format!("{error}")))?,
            None => Permissions::default(),
        };
        Ok(Value {
            ttl: self.ttl.map_or(Ok(Ttl::DEFAULT), TtlJson::read)?,
            permissions,
            references: self.references.into_iter().map(Into::into).collect(),
            ..Value::new(
                self.index.map_or(0, |index| index.0),
                value_type,
                data.read().map_err(|error| error.within("data"))?,
            )
        })
    }
}

/// A number, or its digits as text: some clients send an index so.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) u32);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of 0 to 4294967295")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                u32::try_from(number)
                    .map(Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse()
                    .map(Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Digits)
    }
}

/// Seconds, or a moment as RFC 3339 has it.
enum TtlJson {
    Seconds(u32),
    Moment(String),
}

impl<'de> Deserialize<'de> for TtlJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shapes;
        impl Visitor<'_> for Shapes {
            type Value = TtlJson;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a ttl: seconds, or a moment as in RFC 3339")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<TtlJson, E> {
                u32::try_from(seconds)
                    .map(TtlJson::Seconds)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(seconds), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TtlJson, E> {
                Ok(TtlJson::Moment(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Shapes)
    }
}

impl TtlJson {
    fn read(self) -> Result<Ttl, Error> {
        match self {
            Self::Seconds(ttl_s) => Ok(Ttl::RelativeS(ttl_s)),
            Self::Moment(text) => {
                let at: Timestamp = text
                    .parse()
                    .map_err(|error| Error::invalid("ttl", format!("{error}")))?;
                u32::try_from(at.as_second())
                    .map(Ttl::AbsoluteS)
                    .map_err(|_| Error::invalid("ttl", format!("{at} is not in 1970 to 2106")))
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct ReferenceJson {
    index: Number,
    handle: String,
}

impl From<ReferenceJson> for Reference {
    fn from(reference: ReferenceJson) -> Self {
        Self {
            handle: reference.handle,
            index: reference.index.0,
        }
    }
}

/// Data: text, or `{"format": …, "value": …}`.
enum DataJson {
    Text(String),
    Formatted(Formatted),
}

#[derive(serde::Deserialize)]
struct Formatted {
    format: String,
    value: serde_json::Value,
}

impl<'de> Deserialize<'de> for DataJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shapes;
        impl<'de> Visitor<'de> for Shapes {
            type Value = DataJson;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("data: text, or an object with format and value")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<DataJson, E> {
                Ok(DataJson::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DataJson, A::Error> {
                Formatted::deserialize(MapAccessDeserializer::new(map)).map(DataJson::Formatted)
            }
        }
        deserializer.deserialize_any(Shapes)
    }
}

impl DataJson {
    fn read(self) -> Result<Vec<u8>, Error> {
        let (format, value) = match self {
            Self::Text(text) => return Ok(text.into_bytes()),
            Self::Formatted(Formatted { format, value }) => (format, value),
        };
        let bytes = match format.as_str() {
            "string" => typed::<String>(value).map(String::into_bytes),
            "base64" => typed(value).and_then(|text: String| base64(&text)),
            "hex" => typed(value).and_then(|text: String| {
                HEXLOWER_PERMISSIVE
                    .decode(text.as_bytes())
                    .map_err(|error| format!("is no hex: {error}"))
            }),
            "admin" => typed(value).and_then(AdminJson::read),
            "vlist" => typed(value).map(|list: Vec<ReferenceJson>| {
                let list: Vec<Reference> = list.into_iter().map(Into::into).collect();
                encode_value_list(&list)
            }),
            "site" => typed(value).and_then(SiteJson::read),
            "key" => typed(value).and_then(KeyJson::read),
            other => {
                let reason = format!(
                    "{other:.40?} is none of string, base64, hex, admin, vlist, site and key"
                );
                return Err(Error::invalid("format", reason));
            }
        };
        bytes.map_err(|reason| Error::invalid("value", reason))
    }
}

fn typed<T: de::DeserializeOwned>(value: serde_json::Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Base64 (RFC 4648 §4), with or without its padding.
pub(super) fn base64(text: &str) -> Result<Vec<u8>, String> {
    let bare = text.trim_end_matches('=');
    data_encoding::BASE64_NOPAD
        .decode(bare.as_bytes())
        .or_else(|_| BASE64.decode(text.as_bytes()))
        .map_err(|error| format!("is no base64: {error}"))
}

/// HS_ADMIN data.
#[derive(serde::Deserialize)]
struct AdminJson {
    handle: String,
    index: Number,
    permissions: String,
}

impl AdminJson {
    fn read(self) -> Result<Vec<u8>, String> {
        let binary = !self.permissions.is_empty()
            && self.permissions.bytes().all(|c| c == b'0' || c == b'1');
        let bits = Some(&self.permissions)
            .filter(|_| binary)
            .and_then(|text| u16::from_str_radix(text, 2).ok())
            .ok_or("permissions are up to 16 characters 0 or 1, list handles first")?;
        let admin = Admin {
            permissions: AdminPermissions(bits),
            reference: Reference {
                handle: self.handle,
                index: self.index.0,
            },
        };
        Ok(admin.encode())
    }
}

/// A public key as a JSON Web Key (RFC 7517, RFC 7518 §6.3.1).
#[derive(serde::Deserialize)]
struct KeyJson {
    kty: String,
    n: Option<String>,
    e: Option<String>,
}

impl KeyJson {
    /// HS_PUBKEY data, as all clients write it: with the zero bytes at its end that none reads.
    fn read(self) -> Result<Vec<u8>, String> {
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

fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
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
struct SiteJson {
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
    fn read(self) -> Result<Vec<u8>, String> {
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

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use super::super::data::ValueJson as Shown;
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Vec<Value> {
        values(body.as_bytes()).unwrap_or_else(|error| panic!("{error:?}: {body}"))
    }

    fn refused(body: &str) -> (u32, String) {
        let refusal = values(body.as_bytes()).expect_err(body);
        (refusal.code.0, refusal.message)
    }

    #[test]
    fn four_shapes_say_the_same() {
        let value = r#"{"index":1,"type":"URL","data":{"format":"string","value":"http://a/"}}"#;
        let expected = [Value::new(1, "URL", "http://a/")];
        assert_eq!(read(&format!("[{value}]")), expected);
        assert_eq!(read(&format!(r#"{{"values":[{value}]}}"#)), expected);
        let whole = format!(r#"{{"responseCode":1,"handle":"88.118.8/x","values":[{value}]}}"#);
        assert_eq!(read(&whole), expected);
        assert_eq!(read(value), expected);
        assert_eq!(
            read(r#"{"index":"1","type":"URL","data":"http://a/"}"#),
            expected
        );
        assert_eq!(read(r#"[{"type":"URL","data":"x"}]"#)[0].index, 0);
        assert_eq!(read("[]"), []);
    }

    #[test]
    fn every_part_is_read() {
        let rare = r#"{"index":7,"type":"X","data":{"format":"hex","value":"00fF"},"permissions":"1100",
            "ttl":"2106-02-07T06:28:15Z","timestamp":"2001-01-01T00:00:00Z",
            "references":[{"index":"2","handle":"88.118.8/r"}]}"#;
        let expected = Value {
            ttl: Ttl::AbsoluteS(u32::MAX),
            permissions: Permissions(0b1100),
            references: vec![Reference {
                handle: "88.118.8/r".into(),
                index: 2,
            }],
            ..Value::new(7, "X", [0, 255])
        };
        assert_eq!(read(rare), [expected]);
        for base64 in ["AAE=", "AAE"] {
            let body = format!(
                r#"{{"type":"X","data":{{"format":"base64","value":"{base64}"}},"ttl":60}}"#
            );
            assert_eq!(read(&body)[0].data, [0, 1]);
            assert_eq!(read(&body)[0].ttl, Ttl::RelativeS(60));
        }
    }

    #[test]
    fn what_is_shown_can_be_sent_back() {
        let admin = Admin {
            permissions: AdminPermissions(0x7f3),
            reference: Reference {
                handle: "0.NA/88.118.8".into(),
                index: 200,
            },
        };
        let mut key = Vec::new();
        put_sized(&mut key, b"RSA_PUB_KEY");
        key.extend([0, 0]);
        put_sized(&mut key, &[1, 0, 1]);
        put_sized(&mut key, &[0, 0xc0, 0xff]);
        key.extend([0; 4]);
        let server = Server {
            id: 1,
            address: "192.0.2.7".parse().unwrap(),
            public_key: key.clone(),
            interfaces: vec![Interface {
                admin: true,
                query: false,
                protocol: InterfaceProtocol::Tcp,
                port: 2641,
            }],
        };
        let mut site = Site::of_node(3, "node", server);
        site.hash_option = HashOption::ByPrefix;
        let all = [
            Value::new(1, "DESC", "二\n行"),
            Value::new(2, "BIN", [0_u8, 159]),
            Value::new(100, "HS_ADMIN", admin.encode()),
            Value::new(
                200,
                "HS_VLIST",
                encode_value_list(std::slice::from_ref(&admin.reference)),
            ),
            Value::new(300, "HS_PUBKEY", key),
            Value::new(3, "HS_SITE", site.encode()),
        ];
        for value in all {
            let mut scratch = Vec::new();
            let view = value.view_in(&mut scratch).unwrap();
            let json = serde_json::to_string(&Shown(&view)).unwrap();
            assert_eq!(read(&json), [value], "{json}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, code, part) in [
            ("", 4, "body"),
            ("{", 4, "body"),
            (r#"[{"index":1"#, 4, "body"),
            ("7", 202, "a value"),
            (r#"{"values":7}"#, 202, "an array of values"),
            (r#"{"handle":"x"}"#, 202, "values[0].type"),
            (r#"[{"index":1,"type":"URL"}]"#, 202, "values[0].data"),
            (r#"[{"index":-1,"type":"URL","data":"x"}]"#, 202, "number"),
            (r#"[{"index":1.5,"type":"URL","data":"x"}]"#, 202, "number"),
            (
                r#"[{"type":"A","data":"x"},{"type":"URL","data":"x","permissions":"11"}]"#,
                202,
                "values[1].permissions",
            ),
            (
                r#"[{"type":"A","data":"x","ttl":"soon"}]"#,
                202,
                "values[0].ttl",
            ),
            (
                r#"[{"type":"A","data":{"format":"xml","value":"x"}}]"#,
                202,
                "values[0].data.format",
            ),
            (
                r#"[{"type":"A","data":{"format":"hex","value":"x"}}]"#,
                202,
                "values[0].data.value",
            ),
            (
                r#"[{"type":"A","data":{"format":"base64","value":"*"}}]"#,
                202,
                "values[0].data.value",
            ),
            (
                r#"[{"type":"A","data":{"format":"string","value":1}}]"#,
                202,
                "values[0].data.value",
            ),
            (
                r#"[{"type":"HS_ADMIN","data":{"format":"admin","value":{"handle":"a/b","index":1,"permissions":"2"}}}]"#,
                202,
                "permissions",
            ),
            (
                r#"[{"type":"HS_PUBKEY","data":{"format":"key","value":{"kty":"EC"}}}]"#,
                202,
                "RSA",
            ),
            (
                r#"[{"type":"HS_SITE","data":{"format":"site","value":{"version":9}}}]"#,
                202,
                "site",
            ),
            (r#"[{"type":"A","data":7}]"#, 202, "expected data: text"),
            (r#"[{"type":"A","data":["a"]}]"#, 202, "expected data: text"),
            (r#"[{"type":"A","data":{"value":"a"}}]"#, 202, "format"),
            (
                r#"[{"type":"A","data":"a","ttl":-1}]"#,
                202,
                "expected a ttl",
            ),
        ] {
            let (found, message) = refused(body);
            assert_eq!(found, code, "{body}: {message}");
            assert!(message.contains(part), "{body}: {message}");
        }
        let many = format!("[{}{{}}]", "{},".repeat(MAX_VALUES));
        assert!(refused(&many).1.contains("more than 2048"));
    }

    proptest! {
        #[test]
        fn no_body_is_too_much(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = values(&body);
        }
    }
}
