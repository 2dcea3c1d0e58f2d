//! A registration made in a node's place: as it is asked for, as the book keeps it, as it is told.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use idnode_proto::api::value::{Data, Ttl as ApiTtl};
use idnode_proto::api::{self, TakeoverOperation, TakeoverRegistration};
use idnode_proto::identifier::Identifier;
use idnode_proto::report::timestamp;
use idnode_proto::value::{Permissions, Reference, Ttl, Value, encode_values};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::known::Known;
use super::row::Refusal;
use crate::bulk::json::{ValueIn, ValuesOut};

/// Most values of an identifier, and most bytes of them, as a node takes them.
const MAX_VALUES: usize = 2_048;
const MAX_VALUE_BYTES: usize = 256_000;

/// What is done with an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// It is registered.
    Create,
    /// The values are all it has afterwards.
    Modify,
    /// It is deleted.
    Delete,
}

/// What is asked for: JSON, values as `idctl` prints them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    operation: Operation,
    identifier: String,
    #[serde(default)]
    values: Vec<ValueIn>,
    #[serde(default)]
    template: String,
    #[serde(default)]
    reason: String,
}

/// A wish that is right in itself.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What is done.
    pub operation: Operation,
    /// With what.
    pub identifier: Identifier,
    values: Vec<api::Value>,
    template: String,
    reason: String,
}

/// A registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registered {
    /// Within the takeover, from 1 up.
    pub number: u64,
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What was done.
    pub operation: Operation,
    /// As it was given.
    pub identifier: String,
    /// After it, as `idctl` prints them.
    pub values: Json,
    /// Empty: none.
    pub template: String,
    /// Of a deletion.
    pub reason: String,
    /// How far the node's change log was known.
    pub known_sequence: u64,
    /// Which, by its name in hex.
    pub known_log: String,
}

impl Wish {
    /// Checks it in itself.
    ///
    /// # Errors
    /// What is wrong, naming the part.
    pub fn check(self) -> Result<Wanted, Refusal> {
        let identifier = Identifier::parse(&self.identifier)
            .map_err(|error| Refusal(format!("identifier: {error}")))?;
        if identifier.prefix_handle().is_some() {
            return Err(Refusal(
                "identifier: prefixes are not registered here".into(),
            ));
        }
        let values = self.values.into_iter().map(ValueIn::into_value);
        let mut values: Vec<api::Value> = values
            .collect::<Result<_, _>>()
            .map_err(|error| Refusal(format!("values: {error}")))?;
        match self.operation {
            Operation::Delete if !values.is_empty() => {
                return Err(Refusal("values: what is deleted has none".into()));
            }
            Operation::Delete => {}
            Operation::Create | Operation::Modify => number(&mut values)?,
        }
        Ok(Wanted {
            operation: self.operation,
            identifier,
            values,
            template: self.template,
            reason: self.reason,
        })
    }
}

/// Gives values without an index the next free ones, and puts them in order.
fn number(values: &mut [api::Value]) -> Result<(), Refusal> {
    let count = values.len();
    if count == 0 || count > MAX_VALUES {
        return Err(Refusal(format!("values: {count}, not 1 to {MAX_VALUES}")));
    }
    let mut taken = BTreeSet::new();
    for value in values.iter().filter(|value| value.index > 0) {
        if !taken.insert(value.index) {
            return Err(Refusal(format!("values: index {} twice", value.index)));
        }
    }
    let mut next = 1;
    for value in values.iter_mut().filter(|value| value.index == 0) {
        while taken.contains(&next) {
            next += 1;
        }
        value.index = next;
        taken.insert(next);
    }
    values.sort_by_key(|value| value.index);
    Ok(())
}

impl Wanted {
    /// As it is kept.
    ///
    /// # Errors
    /// Its values are too long.
    pub fn registered(
        mut self,
        number: u64,
        at_ms: u64,
        known: &Known,
    ) -> Result<Registered, Refusal> {
        for value in self.values.iter_mut().filter(|it| it.timestamp_s == 0) {
            value.timestamp_s = u32::try_from(at_ms / 1_000).unwrap_or(u32::MAX);
        }
        let length = encoded(&self.values)?.len();
        if length > MAX_VALUE_BYTES {
            return Err(Refusal(format!(
                "values: {length} bytes, at most {MAX_VALUE_BYTES}"
            )));
        }
        let values = serde_json::to_value(ValuesOut(&self.values));
        Ok(Registered {
            number,
            at_ms,
            operation: self.operation,
            identifier: self.identifier.to_string(),
            values: values.map_err(|error| Refusal(error.to_string()))?,
            template: self.template,
            reason: self.reason,
            known_sequence: known.sequence,
            known_log: known.log.clone(),
        })
    }
}

impl Registered {
    /// Its values.
    ///
    /// # Errors
    /// The book holds what can't be read.
    pub fn values(&self) -> Result<Vec<Value>, Refusal> {
        let read: Vec<ValueIn> = serde_json::from_value(self.values.clone())
            .map_err(|error| Refusal(format!("registration {}: {error}", self.number)))?;
        let read = read.into_iter().map(ValueIn::into_value);
        let values: Vec<api::Value> = read
            .collect::<Result<_, _>>()
            .map_err(|error| Refusal(format!("registration {}: {error}", self.number)))?;
        values.iter().map(plain).collect()
    }

    /// As it is told to the node.
    ///
    /// # Errors
    /// As [`Registered::values`].
    pub fn told(&self) -> Result<TakeoverRegistration, Refusal> {
        let operation = match self.operation {
            Operation::Create => TakeoverOperation::Create,
            Operation::Modify => TakeoverOperation::Modify,
            Operation::Delete => TakeoverOperation::Delete,
        };
        Ok(TakeoverRegistration {
            number: self.number,
            registered_at: Some(timestamp(self.at_ms)),
            operation: operation.into(),
            identifier: self.identifier.clone(),
            values: encode_values(&self.values()?),
            template: self.template.clone(),
            reason: self.reason.clone(),
            known_sequence: self.known_sequence,
            known_log: HEXLOWER
                .decode(self.known_log.as_bytes())
                .map_err(|error| Refusal(format!("registration {}: {error}", self.number)))?,
        })
    }
}

fn encoded(values: &[api::Value]) -> Result<Vec<u8>, Refusal> {
    let plain: Vec<Value> = values.iter().map(plain).collect::<Result<_, _>>()?;
    Ok(encode_values(&plain))
}

/// A value of the API as a Handle value.
fn plain(value: &api::Value) -> Result<Value, Refusal> {
    let named = |reason: String| Refusal(format!("value {}: {reason}", value.index));
    let permissions = match value.permissions {
        None => Permissions::default_of(&value.r#type),
        Some(bits) => match u8::try_from(bits) {
            Ok(bits) if bits < 16 => Permissions(bits),
            _ => return Err(named(format!("permissions {bits}"))),
        },
    };
    let references = value.references.iter().map(|it| Reference {
        handle: it.handle.clone(),
        index: it.index,
    });
    let plain = Value {
        timestamp_s: value.timestamp_s,
        ttl: match value.ttl {
            None => Ttl::DEFAULT,
            Some(ApiTtl::TtlS(seconds)) => Ttl::RelativeS(seconds),
            Some(ApiTtl::ExpiresAtS(at)) => Ttl::AbsoluteS(at),
        },
        permissions,
        references: references.collect(),
        ..Value::new(
            value.index,
            value.r#type.clone(),
            match &value.data {
                Some(Data::Text(text)) => text.clone().into_bytes(),
                Some(Data::Raw(raw)) => raw.clone(),
                None => Vec::new(),
            },
        )
    };
    plain.check().map_err(|error| named(error.to_string()))?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use idnode_proto::value::Values;

    fn wish(json: &str) -> Result<Wanted, Refusal> {
        serde_json::from_str::<Wish>(json).unwrap().check()
    }

    #[test]
    fn what_was_asked_for_is_told() {
        let wanted = wish(
            r#"{"operation": "create", "identifier": "88.118.8/A", "template": "steel", "values": [
                {"type": "URL", "data": "https://a.example/", "ttl_s": 60},
                {"index": 1, "type": "X", "data": {"format": "base64", "value": "AAE="}}]}"#,
        );
        let known = Known {
            log: "00ff".to_owned(),
            sequence: 7,
            live: None,
        };
        let kept = wanted.unwrap().registered(3, 5_000, &known).unwrap();
        let json = serde_json::to_string(&kept).unwrap();
        let again: Registered = serde_json::from_str(&json).unwrap();
        assert_eq!(again, kept);
        let told = again.told().unwrap();
        let values: Vec<_> = Values::all(&told.values).map(Result::unwrap).collect();
        assert_eq!((told.number, told.known_sequence), (3, 7));
        assert_eq!(told.known_log, [0, 0xff]);
        assert_eq!((values[0].index(), values[0].data()), (1, &[0_u8, 1][..]));
        assert_eq!((values[1].index(), values[1].timestamp_s()), (2, 5));
        assert_eq!(values[1].ttl(), Ttl::RelativeS(60));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, part) in [
            (
                r#"{"operation": "create", "identifier": "", "values": [{"type": "A", "data": "b"}]}"#,
                "identifier",
            ),
            (
                r#"{"operation": "create", "identifier": "0.NA/88.118.8", "values": [{"type": "A", "data": "b"}]}"#,
                "identifier",
            ),
            (
                r#"{"operation": "create", "identifier": "88.118.8/A"}"#,
                "values",
            ),
            (
                r#"{"operation": "delete", "identifier": "88.118.8/A", "values": [{"type": "A", "data": "b"}]}"#,
                "values",
            ),
            (
                r#"{"operation": "modify", "identifier": "88.118.8/A", "values": [
                {"index": 2, "type": "A", "data": "b"}, {"index": 2, "type": "A", "data": "b"}]}"#,
                "index 2",
            ),
        ] {
            let refusal = wish(json).unwrap_err();
            assert!(refusal.0.contains(part), "{refusal} in {json}");
        }
    }
}
