//! What can be wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

use super::value::Kind;

/// A place in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
}

impl Position {
    /// The position of byte `offset` of `text`; an offset past the end means the end.
    pub fn of(text: &str, offset: usize) -> Self {
        let end = offset.min(text.len());
        let before = text.get(..end).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
        Self {
            line: before.matches('\n').count() + 1,
            column,
        }
    }
}

/// Who said what a key's value is, in rising precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: the built-in default holds.
    Default,
    /// The configuration file.
    File {
        /// The file as named by the operator.
        path: PathBuf,
        /// Where in it; none when the file as a whole is meant.
        position: Option<Position>,
    },
    /// An environment variable.
    Environment {
        /// Its name, `IDNODE_SECTION__KEY`.
        variable: String,
    },
    /// A command-line flag.
    Flag {
        /// The flag with its dashes, `--grpc` or `--set`.
        flag: String,
    },
}

impl fmt::Display for Origin {
    /// `file:line:column`, the variable's name, the flag, or `default`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::File {
                path,
                position: None,
            } => write!(out, "{}", path.display()),
            Self::File {
                path,
                position: Some(at),
            } => {
                write!(out, "{}:{}:{}", path.display(), at.line, at.column)
            }
            Self::Environment { variable } => out.write_str(variable),
            Self::Flag { flag } => out.write_str(flag),
        }
    }
}

/// What is wrong with one key, or with the file that should hold it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The file is larger than any configuration.
    #[error("is larger than {most} bytes, which is no configuration file")]
    TooLarge {
        /// Bytes allowed.
        most: u64,
    },
    /// A file, or the value of a variable, is not UTF-8.
    #[error("is not UTF-8 text")]
    NotText,
    /// The file is not TOML 1.1.
    #[error("is not valid TOML: {0}")]
    Syntax(String),
    /// The file does not say which version of the format it follows.
    #[error("is missing: the file must begin with \"version = 1\"")]
    MissingVersion,
    /// The file follows another version of the format.
    #[error("{found} is not a version this idnode reads: it reads version 1 only")]
    UnsupportedVersion {
        /// The version in the file.
        found: String,
    },
    /// No section has this name.
    #[error("there is no such section{}", hint(nearest.as_deref()))]
    UnknownSection {
        /// The section or key that was probably meant.
        nearest: Option<String>,
    },
    /// No key of the section has this name.
    #[error("there is no such key{}", hint(nearest.as_deref()))]
    UnknownKey {
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// A section's name is used for a value, or stands in a list.
    #[error("is a section and needs a table, \"[{section}]\", not {found}")]
    NotATable {
        /// The section.
        section: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// The value has another type than the key.
    #[error("expected {expected} ({allowed}), found {found}")]
    WrongType {
        /// The key's type.
        expected: Kind,
        /// What the key allows.
        allowed: &'static str,
        /// What stands there.
        found: String,
    },
    /// A number outside its bounds.
    #[error("{value} is out of range, allowed: {allowed}")]
    OutOfRange {
        /// The number.
        value: String,
        /// Bounds with the unit.
        allowed: &'static str,
    },
    /// The right type, but not a value the key can have.
    #[error("{why}; allowed: {allowed}")]
    Refused {
        /// Which part is wrong.
        why: String,
        /// What the key allows.
        allowed: &'static str,
    },
    /// Two keys that are good alone but not together.
    #[error("{0}")]
    Conflict(String),
}

fn hint(nearest: Option<&str>) -> String {
    nearest
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default()
}

/// One thing that is wrong: where, which key, what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {}{problem}", key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default())]
pub struct ConfigError {
    /// Where it was said.
    pub origin: Origin,
    /// The key as `section.key`, a section, or `version`; none when a whole file is meant.
    pub key: Option<String>,
    /// What is wrong with it.
    pub problem: Problem,
}

/// Everything that is wrong with a configuration, one a line: files first, by line, then the
/// environment, then flags. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_str("\n")?;
            }
            write!(out, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
