//! What can go wrong, in the domain's words. Each front maps these once to its own terms.

use crate::prefix::PrefixState;
use crate::quota::QuotaKind;
use thiserror::Error as ThisError;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The kind of thing an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// An identifier (标识).
    Identifier,
    /// A prefix (前缀).
    Prefix,
    /// An enterprise (企业).
    Enterprise,
    /// An attribute template (元数据模板).
    Template,
    /// An API key, or an administrator's.
    ApiKey,
    /// A handle administrator with a credential.
    Administrator,
    /// A value of an identifier or of a prefix.
    Value,
    /// A report to the national node.
    Report,
    /// A registration that could not be merged when a takeover was handed back.
    Conflict,
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Identifier => "identifier",
            Self::Prefix => "prefix",
            Self::Enterprise => "enterprise",
            Self::Template => "template",
            Self::ApiKey => "API key",
            Self::Administrator => "administrator",
            Self::Value => "value",
            Self::Report => "report",
            Self::Conflict => "conflict",
        })
    }
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum Error {
    /// A part of the request is wrong whatever the registry's state.
    #[error("{field}: {reason}")]
    Invalid {
        /// The offending part, as a path into the request: `values[2].data`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What the request names is not there.
    #[error("{object} {name} is not registered here")]
    NotFound {
        /// What kind of thing.
        object: Object,
        /// Its name as the caller gave it.
        name: String,
    },
    /// What the request would create is already there.
    #[error("{object} {name} is already registered")]
    Exists {
        /// What kind of thing.
        object: Object,
        /// Its name as the caller gave it.
        name: String,
    },
    /// Somebody else has changed it since the caller read it.
    #[error("{object} {name} is at version {current}, not {expected}")]
    VersionMismatch {
        /// What kind of thing.
        object: Object,
        /// Its name.
        name: String,
        /// The version the caller expected.
        expected: u64,
        /// The version it has; 0 if it does not exist.
        current: u64,
    },
    /// The state of what the request names does not allow it.
    #[error("{object} {name} {reason}")]
    State {
        /// What kind of thing.
        object: Object,
        /// Its name.
        name: String,
        /// Its state and what would be needed.
        reason: String,
    },
    /// Nothing can be registered under the prefix: it is not active (启用).
    #[error("prefix {name} is {}, it must be active (启用)", state.label())]
    PrefixNotActive {
        /// The prefix.
        name: String,
        /// Its state.
        state: PrefixState,
    },
    /// Nothing can be registered under the prefix here: it is served elsewhere.
    #[error("prefix {0} is delegated: register at the node that serves it")]
    PrefixDelegated(String),
    /// Nothing is registered under the prefix here now: the national node does (应急接管).
    #[error(
        "prefix {name} is taken over by the national node (应急接管 {epoch}): it registers until it hands back"
    )]
    TakenOver {
        /// The prefix that is taken over: the one that is written to, or one above it.
        name: String,
        /// The takeover's number.
        epoch: u64,
    },
    /// The caller is known and may not do this.
    #[error("{0}")]
    Denied(String),
    /// A handle administrator asks for what no HS_ADMIN value lets it do: it is none of this
    /// handle's (code 400 of the Handle protocol).
    #[error("{administrator} is no administrator of {name}")]
    NotAdministrator {
        /// Who, as `index:handle`.
        administrator: String,
        /// Of what.
        name: String,
    },
    /// A handle administrator of this handle lacks a right (code 401 of the Handle protocol).
    #[error("administrator {administrator} of {name} may not {right}")]
    AdministratorRight {
        /// Who, as `index:handle`.
        administrator: String,
        /// Of what.
        name: String,
        /// To do what.
        right: String,
    },
    /// The caller is not known.
    #[error("{0}")]
    Unauthenticated(String),
    /// The idempotency key was used before, for something else.
    #[error("idempotency key {0:?} was used for another request")]
    IdempotencyKeyReused(String),
    /// A bound of the node was reached.
    #[error("{what}: at most {limit}")]
    Bound {
        /// What is bounded.
        what: String,
        /// The bound.
        limit: u64,
    },
    /// An enterprise has registered as much as it may.
    #[error("enterprise {enterprise} has reached its quota of {limit} {kind}")]
    Quota {
        /// Which of its limits.
        kind: QuotaKind,
        /// Whose.
        enterprise: String,
        /// The limit.
        limit: u64,
    },
    /// The node takes no writes now; trying again later, or elsewhere, may help.
    #[error("no writes are taken: {0}")]
    Unavailable(String),
    /// The store failed or holds what can't be read.
    #[error("store: {0}")]
    Storage(String),
}

impl Error {
    /// An [`Error::Invalid`].
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// An [`Error::NotFound`].
    pub fn not_found(object: Object, name: impl ToString) -> Self {
        Self::NotFound {
            object,
            name: name.to_string(),
        }
    }

    /// An [`Error::Exists`].
    pub fn exists(object: Object, name: impl ToString) -> Self {
        Self::Exists {
            object,
            name: name.to_string(),
        }
    }

    /// An [`Error::State`].
    pub fn state(object: Object, name: impl ToString, reason: impl Into<String>) -> Self {
        Self::State {
            object,
            name: name.to_string(),
            reason: reason.into(),
        }
    }

    /// The same error, its field placed below `parent`: `data` → `values[2].data`.
    #[must_use]
    pub fn within(self, parent: &str) -> Self {
        match self {
            Self::Invalid { field, reason } if field.is_empty() => Self::Invalid {
                field: parent.to_owned(),
                reason,
            },
            Self::Invalid { field, reason } => Self::Invalid {
                field: format!("{parent}.{field}"),
                reason,
            },
            other => other,
        }
    }

    /// The google.rpc.Code that says the same: what every front maps from.
    pub fn code(&self) -> i32 {
        match self {
            Self::Invalid { .. } => 3,
            Self::NotFound { .. } => 5,
            Self::Exists { .. } | Self::IdempotencyKeyReused(_) => 6,
            Self::Denied(_) | Self::NotAdministrator { .. } | Self::AdministratorRight { .. } => 7,
            Self::Bound { .. } | Self::Quota { .. } => 8,
            Self::State { .. }
            | Self::PrefixNotActive { .. }
            | Self::PrefixDelegated(_)
            | Self::TakenOver { .. } => 9,
            Self::VersionMismatch { .. } => 10,
            Self::Storage(_) => 13,
            Self::Unavailable(_) => 14,
            Self::Unauthenticated(_) => 16,
        }
    }

    /// A stable name for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "INVALID",
            Self::NotFound { object, .. } => match object {
                Object::Identifier => "IDENTIFIER_NOT_FOUND",
                Object::Prefix => "PREFIX_NOT_FOUND",
                Object::Enterprise => "ENTERPRISE_NOT_FOUND",
                Object::Template => "TEMPLATE_NOT_FOUND",
                Object::ApiKey => "API_KEY_NOT_FOUND",
                Object::Administrator => "ADMINISTRATOR_NOT_FOUND",
                Object::Report => "REPORT_NOT_FOUND",
                Object::Conflict => "CONFLICT_NOT_FOUND",
                Object::Value => "VALUE_NOT_FOUND",
            },
            Self::Exists { object, .. } => match object {
                Object::Identifier => "IDENTIFIER_EXISTS",
                Object::Prefix => "PREFIX_EXISTS",
                Object::Enterprise => "ENTERPRISE_EXISTS",
                Object::Template => "TEMPLATE_EXISTS",
                Object::ApiKey => "API_KEY_EXISTS",
                Object::Administrator => "ADMINISTRATOR_EXISTS",
                Object::Report => "REPORT_EXISTS",
                Object::Conflict => "CONFLICT_EXISTS",
                Object::Value => "VALUE_EXISTS",
            },
            Self::VersionMismatch { .. } => "VERSION_MISMATCH",
            Self::State { object, .. } => match object {
                Object::Identifier => "IDENTIFIER_STATE",
                Object::Prefix => "PREFIX_STATE",
                Object::Enterprise => "ENTERPRISE_STATE",
                Object::Template => "TEMPLATE_STATE",
                Object::ApiKey => "API_KEY_STATE",
                Object::Administrator => "ADMINISTRATOR_STATE",
                Object::Report => "REPORT_STATE",
                Object::Conflict => "CONFLICT_STATE",
                Object::Value => "VALUE_STATE",
            },
            Self::PrefixNotActive { .. } => "PREFIX_NOT_ACTIVE",
            Self::PrefixDelegated(_) => "PREFIX_DELEGATED",
            Self::TakenOver { .. } => "PREFIX_TAKEN_OVER",
            Self::Denied(_) => "DENIED",
            Self::NotAdministrator { .. } => "NOT_ADMINISTRATOR",
            Self::AdministratorRight { .. } => "ADMINISTRATOR_RIGHT",
            Self::Unauthenticated(_) => "UNAUTHENTICATED",
            Self::IdempotencyKeyReused(_) => "IDEMPOTENCY_KEY_REUSED",
            Self::Bound { .. } => "BOUND",
            Self::Quota { kind, .. } => match kind {
                QuotaKind::RegistrationsPerDay => "QUOTA_REGISTRATIONS_PER_DAY",
                QuotaKind::Registrations => "QUOTA_REGISTRATIONS",
                QuotaKind::Prefixes => "QUOTA_PREFIXES",
            },
            Self::Unavailable(_) => "UNAVAILABLE",
            Self::Storage(_) => "STORAGE",
        }
    }

    /// The offending part of the request, where there is one.
    pub fn field(&self) -> &str {
        match self {
            Self::Invalid { field, .. } => field,
            Self::NotFound { object, .. }
            | Self::Exists { object, .. }
            | Self::State { object, .. } => match object {
                Object::Identifier => "identifier",
                Object::Prefix => "prefix",
                Object::Enterprise => "enterprise_id",
                Object::Template => "template",
                Object::ApiKey => "id",
                Object::Administrator => "administrator",
                Object::Report => "key",
                Object::Conflict => "id",
                Object::Value => "index",
            },
            Self::PrefixNotActive { .. } | Self::PrefixDelegated(_) | Self::TakenOver { .. } => {
                "prefix"
            }
            Self::VersionMismatch { .. } => "expected_version",
            Self::IdempotencyKeyReused(_) => "idempotency_key",
            _ => "",
        }
    }
}

impl From<rocksdb::Error> for Error {
    fn from(error: rocksdb::Error) -> Self {
        Self::Storage(error.into_string())
    }
}
