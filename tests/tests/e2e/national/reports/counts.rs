//! Known traffic over every front gives the numbers of the reports.

use super::world::*;
use idnode_tests::run::{curl, python_client, success};
use std::process::Command;

#[test]
fn what_was_asked_and_registered_is_what_is_reported() {
    not_at_midnight();
    let mut world = World::new();
    let national = world.national();
    let node = world.node(0);
    world.register(&node);
    let operator = world.operator(&node);
    for number in 0..5 {
        create(&operator, &format!("a{number}"));
    }
    operator.json(&["identifier", "delete", "88.118.8/a4", "--reason", "test"]);
    // 12 over UDP, from two sources; 4 of them for what is not there.
    (0..8).for_each(|_| dig(&node, "a1", "127.0.0.1"));
    (0..4).for_each(|_| dig(&node, "none", "127.0.0.3"));
    let (at, port) = (
        format!("@{}", node.at.dns.ip()),
        node.at.dns.port().to_string(),
    );
    for _ in 0..3 {
        let name = "a2.88-118-8.hdl.id.example.";
        success(Command::new("kdig").args(["+tcp", &at, "-p", &port, name, "URI"]));
    }
    for _ in 0..6 {
        let url = node.http("/api/handles/88.118.8/a3");
        assert_eq!(curl(&url, &["--interface", "127.0.0.5"]).0, 200);
    }
    // Deleted: not a success.
    assert_ne!(curl(&node.http("/api/handles/88.118.8/a4"), &[]).0, 200);
    let client = python_client("handle_client.py");
    let server = node.at.handle.to_string();
    for transport in [None, None, Some("--tcp")] {
        let mut command = Command::new("python3");
        command.arg(&client).args(transport);
        success(command.args([&*server, "88.118.8/a0"]));
    }
    for _ in 0..2 {
        operator.json(&["resolve", "88.118.8/a0"]);
    }
    node.stop();

    let node = world.node(DAY_S);
    let operator = world.operator(&node);
    let key = statistics(day(0));
    until_told(&operator, &key);
    let document = taken(&national, &key);
    assert_eq!(document["times"], 1);
    assert_eq!(document["report"], report(&operator, &key)["report"]);
    assert_eq!(document["report"]["clock_offset_s"], 86_400);
    let counted = &document["report"]["statistics"];
    let expected = [
        ("new_identifiers", 5),
        ("deleted_identifiers", 1),
        ("identifiers", 4),
        ("identifiers_before", 0),
        ("queries", 12 + 3 + 6 + 1 + 3 + 2),
        ("successes", 8 + 3 + 6 + 3 + 2),
        ("unlisted_at_most", 0),
        ("unrecorded_s", 0),
    ];
    for (field, number) in expected {
        assert_eq!(counted[field], number, "{field}: {counted}");
    }
    assert_eq!(counted["sampled_one_in"], 1.0);
    let sources: Vec<(&str, u64)> = counted["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["source"].as_str().unwrap(),
                it["queries"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected = [("127.0.0.1", 17), ("127.0.0.5", 6), ("127.0.0.3", 4)];
    assert_eq!(sources, expected);
    monitoring_fits(&taken(&national, &format!("monitoring/{}/1", day(0)))["report"]["monitoring"]);
    assert_eq!(
        national.status()["report"]["refused"],
        serde_json::json!([])
    );
}

fn monitoring_fits(monitoring: &serde_json::Value) {
    let (node, prefix) = (&monitoring["node"], &monitoring["prefixes"][0]);
    assert_eq!(node["queries"], 27, "{monitoring}");
    assert_eq!(node["resolution"]["count"], 27, "{monitoring}");
    assert_eq!(prefix["prefix"], PREFIX);
    assert_eq!(prefix["queries"], 27);
    for level in [node, prefix] {
        let peak = level["peak_qps"].as_u64().unwrap();
        assert!((1..=27).contains(&peak), "{monitoring}");
        assert_eq!(level["registration"]["count"], 5);
        let latency = |field: &str| level["resolution"][field].as_f64().unwrap();
        let [least, average, most] = ["min_ms", "average_ms", "max_ms"].map(latency);
        assert!(0.0 < least && least <= average && average <= most && most < 5_000.0);
    }
    // As sampled as sources are: each of so few, whatever front it came over.
    assert_eq!(prefix["resolution"]["count"], 27, "{monitoring}");
}

#[test]
fn a_prefix_has_latencies_of_every_front() {
    not_at_midnight();
    let mut world = World::new();
    let national = world.national();
    let node = world.node(0);
    world.register(&node);
    create(&world.operator(&node), "a0");
    node.stop();
    // What is asked first is read from the disk.
    let node = world.node(0);
    let operator = world.operator(&node);
    let server = node.at.handle.to_string();
    let handle = |transport: Option<&str>| {
        let mut command = Command::new("python3");
        command
            .arg(python_client("handle_client.py"))
            .args(transport);
        success(command.args([&*server, "88.118.8/a0"]));
    };
    let fronts: [&dyn Fn(); 5] = [
        &|| {
            let url = node.http("/api/handles/88.118.8/a0");
            assert_eq!(curl(&url, &[]).0, 200);
        },
        &|| drop(operator.json(&["resolve", "88.118.8/a0"])),
        &|| handle(Some("--tcp")),
        &|| handle(None),
        &|| {
            let port = node.at.dns.port().to_string();
            let name = "a0.88-118-8.hdl.id.example.";
            success(Command::new("kdig").args(["+tcp", "@127.0.0.1", "-p", &port, name, "URI"]));
        },
    ];
    fronts.iter().for_each(|ask| ask());
    node.stop();
    let node = world.node(DAY_S);
    until_told(&world.operator(&node), &statistics(day(0)));
    let document = taken(&national, &format!("monitoring/{}/1", day(0)));
    let monitoring = &document["report"]["monitoring"];
    for level in [&monitoring["node"], &monitoring["prefixes"][0]] {
        assert_eq!(level["resolution"]["count"], 5, "{monitoring}");
    }
}

/// What any base with something behind an @ is answered with: the base's values.
const TEMPLATES: &str =
    "<namespace><template delimiter=\"@\"><foreach><value/></foreach></template></namespace>";

#[test]
fn what_is_computed_is_its_askers_and_what_is_no_resolution_is_not_measured() {
    not_at_midnight();
    let mut world = World::new();
    let national = world.national();
    let node = world.node(0);
    world.register(&node);
    let operator = world.operator(&node);
    create(&operator, "base");
    let templates = format!("400:HS_NAMESPACE={TEMPLATES}");
    operator.json(&["prefix", "values", "update", PREFIX, "--value", &templates]);
    // Others ask by the same threads.
    (0..6).for_each(|number| dig(&node, &format!("none{number}"), "127.0.0.3"));
    for number in 0..5 {
        let url = node.http(&format!("/api/handles/88.118.8/base@{number}"));
        assert_eq!(curl(&url, &["--interface", "127.0.0.5"]).0, 200);
    }
    // Nothing of this asks for an identifier.
    for path in ["/api/site", "/api/prefixes", "/api/nothing", "/readyz"] {
        curl(&node.http(path), &["--interface", "127.0.0.6"]);
    }
    curl(&node.http("/api/handles/%20"), &[]);
    let port = node.at.dns.port().to_string();
    for qtype in ["SOA", "NS", "DNSKEY"] {
        success(Command::new("dig").args(["@127.0.0.1", "-p", &port, "id.example.", qtype]));
        let over_tcp = ["@127.0.0.1", "+tcp", "-p", &port, "id.example.", qtype];
        success(Command::new("dig").args(over_tcp));
    }
    operator.refused(&["resolve", "gs1:01/06901234567891"]);
    node.stop();

    let node = world.node(DAY_S);
    let operator = world.operator(&node);
    let key = statistics(day(0));
    until_told(&operator, &key);
    let counted = &taken(&national, &key)["report"]["statistics"];
    assert_eq!(
        (&counted["queries"], &counted["successes"]),
        (&11.into(), &5.into())
    );
    let sources = counted["sources"].as_array().unwrap();
    let sources: Vec<_> = sources
        .iter()
        .map(|it| (&it["source"], &it["queries"]))
        .collect();
    let expected = [
        ("127.0.0.3".into(), 6.into()),
        ("127.0.0.5".into(), 5.into()),
    ];
    assert_eq!(
        sources,
        expected.each_ref().map(|(source, count)| (source, count))
    );
    let monitoring = taken(&national, &format!("monitoring/{}/1", day(0)));
    let of_node = &monitoring["report"]["monitoring"]["node"];
    assert_eq!(of_node["queries"], 11, "{of_node}");
    assert_eq!(of_node["resolution"]["count"], 11, "{of_node}");
}
