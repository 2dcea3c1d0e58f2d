//! What both sides have registered: kept with both versions, told, settled either way.

use idnode_tests::run::until;
use serde_json::{Value, json};

use super::super::streams::PREFIX;
use super::world::World;

fn ids(conflicts: &[Value]) -> Vec<&str> {
    conflicts
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect()
}

/// The node registers in the gap before it learns that it is taken over; the national node too.
fn both_register(world: &mut World) {
    // Without the uplink the node does not know.
    world.national.kill();
    world.create("A", "https://here.example/a");
    world.create("B", "https://here.example/b");
    world.create("SAME", "https://same.example/");
    world.node.kill();
    world.national = world.streams.national();
    world.take();
    world.registered("create", "A", "https://there.example/a");
    world.registered("create", "B", "https://there.example/b");
    world.registered("modify", "B", "https://there.example/b2");
    world.registered("create", "SAME", "https://same.example/");
    world.registered("create", "NEW", "https://there.example/new");
    world.node = world.streams.node_at(&world.at);
    world.until_phase("taken-over");
}

#[test]
fn both_versions_are_kept_and_one_of_them_is_settled_on() {
    let mut world = World::new();
    both_register(&mut world);
    assert_eq!(world.text("A").as_deref(), Some("https://here.example/a"));
    world.hand_back();
    world.until_phase("handed-back");
    let done = world.takeover();
    let counts = [
        "merged",
        "applied",
        "unchanged",
        "conflicts",
        "open_conflicts",
    ];
    let counts = counts.map(|it| done[it].as_u64().unwrap());
    assert_eq!(counts, [5, 1, 1, 3, 2], "{done}");

    let open = world.conflicts(&[]);
    assert_eq!(ids(&open), ["1-1", "1-3"], "{open:?}");
    assert_eq!(
        (&open[0]["kind"], &open[0]["told"]),
        (&json!("exists_here"), &json!(true))
    );
    let version = |side: &str| open[1][side]["values"][0]["data"]["value"].clone();
    assert_eq!(version("here"), "https://here.example/b");
    assert_eq!(version("theirs"), "https://there.example/b2");
    let all = world.conflicts(&["--all"]);
    assert_eq!(ids(&all), ["1-1", "1-2", "1-3"]);
    assert_eq!(all[1]["settlement"], "followed");
    let page = world.conflicts(&["--all", "--limit", "2", "--after", "1-1"]);
    assert_eq!(ids(&page), ["1-2", "1-3"]);
    let there = world.conflicts_there();
    let settlements: Vec<&Value> = there.iter().map(|it| &it["settlement"]).collect();
    assert_eq!(settlements, ["open", "followed", "open"]);
    let document = &there[0]["document"];
    assert_eq!(
        document["node"]["values"][0]["data"]["value"],
        "https://here.example/a"
    );
    assert_eq!(
        document["national"]["values"][0]["data"]["value"],
        "https://there.example/a"
    );

    assert_eq!(world.settle("1-1", "here")["settlement"], "here");
    assert_eq!(world.settle("1-3", "theirs")["settlement"], "theirs");
    assert_eq!(world.text("A").as_deref(), Some("https://here.example/a"));
    assert_eq!(world.text("B").as_deref(), Some("https://there.example/b2"));
    until("the national node is told", || {
        let there = world.conflicts_there();
        let settled = there
            .iter()
            .map(|it| it["settlement"].as_str().unwrap().to_owned());
        settled.collect::<Vec<_>>() == ["node", "followed", "national"]
    });
    until("and the node knows that", || {
        world
            .conflicts(&["--all"])
            .iter()
            .all(|it| it["told"] == true)
    });
    assert_eq!(world.conflicts(&[]), [] as [Value; 0]);
}

#[test]
fn what_was_changed_here_before_it_was_known_is_not_overwritten() {
    let mut world = World::new();
    for name in ["A", "B", "C", "D"] {
        world.create(name, "https://old.example/");
    }
    world.until_told();
    world.national.kill();
    let operator = world.operator();
    let change = |name: &str| {
        let identifier = format!("{PREFIX}/{name}");
        operator.json(&[
            "identifier",
            "update",
            &identifier,
            "--value",
            "1:URL=https://here.example/",
        ]);
    };
    change("A");
    operator.json(&["identifier", "delete", &format!("{PREFIX}/B")]);
    change("C");
    world.node.kill();
    world.national = world.streams.national();
    world.take();
    world.registered("modify", "A", "https://there.example/");
    world.registered("modify", "B", "https://there.example/");
    world.registered("delete", "C", "停产");
    world.registered("modify", "D", "https://there.example/");
    world.node = world.streams.node_at(&world.at);
    world.until_phase("taken-over");
    world.hand_back();
    world.until_phase("handed-back");
    let open = world.conflicts(&[]);
    let kinds: Vec<&Value> = open.iter().map(|it| &it["kind"]).collect();
    assert_eq!(kinds, ["changed_here", "deleted_here", "changed_here"]);
    let texts = ["A", "B", "C", "D"].map(|name| world.text(name));
    let here = || Some("https://here.example/".to_owned());
    let there = || Some("https://there.example/".to_owned());
    assert_eq!(texts, [here(), None, here(), there()]);
    world.settle("1-1", "theirs");
    world.settle("1-2", "theirs");
    world.settle("1-3", "theirs");
    let texts = ["A", "B", "C"].map(|name| world.text(name));
    assert_eq!(texts, [there(), there(), None]);
}

#[test]
fn what_can_t_be_settled_says_why() {
    let mut world = World::new();
    both_register(&mut world);
    let resolve = |id| ["upward", "conflicts", "resolve", id, "--keep", "theirs"];
    let reason = |world: &World, id| world.operator().refused(&resolve(id)).1["reason"].clone();
    assert_eq!(reason(&world, "1-1"), "CONFLICT_NOT_FOUND");
    assert_eq!(reason(&world, "one"), "INVALID");
    world.hand_back();
    world.until_phase("handed-back");
    world.take();
    world.until_phase("taken-over");
    assert_eq!(reason(&world, "1-1"), "PREFIX_TAKEN_OVER");
    let stranger = world.node.idctl(None).refused(&resolve("1-1"));
    assert_eq!(stranger.1["code"], "UNAUTHENTICATED");
    world.hand_back();
    world.until_phase("handed-back");
    world.settle("1-1", "theirs");
    assert_eq!(reason(&world, "1-1"), "CONFLICT_STATE");
    assert_eq!(world.text("A").as_deref(), Some("https://there.example/a"));
}

#[test]
fn what_the_node_does_not_allow_is_a_conflict_with_its_reason() {
    let world = World::new();
    let operator = world.operator();
    let owner = operator.json(&["prefix", "get", PREFIX])["enterprise_id"].clone();
    let owner = owner.as_str().unwrap();
    operator.json(&["enterprise", "set-quota", owner, "--registrations", "1"]);
    world.take();
    world.until_phase("taken-over");
    world.registered("create", "ONE", "https://1.example/");
    world.registered("create", "TWO", "https://2.example/");
    let other = json!({"operation": "create", "identifier": "88.118.7/X",
        "values": [{"type": "URL", "data": "x"}]});
    let arguments = [
        "-H",
        "content-type: application/json",
        "-d",
        &other.to_string(),
    ];
    let url = world.national.url("/takeover/registrations");
    assert_eq!(idnode_tests::run::curl(&url, &arguments).0, 201);
    world.hand_back();
    world.until_phase("handed-back");
    let open = world.conflicts(&[]);
    let reasons: Vec<&Value> = open.iter().map(|it| &it["error"]["reason"]).collect();
    assert_eq!(reasons, ["QUOTA_REGISTRATIONS", "PREFIX_NOT_FOUND"]);
    // The operator may go beyond the quota; a prefix that is not there is not there.
    world.settle("1-2", "theirs");
    assert_eq!(world.text("TWO").as_deref(), Some("https://2.example/"));
    let resolve = ["upward", "conflicts", "resolve", "1-3", "--keep", "theirs"];
    assert_eq!(operator.refused(&resolve).1["reason"], "PREFIX_NOT_FOUND");
    assert_eq!(ids(&world.conflicts(&[])), ["1-3"]);
}
