//! The change log: from any sequence on, what comes as it comes, and on again after a restart.

use std::time::Duration;

use idnode_proto::api as pb;
use idnode_proto::api::change::Change as Shown;
use idnode_tests::api::{Api, value};
use idnode_tests::call;
use idnode_tests::node::Node;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{World, connected, refused, url};

fn from(from_sequence: u64, follow: bool) -> pb::WatchRequest {
    pb::WatchRequest {
        from_sequence,
        follow,
        prefix: String::new(),
    }
}

/// The identifier and the text that a change of one identifier tells of.
fn told(change: &pb::Change) -> Option<(String, Option<String>)> {
    let Some(Shown::Identifiers(changes)) = &change.change else {
        return None;
    };
    let record = &changes.identifiers[0];
    let text = record.values.first().map(idnode_tests::api::text);
    Some((record.identifier.clone(), text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_told_whole_from_any_sequence() {
    let world = World::new().await;
    let api = &world.operator;
    api.create("88.118.8/a", url("1"), "").await.unwrap();
    api.replace("88.118.8/a", url("2"), "").await.unwrap();
    api.delete("88.118.8/a", "", "").await.unwrap();
    api.create("88.118.8/a", url("3"), "").await.unwrap();
    let whole = api.log(1).await.unwrap();
    let head = whole.last().unwrap().sequence;
    assert!(whole.iter().map(|change| change.sequence).eq(1..=head));
    // Each entry tells what was so then, not what is so now.
    let texts: Vec<_> = whole
        .iter()
        .filter_map(told)
        .map(|(_, text)| text)
        .collect();
    let expected = [Some("1"), Some("2"), None, Some("3")];
    assert_eq!(texts, expected.map(|text| text.map(str::to_owned)));
    let kinds: Vec<_> = whole
        .iter()
        .map(|change| change.change.clone().unwrap())
        .collect();
    assert!(
        matches!(kinds[0], Shown::ApiKey(_)),
        "the operator's credential comes first"
    );
    assert!(
        kinds
            .iter()
            .any(|kind| matches!(kind, Shown::Enterprise(_)))
    );
    assert!(kinds.iter().any(|kind| matches!(kind, Shown::Prefix(_))));
    let times: Vec<_> = whole
        .iter()
        .map(|change| change.committed_at.unwrap())
        .collect();
    assert!(times.is_sorted_by_key(|at| (at.seconds, at.nanos)));
    for start in 1..=head {
        let part = api.log(start).await.unwrap();
        assert_eq!(part, whole[start as usize - 1..], "from {start}");
    }
    // Past the end there is nothing yet; 0 is what comes after now.
    for start in [0, head + 1, u64::MAX] {
        assert_eq!(api.log(start).await.unwrap(), [], "from {start}");
    }
    world.node.stop();
}

/// Follows from a sequence on until the stream breaks, as it must; where to go on.
async fn follow(api: &Api, start: u64, seen: &mut Vec<pb::Change>) -> Status {
    let mut stream = match call!(api, changes.watch(from(start, true))) {
        Ok(stream) => stream,
        Err(status) => return status,
    };
    loop {
        match stream.message().await {
            Ok(Some(message)) => seen.extend(message.changes),
            Ok(None) => panic!("a stream that follows ended well"),
            Err(status) => return status,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_misses_nothing_over_restarts_and_kills() {
    const ROUNDS: u64 = 4;
    const WRITES: u64 = 50;
    let mut world = World::new().await;
    let at = world.node.at;
    let begin = world.operator.log(1).await.unwrap().len() as u64 + 1;
    let last = begin + ROUNDS * WRITES - 1;
    let follower = {
        let api = world.operator.clone();
        tokio::spawn(async move {
            let (mut seen, mut breaks) = (Vec::<pb::Change>::new(), 0);
            loop {
                let next = seen.last().map_or(begin, |change| change.sequence + 1);
                let status = follow(&api, next, &mut seen).await;
                let code = status.code();
                // The connection may break in the middle of a message.
                assert!(
                    matches!(code, Code::Unavailable | Code::Unknown | Code::Internal),
                    "{status:?}"
                );
                breaks += 1;
                if seen.last().is_some_and(|change| change.sequence == last) {
                    return (seen, breaks);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    for round in 0..ROUNDS {
        for n in 0..WRITES {
            let name = format!("88.118.8/{round}-{n}");
            world.operator.create(&name, url("x"), "").await.unwrap();
        }
        if round + 1 < ROUNDS {
            if round % 2 == 0 {
                world.node.kill();
            } else {
                world.node.terminate();
                assert!(world.node.wait().success());
            }
            world.node = Node::run_at(&world.dir, &at, &[]);
            world.operator = connected(&world.node, &world.dir).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    world.node.stop();
    let (seen, breaks) = follower.await.unwrap();
    assert!(
        seen.iter().map(|change| change.sequence).eq(begin..=last),
        "a gap or a repetition"
    );
    let names: Vec<_> = seen.iter().filter_map(told).map(|(name, _)| name).collect();
    let expected: Vec<_> = (0..ROUNDS)
        .flat_map(|round| (0..WRITES).map(move |n| format!("88.118.8/{round}-{n}")))
        .collect();
    assert_eq!(names, expected);
    assert!(breaks >= ROUNDS, "{breaks} breaks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_told_when_it_is_acknowledged() {
    let world = World::new().await;
    let mut stream = call!(world.operator, changes.watch(from(0, true))).unwrap();
    let sign = stream.message().await.unwrap().unwrap();
    assert!(sign.changes.is_empty() && sign.head > 0, "{sign:?}");
    for n in 0..20 {
        let name = format!("88.118.8/{n}");
        let receipt = world.operator.create(&name, url("x"), "").await.unwrap();
        let message = tokio::time::timeout(Duration::from_secs(5), stream.message());
        let message = message.await.expect("it is told soon").unwrap().unwrap();
        let [change] = &message.changes[..] else {
            panic!("{message:?}")
        };
        assert_eq!(
            (change.sequence, told(change).unwrap().0),
            (receipt.sequence, name)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_is_followed_alone() {
    let world = World::new().await;
    let api = &world.operator;
    api.active_prefix("88.118.80", &world.enterprise).await;
    for n in 0..5 {
        api.create(&format!("88.118.8/{n}"), url("x"), "")
            .await
            .unwrap();
        api.create(&format!("88.118.80/{n}"), vec![value(1, "N", "x")], "")
            .await
            .unwrap();
    }
    let request = pb::WatchRequest {
        prefix: "88.118.80".to_owned(),
        ..from(1, false)
    };
    let mut stream = call!(api, changes.watch(request)).unwrap();
    let mut names = Vec::new();
    let mut steps = 0;
    while let Some(message) = stream.message().await.unwrap() {
        for change in &message.changes {
            match told(change) {
                Some((name, _)) => names.push(name),
                None => steps += 1,
            }
        }
    }
    assert_eq!(
        names,
        (0..5).map(|n| format!("88.118.80/{n}")).collect::<Vec<_>>()
    );
    assert_eq!(steps, 3, "applied for, taken up, approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_no_longer_keeps_is_said() {
    let world = World::new().await;
    world
        .operator
        .create("88.118.8/old", url("x"), "")
        .await
        .unwrap();
    let before = world.operator.log(1).await.unwrap().len() as u64;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    // It is trimmed when the node starts, and now and then.
    let world = world.restarted(&["--set", "store.log_retention_s=1"]).await;
    let api = &world.operator;
    let mut tries = 0;
    let status = loop {
        match api.log(1).await {
            Err(status) => break status,
            Ok(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        tries += 1;
        assert!(tries < 50, "the log is not trimmed");
    };
    refused::<()>(
        Err(status.clone()),
        Code::OutOfRange,
        "SEQUENCE_FORGOTTEN",
        "from_sequence",
    );
    let oldest = &status.get_details_error_info().unwrap().metadata["oldest_sequence"];
    let oldest: u64 = oldest.parse().unwrap();
    assert!((2..=before + 1).contains(&oldest), "{oldest} of {before}");
    let kept = api.log(oldest).await.unwrap();
    assert_eq!(
        kept.first().map_or(oldest, |change| change.sequence),
        oldest
    );
    // What was written is no less there.
    assert_eq!(api.get("88.118.8/old").await.unwrap().values.len(), 1);
    let next = api.create("88.118.8/new", url("x"), "").await.unwrap();
    assert_eq!(next.sequence, before + 1);
    assert_eq!(api.log(next.sequence).await.unwrap().len(), 1);
}
