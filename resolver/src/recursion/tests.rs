#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
//! The guards that need no network; the ways through real nodes are in the end-to-end tests.

use super::*;

fn recursion(upstream: &[&str], deny: &[&str]) -> Recursion {
    Recursion::new(RecursionOptions {
        upstream: upstream.iter().map(|it| it.parse().unwrap()).collect(),
        timeout: Duration::from_secs(1),
        max_in_flight: 4,
        capacity_bytes: 1 << 20,
        deny: deny.iter().map(|it| it.parse().unwrap()).collect(),
        own: vec!["192.0.2.1".parse().unwrap()],
        own_port: 2641,
    })
}

fn server(address: &str) -> Server {
    Server::on_both(address.parse().unwrap())
}

async fn ask(recursion: &Recursion, hops: u8) -> Outcome {
    let identifier = Identifier::parse("88.119.1/A").unwrap();
    recursion
        .resolve(&identifier, "88.119.1/A", Start::Upstream, hops)
        .await
}

#[tokio::test]
async fn nobody_is_asked_who_must_not_be() {
    let it = recursion(&["127.0.0.1:9"], &["127.0.0.0/8"]);
    assert!(it.may_ask(&server("127.0.0.1:9")), "the operator names it");
    assert!(!it.may_ask(&server("127.0.0.1:10")));
    assert!(!it.may_ask(&server("0.0.0.0:9")));
    assert!(!it.may_ask(&server("224.0.0.1:9")));
    assert!(it.may_ask(&server("192.0.2.7:2641")));
    assert_eq!(
        ask(&recursion(&[], &[]), 0).await.unwrap_err(),
        RecursionError::NoWay
    );
    let own = recursion(&["192.0.2.1:2641"], &[]);
    assert_eq!(ask(&own, 0).await.unwrap_err(), RecursionError::Circle);
    assert_eq!(
        ask(&own, MAX_HOPS).await.unwrap_err(),
        RecursionError::TooDeep
    );
}

#[tokio::test]
async fn what_is_under_way_is_bounded_and_forgotten() {
    let it = recursion(&[], &[]);
    for n in 0..100 {
        let identifier = Identifier::parse(&format!("88.119.1/{n}")).unwrap();
        let asked = it.resolve(&identifier, "x", Start::Upstream, 0).await;
        assert!(asked.is_err());
    }
    assert!(it.under_way.lock().is_empty());
    let _places = it.places.acquire_many(4).await.unwrap();
    assert_eq!(ask(&it, 0).await.unwrap_err(), RecursionError::Busy);
}
