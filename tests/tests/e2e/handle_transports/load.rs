//! `idbench handle` against a real node.

use std::net::SocketAddr;
use std::process::Command;

use idnode_tests::run::{binary, success};
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
