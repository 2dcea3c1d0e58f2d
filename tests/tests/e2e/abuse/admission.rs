//! Who is answered at all: access lists, limits of zones, names of others, ANY.

use std::process::{Command, Output};
use std::time::Duration;

use idnode_tests::dns::{Ask, Edns, Said, Tcp, Udp, flag, rcode, rtype, tcp, udp};
use idnode_tests::run::{output, until};

use crate::zones::{BIG, ELSEWHERE, EMPTY, HIT, MISS, OUTSIDE, PREFIX, World, ZONE, ZONES};

/// Info-codes of RFC 8914.
const PROHIBITED: u16 = 18;
const NOT_AUTHORITATIVE: u16 = 20;

/// `dig` from an address.
fn dig_from(world: &World, source: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("dig");
    command
        .args(["-b", source, "@127.0.0.1", "-p"])
        .arg(world.node.at.dns.port().to_string())
        .args(["+norec", "+tries=1", "+time=2"])
        .args(arguments)
        .args([HIT, "A"]);
    output(&mut command)
}

fn text_of(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn strangers_are_refused_with_the_reason_and_the_unwanted_hear_nothing() {
    let world = World::with(&[
        "dns.allow_query=127.2.0.0/16,127.0.0.1",
        "dns.deny_query=127.2.3.0/24,127.4.0.1",
    ]);
    for transport in ["+notcp", "+tcp"] {
        let welcome = text_of(&dig_from(&world, "127.2.1.1", &[transport]));
        assert!(welcome.contains("192.0.2.7"), "{welcome}");
        let stranger = text_of(&dig_from(&world, "127.3.1.1", &[transport]));
        assert!(stranger.contains("status: REFUSED"), "{stranger}");
        assert!(
            stranger.contains("EDE: 18 (Prohibited): (this address may not ask)"),
            "{stranger}"
        );
        assert!(!stranger.contains("192.0.2.7"), "{stranger}");
        // Denied even where it is allowed, and where it is not.
        for unwanted in ["127.2.3.1", "127.4.0.1"] {
            let output = dig_from(&world, unwanted, &[transport]);
            assert!(!output.status.success(), "{}", text_of(&output));
        }
    }
    // Transfers and broken queries as well.
    let client = Udp::from("127.4.0.1".parse().unwrap(), world.node.at.dns);
    client.send(&[0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    client.send(&Ask::of(ZONE, rtype::AXFR).bytes());
    assert_eq!(client.receive(Duration::from_millis(300)), None);
    world.node.stop();
}

#[test]
fn a_zone_beyond_its_limit_is_refused_and_counted_once_while_others_answer() {
    let world = World::with(&["dns.max_zone_queries_per_s=20"]);
    let at = world.node.at.dns;
    let ask = Ask::of(HIT, rtype::A).edns(Edns::v(0));
    let (mut answered, mut refused) = (0_u64, 0_u64);
    let mut client = Tcp::connect(at);
    for id in 0..200 {
        client.send(&ask.clone().id(id).bytes());
    }
    for _ in 0..200 {
        let said = Said::read(&client.receive().expect("an answer"));
        match said.rcode {
            rcode::NOERROR => answered += 1,
            rcode::REFUSED => {
                let text = "too many ask for this zone".to_owned();
                assert_eq!(said.extended_error(), Some((PROHIBITED, text)));
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!((20..=60).contains(&answered), "{answered} answered");
    // What was kept and what was not: each is counted once.
    assert_eq!(world.bound_hits("dns_zone_queries"), refused);
    let other = Said::read(&udp(at, &Ask::of(ZONES[1], rtype::SOA).bytes()));
    assert_eq!((other.rcode, other.answers().len()), (rcode::NOERROR, 1));
    until("the next second", || {
        Said::read(&udp(at, &ask.bytes())).rcode == rcode::NOERROR
    });
    world.node.stop();
}

#[test]
fn names_of_other_zones_are_refused() {
    let world = World::shared();
    let at = world.node.at.dns;
    for name in [OUTSIDE, "example", ".", "notid.example", "version.bind"] {
        for qtype in [rtype::A, rtype::SOA, rtype::NS, rtype::ANY, 1_000] {
            let ask = Ask::of(name, qtype)
                .edns(Edns::v(0))
                .flags(flag::RD)
                .bytes();
            for said in [udp(at, &ask), tcp(at, &ask)].map(|answer| Said::read(&answer)) {
                assert_eq!(said.rcode, rcode::REFUSED, "{name} {qtype}");
                assert!(said.sections.iter().all(Vec::is_empty), "{said:?}");
                assert!(!said.has(flag::AA) && !said.has(flag::RA), "{said:?}");
                assert_eq!(said.extended_error().unwrap().0, NOT_AUTHORITATIVE);
            }
        }
    }
    // The class of servers' own names as well.
    let chaos = Ask::header()
        .question("version.bind", rtype::TXT, 3)
        .bytes();
    assert_eq!(Said::read(&udp(at, &chaos)).rcode, rcode::REFUSED);
}

/// RFC 8482 section 4.2: one HINFO record, whatever there is.
#[test]
fn any_draws_one_small_record() {
    let world = World::shared();
    let at = world.node.at.dns;
    for name in [HIT, BIG, PREFIX, ELSEWHERE, ZONE, &world.hashed] {
        let ask = Ask::of(name, rtype::ANY).bytes();
        for said in [udp(at, &ask), tcp(at, &ask)].map(|answer| Said::read(&answer)) {
            assert_eq!(said.rcode, rcode::NOERROR, "{name}");
            assert!(
                !said.has(flag::TC) && said.has(flag::AA),
                "{name}: {said:?}"
            );
            assert_eq!(said.answer_types(), [rtype::HINFO], "{name}");
            assert_eq!(said.answers()[0].data, b"\x07RFC8482\x00", "{name}");
        }
    }
    let said = Said::read(&udp(at, &Ask::of(MISS, rtype::ANY).bytes()));
    assert_eq!(said.rcode, rcode::NXDOMAIN);
    let said = Said::read(&udp(at, &Ask::of(EMPTY, rtype::ANY).bytes()));
    assert_eq!((said.rcode, said.answers().len()), (rcode::NOERROR, 0));
}
