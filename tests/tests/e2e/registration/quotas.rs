//! Quotas: the operator sets them with `idctl`, the enterprise is told which it has reached.

use idnode_proto::api as pb;
use idnode_tests::call;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt;

use super::{World, refused, url};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enterprise_registers_as_much_as_its_quota_lets_it() {
    let world = World::new().await;
    let idctl = world.node.idctl(Some(&world.dir.token_file()));
    let id = world.enterprise.clone();
    let set = |limits: &[&str]| -> Value {
        idctl.json(&[&["enterprise", "set-quota", &id], limits].concat())
    };
    let done = set(&["--registrations", "2", "--prefixes", "1"]);
    let quota = json!({"registrations_per_day": null, "registrations": 2, "prefixes": 1});
    assert_eq!(done["enterprise"]["quota"], quota);

    let owner = world.as_enterprise().await;
    for name in ["a", "b"] {
        let made = owner
            .create(&format!("88.118.8/{name}"), url("x"), "")
            .await;
        made.unwrap();
    }
    let exhausted = Code::ResourceExhausted;
    let third = owner.create("88.118.8/c", url("x"), "").await;
    let status = refused(third, exhausted, "QUOTA_REGISTRATIONS", "");
    let failure = status.get_details_quota_failure().unwrap();
    assert_eq!(failure.violations[0].subject, format!("enterprise {id}"));
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["limit"], "2");
    let apply = || pb::ApplyPrefixRequest {
        prefix: "88.118.9".to_owned(),
        ..pb::ApplyPrefixRequest::default()
    };
    let applied = call!(owner, prefixes.apply_prefix(apply()));
    refused(applied, exhausted, "QUOTA_PREFIXES", "");
    let own = pb::SetQuotaRequest {
        id: id.clone(),
        ..pb::SetQuotaRequest::default()
    };
    let own = call!(owner, enterprises.set_quota(own));
    refused(own, Code::PermissionDenied, "DENIED", "");

    // Kept over a restart, and with what was counted.
    let world = world.restarted(&[]).await;
    let owner = world.as_enterprise().await;
    let third = owner.create("88.118.8/c", url("x"), "").await;
    refused(third, exhausted, "QUOTA_REGISTRATIONS", "");
    owner.delete("88.118.8/a", "", "").await.unwrap();
    owner.create("88.118.8/c", url("x"), "").await.unwrap();

    let idctl = world.node.idctl(Some(&world.dir.token_file()));
    idctl.json(&[
        "enterprise",
        "set-quota",
        &id,
        "--registrations-per-day",
        "4",
    ]);
    owner.create("88.118.8/d", url("x"), "").await.unwrap();
    let more = owner.create("88.118.8/e", url("x"), "").await;
    // What was registered earlier on the same day counts.
    refused(more, exhausted, "QUOTA_REGISTRATIONS_PER_DAY", "");
    idctl.json(&["enterprise", "set-quota", &id]);
    owner.create("88.118.8/e", url("x"), "").await.unwrap();
    call!(owner, prefixes.apply_prefix(apply())).unwrap();
}
