//! Handle administrators: who they are, and what HS_ADMIN values and groups let them do.

mod credentials;
mod groups;
mod keys;
mod prefix_values;
mod rights;

use super::support::*;
use crate::prefix::PrefixAction;
use crate::write::{Command, PrefixUpdate, SetMode};
use crate::{Caller, Error, Result};
use idnode_proto::handle::admin::AdminId;
use idnode_proto::handle::{Admin, AdminPermissions, encode_value_list};
use idnode_proto::value::{Permissions, Reference, Value, types};

/// The prefix that has the administrator of most tests, and one that it is to write under.
const HOME: &str = "88.118.8";
const AWAY: &str = "88.118.9";
/// The administrator of most tests.
const ADMIN: &str = "300:0.NA/88.118.8";

/// A node with both prefixes, and [`ADMIN`]'s key among the values of its own.
fn node() -> Node {
    let node = Node::with_prefixes(&[HOME]);
    let other = node.enterprise("two");
    node.activate(AWAY, other);
    node.write(put_on(HOME, vec![secret(300, "geheim")]));
    node
}

fn id(text: &str) -> AdminId {
    text.parse().unwrap()
}

fn reference(text: &str) -> Reference {
    let (index, handle) = text.split_once(':').unwrap();
    Reference {
        handle: handle.into(),
        index: index.parse().unwrap(),
    }
}

/// An HS_ADMIN value.
fn admin(index: u32, rights: AdminPermissions, key: &str) -> Value {
    let data = Admin {
        permissions: rights,
        reference: reference(key),
    };
    stamped(Value::new(index, types::HS_ADMIN, data.encode()))
}

/// An HS_VLIST value.
fn group(index: u32, keys: &[String]) -> Value {
    let keys: Vec<_> = keys.iter().map(|key| reference(key)).collect();
    stamped(Value::new(index, types::HS_VLIST, encode_value_list(&keys)))
}

/// An HS_SECKEY value that only administrators read.
fn secret(index: u32, key: &str) -> Value {
    stamped(Value {
        permissions: Permissions::default_of(types::HS_SECKEY),
        ..Value::new(index, types::HS_SECKEY, key)
    })
}

fn text_value(index: u32, text: &str) -> Value {
    stamped(Value::new(index, "DESC", text))
}

fn stamped(value: Value) -> Value {
    Value {
        timestamp_s: STAMP_S,
        ..value
    }
}

/// Puts values of a prefix's own.
fn put_on(prefix: &str, set: Vec<Value>) -> Command {
    Command::UpdatePrefix(
        PrefixUpdate::new(parsed(prefix), set, Vec::new(), false, None, STAMP_S).unwrap(),
    )
}

fn create_with(identifier: &str, values: Vec<Value>) -> Command {
    let draft = crate::write::Draft::new(identifier.parse().unwrap(), values, None, STAMP_S);
    Command::CreateIdentifier(draft.unwrap())
}

/// A change of a handle's values.
fn change(handle: &str, mode: SetMode, set: Vec<Value>, remove: &[u32]) -> Command {
    let handle = handle.parse().unwrap();
    let remove = remove.to_vec();
    Command::update_handle(handle, set, mode, remove, false, None, None, STAMP_S).unwrap()
}

fn put(handle: &str, set: Vec<Value>) -> Command {
    change(handle, SetMode::Put, set, &[])
}

impl Node {
    /// Whoever proves an administrator's key.
    #[track_caller]
    fn administrator(&self, text: &str) -> Caller {
        let key = self.registry().administrator(&id(text)).unwrap();
        key.unwrap_or_else(|| panic!("{text} has no key")).caller
    }

    fn try_as(&self, caller: &Caller, command: Command) -> Result<()> {
        self.write_as(caller, None, command).map(drop)
    }
}

/// What came of an administrator's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    /// Code 400 of the Handle protocol.
    NotAdministrator,
    /// Code 401.
    NoRight,
}

#[track_caller]
fn fate<T: std::fmt::Debug>(outcome: &Result<T>) -> Fate {
    match outcome {
        Ok(_) => Fate::Done,
        Err(Error::NotAdministrator { .. }) => Fate::NotAdministrator,
        Err(Error::AdministratorRight { .. }) => Fate::NoRight,
        Err(other) => panic!("{other:?}"),
    }
}

fn suspend(node: &Node, prefix: &str) {
    node.write(step(prefix, PrefixAction::Suspend));
}
