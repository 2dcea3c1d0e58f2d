//! Values as JSON, in files and in `--json` answers. Names are those of `common.proto`; what is
//! not set is left out.
//!
//! ```json
//! {"index":1,"type":"URL","data":{"format":"string","value":"https://example.com"},
//!  "ttl_s":86400,"permissions":14,"timestamp_s":1767225600,
//!  "references":[{"handle":"88.118.8/ADMIN","index":300}]}
//! ```
//! `data` has the format `string` or `base64`; when read, a bare string is a `string`.
//! `expires_at_s` stands instead of `ttl_s` for an absolute TTL. `permissions` may also be
//! read as `"1110"`.

use std::borrow::Cow;
use std::fmt;

use data_encoding::BASE64;
use idnode_proto::api::value::{Data, Ttl};
use idnode_proto::api::{Reference, Value};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

use super::field;

/// A value to be written.
pub struct ValueOut<'a>(pub &'a Value);

impl Serialize for ValueOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        let mut map = serializer.serialize_map(None)?;
        if value.index != 0 {
            map.serialize_entry("index", &value.index)?;
        }
        map.serialize_entry("type", &value.r#type)?;
        map.serialize_entry("data", &DataOut(value.data.as_ref()))?;
        match value.ttl {
            Some(Ttl::TtlS(seconds)) => map.serialize_entry("ttl_s", &seconds)?,
            Some(Ttl::ExpiresAtS(seconds)) => map.serialize_entry("expires_at_s", &seconds)?,
            None => {}
        }
        if let Some(bits) = value.permissions {
            map.serialize_entry("permissions", &bits)?;
        }
        if value.timestamp_s != 0 {
            map.serialize_entry("timestamp_s", &value.timestamp_s)?;
        }
        if !value.references.is_empty() {
            map.serialize_entry("references", &ReferencesOut(&value.references))?;
        }
        map.end()
    }
}

/// Values to be written as an array.
pub struct ValuesOut<'a>(pub &'a [Value]);

impl Serialize for ValuesOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ValueOut))
    }
}

struct DataOut<'a>(Option<&'a Data>);

impl Serialize for DataOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (format, value) = match self.0 {
            Some(Data::Text(text)) => ("string", Cow::Borrowed(text.as_str())),
            Some(Data::Raw(bytes)) => ("base64", Cow::Owned(BASE64.encode(bytes))),
            None => ("string", Cow::Borrowed("")),
        };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("format", format)?;
        map.serialize_entry("value", &value)?;
        map.end()
    }
}

struct ReferencesOut<'a>(&'a [Reference]);

impl Serialize for ReferencesOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Out<'a> {
            handle: &'a str,
            index: u32,
        }
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        for Reference { handle, index } in self.0 {
            seq.serialize_element(&Out {
                handle,
                index: *index,
            })?;
        }
        seq.end()
    }
}

/// A value as it is read; [`ValueIn::into_value`] is the API's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueIn {
    #[serde(default)]
    index: u32,
    r#type: String,
    data: DataIn,
    ttl_s: Option<u32>,
    expires_at_s: Option<u32>,
    permissions: Option<PermissionsIn>,
    #[serde(default)]
    timestamp_s: u32,
    #[serde(default)]
    references: Vec<ReferenceIn>,
}

impl ValueIn {
    /// The value, unless it has both kinds of TTL.
    ///
    /// # Errors
    /// What is wrong with it, for people; the field at fault is `expires_at_s`.
    pub fn into_value(self) -> Result<Value, &'static str> {
        let ttl = match (self.ttl_s, self.expires_at_s) {
            (Some(_), Some(_)) => return Err("ttl_s and expires_at_s exclude each other"),
            (Some(seconds), None) => Some(Ttl::TtlS(seconds)),
            (None, Some(seconds)) => Some(Ttl::ExpiresAtS(seconds)),
            (None, None) => None,
        };
        Ok(Value {
            index: self.index,
            r#type: self.r#type,
            permissions: self.permissions.map(|bits| bits.0),
            timestamp_s: self.timestamp_s,
            references: self
                .references
                .into_iter()
                .map(ReferenceIn::into_reference)
                .collect(),
            data: Some(self.data.0),
            ttl,
        })
    }

    /// Names the field of one JSON value that does not fit, and why: `None` if all do.
    #[must_use]
    pub fn misfit(value: &serde_json::Value) -> Option<(String, String)> {
        fn check<T: for<'a> Deserialize<'a>>(found: &serde_json::Value) -> Option<String> {
            T::deserialize(found).err().map(|error| error.to_string())
        }
        let serde_json::Value::Object(fields) = value else {
            return Some((String::new(), "a value is a JSON object".to_owned()));
        };
        for (name, found) in fields {
            let problem = match name.as_str() {
                "index" | "timestamp_s" => check::<u32>(found),
                "ttl_s" | "expires_at_s" => check::<Option<u32>>(found),
                "type" => check::<String>(found),
                "data" => check::<DataIn>(found),
                "permissions" => check::<Option<PermissionsIn>>(found),
                "references" => check::<Vec<ReferenceIn>>(found),
                _ => Some("values have no such field".to_owned()),
            };
            if let Some(message) = problem {
                return Some((name.clone(), message));
            }
        }
        ["type", "data"]
            .into_iter()
            .find(|name| !fields.contains_key(*name))
            .map(|name| (name.to_owned(), "is missing".to_owned()))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReferenceIn {
    handle: String,
    index: u32,
}

impl ReferenceIn {
    fn into_reference(self) -> Reference {
        Reference {
            handle: self.handle,
            index: self.index,
        }
    }
}

#[derive(Debug)]
struct PermissionsIn(u32);

impl<'de> Deserialize<'de> for PermissionsIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = PermissionsIn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("permission bits, 0 to 255 or \"1110\"")
            }

            fn visit_u64<E: de::Error>(self, bits: u64) -> Result<Self::Value, E> {
                match u8::try_from(bits) {
                    Ok(bits) => Ok(PermissionsIn(bits.into())),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Unsigned(bits), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                field::parse_permissions(text)
                    .map(PermissionsIn)
                    .map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Debug)]
struct DataIn(Data);

impl<'de> Deserialize<'de> for DataIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = DataIn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("data: a string or {\"format\":\"string\"|\"base64\",\"value\":…}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(DataIn(Data::Text(text.to_owned())))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(DataIn(Data::Text(text)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Tagged {
                    format: Encoding,
                    value: String,
                }
                let fields = de::value::MapAccessDeserializer::new(map);
                let Tagged { format, value } = Tagged::deserialize(fields)?;
                decode(format, value).map(DataIn).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// How data is written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// UTF-8 data, as it is.
    String,
    /// Other data, RFC 4648 §4 with padding.
    Base64,
}

impl Encoding {
    /// Reads `string` or `base64`.
    ///
    /// # Errors
    /// [`field::FieldError::Encoding`] for anything else.
    pub fn parse(text: &str) -> Result<Self, field::FieldError> {
        match text {
            "string" => Ok(Self::String),
            "base64" => Ok(Self::Base64),
            _ => Err(field::FieldError::Encoding(text.to_owned())),
        }
    }
}

/// The data a text stands for.
///
/// # Errors
/// [`field::FieldError::Base64`] when it is not.
pub fn decode(encoding: Encoding, text: String) -> Result<Data, field::FieldError> {
    match encoding {
        Encoding::String => Ok(Data::Text(text)),
        Encoding::Base64 => decode_base64(&text).map(Data::Raw),
    }
}

/// The bytes a text stands for.
///
/// # Errors
/// [`field::FieldError::Base64`] when it is not.
pub fn decode_base64(text: &str) -> Result<Vec<u8>, field::FieldError> {
    BASE64
        .decode(text.as_bytes())
        .map_err(|error| field::FieldError::Base64(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_by_the_names_of_the_api() {
        let value = Value {
            index: 3,
            r#type: "URL".into(),
            permissions: Some(12),
            timestamp_s: 7,
            references: vec![Reference {
                handle: "a/b".into(),
                index: 1,
            }],
            data: Some(Data::Raw(vec![0xff])),
            ttl: Some(Ttl::ExpiresAtS(9)),
        };
        assert_eq!(
            serde_json::to_string(&ValueOut(&value)).unwrap(),
            r#"{"index":3,"type":"URL","data":{"format":"base64","value":"/w=="},"expires_at_s":9,"permissions":12,"timestamp_s":7,"references":[{"handle":"a/b","index":1}]}"#
        );
    }

    #[test]
    fn a_misfit_names_its_field() {
        for (json, field) in [
            (r#"[]"#, ""),
            (r#"{"type":"URL"}"#, "data"),
            (r#"{"data":""}"#, "type"),
            (r#"{"type":"URL","data":"","colour":1}"#, "colour"),
            (r#"{"type":"URL","data":"","ttl_s":-1}"#, "ttl_s"),
            (
                r#"{"type":"URL","data":"","permissions":256}"#,
                "permissions",
            ),
            (
                r#"{"type":"URL","data":{"format":"hex","value":""}}"#,
                "data",
            ),
            (
                r#"{"type":"URL","data":{"format":"base64","value":"*"}}"#,
                "data",
            ),
            (
                r#"{"type":"URL","data":"","references":[{"index":1}]}"#,
                "references",
            ),
        ] {
            assert!(serde_json::from_str::<ValueIn>(json).is_err(), "{json}");
            let parsed = serde_json::from_str(json).unwrap();
            assert_eq!(ValueIn::misfit(&parsed).unwrap().0, field, "{json}");
        }
    }
}
