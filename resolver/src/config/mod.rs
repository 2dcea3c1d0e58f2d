//! The node's configuration: strict, versioned TOML, every key of which a flag or an environment
//! variable can override.
//!
//! | module | holds |
//! |---|---|
//! | [`sections`] | the one table of sections and keys, and the typed [`Config`] made from it |
//! | [`table`] | the shape of that table and the macro behind it |
//! | [`value`], [`rule`] | the types of keys and what each key allows |
//! | `file`, [`overrides`] | readers of the file, the environment and flags |
//! | `check` | what keys must hold together |
//! | [`error`], `suggest` | what is wrong, where, and what was probably meant |
//! | [`mod@reference`], [`command`] | the commented reference and `idnode config …` |
//!
//! Precedence: flag, then environment, then file, then default.

mod check;
pub mod command;
pub mod error;
mod file;
pub mod overrides;
pub mod reference;
pub mod rule;
pub mod sections;
mod suggest;
pub mod table;
#[cfg(test)]
mod tests;
pub mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

pub use error::{ConfigError, ConfigErrors, Origin, Position, Problem};
pub use overrides::FlagSetting;
pub use sections::{
    CacheConfig, Config, DnsConfig, GrpcConfig, HandleConfig, HttpConfig, IiidapConfig,
    LimitsConfig, LogConfig, NodeConfig, StoreConfig, TrustConfig, UpwardConfig, UpwardEppConfig,
    UpwardReportConfig, UpwardRoutesConfig, UpwardSyncConfig, WhoisConfig,
};
pub use value::LogFormat;
pub use value::{parse_cookie_secret, parse_network};

use overrides::Assignment;

/// A configuration and who said what each of its keys is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The configuration.
    pub config: Config,
    /// Keys as `section.key` with their origin; a key that is not here has its default.
    pub origins: BTreeMap<String, Origin>,
}

impl Effective {
    /// Puts a configuration together from an optional file, environment variables
    /// (`std::env::vars_os()`) and flags.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first: syntax, unknown keys and sections, wrong
    /// types, values out of bounds, keys that do not hold together.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &[FlagSetting],
    ) -> Result<Self, ConfigErrors> {
        let (assignments, errors) = file.map(file::read).unwrap_or_default();
        let mut loader = Loader {
            config: Config::unsettled(),
            origins: BTreeMap::new(),
            errors,
        };
        for assignment in assignments {
            loader.apply(Ok(assignment));
        }
        let mut environment: Vec<_> = environment.into_iter().collect();
        environment.sort();
        for (variable, value) in &environment {
            if let Some(assignment) = overrides::from_variable(variable, value) {
                loader.apply(assignment);
            }
        }
        for setting in flags {
            loader.apply(overrides::from_flag(setting));
        }
        loader.finish()
    }
}

struct Loader {
    config: Config,
    origins: BTreeMap<String, Origin>,
    errors: Vec<ConfigError>,
}

impl Loader {
    fn apply(&mut self, assignment: Result<Assignment, ConfigError>) {
        let stored = assignment.and_then(|assignment| self.store(assignment));
        if let Err(error) = stored {
            self.errors.push(error);
        }
    }

    fn store(&mut self, assignment: Assignment) -> Result<(), ConfigError> {
        let Assignment { key, value, origin } = assignment;
        let checked = key.rule.check(&value).and_then(|()| {
            (key.set)(&mut self.config, &value).map_err(|why| Problem::Refused {
                why,
                allowed: key.rule.allowed,
            })
        });
        match checked {
            Ok(()) => {
                self.origins.insert(key.path(), origin);
                Ok(())
            }
            Err(problem) => Err(ConfigError {
                origin,
                key: Some(key.path()),
                problem,
            }),
        }
    }

    fn finish(mut self) -> Result<Effective, ConfigErrors> {
        let broken: BTreeSet<String> = self
            .errors
            .iter()
            .filter_map(|error| error.key.clone())
            .collect();
        self.config.settle();
        for conflict in check::conflicts(&self.config) {
            // A broken key still has its default here, which the operator did not choose.
            if !conflict.keys.iter().any(|key| broken.contains(*key)) {
                self.errors.push(self.conflict_error(conflict));
            }
        }
        self.errors.sort_by_key(|error| rank(&error.origin));
        if self.errors.is_empty() {
            Ok(Effective {
                config: self.config,
                origins: self.origins,
            })
        } else {
            Err(ConfigErrors(self.errors))
        }
    }

    /// Blames the key that was said last, for a default is nobody's mistake.
    fn conflict_error(&self, conflict: check::Conflict) -> ConfigError {
        let [first, second] = conflict.keys;
        let origin_of = |key: &str| self.origins.get(key).cloned().unwrap_or(Origin::Default);
        let (key, origin) = [(first, origin_of(first)), (second, origin_of(second))]
            .into_iter()
            .max_by_key(|(_, origin)| rank(origin))
            .unwrap_or((first, Origin::Default));
        ConfigError {
            origin,
            key: Some(key.to_owned()),
            problem: Problem::Conflict(conflict.message),
        }
    }
}

fn rank(origin: &Origin) -> (u8, Option<Position>) {
    match origin {
        Origin::Default => (0, None),
        Origin::File { position, .. } => (1, *position),
        Origin::Environment { .. } => (2, None),
        Origin::Flag { .. } => (3, None),
    }
}

impl Config {
    /// Puts the effective configuration together; see [`Effective::load`] for its origins too.
    ///
    /// # Errors
    /// Everything that is wrong, one [`ConfigError`] each.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &[FlagSetting],
    ) -> Result<Self, ConfigErrors> {
        Effective::load(file, environment, flags).map(|effective| effective.config)
    }

    /// Folds the zones to lower case and fills in the keys that were left empty and follow from
    /// others: `dns.ns`, `dns.soa_rname`, `dns.node_addresses`, `handle.public_addresses`. Whoever
    /// builds a configuration by hand calls it last; it changes nothing when called again.
    pub fn settle(&mut self) {
        let dns = &mut self.dns;
        for zone in [&mut dns.zone, &mut dns.ors_zone, &mut dns.ons_zone] {
            zone.make_ascii_lowercase();
        }
        if dns.ns.is_empty() {
            dns.ns.push(format!("ns1.{}", dns.zone));
        }
        if dns.soa_rname.is_empty() {
            dns.soa_rname = format!("hostmaster.{}", dns.zone);
        }
        for (addresses, listen) in [
            (&mut dns.node_addresses, dns.listen),
            (&mut self.handle.public_addresses, self.handle.listen),
        ] {
            if addresses.is_empty() && !listen.ip().is_unspecified() {
                addresses.push(listen.ip());
            }
        }
    }

    /// What works but probably not as the operator means, one sentence each that begins with the
    /// key; for the log at start and `idnode config check`.
    pub fn warnings(&self) -> Vec<String> {
        check::warnings(self)
    }
}

impl Default for Config {
    fn default() -> Self {
        let mut config = Self::unsettled();
        config.settle();
        config
    }
}
