//! What is particular to UDP.

use super::harness::*;
use crate::front::handle::HandleOptions;
use idnode_proto::handle::*;
use std::time::Duration;

/// Envelope, header, digest, length of the text, the longest text, no credential.
const LONGEST_ERROR: usize = 20 + 24 + 33 + 4 + 380 + 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_answers_and_long_requests_come_in_pieces() {
    let node = Node::start().await;
    let client = node.udp().await;
    // Once from the disk, then from memory.
    for _ in 0..3 {
        client.send(&resolution("88.118.8/big")).await;
        let (message, pieces) = client.receive().await;
        assert_eq!(pieces, (message.len() - 20).div_ceil(492));
        assert!(pieces > 400, "{pieces}");
        let response = Response::decode(&message).unwrap();
        assert_eq!(response.values().len(), 2048);
        assert!(
            response
                .values()
                .iter()
                .all(|value| value.data.len() == BIG_DATA)
        );
    }
    client.send(&resolution(&longest_handle())).await;
    let (message, pieces) = client.receive().await;
    assert_eq!(pieces, 5);
    assert_eq!(
        Response::decode(&message).unwrap().handle(),
        Some(longest_handle().as_str())
    );
    // Pieces may come in any order, and twice.
    let request = resolution(&longest_handle());
    let mut pieces: Vec<Vec<u8>> = datagrams(&request)
        .map(|piece| {
            let mut datagram = Vec::new();
            piece.encode(&mut datagram);
            datagram
        })
        .collect();
    pieces.reverse();
    pieces.insert(1, pieces[0].clone());
    for piece in pieces {
        client.socket.send(&piece).await.unwrap();
    }
    let (message, _) = client.receive().await;
    assert_eq!(
        Response::decode(&message).unwrap().code,
        ResponseCode::SUCCESS
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_gets_a_short_answer_and_answers_get_none() {
    let node = Node::start().await;
    let client = node.udp().await;
    for junk in [
        &b""[..],
        b"x",
        b"nineteen bytes long",
        &[0xff; 20],
        &[2, 11, 0, 0],
    ] {
        client.socket.send(junk).await.unwrap();
        let mut buffer = [0; 1024];
        if junk == [0xff; 20] {
            // It announces more than any message has.
            client.silent().await;
            continue;
        }
        let length = client.socket.recv(&mut buffer).await.unwrap();
        assert!(length <= 52 + 120, "{length}");
        let response = Response::decode(&buffer[..length]).unwrap();
        assert_eq!(response.code, ResponseCode::PROTOCOL_ERROR, "{junk:?}");
    }
    client.send(&resolution(HANDLE)).await;
    let (answer, _) = client.receive().await;
    client.send(&answer).await;
    client.silent().await;
    assert_eq!(
        client.ask(&resolution(HANDLE)).await.code,
        ResponseCode::SUCCESS
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_task_is_refused_when_there_are_enough() {
    let node = Node::with(HandleOptions {
        max_udp_in_flight: 0,
        ..HandleOptions::default()
    })
    .await;
    let client = node.udp().await;
    // On the disk only.
    let refused = client.ask(&resolution(HANDLE)).await;
    assert_eq!(
        (refused.code, refused.envelope.request_id),
        (ResponseCode::BUSY, 1)
    );
    // A connection that asks twice brings it to memory, where it needs no task.
    for _ in 0..2 {
        assert_eq!(
            node.tcp().await.ask(&resolution(HANDLE)).await.code,
            ResponseCode::SUCCESS
        );
    }
    assert_eq!(
        client.ask(&resolution(HANDLE)).await.code,
        ResponseCode::SUCCESS
    );
    // A long answer needs one even then.
    let big = resolution("88.118.8/big");
    assert_eq!(node.tcp().await.ask(&big).await.code, ResponseCode::SUCCESS);
    assert_eq!(client.ask(&big).await.code, ResponseCode::BUSY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_requests_are_not_answered_in_place_however_they_come() {
    let node = Node::with(HandleOptions {
        max_udp_in_flight: 0,
        ..HandleOptions::default()
    })
    .await;
    for _ in 0..2 {
        let asked = node.tcp().await.ask(&resolution(HANDLE)).await;
        assert_eq!(asked.code, ResponseCode::SUCCESS, "it is in memory now");
    }
    let client = node.udp().await;
    let types: Vec<_> = (0..100).map(|number| format!("T{number}")).collect();
    let types: Vec<_> = types.iter().map(String::as_str).collect();
    let long = RequestHead::new(1).resolve(HANDLE, &[1], &types).unwrap();
    assert!(long.len() > MAX_DATAGRAM_LEN);
    // Whole in one datagram, whose parts the network puts together.
    client.socket.send(&long).await.unwrap();
    let response = Response::decode(&client.receive().await.0).unwrap();
    assert_eq!(response.code, ResponseCode::BUSY);
    let in_pieces = client.ask(&long).await;
    assert_eq!(in_pieces.code, ResponseCode::BUSY);
    let over_tcp = node.tcp().await.ask(&long).await;
    assert_eq!(over_tcp.values().len(), 1);
}

/// SplitMix64: the same malformed datagrams on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }

    /// A seed with one to three things wrong, or noise.
    fn broken(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..1 + self.below(3) {
            let at = self.below(bytes.len());
            let number = [0u32, 1, 300, 0x8000_0000, u32::MAX][self.below(5)];
            match self.below(6) {
                0 => bytes.truncate(at),
                1 | 2 => {
                    if let Some(slot) = bytes.get_mut(at & !3..(at & !3) + 4) {
                        slot.copy_from_slice(&number.to_be_bytes());
                    }
                }
                3 | 4 => {
                    if let Some(slot) = bytes.get_mut(at) {
                        *slot = self.below(256) as u8;
                    }
                }
                _ => {
                    bytes.truncate(at);
                    bytes.extend((0..self.below(64)).map(|_| self.below(256) as u8));
                }
            }
        }
        bytes
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_malformed_datagrams_get_errors_at_most() {
    const DATAGRAMS: usize = 50_000;
    let node = Node::start().await;
    let client = node.udp().await;
    let head = RequestHead {
        flags: OpFlags::REQUEST_DIGEST,
        ..RequestHead::new(1)
    };
    let seeds = vec![
        resolution(HANDLE),
        head.resolve(HANDLE, &[1, 2], &["URL", "EMAIL"]).unwrap(),
        head.resolve("88.118.8/big", &[], &[]).unwrap(),
        head.site_info().unwrap(),
        head.request(OpCode::CREATE, &[0; 40]).unwrap(),
        head.request(OpCode::LOGIN, b"\0\0\0\x011\0\0\0\x01")
            .unwrap(),
    ];
    let mut random = Random(7);
    let (mut well_formed, mut errors, mut served) = (0, 0, 0);
    let mut buffer = [0; 65_536];
    let mut look = |length: usize, buffer: &[u8]| {
        let datagram = &buffer[..length];
        assert!(length <= MAX_DATAGRAM_LEN);
        match Response::decode(datagram) {
            Ok(response) if response.code.is_success() => served += 1,
            Ok(_) => {
                assert!(length <= LONGEST_ERROR, "an error of {length} bytes");
                errors += 1;
            }
            // A piece of a long answer.
            Err(_) => assert!(Envelope::decode(datagram).unwrap().message_len > 492),
        }
    };
    for number in 0..DATAGRAMS {
        let bytes = random.broken(&seeds);
        well_formed += usize::from(decode_request(&bytes, Transport::Udp).is_ok());
        client.socket.send(&bytes).await.unwrap();
        // Few enough at a time that neither side's socket overflows.
        if number % 32 == 31 {
            let first = client.socket.recv(&mut buffer);
            if let Ok(length) = tokio::time::timeout(Duration::from_millis(20), first).await {
                look(length.unwrap(), &buffer);
            }
            while let Ok(length) = client.socket.try_recv(&mut buffer) {
                look(length, &buffer);
            }
        }
    }
    while let Ok(length) =
        tokio::time::timeout(Duration::from_millis(300), client.socket.recv(&mut buffer)).await
    {
        look(length.unwrap(), &buffer);
    }
    // Site information and short resolutions are whole in one datagram.
    assert!(
        served <= well_formed,
        "{served} served, {well_formed} well-formed"
    );
    assert!(errors > DATAGRAMS / 10, "{errors} errors");
    assert_eq!(
        node.udp().await.ask(&resolution(HANDLE)).await.code,
        ResponseCode::SUCCESS
    );
}
