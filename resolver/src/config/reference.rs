//! The configuration as text: the commented reference, and the effective one with origins.

use std::fmt::Write as _;

use super::overrides::SHORT_FLAGS;
use super::sections::SECTIONS;
use super::table::Key;
use super::{Config, Effective, Origin};

/// Columns of a comment line.
const WIDTH: usize = 100;

/// The whole configuration file with every key at its default, each under a comment that says what
/// it does, what it allows and which flag sets it. A valid file that changes nothing.
pub fn reference() -> String {
    let defaults = Config::unsettled();
    let mut out = String::from("version = 1\n");
    for section in SECTIONS {
        out.push('\n');
        comment(&mut out, &section.docs.concat());
        push_line(&mut out, &format!("[{}]", section.name));
        for key in section.keys {
            comment(&mut out, &key_comment(key));
            push_line(
                &mut out,
                &format!("{} = {}", key.name, (key.get)(&defaults)),
            );
        }
    }
    out
}

fn key_comment(key: &Key) -> String {
    let mut text = format!(
        "{} Allowed: {}.",
        key.docs.concat().trim(),
        key.rule.allowed
    );
    if let Some((flag, _)) = SHORT_FLAGS.iter().find(|(_, path)| *path == key.path()) {
        // Writing to a String cannot fail.
        let _ = write!(text, " Flag: {flag}.");
    }
    text
}

fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            push_line(out, &line);
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    push_line(out, &line);
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// The effective configuration as a valid file, the origin of each key in a comment behind it.
pub fn effective(effective: &Effective) -> String {
    let mut out = String::from("version = 1\n");
    for section in SECTIONS {
        push_line(&mut out, &format!("\n[{}]", section.name));
        for key in section.keys {
            let setting = format!("{} = {}", key.name, (key.get)(&effective.config));
            let origin = match effective.origins.get(&key.path()) {
                None | Some(Origin::Default) => "default".to_owned(),
                Some(origin @ Origin::File { .. }) => format!("file {origin}"),
                Some(origin @ Origin::Environment { .. }) => format!("environment {origin}"),
                Some(origin @ Origin::Flag { .. }) => format!("flag {origin}"),
            };
            push_line(&mut out, &format!("{setting:<44} # {origin}"));
        }
    }
    out
}
