//! Provisioning over EPP (RFC 5730) between a secondary node and the national node, as
//! draft-chen-top-level-interface-protocol-03 ("the interface draft") and
//! draft-chen-epp-identifier-mapping-01 ("the mapping draft") map it.
//!
//! | module | holds |
//! |---|---|
//! | [`frame`] | the length before each document on TLS (RFC 5734) |
//! | [`code`] | result codes |
//! | [`session`] | greeting, log-in |
//! | [`command`] | commands |
//! | [`enterprise`], [`prefix`], [`identifier`] | the objects, in commands and in answers |
//! | [`response`] | answers |
//!
//! What a peer sends is read leniently where the drafts contradict themselves, and written in one
//! way: `ent` and `prefix` as the drafts spell the prefixes of namespaces.

pub mod code;
pub mod command;
pub mod enterprise;
pub mod frame;
pub mod identifier;
pub mod prefix;
mod read;
pub mod response;
pub mod session;
#[cfg(test)]
mod tests;

pub use code::ResultCode;
pub use command::{Command, Operation, Poll};
pub use response::{Data, MessageQueue, Response};
pub use session::{Greeting, Login};

use crate::xml::{Element, Limits, Named, Writer};
use read::Read;
use thiserror::Error;

/// Namespace of EPP itself.
pub const NS_EPP: &str = "urn:ietf:params:xml:ns:epp-1.0";
/// Namespace of enterprises.
pub const NS_ENTERPRISE: &str = "urn:ietf:params:xml:ns:idis-ent-1.0";
/// Namespace of enterprises' prefixes.
pub const NS_PREFIX: &str = "urn:ietf:params:xml:ns:idis-entprefix-1.0";
/// What one example of the interface draft (section 3.2.1) has for it: taken, never sent.
pub const NS_PREFIX_OLD: &str = "urn:ietf:params:xml:ns:prefix-1.0";
/// Namespace of identifiers.
pub const NS_IDENTIFIER: &str = "urn:ietf:params:xml:ns:identifier-1.0";

/// The bounds of a document: images of certificates make it long, lists of sites wide.
pub const LIMITS: Limits = Limits {
    bytes: frame::MAX_DOCUMENT_BYTES,
    depth: 16,
    elements: 4_096,
    attributes: 16,
};

/// Why a document is not taken: what a server answers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {reason}")]
pub struct Refused {
    /// The code of the answer.
    pub code: ResultCode,
    /// What is wrong, for people.
    pub reason: String,
    /// The client's transaction, if so much could be read.
    pub client_id: Option<String>,
}

impl Refused {
    /// A document that is refused before its transaction is known.
    pub fn new(code: ResultCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            client_id: None,
        }
    }
}

/// What one document says.
#[allow(
    clippy::large_enum_variant,
    reason = "one is alive for each exchange, and soon taken apart"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// A client asks for a greeting, or keeps its session alive (RFC 5730 section 2.3).
    Hello,
    /// What a server says of itself.
    Greeting(Greeting),
    /// What a client wants.
    Command(Command),
    /// What a server answers.
    Response(Response),
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// What a server would answer to it.
    pub fn parse(document: &[u8]) -> Result<Self, Refused> {
        let syntax = |error: crate::xml::XmlError| {
            Refused::new(ResultCode::SYNTAX, format!("the document {error}"))
        };
        let root = Element::parse_within(document, LIMITS).map_err(syntax)?;
        let root = Named::of(root).map_err(syntax)?;
        if !root.is(NS_EPP, "epp") {
            let reason = format!("the outermost element is not epp of {NS_EPP}");
            return Err(Refused::new(ResultCode::SYNTAX, reason));
        }
        let root = Read::new(&root);
        let inner = root.only_child()?;
        match inner.name() {
            "hello" => Ok(Self::Hello),
            "greeting" => Greeting::read(inner).map(Self::Greeting),
            "command" => Command::read(inner).map(Self::Command),
            "response" => Response::read(inner).map(Self::Response),
            other => Err(Refused::new(
                ResultCode::UNKNOWN_COMMAND,
                format!("{other:.40} is neither hello, greeting, command nor response"),
            )),
        }
    }

    /// The document as it is sent.
    pub fn encode(&self) -> String {
        let mut out = Writer::document();
        out.open("epp", &[("xmlns", NS_EPP)]);
        match self {
            Self::Hello => {
                out.leaf("hello", "");
            }
            Self::Greeting(greeting) => greeting.write(&mut out),
            Self::Command(command) => command.write(&mut out),
            Self::Response(response) => response.write(&mut out),
        }
        out.finish()
    }
}
