//! Values from the environment and the command line, which name keys alike.

use std::ffi::OsString;

use super::error::{ConfigError, Origin, Problem};
use super::suggest;
use super::table::{self, Key};
use super::value::Value;

/// The short flags and the key that each sets.
pub const SHORT_FLAGS: [(&str, &str); 5] = [
    ("--data-dir", "node.data_dir"),
    ("--grpc", "grpc.listen"),
    ("--http", "http.listen"),
    ("--dns", "dns.listen"),
    ("--handle", "handle.listen"),
];

/// A key set on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagSetting {
    /// The flag with its dashes, for errors and origins.
    pub flag: String,
    /// The key as `section.key`.
    pub key: String,
    /// The value as text; lists are separated by commas.
    pub value: String,
}

impl FlagSetting {
    /// What `--set key=value` says.
    pub fn set(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            flag: "--set".to_owned(),
            key: key.into(),
            value: value.into(),
        }
    }
}

/// A key, its value of the right type, and who said so.
#[derive(Debug)]
pub(super) struct Assignment {
    pub key: &'static Key,
    pub value: Value,
    pub origin: Origin,
}

/// What one environment variable says; none when it is not about the configuration.
///
/// `IDNODE_SECTION__KEY` is a key; other `IDNODE_…` names belong to whoever reads them, unless
/// only the second underscore is missing.
pub(super) fn from_variable(
    variable: &OsString,
    value: &OsString,
) -> Option<Result<Assignment, ConfigError>> {
    let variable = variable.to_str()?;
    let name = variable.strip_prefix("IDNODE_")?;
    let origin = Origin::Environment {
        variable: variable.to_owned(),
    };
    let Some((section, key_name)) = name.split_once("__") else {
        let meant = table::keys().find(|key| key.variable().replacen("__", "_", 1) == variable)?;
        let problem = Problem::UnknownKey {
            nearest: Some(meant.variable()),
        };
        return Some(Err(ConfigError {
            origin,
            key: Some(meant.path()),
            problem,
        }));
    };
    let (section, key_name) = (section.to_ascii_lowercase(), key_name.to_ascii_lowercase());
    let known = table::keys().find(|key| key.variable() == variable);
    let Some(key) = known else {
        let nearest = suggest::for_path(&section, &key_name).map(Key::variable);
        let key = Some(format!("{section}.{key_name}"));
        return Some(Err(ConfigError {
            origin,
            key,
            problem: Problem::UnknownKey { nearest },
        }));
    };
    Some(match value.to_str() {
        Some(text) => assign(key, text, origin),
        None => Err(ConfigError {
            origin,
            key: Some(key.path()),
            problem: Problem::NotText,
        }),
    })
}

/// What one flag says.
pub(super) fn from_flag(setting: &FlagSetting) -> Result<Assignment, ConfigError> {
    let origin = Origin::Flag {
        flag: setting.flag.clone(),
    };
    let (section, name) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
    match table::key(section, name) {
        Some(key) => assign(key, &setting.value, origin),
        None => {
            let nearest = suggest::for_path(section, name).map(Key::path);
            let key = Some(setting.key.clone());
            Err(ConfigError {
                origin,
                key,
                problem: Problem::UnknownKey { nearest },
            })
        }
    }
}

fn assign(key: &'static Key, text: &str, origin: Origin) -> Result<Assignment, ConfigError> {
    match Value::from_text(key.kind, text) {
        Ok(value) => Ok(Assignment { key, value, origin }),
        Err(found) => {
            let problem = Problem::WrongType {
                expected: key.kind,
                allowed: key.rule.allowed,
                found,
            };
            Err(ConfigError {
                origin,
                key: Some(key.path()),
                problem,
            })
        }
    }
}
