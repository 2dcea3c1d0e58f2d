//! What is particular to TCP.

use super::harness::*;
use crate::front::handle::{HandleOptions, HandleSockets};
use idnode_proto::handle::*;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

fn numbered(request_id: u32, handle: &str) -> Vec<u8> {
    RequestHead::new(request_id)
        .resolve(handle, &[], &[])
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_their_order() {
    let node = Node::start().await;
    // From the disk, from memory, missing, malformed, long: all in one write.
    let handle = |number: u32| match number % 10 {
        3 => "88.118.8/nothing".to_owned(),
        5 => "12345".to_owned(),
        7 if number == 57 => "88.118.8/big".to_owned(),
        _ => format!("88.118.8/n{}", number % 50),
    };
    let requests: Vec<u8> = (0..100)
        .flat_map(|number| numbered(number ^ 0x55, &handle(number)))
        .collect();
    let mut client = node.tcp().await;
    for round in 0..2 {
        client.send(&requests).await;
        for number in 0..100 {
            let response = Response::decode(&client.receive().await.unwrap()).unwrap();
            assert_eq!(response.envelope.request_id, number ^ 0x55, "round {round}");
            let expected = match number % 10 {
                3 => 100,
                5 => 102,
                _ => 1,
            };
            assert_eq!(response.code.0, expected, "{number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_may_come_byte_by_byte() {
    let node = Node::start().await;
    let mut client = node.tcp().await;
    client.stream.set_nodelay(true).unwrap();
    for byte in numbered(9, HANDLE) {
        client.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    let response = Response::decode(&client.receive().await.unwrap()).unwrap();
    assert_eq!((response.envelope.request_id, response.code.0), (9, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_and_dripping_connections_are_closed_and_busy_ones_are_not() {
    let idle = Duration::from_millis(400);
    let node = Node::with(HandleOptions {
        tcp_idle: idle,
        ..HandleOptions::default()
    })
    .await;
    let (mut silent, mut half, mut dripping) =
        (node.tcp().await, node.tcp().await, node.tcp().await);
    let mut busy = node.tcp().await;
    let request = numbered(9, HANDLE);
    half.send(&request[..30]).await;
    let began = Instant::now();
    let mut dripped = 0;
    // The server's reset may be seen as a failed write or as the end of the stream.
    while let Ok(()) = dripping
        .stream
        .try_write(&request[dripped..dripped + 1])
        .map(|_| ())
    {
        dripped += 1;
        assert_eq!(busy.ask(&request).await.code, ResponseCode::SUCCESS);
        tokio::time::sleep(Duration::from_millis(50)).await;
        if began.elapsed() > 3 * idle {
            break;
        }
    }
    assert!(dripped < request.len());
    assert_eq!(dripping.receive().await, None);
    assert_eq!(silent.receive().await, None);
    assert_eq!(half.receive().await, None);
    assert_eq!(busy.ask(&request).await.code, ResponseCode::SUCCESS);
    assert!(began.elapsed() < PATIENCE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_gets_its_code_and_the_connection_is_closed() {
    let node = Node::start().await;
    let mut too_long = numbered(9, HANDLE);
    too_long[16..20].copy_from_slice(&262_145u32.to_be_bytes());
    for (bytes, code) in [
        (&b"GET / HTTP/1.1\r\nHost: example.cn\r\n\r\n"[..], 4),
        (&too_long, 2),
    ] {
        let mut client = node.tcp().await;
        // What came before is answered first.
        client.send(&[&numbered(8, HANDLE), bytes].concat()).await;
        let response = Response::decode(&client.receive().await.unwrap()).unwrap();
        assert_eq!((response.envelope.request_id, response.code.0), (8, 1));
        let response = Response::decode(&client.receive().await.unwrap()).unwrap();
        assert_eq!(response.code.0, code);
        assert_eq!(client.receive().await, None);
    }
    // An answer is never answered.
    let mut client = node.tcp().await;
    let answer = {
        client.send(&numbered(8, HANDLE)).await;
        client.receive().await.unwrap()
    };
    client.send(&answer).await;
    assert_eq!(client.receive().await, None);
    // A message that is cut right and wrong inside does not end the connection.
    let mut client = node.tcp().await;
    let mut wrong_body = numbered(9, HANDLE);
    wrong_body[44] = 0xff;
    assert_eq!(client.ask(&wrong_body).await.code, ResponseCode::ERROR);
    assert_eq!(
        client.ask(&numbered(10, HANDLE)).await.code,
        ResponseCode::SUCCESS
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_above_the_bound_are_told_so() {
    let node = Node::with(HandleOptions {
        max_tcp_connections: 2,
        ..HandleOptions::default()
    })
    .await;
    let (mut first, mut second) = (node.tcp().await, node.tcp().await);
    let request = numbered(9, HANDLE);
    assert_eq!(first.ask(&request).await.code, ResponseCode::SUCCESS);
    assert_eq!(second.ask(&request).await.code, ResponseCode::SUCCESS);
    let mut third = node.tcp().await;
    let refused = third.ask(&request).await;
    assert_eq!(
        (refused.code, refused.envelope.request_id),
        (ResponseCode::BUSY, 9)
    );
    assert_eq!(third.receive().await, None);
    drop(first);
    let began = Instant::now();
    while node.tcp().await.ask(&request).await.code != ResponseCode::SUCCESS {
        assert!(began.elapsed() < PATIENCE, "the place is not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(second.ask(&request).await.code, ResponseCode::SUCCESS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_given_up() {
    let tcp_write = Duration::from_millis(300);
    let node = Node::with(HandleOptions {
        tcp_write,
        ..HandleOptions::default()
    })
    .await;
    let mut client = node.tcp().await;
    let requests = numbered(9, "88.118.8/big").repeat(200);
    client.send(&requests).await;
    tokio::time::sleep(4 * tcp_write).await;
    let mut received = 0;
    let mut buffer = vec![0; 1 << 20];
    while let Ok(length @ 1..) = client.stream.read(&mut buffer).await {
        received += length;
    }
    assert!(received < 200 * 2048 * BIG_DATA, "{received} bytes came");
    assert_eq!(
        node.tcp().await.ask(&numbered(1, HANDLE)).await.code,
        ResponseCode::SUCCESS
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_front_stops_with_connections_open() {
    let node = Node::start().await;
    let mut idle = node.tcp().await;
    assert_eq!(
        idle.ask(&numbered(1, HANDLE)).await.code,
        ResponseCode::SUCCESS
    );
    node.shutdown.cancel();
    tokio::time::timeout(PATIENCE, node.serving)
        .await
        .expect("in time")
        .unwrap();
    assert_eq!(idle.receive().await, None);
    assert!(tokio::net::TcpStream::connect(node.addr).await.is_err());
    assert!(
        std::net::UdpSocket::bind(node.addr).is_ok(),
        "the UDP port is free"
    );
}

#[tokio::test]
async fn a_port_that_another_node_serves_is_refused() {
    let first = HandleSockets::bind((Ipv4Addr::LOCALHOST, 0).into(), 2).unwrap();
    let port = first.local_addr().port();
    let again = HandleSockets::bind((Ipv4Addr::LOCALHOST, port).into(), 2);
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    drop(first);
    let shared = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let again = HandleSockets::bind((Ipv4Addr::LOCALHOST, port).into(), 2);
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    drop(shared);
    assert!(HandleSockets::bind((Ipv4Addr::LOCALHOST, port).into(), 2).is_ok());
}
