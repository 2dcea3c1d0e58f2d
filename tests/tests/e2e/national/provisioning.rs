//! An enterprise applies here, is reviewed here and at the national node, and resolves.

use super::world::{Docked, National, USER};
use idnode_tests::api::CODES;
use idnode_tests::node::Node;
use idnode_tests::run::{curl, output};
use serde_json::json;
use std::process::Command;
use std::time::Duration;

/// What `dig` gets for an identifier's URI records.
pub(super) fn dig(node: &Node, name: &str) -> String {
    let at = node.at.dns;
    let asked = output(Command::new("dig").args([
        "+short",
        &format!("@{}", at.ip()),
        "-p",
        &at.port().to_string(),
        &format!("{name}.88-118-8.hdl.id.example"),
        "URI",
    ]));
    String::from_utf8(asked.stdout).unwrap()
}

#[test]
fn a_prefix_is_applied_for_reviewed_twice_and_resolves() {
    let world = Docked::new("manual");
    let operator = world.operator();
    let enterprise = operator.verified_enterprise(CODES[0]);
    let submitted = world.submit("88.118.8", &enterprise);
    assert_eq!(submitted["state"], "under_review");
    assert_eq!(submitted["submitted"], true);
    // What is approved once is not approved again, and nothing is registered yet.
    let (code, _) = operator.refused(&["prefix", "approve", "88.118.8"]);
    assert_eq!(code, 1);
    let create = ["identifier", "create", "88.118.8/A-1", "--value"];
    let create = [&create[..], &["URL=https://example.com/a1"]].concat();
    let (_, error) = operator.refused(&create);
    assert_eq!(error["reason"], "PREFIX_NOT_ACTIVE");

    idnode_tests::run::until("an application there", || {
        world.there()["prefixes"]["88.118.8"]["state"] == "pending"
    });
    let (_, _, page) = curl(&world.national.url("/"), &[]);
    assert!(page.contains("88.118.8") && page.contains("通过"), "{page}");
    assert_eq!(world.prefix("88.118.8")["state"], "under_review");
    assert_eq!(dig(&world.node, "a-1"), "");
    assert_eq!(world.decide("88.118.8", "pass", "材料齐全"), 303);
    world.until("88.118.8", "active");
    let active = world.prefix("88.118.8");
    assert_eq!(active["review_message"], "材料齐全");
    assert_eq!(active["submitted"], false);
    operator.json(&create);
    let found = dig(&world.node, "a-1");
    assert!(found.contains("https://example.com/a1"), "{found:?}");

    let there = world.there();
    assert_eq!(there["queue"], json!([]));
    assert_eq!(there["prefixes"]["88.118.8"]["client"], USER);
    let told = &there["enterprises"]["00000001"]["told"];
    assert_eq!(told["entCrCode"], CODES[0]);
    let made = world.transactions(&["--subject", "88.118.8"]);
    assert_eq!(made.len(), 1);
    assert_eq!(made[0]["state"], "done");
    assert_eq!(made[0]["code"], 1001);
    assert_eq!(
        made[0]["client_id"],
        there["prefixes"]["88.118.8"]["client_id"]
    );
    assert_eq!(
        made[0]["server_id"],
        there["prefixes"]["88.118.8"]["server_id"]
    );
    assert_eq!(world.transactions(&["--state", "done"]).len(), 2);
    assert_eq!(
        world.transactions(&["--kind", "create-enterprise"]).len(),
        1
    );
    assert_eq!(world.transactions(&["--state", "owed"]).len(), 0);
    let channel = world.channel();
    assert_eq!(
        (&channel["name"], &channel["state"]),
        (&json!("epp"), &json!("up"))
    );
    assert_eq!(channel["backlog"], 0);
    let (_, _, metrics) = curl(&world.node.http("/metrics"), &[]);
    for metric in [
        "idnode_upward_up{channel=\"epp\"} 1",
        "idnode_epp_transactions_total",
    ] {
        assert!(metrics.contains(metric), "{metric}");
    }
}

#[test]
fn a_refusal_there_is_a_refusal_here_and_the_next_application_may_pass() {
    let world = Docked::new("manual");
    let operator = world.operator();
    let enterprise = operator.verified_enterprise(CODES[0]);
    world.submit("88.118.8", &enterprise);
    let pending = || world.there()["prefixes"]["88.118.8"]["state"] == "pending";
    idnode_tests::run::until("an application there", pending);
    assert_eq!(world.decide("88.118.8", "refuse", "营业执照过期"), 303);
    assert_eq!(world.decide("88.118.8", "pass", ""), 409);
    world.until("88.118.8", "rejected");
    assert_eq!(world.prefix("88.118.8")["review_message"], "营业执照过期");

    operator.json(&["prefix", "reapply", "88.118.8"]);
    operator.json(&["prefix", "start-review", "88.118.8"]);
    operator.json(&["prefix", "approve", "88.118.8"]);
    idnode_tests::run::until("an application there", pending);
    assert_eq!(world.decide("88.118.8", "pass", ""), 303);
    world.until("88.118.8", "active");
    assert_eq!(world.transactions(&["--kind", "create-prefix"]).len(), 2);
    assert_eq!(
        world.transactions(&["--kind", "create-enterprise"]).len(),
        1
    );
}

#[test]
fn over_http_it_is_the_same() {
    same_over(|national| format!("http://{}/", national.at("epp_http")));
}

#[test]
fn over_https_it_is_the_same() {
    same_over(|national| format!("https://{}", national.at("epp_https")));
}

fn same_over(server: impl Fn(&National) -> String) {
    let world = Docked::with("auto", server, &[]);
    let enterprise = world.operator().verified_enterprise(CODES[0]);
    world.submit("88.118.8", &enterprise);
    world.until("88.118.8", "active");
    let kinds = ["drop", "half-answer", "wrong-answer", "delay", "down"];
    for (number, kind) in kinds.iter().enumerate() {
        let fault = json!({"epp": [{"kind": kind, "delay_ms": 1000}]});
        world.national.faults(&fault);
        let prefix = format!("88.118.{}", 100 + number);
        world.submit(&prefix, &enterprise);
        world.until(&prefix, "active");
    }
    assert_eq!(world.there()["prefixes"].as_object().unwrap().len(), 6);
    assert_eq!(world.there()["enterprises"].as_object().unwrap().len(), 1);
}

#[test]
fn what_changes_of_an_enterprise_is_told() {
    let world = Docked::new("auto");
    let operator = world.operator();
    let enterprise = operator.verified_enterprise(CODES[0]);
    world.submit("88.118.8", &enterprise);
    world.until("88.118.8", "active");
    let told = |name: &str| world.there()["enterprises"]["00000001"]["told"][name].clone();
    let update = |further: &[&str]| {
        operator.json(&[&["enterprise", "update", &enterprise], further].concat());
    };
    update(&["--city-code", "140200"]);
    idnode_tests::run::until("a new city", || told("entCityCode") == "140200");
    update(&["--name", "大同标识"]);
    idnode_tests::run::until("a new name", || told("entNameCn") == "大同标识");
    assert_eq!(told("entCityCode"), "140200");
    assert_eq!(
        world.transactions(&["--kind", "update-enterprise"]).len(),
        2
    );
    let updates = world.there()["enterprises"]["00000001"]["updates"].clone();
    assert_eq!(updates, 2);
}

#[test]
fn who_shows_a_wrong_certificate_gets_nowhere() {
    for (certificate, key) in [("stranger.pem", "stranger.key"), ("", "")] {
        let world = Docked::new("auto");
        let file = |name: &str| match name {
            "" => String::new(),
            name => world.home.path().join(name).display().to_string(),
        };
        let further = [
            format!("upward.epp.certificate={}", file(certificate)),
            format!("upward.epp.key={}", file(key)),
        ];
        let at = world.national.at("epp").to_string();
        let (node, dir) = world.redocked(&further);
        let operator = node.idctl(Some(&dir.token_file()));
        idnode_tests::run::until("a refusal", || {
            let status = operator.json(&["upward", "status"]);
            let channel = &status["channels"][0];
            channel["state"] == "down" && channel["server"] == at
        });
        let status = operator.json(&["upward", "status"]);
        let error = status["channels"][0]["last_error"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            error.to_lowercase().contains("certificate") || error.contains("alert"),
            "{error}"
        );
        assert_eq!(world.there()["enterprises"], json!({}));
    }
}

#[test]
fn a_national_node_that_is_away_for_long_is_a_backlog_and_nothing_more() {
    let mut world = Docked::new("auto");
    let operator = world.operator();
    let enterprise = operator.verified_enterprise(CODES[0]);
    world.submit("88.118.8", &enterprise);
    world.until("88.118.8", "active");
    world.national.kill();
    let other = operator.verified_enterprise(CODES[1]);
    for number in 20..40 {
        world.submit(&format!("88.118.{number}"), &other);
    }
    idnode_tests::run::until("a backlog", || {
        let channel = world.channel();
        channel["state"] == "down" && channel["backlog"] == 20
    });
    // Meanwhile everything else is as ever.
    let create = ["identifier", "create", "88.118.8/A-2", "--value"];
    operator.json(&[&create[..], &["URL=https://example.com/a2"]].concat());
    assert!(dig(&world.node, "a-2").contains("https://example.com/a2"));
    world.restart_node();
    assert_eq!(world.prefix("88.118.20")["state"], "under_review");
    world.restart_national(Duration::from_secs(2));
    for number in 20..40 {
        world.until(&format!("88.118.{number}"), "active");
    }
    assert_eq!(world.there()["prefixes"].as_object().unwrap().len(), 21);
    assert_eq!(world.there()["enterprises"].as_object().unwrap().len(), 2);
    assert_eq!(world.there()["queue"], json!([]));
    assert_eq!(world.channel()["backlog"], 0);
}
