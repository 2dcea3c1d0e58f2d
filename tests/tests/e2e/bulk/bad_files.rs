//! Files that are not what they should be: which line, why, and a status that says so.

use std::fs;

use serde_json::json;

use super::{World, beside, csv, fact, jsonl, rejects};

const LONGEST_BYTES: usize = 3_670_016;

#[test]
fn a_line_that_is_not_utf8_is_rejected_alone() {
    let world = World::new(&["88.118.8"]);
    let mut rows = csv("c", 3).into_bytes();
    rows.extend(b"88.118.8/gbk,NOTE,\xd6\xe1\xb3\xd0\n88.118.8/after,NOTE,x\n");
    let file = world.file("gbk.csv", rows);
    let done = world.operator.run(&["--json", "import", &file]);
    assert_eq!((done.code, &done.document()["created"]), (3, &json!(4)));
    assert_eq!(
        rejects(&file),
        [fact(5, "88.118.8/gbk", "NOT_UTF8", "data")]
    );

    let mut lines = jsonl("j", 2).into_bytes();
    lines.extend(b"{\"identifier\":\"88.118.8/\xd6\xe1\",\"values\":[]}\n");
    let file = world.file("gbk.jsonl", lines);
    let done = world.operator.run(&["--json", "import", &file]);
    assert_eq!((done.code, &done.document()["created"]), (3, &json!(2)));
    assert_eq!(rejects(&file), [fact(3, "", "NOT_UTF8", "")]);
}

#[test]
fn half_a_line_at_the_end_is_rejected() {
    let world = World::new(&["88.118.8"]);
    for (name, text, whole, reason) in [
        ("cut.jsonl", jsonl("j", 5), 4, "MALFORMED_JSON"),
        ("cut.csv", csv("c", 5), 4, "MALFORMED_CSV"),
    ] {
        // In the middle of the type.
        let cut = text.rfind("URL").unwrap() + 1;
        let file = world.file(name, &text[..cut]);
        let done = world.operator.run(&["--json", "import", &file]);
        assert_eq!((done.code, &done.document()["created"]), (3, &json!(whole)));
        let (line, _, found, _) = rejects(&file).remove(0);
        let last = text[..cut].lines().count() as u64;
        assert_eq!((line, found.as_str()), (last, reason), "{name}");
    }
    let open = csv("q", 2) + "88.118.8/open,NOTE,\"begins and\nnever ends\n";
    let file = world.file("open.csv", open);
    let done = world.operator.run(&["--json", "import", &file]);
    assert_eq!((done.code, &done.document()["created"]), (3, &json!(2)));
    // Where the quote is not closed, the next line is taken for a row again.
    let [open, next] = &rejects(&file)[..] else {
        panic!("not two rejects")
    };
    assert_eq!(*open, fact(4, "88.118.8/open", "MALFORMED_CSV", ""));
    assert_eq!((next.0, next.2.as_str()), (5, "MALFORMED_CSV"));
}

#[test]
fn a_line_beyond_the_bound_is_rejected_and_what_follows_is_not() {
    let world = World::new(&["88.118.8"]);
    let long = "x".repeat(LONGEST_BYTES);
    for (name, text) in [
        (
            "long.jsonl",
            format!(
                "{{\"identifier\":\"88.118.8/l\",\"values\":[{{\"type\":\"N\",\"data\":\"{long}\"}}]}}\n{}",
                jsonl("j", 2)
            ),
        ),
        (
            "long.csv",
            csv("c", 2).replacen('\n', &format!("\n88.118.8/l,N,{long}\n"), 1),
        ),
    ] {
        let file = world.file(name, &text);
        let done = world.operator.run(&["--json", "import", &file]);
        assert_eq!((done.code, &done.document()["created"]), (3, &json!(2)));
        let line = text
            .lines()
            .position(|line| line.len() > LONGEST_BYTES)
            .unwrap() as u64
            + 1;
        let found = rejects(&file);
        assert_eq!(
            (found[0].0, found[0].2.as_str()),
            (line, "TOO_LARGE"),
            "{name}"
        );
        assert_eq!(found.len(), 1);
    }
    // A line that may be read, of a record the node does not take.
    let much = jsonl("m", 1).replace("https", &"y".repeat(600_000));
    let file = world.file("much.jsonl", much);
    let done = world.operator.run(&["--json", "import", &file]);
    assert_eq!(done.code, 3, "{done:?}");
    assert_eq!(rejects(&file)[0].2, "INVALID");
}

#[test]
fn a_header_that_cannot_be_used_is_told_before_anything_is_sent() {
    let world = World::new(&["88.118.8"]);
    let utf16: Vec<u8> = csv("w", 1)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (name, bytes, part) in [
        (
            "colour.csv",
            b"identifier,type,data,colour\n88.118.8/a,URL,x,red\n".to_vec(),
            "`colour`",
        ),
        (
            "short.csv",
            b"identifier,data\n88.118.8/a,x\n".to_vec(),
            "`type`",
        ),
        (
            "twice.csv",
            b"identifier,type,data,TYPE\n".to_vec(),
            "`TYPE` occurs twice",
        ),
        (
            "open.csv",
            b"identifier,\"type,data\n".to_vec(),
            "open quote",
        ),
        ("wide.csv", utf16, "unknown column"),
    ] {
        let file = world.file(name, bytes);
        let done = world.operator.run(&["--json", "import", &file]);
        assert_eq!(done.code, 2, "{name}: {done:?}");
        let error = done.error();
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(part) && message.contains("line 1"),
            "{name}: {message}"
        );
        assert_eq!(error["metadata"]["path"], file);
        for left in [".rejects", ".progress"] {
            assert!(!beside(&file, left).exists(), "{name}: {left}");
        }
    }
    let empty = world
        .operator
        .run(&["--json", "import", &world.file("empty.csv", "")]);
    assert_eq!(empty.code, 2);
    assert!(empty.error()["message"].as_str().unwrap().contains("empty"));
    assert_eq!(world.count(), 0);
}

#[test]
fn a_compressed_file_that_is_cut_or_damaged_is_no_complete_import() {
    let world = World::new(&["88.118.8"]);
    for (program, extension) in [("gzip", "gz"), ("zstd", "zst")] {
        let text = csv(program, 20_000);
        let name = format!("whole.csv.{extension}");
        let whole = world.compressed(program, text.as_bytes(), &name);
        let bytes = fs::read(&whole).unwrap();
        let mut damaged = bytes.clone();
        let middle = damaged.len() / 2;
        for byte in &mut damaged[middle..middle + 64] {
            *byte ^= 0x5a;
        }
        for (kind, bytes) in [("cut", &bytes[..middle]), ("damaged", &damaged[..])] {
            let file = world.file(&format!("{kind}.csv.{extension}"), bytes);
            let done = world
                .operator
                .run(&["--json", "import", "--chunk", "500", &file]);
            let error = done.error();
            assert_eq!(
                (done.code, &error["code"]),
                (1, &json!("IO")),
                "{kind} {program}"
            );
            let message = error["message"].as_str().unwrap();
            let says = message.contains(&file) && message.contains("line ");
            assert!(says, "{kind} {program}: {message}");
            assert!(done.stdout.is_empty(), "no summary: {done:?}");
        }
        // What was read before the damage showed may be there; the whole file sets it right.
        let summary = world.operator.json(&["import", "--mode", "upsert", &whole]);
        let counts = ["created", "updated", "unchanged"];
        let done = counts.map(|name| summary[name].as_u64().unwrap());
        assert_eq!(done.iter().sum::<u64>(), 20_000, "{summary}");
    }
    assert!(world.count() >= 40_000);
}
