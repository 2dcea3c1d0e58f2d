//! `idbench handle` against a real node.

use std::net::SocketAddr;
use std::process::Command;

use idnode_tests::run::{Done, binary, success};
use serde_json::Value;

use super::world::{SMALL, World};

fn bench(at: SocketAddr, transport: &str, further: &[&str]) -> Value {
    let mut command = Command::new(binary("idbench"));
    command.args(["handle", "--json", "--server", &at.to_string()]);
    command.args(["--transport", transport, "--pattern", "88.118.8/n{}"]);
    command.args(["--count", &SMALL.to_string()]).args(further);
    serde_json::from_str(&success(&mut command)).unwrap()
}

#[test]
fn every_transport_answers_all_that_is_asked() {
    let world = World::with(&[]);
    let at = world.node.at;
    for (transport, address) in [
        ("udp", at.handle),
        ("tcp", at.handle),
        ("tls", at.handle_tls.unwrap()),
        ("http", at.http),
    ] {
        let half = [
            "--queries",
            "2000",
            "--order",
            "shuffle",
            "--missing",
            "0.5",
        ];
        let result = bench(address, transport, &half);
        assert_eq!(result["answered"], 2000, "{result}");
        assert_eq!(result["mismatched"], 0, "{result}");
        assert_eq!(result["unexpected"], 0, "{result}");
        let codes = result["rcodes"].as_object().unwrap();
        let counts: Vec<_> = codes
            .values()
            .map(|count| count.as_u64().unwrap())
            .collect();
        assert_eq!(counts, [1000, 1000], "{result}");
    }
    world.node.stop();
}

#[test]
fn a_connection_may_be_opened_for_each_request_and_the_clock_may_rule() {
    let world = World::with(&[]);
    let at = world.node.at.handle;
    let each = [
        "--queries",
        "500",
        "--per-connection",
        "1",
        "--in-flight",
        "4",
    ];
    let result = bench(at, "tcp", &each);
    assert_eq!(result["answered"], 500, "{result}");
    assert_eq!(result["reconnects"], 0, "{result}");
    let open = ["--rate", "1000", "--seconds", "1"];
    let result = bench(at, "udp", &open);
    assert_eq!(result["answered"], 1000, "{result}");
    // Handles that the node does not have are not what was asked for.
    let unknown = ["--queries", "10", "--digits", "5"];
    let result = bench(at, "udp", &unknown);
    assert_eq!(result["mismatched"], 10, "{result}");
    world.node.stop();
}

fn create(at: SocketAddr, transport: &str, further: &[&str]) -> Command {
    let mut command = Command::new(binary("idbench"));
    command.args(["create", "--json", "--server", &at.to_string()]);
    command.args(["--transport", transport]).args(further);
    command
}

fn created(command: &mut Command) -> Value {
    serde_json::from_str(&success(command)).unwrap()
}

#[test]
fn registrations_are_acknowledged_one_by_one_over_both_protocols() {
    let world = World::with(&[]);
    let native = world.administrator("open sesame");
    let native = native.each_ref().map(String::as_str);
    let token = world.dir.token_file();
    let token = ["--token-file", token.to_str().unwrap()];
    let at = world.node.at;
    let pid = world.node.pid().to_string();
    let challenged = [&native[..], &["--proof", "challenge"]].concat();
    for (name, transport, address, credential, codes) in [
        (
            "t",
            "tcp",
            at.handle,
            &native[..],
            ["success (1)", "handle exists (101)"],
        ),
        (
            "c",
            "tcp",
            at.handle,
            &challenged,
            ["success (1)", "handle exists (101)"],
        ),
        ("h", "http", at.http, &token, ["HTTP 201", "HTTP 409"]),
    ] {
        let pattern = format!("88.118.8/{name}{{}}");
        let what = ["--pattern", &pattern, "--digits", "4", "--first", "7"];
        let run = [credential, &what, &["--count", "60", "--writers", "4"]].concat();
        let measured = [&run[..], &["--server-pid", &pid]].concat();
        let result = created(&mut create(address, transport, &measured));
        assert_eq!(result["answered"], 60, "{result}");
        assert_eq!(result["rcodes"][codes[0]], 60, "{result}");
        assert_eq!(
            (&result["mismatched"], &result["lost"]),
            (&0.into(), &0.into())
        );
        assert!(result["creates_per_s"].as_f64() > Some(0.0), "{result}");
        assert!(
            result["server_cpu_us_per_create"].as_f64() > Some(0.0),
            "{result}"
        );
        assert!(
            result["latency_us"]["p99.9"].as_f64() > Some(0.0),
            "{result}"
        );
        // They are there, the first and the last, with four values of sixty bytes.
        for number in ["0007", "0066"] {
            let handle = format!("88.118.8/{name}{number}");
            let idctl = world.node.idctl(Some(&world.dir.token_file()));
            let record = idctl.json(&["identifier", "get", &handle]);
            let types = record["values"].as_array().unwrap().iter();
            let types: Vec<_> = types.map(|value| value["type"].as_str().unwrap()).collect();
            assert_eq!(types, ["URL", "EMAIL", "DESC", "URL"], "{record}");
            for value in record["values"].as_array().unwrap() {
                let length = value["data"]["value"].as_str().unwrap().len();
                assert!((55..=65).contains(&length), "{value}");
            }
        }
        // A second time all are refused, and no create counts.
        let again = created(&mut create(address, transport, &run));
        assert_eq!(again["mismatched"], 60, "{again}");
        assert_eq!(again["rcodes"][codes[1]], 60, "{again}");
        assert_eq!(again["creates_per_s"], 0.0, "{again}");
    }
    world.node.stop();
}

#[test]
fn registrations_need_a_credential_that_holds() {
    let world = World::with(&[]);
    let native = world.administrator("open sesame");
    let at = world.node.at;
    let pattern = ["--pattern", "88.118.8/w{}", "--count", "3"];
    let wrong = world.dir.beside("wrong.secret");
    std::fs::write(&wrong, "another").unwrap();
    let wrong = [
        "--identity",
        &native[1],
        "--secret-file",
        wrong.to_str().unwrap(),
    ];
    let refused = Done::of(&mut create(
        at.handle,
        "tcp",
        &[&pattern[..], &wrong].concat(),
    ));
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stderr.contains("authentication failed (403)"),
        "{refused:?}"
    );
    for (transport, address, missing) in [
        ("tcp", at.handle, "--identity"),
        ("http", at.http, "--token-file"),
    ] {
        let none = Done::of(&mut create(address, transport, &pattern));
        assert_eq!(none.code, 2, "{none:?}");
        assert!(none.stderr.contains(missing), "{none:?}");
    }
    // A token that is no credential: every answer is counted as what it is.
    let token = world.dir.beside("no.token");
    std::fs::write(&token, "nobody").unwrap();
    let stranger = ["--token-file", token.to_str().unwrap()];
    let result = created(&mut create(
        at.http,
        "http",
        &[&pattern[..], &stranger].concat(),
    ));
    assert_eq!(
        (&result["answered"], &result["mismatched"]),
        (&3.into(), &3.into())
    );
    world.node.stop();
}
