#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use super::*;
use crate::identifier::tests::{Random, valid_text};

fn zones() -> Zones {
    Zones::parse("id.example.cn.", Some("oid-res.org"), Some("ons.example.")).unwrap()
}

fn identifier(text: &str) -> Identifier {
    Identifier::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn parse(name: &str) -> Result<Subject, NameError> {
    let body = name.strip_suffix('.').unwrap_or(name);
    zones().parse_name(body.split('.').map(str::as_bytes))
}

fn assert_well_formed(name: &MappedName) {
    assert!(name.wire().len() <= 255, "{name}");
    assert!(
        name.labels().all(|label| (1..=63).contains(&label.len())),
        "{name}"
    );
    assert_eq!(name.to_string(), name.to_string().to_ascii_lowercase());
    let labels: usize = name.labels().map(|label| label.len() + 1).sum();
    assert_eq!(labels + 1, name.wire().len());
    assert_eq!(name.wire().last(), Some(&0));
}

#[test]
fn names_of_the_table() {
    for (text, name) in [
        ("88.118.8/JXDY2106023", "jxdy2106023.88-118-8.hdl"),
        ("88.118.8/a_b-c.d/é", "a__b-c_2ed_2f_c3_a9.88-118-8.hdl"),
        ("8-8.1/x", "x.8_2d8-1.hdl"),
        ("0.NA/88.118.8", "88-118-8.hdl"),
        ("0.NA/a/b", "a_2fb.0-na.hdl"),
        ("1.2.156.3001", "3001.156.2.1.oid"),
        (
            "gtin:9506000134352/10/ABC/21/12",
            "12.21._41_42_43.10.09506000134352.01.gs1",
        ),
        ("sscc:195060001343520007", "195060001343520007.00.gs1"),
        ("ecode:10003693010", "693010.10003.ecode"),
        ("ecode:3ab12cXy", "xy.3ab12c.ecode"),
        ("ecode:400001aZ", "a_5a.400001.ecode"),
        ("VAA0881001234/SN1", "sn1.0881001234.vaa"),
        ("did:cn:88.118.8", "8.cn_3a88-118.did"),
        ("did:bid:byo1", "bid_3abyo1.did"),
        (
            "did:bid:efzV4oV3dzVx8BVREDfuYL",
            "efz_564o_563dz_56x8_42_56_52_45_44fu_59_4c.bid.did",
        ),
    ] {
        let identifier = match Identifier::parse(text) {
            Ok(identifier) => identifier,
            Err(error) => panic!("{text}: {error}"),
        };
        let mapped = to_name(&identifier, &zones());
        assert_eq!(
            mapped.to_string(),
            format!("{name}.id.example.cn."),
            "{text}"
        );
        assert!(!mapped.is_hashed());
        assert_eq!(
            parse(&mapped.to_string()).unwrap().identifier(),
            Some(identifier),
            "{text}"
        );
    }
}

#[test]
fn prefix_names() {
    for (text, name) in [
        ("88.118.8", "88-118-8.hdl"),
        ("gs1:9506000", "9506000.gcp.gs1"),
        ("oid:1.2.156", "156.2.1.oid"),
        ("ecode:10003", "10003.ecode"),
        ("vaa:VAA088100", "088100.vaa"),
        ("did:bid:byO1", "bid_3aby_4f1.did"),
    ] {
        let prefix = Prefix::parse(text).unwrap();
        let mapped = prefix_to_name(&prefix, &zones());
        assert_eq!(
            mapped.to_string(),
            format!("{name}.id.example.cn."),
            "{text}"
        );
        match parse(&mapped.to_string()).unwrap() {
            Subject::Prefix(parsed) => assert_eq!(parsed, prefix),
            other => assert_eq!(other.identifier(), prefix.prefix_identifier(), "{text}"),
        }
    }
}

#[test]
fn ors_and_ons_names() {
    let oid = identifier("1.2.156.3001");
    let name = ors_name(&oid, &zones()).unwrap();
    assert_eq!(name.to_string(), "3001.156.2.1.oid-res.org.");
    assert_eq!(
        parse("3001.156.2.1.OID-res.org."),
        Ok(Subject::Identifier(oid))
    );
    assert_eq!(
        parse("1.oid-res.org"),
        Ok(Subject::EmptyNonTerminal(Scheme::Oid))
    );

    // The worked example of the tyre industry's ONS: GTIN 00866990337140 with its check digit.
    let check = crate::identifier::gs1_check_digit("0086699033714");
    for (text, name) in [
        (
            format!("gtin:0086699033714{check}"),
            "0.4.1.7.3.3.0.9.9.6.6.8.0",
        ),
        ("gtin:9506000134352".to_owned(), "0.5.3.4.3.1.0.0.0.6.0.5.9"),
    ] {
        let gtin = identifier(&text);
        let mapped = ons_name(&gtin, &zones()).unwrap();
        assert_eq!(
            mapped.to_string(),
            format!("{name}.gtin.gs1.id.ons.example.")
        );
        assert_eq!(parse(&mapped.to_string()), Ok(Subject::Identifier(gtin)));
    }
    for text in [
        "sscc:195060001343520007",
        "gln:9506000134376",
        "gtin:19506000134359",
    ] {
        let key = identifier(text);
        let mapped = ons_name(&key, &zones()).unwrap();
        assert_eq!(
            parse(&mapped.to_string()),
            Ok(Subject::Identifier(key)),
            "{text}"
        );
    }
    assert_eq!(
        ons_name(&identifier("gtin:9506000134352/21/1"), &zones()),
        None
    );
    let company = Prefix::parse("gs1:9506").unwrap();
    assert_eq!(
        parse("6.0.5.9.gtin.gs1.id.ons.example"),
        Ok(Subject::Prefix(company))
    );
    for gap in [
        "id",
        "gs1.id",
        "gtin.gs1.id",
        "5.9.gtin.gs1.id",
        "1.0.0.0.4.3.1.0.0.0.6.0.5.9.sscc.gs1.id",
    ] {
        assert_eq!(
            parse(&format!("{gap}.ons.example")),
            Ok(Subject::EmptyNonTerminal(Scheme::Gs1)),
            "{gap}"
        );
    }
    assert_eq!(
        parse("1.0.5.3.4.3.1.0.0.0.6.0.5.9.gtin.gs1.id.ons.example"),
        Err(NameError::Below)
    );
}

#[test]
fn roots_gaps_and_strangers() {
    assert_eq!(parse("ID.Example.CN."), Ok(Subject::Apex(ZoneKind::Node)));
    assert_eq!(parse("oid-res.org"), Ok(Subject::Apex(ZoneKind::Ors)));
    assert_eq!(
        parse("hdl.id.example.cn"),
        Ok(Subject::SchemeRoot(Scheme::Handle))
    );
    assert_eq!(parse("example.cn"), Err(NameError::OutsideZones));
    assert_eq!(parse("."), Err(NameError::OutsideZones));
    assert!(matches!(
        parse("ns1.id.example.cn"),
        Err(NameError::NoSuchScheme { .. })
    ));
    assert_eq!(parse("a.b.88-118.hdl.id.example.cn"), Err(NameError::Below));
    for gap in ["01.gs1", "gcp.gs1", "10.09506000134352.01.gs1", "1.oid"] {
        let subject = parse(&format!("{gap}.id.example.cn"));
        assert!(
            matches!(subject, Ok(Subject::EmptyNonTerminal(_))),
            "{gap}: {subject:?}"
        );
    }
}

#[test]
fn only_the_canonical_spelling_is_accepted() {
    for name in [
        "_61.88-118.hdl", // a letter escaped without need
        "_41.88-118.hdl", // a capital, which the scheme folds
        "_5f.88-118.hdl", // '_' in hexadecimal
        "_2d.88-118.hdl", // '-' escaped where it need not be
        "a_.88-118.hdl",  // escape cut short
        "a_2.88-118.hdl",
        "a_2g.88-118.hdl",
        "a.88_2e118.hdl",  // '.' of a prefix escaped
        "a.-88.hdl",       // empty prefix label
        "88-118.0-na.hdl", // has the name of the prefix
        "_ff.88-118.hdl",  // not UTF-8
        "_hshort.88-118.hdl",
        "a.88_00b.hdl",                    // 0x00 in a prefix
        "9506000134352.01.gs1",            // GTIN-13
        "a.10.1.21.09506000134352.01.gs1", // qualifiers out of order
        "21.1.235.09506000134352.01.gs1",
        "06.gs1",
        "03.2.1.oid",
        "40.1.oid",
        "123.gcp.gs1",
        "1.0003.ecode",
        "x.cn_3a88.did",
        "_73.400001.ecode", // a small letter escaped in a case-sensitive label
    ] {
        let result = parse(&format!("{name}.id.example.cn"));
        assert!(
            matches!(result, Err(NameError::Malformed { .. })),
            "{name}: {result:?}"
        );
    }
}

#[test]
fn long_handles_get_hashed_labels() {
    let zone = zones();
    let long_suffix = identifier(&format!("88.118.8/{}", "x".repeat(64)));
    let name = to_name(&long_suffix, &zone);
    assert!(name.is_hashed());
    let subject = parse(&name.to_string()).unwrap();
    let Subject::HashedIdentifier {
        hash,
        prefix,
        prefix_hash,
        scheme,
    } = &subject
    else {
        panic!("{subject:?}");
    };
    assert_eq!(*scheme, Scheme::Handle);
    assert_eq!(*hash, identifier_hash(long_suffix.key()));
    assert_eq!(prefix.as_ref(), Prefix::parse("88.118.8").ok().as_ref());
    assert_eq!(*prefix_hash, None);
    assert!(subject.is_name_of(&long_suffix));
    assert!(!subject.is_name_of(&identifier("88.118.8/x")));

    let long_prefix = format!("88.118.{}", "1".repeat(60));
    let short_suffix = identifier(&format!("{long_prefix}/x"));
    let subject = parse(&to_name(&short_suffix, &zone).to_string()).unwrap();
    assert!(matches!(
        subject,
        Subject::HashedIdentifier {
            prefix: None,
            prefix_hash: Some(_),
            ..
        }
    ));
    assert!(subject.is_name_of(&short_suffix));

    let described = identifier(&format!("0.NA/{long_prefix}"));
    let subject = parse(&to_name(&described, &zone).to_string()).unwrap();
    let prefix = Prefix::parse(&long_prefix).unwrap();
    assert_eq!(
        subject,
        Subject::HashedPrefix {
            scheme: Scheme::Handle,
            hash: identifier_hash(prefix.key())
        }
    );
    assert!(subject.is_name_of(&described));
    assert_eq!(name_hash(&described), Some(identifier_hash(prefix.key())));

    // Sixty-three bytes fit, escapes counted.
    assert!(!to_name(&identifier(&format!("8.1/{}", "x".repeat(63))), &zone).is_hashed());
    assert!(!to_name(&identifier(&format!("8.1/{}", "é".repeat(10))), &zone).is_hashed());
    assert!(to_name(&identifier(&format!("8.1/{}", "é".repeat(11))), &zone).is_hashed());
}

#[test]
fn every_valid_identifier_has_a_well_formed_name_that_leads_back() {
    let zone = zones();
    let mut random = Random::seeded(11);
    for scheme in Scheme::ALL {
        let (mut plain, mut hashed) = (0, 0);
        for _ in 0..50_000 {
            let identifier = identifier(&valid_text(&mut random, scheme));
            let name = to_name(&identifier, &zone);
            assert_well_formed(&name);
            let subject = zone
                .parse_name(name.labels())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(subject.is_name_of(&identifier), "{identifier} {name}");
            assert_eq!(name_hash(&identifier).is_some(), name.is_hashed());
            if name.is_hashed() {
                hashed += 1;
                assert_eq!(subject.identifier(), None);
            } else {
                plain += 1;
                assert_eq!(subject.identifier(), Some(identifier.clone()), "{name}");
            }
            let mixed: Vec<Vec<u8>> = name
                .labels()
                .map(|label| mix_case(&mut random, label))
                .collect();
            assert_eq!(
                zone.parse_name(mixed.iter().map(Vec::as_slice)),
                Ok(subject)
            );
            for other in [ors_name(&identifier, &zone), ons_name(&identifier, &zone)]
                .into_iter()
                .flatten()
            {
                assert_well_formed(&other);
                assert_eq!(
                    zone.parse_name(other.labels()),
                    Ok(Subject::Identifier(identifier.clone()))
                );
            }
        }
        assert!(plain > 1000, "{scheme}: {plain} plain, {hashed} hashed");
    }
}

fn mix_case(random: &mut Random, label: &[u8]) -> Vec<u8> {
    label
        .iter()
        .map(|byte| match random.below(2) {
            0 => byte.to_ascii_uppercase(),
            _ => *byte,
        })
        .collect()
}

#[test]
fn every_prefix_has_a_well_formed_name_that_leads_back() {
    let zone = zones();
    let mut random = Random::seeded(12);
    for scheme in Scheme::ALL {
        for _ in 0..5_000 {
            let identifier = identifier(&valid_text(&mut random, scheme));
            for candidate in identifier.prefix_candidates() {
                let prefix = Prefix::from_key(candidate.key).unwrap();
                let name = prefix_to_name(&prefix, &zone);
                assert_well_formed(&name);
                match zone.parse_name(name.labels()).unwrap() {
                    Subject::Prefix(parsed) => assert_eq!(parsed, prefix),
                    Subject::HashedPrefix { hash, .. } => {
                        assert_eq!(hash, identifier_hash(prefix.key()))
                    }
                    subject => assert!(
                        subject.is_name_of(&prefix.prefix_identifier().unwrap()),
                        "{name}"
                    ),
                }
            }
        }
    }
}

#[test]
fn the_longest_handles_fit_in_the_longest_zone() {
    let longest = format!("{}.{}", "z".repeat(63), "y".repeat(34));
    let zone = Zones::parse(&longest, None, None).unwrap();
    assert!(Zones::parse(&format!("{longest}y"), None, None).is_err());
    let mut random = Random::seeded(13);
    for _ in 0..2_000 {
        let prefix_bytes = random.between(1, 2046);
        let label = random.between(1, 80);
        let prefix: String = (0..prefix_bytes)
            .map(|at| {
                if at % (label + 1) == label && at + 1 < prefix_bytes {
                    '.'
                } else {
                    '7'
                }
            })
            .collect();
        let suffix = "é/-"
            .repeat(700)
            .chars()
            .take((2047 - prefix_bytes).min(600))
            .collect::<String>();
        let mut suffix = suffix;
        while prefix.len() + 1 + suffix.len() > 2048 {
            suffix.pop();
        }
        if suffix.is_empty() {
            suffix.push('s');
        }
        let handle = Identifier::parse(&format!("{prefix}/{suffix}")).unwrap();
        let name = to_name(&handle, &zone);
        assert_well_formed(&name);
        assert!(zone.parse_name(name.labels()).unwrap().is_name_of(&handle));
    }
}

#[test]
fn a_million_random_names_never_panic_and_are_canonical_when_accepted() {
    const PIECES: [&str; 40] = [
        "hdl",
        "oid",
        "gs1",
        "ecode",
        "vaa",
        "did",
        "gcp",
        "gtin",
        "gs1",
        "id",
        "01",
        "00",
        "10",
        "21",
        "414",
        "09506000134352",
        "88-118-8",
        "0-na",
        "bid",
        "bid_3abyo1",
        "cn_3a88-118",
        "1",
        "2",
        "156",
        "39",
        "a",
        "Z",
        "_",
        "__",
        "_41",
        "_61",
        "_2e",
        "_h",
        "-",
        "10003",
        "400001",
        "0881001",
        "_h0123456789abcdefghijklmnopqrstuv",
        "9",
        "é",
    ];
    let zone = zones();
    let tops: [&[&str]; 3] = [
        &["id", "example", "cn"],
        &["oid-res", "org"],
        &["ons", "example"],
    ];
    let mut random = Random::seeded(14);
    let mut accepted = 0;
    for _ in 0..1_000_000 {
        let mut labels: Vec<Vec<u8>> = (0..random.below(8))
            .map(|_| {
                let pieces = if random.below(3) == 0 {
                    random.between(0, 4)
                } else {
                    1
                };
                random.text(&PIECES, pieces).into_bytes()
            })
            .collect();
        if random.below(20) == 0 {
            labels.push((0..random.below(64)).map(|_| random.next() as u8).collect());
        }
        if random.below(2) == 0 {
            labels.push(random.pick(&PIECES[..6]).as_bytes().to_vec());
        }
        let top = tops[random.below(5).saturating_sub(2)];
        labels.extend(top.iter().map(|label| label.as_bytes().to_vec()));
        let Ok(subject) = zone.parse_name(labels.iter().map(Vec::as_slice)) else {
            continue;
        };
        accepted += 1;
        let lower: Vec<Vec<u8>> = labels
            .iter()
            .map(|label| label.to_ascii_lowercase())
            .collect();
        let same = |name: &MappedName| name.labels().eq(lower.iter().map(Vec::as_slice));
        match &subject {
            Subject::Identifier(identifier) => {
                let names = [
                    Some(to_name(identifier, &zone)),
                    ors_name(identifier, &zone),
                    ons_name(identifier, &zone),
                ];
                assert!(names.iter().flatten().any(same), "{identifier:?} {lower:?}");
            }
            Subject::Prefix(prefix) if top[0] == "id" => {
                assert!(same(&prefix_to_name(prefix, &zone)), "{prefix}");
            }
            Subject::SchemeRoot(scheme) => assert!(same(&scheme_name(*scheme, &zone))),
            _ => {}
        }
    }
    assert!(accepted > 50_000, "{accepted} accepted");
}

#[test]
fn zone_names() {
    assert_eq!(
        ZoneName::parse("ID.Example.").unwrap().to_string(),
        "id.example."
    );
    assert_eq!(
        ZoneName::parse("id.example").unwrap().wire(),
        b"\x02id\x07example\0"
    );
    for bad in ["", ".", "a..b", "a b", &"x".repeat(64)] {
        assert!(
            matches!(ZoneName::parse(bad), Err(NameError::Zone { .. })),
            "{bad}"
        );
    }
    let nested = Zones::parse("cn.", None, Some("ons.cn")).unwrap();
    let labels = [&b"ons"[..], b"cn"];
    assert_eq!(
        nested.parse_name(labels.into_iter()),
        Ok(Subject::Apex(ZoneKind::Ons))
    );
}

#[test]
fn what_dns_cannot_carry_is_no_name() {
    let zone = zones();
    let parsed = |text: &str| zone.parse_name(text.split('.').map(str::as_bytes));
    let malformed = |text: &str| matches!(parsed(text), Err(NameError::Malformed { .. }));
    // Found by fuzzing: its own name would have a hashed label.
    let long = "l8".to_owned() + &"3".repeat(62);
    assert!(malformed(&format!("dh8.{long}.hdl.id.example.cn")));
    assert!(malformed(&format!("{long}.88-118-8.hdl.id.example.cn")));
    assert!(malformed("a..hdl.id.example.cn"));
    let longest = &long[..63];
    assert!(parsed(&format!("{longest}.88-118-8.hdl.id.example.cn")).is_ok());

    // An OID has a name in its own zone for as long as DNS has room, and back.
    let mut oid = "1.2".to_owned();
    let mut named = 0;
    for _ in 0..126 {
        let identifier = identifier(&oid);
        let arcs: Vec<_> = oid.split('.').rev().collect();
        let text = format!("{}.oid-res.org", arcs.join("."));
        match ors_name(&identifier, &zone) {
            Some(name) => {
                assert_eq!(name.to_string(), format!("{text}."));
                assert_eq!(parsed(&text), Ok(Subject::Identifier(identifier)));
                named = name.wire().len();
            }
            None => assert!(malformed(&text), "{text}"),
        }
        oid.push_str(".7");
    }
    assert!((254..=255).contains(&named), "{named} bytes");
}
