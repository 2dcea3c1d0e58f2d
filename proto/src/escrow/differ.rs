//! Where two objects differ, for people.

use super::object::{Enterprise, Object, Template};
use crate::xml::stream::{Node, Stream};
use std::collections::BTreeMap;

/// Longest piece of a value that is shown, characters.
const SHOWN: usize = 60;

/// The first field in which what was restored is not what was deposited, with both values; `None`: they
/// are equal.
pub fn difference(deposited: &Object, restored: &Object) -> Option<String> {
    let (before, after) = (element(deposited), element(restored));
    if before == after {
        return None;
    }
    let (before, after) = (fields(&before), fields(&after));
    let differs = |name: &&String| before.get(*name) != after.get(*name);
    let name = before.keys().chain(after.keys()).filter(differs).min();
    // Elements that differ have a field that does: they are written in one way only.
    let name = name.map_or("", String::as_str);
    let shown = |value: Option<&String>| match value {
        Some(value) if value.chars().count() > SHOWN => {
            format!("{:?}...", value.chars().take(SHOWN).collect::<String>())
        }
        Some(value) => format!("{value:?}"),
        None => "nothing".to_owned(),
    };
    Some(format!(
        "has {name} {}, where {} was deposited",
        shown(after.get(name)),
        shown(before.get(name))
    ))
}

/// As [`difference`], of enterprises.
pub fn of_enterprises(deposited: &Enterprise, restored: Enterprise) -> Option<String> {
    let deposited = Object::Enterprise(deposited.clone());
    difference(&deposited, &Object::Enterprise(restored))
}

/// As [`difference`], of templates.
pub fn of_templates(deposited: &Template, restored: Template) -> Option<String> {
    let deposited = Object::Template(deposited.clone());
    difference(&deposited, &Object::Template(restored))
}

fn element(object: &Object) -> String {
    let mut text = String::new();
    object.write(&mut text);
    text
}

/// Every attribute and text of an element by its path, such as `contact/email`.
fn fields(element: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let document = format!("<x xmlns:ide=\"{}\">{element}</x>", super::NS);
    let mut stream = Stream::new(document.as_bytes(), super::LIMITS);
    let object = stream.enter().and_then(|_| match stream.enter()? {
        Some(node) => stream.whole(node).map(Some),
        None => Ok(None),
    });
    if let Ok(Some(object)) = object {
        gather(&object, "", &mut found);
    }
    found
}

fn gather(node: &Node, path: &str, found: &mut BTreeMap<String, String>) {
    for (name, value) in &node.attributes {
        found.insert(format!("{path}{name}"), value.clone());
    }
    if !node.text.trim().is_empty() {
        found.insert(format!("{path}text"), node.text.clone());
    }
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for child in &node.children {
        let number = counted.entry(child.name.as_str()).or_default();
        *number += 1;
        let inner = match number {
            1 => format!("{path}{}/", child.name),
            number => format!("{path}{}[{number}]/", child.name),
        };
        gather(child, &inner, found);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_field_that_differs_is_named() {
        let one = Enterprise {
            id: 1,
            name: "太原".into(),
            contact: Some(["a".into(), "a@example.com".into(), String::new()]),
            ..Enterprise::default()
        };
        assert_eq!(of_enterprises(&one, one.clone()), None);
        let renamed = Enterprise {
            name: "大同".into(),
            ..one.clone()
        };
        let said = of_enterprises(&one, renamed).unwrap();
        assert_eq!(said, "has name \"大同\", where \"太原\" was deposited");
        let reached = Enterprise {
            contact: Some(["a".into(), "b@example.com".into(), String::new()]),
            ..one.clone()
        };
        let said = of_enterprises(&one, reached).unwrap();
        let expected = "has contact/email \"b@example.com\", where \"a@example.com\" was deposited";
        assert_eq!(said, expected);
        let lost = Enterprise {
            contact: None,
            ..one.clone()
        };
        let said = of_enterprises(&one, lost).unwrap();
        assert!(
            said.starts_with("has contact/email nothing, where "),
            "{said}"
        );
    }
}
