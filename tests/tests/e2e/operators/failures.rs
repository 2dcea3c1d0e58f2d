//! What `idctl` says, and exits with, for each kind of failure.

use std::fs;
use std::time::{Duration, Instant};

use idnode_tests::api::CODES;
use idnode_tests::node::{DataDir, Node};
use idnode_tests::run::{Done, Idctl};
use serde_json::{Value, json};

struct World {
    operator: Idctl,
    stranger: Idctl,
    owner: Idctl,
    other: Idctl,
    node: Node,
    dir: DataDir,
}

impl World {
    fn new() -> Self {
        let dir = DataDir::init();
        let node = Node::run(&dir);
        let operator = node.idctl(Some(&dir.token_file()));
        let holder = |code: &str, prefix: &str| {
            let id = operator.verified_enterprise(code);
            operator.active_prefix(prefix, &id);
            let key = operator.json(&["key", "create", "--enterprise-id", &id]);
            let file = dir.beside(&format!("{prefix}.token"));
            fs::write(&file, key["token"].as_str().unwrap()).unwrap();
            node.idctl(Some(&file))
        };
        let (owner, other) = (holder(CODES[0], "88.118.8"), holder(CODES[1], "88.118.9"));
        let url = ["--value", "1:URL=https://e.cn"];
        for name in ["88.118.8/there", "88.118.8/gone"] {
            owner.json(&[&["identifier", "create", name], &url[..]].concat());
        }
        owner.json(&[
            "identifier",
            "delete",
            "88.118.8/gone",
            "--reason",
            "withdrawn",
        ]);
        Self {
            stranger: node.idctl(None),
            operator,
            owner,
            other,
            node,
            dir,
        }
    }
}

/// Code and reason of a refusal, which must exit with 1 and print nothing else.
#[track_caller]
fn refusal(idctl: &Idctl, arguments: &[&str]) -> (String, String, Value) {
    let (code, error) = idctl.refused(arguments);
    assert_eq!(
        (code, &error["exit_code"]),
        (1, &json!(1)),
        "{arguments:?}: {error}"
    );
    assert!(!error["message"].as_str().unwrap().is_empty(), "{error}");
    // People get the same in words, on standard error.
    let done = idctl.run(arguments);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{done:?}");
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let head = format!("idctl: {} ({})", text("code"), text("reason"));
    assert!(done.stderr.starts_with(&head), "{head}: {done:?}");
    for field in error["fields"].as_array().unwrap() {
        let line = format!("  {}: ", field["field"].as_str().unwrap());
        assert!(done.stderr.contains(&line), "{line}: {done:?}");
    }
    (text("code"), text("reason"), error)
}

fn fields(error: &Value) -> Vec<&str> {
    let fields = error["fields"].as_array().unwrap().iter();
    fields
        .map(|field| field["field"].as_str().unwrap())
        .collect()
}

#[test]
fn each_refusal_of_the_node_has_its_code_its_reason_and_the_part() {
    let world = World::new();
    let url = ["--value", "1:URL=https://e.cn"];
    let create = |name: &'static str| [&["identifier", "create", name], &url[..]].concat();
    let update = |version: &'static str| {
        let update = [
            "identifier",
            "update",
            "88.118.8/there",
            "--expected-version",
            version,
        ];
        [&update[..], &url[..]].concat()
    };
    type Case<'a> = (&'a Idctl, Vec<&'a str>, &'a str, &'a str, Vec<&'a str>);
    let cases: Vec<Case<'_>> = vec![
        (
            &world.stranger,
            vec!["whoami"],
            "UNAUTHENTICATED",
            "UNAUTHENTICATED",
            vec![],
        ),
        (
            &world.other,
            create("88.118.8/new"),
            "PERMISSION_DENIED",
            "DENIED",
            vec![],
        ),
        (
            &world.owner,
            create("88..8/new"),
            "INVALID_ARGUMENT",
            "INVALID",
            vec!["identifier"],
        ),
        (
            &world.owner,
            create("88.118.8/there"),
            "ALREADY_EXISTS",
            "IDENTIFIER_EXISTS",
            vec!["identifier"],
        ),
        (
            &world.operator,
            create("88.118.7/new"),
            "NOT_FOUND",
            "PREFIX_NOT_FOUND",
            vec!["prefix"],
        ),
        (
            &world.owner,
            update("1"),
            "ABORTED",
            "VERSION_MISMATCH",
            vec!["expected_version"],
        ),
        (
            &world.stranger,
            vec!["resolve", "88.118.8/nothing"],
            "NOT_FOUND",
            "IDENTIFIER_NOT_FOUND",
            vec![],
        ),
        (
            &world.stranger,
            vec!["resolve", "88.118.8/gone"],
            "NOT_FOUND",
            "IDENTIFIER_DELETED",
            vec![],
        ),
        (
            &world.stranger,
            vec!["resolve", "nonsense"],
            "INVALID_ARGUMENT",
            "INVALID",
            vec!["identifier"],
        ),
        (
            &world.operator,
            vec!["prefix", "approve", "88.118.8"],
            "FAILED_PRECONDITION",
            "PREFIX_STATE",
            vec!["prefix"],
        ),
        (
            &world.owner,
            vec!["prefix", "suspend", "88.118.8"],
            "PERMISSION_DENIED",
            "DENIED",
            vec![],
        ),
        (
            &world.operator,
            vec!["enterprise", "get", "E99"],
            "NOT_FOUND",
            "ENTERPRISE_NOT_FOUND",
            vec!["enterprise_id"],
        ),
        (
            &world.operator,
            vec!["template", "get", "none"],
            "NOT_FOUND",
            "TEMPLATE_NOT_FOUND",
            vec!["template"],
        ),
        (
            &world.operator,
            vec!["key", "revoke", "none"],
            "NOT_FOUND",
            "API_KEY_NOT_FOUND",
            vec!["id"],
        ),
        (
            &world.operator,
            vec!["identifier", "list", "88.118.8", "--page-token", "!"],
            "INVALID_ARGUMENT",
            "INVALID",
            vec!["page.token"],
        ),
    ];
    for (idctl, arguments, code, reason, parts) in cases {
        let (found_code, found_reason, error) = refusal(idctl, &arguments);
        let found = (found_code.as_str(), found_reason.as_str());
        assert_eq!(found, (code, reason), "{arguments:?}: {error}");
        for part in parts {
            assert!(fields(&error).contains(&part), "{part}: {error}");
        }
        match reason {
            "VERSION_MISMATCH" => {
                let record = world.owner.json(&["identifier", "get", "88.118.8/there"]);
                let current = record["version"].to_string();
                assert_eq!(error["metadata"]["current_version"], current);
            }
            "IDENTIFIER_DELETED" => {
                assert_eq!(error["metadata"]["deletion_reason"], "withdrawn", "{error}");
                assert!(error["metadata"]["deleted_at"].is_string(), "{error}");
            }
            _ => {}
        }
    }
}

#[test]
fn a_key_that_is_used_for_something_else_is_refused_and_for_the_same_is_not() {
    let world = World::new();
    let create = |data: &str| {
        let value = format!("1:URL={data}");
        world
            .owner
            .command()
            .args(["--json", "identifier", "create", "88.118.8/once"])
            .args(["--idempotency-key", "order-7", "--value", &value])
            .output()
            .map(Done::from)
            .unwrap()
    };
    let first = create("https://e.cn/1").document();
    assert_eq!(first["replayed"], false, "{first}");
    let again = create("https://e.cn/1").document();
    assert_eq!(
        (&again["replayed"], &again["sequence"]),
        (&json!(true), &first["sequence"])
    );
    let other = create("https://e.cn/2");
    let error = other.error();
    assert_eq!((other.code, &error["code"]), (1, &json!("ALREADY_EXISTS")));
    assert_eq!(error["reason"], "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(fields(&error), ["idempotency_key"]);
}

#[test]
fn what_cannot_be_used_exits_with_2() {
    let world = World::new();
    let file = |name: &str, text: &str| {
        let path = world.dir.beside(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (junk, empty) = (file("junk.json", "{\"name\":"), file("empty.token", "\n"));
    for (arguments, code) in [
        (vec!["no-such-command"], "USAGE"),
        (vec!["resolve"], "USAGE"),
        (
            vec!["identifier", "create", "88.118.8/a", "--value", "URL"],
            "USAGE",
        ),
        (
            vec!["resolve", "88.118.8/there", "--front", "handle"],
            "USAGE",
        ),
        (vec!["import", "/nonexistent/x.csv"], "FILE"),
        (vec!["template", "put", &junk], "FILE"),
        (
            vec!["identifier", "create", "88.118.8/a", "--values-file", &junk],
            "FILE",
        ),
        (vec!["export", "-o", "/nonexistent/x.csv"], "FILE"),
    ] {
        let (exit, error) = world.operator.refused(&arguments);
        assert_eq!(
            (exit, &error["code"]),
            (2, &json!(code)),
            "{arguments:?}: {error}"
        );
        assert!(!error["message"].as_str().unwrap().is_empty(), "{error}");
    }
    let at = |server: &str| Idctl {
        server: server.to_owned(),
        token_file: None,
    };
    for (idctl, code, part) in [
        (at("ftp://127.0.0.1"), "USAGE", "ftp://127.0.0.1"),
        (at("nonsense"), "USAGE", "nonsense"),
        (
            world.node.idctl(Some(empty.as_ref())),
            "USAGE",
            empty.as_str(),
        ),
        (
            world.node.idctl(Some("/nonexistent/token".as_ref())),
            "FILE",
            "/nonexistent/token",
        ),
    ] {
        let (exit, error) = idctl.refused(&["stats"]);
        assert_eq!((exit, &error["code"]), (2, &json!(code)), "{error}");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

#[test]
fn a_node_that_is_not_there_or_does_not_answer_exits_with_1() {
    let world = World::new();
    let began = Instant::now();
    world.node.signal("STOP");
    let done = world.owner.run(&["--json", "--timeout", "1", "whoami"]);
    world.node.signal("CONT");
    assert_eq!(
        (done.code, &done.error()["code"]),
        (1, &json!("DEADLINE_EXCEEDED")),
        "{done:?}"
    );
    let took = began.elapsed();
    assert!((1..10).contains(&took.as_secs()), "{took:?}");
    let World { node, owner, .. } = world;
    node.stop();
    let (exit, error) = owner.refused(&["whoami"]);
    assert_eq!(
        (exit, &error["reason"]),
        (1, &json!("UNREACHABLE")),
        "{error}"
    );
    assert!(
        error["message"].as_str().unwrap().contains(&owner.server),
        "{error}"
    );
    let began = Instant::now();
    let watch = owner.run(&["watch", "--follow"]);
    assert_eq!(watch.code, 1);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_bulk_command_of_which_some_is_refused_exits_with_3() {
    let world = World::new();
    let file = world.dir.beside("asked");
    fs::write(
        &file,
        "88.118.8/there\n88.118.8/nothing\nnonsense\n88.118.8/gone\n",
    )
    .unwrap();
    let done = world
        .stranger
        .run(&["--json", "batch-resolve", file.to_str().unwrap()]);
    assert_eq!(
        (done.code, &done.error()["code"]),
        (3, &json!("PARTLY")),
        "{done:?}"
    );
    let answers: Vec<Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let reasons: Vec<_> = answers
        .iter()
        .map(|answer| &answer["error"]["reason"])
        .collect();
    assert_eq!(
        reasons,
        [
            &Value::Null,
            &json!("IDENTIFIER_NOT_FOUND"),
            &json!("INVALID"),
            &json!("IDENTIFIER_DELETED")
        ]
    );
    let asked: Vec<_> = answers
        .iter()
        .map(|answer| answer["requested"].as_str().unwrap())
        .collect();
    assert_eq!(
        asked,
        [
            "88.118.8/there",
            "88.118.8/nothing",
            "nonsense",
            "88.118.8/gone"
        ]
    );
}

#[test]
fn a_watch_that_the_nodes_end_broke_off_says_where_to_go_on() {
    let world = World::new();
    let mut command = world.owner.command();
    command.args(["--json", "watch", "--from", "1", "--follow"]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut watch = command.spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(watch.stdout.take().unwrap()));
    let mut last = 0;
    loop {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        last = line["sequence"].as_u64().unwrap().max(last);
        if line["identifiers"]["identifiers"][0]["deleted"] == true {
            break;
        }
    }
    world.node.stop();
    let done = Done::from(watch.wait_with_output().unwrap());
    assert_eq!(
        (done.code, &done.error()["code"]),
        (1, &json!("UNAVAILABLE")),
        "{done:?}"
    );
    let hint = done.error()["hint"].as_str().unwrap().to_owned();
    assert_eq!(hint, format!("go on with --from {}", last + 1));
}
