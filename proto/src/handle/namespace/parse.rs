//! Templates from XML. Whatever could go wrong whoever asks later is refused here: names that
//! stand for nothing, elements that mean nothing.

use super::{
    Condition, MAX_COMPILED_BYTES, MAX_EXPRESSION_BYTES, MAX_EXPRESSIONS, Maker, Namespace, Node,
    Piece, Subject, Template, Test, Text,
};
use crate::xml::{Element, XmlError};
use regex::{Regex, RegexBuilder};
use thiserror::Error;

/// Longest delimiter, bytes.
const MAX_DELIMITER_BYTES: usize = 64;

/// Why HS_NAMESPACE data cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NamespaceError {
    /// It is no XML that is read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// An element where it means nothing.
    #[error("<{0:.40}> means nothing in <{1:.40}>")]
    Element(String, String),
    /// An attribute that is not there, or means nothing.
    #[error("attribute {attribute} of <{element}>: {reason}")]
    Attribute {
        /// Of which element.
        element: &'static str,
        /// Which.
        attribute: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// More regular expressions than [`MAX_EXPRESSIONS`].
    #[error("has more than {MAX_EXPRESSIONS} regular expressions")]
    TooManyExpressions,
}

impl Namespace {
    /// Reads a value's data.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(data: &[u8]) -> Result<Self, NamespaceError> {
        let root = Element::parse(data)?;
        if root.name != "namespace" {
            return Err(NamespaceError::Element(root.name, "HS_NAMESPACE".into()));
        }
        let mut reading = Reading::default();
        let templates = root.children.iter().map(|child| match child.name.as_str() {
            "template" => reading.template(child),
            _ => Err(unknown(child, "namespace")),
        });
        let templates = templates.collect::<Result<_, _>>()?;
        Ok(Self {
            templates,
            expressions: reading.expressions,
        })
    }
}

fn unknown(element: &Element, parent: &str) -> NamespaceError {
    NamespaceError::Element(element.name.clone(), parent.to_owned())
}

fn wrong(
    element: &'static str,
    attribute: &'static str,
    reason: impl Into<String>,
) -> NamespaceError {
    NamespaceError::Attribute {
        element,
        attribute,
        reason: reason.into(),
    }
}

fn needed<'a>(
    element: &'a Element,
    name: &'static str,
    attribute: &'static str,
) -> Result<&'a str, NamespaceError> {
    let value = element.attribute(attribute);
    value.ok_or_else(|| wrong(name, attribute, "is missing"))
}

/// What is known where an element stands.
#[derive(Debug, Default)]
struct Reading {
    /// Inside a `<foreach>`.
    of_value: bool,
    /// Parameters of the tests around, with the number of their groups.
    parameters: Vec<(String, usize)>,
    expressions: usize,
}

impl Reading {
    fn template(&mut self, element: &Element) -> Result<Template, NamespaceError> {
        let delimiter = needed(element, "template", "delimiter")?;
        if delimiter.is_empty() || delimiter.len() > MAX_DELIMITER_BYTES {
            let reason = format!("has 1 to {MAX_DELIMITER_BYTES} bytes");
            return Err(wrong("template", "delimiter", reason));
        }
        Ok(Template {
            delimiter: delimiter.to_owned(),
            body: self.nodes(element)?,
        })
    }

    fn nodes(&mut self, parent: &Element) -> Result<Vec<Node>, NamespaceError> {
        let mut nodes = Vec::new();
        let mut children = parent.children.iter().peekable();
        while let Some(child) = children.next() {
            nodes.push(match child.name.as_str() {
                "foreach" if !self.of_value => {
                    self.of_value = true;
                    let inside = self.nodes(child);
                    self.of_value = false;
                    Node::ForEach(inside?)
                }
                "if" => {
                    let otherwise = children.next_if(|next| next.name == "else");
                    self.condition(child, otherwise)?
                }
                "value" => Node::Value(self.maker(child)?),
                "notfound" => Node::NotFound,
                _ => return Err(unknown(child, &parent.name)),
            });
        }
        Ok(nodes)
    }

    fn condition(
        &mut self,
        element: &Element,
        otherwise: Option<&Element>,
    ) -> Result<Node, NamespaceError> {
        let name = needed(element, "if", "value")?;
        let subject = self.subject(name);
        let subject =
            subject.ok_or_else(|| wrong("if", "value", format!("{name:.40} is unknown")))?;
        let expression = needed(element, "if", "expression")?;
        let (condition, groups) = match needed(element, "if", "test")? {
            "equals" => (Condition::Equals(expression.to_owned()), 1),
            "matches" => {
                let regex = self.regex(expression)?;
                let groups = regex.captures_len();
                (Condition::Matches(regex), groups)
            }
            other => return Err(wrong("if", "test", format!("{other:.40} is unknown"))),
        };
        let parameter = element.attribute("parameter").map(str::to_owned);
        let known = self.parameters.len();
        self.parameters
            .extend(parameter.clone().map(|name| (name, groups)));
        let then = self.nodes(element)?;
        let otherwise = otherwise.map_or(Ok(Vec::new()), |it| self.nodes(it))?;
        self.parameters.truncate(known);
        Ok(Node::If {
            test: Test {
                subject,
                condition,
                parameter,
            },
            then,
            otherwise,
        })
    }

    /// What a name stands for here.
    fn subject(&self, name: &str) -> Option<Subject> {
        Subject::named(name).filter(|subject| self.of_value || !subject.is_of_value())
    }

    fn regex(&mut self, expression: &str) -> Result<Regex, NamespaceError> {
        self.expressions += 1;
        if self.expressions > MAX_EXPRESSIONS {
            return Err(NamespaceError::TooManyExpressions);
        }
        if expression.len() > MAX_EXPRESSION_BYTES {
            let reason = format!("is longer than {MAX_EXPRESSION_BYTES} bytes");
            return Err(wrong("if", "expression", reason));
        }
        let compiled = |expression: &str| {
            RegexBuilder::new(expression)
                .size_limit(MAX_COMPILED_BYTES)
                .dfa_size_limit(MAX_COMPILED_BYTES)
                .build()
                .map_err(|error| wrong("if", "expression", error.to_string()))
        };
        // By itself first: parentheses of its own must not end those around it.
        compiled(expression)?;
        compiled(&format!(r"\A(?:{expression})\z"))
    }

    fn maker(&mut self, element: &Element) -> Result<Maker, NamespaceError> {
        if let Some(child) = element.children.first() {
            return Err(unknown(child, "value"));
        }
        let text = |attribute: &'static str| {
            let given = element.attribute(attribute);
            given.map(|text| self.text(attribute, text)).transpose()
        };
        let maker = Maker {
            index: text("index")?,
            value_type: text("type")?,
            data: text("data")?,
        };
        for (attribute, given) in [
            ("index", maker.index.is_some()),
            ("type", maker.value_type.is_some()),
            ("data", maker.data.is_some()),
        ] {
            if !given && !self.of_value {
                return Err(wrong("value", attribute, "is missing outside <foreach>"));
            }
        }
        Ok(maker)
    }

    /// Text with `${name}` and `${name[group]}` in it.
    fn text(&self, attribute: &'static str, text: &str) -> Result<Text, NamespaceError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            let (name, after) = behind
                .split_once('}')
                .ok_or_else(|| wrong("value", attribute, "a ${ without its }"))?;
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_owned()));
            }
            pieces.push(
                self.piece(name).ok_or_else(|| {
                    wrong("value", attribute, format!("${{{name:.40}}} is unknown"))
                })?,
            );
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(pieces)
    }

    fn piece(&self, name: &str) -> Option<Piece> {
        let (name, group) = match name.strip_suffix(']').map(|name| name.split_once('[')) {
            Some(indexed) => {
                let (name, group) = indexed?;
                (name, group.parse().ok()?)
            }
            None => (name, 0),
        };
        let parameters = || self.parameters.iter().rev();
        if let Some((_, groups)) = parameters().find(|(known, _)| known == name) {
            return (group < *groups).then(|| Piece::Parameter(name.to_owned(), group));
        }
        self.subject(name)
            .filter(|_| group == 0)
            .map(Piece::Subject)
    }
}
