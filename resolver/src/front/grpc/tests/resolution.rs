//! Resolve and BatchResolve.

use super::*;
use api::batch_resolve_request::Item as Question;
use api::batch_resolve_response::item::Result as Answered;
use tokio_stream::StreamExt as _;

#[tokio::test]
async fn values_are_shown_to_whom_they_are_for() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    let (_, other) = node.enterprise(1).await;
    node.prefix("88.118.8", &id).await;
    let short = api::Value {
        ttl: Some(api::value::Ttl::TtlS(60)),
        ..text(2, "DESC", "泵")
    };
    let nobody = api::Value {
        permissions: Some(0),
        ..text(9, "SEALED", "")
    };
    let created = vec![
        text(1, "URL", "https://example.com/"),
        short,
        private(3, "COST", "12"),
        nobody,
    ];
    let receipt = node.create(&token, "88.118.8/Pump", created).await.unwrap();
    let public = [(1, "URL".to_owned()), (2, "DESC".to_owned())];
    let all = [&public[..], &[(3, "COST".to_owned())]].concat();

    let answer = node.resolve(None, "hdl:88.118.8/PUMP").await.unwrap();
    assert_eq!(
        (answer.identifier.as_str(), answer.scheme()),
        ("88.118.8/Pump", api::Scheme::Handle)
    );
    assert_eq!(values(&answer), public);
    let Some(api::resolve_response::Outcome::Record(record)) = &answer.outcome else {
        panic!("no record")
    };
    assert_eq!(
        (record.version, record.ttl_s, record.created_at),
        (receipt.sequence, 60, receipt.committed_at)
    );
    assert_eq!(record.values[1].data, Some(Data::Text("泵".into())));

    assert_eq!(
        values(&node.resolve(Some(&token), "88.118.8/pump").await.unwrap()),
        all
    );
    assert_eq!(
        values(
            &node
                .resolve(Some(&node.operator), "88.118.8/pump")
                .await
                .unwrap()
        ),
        all
    );
    assert_eq!(
        values(&node.resolve(Some(&other), "88.118.8/pump").await.unwrap()),
        public
    );
    let public_only = api::ResolveRequest {
        identifier: "88.118.8/pump".into(),
        public_only: true,
        ..Default::default()
    };
    let answer = node
        .resolution()
        .resolve(with(&token, public_only.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(values(&answer), public);
    let filtered = |types: &[&str], indexes: Vec<u32>| api::ResolveRequest {
        types: types.iter().map(|kind| (*kind).to_owned()).collect(),
        indexes,
        public_only: false,
        ..public_only.clone()
    };
    let mut resolution = node.resolution();
    let one = resolution
        .resolve(filtered(&["url"], vec![]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(values(&one), [(1, "URL".into())]);
    let hidden = resolution
        .resolve(filtered(&["COST"], vec![3]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        values(&hidden),
        [],
        "asking by name shows a stranger no more"
    );
    let Some(api::resolve_response::Outcome::Record(record)) = &hidden.outcome else {
        panic!("no record")
    };
    assert_eq!(record.ttl_s, 0, "nor may that nothing was shown be kept");
    let both = resolution
        .resolve(with(&token, filtered(&["URL"], vec![3])))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(values(&both), [(1, "URL".into()), (3, "COST".into())]);
    let many = resolution
        .resolve(filtered(&["URL"], vec![1; 2048]))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&many),
        (Code::InvalidArgument, "INVALID".into(), "indexes".into())
    );
    node.stop().await;
}

#[tokio::test]
async fn what_is_not_there_says_why() {
    let node = Node::start().await;
    let (id, _) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let missing = node.resolve(None, "88.118.8/x").await.unwrap_err();
    assert_eq!(
        refusal(&missing),
        (Code::NotFound, "IDENTIFIER_NOT_FOUND".into(), String::new())
    );
    let elsewhere = node.resolve(None, "88.119/x").await.unwrap_err();
    assert_eq!(
        refusal(&elsewhere),
        (Code::NotFound, "PREFIX_NOT_FOUND".into(), String::new())
    );
    node.transition("88.118.8", api::PrefixAction::Suspend)
        .await
        .unwrap();
    let suspended = node.resolve(None, "88.118.8/x").await.unwrap_err();
    assert_eq!(
        refusal(&suspended),
        (
            Code::FailedPrecondition,
            "PREFIX_NOT_ACTIVE".into(),
            String::new()
        )
    );
    let junk = node
        .resolve(None, "gs1:01/06901234567891")
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&junk),
        (Code::InvalidArgument, "INVALID".into(), "identifier".into())
    );
    assert_eq!(metadata(&junk, "part"), "check digit");
    let described = junk
        .get_error_details()
        .bad_request()
        .unwrap()
        .field_violations[0]
        .description
        .clone();
    assert!(described.contains("should be 2"), "{described}");

    for token in [
        "nonsense",
        &format!("idn_{}_{}", "a".repeat(16), "a".repeat(52)),
    ] {
        let refused = node.resolve(Some(token), "88.118.8/x").await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{token}");
    }
    let mut basic = Request::new(api::ResolveRequest {
        identifier: "88.118.8/x".into(),
        ..Default::default()
    });
    basic
        .metadata_mut()
        .insert("authorization", "Basic eDp5".parse().unwrap());
    assert_eq!(
        node.resolution().resolve(basic).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    node.stop().await;
}

fn question(id: u64, identifier: &str) -> Question {
    let request = api::ResolveRequest {
        identifier: identifier.into(),
        ..Default::default()
    };
    Question {
        id,
        request: Some(request),
    }
}

#[tokio::test]
async fn a_batch_is_answered_item_by_item_in_order() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    for number in 0..150 {
        let secret = private(2, "COST", "1");
        node.create(
            &token,
            &format!("88.118.8/{number}"),
            vec![text(1, "URL", "https://x.example/"), secret],
        )
        .await
        .unwrap();
    }
    let mut first: Vec<Question> = (0..150)
        .map(|n| question(1_000 - n, &format!("88.118.8/{n}")))
        .collect();
    first.insert(7, question(5, "88.118.8/none"));
    first.insert(8, question(5, "?"));
    first.insert(
        9,
        Question {
            id: 6,
            request: None,
        },
    );
    let second = vec![question(1, "99.9/x")];
    let messages = [first.clone(), second].map(|items| api::BatchResolveRequest { items });
    let mut answers = node
        .resolution()
        .batch_resolve(with(&token, tokio_stream::iter(messages)))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let ids = |items: &[api::batch_resolve_response::Item]| {
        items.iter().map(|item| item.id).collect::<Vec<_>>()
    };
    assert_eq!(
        ids(&answer.items),
        first.iter().map(|item| item.id).collect::<Vec<_>>()
    );
    for (position, item) in answer.items.iter().enumerate() {
        match (position, item.result.as_ref().unwrap()) {
            (7, Answered::Error(error)) => {
                assert_eq!(
                    (error.code, error.reason.as_str()),
                    (Code::NotFound as i32, "IDENTIFIER_NOT_FOUND")
                );
            }
            (8, Answered::Error(error)) => {
                assert_eq!(
                    (error.reason.as_str(), error.field.as_str()),
                    ("INVALID", "items[8].request.identifier")
                );
            }
            (9, Answered::Error(error)) => assert_eq!(error.field, "items[9].request.identifier"),
            (_, Answered::Response(response)) => {
                assert_eq!(values(response).len(), 2, "the owner asked")
            }
            (_, other) => panic!("{position}: {other:?}"),
        }
    }
    let answer = answers.message().await.unwrap().unwrap();
    let Some(Answered::Error(error)) = &answer.items[0].result else {
        panic!("no error")
    };
    assert_eq!(error.reason, "PREFIX_NOT_FOUND");
    assert!(answers.message().await.unwrap().is_none());
    node.stop().await;
}

#[tokio::test]
async fn what_only_the_disk_knows_is_answered_too() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    for number in 0..200 {
        let values = vec![text(1, "URL", &format!("https://example.com/{number}"))];
        node.create(&token, &format!("88.118.8/{number}"), values)
            .await
            .unwrap();
    }
    let node = node.restart().await;
    let name = idnode_proto::identifier::Identifier::parse("88.118.8/7").unwrap();
    assert_eq!(
        node.core.registry.read_in_memory(name.key()),
        Ok(None),
        "nothing is in memory"
    );
    assert_eq!(
        values(&node.resolve(None, "88.118.8/7").await.unwrap()),
        [(1, "URL".into())]
    );
    let items = (0..200)
        .map(|n| question(n, &format!("88.118.8/{n}")))
        .collect();
    let message = tokio_stream::iter([api::BatchResolveRequest { items }]);
    let mut answers = node
        .resolution()
        .batch_resolve(message)
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    assert_eq!(answer.items.len(), 200);
    for (number, item) in answer.items.into_iter().enumerate() {
        let Some(Answered::Response(response)) = item.result else {
            panic!("{number}: no answer")
        };
        assert_eq!(response.identifier, format!("88.118.8/{number}"));
        assert_eq!(item.id, number as u64);
    }
    node.stop().await;
}

#[tokio::test]
async fn a_batch_has_bounds() {
    let node = Node::start_with(GrpcOptions {
        batch_items: 10,
        ..GrpcOptions::default()
    })
    .await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let ask = async |items: Vec<Question>| {
        let message = tokio_stream::iter([api::BatchResolveRequest { items }]);
        let answers = node
            .resolution()
            .batch_resolve(message)
            .await
            .unwrap()
            .into_inner();
        answers.collect::<Result<Vec<_>, _>>().await
    };
    let many = ask((0..11).map(|n| question(n, "88.118.8/x")).collect())
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&many),
        (Code::ResourceExhausted, "BOUND".into(), String::new())
    );
    assert!(many.message().contains("at most 10"), "{}", many.message());
    assert_eq!(refusal(&ask(vec![]).await.unwrap_err()).2, "items");

    let large = (0..5)
        .map(|index| text(index + 1, "DESC", &"p".repeat(50_000)))
        .collect();
    node.create(&token, "88.118.8/large", large).await.unwrap();
    let large = vec![question(0, "88.118.8/large"); 10];
    let answers = ask(large.clone()).await.unwrap();
    assert_eq!(
        answers
            .iter()
            .map(|answer| answer.items.len())
            .sum::<usize>(),
        10
    );
    assert_eq!(answers.len(), 1, "2.5 MB fit");
    node.stop().await;

    let small = GrpcOptions {
        message_limit_bytes: 600_000,
        ..GrpcOptions::default()
    };
    let node = Node::start_with(small).await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let values = (0..5)
        .map(|index| text(index + 1, "DESC", &"p".repeat(50_000)))
        .collect();
    node.create(&token, "88.118.8/large", values).await.unwrap();
    let questions = (0..7).map(|id| question(id, "88.118.8/large")).collect();
    let message = tokio_stream::iter([api::BatchResolveRequest { items: questions }]);
    let answers = node
        .resolution()
        .batch_resolve(message)
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<_> = answers.collect::<Result<_, _>>().await.unwrap();
    assert_eq!(
        answers
            .iter()
            .map(|answer| answer.items.len())
            .collect::<Vec<_>>(),
        [2, 2, 2, 1]
    );
    let ids: Vec<u64> = answers
        .into_iter()
        .flat_map(|answer| answer.items)
        .map(|item| item.id)
        .collect();
    assert_eq!(ids, (0..7).collect::<Vec<_>>(), "still in order");
    node.stop().await;
}
