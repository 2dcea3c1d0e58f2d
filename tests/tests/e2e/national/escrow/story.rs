//! FULL and DIFF deposits with the national node, read by another program, and restored.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use idnode_tests::node::{DataDir, Node};
use idnode_tests::run::{Idctl, binary, curl, open_to_others, success};
use serde_json::{Value, json};

use super::world::{Keys, USER, create, deposits, newest, node, until_newest, until_settled};

/// Everything of a registry that its API shows.
fn everything(operator: &Idctl) -> Value {
    let of_prefix = |prefix: &str| {
        let listed = ["identifier", "list", prefix, "--include-deleted", "--all"];
        json!([
            operator.json(&listed),
            operator.json(&["prefix", "stats", prefix])
        ])
    };
    json!({
        "88.118.8": of_prefix("88.118.8"),
        "oid:1.2.156.3001": of_prefix("oid:1.2.156.3001"),
        "export": success(operator.command().arg("export")),
        "enterprises": operator.json(&["enterprise", "list"]),
        "prefixes": operator.json(&["prefix", "list"]),
        "templates": operator.json(&["template", "list"]),
    })
}

fn satisfies_the_schema(document: &Path) {
    let schema = "../proto/escrow/idnode-escrow-1.0.xsd";
    let mut lint = Command::new("xmllint");
    success(
        lint.args(["--noout", "--nonet", "--schema"])
            .arg(schema)
            .arg(document),
    );
}

#[test]
fn a_node_deposits_and_a_registry_is_restored_from_it() {
    let keys = Keys::new();
    let dir = tempfile::tempdir().unwrap();
    let mut national = keys.national(dir.path(), None);
    let host_key = national.status()["escrow"]["host_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let data = DataDir::init();
    let settings = keys.settings(national.at("sftp"), &host_key, USER);
    // The parts as small as they may be; the first deposit in the archive, the second under zstd.
    let running = node(&data, &settings, &["upward.escrow.part_bytes=1024"]);
    let operator = running.idctl(Some(&data.token_file()));
    let one = operator.verified_enterprise("91110000600037341L");
    let two = operator.verified_enterprise("914403001922038216");
    operator.active_prefix("88.118.8", &one);
    operator.active_prefix("oid:1.2.156.3001", &two);
    create(
        &operator,
        "88.118.8/A-1",
        &["URL=https://example.com/a1", "DESC=平板车 <&>\"'"],
    );
    // A secret of its administrators is in the registry, and therefore deposited.
    create(
        &operator,
        "88.118.8/ü%",
        &["URL=https://example.com/odd", "300:HS_SECKEY=secret"],
    );
    create(
        &operator,
        "88.118.8/gone",
        &["URL=https://example.com/gone"],
    );
    create(&operator, "1.2.156.3001.7", &["DESC=arc"]);
    // Served elsewhere since.
    let service = ["--service-handle", "88.119/服务 1"];
    operator.json(&[&["prefix", "delegate", "oid:1.2.156.3001"][..], &service].concat());
    operator.json(&["escrow", "deposit"]);
    let prefixes = ["88.118.8", "oid:1.2.156.3001"];
    // One is due when a prefix is new, and one was asked for: they may be one.
    let first = until_settled(&operator, prefixes);
    operator.json(&["identifier", "delete", "88.118.8/gone"]);
    operator.json(&["escrow", "deposit", "--full"]);
    let sequence = operator.json(&["stats"])["sequence"].as_u64();
    let [full, _] = [0, 1].map(|number| {
        let before = first[number]["id"].as_str();
        let full = until_newest(&operator, prefixes[number], "accepted", before);
        assert!(full["revision"].as_u64() >= sequence);
        assert_eq!(
            (full["type"].as_str(), full["closes"].as_bool()),
            (Some("FULL"), Some(false))
        );
        full
    });
    assert_eq!(full["identifiers"], 3, "the tombstone is one");
    running.stop();

    let running = node(&data, &settings, &["upward.escrow.compression=zstd"]);
    let operator = running.idctl(Some(&data.token_file()));
    create(&operator, "88.118.8/A-2", &["URL=https://example.com/a2"]);
    operator.json(&[
        "identifier",
        "update",
        "88.118.8/A-1",
        "--value",
        "1:URL=https://example.com/changed",
    ]);
    operator.json(&["prefix", "suspend", "oid:1.2.156.3001"]);
    operator.json(&["escrow", "deposit"]);
    let full_id = full["id"].as_str().unwrap();
    let diff = until_newest(&operator, "88.118.8", "accepted", Some(full_id));
    assert_eq!(
        (diff["type"].as_str(), diff["identifiers"].as_u64()),
        (Some("DIFF"), Some(2))
    );
    assert_eq!(diff["prev_id"], full["id"]);
    idnode_tests::run::until("a DIFF of the arc", || {
        newest(&operator, "oid:1.2.156.3001")
            .is_some_and(|it| it["type"] == "DIFF" && it["status"] == "accepted")
    });
    let channels = operator.json(&["upward", "status"]);
    assert_eq!(channels["channels"][0]["name"], "escrow");
    assert_eq!(channels["channels"][0]["state"], "up");
    assert_eq!(
        operator.json(&["upward", "deposits", "88.118.8"])["deposits"][0]["id"],
        diff["id"]
    );
    let source = everything(&operator);
    let (_, _, metrics) = curl(&running.http("/metrics"), &[]);
    assert!(
        metrics.contains("idnode_escrow_deposits_total{type=\"diff\",status=\"accepted\"}"),
        "{metrics}"
    );
    running.stop();

    // A person sees them; another program reads them; the schema holds.
    let (_, _, page) = curl(&national.url("/"), &[]);
    assert!(page.contains(diff["id"].as_str().unwrap()), "{page}");
    let held = dir.path().join("national/escrow").join(USER);
    let of_prefix = deposits(&held.join("88.118.8"));
    let documents: Vec<String> = of_prefix.iter().map(|it| keys.read(it)).collect();
    for (number, document) in documents.iter().enumerate() {
        let path = dir.path().join(format!("{number}.xml"));
        fs::write(&path, document).unwrap();
        satisfies_the_schema(&path);
    }
    assert!(
        documents.iter().any(|it| it.contains("type=\"HS_SECKEY\"")),
        "{documents:?}"
    );
    let last = documents
        .iter()
        .find(|it| it.contains(&format!("id=\"{}\"", diff["id"].as_str().unwrap())));
    let last = last.unwrap();
    assert!(
        last.contains("type=\"DIFF\"")
            && last.contains("name=\"88.118.8/A-2\"")
            && !last.contains("88.118.8/ü%"),
        "{last}"
    );
    let verified = keys.verify(&held);
    assert_eq!(verified["prefixes"][0]["listing"], diff["listing"]);
    assert_eq!(verified["prefixes"][0]["identifiers"], 4);

    // The national node restores what it holds.
    national.kill();
    let out = dir.path().join("state");
    let mut restore = Command::new(binary("idnational"));
    restore
        .args(["escrow", "restore", "--node", USER, "--data-dir"])
        .arg(dir.path().join("national"));
    restore
        .arg("--key")
        .arg(keys.file("receiver.pem"))
        .arg("--signer")
        .arg(keys.file("signer.pem.pub"));
    let said = success(restore.arg("--out").arg(&out));
    let line: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(line["listing"], diff["listing"]);
    satisfies_the_schema(&out.join("88.118.8.xml"));
    // It is no longer encrypted.
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&out), mode(&out.join("88.118.8.xml"))),
        (0o700, 0o600)
    );

    // A node restores them.
    let restored = DataDir::empty();
    let mut idctl = Command::new(binary("idctl"));
    idctl.args(["--json", "escrow", "restore"]).arg(&held);
    idctl
        .arg("--key")
        .arg(keys.file("receiver.pem"))
        .arg("--signer")
        .arg(keys.file("signer.pem.pub"));
    let said = success(idctl.arg("--data-dir").arg(restored.path()));
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((lines.len(), &lines[0]["equal"]), (3, &json!(true)));
    assert_eq!(open_to_others(&restored.path()), Vec::<PathBuf>::new());
    let again = Node::run(&restored);
    let operator = again.idctl(Some(&restored.token_file()));
    let copy = everything(&operator);
    assert_eq!(copy, source);
    let elsewhere = operator.json(&["prefix", "get", "oid:1.2.156.3001"]);
    assert_eq!(elsewhere["delegation"]["service_handle"], "88.119/服务 1");
    assert_eq!(copy["export"].as_str().unwrap().lines().count(), 4);
    // And goes on: a registration, under a new number.
    create(
        &operator,
        "88.118.8/after",
        &["URL=https://example.com/after"],
    );
    again.stop();
}
