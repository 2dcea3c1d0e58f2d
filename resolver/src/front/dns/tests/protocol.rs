//! Headers, EDNS, malformed messages, limits of connections, and shutting down.

use super::harness::*;
use crate::front::dns::DnsOptions;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

async fn asked(node: &Node, ask: &Ask) -> Message {
    Message::from_vec(&node.udp(&ask.bytes()).await.expect("an answer")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_unusual_requests() {
    let node = Node::start().await;
    let ask = Ask::new(HANDLE_NAME, RecordType::A);
    for opcode in [1, 2, 3, 6, 7, 15] {
        let answer = asked(
            &node,
            &Ask {
                opcode,
                ..ask.clone()
            },
        )
        .await;
        assert_eq!(rcode(&answer), ResponseCode::NotImp, "opcode {opcode}");
        assert!(answer.answers.is_empty());
    }
    for qclass in [3, 4, 254, 255, 4_711] {
        let answer = asked(
            &node,
            &Ask {
                qclass,
                ..ask.clone()
            },
        )
        .await;
        assert_eq!(rcode(&answer), ResponseCode::Refused, "class {qclass}");
    }
    for questions in [0, 2] {
        let answer = asked(
            &node,
            &Ask {
                questions,
                ..ask.clone()
            },
        )
        .await;
        assert_eq!(
            rcode(&answer),
            ResponseCode::FormErr,
            "{questions} questions"
        );
    }
    for qtype in [41, 250] {
        let answer = asked(&node, &Ask::new(HANDLE_NAME, RecordType::from(qtype))).await;
        assert_eq!(rcode(&answer), ResponseCode::FormErr, "type {qtype}");
    }
    // RFC 8906 §3.1.3: types nobody knows are no error.
    for qtype in [4_711, 65_280, 253] {
        let answer = asked(&node, &Ask::new(HANDLE_NAME, RecordType::from(qtype))).await;
        assert_nodata(&answer, ZONE);
    }
    let mut response = ask.bytes();
    response[2] |= 0x80;
    assert_eq!(
        node.udp(&response).await,
        None,
        "responses are not answered"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edns_is_negotiated() {
    let node = Node::start().await;
    let ask = Ask::new(HANDLE_NAME, RecordType::A);
    let plain = asked(&node, &ask).await;
    assert_eq!(plain.edns, None);
    let answer = asked(&node, &ask.clone().edns(0, 4_096)).await;
    let edns = answer.edns.unwrap();
    assert_eq!((edns.version(), edns.max_payload()), (0, 1_232));
    assert!(edns.flags().dnssec_ok, "RFC 3225 §3: DO is copied");
    // RFC 6891 §6.1.3; the rcode's upper bits are in the OPT record.
    let answer = asked(&node, &ask.clone().edns(1, 4_096)).await;
    assert_eq!(rcode(&answer), ResponseCode::from(1, 0));
    assert_eq!(answer.edns.as_ref().map(|edns| edns.version()), Some(0));
    assert!(answer.answers.is_empty());
    // Unknown options are ignored (RFC 6891 §6.1.2).
    let answer = asked(
        &node,
        &ask.clone()
            .edns_options(0, 4_096, &[0xfd, 0xe9, 0, 3, 1, 2, 3]),
    )
    .await;
    assert_eq!(
        (rcode(&answer), answer.answers.len()),
        (ResponseCode::NoError, 1)
    );
    assert!(answer.edns.unwrap().options().as_ref().is_empty());
    // Two OPT records are a format error (RFC 6891 §6.1.1).
    let mut twice = ask.clone().edns(0, 4_096).bytes();
    let opt = twice[twice.len() - 11..].to_vec();
    twice.extend_from_slice(&opt);
    twice[11] = 2;
    let answer = Message::from_vec(&node.udp(&twice).await.unwrap()).unwrap();
    assert_eq!(rcode(&answer), ResponseCode::FormErr);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_keep_to_the_size_the_client_takes() {
    let node = Node::start().await;
    for (payload, limit) in [
        (None, 512),
        (Some(100), 512),
        (Some(512), 512),
        (Some(900), 900),
        (Some(65_535), 1_232),
    ] {
        for name in [
            HANDLE_NAME.to_owned(),
            node.name("88.118.8/hundred"),
            node.name("88.118.8/gone"),
            "any.88-118-11.hdl.id.example.cn.".to_owned(),
            node.name(&longest_handle()),
        ] {
            let ask = Ask::new(&name, RecordType::TXT);
            let ask = payload.map_or(ask.clone(), |payload| ask.edns(0, payload));
            let answer = node.udp(&ask.bytes()).await.unwrap();
            assert!(
                answer.len() <= limit,
                "{} > {limit} for {name}",
                answer.len()
            );
            let message = Message::from_vec(&answer).unwrap();
            if message.metadata.truncation {
                assert!(message.answers.is_empty() && message.authorities.is_empty());
            }
            assert_eq!(message.edns.is_some(), payload.is_some());
        }
    }
    node.stop().await;
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A good query with a few bytes changed, cut or added; or nothing but noise.
    fn packet(&mut self, good: &[Vec<u8>]) -> Vec<u8> {
        let mut packet = match self.below(4) {
            0 => (0..self.below(600)).map(|_| self.next() as u8).collect(),
            _ => good[self.below(good.len())].clone(),
        };
        for _ in 0..self.below(6) {
            match (self.below(3), packet.len()) {
                (_, 0) => packet.push(self.next() as u8),
                (0, len) => packet.truncate(self.below(len)),
                (1, len) => packet[self.below(len)] = self.next() as u8,
                // A pointer somewhere, perhaps to itself.
                (_, len) => {
                    let at = self.below(len);
                    packet[at] = 0xc0;
                    packet.push(at as u8);
                }
            }
        }
        packet
    }
}

/// Malformed packets of all kinds: no crash, and nothing larger than a good answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_broken_packets() {
    let node = Node::start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(node.addr).await.unwrap();
    let good: Vec<Vec<u8>> = [RecordType::TXT, RecordType::NAPTR, RecordType::A]
        .into_iter()
        .flat_map(|qtype| {
            let ask = Ask::new(HANDLE_NAME, qtype);
            [
                ask.clone().bytes(),
                ask.edns_options(0, 1_232, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8])
                    .bytes(),
            ]
        })
        .collect();
    let mut marker = Ask::new("marker.example.", RecordType::A).bytes();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut buffer = vec![0; 65_536];
    let mut answered = 0;
    for round in 0..10_000_u16 {
        for _ in 0..10 {
            socket.send(&random.packet(&good)).await.unwrap();
        }
        // A good query ends each round, so that no packet is lost for want of room.
        marker[..2].copy_from_slice(&round.to_be_bytes());
        socket.send(&marker).await.unwrap();
        loop {
            let length = timeout(PATIENCE, socket.recv(&mut buffer))
                .await
                .expect("the marker's answer")
                .unwrap();
            let answer = &buffer[..length];
            if answer[..2] == marker[..2] && answer[12..].starts_with(b"\x06marker") {
                break;
            }
            answered += 1;
            assert!((12..=1_232).contains(&length));
            assert_ne!(answer[2] & 0x80, 0, "a response");
            assert!(
                answer[3] & 15 == 0 || length <= 512,
                "an error of {length} bytes"
            );
        }
    }
    assert!(answered > 50_000, "{answered}");
    assert_eq!(node.ask(HANDLE_NAME, RecordType::A).await.answers.len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_answers_many_queries_and_refuses_broken_ones() {
    let node = Node::start().await;
    let mut stream = TcpStream::connect(node.addr).await.unwrap();
    for _ in 0..100 {
        let answer = exchange(&mut stream, &Ask::new(HANDLE_NAME, RecordType::A).bytes())
            .await
            .unwrap();
        assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 1);
    }
    let mut broken = Ask::new(HANDLE_NAME, RecordType::A).bytes();
    broken.truncate(20);
    let answer = exchange(&mut stream, &broken).await.unwrap();
    assert_eq!(answer, [0x12, 0x34, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let answer = exchange(&mut stream, &Ask::new(HANDLE_NAME, RecordType::A).bytes()).await;
    assert!(answer.is_some(), "the connection goes on");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_connections_are_bounded_in_number_and_silence() {
    let options = DnsOptions {
        max_tcp_connections: 2,
        tcp_idle_s: 1,
        ..DnsOptions::default()
    };
    let node = Node::start_with(options).await;
    let query = Ask::new(HANDLE_NAME, RecordType::A).bytes();
    let mut first = TcpStream::connect(node.addr).await.unwrap();
    let mut second = TcpStream::connect(node.addr).await.unwrap();
    assert!(exchange(&mut first, &query).await.is_some());
    assert!(exchange(&mut second, &query).await.is_some());
    let mut third = TcpStream::connect(node.addr).await.unwrap();
    assert_eq!(exchange(&mut third, &query).await, None, "over the limit");
    let mut byte = [0];
    let ended = timeout(Duration::from_secs(5), first.read(&mut byte))
        .await
        .expect("idle connections end");
    assert_eq!(ended.unwrap_or(0), 0);
    let _ = timeout(Duration::from_secs(5), second.read(&mut byte))
        .await
        .unwrap();
    let mut fourth = TcpStream::connect(node.addr).await.unwrap();
    assert!(exchange(&mut fourth, &query).await.is_some(), "room again");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutting_down_ends_idle_connections_and_frees_the_port() {
    let node = Node::start().await;
    let addr = node.addr;
    let mut idle = TcpStream::connect(addr).await.unwrap();
    assert!(
        exchange(&mut idle, &Ask::new(HANDLE_NAME, RecordType::A).bytes())
            .await
            .is_some()
    );
    node.stop().await;
    assert!(TcpStream::connect(addr).await.is_err());
    UdpSocket::bind(addr).await.expect("the port is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_none_are_refused_when_binding() {
    let options = DnsOptions {
        name_servers: vec!["ns..example".to_owned()],
        ..DnsOptions::default()
    };
    let zones = idnode_proto::dnsname::Zones::parse(ZONE, None, None).unwrap();
    let error = super::super::zone::ZoneSet::new(&zones, &options, &[]).unwrap_err();
    assert_eq!(error.to_string(), "ns: \"ns..example\" is no domain name");
}

/// Of the queries that wait for the disk, as those for hashed names do, one at a time is let in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_that_wait_are_bounded() {
    let node = Node::start_with(DnsOptions {
        max_waiting_queries: 1,
        ..DnsOptions::default()
    })
    .await;
    let hashed = Ask::new(&node.name(&longest_handle()), RecordType::A)
        .edns(0, 1_232)
        .bytes();
    let (mut answered, mut failed) = (0, 0);
    // Which queries meet is up to the scheduler: a burst at a time until some have.
    for _ in 0..1_000 {
        let mut stream = TcpStream::connect(node.addr).await.unwrap();
        let length = u16::try_from(hashed.len()).unwrap().to_be_bytes();
        let burst = [&length[..], &hashed].concat().repeat(20);
        stream.write_all(&burst).await.unwrap();
        for _ in 0..20 {
            let answer = next_message(&mut stream).await.expect("an answer");
            let answer = Message::from_vec(&answer).unwrap();
            match rcode(&answer) {
                ResponseCode::NoError => answered += 1,
                ResponseCode::ServFail => {
                    let text = "too many queries wait for the disk".to_owned();
                    assert_eq!(extended_error(&answer), Some((0, text)));
                    failed += 1;
                }
                other => panic!("{other}"),
            }
        }
        if failed > 0 {
            break;
        }
    }
    assert!(
        answered > 0 && failed > 0,
        "{answered} answered, {failed} failed"
    );
    let after = node.udp(&hashed).await.unwrap();
    assert_eq!(
        Message::from_vec(&after).unwrap().answers.len(),
        1,
        "room again"
    );
    node.stop().await;
}
