//! `idnode demo`: the commands it prints are run as they are printed.

use std::process::Command;

use idnode_tests::node::{DataDir, Node, idnode};
use idnode_tests::run::{curl, success};

/// The four commands of the demonstration's text, by front.
fn printed_commands(node: &mut Node) -> Vec<(String, String)> {
    let mut commands = Vec::new();
    while commands.len() < 4 {
        let line = node.line();
        assert!(
            !line.is_empty(),
            "the demonstration ended early\n{}",
            node.log()
        );
        let mut words = line.trim().splitn(2, ' ');
        let front = words.next().unwrap_or_default().to_owned();
        if ["gRPC", "DNS", "Handle", "HTTP"].contains(&front.as_str()) {
            let command = words.next().unwrap_or_default().trim().to_owned();
            commands.push((front, command));
        }
    }
    commands
}

#[test]
fn the_four_printed_commands_resolve_one_real_identifier() {
    let dir = DataDir::empty();
    let mut command = idnode();
    command
        .args(["demo", "--limit", "3000", "--data-dir"])
        .arg(dir.path())
        .args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .args(["--dns", "127.0.0.1:0", "--handle", "127.0.0.1:0"]);
    let mut node = Node::start(&mut command, &dir.beside("demo.log"));
    let commands = printed_commands(&mut node);
    assert!(node.log().contains("loaded "), "{}", node.log());
    let identifier = commands[0].1.rsplit(' ').next().unwrap().to_owned();
    // What the registry itself says is under it.
    let operator = node.idctl(Some(&dir.token_file()));
    let record = operator.json(&["identifier", "get", &identifier]);
    let values = record["values"].as_array().expect("values");
    let data = values[0]["data"]["value"].as_str().expect("text data");
    assert!(!data.is_empty());
    for (front, command) in &commands {
        let printed = success(Command::new("sh").args(["-c", command]));
        assert!(
            printed.contains(data),
            "{front}: `{command}` printed no {data:?}:\n{printed}"
        );
    }

    // The examples are there too, and say what they are.
    let (status, head, _) = curl(&node.http("/88.118.8/JXDY2106023"), &[]);
    assert_eq!(status, 302);
    assert!(
        head.to_lowercase()
            .contains("location: https://example.com/")
    );
    let (status, _, body) = curl(
        &node.http("/api/handles/88.118.8/JXDY2106023?type=DESC"),
        &[],
    );
    assert_eq!(status, 200);
    assert!(body.contains("example, not a real registration"), "{body}");

    assert_eq!(curl(&node.http("/healthz"), &[]).0, 200);
    assert_eq!(curl(&node.http("/readyz"), &[]).0, 200);
    let (_, _, metrics) = curl(&node.http("/metrics"), &[]);
    assert!(metrics.contains("idnode_requests_total"), "{metrics}");

    // A second start runs on what is there.
    let stats = operator.json(&["stats"]);
    node.stop();
    let mut again = Node::start(&mut command, &dir.beside("demo.log"));
    assert_eq!(printed_commands(&mut again).len(), 4);
    let operator = again.idctl(Some(&dir.token_file()));
    assert_eq!(
        operator.json(&["stats"])["identifiers"],
        stats["identifiers"]
    );
    again.stop();
}
