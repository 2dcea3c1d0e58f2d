//! DNS over TCP (RFC 7766), and when clients are sent there.

use std::io::Write;
use std::time::Duration;

use idnode_tests::dns::{Ask, Edns, Said, Tcp, flag, rcode, rtype};

use super::{Server, assert_soa, checked};
use crate::zones::{BIG, HIT, MISS, ZONE};

/// RFC 7766 section 5: a truncated answer over UDP is whole over TCP.
#[test]
fn s5_truncated_answers_are_whole_over_tcp() {
    let server = Server::new();
    for ask in [
        Ask::of(BIG, rtype::TXT),
        Ask::of(BIG, rtype::TXT).edns(Edns::v(0)),
    ] {
        let [over_udp, over_tcp] = server.both(&ask);
        assert!(over_udp.has(flag::TC) && over_udp.answers().is_empty());
        assert_eq!(over_udp.rcode, rcode::NOERROR);
        assert!(!over_tcp.has(flag::TC) && over_tcp.answers().len() > 300);
    }
}

/// RFC 7766 section 6.2.1: many queries on one connection, one after the other.
#[test]
fn s6_2_1_connections_are_used_again() {
    let server = Server::new();
    let mut client = Tcp::connect(server.at());
    for id in 0..100 {
        let ask = Ask::of(ZONE, rtype::SOA).id(id);
        client.send(&ask.bytes());
        assert_soa(&checked(&ask, &client.receive().expect("an answer")));
    }
}

/// Section 6.2.1.1: without waiting for answers, which are matched by their ids; section 7: in
/// any order, those that wait for nothing first.
#[test]
fn s6_2_1_1_queries_are_pipelined() {
    let server = Server::new();
    let mut client = Tcp::connect(server.at());
    let names = [HIT, &server.world.hashed, MISS, BIG];
    for id in 0..60_u16 {
        let name = names[usize::from(id) % names.len()];
        client.send(&Ask::of(name, rtype::TXT).id(id).bytes());
    }
    let mut ids: Vec<u16> = (0..60)
        .map(|_| {
            let said = Said::read(&client.receive().expect("an answer"));
            let miss = said.id % 4 == 2;
            assert_eq!(said.rcode == rcode::NXDOMAIN, miss, "{}", said.id);
            said.id
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..60).collect::<Vec<_>>());
}

/// Section 8: the length and the message may come in pieces of any size.
#[test]
fn s8_messages_come_in_pieces() {
    let server = Server::new();
    let mut client = Tcp::connect(server.at());
    let ask = Ask::of(ZONE, rtype::SOA).edns(Edns::v(0));
    let message = ask.bytes();
    let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    for byte in &framed {
        client.stream.write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_soa(&checked(&ask, &client.receive().expect("an answer")));
    // One and a half, then the rest and another.
    let many = framed.repeat(3);
    let (first, rest) = many.split_at(framed.len() * 3 / 2);
    client.stream.write_all(first).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    client.stream.write_all(rest).unwrap();
    for _ in 0..3 {
        assert_soa(&checked(&ask, &client.receive().expect("an answer")));
    }
}

/// What cannot be parsed, and what says nothing, does not end the connection.
#[test]
fn s6_2_broken_queries_do_not_end_connections() {
    let server = Server::new();
    let mut client = Tcp::connect(server.at());
    // A header that says there is a question, and none.
    client.send(&[0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let answer = client.receive().expect("an answer");
    assert_eq!((answer[3] & 15, answer.len()), (1, 12), "{answer:02x?}");
    client.send(&[]);
    client.send(&[1, 2, 3]);
    client.send(&Ask::of(ZONE, rtype::SOA).flags(flag::QR).bytes());
    let ask = Ask::of(ZONE, rtype::SOA);
    client.send(&ask.bytes());
    assert_soa(&checked(&ask, &client.receive().expect("an answer")));
}

/// Section 6.2.4: the client may close its half once it has asked.
#[test]
fn s6_2_4_half_closed_connections_are_answered() {
    let server = Server::new();
    let mut client = Tcp::connect(server.at());
    let ask = Ask::of(&server.world.hashed, rtype::TXT);
    client.send(&ask.bytes());
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let said = checked(&ask, &client.receive().expect("an answer"));
    assert_eq!(said.rcode, rcode::NOERROR);
    assert_eq!(client.receive(), None, "then it ends");
}
