//! Administrators of handles as they are written: `300:0.NA/88.118.8`.

use crate::identifier::{Identifier, IdentifierError};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// An administrator: the handle and the index of the value that holds its key. Index 0: any.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AdminId {
    /// The handle.
    pub handle: Identifier,
    /// The index of the value.
    pub index: u32,
}

impl fmt::Display for AdminId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.index, self.handle)
    }
}

/// A text that names no administrator.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AdminIdError {
    /// There is no number and colon in front.
    #[error("an administrator is written INDEX:HANDLE, as in 300:0.NA/88.118.8")]
    Form,
    /// What follows them is no identifier.
    #[error("the administrator's handle: {0}")]
    Handle(#[from] IdentifierError),
}

impl FromStr for AdminId {
    type Err = AdminIdError;

    fn from_str(text: &str) -> Result<Self, AdminIdError> {
        let (index, handle) = text.split_once(':').ok_or(AdminIdError::Form)?;
        let digits = index.bytes().all(|byte| byte.is_ascii_digit());
        let index = index.parse().ok().filter(|_| digits);
        Ok(Self {
            index: index.ok_or(AdminIdError::Form)?,
            handle: Identifier::parse(handle)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn administrators_are_read_as_they_are_written() {
        let id: AdminId = "300:0.NA/88.118.8".parse().unwrap();
        assert_eq!(
            (id.index, id.to_string().as_str()),
            (300, "300:0.NA/88.118.8")
        );
        assert_eq!("300:0.na/88.118.8".parse(), Ok(id.clone()));
        assert_eq!("300:88.118.8".parse(), Ok(id));
        for form in [
            "",
            "300",
            "0.NA/88.118.8",
            "+3:a/b",
            "-1:a/b",
            ":a/b",
            "4294967296:a/b",
        ] {
            assert_eq!(form.parse::<AdminId>(), Err(AdminIdError::Form), "{form}");
        }
        let handle = "300:".parse::<AdminId>();
        assert!(matches!(handle, Err(AdminIdError::Handle(_))), "{handle:?}");
    }
}
