//! Handle values as clients send them: the JSON of [`super::data`] read back, and the shorter
//! forms that clients of the Handle System's API use.

#[cfg(test)]
mod tests;
mod typed;

use self::typed::{AdminJson, KeyJson, SiteJson};
use super::refusal::Refusal;
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use idnode_proto::handle::{ResponseCode, encode_value_list};
use idnode_proto::value::{MAX_VALUES, Permissions, Reference, Ttl, Value};
use idnode_registry::Error;
use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// The values in a body: an array of values, an object with an array `values` (its other
/// members say nothing), or one value. A value without an index has index 0.
///
/// # Errors
/// [`ResponseCode::PROTOCOL_ERROR`] for what is no JSON, or JSON of another shape;
/// [`ResponseCode::INVALID_VALUE`] for values that are wrong. The message names the value and its part.
pub(super) fn values(body: &[u8]) -> Result<Vec<Value>, Refusal> {
    let sent: Body = parsed(body)?;
    if sent.0.len() > MAX_VALUES {
        let message = format!("values: are more than {MAX_VALUES} values");
        return Err(Refusal::new(ResponseCode::INVALID_VALUE, message));
    }
    let read = sent.0.into_iter().enumerate();
    read.map(|(position, value)| value.read(&format!("values[{position}]")))
        .collect()
}

/// A body's JSON.
///
/// # Errors
/// [`ResponseCode::PROTOCOL_ERROR`].
pub(super) fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::new(ResponseCode::PROTOCOL_ERROR, format!("body: {error}")))
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

/// As many values as an identifier can have, and one more where there are more.
fn bounded<'de, A: SeqAccess<'de>>(mut sequence: A) -> Result<Vec<ValueJson>, A::Error> {
    let mut values = Vec::new();
    while values.len() <= MAX_VALUES {
        match sequence.next_element()? {
            Some(Members(value)) => values.push(value),
            None => return Ok(values),
        }
    }
    while sequence.next_element::<IgnoredAny>()?.is_some() {}
    Ok(values)
}

/// An object by the names of its members. serde would take an array of them in their order for it.
struct Members<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Members<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Members<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Members)
            }
        }
        deserializer.deserialize_map(Object(PhantomData))
    }
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
    references: Vec<Members<ReferenceJson>>,
}

impl ValueJson {
    /// `place`: where it is, for what is said of it.
    fn read(self, place: &str) -> Result<Value, Refusal> {
        let missing = |part| {
            let message = format!("{place}.{part}: is missing");
            Refusal::new(ResponseCode::PROTOCOL_ERROR, message)
        };
        let wrong = |error: Error| Refusal::from(error.within(place));
        let value_type = self.r#type.ok_or_else(|| missing("type"))?;
        let data = self.data.ok_or_else(|| missing("data"))?;
        let data = data.read().map_err(|fault| match fault {
            DataFault::Shape(reason) => {
                let message = format!("{place}.data.value: {reason}");
                Refusal::new(ResponseCode::PROTOCOL_ERROR, message)
            }
            DataFault::Wrong(error) => wrong(error.within("data")),
        })?;
        let index = self.index.map_or(Ok(0), |index| index.read("index"));
        let permissions = match &self.permissions {
            Some(text) => text
                .parse()
                .map_err(|error| wrong(Error::invalid("permissions", format!("{error}"))))?,
            None => Permissions::default(),
        };
        let references = self.references.into_iter().map(|it| it.0.read());
        let references: Result<_, Error> = references.collect();
        let references = references.map_err(|error| wrong(error.within("references")))?;
        Ok(Value {
            ttl: self
                .ttl
                .map_or(Ok(Ttl::DEFAULT), TtlJson::read)
                .map_err(wrong)?,
            permissions,
            references,
            ..Value::new(index.map_err(wrong)?, value_type, data)
        })
    }
}

/// A number, or its digits as text: some clients send an index so. `None`: one that there is no index
/// of, which is a wrong value and no other shape.
#[derive(Clone, Copy)]
pub(super) struct Number(Option<u32>);

impl Number {
    fn read(self, field: &str) -> Result<u32, Error> {
        let wrong = || Error::invalid(field, "is no number of 0 to 4294967295");
        self.0.ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of 0 to 4294967295")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(u32::try_from(number).ok()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(u32::try_from(number).ok()))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                Ok(Number(text.parse().ok()))
            }
        }
        deserializer.deserialize_any(Digits)
    }
}

/// Seconds, or a moment as RFC 3339 has it.
enum TtlJson {
    Seconds(Number),
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
                Ok(TtlJson::Seconds(Number(u32::try_from(seconds).ok())))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<TtlJson, E> {
                Ok(TtlJson::Seconds(Number(u32::try_from(seconds).ok())))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<TtlJson, E> {
                Ok(TtlJson::Seconds(Number(None)))
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
            Self::Seconds(seconds) => Ok(Ttl::RelativeS(seconds.read("ttl")?)),
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

impl ReferenceJson {
    fn read(self) -> Result<Reference, Error> {
        Ok(Reference {
            index: self.index.read("index")?,
            handle: self.handle,
        })
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

/// The bytes that data of a value's means: text, or an object with `format` and `value`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn data(json: &[u8]) -> Result<Vec<u8>, String> {
    let data: DataJson = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    data.read().map_err(|fault| fault.to_string())
}

/// What is wrong with data.
enum DataFault {
    /// It is JSON of another shape than its format has.
    Shape(String),
    /// It is no value of its format.
    Wrong(Error),
}

impl From<String> for DataFault {
    fn from(reason: String) -> Self {
        Self::Wrong(Error::invalid("value", reason))
    }
}

impl fmt::Display for DataFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(reason) => write!(f, "value: {reason}"),
            Self::Wrong(error) => write!(f, "{error}"),
        }
    }
}

impl DataJson {
    fn read(self) -> Result<Vec<u8>, DataFault> {
        let (format, value) = match self {
            Self::Text(text) => return Ok(text.into_bytes()),
            Self::Formatted(Formatted { format, value }) => (format, value),
        };
        Ok(match format.as_str() {
            "string" => typed::<String>(value)?.into_bytes(),
            "base64" => base64(&typed::<String>(value)?)?,
            "hex" => HEXLOWER_PERMISSIVE
                .decode(typed::<String>(value)?.as_bytes())
                .map_err(|error| format!("is no hex: {error}"))?,
            "admin" => typed::<Members<AdminJson>>(value)?.0.read()?,
            "vlist" => {
                let list = typed::<Vec<Members<ReferenceJson>>>(value)?;
                let list: Result<Vec<_>, _> = list.into_iter().map(|it| it.0.read()).collect();
                encode_value_list(&list.map_err(|error| error.to_string())?)
            }
            "site" => typed::<Members<SiteJson>>(value)?.0.read()?,
            "key" => typed::<Members<KeyJson>>(value)?.0.read()?,
            other => {
                let reason = format!(
                    "{other:.40?} is none of string, base64, hex, admin, vlist, site and key"
                );
                return Err(DataFault::Wrong(Error::invalid("format", reason)));
            }
        })
    }
}

fn typed<T: de::DeserializeOwned>(value: serde_json::Value) -> Result<T, DataFault> {
    serde_json::from_value(value).map_err(|error| DataFault::Shape(error.to_string()))
}

/// Base64 (RFC 4648 §4), with or without its padding.
pub(super) fn base64(text: &str) -> Result<Vec<u8>, String> {
    let bare = text.trim_end_matches('=');
    data_encoding::BASE64_NOPAD
        .decode(bare.as_bytes())
        .or_else(|_| BASE64.decode(text.as_bytes()))
        .map_err(|error| format!("is no base64: {error}"))
}
