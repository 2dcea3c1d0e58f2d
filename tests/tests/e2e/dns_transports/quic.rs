//! DNS over QUIC: error codes, streams that never end, silence.

use std::time::{Duration, Instant};

use quinn::{Connection, ConnectionError, ReadError, ReadToEndError, VarInt};
use tokio::runtime::Runtime;

use super::clients::{ask_quic, on_stream, quic, quic_offering};
use super::world::{HIT, TXT, World, answers, framed, query};

/// The code with which the node has closed a connection.
async fn closed_with(connection: &Connection) -> u64 {
    let closed = tokio::time::timeout(Duration::from_secs(20), connection.closed());
    match closed.await.expect("an end in time") {
        ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("{other}"),
    }
}

#[test]
fn violations_end_the_connection_with_doq_protocol_error() {
    let world = World::new();
    let good = query(0, HIT, TXT);
    let mut keepalive = good.clone();
    keepalive[11] = 1;
    keepalive.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]);
    let mut short = framed(&good);
    short.truncate(20);
    let frames = [
        ("an id", framed(&query(1, HIT, TXT))),
        ("two queries", [framed(&good), framed(&good)].concat()),
        ("less than is announced", short),
        ("nothing", Vec::new()),
        ("no length", good.clone()),
        ("edns-tcp-keepalive", framed(&keepalive)),
        ("too much", vec![0xff; 65_538]),
    ];
    Runtime::new().unwrap().block_on(async {
        for (what, frame) in frames {
            let (_endpoint, connection) = quic(&world).await;
            assert_eq!(answers(&ask_quic(&connection, &good).await), 3);
            let answer = on_stream(&connection, &frame).await;
            assert!(answer.is_err(), "{what}: {answer:?}");
            assert_eq!(closed_with(&connection).await, 2, "{what}");
        }
    });
    world.node.stop();
}

#[test]
fn a_stream_that_is_no_query_is_reset_and_the_connection_goes_on() {
    let world = World::with(&["dns.tcp_idle_s=2"]);
    let good = query(0, HIT, TXT);
    let mut response = good.clone();
    response[2] |= 0x80;
    Runtime::new().unwrap().block_on(async {
        let (_endpoint, connection) = quic(&world).await;
        let reset = |error| match error {
            ReadToEndError::Read(ReadError::Reset(code)) => code.into_inner(),
            other => panic!("{other}"),
        };
        let answer = on_stream(&connection, &framed(&response)).await;
        assert_eq!(answer.map_err(reset), Err(5), "DOQ_UNSPECIFIED_ERROR");
        assert_eq!(answers(&ask_quic(&connection, &good).await), 3);
        // A query that never ends; the connection itself is busy meanwhile.
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&framed(&good)[..9]).await.unwrap();
        let began = Instant::now();
        let end = receive.read_to_end(100);
        tokio::pin!(end);
        let error = loop {
            tokio::select! {
                ended = &mut end => break ended.unwrap_err(),
                () = tokio::time::sleep(Duration::from_millis(200)) => {
                    assert_eq!(answers(&ask_quic(&connection, &good).await), 3);
                }
            }
        };
        assert_eq!(reset(error), 5);
        let took = began.elapsed();
        assert!((1_900..6_000).contains(&took.as_millis()), "{took:?}");
        // Whoever takes a query back is told so.
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&[0]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        send.reset(VarInt::from_u32(3)).unwrap();
        assert_eq!(reset(receive.read_to_end(100).await.unwrap_err()), 3);
        assert_eq!(answers(&ask_quic(&connection, &good).await), 3);
    });
    assert_eq!(world.bound_hits("dns_unfinished_queries"), 1);
    world.node.stop();
}

#[test]
fn silence_and_other_protocols_end_it() {
    let world = World::with(&["dns.tcp_idle_s=1"]);
    Runtime::new().unwrap().block_on(async {
        let (_endpoint, connection) = quic(&world).await;
        let began = Instant::now();
        connection.closed().await;
        let took = began.elapsed();
        assert!((900..5_000).contains(&took.as_millis()), "{took:?}");

        let (_endpoint, connecting) = quic_offering(&world, "h3");
        let refused = connecting.await.unwrap_err().to_string();
        assert!(refused.contains("protocol"), "{refused}");

        // Streams of one direction have no use.
        let (_endpoint, connection) = quic(&world).await;
        let open = tokio::time::timeout(Duration::from_millis(200), connection.open_uni());
        assert!(open.await.is_err());
    });
    world.node.stop();
}
