//! The cases of the EDNS compliance tester of ISC, by its names for them, and RFC 6891, 7873,
//! 5001, 7828 and 7871 beside them.

use idnode_tests::dns::{Ask, Edns, flag, option, rcode, rtype, tcp, udp};
use idnode_tests::dns::{Said, is_silent};

use super::{Server, assert_bare, assert_soa, checked};
use crate::zones::{BIG, HIT, ZONE, ZONES};

const COOKIE: [u8; 8] = [0xc0, 1, 2, 3, 4, 5, 6, 7];

fn soa() -> Ask {
    Ask::of(ZONE, rtype::SOA)
}

#[test]
fn dns_and_aa() {
    let server = Server::new();
    for zone in ZONES {
        for said in server.both(&Ask::of(zone, rtype::SOA)) {
            assert_soa(&said);
        }
    }
}

#[test]
fn edns_and_edns_tcp() {
    let server = Server::new();
    for payload in [512, 1_232, 4_096, 65_535] {
        for said in server.both(&soa().edns(Edns::v(0).payload(payload))) {
            assert_soa(&said);
        }
    }
}

#[test]
fn edns1() {
    let server = Server::new();
    for said in server.both(&soa().edns(Edns::v(1))) {
        assert_bare(&said, rcode::BADVERS);
        // What is spoken here, for the client to ask again with (RFC 6891 section 6.1.3).
        assert_eq!(said.edns[0].version, 0);
        assert_eq!(said.question_count, 1);
    }
}

#[test]
fn edns_at_512() {
    let server = Server::new();
    for qtype in [rtype::TXT, rtype::URI, rtype::A] {
        let ask = Ask::of(BIG, qtype).edns(Edns::v(0).payload(512).flags(flag::DO));
        let said = server.udp(&ask);
        assert!(said.length <= 512, "{said:?}");
        assert_eq!(said.has(flag::TC), qtype == rtype::TXT, "{said:?}");
    }
}

#[test]
fn ednsopt_and_edns1opt() {
    let server = Server::new();
    for said in server.both(&soa().edns(Edns::v(0).option(100, b"abc"))) {
        assert_soa(&said);
        assert!(said.edns[0].options.is_empty(), "{said:?}");
    }
    for said in server.both(&soa().edns(Edns::v(1).option(100, b"abc"))) {
        assert_bare(&said, rcode::BADVERS);
        assert!(said.edns[0].options.is_empty(), "{said:?}");
    }
}

#[test]
fn do_and_edns1do_and_ednsflags() {
    let server = Server::new();
    for (edns, expected) in [
        (Edns::v(0).flags(flag::DO), Some(flag::DO)),
        (Edns::v(0).flags(0x80), Some(0)),
        (Edns::v(0).flags(flag::DO | 0x80), Some(flag::DO)),
        (Edns::v(1).flags(flag::DO), None),
        (Edns::v(1).flags(0x80), None),
    ] {
        for said in server.both(&soa().edns(edns.clone())) {
            match expected {
                Some(flags) => {
                    assert_soa(&said);
                    assert_eq!(said.edns[0].flags, flags, "{said:?}");
                }
                None => assert_bare(&said, rcode::BADVERS),
            }
        }
    }
}

#[test]
fn docookie_and_edns1cookie() {
    let server = Server::new();
    for flags in [0, flag::DO] {
        let edns = Edns::v(0).flags(flags).option(option::COOKIE, &COOKIE);
        for said in server.both(&soa().edns(edns)) {
            assert_soa(&said);
            let cookie = said.edns[0].find(option::COOKIE).expect("a cookie");
            assert!(cookie.len() == 24 && cookie.starts_with(&COOKIE));
        }
    }
    let edns = Edns::v(1).option(option::COOKIE, &COOKIE);
    for said in server.both(&soa().edns(edns)) {
        assert_bare(&said, rcode::BADVERS);
    }
}

#[test]
fn optlist_and_each_of_it() {
    let server = Server::new();
    let list: [(u16, &[u8]); 4] = [
        (option::NSID, &[]),
        (option::SUBNET, &[0, 1, 24, 0, 192, 0, 2]),
        (option::COOKIE, &COOKIE),
        (option::EXPIRE, &[]),
    ];
    let mut all = Edns::v(0);
    for (code, data) in list {
        all = all.option(code, data);
        for version in [0, 1] {
            let edns = Edns::v(version).option(code, data);
            for said in server.both(&soa().edns(edns)) {
                match version {
                    0 => assert_soa(&said),
                    _ => assert_bare(&said, rcode::BADVERS),
                }
            }
        }
    }
    for said in server.both(&soa().edns(all)) {
        assert_soa(&said);
    }
}

#[test]
fn zflag_and_opcode_and_type666() {
    let server = Server::new();
    let edns = Edns::v(0);
    for said in server.both(&soa().flags(flag::Z).edns(edns.clone())) {
        assert_soa(&said);
    }
    for opcode in 1..=15 {
        for said in server.both(&soa().opcode(opcode).edns(edns.clone())) {
            assert_bare(&said, rcode::NOTIMP);
        }
    }
    for said in server.both(&Ask::of(ZONE, 666).edns(edns)) {
        assert_eq!((said.rcode, said.answers().len()), (rcode::NOERROR, 0));
    }
}

/// RFC 6891 section 6.2.3: values lower than 512 must be treated as 512.
#[test]
fn rfc6891_s6_2_3_small_payload_sizes_are_512() {
    let server = Server::new();
    let larger = server.tcp(&Ask::of(HIT, rtype::TXT)).length;
    assert!((100..500).contains(&larger), "{larger}");
    for payload in [0, 1, 100, 511] {
        let said = server.udp(&Ask::of(HIT, rtype::TXT).edns(Edns::v(0).payload(payload)));
        assert!(!said.has(flag::TC) && said.answers().len() == 3, "{said:?}");
    }
}

/// RFC 6891 section 6.2.5 and the DNS flag day of 2020: however much a client offers, answers
/// keep to what fits one frame.
#[test]
fn rfc6891_s6_2_5_answers_fit_one_frame() {
    let server = Server::new();
    for payload in [1_233, 4_096, 65_535] {
        let said = server.udp(&Ask::of(BIG, rtype::TXT).edns(Edns::v(0).payload(payload)));
        assert!(said.has(flag::TC) && said.length <= 1_232, "{said:?}");
        assert_eq!(said.edns[0].payload, 1_232);
    }
}

/// RFC 6891 section 6.1.1: more than one OPT record, or one elsewhere, is a FORMERR; so is a
/// name other than the root, and options that do not fill the record.
#[test]
fn rfc6891_s6_1_1_bad_opt_records() {
    let server = Server::new();
    let one = Edns::v(0).bytes();
    let with = |counts: [u8; 3], records: &[u8]| {
        let mut bytes = soa().bytes();
        (bytes[7], bytes[9], bytes[11]) = (counts[0], counts[1], counts[2]);
        bytes.extend(records);
        bytes
    };
    let named = [&[1, b'a'][..], &one].concat();
    let mut short = Edns::v(0).option(100, &[1, 2, 3]).bytes();
    // The option says that it is longer than the record.
    short[14] = 9;
    for (what, query) in [
        ("two", with([0, 0, 2], &[&one[..], &one].concat())),
        ("an answer", with([1, 0, 0], &one)),
        ("an authority", with([0, 1, 0], &one)),
        ("a name", with([0, 0, 1], &named)),
        ("an option too long", with([0, 0, 1], &short)),
    ] {
        for answer in [udp(server.at(), &query), tcp(server.at(), &query)] {
            let said = Said::read(&answer);
            assert_eq!(said.rcode, rcode::FORMERR, "{what}: {said:?}");
            assert!(said.sections.iter().all(Vec::is_empty), "{what}: {said:?}");
        }
    }
}

/// RFC 6891 section 7: a query without OPT draws an answer without, whatever is in it.
#[test]
fn rfc6891_s7_no_opt_for_those_who_send_none() {
    let server = Server::new();
    for name in [HIT, "nothing.id.example", "www.example.net"] {
        for said in server.both(&Ask::of(name, rtype::TXT)) {
            assert!(said.edns.is_empty(), "{said:?}");
        }
    }
}

/// RFC 7873 section 5.2.2: cookies of a wrong length are a FORMERR; section 5.2.3: an old or
/// foreign server cookie counts as none.
#[test]
fn rfc7873_s5_2_cookies() {
    let server = Server::new();
    for length in [0, 1, 7, 9, 15, 41, 50] {
        let edns = Edns::v(0).option(option::COOKIE, &vec![7; length]);
        for said in server.both(&soa().edns(edns)) {
            assert_eq!(said.rcode, rcode::FORMERR, "{length}: {said:?}");
        }
    }
    for length in [16, 24, 40] {
        let edns = Edns::v(0).option(option::COOKIE, &vec![7; length]);
        for said in server.both(&soa().edns(edns)) {
            assert_soa(&said);
            let cookie = said.edns[0].find(option::COOKIE).expect("a cookie");
            assert!(cookie.len() == 24 && cookie[..8] == [7; 8], "{said:?}");
            assert_ne!(cookie[8..], [7; 16]);
        }
    }
    // Section 5.4: a cookie may be asked for without a question.
    let ask = Ask::header().edns(Edns::v(0).option(option::COOKIE, &COOKIE));
    for said in server.both(&ask) {
        assert_bare(&said, rcode::NOERROR);
        assert!(said.edns[0].find(option::COOKIE).is_some());
    }
}

/// RFC 7828 section 3.2.1: not over UDP, and never with a value of the client's.
#[test]
fn rfc7828_keepalive() {
    let server = Server::new();
    let ask = soa().edns(Edns::v(0).option(option::KEEPALIVE, &[]));
    let [over_udp, over_tcp] = server.both(&ask);
    assert_soa(&over_udp);
    assert_eq!(over_udp.edns[0].find(option::KEEPALIVE), None);
    assert_soa(&over_tcp);
    // Units of 100 ms: the default is ten seconds.
    let told = over_tcp.edns[0].find(option::KEEPALIVE);
    assert_eq!(told, Some(&100_u16.to_be_bytes()[..]));
    let valued = soa().edns(Edns::v(0).option(option::KEEPALIVE, &[0, 9]));
    let said = checked(&valued, &tcp(server.at(), &valued.bytes()));
    assert_eq!(said.rcode, rcode::FORMERR);
}

/// An OPT record in a response to nobody draws nothing.
#[test]
fn responses_draw_no_answer() {
    let server = Server::new();
    for ask in [soa(), soa().edns(Edns::v(0)), soa().edns(Edns::v(1))] {
        assert!(is_silent(server.at(), &ask.flags(flag::QR).bytes()));
    }
}
