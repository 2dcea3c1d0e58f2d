//! With namespaces: links that take their time, are cut, slowed and healed.

use std::process::Command;
use std::time::{Duration, Instant};

use idnode_tests::run::{Done, binary, until};
use serde_json::Value;

use super::world::{Province, Remains, has_namespaces, link};

/// How long a round trip from one city's namespace to another's takes, by `ping`'s datagrams'
/// cousin: a TCP connection to the other city's HTTP front.
fn round_trip(province: &Province, from: &str, to: &str) -> Option<Duration> {
    let (from, to) = (province.node(from), province.node(to));
    let url = format!(
        "http://{}:{}/healthz",
        to["address"].as_str()?,
        to["ports"]["http"]
    );
    let mut command = Command::new("ip");
    command.args(["netns", "exec", from["namespace"].as_str()?]);
    command.args(["curl", "-s", "-o", "/dev/null", "--max-time", "2"]);
    command.args(["-w", "%{time_connect}", &url]);
    let done = Done::of(&mut command);
    let seconds = done.stdout.parse().ok()?;
    (done.code == 0).then(|| Duration::from_secs_f64(seconds))
}

fn resolves(province: &Province, city: &str, identifier: &str) -> Option<Value> {
    let done = province.idctl(city).run(&["resolve", identifier]);
    (done.code == 0).then(|| done.document())
}

#[test]
fn unprivileged_use_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--clear-groups", "--"]);
    command
        .arg(binary("idprovince"))
        .args(["up", "--netns", "--dir"]);
    command.arg(home.path());
    let done = Done::of(&mut command);
    if !has_namespaces() || done.stderr.contains("setpriv") || done.stderr.contains("denied") {
        eprintln!(
            "not tested: this user cannot become another one: {}",
            done.stderr
        );
        return;
    }
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stderr.contains("only root may"), "{done:?}");
}

#[test]
fn links_take_their_time_and_are_cut_slowed_and_healed() {
    if !has_namespaces() {
        return;
    }
    let wire = ["--netns", "--latency-by", "wire", "--identifiers", "2"];
    let times = ["--between-ms", "15", "--city-ms", "3"];
    let province = Province::up(&[&wire[..], &times].concat());
    let status = province.status();
    assert_eq!(status["apart"], "wire");
    assert_eq!(status["links"].as_array().unwrap().len(), 21);
    assert_eq!(link(&status, "datong", "linfen")["one_way_ms"], 15.0);
    let usual = round_trip(&province, "datong", "linfen").unwrap();
    assert!(usual >= Duration::from_millis(30), "{usual:?}");
    assert!(usual < Duration::from_millis(150), "{usual:?}");

    province.told(&["slow", "linfen", "datong", "100"]);
    let slow = round_trip(&province, "datong", "linfen").unwrap();
    assert!(slow >= Duration::from_millis(200), "{slow:?}");
    let other = round_trip(&province, "datong", "changzhi").unwrap();
    assert!(other < Duration::from_millis(150), "{other:?}");

    province.told(&["cut", "datong", "linfen"]);
    assert_eq!(round_trip(&province, "datong", "linfen"), None);
    assert!(round_trip(&province, "changzhi", "linfen").is_some());
    let status = province.status();
    assert_eq!(link(&status, "datong", "linfen")["up"], false);
    assert!(link(&status, "datong", "linfen")["cut"].as_u64().unwrap() > 0);
    let lines = province.told(&["status"]);
    assert!(
        lines.contains("no linfen") && lines.contains("no datong"),
        "{lines}"
    );

    province.told(&["heal", "datong", "linfen"]);
    let healed = round_trip(&province, "datong", "linfen").unwrap();
    assert!(healed < Duration::from_millis(150), "{healed:?}");

    for (arguments, words) in [
        (&["cut", "beijing"][..], "there is no beijing"),
        (&["cut", "datong", "datong"], "to itself"),
        (&["slow", "datong", "linfen", "99999"], "0 to 60000"),
    ] {
        let done = province.run(arguments);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains(words), "{done:?}");
    }
    province.down();
}

#[test]
fn a_city_that_is_cut_off_goes_on_with_its_own_and_drains_afterwards() {
    if !has_namespaces() {
        return;
    }
    let wire = ["--netns", "--latency-by", "wire", "--identifiers", "1"];
    let province = Province::up(&wire);
    province.told(&["cut", "datong"]);
    let lines = province.told(&["status"]);
    assert!(lines.contains("cut off"), "{lines}");
    // Registers and resolves its own.
    let datong = province.idctl("datong");
    for number in 1..=20 {
        let identifier = format!("88.119.8/CUT-{number}");
        let value = format!("URL=https://cut.example/{number}");
        datong.json(&["identifier", "create", &identifier, "--value", &value]);
    }
    let answer = datong.json(&["resolve", "88.119.8/CUT-20"]);
    assert_eq!(
        answer["record"]["values"][0]["data"]["value"],
        "https://cut.example/20"
    );
    let told = || {
        province
            .national("/identifiers?node=datong&code=88.119.8/CUT-20")
            .0
    };
    assert_eq!(told(), 404);
    // A prefix that the national node has to grant waits.
    let enterprise = datong.json(&["prefix", "get", "88.119.8"])["enterprise_id"].clone();
    let enterprise = enterprise.as_str().unwrap();
    datong.json(&["prefix", "apply", "88.119.9", "--enterprise-id", enterprise]);
    datong.json(&["prefix", "start-review", "88.119.9"]);
    datong.json(&["prefix", "approve", "88.119.9"]);
    until("a backlog", || {
        province.node("datong")["backlog"].as_u64() > Some(0)
    });
    assert_eq!(
        datong.json(&["prefix", "get", "88.119.9"])["state"],
        "under_review"
    );
    // The others do not notice.
    assert!(resolves(&province, "linfen", "88.123.8/SEED-1").is_some());
    assert_eq!(province.node("linfen")["state"], "up");
    province.told(&["heal", "datong"]);
    until("the prefix is granted", || {
        datong.json(&["prefix", "get", "88.119.9"])["state"] == "active"
    });
    until("its changes are told", || told() == 200);
    let counted = || {
        let (_, digest) = province.national("/identifiers/digest?node=datong&prefix=88.119.8");
        let digest: Value = serde_json::from_str(&digest).unwrap();
        digest["live"].clone()
    };
    assert_eq!(counted(), 21);
    until("no backlog", || province.node("datong")["backlog"] == 0);
    province.down();
}

#[test]
fn others_own_identifiers_need_neither_the_core_nor_the_national_node() {
    if !has_namespaces() {
        return;
    }
    let wire = ["--netns", "--latency-by", "wire", "--identifiers", "1"];
    let province = Province::up(&wire);
    province.told(&["cut", "taiyuan"]);
    province.told(&["cut", "national"]);
    let others = "datong,yangquan,luliang,changzhi,linfen";
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        let report = province.load(&[
            "--phases",
            "own",
            "--among",
            others,
            "--rate",
            "100",
            "--seconds",
            "2",
        ]);
        let phase = &report["phases"][0];
        assert_eq!(phase["right"], 200, "{report}");
        assert_eq!(phase["handle_packets_between_cities"], 0, "{report}");
    }
    province.told(&["heal"]);
    province.down();
}

#[test]
fn veths_without_latency_are_cut_and_healed_too() {
    if !has_namespaces() {
        return;
    }
    let veths = ["--netns", "--latency-by", "none", "--identifiers", "1"];
    let mut province = Province::up(&veths);
    assert_eq!(province.status()["apart"], "veths");
    assert!(round_trip(&province, "datong", "linfen").is_some());
    let before = link(&province.status(), "datong", "linfen");
    assert!(before["packets"].as_u64().unwrap() > 0, "{before}");
    province.told(&["cut", "datong", "linfen"]);
    assert_eq!(round_trip(&province, "datong", "linfen"), None);
    assert!(round_trip(&province, "datong", "yangquan").is_some());
    province.told(&["heal", "datong"]);
    assert!(round_trip(&province, "datong", "linfen").is_some());
    let done = province.run(&["slow", "datong", "linfen", "5"]);
    assert_eq!(done.code, 2, "{done:?}");
    // What a killed supervisor leaves is removed: processes, namespaces, devices.
    province.kill();
    let remains = Remains::of(&province);
    assert_eq!(remains.processes().len(), 7);
    assert!(!remains.network().is_empty());
    let told = province.told(&["down"]);
    assert!(told.contains("13 namespaces"), "{told}");
    remains.assert_none();
}
