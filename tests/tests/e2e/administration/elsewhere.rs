//! Administrators whose handles another node serves.

use super::*;

/// Who writes here, and is registered there.
const ALICE: &str = "88.119/alice";

/// A world in which 88.119 is served by another node.
fn beside(there: &Node) -> World {
    beside_with(there, &[])
}

/// The same with further keys of the configuration.
fn beside_with(there: &Node, settings: &[&str]) -> World {
    let settings = [&["handle.recursion_deny="], settings].concat();
    let here = World::with(DataDir::init(), &settings);
    let idctl = here.idctl();
    idctl.active_prefix("88.119", &here.enterprise);
    let service = format!("127.0.0.1,tcp:{}", there.at.handle.port());
    idctl.json(&["prefix", "delegate", "88.119", "--service", &service]);
    here
}

fn rights(rights: u32) -> Value {
    json!([100, "HS_ADMIN", hs_admin(ALICE, 300, rights), PUBLIC])
}

#[test]
fn they_prove_the_public_keys_that_it_shows() {
    let there = World::new();
    there.idctl().active_prefix("88.119", &there.enterprise);
    let (private, public) = there.rsa_keys();
    let public = std::fs::read_to_string(public).unwrap();
    let mut registrar = there.logged_in();
    let keys = json!([
        [300, "HS_PUBKEY", public, PUBLIC],
        [301, "HS_SECKEY", "hidden", PRIVATE]
    ]);
    registrar.gets(1, CREATE, json!({"handle": ALICE, "values": keys}));

    let here = beside(&there.node);
    let mut owner = here.logged_in();
    let shared = json!({"handle": "88.118.8/shared", "values": [url(1, "x"), rights(0x0010)]});
    owner.gets(1, CREATE, shared);
    owner.gets(
        1,
        CREATE,
        json!({"handle": "88.118.8/own", "values": [url(1, "x")]}),
    );

    let identity = format!("300:{ALICE}");
    let mut alice = here.client(&["--key", &private, "--identity", &identity]);
    alice.log_in(ALICE, 300);
    let change = |handle: &str| json!({"handle": handle, "values": [url(1, "by Alice")]});
    alice.gets(1, MODIFY, change("88.118.8/shared"));
    alice.gets(400, MODIFY, change("88.118.8/own"));
    alice.gets(401, DELETE, json!({"handle": "88.118.8/shared"}));
    // Challenged for a single change, too, and by the key that is there now.
    let mut alice = here.client(&["--key", &private, "--identity", &identity]);
    alice.gets(402, MODIFY, change("88.118.8/shared"));
    assert_eq!(alice.prove()["code"], 1);
    // Another key is another's; who is not there is nobody.
    let (other, _) = here.rsa_keys();
    for (key, identity, index) in [
        (["--key", &other], ALICE, 300),
        (["--key", &private], "88.119/bob", 300),
    ] {
        let name = format!("{index}:{identity}");
        let mut nobody = here.client(&[&key[..], &["--identity", &name]].concat());
        nobody.gets(402, MODIFY, change("88.118.8/shared"));
        assert_eq!(nobody.prove()["code"], 403, "{name}");
    }
    // Once the prefix is served here, its keys are here, and there is none.
    here.idctl().json(&["prefix", "undelegate", "88.119"]);
    alice.gets(402, MODIFY, change("88.118.8/shared"));
    assert_eq!(alice.prove()["code"], 403);
}

#[test]
fn it_says_whether_they_have_proven_its_secret_keys() {
    let there = World::new();
    there.idctl().active_prefix("88.119", &there.enterprise);
    let mut registrar = there.logged_in();
    let keys = json!([
        [300, "HS_SECKEY", "hidden", PRIVATE],
        [301, "HS_SECKEY", "unnamed", PRIVATE]
    ]);
    registrar.gets(1, CREATE, json!({"handle": ALICE, "values": keys}));

    let here = beside(&there.node);
    let shared = json!({"handle": "88.118.8/shared", "values": [url(1, "x"), rights(0x0010)]});
    here.logged_in().gets(1, CREATE, shared);
    let change = json!({"handle": "88.118.8/shared", "values": [url(1, "by Alice")]});
    let of = |secret: &str, index: u32| {
        let name = format!("{index}:{ALICE}");
        here.client(&["--secret", secret, "--identity", &name])
    };

    of("hidden", 300).log_in(ALICE, 300);
    let mut alice = of("hidden", 300);
    alice.gets(402, MODIFY, change.clone());
    assert_eq!(alice.prove()["code"], 1);
    // Proven, and named by no HS_ADMIN value.
    let mut unnamed = of("unnamed", 301);
    unnamed.gets(402, MODIFY, change.clone());
    assert_eq!(unnamed.prove()["code"], 400);
    // Another's key, no key, and one that does not say which it is.
    for (secret, index) in [("unnamed", 300), ("hidden", 302), ("hidden", 0)] {
        let mut nobody = of(secret, index);
        nobody.gets(402, MODIFY, change.clone());
        assert_eq!(nobody.prove()["code"], 403, "{index}");
    }
    // What is there now is asked for each time.
    let anew = json!({"handle": ALICE, "values": [[300, "HS_SECKEY", "replaced", PRIVATE]]});
    registrar.gets(1, MODIFY, anew);
    for (secret, code) in [("hidden", 403), ("replaced", 1)] {
        let mut alice = of(secret, 300);
        alice.gets(402, MODIFY, change.clone());
        assert_eq!(alice.prove()["code"], code, "{secret}");
    }
    // Guesses count here as they do for keys that are here.
    let guess = || {
        let mut guesser = of("guess", 300);
        guesser.gets(402, MODIFY, change.clone());
        guesser.prove()["code"].as_u64().unwrap()
    };
    assert!((0..100).any(|_| guess() == 3), "nobody stops who guesses");
}

#[test]
fn of_guesses_at_once_no_more_go_there_than_may_fail() {
    let there = World::new();
    there.idctl().active_prefix("88.119", &there.enterprise);
    let keys = json!([[300, "HS_SECKEY", "hidden", PRIVATE]]);
    let mut registrar = there.logged_in();
    registrar.gets(1, CREATE, json!({"handle": ALICE, "values": keys}));

    let here = beside_with(&there.node, &["limits.failed_proofs_per_minute=5"]);
    let identity = format!("300:{ALICE}");
    let mut guessers: Vec<Client> = (0..16)
        .map(|n| here.client(&["--secret", &format!("guess {n}"), "--identity", &identity]))
        .collect();
    for guesser in &mut guessers {
        guesser.gets(402, DELETE, json!({"handle": "88.118.8/none"}));
    }
    let codes: Vec<u64> = std::thread::scope(|threads| {
        let proofs: Vec<_> = guessers
            .iter_mut()
            .map(|guesser| threads.spawn(|| guesser.prove()["code"].as_u64().unwrap()))
            .collect();
        proofs.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let (wrong, unheard): (Vec<u64>, Vec<u64>) = codes.iter().partition(|code| **code == 403);
    // As many as may fail in a minute, and in two if one ends meanwhile.
    assert!((5..=10).contains(&wrong.len()), "{codes:?}");
    assert!(unheard.iter().all(|code| *code == 3), "{codes:?}");
    assert!(!unheard.is_empty(), "{codes:?}");
}

#[test]
fn without_an_answer_nothing_is_proven() {
    let there = World::new();
    let here = beside(&there.node);
    there.node.stop();
    let (private, _) = here.rsa_keys();
    let identity = format!("300:{ALICE}");
    let mut alice = here.client(&["--key", &private, "--identity", &identity]);
    let mut with_secret = here.client(&["--secret", "hidden", "--identity", &identity]);
    // Nor guessed: an administrator who tries again and again is not locked out.
    for alice in [&mut alice, &mut with_secret] {
        for _ in 0..40 {
            alice.gets(402, DELETE, json!({"handle": "88.118.8/shared"}));
            assert_eq!(alice.prove()["code"], 406);
        }
    }
}
