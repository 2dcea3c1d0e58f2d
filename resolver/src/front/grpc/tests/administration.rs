//! Enterprises, templates and credentials.

use super::*;
use idnode_proto::api::get_enterprise_request::By;
use idnode_proto::api::review_enterprise_request::Action;

#[tokio::test]
async fn an_enterprise_is_registered_reviewed_and_confined() {
    let node = Node::start().await;
    let create = api::CreateEnterpriseRequest {
        profile: Some(profile(CODES[0])),
        idempotency_key: "first".into(),
    };
    let first = node
        .enterprises()
        .create_enterprise(node.op(create.clone()))
        .await
        .unwrap()
        .into_inner();
    let enterprise = first.enterprise.unwrap();
    assert_eq!(enterprise.id, "E1");
    assert_eq!(enterprise.state(), api::EnterpriseState::PendingReview);
    assert_eq!(enterprise.version, first.receipt.unwrap().sequence);

    let again = node
        .enterprises()
        .create_enterprise(node.op(create))
        .await
        .unwrap()
        .into_inner();
    let (first_receipt, receipt) = (first.receipt.unwrap(), again.receipt.unwrap());
    assert!(receipt.replayed);
    assert_eq!(
        (receipt.sequence, receipt.committed_at),
        (first_receipt.sequence, first_receipt.committed_at)
    );
    assert_eq!(again.enterprise.unwrap().id, "E1");

    let other = api::CreateEnterpriseRequest {
        profile: Some(profile(CODES[1])),
        idempotency_key: "first".into(),
    };
    let reused = node
        .enterprises()
        .create_enterprise(node.op(other))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&reused),
        (
            Code::AlreadyExists,
            "IDEMPOTENCY_KEY_REUSED".into(),
            "idempotency_key".into()
        )
    );

    let (id, token) = node.enterprise(1).await;
    assert_eq!(id, "E2");
    let get = |id: &str| api::GetEnterpriseRequest {
        by: Some(By::Id(id.into())),
    };
    let own = node
        .enterprises()
        .get_enterprise(with(&token, get("E2")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(own.state(), api::EnterpriseState::Verified);
    assert_eq!(
        own.profile.unwrap().contact.unwrap().email,
        "wang@example.com"
    );
    let others = node
        .enterprises()
        .get_enterprise(with(&token, get("E1")))
        .await
        .unwrap_err();
    assert_eq!(others.code(), Code::PermissionDenied);
    let by_code = api::GetEnterpriseRequest {
        by: Some(By::CertificateCode(CODES[0].into())),
    };
    let found = node
        .enterprises()
        .get_enterprise(node.op(by_code))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(found.id, "E1");
    let listed = node
        .enterprises()
        .list_enterprises(with(&token, Default::default()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        listed
            .enterprises
            .iter()
            .map(|e| e.id.as_str())
            .collect::<Vec<_>>(),
        ["E2"]
    );

    let mut stale = api::UpdateEnterpriseRequest {
        id: "E2".into(),
        profile: Some(profile(CODES[1])),
        expected_version: Some(own.version + 7),
        ..Default::default()
    };
    let mismatch = node
        .enterprises()
        .update_enterprise(with(&token, stale.clone()))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&mismatch),
        (
            Code::Aborted,
            "VERSION_MISMATCH".into(),
            "expected_version".into()
        )
    );
    assert_eq!(
        metadata(&mismatch, "current_version"),
        own.version.to_string()
    );
    stale.expected_version = Some(own.version);
    stale.profile.as_mut().unwrap().name = "另一个名字".into();
    let updated = node
        .enterprises()
        .update_enterprise(with(&token, stale))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        updated.enterprise.unwrap().state(),
        api::EnterpriseState::PendingReview,
        "a new name is reviewed"
    );
    node.stop().await;
}

#[tokio::test]
async fn wrong_parts_of_requests_are_named() {
    let node = Node::start().await;
    let create = |profile| api::CreateEnterpriseRequest {
        profile,
        idempotency_key: String::new(),
    };
    let cases = [
        (None, "profile"),
        (
            Some(api::EnterpriseProfile {
                certificate_type: 0,
                ..profile(CODES[0])
            }),
            "profile.certificate_type",
        ),
        (
            Some(profile("91110000600037341A")),
            "profile.certificate_code",
        ),
        (
            Some(api::EnterpriseProfile {
                city_code: "14".into(),
                ..profile(CODES[0])
            }),
            "profile.city_code",
        ),
    ];
    for (profile, field) in cases {
        let refused = node
            .enterprises()
            .create_enterprise(node.op(create(profile)))
            .await
            .unwrap_err();
        assert_eq!(
            refusal(&refused),
            (Code::InvalidArgument, "INVALID".into(), field.into())
        );
    }
    let review = api::ReviewEnterpriseRequest {
        id: "E1".into(),
        ..Default::default()
    };
    let refused = node
        .enterprises()
        .review_enterprise(node.op(review.clone()))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::InvalidArgument, "INVALID".into(), "action".into())
    );
    let review = api::ReviewEnterpriseRequest {
        action: Action::Verify.into(),
        ..review
    };
    let missing = node
        .enterprises()
        .review_enterprise(node.op(review))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&missing),
        (
            Code::NotFound,
            "ENTERPRISE_NOT_FOUND".into(),
            "enterprise_id".into()
        )
    );
    let get = api::GetEnterpriseRequest {
        by: Some(By::Id("17".into())),
    };
    let refused = node
        .enterprises()
        .get_enterprise(node.op(get))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::InvalidArgument, "INVALID".into(), "id".into())
    );
    let page = api::ListEnterprisesRequest {
        page: Some(api::Page {
            size: 1_001,
            token: String::new(),
        }),
    };
    let refused = node
        .enterprises()
        .list_enterprises(node.op(page))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused).2, "page.size");
    let prefix = api::GetPrefixRequest {
        prefix: "88..8".into(),
    };
    let refused = node
        .prefixes()
        .get_prefix(node.op(prefix))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::InvalidArgument, "INVALID".into(), "prefix".into())
    );
    assert_eq!(metadata(&refused, "part"), "prefix");
    let stranger = node
        .enterprises()
        .list_enterprises(api::ListEnterprisesRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&stranger),
        (
            Code::Unauthenticated,
            "UNAUTHENTICATED".into(),
            String::new()
        )
    );
    node.stop().await;
}

#[tokio::test]
async fn templates_are_put_used_and_deleted() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let template = api::Template {
        name: "motor".into(),
        title: "电机".into(),
        enterprise_id: id.clone(),
        attributes: vec![api::Attribute {
            name: "POWER".into(),
            r#type: api::AttributeType::Decimal.into(),
            unit: "kW".into(),
            required: true,
            minimum: Some(0.0),
            ..Default::default()
        }],
        ..Default::default()
    };
    let put = api::PutTemplateRequest {
        template: Some(template),
        expected_version: Some(0),
        ..Default::default()
    };
    let answered = node
        .templates()
        .put_template(with(&token, put.clone()))
        .await
        .unwrap()
        .into_inner();
    let stored = answered.template.unwrap();
    assert_eq!(
        (
            stored.revision,
            stored.enterprise_id.as_str(),
            stored.attributes[0].unit.as_str()
        ),
        (1, "E1", "kW")
    );
    let taken = node
        .templates()
        .put_template(with(&token, put.clone()))
        .await
        .unwrap_err();
    assert_eq!(
        metadata(&taken, "current_version"),
        stored.version.to_string()
    );
    let mut wrong = put.clone();
    wrong.template.as_mut().unwrap().attributes[0].r#type = 0;
    let refused = node
        .templates()
        .put_template(with(&token, wrong))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused).2, "template.attributes[0].type");

    let create = |power: &str| api::CreateIdentifierRequest {
        identifier: "88.118.8/m1".into(),
        values: vec![text(1, "POWER", power)],
        template: "motor".into(),
        ..Default::default()
    };
    let refused = node
        .identifiers()
        .create_identifier(with(&token, create("-1")))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&refused),
        (
            Code::InvalidArgument,
            "INVALID".into(),
            "values[0].data".into()
        )
    );
    node.identifiers()
        .create_identifier(with(&token, create("7.5")))
        .await
        .unwrap();

    let get = api::GetTemplateRequest {
        name: "motor".into(),
    };
    assert_eq!(
        node.templates()
            .get_template(with(&token, get.clone()))
            .await
            .unwrap()
            .into_inner(),
        stored
    );
    let (_, other) = node.enterprise(1).await;
    let hidden = node
        .templates()
        .get_template(with(&other, get))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&hidden).1,
        "TEMPLATE_NOT_FOUND",
        "another's template looks like none"
    );
    let listed = node
        .templates()
        .list_templates(with(&other, Default::default()))
        .await
        .unwrap()
        .into_inner();
    assert!(listed.templates.is_empty());
    let delete = api::DeleteTemplateRequest {
        name: "motor".into(),
        ..Default::default()
    };
    let denied = node
        .templates()
        .delete_template(with(&other, delete.clone()))
        .await
        .unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    node.templates()
        .delete_template(with(&token, delete))
        .await
        .unwrap();
    let listed = node
        .templates()
        .list_templates(with(&token, Default::default()))
        .await
        .unwrap()
        .into_inner();
    assert!(listed.templates.is_empty());
    node.stop().await;
}

#[tokio::test]
async fn api_keys_open_their_enterprise_until_they_are_revoked() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    let who = node
        .credentials()
        .who_am_i(with(&token, api::WhoAmIRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (who.operator, who.enterprise_id.as_str()),
        (false, id.as_str())
    );
    let who = node
        .credentials()
        .who_am_i(node.op(api::WhoAmIRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((who.operator, who.enterprise_id.as_str()), (true, ""));

    let create = api::CreateApiKeyRequest {
        label: "second".into(),
        ..Default::default()
    };
    let second = node
        .credentials()
        .create_api_key(with(&token, create))
        .await
        .unwrap()
        .into_inner();
    let key = second.key.unwrap();
    assert_eq!(
        (key.enterprise_id.as_str(), key.label.as_str(), key.revoked),
        (id.as_str(), "second", false)
    );
    let listed = node
        .credentials()
        .list_api_keys(with(&token, Default::default()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.keys.len(), 2);
    let (_, other) = node.enterprise(1).await;
    let theirs = api::CreateApiKeyRequest {
        enterprise_id: id.clone(),
        label: String::new(),
    };
    let denied = node
        .credentials()
        .create_api_key(with(&other, theirs))
        .await
        .unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let revoke = api::RevokeApiKeyRequest { id: key.id };
    let hidden = node
        .credentials()
        .revoke_api_key(with(&other, revoke.clone()))
        .await
        .unwrap_err();
    assert_eq!(refusal(&hidden).1, "API_KEY_NOT_FOUND");
    node.credentials()
        .revoke_api_key(with(&token, revoke))
        .await
        .unwrap();
    let closed = node
        .credentials()
        .who_am_i(with(&second.token, api::WhoAmIRequest {}))
        .await
        .unwrap_err();
    assert_eq!(closed.code(), Code::Unauthenticated);
    node.stop().await;
}
