//! Answers of signed zones: to validators, and their shape.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use idnode_tests::run::{python_client, success};

use super::validator::{Delv, Unbound, Verdict};
use super::world::{CUT, HANDLE, ONS_ZONE, ORS_ZONE, World, ZONE, dig};

/// A signed zone, and a name of it with the types it has.
fn names() -> Vec<(&'static str, String, &'static [&'static str])> {
    let apex: &[&str] = &["SOA", "NS", "DNSKEY", "CDS", "CDNSKEY"];
    let all: &[&str] = &["TXT", "URI", "NAPTR", "A", "AAAA", "SVCB", "HTTPS", "PTR"];
    let link: &[&str] = &["TXT", "URI", "NAPTR"];
    let gtin = "0.5.3.4.3.1.0.0.0.6.0.5.9.gtin.gs1.id.ons.example.";
    vec![
        (ZONE, ZONE.to_owned(), apex),
        (ZONE, HANDLE.to_owned(), all),
        (ZONE, "text.88-118-8.hdl.id.example.".to_owned(), &["TXT"]),
        (ZONE, "88-118-8.hdl.id.example.".to_owned(), link),
        (
            ZONE,
            "___e6_a0_87.88-118-8.hdl.id.example.".to_owned(),
            link,
        ),
        (ZONE, "ns1.id.example.".to_owned(), &["A"]),
        (ZONE, "09506000134352.01.gs1.id.example.".to_owned(), link),
        (ORS_ZONE, ORS_ZONE.to_owned(), apex),
        (ORS_ZONE, "6.5.3001.156.2.1.ors.example.".to_owned(), link),
        (ONS_ZONE, ONS_ZONE.to_owned(), apex),
        (ONS_ZONE, gtin.to_owned(), link),
    ]
}

/// Names that exist without any records.
const EMPTY: [&str; 4] = [
    "hdl.id.example.",
    "01.gs1.id.example.",
    "5.3001.156.2.1.ors.example.",
    "gtin.gs1.id.ons.example.",
];
/// Names that do not exist.
const ABSENT: [&str; 4] = [
    "gone.88-118-8.hdl.id.example.",
    "nothing-at-all.id.example.",
    "7.5.3001.156.2.1.ors.example.",
    "*.88-118-8.hdl.id.example.",
];
const DATA_TYPES: [&str; 8] = ["TXT", "URI", "NAPTR", "A", "AAAA", "SVCB", "HTTPS", "PTR"];

fn zone_of(name: &str) -> &'static str {
    let zones = [ZONE, ORS_ZONE, ONS_ZONE].into_iter();
    zones.max_by_key(|zone| name.ends_with(zone)).unwrap()
}

/// A node whose zones are signed, one of them by the other algorithm.
fn signed() -> World {
    let world = World::new(&[]);
    world.sign(ZONE, "ecdsap256sha256");
    world.sign(ORS_ZONE, "ed25519");
    world.sign(ONS_ZONE, "ecdsap256sha256");
    world
}

#[test]
fn delv_validates_what_is_and_what_is_not() {
    let world = signed();
    let delv = |name: &str, qtype: &str| {
        let zone = zone_of(name);
        Delv::new(zone, &world.ds(zone)).ask(world.dns(), name, qtype)
    };
    for (_, name, types) in names() {
        for qtype in types {
            assert_eq!(delv(&name, qtype), Verdict::Secure, "{name} {qtype}");
        }
        let missing = DATA_TYPES.iter().find(|qtype| !types.contains(qtype));
        for qtype in missing.into_iter().chain(&["MX"]) {
            assert_eq!(delv(&name, qtype), Verdict::SecureNothing, "{name} {qtype}");
        }
    }
    for name in EMPTY {
        assert_eq!(delv(name, "TXT"), Verdict::SecureNothing, "{name}");
    }
    for name in ABSENT {
        // Compact denial: to a validator that does not know of it, the name has no such type.
        assert_eq!(delv(name, "TXT"), Verdict::SecureNothing, "{name}");
    }
    // The parent's side of a cut says that nothing below is signed.
    assert_eq!(delv(CUT, "DS"), Verdict::SecureNothing);
    // A zone's key is not another's.
    let other = Delv::new(ZONE, &world.ds(ORS_ZONE)).ask(world.dns(), HANDLE, "TXT");
    assert!(matches!(other, Verdict::Failed(_)), "{other:?}");
}

#[test]
fn a_validating_resolver_believes_all_of_it() {
    let world = signed();
    let zones = [ZONE, ORS_ZONE, ONS_ZONE];
    let ds: Vec<_> = zones.iter().flat_map(|zone| world.ds(zone)).collect();
    let unbound = Unbound::start(&ds, &zones.map(|zone| (zone, world.dns())));
    for (_, name, types) in names() {
        for qtype in types.iter().chain(&["MX", "ANY"]) {
            let answer = unbound.ask(&name, qtype);
            assert_eq!(answer.status, "NOERROR", "{}", answer.text);
            assert!(
                answer.secure,
                "{name} {qtype}\n{}\n{}",
                answer.text,
                unbound.log()
            );
        }
    }
    for name in EMPTY.iter().chain(&ABSENT) {
        let answer = unbound.ask(name, "TXT");
        assert!(answer.secure, "{name}\n{}\n{}", answer.text, unbound.log());
    }
    // The same, asked in mixed case and once more, from the node's kept answers.
    for _ in 0..2 {
        let again = Unbound::start(&ds, &zones.map(|zone| (zone, world.dns())));
        for name in [HANDLE.to_uppercase().as_str(), ABSENT[0]] {
            let answer = again.ask(name, "TXT");
            assert!(answer.secure, "{}\n{}", answer.text, again.log());
        }
        // Another serial: kept negative answers must show it with its own signature.
        let changed = world.operator.replace(
            "88.118.8/TEXT",
            vec![idnode_tests::api::value(1, "DESC", "changed")],
            "",
        );
        world.runtime.block_on(changed).unwrap();
        let answer = Unbound::start(&ds, &[(ZONE, world.dns())]).ask(ABSENT[0], "TXT");
        assert!(answer.secure, "{}", answer.text);
    }
}

/// Each answer's signatures are verified by dnspython, and what NSEC says of a name is compared
/// with what the name answers, for names of all kinds in random spellings.
#[test]
fn another_library_verifies_signatures_and_bitmaps() {
    let world = signed();
    let client = python_client("dnssec_client.py");
    let mut command = Command::new("/usr/bin/python3");
    command.arg(client).arg(world.dns().port().to_string());
    let names = names().into_iter().map(|(_, name, _)| name);
    command
        .args(names)
        .args(EMPTY)
        .args(ABSENT)
        .arg(hashed(&world));
    let report = success(&mut command);
    assert!(report.contains(" answers verified"), "{report}");
}

/// Rcode and EDNS flags of the answer to a question for TXT with DO and CO, which dig cannot set.
fn compact(at: SocketAddr, name: &str) -> (u8, u16) {
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in name.trim_end_matches('.').split('.') {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 16, 0, 1]);
    let opt = [0, 0, 41, 0x04, 0xd0, 0, 0, 0xc0, 0, 0, 0];
    query.extend_from_slice(&opt);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let patience = Some(Duration::from_secs(10));
    socket.set_read_timeout(patience).unwrap();
    socket.send_to(&query, at).unwrap();
    let mut answer = [0; 2_048];
    let length = socket.recv(&mut answer).unwrap();
    // An OPT record without options is the last one.
    let tail = &answer[length - opt.len()..length];
    assert_eq!(&tail[..3], &opt[..3], "{tail:02x?}");
    (answer[3] & 15, u16::from_be_bytes([tail[7], tail[8]]))
}

#[test]
fn answers_have_the_shape_that_the_standards_give_them() {
    let world = signed();
    let ask = |arguments: &[&str]| words(&dig(world.dns(), arguments));
    // Without DO nothing of DNSSEC is shown, and a missing name is NXDOMAIN.
    let plain = ask(&[HANDLE, "TXT"]);
    assert!(!plain.contains("RRSIG"), "{plain}");
    let absent = ask(&[ABSENT[0], "TXT"]);
    assert!(absent.contains("status: NXDOMAIN"), "{absent}");
    assert!(
        !absent.contains("RRSIG") && !absent.contains("NSEC"),
        "{absent}"
    );
    // With it: one signature over the set, in the spelling of the question.
    let signed = ask(&["+dnssec", "A-1.88-118-8.HDL.id.example.", "TXT"]);
    let signature = line(&signed, " IN RRSIG ");
    assert!(
        signature.starts_with("A-1.88-118-8.HDL.id.example."),
        "{signed}"
    );
    assert!(signature.contains(" IN RRSIG TXT 13 5 "), "{signed}");
    assert!(signature.contains(" id.example. "), "{signed}");
    assert!(signed.contains("flags: do;"), "{signed}");
    // Compact denial (RFC 9824 §3.1).
    let denied = ask(&["+dnssec", ABSENT[0], "TXT"]);
    assert!(denied.contains("status: NOERROR"), "{denied}");
    assert!(denied.contains("ANSWER: 0, AUTHORITY: 4"), "{denied}");
    let nsec = line(&denied, " IN NSEC ");
    let bitmap = format!(" 300 IN NSEC \\000.{} RRSIG NSEC TYPE128", ABSENT[0]);
    assert!(
        nsec.replace("NXNAME", "TYPE128").ends_with(&bitmap),
        "{denied}"
    );
    // To those who say that they understand (RFC 9824 §5.1), the code is kept.
    let (rcode, flags) = compact(world.dns(), ABSENT[0]);
    assert_eq!(rcode, 3, "NXDOMAIN");
    assert_eq!(flags, 0xc000, "DO and CO are repeated");
    // What the name has is listed, and nothing else.
    let nothing = ask(&["+dnssec", HANDLE, "MX"]);
    let types = "A PTR NAPTR TXT AAAA SVCB HTTPS RRSIG NSEC URI".split(' ');
    let (_, shown) = line(&nothing, " IN NSEC ").split_once(" IN NSEC ").unwrap();
    let mut expected: Vec<_> = types.collect();
    let mut listed: Vec<_> = shown.split(' ').skip(1).collect();
    expected.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, expected, "{nothing}");
    // An insecure delegation (RFC 9824 §3.4): NS is there and DS is not.
    let referral = ask(&["+dnssec", &format!("x.{CUT}"), "TXT"]);
    let cut = line(&referral, " IN NSEC ");
    assert!(
        cut.starts_with(CUT) && cut.ends_with(" NS RRSIG NSEC"),
        "{referral}"
    );
    assert!(
        !referral.contains(" RRSIG NS ") && !referral.contains(" RRSIG A "),
        "{referral}"
    );
    assert!(referral.contains("192.0.2.11"), "{referral}");
    // Nobody asks for the type that says that there is no name (RFC 9824 §3.5).
    let nxname = ask(&["+dnssec", HANDLE, "TYPE128"]);
    assert!(nxname.contains("status: FORMERR"), "{nxname}");
    assert!(nxname.contains("EDE: 30"), "{nxname}");
    // ANY is one signed record (RFC 8482).
    let any = ask(&["+dnssec", HANDLE, "ANY"]);
    assert!(
        any.contains("ANSWER: 2,") && any.contains(" RRSIG HINFO "),
        "{any}"
    );
    // Keys are shown to those who ask, signed or not.
    let keys = ask(&["+dnssec", ZONE, "DNSKEY"]);
    assert!(line(&keys, " IN DNSKEY ").contains("257 3 13 "), "{keys}");
    assert!(ask(&[ZONE, "CDS"]).contains(" 13 2 "));
    let own = ask(&["+dnssec", ABSENT[0], "NSEC"]);
    assert!(
        own.contains("ANSWER: 2,") && own.contains(" RRSIG NSEC 13 "),
        "{own}"
    );
    let rrsig = ask(&[HANDLE, "RRSIG"]);
    assert!(
        line(&rrsig, " IN RRSIG ").contains(" RRSIG NSEC 13 "),
        "{rrsig}"
    );
    // A hashed name's naming record is part of a set, which cannot be signed: the whole set is
    // beside the answer then, where it is small.
    let name = hashed(&world);
    assert!(ask(&["+tcp", &name, "URI"]).contains("ADDITIONAL: 2"));
    let named = ask(&["+tcp", "+dnssec", &name, "URI"]);
    assert!(named.contains("ADDITIONAL: 4"), "{named}");
    assert!(line(&named, " RRSIG TXT ").starts_with(&name), "{named}");
    let large = format!("88.118.8/{}", "large".repeat(100));
    let values = (1..=100).map(|n| idnode_tests::api::value(n, "URL", "https://example.com/x"));
    let made = world.operator.create(&large, values.collect(), "");
    world.runtime.block_on(made).unwrap();
    let alone = ask(&["+dnssec", "+tcp", &idnode_name(&world, &large), "URI"]);
    assert!(
        alone.contains("ANSWER: 101,") && alone.contains("ADDITIONAL: 1\n"),
        "{alone}"
    );
}

/// The name of an identifier that is hashed.
fn hashed(world: &World) -> String {
    idnode_name(world, &format!("88.118.8/{}", "long".repeat(100)))
}

/// A name of an identifier, by `idctl dns-name`.
fn idnode_name(world: &World, identifier: &str) -> String {
    let text = success(world.idctl.command().args(["dns-name", identifier]));
    let name = text.split_whitespace().find(|word| word.ends_with(ZONE));
    name.unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// The same text with one space between words.
fn words(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// The first record that has a text.
fn line<'a>(text: &'a str, part: &str) -> &'a str {
    let mut records = text.lines().filter(|line| !line.starts_with(';'));
    let found = records.find(|line| line.contains(part));
    found.unwrap_or_else(|| panic!("no {part:?} in {text}"))
}

/// Between the node and the validator, somebody changes what is answered.
#[test]
fn tampering_is_detected() {
    let world = signed();
    let delv = Delv::new(ZONE, &world.ds(ZONE));
    let honest = forward(world.dns(), |_| {});
    assert_eq!(delv.ask(honest, HANDLE, "TXT"), Verdict::Secure);
    let forged = forward(world.dns(), |answer| {
        replace(
            answer,
            b"https://example.com/a-1",
            b"https://attacker.cn/a-1",
        );
    });
    let verdict = delv.ask(forged, HANDLE, "TXT");
    assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
    // A denial for another name is none for this one.
    let moved = forward(world.dns(), |answer| {
        replace(answer, b"\x04gone\x0888-118-8", b"\x04gane\x0888-118-8");
    });
    let verdict = delv.ask(moved, "gane.88-118-8.hdl.id.example.", "TXT");
    assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
}

fn replace(bytes: &mut [u8], what: &[u8], by: &[u8]) {
    assert_eq!(what.len(), by.len());
    for at in 0..bytes.len().saturating_sub(what.len() - 1) {
        if bytes[at..at + what.len()] == *what {
            bytes[at..at + what.len()].copy_from_slice(by);
        }
    }
}

/// A way to a server on which answers are changed; it ends with the process.
fn forward(server: SocketAddr, change: impl Fn(&mut [u8]) + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok((length, client)) = socket.recv_from(&mut bytes) {
            let upstream = UdpSocket::bind("127.0.0.1:0").unwrap();
            upstream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let mut query = bytes[..length].to_vec();
            // Who asks for the forged name gets what the node says of another.
            replace(&mut query, b"\x04gane\x0888-118-8", b"\x04gone\x0888-118-8");
            upstream.send_to(&query, server).unwrap();
            if let Ok(length) = upstream.recv(&mut bytes) {
                change(&mut bytes[..length]);
                socket.send_to(&bytes[..length], client).ok();
            }
        }
    });
    at
}
