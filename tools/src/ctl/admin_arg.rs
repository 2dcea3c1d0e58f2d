//! Administrators of handles on the command line: HS_ADMIN and HS_VLIST values (RFC 3651 §3.2.1,
//! §3.2.7).

use idnode_proto::api::Value;
use idnode_proto::api::value::Data;
use idnode_proto::handle::{Admin, AdminPermissions, encode_value_list};
use idnode_proto::value::{Reference, types};

use crate::bulk::field;

/// How `--administrator` is written.
pub(crate) const ADMINISTRATOR_HELP: &str = "\
[INDEX[:RIGHTS]]=KEY

An HS_ADMIN value: whoever has the key at KEY, which is INDEX:HANDLE, has these rights.
  100=300:0.NA/88.118.8                           every right
  100:modify-value+read-value=300:88.118.8/ADMIN  two of them
  =300:0.NA/88.118.8                              the node chooses the index
RIGHTS: add-handle, delete-handle, add-prefix, delete-prefix, modify-value, remove-value,
add-value, modify-admin, remove-admin, add-admin, read-value, list-handles, list-prefixes.
KEY may also be a group, see --group.";

/// The rights by name.
const RIGHTS: [(&str, AdminPermissions); 13] = [
    ("add-handle", AdminPermissions::ADD_HANDLE),
    ("delete-handle", AdminPermissions::DELETE_HANDLE),
    ("add-prefix", AdminPermissions::ADD_PREFIX),
    ("delete-prefix", AdminPermissions::DELETE_PREFIX),
    ("modify-value", AdminPermissions::MODIFY_VALUE),
    ("remove-value", AdminPermissions::REMOVE_VALUE),
    ("add-value", AdminPermissions::ADD_VALUE),
    ("modify-admin", AdminPermissions::MODIFY_ADMIN),
    ("remove-admin", AdminPermissions::REMOVE_ADMIN),
    ("add-admin", AdminPermissions::ADD_ADMIN),
    ("read-value", AdminPermissions::READ_VALUE),
    ("list-handles", AdminPermissions::LIST_HANDLES),
    ("list-prefixes", AdminPermissions::LIST_PREFIXES),
];

/// Reads one `--administrator`.
pub(crate) fn parse_administrator(text: &str) -> Result<Value, String> {
    let (place, key) = text.split_once('=').ok_or("`=` and the key are missing")?;
    let (index, rights) = match place.split_once(':') {
        Some((index, rights)) => (index, parse_rights(rights)?),
        None => (place, AdminPermissions::ALL),
    };
    let [reference] = <[Reference; 1]>::try_from(parse_keys(key)?)
        .map_err(|keys| format!("{} keys instead of one", keys.len()))?;
    let data = Admin {
        permissions: rights,
        reference,
    };
    value(index, types::HS_ADMIN, data.encode())
}

/// Reads one `--group`: `INDEX=KEY;KEY…`.
pub(crate) fn parse_group(text: &str) -> Result<Value, String> {
    let (index, keys) = text.split_once('=').ok_or("`=` and the keys are missing")?;
    let data = encode_value_list(&parse_keys(keys)?);
    value(index, types::HS_VLIST, data)
}

fn value(index: &str, kind: &str, data: Vec<u8>) -> Result<Value, String> {
    let index = match index {
        "" => 0,
        given => field::parse_index(given).map_err(|error| error.to_string())?,
    };
    Ok(Value {
        index,
        r#type: kind.to_owned(),
        data: Some(Data::Raw(data)),
        ..Value::default()
    })
}

fn parse_rights(text: &str) -> Result<AdminPermissions, String> {
    let mut rights = AdminPermissions::default();
    for name in text.split('+') {
        let known = RIGHTS.iter().find(|(right, _)| *right == name);
        let (_, right) = known.ok_or_else(|| format!("`{name}` is no right: see --help"))?;
        rights.0 |= right.0;
    }
    Ok(rights)
}

fn parse_keys(text: &str) -> Result<Vec<Reference>, String> {
    let keys = field::parse_references(text).map_err(|error| error.to_string())?;
    let keys = keys.into_iter().map(|key| Reference {
        handle: key.handle,
        index: key.index,
    });
    Ok(keys.collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn raw(value: &Value) -> &[u8] {
        match &value.data {
            Some(Data::Raw(raw)) => raw,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn administrators_and_groups_become_values() {
        let given = parse_administrator("100:modify-value+read-value=300:88.118.8/A=b").unwrap();
        assert_eq!((given.index, given.r#type.as_str()), (100, "HS_ADMIN"));
        let admin = Admin::decode(raw(&given)).unwrap();
        assert_eq!(admin.permissions.0, 0x0410);
        assert_eq!(admin.reference.handle, "88.118.8/A=b");
        assert_eq!(admin.reference.index, 300);

        let all = parse_administrator("=300:0.NA/88.118.8").unwrap();
        assert_eq!(all.index, 0);
        let admin = Admin::decode(raw(&all)).unwrap();
        assert_eq!(admin.permissions, AdminPermissions::ALL);

        let group = parse_group("200=300:0.NA/88.118.8;301:88.118.8/A").unwrap();
        assert_eq!((group.index, group.r#type.as_str()), (200, "HS_VLIST"));
        let members = idnode_proto::handle::decode_value_list(raw(&group)).unwrap();
        assert_eq!(members.len(), 2);
    }

    #[test]
    fn a_mistake_is_named() {
        for (given, part) in [
            ("100", "key are missing"),
            ("100:fly=300:0.NA/88.118.8", "`fly`"),
            ("x=300:0.NA/88.118.8", "`x`"),
            ("100=0.NA/88.118.8", "`0.NA/88.118.8`"),
            ("100=300:a/b;301:a/b", "2 keys"),
        ] {
            let message = parse_administrator(given).unwrap_err();
            assert!(message.contains(part), "{given}: {message}");
        }
        assert!(parse_group("200").is_err());
    }
}
