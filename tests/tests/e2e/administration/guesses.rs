//! Guessing at administrators' keys: limited by network and by administrator, over every front.

use super::{CREATE, Client, World, url};
use idnode_tests::node::DataDir;
use idnode_tests::run::curl;
use serde_json::json;

/// Nobody but the administrator is counted on the loopback.
const PER_ADMINISTRATOR: [&str; 2] = [
    "limits.failed_proofs_per_minute=5",
    "http.basic_without_tls=true",
];
const PER_NETWORK: [&str; 3] = [
    "limits.failed_proofs_per_minute=5",
    "limits.failed_proofs_exempt=192.0.2.0/24",
    "http.basic_without_tls=true",
];

/// A wrong password for an administrator; the code.
fn guess(client: &mut Client, identity: &str) -> u64 {
    let answer = client.send(2000, json!({"handle": identity, "types": ["wrong"]}));
    answer["code"].as_u64().unwrap()
}

/// The same over HTTP; the status and the head.
fn guess_by_http(world: &World, identity: &str, secret: &str) -> (u16, String) {
    let user = identity.replace(':', "%3A");
    let pair = format!("{user}:{secret}");
    let arguments = ["-u", &pair, "-X", "DELETE"];
    let (status, head, _) = curl(&world.node.http("/api/handles/88.118.8/none"), &arguments);
    (status, head)
}

fn bound_hits(world: &World) -> u64 {
    let (_, _, metrics) = curl(&world.node.http("/metrics"), &[]);
    let line = "idnode_bound_hits_total{bound=\"failed_proofs\"} ";
    let hits = metrics.lines().find_map(|it| it.strip_prefix(line));
    hits.map_or(0, |hits| hits.parse().unwrap())
}

#[test]
fn a_network_that_guesses_is_not_listened_to_for_a_while() {
    let world = World::with(DataDir::init(), &PER_NETWORK);
    let mut owner = world.logged_in();
    let mut client = world.client(&["--secret", "open sesame"]);
    // Whoever it guesses at.
    for n in 0..5 {
        assert_eq!(
            guess(&mut client, &format!("{}:0.NA/88.118.8", 400 + n)),
            403
        );
    }
    assert_eq!(bound_hits(&world), 0);
    assert_eq!(guess(&mut client, "300:0.NA/88.118.8"), 3);
    // Not even what is right.
    client.gets(
        402,
        CREATE,
        json!({"handle": "88.118.8/x", "values": [url(1, "x")]}),
    );
    let late = client.prove();
    assert_eq!(late["code"], 3, "{late}");
    let (status, head) = guess_by_http(&world, "300:0.NA/88.118.8", "open sesame");
    assert_eq!(status, 429, "{head}");
    assert!(
        head.to_ascii_lowercase().contains("retry-after: 60"),
        "{head}"
    );
    assert_eq!(bound_hits(&world), 3);
    // Who has logged in before goes on.
    owner.gets(
        1,
        CREATE,
        json!({"handle": "88.118.8/y", "values": [url(1, "y")]}),
    );
}

#[test]
fn an_administrator_is_not_guessed_at_for_ever_nor_locked_out() {
    let world = World::with(DataDir::init(), &PER_ADMINISTRATOR);
    // 300 has proven its key from here, 301 has not.
    let mut owner = world.logged_in();
    let secret = world.file("other", "another secret");
    world.has_administrator("301:0.NA/88.118.8", ["--secret-key-file", &secret]);
    let mut client = world.client(&[]);
    for identity in ["300:0.NA/88.118.8", "301:0.NA/88.118.8"] {
        for _ in 0..4 {
            assert_eq!(guess(&mut client, identity), 403);
        }
        assert_eq!(guess_by_http(&world, identity, "wrong").0, 403);
    }
    assert_eq!(guess(&mut client, "301:0.NA/88.118.8"), 3);
    assert_eq!(
        guess_by_http(&world, "301:0.NA/88.118.8", "another secret").0,
        429
    );
    owner.run(json!({"do": "connect"}));
    owner.log_in("0.NA/88.118.8", 300);
    assert_eq!(
        guess_by_http(&world, "300:0.NA/88.118.8", "open sesame").0,
        404
    );
}
