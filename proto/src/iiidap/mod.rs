//! IIIDAP, the protocol that registration data of nodes and enterprises is asked for with, and
//! its plain view over WHOIS: documents and queries, without I/O.
//!
//! It follows the drafts of CAICT, named here by the words in brackets:
//!
//! | draft | says |
//! |---|---|
//! | `draft-ma-identifier-access-http-03` \[HTTP\] | methods, status codes, redirects, CORS |
//! | `draft-mcd-identifier-access-query-03` \[QUERY\] | paths, search patterns, how names compare |
//! | `draft-mcd-identifier-access-responce-04` \[RESPONSES\] | the JSON documents |
//! | `draft-mcd-identifier-access-authority-03` \[AUTHORITY\] | the bootstrap registry |
//! | `draft-mcd-identifier-access-security-03` \[SECURITY\] | tiered access, Basic and Digest |
//!
//! | module | holds |
//! |---|---|
//! | `document` | the documents, written and read |
//! | `query` | a path with its parameters, or a line of WHOIS |
//! | `pattern` | search patterns, and the form in which names are compared |
//! | `bootstrap` | who is authoritative for which identifiers |
//! | `plain` | a document as lines of text |

mod bootstrap;
mod document;
mod pattern;
mod plain;
mod query;
#[cfg(test)]
mod tests;

pub use bootstrap::{Authority, Bootstrap, Service, labels};
pub use document::{
    Contact, Document, DocumentError, LegalPerson, Link, Node, Notice, Photo, Registration,
};
pub use pattern::{Pattern, PatternError, folded};
pub use plain::plain;
pub use query::{Query, QueryError, Subject};

/// Media type of every answer but the bootstrap registry's (RESPONSES §10.1).
pub const MEDIA_TYPE: &str = "application/iiidap+json";

/// Conformance with RESPONSES, its §4.1.
pub const LEVEL_0: &str = "iiidap_level_0";

/// Longest document that is read, bytes: a thousand registrations with everything in them.
pub const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// `status` of what is registered and in force (RESPONSES §5).
pub const STATUS_OK: &str = "ok";

/// `status` of what is registered and out of force (RESPONSES §5).
pub const STATUS_HOLD: &str = "hold";
