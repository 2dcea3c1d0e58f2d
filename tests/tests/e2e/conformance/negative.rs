//! What there is not: RFC 2308 (negative answers), RFC 8020 (nothing below what is not there),
//! RFC 4592 section 2.2.2 (empty non-terminals), and delegations.

use idnode_tests::dns::{Ask, Edns, Record, Said, flag, rcode, rtype};

use super::Server;
use crate::zones::{BELOW_CUT, CUT, EMPTY, GONE, HIT, MISS, PREFIX, SECRET, ZONE, ZONES};

/// Of the configuration as it is by default.
const NEGATIVE_TTL_S: u32 = 300;

/// The last number of a SOA record's data.
fn minimum_s(soa: &Record) -> u32 {
    let minimum = soa.data[soa.data.len() - 4..].try_into().unwrap();
    u32::from_be_bytes(minimum)
}

/// RFC 2308 section 3: the SOA record, its TTL the least of its own and its MINIMUM.
fn assert_negative(said: &Said, rcode: u16, zone: &str) {
    assert_eq!(said.rcode, rcode, "{said:?}");
    assert!(said.has(flag::AA) && !said.has(flag::TC), "{said:?}");
    assert!(said.answers().is_empty(), "{said:?}");
    assert_eq!(said.authority_types(), [rtype::SOA], "{said:?}");
    let soa = &said.authorities()[0];
    assert_eq!(soa.name, format!("{zone}."), "{said:?}");
    assert_eq!(minimum_s(soa), NEGATIVE_TTL_S, "{said:?}");
    assert_eq!(soa.ttl_s, NEGATIVE_TTL_S, "{said:?}");
}

#[test]
fn rfc2308_s2_1_name_errors() {
    let server = Server::new();
    for (name, zone) in [
        (MISS, ZONE),
        (GONE, ZONE),
        ("nothing.id.example", ZONE),
        ("_x.88-118-8.hdl.id.example", ZONE),
        ("1.2.3.nothing.ors.example", ZONES[1]),
        ("nothing.ons.example", ZONES[2]),
    ] {
        for qtype in [
            rtype::A,
            rtype::TXT,
            rtype::SOA,
            rtype::NS,
            rtype::ANY,
            1_000,
        ] {
            let ask = Ask::of(name, qtype);
            for said in [server.both(&ask), server.both(&ask.edns(Edns::v(0)))].concat() {
                assert_negative(&said, rcode::NXDOMAIN, zone);
            }
        }
    }
}

#[test]
fn rfc2308_s2_2_no_data() {
    let server = Server::new();
    for (name, qtype) in [
        (HIT, rtype::AAAA),
        (HIT, rtype::SOA),
        (HIT, rtype::NS),
        (HIT, 1_000),
        (SECRET, rtype::A),
        (PREFIX, rtype::MX),
        (ZONE, rtype::A),
        (ZONE, rtype::TXT),
    ] {
        for said in server.both(&Ask::of(name, qtype)) {
            assert_negative(&said, rcode::NOERROR, ZONE);
        }
    }
}

#[test]
fn rfc8020_there_is_nothing_below_what_is_not_there() {
    let server = Server::new();
    for name in [MISS, GONE, "nothing.id.example"] {
        let below = format!("a.b.{name}");
        for said in server.both(&Ask::of(&below, rtype::A)) {
            assert_negative(&said, rcode::NXDOMAIN, ZONE);
        }
    }
    // Nor below an identifier, whose name is there.
    for said in server.both(&Ask::of(&format!("a.{HIT}"), rtype::A)) {
        assert_negative(&said, rcode::NXDOMAIN, ZONE);
    }
}

#[test]
fn rfc4592_s2_2_2_names_that_others_are_below_exist() {
    let server = Server::new();
    for qtype in [rtype::A, rtype::TXT, rtype::NS, rtype::SOA, 1_000] {
        for said in server.both(&Ask::of(EMPTY, qtype)) {
            assert_negative(&said, rcode::NOERROR, ZONE);
        }
    }
}

/// RFC 1034 section 4.3.2, step 3b; RFC 9471: all of the glue that lies in the zone.
#[test]
fn delegations_are_referred_to_with_their_glue() {
    let server = Server::new();
    for (name, qtype) in [(CUT, rtype::NS), (CUT, rtype::A), (BELOW_CUT, rtype::TXT)] {
        for said in server.both(&Ask::of(name, qtype)) {
            assert_eq!(said.rcode, rcode::NOERROR, "{said:?}");
            assert!(!said.has(flag::AA) && said.answers().is_empty(), "{said:?}");
            assert_eq!(said.authority_types(), [rtype::NS; 2], "{said:?}");
            for record in said.authorities() {
                assert_eq!(record.name, format!("{CUT}."), "{said:?}");
            }
            let glue: Vec<u16> = said.sections[2].iter().map(|it| it.rtype).collect();
            assert_eq!(glue, [rtype::A, rtype::AAAA], "{said:?}");
        }
    }
    // RFC 4035 section 3.1.4.1: DS is the parent's to answer.
    for said in server.both(&Ask::of(CUT, rtype::DS)) {
        assert_negative(&said, rcode::NOERROR, ZONE);
    }
}

/// RFC 4343: letters of either size are the same; an answer repeats those of the question.
#[test]
fn rfc4343_the_size_of_letters_means_nothing() {
    let server = Server::new();
    let spelt = "OnE.88-118-8.hDL.ID.eXample";
    for said in server.both(&Ask::of(spelt, rtype::A)) {
        assert_eq!(said.answer_types(), [rtype::A], "{said:?}");
        assert_eq!(said.answers()[0].name, format!("{HIT}."));
    }
}
