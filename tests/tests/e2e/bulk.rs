//! Bulk registration (批量注册) as operators do it: the real `idctl` and files on disk against the
//! real node.

mod bad_files;
mod cuts;
mod rejects;
mod round_trip;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use idnode_tests::api::CODES;
use idnode_tests::node::{DataDir, Node};
use idnode_tests::run::{Idctl, output};
use serde_json::{Value, json};

/// A node with one enterprise and its prefixes, and room for files.
struct World {
    operator: Idctl,
    node: Node,
    dir: DataDir,
}

impl World {
    fn new(prefixes: &[&str]) -> Self {
        let dir = DataDir::init();
        let node = Node::run(&dir);
        let operator = node.idctl(Some(&dir.token_file()));
        let enterprise = operator.verified_enterprise(CODES[0]);
        for prefix in prefixes {
            operator.active_prefix(prefix, &enterprise);
        }
        Self {
            operator,
            node,
            dir,
        }
    }

    /// A file beside the data.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.dir.beside(name);
        fs::write(&path, bytes).unwrap();
        text(&path)
    }

    /// A file as another program compresses it.
    fn compressed(&self, program: &str, bytes: &[u8], name: &str) -> String {
        let plain = self.file("to-be-compressed", bytes);
        let done = output(Command::new(program).args(["-c", "-q", &plain]));
        assert!(done.status.success(), "{program}: {done:?}");
        self.file(name, &done.stdout)
    }

    /// How many identifiers are registered.
    fn count(&self) -> u64 {
        self.operator.json(&["stats"])["identifiers"]
            .as_u64()
            .unwrap()
    }

    /// What an export of everything writes.
    fn export(&self, name: &str) -> Vec<u8> {
        let path = text(&self.dir.beside(name));
        self.operator.json(&["export", "-o", &path]);
        fs::read(path).unwrap()
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A file that `idctl import` leaves beside the one it reads.
fn beside(file: &str, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{file}{suffix}"))
}

fn json_lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Line, identifier, reason and field of each reject of a file.
fn rejects(file: &str) -> Vec<(u64, String, String, String)> {
    let lines = json_lines(&fs::read(beside(file, ".rejects")).unwrap());
    lines
        .iter()
        .map(|reject| {
            let part = |name: &str| reject[name].as_str().unwrap().to_owned();
            assert!(!part("message").is_empty(), "{reject} says nothing");
            let line = reject["line"].as_u64().unwrap();
            (line, part("identifier"), part("reason"), part("field"))
        })
        .collect()
}

fn fact(line: u64, identifier: &str, reason: &str, field: &str) -> (u64, String, String, String) {
    let own = str::to_owned;
    (line, own(identifier), own(reason), own(field))
}

/// JSON Lines of `count` identifiers with one URL each.
fn jsonl(name: &str, count: usize) -> String {
    let line = |n| {
        let value = json!({"type": "URL", "data": url(name, n)});
        let line = json!({"identifier": format!("88.118.8/{name}-{n:06}"), "values": [value]});
        format!("{line}\n")
    };
    (0..count).map(line).collect()
}

/// The same as CSV.
fn csv(name: &str, count: usize) -> String {
    let row = |n| format!("88.118.8/{name}-{n:06},URL,{}\n", url(name, n));
    let rows = (0..count).map(row);
    std::iter::once("identifier,type,data\n".to_owned())
        .chain(rows)
        .collect()
}

fn url(name: &str, n: usize) -> String {
    format!("https://example.cn/{name}/{n}")
}

#[test]
fn both_formats_come_in_plain_and_compressed() {
    let world = World::new(&["88.118.8"]);
    let mut expected = 0;
    for (format, items) in [("csv", csv as fn(&str, usize) -> String), ("jsonl", jsonl)] {
        for (program, extension) in [("", ""), ("gzip", ".gz"), ("zstd", ".zst")] {
            let name = format!("{format}{program}");
            let text = items(&name, 1_500);
            let file = match program {
                "" => world.file(&format!("{name}.{format}"), &text),
                _ => {
                    let file = format!("{name}.{format}{extension}");
                    world.compressed(program, text.as_bytes(), &file)
                }
            };
            let summary = world.operator.json(&["import", &file]);
            assert_eq!(summary["created"], 1_500, "{name}: {summary}");
            assert_eq!(summary["rejected"], 0, "{name}: {summary}");
            for left in [".rejects", ".progress"] {
                assert!(!beside(&file, left).exists(), "{name}: {left} is left");
            }
            let last = format!("88.118.8/{name}-001499");
            let record = world.operator.json(&["identifier", "get", &last]);
            let data = &record["values"][0]["data"]["value"];
            assert_eq!(data, &json!(url(&name, 1_499)), "{record}");
            expected += 1_500;
            assert_eq!(world.count(), expected);
        }
    }
    // What a file holds is seen from its bytes where its name says nothing.
    let nameless = world.compressed("zstd", csv("nameless", 3).as_bytes(), "nameless");
    assert_eq!(world.operator.json(&["import", &nameless])["created"], 3);
    world.node.stop();
}

#[test]
fn who_imports_again_changes_only_what_differs() {
    let world = World::new(&["88.118.8"]);
    let first = world.file("first.jsonl", jsonl("u", 50));
    world.operator.json(&["import", &first]);
    let before = world.operator.json(&["stats"])["sequence"].clone();
    let changed = jsonl("u", 60).replace("example.cn/u/7\"", "example.cn/seven\"");
    let second = world.file("second.jsonl", changed);

    let done = world.operator.run(&["--json", "import", &second]);
    assert_eq!(done.code, 3, "what is there is rejected: {done:?}");
    assert_eq!(done.document()["created"], 10);
    assert_eq!(rejects(&second).len(), 50);
    let reasons = rejects(&second).into_iter();
    assert!(
        reasons
            .map(|reject| reject.2)
            .all(|reason| reason == "IDENTIFIER_EXISTS")
    );

    let summary = world
        .operator
        .json(&["import", "--mode", "upsert", &second]);
    let counts = ["created", "updated", "unchanged", "rejected"].map(|name| &summary[name]);
    assert_eq!(counts, [&json!(0), &json!(1), &json!(59), &json!(0)]);
    let record = world
        .operator
        .json(&["identifier", "get", "88.118.8/u-000007"]);
    assert_eq!(
        record["values"][0]["data"]["value"],
        "https://example.cn/seven"
    );
    let after = world.operator.json(&["stats"])["sequence"].clone();
    // One entry for the ten, one for the one that differed.
    assert_eq!(after.as_u64().unwrap(), before.as_u64().unwrap() + 2);
}
