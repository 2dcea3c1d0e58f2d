//! The registry's errors as response codes of the Handle protocol and its HTTP API: decided here
//! for both.

use idnode_proto::handle::ResponseCode;
use idnode_registry::{Error, Object};

/// The code of an error.
pub(super) fn code_of(error: &Error) -> ResponseCode {
    match error {
        Error::Invalid { field, .. } if field.starts_with("identifier") => {
            ResponseCode::INVALID_HANDLE
        }
        Error::Invalid { .. } => ResponseCode::INVALID_VALUE,
        Error::NotFound { object, .. } => match object {
            Object::Identifier => ResponseCode::HANDLE_NOT_FOUND,
            Object::Prefix => ResponseCode::NOT_RESPONSIBLE,
            Object::Value => ResponseCode::VALUES_NOT_FOUND,
            _ => ResponseCode::INVALID_VALUE,
        },
        Error::Exists {
            object: Object::Value,
            ..
        } => ResponseCode::VALUE_EXISTS,
        Error::Exists { .. } => ResponseCode::HANDLE_EXISTS,
        Error::State {
            object: Object::Prefix,
            ..
        }
        | Error::PrefixNotActive { .. }
        | Error::PrefixDelegated(_)
        | Error::TakenOver { .. } => ResponseCode::NOT_RESPONSIBLE,
        Error::NotAdministrator { .. } => ResponseCode::INVALID_ADMIN,
        Error::State { .. } | Error::Denied(_) | Error::AdministratorRight { .. } => {
            ResponseCode::NO_PERMISSION
        }
        // Not 402: one client takes that for success.
        Error::Unauthenticated(_) => ResponseCode::AUTHENTICATION_FAILED,
        Error::Quota { kind, .. } => kind.response_code(),
        // Whoever writes with a version tries again some times before this is said.
        Error::VersionMismatch { .. } | Error::Unavailable(_) => ResponseCode::BUSY,
        Error::Bound { .. } => ResponseCode::INVALID_VALUE,
        Error::IdempotencyKeyReused(_) => ResponseCode::PROTOCOL_ERROR,
        Error::Storage(_) => ResponseCode::ERROR,
    }
}
