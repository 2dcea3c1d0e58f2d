//! Attributes of our own elements: how they are written, and read again without losing anything.
//!
//! A text that XML 1.0 cannot hold is written in base64, under the attribute's name with `-b64`
//! after it. What is empty or absent is left out.

use super::{EscrowError, NS};
use crate::xml::stream::Node;
use data_encoding::BASE64;
use std::fmt::Write as _;

/// What is added to an attribute's name when its value is base64.
const ENCODED: &str = "-b64";

/// An element that is being written.
pub(super) struct Tag<'a> {
    out: &'a mut String,
    name: &'static str,
}

impl<'a> Tag<'a> {
    /// Begins `<ide:name`.
    pub fn new(out: &'a mut String, name: &'static str) -> Self {
        out.push_str("<ide:");
        out.push_str(name);
        Self { out, name }
    }

    /// A text, if it is not empty.
    pub fn text(self, name: &str, value: &str) -> Self {
        match value.is_empty() {
            true => self,
            false => self.always(name, value),
        }
    }

    /// A text that may be empty, if there is one.
    pub fn optional(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.always(name, value),
            None => self,
        }
    }

    /// A text, even if it is empty.
    pub fn always(self, name: &str, value: &str) -> Self {
        self.out.push(' ');
        self.out.push_str(name);
        if value.chars().all(is_xml) {
            self.out.push_str("=\"");
            escape(self.out, value);
        } else {
            self.out.push_str(ENCODED);
            self.out.push_str("=\"");
            BASE64.encode_append(value.as_bytes(), self.out);
        }
        self.out.push('"');
        self
    }

    /// A number.
    pub fn number(self, name: &str, value: impl Into<u64>) -> Self {
        // Writing to a string does not fail.
        let _ = write!(self.out, " {name}=\"{}\"", value.into());
        self
    }

    /// A number, if there is one.
    pub fn optional_number(self, name: &str, value: Option<u64>) -> Self {
        match value {
            Some(value) => self.number(name, value),
            None => self,
        }
    }

    /// A decimal, if there is one, in the shortest form that reads as the same one.
    pub fn decimal(self, name: &str, value: Option<f64>) -> Self {
        if let Some(value) = value {
            let _ = write!(self.out, " {name}=\"{value:?}\"");
        }
        self
    }

    /// Whether something holds, if it does.
    pub fn flag(self, name: &str, value: bool) -> Self {
        if value {
            let _ = write!(self.out, " {name}=\"true\"");
        }
        self
    }

    /// Ends an element with nothing in it.
    pub fn end(self) {
        self.out.push_str("/>");
    }

    /// Ends an element with base64 in it.
    pub fn bytes(self, data: &[u8]) {
        self.out.push('>');
        BASE64.encode_append(data, self.out);
        close(self.out, self.name);
    }

    /// Ends an element with others in it, which `fill` writes; empty where it writes none.
    pub fn around(self, fill: impl FnOnce(&mut String)) {
        self.out.push('>');
        let before = self.out.len();
        fill(self.out);
        if self.out.len() == before {
            self.out.truncate(before - 1);
            self.out.push_str("/>");
        } else {
            close(self.out, self.name);
        }
    }
}

fn close(out: &mut String, name: &str) {
    out.push_str("</ide:");
    out.push_str(name);
    out.push('>');
}

/// Whether XML 1.0 can hold a character (§2.2), be it as a reference.
fn is_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Writes what an attribute's value is, so that it is read as the same: its white space too.
fn escape(out: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
}

/// An element of ours that is being read. Every attribute and element must be asked for.
pub(super) struct Fields<'n> {
    node: &'n Node,
    attributes: usize,
    children: usize,
}

impl<'n> Fields<'n> {
    pub fn of(node: &'n Node) -> Result<Self, EscrowError> {
        if node.namespace != NS {
            return Err(wrong(
                node,
                format!("<{:.40}> of another namespace", node.name),
            ));
        }
        Ok(Self {
            node,
            attributes: 0,
            children: 0,
        })
    }

    /// That it has no attribute and no element that nobody asked for.
    pub fn finish(self) -> Result<(), EscrowError> {
        let node = self.node;
        if self.attributes != node.attributes.len() {
            return Err(self.wrong("an attribute that the schema does not name"));
        }
        if self.children != node.children.len() {
            return Err(self.wrong("an element inside it that the schema does not name"));
        }
        Ok(())
    }

    /// An error about it.
    pub fn wrong(&self, what: impl std::fmt::Display) -> EscrowError {
        wrong(self.node, format!("<{:.40}>: {what}", self.node.name))
    }

    pub fn optional(&mut self, name: &str) -> Result<Option<String>, EscrowError> {
        let plain = self.node.attribute(name);
        let encoded = self.node.attribute(&[name, ENCODED].concat());
        let value = match (plain, encoded) {
            (None, None) => return Ok(None),
            (Some(value), None) => value.to_owned(),
            (None, Some(value)) => BASE64
                .decode(value.as_bytes())
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| self.wrong(format!("{name} is no base64 of UTF-8")))?,
            (Some(_), Some(_)) => return Err(self.wrong(format!("{name} twice"))),
        };
        self.attributes += 1;
        Ok(Some(value))
    }

    pub fn text(&mut self, name: &str) -> Result<String, EscrowError> {
        Ok(self.optional(name)?.unwrap_or_default())
    }

    pub fn required(&mut self, name: &str) -> Result<String, EscrowError> {
        self.optional(name)?
            .ok_or_else(|| self.wrong(format!("it lacks {name}")))
    }

    pub fn optional_number<N: TryFrom<u64>>(
        &mut self,
        name: &str,
    ) -> Result<Option<N>, EscrowError> {
        let Some(text) = self.node.attribute(name) else {
            return Ok(None);
        };
        self.attributes += 1;
        let number = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        number
            .and_then(|text| text.parse::<u64>().ok())
            .and_then(|number| N::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| self.wrong(format!("{name} is no number in its range: {text:.40?}")))
    }

    pub fn number<N: TryFrom<u64>>(&mut self, name: &str) -> Result<N, EscrowError> {
        self.optional_number(name)?
            .ok_or_else(|| self.wrong(format!("it lacks {name}")))
    }

    pub fn decimal(&mut self, name: &str) -> Result<Option<f64>, EscrowError> {
        let Some(text) = self.node.attribute(name) else {
            return Ok(None);
        };
        self.attributes += 1;
        let number = text.parse::<f64>().ok();
        number
            .map(Some)
            .ok_or_else(|| self.wrong(format!("{name} is no decimal: {text:.40?}")))
    }

    pub fn flag(&mut self, name: &str) -> Result<bool, EscrowError> {
        match self.node.attribute(name) {
            None => Ok(false),
            Some("true") => {
                self.attributes += 1;
                Ok(true)
            }
            Some(_) => Err(self.wrong(format!("{name} may be \"true\" or absent"))),
        }
    }

    /// One of a list of tokens; its place in it.
    pub fn token(&mut self, name: &str, tokens: &[&str]) -> Result<usize, EscrowError> {
        let text = self.required(name)?;
        let place = tokens.iter().position(|token| **token == *text);
        place.ok_or_else(|| self.wrong(format!("{name} is {text:.40?}, not one of {tokens:?}")))
    }

    /// The elements of a name inside it.
    pub fn children(&mut self, name: &str) -> impl Iterator<Item = &'n Node> + use<'n> {
        let node = self.node;
        let found: Vec<_> = node.children.iter().filter(|it| it.is(NS, name)).collect();
        self.children += found.len();
        found.into_iter()
    }

    /// The base64 in it.
    pub fn bytes(&self) -> Result<Vec<u8>, EscrowError> {
        BASE64
            .decode(self.node.text.trim_ascii().as_bytes())
            .map_err(|_| self.wrong("no base64 in it"))
    }
}

/// An error about an element.
pub(super) fn wrong(node: &Node, what: impl Into<String>) -> EscrowError {
    EscrowError::Document {
        what: what.into(),
        offset: node.offset,
    }
}
