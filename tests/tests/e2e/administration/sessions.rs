//! Sessions: every way to a key, and what is encrypted, signed or told apart by it.

use super::{CREATE, Client, LIST, PRIVATE, World, url};
use idnode_tests::node::DataDir;
use idnode_tests::run::Idctl;
use serde_json::{Value, json};
use std::time::Duration;

const SET_UP: u32 = 400;
const TERMINATE: u32 = 401;
const CERTIFY: u32 = 0x4000_0000;
const ENCRYPT: u32 = 0x2000_0000;
/// The 2,048-bit group of RFC 3526 §3.
pub(super) const PRIME: &str = concat!(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74",
    "020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437",
    "4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed",
    "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf05",
    "98da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb",
    "9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b",
    "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718",
    "3995497cea956ae515d2261898fa051015728e5a8aacaa68ffffffffffffffff",
);

/// A node whose answers are signed with a key of its own, and the file of that key's public part.
fn world_with_site_key(algorithm: &str) -> (World, String) {
    let dir = DataDir::init();
    let text = |name| dir.beside(name).to_str().unwrap().to_owned();
    let (private, public) = (text("site.key"), text("site.key.pub"));
    let offline = Idctl {
        server: "http://127.0.0.1:1".to_owned(),
        token_file: None,
    };
    offline.json(&["trust-key", "generate", &private, "--algorithm", algorithm]);
    let key = format!("trust.key_file={private}");
    let world = World::with(dir, &["trust.signer=300:0.NA/88.118.8", &key]);
    (world, public)
}

/// Writes, reads and lists in a session, each answer encrypted; then the session ends.
#[track_caller]
fn assert_works(client: &mut Client, session: u64, name: &str) {
    let handle = format!("88.118.8/{name}");
    let with = |mut fields: Value| {
        fields["session"] = session.into();
        fields["encrypt"] = true.into();
        fields
    };
    client.run(json!({"do": "connect"}));
    let values = json!([url(1, "sealed"), [2, "COST", "17.20", PRIVATE]]);
    let create = with(json!({"handle": handle, "values": values, "number": 77}));
    let created = client.gets(1, CREATE, create.clone());
    assert_eq!(created["encrypted"], true, "{created}");
    let replayed = client.send(CREATE, create);
    assert_eq!(replayed["code"], 505, "sent again: {replayed}");
    let read = client.gets(1, 1, with(json!({"handle": handle})));
    assert_eq!(read["encrypted"], true, "{read}");
    // Behind them are the signatures of a node that signs.
    let (first, second) = (&read["values"][0][2], &read["values"][1][2]);
    assert_eq!((first, second), (&json!("sealed"), &json!("17.20")));
    let listed = client.gets(1, LIST, with(json!({"handle": "0.NA/88.118.8"})));
    assert_eq!(listed["encrypted"], true, "{listed}");
    assert!(
        listed["handles"]
            .as_array()
            .unwrap()
            .contains(&json!(handle)),
        "{listed}"
    );
    client.gets(1, TERMINATE, with(json!({"body": ""})));
    let ended = client.send(LIST, with(json!({"handle": "0.NA/88.118.8"})));
    assert_eq!(ended["code"], 501, "{ended}");
}

#[test]
fn an_rsa_key_opens_an_encrypted_session() {
    let world = World::new();
    let (private, public) = world.rsa_keys();
    world.has_administrator("301:0.NA/88.118.8", ["--public-key-file", &public]);
    let identity = ["--identity", "301:0.NA/88.118.8", "--key", &private];
    let mut client = world.client(&identity);
    client.log_in("0.NA/88.118.8", 301);
    // Mode 3, nobody named, index -1, two stray octets: the key is for who has logged in.
    let set_up = json!({"body": "000300000000ffffffff0000", "session": 10_001});
    let opened = client.gets(1, SET_UP, set_up);
    let session = opened["session"].as_u64().unwrap();
    let key = client.run(json!({"do": "take_key", "body": opened["body"]}));
    assert_eq!(
        (&key["mode"], &key["algorithm"], &key["length"]),
        (&json!(3), &json!(3), &json!(16))
    );
    client.run(json!({"do": "connect"}));
    let create = json!({"handle": "88.118.8/Sealed", "values": [url(1, "sealed")],
                        "session": session, "encrypt": true, "number": 77});
    let created = client.gets(1, CREATE, create.clone());
    assert_eq!(created["encrypted"], true, "{created}");
    let replayed = client.send(CREATE, create);
    assert_eq!(replayed["code"], 505, "sent again: {replayed}");
    let read = json!({"handle": "88.118.8/sealed", "session": session, "encrypt": true});
    assert_eq!(client.gets(1, 1, read)["values"][0][2], "sealed");
    let listed = json!({"handle": "0.NA/88.118.8", "session": session, "encrypt": true});
    assert_eq!(
        client.gets(1, LIST, listed.clone())["handles"],
        json!(["88.118.8/Sealed"])
    );
    // A session id alone is nobody: neither in the clear nor with another key.
    let forged = json!({"handle": "88.118.8/forged", "values": [url(1, "x")], "session": session});
    client.gets(402, CREATE, forged);
    let other = json!({"handle": "0.NA/88.118.8", "session": session + 1, "encrypt": true});
    assert_eq!(client.send(LIST, other)["code"], 501);
    client.gets(
        1,
        TERMINATE,
        json!({"session": session, "encrypt": true, "body": ""}),
    );
    assert_eq!(client.send(LIST, listed)["code"], 501, "it has ended");
}

#[test]
fn an_sm2_key_opens_an_encrypted_session_with_sm4() {
    let world = World::new();
    let (private, public) = world.keys("SM2", &[]);
    world.has_administrator("301:0.NA/88.118.8", ["--public-key-file", &public]);
    let identity = [
        "--identity",
        "301:0.NA/88.118.8",
        "--sm2",
        "--key",
        &private,
    ];
    let mut client = world.client(&identity);
    // The proof digests by SM3, then as SM2 does with the user's handle.
    client.log_in("0.NA/88.118.8", 301);
    let set_up = json!({"body": "000300000000ffffffff0000", "session": 10_001});
    let opened = client.gets(1, SET_UP, set_up);
    let session = opened["session"].as_u64().unwrap();
    let key = client.run(json!({"do": "take_key", "body": opened["body"]}));
    assert_eq!(key, json!({"mode": 3, "algorithm": 4, "length": 16}));
    assert_works(&mut client, session, "SM4");
    // A stranger who names the key gets one that the key's holder alone can read.
    client.run(json!({"do": "connect"}));
    let handle: String = b"0.NA/88.118.8"
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let body = format!("000300000000000000000000000d{handle}0000012d");
    let opened = client.gets(1, SET_UP, json!({"body": body}));
    client.run(json!({"do": "take_key", "body": opened["body"]}));
    assert_works(&mut client, opened["session"].as_u64().unwrap(), "Named");
}

#[test]
fn a_proof_reaches_the_session_of_who_was_a_stranger_when_it_began() {
    let world = World::new();
    drop(world.logged_in());
    let mut client = world.client(&["--secret", "open sesame"]);
    // A step to a key is no message of a session yet, whatever its flags say.
    let flagged = json!({"do": "agree", "prime": PRIME, "flags": ENCRYPT});
    let agreed = client.run(flagged);
    assert_eq!(agreed["code"], 1, "{agreed}");
    let session = agreed["session"].as_u64().unwrap();
    let create = |name: &str| {
        json!({"handle": format!("88.118.8/{name}"), "values": [url(1, "x")],
               "session": session, "encrypt": true})
    };
    // A challenge is found, and can be read, by the session's id; on another connection, too.
    for (name, elsewhere, encrypt) in [
        ("sealed", false, true),
        ("clear", false, false),
        ("elsewhere", true, true),
    ] {
        let asked = client.gets(402, CREATE, create(name));
        let told = (&asked["session"], &asked["encrypted"]);
        assert_eq!(told, (&json!(session), &json!(true)), "{name}: {asked}");
        if elsewhere {
            client.run(json!({"do": "connect"}));
        }
        let proven = client.run(json!({"do": "prove", "encrypt": encrypt}));
        assert_eq!(
            (&proven["code"], &proven["op"]),
            (&json!(1), &json!(CREATE))
        );
        assert_eq!(proven["encrypted"], encrypt, "{name}: {proven}");
    }
    // Who logs in on the connection has logged in for its session.
    client.log_in("0.NA/88.118.8", 300);
    let created = client.gets(1, CREATE, create("logged-in"));
    assert_eq!(created["encrypted"], true, "{created}");
    // And there alone.
    client.run(json!({"do": "connect"}));
    client.gets(402, CREATE, create("not-here"));
}

#[test]
fn diffie_hellman_gives_a_session_its_key() {
    let world = World::new();
    let mut client = world.logged_in();
    for order in ["pgy", "ygp", "gyp"] {
        let agreed = client.run(json!({"do": "agree", "prime": PRIME, "order": order}));
        assert_eq!(
            (&agreed["code"], &agreed["mode"]),
            (&json!(1), &json!(4)),
            "{agreed}"
        );
        let session = agreed["session"].as_u64().unwrap();
        assert_works(&mut client, session, &format!("DH-{order}"));
        client.log_in("0.NA/88.118.8", 300);
    }
    // Who has not logged in is a stranger with a key, and the key is the session's alone.
    client.run(json!({"do": "connect"}));
    let agreed = client.run(json!({"do": "agree", "prime": PRIME}));
    let session = agreed["session"].as_u64().unwrap();
    let create = json!({"handle": "88.118.8/stranger", "values": [url(1, "x")],
                        "session": session, "encrypt": true});
    let asked = client.gets(402, CREATE, create);
    assert_eq!(asked["encrypted"], true, "{asked}");
    let mut other = world.client(&[]);
    other.run(json!({"do": "agree", "prime": PRIME}));
    let read = json!({"handle": "88.118.8/x", "session": session, "encrypt": true});
    assert_eq!(other.send(1, read)["code"], 504);
    // What is no group, or is one that everybody knows the result in.
    let even = format!("{}e", &PRIME[..PRIME.len() - 1]);
    let wrong = [
        json!({"do": "agree", "prime": "35", "generator": 5}),
        json!({"do": "agree", "prime": even}),
        json!({"do": "agree", "prime": format!("{PRIME}{PRIME}{PRIME}")}),
        json!({"do": "agree", "prime": PRIME, "public": 1}),
        json!({"do": "agree", "prime": PRIME, "generator": 1}),
    ];
    for wrong in wrong {
        let refused = client.run(wrong.clone());
        assert_eq!(refused["code"], 504, "{wrong}: {refused}");
    }
}

#[test]
fn a_client_may_choose_the_key_and_encrypt_it_to_the_node() {
    for (algorithm, kind) in [("rsa", "RSA_PUB_KEY"), ("sm2", "SM2_PUB_KEY")] {
        let (world, _) = world_with_site_key(algorithm);
        let mut client = world.logged_in();
        let taken = client.run(json!({"do": "exchange"}));
        assert_eq!(
            (&taken["code"], &taken["kind"]),
            (&json!(1), &json!(kind)),
            "{taken}"
        );
        assert_eq!(taken["mode"], 2);
        let session = taken["session"].as_u64().unwrap();
        // Nobody changes the key that is there.
        let mut other = world.client(&[]);
        let body = "00000001ff";
        assert_eq!(
            other.send(402, json!({"body": body, "session": session}))["code"],
            504
        );
        assert_eq!(
            other.send(402, json!({"body": body, "session": 4_711}))["code"],
            501
        );
        assert_works(&mut client, session, "Chosen");
        // Before the key is there nothing can be encrypted; nor with one that was altered on its way.
        let waiting = client.run(json!({"do": "exchange", "no_key": true}));
        let sealed = json!({"handle": "88.118.8/Chosen", "session": waiting["session"],
                            "encrypt": true});
        assert_eq!(client.send(1, sealed)["code"], 502);
        let short = client.run(json!({"do": "exchange", "length": 100}));
        assert_eq!(short["code"], 504, "{short}");
        let wrong = client.run(json!({"do": "exchange", "wrong": true}));
        // Whether RSA has opened it is not told: both sides have a key, but not the same.
        assert_eq!(
            wrong["code"],
            if algorithm == "rsa" { 1 } else { 504 },
            "{wrong}"
        );
        let sealed = json!({"handle": "88.118.8/Chosen", "session": wrong["session"],
                            "encrypt": true});
        let code = if algorithm == "rsa" { 504 } else { 502 };
        assert_eq!(client.send(1, sealed)["code"], code);
    }
}

#[test]
fn answers_in_a_session_are_signed_and_then_encrypted() {
    for algorithm in ["rsa", "sm2"] {
        let (world, public) = world_with_site_key(algorithm);
        world.logged_in();
        let options = ["--secret", "open sesame", "--site-key", &public];
        let mut client = world.client(&options);
        client.log_in("0.NA/88.118.8", 300);
        let agreed = client.run(json!({"do": "agree", "prime": PRIME, "certify": true}));
        let by = json!("300:0.NA/88.118.8 HS_SIGNED");
        assert_eq!(agreed["signed"], by, "nobody is in between: {agreed}");
        let with = |mut fields: Value| {
            fields["session"] = agreed["session"].clone();
            fields["encrypt"] = true.into();
            fields["certify"] = true.into();
            fields
        };
        let create = with(json!({"handle": "88.118.8/both", "values": [url(1, "x")]}));
        for (code, op, fields) in [
            (1, CREATE, create.clone()),
            (101, CREATE, create),
            (1, 1, with(json!({"handle": "88.118.8/both"}))),
            (100, 1, with(json!({"handle": "88.118.8/none"}))),
            (1, LIST, with(json!({"handle": "0.NA/88.118.8"}))),
        ] {
            let answer = client.gets(code, op, fields);
            assert_eq!(
                (&answer["encrypted"], &answer["signed"]),
                (&json!(true), &by),
                "{answer}"
            );
        }
        let plain = json!({"handle": "88.118.8/both", "session": agreed["session"],
                           "encrypt": true});
        let plain = client.gets(1, 1, plain);
        assert_eq!(
            (&plain["encrypted"], &plain["signed"]),
            (&json!(true), &Value::Null)
        );
    }
}

#[test]
fn a_mac_shows_whose_a_message_is() {
    let world = World::new();
    let mut client = world.logged_in();
    let agreed = client.run(json!({"do": "agree", "prime": PRIME}));
    let session = &agreed["session"];
    client.run(json!({"do": "connect"}));
    let create = |name: &str, session: &Value| {
        json!({"handle": format!("88.118.8/{name}"), "values": [url(1, "x")],
               "session": session, "mac": true, "number": 78})
    };
    let done = client.gets(1, CREATE, create("mac", session));
    assert_eq!(done["encrypted"], false, "{done}");
    assert_eq!(
        client.send(CREATE, create("mac", session))["code"],
        505,
        "sent again"
    );
    assert_eq!(
        client.send(CREATE, create("other", &json!(4_711)))["code"],
        404
    );
    let read = |flags: u32| json!({"handle": "88.118.8/mac", "session": session, "mac": true, "flags": flags});
    // A node that no signer is configured for signs with the session's.
    let signed = client.gets(1, 1, read(CERTIFY));
    assert_eq!(
        (&signed["signed"], &signed["encrypted"]),
        (&json!("HS_MAC"), &json!(false)),
        "{signed}"
    );
    let sealed = client.gets(1, 1, read(ENCRYPT));
    assert_eq!(
        (&sealed["encrypted"], &sealed["values"][0][2]),
        (&json!(true), &json!("x")),
        "{sealed}"
    );
    let mut other = world.client(&[]);
    other.run(json!({"do": "agree", "prime": PRIME}));
    assert_eq!(
        other.send(CREATE, create("other", session))["code"],
        404,
        "another's key"
    );
    // Nor is there anything to encrypt with, or to end, for who only names a session.
    for named in [json!(0), json!(4_711), session.clone()] {
        let read = json!({"handle": "88.118.8/mac", "session": named, "flags": ENCRYPT});
        let refused = client.send(1, read);
        assert_eq!(
            (&refused["code"], &refused["encrypted"]),
            (&json!(501), &json!(false)),
            "{refused}"
        );
        let end = json!({"session": named, "body": ""});
        assert_eq!(client.send(TERMINATE, end)["code"], 501);
    }
    client.gets(1, 1, read(ENCRYPT));
}

#[test]
fn without_a_signer_answers_have_the_key_of_the_site_and_those_of_a_session_its_mac() {
    let world = World::new();
    let mut client = world.logged_in();
    let site = client.run(json!({"do": "site"}));
    assert_eq!(
        (&site["kind"], &site["bits"]),
        (&json!("RSA_PUB_KEY"), &json!(2_048)),
        "{site}"
    );
    for n in 0..80 {
        let handle = format!("88.118.8/{n}{}", "x".repeat(1_500));
        client.gets(
            1,
            CREATE,
            json!({"handle": handle, "values": [url(1, "x")]}),
        );
    }
    let by_site = json!("0: HS_SIGNED");
    // The answer to Diffie-Hellman is who vouches for the session.
    let agreed = client.run(json!({"do": "agree", "prime": PRIME, "certify": true}));
    assert_eq!(agreed["signed"], by_site, "{agreed}");
    for (how, signed) in [
        (json!({}), by_site.clone()),
        (
            json!({"session": agreed["session"], "encrypt": true}),
            by_site,
        ),
        (
            json!({"session": agreed["session"], "mac": true}),
            json!("HS_MAC"),
        ),
    ] {
        let mut fields = json!({"handle": "0.NA/88.118.8", "certify": true});
        fields
            .as_object_mut()
            .unwrap()
            .extend(how.as_object().unwrap().clone());
        let list = client.gets(1, LIST, fields);
        assert_eq!(list["signed"], signed, "{how}");
        assert!(list["messages"].as_u64().unwrap() > 1, "{how}");
        assert!(list["length"].as_u64().unwrap() <= 65_536, "{how}");
        assert_eq!(list["handles"].as_array().unwrap().len(), 80, "{how}");
    }
}

/// The RFC's form: a list of attributes.
#[test]
fn a_silent_session_times_out() {
    let world = World::new();
    let mut client = world.client(&[]);
    client.run(json!({"do": "agree", "prime": PRIME}));
    let text = |text: &str| {
        let octets: String = text.bytes().map(|octet| format!("{octet:02x}")).collect();
        format!("{:08x}{octets}", text.len())
    };
    let (exchange, server) = (text("HS_SESSION_KEY_EXCHANGE"), text("SERVER_CIPHER"));
    let body = format!(
        "00000002{exchange}{server}{}00000001",
        text("HS_SESSION_TIMEOUT")
    );
    let opened = client.gets(1, SET_UP, json!({"body": body}));
    let read = json!({"handle": "88.118.8/x", "session": opened["session"], "encrypt": true});
    assert_eq!(client.send(1, read.clone())["code"], 502);
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(client.send(1, read)["code"], 500);
    // A session without a key is none.
    client.gets(503, SET_UP, json!({"body": "00000000"}));
}
