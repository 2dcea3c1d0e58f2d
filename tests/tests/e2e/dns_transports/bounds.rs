//! Bounds: connections, silence, queries that never end, clients that do not read.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use idnode_tests::run::{output, until};
use tokio::runtime::Runtime;

use super::clients::{self, Wire, quic, quic_offering, tcp, try_tls};
use super::world::{BIG, HIT, TXT, World, answers, framed, query};

/// How long the node lets a connection be that does nothing more.
fn lasts<S: Read>(wire: &mut Wire<S>) -> Duration {
    let began = Instant::now();
    let mut byte = [0];
    match wire.stream.read(&mut byte) {
        Ok(0) => {}
        Err(error) if error.kind() != ErrorKind::WouldBlock => {}
        other => panic!("{other:?} after {:?}", began.elapsed()),
    }
    began.elapsed()
}

fn assert_about(took: Duration, expected: Duration, what: &str) {
    let most = expected + Duration::from_secs(4);
    assert!(
        took + Duration::from_millis(200) >= expected && took < most,
        "{what}: {took:?}"
    );
}

#[test]
fn silent_and_half_sent_connections_end_after_the_idle_time() {
    let world = World::with(&["dns.tcp_idle_s=2"]);
    let idle = Duration::from_secs(2);
    let half = &framed(&query(1, HIT, TXT))[..9];
    let at = world.node.at;
    let mut silent = tcp(at.dns);
    let mut halfway = tcp(at.dns);
    halfway.send(half);
    let mut tls_halfway = clients::tls(&world);
    tls_halfway.send(half);
    let tls_silent = try_tls(at.dot.unwrap(), &world.files.authority, &["dot"], false);
    let http_silent = try_tls(at.doh.unwrap(), &world.files.authority, &["h2"], false);
    assert_about(lasts(&mut silent), idle, "silent");
    for (mut wire, what) in [
        (tls_halfway, "TLS, half sent"),
        (tls_silent.unwrap(), "TLS, silent"),
    ] {
        assert!(lasts(&mut wire) < Duration::from_secs(6), "{what}");
    }
    assert!(lasts(&mut halfway) < Duration::from_secs(6), "half sent");
    // HTTP/2 says hello and goodbye.
    let (began, mut bytes) = (Instant::now(), Vec::new());
    let _ = http_silent.unwrap().stream.read_to_end(&mut bytes);
    assert!(began.elapsed() < Duration::from_secs(6), "HTTPS, silent");
    assert_eq!(world.bound_hits("dns_unfinished_queries"), 2);

    // Whoever goes on asking is no idler, however slowly.
    let mut busy = tcp(at.dns);
    let began = Instant::now();
    while began.elapsed() < 3 * idle {
        assert!(busy.ask(&query(1, HIT, TXT)).is_some());
        std::thread::sleep(Duration::from_millis(1_200));
    }
    // Nor does a byte now and then make a query.
    let mut trickle = tcp(at.dns);
    let mut sent = 0;
    let began = Instant::now();
    for byte in framed(&query(1, HIT, TXT)) {
        if trickle.stream.write_all(&[byte]).is_err() {
            break;
        }
        sent += 1;
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(sent < 20, "{sent} bytes in {:?}", began.elapsed());
    world.node.stop();
}

#[test]
fn handshakes_have_a_deadline() {
    let world = World::new();
    let at = world.node.at;
    let deadline = Duration::from_secs(5);
    let mut dot = tcp(at.dot.unwrap());
    let mut doh = tcp(at.doh.unwrap());
    // The beginning of a TLS record and no more.
    doh.send(&[22, 3, 1, 2, 0, 1]);
    assert_about(lasts(&mut dot), deadline, "TLS");
    assert!(lasts(&mut doh) < deadline, "HTTPS");
    assert_eq!(world.bound_hits("dns_tls_handshakes"), 1);
    assert_eq!(world.bound_hits("dns_https_handshakes"), 1);
    // What is no TLS at all ends at once.
    let mut plain = tcp(at.dot.unwrap());
    plain.send(&framed(&query(1, HIT, TXT)));
    let began = Instant::now();
    let _ = plain.stream.read_to_end(&mut Vec::new());
    assert!(began.elapsed() < Duration::from_secs(2));
    world.node.stop();
}

/// Asks for large answers and reads none, until the node has had enough.
fn gluttonous<S: Read + Write>(wire: &mut Wire<S>, until_over: impl Fn() -> bool) {
    let queries: Vec<u8> = (0..200)
        .flat_map(|id| framed(&query(id, BIG, TXT)))
        .collect();
    wire.send(&queries);
    until("a client that does not read is cut off", until_over);
    let mut rest = Vec::new();
    let _ = wire.stream.read_to_end(&mut rest);
    assert!(rest.len() < 200 * 30_000, "{} bytes", rest.len());
}

#[test]
fn clients_that_do_not_read_are_cut_off() {
    let world = World::with(&["dns.tcp_idle_s=1"]);
    let unread = |count| world.bound_hits("dns_unread_answers") == count;
    gluttonous(&mut tcp(world.node.at.dns), || unread(1));
    gluttonous(&mut clients::tls(&world), || unread(2));
    world.node.stop();
}

fn is_refused(addr: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    !matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn connections_of_each_transport_are_bounded() {
    let world = World::with(&["dns.max_tcp_connections=2", "dns.tcp_idle_s=60"]);
    let at = world.node.at;
    let ask = query(0, HIT, TXT);
    let mut open: Vec<_> = (0..2).map(|_| tcp(at.dns)).collect();
    assert!(open.iter_mut().all(|wire| wire.ask(&ask).is_some()));
    assert!(is_refused(at.dns));
    let mut encrypted: Vec<_> = (0..2).map(|_| clients::tls(&world)).collect();
    assert!(encrypted.iter_mut().all(|wire| wire.ask(&ask).is_some()));
    assert!(is_refused(at.dot.unwrap()));
    let http = |_| try_tls(at.doh.unwrap(), &world.files.authority, &["h2"], false).unwrap();
    let held: Vec<_> = (0..2).map(http).collect();
    assert!(is_refused(at.doh.unwrap()));
    drop(held);
    Runtime::new().unwrap().block_on(async {
        let (_first_end, first) = quic(&world).await;
        let (_second_end, second) = quic(&world).await;
        let (_third_end, third) = quic_offering(&world, "doq");
        assert!(third.await.is_err());
        for connection in [first, second] {
            assert_eq!(answers(&clients::ask_quic(&connection, &ask).await), 3);
        }
    });
    for transport in ["tcp", "tls", "https", "quic"] {
        let bound = format!("dns_{transport}_connections");
        assert_eq!(world.bound_hits(&bound), 1, "{bound}");
    }
    // Room again.
    drop(open);
    until("room for another connection", || {
        tcp(at.dns).ask(&ask).is_some()
    });
    let again = || try_tls(at.doh.unwrap(), &world.files.authority, &["h2"], false).is_ok();
    until("room for another request", again);
    world.node.stop();
}

#[test]
fn connections_of_one_client_are_bounded_over_all_transports_together() {
    let world = World::with(&["dns.max_connections_per_client=3", "dns.tcp_idle_s=60"]);
    let at = world.node.at;
    let ask = query(0, HIT, TXT);
    let mut plain: Vec<_> = (0..2).map(|_| tcp(at.dns)).collect();
    assert!(plain.iter_mut().all(|wire| wire.ask(&ask).is_some()));
    let mut tls = clients::tls(&world);
    assert!(tls.ask(&ask).is_some());
    for at in [at.dns, at.dot.unwrap(), at.doh.unwrap()] {
        assert!(is_refused(at), "{at}");
    }
    Runtime::new().unwrap().block_on(async {
        let (_end, connecting) = quic_offering(&world, "doq");
        assert!(connecting.await.is_err(), "QUIC");
    });
    assert_eq!(world.bound_hits("dns_client_connections"), 4);
    // Another client is another.
    let dig = |source: &str| {
        let port = at.dns.port().to_string();
        let asked = ["-b", source, "@127.0.0.1", "-p", &port, "+tcp", "+tries=1"];
        output(Command::new("dig").args(asked).args([HIT, "TXT"]))
    };
    assert!(dig("127.0.0.2").status.success());
    assert!(!dig("127.0.0.1").status.success());
    // Room again, for any transport.
    drop(plain);
    until("room for another connection", || {
        tcp(at.dns).ask(&ask).is_some()
    });
    drop(tls);
    // The node has to see that they have ended.
    std::thread::sleep(Duration::from_secs(1));
    Runtime::new().unwrap().block_on(async {
        let mut held = Vec::new();
        for _ in 0..3 {
            let (end, connection) = quic(&world).await;
            assert_eq!(answers(&clients::ask_quic(&connection, &ask).await), 3);
            held.push((end, connection));
        }
        let (_end, connecting) = quic_offering(&world, "doq");
        assert!(connecting.await.is_err(), "a fourth over QUIC");
    });
    for bound in ["tcp", "tls", "https", "quic"] {
        assert_eq!(world.bound_hits(&format!("dns_{bound}_connections")), 0);
    }
    world.node.stop();
}
