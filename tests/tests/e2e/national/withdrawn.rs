//! A granted prefix is withdrawn at the national node, and granted again.

use super::provisioning::dig;
use super::world::Docked;
use idnode_tests::api::CODES;
use idnode_tests::run::{curl, until};

/// A world with an active prefix and an identifier below it.
fn granted() -> Docked {
    let world = Docked::new("auto");
    let operator = world.operator();
    let enterprise = operator.verified_enterprise(CODES[0]);
    world.submit("88.118.8", &enterprise);
    world.until("88.118.8", "active");
    let create = ["identifier", "create", "88.118.8/A-1", "--value"];
    operator.json(&[&create[..], &["URL=https://example.com/a1"]].concat());
    world
}

/// Waits until a prefix is withdrawn here, or is not.
fn until_withdrawn(world: &Docked, is: bool) {
    until(&format!("withdrawn: {is}"), || {
        world.prefix("88.118.8")["withdrawn"] == is
    });
}

#[test]
fn what_is_withdrawn_there_is_suspended_here_until_it_is_granted_again() {
    let mut world = granted();
    assert!(dig(&world.node, "a-1").contains("https://example.com/a1"));
    let (_, _, page) = curl(&world.national.url("/"), &[]);
    assert!(page.contains("停用"), "{page}");
    assert_eq!(world.decide("88.118.8", "grant", ""), 409);
    assert_eq!(world.decide("88.118.8", "withdraw", "违规"), 303);
    world.until("88.118.8", "suspended");
    let withdrawn = world.prefix("88.118.8");
    assert_eq!(withdrawn["withdrawn"], true);
    assert_eq!(withdrawn["review_message"], "违规");
    assert_eq!(dig(&world.node, "a-1"), "");
    let noted = || world.transactions(&["--subject", "88.118.8"])[0]["message"].clone();
    until("a note", || noted() == "withdrawn there: 违规");
    // Not the operator's to resume, and it stays so.
    let (_, error) = world.operator().refused(&["prefix", "resume", "88.118.8"]);
    assert_eq!(error["reason"], "PREFIX_STATE");
    world.restart_node();
    assert_eq!(world.prefix("88.118.8")["state"], "suspended");

    assert_eq!(world.decide("88.118.8", "grant", "已整改"), 303);
    world.until("88.118.8", "active");
    assert_eq!(world.prefix("88.118.8")["withdrawn"], false);
    assert!(dig(&world.node, "a-1").contains("https://example.com/a1"));
    until("a note", || {
        let made = world.transactions(&["--subject", "88.118.8"]);
        made[0]["message"] == "granted again there: 已整改" && made[0]["state"] == "done"
    });
}

#[test]
fn what_the_operator_has_suspended_stays_so_when_it_is_granted_again() {
    let world = granted();
    world.operator().json(&["prefix", "suspend", "88.118.8"]);
    world.decide("88.118.8", "withdraw", "");
    until_withdrawn(&world, true);
    world.decide("88.118.8", "grant", "");
    until_withdrawn(&world, false);
    assert_eq!(world.prefix("88.118.8")["state"], "suspended");
    world.operator().json(&["prefix", "resume", "88.118.8"]);
    assert_eq!(world.prefix("88.118.8")["state"], "active");
}

#[test]
fn a_withdrawal_while_the_node_is_away_or_killed_is_written_once() {
    let mut world = granted();
    for _ in 0..10 {
        world.decide("88.118.8", "withdraw", "");
        world.restart_node();
        world.until("88.118.8", "suspended");
        world.decide("88.118.8", "grant", "");
        world.restart_node();
        world.until("88.118.8", "active");
    }
    until("an empty queue", || {
        world.there()["queue"] == serde_json::json!([])
    });
    assert_eq!(world.prefix("88.118.8")["state"], "active");
}
