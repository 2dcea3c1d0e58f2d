//! `idnode config check | print | reference`.

use std::ffi::OsString;
use std::io::{self, Write};

use crate::cli::ConfigCommand;

use super::{Effective, reference};

/// Runs one of the commands and returns the process's exit code: 0, or 1 when the configuration is
/// wrong.
///
/// `check` judges the file alone and writes its findings to `out`, one a line as
/// `file:line:column: key: message`, or `ok`; the others write text to `out` and what is wrong to
/// `err`. Warnings always go to `err`.
///
/// # Errors
/// Only when `out` or `err` cannot be written.
pub fn run(
    command: &ConfigCommand,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    match command {
        ConfigCommand::Check { file } => match Effective::load(Some(file), [], &[]) {
            Ok(effective) => {
                for warning in effective.config.warnings() {
                    writeln!(err, "{}: warning: {warning}", file.display())?;
                }
                writeln!(out, "ok")?;
                Ok(0)
            }
            Err(errors) => {
                writeln!(out, "{errors}")?;
                Ok(1)
            }
        },
        ConfigCommand::Print(settings) => {
            let loaded = Effective::load(
                settings.source.config.as_deref(),
                environment,
                &settings.flag_settings(),
            );
            match loaded {
                Ok(effective) => {
                    for warning in effective.config.warnings() {
                        writeln!(err, "warning: {warning}")?;
                    }
                    write!(out, "{}", reference::effective(&effective))?;
                    Ok(0)
                }
                Err(errors) => {
                    writeln!(err, "{errors}")?;
                    Ok(1)
                }
            }
        }
        ConfigCommand::Reference => {
            write!(out, "{}", reference::reference())?;
            Ok(0)
        }
    }
}
