//! XML as text: elements opened and closed, what is in them escaped.

use std::fmt::Write as _;

/// Whether XML 1.0 can hold a character at all (section 2.2).
pub fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Where the first character is that XML 1.0 cannot hold, bytes from the beginning.
pub(super) fn no_character(text: &str) -> Option<usize> {
    text.find(|c| !is_character(c))
}

/// What such a character is refused with.
pub(super) const NO_CHARACTER: &str = "a character that XML does not have";

/// A document that is being written. Characters that XML cannot hold are left out.
#[derive(Debug)]
pub struct Writer {
    out: String,
    open: Vec<&'static str>,
}

impl Writer {
    /// A document in UTF-8, with its declaration.
    pub fn document() -> Self {
        Self {
            out: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"),
            open: Vec::new(),
        }
    }

    /// Opens an element.
    pub fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) -> &mut Self {
        self.start(name, attributes);
        self.out.push('>');
        self.open.push(name);
        self
    }

    /// Closes the element opened last.
    pub fn close(&mut self) -> &mut Self {
        if let Some(name) = self.open.pop() {
            // Writing to a String cannot fail.
            let _ = write!(self.out, "</{name}>");
        }
        self
    }

    /// An element that holds text alone.
    pub fn leaf(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.leaf_with(name, &[], text)
    }

    /// An element with attributes that holds text alone.
    pub fn leaf_with(
        &mut self,
        name: &'static str,
        attributes: &[(&str, &str)],
        text: &str,
    ) -> &mut Self {
        self.start(name, attributes);
        if text.is_empty() {
            self.out.push_str("/>");
            return self;
        }
        self.out.push('>');
        self.escaped(text, false);
        let _ = write!(self.out, "</{name}>");
        self
    }

    /// A leaf, if there is a text.
    pub fn optional(&mut self, name: &'static str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.leaf(name, text),
            None => self,
        }
    }

    /// The document, every element closed.
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let _ = write!(self.out, "<{name}");
        for (key, value) in attributes {
            let _ = write!(self.out, " {key}=\"");
            self.escaped(value, true);
            self.out.push('"');
        }
    }

    fn escaped(&mut self, text: &str, is_attribute: bool) {
        for c in text.chars().filter(|c| is_character(*c)) {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' if is_attribute => self.out.push_str("&quot;"),
                // Readers make these blanks or line feeds.
                '\r' => self.out.push_str("&#13;"),
                '\n' if is_attribute => self.out.push_str("&#10;"),
                '\t' if is_attribute => self.out.push_str("&#9;"),
                c => self.out.push(c),
            }
        }
    }
}
