//! RFC 8906 section 8.2: extended DNS.

use idnode_tests::dns::{Ask, Edns, Said, flag, option, rcode, rtype};

use super::{Server, assert_bare, assert_soa};
use crate::zones::{BIG, ZONE};

/// An option and a flag that nobody has a meaning for.
const UNKNOWN_OPTION: u16 = 100;
const UNKNOWN_FLAG: u16 = 0x0040;

fn soa(edns: Edns) -> Ask {
    Ask::of(ZONE, rtype::SOA).edns(edns)
}

fn assert_none_unknown(said: &Said) {
    assert_eq!(said.edns[0].flags & !flag::DO, 0, "{said:?}");
    assert_eq!(said.edns[0].find(UNKNOWN_OPTION), None, "{said:?}");
}

#[test]
fn s8_2_1_minimal_edns() {
    let server = Server::new();
    for said in server.both(&soa(Edns::v(0))) {
        assert_soa(&said);
        assert_none_unknown(&said);
        assert!(said.edns[0].options.is_empty(), "{said:?}");
    }
}

#[test]
fn s8_2_2_edns_version_negotiation() {
    let server = Server::new();
    for version in [1, 100, 255] {
        for said in server.both(&soa(Edns::v(version))) {
            assert_bare(&said, rcode::BADVERS);
        }
    }
}

#[test]
fn s8_2_3_unknown_edns_options() {
    let server = Server::new();
    for data in [&[][..], &[1, 2, 3, 4]] {
        for said in server.both(&soa(Edns::v(0).option(UNKNOWN_OPTION, data))) {
            assert_soa(&said);
            assert_none_unknown(&said);
        }
    }
}

#[test]
fn s8_2_4_unknown_edns_flags() {
    let server = Server::new();
    for unknown in [UNKNOWN_FLAG, 0x2000, 0x0001, 0x3fff] {
        for said in server.both(&soa(Edns::v(0).flags(unknown))) {
            assert_soa(&said);
            assert_none_unknown(&said);
        }
    }
}

#[test]
fn s8_2_5_version_negotiation_with_unknown_flags() {
    let server = Server::new();
    for said in server.both(&soa(Edns::v(1).flags(UNKNOWN_FLAG))) {
        assert_bare(&said, rcode::BADVERS);
        assert_none_unknown(&said);
    }
}

#[test]
fn s8_2_6_version_negotiation_with_unknown_options() {
    let server = Server::new();
    for said in server.both(&soa(Edns::v(1).option(UNKNOWN_OPTION, &[1, 2]))) {
        assert_bare(&said, rcode::BADVERS);
        assert_none_unknown(&said);
    }
}

#[test]
fn s8_2_7_truncated_responses() {
    let server = Server::new();
    let small = || Edns::v(0).payload(512).flags(flag::DO);
    let keys = Ask::of(ZONE, rtype::DNSKEY).edns(small());
    for said in server.both(&keys) {
        assert_eq!(said.rcode, rcode::NOERROR, "{said:?}");
        assert!(said.has(flag::AA) && said.length <= 512, "{said:?}");
    }
    // One that is truncated indeed: its OPT record stays.
    let said = server.udp(&Ask::of(BIG, rtype::TXT).edns(small()));
    assert_eq!(said.rcode, rcode::NOERROR, "{said:?}");
    assert!(said.has(flag::TC) && said.has(flag::AA), "{said:?}");
    assert!(said.answers().is_empty() && said.length <= 512, "{said:?}");
    let said = server.tcp(&Ask::of(BIG, rtype::TXT).edns(small()));
    assert!(!said.has(flag::TC) && said.length > 20_000);
}

#[test]
fn s8_2_8_do_1() {
    let server = Server::new();
    for said in server.both(&soa(Edns::v(0).flags(flag::DO))) {
        assert_soa(&said);
        // Copied (RFC 3225 section 3).
        assert_eq!(said.edns[0].flags, flag::DO, "{said:?}");
    }
}

#[test]
fn s8_2_9_version_negotiation_with_do_1() {
    let server = Server::new();
    for said in server.both(&soa(Edns::v(1).flags(flag::DO))) {
        assert_bare(&said, rcode::BADVERS);
        assert_none_unknown(&said);
    }
}

#[test]
fn s8_2_10_multiple_defined_options() {
    let server = Server::new();
    let edns = Edns::v(0)
        .option(option::COOKIE, &[1, 2, 3, 4, 5, 6, 7, 8])
        .option(option::NSID, &[])
        .option(option::EXPIRE, &[])
        // Of family 1, all addresses.
        .option(option::SUBNET, &[0, 1, 0, 0]);
    for said in server.both(&soa(edns)) {
        assert_soa(&said);
        let edns = &said.edns[0];
        let cookie = edns.find(option::COOKIE).expect("a cookie");
        assert!(cookie.starts_with(&[1, 2, 3, 4, 5, 6, 7, 8]) && cookie.len() == 24);
        assert!(edns.find(option::NSID).is_some_and(|id| !id.is_empty()));
        // Neither is asked of this server's answers: it has no subnets and is no secondary.
        assert_eq!(edns.find(option::SUBNET), None, "{said:?}");
    }
}
