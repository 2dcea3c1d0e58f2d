//! Queries that are none: RFC 1035 section 4.1, RFC 9619 (one question), RFC 5936 and 6895 types
//! that are not asked for, messages of other opcodes with bodies of their own.

use idnode_tests::dns::{Ask, Edns, Said, flag, is_silent, rcode, rtype, tcp, udp, wire_name};

use super::{Server, assert_bare, assert_soa, checked};
use crate::zones::{HIT, ZONE};

fn both(server: &Server, message: &[u8]) -> [Said; 2] {
    [udp(server.at(), message), tcp(server.at(), message)].map(|answer| Said::read(&answer))
}

/// RFC 9619 section 4: with opcode QUERY more than one question is a FORMERR.
#[test]
fn rfc9619_s4_one_question() {
    let server = Server::new();
    let two = Ask::of(ZONE, rtype::SOA).question(ZONE, rtype::NS, 1);
    for said in both(&server, &two.bytes()) {
        assert_bare(&said, rcode::FORMERR);
    }
    let many = (0..40).fold(Ask::header(), |ask, _| ask.question("a", rtype::A, 1));
    for said in both(&server, &many.bytes()) {
        assert_bare(&said, rcode::FORMERR);
    }
    for said in both(&server, &Ask::header().bytes()) {
        assert_bare(&said, rcode::FORMERR);
    }
    // A number of questions that are not there.
    let mut promised = Ask::of(ZONE, rtype::SOA).bytes();
    (promised[4], promised[5]) = (0xff, 0xff);
    for said in both(&server, &promised) {
        assert_bare(&said, rcode::FORMERR);
    }
}

/// RFC 8906 section 3.1.4: what is cut off is answered with FORMERR as long as it has a header,
/// responses and less than a header not at all.
#[test]
fn what_is_cut_off_is_a_format_error() {
    let server = Server::new();
    let whole = Ask::of(HIT, rtype::TXT).edns(Edns::v(0)).bytes();
    for length in 12..whole.len() {
        let answer = udp(server.at(), &whole[..length]);
        let said = Said::read(&answer);
        assert_eq!(said.rcode, rcode::FORMERR, "{length}: {said:?}");
        assert!(said.length <= 12 + length, "{length}: {said:?}");
    }
    for length in [0, 1, 2, 11] {
        assert!(is_silent(server.at(), &whole[..length]), "{length}");
    }
    let response = Ask::of(HIT, rtype::TXT).flags(flag::QR).bytes();
    assert!(is_silent(server.at(), &response));
}

/// RFC 1035 section 4.1.4 and 3.1: names that point at themselves, labels of no kind, names too
/// long.
#[test]
fn names_that_are_none_are_format_errors() {
    let server = Server::new();
    let header = Ask::header().bytes();
    let long: Vec<u8> = [&[63][..], &[b'a'; 63]].concat().repeat(4);
    for (what, name) in [
        ("at itself", &[0xc0, 12][..]),
        ("forward", &[0xc0, 40]),
        ("a loop", &[1, b'a', 0xc0, 12]),
        ("a kind that is no more", &[0x41, 1, 0]),
        ("a reserved kind", &[0x80, 0]),
        ("too long", &[&long[..], &[1, b'a', 0]].concat()),
    ] {
        let mut query = [&header[..], name, &[0, 1, 0, 1]].concat();
        query[5] = 1;
        for said in both(&server, &query) {
            assert_eq!(said.rcode, rcode::FORMERR, "{what}: {said:?}");
            assert!(said.sections.iter().all(Vec::is_empty), "{what}: {said:?}");
        }
    }
}

/// Bytes behind a message belong to none.
#[test]
fn what_follows_a_message_is_no_part_of_an_answer() {
    let server = Server::new();
    for ask in [
        Ask::of(ZONE, rtype::SOA),
        Ask::of(ZONE, rtype::SOA).edns(Edns::v(0)),
    ] {
        let trailed = [&ask.bytes()[..], &[0xde, 0xad, 0xbe, 0xef]].concat();
        for said in both(&server, &trailed) {
            match said.rcode {
                rcode::NOERROR => assert_soa(&said),
                other => assert_eq!(other, rcode::FORMERR, "{said:?}"),
            }
        }
    }
}

/// RFC 6895 section 3.1: types that are no data.
#[test]
fn types_that_nobody_asks_for() {
    let server = Server::new();
    for qtype in [rtype::OPT, 250] {
        for said in server.both(&Ask::of(ZONE, qtype)) {
            assert_bare(&said, rcode::FORMERR);
        }
    }
    // MAILB and MAILA ask for records that are obsolete (RFC 1035 section 3.2.3).
    for qtype in [253, 254] {
        for said in server.both(&Ask::of(HIT, qtype)) {
            assert!(
                matches!(said.rcode, rcode::NOERROR | rcode::NOTIMP),
                "{said:?}"
            );
            assert!(said.answers().is_empty(), "{said:?}");
        }
    }
}

/// RFC 5936 section 4.2: AXFR is not for datagrams; to those who may not have the zone it is
/// REFUSED.
#[test]
fn zone_transfers_are_refused() {
    let server = Server::new();
    for qtype in [rtype::AXFR, rtype::IXFR] {
        for said in server.both(&Ask::of(ZONE, qtype)) {
            assert!(
                matches!(said.rcode, rcode::REFUSED | rcode::FORMERR),
                "{said:?}"
            );
            assert!(said.sections.iter().all(Vec::is_empty), "{said:?}");
        }
    }
}

#[test]
fn other_classes_are_refused() {
    let server = Server::new();
    for class in [2, 3, 4, 254, 255, 1_000] {
        let ask = Ask::header().question(ZONE, rtype::SOA, class);
        for said in server.both(&ask) {
            assert_bare(&said, rcode::REFUSED);
        }
    }
}

/// RFC 2136, 1996 and 8490: other opcodes have bodies of their own, which need not be understood
/// to say that they are not.
#[test]
fn bodies_of_other_opcodes_are_not_implemented() {
    let server = Server::new();
    // UPDATE: delete all records of a name (RFC 2136 section 2.5.3).
    let mut update = Ask::of(ZONE, rtype::SOA).opcode(5).bytes();
    update[9] = 1;
    update.extend(wire_name(HIT));
    update.extend([0, 255, 0, 255, 0, 0, 0, 0, 0, 0]);
    // NOTIFY with the new SOA record in the answer section (RFC 1996 section 3.7).
    let mut notify = Ask::of(ZONE, rtype::SOA).opcode(4).flags(flag::AA).bytes();
    notify[7] = 1;
    notify.extend(wire_name(ZONE));
    notify.extend([0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    notify.extend([0; 20]);
    // DSO keepalive: a header and a TLV, which is no record (RFC 8490 section 5.4).
    let mut dso = Ask::header().opcode(6).bytes();
    dso.extend([0, 1, 0, 8, 0, 0, 0x3a, 0x98, 0, 0, 0x3a, 0x98]);
    // IQUERY: an answer without a question (RFC 1035 section 6.4, obsolete by RFC 3425).
    let mut inverse = Ask::header().opcode(1).bytes();
    inverse[7] = 1;
    inverse.extend([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 7]);
    // An opcode that nobody has given a meaning, with a body of any kind.
    let mut unknown = Ask::header().opcode(13).bytes();
    (unknown[5], unknown[11]) = (9, 200);
    unknown.extend([0xc0, 0xff, 0xee]);
    for (what, message) in [
        ("UPDATE", update),
        ("NOTIFY", notify),
        ("DSO", dso),
        ("IQUERY", inverse),
        ("unknown", unknown),
    ] {
        for said in both(&server, &message) {
            assert_eq!(said.rcode, rcode::NOTIMP, "{what}: {said:?}");
            assert!(said.sections.iter().all(Vec::is_empty), "{what}: {said:?}");
        }
    }
}

/// TC, AA and a response code mean nothing in queries.
#[test]
fn flags_of_responses_mean_nothing_in_queries() {
    let server = Server::new();
    for flags in [flag::TC, flag::AA, 3, 5, flag::TC | flag::AA | 15] {
        let ask = Ask::of(ZONE, rtype::SOA).flags(flags);
        for answer in [
            udp(server.at(), &ask.bytes()),
            tcp(server.at(), &ask.bytes()),
        ] {
            assert_soa(&checked(&ask, &answer));
        }
    }
}
