//! What is refused, and the one mapping of it to a `google.rpc.Status` with details
//! (ErrorInfo, BadRequest, PreconditionFailure, QuotaFailure, RetryInfo) or to an item's error.

use super::convert::rfc3339;
use crate::front::dns::{KeyError, Refusal};
use crate::recursion::RecursionError;
use crate::resolve::Missing;
use idnode_proto::api;
use idnode_proto::handle::ResponseCode;
use idnode_proto::identifier::IdentifierError;
use idnode_registry::write::ItemError;
use idnode_registry::{Error, Sequence};
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The result of everything in this front.
pub(super) type Result<T> = std::result::Result<T, Refused>;

/// The domain of every ErrorInfo.
const DOMAIN: &str = "idnode";
/// Longest text of an error, bytes: it travels in a header.
const MAX_MESSAGE_BYTES: usize = 512;
/// Longest text of an item's error, bytes: ten thousand of them must fit one message.
pub(super) const MAX_ITEM_MESSAGE_BYTES: usize = 240;
/// When to try again what was UNAVAILABLE.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a call, or an item of one, is not answered.
#[derive(Debug)]
pub(super) enum Refused {
    /// The registry says so.
    Registry(Error),
    /// A text of the request is not an identifier, or not a prefix.
    NotIdentifier {
        /// Its place in the request.
        field: String,
        /// What is wrong with it.
        error: IdentifierError,
    },
    /// The keys of signed zones stay as they are.
    Keys(KeyError),
    /// There is no answer to a resolution.
    Missing {
        /// Why.
        missing: Missing,
        /// The identifier as it was asked for.
        name: String,
    },
    /// Others were asked, and gave no answer.
    Elsewhere(RecursionError),
    /// The change log has been trimmed beyond what is asked for.
    Forgotten {
        /// The oldest entry it keeps.
        oldest: Sequence,
    },
    /// The call took too long. A write may still happen.
    Deadline(Duration),
    /// A stream's other side has failed.
    Transport(Status),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Registry(error)
    }
}

impl From<RecursionError> for Refused {
    fn from(error: RecursionError) -> Self {
        Self::Elsewhere(error)
    }
}

impl From<KeyError> for Refused {
    fn from(error: KeyError) -> Self {
        Self::Keys(error)
    }
}

/// Everything a client is told.
struct Facts {
    code: Code,
    reason: &'static str,
    message: String,
    /// The offending part of the request and what is wrong with it.
    violation: Option<(String, String)>,
    /// What is in a state that does not allow the call.
    precondition: Option<String>,
    /// Whose quota is used up.
    quota: Option<String>,
    metadata: Vec<(&'static str, String)>,
}

impl Facts {
    fn new(code: Code, reason: &'static str, message: String) -> Self {
        Self {
            code,
            reason,
            message,
            violation: None,
            precondition: None,
            quota: None,
            metadata: Vec::new(),
        }
    }
}

impl Refused {
    /// The call's status.
    pub fn into_status(self) -> Status {
        let facts = match self {
            Self::Transport(status) => return status,
            refused => refused.facts(),
        };
        let mut details = ErrorDetails::new();
        let metadata: HashMap<String, String> = facts
            .metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), clipped(value, MAX_MESSAGE_BYTES)))
            .collect();
        details.set_error_info(facts.reason, DOMAIN, metadata);
        let message = clipped(facts.message, MAX_MESSAGE_BYTES);
        if let Some((field, description)) = facts.violation {
            details.add_bad_request_violation(field, clipped(description, MAX_MESSAGE_BYTES));
        }
        if let Some(subject) = facts.precondition {
            let subject = clipped(subject, MAX_MESSAGE_BYTES);
            details.add_precondition_failure_violation(facts.reason, subject, message.clone());
        }
        if let Some(subject) = facts.quota {
            details.add_quota_failure_violation(subject, message.clone());
        }
        if facts.code == Code::Unavailable {
            details.set_retry_info(Some(RETRY_DELAY));
        }
        Status::with_error_details(facts.code, message, details)
    }

    /// The error of one item, its field below `parent`.
    pub fn into_item(self, parent: &str) -> api::Error {
        let facts = self.facts();
        let field = facts.violation.map(|(field, _)| field).unwrap_or_default();
        api::Error {
            code: facts.code as i32,
            reason: facts.reason.to_owned(),
            message: clipped(facts.message, MAX_ITEM_MESSAGE_BYTES),
            field: if parent.is_empty() || field.is_empty() {
                field
            } else {
                format!("{parent}.{field}")
            },
        }
    }

    /// The error of an import's item, for the registry to keep with the chunk's results.
    pub fn into_import_item(self) -> ItemError {
        let api::Error {
            code,
            reason,
            message,
            field,
        } = self.into_item("");
        ItemError {
            code,
            reason,
            field,
            message,
        }
    }

    /// What it is counted as.
    pub fn outcome(&self) -> Outcome {
        match self.code() {
            Code::NotFound => Outcome::NotFound,
            Code::Internal | Code::Unavailable | Code::DeadlineExceeded | Code::Unknown => {
                Outcome::Failed
            }
            _ => Outcome::Refused,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Registry(error) => Code::from_i32(error.code()),
            Self::NotIdentifier { .. } => Code::InvalidArgument,
            Self::Keys(error) => key_code(error),
            Self::Missing {
                missing: Missing::PrefixNotActive(_),
                ..
            } => Code::FailedPrecondition,
            Self::Missing { .. } => Code::NotFound,
            Self::Elsewhere(error) => recursion_code(error).0,
            Self::Forgotten { .. } => Code::OutOfRange,
            Self::Deadline(_) => Code::DeadlineExceeded,
            Self::Transport(status) => status.code(),
        }
    }

    fn facts(self) -> Facts {
        let code = self.code();
        match self {
            Self::Registry(error) => registry_facts(code, error),
            Self::NotIdentifier { field, error } => {
                let mut facts = Facts::new(code, "INVALID", format!("{field}: {error}"));
                facts.metadata.push(("part", error.part().to_owned()));
                facts.violation = Some((field, error.to_string()));
                facts
            }
            Self::Keys(error) => key_facts(code, &error),
            Self::Missing { missing, name } => missing_facts(code, missing, &name),
            Self::Elsewhere(error) => Facts::new(code, recursion_code(&error).1, error.to_string()),
            Self::Forgotten { oldest } => {
                let message = format!("the change log is kept from sequence {oldest} on");
                let mut facts = Facts::new(code, "SEQUENCE_FORGOTTEN", message.clone());
                facts.metadata.push(("oldest_sequence", oldest.to_string()));
                facts.violation = Some(("from_sequence".to_owned(), message));
                facts
            }
            Self::Deadline(after) => {
                metrics::counter!("idnode_bound_hits_total", "bound" => "limits.request_deadline_ms").increment(1);
                let message = format!(
                    "not done within {} ms; a write may still happen",
                    after.as_millis()
                );
                Facts::new(code, "DEADLINE", message)
            }
            Self::Transport(status) => Facts::new(code, "TRANSPORT", status.message().to_owned()),
        }
    }
}

fn registry_facts(code: Code, error: Error) -> Facts {
    let mut facts = Facts::new(code, error.reason(), error.to_string());
    let description = match &error {
        Error::Invalid { reason, .. } => reason.clone(),
        Error::Storage(reason) => {
            // Its words are about files and belong in the log.
            tracing::error!(reason, "the store failed");
            facts.message = "the node's store failed".to_owned();
            return facts;
        }
        Error::State { object, name, .. } => {
            facts.precondition = Some(format!("{object} {name}"));
            facts.message.clone()
        }
        Error::PrefixNotActive { name, .. } | Error::PrefixDelegated(name) => {
            facts.precondition = Some(format!("prefix {name}"));
            facts.message.clone()
        }
        Error::TakenOver { name, epoch } => {
            facts.metadata.push(("epoch", epoch.to_string()));
            facts.precondition = Some(format!("prefix {name}"));
            facts.message.clone()
        }
        Error::VersionMismatch { current, .. } => {
            facts
                .metadata
                .push(("current_version", current.to_string()));
            facts.message.clone()
        }
        Error::Quota {
            enterprise, limit, ..
        } => {
            facts.metadata.push(("limit", limit.to_string()));
            facts.quota = Some(format!("enterprise {enterprise}"));
            return facts;
        }
        Error::Bound { limit, .. } => {
            facts.metadata.push(("limit", limit.to_string()));
            return facts;
        }
        _ => facts.message.clone(),
    };
    if !error.field().is_empty() {
        facts.violation = Some((error.field().to_owned(), description));
    }
    facts
}

fn recursion_code(error: &RecursionError) -> (Code, &'static str) {
    match error {
        RecursionError::NoWay => (Code::NotFound, "PREFIX_NOT_FOUND"),
        RecursionError::TooDeep | RecursionError::Circle => {
            (Code::FailedPrecondition, "RECURSION_LIMIT")
        }
        RecursionError::Busy => (Code::Unavailable, "RECURSION_BUSY"),
        RecursionError::Service { .. } => (Code::FailedPrecondition, "SERVICE_NOT_FOUND"),
        RecursionError::Unreachable { .. } => (Code::Unavailable, "RECURSION_UNREACHABLE"),
        RecursionError::Refused { .. } if error.code() == ResponseCode::NOT_RESPONSIBLE => {
            (Code::NotFound, "PREFIX_NOT_FOUND")
        }
        RecursionError::Refused { .. } => (Code::Unavailable, "RECURSION_REFUSED"),
    }
}

fn key_code(error: &KeyError) -> Code {
    match error {
        KeyError::UnknownZone(_) => Code::NotFound,
        KeyError::Refused { refusal, .. } => match refusal {
            Refusal::Unknown => Code::NotFound,
            Refusal::TooMany => Code::ResourceExhausted,
            Refusal::State { .. } | Refusal::TooEarly { .. } | Refusal::LastActive(_) => {
                Code::FailedPrecondition
            }
        },
        KeyError::Store(_) | KeyError::Crypto(_) => Code::Internal,
    }
}

fn key_facts(code: Code, error: &KeyError) -> Facts {
    let message = error.to_string();
    let (reason, field) = match error {
        KeyError::UnknownZone(_) => ("ZONE_NOT_FOUND", "zone"),
        KeyError::Refused { refusal, .. } => match refusal {
            Refusal::Unknown => ("DNSSEC_KEY_NOT_FOUND", "key_tag"),
            Refusal::TooMany => ("BOUND", "zone"),
            Refusal::State { .. } => ("DNSSEC_KEY_STATE", "key_tag"),
            Refusal::TooEarly { .. } => ("DNSSEC_TOO_EARLY", "key_tag"),
            Refusal::LastActive(_) => ("DNSSEC_LAST_ACTIVE_KEY", "key_tag"),
        },
        KeyError::Store(_) | KeyError::Crypto(_) => {
            // Its words are about files and belong in the log.
            tracing::error!(%error, "the keys of signed zones cannot be changed");
            return Facts::new(code, "STORAGE", "the node's key store failed".to_owned());
        }
    };
    let mut facts = Facts::new(code, reason, message.clone());
    if let KeyError::Refused { zone, tag, refusal } = error {
        if let Refusal::TooEarly { wait_s, .. } = refusal {
            facts.metadata.push(("wait_s", wait_s.to_string()));
        }
        if code == Code::FailedPrecondition {
            facts.precondition = Some(format!("DNSSEC key {tag} of {zone}"));
        }
    }
    facts.violation = Some((field.to_owned(), message));
    facts
}

fn missing_facts(code: Code, missing: Missing, name: &str) -> Facts {
    match missing {
        Missing::Identifier => Facts::new(
            code,
            "IDENTIFIER_NOT_FOUND",
            format!("identifier {name} is not registered"),
        ),
        Missing::Deleted {
            version,
            at_ms,
            reason,
        } => {
            let at = rfc3339(at_ms);
            let mut facts = Facts::new(
                code,
                "IDENTIFIER_DELETED",
                format!("identifier {name} was deleted at {at}"),
            );
            facts.metadata = vec![
                ("deleted_at", at),
                ("version", version.to_string()),
                ("deletion_reason", reason),
            ];
            facts
        }
        Missing::Prefix => Facts::new(
            code,
            "PREFIX_NOT_FOUND",
            format!("the prefix of {name} is not registered here"),
        ),
        Missing::PrefixNotActive(state) => {
            let message = format!("the prefix of {name} is {}", state.label());
            let mut facts = Facts::new(code, "PREFIX_NOT_ACTIVE", message);
            facts.precondition = Some(format!("prefix of {name}"));
            facts
        }
    }
}

/// What a call is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answered.
    Ok,
    /// Answered with where to ask.
    Referral,
    /// What it names is not there.
    NotFound,
    /// The call was wrong, or not allowed.
    Refused,
    /// The node failed, or was too slow.
    Failed,
}

/// The first so many bytes of a text, cut between characters.
pub(super) fn clipped(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "标".repeat(400);
        let cut = clipped(text.clone(), MAX_MESSAGE_BYTES);
        assert_eq!(cut.len(), 510 + "…".len());
        assert!(text.starts_with(cut.trim_end_matches('…')));
        assert_eq!(clipped("short".into(), MAX_MESSAGE_BYTES), "short");
    }

    #[test]
    fn the_store_s_words_stay_on_the_node() {
        let status =
            Refused::from(Error::Storage("/var/lib/idnode/000042.sst: gone".into())).into_status();
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("/var"), "{}", status.message());
        assert!(!format!("{:?}", status.get_error_details()).contains("/var"));
    }
}
