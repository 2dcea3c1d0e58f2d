//! Load across all cities.

use serde_json::Value;

use super::world::{Province, has_namespaces};

fn class<'r>(report: &'r Value, phase: usize, name: &str) -> &'r Value {
    let classes = report["phases"][phase]["classes"].as_array().unwrap();
    let found = classes.iter().find(|class| class["class"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {report}"))
}

fn assert_right(report: &Value, questions: u64) {
    assert_eq!(report["right"], true, "{report}");
    for phase in report["phases"].as_array().unwrap() {
        assert_eq!(phase["wrong"], 0, "{phase}");
        assert_eq!(phase["lost"], 0, "{phase}");
        assert_eq!(phase["refused"], serde_json::json!({}), "{phase}");
        assert_eq!(phase["sent"], phase["right"], "{phase}");
        let sent = phase["sent"].as_u64().unwrap();
        assert!(sent.abs_diff(questions) <= 36, "{phase}");
    }
    let own = &report["phases"][0];
    assert_eq!(own["recursions"], 0, "{own}");
    assert_eq!(own["left_the_city"], false, "{own}");
    for phase in [1, 2] {
        let pairs = report["phases"][phase]["pairs"].as_array().unwrap();
        assert_eq!(pairs.len(), 36, "{report}");
    }
}

#[test]
fn every_pair_of_cities_is_answered_rightly() {
    let province = Province::up(&["--identifiers", "0"]);
    let report = province.load(&["--rate", "200", "--seconds", "3"]);
    assert_right(&report, 600);
    let text = province.told(&["load", "--rate", "100", "--seconds", "1"]);
    assert!(
        text.contains("cross city") && text.contains("0 wrong"),
        "{text}"
    );
    province.down();
}

#[test]
fn over_links_an_answer_takes_one_round_trip_and_then_none() {
    if !has_namespaces() {
        return;
    }
    let wire = ["--netns", "--latency-by", "wire", "--identifiers", "0"];
    let province = Province::up(&[&wire[..], &["--between-ms", "20", "--city-ms", "5"]].concat());
    let report = province.load(&["--rate", "200", "--seconds", "3"]);
    assert_right(&report, 600);
    let own = &report["phases"][0];
    assert_eq!(own["handle_packets_between_cities"], 0, "{own}");
    let cold = class(&report, 1, "cross city");
    assert_eq!(cold["emulated_ms"], 50.0, "{cold}");
    let p50 = cold["p50_ms"].as_f64().unwrap();
    assert!(
        (50.0..90.0).contains(&p50),
        "one round trip, not two: {cold}"
    );
    let warm = class(&report, 2, "cross city");
    let p50 = warm["p50_ms"].as_f64().unwrap();
    assert!(
        (10.0..25.0).contains(&p50),
        "from the city's own node: {warm}"
    );
    let beside = province.load(&["--rate", "200", "--seconds", "1", "--beside"]);
    let warm = class(&beside, 2, "cross city");
    assert!(warm["p50_ms"].as_f64().unwrap() < 10.0, "{warm}");
    province.down();
}
