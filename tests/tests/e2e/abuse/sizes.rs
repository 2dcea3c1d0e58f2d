//! Answers are what an attacker would have multiplied: none is larger than what another server
//! gives for the same question on the same zone.

use std::net::SocketAddr;

use idnode_tests::dns::{Ask, Edns, Said, flag, option, rcode, rtype, tcp, udp};
use idnode_tests::run::{free_address, until};
use idnode_tests::secondary::{Secondary, Setup, serial};

use crate::zones::{
    BELOW_CUT, BIG, CUT, ELSEWHERE, EMPTY, GONE, HIT, MISS, OUTSIDE, PREFIX, SECRET, World, ZONE,
    ZONES,
};

const TYPES: [u16; 12] = [
    rtype::A,
    rtype::AAAA,
    rtype::NS,
    rtype::SOA,
    rtype::TXT,
    rtype::URI,
    rtype::NAPTR,
    rtype::MX,
    rtype::DS,
    rtype::DNSKEY,
    rtype::ANY,
    1_000,
];

/// The HINFO record that answers ANY, its name compressed.
const ANY_RECORD_BYTES: usize = 21;

/// What clients say of EDNS.
fn kinds_of_edns() -> [Option<Edns>; 4] {
    [
        None,
        Some(Edns::v(0)),
        Some(Edns::v(0).payload(4_096)),
        Some(Edns::v(0).flags(flag::DO)),
    ]
}

fn said(at: SocketAddr, ask: &Ask) -> Said {
    Said::read(&udp(at, &ask.bytes()))
}

/// Bytes of the text of an extended error, which other servers do not give.
fn explanation_bytes(said: &Said) -> usize {
    let options = said.edns.iter().flat_map(|edns| &edns.options);
    let errors = options.filter(|(code, _)| *code == option::EXTENDED_ERROR);
    errors.map(|(_, data)| 4 + data.len()).sum()
}

#[test]
fn no_answer_is_larger_than_nsds() {
    let at = free_address();
    let world = World::with(&["dns.allow_transfer=127.0.0.1"]);
    let own = world.node.at.dns;
    let zones = ZONES.map(|zone| format!("{zone}."));
    let nsd = Secondary::nsd(&Setup {
        listen: at,
        primary: own,
        zones: &zones.each_ref().map(String::as_str),
        key: None,
    });
    until("the transfer", || {
        zones
            .iter()
            .all(|zone| serial(at, zone).is_some() && serial(at, zone) == serial(own, zone))
    });
    let names = [
        ZONE,
        ZONES[1],
        ZONES[2],
        "ns1.id.example",
        HIT,
        BIG,
        SECRET,
        GONE,
        MISS,
        PREFIX,
        EMPTY,
        CUT,
        BELOW_CUT,
        ELSEWHERE,
        OUTSIDE,
        "x.y.z.id.example",
        "5.3001.156.2.1.ors.example",
        "nothing.ors.example",
        "nothing.ons.example",
        &world.hashed,
    ];
    let (mut larger, mut total, mut explanations, mut nsd_total) = (Vec::new(), 0, 0, 0);
    for name in names {
        for qtype in TYPES {
            for edns in kinds_of_edns() {
                let mut ask = Ask::of(name, qtype);
                if let Some(edns) = edns {
                    ask = ask.edns(edns);
                }
                let (ours, theirs) = (said(own, &ask), said(at, &ask));
                total += ours.length;
                explanations += explanation_bytes(&ours);
                nsd_total += theirs.length;
                // NSD answers ANY with the first set of records, or with TC alone; ours is RFC
                // 8482's one record, whatever there is.
                let any = 12 + ours.questions.len() + 11 * ours.edns.len() + ANY_RECORD_BYTES;
                let allowed = match qtype {
                    rtype::ANY => theirs.length.max(any),
                    _ => theirs.length,
                };
                if ours.length > allowed + explanation_bytes(&ours) {
                    larger.push(format!("{name} {qtype}: {ours:?}\n  {theirs:?}"));
                }
                if explanation_bytes(&ours) > 0 {
                    assert!(
                        matches!(ours.rcode, rcode::NXDOMAIN | rcode::REFUSED),
                        "{name} {qtype}: {ours:?}"
                    );
                }
            }
        }
    }
    assert!(
        larger.is_empty(),
        "{} answers are larger than NSD's:\n{}",
        larger.len(),
        larger.join("\n")
    );
    eprintln!(
        "{total} bytes of answers, {explanations} of them explanations, where NSD's have {nsd_total}"
    );
    assert!(
        total - explanations <= nsd_total,
        "{total} {explanations} {nsd_total}"
    );
    drop(nsd);
    world.node.stop();
}

/// What an answer can do without is for those who are where they say they are.
#[test]
fn additional_records_go_to_connections_and_to_known_cookies() {
    let world = World::shared();
    let at = world.node.at.dns;
    let types = |said: &Said| -> Vec<u16> { said.sections[2].iter().map(|it| it.rtype).collect() };
    let questions = [
        (world.hashed.as_str(), rtype::URI, rtype::TXT),
        (ZONE, rtype::NS, rtype::A),
    ];
    // Twice: made, and then repeated.
    for (name, qtype, extra) in questions.repeat(2) {
        let ask = Ask::of(name, qtype);
        let own = [1, 2, 3, 4, 5, 6, 7, 8];
        let new = ask.clone().edns(Edns::v(0).option(option::COOKIE, &own));
        let first = said(at, &new);
        let cookie = first.edns[0].find(option::COOKIE).expect("a cookie");
        let known = ask.clone().edns(Edns::v(0).option(option::COOKIE, cookie));
        assert_eq!(types(&first), [0; 0], "{first:?}");
        assert_eq!(types(&said(at, &ask)), [0; 0]);
        let known = said(at, &known);
        assert_eq!(types(&known), [extra], "{known:?}");
        let connected = Said::read(&tcp(at, &ask.bytes()));
        assert_eq!(types(&connected), [extra], "{connected:?}");
        assert_eq!(connected.answers(), known.answers());
        assert_eq!(known.answers(), first.answers());
    }
    // A referral leads nowhere without.
    let referral = said(at, &Ask::of(BELOW_CUT, rtype::A));
    assert_eq!(types(&referral), [rtype::A, rtype::AAAA], "{referral:?}");
}
