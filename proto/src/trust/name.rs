//! `index:handle`, the name of a value: how issuers, subjects and chains are written.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::value::MAX_HANDLE_LEN;

/// A value of a handle by name. Index 0 stands for any.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ValueName {
    /// The index of the value.
    pub index: u32,
    /// The handle it belongs to, as it was written.
    pub handle: String,
}

/// A text that is not `index:handle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not an index and a handle, as in \"300:0.NA/88.118.8\"")]
pub struct ValueNameError;

impl FromStr for ValueName {
    type Err = ValueNameError;

    fn from_str(text: &str) -> Result<Self, ValueNameError> {
        let (index, handle) = text.split_once(':').ok_or(ValueNameError)?;
        let digits = !index.is_empty() && index.bytes().all(|c| c.is_ascii_digit());
        if !digits || handle.is_empty() || handle.len() > MAX_HANDLE_LEN {
            return Err(ValueNameError);
        }
        Ok(Self {
            index: index.parse().map_err(|_| ValueNameError)?,
            handle: handle.to_owned(),
        })
    }
}

impl fmt::Display for ValueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.index, self.handle)
    }
}

/// The part of `0.NA/88.118.8` behind `0.NA/`, if the handle is that of a prefix.
pub(super) fn prefix_of(handle: &str) -> Option<&str> {
    let (authority, prefix) = handle.split_once('/')?;
    authority.eq_ignore_ascii_case("0.NA").then_some(prefix)
}

/// Whether two handles are one: prefixes compare without regard to ASCII case, suffixes with it.
/// The suffix of `0.NA/88.118.8` is a prefix.
pub fn same_handle(a: &str, b: &str) -> bool {
    match (prefix_of(a), prefix_of(b)) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        (None, None) => match (a.split_once('/'), b.split_once('/')) {
            (Some((a, a_suffix)), Some((b, b_suffix))) => {
                a.eq_ignore_ascii_case(b) && a_suffix == b_suffix
            }
            (None, None) => a.eq_ignore_ascii_case(b),
            _ => false,
        },
        _ => false,
    }
}

/// A handle in the spelling that [`same_handle`] compares.
pub(super) fn folded(handle: &str) -> String {
    match (prefix_of(handle), handle.split_once('/')) {
        (None, Some((prefix, suffix))) => format!("{}/{suffix}", prefix.to_ascii_lowercase()),
        _ => handle.to_ascii_lowercase(),
    }
}
