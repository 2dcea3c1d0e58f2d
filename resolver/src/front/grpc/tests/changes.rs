//! Watch and the node's statistics.

use super::*;
use api::change::Change as Shown;
use idnode_proto::import::ImportChunk;
use tokio_stream::StreamExt as _;
use tonic::Streaming;

fn watch(from_sequence: u64, follow: bool, prefix: &str) -> api::WatchRequest {
    api::WatchRequest {
        from_sequence,
        follow,
        prefix: prefix.into(),
    }
}

async fn whole(
    node: &Node,
    token: &str,
    request: api::WatchRequest,
) -> Result<Vec<api::WatchResponse>, Status> {
    let stream = node
        .changes()
        .watch(with(token, request))
        .await?
        .into_inner();
    stream.collect::<Result<Vec<_>, _>>().await
}

fn changes(messages: &[api::WatchResponse]) -> Vec<&api::Change> {
    messages
        .iter()
        .flat_map(|message| &message.changes)
        .collect()
}

async fn next_changes(stream: &mut Streaming<api::WatchResponse>) -> Vec<api::Change> {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(5), stream.message())
            .await
            .expect("a change");
        let message = message.unwrap().expect("the stream goes on");
        if !message.changes.is_empty() {
            return message.changes;
        }
    }
}

#[tokio::test]
async fn the_whole_log_is_gapless_for_the_operator_and_filtered_for_others() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    let (other_id, other) = node.enterprise(1).await;
    node.prefix("88.118.8", &id).await;
    node.prefix("88.118.9", &other_id).await;
    for number in 0..20 {
        let value = || vec![private(1, "COST", "1")];
        node.create(&token, &format!("88.118.8/{number}"), value())
            .await
            .unwrap();
        node.create(&other, &format!("88.118.9/{number}"), value())
            .await
            .unwrap();
    }
    let delete = api::DeleteIdentifierRequest {
        identifier: "88.118.8/3".into(),
        ..Default::default()
    };
    node.identifiers()
        .delete_identifier(with(&token, delete))
        .await
        .unwrap();

    let head = node.core.registry.applied();
    let messages = whole(&node, &node.operator, watch(1, false, ""))
        .await
        .unwrap();
    let sequences: Vec<u64> = changes(&messages)
        .iter()
        .map(|change| change.sequence)
        .collect();
    assert_eq!(sequences, (1..=head).collect::<Vec<_>>());
    assert_eq!(messages.last().unwrap().head, head);
    let some = whole(&node, &node.operator, watch(10, false, ""))
        .await
        .unwrap();
    assert_eq!(changes(&some)[0].sequence, 10);

    let own = whole(&node, &token, watch(1, false, "")).await.unwrap();
    let own = changes(&own);
    for change in &own {
        match change.change.as_ref().unwrap() {
            Shown::Identifiers(changed) => {
                assert!(
                    changed
                        .identifiers
                        .iter()
                        .all(|record| record.identifier.starts_with("88.118.8/"))
                );
            }
            Shown::Enterprise(enterprise) => assert_eq!(enterprise.id, id),
            Shown::Prefix(change) => assert_eq!(change.prefix.as_ref().unwrap().enterprise_id, id),
            Shown::ApiKey(key) => assert_eq!(key.enterprise_id, id),
            Shown::Template(change) => {
                assert_eq!(change.template.as_ref().unwrap().enterprise_id, id)
            }
        }
    }
    // Registered and verified, a key, three steps of a prefix, 20 identifiers and a deletion.
    assert_eq!(own.len(), 2 + 1 + 3 + 20 + 1);
    let Some(Shown::Identifiers(last)) = &own.last().unwrap().change else {
        panic!("not the deletion")
    };
    assert!(last.identifiers[0].deleted);

    let under = whole(&node, &node.operator, watch(1, false, "88.118.9"))
        .await
        .unwrap();
    assert_eq!(changes(&under).len(), 3 + 20);
    let denied = whole(&node, &token, watch(1, false, "88.118.9"))
        .await
        .unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let stranger = node.changes().watch(watch(1, false, "")).await.unwrap_err();
    assert_eq!(stranger.code(), Code::Unauthenticated);
    node.stop().await;
}

#[tokio::test]
async fn following_goes_on_with_what_happens() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let follow = watch(0, true, "");
    let mut stream = node
        .changes()
        .watch(with(&token, follow))
        .await
        .unwrap()
        .into_inner();
    let sign = stream.message().await.unwrap().unwrap();
    assert!(sign.changes.is_empty(), "only what comes after now");
    assert_eq!(
        sign.head,
        node.core.registry.applied(),
        "a sign of life comes first"
    );
    for number in 0..3 {
        let receipt = node
            .create(
                &token,
                &format!("88.118.8/{number}"),
                vec![text(1, "URL", "")],
            )
            .await
            .unwrap();
        let changes = next_changes(&mut stream).await;
        assert_eq!(changes[0].sequence, receipt.sequence);
        assert_eq!(changes[0].committed_at, receipt.committed_at);
    }
    // The watcher's key is revoked: it has seen enough.
    let who = node
        .credentials()
        .who_am_i(with(&token, api::WhoAmIRequest {}))
        .await
        .unwrap()
        .into_inner();
    let revoke = api::RevokeApiKeyRequest {
        id: who.credential_id,
    };
    node.credentials()
        .revoke_api_key(node.op(revoke))
        .await
        .unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.message())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
    node.stop().await;
}

#[tokio::test]
async fn a_trimmed_log_says_from_where_it_goes() {
    let node = Node::start().await;
    node.enterprise(0).await;
    node.core.registry.trim_log(u64::MAX).unwrap();
    let oldest = node.core.registry.oldest().unwrap();
    assert!(oldest > 1);
    let forgotten = whole(&node, &node.operator, watch(1, false, ""))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&forgotten),
        (
            Code::OutOfRange,
            "SEQUENCE_FORGOTTEN".into(),
            "from_sequence".into()
        )
    );
    assert_eq!(metadata(&forgotten, "oldest_sequence"), oldest.to_string());
    let kept = whole(&node, &node.operator, watch(oldest, false, ""))
        .await
        .unwrap();
    assert_eq!(changes(&kept)[0].sequence, oldest);
    let ahead = whole(&node, &node.operator, watch(oldest + 100, false, ""))
        .await
        .unwrap();
    assert!(changes(&ahead).is_empty());
    node.stop().await;
}

#[tokio::test]
async fn a_large_change_comes_in_parts() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let items: Vec<_> = (0..30)
        .map(|n| api::ImportItem {
            line: n,
            identifier: format!("88.118.8/{n}"),
            values: vec![text(1, "DESC", &"p".repeat(100_000))],
            template: String::new(),
        })
        .collect();
    let start = api::ImportStart {
        import_id: "i".into(),
        mode: 0,
    };
    let requests = [
        api::import_request::Message::Start(start),
        api::import_request::Message::Chunk(ImportChunk::new(1, &items)),
    ];
    let requests = requests.map(|message| api::ImportRequest {
        message: Some(message),
    });
    let answers = node
        .identifiers()
        .import(with(&token, tokio_stream::iter(requests)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        answers.collect::<Result<Vec<_>, _>>().await.unwrap().len(),
        2
    );
    let head = node.core.registry.applied();
    let messages = whole(&node, &token, watch(head, false, "")).await.unwrap();
    let parts = changes(&messages);
    assert!(parts.len() >= 3 && parts.iter().all(|change| change.sequence == head));
    let mut names = Vec::new();
    for part in parts {
        let Some(Shown::Identifiers(changed)) = &part.change else {
            panic!("not identifiers")
        };
        names.extend(
            changed
                .identifiers
                .iter()
                .map(|record| record.identifier.clone()),
        );
    }
    assert_eq!(
        names,
        (0..30).map(|n| format!("88.118.8/{n}")).collect::<Vec<_>>()
    );
    node.stop().await;
}

#[tokio::test]
async fn a_watcher_hears_a_sign_of_life_every_ten_seconds() {
    let node = Node::start().await;
    let (id, _) = node.enterprise(0).await;
    let (_, other) = node.enterprise(1).await;
    node.prefix("88.118.8", &id).await;
    let mut stream = node
        .changes()
        .watch(with(&other, watch(0, true, "")))
        .await
        .unwrap()
        .into_inner();
    stream.message().await.unwrap().unwrap();
    let started = std::time::Instant::now();
    // What goes on all the time but is not the watcher's must not keep it from hearing.
    let busy = async {
        for number in 0_u64.. {
            let name = format!("88.118.8/{number}");
            node.create(&node.operator, &name, vec![text(1, "URL", "")])
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let sign = tokio::select! {
        () = busy => unreachable!("never ends"),
        sign = stream.message() => sign.unwrap().unwrap(),
    };
    let silent_s = started.elapsed().as_secs_f64();
    assert!(sign.changes.is_empty() && sign.head >= node.core.registry.applied() - 1);
    assert!((9.5..12.0).contains(&silent_s), "{silent_s}");
    drop(stream);
    node.stop().await;
}

#[tokio::test]
async fn the_node_counts() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    node.create(&token, "88.118.8/1", vec![text(1, "URL", "")])
        .await
        .unwrap();
    let counted = node
        .changes()
        .get_node_statistics(with(&token, api::GetNodeStatisticsRequest {}))
        .await
        .unwrap();
    let counted = counted.into_inner();
    assert_eq!(
        (counted.identifiers, counted.prefixes, counted.enterprises),
        (1, 1, 1)
    );
    assert_eq!(counted.sequence, node.core.registry.applied());
    assert_eq!(counted.started_at.unwrap().seconds, 1_769_817_600);
    assert_eq!(counted.software_version, env!("CARGO_PKG_VERSION"));
    assert!(counted.store_bytes > 0);
    node.stop().await;
}
