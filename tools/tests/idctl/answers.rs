//! What is printed, where, and what the process exits with.

use std::path::Path;

use serde_json::{Value, json};

use crate::node::{Behaviour, Node};
use crate::run::{command, document, error, expect, file, idctl, idctl_reading};

fn node() -> Node {
    let node = Node::start(Behaviour::default());
    let text = "identifier,type,data,encoding\n\
        88.118.8/A,URL,https://a,\n88.118.8/A,KEY,AP8=,base64\n88.118.8/B,NOTE,\x1b[2Jx,\n";
    expect(
        &idctl_reading(&node.url, &["import", "-"], text.as_bytes()),
        0,
    );
    node
}

#[test]
fn an_answer_is_a_table_or_a_document() {
    let node = node();
    let found = document(&idctl(&node.url, &["--json", "resolve", "88.118.8/A"]), 0);
    assert_eq!(found["identifier"], "88.118.8/A");
    assert_eq!(found["scheme"], "handle");
    let values = found["record"]["values"].as_array().unwrap();
    assert_eq!(
        values[0]["data"],
        json!({"format": "string", "value": "https://a"})
    );
    assert_eq!(
        values[1]["data"],
        json!({"format": "base64", "value": "AP8="})
    );
    assert_eq!(
        (&values[0]["ttl_s"], &values[0]["permissions"]),
        (&json!(86_400), &json!(14))
    );

    let filtered = [
        "--json",
        "resolve",
        "88.118.8/A",
        "--type",
        "X",
        "--index",
        "2",
    ];
    let found = document(&idctl(&node.url, &filtered), 0);
    assert_eq!(found["record"]["values"].as_array().unwrap().len(), 1);

    let table = expect(&idctl(&node.url, &["resolve", "88.118.8/A"]), 0);
    assert!(
        table.contains("https://a") && table.contains("0x00ff"),
        "{table}"
    );
    let table = expect(&idctl(&node.url, &["resolve", "88.118.8/B"]), 0);
    assert!(
        table.contains(r"\u{1b}[2Jx") && !table.contains('\x1b'),
        "{table}"
    );
}

#[test]
fn a_refusal_says_which_part_was_wrong() {
    let node = node();
    let output = idctl(&node.url, &["--json", "resolve", "88.118.8/none"]);
    assert_eq!(expect(&output, 1), "");
    assert_eq!(
        error(&output),
        json!({
            "code": "NOT_FOUND",
            "reason": "IDENTIFIER_NOT_FOUND",
            "message": "there is no such identifier",
            "fields": [{"field": "identifier", "description": "is not registered"}],
            "metadata": {"identifier": "88.118.8/none"},
            "exit_code": 1,
        })
    );
    let output = idctl(&node.url, &["resolve", "88.118.8/none"]);
    expect(&output, 1);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("IDENTIFIER_NOT_FOUND") && text.contains("identifier: is not"),
        "{text}"
    );
}

#[test]
fn bad_usage_exits_with_2() {
    for arguments in [
        vec!["resolve"],
        vec!["resolve", "a/b", "--front", "handle"],
        vec!["enterprise", "review", "1", "praise"],
        vec!["identifier", "create", "a/b", "--value", "URL"],
        vec!["prefix", "delegate", "88.118.8"],
        vec!["export", "--json", "--format", "csv"],
        vec!["template", "put", "/nonexistent.json"],
    ] {
        let mut with_json = vec!["--json"];
        with_json.extend(&arguments);
        let output = idctl("http://127.0.0.1:1", &with_json);
        assert_eq!(expect(&output, 2), "", "{arguments:?}");
        assert_eq!(error(&output)["exit_code"], 2, "{arguments:?}");
        expect(&idctl("http://127.0.0.1:1", &arguments), 2);
    }
    let output = idctl("https://127.0.0.1:1", &["--json", "resolve", "a/b"]);
    expect(&output, 2);
    expect(&idctl("nonsense", &["resolve", "a/b"]), 2);
    expect(&idctl("http://127.0.0.1:1", &["--help"]), 0);
}

#[test]
fn a_node_that_is_not_there_exits_with_1() {
    let output = idctl("http://127.0.0.1:1", &["--json", "stats"]);
    expect(&output, 1);
    assert_eq!(error(&output)["reason"], "UNREACHABLE");
    let message = error(&output)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("refused"), "{message}");
}

#[test]
fn the_credential_is_sent_only_if_there_is_one() {
    let node = node();
    let (_directory, token) = file("operator.token", b"  secret-token\n");
    let resolve = ["resolve", "88.118.8/A"];
    expect(&idctl(&node.url, &resolve), 0);
    let path = token.to_str().unwrap();
    expect(
        &command(&node.url)
            .args(["--token-file", path])
            .args(resolve)
            .output()
            .unwrap(),
        0,
    );
    expect(
        &command(&node.url)
            .env("IDCTL_TOKEN_FILE", path)
            .args(resolve)
            .output()
            .unwrap(),
        0,
    );
    expect(
        &command(&node.url)
            .env("IDCTL_TOKEN", "other")
            .args(resolve)
            .output()
            .unwrap(),
        0,
    );
    let seen = node.state.lock().unwrap().authorizations.clone();
    let bearer = |token: &str| Some(format!("Bearer {token}"));
    assert_eq!(
        seen[seen.len() - 4..],
        [
            None,
            bearer("secret-token"),
            bearer("secret-token"),
            bearer("other")
        ]
    );
    let (_directory, empty) = file("empty", b"\n");
    let output = idctl(
        &node.url,
        &["--token-file", empty.to_str().unwrap(), "whoami"],
    );
    expect(&output, 2);
    expect(
        &idctl(&node.url, &["--token-file", "/nonexistent", "whoami"]),
        2,
    );
}

#[test]
fn a_batch_is_answered_in_its_order() {
    let node = Node::start(Behaviour::default());
    let mut text = "identifier,type,data\n".to_owned();
    for n in 0..500 {
        text.push_str(&format!("88.118.8/{n},URL,https://x/{n}\n"));
    }
    expect(
        &idctl_reading(&node.url, &["import", "-"], text.as_bytes()),
        0,
    );
    let asked: Vec<_> = (0..700).rev().map(|n| format!("88.118.8/{n}")).collect();
    let input = asked.join("\n");
    let output = idctl_reading(
        &node.url,
        &["--json", "batch-resolve", "--batch", "50"],
        input.as_bytes(),
    );
    let answers: Vec<Value> = expect(&output, 3)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let requested: Vec<_> = answers
        .iter()
        .map(|a| a["requested"].as_str().unwrap())
        .collect();
    assert_eq!(requested, asked);
    assert_eq!(answers[0]["error"]["reason"], "IDENTIFIER_NOT_FOUND");
    assert_eq!(
        answers[699]["record"]["values"][0]["data"]["value"],
        "https://x/0"
    );

    let (_directory, path) = file("list", b"88.118.8/1\r\n\r\n88.118.8/2\n");
    let lines = expect(
        &idctl(&node.url, &["batch-resolve", path.to_str().unwrap()]),
        0,
    );
    assert_eq!(
        lines,
        "88.118.8/1\t1\tURL\thttps://x/1\n88.118.8/2\t1\tURL\thttps://x/2\n"
    );
    assert_eq!(
        expect(&idctl(&node.url, &["batch-resolve"]), 0),
        "",
        "nothing was asked"
    );
}

#[test]
fn names_go_both_ways_without_a_server() {
    let none = "http://127.0.0.1:1";
    let name = expect(&idctl(none, &["dns-name", "88.118.8/JXDY2106023"]), 0);
    assert_eq!(name, "jxdy2106023.88-118-8.hdl.id.example.\n");
    let back = expect(&idctl(none, &["dns-name", "--reverse", name.trim()]), 0);
    assert_eq!(back.trim().to_lowercase(), "88.118.8/jxdy2106023");
    let zone = ["--json", "dns-name", "88.118.8/A", "--zone", "ID.Shanxi.cn"];
    assert_eq!(
        document(&idctl(none, &zone), 0)["name"],
        "a.88-118-8.hdl.id.shanxi.cn."
    );
    let environment = command(none)
        .env("IDCTL_ZONE", "z.cn.")
        .args(["dns-name", "88.118.8/A"])
        .output()
        .unwrap();
    assert_eq!(expect(&environment, 0), "a.88-118-8.hdl.z.cn.\n");

    let long = format!("88.118.8/{}", "标".repeat(300));
    let hashed = document(&idctl(none, &["--json", "dns-name", &long]), 0);
    assert_eq!(hashed["hashed"], true);
    let output = idctl(
        none,
        &["dns-name", "--reverse", hashed["name"].as_str().unwrap()],
    );
    expect(&output, 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("TXT"));
    expect(
        &idctl(none, &["dns-name", "--reverse", "www.example.org"]),
        1,
    );
    expect(&idctl(none, &["dns-name", "no identifier"]), 1);
    expect(
        &idctl(none, &["dns-name", "88.118.8/A", "--zone", "-.."]),
        2,
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error_message() {
    let node = node();
    let script = format!(
        "'{}' --server {} export --format csv | head -c 1",
        Path::new(env!("CARGO_BIN_EXE_idctl")).display(),
        node.url
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
