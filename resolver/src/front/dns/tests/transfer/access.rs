//! Who gets what, and in which terms it is refused.

use super::copy::{Copy, Sent, ixfr, transfer};
use super::harness::*;
use crate::front::dns::{Allowed, DnsOptions};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

async fn start(allowed: &[&str]) -> Node {
    Node::start_with(DnsOptions {
        allow_transfer: allowed
            .iter()
            .map(|text| Allowed::parse(text).unwrap())
            .collect(),
        ..DnsOptions::default()
    })
    .await
}

async fn refusal(node: &Node, query: &[u8]) -> ResponseCode {
    rcode(&transfer(node.addr, query).await.expect_err("a transfer"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_let_in_who_is_not_named() {
    let axfr = Ask::new(ZONE, RecordType::AXFR).bytes();
    for allowed in [&[][..], &["192.0.2.0/24"], &["::/0"]] {
        let node = start(allowed).await;
        for query in [&axfr, &ixfr(ZONE, 1)] {
            assert_eq!(
                refusal(&node, query).await,
                ResponseCode::Refused,
                "{allowed:?}"
            );
        }
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_make_no_sense() {
    let node = start(&["127.0.0.1"]).await;
    let below = Ask::new(HANDLE_NAME, RecordType::AXFR).bytes();
    assert_eq!(refusal(&node, &below).await, ResponseCode::NotAuth);
    let elsewhere = Ask::new("example.", RecordType::AXFR).bytes();
    assert_eq!(refusal(&node, &elsewhere).await, ResponseCode::NotAuth);
    let without_serial = Ask::new(ZONE, RecordType::IXFR).bytes();
    assert_eq!(refusal(&node, &without_serial).await, ResponseCode::FormErr);
    let datagram = Ask::new(ZONE, RecordType::AXFR).bytes();
    let answer = node.udp(&datagram).await.unwrap();
    assert_eq!(
        rcode(&Message::from_vec(&answer).unwrap()),
        ResponseCode::FormErr
    );
    node.stop().await;
}

/// In a datagram there is only the serial; who is up to date gets no more either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serials() {
    let node = start(&["127.0.0.0/8"]).await;
    let copy = Copy::whole(node.addr, ZONE).await;
    assert_eq!(copy.serial, node.core.registry.applied() as u32);
    for serial in [1, copy.serial, copy.serial + 9] {
        let answer = node.udp(&ixfr(ZONE, serial)).await.unwrap();
        let answer = Message::from_vec(&answer).unwrap();
        let [soa] = &answer.answers[..] else {
            panic!("{answer:?}");
        };
        assert!(matches!(&soa.data, RData::SOA(soa) if soa.serial == copy.serial));
    }
    assert_eq!(copy.refreshed(node.addr, ZONE).await, Sent::Nothing);
    let newer = Copy {
        serial: copy.serial + 9,
        ..copy.clone()
    };
    assert_eq!(newer.refreshed(node.addr, ZONE).await, Sent::Nothing);
    // From before the node began to make the zone as it does, or from never, all is sent.
    for serial in [0, 1, copy.serial.wrapping_sub(1 << 30)] {
        let older = Copy {
            serial,
            ..copy.clone()
        };
        assert_eq!(
            older.refreshed(node.addr, ZONE).await,
            Sent::Whole(copy.clone())
        );
    }
    // A change elsewhere moves the serial alone.
    node.filling
        .identifier("ecode:1000399", vec![value(1, "DESC", "x")])
        .await;
    let ors = "ors.example.";
    let mut before = Copy::whole(node.addr, ors).await;
    node.filling
        .identifier("88.118.8/other", vec![value(1, "DESC", "x")])
        .await;
    let after = Copy::whole(node.addr, ors).await;
    assert_eq!(
        before.refreshed(node.addr, ors).await,
        Sent::Difference(after.clone())
    );
    assert_eq!(after.serial, before.serial + 1);
    before.records.retain(|(_, rtype, ..)| *rtype != 6);
    let mut without_soa = after;
    without_soa.records.retain(|(_, rtype, ..)| *rtype != 6);
    assert_eq!(without_soa.records, before.records);
    node.stop().await;
}

/// A log that has forgotten what was before is no reason for a wrong copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_has_forgotten_is_sent_whole() {
    let node = start(&["127.0.0.0/8"]).await;
    let old = Copy::whole(node.addr, ZONE).await;
    node.filling
        .identifier("88.118.8/one", vec![value(1, "DESC", "x")])
        .await;
    node.filling.delete(HANDLE, "").await;
    let now = Copy::whole(node.addr, ZONE).await;
    assert_eq!(
        old.refreshed(node.addr, ZONE).await,
        Sent::Difference(now.clone())
    );
    let registry = node.core.registry.clone();
    tokio::task::spawn_blocking(move || registry.trim_log(u64::MAX))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(old.refreshed(node.addr, ZONE).await, Sent::Whole(now));
    node.stop().await;
}

/// Transfers are bounded in number; one that is over makes room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_at_once_are_bounded() {
    use tokio::io::AsyncWriteExt;
    let node = Node::start_with(DnsOptions {
        allow_transfer: vec![Allowed::parse("127.0.0.1").unwrap()],
        max_transfers: 1,
        tcp_idle_s: 2,
        ..DnsOptions::default()
    })
    .await;
    // So large that it does not fit what sockets hold.
    let data = "x".repeat(16_000);
    for n in 0..600 {
        let values = vec![value(1, "PART", &data), value(2, "PART", &data)];
        node.filling
            .identifier(&format!("88.118.8/large-{n}"), values)
            .await;
    }
    let query = Ask::new(ZONE, RecordType::AXFR).bytes();
    let framed = [&(query.len() as u16).to_be_bytes(), &query[..]].concat();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut silent = socket.connect(node.addr).await.unwrap();
    silent.write_all(&framed).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(refusal(&node, &query).await, ResponseCode::ServFail);
    // Whoever reads nothing is given up.
    tokio::time::sleep(std::time::Duration::from_millis(4_500)).await;
    let copy = Copy::whole(node.addr, ZONE).await;
    assert!(copy.records.len() > 600 * 3);
    // So is whoever goes away.
    let mut gone = tokio::net::TcpStream::connect(node.addr).await.unwrap();
    gone.write_all(&framed).await.unwrap();
    drop(gone);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    Copy::whole(node.addr, ZONE).await;
    drop(silent);
    node.stop().await;
}
