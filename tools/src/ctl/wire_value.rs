//! Values of the API in the shape that the Handle protocol encodes.

use idnode_proto::api;
use idnode_proto::api::value::{Data, Ttl as ApiTtl};
use idnode_proto::value::{Permissions, Reference, Ttl, Value};

/// A value as the Handle protocol carries it and as it is signed: without permissions of its own
/// with those that the node's API would give it. Errors: its permissions fit no encoding.
pub(crate) fn wire_value(value: api::Value) -> Result<Value, String> {
    let index = value.index;
    let permissions = match value.permissions {
        None => Permissions::default_of(&value.r#type),
        Some(bits) => u8::try_from(bits).map(Permissions).map_err(|_| {
            format!("the permissions of value {index} are {bits}, which is above 255")
        })?,
    };
    Ok(Value {
        index,
        value_type: value.r#type,
        data: match value.data {
            Some(Data::Text(text)) => text.into_bytes(),
            Some(Data::Raw(bytes)) => bytes,
            None => Vec::new(),
        },
        ttl: match value.ttl {
            Some(ApiTtl::TtlS(seconds)) => Ttl::RelativeS(seconds),
            Some(ApiTtl::ExpiresAtS(seconds)) => Ttl::AbsoluteS(seconds),
            None => Ttl::DEFAULT,
        },
        timestamp_s: value.timestamp_s,
        permissions,
        references: value
            .references
            .into_iter()
            .map(|reference| Reference {
                handle: reference.handle,
                index: reference.index,
            })
            .collect(),
    })
}
