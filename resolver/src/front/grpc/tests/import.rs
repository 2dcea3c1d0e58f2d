//! Bulk load.

use super::*;
use api::import_item_result::Status as ItemStatus;
use api::import_request::Message as Inbound;
use api::import_response::Message as Outbound;
use idnode_proto::import::ImportChunk;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// An import under way.
struct Import {
    requests: Option<mpsc::Sender<api::ImportRequest>>,
    answers: Streaming<api::ImportResponse>,
}

impl Import {
    async fn open(node: &Node, token: &str) -> Self {
        let (requests, outbound) = mpsc::channel(64);
        let answers = node
            .identifiers()
            .import(with(token, ReceiverStream::new(outbound)))
            .await
            .unwrap()
            .into_inner();
        Self {
            requests: Some(requests),
            answers,
        }
    }

    async fn start(
        node: &Node,
        token: &str,
        import_id: &str,
        mode: api::ImportMode,
    ) -> (Self, api::ImportStarted) {
        let mut import = Self::open(node, token).await;
        let start = api::ImportStart {
            import_id: import_id.into(),
            mode: mode.into(),
        };
        import.send(Inbound::Start(start)).await;
        match import.answer().await.unwrap() {
            Some(Outbound::Started(started)) => (import, started),
            other => panic!("not started: {other:?}"),
        }
    }

    async fn send(&self, message: Inbound) {
        self.requests
            .as_ref()
            .unwrap()
            .send(api::ImportRequest {
                message: Some(message),
            })
            .await
            .unwrap();
    }

    async fn answer(&mut self) -> Result<Option<Outbound>, Status> {
        Ok(self
            .answers
            .message()
            .await?
            .and_then(|answer| answer.message))
    }

    async fn chunk(&mut self, chunk: ImportChunk) -> Result<api::ImportChunkResult, Status> {
        self.send(Inbound::Chunk(chunk)).await;
        match self.answer().await? {
            Some(Outbound::Result(result)) => Ok(result),
            other => panic!("no result: {other:?}"),
        }
    }

    async fn end(mut self) {
        self.requests = None;
        assert_eq!(self.answer().await.unwrap(), None);
    }
}

fn item(line: u64, identifier: &str) -> api::ImportItem {
    let values = vec![text(1, "URL", &format!("https://example.com/{line}"))];
    api::ImportItem {
        line,
        identifier: identifier.into(),
        values,
        template: String::new(),
    }
}

fn statuses(result: &api::ImportChunkResult) -> Vec<(u64, ItemStatus)> {
    result
        .items
        .iter()
        .map(|item| (item.line, item.status()))
        .collect()
}

#[tokio::test]
async fn every_item_has_a_result_and_a_bad_one_stops_no_other() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    let (other_id, _) = node.enterprise(1).await;
    node.prefix("88.118.8", &id).await;
    node.prefix("88.118.9", &other_id).await;
    node.create(
        &token,
        "88.118.8/there",
        vec![text(1, "URL", "https://example.com/")],
    )
    .await
    .unwrap();
    let (mut import, started) =
        Import::start(&node, &token, "load-1", api::ImportMode::Unspecified).await;
    assert_eq!(
        (started.last_chunk, started.max_items, started.max_in_flight),
        (0, 10_000, 32)
    );
    let broken = api::ImportItem {
        values: vec![text(1, "URL", ""), private(1, "X", "")],
        ..item(6, "88.118.8/f")
    };
    let wide = api::Value {
        permissions: Some(99),
        ..text(2, "X", "")
    };
    let wide = api::ImportItem {
        values: vec![text(1, "URL", ""), wide],
        ..item(7, "88.118.8/g")
    };
    let chunk = ImportChunk::new(
        1,
        &[
            item(11, "88.118.8/a"),
            item(12, "not an identifier"),
            item(13, "88.118.8/there"),
            item(14, "88.118.9/theirs"),
            item(15, "88.118.8/A"),
            broken,
            wide,
            api::ImportItem {
                template: "none".into(),
                ..item(17, "88.118.8/h")
            },
            item(18, "88.118.8/b"),
        ],
    );
    let result = import.chunk(chunk).await.unwrap();
    let rejected = |line| (line, ItemStatus::Rejected);
    let created = |line| (line, ItemStatus::Created);
    assert_eq!(
        statuses(&result),
        [
            created(11),
            rejected(12),
            rejected(13),
            rejected(14),
            rejected(15),
            rejected(6),
            rejected(7),
            rejected(17),
            created(18)
        ]
    );
    let errors: Vec<(i32, &str, &str)> = result
        .items
        .iter()
        .filter_map(|item| item.error.as_ref())
        .map(|error| (error.code, error.reason.as_str(), error.field.as_str()))
        .collect();
    assert_eq!(
        errors,
        [
            (3, "INVALID", "identifier"),
            (6, "IDENTIFIER_EXISTS", "identifier"),
            (7, "DENIED", ""),
            (6, "IDENTIFIER_EXISTS", "identifier"),
            (3, "INVALID", "values[1].index"),
            (3, "INVALID", "values[1].permissions"),
            (5, "TEMPLATE_NOT_FOUND", "template"),
        ]
    );
    let sequence = result.receipt.unwrap().sequence;
    assert_eq!(sequence, node.core.registry.applied());
    let Some(api::resolve_response::Outcome::Record(record)) =
        node.resolve(None, "88.118.8/b").await.unwrap().outcome
    else {
        panic!("no record");
    };
    assert_eq!(record.version, sequence);

    let nothing = ImportChunk::new(2, &[item(1, "88.118.8/a")]);
    let result = import.chunk(nothing).await.unwrap();
    assert_eq!(result.receipt.unwrap().sequence, 0, "nothing was accepted");
    import.end().await;
    node.stop().await;
}

#[tokio::test]
async fn upserting_replaces_what_differs() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let sealed = api::Value {
        permissions: Some(0b1010),
        ..text(5, "FIXED", "1")
    };
    node.create(&token, "88.118.8/sealed", vec![sealed.clone()])
        .await
        .unwrap();
    let (mut import, _) = Import::start(&node, &token, "u", api::ImportMode::Upsert).await;
    let items = vec![item(1, "88.118.8/a"), item(2, "88.118.8/b")];
    let result = import.chunk(ImportChunk::new(1, &items)).await.unwrap();
    assert_eq!(
        statuses(&result),
        [(1, ItemStatus::Created), (2, ItemStatus::Created)]
    );
    // What differs only by the time the node gave it is the same.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let kept = api::ImportItem {
        values: vec![sealed, text(6, "MORE", "")],
        ..item(4, "88.118.8/sealed")
    };
    let items = vec![
        item(1, "88.118.8/a"),
        item(3, "88.118.8/b"),
        item(4, "88.118.8/sealed"),
        kept,
    ];
    let result = import.chunk(ImportChunk::new(2, &items)).await.unwrap();
    let expected = [
        (1, ItemStatus::Unchanged),
        (3, ItemStatus::Updated),
        (4, ItemStatus::Rejected),
        (4, ItemStatus::Updated),
    ];
    assert_eq!(statuses(&result), expected);
    assert_eq!(
        result.items[2].error.as_ref().unwrap().reason,
        "DENIED",
        "a value that may not be changed"
    );
    import.end().await;
    node.stop().await;
}

#[tokio::test]
async fn an_import_is_resumed_where_it_was_cut_off() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let chunk = |number: u64| {
        ImportChunk::new(
            number,
            &(0..500)
                .map(|n| item(n, &format!("88.118.8/{number}-{}", n % 499)))
                .collect::<Vec<_>>(),
        )
    };
    let (mut import, _) = Import::start(&node, &token, "big", api::ImportMode::Create).await;
    let first = import.chunk(chunk(1)).await.unwrap();
    assert_eq!(
        first.items[499].status(),
        ItemStatus::Rejected,
        "the same identifier twice"
    );
    // Sent and never waited for.
    for number in 2..=4 {
        import.send(Inbound::Chunk(chunk(number))).await;
    }
    let second = import.answer().await.unwrap();
    drop(import);

    let (mut import, started) = Import::start(&node, &token, "big", api::ImportMode::Create).await;
    assert!(
        (2..=4).contains(&started.last_chunk),
        "{}",
        started.last_chunk
    );
    for number in 1..=5 {
        let result = import.chunk(chunk(number)).await.unwrap();
        assert_eq!(result.items.len(), 500);
        assert_eq!(
            result.items[0].status(),
            ItemStatus::Created,
            "chunk {number}: as the first time"
        );
        let receipt = result.receipt.unwrap();
        assert!(
            receipt.replayed || number > started.last_chunk,
            "chunk {number} is known to be committed"
        );
        assert!(
            !receipt.replayed || number < 5,
            "chunk 5 was never sent before"
        );
        if number == 1 {
            let replayed = api::WriteReceipt {
                replayed: true,
                ..first.receipt.unwrap()
            };
            assert_eq!(
                result,
                api::ImportChunkResult {
                    receipt: Some(replayed),
                    ..first.clone()
                }
            );
        }
        if number == 2 {
            let Some(Outbound::Result(second)) = &second else {
                panic!("no result")
            };
            assert_eq!(result.items, second.items);
        }
    }
    import.end().await;
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
        (counted.identifiers, counted.creations),
        (5 * 499, 5 * 499),
        "nothing twice"
    );

    let (_, resumed) = Import::start(&node, &token, "big", api::ImportMode::Create).await;
    assert_eq!(resumed.last_chunk, 5);
    let (mut import, other) =
        Import::start(&node, &node.operator, "big", api::ImportMode::Create).await;
    assert_eq!(
        other.last_chunk, 0,
        "another caller's import of the same name is another one"
    );
    drop(import.requests.take());
    let (mut import, _) = Import::start(&node, &token, "big", api::ImportMode::Create).await;
    let reused = import
        .chunk(ImportChunk::new(1, &[item(1, "88.118.8/other")]))
        .await
        .unwrap_err();
    assert_eq!(refusal(&reused).1, "IDEMPOTENCY_KEY_REUSED");
    node.stop().await;
}

#[tokio::test]
async fn chunks_are_pipelined_and_answered_in_order() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let (mut import, started) = Import::start(&node, &token, "p", api::ImportMode::Create).await;
    // Large chunks first, so that the small ones behind them are checked sooner.
    for number in 1..=u64::from(started.max_in_flight) * 3 {
        let count = if number % 2 == 1 { 2_000 } else { 1 };
        let mut items: Vec<_> = (0..count)
            .map(|n| item(n, &format!("88.118.8/{number}-{n}")))
            .collect();
        // Of the same identifier in every chunk, the first one must win.
        items.push(item(9_999, "88.118.8/contested"));
        import
            .send(Inbound::Chunk(ImportChunk::new(number, &items)))
            .await;
    }
    let mut last_sequence = 0;
    for number in 1..=u64::from(started.max_in_flight) * 3 {
        let Some(Outbound::Result(result)) = import.answer().await.unwrap() else {
            panic!("no result")
        };
        assert_eq!(result.number, number);
        let sequence = result.receipt.unwrap().sequence;
        assert!(sequence > last_sequence, "committed in order");
        last_sequence = sequence;
        let expected = if number == 1 {
            ItemStatus::Created
        } else {
            ItemStatus::Rejected
        };
        assert_eq!(
            result.items.last().unwrap().status(),
            expected,
            "chunk {number}"
        );
    }
    import.end().await;
    node.stop().await;
}

#[tokio::test]
async fn what_is_wrong_as_a_whole_ends_the_stream() {
    let node = Node::start_with(GrpcOptions {
        batch_items: 3,
        ..GrpcOptions::default()
    })
    .await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let one = |number| ImportChunk::new(number, &[item(1, &format!("88.118.8/{number}"))]);
    let mut import = Import::open(&node, &token).await;
    assert_eq!(refusal(&import.chunk(one(1)).await.unwrap_err()).2, "start");
    for (start, field) in [
        (
            api::ImportStart {
                import_id: String::new(),
                mode: 0,
            },
            "start.import_id",
        ),
        (
            api::ImportStart {
                import_id: "i".repeat(65),
                mode: 0,
            },
            "start.import_id",
        ),
        (
            api::ImportStart {
                import_id: "i".into(),
                mode: 9,
            },
            "start.mode",
        ),
    ] {
        let mut import = Import::open(&node, &token).await;
        import.send(Inbound::Start(start)).await;
        assert_eq!(refusal(&import.answer().await.unwrap_err()).2, field);
    }
    let (mut import, _) = Import::start(&node, &token, "i", api::ImportMode::Create).await;
    import.chunk(one(1)).await.unwrap();
    // What came before a wrong message is answered before it.
    import.send(Inbound::Chunk(one(2))).await;
    import.send(Inbound::Chunk(one(4))).await;
    let Some(Outbound::Result(result)) = import.answer().await.unwrap() else {
        panic!("no result")
    };
    assert_eq!(result.number, 2);
    assert_eq!(
        refusal(&import.answer().await.unwrap_err()).2,
        "chunk.number"
    );
    let (mut import, _) = Import::start(&node, &token, "i", api::ImportMode::Create).await;
    let many = ImportChunk::new(3, &vec![item(1, "88.118.8/x"); 4]);
    assert_eq!(
        refusal(&import.chunk(many).await.unwrap_err()).0,
        Code::ResourceExhausted
    );
    let (mut import, _) = Import::start(&node, &token, "i", api::ImportMode::Create).await;
    let empty = ImportChunk::new(3, &[]);
    assert_eq!(
        refusal(&import.chunk(empty).await.unwrap_err()).2,
        "chunk.items"
    );
    let stranger = node
        .identifiers()
        .import(tokio_stream::iter([]))
        .await
        .unwrap_err();
    assert_eq!(stranger.code(), Code::Unauthenticated);

    // A key that is revoked in the middle writes no more.
    let (mut import, _) = Import::start(&node, &token, "r", api::ImportMode::Create).await;
    import.chunk(one(10)).await.unwrap();
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
    assert_eq!(
        import.chunk(one(11)).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    node.stop().await;
}

#[tokio::test]
async fn rejections_of_long_identifiers_fit_the_answer() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let long = "x".repeat(1_900);
    let items: Vec<_> = (0..2_000)
        .map(|n| item(n, &format!("88.118.8/{n}{long}")))
        .collect();
    let (mut import, _) = Import::start(&node, &token, "l", api::ImportMode::Create).await;
    import.chunk(ImportChunk::new(1, &items)).await.unwrap();
    let result = import.chunk(ImportChunk::new(2, &items)).await.unwrap();
    assert!(
        result
            .items
            .iter()
            .all(|item| item.status() == ItemStatus::Rejected)
    );
    let longest = result
        .items
        .iter()
        .map(|item| item.error.as_ref().unwrap().message.len())
        .max();
    assert!(longest < Some(260), "{longest:?}");
    import.end().await;
    node.stop().await;
}
