//! The values of prefixes and the administrators in them, as those who own prefixes see them:
//! with `idctl`, as a stranger over the other fronts, in the log.

use std::fs;

use idnode_proto::api as pb;
use idnode_tests::api::{CODES, fields, private, value};
use idnode_tests::call;
use idnode_tests::run::{Idctl, curl};
use serde_json::{Value, json};
use tonic::Code;

use super::{World, refused};

const HANDLE: &str = "0.NA/88.118.8";

impl World {
    /// `idctl` with a new key of an enterprise's.
    async fn idctl_of(&self, enterprise: &str) -> Idctl {
        let (id, token) = self.operator.api_key(enterprise).await;
        let file = self.dir.beside(&format!("{id}.token"));
        fs::write(&file, token).unwrap();
        self.node.idctl(Some(&file))
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.beside(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn update(set_values: Vec<pb::Value>) -> pb::UpdatePrefixValuesRequest {
    pb::UpdatePrefixValuesRequest {
        prefix: "88.118.8".to_owned(),
        set_values,
        ..pb::UpdatePrefixValuesRequest::default()
    }
}

fn types(document: &Value) -> Vec<String> {
    let values = document["record"]["values"].as_array().unwrap();
    let types = values
        .iter()
        .map(|value| value["type"].as_str().unwrap().to_owned());
    types.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_prefix_has_is_resolved_behind_its_sites() {
    let world = World::new().await;
    let owner = world.idctl_of(&world.enterprise).await;
    let set = [
        "prefix",
        "values",
        "update",
        "88.118.8",
        "--administrator",
        "100=300:0.NA/88.118.8",
        "--value",
        "300:HS_SECKEY=geheim-17",
        "--value",
        "301:HS_SECKEY:perm=1100=geheim-18",
        "--value",
        "400:HS_NAMESPACE=<namespace/>",
    ];
    let done = owner.json(&set);
    let stranger = world.node.idctl(None);
    // What is a secret by its type is one without being told so.
    let seen = stranger.json(&["resolve", HANDLE]);
    assert_eq!(types(&seen), ["HS_SITE", "HS_ADMIN", "HS_NAMESPACE"]);
    assert_eq!(seen["record"]["version"], done["receipt"]["sequence"]);
    let named = ["resolve", HANDLE, "--index", "300", "--type", "HS_SECKEY"];
    assert_eq!(types(&stranger.json(&named)), [""; 0]);
    let own = owner.json(&["resolve", HANDLE]);
    let all = [
        "HS_SITE",
        "HS_ADMIN",
        "HS_SECKEY",
        "HS_SECKEY",
        "HS_NAMESPACE",
    ];
    assert_eq!(types(&own), all);
    for path in [
        format!("/api/handles/{HANDLE}"),
        "/api/handles/88.118.8?index=300&index=301".to_owned(),
    ] {
        let url = format!("http://{}{path}", world.node.at.http);
        let (status, _, body) = curl(&url, &[]);
        assert_eq!(status, 200, "{body}");
        assert!(!body.contains("geheim"), "{path}: {body}");
        assert_eq!(body.contains("<namespace/>"), !path.contains('?'), "{body}");
    }
    // Another node's prefix keeps them, behind that node's site.
    let service = ["--service", "192.0.2.1,tcp:2641+admin"];
    owner.json(&[&["prefix", "delegate", "88.118.8"], &service[..]].concat());
    let away = stranger.json(&["resolve", HANDLE]);
    assert_eq!(types(&away), types(&seen));
    world.node.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_a_prefix_are_checked_as_those_of_identifiers_are() {
    let world = World::new().await;
    let api = world.as_enterprise().await;
    let invalid = Code::InvalidArgument;
    let public_secret = pb::Value {
        permissions: Some(0b1110),
        ..value(300, "HS_SECKEY", "geheim")
    };
    let site = call!(
        world.operator,
        resolution.resolve(pb::ResolveRequest {
            identifier: HANDLE.to_owned(),
            ..pb::ResolveRequest::default()
        })
    );
    let Some(pb::resolve_response::Outcome::Record(site)) = site.unwrap().outcome else {
        panic!("no record");
    };
    let site = pb::Value {
        index: 17,
        ..site.values[0].clone()
    };
    for (wrong, part) in [
        (vec![value(16, "DESC", "x")], "set_values[0].index"),
        (
            vec![value(20, "DESC", "x"), value(0, "DESC", "x")],
            "set_values[1].index",
        ),
        (vec![site], "set_values[0].type"),
        (vec![value(100, "HS_ADMIN", "x")], "set_values[0].data"),
        (vec![public_secret.clone()], "set_values[0].permissions"),
        (vec![], "set_values"),
    ] {
        let outcome = call!(api, prefixes.update_prefix_values(update(wrong)));
        refused(outcome, invalid, "INVALID", part);
    }
    let created = api.create("88.118.8/x", vec![public_secret], "").await;
    let refusal = refused(created, invalid, "INVALID", "values[0].permissions");
    assert_eq!(fields(&refusal).len(), 1);

    // Once a key, and at a version.
    let keyed = pb::UpdatePrefixValuesRequest {
        idempotency_key: "k".to_owned(),
        ..update(vec![value(20, "DESC", "x")])
    };
    let first = call!(api, prefixes.update_prefix_values(keyed.clone())).unwrap();
    let again = call!(api, prefixes.update_prefix_values(keyed)).unwrap();
    let (first, again) = (first.receipt.unwrap(), again.receipt.unwrap());
    assert_eq!((again.sequence, again.replayed), (first.sequence, true));
    let late = pb::UpdatePrefixValuesRequest {
        expected_version: Some(first.sequence - 1),
        ..update(vec![value(20, "DESC", "y")])
    };
    let late = call!(api, prefixes.update_prefix_values(late));
    refused(late, Code::Aborted, "VERSION_MISMATCH", "expected_version");
    // The same by the handle's own name.
    let by_handle = pb::UpdateIdentifierRequest {
        identifier: HANDLE.to_owned(),
        set_values: vec![value(20, "DESC", "z")],
        ..pb::UpdateIdentifierRequest::default()
    };
    call!(api, identifiers.update_identifier(by_handle)).unwrap();
    let asked = pb::GetPrefixRequest {
        prefix: "88.118.8".to_owned(),
    };
    let found = call!(api, prefixes.get_prefix(asked)).unwrap();
    assert_eq!(found.values.len(), 1);
    assert_eq!(idnode_tests::api::text(&found.values[0]), "z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_of_values_and_administrators_and_a_restart_keeps_them() {
    let world = World::new().await;
    let set = vec![private(20, "COST", "17.20")];
    let done = call!(world.operator, prefixes.update_prefix_values(update(set))).unwrap();
    let sequence = done.receipt.unwrap().sequence;
    let key = world.file("admin.key", "geheim-of-301\n");
    let idctl = world.idctl_of(&world.enterprise).await;
    let id = "301:88.118.8/ADMIN";
    let add = [
        "key",
        "add-administrator",
        id,
        "--secret-key-file",
        &key,
        "--label",
        "车间",
    ];
    let made = idctl.json(&add);
    let added = made["receipt"]["sequence"].as_u64().unwrap();

    let world = world.restarted(&[]).await;
    let log = world.operator.log(sequence).await.unwrap();
    let Some(pb::change::Change::Prefix(change)) = &log[0].change else {
        panic!("{log:?}");
    };
    assert_eq!(change.prefix.as_ref().unwrap().values.len(), 1);
    let change = log.iter().find(|change| change.sequence == added).unwrap();
    let Some(pb::change::Change::ApiKey(key)) = &change.change else {
        panic!("{change:?}");
    };
    assert_eq!(key.administrator, "301:88.118.8/admin");
    assert!(!format!("{log:?}").contains("geheim"), "the key is shown");
    let idctl = world.idctl_of(&world.enterprise).await;
    let (code, error) = idctl.refused(&add);
    assert_eq!(
        (code, &error["reason"]),
        (1, &json!("ADMINISTRATOR_EXISTS"))
    );
    let listed = idctl.json(&["key", "list"]);
    assert!(
        listed.to_string().contains("301:88.118.8/admin"),
        "{listed}"
    );
    idctl.json(&["key", "revoke", made["key"]["id"].as_str().unwrap()]);
    idctl.json(&add);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_an_administrator_that_is_another_s() {
    let world = World::new().await;
    let other = world.operator.verified_enterprise(CODES[1]).await;
    let idctl = world.idctl_of(&other).await;
    let key = world.file("admin.key", "geheim");
    for id in ["300:0.NA/88.118.8", "300:88.118.8/x", "300:0.NA/86.1000.1"] {
        let add = ["key", "add-administrator", id, "--secret-key-file", &key];
        let (_, error) = idctl.refused(&add);
        assert_eq!(error["code"], "PERMISSION_DENIED", "{id}: {error}");
    }
    let operator = world.node.idctl(Some(&world.dir.token_file()));
    for (id, part) in [("x", "administrator"), ("0:88.118.8/x", "administrator")] {
        let (_, error) =
            operator.refused(&["key", "add-administrator", id, "--secret-key-file", &key]);
        assert_eq!(error["code"], "INVALID_ARGUMENT", "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let both = ["--secret-key-file", &key, "--public-key-file", &key];
    for arguments in [&both[..], &[]] {
        let add = [
            &["key", "add-administrator", "300:0.NA/88.118.8"],
            arguments,
        ]
        .concat();
        assert_eq!(operator.run(&add).code, 2, "{add:?}");
    }
}
