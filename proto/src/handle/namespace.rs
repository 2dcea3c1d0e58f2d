//! HS_NAMESPACE data: templates by which handles that are not registered have values, computed
//! from those of a handle that is (Handle.Net Technical Manual, "Template Handles").
//!
//! A template splits a handle at the first delimiter behind its prefix: `88.118.8/abc@x` with
//! `@` is the base handle `88.118.8/abc` and the extension `x`.
//!
//! | element | means |
//! |---|---|
//! | `<namespace>` | holds the templates; the first one counts whose delimiter is in the handle |
//! | `<template delimiter="@">` | what is inside makes the values |
//! | `<foreach>` | what is inside once for each value of the base handle |
//! | `<if value= test= expression= parameter=>`, `<else>` behind it | inside, if the test holds; else the other |
//! | `<value index= type= data=/>` | a value; what is not said is that of the base's value |
//! | `<notfound/>` | there is no such handle |
//!
//! `value` is `handle`, `base`, `extension` or, in a `<foreach>`, `index`, `type` or `data`; `test` is
//! `equals` or `matches` (the expression is a regular one and matches the whole). `parameter` names
//! the text that was tested, and behind it in brackets the groups of the match: `${x}`, `${x[1]}`.
//! Attributes of `<value>` may hold the same names as `${…}`.

mod compute;
mod parse;

pub use self::compute::{Base, ComputeError, Computed, Split};
pub use self::parse::NamespaceError;

use regex::Regex;

/// Most regular expressions of a namespace.
pub const MAX_EXPRESSIONS: usize = 64;
/// Longest regular expression, bytes.
pub const MAX_EXPRESSION_BYTES: usize = 1_024;
/// Most memory that one compiled regular expression takes, and about as much again while it
/// matches, bytes.
pub const MAX_COMPILED_BYTES: usize = 128 << 10;

/// Templates, ready to be asked.
#[derive(Debug, Clone)]
pub struct Namespace {
    templates: Vec<Template>,
    expressions: usize,
}

/// What stands in one `<template>`.
#[derive(Debug, Clone)]
struct Template {
    delimiter: String,
    body: Vec<Node>,
}

/// An element that does something.
#[derive(Debug, Clone)]
enum Node {
    ForEach(Vec<Node>),
    If {
        test: Test,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Value(Maker),
    NotFound,
}

/// What an `<if>` asks.
#[derive(Debug, Clone)]
struct Test {
    subject: Subject,
    condition: Condition,
    parameter: Option<String>,
}

/// Texts that may be tested and put into values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Handle,
    Base,
    Extension,
    Index,
    Type,
    Data,
}

impl Subject {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "handle" => Self::Handle,
            "base" => Self::Base,
            "extension" => Self::Extension,
            "index" => Self::Index,
            "type" => Self::Type,
            "data" => Self::Data,
            _ => return None,
        })
    }

    /// Whether it is of one of the base's values.
    fn is_of_value(self) -> bool {
        matches!(self, Self::Index | Self::Type | Self::Data)
    }
}

#[derive(Debug, Clone)]
enum Condition {
    Equals(String),
    Matches(Regex),
}

/// What a `<value>` says.
#[derive(Debug, Clone, Default)]
struct Maker {
    index: Option<Text>,
    value_type: Option<Text>,
    data: Option<Text>,
}

/// Text with names in it.
type Text = Vec<Piece>;

#[derive(Debug, Clone)]
enum Piece {
    Literal(String),
    Subject(Subject),
    /// A parameter, and which group of its match; 0 is the whole.
    Parameter(String, usize),
}

impl Namespace {
    /// Whether a handle has to do with it: one of its delimiters is behind the prefix.
    pub fn concerns(&self, handle: &str) -> bool {
        self.find(handle).is_some()
    }

    /// How much memory it takes at most, bytes; regular expressions by their bounds.
    pub fn weight(&self) -> usize {
        let templates = self.templates.iter();
        let inside = templates.map(|it| it.delimiter.capacity() + weight_of(&it.body));
        let regexes = 2 * MAX_COMPILED_BYTES * self.expressions;
        self.templates.capacity() * size_of::<Template>() + inside.sum::<usize>() + regexes
    }

    /// The template for a handle, and where its delimiter is.
    fn find(&self, handle: &str) -> Option<(&Template, usize)> {
        let suffix_at = handle.find('/')? + 1;
        let suffix = handle.get(suffix_at..)?;
        self.templates.iter().find_map(|template| {
            let at = suffix.find(&template.delimiter)?;
            Some((template, suffix_at + at))
        })
    }
}

/// What elements take, without their compiled expressions, bytes.
fn weight_of(nodes: &Vec<Node>) -> usize {
    let inside = nodes.iter().map(|node| match node {
        Node::ForEach(inside) => weight_of(inside),
        Node::If {
            test,
            then,
            otherwise,
        } => {
            let expression = match &test.condition {
                Condition::Equals(text) => text.capacity(),
                Condition::Matches(regex) => regex.as_str().len(),
            };
            let parameter = test.parameter.as_ref().map_or(0, String::capacity);
            expression + parameter + weight_of(then) + weight_of(otherwise)
        }
        Node::Value(maker) => {
            let texts = [&maker.index, &maker.value_type, &maker.data].into_iter();
            texts.flatten().map(weight_of_text).sum()
        }
        Node::NotFound => 0,
    });
    nodes.capacity() * size_of::<Node>() + inside.sum::<usize>()
}

fn weight_of_text(text: &Text) -> usize {
    let inside = text.iter().map(|piece| match piece {
        Piece::Literal(text) | Piece::Parameter(text, _) => text.capacity(),
        Piece::Subject(_) => 0,
    });
    text.capacity() * size_of::<Piece>() + inside.sum::<usize>()
}

#[cfg(test)]
mod tests;
