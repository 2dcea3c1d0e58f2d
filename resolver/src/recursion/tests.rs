#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
//! The guards, and ways through services that say what a test wants; the ways through real nodes
//! are in the end-to-end tests.

mod services;
mod siblings;

use super::*;
use crate::cache::HotCache;
use idnode_proto::handle::{
    NodePorts, Reply, ReplyTo, Request, Server as SiteServer, Site, Transport, Version,
    decode_request,
};
use idnode_proto::value::{Value, types};
use idnode_registry::{Options, Registry};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::{TcpListener, UdpSocket};

const TIMEOUT: Duration = Duration::from_millis(1_200);
const HANDLE: &str = "88.119.1/A";

/// What asks others for a node with nothing registered.
#[derive(Clone)]
struct Asking {
    recursion: Arc<Recursion>,
    _dir: Arc<tempfile::TempDir>,
}

impl std::ops::Deref for Asking {
    type Target = Recursion;

    fn deref(&self) -> &Recursion {
        &self.recursion
    }
}

fn recursion(upstream: &[SocketAddr], deny: &[&str]) -> Asking {
    let dir = tempfile::tempdir().unwrap();
    Registry::create(dir.path()).unwrap();
    let cache = Arc::new(HotCache::new(1 << 20));
    let registry = Registry::open(dir.path(), &Options::default(), cache.clone()).unwrap();
    let core = Resolver::new(Arc::new(registry), cache, Vec::new());
    let options = RecursionOptions {
        upstream: upstream.to_vec(),
        timeout: TIMEOUT,
        max_in_flight: 8,
        capacity_bytes: 1 << 20,
        deny: deny.iter().map(|it| it.parse().unwrap()).collect(),
        own: vec!["192.0.2.1".parse().unwrap()],
        own_port: 2641,
        siblings: Arc::default(),
    };
    Asking {
        recursion: Arc::new(Recursion::new(options, core)),
        _dir: Arc::new(dir),
    }
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

async fn ask_for(recursion: &Recursion, handle: &str, hops: u8) -> Outcome {
    let identifier = Identifier::parse(handle).unwrap();
    recursion.resolve(&identifier, &Start::Upstream, hops).await
}

async fn ask(recursion: &Recursion, hops: u8) -> Outcome {
    ask_for(recursion, HANDLE, hops).await
}

fn is_found(outcome: &Outcome) -> bool {
    matches!(outcome, Ok(Answer::Found(_)))
}

/// What a service says to a request for a handle's values of these types.
type Script = dyn Fn(&ReplyTo, &str, &[&str]) -> Vec<u8> + Send + Sync;

/// A service, and the numbers of the requests it has had.
struct Service {
    address: SocketAddr,
    asked: Arc<Mutex<HashSet<u32>>>,
}

impl Service {
    /// How often it was asked; datagrams that are sent again ask nothing new.
    fn asked(&self) -> usize {
        self.asked.lock().len()
    }
}

async fn service(delay: Duration, script: Box<Script>) -> Service {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let (address, asked) = (socket.local_addr().unwrap(), Arc::default());
    let numbers: Arc<Mutex<HashSet<u32>>> = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let request = decode_request(&buffer[..length], Transport::Udp).unwrap();
            let Request::Resolve(wanted) = &request.request else {
                panic!("{request:?}");
            };
            numbers.lock().insert(request.reply_to.request_id);
            let answer = script(&request.reply_to, wanted.handle, &wanted.types);
            let socket = socket.clone();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                socket.send_to(&answer, from).await.unwrap();
            });
        }
    });
    Service { address, asked }
}

/// A service that takes requests over both transports and never answers.
async fn silent() -> (SocketAddr, (UdpSocket, TcpListener)) {
    // A port that is free for one may be another test's for the other.
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = udp.local_addr().unwrap();
        if let Ok(tcp) = TcpListener::bind(address).await {
            return (address, (udp, tcp));
        }
    }
}

fn values(to: &ReplyTo, handle: &str, values: &[Value]) -> Vec<u8> {
    let (mut encoded, mut out) = (Vec::new(), Vec::new());
    for value in values {
        value.encode(&mut encoded);
    }
    let count = values.len() as u32;
    let reply = Reply::new(to, 1, 0);
    reply
        .resolution(&mut out, handle, count, [&encoded[..]])
        .unwrap();
    out
}

fn url(to: &ReplyTo, handle: &str) -> Vec<u8> {
    values(
        to,
        handle,
        &[Value::new(1, types::URL, "https://there.example/")],
    )
}

fn error(to: &ReplyTo, code: ResponseCode) -> Vec<u8> {
    let mut out = Vec::new();
    Reply::new(to, 1, 0).error(&mut out, code, "").unwrap();
    out
}

fn referral(to: &ReplyTo, handle: &str, sites: &[Value]) -> Vec<u8> {
    let (mut encoded, mut out) = (Vec::new(), Vec::new());
    for site in sites {
        site.encode(&mut encoded);
    }
    let (code, count) = (ResponseCode::PREFIX_REFERRAL, sites.len() as u32);
    let reply = Reply::new(to, 1, 0);
    reply
        .referral(&mut out, code, handle, count, [&encoded[..]])
        .unwrap();
    out
}

fn site_data(address: SocketAddr) -> Vec<u8> {
    let ports = NodePorts {
        tcp: None,
        udp: Some(address.port()),
        ..NodePorts::default()
    };
    let server = SiteServer::of_node(1, address.ip(), Vec::new(), ports);
    Site::of_node(1, "test", server).encode()
}

fn site(address: SocketAddr) -> Value {
    Value::new(1, types::HS_SITE, site_data(address))
}

#[tokio::test]
async fn nobody_is_asked_who_must_not_be() {
    let server = |address| Server::on_both(at(address));
    let it = recursion(&[at("127.0.0.1:9")], &["127.0.0.0/8"]);
    assert!(it.may_ask(&server("127.0.0.1:9")), "the operator names it");
    assert!(!it.may_ask(&server("127.0.0.1:10")));
    assert!(!it.may_ask(&server("0.0.0.0:9")));
    assert!(!it.may_ask(&server("224.0.0.1:9")));
    assert!(it.may_ask(&server("192.0.2.7:2641")));
    assert_eq!(
        ask(&recursion(&[], &[]), 0).await.unwrap_err(),
        RecursionError::NoWay
    );
    let own = recursion(&[at("192.0.2.1:2641")], &[]);
    assert_eq!(ask(&own, 0).await.unwrap_err(), RecursionError::Circle);
    assert_eq!(
        ask(&own, MAX_HOPS).await.unwrap_err(),
        RecursionError::TooDeep
    );
}

#[tokio::test]
async fn a_silent_server_leaves_time_for_the_next_and_is_named() {
    let (address, _sockets) = silent().await;
    let alive = service(Duration::ZERO, Box::new(|to, handle, _| url(to, handle))).await;
    let it = recursion(&[address, alive.address], &[]);
    assert!(is_found(&ask(&it, 0).await));
    let it = recursion(&[address], &[]);
    let began = Instant::now();
    let silent = ask(&it, 0).await.unwrap_err();
    assert!(
        matches!(&silent, RecursionError::Unreachable { server, .. } if *server == address.ip()),
        "{silent}"
    );
    assert!(began.elapsed() < 2 * TIMEOUT);
}

#[tokio::test]
async fn servers_that_have_gone_leave_time_for_those_above() {
    let alive = service(Duration::ZERO, Box::new(|to, handle, _| url(to, handle))).await;
    let it = recursion(&[alive.address], &[]);
    let (address, _sockets) = silent().await;
    let prefix = Prefix::parse("88.119.1").unwrap();
    let known = [Server::on_both(address)].as_slice().into();
    it.kept.keep_servers(prefix.key(), known, 60);
    assert!(is_found(&ask(&it, 0).await));
}

#[tokio::test]
async fn spellings_of_one_identifier_do_not_stand_for_each_other() {
    let literal: Box<Script> = Box::new(|to, handle, _| match handle {
        HANDLE => url(to, handle),
        _ => error(to, ResponseCode::HANDLE_NOT_FOUND),
    });
    let it = recursion(&[service(Duration::ZERO, literal).await.address], &[]);
    let other_case = ask_for(&it, "88.119.1/a", 0).await;
    assert!(
        matches!(&other_case, Ok(Answer::Missing(Missing::Identifier))),
        "{other_case:?}"
    );
    let again = Identifier::parse("88.119.1/a").unwrap();
    assert!(it.kept(&again, &Start::Upstream).is_some());
    assert!(is_found(&ask_for(&it, "hdl:88.119.1/A", 0).await));
    assert!(is_found(&ask(&it, 0).await));
}

#[tokio::test]
async fn a_referral_to_a_handle_is_followed_at_whoever_names_it() {
    let there = service(Duration::ZERO, Box::new(|to, handle, _| url(to, handle))).await;
    let sites = site(there.address);
    let above: Box<Script> = Box::new(move |to, handle, wanted| match (handle, wanted) {
        (HANDLE, []) => {
            let version = Version::new(2, 3);
            referral(&ReplyTo { version, ..*to }, "0.NA/88.119.1", &[])
        }
        ("0.NA/88.119.1", [types::HS_SITE, types::HS_SERV]) => {
            values(to, handle, &[Value::new(1, types::HS_SERV, "88.1/service")])
        }
        ("88.1/service", [types::HS_SITE, types::HS_SERV]) => {
            values(to, handle, std::slice::from_ref(&sites))
        }
        _ => error(to, ResponseCode::HANDLE_NOT_FOUND),
    });
    let it = recursion(&[service(Duration::ZERO, above).await.address], &[]);
    let outcome = ask(&it, 0).await;
    assert!(is_found(&outcome), "{outcome:?}");
    // One that names nothing leads nowhere, and one that names itself comes to an end.
    let nothing = service(Duration::ZERO, Box::new(|to, _, _| referral(to, "", &[]))).await;
    let outcome = ask(&recursion(&[nothing.address], &[]), 0).await;
    assert_eq!(outcome.unwrap_err(), RecursionError::NoWay);
    let itself: Box<Script> = Box::new(|to, handle, wanted| match wanted {
        [] => referral(to, "88.1/service", &[]),
        _ => values(to, handle, &[Value::new(1, types::HS_SERV, "88.1/service")]),
    });
    let itself = service(Duration::ZERO, itself).await;
    let outcome = ask(&recursion(&[itself.address], &[]), 0).await;
    assert_eq!(outcome.unwrap_err(), RecursionError::Circle);
}

#[tokio::test]
async fn who_asks_the_same_at_the_same_time_is_answered_once_and_by_its_own_hops() {
    let delay = Duration::from_millis(100);
    let there = service(delay, Box::new(|to, handle, _| url(to, handle))).await;
    let sites = site(there.address);
    let refers: Box<Script> =
        Box::new(move |to, _, _| referral(to, "0.NA/88.119.1", std::slice::from_ref(&sites)));
    let above = service(delay, refers).await;
    let it = recursion(&[above.address], &[]);
    let (far, near) = tokio::join!(ask(&it, MAX_HOPS - 1), ask(&it, 0));
    assert_eq!(far.unwrap_err(), RecursionError::TooDeep);
    assert!(is_found(&near), "{near:?}");
    assert_eq!(it.under_way.count(), 0);
    let before = above.asked();
    let other = "88.119.2/A";
    let (one, two) = tokio::join!(ask_for(&it, other, 0), ask_for(&it, other, 0));
    assert!(is_found(&one) && is_found(&two));
    assert_eq!(above.asked(), before + 1);
}

#[tokio::test]
async fn what_is_under_way_is_bounded_and_forgotten() {
    let (address, _sockets) = silent().await;
    let it = recursion(&[address], &[]);
    // Two of eight places are one delegate's, whether they ask or wait for who asks.
    let start = |handle: &'static str| {
        let it = it.clone();
        tokio::spawn(async move { ask_for(&it, handle, 0).await })
    };
    let waiting = [start(HANDLE), start(HANDLE)];
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(it.under_way.count(), 1);
    assert_eq!(ask(&it, 0).await.unwrap_err(), RecursionError::Busy);
    let others = [
        "88.120/A", "88.120/B", "88.121/A", "88.121/B", "88.122/A", "88.122/B",
    ];
    let others = others.map(start);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let ninth = ask_for(&it, "88.123/A", 0).await;
    assert_eq!(ninth.unwrap_err(), RecursionError::Busy);
    // Who has gone leaves nothing behind.
    for task in waiting.into_iter().chain(others) {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    assert_eq!(it.under_way.count(), 0);
    let unreachable = ask(&it, 0).await.unwrap_err();
    assert!(matches!(unreachable, RecursionError::Unreachable { .. }));
}

#[tokio::test]
async fn what_a_former_delegate_has_answered_is_not_given_again() {
    let old = service(Duration::ZERO, Box::new(|to, handle, _| url(to, handle))).await;
    let missing: Box<Script> = Box::new(|to, _, _| error(to, ResponseCode::HANDLE_NOT_FOUND));
    let new = service(Duration::ZERO, missing).await;
    let it = recursion(&[], &[]);
    let identifier = Identifier::parse(HANDLE).unwrap();
    let (old, new) = (
        [Bytes::from(site_data(old.address))],
        [Bytes::from(site_data(new.address))],
    );
    assert!(is_found(
        &it.resolve(&identifier, &Start::Sites(&old), 0).await
    ));
    assert!(it.kept(&identifier, &Start::Sites(&old)).is_some());
    assert!(it.kept(&identifier, &Start::Sites(&new)).is_none());
    assert!(it.kept(&identifier, &Start::Upstream).is_none());
    let outcome = it.resolve(&identifier, &Start::Sites(&new), 0).await;
    assert!(
        matches!(outcome, Ok(Answer::Missing(Missing::Identifier))),
        "{outcome:?}"
    );
}
