#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
use super::record::add_additional;
use super::*;
use std::sync::Arc;

const NOW_S: u64 = 1_700_000_000;

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn keys() -> Keys {
    let all = [
        "one:hmac-sha256:MDEyMw==",
        "two.example.:HMAC-SHA1:YWJjZA==",
    ];
    Keys::new(all.into_iter().map(key).collect()).unwrap()
}

/// A query for `a.` with an ID.
fn query(id: u8) -> Vec<u8> {
    vec![0, id, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 6, 0, 1]
}

fn signed(key: &str, time_s: u64) -> (Vec<u8>, Signer) {
    let name = key::key_name(key).unwrap();
    let mut signer = Signer::asking(keys().named(&name).unwrap().clone());
    let mut message = query(7);
    let room = signer.room();
    signer.sign(&mut message, time_s);
    assert_eq!(message.len(), query(7).len() + room);
    (message, signer)
}

#[test]
fn keys_are_read() {
    assert_eq!(
        keys().named(b"\x03one\x00").map(|key| key.mac(&[]).len()),
        Some(32)
    );
    assert_eq!(
        keys()
            .named(b"\x03two\x07example\x00")
            .map(|key| key.mac(&[]).len()),
        Some(20)
    );
    for (text, error) in [
        ("one", BadKey::Form),
        ("one:hmac-sha256", BadKey::Form),
        ("one:hmac-md5:AAAA", BadKey::Algorithm("hmac-md5".into())),
        ("a..b:hmac-sha256:AAAA", BadKey::Name("a..b".into())),
        (".:hmac-sha256:AAAA", BadKey::Name(".".into())),
        ("one:hmac-sha256:", BadKey::Secret("one".into())),
        ("one:hmac-sha256:!", BadKey::Secret("one".into())),
    ] {
        assert_eq!(Key::parse(text), Err(error), "{text}");
    }
    let twice = vec![key("one:hmac-sha256:AAAA"), key("ONE.:hmac-sha1:AAAA")];
    assert!(matches!(Keys::new(twice), Err(BadKey::Twice(_))));
    assert!(
        !format!("{:?}", key("one:hmac-sha256:MDEyMw==")).contains("49"),
        "the secret"
    );
}

#[test]
fn what_is_signed_is_verified_and_its_answer_too() {
    for name in ["one", "two.example"] {
        let (message, asked) = signed(name, NOW_S);
        let Checked::Signed(mut signer) = keys().check(&message, NOW_S + 300) else {
            panic!("{name}");
        };
        let mut answer = query(7);
        answer[2] = 0x80;
        let mut second = answer.clone();
        signer.sign(&mut answer, NOW_S + 1);
        assert!(asked.verifies(&answer, NOW_S));
        assert!(!asked.verifies(&answer, NOW_S + 302), "too late");
        assert!(!asked.verifies(&second, NOW_S), "unsigned");
        signer.sign(&mut second, NOW_S + 1);
        assert_ne!(answer, second, "it signs the one before");
        assert!(!asked.verifies(&second, NOW_S), "not the first");
    }
}

/// A forwarder may change the ID: what was signed is the original one.
#[test]
fn the_id_may_change() {
    let (mut message, _) = signed("one", NOW_S);
    message[1] = 99;
    assert!(matches!(keys().check(&message, NOW_S), Checked::Signed(_)));
}

#[test]
fn failures_are_told_apart() {
    let reason = |message: &[u8], now_s| match keys().check(message, now_s) {
        Checked::Failed(failure) => failure.reason(),
        Checked::Unsigned => "unsigned",
        Checked::Signed(_) => "signed",
        Checked::Malformed => "malformed",
    };
    let (good, _) = signed("one", NOW_S);
    let last = good.len() - 1;
    assert_eq!(reason(&query(1), NOW_S), "unsigned");
    assert_eq!(reason(&good, NOW_S), "signed");
    assert_eq!(reason(&good, NOW_S + 301), "BADTIME");
    assert_eq!(reason(&good, NOW_S - 301), "BADTIME");
    // Every byte is covered: of the message, the names, the times, the MAC.
    for at in 2..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_ne!(reason(&bad, NOW_S), "signed", "byte {at}");
    }
    let mut bad = good.clone();
    bad[13] = b'b';
    assert_eq!(reason(&bad, NOW_S), "BADSIG");
    assert_eq!(
        reason(&bad, NOW_S + 999),
        "BADSIG",
        "the time of a stranger does not matter"
    );
    let mut stranger = good.clone();
    stranger[query(7).len() + 1] = b'x';
    assert_eq!(reason(&stranger, NOW_S), "BADKEY");
    // Anything after the record, the record twice, or in another section.
    assert_eq!(reason(&[&good[..], &[0]].concat(), NOW_S), "malformed");
    let record = good[query(7).len()..].to_vec();
    let mut twice = [&good[..], &record].concat();
    add_additional(&mut twice, 1);
    assert_eq!(reason(&twice, NOW_S), "malformed");
    let mut moved = good.clone();
    (moved[9], moved[11]) = (1, 0);
    assert_eq!(reason(&moved, NOW_S), "malformed");
    assert_eq!(reason(&good[..last], NOW_S), "malformed");
}

/// A MAC may be cut to half of it, and to ten bytes at least (RFC 8945 §5.2.2.1).
#[test]
fn macs_may_be_truncated() {
    let (good, _) = signed("one", NOW_S);
    let begin = query(7).len();
    let cut = |mac: usize| {
        let rest = 5 + 10 + 13;
        let mac_at = begin + rest + 10;
        let mut out = good[..mac_at].to_vec();
        out[mac_at - 2..].copy_from_slice(&(mac as u16).to_be_bytes());
        let length_at = begin + 5 + 8;
        let data = (13 + 16 + mac) as u16;
        out[length_at..length_at + 2].copy_from_slice(&data.to_be_bytes());
        out.extend_from_slice(&good[mac_at..mac_at + mac]);
        out.extend_from_slice(&good[mac_at + 32..]);
        out
    };
    assert_eq!(cut(32), good);
    for (mac, accepted) in [(31, true), (16, true), (15, false), (10, false), (0, false)] {
        let checked = keys().check(&cut(mac), NOW_S);
        assert_eq!(
            matches!(checked, Checked::Signed(_)),
            accepted,
            "{mac} bytes"
        );
        assert_eq!(
            matches!(checked, Checked::Malformed),
            !accepted,
            "{mac} bytes"
        );
    }
}

/// To a clock that is wrong the answer is signed, and tells the time here.
#[test]
fn a_wrong_clock_is_told_the_time() {
    let (message, asked) = signed("one", NOW_S);
    let Checked::Failed(failure) = keys().check(&message, NOW_S + 1_000) else {
        panic!("not refused");
    };
    let mut answer = query(7);
    failure.append(&mut answer);
    assert!(answer.len() <= query(7).len() + failure.room());
    assert!(asked.verifies(&answer, NOW_S), "with the time of the query");
    let time = &(NOW_S + 1_000).to_be_bytes()[2..];
    assert!(answer.ends_with(time));
}

#[test]
fn every_length_of_junk_is_refused() {
    let (good, _) = signed("two.example", NOW_S);
    let keys = Keys::new(vec![Key::clone(&Arc::new(key("one:hmac-sha256:MDEyMw==")))]).unwrap();
    for end in 0..good.len() {
        assert!(
            matches!(keys.check(&good[..end], NOW_S), Checked::Malformed),
            "{end}"
        );
    }
}
