//! Signatures do not make less of what may be registered.

use idnode_tests::run::curl;
use serde_json::{Value, json};

use super::world::{HANDLE, World};

/// Writes a handle's values over HTTP.
fn put(world: &World, query: &str, values: &Value) {
    let body = world.path("values.json");
    std::fs::write(&body, values.to_string()).unwrap();
    let token = format!("authorization: Bearer {}", world.dir.token());
    let body = format!("@{body}");
    let send = ["-X", "PUT", "-H", &token, "--data-binary", &body];
    let url = world.node.http(&format!("/api/handles/{HANDLE}{query}"));
    let (status, _, answer) = curl(&url, &send);
    assert_eq!(status, 200, "{answer}");
}

/// How many values it has, and how many of them are signatures.
fn counted(world: &World) -> (usize, usize) {
    let url = world.node.http(&format!("/api/handles/{HANDLE}"));
    let (status, _, answer) = curl(&url, &[]);
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let values = answer["values"].as_array().unwrap();
    let signatures = values.iter().filter(|it| it["type"] == "HS_SIGNATURE");
    (values.len(), signatures.count())
}

fn numbered(count: usize) -> Value {
    let value = |n: usize| json!({"index": n + 1_000, "type": "DESC", "data": n.to_string()});
    (0..count).map(value).collect()
}

#[test]
fn what_leaves_no_room_for_a_signature_is_registered_without() {
    let world = World::new(&[]);
    put(&world, "", &numbered(2_048));
    assert_eq!(counted(&world), (2_048, 0));
    // As large as a record may be: data and what is around it.
    let large = |bytes: usize| json!([{"index": 1, "type": "DESC", "data": "x".repeat(bytes)}]);
    put(&world, "", &large(255_900));
    assert_eq!(counted(&world), (1, 0));
    put(&world, "", &large(250_000));
    assert_eq!(counted(&world), (2, 1));
    world.trusted(HANDLE);
    put(&world, "", &large(100));
    assert_eq!(counted(&world), (2, 1));
    // What was signed gives its signature's place up.
    put(&world, "?index=various", &numbered(2_047));
    assert_eq!(counted(&world), (2_048, 0));
    put(&world, "", &numbered(3));
    assert_eq!(counted(&world), (4, 1));
    world.trusted(HANDLE);
}
