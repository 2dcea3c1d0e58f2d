//! The national node's page, and faults set there.

use super::world::National;
use idnode_tests::node::{DataDir, Node};
use idnode_tests::run::curl;
use serde_json::json;

#[test]
fn a_person_sees_the_page_and_a_program_sets_faults() {
    let dir = tempfile::tempdir().unwrap();
    let mut national = National::new(&dir, &[]);
    let (status, head, body) = curl(&national.url("/"), &[]);
    assert_eq!(status, 200);
    assert!(head.contains("text/html"), "{head}");
    assert!(body.contains("国家顶级节点"), "{body}");
    assert_eq!(national.status()["faults"], json!({}));
    let script = json!({"epp": [{"kind": "drop", "times": 2, "delay_ms": 0}]});
    national.faults(&script);
    assert_eq!(national.status()["faults"], script);
    let nonsense = [
        "-H",
        "content-type: application/json",
        "-d",
        "{\"epp\":[{\"kind\":\"x\"}]}",
    ];
    let (status, _, _) = curl(&national.url("/faults"), &nonsense);
    assert_eq!(status, 422);
    national.kill();
    National::start(dir.path(), &[]);
}

#[test]
fn a_node_without_an_uplink_says_so() {
    let dir = DataDir::init();
    let node = Node::run(&dir);
    let operator = node.idctl(Some(&dir.token_file()));
    assert_eq!(
        operator.json(&["upward", "status"]),
        json!({"channels": []})
    );
    let (code, error) = node.idctl(None).refused(&["upward", "status"]);
    assert_eq!((code, error["code"].as_str()), (1, Some("UNAUTHENTICATED")));
}
