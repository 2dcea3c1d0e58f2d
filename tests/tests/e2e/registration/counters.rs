//! Statistics of each prefix: what is there, what was done, what was asked.

use idnode_proto::api as pb;
use idnode_tests::api::value;
use idnode_tests::call;
use idnode_tests::run::curl;

use super::{World, url};

async fn counters(world: &World, prefix: &str) -> pb::PrefixStatistics {
    let request = pb::GetPrefixStatisticsRequest {
        prefix: prefix.to_owned(),
    };
    call!(world.operator, prefixes.get_prefix_statistics(request)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_is_counted_where_it_is_written() {
    let world = World::new().await;
    let api = &world.operator;
    api.active_prefix("88.118.9", &world.enterprise).await;
    let empty = counters(&world, "88.118.9").await;
    for n in 0..10 {
        api.create(&format!("88.118.8/{n}"), url("12345"), "")
            .await
            .unwrap();
    }
    let before = counters(&world, "88.118.8").await;
    assert!(
        before.value_bytes >= 50 && before.last_change_at.is_some(),
        "{before:?}"
    );
    api.replace("88.118.8/0", url("1234567890"), "")
        .await
        .unwrap();
    api.delete("88.118.8/1", "", "").await.unwrap();
    api.delete("88.118.8/2", "", "").await.unwrap();
    api.create("88.118.8/2", vec![value(1, "URL", "12345")], "")
        .await
        .unwrap();
    // Neither what is refused counts nor what is repeated.
    assert!(api.create("88.118.8/3", url("x"), "").await.is_err());
    api.replace("88.118.8/4", url("1234567890"), "key")
        .await
        .unwrap();
    api.replace("88.118.8/4", url("1234567890"), "key")
        .await
        .unwrap();
    let after = counters(&world, "88.118.8").await;
    let counts = |of: &pb::PrefixStatistics| {
        [
            of.identifiers,
            of.deleted,
            of.creations,
            of.updates,
            of.deletions,
        ]
    };
    assert_eq!(counts(&before), [10, 0, 10, 0, 0]);
    assert_eq!(counts(&after), [9, 1, 11, 2, 2]);
    let each = before.value_bytes / 10;
    assert_eq!(after.value_bytes, 7 * each + 2 * (each + 5));
    let other = counters(&world, "88.118.9").await;
    assert_eq!(counts(&other), [0; 5]);
    assert_eq!(other.last_change_at, empty.last_change_at);

    let node = call!(
        api,
        changes.get_node_statistics(pb::GetNodeStatisticsRequest {})
    )
    .unwrap();
    let of_node = [
        node.identifiers,
        node.deleted,
        node.prefixes,
        node.enterprises,
        node.templates,
    ];
    assert_eq!(of_node, [9, 1, 2, 1, 0]);
    let world = world.restarted(&[]).await;
    let again = counters(&world, "88.118.8").await;
    assert_eq!(
        (counts(&again), again.value_bytes),
        (counts(&after), after.value_bytes)
    );
    assert_eq!(again.queries, 0, "of this process");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_is_counted_over_every_front() {
    let world = World::new().await;
    world
        .operator
        .create("88.118.8/a", url("https://e.cn"), "")
        .await
        .unwrap();
    let start = counters(&world, "88.118.8").await;
    assert_eq!((start.queries, start.successes), (0, 0));
    let handle = world.node.at.handle.to_string();
    let dns = world.node.at.dns.port().to_string();
    let stranger = world.node.idctl(None);
    let ask = |name: &str| {
        stranger.run(&["resolve", &format!("88.118.8/{name}")]);
        let front = ["resolve", "--front", "handle", "--handle", &handle];
        stranger.run(&[&front[..], &[&format!("88.118.8/{name}")]].concat());
        curl(
            &world.node.http(&format!("/api/handles/88.118.8/{name}")),
            &[],
        );
        let name = format!("{name}.88-118-8.hdl.id.example.");
        let mut dig = std::process::Command::new("dig");
        idnode_tests::run::success(dig.args(["@127.0.0.1", "-p", &dns, &name, "URI"]));
    };
    ask("a");
    let hits = counters(&world, "88.118.8").await;
    assert_eq!((hits.queries, hits.successes), (4, 4), "one for each front");
    ask("nothing");
    let misses = counters(&world, "88.118.8").await;
    assert_eq!(
        (misses.queries, misses.successes),
        (8, 4),
        "one for each front"
    );
}
