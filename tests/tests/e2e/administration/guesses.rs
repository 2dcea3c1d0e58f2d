//! Guessing at administrators' keys: limited by network and by administrator, over every front.

use super::{CREATE, Client, World, url};
use idnode_tests::node::DataDir;
use idnode_tests::run::curl;
use serde_json::{Value, json};

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

/// What another server asks (operation 201): whether an answer to its challenge, here a wrong one by
/// SHA-1, proves an administrator's key.
fn question_of_a_server(index: u32) -> Value {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let sized = |bytes: &[u8]| hex(&(bytes.len() as u32).to_be_bytes()) + &hex(bytes);
    let administrator = sized(b"0.NA/88.118.8") + &hex(&index.to_be_bytes());
    let challenge = format!("03{}{}", hex(&[7; 32]), sized(&[7; 16]));
    let response = [&[2][..], &[0; 20]].concat();
    json!({"body": administrator + &challenge + &sized(&response)})
}

/// Whoever forges the source of a datagram is anybody.
#[test]
fn datagrams_lock_no_administrator_out() {
    let world = World::with(DataDir::init(), &PER_ADMINISTRATOR);
    let own = "300:0.NA/88.118.8";
    let secret = world.file("secret", "open sesame");
    world.has_administrator(own, ["--secret-key-file", &secret]);
    let mut datagrams = world.client(&["--udp"]);
    for _ in 0..5 {
        let told = datagrams.gets(1, 201, question_of_a_server(300));
        assert_eq!(told["body"], "00", "{told}");
    }
    // They are bounded, too, by administrator.
    datagrams.gets(3, 201, question_of_a_server(300));
    datagrams.gets(1, 201, question_of_a_server(301));
    // It has never proven its key from anywhere.
    assert_eq!(guess_by_http(&world, own, "open sesame").0, 404);
    let mut client = world.client(&["--secret", "open sesame"]);
    client.log_in("0.NA/88.118.8", 300);
}

#[test]
fn an_answer_to_a_challenge_is_from_where_that_was_sent() {
    let world = World::with(DataDir::init(), &PER_ADMINISTRATOR);
    let mut owner = world.logged_in();
    let hidden = json!([[3, "COST", "17.20", super::PRIVATE]]);
    owner.gets(1, CREATE, json!({"handle": "88.118.8/x", "values": hidden}));
    let mut datagrams = world.client(&["--udp", "--secret", "wrong"]);
    let read = json!({"handle": "88.118.8/x", "indexes": [3]});
    for _ in 0..5 {
        datagrams.gets(402, 1, read.clone());
        assert_eq!(datagrams.prove()["code"], 403);
    }
    datagrams.gets(402, 1, read);
    assert_eq!(datagrams.prove()["code"], 3);
    // So these five were this network's, over whatever front.
    let own = "300:0.NA/88.118.8";
    assert_eq!(guess(&mut owner, own), 3);
    assert_eq!(guess_by_http(&world, own, "open sesame").0, 429);
}

#[test]
fn where_nothing_is_guessed_nothing_is_counted() {
    let world = World::with(DataDir::init(), &PER_NETWORK);
    let own = "300:0.NA/88.118.8";
    let secret = world.file("secret", "open sesame");
    world.has_administrator(own, ["--secret-key-file", &secret]);
    // A session for whoever has the private key: there is none, and nobody has tried any.
    let handle: String = b"0.NA/88.118.8"
        .iter()
        .map(|c| format!("{c:02x}"))
        .collect();
    let set_up = json!({"body": format!("00030000000d{handle}0000012c")});
    let mut client = world.client(&["--secret", "open sesame"]);
    for _ in 0..10 {
        client.gets(501, 400, set_up.clone());
    }
    assert_eq!(bound_hits(&world), 0);
    client.run(json!({"do": "connect"}));
    client.log_in("0.NA/88.118.8", 300);
}

/// A proof that another server has asked for may have been overheard: it makes nobody known here.
#[test]
fn what_others_have_asked_for_proves_nothing_of_whoever_shows_it() {
    let world = World::with(DataDir::init(), &PER_NETWORK);
    let secret = world.file("secret", "open sesame");
    let own = "300:0.NA/88.118.8";
    world.has_administrator(own, ["--secret-key-file", &secret]);
    let proof = json!({"id": own, "type": "HS_SECKEY", "alg": "SHA256", "nonce": "AAAA",
        "cnonce": "AAAA", "signature": plain_proof()});
    let url = world.node.http("/api/verifications");
    let (status, _, body) = curl(&url, &["-d", &proof.to_string()]);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"verified\":true"), "{body}");
    let mut client = world.client(&[]);
    for n in 0..5 {
        let other = format!("{}:0.NA/88.118.8", 400 + n);
        assert_eq!(guess(&mut client, &other), 403);
    }
    assert_eq!(guess_by_http(&world, own, "open sesame").0, 429);
}

/// SHA-256 of secret, both nonces, secret; base64.
fn plain_proof() -> String {
    let mut command = std::process::Command::new("python3");
    let text = "import base64,hashlib; s=b'open sesame'; n=bytes(3); \
        print(base64.b64encode(hashlib.sha256(s+n+n+s).digest()).decode())";
    let proof = idnode_tests::run::success(command.args(["-c", text]));
    proof.trim().to_owned()
}
