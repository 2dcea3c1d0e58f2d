//! An enterprise with prefixes at two secondary nodes.

use super::world::{Docked, OTHER_USER, USER};
use idnode_tests::api::CODES;
use idnode_tests::run::until;
use serde_json::json;

#[test]
fn an_enterprise_of_one_node_gets_a_prefix_at_another() {
    let world = Docked::new("auto");
    let enterprise = world.operator().verified_enterprise(CODES[0]);
    world.submit("88.118.8", &enterprise);
    world.until("88.118.8", "active");

    let (node, dir) = world.redocked(&[
        "upward.prefixes=88.119".to_owned(),
        format!("upward.user={OTHER_USER}"),
    ]);
    let operator = node.idctl(Some(&dir.token_file()));
    let same = operator.verified_enterprise(CODES[0]);
    let active = |prefix: &str| {
        operator.active_prefix(prefix, &same);
        until(&format!("{prefix} active"), || {
            operator.json(&["prefix", "get", prefix])["state"] == "active"
        });
    };
    active("88.119.8");
    let there = world.there();
    assert_eq!(there["enterprises"].as_object().unwrap().len(), 1);
    assert_eq!(there["enterprises"]["00000001"]["client"], USER);
    let prefix = &there["prefixes"]["88.119.8"];
    assert_eq!(prefix["client"], OTHER_USER);
    assert_eq!(prefix["enterprise_id"], "00000001");

    // Its data are the first node's to change: that is refused once, and holds up no prefix.
    operator.json(&["enterprise", "update", &same, "--city-code", "140200"]);
    until("a refusal", || {
        let listed = operator.json(&["upward", "transactions", "--kind", "update-enterprise"]);
        let made = &listed["transactions"];
        made[0]["state"] == "refused" && made[0]["code"] == 2201
    });
    active("88.119.9");
    until("no backlog", || {
        operator.json(&["upward", "status"])["channels"][0]["backlog"] == 0
    });
    let updates = &world.there()["enterprises"]["00000001"]["updates"];
    assert_eq!(*updates, json!(0));
}
