//! Namespaces (Namespaces in XML 1.0): which one each element is in.

use super::{Element, XmlError, malformed};
use std::sync::Arc;

/// An element with the namespace that its name is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The namespace; empty: none.
    pub namespace: Arc<str>,
    /// The name without the prefix of the namespace.
    pub name: String,
    /// Names and values of its attributes, in order, as they are written.
    pub attributes: Vec<(String, String)>,
    /// What is inside it, in order.
    pub children: Vec<Named>,
    /// Its own text.
    text: String,
}

/// The prefixes that are declared, the innermost last.
type Scope = Vec<(String, Arc<str>)>;

impl Named {
    /// An element with all that is inside it.
    ///
    /// # Errors
    /// A prefix that is not declared.
    pub fn of(element: Element) -> Result<Self, XmlError> {
        Self::within(element, &mut Vec::new())
    }

    fn within(element: Element, scope: &mut Scope) -> Result<Self, XmlError> {
        let outer = scope.len();
        for (name, value) in &element.attributes {
            let prefix = match name.strip_prefix("xmlns") {
                Some("") => "",
                Some(rest) => match rest.strip_prefix(':') {
                    Some(prefix) => prefix,
                    None => continue,
                },
                None => continue,
            };
            scope.push((prefix.to_owned(), unfolded(value).into()));
        }
        let (prefix, name) = element.name.split_once(':').unwrap_or(("", &element.name));
        let declared = scope.iter().rev().find(|(known, _)| known == prefix);
        let namespace = match declared {
            Some((_, namespace)) => namespace.clone(),
            None if prefix.is_empty() => "".into(),
            None => {
                let reason = format!("{prefix:.40} is the prefix of no namespace");
                return Err(malformed(&reason, 0));
            }
        };
        let name = name.to_owned();
        let children = element.children.into_iter();
        let children = children.map(|child| Self::within(child, scope));
        let children = children.collect::<Result<_, _>>()?;
        scope.truncate(outer);
        Ok(Self {
            namespace,
            name,
            attributes: element.attributes,
            children,
            text: element.text,
        })
    }

    /// Whether it is this element of this namespace.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        &*self.namespace == namespace && self.name == name
    }

    /// Its text without white space around it.
    pub fn text(&self) -> &str {
        self.text.trim_ascii()
    }

    /// An attribute's value, by its name as it is written.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes.find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// The first child of this name in the element's own namespace.
    pub fn child(&self, name: &str) -> Option<&Self> {
        let mut children = self.children.iter();
        children.find(|child| child.is(&self.namespace, name))
    }

    /// Every child of this name in the element's own namespace.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        let children = self.children.iter();
        children.filter(move |child| child.is(&self.namespace, name))
    }
}

/// A namespace's name without white space: a URI has none, but what is printed in documents is
/// often folded into lines.
fn unfolded(uri: &str) -> String {
    uri.split_ascii_whitespace().collect()
}
