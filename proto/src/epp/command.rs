//! Commands (RFC 5730 section 2.5).

use super::enterprise::{EnterpriseCheck, EnterpriseCreate, EnterpriseUpdate};
use super::identifier::{IdentifierCreate, IdentifierUpdate, read_names, write_names};
use super::prefix::{PrefixCheck, PrefixCreate};
use super::read::Read;
use super::session::Login;
use super::{NS_ENTERPRISE, NS_IDENTIFIER, NS_PREFIX, NS_PREFIX_OLD, Refused, ResultCode};
use crate::xml::Writer;

/// Shortest and longest name of a transaction (trIDStringType).
const TRANSACTION_CHARS: std::ops::RangeInclusive<usize> = 3..=64;

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The client's name for the transaction (clTRID).
    pub client_id: Option<String>,
    /// What it wants.
    pub operation: Operation,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// To begin a session.
    Login(Login),
    /// To end it.
    Logout,
    /// A message, or to acknowledge one.
    Poll(Poll),
    /// The number of an enterprise.
    CheckEnterprise(EnterpriseCheck),
    /// To register an enterprise.
    CreateEnterprise(Box<EnterpriseCreate>),
    /// To change an enterprise.
    UpdateEnterprise(Box<EnterpriseUpdate>),
    /// Whether a prefix is free.
    CheckPrefix(PrefixCheck),
    /// To apply for a prefix.
    CreatePrefix(PrefixCreate),
    /// Which identifiers are free.
    CheckIdentifiers(Vec<String>),
    /// What is known of an identifier.
    InfoIdentifier(String),
    /// To register an identifier.
    CreateIdentifier(Box<IdentifierCreate>),
    /// To change an identifier.
    UpdateIdentifier(Box<IdentifierUpdate>),
    /// To delete an identifier.
    DeleteIdentifier(String),
}

/// A step with the queue of messages (RFC 5730 section 2.9.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Poll {
    /// The first message.
    Request,
    /// Forget the message of this id.
    Acknowledge(String),
}

impl Operation {
    /// Whether it changes what the server has, so that it must not happen twice.
    pub fn transforms(&self) -> bool {
        match self {
            Self::Login(_) | Self::Logout | Self::Poll(_) => false,
            Self::CheckEnterprise(_) | Self::CheckPrefix(_) => false,
            Self::CheckIdentifiers(_) | Self::InfoIdentifier(_) => false,
            Self::CreateEnterprise(_) | Self::UpdateEnterprise(_) | Self::CreatePrefix(_) => true,
            Self::CreateIdentifier(_) | Self::UpdateIdentifier(_) | Self::DeleteIdentifier(_) => {
                true
            }
        }
    }
}

impl Command {
    /// A command under a transaction's name.
    pub fn new(client_id: impl Into<String>, operation: Operation) -> Self {
        Self {
            client_id: Some(client_id.into()),
            operation,
        }
    }

    pub(super) fn read(command: Read<'_>) -> Result<Self, Refused> {
        let client_id = client_id(command)?;
        let named = |refused: Refused| Refused {
            client_id: client_id.clone(),
            ..refused
        };
        let mut verbs = command
            .children()
            .filter(|it| !matches!(it.name(), "clTRID" | "extension"));
        let (verb, more) = (verbs.next(), verbs.next());
        let Some(verb) = verb.filter(|_| more.is_none()) else {
            let reason = "command holds not one element beside clTRID";
            return Err(named(Refused::new(ResultCode::SYNTAX, reason)));
        };
        if command.child("extension").is_some() {
            let reason = "no extension is known";
            let code = ResultCode::UNIMPLEMENTED_EXTENSION;
            return Err(named(Refused::new(code, reason)));
        }
        let operation = Operation::read(verb).map_err(named)?;
        Ok(Self {
            client_id,
            operation,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("command", &[]);
        self.operation.write(out);
        out.optional("clTRID", self.client_id.as_deref()).close();
    }
}

fn client_id(command: Read<'_>) -> Result<Option<String>, Refused> {
    let Some(text) = command.optional("clTRID")? else {
        return Ok(None);
    };
    let length = text.chars().count();
    if TRANSACTION_CHARS.contains(&length) {
        return Ok(Some(text));
    }
    let reason = format!("clTRID has {length} characters, 3 to 64 are taken");
    Err(Refused::new(ResultCode::VALUE_SYNTAX, reason))
}

impl Operation {
    fn read(verb: Read<'_>) -> Result<Self, Refused> {
        match verb.name() {
            "login" => Login::read(verb).map(Self::Login),
            "logout" => Ok(Self::Logout),
            "poll" => Poll::read(verb).map(Self::Poll),
            "check" | "info" | "create" | "update" | "delete" => {
                let object = verb.only_child()?;
                if object.name() != verb.name() {
                    let reason = format!("{} holds {:.40}", verb.name(), object.name());
                    return Err(Refused::new(ResultCode::SYNTAX, reason));
                }
                Self::of_object(object)
            }
            "transfer" | "renew" => Err(Refused::new(
                ResultCode::UNIMPLEMENTED_COMMAND,
                format!("{} is for none of these objects", verb.name()),
            )),
            other => Err(Refused::new(
                ResultCode::UNKNOWN_COMMAND,
                format!("{other:.40} is no command"),
            )),
        }
    }

    fn of_object(object: Read<'_>) -> Result<Self, Refused> {
        let name = || object.filled("name");
        Ok(match (object.namespace(), object.name()) {
            (NS_ENTERPRISE, "check") => Self::CheckEnterprise(EnterpriseCheck::read(object)?),
            (NS_ENTERPRISE, "create") => {
                Self::CreateEnterprise(Box::new(EnterpriseCreate::read(object)?))
            }
            (NS_ENTERPRISE, "update") => {
                Self::UpdateEnterprise(Box::new(EnterpriseUpdate::read(object)?))
            }
            (NS_PREFIX | NS_PREFIX_OLD, "check") => Self::CheckPrefix(PrefixCheck::read(object)?),
            (NS_PREFIX | NS_PREFIX_OLD, "create") => {
                Self::CreatePrefix(PrefixCreate::read(object)?)
            }
            (NS_IDENTIFIER, "check") => Self::CheckIdentifiers(read_names(object)?),
            (NS_IDENTIFIER, "info") => Self::InfoIdentifier(name()?),
            (NS_IDENTIFIER, "create") => {
                Self::CreateIdentifier(Box::new(IdentifierCreate::read(object)?))
            }
            (NS_IDENTIFIER, "update") => {
                Self::UpdateIdentifier(Box::new(IdentifierUpdate::read(object)?))
            }
            (NS_IDENTIFIER, "delete") => Self::DeleteIdentifier(name()?),
            (NS_ENTERPRISE | NS_PREFIX | NS_PREFIX_OLD, verb) => {
                let reason = format!("{verb} is not for this object");
                return Err(Refused::new(ResultCode::UNIMPLEMENTED_COMMAND, reason));
            }
            (other, _) => {
                let reason = format!("{other:.100?} is not served");
                return Err(Refused::new(ResultCode::UNIMPLEMENTED_OBJECT, reason));
            }
        })
    }

    fn write(&self, out: &mut Writer) {
        match self {
            Self::Login(login) => login.write(out),
            Self::Logout => drop(out.leaf("logout", "")),
            Self::Poll(poll) => poll.write(out),
            Self::CheckEnterprise(it) => within(out, "check", |out| it.write(out)),
            Self::CreateEnterprise(it) => within(out, "create", |out| it.write(out)),
            Self::UpdateEnterprise(it) => within(out, "update", |out| it.write(out)),
            Self::CheckPrefix(it) => within(out, "check", |out| it.write(out)),
            Self::CreatePrefix(it) => within(out, "create", |out| it.write(out)),
            Self::CheckIdentifiers(names) => {
                within(out, "check", |out| {
                    write_names(out, "identifier:check", names)
                });
            }
            Self::InfoIdentifier(name) => {
                within(out, "info", |out| {
                    write_names(out, "identifier:info", [name])
                });
            }
            Self::CreateIdentifier(it) => within(out, "create", |out| it.write(out)),
            Self::UpdateIdentifier(it) => within(out, "update", |out| it.write(out)),
            Self::DeleteIdentifier(name) => {
                within(out, "delete", |out| {
                    write_names(out, "identifier:delete", [name])
                });
            }
        }
    }
}

fn within(out: &mut Writer, verb: &'static str, object: impl FnOnce(&mut Writer)) {
    out.open(verb, &[]);
    object(out);
    out.close();
}

impl Poll {
    fn read(poll: Read<'_>) -> Result<Self, Refused> {
        match (poll.attribute("op"), poll.attribute("msgID")) {
            (Some("req"), _) => Ok(Self::Request),
            (Some("ack"), Some(id)) if !id.is_empty() && id.len() <= 64 => {
                Ok(Self::Acknowledge(id.to_owned()))
            }
            (Some("ack"), Some(_)) => Err(Refused::new(
                ResultCode::VALUE_SYNTAX,
                "msgID is not of 1 to 64 bytes",
            )),
            (Some("ack"), None) => Err(Refused::new(ResultCode::MISSING, "poll ack has no msgID")),
            (None, _) => Err(Refused::new(ResultCode::MISSING, "poll has no op")),
            (Some(other), _) => Err(Refused::new(
                ResultCode::RANGE,
                format!("op is {other:.40?}, not req or ack"),
            )),
        }
    }

    fn write(&self, out: &mut Writer) {
        match self {
            Self::Request => out.leaf_with("poll", &[("op", "req")], ""),
            Self::Acknowledge(id) => out.leaf_with("poll", &[("op", "ack"), ("msgID", id)], ""),
        };
    }
}
