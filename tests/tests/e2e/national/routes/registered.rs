//! Prefixes that are active at a node are announced by themselves.

use super::world::{City, World, questions, urls};
use idnode_tests::run::until;
use serde_json::{Value, json};

const OID: &str = "oid:1.2.156.3001";
const GS1: &str = "gs1:6901234";

/// The prefixes that a node has announced, as the other one knows them.
fn known(city: &City, node: &str) -> Vec<String> {
    let siblings = city.siblings();
    let all = siblings["siblings"].as_array().unwrap();
    let sibling = all.iter().find(|it| it["node"] == node);
    let configurations = sibling.map_or(&Value::Null, |it| &it["configurations"]);
    let configurations = configurations.as_array().into_iter().flatten();
    let prefixes = configurations.map(|it| it["prefix"].as_str().unwrap().to_owned());
    prefixes.collect()
}

/// Waits until a city knows these prefixes of another one, and no others.
fn until_known(city: &City, node: &str, expected: &[&str]) {
    until(&format!("{expected:?} of {node} are known"), || {
        known(city, node) == expected
    });
}

#[test]
fn what_is_active_at_one_node_is_found_from_another() {
    let mut world = World::new();
    world.members = ["datong:88.119,oid:1.2.156,gs1:6901", "linfen:88.123"].map(str::to_owned);
    let mut national = world.national();
    let mut datong = City::datong(&world);
    let linfen = City::linfen(&world);
    until_known(&linfen, "datong", &["88.119"]);
    datong.serves(OID);
    datong.serves(GS1);
    // What is configured covers this one.
    datong.serves("88.119.1");
    datong.registers("oid:1.2.156.3001.7", 1, "https://datong.example/oid");
    datong.registers("gs1:01/06901234000009", 1, "https://datong.example/gs1");
    until_known(&linfen, "datong", &["88.119", OID, GS1]);
    let found = ["https://datong.example/oid"];
    assert_eq!(urls(&linfen.recurse("1.2.156.3001.7")), found);
    let path = "/api/handles/oid:1.2.156.3001.7?recurse";
    let (status, document) = linfen.http(path);
    assert_eq!(status, 200, "{document}");
    let operator = linfen.idctl();
    let shown = operator.json(&["resolve", "gs1:01/06901234000009", "--recurse"]);
    assert!(shown.to_string().contains("https://datong.example/gs1"));
    assert_eq!(questions(&national), 0);
    assert_eq!(datong.siblings()["own"]["unannounced"], json!([]));

    // What is suspended is withdrawn, and comes back when it is active again.
    datong.idctl().json(&["prefix", "suspend", OID]);
    until_known(&linfen, "datong", &["88.119", GS1]);
    let lost = linfen.recurse("1.2.156.3001.8");
    assert_ne!(lost["code"], 1, "{lost}");
    datong.idctl().json(&["prefix", "resume", OID]);
    until_known(&linfen, "datong", &["88.119", OID, GS1]);
    until("it is found again", || {
        linfen.recurse("1.2.156.3001.7")["code"] == 1
    });

    // What becomes of it without an uplink is owed, over a crash too, and told when it is back.
    national.kill();
    let operator = datong.idctl();
    operator.json(&[
        "identifier",
        "delete",
        "gs1:01/06901234000009",
        "--reason",
        "test",
    ]);
    operator.json(&["prefix", "mark-for-deletion", GS1]);
    operator.json(&["prefix", "remove", GS1]);
    until("it is owed", || datong.channel()["backlog"] == 1);
    datong.kill();
    datong.run();
    assert_eq!(datong.siblings()["own"]["state"], "owed");
    let _national = world.national();
    until_known(&linfen, "datong", &["88.119", OID]);
}

#[test]
fn what_the_national_node_does_not_want_is_left_out_and_the_rest_is_told() {
    let mut world = World::new();
    world.members = ["datong:88.119,oid:1.2.156", "linfen:88.123,oid:1.2.156"].map(str::to_owned);
    let mut national = world.national();
    let datong = City::datong(&world);
    datong.serves(OID);
    let linfen = City::linfen(&world);
    until_known(&linfen, "datong", &["88.119", OID]);
    for prefix in ["oid:1.2.156.2001", OID, "oid:1.2.156.4001", GS1] {
        linfen.serves(prefix);
    }
    let told = ["88.123", "oid:1.2.156.2001", "oid:1.2.156.4001"];
    until_known(&datong, "linfen", &told);
    linfen.until_told();
    let own = linfen.siblings()["own"].clone();
    let unannounced = json!([
        {"prefix": OID, "reason": format!("{OID} is announced by datong")},
        {"prefix": GS1, "reason": format!("{GS1} is not below a prefix of linfen")},
    ]);
    assert_eq!(own["unannounced"], unannounced, "{own}");
    assert_eq!(linfen.channel()["backlog"], 0);
    // With the next connection it is asked for again.
    datong.idctl().json(&["prefix", "suspend", OID]);
    until_known(&linfen, "datong", &["88.119"]);
    national.kill();
    until("it is down", || linfen.channel()["state"] == "down");
    let _national = world.national();
    let told = ["88.123", "oid:1.2.156.2001", OID, "oid:1.2.156.4001"];
    until_known(&datong, "linfen", &told);
}
