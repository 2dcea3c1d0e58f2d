//! What is asked.

use idnode_proto::identifier::Identifier;
use idnode_registry::Caller;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// The identifier.
    pub identifier: &'a Identifier,
    /// Which of its values.
    pub filter: &'a Filter,
    /// Who asks.
    pub caller: &'a Caller,
    /// Leave non-public values out even for those who may read them.
    pub public_only: bool,
}

/// Which values are asked for: those whose type or whose index is named; all if none is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Value types, compared without regard to ASCII case. A type ending in `.` asks for all
    /// types that begin with it (RFC 3652 §3.2.1).
    pub types: Vec<String>,
    /// Value indexes.
    pub indexes: Vec<u32>,
}

impl Filter {
    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty() && self.indexes.is_empty()
    }
}
