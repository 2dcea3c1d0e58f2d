//! The one place where a failure becomes a message and an exit code.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The run broke off, or found the server wrong.
pub(super) const EXIT_FAILED: u8 = 1;
/// The command line or a file named on it cannot be used.
pub(super) const EXIT_USAGE: u8 = 2;

/// Why there is no result.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The command line is wrong in a way its grammar does not show.
    #[error("{0}")]
    Usage(String),
    /// A file named on the command line cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the line if one is to blame.
        reason: String,
    },
    /// The server cannot be reached, or the connection to it broke.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What happened.
        source: io::Error,
    },
    /// The server said what its protocol does not allow.
    #[error("{0}")]
    Protocol(String),
    /// Whoever read standard output has gone.
    #[error("standard output is closed")]
    ClosedPipe,
}

impl Failure {
    /// For `map_err`: an I/O error with what was being done.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// What the process exits with.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::File { .. } => EXIT_USAGE,
            Self::Io { .. } | Self::Protocol(_) | Self::ClosedPipe => EXIT_FAILED,
        }
    }
}
