//! Where secondary nodes resolve what: the documents of `routes.proto`, what they are known by, and
//! what both sides hold them to.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@check`] | what an announcement and a sibling must fulfil, with the field and the reason if one does not |
//! | [`endpoint`] | addresses by service, as messages have them and as programs use them |
//! | [`held`] | a set of siblings, and updates of it |

pub mod check;
pub mod endpoint;
pub mod held;
#[cfg(test)]
mod tests;

pub use check::{MAX_CONFIGURATIONS, MAX_ENDPOINTS, check_announcement, check_sibling};
pub use endpoint::{Ports, Service, endpoints};
pub use held::{Held, Step, UpdateError};

use crate::api::{Announcement, CodeType};
use crate::identifier::Scheme;
use data_encoding::HEXLOWER;
use prost::Message;
use sha2::{Digest, Sha256};

/// How often an update without changes is sent where nothing changes, seconds, at least.
pub const HEARTBEAT_S: u64 = 10;

/// What an announcement's content is known by: SHA-256 in lower-case hex, of the encoding with
/// node, operator and configurations alone.
#[must_use]
pub fn digest(announcement: &Announcement) -> String {
    let content = Announcement {
        node: announcement.node.clone(),
        digest: String::new(),
        operator: announcement.operator.clone(),
        configurations: announcement.configurations.clone(),
        made_at: None,
    };
    HEXLOWER.encode(&Sha256::digest(content.encode_to_vec()))
}

/// The code type of a scheme.
#[must_use]
pub fn code_type(scheme: Scheme) -> CodeType {
    match scheme {
        Scheme::Handle => CodeType::Handle,
        Scheme::Oid => CodeType::Oid,
        Scheme::Gs1 => CodeType::Gs1,
        Scheme::Ecode => CodeType::Ecode,
        Scheme::Vaa => CodeType::Vaa,
        Scheme::Did => CodeType::Did,
    }
}
