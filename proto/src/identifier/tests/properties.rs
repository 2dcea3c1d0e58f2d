//! Properties over seeded random identifiers and junk.

use super::super::*;
use super::{Random, valid_text, with_check_digit};

const JUNK_STRINGS: usize = 1_000_000;

const FRAGMENTS: [&str; 48] = [
    "hdl:",
    "oid:",
    "urn:oid:",
    "gs1:",
    "gtin:",
    "sscc:",
    "gln:",
    "https://",
    "http://x/",
    "ecode:",
    "vaa:",
    "VAA",
    "did:",
    "bid:",
    "cn:",
    "(01)",
    "(21)",
    "01/",
    "/",
    ".",
    ":",
    "{",
    "}",
    "(",
    ")",
    "0.NA",
    "88.118",
    "1.2.156",
    "0",
    "1",
    "2",
    "9",
    "39",
    "40",
    "000",
    "096385074",
    "A",
    "z",
    "_",
    "-",
    "%",
    "%41",
    " ",
    "\u{0}",
    "\u{1d}",
    "é",
    "工",
    "🏭",
];

/// Whatever was accepted must survive every round trip.
fn assert_round_trips(identifier: &Identifier, text: &str) {
    let canonical = identifier.canonical();
    assert_eq!(
        Identifier::parse(&canonical).as_ref(),
        Ok(identifier),
        "{text:?} → {canonical:?}"
    );
    assert_eq!(
        Identifier::parse(&identifier.display()).as_ref(),
        Ok(identifier),
        "{text:?}"
    );
    let stored = Identifier::from_key(identifier.key());
    assert_eq!(stored.as_ref(), Ok(identifier), "{text:?}");
    assert_eq!(stored.unwrap().canonical(), canonical);
    assert!(!identifier.head().contains(&0));
    assert_eq!(
        identifier.key().len(),
        identifier.head().len() + identifier.tail().len() + 2
    );
}

#[test]
fn valid_texts_of_every_scheme_round_trip() {
    let mut random = Random::seeded(1);
    for scheme in Scheme::ALL {
        for _ in 0..50_000 {
            let text = valid_text(&mut random, scheme);
            let identifier =
                Identifier::parse(&text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(identifier.scheme(), scheme, "{text:?}");
            assert_eq!(
                Identifier::parse_as(scheme, &text).as_ref(),
                Ok(&identifier)
            );
            assert_round_trips(&identifier, &text);
        }
    }
}

#[test]
fn a_million_junk_strings_per_scheme_are_refused_or_round_trip() {
    let mut random = Random::seeded(2);
    for scheme in Scheme::ALL {
        let mut accepted = 0;
        for _ in 0..JUNK_STRINGS {
            let text = junk(&mut random, scheme);
            if let Ok(identifier) = Identifier::parse_as(scheme, &text) {
                accepted += 1;
                assert_eq!(identifier.scheme(), scheme);
                assert_round_trips(&identifier, &text);
            }
            if let Ok(prefix) = Prefix::parse_as(scheme, &text) {
                assert_eq!(
                    Prefix::parse(&prefix.canonical()).as_ref(),
                    Ok(&prefix),
                    "{text:?}"
                );
                assert_eq!(
                    Prefix::from_key(prefix.key()).as_ref(),
                    Ok(&prefix),
                    "{text:?}"
                );
            }
        }
        assert!(
            accepted > 0 && accepted < JUNK_STRINGS,
            "{scheme}: {accepted} accepted"
        );
    }
}

/// Fragments strung together, or a valid text with one or two characters changed.
fn junk(random: &mut Random, scheme: Scheme) -> String {
    if random.below(2) == 0 {
        let fragments = random.between(0, 8);
        return random.text(&FRAGMENTS, fragments);
    }
    let mut chars: Vec<char> = valid_text(random, scheme).chars().collect();
    for _ in 0..random.between(1, 2) {
        let at = random.below(chars.len() + 1);
        let fragment = random.pick(&FRAGMENTS).chars().next().unwrap();
        match random.below(3) {
            0 => chars.insert(at, fragment),
            1 if at < chars.len() => chars[at] = fragment,
            _ if at < chars.len() => drop(chars.remove(at)),
            _ => chars.push(fragment),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn junk_keys_are_refused_or_are_the_key_of_their_canonical_text() {
    let mut random = Random::seeded(3);
    for scheme in Scheme::ALL {
        for _ in 0..200_000 {
            let mut key = Identifier::parse(&valid_text(&mut random, scheme))
                .unwrap()
                .key()
                .to_vec();
            let at = random.below(key.len());
            match random.below(4) {
                0 => key[at] = random.next() as u8,
                1 => key.insert(at, random.next() as u8),
                2 => drop(key.remove(at)),
                _ => key.truncate(at),
            }
            if let Ok(identifier) = Identifier::from_key(&key) {
                let again = Identifier::parse(&identifier.canonical());
                assert_eq!(again.as_ref().map(Identifier::key), Ok(&key[..]), "{key:?}");
            }
            if let Ok(prefix) = Prefix::from_key(&key) {
                assert_eq!(
                    Prefix::parse(&prefix.canonical()).as_ref(),
                    Ok(&prefix),
                    "{key:?}"
                );
            }
        }
    }
}

#[test]
fn oids_sort_by_number_and_parents_before_children() {
    let mut random = Random::seeded(4);
    let numbers = |identifier: &Identifier| -> Vec<u128> {
        identifier
            .oid_arcs()
            .map(|arc| arc.parse().unwrap_or(u128::MAX))
            .collect()
    };
    let mut oids: Vec<Identifier> = (0..20_000)
        .map(|_| Identifier::parse(&valid_text(&mut random, Scheme::Oid)).unwrap())
        .filter(|oid| !numbers(oid).contains(&u128::MAX))
        .collect();
    oids.sort();
    for pair in oids.windows(2) {
        assert!(
            numbers(&pair[0]) <= numbers(&pair[1]),
            "{} {}",
            pair[0],
            pair[1]
        );
    }
}

#[test]
fn shorter_gtins_equal_their_padded_form() {
    let mut random = Random::seeded(5);
    for _ in 0..20_000 {
        let len = *random.pick(&[&7_usize, &11, &12]);
        let gtin = with_check_digit(random.digits(len));
        let short = Identifier::parse(&format!("gtin:{gtin}")).unwrap();
        assert_eq!(Identifier::parse(&format!("(01){gtin:0>14}")), Ok(short));
    }
}

#[test]
fn every_single_digit_corruption_of_a_checked_key_is_caught() {
    let mut random = Random::seeded(6);
    for _ in 0..2_000 {
        let (lead, len) = [("gtin:", 13), ("sscc:", 17), ("gln:", 12)][random.below(3)];
        let key = with_check_digit(random.digits(len));
        for at in 0..key.len() {
            for digit in b'0'..=b'9' {
                let mut corrupt = key.clone().into_bytes();
                if corrupt[at] == digit {
                    continue;
                }
                corrupt[at] = digit;
                let text = format!("{lead}{}", String::from_utf8(corrupt).unwrap());
                let error = Identifier::parse(&text).unwrap_err();
                assert_eq!(error.part(), "check digit", "{text}");
            }
        }
    }
}

#[test]
fn handles_differing_in_ascii_case_are_equal_and_hash_alike() {
    use std::collections::HashSet;
    let mut random = Random::seeded(7);
    for _ in 0..20_000 {
        let text = valid_text(&mut random, Scheme::Handle);
        let upper = Identifier::parse(&text.to_ascii_uppercase()).unwrap();
        let lower = Identifier::parse(&text.to_ascii_lowercase()).unwrap();
        assert_eq!(upper, lower);
        assert!(HashSet::from([upper]).contains(lower.key()));
    }
}

#[test]
fn a_prefix_covers_exactly_its_key_range() {
    let mut random = Random::seeded(8);
    for scheme in Scheme::ALL {
        let identifiers: Vec<Identifier> = (0..400)
            .map(|_| Identifier::parse(&valid_text(&mut random, scheme)).unwrap())
            .collect();
        let prefixes: Vec<Prefix> = identifiers
            .iter()
            .take(60)
            .flat_map(Identifier::prefix_candidates)
            .map(|candidate| Prefix::from_key(candidate.key).unwrap())
            .collect();
        for prefix in &prefixes {
            let (from, to) = prefix.key_range();
            for identifier in &identifiers {
                let inside = (from.as_slice()..to.as_slice()).contains(&identifier.key());
                assert_eq!(prefix.covers(identifier), inside, "{prefix} {identifier}");
                let owner = identifier
                    .prefix_candidates()
                    .any(|c| c.key == prefix.key() && c.relation == Relation::Owner);
                assert_eq!(prefix.covers(identifier), owner, "{prefix} {identifier}");
            }
        }
    }
}

#[test]
fn parents_are_the_candidates_in_order() {
    let mut random = Random::seeded(9);
    for scheme in Scheme::ALL {
        for _ in 0..5_000 {
            let identifier = Identifier::parse(&valid_text(&mut random, scheme)).unwrap();
            let mut expected = identifier.prefix();
            for candidate in identifier.prefix_candidates() {
                let prefix = expected.expect("as many parents as candidates");
                assert_eq!(prefix.key(), candidate.key);
                expected = prefix.parent();
            }
            assert_eq!(expected, None);
        }
    }
}
