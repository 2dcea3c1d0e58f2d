//! Export, import into another node and export again: the same bytes, whatever is registered.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use idnode_tests::run::output;
use serde_json::{Value, json};

use super::{World, json_lines, text};

const PREFIXES: [&str; 8] = [
    "88.118.8",
    "hdl:1.2",
    "oid:1.2.156.3001",
    "gs1:9506000",
    "ecode:10003",
    "vaa:VAA08810012345678",
    "did:cn:88.118",
    "did:bid:byo1",
];

/// Identifiers of every scheme, in spellings that a file must keep as they are.
const IDENTIFIERS: [&str; 18] = [
    "88.118.8/JXDY2106023",
    "88.118.8/mixedCase-é",
    "88.118.8/温度传感器/一号",
    "88.118.8/with, comma and \"quotes\"",
    "88.118.8/two\nlines\r\nand\ttab",
    "88.118.8/ blank at both ends ",
    "88.118.8/nul\0and\u{feff}mark",
    "88.118.8/=HYPERLINK(\"x\")",
    "88.118.8/🏭",
    "1.2/looks-like-an-oid",
    "1.2.156.3001.1.5",
    "1.2.156.3001.340282366920938463463374607431768211455",
    "(01)09506000134352",
    "(01)09506000134352(10)ABC123(21)456",
    "ecode:100036930100",
    "VAA08810012345678/SN-0001",
    "did:cn:88.118.8",
    "did:bid:byo1:efzV4oV3dzVx8BVREDfuYLTp8bzJHiy9",
];

/// Values of every kind there is, as a line of an export has them.
fn values(seed: usize) -> Vec<Value> {
    let string = |text: &str| json!({"format": "string", "value": text});
    let value = |index: usize, kind: &str, data: Value| {
        json!({"index": index, "type": kind, "data": data, "ttl_s": 86400,
               "permissions": 14, "timestamp_s": 1_767_225_600 + seed})
    };
    let mut private = value(3, "COST", string("17.20"));
    private["permissions"] = json!(0b1100);
    let mut nobody = value(4, "SEALED", string("only on file"));
    nobody["permissions"] = json!(0b0000);
    let mut expiring = value(5, "NOTE", string("until then"));
    expiring.as_object_mut().unwrap().remove("ttl_s");
    expiring["expires_at_s"] = json!(1_900_000_000_u32);
    let mut linked = value(2_147_483_647, "SEE", string("another"));
    linked["references"] = json!([
        {"handle": "88.118.8/ADMIN", "index": 300},
        {"handle": "0.NA/88.118.8", "index": 1},
        {"handle": "88.118.8/a;b:c", "index": 0},
    ]);
    linked["ttl_s"] = json!(0);
    vec![
        value(
            1,
            "URL",
            string(&format!("https://example.cn/{seed}?a=b&c=\"d\"")),
        ),
        value(2, "DESC", string("两行\n说明, \"引号\", 🏭\r\n")),
        private,
        nobody,
        expiring,
        value(
            6,
            "KEY",
            json!({"format": "base64", "value": "AP+AgQ0K//4="}),
        ),
        value(7, "EMPTY", string("")),
        value(8, "属性", string(" = + - @ ")),
        linked,
    ]
    // Fields are written in this order.
    .into_iter()
    .map(|value| {
        let names = [
            "index",
            "type",
            "data",
            "ttl_s",
            "expires_at_s",
            "permissions",
            "timestamp_s",
            "references",
        ];
        let fields = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), value.get(name)?.clone())));
        Value::Object(fields.collect())
    })
    .collect()
}

fn source() -> Vec<Value> {
    let mut lines: Vec<_> = IDENTIFIERS
        .iter()
        .enumerate()
        .map(|(seed, identifier)| json!({"identifier": identifier, "values": values(seed)}))
        .collect();
    let bearing = json!({"index": 1, "type": "diameter", "data": {"format": "string", "value": "20.5"},
        "ttl_s": 600, "permissions": 14, "timestamp_s": 1_767_225_600});
    lines.push(
        json!({"identifier": "88.118.8/bearing", "template": "bearing", "values": [bearing]}),
    );
    // So that an export is of several messages.
    for n in 0..2_500 {
        let value = json!({"index": 1, "type": "SERIAL", "data": {"format": "string", "value": format!("{n}")},
            "ttl_s": 86400, "permissions": 14, "timestamp_s": 1_767_225_600});
        lines.push(json!({"identifier": format!("88.118.8/many-{n:05}"), "values": [value]}));
    }
    lines
}

fn world() -> World {
    let world = World::new(&PREFIXES);
    let attribute = json!({"name": "diameter", "type": "decimal", "unit": "mm", "minimum": 0});
    let template = json!({"name": "bearing", "attributes": [attribute]}).to_string();
    let file = world.file("bearing.json", template);
    world.operator.json(&["template", "put", &file]);
    world
}

fn by_identifier(lines: Vec<Value>) -> BTreeMap<String, Value> {
    let name = |line: &Value| line["identifier"].as_str().unwrap().to_owned();
    lines.into_iter().map(|line| (name(&line), line)).collect()
}

#[test]
fn export_import_export_is_byte_identical() {
    let first = world();
    let source = source();
    let lines: String = source.iter().map(|line| format!("{line}\n")).collect();
    let file = first.file("source.jsonl", lines);
    let summary = first.operator.json(&["import", &file]);
    assert_eq!(summary["created"], source.len(), "{summary}");

    let jsonl = first.export("all.jsonl");
    // Nothing is lost, added or spelt otherwise on the way in and out.
    let (exported, source) = (by_identifier(json_lines(&jsonl)), by_identifier(source));
    assert_eq!(exported.len(), source.len());
    for (identifier, line) in &source {
        assert_eq!(exported.get(identifier), Some(line), "{identifier}");
    }

    let csv = first.export("all.csv");
    for (program, name, plain) in [
        ("gzip", "all.csv.gz", &csv),
        ("zstd", "all.csv.zst", &csv),
        ("gzip", "all.jsonl.gz", &jsonl),
        ("zstd", "all.jsonl.zst", &jsonl),
    ] {
        first.export(name);
        let file = text(&first.dir.beside(name));
        let unpacked = output(Command::new(program).args(["-d", "-c", "-q", &file]));
        assert!(unpacked.stdout == *plain, "{name} holds something else");
    }
    for name in ["all.csv", "all.jsonl.zst"] {
        let file = text(&first.dir.beside(name));
        let second = world();
        let summary = second.operator.json(&["import", &file]);
        assert_eq!(summary["created"], source.len(), "{name}: {summary}");
        same(&csv, &second.export("again.csv"), name);
        same(&jsonl, &second.export("again.jsonl"), name);
        second.node.stop();
    }
}

/// Two texts are the same, or the first line that differs is shown.
fn same(left: &[u8], right: &[u8], name: &str) {
    let (left, right) = (
        left.split(|byte| *byte == b'\n'),
        right.split(|byte| *byte == b'\n'),
    );
    for (line, (left, right)) in left.clone().zip(right.clone()).enumerate() {
        let [left, right] = [left, right].map(String::from_utf8_lossy);
        assert_eq!(left, right, "line {} after importing {name}", line + 1);
    }
    assert_eq!(left.count(), right.count(), "lines after importing {name}");
}

#[test]
fn an_enterprise_exports_what_is_its_own_and_a_prefix_what_is_under_it() {
    let world = world();
    let other = world
        .operator
        .verified_enterprise(idnode_tests::api::CODES[1]);
    world.operator.active_prefix("88.118.80", &other);
    let own = world.file("own.jsonl", super::jsonl("own", 5));
    let others = super::jsonl("other", 7).replace("88.118.8/", "88.118.80/");
    let others = world.file("others.jsonl", others);
    for file in [&own, &others] {
        world.operator.json(&["import", file]);
    }
    let key = world
        .operator
        .json(&["key", "create", "--enterprise-id", &other]);
    let token = world.file("other.token", key["token"].as_str().unwrap());
    let as_other = world.node.idctl(Some(token.as_ref()));

    let names = |done: idnode_tests::run::Done| -> Vec<String> {
        assert_eq!(done.code, 0, "{done:?}");
        let lines = json_lines(done.stdout.as_bytes());
        lines
            .iter()
            .map(|line| line["identifier"].as_str().unwrap().to_owned())
            .collect()
    };
    let expected: Vec<_> = (0..7).map(|n| format!("88.118.80/other-{n:06}")).collect();
    assert_eq!(names(as_other.run(&["export"])), expected);
    assert_eq!(
        names(world.operator.run(&["export", "--prefix", "88.118.80"])),
        expected
    );
    assert_eq!(names(world.operator.run(&["export"])).len(), 12);
    let (code, error) = as_other.refused(&["export", "--prefix", "88.118.8"]);
    assert_eq!((code, &error["code"]), (1, &json!("PERMISSION_DENIED")));
    // A file appears when it is complete, and this one never is.
    let path = world.dir.beside("refused.jsonl");
    let refused = as_other.run(&["export", "--prefix", "88.118.8", "-o", &text(&path)]);
    assert_eq!(refused.code, 1);
    assert!(!path.exists() && !fs::exists(path.with_extension("jsonl.partial")).unwrap());
}
