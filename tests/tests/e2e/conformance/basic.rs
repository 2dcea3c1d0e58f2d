//! RFC 8906 section 8.1: basic DNS.

use idnode_tests::dns::{Ask, flag, rcode, rtype};

use super::{Server, assert_bare, assert_soa};
use crate::zones::{HIT, ZONES};

#[test]
fn s8_1_1_the_server_is_configured_for_the_zone() {
    let server = Server::new();
    for zone in ZONES {
        for said in server.both(&Ask::of(zone, rtype::SOA)) {
            assert_soa(&said);
        }
    }
}

#[test]
fn s8_1_2_unknown_types() {
    let server = Server::new();
    for qtype in [1_000, 666, 65_280, 65_535] {
        for name in [ZONES[0], HIT] {
            for said in server.both(&Ask::of(name, qtype)) {
                assert_eq!(said.rcode, rcode::NOERROR, "{said:?}");
                assert!(said.has(flag::AA) && said.answers().is_empty(), "{said:?}");
                assert_eq!(said.authority_types(), [rtype::SOA], "{said:?}");
            }
        }
    }
}

#[test]
fn s8_1_3_1_cd_1() {
    let server = Server::new();
    for said in server.both(&Ask::of(ZONES[0], rtype::SOA).flags(flag::CD)) {
        assert_soa(&said);
    }
}

#[test]
fn s8_1_3_2_ad_1() {
    let server = Server::new();
    for said in server.both(&Ask::of(ZONES[0], rtype::SOA).flags(flag::AD)) {
        assert_soa(&said);
        assert!(!said.has(flag::AD) && !said.has(flag::CD));
    }
}

#[test]
fn s8_1_3_3_the_reserved_bit() {
    let server = Server::new();
    for said in server.both(&Ask::of(ZONES[0], rtype::SOA).flags(flag::Z)) {
        assert_soa(&said);
        assert!(!said.has(flag::Z), "{said:?}");
    }
}

#[test]
fn s8_1_3_4_recursive_queries() {
    let server = Server::new();
    for said in server.both(&Ask::of(ZONES[0], rtype::SOA).flags(flag::RD)) {
        assert_soa(&said);
        assert!(said.has(flag::RD) && !said.has(flag::RA), "{said:?}");
    }
}

#[test]
fn s8_1_3_all_bits_at_once() {
    let server = Server::new();
    let bits = flag::CD | flag::AD | flag::Z | flag::RD | flag::RA | flag::AA;
    for said in server.both(&Ask::of(ZONES[0], rtype::SOA).flags(bits)) {
        assert_soa(&said);
    }
}

#[test]
fn s8_1_4_unknown_opcodes() {
    let server = Server::new();
    for opcode in 1..=15 {
        // As a header alone, and with a question.
        let header = Ask::header().opcode(opcode);
        let question = Ask::of(ZONES[0], rtype::SOA).opcode(opcode);
        for said in [server.both(&header), server.both(&question)].concat() {
            assert_bare(&said, rcode::NOTIMP);
        }
    }
}

#[test]
fn s8_1_5_tcp() {
    let server = Server::new();
    for zone in ZONES {
        assert_soa(&server.tcp(&Ask::of(zone, rtype::SOA)));
    }
    let said = server.tcp(&Ask::of(HIT, 1_000));
    assert_eq!((said.rcode, said.answers().len()), (rcode::NOERROR, 0));
}
