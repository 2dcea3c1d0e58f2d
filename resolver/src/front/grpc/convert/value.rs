//! Handle values.

use super::super::status::Result;
use idnode_proto::api;
use idnode_proto::api::value::{Data, Ttl as ApiTtl};
use idnode_proto::import::ItemValue;
use idnode_proto::value::{Permissions, Reference, Ttl, Value, ValueParts, ValueRef, types};
use idnode_registry::Error;

/// The bits that permissions have.
const PERMISSION_BITS: u8 = 0b1111;

/// The values of a request's field.
pub(in super::super) fn parse_all(values: &[api::Value], field: &str) -> Result<Vec<Value>> {
    let parsed = values.iter().enumerate().map(|(position, value)| {
        let parts = parse(value.into()).map_err(|error| within(error, field, position))?;
        Ok(parts.into_owned())
    });
    Ok(parsed.collect::<idnode_registry::Result<_>>()?)
}

/// Puts the values of an item, read where they lie, in place of what is in `parts`.
pub(in super::super) fn parse_item<'a>(
    values: &mut Vec<ItemValue<'a>>,
    parts: &mut Vec<ValueParts<'a>>,
) -> idnode_registry::Result<()> {
    parts.clear();
    for (position, value) in values.drain(..).enumerate() {
        parts.push(parse(value).map_err(|error| within(error, "values", position))?);
    }
    Ok(())
}

fn within(error: Error, field: &str, position: usize) -> Error {
    error.within(&format!("{field}[{position}]"))
}

fn parse(value: ItemValue<'_>) -> idnode_registry::Result<ValueParts<'_>> {
    let permissions = match value.permissions {
        None => Permissions::default_of(value.kind),
        Some(bits) => match u8::try_from(bits) {
            Ok(bits) if bits <= PERMISSION_BITS => Permissions(bits),
            _ => {
                return Err(Error::invalid(
                    "permissions",
                    format!("{bits} is not four bits, 0 to 15"),
                ));
            }
        },
    };
    let reference = |api::Reference { handle, index }: &api::Reference| Reference {
        handle: handle.clone(),
        index: *index,
    };
    Ok(ValueParts {
        index: value.index,
        value_type: value.kind,
        data: value.data,
        ttl: match value.ttl {
            None => Ttl::DEFAULT,
            Some(ApiTtl::TtlS(ttl_s)) => Ttl::RelativeS(ttl_s),
            Some(ApiTtl::ExpiresAtS(at_s)) => Ttl::AbsoluteS(at_s),
        },
        timestamp_s: value.timestamp_s,
        permissions,
        references: value.references.iter().map(reference).collect(),
    })
}

/// A value as it is answered.
pub(in super::super) fn shown(value: ValueRef<'_>) -> api::Value {
    let kind = value.value_type();
    let text = if is_binary(kind) {
        None
    } else {
        std::str::from_utf8(value.data()).ok()
    };
    api::Value {
        index: value.index(),
        r#type: kind.to_owned(),
        data: Some(match text {
            Some(text) => Data::Text(text.to_owned()),
            None => Data::Raw(value.data().to_vec()),
        }),
        ttl: Some(match value.ttl() {
            Ttl::RelativeS(ttl_s) => ApiTtl::TtlS(ttl_s),
            Ttl::AbsoluteS(at_s) => ApiTtl::ExpiresAtS(at_s),
        }),
        permissions: Some(u32::from(value.permissions().0 & PERMISSION_BITS)),
        timestamp_s: value.timestamp_s(),
        references: value
            .references()
            .map(|(handle, index)| api::Reference {
                handle: handle.to_owned(),
                index,
            })
            .collect(),
    }
}

/// Types whose data is never text, even where it happens to be UTF-8.
fn is_binary(kind: &str) -> bool {
    matches!(
        kind,
        types::HS_ADMIN
            | types::HS_SITE
            | types::HS_SITE_PREFIX
            | types::HS_NA_DELEGATE
            | types::HS_PRIMARY
            | types::HS_VLIST
            | types::HS_PUBKEY
            | types::HS_SECKEY
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::super::status::Refused;
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = api::Value> {
        let data = prop_oneof![
            ".{0,40}".prop_map(Data::Text),
            proptest::collection::vec(any::<u8>(), 1..40)
                .prop_filter("text comes back as text", |raw| std::str::from_utf8(raw)
                    .is_err())
                .prop_map(Data::Raw),
        ];
        let ttl = prop_oneof![
            any::<u32>().prop_map(ApiTtl::TtlS),
            any::<u32>().prop_map(ApiTtl::ExpiresAtS)
        ];
        let reference = ("[a-z0-9/.]{0,20}", any::<u32>())
            .prop_map(|(handle, index)| api::Reference { handle, index });
        let references = proptest::collection::vec(reference, 0..3);
        (
            1..u32::MAX,
            "[A-Z]{1,10}",
            data,
            ttl,
            0..16_u32,
            any::<u32>(),
            references,
        )
            .prop_map(
                |(index, kind, data, ttl, permissions, timestamp_s, references)| api::Value {
                    index,
                    r#type: kind,
                    data: Some(data),
                    ttl: Some(ttl),
                    permissions: Some(permissions),
                    timestamp_s,
                    references,
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_sent_is_shown(value in any_value()) {
            let parsed = parse_all(std::slice::from_ref(&value), "values").unwrap();
            let mut scratch = Vec::new();
            prop_assert_eq!(shown(parsed[0].view_in(&mut scratch).unwrap()), value);
        }
    }

    #[test]
    fn what_is_left_out_has_a_default_and_bad_permissions_have_a_place() {
        let bare = api::Value {
            index: 1,
            r#type: "URL".into(),
            ..api::Value::default()
        };
        let parsed = parse_all(std::slice::from_ref(&bare), "values").unwrap();
        assert_eq!(parsed, [Value::new(1, "URL", "")]);
        let wrong = api::Value {
            permissions: Some(16),
            ..bare.clone()
        };
        let refused = parse_all(&[bare, wrong], "values").unwrap_err();
        assert!(
            matches!(&refused, Refused::Registry(Error::Invalid { field, .. }) if field == "values[1].permissions")
        );
    }

    #[test]
    fn data_that_is_binary_by_nature_is_never_text() {
        let mut scratch = Vec::new();
        let key = Value::new(1, types::HS_PUBKEY, "ascii");
        assert_eq!(
            shown(key.view_in(&mut scratch).unwrap()).data,
            Some(Data::Raw(b"ascii".to_vec()))
        );
        let alias = Value::new(1, types::HS_ALIAS, "88.118.8/x");
        assert_eq!(
            shown(alias.view_in(&mut scratch).unwrap()).data,
            Some(Data::Text("88.118.8/x".into()))
        );
    }
}
