//! The one place that prints: tables for people, JSON for programs.

use std::borrow::Cow;
use std::io::{self, Write as _};

use comfy_table::{Table as Grid, presets};
use serde_json::Value;

use super::error::Failure;

/// Where answers go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    json: bool,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints one answer: the document, or the table.
    pub(crate) fn show(
        self,
        document: impl FnOnce() -> Value,
        table: impl FnOnce() -> Table,
    ) -> Result<(), Failure> {
        match self.json {
            true => self.line(&document().to_string()),
            false => self.line(&table().to_string()),
        }
    }

    /// Prints one line of a stream: the document, or what people read.
    pub(crate) fn stream(
        self,
        document: impl FnOnce() -> Value,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.json {
            true => self.line(&document().to_string()),
            false => self.line(&text()),
        }
    }

    /// A list that is printed as it comes.
    pub(crate) fn list(self, name: &'static str) -> List {
        List {
            out: self,
            name,
            begun: false,
        }
    }

    fn line(self, text: &str) -> Result<(), Failure> {
        write_out(&format!("{text}\n"))
    }

    /// Says something beside the answer, to everybody.
    pub(crate) fn aside(self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Says something beside the answer, to people only.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }
}

/// A list of any length: programs get one document, `{"NAME":[…]}`, people a line for each item.
/// Nothing is printed before the first items are there.
#[derive(Debug)]
pub(crate) struct List {
    out: Out,
    name: &'static str,
    begun: bool,
}

impl List {
    /// Prints some more of it.
    pub(crate) fn print(&mut self, items: &[String]) -> Result<(), Failure> {
        let mut text = String::new();
        for item in items {
            if !self.out.json {
                text.push_str(&printable(item));
                text.push('\n');
                continue;
            }
            text.push_str(&self.separator());
            text.push_str(&Value::from(item.as_str()).to_string());
            self.begun = true;
        }
        write_out(&text)
    }

    /// Prints its end.
    pub(crate) fn end(self) -> Result<(), Failure> {
        match (self.out.json, self.begun) {
            (false, _) => Ok(()),
            (true, true) => write_out("]}\n"),
            (true, false) => write_out(&format!("{}]}}\n", self.separator())),
        }
    }

    /// What is in front of the next item.
    fn separator(&self) -> Cow<'static, str> {
        match self.begun {
            true => ",".into(),
            false => format!("{{\"{}\":[", self.name).into(),
        }
    }
}

pub(super) fn write_out(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(Failure::stdout)
}

/// A table, with what is printed under it.
pub(crate) struct Table {
    grid: Grid,
    below: Vec<String>,
}

impl Table {
    /// A table with column titles.
    pub(crate) fn new(titles: &[&str]) -> Self {
        let mut grid = Grid::new();
        grid.load_style(presets::UTF8_FULL_CONDENSED)
            .set_header(titles.iter().copied());
        Self {
            grid,
            below: Vec::new(),
        }
    }

    /// A table of one thing's properties; empty ones are left out.
    pub(crate) fn of_one(properties: &[(&str, String)]) -> Self {
        let mut grid = Grid::new();
        grid.load_style(presets::UTF8_FULL_CONDENSED);
        for (name, value) in properties.iter().filter(|(_, value)| !value.is_empty()) {
            grid.add_row([(*name).to_owned(), printable(value)]);
        }
        Self {
            grid,
            below: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.grid
            .add_row(cells.into_iter().map(|cell| printable(&cell)));
    }

    /// Adds a line under the table.
    pub(crate) fn below(mut self, line: impl Into<String>) -> Self {
        self.below.push(line.into());
        self
    }

    /// Adds another table under this one.
    pub(crate) fn with(self, other: &Self) -> Self {
        self.below(other.to_string())
    }

    /// Says how a listing goes on, if it does.
    pub(crate) fn more(self, next_page_token: &str) -> Self {
        match next_page_token {
            "" => self,
            token => self.below(format!("more: --page-token {}, or --all", printable(token))),
        }
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.grid)?;
        self.below.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

/// Text without control characters: data of others must not drive the terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if c.is_control() => safe.extend(c.escape_default()),
            // Marks that turn the direction of writing (Unicode TR 36) hide what is there.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => safe.extend(c.escape_unicode()),
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_does_not_reach_the_terminal_as_commands() {
        assert_eq!(
            printable("a\u{1b}[2Jb\nc\u{202e}标识"),
            "a\\u{1b}[2Jb\\nc\\u{202e}标识"
        );
    }

    #[test]
    fn a_listing_says_how_it_goes_on() {
        let mut table = Table::new(&["PREFIX"]);
        table.row(["88.118.8".to_owned()]);
        let text = table.more("abc").to_string();
        assert!(
            text.contains("88.118.8") && text.ends_with("--page-token abc, or --all"),
            "{text}"
        );
    }
}
