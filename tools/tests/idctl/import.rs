//! `idctl import` and `idctl export`.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::node::{Behaviour, Node};
use crate::run::{
    beside, command, document, error, expect, file, idctl, idctl_reading, json_lines, start,
};

/// `count` lines of JSON, every tenth malformed, every tenth refused by the node.
fn lines(count: usize) -> String {
    (1..=count)
        .map(|line| match line % 10 {
            3 => format!("{{\"identifier\":\"88.118.8/{line:06}\",\n"),
            7 => format!("{{\"identifier\":\"88.118.8/bad{line}\",\"values\":[]}}\n"),
            _ => format!(
                "{{\"identifier\":\"88.118.8/{line:06}\",\"values\":[{{\"type\":\"URL\",\"data\":\"https://x/{line}\"}}]}}\n"
            ),
        })
        .collect()
}

/// Checks that all of [`lines`] has been imported exactly once and every reject is written once.
fn check_complete(node: &Node, path: &Path, count: usize) {
    let good = (1..=count).filter(|line| !matches!(line % 10, 3 | 7));
    let expected: Vec<_> = good.map(|line| format!("88.118.8/{line:06}")).collect();
    assert_eq!(node.identifiers(), expected);
    let rejected: Vec<_> = json_lines(&beside(path, ".rejects"))
        .iter()
        .map(|r| r["line"].as_u64().unwrap())
        .collect();
    let expected: Vec<_> = (1..=count as u64)
        .filter(|line| matches!(line % 10, 3 | 7))
        .collect();
    assert_eq!(rejected, expected);
    assert!(
        !beside(path, ".progress").exists(),
        "the import is complete"
    );
    assert_eq!(node.imports().len(), 1, "one import id throughout");
}

fn wait_until(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "it never happened"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn export_import_export_is_byte_identical() {
    let text = "identifier,type,data,ttl,permissions,encoding\n\
        88.118.8/A,URL,https://a,600,1100,\n\
        88.118.8/A,KEY,AP8=,,,base64\n\
        88.118.8/B,NOTE,\"two\nlines, \"\"quoted\"\"\",,,\n\
        88.118.8/标识,DESC,说明,@1900000000,,\n";
    let (directory, first) = file("first.csv", text.as_bytes());
    let a = Node::start(Behaviour::default());
    let summary = document(&idctl(&a.url, &["--json", "import", path(&first)]), 0);
    assert_eq!(summary["created"], 3);
    assert_eq!(summary["rejects_file"], Value::Null);
    assert!(!beside(&first, ".rejects").exists());

    for name in ["x.csv", "x.jsonl", "x.csv.gz", "x.jsonl.zst"] {
        let out = directory.path().join(name);
        let shown = document(&idctl(&a.url, &["--json", "export", "-o", path(&out)]), 0);
        assert_eq!(
            (&shown["identifiers"], &shown["values"]),
            (&json!(3), &json!(4))
        );
        let b = Node::start(Behaviour::default());
        expect(&idctl(&b.url, &["import", path(&out)]), 0);
        let again = directory.path().join(format!("again-{name}"));
        expect(&idctl(&b.url, &["export", "-o", path(&again)]), 0);
        assert_eq!(
            std::fs::read(&out).unwrap(),
            std::fs::read(&again).unwrap(),
            "{name}"
        );
        assert_eq!(
            a.state.lock().unwrap().identifiers.len(),
            b.identifiers().len()
        );
    }
    let stdout = expect(&idctl(&a.url, &["export", "--format", "csv"]), 0);
    assert_eq!(
        stdout.as_bytes(),
        std::fs::read(directory.path().join("x.csv")).unwrap()
    );
    let part = expect(
        &idctl(&a.url, &["--json", "export", "--prefix", "88.118.8/B"]),
        0,
    );
    assert_eq!(part.lines().count(), 1);
}

#[test]
fn every_item_has_a_result_and_nothing_stops_the_rest() {
    let text = "identifier,type,data,ttl\n\
        88.118.8/A,URL,https://a,60\n\
        88.118.8/bad,URL,https://a,60\n\
        88.118.8/C,URL,https://a\n\
        88.118.8/D,URL,https://a,soon\n\
        88.118.8/E,URL,\"open,60\n\
        88.118.8/F,URL,https://a,60\n\
        88.118.8/F,URL,https://b,soon\n\
        88.118.8/A,URL,https://again,60\n";
    let (_directory, csv) = file("x.csv", text.as_bytes());
    let node = Node::start(Behaviour::default());
    let output = idctl(&node.url, &["--json", "import", path(&csv)]);
    let summary = document(&output, 3);
    assert_eq!(
        (&summary["created"], &summary["rejected"]),
        (&json!(1), &json!(6))
    );
    assert_eq!(error(&output)["exit_code"], 3);
    let rejects = json_lines(&beside(&csv, ".rejects"));
    let facts: Vec<_> = rejects
        .iter()
        .map(|r| {
            let text = |name: &str| r[name].as_str().unwrap().to_owned();
            (
                r["line"].as_u64().unwrap(),
                text("identifier"),
                text("reason"),
                text("field"),
            )
        })
        .collect();
    let fact = |line, identifier: &str, reason: &str, field: &str| {
        (
            line,
            format!("88.118.8/{identifier}"),
            reason.to_owned(),
            field.to_owned(),
        )
    };
    assert_eq!(
        facts,
        [
            fact(3, "bad", "INVALID_IDENTIFIER", "identifier"),
            fact(4, "C", "MALFORMED_CSV", ""),
            fact(5, "D", "INVALID_FIELD", "ttl"),
            fact(6, "E", "MALFORMED_CSV", ""),
            fact(7, "F", "INVALID_FIELD", "ttl"),
            fact(9, "A", "IDENTIFIER_EXISTS", "identifier"),
        ]
    );
    assert!(
        rejects[4]["message"]
            .as_str()
            .unwrap()
            .starts_with("line 8: ")
    );
    assert_eq!(node.identifiers(), ["88.118.8/A"]);

    let (_directory, upsert) = file("y.csv", b"identifier,type,data\n88.118.8/A,URL,https://b\n");
    let summary = document(
        &idctl(
            &node.url,
            &["--json", "import", "--mode", "upsert", path(&upsert)],
        ),
        0,
    );
    assert_eq!(
        (&summary["created"], &summary["updated"]),
        (&json!(0), &json!(1))
    );
}

#[test]
fn a_later_run_goes_on_at_the_last_acknowledged_chunk() {
    let (_directory, jsonl) = file("x.jsonl", lines(1000).as_bytes());
    let node = Node::start(Behaviour {
        break_after: Some((20, 1)),
        ..Behaviour::default()
    });
    let import = [
        "--json",
        "import",
        "--chunk",
        "20",
        "--retry-for",
        "0",
        path(&jsonl),
    ];
    let output = idctl(&node.url, &import);
    expect(&output, 1);
    assert_eq!(error(&output)["code"], "UNAVAILABLE");
    assert!(error(&output)["hint"].as_str().unwrap().contains("goes on"));
    let progress = &json_lines(&beside(&jsonl, ".progress"))[0];
    assert_eq!(
        (&progress["last_chunk"], &progress["units"]),
        (&json!(20), &json!(20))
    );
    assert_eq!(progress["tally"]["created"], 320);

    // Another chunk size on the command line does not move the cuts.
    let again = ["--json", "import", "--chunk", "33", path(&jsonl)];
    let summary = document(&idctl(&node.url, &again), 3);
    assert_eq!(
        (&summary["created"], &summary["rejected"]),
        (&json!(800), &json!(200))
    );
    check_complete(&node, &jsonl, 1000);
    // The chunk that was committed and not acknowledged came twice, those before it once.
    let state = node.state.lock().unwrap();
    let times = |n| {
        state
            .received
            .iter()
            .filter(|(_, number, _)| *number == n)
            .count()
    };
    assert_eq!((times(1), times(20), times(21), times(50)), (1, 1, 2, 1));
}

#[test]
fn one_run_connects_again_by_itself() {
    let (_directory, jsonl) = file("x.jsonl", lines(500).as_bytes());
    let node = Node::start(Behaviour {
        break_after: Some((3, 4)),
        ..Behaviour::default()
    });
    let summary = document(
        &idctl(
            &node.url,
            &[
                "--json",
                "import",
                "--chunk",
                "10",
                "--retry-for",
                "20s",
                path(&jsonl),
            ],
        ),
        3,
    );
    assert_eq!(summary["created"], 400);
    check_complete(&node, &jsonl, 500);
}

#[test]
fn a_killed_run_is_taken_up_again() {
    let (_directory, jsonl) = file("x.jsonl", lines(4000).as_bytes());
    let takes = Duration::from_millis(10);
    let node = Node::start(Behaviour {
        chunk_takes: takes,
        ..Behaviour::default()
    });
    let import = ["import", "--chunk", "5", path(&jsonl)];
    let mut child = start(command(&node.url).args(import));
    // The place is on disk although nobody writes it at the end.
    let progress = beside(&jsonl, ".progress");
    let place = || match progress.exists() {
        true => json_lines(&progress)[0]["last_chunk"].as_u64().unwrap(),
        false => 0,
    };
    wait_until(|| place() > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    let done = node.identifiers().len();
    assert!(done < 3200, "it was killed after the end");
    node.state.lock().unwrap().behaviour.chunk_takes = Duration::ZERO;
    expect(&idctl(&node.url, &import), 3);
    check_complete(&node, &jsonl, 4000);
    let state = node.state.lock().unwrap();
    let firsts = state
        .received
        .iter()
        .filter(|(_, number, _)| *number == 1)
        .count();
    assert_eq!(
        firsts, 1,
        "what was acknowledged and saved is not sent again"
    );
}

#[test]
fn an_interrupted_run_keeps_its_place() {
    let (_directory, jsonl) = file("x.jsonl", lines(4000).as_bytes());
    let takes = Duration::from_millis(5);
    let node = Node::start(Behaviour {
        chunk_takes: takes,
        ..Behaviour::default()
    });
    let import = ["--json", "import", "--chunk", "5", path(&jsonl)];
    let child = start(command(&node.url).args(import));
    wait_until(|| node.identifiers().len() >= 50);
    let interrupt = format!("kill -INT {}", child.id());
    let sent = std::process::Command::new("sh")
        .args(["-c", &interrupt])
        .status();
    assert!(sent.unwrap().success());
    let output = child.wait_with_output().unwrap();
    expect(&output, 1);
    assert_eq!(error(&output)["message"], "interrupted");
    let progress = &json_lines(&beside(&jsonl, ".progress"))[0];
    assert!(
        progress["tally"]["created"].as_u64().unwrap() >= 40,
        "{progress}"
    );
    node.state.lock().unwrap().behaviour.chunk_takes = Duration::ZERO;
    document(&idctl(&node.url, &import), 3);
    check_complete(&node, &jsonl, 4000);
}

#[test]
fn progress_of_another_file_is_refused_until_restart() {
    let (_directory, jsonl) = file("x.jsonl", lines(100).as_bytes());
    let node = Node::start(Behaviour {
        break_after: Some((2, 1)),
        ..Behaviour::default()
    });
    expect(
        &idctl(
            &node.url,
            &["import", "--chunk", "10", "--retry-for", "0", path(&jsonl)],
        ),
        1,
    );
    std::fs::write(&jsonl, lines(101)).unwrap();
    let output = idctl(&node.url, &["--json", "import", path(&jsonl)]);
    expect(&output, 2);
    assert!(
        error(&output)["message"]
            .as_str()
            .unwrap()
            .contains("another file")
    );
    expect(
        &idctl(
            &node.url,
            &["import", "--restart", "--mode", "upsert", path(&jsonl)],
        ),
        3,
    );
    assert_eq!(node.imports().len(), 2);
    assert!(!beside(&jsonl, ".progress").exists());
}

#[test]
fn the_node_sets_the_size_of_chunks() {
    let (_directory, jsonl) = file("x.jsonl", lines(100).as_bytes());
    let node = Node::start(Behaviour {
        max_items: 7,
        ..Behaviour::default()
    });
    expect(&idctl(&node.url, &["import", path(&jsonl)]), 3);
    check_complete(&node, &jsonl, 100);
    assert!(
        node.state
            .lock()
            .unwrap()
            .received
            .iter()
            .all(|(_, _, items)| *items <= 7)
    );
}

#[test]
fn standard_input_is_imported_whatever_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let rejects = directory.path().join("refused.jsonl");
    let node = Node::start(Behaviour::default());
    let import = ["--json", "import", "-", "--rejects", path(&rejects)];
    let summary = document(&idctl_reading(&node.url, &import, lines(10).as_bytes()), 3);
    assert_eq!(
        (&summary["created"], &summary["rejected"]),
        (&json!(8), &json!(2))
    );
    assert_eq!(json_lines(&rejects).len(), 2);
    let csv = b"type,identifier,data\nURL,88.118.8/Z,https://z\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, csv).unwrap();
    let summary = document(
        &idctl_reading(&node.url, &import, &gzip.finish().unwrap()),
        0,
    );
    assert_eq!(summary["created"], 1);
}

#[test]
fn a_file_that_cannot_be_used_is_told_before_anything_is_sent() {
    for (name, text, part) in [
        ("x.csv", "identifier,type,data,colour\n", "`colour`"),
        ("x.csv", "identifier,data\n", "`type`"),
        (
            "x.csv",
            "identifier,type,data,type\n",
            "`type` occurs twice",
        ),
        ("x.csv", "", "empty"),
    ] {
        let (_directory, path_) = file(name, text.as_bytes());
        let output = idctl("http://127.0.0.1:1", &["--json", "import", path(&path_)]);
        expect(&output, 2);
        let message = error(&output)["message"].as_str().unwrap().to_owned();
        assert!(message.contains(part), "{message}");
    }
    let output = idctl(
        "http://127.0.0.1:1",
        &["--json", "import", "/nonexistent/x.csv"],
    );
    expect(&output, 2);
    assert_eq!(error(&output)["metadata"]["path"], "/nonexistent/x.csv");

    let (directory, good) = file("x.jsonl", lines(1).as_bytes());
    expect(&idctl("http://127.0.0.1:1", &["import", path(&good)]), 1);
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        1,
        "nothing is left behind"
    );
}
