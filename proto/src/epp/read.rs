//! Elements as the readers of this module look at them: what is missing or wrong is an answer.

use super::{Refused, ResultCode};
use crate::xml::Named;

/// Longest text that is taken for a name, a number or a line, bytes.
pub(super) const MAX_TEXT_BYTES: usize = 4_096;

/// An element that is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read<'a>(&'a Named);

impl<'a> Read<'a> {
    pub fn new(element: &'a Named) -> Self {
        Self(element)
    }

    /// Its name without a namespace.
    pub fn name(self) -> &'a str {
        &self.0.name
    }

    /// The namespace it is in.
    pub fn namespace(self) -> &'a str {
        &self.0.namespace
    }

    /// Its text, blanks around it left out, within [`MAX_TEXT_BYTES`].
    pub fn text(self) -> Result<&'a str, Refused> {
        let text = self.0.text();
        if text.len() > MAX_TEXT_BYTES {
            let reason = format!("{} has {} bytes", self.name(), text.len());
            return Err(Refused::new(ResultCode::VALUE_SYNTAX, reason));
        }
        Ok(text)
    }

    /// Its text as long as the document lets it be.
    pub fn long_text(self) -> &'a str {
        self.0.text()
    }

    pub fn attribute(self, name: &str) -> Option<&'a str> {
        self.0.attribute(name).map(str::trim_ascii)
    }

    /// The one element inside, whatever it is.
    pub fn only_child(self) -> Result<Self, Refused> {
        match &*self.0.children {
            [only] => Ok(Self(only)),
            children => Err(Refused::new(
                ResultCode::SYNTAX,
                format!("{} holds {} elements, not one", self.name(), children.len()),
            )),
        }
    }

    pub fn children(self) -> impl Iterator<Item = Self> {
        self.0.children.iter().map(Self)
    }

    /// The first child of this name and of the same namespace.
    pub fn child(self, name: &str) -> Option<Self> {
        self.0.child(name).map(Self)
    }

    pub fn all(self, name: &'a str) -> impl Iterator<Item = Self> {
        self.0.all(name).map(Self)
    }

    /// A child that must be there.
    pub fn needed(self, name: &str) -> Result<Self, Refused> {
        self.child(name).ok_or_else(|| {
            let reason = format!("{} has no {name}", self.name());
            Refused::new(ResultCode::MISSING, reason)
        })
    }

    /// The text of a child that must be there.
    pub fn field(self, name: &str) -> Result<String, Refused> {
        Ok(self.needed(name)?.text()?.to_owned())
    }

    /// The text of a child that must be there and say something.
    pub fn filled(self, name: &str) -> Result<String, Refused> {
        let text = self.field(name)?;
        match text.is_empty() {
            false => Ok(text),
            true => Err(Refused::new(
                ResultCode::MISSING,
                format!("{name} of {} is empty", self.name()),
            )),
        }
    }

    /// The text of a child, if there is one.
    pub fn optional(self, name: &str) -> Result<Option<String>, Refused> {
        let child = self.child(name);
        child.map(|it| it.text().map(str::to_owned)).transpose()
    }

    /// A child's text of any length, empty if there is none, without any blanks: base64.
    pub fn base64(self, name: &str) -> String {
        let text = self.child(name).map_or("", Self::long_text);
        text.split_ascii_whitespace().collect()
    }

    /// A number in a child that must be there.
    pub fn number<T: std::str::FromStr>(self, name: &str) -> Result<T, Refused> {
        let text = self.needed(name)?.text()?;
        text.parse().map_err(|_| not_number(name, text))
    }
}

pub(super) fn not_number(name: &str, text: &str) -> Refused {
    let reason = format!("{name} is {text:.40?}, which is no number that is taken");
    Refused::new(ResultCode::VALUE_SYNTAX, reason)
}

/// A choice among words.
pub(super) fn choice<T: Copy>(
    name: &str,
    text: &str,
    words: &[(&'static str, T)],
) -> Result<T, Refused> {
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, it)| *it).ok_or_else(|| {
        let reason = format!("{name} is {text:.40?}, which is not one of its values");
        Refused::new(ResultCode::RANGE, reason)
    })
}

/// The word for a choice.
pub(super) fn word<T: Copy + PartialEq>(what: T, words: &[(&'static str, T)]) -> &'static str {
    let found = words.iter().find(|(_, it)| *it == what);
    found.map_or("", |(word, _)| word)
}
