//! What the national node has registered meanwhile, read from the wire.

use crate::write::MAX_RECORD_BYTES;
use crate::{Error, Result};
use idnode_proto::api::{TakeoverOperation, TakeoverRegistration};
use idnode_proto::identifier::Identifier;
use idnode_proto::value::{MAX_VALUES, Value, Values};

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// It was registered.
    Create(Content),
    /// This is all it has afterwards.
    Modify(Content),
    /// It was deleted, for a reason.
    Delete(String),
}

/// What an identifier has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its values, ascending by index.
    pub values: Vec<Value>,
    /// Its template.
    pub template: Option<String>,
}

/// A registration made by the national node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Of what.
    pub identifier: Identifier,
    /// What was done.
    pub operation: Operation,
    /// The last entry of the log here that the national node had been told of.
    pub known_sequence: u64,
}

impl Registration {
    /// Reads one; `own_log` is the name of the log here.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the part: it can never be merged.
    pub fn read(wire: &TakeoverRegistration, own_log: &[u8]) -> Result<Self> {
        let identifier = Identifier::parse(&wire.identifier)
            .map_err(|error| Error::invalid("identifier", error.to_string()))?;
        let operation = match wire.operation() {
            TakeoverOperation::Create => Operation::Create(content(wire)?),
            TakeoverOperation::Modify => Operation::Modify(content(wire)?),
            TakeoverOperation::Delete => Operation::Delete(wire.reason.clone()),
            TakeoverOperation::Unspecified => {
                let reason = format!("{} is none", wire.operation);
                return Err(Error::invalid("operation", reason));
            }
        };
        Ok(Self {
            identifier,
            operation,
            known_sequence: match wire.known_log == own_log {
                true => wire.known_sequence,
                false => 0,
            },
        })
    }
}

fn content(wire: &TakeoverRegistration) -> Result<Content> {
    let length = wire.values.len();
    if length > MAX_RECORD_BYTES {
        let reason = format!("{length} bytes, at most {MAX_RECORD_BYTES} are taken");
        return Err(Error::invalid("values", reason));
    }
    let mut values = Vec::new();
    for value in Values::all(&wire.values) {
        let value = value.map_err(|error| Error::invalid("values", error.to_string()))?;
        if values.len() == MAX_VALUES {
            let reason = format!("more than {MAX_VALUES}");
            return Err(Error::invalid("values", reason));
        }
        values.push(value.to_owned());
    }
    values.sort_by_key(|value| value.index);
    Ok(Content {
        values,
        template: Some(wire.template.clone()).filter(|name| !name.is_empty()),
    })
}
