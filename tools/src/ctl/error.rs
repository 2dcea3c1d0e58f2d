//! The one place where a failure becomes an exit code and a message.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use idnode_proto::handle::ResponseCode;
use serde_json::{Value, json};
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::bulk::read::ReadError;

/// Everything went well.
pub(crate) const EXIT_OK: u8 = 0;
/// A call was refused or failed.
const EXIT_FAILED: u8 = 1;
/// The command line or a file named on it cannot be used.
pub(crate) const EXIT_USAGE: u8 = 2;
/// All was read and sent, and some of it was refused.
const EXIT_PARTLY: u8 = 3;

/// Why a command did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The command line is wrong in a way its grammar does not show.
    #[error("{0}")]
    Usage(String),
    /// A file named on the command line cannot be opened or used.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Reading or writing broke off.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What happened.
        source: io::Error,
    },
    /// No node answers.
    #[error("cannot reach {server}: {reason}")]
    Unreachable {
        /// The URL asked for.
        server: String,
        /// The transport's words.
        reason: String,
    },
    /// The node refused the call, or the call was lost.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The node, or another server, answered what its interface does not allow.
    #[error("{0}")]
    Answer(String),
    /// A long run stopped in the middle and can be taken up again.
    #[error("{cause}\n{hint}")]
    BrokenOff {
        /// Why.
        cause: Box<Failure>,
        /// How to go on.
        hint: String,
    },
    /// What was to be verified does not hold.
    #[error("{0}")]
    NotTrusted(String),
    /// Some items of many were refused; each has been reported where it belongs.
    #[error("{0}")]
    Partly(String),
}

impl Failure {
    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::File { .. } => EXIT_USAGE,
            Self::Partly(_) => EXIT_PARTLY,
            _ => EXIT_FAILED,
        }
    }

    /// Whether whoever read standard output has gone: nothing is left to be said.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The failure as the JSON object that `--json` prints on standard error.
    pub(crate) fn to_json(&self) -> Value {
        let mut error = match self {
            Self::Refused(refusal) => refusal.to_json(),
            Self::BrokenOff { cause, hint } => {
                let mut inner = cause.to_json();
                if let Some(error) = inner.get_mut("error").and_then(Value::as_object_mut) {
                    error.insert("hint".to_owned(), json!(hint));
                }
                return inner;
            }
            Self::Usage(_) => json!({"code": "USAGE", "message": self.to_string()}),
            Self::File { path, reason } => json!({
                "code": "FILE", "message": reason, "metadata": {"path": path.to_string_lossy()},
            }),
            Self::Io { .. } => json!({"code": "IO", "message": self.to_string()}),
            Self::Unreachable { .. } => {
                json!({"code": "UNAVAILABLE", "reason": "UNREACHABLE", "message": self.to_string()})
            }
            Self::Answer(message) => json!({"code": "BAD_ANSWER", "message": message}),
            Self::NotTrusted(message) => json!({"code": "NOT_TRUSTED", "message": message}),
            Self::Partly(message) => json!({"code": "PARTLY", "message": message}),
        };
        if let Some(error) = error.as_object_mut() {
            error.insert("exit_code".to_owned(), json!(self.exit_code()));
        }
        json!({ "error": error })
    }

    /// Whether the same call may succeed when it is made again.
    pub(crate) fn may_be_retried(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.may_be_retried,
            Self::Unreachable { .. } => true,
            _ => false,
        }
    }

    /// A failure to write to standard output.
    pub(crate) fn stdout(source: io::Error) -> Self {
        Self::Io {
            what: "standard output".to_owned(),
            source,
        }
    }

    /// A file's header or contents that cannot be used, or a file that cannot be read on.
    pub(crate) fn reading(path: impl Into<PathBuf>, error: ReadError) -> Self {
        let path = path.into();
        match error {
            ReadError::Io { line, source } => Self::Io {
                what: format!("{}, line {line}", path.display()),
                source,
            },
            header => Self::File {
                path,
                reason: header.to_string(),
            },
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(Refusal::from(status)))
    }
}

/// A refused call: which part of it was wrong, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: &'static str,
    reason: String,
    message: String,
    /// Offending parts of the request, each with what is wrong with it.
    fields: Vec<(String, String)>,
    metadata: BTreeMap<String, String>,
    may_be_retried: bool,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let mut fields = Vec::new();
        for violation in details
            .bad_request()
            .iter()
            .flat_map(|d| &d.field_violations)
        {
            fields.push((violation.field.clone(), violation.description.clone()));
        }
        for violation in details
            .precondition_failure()
            .iter()
            .flat_map(|d| &d.violations)
        {
            fields.push((violation.subject.clone(), violation.description.clone()));
        }
        for violation in details.quota_failure().iter().flat_map(|d| &d.violations) {
            fields.push((violation.subject.clone(), violation.description.clone()));
        }
        let (reason, metadata) = match details.error_info() {
            Some(info) => (
                info.reason.clone(),
                info.metadata.clone().into_iter().collect(),
            ),
            None => (String::new(), BTreeMap::new()),
        };
        if out_of_time(&status) {
            return Self {
                code: code_name(Code::DeadlineExceeded),
                reason,
                message: "no answer in time (--timeout); a write may still happen".to_owned(),
                fields,
                metadata,
                may_be_retried: true,
            };
        }
        // A status with a source was made here, out of a broken connection.
        let lost = status.source().is_some();
        let mut message = status.message().to_owned();
        let mut source = status.source();
        while let Some(cause) = source {
            let words = cause.to_string();
            if !message.contains(&words) {
                message = if message.is_empty() {
                    words
                } else {
                    format!("{message}: {words}")
                };
            }
            source = cause.source();
        }
        // Of a connection that broke in the middle tonic knows no code.
        let code = match status.code() {
            Code::Unknown | Code::Internal if lost => Code::Unavailable,
            code => code,
        };
        Self {
            code: code_name(code),
            reason,
            message,
            fields,
            metadata,
            may_be_retried: lost
                || matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
                || details.retry_info().is_some(),
        }
    }
}

/// Whether the call's own deadline passed here, which tonic calls a cancellation.
fn out_of_time(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(cause) = source {
        if cause.is::<tonic::TimeoutExpired>() {
            return true;
        }
        source = cause.source();
    }
    false
}

impl Refusal {
    /// What a Handle server refused (RFC 3652 §2.2.2.2).
    pub(crate) fn of_handle_server(code: ResponseCode, message: String) -> Self {
        let words = code.words().unwrap_or("unknown code");
        Self {
            code: code_name(kind_of(code)),
            reason: words.to_ascii_uppercase().replace(' ', "_"),
            message: if message.is_empty() {
                words.to_owned()
            } else {
                message
            },
            fields: Vec::new(),
            metadata: BTreeMap::from([("response_code".to_owned(), code.0.to_string())]),
            may_be_retried: false,
        }
    }

    /// Adds a fact.
    pub(crate) fn with(mut self, key: &str, fact: String) -> Self {
        self.metadata.insert(key.to_owned(), fact);
        self
    }

    fn to_json(&self) -> Value {
        let fields: Vec<_> = self
            .fields
            .iter()
            .map(|(field, description)| json!({"field": field, "description": description}))
            .collect();
        json!({
            "code": self.code,
            "reason": self.reason,
            "message": self.message,
            "fields": fields,
            "metadata": self.metadata,
        })
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code)?;
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        for (field, description) in &self.fields {
            write!(f, "\n  {field}: {description}")?;
        }
        for (key, value) in &self.metadata {
            write!(f, "\n  {key} = {value}")?;
        }
        Ok(())
    }
}

/// The `google.rpc.Code` that the node's API would answer with.
fn kind_of(code: ResponseCode) -> Code {
    match code {
        ResponseCode::HANDLE_NOT_FOUND | ResponseCode::VALUES_NOT_FOUND => Code::NotFound,
        ResponseCode::HANDLE_EXISTS | ResponseCode::VALUE_EXISTS => Code::AlreadyExists,
        ResponseCode::INVALID_HANDLE | ResponseCode::INVALID_VALUE => Code::InvalidArgument,
        ResponseCode::BUSY => Code::Unavailable,
        ResponseCode::NOT_SUPPORTED => Code::Unimplemented,
        ResponseCode::INVALID_ADMIN | ResponseCode::NO_PERMISSION => Code::PermissionDenied,
        ResponseCode::AUTHENTICATION_NEEDED
        | ResponseCode::AUTHENTICATION_FAILED
        | ResponseCode::INVALID_CREDENTIAL
        | ResponseCode::AUTHENTICATION_TIMEOUT
        | ResponseCode::UNABLE_TO_AUTHENTICATE => Code::Unauthenticated,
        ResponseCode::DAILY_QUOTA
        | ResponseCode::REGISTRATION_QUOTA
        | ResponseCode::PREFIX_QUOTA => Code::ResourceExhausted,
        _ => Code::FailedPrecondition,
    }
}

/// The name of a `google.rpc.Code`, as documentation spells it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn a_refusal_names_the_part_the_reason_and_the_facts() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("values[2].data", "is not a URL");
        details.set_error_info(
            "INVALID_VALUE",
            "idnode",
            [("index".to_owned(), "3".to_owned())],
        );
        let status =
            Status::with_error_details(Code::InvalidArgument, "the value is refused", details);
        let failure = Failure::from(status);
        assert_eq!(
            failure.to_string(),
            "INVALID_ARGUMENT (INVALID_VALUE): the value is refused\n  \
             values[2].data: is not a URL\n  index = 3"
        );
        assert_eq!(
            failure.to_json(),
            json!({"error": {
                "code": "INVALID_ARGUMENT", "reason": "INVALID_VALUE",
                "message": "the value is refused",
                "fields": [{"field": "values[2].data", "description": "is not a URL"}],
                "metadata": {"index": "3"}, "exit_code": 1,
            }})
        );
        assert!(!failure.may_be_retried());
    }

    #[test]
    fn only_a_lost_call_is_retried() {
        assert!(Failure::from(Status::unavailable("draining")).may_be_retried());
        assert!(!Failure::from(Status::permission_denied("")).may_be_retried());
        assert!(!Failure::from(Status::unknown("")).may_be_retried());
        let lost = Status::from_error(Box::new(io::Error::other("connection reset")));
        let failure = Failure::from(lost);
        assert!(failure.may_be_retried());
        assert_eq!(failure.to_json()["error"]["code"], "UNAVAILABLE");
    }

    #[test]
    fn a_deadline_that_passed_here_is_called_one() {
        let status = Status::from_error(Box::new(tonic::TimeoutExpired(())));
        assert_eq!(status.code(), Code::Cancelled);
        let failure = Failure::from(status);
        assert_eq!(failure.to_json()["error"]["code"], "DEADLINE_EXCEEDED");
        assert!(failure.to_string().contains("--timeout"));
    }
}
