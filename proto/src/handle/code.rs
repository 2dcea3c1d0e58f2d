//! The numbers of operations and results (RFC 3652 §2.2.2.1, §2.2.2.2, and what running servers
//! and the Chinese SDKs add). Both types hold any number, so that an unknown one can be passed
//! on and reported.

use std::fmt;

/// What a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpCode(pub u32);

/// How a request ended; 0 in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseCode(pub u32);

/// Defines the named numbers of a code type and its lookup by number.
macro_rules! codes {
    ($type:ident: $($name:ident = $number:literal, $words:literal;)*) => {
        impl $type {
            $(
                #[doc = concat!(stringify!($number), ": ", $words, ".")]
                pub const $name: Self = Self($number);
            )*

            /// Every number with a meaning.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code in words, if it has a meaning.
            pub fn words(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($words),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $type {
            /// The words and the number; the number alone when it has no meaning.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.words() {
                    Some(words) => write!(f, "{words} ({})", self.0),
                    None => write!(f, "{}", self.0),
                }
            }
        }
    };
}

codes! { OpCode:
    RESERVED = 0, "reserved";
    RESOLVE = 1, "resolve";
    SITE_INFO = 2, "site information";
    CREATE = 100, "create handle";
    DELETE = 101, "delete handle";
    ADD_VALUE = 102, "add values";
    REMOVE_VALUE = 103, "remove values";
    MODIFY_VALUE = 104, "modify values";
    LIST_HANDLES = 105, "list handles";
    LIST_PREFIXES_RFC = 106, "list prefixes, by the RFC's number";
    CHALLENGE_ANSWER = 200, "answer to a challenge";
    VERIFY_ANSWER = 201, "verify an answer to a challenge";
    HOME_PREFIX = 300, "home prefix";
    UNHOME_PREFIX = 301, "unhome prefix";
    LIST_PREFIXES = 302, "list prefixes";
    SESSION_SETUP = 400, "set up session";
    SESSION_TERMINATE = 401, "terminate session";
    SESSION_EXCHANGE_KEY = 402, "exchange session key";
    NEXT_TRANSACTION = 1000, "next transaction number";
    RETRIEVE_TRANSACTIONS = 1001, "retrieve transactions";
    DUMP_HANDLES = 1002, "dump handles";
    BACKUP = 1003, "back up the server";
    LOGIN_PASSWORD = 2000, "log in with name and password";
    LOGIN = 2001, "log in";
}

impl OpCode {
    /// Whether it is a step to a session's key, before which nothing can be encrypted.
    pub fn begins_session(self) -> bool {
        matches!(self, Self::SESSION_SETUP | Self::SESSION_EXCHANGE_KEY)
    }

    /// Whether it is served over connections alone: changes, since no challenge is answered reliably
    /// over datagrams; lists, which take many messages; log-ins, which are a connection's.
    pub fn needs_connection(self) -> bool {
        matches!(
            self,
            Self::CREATE
                | Self::DELETE
                | Self::ADD_VALUE
                | Self::REMOVE_VALUE
                | Self::MODIFY_VALUE
                | Self::LIST_HANDLES
                | Self::LIST_PREFIXES_RFC
                | Self::HOME_PREFIX
                | Self::UNHOME_PREFIX
                | Self::LIST_PREFIXES
                | Self::NEXT_TRANSACTION
                | Self::RETRIEVE_TRANSACTIONS
                | Self::DUMP_HANDLES
                | Self::BACKUP
                | Self::LOGIN_PASSWORD
                | Self::LOGIN
        )
    }
}

codes! { ResponseCode:
    NONE = 0, "request";
    SUCCESS = 1, "success";
    ERROR = 2, "error";
    BUSY = 3, "server busy";
    PROTOCOL_ERROR = 4, "protocol error";
    NOT_SUPPORTED = 5, "operation not supported";
    RECURSION_LIMIT = 6, "recursion too deep";
    BACKUP = 7, "server backing up";
    HANDLE_NOT_FOUND = 100, "handle not found";
    HANDLE_EXISTS = 101, "handle exists";
    INVALID_HANDLE = 102, "invalid handle";
    VALUES_NOT_FOUND = 200, "values not found";
    VALUE_EXISTS = 201, "value exists";
    INVALID_VALUE = 202, "invalid value";
    STALE_SITE = 300, "site information out of date";
    NOT_RESPONSIBLE = 301, "server not responsible";
    SERVICE_REFERRAL = 302, "referral to another service";
    PREFIX_REFERRAL = 303, "referral for the prefix";
    INVALID_ADMIN = 400, "invalid administrator";
    NO_PERMISSION = 401, "insufficient permissions";
    AUTHENTICATION_NEEDED = 402, "authentication needed";
    AUTHENTICATION_FAILED = 403, "authentication failed";
    INVALID_CREDENTIAL = 404, "invalid credential";
    AUTHENTICATION_TIMEOUT = 405, "authentication timed out";
    UNABLE_TO_AUTHENTICATE = 406, "unable to authenticate";
    LOG_IN_AGAIN = 407, "log in again";
    LOG_IN_FIRST = 408, "log in first";
    SESSION_TIMEOUT = 500, "session timed out";
    SESSION_FAILED = 501, "session failed";
    NO_SESSION_KEY = 502, "no session key";
    SESSION_NOT_SUPPORTED = 503, "session not supported";
    INVALID_SESSION_KEY = 504, "invalid session key";
    REPEATED_MESSAGE = 505, "session message repeated";
    CODE_601 = 601, "code 601, known to the Chinese SDKs";
    CODE_602 = 602, "code 602, known to the Chinese SDKs";
    DAILY_QUOTA = 603, "daily quota used up";
    REGISTRATION_QUOTA = 604, "registration quota used up";
    PREFIX_QUOTA = 605, "prefix quota used up";
    TRYING = 900, "request under processing";
    FORWARDED = 901, "request forwarded";
    QUEUED = 902, "request queued";
    CODE_3001 = 3001, "code 3001, known to the ID-SDK alone";
}

impl ResponseCode {
    /// Whether the request was fulfilled.
    pub fn is_success(self) -> bool {
        self == Self::SUCCESS
    }

    /// Whether every client in the field knows the code. The netty stack of id-pointer-sdk waits
    /// for ever on any other, so a server sends no others.
    pub fn known_to_clients(self) -> bool {
        matches!(self.0, 1..=7 | 100..=102 | 200..=202 | 300..=303 | 400..=406 | 500..=505 | 601..=605)
    }
}
