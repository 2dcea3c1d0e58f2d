//! Handles of prefixes at the national node: registered with the sites that serve them, kept as they are here,
//! and deleted.

use super::world::{Docked, USER};
use idnode_proto::handle::auth::PrivateKey;
use idnode_tests::api::CODES;
use idnode_tests::node::{DataDir, Node};
use idnode_tests::run::{curl, until};
use serde_json::{Value, json};
use std::time::Duration;

const PREFIX: &str = "88.118.8";
/// Where it is delegated to.
const SERVICE: &str = "192.0.2.8,tcp:2641+admin,udp:2641";

/// A world that tells identifiers.
fn world(review: &'static str) -> Docked {
    Docked::with(
        review,
        |national| national.at("epp").to_string(),
        &["upward.epp.identifiers=true"],
    )
}

/// With a prefix that is granted.
fn granted() -> Docked {
    let world = world("auto");
    let enterprise = world.operator().verified_enterprise(CODES[0]);
    world.submit(PREFIX, &enterprise);
    world.until(PREFIX, "active");
    world
}

/// What the national node has of a prefix's handle.
fn there(world: &Docked, name: &str) -> Value {
    world.there()["identifiers"][name].clone()
}

/// Addresses of the first site's servers.
fn addresses(identifier: &Value) -> Value {
    let servers = identifier["sites"][0]["servers"].as_array();
    let addresses = servers.into_iter().flatten().map(|it| &it["addresses"][0]);
    addresses.cloned().collect()
}

fn made(world: &Docked, kind: &str) -> Vec<Value> {
    world.transactions(&["--kind", kind, "--limit", "1000"])
}

/// Waits until nothing is owed.
fn until_quiet(world: &Docked) {
    until("no backlog", || {
        let owed = |state| world.transactions(&["--state", state]).is_empty();
        owed("owed") && owed("sent") && world.channel()["backlog"] == 0
    });
}

#[test]
fn a_granted_prefix_is_registered_with_the_nodes_own_site() {
    let world = granted();
    until("an identifier there", || !there(&world, PREFIX).is_null());
    let identifier = there(&world, PREFIX);
    assert_eq!(identifier["client"], USER);
    assert_eq!(identifier["statuses"], json!(["ok"]));
    assert_eq!(identifier["administrators"], json!([]));
    assert_eq!(addresses(&identifier), json!(["127.0.0.1"]));
    let site = &identifier["sites"][0];
    assert_eq!(
        (&site["index"], &site["protocol_version"]),
        (&json!(1), &json!("2.11"))
    );
    let port = world.node.at.handle.port();
    let http = world.node.at.http.port();
    let interfaces = json!([
        ["query", "tcp", port],
        ["admin", "tcp", port],
        ["query", "udp", port],
        ["query", "http", http],
        ["admin", "http", http],
    ]);
    assert_eq!(site["servers"][0]["interfaces"], interfaces);
    until_quiet(&world);
    let transactions = made(&world, "create-identifier");
    assert_eq!(transactions.len(), 1);
    let made = &transactions[0];
    assert_eq!(
        (&made["state"], &made["code"], &made["subject"]),
        (&json!("done"), &json!(1000), &json!(PREFIX))
    );
    assert!(made["client_id"].as_str().unwrap().starts_with("ic-"));
    // A person sees it with the prefix; a program counts it.
    let (_, _, page) = curl(&world.national.url("/"), &[]);
    assert!(page.contains(&format!("tcp 127.0.0.1 {port}")), "{page}");
    let (_, _, metrics) = curl(&world.node.http("/metrics"), &[]);
    let counted = "idnode_epp_transactions_total{kind=\"ic\",outcome=\"done\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    // What is applied for and not granted is not registered.
    let enterprise = world.prefix(PREFIX)["enterprise_id"].clone();
    let operator = world.operator();
    let apply = ["prefix", "apply", "88.118.9", "--enterprise-id"];
    operator.json(&[&apply[..], &[enterprise.as_str().unwrap()]].concat());
    std::thread::sleep(Duration::from_millis(500));
    assert!(there(&world, "88.118.9").is_null());
}

#[test]
fn what_changes_is_changed_there_and_what_is_removed_is_deleted() {
    let mut world = granted();
    until("an identifier there", || !there(&world, PREFIX).is_null());
    let operator = world.operator();
    operator.json(&["prefix", "delegate", PREFIX, "--service", SERVICE]);
    until("its own site", || {
        addresses(&there(&world, PREFIX)) == json!(["192.0.2.8"])
    });
    let second = "2001:db8::8,tcp:2641";
    let both = ["--service", SERVICE, "--service", second];
    operator.json(&[&["prefix", "delegate", PREFIX][..], &both].concat());
    until("both", || {
        there(&world, PREFIX)["sites"]
            .to_string()
            .contains("2001:db8::8")
    });
    // A key of its administrators, by the values that the prefix has.
    let key = std::fs::read(public_key(&world)).unwrap();
    let encoded = data_encoding::BASE64.encode(&key);
    let value = format!("300:HS_PUBKEY:encoding=base64={encoded}");
    let set = ["prefix", "values", "update", PREFIX, "--value", &value];
    let administrator = ["--administrator", "100=300:0.NA/88.118.8"];
    operator.json(&[&set[..], &administrator].concat());
    until("an administrator", || {
        there(&world, PREFIX)["administrators"][0]["index"] == 300
    });
    let shown = &there(&world, PREFIX)["administrators"][0];
    assert_eq!(shown["key"], encoded);
    assert_eq!(shown["key_type"], "rsa_pub_key");
    let permissions = shown["permissions"].as_array().unwrap();
    assert!(permissions.contains(&json!("add_value")), "{shown}");
    until_quiet(&world);
    let updates = made(&world, "update-identifier").len() as u64;
    assert_eq!(there(&world, PREFIX)["updates"], updates);

    // Suspended and back: nothing is told. Nor is it by a restart, on other ports or not.
    operator.json(&["prefix", "suspend", PREFIX]);
    std::thread::sleep(Duration::from_millis(300));
    operator.json(&["prefix", "resume", PREFIX]);
    world.restart_node();
    std::thread::sleep(Duration::from_millis(700));
    until_quiet(&world);
    assert_eq!(made(&world, "update-identifier").len() as u64, updates);
    assert_eq!(made(&world, "create-identifier").len(), 1);

    // Served here again: by the ports it has now.
    let operator = world.operator();
    operator.json(&["prefix", "undelegate", PREFIX]);
    let port = world.node.at.handle.port();
    until("its own site", || {
        let site = there(&world, PREFIX)["sites"][0].clone();
        site["servers"][0]["interfaces"][0] == json!(["query", "tcp", port])
    });
    operator.json(&["prefix", "mark-for-deletion", PREFIX]);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!there(&world, PREFIX).is_null());
    operator.json(&["prefix", "remove", PREFIX]);
    until("no identifier there", || there(&world, PREFIX).is_null());
    until_quiet(&world);
    let deleted = made(&world, "delete-identifier");
    assert_eq!((deleted.len(), &deleted[0]["state"]), (1, &json!("done")));
}

/// The file of an RSA key as an HS_PUBKEY value has it.
fn public_key(world: &Docked) -> std::path::PathBuf {
    let key = PrivateKey::from_pem(&rsa_key(world)).unwrap();
    let file = world.home.path().join("administrator.pub");
    std::fs::write(&file, key.public_key().unwrap().encode().unwrap()).unwrap();
    file
}

fn rsa_key(world: &Docked) -> String {
    let file = world.home.path().join("administrator.pem");
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["genpkey", "-algorithm", "RSA", "-quiet", "-out"]);
    idnode_tests::run::success(openssl.arg(&file));
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn what_is_active_here_without_a_grant_is_registered_only_if_the_prefix_is_known_there() {
    let mut world = world("auto");
    // Approved here alone, before there was an uplink.
    let dir = DataDir::init();
    let node = Node::run(&dir);
    let operator = node.idctl(Some(&dir.token_file()));
    let enterprise = operator.verified_enterprise(CODES[0]);
    operator.active_prefix(PREFIX, &enterprise);
    node.stop();
    world.redock(dir);
    // One that is granted is told, and the other one was looked at by then.
    world.submit("88.118.9", &enterprise);
    until("an identifier there", || {
        !there(&world, "88.118.9").is_null()
    });
    until_quiet(&world);
    assert!(there(&world, PREFIX).is_null());
    assert_eq!(made(&world, "create-identifier").len(), 1);

    // Another registry with prefixes that the national node has granted before: as after a restoration, it
    // knows nothing of what was told.
    let dir = DataDir::init();
    let node = Node::run(&dir);
    let operator = node.idctl(Some(&dir.token_file()));
    let enterprise = operator.verified_enterprise(CODES[0]);
    operator.active_prefix("88.118.9", &enterprise);
    operator.json(&["prefix", "delegate", "88.118.9", "--service", SERVICE]);
    node.stop();
    world.redock(dir);
    until("its own site", || {
        addresses(&there(&world, "88.118.9")) == json!(["192.0.2.8"])
    });
    until_quiet(&world);
    assert_eq!(made(&world, "create-identifier").len(), 0);
    assert_eq!(made(&world, "update-identifier").len(), 1);
}

#[test]
fn answers_that_are_lost_and_faults_of_every_kind_leave_one_in_effect() {
    let world = world("auto");
    let operator = world.operator();
    let enterprise = operator.verified_enterprise(CODES[0]);
    let kinds = [
        "drop",
        "delay",
        "duplicate",
        "reorder",
        "half-answer",
        "wrong-answer",
        "down",
    ];
    let mut number = 100;
    for kind in kinds {
        for times in 1..=3 {
            number += 1;
            let prefix = format!("88.118.{number}");
            world.submit(&prefix, &enterprise);
            world.until(&prefix, "active");
            // Hit: the check, the create, or what is behind it; then the update's.
            let fault = json!({"kind": kind, "times": times, "delay_ms": 900});
            world.national.faults(&json!({"epp": [fault]}));
            until("an identifier there", || !there(&world, &prefix).is_null());
            operator.json(&["prefix", "delegate", &prefix, "--service", SERVICE]);
            world.national.faults(&json!({"epp": [fault]}));
            until("its own site", || {
                addresses(&there(&world, &prefix)) == json!(["192.0.2.8"])
            });
        }
    }
    world.national.faults(&json!({"epp": []}));
    until_quiet(&world);
    let all = kinds.len() * 3;
    let identifiers = world.there()["identifiers"].as_object().unwrap().clone();
    assert_eq!(identifiers.len(), all);
    // Registered where it was served here, or already as it is delegated.
    let creates = made(&world, "create-identifier");
    let done = |it: &&Value| it["state"] == "done";
    assert_eq!(creates.iter().filter(done).count(), all, "{creates:?}");
    for one in creates.iter().chain(&made(&world, "update-identifier")) {
        let is_overtaken = one["message"] == "overtaken by a change";
        assert!(done(&one) || is_overtaken, "{one}");
    }
    for (name, identifier) in &identifiers {
        assert!(
            identifier["updates"].as_u64() <= Some(1),
            "{name}: {identifier}"
        );
    }
}

#[test]
fn both_sides_may_be_killed_at_any_moment() {
    const ROUNDS: usize = 30;
    let mut world = world("auto");
    let enterprise = world.operator().verified_enterprise(CODES[0]);
    let mut random = [0; ROUNDS * 2];
    getrandom::fill(&mut random).unwrap();
    let name = |number: usize| format!("88.118.{}", number + 1);
    for (number, draw) in random.chunks(2).enumerate() {
        world.submit(&name(number), &enterprise);
        if number > 0 {
            let operator = world.operator();
            let before = name(number - 1);
            match number % 3 {
                0 => drop(operator.json(&["prefix", "mark-for-deletion", &before])),
                _ => drop(operator.json(&["prefix", "delegate", &before, "--service", SERVICE])),
            }
            if number % 3 == 0 {
                operator.json(&["prefix", "remove", &before]);
            }
        }
        std::thread::sleep(Duration::from_millis(u64::from(draw[0]) / 2));
        match draw[1] % 2 {
            0 => world.restart_node(),
            _ => world.restart_national(Duration::ZERO),
        }
    }
    let is_kept = |number: usize| number % 3 != 2 || number + 1 == ROUNDS;
    for number in (0..ROUNDS).filter(|it| is_kept(*it)) {
        world.until(&name(number), "active");
    }
    until_quiet(&world);
    let port = world.node.at.handle.port();
    for number in 0..ROUNDS {
        let identifier = there(&world, &name(number));
        let is_last = number + 1 == ROUNDS;
        match is_kept(number) {
            false => assert!(identifier.is_null(), "{number}: {identifier}"),
            true if is_last => {
                let first = &identifier["sites"][0]["servers"][0]["interfaces"][0];
                assert_eq!(*first, json!(["query", "tcp", port]));
            }
            true => assert_eq!(addresses(&identifier), json!(["192.0.2.8"]), "{number}"),
        }
    }
    for kind in [
        "create-identifier",
        "update-identifier",
        "delete-identifier",
    ] {
        for one in made(&world, kind) {
            let is_overtaken = one["message"] == "overtaken by a change";
            assert!(one["state"] == "done" || is_overtaken, "{one}");
        }
    }
}
