//! From the first probe that fails to the last registration that is merged.

use std::fs;

use idnode_tests::node::Node;
use idnode_tests::run::{curl, until};
use serde_json::{Value, json};

use super::super::streams::{NODE, PREFIX, Streams};
use super::world::{World, create};
use crate::ask::{Dns, Filter, Front, Grpc, Handle, Http, Outcome, shown};

/// Shown at the monitoring endpoint.
const TOKEN: &str = "the national node's own token";

/// A node that is probed, and taken over without a person if need be.
fn probed() -> World {
    let mut streams = Streams::new();
    let token = streams.home.path().join("monitor.token");
    fs::write(&token, TOKEN.replace(' ', "-")).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    streams.settings = vec![format!("upward.monitor_token_file={}", token.display())];
    let node = streams.node();
    streams.register(&node);
    let operator = streams.operator(&node);
    operator.json(&create(
        &format!("{PREFIX}/KNOWN"),
        "URL=https://known.example/",
    ));
    let owner = operator.json(&["prefix", "get", PREFIX]);
    let owner = owner["enterprise_id"].as_str().unwrap();
    let key = operator.json(&["key", "create", "--enterprise-id", owner]);
    let file = streams.home.path().join("probe.key");
    fs::write(&file, key["token"].as_str().unwrap()).unwrap();
    let at = node.at;
    let target = format!(
        "{NODE}:handle={},dns={},zone=id.example.,resolve={PREFIX}/KNOWN,grpc={},register={PREFIX},\
         key={},http={},monitor={}",
        at.handle,
        at.dns,
        at.grpc,
        file.display(),
        at.http,
        token.display(),
    );
    let settings = [
        ("--probe", target.as_str()),
        ("--probe-points", "5"),
        ("--probe-interval-ms", "300"),
        ("--probe-timeout-ms", "600"),
        ("--probe-window", "2"),
        ("--takeover", "auto"),
    ];
    streams.arguments = settings
        .iter()
        .flat_map(|(flag, value)| [(*flag).to_owned(), (*value).to_owned()])
        .collect();
    let national = streams.national();
    World {
        streams,
        national,
        node,
        at,
    }
}

fn probe(world: &World) -> Value {
    world.national.status()["probe"]["nodes"][NODE].clone()
}

#[test]
fn a_node_that_is_down_is_taken_over_and_gets_back_what_was_registered() {
    let mut world = probed();
    until("all probes find it up", || {
        let seen = probe(&world);
        seen["full"] == true && seen["of_itself"]["registration"]["works"] == true
    });
    let seen = probe(&world);
    assert_eq!(seen["down"], false, "{seen}");
    for point in seen["points"].as_array().unwrap() {
        for way in ["handle_udp", "handle_tcp", "dns", "registration"] {
            assert_eq!(point["found"][way]["works"], true, "{way}: {point}");
        }
    }
    assert_eq!(seen["of_itself"]["node"], NODE);
    assert_eq!(world.row()["phase"], "none");
    world.create("OLD", "https://old.example/");
    world.create("GONE", "https://gone.example/");
    world.until_told();

    world.node.kill();
    until("it is taken over", || world.row()["phase"] == "taken-over");
    let row = world.row();
    assert_eq!(row["prefixes"], json!(["88.118"]));
    assert!(
        row["cause"].as_str().unwrap().contains("of 10 probes"),
        "{row}"
    );
    for (operation, name, text) in [
        ("create", "N1", "https://1.example/"),
        ("create", "N2", "https://2.example/"),
        ("create", "N3", "https://3.example/"),
        ("modify", "N1", "https://1.example/changed"),
        ("delete", "N2", "停产"),
        ("modify", "OLD", "https://old.example/changed"),
        ("delete", "GONE", "停产"),
    ] {
        world.registered(operation, name, text);
    }
    assert_eq!(world.register("create", "N1", "again").0, 409);
    assert_eq!(world.register("modify", "N2", "gone").0, 409);
    assert_eq!(world.register("create", "KNOWN", "again").0, 409);
    assert_eq!(world.register("delete", "NEVER", "").0, 409);

    world.node = world.streams.node_at(&world.at);
    world.until_phase("taken-over");
    refuses_on_every_front(&world);
    resolves_on_every_front(&world.node, "KNOWN", "https://known.example/");
    until("the probes find it up again", || {
        probe(&world)["down"] == false
    });
    assert_eq!(probe(&world)["of_itself"]["takeover"]["in_force"], true);
    assert_eq!(world.row()["phase"], "taken-over", "a person hands back");

    world.hand_back();
    world.until_phase("handed-back");
    let done = world.takeover();
    assert_eq!(
        (&done["merged"], &done["applied"]),
        (&json!(7), &json!(7)),
        "{done}"
    );
    resolves_on_every_front(&world.node, "N1", "https://1.example/changed");
    resolves_on_every_front(&world.node, "OLD", "https://old.example/changed");
    assert_eq!((world.text("N2"), world.text("GONE")), (None, None));
    assert_eq!(world.text("N3").as_deref(), Some("https://3.example/"));
    world.create("N4", "https://4.example/");
    assert_eq!(world.conflicts(&["--all"]), [] as [Value; 0]);
    until("probes register again", || {
        world.text("probe-1").is_some() && probe(&world)["registration"]["down"] == 0
    });
}

/// Everything that registers says why it does not.
fn refuses_on_every_front(world: &World) {
    let operator = world.operator();
    let name = format!("{PREFIX}/REFUSED");
    let known = format!("{PREFIX}/KNOWN");
    // gRPC: create, update, delete, and what is done with prefixes.
    for arguments in [
        &create(&name, "URL=x")[..],
        &["identifier", "update", &known, "--value", "1:URL=x"],
        &["identifier", "delete", &known],
        &["prefix", "suspend", PREFIX],
        &["prefix", "apply", "88.118.9", "--enterprise-id", "E1"],
    ] {
        let (_, error) = operator.refused(arguments);
        assert_eq!(
            error["reason"], "PREFIX_TAKEN_OVER",
            "{arguments:?}: {error}"
        );
        assert_eq!(error["code"], "FAILED_PRECONDITION");
        assert_eq!(error["metadata"]["epoch"], "1");
    }
    // An import, item by item.
    let file = world.streams.home.path().join("items.jsonl");
    let item = json!({"identifier": name, "values": [{"type": "URL", "data": "x"}]});
    fs::write(&file, format!("{item}\n")).unwrap();
    let done = operator.run(&["--json", "import", file.to_str().unwrap()]);
    assert_eq!(
        (done.code, &done.document()["rejected"]),
        (3, &json!(1)),
        "{done:?}"
    );
    let rejects = fs::read_to_string(format!("{}.rejects", file.display())).unwrap();
    assert!(rejects.contains("PREFIX_TAKEN_OVER"), "{rejects}");
    // HTTP: the Handle API's code, and the words.
    let bearer = format!("authorization: Bearer {}", world.streams.dir.token());
    let url = world.node.http(&format!("/api/handles/{name}"));
    let value = json!({"values": [{"index": 1, "type": "URL", "data": {"format": "string", "value": "x"}}]});
    let body = value.to_string();
    let put = [
        "-X",
        "PUT",
        "-H",
        &bearer,
        "-H",
        "content-type: application/json",
        "-d",
        &body,
    ];
    let (status, _, answer) = curl(&url, &put);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (status, &answer["responseCode"]),
        (400, &json!(301)),
        "{answer}"
    );
    assert!(
        answer["message"].as_str().unwrap().contains("应急接管"),
        "{answer}"
    );
    // Handle: an administrator of the prefix.
    let secret = world.streams.home.path().join("administrator.secret");
    fs::write(&secret, "sesame\n").unwrap();
    let secret = secret.to_str().unwrap();
    let id = "300:0.NA/88.118.8";
    let add = [
        "key",
        "add-administrator",
        id,
        "--secret-key-file",
        secret,
        "--enterprise-id",
        "E1",
    ];
    operator.json(&add);
    let handle = world.at.handle.to_string();
    let how = [
        "--handle",
        &handle,
        "--identity",
        id,
        "--secret-file",
        secret,
    ];
    let create = ["handle", "create", &name, "--value", "URL=x"];
    let (_, error) = world
        .node
        .idctl(None)
        .refused(&[&create[..], &how].concat());
    assert_eq!(error["metadata"]["response_code"], "301", "{error}");
    // Nobody overrides it: not the operator, not a restart without the uplink.
    assert_eq!(world.text("REFUSED"), None);
}

fn resolves_on_every_front(node: &Node, name: &str, text: &str) {
    let fronts: [Box<dyn Front>; 5] = [
        Box::new(Grpc::of(node)),
        Box::new(Dns::of(node)),
        Box::new(Handle::of(node, false)),
        Box::new(Handle::of(node, true)),
        Box::new(Http::of(node)),
    ];
    for front in fronts {
        let found = front.ask(&format!("{PREFIX}/{name}"), &Filter::default(), None);
        let expected = Outcome::Found(vec![shown(1, "URL", text)]);
        assert_eq!(found, expected, "{}", front.name());
    }
}

#[test]
fn what_is_taken_over_stays_so_without_the_uplink() {
    let mut world = World::new();
    world.take();
    world.until_phase("taken-over");
    world.national.kill();
    world.node.kill();
    let settings = world.streams.settings.clone();
    world
        .streams
        .settings
        .push("upward.sync.server=".to_owned());
    world.node = world.streams.node_at(&world.at);
    world.streams.settings = settings;
    let name = format!("{PREFIX}/A");
    let (_, error) = world.operator().refused(&create(&name, "URL=x"));
    assert_eq!(error["reason"], "PREFIX_TAKEN_OVER", "{error}");
    assert_eq!(world.takeover()["phase"], "taken_over");
    world.national = world.streams.national();
    world.restart_node();
    world.until_phase("taken-over");
    world.hand_back();
    world.until_phase("handed-back");
    world.create("A", "x");
}

#[test]
fn the_monitoring_endpoint_is_for_the_national_node_alone() {
    let world = probed();
    let url = world.node.http("/api/monitor");
    let right = format!("authorization: Bearer {}", TOKEN.replace(' ', "-"));
    for (header, expected) in [
        ("x: y", 401),
        ("authorization: Bearer wrong", 401),
        (&right, 200),
    ] {
        let (status, head, body) = curl(&url, &["-H", header]);
        assert_eq!(status, expected, "{head}{body}");
    }
    let operators = format!("authorization: Bearer {}", world.streams.dir.token());
    assert_eq!(
        curl(&url, &["-H", &operators]).0,
        401,
        "nor for the operator"
    );
    let told: Value = serde_json::from_str(&curl(&url, &["-H", &right]).2).unwrap();
    assert_eq!(told["resolution"], json!({"works": true}), "{told}");
    assert_eq!(told["takeover"]["in_force"], false);
    assert!(told["log_head"].as_u64().unwrap() > 0);
    assert_eq!(curl(&url, &["-X", "POST", "-H", &right]).0, 501);
    let without = World::new();
    let (status, _, body) = curl(&without.node.http("/api/monitor"), &["-H", &right]);
    assert_eq!(status, 404, "{body}");
}
