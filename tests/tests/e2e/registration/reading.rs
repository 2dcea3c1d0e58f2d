//! Listings page by page, and exports from one snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use idnode_proto::api as pb;
use idnode_proto::import::ImportChunk;
use idnode_tests::api::{Api, text, value};
use idnode_tests::call;
use tonic::Code;

use super::{World, refused, url};

/// Imports these, whether they are there or not, as one chunk.
async fn import(api: &Api, import_id: &str, names: &[String], data: &str) {
    let start = pb::import_request::Message::Start(pb::ImportStart {
        import_id: import_id.to_owned(),
        mode: pb::ImportMode::Upsert.into(),
    });
    let item = |name: &String| pb::ImportItem {
        line: 1,
        identifier: name.clone(),
        values: vec![value(1, "URL", data)],
        template: String::new(),
    };
    let items: Vec<_> = names.iter().map(item).collect();
    let chunk = pb::import_request::Message::Chunk(ImportChunk::new(1, &items));
    let messages = [start, chunk].map(|message| pb::ImportRequest {
        message: Some(message),
    });
    let mut answers = call!(api, identifiers.import(tokio_stream::iter(messages))).unwrap();
    while let Some(answer) = answers.message().await.unwrap() {
        if let Some(pb::import_response::Message::Result(result)) = answer.message {
            assert!(
                result.items.iter().all(|item| item.error.is_none()),
                "{result:?}"
            );
        }
    }
}

fn page(size: u32, token: &str) -> pb::ListIdentifiersRequest {
    pb::ListIdentifiersRequest {
        prefix: "88.118.8".to_owned(),
        page: Some(pb::Page {
            size,
            token: token.to_owned(),
        }),
        ..pb::ListIdentifiersRequest::default()
    }
}

/// Lists page by page; what is done between two pages is up to the caller.
async fn listed(api: &Api, size: u32, mut between: impl AsyncFnMut(&str)) -> Vec<String> {
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let found = call!(api, identifiers.list_identifiers(page(size, &token))).unwrap();
        assert!(found.identifiers.len() <= size as usize);
        assert!(
            found
                .identifiers
                .iter()
                .all(|record| !record.values.is_empty())
        );
        names.extend(
            found
                .identifiers
                .into_iter()
                .map(|record| record.identifier),
        );
        token = found.next_page_token;
        if token.is_empty() {
            return names;
        }
        between(names.last().unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_each_other_in_order_until_the_end() {
    let world = World::new().await;
    let api = &world.operator;
    let expected: Vec<_> = (0..1_001).map(|n| format!("88.118.8/{n:05}")).collect();
    import(api, "listing", &expected, "x").await;
    for size in [1_000, 999, 143, 100] {
        assert_eq!(
            listed(api, size, async |_| {}).await,
            expected,
            "pages of {size}"
        );
    }
    // What goes on between the pages: deleted is not shown later, made ahead is, behind is not.
    let mut deleted = Vec::new();
    let shown = listed(api, 250, async |last: &str| {
        let n: usize = last.rsplit('/').next().unwrap().parse().unwrap();
        if n + 3 > 1_000 {
            return;
        }
        let ahead = format!("88.118.8/{:05}", n + 3);
        api.delete(last, "", "").await.unwrap();
        api.delete(&ahead, "", "").await.unwrap();
        api.create(&format!("{ahead}-new"), url("x"), "")
            .await
            .unwrap();
        api.create(&format!("88.118.8/00000-{n}"), url("x"), "")
            .await
            .unwrap();
        deleted.extend([last.to_owned(), ahead]);
    });
    let shown = shown.await;
    assert!(shown.is_sorted(), "{shown:?}");
    assert_eq!(
        shown.iter().filter(|name| name.ends_with("-new")).count(),
        deleted.len() / 2
    );
    let ahead = deleted.iter().skip(1).step_by(2);
    assert!(ahead.clone().count() >= 3 && ahead.into_iter().all(|name| !shown.contains(name)));

    let with_deleted = pb::ListIdentifiersRequest {
        include_deleted: true,
        without_values: true,
        ..page(1_000, "")
    };
    let found = call!(api, identifiers.list_identifiers(with_deleted))
        .unwrap()
        .identifiers;
    let tombstones = found.iter().filter(|record| record.deleted).count();
    assert!(tombstones >= 6, "{tombstones}");
    assert!(found.iter().all(|record| record.values.is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_makes_no_sense_is_refused_by_part() {
    let world = World::new().await;
    let (api, invalid) = (&world.operator, Code::InvalidArgument);
    let list = async |request| call!(api, identifiers.list_identifiers(request));
    refused(list(page(1_001, "")).await, invalid, "INVALID", "page.size");
    refused(list(page(1, "!")).await, invalid, "INVALID", "page.token");
    let elsewhere = pb::ListIdentifiersRequest {
        prefix: "88..8".to_owned(),
        ..page(1, "")
    };
    refused(list(elsewhere).await, invalid, "INVALID", "prefix");
    let unknown = pb::ListIdentifiersRequest {
        prefix: "88.118.7".to_owned(),
        ..page(1, "")
    };
    refused(
        list(unknown).await,
        Code::NotFound,
        "PREFIX_NOT_FOUND",
        "prefix",
    );
    // A token does not lead out of the range that is asked for.
    api.active_prefix("88.118.9", &world.enterprise).await;
    for name in ["88.118.8/a", "88.118.8/b", "88.118.9/a"] {
        api.create(name, url("x"), "").await.unwrap();
    }
    let first = list(page(1, "")).await.unwrap().next_page_token;
    let other = pb::ListIdentifiersRequest {
        prefix: "88.118.9".to_owned(),
        ..page(10, &first)
    };
    let found = list(other).await.unwrap().identifiers;
    let found: Vec<_> = found.into_iter().map(|record| record.identifier).collect();
    assert_eq!(found, ["88.118.9/a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_of_one_moment_whatever_is_written_meanwhile() {
    let world = World::new().await;
    let names: Vec<_> = (0..2_000).map(|n| format!("88.118.8/{n:05}")).collect();
    import(&world.operator, "round-0", &names, "0").await;
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (api, names, done) = (world.operator.clone(), names.clone(), done.clone());
        tokio::spawn(async move {
            let mut round = 0_u32;
            while !done.load(Ordering::Acquire) {
                round += 1;
                import(&api, &format!("round-{round}"), &names, &round.to_string()).await;
            }
            round
        })
    };
    let mut moments = Vec::new();
    for _ in 0..12 {
        let mut export = call!(
            world.operator,
            identifiers.export(pb::ExportRequest::default())
        )
        .unwrap();
        let (mut seen, mut rounds) = (0, Vec::new());
        while let Some(message) = export.message().await.unwrap() {
            seen += message.identifiers.len();
            rounds.extend(
                message
                    .identifiers
                    .iter()
                    .map(|record| text(&record.values[0])),
            );
        }
        assert_eq!(seen, names.len());
        rounds.dedup();
        assert_eq!(rounds.len(), 1, "of several moments: {rounds:?}");
        moments.push(rounds.remove(0).parse::<u32>().unwrap());
    }
    done.store(true, Ordering::Release);
    let rounds = writer.await.unwrap();
    assert!(
        moments.is_sorted() && rounds >= 2,
        "{moments:?} of {rounds}"
    );
    assert!(
        moments.first() != moments.last(),
        "nothing was written meanwhile: {moments:?}"
    );
}
