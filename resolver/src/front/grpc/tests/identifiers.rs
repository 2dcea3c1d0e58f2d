//! Identifiers one at a time, listings and exports.

use super::*;
use tokio_stream::StreamExt as _;

#[tokio::test]
async fn an_identifier_lives_and_leaves_a_tombstone() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let create = api::CreateIdentifierRequest {
        identifier: "88.118.8/Pump-1".into(),
        values: vec![
            text(0, "URL", "https://example.com/1"),
            private(7, "COST", "12"),
            text(0, "DESC", "泵"),
        ],
        idempotency_key: "k1".into(),
        ..Default::default()
    };
    let first = node
        .identifiers()
        .create_identifier(with(&token, create.clone()))
        .await
        .unwrap()
        .into_inner();
    assert!(!first.replayed);
    let again = node
        .identifiers()
        .create_identifier(with(&token, create.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        again,
        api::WriteReceipt {
            replayed: true,
            ..first
        }
    );
    let exists = api::CreateIdentifierRequest {
        idempotency_key: String::new(),
        ..create.clone()
    };
    let refused = node
        .identifiers()
        .create_identifier(with(&token, exists))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&refused),
        (
            Code::AlreadyExists,
            "IDENTIFIER_EXISTS".into(),
            "identifier".into()
        )
    );

    let get = || api::GetIdentifierRequest {
        identifier: "88.118.8/PUMP-1".into(),
    };
    let stored = node
        .identifiers()
        .get_identifier(with(&token, get()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(stored.identifier, "88.118.8/Pump-1", "as it was registered");
    assert_eq!(
        stored
            .values
            .iter()
            .map(|value| value.index)
            .collect::<Vec<_>>(),
        [1, 2, 7]
    );
    assert_eq!(stored.values[2].permissions, Some(0b1100));
    assert_eq!(stored.values[0].ttl, Some(api::value::Ttl::TtlS(86_400)));
    assert!(
        stored.values[0].timestamp_s > 1_700_000_000,
        "the node's clock"
    );
    assert_eq!((stored.version, stored.deleted), (first.sequence, false));

    let update = api::UpdateIdentifierRequest {
        identifier: "88.118.8/pump-1".into(),
        set_values: vec![text(1, "URL", "https://example.com/2")],
        remove_indexes: vec![2],
        expected_version: Some(first.sequence),
        ..Default::default()
    };
    let updated = node
        .identifiers()
        .update_identifier(with(&token, update.clone()))
        .await
        .unwrap()
        .into_inner();
    let stale = node
        .identifiers()
        .update_identifier(with(&token, update))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&stale),
        (
            Code::Aborted,
            "VERSION_MISMATCH".into(),
            "expected_version".into()
        )
    );
    assert_eq!(
        metadata(&stale, "current_version"),
        updated.sequence.to_string()
    );

    let delete = api::DeleteIdentifierRequest {
        identifier: "88.118.8/pump-1".into(),
        reason: "scrapped".into(),
        ..Default::default()
    };
    let deleted = node
        .identifiers()
        .delete_identifier(with(&token, delete.clone()))
        .await
        .unwrap()
        .into_inner();
    let twice = node
        .identifiers()
        .delete_identifier(with(&token, delete))
        .await
        .unwrap_err();
    assert_eq!(refusal(&twice).1, "IDENTIFIER_NOT_FOUND");
    let tombstone = node
        .identifiers()
        .get_identifier(with(&token, get()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (tombstone.deleted, tombstone.deletion_reason.as_str()),
        (true, "scrapped")
    );
    assert_eq!(
        (tombstone.version, tombstone.values.len()),
        (deleted.sequence, 0)
    );

    let gone = node.resolve(None, "88.118.8/pump-1").await.unwrap_err();
    assert_eq!(
        refusal(&gone),
        (Code::NotFound, "IDENTIFIER_DELETED".into(), String::new())
    );
    assert_eq!(metadata(&gone, "version"), deleted.sequence.to_string());
    assert_eq!(metadata(&gone, "deletion_reason"), "scrapped");
    let at: jiff::Timestamp = metadata(&gone, "deleted_at").parse().unwrap();
    assert_eq!(at.as_second(), deleted.committed_at.unwrap().seconds);

    let statistics = api::GetPrefixStatisticsRequest {
        prefix: "88.118.8".into(),
    };
    let counted = node
        .prefixes()
        .get_prefix_statistics(with(&token, statistics))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (counted.identifiers, counted.deleted, counted.creations),
        (0, 1, 1)
    );
    assert_eq!((counted.queries, counted.successes), (1, 0));
    node.stop().await;
}

#[tokio::test]
async fn wrong_values_are_refused_by_their_place() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let good = || text(0, "URL", "https://example.com/");
    let cases = [
        (vec![], "values"),
        (
            vec![
                good(),
                api::Value {
                    permissions: Some(16),
                    ..good()
                },
            ],
            "values[1].permissions",
        ),
        (
            vec![
                good(),
                api::Value {
                    r#type: String::new(),
                    ..good()
                },
            ],
            "values[1].type",
        ),
        (vec![text(1, "A", ""), text(1, "B", "")], "values[1].index"),
        (
            vec![good(), good(), text(3, "HS_SITE", "junk")],
            "values[2].data",
        ),
        (
            vec![api::Value {
                references: vec![api::Reference {
                    handle: "a".repeat(2049),
                    index: 1,
                }],
                ..good()
            }],
            "values[0].references[0].handle",
        ),
        (
            vec![api::Value {
                references: vec![api::Reference::default(); 2049],
                ..good()
            }],
            "values[0].references",
        ),
    ];
    for (values, field) in cases {
        let refused = node.create(&token, "88.118.8/x", values).await.unwrap_err();
        assert_eq!(
            refusal(&refused),
            (Code::InvalidArgument, "INVALID".into(), field.into())
        );
    }
    let refused = node
        .create(&token, "6901234567892", vec![good()])
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::InvalidArgument, "INVALID".into(), "identifier".into())
    );
    assert_eq!(metadata(&refused, "part"), "scheme");
    let refused = node
        .create(&token, "99.1/x", vec![good()])
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::NotFound, "PREFIX_NOT_FOUND".into(), "prefix".into())
    );
    let (_, other) = node.enterprise(1).await;
    let refused = node
        .create(&other, "88.118.8/x", vec![good()])
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused).1, "DENIED");
    let long = "x".repeat(70_000);
    let refused = node
        .create(&token, &format!("88.118.8/{long}"), vec![good()])
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&refused).2,
        "identifier",
        "an error about a long text still gets through"
    );
    let nowhere = api::CreateIdentifierRequest {
        identifier: "88.118.8/x".into(),
        values: vec![good()],
        template: long,
        ..Default::default()
    };
    let refused = node
        .identifiers()
        .create_identifier(with(&token, nowhere))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused).1, "TEMPLATE_NOT_FOUND");
    node.stop().await;
}

#[tokio::test]
async fn listings_page_and_exports_are_whole() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    let (other_id, other) = node.enterprise(1).await;
    node.prefix("88.118.8", &id).await;
    node.prefix("88.118.9", &other_id).await;
    let padding = "p".repeat(20_000);
    for number in 0..120 {
        let values = vec![text(1, "DESC", &padding)];
        node.create(&token, &format!("88.118.8/{number:03}"), values)
            .await
            .unwrap();
    }
    node.create(
        &other,
        "88.118.9/1",
        vec![text(1, "URL", "https://example.com/")],
    )
    .await
    .unwrap();
    let delete = api::DeleteIdentifierRequest {
        identifier: "88.118.8/000".into(),
        ..Default::default()
    };
    node.identifiers()
        .delete_identifier(with(&token, delete))
        .await
        .unwrap();

    let mut request = api::ListIdentifiersRequest {
        prefix: "88.118.8".into(),
        page: Some(api::Page {
            size: 50,
            token: String::new(),
        }),
        ..Default::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = node
            .identifiers()
            .list_identifiers(with(&token, request.clone()))
            .await
            .unwrap()
            .into_inner();
        pages.push(
            page.identifiers
                .iter()
                .map(|record| record.identifier.clone())
                .collect::<Vec<_>>(),
        );
        if page.next_page_token.is_empty() {
            break;
        }
        request.page.as_mut().unwrap().token = page.next_page_token;
    }
    let listed: Vec<String> = pages.concat();
    let expected: Vec<String> = (1..120)
        .map(|number| format!("88.118.8/{number:03}"))
        .collect();
    assert_eq!(listed, expected);
    request.page = None;
    request.without_values = true;
    request.include_deleted = true;
    let page = node
        .identifiers()
        .list_identifiers(with(&token, request.clone()))
        .await
        .unwrap()
        .into_inner();
    assert!(page.identifiers[0].deleted && page.identifiers[1].values.is_empty());
    request.page = Some(api::Page {
        size: 1,
        token: "!".into(),
    });
    let refused = node
        .identifiers()
        .list_identifiers(with(&token, request.clone()))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused).2, "page.token");
    let denied = node
        .identifiers()
        .list_identifiers(with(&other, request))
        .await
        .unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);

    let export = |prefix: &str, include_deleted| api::ExportRequest {
        prefix: prefix.into(),
        include_deleted,
    };
    let exported = exported(&node, &token, export("", false)).await.unwrap();
    assert!(
        exported.len() > 1,
        "2.4 MB do not fit one message of about 1 MB"
    );
    assert!(
        exported
            .iter()
            .all(|message| message.sequence == node.core.registry.applied())
    );
    let names: Vec<String> = exported
        .into_iter()
        .flat_map(|message| message.identifiers)
        .map(|record| record.identifier)
        .collect();
    assert_eq!(names, expected);
    let all = self::exported(&node, &node.operator, export("", true))
        .await
        .unwrap();
    assert_eq!(
        all.iter()
            .map(|message| message.identifiers.len())
            .sum::<usize>(),
        121
    );
    let denied = self::exported(&node, &other, export("88.118.8", false))
        .await
        .unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    node.stop().await;
}

async fn exported(
    node: &Node,
    token: &str,
    request: api::ExportRequest,
) -> Result<Vec<api::ExportResponse>, Status> {
    let stream = node
        .identifiers()
        .export(with(token, request))
        .await?
        .into_inner();
    stream.collect::<Result<Vec<_>, _>>().await
}

#[tokio::test]
async fn exports_are_bounded() {
    let node = Node::start_with(GrpcOptions {
        max_exports: 1,
        ..GrpcOptions::default()
    })
    .await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    for number in 0..40 {
        node.create(
            &token,
            &format!("88.118.8/{number}"),
            vec![text(1, "DESC", &"p".repeat(200_000))],
        )
        .await
        .unwrap();
    }
    let mut slow = node
        .identifiers()
        .export(with(&token, api::ExportRequest::default()))
        .await
        .unwrap()
        .into_inner();
    slow.message().await.unwrap().unwrap();
    let second = node
        .identifiers()
        .export(with(&token, api::ExportRequest::default()))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&second),
        (Code::ResourceExhausted, "BOUND".into(), String::new())
    );
    assert_eq!(metadata(&second, "limit"), "1");
    drop(slow);
    // The thread finds out when it wants to send on.
    for _ in 0..100 {
        if node
            .identifiers()
            .export(with(&token, api::ExportRequest::default()))
            .await
            .is_ok()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place of an export that was given up stays taken");
}
