//! Reads the configuration file: strict, with the place of everything that is wrong.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin, Position, Problem};
use super::overrides::Assignment;
use super::suggest::{self, Suggestion};
use super::table::{self, Section};
use super::value::{Value, found, type_in_words};

/// The version of the format that this program reads.
pub const VERSION: &str = "1";

/// Bytes of a configuration file, ten times what the reference has.
const FILE_BYTES: u64 = 1 << 16;

/// Syntax errors of one file that are reported; what has more is not a configuration.
const SYNTAX_ERRORS: usize = 100;

/// Reads the file at `path`: what it says, and everything that is wrong with it by line.
pub(super) fn read(path: &Path) -> (Vec<Assignment>, Vec<ConfigError>) {
    match read_text(path) {
        Ok(text) => parse(path, &text),
        Err(problem) => {
            let origin = Origin::File {
                path: path.to_owned(),
                position: None,
            };
            (
                Vec::new(),
                vec![ConfigError {
                    origin,
                    key: None,
                    problem,
                }],
            )
        }
    }
}

fn read_text(path: &Path) -> Result<String, Problem> {
    let unreadable = |error: std::io::Error| Problem::Unreadable(error.to_string());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(Problem::TooLarge { most: FILE_BYTES });
    }
    String::from_utf8(bytes).map_err(|_| Problem::NotText)
}

/// Reads the text of a file that errors call `path`.
pub(super) fn parse(path: &Path, text: &str) -> (Vec<Assignment>, Vec<ConfigError>) {
    let mut reader = Reader {
        path,
        text,
        assignments: Vec::new(),
        errors: Vec::new(),
    };
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    if syntax_errors.is_empty() {
        reader.document(document.get_ref());
    } else {
        // Keys after a broken line may have landed in the wrong section: judging them would mislead.
        for error in syntax_errors.iter().take(SYNTAX_ERRORS) {
            reader.syntax_error(error);
        }
    }
    let Reader {
        assignments,
        mut errors,
        ..
    } = reader;
    errors.sort_by_key(|error| match &error.origin {
        Origin::File { position, .. } => *position,
        _ => None,
    });
    (assignments, errors)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    assignments: Vec<Assignment>,
    errors: Vec<ConfigError>,
}

impl Reader<'_> {
    fn origin(&self, span: Range<usize>) -> Origin {
        let position = Some(Position::of(self.text, span.start));
        Origin::File {
            path: self.path.to_owned(),
            position,
        }
    }

    fn error(&mut self, span: Range<usize>, key: impl Into<String>, problem: Problem) {
        let origin = self.origin(span);
        self.errors.push(ConfigError {
            origin,
            key: Some(key.into()),
            problem,
        });
    }

    fn syntax_error(&mut self, error: &toml::de::Error) {
        let offset = error.span().map_or(self.text.len(), |span| span.start);
        let position = Position::of(self.text, offset);
        // One broken line can make the parser complain several times.
        let on_this_line = |known: &ConfigError| matches!(&known.origin, Origin::File { position: Some(at), .. } if at.line == position.line);
        if !self.errors.iter().any(on_this_line) {
            self.errors.push(ConfigError {
                origin: self.origin(offset..offset),
                key: key_near(self.text, offset),
                problem: Problem::Syntax(error.message().to_owned()),
            });
        }
    }

    fn document(&mut self, document: &DeTable<'_>) {
        if self.version(document) {
            for (name, value) in document {
                if name.get_ref() != "version" {
                    self.section(name.get_ref(), name.span(), value);
                }
            }
        }
    }

    /// Checks the version; false when the rest follows a format this program does not know.
    fn version(&mut self, document: &DeTable<'_>) -> bool {
        let Some(version) = document.get("version") else {
            self.error(0..0, "version", Problem::MissingVersion);
            return true;
        };
        match version.get_ref() {
            DeValue::Integer(number) if number.as_str() == VERSION => true,
            DeValue::Integer(number) => {
                let found = number.to_string();
                self.error(
                    version.span(),
                    "version",
                    Problem::UnsupportedVersion { found },
                );
                false
            }
            other => {
                let problem = Problem::WrongType {
                    expected: super::value::Kind::Integer,
                    allowed: VERSION,
                    found: found(other),
                };
                self.error(version.span(), "version", problem);
                true
            }
        }
    }

    fn section(&mut self, name: &str, span: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let Some(section) = table::section(name) else {
            let nearest = suggest::for_section(name).map(|suggestion| match suggestion {
                Suggestion::Section(section) => format!("[{section}]"),
                Suggestion::Key(key) => format!("{} in [{}]", key.name, key.section),
            });
            return self.error(span, name, Problem::UnknownSection { nearest });
        };
        let DeValue::Table(entries) = value.get_ref() else {
            let found = type_in_words(value.get_ref());
            return self.error(
                value.span(),
                name,
                Problem::NotATable {
                    section: section.name,
                    found,
                },
            );
        };
        for (key, value) in entries {
            let below = format!("{}.{}", section.name, key.get_ref());
            match table::section(&below) {
                Some(_) => self.section(&below, key.span(), value),
                None => self.entry(section, key.get_ref(), key.span(), value),
            }
        }
    }

    fn entry(
        &mut self,
        section: &Section,
        name: &str,
        span: Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let path = format!("{}.{name}", section.name);
        let Some(key) = section.keys.iter().find(|key| key.name == name) else {
            let nearest = suggest::for_key(section.name, name).map(|near| {
                if near.section == section.name {
                    near.name.to_owned()
                } else {
                    format!("{} in [{}]", near.name, near.section)
                }
            });
            return self.error(span, path, Problem::UnknownKey { nearest });
        };
        match Value::from_toml(key.kind, value.get_ref()) {
            Ok(typed) => {
                let origin = self.origin(value.span());
                self.assignments.push(Assignment {
                    key,
                    value: typed,
                    origin,
                });
            }
            Err(found) => {
                let allowed = key.rule.allowed;
                self.error(
                    value.span(),
                    path,
                    Problem::WrongType {
                        expected: key.kind,
                        allowed,
                        found,
                    },
                );
            }
        }
    }
}

/// The key whose line holds byte `offset`, as far as a broken file lets one see.
fn key_near(text: &str, offset: usize) -> Option<String> {
    let start = text
        .get(..offset)?
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let (name, _) = text.get(start..)?.lines().next()?.split_once('=')?;
    let header = text
        .get(..start)?
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix('['));
    let name = name.trim();
    if name.is_empty()
        || !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    {
        return None;
    }
    match header.and_then(|header| header.split(']').next()) {
        Some(section) => Some(format!("{}.{name}", section.trim())),
        None => Some(name.to_owned()),
    }
}
