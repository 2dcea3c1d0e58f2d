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
    let mut client = world.client(&[]);
    // Whoever it guesses at.
    for n in 0..5 {
        assert_eq!(
            guess(&mut client, &format!("{}:0.NA/88.118.8", 400 + n)),
            403
        );
    }
    assert_eq!(bound_hits(&world), 0);
    // Not even what is right.
    let secret = world.file("other", "another secret");
    world.has_administrator("301:0.NA/88.118.8", ["--secret-key-file", &secret]);
    let who = [
        "--identity",
        "301:0.NA/88.118.8",
        "--secret",
        "another secret",
    ];
    let mut late = world.client(&who);
    late.gets(
        402,
        CREATE,
        json!({"handle": "88.118.8/x", "values": [url(1, "x")]}),
    );
    let refused = late.prove();
    assert_eq!(refused["code"], 3, "{refused}");
    let (status, head) = guess_by_http(&world, "301:0.NA/88.118.8", "another secret");
    assert_eq!(status, 429, "{head}");
    assert!(
        head.to_ascii_lowercase().contains("retry-after: 60"),
        "{head}"
    );
    assert!(bound_hits(&world) >= 2);
    // Who has proven its key from here goes on, until it is guessed at from here itself.
    owner.gets(
        1,
        CREATE,
        json!({"handle": "88.118.8/y", "values": [url(1, "y")]}),
    );
    owner.run(json!({"do": "connect"}));
    owner.log_in("0.NA/88.118.8", 300);
    for _ in 0..5 {
        assert_eq!(guess(&mut client, "300:0.NA/88.118.8"), 403);
    }
    assert_eq!(guess(&mut client, "300:0.NA/88.118.8"), 3);
}

#[test]
fn an_administrator_is_not_guessed_at_for_ever_nor_locked_out() {
    let world = World::with(DataDir::init(), &PER_ADMINISTRATOR);
    // 300 has proven its key from here, 301 has not.
    let mut owner = world.logged_in();
    let secret = world.file("other", "another secret");
    world.has_administrator("301:0.NA/88.118.8", ["--secret-key-file", &secret]);
    let mut client = world.client(&[]);
    for _ in 0..4 {
        assert_eq!(guess(&mut client, "301:0.NA/88.118.8"), 403);
    }
    assert_eq!(guess_by_http(&world, "301:0.NA/88.118.8", "wrong").0, 403);
    assert_eq!(guess(&mut client, "301:0.NA/88.118.8"), 3);
    assert_eq!(
        guess_by_http(&world, "301:0.NA/88.118.8", "another secret").0,
        429
    );
    // Others are not concerned.
    assert_eq!(
        guess_by_http(&world, "300:0.NA/88.118.8", "open sesame").0,
        404
    );
    owner.run(json!({"do": "connect"}));
    owner.log_in("0.NA/88.118.8", 300);
}
