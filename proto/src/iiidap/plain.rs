//! A document as lines of text: what WHOIS answers (RFC 3912). It is made from the JSON itself, so
//! that it can have nothing else in it.

use super::document::{Document, Notice};
use serde_json::Value;

/// The document in lines that end in CR LF: `key: value`, the members of objects as
/// `node.name: value`, arrays by repeating the key; notices and remarks behind `%`; a blank line
/// before each result of a search.
pub fn plain(document: &Document) -> String {
    let mut text = String::with_capacity(1 << 10);
    let mut bare = document.clone();
    let notices = std::mem::take(&mut bare.notices);
    let remarks = std::mem::take(&mut bare.registration.remarks);
    let results = bare.results.take();
    comments(&mut text, &notices);
    members(&mut text, &bare);
    comments(&mut text, &remarks);
    for mut result in results.unwrap_or_default() {
        let remarks = std::mem::take(&mut result.remarks);
        text.push_str("\r\n");
        members(&mut text, &result);
        comments(&mut text, &remarks);
    }
    text
}

fn comments(text: &mut String, notices: &[Notice]) {
    for notice in notices {
        let lead = notice.title.iter().chain(&notice.r#type);
        for part in lead.chain(&notice.description) {
            line(text, "% ", part);
        }
        for link in &notice.links {
            line(text, "% ", &link.href);
        }
    }
}

fn members(text: &mut String, object: &impl serde::Serialize) {
    // Writing what is plain data to memory has no way to fail.
    if let Ok(value) = serde_json::to_value(object) {
        member(text, "", &value);
    }
}

fn member(text: &mut String, key: &str, value: &Value) {
    let lead = || format!("{key}: ");
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match key {
                    "" => member(text, name, value),
                    key => member(text, &format!("{key}.{name}"), value),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| member(text, key, item)),
        Value::String(value) => line(text, &lead(), value),
        other => line(text, &lead(), &other.to_string()),
    }
}

/// One line, whatever the value holds.
fn line(text: &mut String, lead: &str, value: &str) {
    text.push_str(lead);
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.extend(value.chars().map(|c| if breaks(c) { ' ' } else { c }));
    text.push_str("\r\n");
}
