//! The one place where a failure becomes a message and an exit code.

use std::io;

use thiserror::Error;

/// What was asked for did not come about, or the province was found wrong.
pub(super) const EXIT_FAILED: u8 = 1;
/// The command line asks for what cannot be.
pub(super) const EXIT_USAGE: u8 = 2;

/// Why something did not come about.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What happened.
        source: io::Error,
    },
    /// A program that was run failed, or said something else than it should.
    #[error("{0}")]
    Program(String),
    /// A node refused a call.
    #[error("{node}: {what}: {status}")]
    Call {
        /// The node's name.
        node: &'static str,
        /// What was being done.
        what: &'static str,
        /// Its answer.
        status: Box<tonic::Status>,
    },
    /// Told to end.
    #[error("interrupted")]
    Interrupted,
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
            Self::Usage(_) => EXIT_USAGE,
            _ => EXIT_FAILED,
        }
    }
}
