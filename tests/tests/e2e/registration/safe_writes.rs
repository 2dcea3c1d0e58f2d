//! Idempotency keys and expected versions: writes that are safe to repeat and to race.

use idnode_proto::api as pb;
use idnode_tests::api::{Api, CODES, text};
use idnode_tests::call;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{World, refused, url};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_does_its_write_once_and_only_its_own() {
    let world = World::new().await;
    let api = world.as_enterprise().await;
    let first = api.create("88.118.8/a", url("1"), "key-1").await.unwrap();
    let again = api.create("88.118.8/a", url("1"), "key-1").await.unwrap();
    assert!(!first.replayed && again.replayed);
    assert_eq!(
        (first.sequence, first.committed_at),
        (again.sequence, again.committed_at)
    );
    let exists = Code::AlreadyExists;
    let reused = "IDEMPOTENCY_KEY_REUSED";
    let part = "idempotency_key";
    // With another body, for another thing, as another call.
    refused(
        api.create("88.118.8/a", url("2"), "key-1").await,
        exists,
        reused,
        part,
    );
    refused(
        api.create("88.118.8/b", url("1"), "key-1").await,
        exists,
        reused,
        part,
    );
    refused(
        api.replace("88.118.8/a", url("1"), "key-1").await,
        exists,
        reused,
        part,
    );
    refused(
        api.delete("88.118.8/a", "", "key-1").await,
        exists,
        reused,
        part,
    );
    // Somebody else's key is another key.
    let other = world.operator.create("88.118.8/b", url("1"), "key-1").await;
    assert!(!other.unwrap().replayed);

    // A key whose write failed is free.
    let suspend = pb::PrefixAction::Suspend;
    world.operator.transition("88.118.8", suspend).await;
    let failed = api.create("88.118.8/c", url("1"), "key-2").await;
    refused(
        failed,
        Code::FailedPrecondition,
        "PREFIX_NOT_ACTIVE",
        "prefix",
    );
    world
        .operator
        .transition("88.118.8", pb::PrefixAction::Resume)
        .await;
    let later = api.create("88.118.8/c", url("2"), "key-2").await.unwrap();
    assert!(!later.replayed);

    // It is remembered by the node, not by the process; and what has happened since is no matter.
    api.delete("88.118.8/a", "", "key-3").await.unwrap();
    let (_, token) = world.operator.api_key(&world.enterprise).await;
    let world = world.restarted(&[]).await;
    let api = world.operator.with_token(Some(&token));
    // Another key of the same enterprise is the same caller.
    let replayed = api.create("88.118.8/c", url("2"), "key-2").await;
    let replayed = replayed.unwrap();
    assert_eq!(
        (replayed.replayed, replayed.sequence),
        (true, later.sequence)
    );
    let by_operator = world
        .operator
        .create("88.118.8/b", url("1"), "key-1")
        .await
        .unwrap();
    assert!(by_operator.replayed);
    let too_long = world
        .operator
        .create("88.118.8/d", url("1"), &"k".repeat(129))
        .await;
    refused(too_long, Code::InvalidArgument, "INVALID", part);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_call_made_many_times_at_once_writes_once() {
    let world = World::new().await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let api = world.operator.clone();
        calls.spawn(async move { api.create("88.118.8/a", url("1"), "at-once").await });
    }
    let receipts: Vec<_> = calls
        .join_all()
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let first = receipts.iter().filter(|receipt| !receipt.replayed);
    assert_eq!(first.count(), 1);
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt.sequence == receipts[0].sequence)
    );
    let log = world.operator.log(receipts[0].sequence).await.unwrap();
    assert_eq!(log.len(), 1);
}

/// Every write that takes an expected version, with this one.
async fn versioned(
    api: &Api,
    enterprise: &str,
    version: Option<u64>,
) -> Vec<(&'static str, Result<u64, Status>)> {
    let expected_version = version;
    let profile = pb::EnterpriseProfile {
        certificate_type: pb::CertificateType::SocialCreditCode.into(),
        certificate_code: CODES[0].to_owned(),
        name: "企业".to_owned(),
        ..pb::EnterpriseProfile::default()
    };
    let update = pb::UpdateEnterpriseRequest {
        id: enterprise.to_owned(),
        profile: Some(profile),
        expected_version,
        ..Default::default()
    };
    let review = pb::ReviewEnterpriseRequest {
        id: enterprise.to_owned(),
        action: pb::review_enterprise_request::Action::Verify.into(),
        expected_version,
        ..Default::default()
    };
    let suspend = pb::TransitionPrefixRequest {
        prefix: "88.118.8".to_owned(),
        action: pb::PrefixAction::Suspend.into(),
        expected_version,
        ..Default::default()
    };
    let delegation = pb::SetDelegationRequest {
        prefix: "88.118.8".to_owned(),
        expected_version,
        ..Default::default()
    };
    let template = pb::PutTemplateRequest {
        template: Some(pb::Template {
            name: "t".to_owned(),
            attributes: vec![pb::Attribute {
                name: "A".to_owned(),
                r#type: pb::AttributeType::String.into(),
                ..Default::default()
            }],
            ..Default::default()
        }),
        expected_version,
        ..Default::default()
    };
    let no_template = pb::DeleteTemplateRequest {
        name: "t".to_owned(),
        expected_version,
        ..Default::default()
    };
    let identifier = pb::UpdateIdentifierRequest {
        identifier: "88.118.8/a".to_owned(),
        set_values: url("new"),
        expected_version,
        ..Default::default()
    };
    let deletion = pb::DeleteIdentifierRequest {
        identifier: "88.118.8/a".to_owned(),
        expected_version,
        ..Default::default()
    };
    let sequence = |receipt: Option<pb::WriteReceipt>| receipt.unwrap().sequence;
    vec![
        (
            "UpdateIdentifier",
            call!(api, identifiers.update_identifier(identifier)).map(|r| r.sequence),
        ),
        (
            "DeleteIdentifier",
            call!(api, identifiers.delete_identifier(deletion)).map(|r| r.sequence),
        ),
        (
            "UpdateEnterprise",
            call!(api, enterprises.update_enterprise(update)).map(|r| sequence(r.receipt)),
        ),
        (
            "ReviewEnterprise",
            call!(api, enterprises.review_enterprise(review)).map(|r| sequence(r.receipt)),
        ),
        (
            "SetDelegation",
            call!(api, prefixes.set_delegation(delegation)).map(|r| sequence(r.receipt)),
        ),
        (
            "TransitionPrefix",
            call!(api, prefixes.transition_prefix(suspend)).map(|r| sequence(r.receipt)),
        ),
        (
            "PutTemplate",
            call!(api, templates.put_template(template)).map(|r| sequence(r.receipt)),
        ),
        (
            "DeleteTemplate",
            call!(api, templates.delete_template(no_template)).map(|r| r.sequence),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_against_another_version_is_refused_and_told_the_current_one() {
    let world = World::new().await;
    let api = &world.operator;
    api.create("88.118.8/a", url("1"), "").await.unwrap();
    // 0: a template that must not be there yet is not there yet.
    let [.., (_, made), (_, deleted)] = &versioned(api, &world.enterprise, Some(0)).await[..]
    else {
        panic!("no templates")
    };
    assert!(made.is_ok() && deleted.is_err(), "{made:?} {deleted:?}");
    let before = api.log(1).await.unwrap().len();
    for (name, outcome) in versioned(api, &world.enterprise, Some(1)).await {
        let status = refused(
            outcome,
            Code::Aborted,
            "VERSION_MISMATCH",
            "expected_version",
        );
        let info = status.get_details_error_info().unwrap();
        let current: u64 = info.metadata["current_version"].parse().unwrap();
        assert!(current > 1, "{name}: {current}");
    }
    assert_eq!(
        api.log(1).await.unwrap().len(),
        before,
        "something is written"
    );

    let current = api.get("88.118.8/a").await.unwrap().version;
    let update = pb::UpdateIdentifierRequest {
        identifier: "88.118.8/a".to_owned(),
        set_values: url("2"),
        expected_version: Some(current),
        ..Default::default()
    };
    let done = call!(api, identifiers.update_identifier(update.clone())).unwrap();
    assert_eq!(api.get("88.118.8/a").await.unwrap().version, done.sequence);
    let again = call!(api, identifiers.update_identifier(update));
    refused(again, Code::Aborted, "VERSION_MISMATCH", "expected_version");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_read_the_same_version_one_writes() {
    let world = World::new().await;
    let made = world
        .operator
        .create("88.118.8/a", url("0"), "")
        .await
        .unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for writer in 0..32 {
        let api = world.operator.clone();
        calls.spawn(async move {
            let update = pb::UpdateIdentifierRequest {
                identifier: "88.118.8/a".to_owned(),
                set_values: url(&format!("by {writer}")),
                expected_version: Some(made.sequence),
                ..Default::default()
            };
            let done = call!(api, identifiers.update_identifier(update));
            (writer, done)
        });
    }
    let (won, lost): (Vec<_>, Vec<_>) = calls
        .join_all()
        .await
        .into_iter()
        .partition(|(_, done)| done.is_ok());
    assert_eq!((won.len(), lost.len()), (1, 31));
    assert!(
        lost.iter()
            .all(|(_, done)| done.as_ref().unwrap_err().code() == Code::Aborted)
    );
    let record = world.operator.get("88.118.8/a").await.unwrap();
    assert_eq!(text(&record.values[0]), format!("by {}", won[0].0));
}
