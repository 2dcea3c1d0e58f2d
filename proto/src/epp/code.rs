//! Result codes (RFC 5730 section 3).

use std::fmt;

/// A result code: 1000 to 2999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResultCode(u16);

/// Declares codes with the words of RFC 5730.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $text:literal;)+) => {
        impl ResultCode {
            $($(#[doc = $doc])+ pub const $name: Self = Self($number);)+

            /// What the code means, in the words of RFC 5730.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                    _ if self.is_success() => "Command completed successfully",
                    _ => "Command failed",
                }
            }
        }
    };
}

codes! {
    /// Done.
    OK = 1000, "Command completed successfully";
    /// Taken, and waiting for a review.
    PENDING = 1001, "Command completed successfully; action pending";
    /// The queue is empty.
    NO_MESSAGES = 1300, "Command completed successfully; no messages";
    /// A message, to be acknowledged.
    MESSAGE = 1301, "Command completed successfully; ack to dequeue";
    /// The answer to a log-out: the session ends.
    ENDING = 1500, "Command completed successfully; ending session";
    /// No such command.
    UNKNOWN_COMMAND = 2000, "Unknown command";
    /// Not well-formed, or not of the schema.
    SYNTAX = 2001, "Command syntax error";
    /// Not now: not logged in, or logged in already.
    USE = 2002, "Command use error";
    /// Something is missing.
    MISSING = 2003, "Required parameter missing";
    /// A number or choice that is not taken.
    RANGE = 2004, "Parameter value range error";
    /// A value of the wrong form.
    VALUE_SYNTAX = 2005, "Parameter value syntax error";
    /// Another version of the protocol.
    VERSION = 2100, "Unimplemented protocol version";
    /// A command of EPP that is not for these objects.
    UNIMPLEMENTED_COMMAND = 2101, "Unimplemented command";
    /// An option that is not there, such as another language.
    UNIMPLEMENTED_OPTION = 2102, "Unimplemented option";
    /// An extension that is not known.
    UNIMPLEMENTED_EXTENSION = 2103, "Unimplemented extension";
    /// Not paid.
    BILLING = 2104, "Billing failure";
    /// Who logs in is not known.
    AUTHENTICATION = 2200, "Authentication error";
    /// Not this client's to do.
    UNAUTHORISED = 2201, "Authorization error";
    /// It is there already.
    EXISTS = 2302, "Object exists";
    /// It is not there.
    NOT_FOUND = 2303, "Object does not exist";
    /// The state of the object does not allow it.
    STATUS = 2304, "Object status prohibits operation";
    /// What the server does not want.
    POLICY = 2306, "Parameter value policy error";
    /// Objects that are not served.
    UNIMPLEMENTED_OBJECT = 2307, "Unimplemented object service";
    /// The server failed; trying again may help.
    FAILED = 2400, "Command failed";
    /// The server failed, and closes the connection.
    FAILED_CLOSING = 2500, "Command failed; server closing connection";
    /// Too many failed log-ins.
    AUTHENTICATION_CLOSING = 2501, "Authentication error; server closing connection";
    /// Too many sessions.
    SESSION_LIMIT = 2502, "Session limit exceeded; server closing connection";
}

impl ResultCode {
    /// A code by its number; `None`: it is none.
    pub fn new(number: u16) -> Option<Self> {
        (1_000..3_000).contains(&number).then_some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Whether the command was carried out, or will be.
    pub fn is_success(self) -> bool {
        self.0 < 2_000
    }

    /// Whether the fault is the server's or passing, so that the same command may succeed later.
    pub fn is_passing(self) -> bool {
        self.0 >= 2_400
    }

    /// Whether the server closes the connection behind this answer.
    pub fn closes(self) -> bool {
        self.0 == 1_500 || self.0 >= 2_500
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.text())
    }
}
