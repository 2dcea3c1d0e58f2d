//! A node that listens on all addresses answers from the one that it was asked at.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use idnode_tests::dns::{Ask, Edns, Said, Udp, rcode, rtype};
use idnode_tests::node::Addresses;
use idnode_tests::run::free_address;

use crate::zones::{HIT, MISS, World};

fn on(address: &str) -> Addresses {
    Addresses {
        dns: SocketAddr::new(address.parse().unwrap(), free_address().port()),
        ..Addresses::free()
    }
}

/// Asks at an address, by a socket that takes answers from there alone. Several times, and
/// many at once: what is kept, what memory knows and what waits for the disk goes other ways.
fn answers_at(world: &World, source: &str, address: &str) {
    let at = SocketAddr::new(address.parse().unwrap(), world.node.at.dns.port());
    let client = Udp::from(source.parse().unwrap(), at);
    for round in 0..3 {
        let names = [HIT, MISS, &world.hashed];
        for (id, name) in names.iter().enumerate() {
            client.send(&Ask::of(name, rtype::TXT).id(id as u16).bytes());
        }
        let mut ids: Vec<u16> = (0..names.len())
            .map(|_| {
                let answer = client.receive(Duration::from_secs(5));
                let answer = answer.unwrap_or_else(|| panic!("{address}, round {round}"));
                Said::read(&answer).id
            })
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, [0, 1, 2], "{address}");
    }
}

#[test]
fn answers_come_from_the_address_that_was_asked() {
    let world = World::at(&on("0.0.0.0"), &["dns.udp_threads=1"]);
    for address in ["127.0.0.1", "127.0.0.2", "127.77.1.9"] {
        answers_at(&world, "127.0.0.1", address);
    }
    // Many addresses in one batch.
    let clients: Vec<Udp> = (1..=60)
        .map(|n| {
            let address = IpAddr::from([127, 5, 0, n / 2]);
            let at = SocketAddr::new(address, world.node.at.dns.port());
            Udp::from([127, 0, 0, 1].into(), at)
        })
        .collect();
    for round in 0..20 {
        for client in &clients {
            client.send(&Ask::of(HIT, rtype::A).id(round).bytes());
        }
        for client in &clients {
            let answer = client.receive(Duration::from_secs(5)).expect("an answer");
            assert_eq!(Said::read(&answer).id, round);
        }
    }
    world.node.stop();
}

#[test]
fn sockets_for_both_families_answer_each_in_its_own_and_know_their_addresses() {
    let world = World::at(
        &on("::"),
        &["dns.udp_threads=1", "dns.allow_query=127.6.0.0/16,::1"],
    );
    answers_at(&world, "::1", "::1");
    for address in ["127.0.0.1", "127.0.0.2"] {
        answers_at(&world, "127.6.1.1", address);
    }
    // A list of IPv4 networks means them here too.
    let at = SocketAddr::new([127, 0, 0, 1].into(), world.node.at.dns.port());
    let stranger = Udp::from([127, 7, 0, 1].into(), at);
    stranger.send(&Ask::of(HIT, rtype::A).edns(Edns::v(0)).bytes());
    let answer = stranger.receive(Duration::from_secs(5)).expect("an answer");
    assert_eq!(Said::read(&answer).rcode, rcode::REFUSED);
    world.node.stop();
}
