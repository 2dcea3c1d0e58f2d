//! What had been asked is answered when the node stops, and clients are told that it does.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use quinn::ConnectionError;
use tokio::runtime::Runtime;

use super::clients::{self, Wire, ask_quic, quic, tcp};
use super::world::{HIT, TXT, World, framed, id, query};

/// Queries that are sent before the node is told to stop.
const COUNT: u16 = 400;

/// Sends many queries, tells the node to stop after the first answer, and counts the others.
fn asked_in_time<S: Read + Write>(world: World, wire: &mut Wire<S>) {
    let queries: Vec<u8> = (0..COUNT)
        .flat_map(|id| framed(&query(id, HIT, TXT)))
        .collect();
    wire.send(&queries);
    assert_eq!(id(&wire.receive().unwrap()), 0);
    world.node.terminate();
    for expected in 1..COUNT {
        assert_eq!(wire.receive().map(|answer| id(&answer)), Some(expected));
    }
    assert_eq!(wire.receive(), None, "and then the end");
    stops_soon(world);
}

fn stops_soon(mut world: World) {
    let began = Instant::now();
    assert!(world.node.wait().success());
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn tcp_answers_what_had_been_asked() {
    let world = World::new();
    let mut wire = tcp(world.node.at.dns);
    asked_in_time(world, &mut wire);
}

#[test]
fn tls_answers_what_had_been_asked() {
    let world = World::new();
    let mut wire = clients::tls(&world);
    asked_in_time(world, &mut wire);
}

#[test]
fn quic_closes_without_an_error() {
    let world = World::new();
    let runtime = Runtime::new().unwrap();
    let (_endpoint, connection) = runtime.block_on(quic(&world));
    runtime.block_on(ask_quic(&connection, &query(0, HIT, TXT)));
    world.node.terminate();
    match runtime.block_on(connection.closed()) {
        ConnectionError::ApplicationClosed(close) => {
            assert_eq!(close.error_code.into_inner(), 0, "DOQ_NO_ERROR");
        }
        other => panic!("{other}"),
    }
    stops_soon(world);
}

/// The client's side of HTTP/2 by hand: its preface and settings, then whatever the node says.
#[test]
fn http2_says_goaway() {
    let world = World::new();
    let at = world.node.at.doh.unwrap();
    let mut wire = clients::try_tls(at, &world.files.authority, &["h2"], false).unwrap();
    wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    let mut settings = [0; 9];
    wire.stream.read_exact(&mut settings).unwrap();
    assert_eq!(settings[3], 4, "SETTINGS");
    world.node.terminate();
    let mut rest = Vec::new();
    let _ = wire.stream.read_to_end(&mut rest);
    let goaway = rest.windows(2).any(|two| two == [7, 0]);
    assert!(goaway, "no GOAWAY frame in {rest:?}");
    stops_soon(world);
}
