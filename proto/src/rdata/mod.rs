//! Values that hold the data of a DNS record as a zone file has it (RFC 1035 §5.1), and that
//! data in wire form.
//!
//! | value type | data | example |
//! |---|---|---|
//! | `PTR` | a domain name (RFC 1035 §3.3.12) | `host.example.cn.` |
//! | `SVCB` | priority, target, parameters (RFC 9460 §2.1) | `1 svc.example.cn. port=8443` |
//! | `HTTPS` | the same (RFC 9460 §9) | `1 . alpn=h2,h3` |
//!
//! Value types are compared without case. All names are absolute, whether they end in a dot or
//! not. The text is one line without comments and parentheses. It is read here and not by the
//! DNS library, because whoever registers a value is to learn what is wrong with it, and because
//! the library takes neither escapes in the values of unnamed keys nor the names of newer keys.

mod chars;
mod svcb;
#[cfg(test)]
mod tests;

use crate::value::types;
use chars::{Words, domain_name};
use thiserror::Error;

/// The longest text that is read, bytes.
pub const MAX_TEXT_BYTES: usize = 4_096;

/// Why a text is not the data of a record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RdataError {
    /// There is more of it than is read.
    #[error("it is longer than {MAX_TEXT_BYTES} bytes")]
    TooLong,
    /// It holds what may only stand there escaped.
    #[error("byte {at}: only printable ASCII may stand here, \" ; ( ) and \\ only escaped")]
    Character {
        /// Where, bytes from the beginning.
        at: usize,
    },
    /// A `\` without a character or three digits up to 255 behind it.
    #[error("byte {at}: \\ must be followed by a character or three digits up to 255")]
    Escape {
        /// Where, bytes from the beginning.
        at: usize,
    },
    /// A `"` without its fellow.
    #[error("a \" is not closed, or something stands behind it")]
    Quote,
    /// A field is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// There is something behind the last field.
    #[error("there is something behind the name")]
    Trailing,
    /// The name is none.
    #[error("{0:?} is no domain name: {1}")]
    Name(String, &'static str),
    /// The priority is none.
    #[error("{0:?} is no priority from 0 to 65535")]
    Priority(String),
    /// A parameter of a service binding.
    #[error("{key}: {reason}")]
    Parameter {
        /// Its key as it was written.
        key: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// A type of record that values hold the data of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// A pointer to a name.
    Ptr,
    /// A service binding.
    Svcb,
    /// A service binding for HTTP.
    Https,
}

impl RecordKind {
    /// The kind a value type names; `None`: the value holds something else.
    pub fn of_value_type(value_type: &str) -> Option<Self> {
        let kinds = [
            (types::PTR, Self::Ptr),
            (types::SVCB, Self::Svcb),
            (types::HTTPS, Self::Https),
        ];
        let mut kinds = kinds.into_iter();
        let found = kinds.find(|(name, _)| value_type.eq_ignore_ascii_case(name));
        found.map(|(_, kind)| kind)
    }

    /// Reads the data and gives it in wire form, names uncompressed and spelled as they are.
    ///
    /// # Errors
    /// [`RdataError`] says what is wrong with the text.
    pub fn wire(self, text: &[u8]) -> Result<Vec<u8>, RdataError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(RdataError::TooLong);
        }
        let mut words = Words::new(text);
        match self {
            Self::Ptr => {
                let word = words.next().ok_or(RdataError::Missing("the name"))??;
                let name = domain_name(text, &word)?;
                match words.next() {
                    None => Ok(name),
                    Some(_) => Err(RdataError::Trailing),
                }
            }
            Self::Svcb | Self::Https => svcb::read(text, words),
        }
    }
}
