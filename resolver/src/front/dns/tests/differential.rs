//! Every packet is answered alike whether it is read where it lies or by hickory, and whether
//! its answer is made or kept.

use super::harness::*;
use crate::front::dns::DnsOptions;
use crate::front::dns::answer::Responder;
use crate::front::dns::datagram::Datagrams;
use crate::front::dns::exchange::{Considered, Exchange};
use crate::front::dns::frame::Frame;
use crate::front::dns::peer::{Peer, Transport};
use crate::front::dns::query::{Asked, Head};
use crate::front::dns::transfer::Transfers;
use crate::front::dns::zone::ZoneSet;
use crate::udp::{Sender, Service};
use hickory_proto::rr::RecordType;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// Packets of the test as it always runs; `IDNODE_DIFFERENTIAL_PACKETS` takes more.
const PACKETS: usize = 300_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A good query as it is, or with its letters in other cases, or with bytes changed, cut
    /// off or added.
    fn packet(&mut self, good: &[Vec<u8>]) -> Vec<u8> {
        let mut packet = good[self.below(good.len())].clone();
        packet[0] = self.next() as u8;
        match self.below(4) {
            0 => {}
            1 => {
                for byte in &mut packet[12..] {
                    if byte.is_ascii_alphabetic() && self.below(2) == 0 {
                        *byte ^= 0x20;
                    }
                }
            }
            2 => {
                for _ in 0..=self.below(3) {
                    let at = self.below(packet.len());
                    packet[at] = [0, 1, 0x29, 0x80, 0xc0, 0xff, self.next() as u8][self.below(7)];
                }
            }
            _ => match self.below(3) {
                0 => packet.truncate(self.below(packet.len())),
                1 => packet.push(self.next() as u8),
                _ => packet.extend_from_within(self.below(packet.len())..),
            },
        }
        packet
    }
}

fn good_queries(node: &Node) -> Vec<Vec<u8>> {
    let names = [
        HANDLE_NAME.to_owned(),
        node.name("88.118.8/nothing"),
        node.name("88.118.8/gone"),
        node.name("88.118.8/hundred"),
        node.name("88.118.8/secret"),
        node.name(UTF8_HANDLE),
        node.name(&longest_handle()),
        node.ors("1.2.156.3001.5.6"),
        "any.88-118-9.hdl.id.example.cn.".to_owned(),
        "any.88-118-11.hdl.id.example.cn.".to_owned(),
        "any.88-118-10.hdl.id.example.cn.".to_owned(),
        "88-118-8.hdl.id.example.cn.".to_owned(),
        "hdl.id.example.cn.".to_owned(),
        ZONE.to_owned(),
        "ns1.id.example.cn.".to_owned(),
        "www.example.".to_owned(),
        "_x.88-118-8.hdl.id.example.cn.".to_owned(),
    ];
    let types = [
        RecordType::TXT,
        RecordType::NAPTR,
        RecordType::A,
        RecordType::SOA,
        RecordType::NS,
        RecordType::ANY,
        RecordType::AXFR,
        URI,
    ];
    let mut good = Vec::new();
    for name in &names {
        for qtype in types {
            let ask = Ask::new(name, qtype);
            good.push(ask.clone().bytes());
            good.push(ask.clone().edns(0, 1_232).bytes());
            good.push(ask.clone().edns(0, 4_096).bytes());
            good.push(ask.clone().edns_options(0, 700, &[0, 3, 0, 0]).bytes());
            let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
            good.push(ask.edns_options(0, 1_232, &cookie).bytes());
        }
    }
    good
}

/// The answer by way of hickory, made anew; `None`: it waits for the disk, or draws none.
fn by_hickory(exchange: &Exchange, packet: &[u8], peer: &Peer) -> Option<Vec<u8>> {
    let head = Head::of(packet)?;
    let Some(asked) = Asked::from_unusual(head, packet, peer.addr) else {
        return Some(exchange.format_error(head));
    };
    match exchange.consider_asked(packet, Box::new(asked), peer) {
        Considered::Reply(asked, reply) => exchange.write(&asked, &reply, peer),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_in_place_and_what_is_kept_is_what_hickory_gives() {
    let node = Node::start().await;
    let options = DnsOptions::default();
    let zones = Arc::new(ZoneSet::new(&node.core.zones, &options, &[]).unwrap());
    let transfers = Transfers::new(node.core.clone(), zones.clone(), &options, &[]).unwrap();
    let responder = Responder::new(node.core.clone(), zones);
    let exchange = Exchange::new(responder, transfers, &options, Duration::from_secs(5)).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Answers that waited go to where nobody reads them.
    let source: SocketAddr = socket.local_addr().unwrap();
    let runtime = tokio::runtime::Handle::current();
    let mut datagrams = Datagrams::new(exchange.clone(), 1 << 20, Sender::new(socket), runtime);
    let peer = Peer::new(source, Transport::Udp);
    let good = good_queries(&node);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let packets = std::env::var("IDNODE_DIFFERENTIAL_PACKETS");
    let packets = packets.map_or(PACKETS, |count| count.parse().unwrap());
    let (mut usual, mut answered) = (0, 0);
    let mut answer = Vec::new();
    for _ in 0..packets {
        let packet = random.packet(&good);
        usual += usize::from(Frame::read(&packet).is_some());
        let mut same = false;
        // A second may end between the two, and with it a cookie.
        for _ in 0..2 {
            answer.clear();
            let sent = datagrams.answer(&packet, source.into(), &mut answer);
            let expected = by_hickory(&exchange, &packet, &peer);
            answered += usize::from(sent);
            same = sent.then_some(&answer) == expected.as_ref();
            if same {
                break;
            }
        }
        let expected = by_hickory(&exchange, &packet, &peer);
        assert!(same, "{packet:02x?}\n{answer:02x?}\n{expected:02x?}");
    }
    assert!(usual > packets / 4, "{usual} usual packets");
    assert!(answered > packets / 2, "{answered} answers");
    assert!(datagrams.repeated() > packets as u64 / 8);
    node.stop().await;
}
