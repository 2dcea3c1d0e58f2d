//! Enterprises and their real-name data, and the life of a prefix.

use idnode_proto::api as pb;
use idnode_proto::api::PrefixAction as Step;
use idnode_proto::api::PrefixState as State;
use idnode_proto::api::review_enterprise_request::Action;
use idnode_tests::api::{Api, CODES};
use idnode_tests::call;
use tonic::{Code, Status};

use super::{World, refused, url};

fn profile(code: &str) -> pb::EnterpriseProfile {
    pb::EnterpriseProfile {
        certificate_type: pb::CertificateType::SocialCreditCode.into(),
        certificate_code: code.to_owned(),
        name: "洛阳轴承厂".to_owned(),
        ..pb::EnterpriseProfile::default()
    }
}

async fn create(api: &Api, profile: pb::EnterpriseProfile) -> Result<pb::Enterprise, Status> {
    let request = pb::CreateEnterpriseRequest {
        profile: Some(profile),
        ..pb::CreateEnterpriseRequest::default()
    };
    let made = call!(api, enterprises.create_enterprise(request))?;
    Ok(made.enterprise.unwrap())
}

async fn review(api: &Api, id: &str, action: Action) -> Result<pb::Enterprise, Status> {
    let request = pb::ReviewEnterpriseRequest {
        id: id.to_owned(),
        action: action.into(),
        message: "seen".to_owned(),
        ..pb::ReviewEnterpriseRequest::default()
    };
    let done = call!(api, enterprises.review_enterprise(request))?;
    Ok(done.enterprise.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_name_data_is_checked_by_part() {
    let world = World::new().await;
    let api = &world.operator;
    let invalid = Code::InvalidArgument;
    let part = "profile.certificate_code";
    for wrong in [
        "91110000600037341X", // the check character
        "91110000600037341",
        "91110000600037341LL",
        "9111000060003734IL", // I is no character of it
        "",
    ] {
        refused(create(api, profile(wrong)).await, invalid, "INVALID", part);
    }
    let again = create(api, profile(CODES[0])).await;
    refused(again, Code::AlreadyExists, "ENTERPRISE_EXISTS", "");
    let nameless = pb::EnterpriseProfile {
        name: String::new(),
        ..profile(CODES[1])
    };
    refused(
        create(api, nameless).await,
        invalid,
        "INVALID",
        "profile.name",
    );
    let province = pb::EnterpriseProfile {
        province_code: "41".to_owned(),
        ..profile(CODES[1])
    };
    refused(
        create(api, province).await,
        invalid,
        "INVALID",
        "profile.province_code",
    );
    let made = create(api, profile(CODES[1])).await.unwrap();
    assert_eq!(made.state(), pb::EnterpriseState::PendingReview);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_verified_gets_no_prefix_and_who_is_suspended_writes_nothing() {
    let world = World::new().await;
    let api = &world.operator;
    let id = create(api, profile(CODES[1])).await.unwrap().id;
    let apply = pb::ApplyPrefixRequest {
        prefix: "88.118.9".to_owned(),
        enterprise_id: id.clone(),
        ..pb::ApplyPrefixRequest::default()
    };
    call!(api, prefixes.apply_prefix(apply)).unwrap();
    step(api, "88.118.9", Step::StartReview).await.unwrap();
    let early = step(api, "88.118.9", Step::Approve).await;
    refused(early, Code::FailedPrecondition, "ENTERPRISE_STATE", "");
    review(api, &id, Action::Verify).await.unwrap();
    step(api, "88.118.9", Step::Approve).await.unwrap();
    let owner = api.with_token(Some(&api.api_key(&id).await.1));
    owner.create("88.118.9/a", url("x"), "").await.unwrap();

    let suspended = review(api, &id, Action::Suspend).await.unwrap();
    assert_eq!(suspended.state(), pb::EnterpriseState::Suspended);
    let late = owner.create("88.118.9/b", url("x"), "").await;
    refused(late, Code::FailedPrecondition, "ENTERPRISE_STATE", "");
    // Its identifiers resolve on.
    let resolve = pb::ResolveRequest {
        identifier: "88.118.9/a".to_owned(),
        ..pb::ResolveRequest::default()
    };
    assert!(call!(owner.with_token(None), resolution.resolve(resolve)).is_ok());
    review(api, &id, Action::Resume).await.unwrap();
    owner.create("88.118.9/b", url("x"), "").await.unwrap();
    // Another certificate has to be looked at again.
    let update = pb::UpdateEnterpriseRequest {
        id: id.clone(),
        profile: Some(profile(CODES[2])),
        ..pb::UpdateEnterpriseRequest::default()
    };
    let changed = call!(owner, enterprises.update_enterprise(update)).unwrap();
    assert_eq!(
        changed.enterprise.unwrap().state(),
        pb::EnterpriseState::PendingReview
    );
    let unseen = owner.create("88.118.9/c", url("x"), "").await;
    refused(unseen, Code::FailedPrecondition, "ENTERPRISE_STATE", "");
}

async fn step(api: &Api, prefix: &str, action: Step) -> Result<pb::Prefix, Status> {
    let request = pb::TransitionPrefixRequest {
        prefix: prefix.to_owned(),
        action: action.into(),
        message: "decided".to_owned(),
        ..pb::TransitionPrefixRequest::default()
    };
    let done = call!(api, prefixes.transition_prefix(request))?;
    Ok(done.prefix.unwrap())
}

const ALL_STEPS: [Step; 9] = [
    Step::StartReview,
    Step::Approve,
    Step::Reject,
    Step::Reapply,
    Step::Suspend,
    Step::Resume,
    Step::MarkForDeletion,
    Step::CancelDeletion,
    Step::Remove,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_takes_the_steps_of_its_life_and_no_others() {
    let world = World::new().await;
    let api = &world.operator;
    // How to get to each state, and the steps that lead on from it.
    let review = [Step::StartReview];
    let approved = [Step::StartReview, Step::Approve];
    let lives: [(State, &[Step], &[Step]); 6] = [
        (
            State::PendingReview,
            &[],
            &[Step::StartReview, Step::MarkForDeletion],
        ),
        (
            State::UnderReview,
            &review,
            &[Step::Approve, Step::Reject, Step::MarkForDeletion],
        ),
        (
            State::Active,
            &approved,
            &[Step::Suspend, Step::MarkForDeletion],
        ),
        (
            State::Rejected,
            &[Step::StartReview, Step::Reject],
            &[Step::Reapply, Step::MarkForDeletion],
        ),
        (
            State::Suspended,
            &[Step::StartReview, Step::Approve, Step::Suspend],
            &[Step::Resume, Step::MarkForDeletion],
        ),
        (
            State::PendingDeletion,
            &[Step::MarkForDeletion],
            &[Step::CancelDeletion, Step::Remove],
        ),
    ];
    let mut number = 100;
    for (state, path, onward) in lives {
        for action in ALL_STEPS {
            number += 1;
            let prefix = format!("88.118.{number}");
            let apply = pb::ApplyPrefixRequest {
                prefix: prefix.clone(),
                enterprise_id: world.enterprise.clone(),
                ..pb::ApplyPrefixRequest::default()
            };
            let mut reached = call!(api, prefixes.apply_prefix(apply))
                .unwrap()
                .prefix
                .unwrap();
            for step_to in path {
                reached = step(api, &prefix, *step_to).await.unwrap();
            }
            assert_eq!(reached.state(), state);
            let done = step(api, &prefix, action).await;
            if onward.contains(&action) {
                assert!(done.is_ok(), "{state:?} {action:?}: {done:?}");
            } else {
                refused(done, Code::FailedPrecondition, "PREFIX_STATE", "prefix");
            }
        }
    }
}
