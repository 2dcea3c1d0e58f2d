//! Structured logs on standard error; standard output is left to the one line that says which
//! ports were taken.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogConfig, LogFormat};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Levels at which hickory-server would log a line for every response it sends.
const CHATTY_LEVELS: [&str; 3] = ["info", "debug", "trace"];

/// Why the logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The directives of `log.level` cannot be read.
    #[error("log.level: {0}")]
    Directives(String),
    /// Logs were set up before.
    #[error("logs are set up already: {0}")]
    AlreadySet(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends the process's logs to standard error as `config` says, in colours if that is a terminal.
///
/// # Errors
/// [`LogError`] when the directives are wrong or logs were set up before.
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    subscriber(config, io::stderr, io::stderr().is_terminal())?.try_init()?;
    Ok(())
}

/// Checks the directives of `log.level`; the error says which one is wrong.
///
/// Stricter than tracing's own reader, which takes any word, a misspelt level among them, as the
/// name of a module and logs nothing else.
pub fn check_directives(text: &str) -> Result<(), String> {
    filter(text).map(drop)
}

fn subscriber<W>(
    config: &LogConfig,
    writer: W,
    is_coloured: bool,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter(&config.level).map_err(LogError::Directives)?;
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // It would be told where the line itself could not be written, and by a panic.
        .log_internal_errors(false)
        .with_ansi(is_coloured);
    Ok(match config.format {
        LogFormat::Text => Box::new(lines.finish()),
        LogFormat::Json => Box::new(lines.with_ansi(false).json().flatten_event(true).finish()),
    })
}

fn filter(text: &str) -> Result<EnvFilter, String> {
    let directives: Vec<&str> = text.split(',').map(str::trim).collect();
    let mut level = None;
    for directive in &directives {
        match directive.rsplit_once('=') {
            _ if LEVELS.contains(directive) => level = Some(*directive),
            Some((module, name)) if !module.is_empty() && LEVELS.contains(&name) => {}
            Some((_, name)) => {
                return Err(format!(
                    "{directive:?} does not end in a level but in {name:?}"
                ));
            }
            None if directive.is_empty() => return Err(format!("{text:?} has an empty part")),
            None => return Err(format!("{directive:?} is neither a level nor module=level")),
        }
    }
    let names_hickory = directives
        .iter()
        .any(|directive| directive.starts_with("hickory"));
    let is_chatty = level.is_some_and(|level| CHATTY_LEVELS.contains(&level));
    let quiet = if is_chatty && !names_hickory {
        ",hickory_server=warn"
    } else {
        ""
    };
    EnvFilter::try_new(format!("{}{quiet}", directives.join(",")))
        .map_err(|error| format!("{text:?}: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]

    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let config = LogConfig {
            level: level.to_owned(),
            format,
        };
        let subscriber = subscriber(&config, move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "hickory_server::server", "request:1 src:UDP");
            tracing::warn!(target: "hickory_server::server", "broken datagram");
            tracing::info!(port = 2641, "listening");
            tracing::debug!("details");
        });
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_dns_library_is_silent_unless_asked_for() {
        let silent = logged("info", LogFormat::Text);
        assert!(!silent.contains("request:1"), "{silent}");
        assert!(
            silent.contains("broken datagram") && silent.contains("listening"),
            "{silent}"
        );
        assert!(!silent.contains("details"), "{silent}");
        assert!(!logged("trace", LogFormat::Text).contains("request:1"));
        assert!(logged("info,hickory_server=info", LogFormat::Text).contains("request:1"));
    }

    #[test]
    fn silence_never_makes_a_quiet_level_louder() {
        let errors_only = logged("error", LogFormat::Text);
        assert_eq!(errors_only, "");
        assert_eq!(logged("off", LogFormat::Text), "");
    }

    #[test]
    fn json_is_one_object_a_line_with_fields_beside_the_message() {
        let text = logged("info", LogFormat::Json);
        let listening = text
            .lines()
            .find(|line| line.contains("listening"))
            .unwrap();
        let object: serde_json::Value = serde_json::from_str(listening).unwrap();
        assert_eq!(object["port"], 2641);
        assert_eq!(object["message"], "listening");
        assert_eq!(object["level"], "INFO");
    }

    #[test]
    fn a_misspelt_level_is_refused_not_taken_for_a_module() {
        assert!(check_directives("info").is_ok());
        assert!(check_directives("warn, idnode_resolver::front=debug").is_ok());
        for (wrong, part) in [
            ("inof", "inof"),
            ("info,front", "front"),
            ("info,front=loud", "loud"),
            ("info,,debug", "empty"),
            ("", "empty"),
            ("=info", "=info"),
        ] {
            let error = check_directives(wrong).unwrap_err();
            assert!(error.contains(part), "{wrong}: {error}");
        }
    }
}
