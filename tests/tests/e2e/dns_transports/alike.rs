//! The same answers whatever carries them, and many queries at once on one connection.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use idnode_tests::api::{Api, value};
use idnode_tests::run::success;
use tokio::runtime::Runtime;

use super::clients::{self, Wire, ask_quic, base64url, https, post, quic, tcp, tls};
use super::world::{
    A, BIG, HIT, HOST, MISS, TXT, URI, World, answers, framed, hashed, id, metric, query,
};

/// A datagram's answer.
fn udp(world: &World, query: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket.connect(world.node.at.dns).unwrap();
    socket.send(query).unwrap();
    let mut buffer = [0; 65_535];
    let length = socket.recv(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

/// The DNS name of an identifier.
fn name_of(world: &World, identifier: &str) -> String {
    let mut command = world.node.idctl(None).command();
    let name = success(command.args(["dns-name", identifier]));
    name.trim().to_owned()
}

#[test]
fn every_transport_gives_the_bytes_that_udp_does() {
    let world = World::new();
    let runtime = Runtime::new().unwrap();
    let (_endpoint, quic) = runtime.block_on(quic(&world));
    let (mut tcp, mut tls) = (tcp(world.node.at.dns), tls(&world));
    let hashed = name_of(&world, &hashed());
    for (name, qtype, count) in [
        (HIT, TXT, 3),
        (HIT, URI, 1),
        (HIT, A, 0),
        (MISS, TXT, 0),
        (&hashed, URI, 1),
        ("id.example", 6, 1),
        ("elsewhere.test", TXT, 0),
    ] {
        let query = query(0, name, qtype);
        let datagram = udp(&world, &query);
        assert_eq!(answers(&datagram), count, "{name} {qtype}");
        // Beside others, connections alone are told what a hashed name stands for.
        let expected = match name == hashed {
            true => tcp.ask(&query).unwrap(),
            false => datagram,
        };
        assert_eq!(answers(&expected), count, "{name} {qtype}");
        assert_eq!(tcp.ask(&query).unwrap(), expected, "TCP: {name} {qtype}");
        assert_eq!(tls.ask(&query).unwrap(), expected, "TLS: {name} {qtype}");
        let target = format!("/dns-query?dns={}", base64url(&query));
        for version in ["--http2", "--http1.1"] {
            let got = https(&world, &target, &[version]);
            assert_eq!(got.status, 200, "{}", got.head);
            assert_eq!(got.body, expected, "GET {version}: {name} {qtype}");
            let got = post(&world, &query, &[version]);
            assert_eq!(got.body, expected, "POST {version}: {name} {qtype}");
        }
        let got = runtime.block_on(ask_quic(&quic, &query));
        assert_eq!(got, expected, "QUIC: {name} {qtype}");
    }
    world.node.stop();
}

#[test]
fn what_udp_truncates_is_whole_everywhere_else() {
    let world = World::new();
    let query = query(0, BIG, TXT);
    let truncated = udp(&world, &query);
    assert_eq!((truncated[2] & 2, answers(&truncated)), (2, 0), "TC");
    let expected = tcp(world.node.at.dns).ask(&query).unwrap();
    assert_eq!(answers(&expected), 401);
    assert!(expected.len() > 30_000, "{}", expected.len());
    assert_eq!(tls(&world).ask(&query).unwrap(), expected);
    assert_eq!(post(&world, &query, &["--http2"]).body, expected);
    let got = Runtime::new().unwrap().block_on(async {
        let (_endpoint, connection) = quic(&world).await;
        ask_quic(&connection, &query).await
    });
    assert_eq!(got, expected);
    world.node.stop();
}

/// What `kdig` prints of an answer, having checked the certificate.
fn kdig(world: &World, transport: &[&str], name: &str, qtype: &str) -> Vec<String> {
    let at = match transport.first() {
        Some(&"+tls") => world.node.at.dot.unwrap(),
        Some(_) => world.node.at.doh.unwrap(),
        None => world.node.at.dns,
    };
    let mut command = Command::new("kdig");
    command
        .arg("@127.0.0.1")
        .args(["-p", &at.port().to_string()])
        .args(transport);
    if !transport.is_empty() {
        command
            .arg(format!("+tls-ca={}", world.files.authority.display()))
            .arg(format!("+tls-hostname={HOST}"));
    }
    command.args([
        "+short",
        "+norecurse",
        "+retry=0",
        "+timeout=10",
        name,
        qtype,
    ]);
    let mut lines: Vec<String> = success(&mut command).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn kdig_gets_the_same_over_tls_and_https() {
    let world = World::new();
    for (name, qtype) in [
        (HIT, "TXT"),
        (HIT, "URI"),
        (HIT, "NAPTR"),
        ("id.example", "SOA"),
    ] {
        let expected = kdig(&world, &[], name, qtype);
        assert!(!expected.is_empty(), "{name} {qtype}");
        for transport in [&["+tls"][..], &["+https"], &["+https", "+https-get"]] {
            assert_eq!(
                kdig(&world, transport, name, qtype),
                expected,
                "{transport:?}"
            );
        }
    }
    world.node.stop();
}

/// Many queries in one write: each is answered once, by its id.
fn pipelined<S: Read + Write>(wire: &mut Wire<S>, count: u16) {
    let queries: Vec<u8> = (0..count)
        .flat_map(|id| {
            framed(&query(
                id,
                if id.is_multiple_of(2) { HIT } else { MISS },
                TXT,
            ))
        })
        .collect();
    wire.send(&queries);
    let mut seen = BTreeSet::new();
    for _ in 0..count {
        let answer = wire.receive().unwrap();
        let id = id(&answer);
        assert_eq!(
            answers(&answer),
            if id.is_multiple_of(2) { 3 } else { 0 },
            "{id}"
        );
        assert!(seen.insert(id), "{id} is answered twice");
    }
    assert_eq!(seen.len(), usize::from(count));
}

#[test]
fn a_connection_carries_many_queries_at_once() {
    let world = World::new();
    pipelined(&mut tcp(world.node.at.dns), 1_000);
    pipelined(&mut tls(&world), 1_000);
    Runtime::new().unwrap().block_on(async {
        let (_endpoint, connection) = quic(&world).await;
        let query = query(0, HIT, TXT);
        let asked = (0..500).map(|_| {
            let (connection, query) = (connection.clone(), query.clone());
            tokio::spawn(async move { ask_quic(&connection, &query).await })
        });
        for answer in asked.collect::<Vec<_>>() {
            assert_eq!(answers(&answer.await.unwrap()), 3);
        }
    });
    world.node.stop();
}

/// The first query waits for the store, the second is known: its answer comes first.
#[test]
fn a_query_that_waits_does_not_hold_up_the_next() {
    let world = World::new();
    let slow = query(1, &name_of(&world, &hashed()), URI);
    let quick = query(2, HIT, TXT);
    let mut tcp = tcp(world.node.at.dns);
    // Known from now on.
    tcp.ask(&quick).unwrap();
    tcp.send(&[framed(&slow), framed(&quick)].concat());
    let order = [id(&tcp.receive().unwrap()), id(&tcp.receive().unwrap())];
    assert_eq!(order, [2, 1]);
    world.node.stop();
}

/// More queries than may wait at once: the connection is not read from meanwhile, and none of
/// them is lost.
#[test]
fn queries_of_a_connection_that_wait_are_bounded() {
    let world = World::with(&["dns.max_queries_per_connection=2"]);
    let name = name_of(&world, &hashed());
    let mut wire = clients::tls(&world);
    let queries: Vec<u8> = (0..200)
        .flat_map(|id| framed(&query(id, &name, URI)))
        .collect();
    wire.send(&queries);
    let ids: BTreeSet<u16> = (0..200)
        .map(|_| {
            let answer = wire.receive().unwrap();
            assert_eq!(answers(&answer), 1);
            id(&answer)
        })
        .collect();
    assert_eq!(ids.len(), 200);
    assert!(world.bound_hits("dns_connection_queries") > 0);
    world.node.stop();
}

/// Answers are kept as bytes, and given again only as long as they are true.
#[test]
fn what_is_kept_for_connections_is_never_stale() {
    let world = World::new();
    let runtime = Runtime::new().unwrap();
    let token = world.dir.token();
    let api = runtime.block_on(Api::connect(&world.node.url(), Some(&token)));
    let api = api.unwrap();
    let (mut tcp, mut tls) = (tcp(world.node.at.dns), tls(&world));
    let ask = query(0, HIT, TXT);
    for round in 0..50 {
        let text = format!("https://example.cn/{round}");
        let values = vec![value(1, "URL", &text)];
        let written = runtime.block_on(api.replace("88.118.8/one", values, ""));
        written.unwrap();
        for _ in 0..3 {
            for answer in [tcp.ask(&ask).unwrap(), tls.ask(&ask).unwrap()] {
                let says = answer
                    .windows(text.len())
                    .any(|part| part == text.as_bytes());
                assert!(says && answers(&answer) == 2, "{round}");
            }
        }
    }
    let kept = metric(&world.node, "idnode_dns_kept_answers_total");
    assert!(kept >= 100, "{kept} of 300");
    world.node.stop();
}

/// Bytes arrive as the network likes: queries come apart and together.
#[test]
fn queries_may_come_in_any_pieces() {
    let world = World::new();
    let mut tcp = tcp(world.node.at.dns);
    let bytes: Vec<u8> = (0..20)
        .flat_map(|id| framed(&query(id, HIT, TXT)))
        .collect();
    for piece in bytes.chunks(7) {
        tcp.send(piece);
        std::thread::sleep(Duration::from_millis(1));
    }
    for id_expected in 0..20 {
        assert_eq!(id(&tcp.receive().unwrap()), id_expected);
    }
    // Nothing, and what is no query, draw no answer and do no harm.
    let mut response = query(7, HIT, TXT);
    response[2] |= 0x80;
    let mut broken = query(8, HIT, TXT);
    broken.truncate(20);
    tcp.send(
        &[
            framed(&[]),
            framed(&[1, 2, 3]),
            framed(&response),
            framed(&broken),
        ]
        .concat(),
    );
    let answer = tcp.receive().unwrap();
    assert_eq!((id(&answer), answer[3] & 15), (8, 1), "FORMERR");
    world.node.stop();
}
