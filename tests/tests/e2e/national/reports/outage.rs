//! The national node is away for days and a change of the month; the node goes on, and afterwards
//! everything is there once.

use super::world::*;
use idnode_proto::report::{Period, Unit};
use serde_json::{Value, json};

/// Queries of each day that the node runs on.
const QUERIES: [u64; 4] = [3, 1, 4, 2];

#[test]
fn what_was_missed_is_caught_up_and_counts_once() {
    not_at_midnight();
    let mut world = World::new();
    let first = day(0);
    for (number, queries) in (0_u64..).zip(QUERIES) {
        let node = world.node(number * DAY_S);
        let operator = world.operator(&node);
        if number == 0 {
            world.register(&node);
        }
        create(&operator, &format!("day{number}"));
        (0..queries).for_each(|_| dig(&node, "day0", "127.0.0.1"));
        if number == 2 {
            // A crash: what was measured in its last ten seconds may be lost, and nothing else.
            drop(node);
        } else {
            node.stop();
        }
    }
    // Forty days ahead a month is over for certain.
    let node = world.node(40 * DAY_S);
    let operator = world.operator(&node);
    let month = Period::at(Unit::Month, first.begins_ms());
    idnode_tests::run::until("a month of reports waits", || {
        let listed = operator.json(&["upward", "reports", "--kind", "service"]);
        let has_service = !listed["reports"].as_array().unwrap().is_empty();
        has_service && listed["pending"].as_u64().unwrap() > 40 * 24
    });
    let down = &operator.json(&["upward", "status"])["channels"][0];
    assert_eq!(
        (&down["name"], &down["state"]),
        (&json!("report"), &json!("down"))
    );
    let national = world.national();
    until_told(&operator, &last_hour(40 * DAY_S));
    until_told(&operator, &statistics(day(39 * DAY_S)));

    let status = &national.status()["report"];
    assert_eq!(status["refused"], json!([]), "{status}");
    for kind in [
        "statistics",
        "monitoring",
        "enterprises",
        "application",
        "service",
    ] {
        let line = &status["nodes"][NODE][kind];
        assert_eq!(line["missing"], json!([]), "{kind}: {line}");
        assert_eq!(line["incomplete"], json!([]), "{kind}: {line}");
    }
    assert_eq!(status["nodes"][NODE]["statistics"]["taken"], 40);
    let mut identifiers = 0;
    for (number, queries) in (0_u64..).zip(QUERIES) {
        let document = taken(&national, &statistics(day(number * DAY_S)));
        assert_eq!(document["times"], 1);
        let counted = &document["report"]["statistics"];
        assert_eq!(counted["identifiers_before"], identifiers);
        identifiers = counted["identifiers"].as_u64().unwrap();
        let lost_s = counted["unrecorded_s"].as_u64().unwrap();
        match number {
            2 => assert_eq!(lost_s, 10, "{counted}"),
            _ => {
                assert_eq!(counted["queries"], queries, "day {number}: {counted}");
                assert_eq!(lost_s, 0);
            }
        }
    }
    assert_eq!(identifiers, 4);
    the_month_adds_up(&national_month(&national, month), month);
}

/// The two monthly reports.
fn national_month(national: &super::super::world::National, month: Period) -> [Value; 2] {
    [
        format!("application/{month}/{PREFIX}"),
        format!("service/{month}/"),
    ]
    .map(|key| taken(national, &key)["report"].clone())
}

fn the_month_adds_up([application, service]: &[Value; 2], month: Period) {
    let application = &application["application"];
    let days = application["days"].as_array().unwrap();
    let sum: u64 = days
        .iter()
        .map(|it| it["new_identifiers"].as_u64().unwrap())
        .sum();
    assert_eq!(application["new_identifiers"], sum);
    assert!((1..=4).contains(&sum), "{application}");
    let service = &service["service"];
    let number = |field: &str| service[field].as_f64().unwrap();
    assert!(number("uptime_s") >= number("available_s"));
    assert!(number("month_s") <= (month.ends_ms() - month.begins_ms()) as f64 / 1e3);
    // Each stop in order was maintenance.
    assert!(
        !service["maintenance"].as_array().unwrap().is_empty(),
        "{service}"
    );
    assert!((0.0..=1.0).contains(&number("availability")));
}
