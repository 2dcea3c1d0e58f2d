//! Who may speak with the listener of streams.

use super::super::streams::{NODE, OWN, Streams};
use idnode_tests::run::until;
use serde_json::json;

#[test]
fn a_node_docks_with_its_certificate() {
    let mut world = Streams::new();
    let national = world.national();
    let node = world.node();
    let operator = world.operator(&node);
    until("the stream is up", || {
        let channels = &operator.json(&["upward", "status"])["channels"];
        channels[0]["name"] == "sync" && channels[0]["state"] == "up"
    });
    let uplink = &national.status()["uplink"];
    assert_eq!(uplink["nodes"][NODE], json!({"prefixes": [OWN]}));
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let mut world = Streams::new();
    let home = world.home.path().to_owned();
    for kind in ["pem", "key"] {
        let (from, to) = (format!("stranger.{kind}"), format!("{NODE}.{kind}"));
        std::fs::copy(home.join(from), home.join(to)).unwrap();
    }
    let _national = world.national();
    let node = world.node();
    let operator = world.operator(&node);
    until("the stream is down", || {
        let channel = &operator.json(&["upward", "status"])["channels"][0];
        channel["state"] == "down" && channel["last_error"] != ""
    });
}
