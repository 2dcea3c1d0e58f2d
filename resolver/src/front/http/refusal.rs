//! Why a request is not fulfilled, in the Handle protocol's codes, whichever part of the front
//! meets it.

use super::answer::{Answer, Style, status_of};
use super::problem::Problem;
use super::request::{ParameterError, PathError};
use crate::front::code::code_of;
use axum::body::Body;
use axum::http::header;
use axum::http::{Response, StatusCode};
use idnode_proto::handle::ResponseCode;
use idnode_proto::identifier::IdentifierError;
use idnode_registry::Error;

/// A request that is not fulfilled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Decides the HTTP status.
    pub(super) code: ResponseCode,
    /// What was wrong, and with which part.
    pub(super) message: String,
    /// The client has tried too often.
    too_often: bool,
}

impl Refusal {
    /// A refusal.
    pub(super) fn new(code: ResponseCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            too_often: false,
        }
    }

    /// Too many proofs have failed (429, RFC 6585 §4).
    pub(super) fn guessing() -> Self {
        let message = "too many proofs have failed from this network or for this administrator";
        Self {
            too_often: true,
            ..Self::new(ResponseCode::BUSY, message)
        }
    }

    /// When to come again, if that helps.
    pub(super) fn retry_after_s(&self) -> Option<u32> {
        let after_s = if self.too_often { 60 } else { 1 };
        (self.code == ResponseCode::BUSY).then_some(after_s)
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        match self.code {
            _ if self.too_often => StatusCode::TOO_MANY_REQUESTS,
            // Values that are not there are no error to a reader, but to a writer.
            ResponseCode::VALUES_NOT_FOUND => StatusCode::BAD_REQUEST,
            code => status_of(code),
        }
    }

    /// Nobody who may do this has been named, in one of the ways that there are.
    pub(super) fn unauthenticated(reason: &str) -> Self {
        let ways = "taken are Bearer, Handle and, over HTTPS, Basic";
        Self::new(
            ResponseCode::AUTHENTICATION_NEEDED,
            format!("authorization: {reason}; {ways}"),
        )
    }

    /// The node cannot do it now.
    pub(super) fn busy(reason: impl Into<String>) -> Self {
        Self::new(ResponseCode::BUSY, reason)
    }

    /// The API's answer.
    pub(super) fn response(&self, handle: &str, style: Style<'_>) -> Response<Body> {
        let answer = Answer::error(self.code, handle, self.message.as_str());
        let mut response = answer.response_as(self.status(), style);
        if let Some(after_s) = self.retry_after_s() {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, after_s.into());
        }
        response
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match &error {
            Error::Unauthenticated(reason) => Self::unauthenticated(reason),
            Error::Unavailable(reason) => Self::busy(reason.as_str()),
            Error::Storage(reason) => {
                // Its words are about files and belong in the log.
                tracing::error!(reason, "http: the store failed");
                Self::new(ResponseCode::ERROR, "the node's store failed")
            }
            _ => Self::new(code_of(&error), error.to_string()),
        }
    }
}

impl From<ParameterError> for Refusal {
    fn from(error: ParameterError) -> Self {
        Self::new(ResponseCode::PROTOCOL_ERROR, error.to_string())
    }
}

impl From<PathError> for Refusal {
    fn from(error: PathError) -> Self {
        Self::new(ResponseCode::INVALID_HANDLE, error.to_string())
    }
}

impl From<IdentifierError> for Refusal {
    fn from(error: IdentifierError) -> Self {
        let message = format!("{}: {error}", error.part());
        Self::new(ResponseCode::INVALID_HANDLE, message)
    }
}

/// Outside the API.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let bare = |lead: &str| {
            let message = refusal.message.strip_prefix(lead);
            message.unwrap_or(&refusal.message).to_owned()
        };
        match refusal.status() {
            status @ StatusCode::TOO_MANY_REQUESTS => {
                Self::new(status, "too-many-failures", bare(""))
            }
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Self::new(status, "invalid-credential", bare("authorization: "))
                    .part("authorization")
            }
            status @ StatusCode::SERVICE_UNAVAILABLE => Self::new(status, "busy", bare("")),
            StatusCode::BAD_REQUEST => {
                Self::new(StatusCode::BAD_REQUEST, "invalid-request", bare(""))
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store-failed", bare("")),
        }
    }
}
