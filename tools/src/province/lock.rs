//! Whether a province runs: its lock.

use std::fs::{File, TryLockError};

use super::error::Failure;
use super::layout::Layout;

/// The lock of a directory, held as long as this is there, and not by a process that has ended.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it; nothing if another process has it.
    ///
    /// # Errors
    /// Its file cannot be made.
    pub(super) fn try_take(layout: &Layout) -> Result<Option<Self>, Failure> {
        let path = layout.lock();
        let named = || Failure::io(path.display().to_string());
        let mut options = File::options();
        let options = options.create(true).append(true);
        let file = options.open(&path).map_err(named())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(named()(error)),
        }
    }
}
