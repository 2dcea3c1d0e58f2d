//! Operations that change the registry, as its commands: the one write path of every front.

use idnode_proto::handle::OpFlags;
use idnode_proto::handle::body::Operation;
use idnode_proto::handle::body::change::ValuesRequest;
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::value::Value;
use idnode_registry::prefix::{PrefixAction, PrefixState};
use idnode_registry::write::{Command, Draft, PrefixDraft, SetMode};
use idnode_registry::{Error, Object, Registry, Result};

/// Random bytes of a suffix that is made here: 80 bits, 16 letters and digits.
const MINTED_BYTES: usize = 10;

/// A change and the handle it is of.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) command: Command,
    /// What to do instead where the handle is registered already.
    pub(super) or_else: Option<Command>,
    /// The handle that was made for the client.
    pub(super) minted: Option<String>,
}

impl From<Command> for Change {
    fn from(command: Command) -> Self {
        Self {
            command,
            or_else: None,
            minted: None,
        }
    }
}

/// The change that an operation asks for; `None`: it asks for none.
///
/// # Errors
/// [`Error::Invalid`], and [`Error::Denied`] for what is not done to prefixes this way.
pub(super) fn change(
    operation: &Operation<'_>,
    flags: OpFlags,
    registry: &Registry,
    now_s: u32,
) -> Result<Option<Change>> {
    let overwrite = flags.contains(OpFlags::OVERWRITE);
    let mode = |mode| if overwrite { SetMode::Put } else { mode };
    let update = |handle: &str, set, mode, remove| {
        let identifier = identifier(handle)?;
        Command::update_handle(identifier, set, mode, remove, false, None, None, now_s)
    };
    let command = match operation {
        Operation::Create(request) => {
            return create(request, flags, now_s).map(Some);
        }
        Operation::Delete(request) => {
            let identifier = identifier(request.handle)?;
            if identifier.prefix_handle().is_some() {
                return Err(Error::Denied("a prefix is not deleted as a handle".into()));
            }
            Command::DeleteIdentifier {
                identifier,
                reason: String::new(),
                expected_version: None,
            }
        }
        Operation::AddValues(it) => update(it.handle, values(it), mode(SetMode::Add), vec![])?,
        Operation::ModifyValues(it) => {
            update(it.handle, values(it), mode(SetMode::Modify), vec![])?
        }
        Operation::RemoveValues(it) => update(it.handle, vec![], SetMode::Put, it.indexes.clone())?,
        Operation::HomePrefix(it) => home(prefix(it.handle)?, registry)?,
        Operation::UnhomePrefix(it) => transition(prefix(it.handle)?, PrefixAction::Suspend),
        _ => return Ok(None),
    };
    Ok(Some(command.into()))
}

fn create(request: &ValuesRequest<'_>, flags: OpFlags, now_s: u32) -> Result<Change> {
    let mint = flags.contains(OpFlags::MINT);
    let minted = if mint {
        Some(minted(request.handle)?)
    } else {
        None
    };
    let identifier = identifier(minted.as_deref().unwrap_or(request.handle))?;
    let values = values(request);
    if let Some(prefix) = identifier.prefix_handle() {
        if mint {
            return Err(Error::Denied(
                "the name of a prefix is not made here".into(),
            ));
        }
        return apply(identifier, prefix, values, flags, now_s);
    }
    let overwrite = flags.contains(OpFlags::OVERWRITE) && !mint;
    let or_else = if overwrite {
        let (of, set) = (identifier.clone(), values.clone());
        let command =
            Command::update_handle(of, set, SetMode::Put, vec![], true, None, None, now_s)?;
        Some(command)
    } else {
        None
    };
    let draft = Draft::new(identifier, values, None, now_s)?;
    Ok(Change {
        command: Command::CreateIdentifier(draft),
        or_else,
        minted,
    })
}

/// A prefix is not created: it is applied for.
fn apply(
    handle: Identifier,
    prefix: Prefix,
    values: Vec<Value>,
    flags: OpFlags,
    now_s: u32,
) -> Result<Change> {
    let or_else = match flags.contains(OpFlags::OVERWRITE) && !values.is_empty() {
        true => {
            let set = values.clone();
            let mode = SetMode::Put;
            let update = Command::update_handle(handle, set, mode, vec![], true, None, None, now_s);
            Some(update?)
        }
        false => None,
    };
    let draft = PrefixDraft::new(prefix, values, now_s)?;
    Ok(Change {
        command: Command::CreatePrefix(draft),
        or_else,
        minted: None,
    })
}

/// What a client gives, with a suffix of its own behind it.
fn minted(start: &str) -> Result<String> {
    let mut random = [0; MINTED_BYTES];
    getrandom::fill(&mut random)
        .map_err(|error| Error::Storage(format!("no randomness: {error}")))?;
    let suffix = data_encoding::BASE32_NOPAD.encode(&random);
    let separator = if start.contains('/') { "" } else { "/" };
    Ok(format!("{start}{separator}{suffix}"))
}

/// A value's timestamp says when it changed here (RFC 3651 §3.1): the client's is passed over.
fn values(request: &ValuesRequest<'_>) -> Vec<Value> {
    let values = request.values().map(|value| Value {
        timestamp_s: 0,
        ..value.to_owned()
    });
    values.collect()
}

pub(super) fn identifier(handle: &str) -> Result<Identifier> {
    Identifier::parse(handle).map_err(|error| Error::invalid("identifier", error.to_string()))
}

/// The prefix that `0.NA/88.118.8`, or `88.118.8`, names.
pub(super) fn prefix(handle: &str) -> Result<Prefix> {
    identifier(handle)?
        .prefix_handle()
        .ok_or_else(|| Error::invalid("identifier", "is not the handle of a prefix, 0.NA/…"))
}

/// Serves a prefix here again, from wherever it was put.
fn home(prefix: Prefix, registry: &Registry) -> Result<Command> {
    let entry = registry.prefixes().get(prefix.key());
    let entry = entry.ok_or_else(|| Error::not_found(Object::Prefix, &prefix))?;
    Ok(match entry.record.state() {
        PrefixState::Suspended => transition(prefix, PrefixAction::Resume),
        _ => Command::SetDelegation {
            prefix,
            delegation: None,
            expected_version: None,
        },
    })
}

fn transition(prefix: Prefix, action: PrefixAction) -> Command {
    Command::TransitionPrefix {
        prefix,
        action,
        message: String::new(),
        expected_version: None,
    }
}
