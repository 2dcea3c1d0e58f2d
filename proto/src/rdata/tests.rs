#![allow(clippy::unwrap_used)]
use super::*;
use data_encoding::HEXLOWER;
use proptest::prelude::*;

fn svcb(text: &str) -> String {
    HEXLOWER.encode(&RecordKind::Svcb.wire(text.as_bytes()).unwrap())
}

fn refusal(kind: RecordKind, text: &str) -> String {
    kind.wire(text.as_bytes()).unwrap_err().to_string()
}

const FOO_EXAMPLE_COM: &str = "03666f6f076578616d706c6503636f6d00";
const FOO_EXAMPLE_ORG: &str = "03666f6f076578616d706c65036f726700";

/// RFC 9460 appendix D.1 and D.2.
#[test]
fn the_vectors_of_the_rfc() {
    for (text, target, params) in [
        ("0 foo.example.com.", FOO_EXAMPLE_COM, ""),
        ("1 .", "00", ""),
        (
            "16 foo.example.com. port=53",
            FOO_EXAMPLE_COM,
            "000300020035",
        ),
        (
            "1 foo.example.com. key667=hello",
            FOO_EXAMPLE_COM,
            "029b000568656c6c6f",
        ),
        (
            r#"1 foo.example.com. key667="hello\210qoo""#,
            FOO_EXAMPLE_COM,
            "029b000968656c6c6fd2716f6f",
        ),
        (
            r#"1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1""#,
            FOO_EXAMPLE_COM,
            "0006002020010db800000000000000000000000120010db8000000000000000000530001",
        ),
        (
            "1 example.com. ipv6hint=2001:db8:122:344::192.0.2.33",
            "076578616d706c6503636f6d00",
            "0006001020010db80122034400000000c0000221",
        ),
        (
            "16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
            FOO_EXAMPLE_ORG,
            "0000000400010004000100090268320568332d313900040004c0000201",
        ),
        (
            r#"16 foo.example.org. alpn="f\\\\oo\\,bar,h2""#,
            FOO_EXAMPLE_ORG,
            "0001000c08665c6f6f2c626172026832",
        ),
        (
            r"16 foo.example.org. alpn=f\\\092oo\092,bar,h2",
            FOO_EXAMPLE_ORG,
            "0001000c08665c6f6f2c626172026832",
        ),
    ] {
        let priority: u16 = text.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(
            svcb(text),
            format!("{priority:04x}{target}{params}"),
            "{text}"
        );
    }
}

/// RFC 9460 appendix D.3, and what else is wrong.
#[test]
fn what_is_wrong_is_told() {
    for (text, reason) in [
        (
            "1 foo.example.com. key123=abc key123=def",
            "key123: it occurs twice",
        ),
        (
            "1 foo.example.com. mandatory",
            "mandatory: it needs a value",
        ),
        ("1 foo.example.com. alpn", "alpn: it needs a value"),
        ("1 foo.example.com. port", "port: it needs a value"),
        ("1 foo.example.com. ipv4hint", "ipv4hint: it needs a value"),
        ("1 foo.example.com. ipv6hint", "ipv6hint: it needs a value"),
        (
            "1 foo.example.com. no-default-alpn=abc alpn=h2",
            "no-default-alpn: it takes no value",
        ),
        (
            "1 foo.example.com. mandatory=key123",
            "mandatory: it names a key that is not there",
        ),
        (
            "1 foo.example.com. mandatory=mandatory",
            "mandatory: it may not name itself",
        ),
        (
            "1 foo.example.com. mandatory=key123,key123 key123=abc",
            "mandatory: it names a key twice",
        ),
        ("", "the priority is missing"),
        ("1", "the target is missing"),
        ("65536 .", "\"65536\" is no priority from 0 to 65535"),
        ("+1 .", "\"+1\" is no priority from 0 to 65535"),
        (
            "0 a.cn. port=1",
            "port: an alias (priority 0) has no parameters",
        ),
        (
            "1 . no-default-alpn",
            "no-default-alpn: it needs alpn beside it",
        ),
        ("1 . PORT=1", "PORT: no key is called so"),
        ("1 . key3=1", "key3: no key is called so"),
        ("1 . key09=1", "key09: no key is called so"),
        ("1 . key65535=1", "key65535: no key is called so"),
        (r"1 . port=\052", "port: its value may have no escapes"),
        (
            "1 . port=65536",
            "port: its value is a number from 0 to 65535",
        ),
        (
            "1 . ipv4hint=::1",
            "ipv4hint: its value is a list of addresses of its family",
        ),
        (
            "1 . ech=AAA",
            "ech: its value is an ECHConfigList in base64",
        ),
        (
            "1 . alpn=h2,,h3",
            "alpn: a protocol's name has 1 to 255 bytes",
        ),
        (
            r"1 . alpn=a\\b",
            r"alpn: in a list \ is followed by \ or a comma",
        ),
        (
            "1 . key9=\"a",
            "a \" is not closed, or something stands behind it",
        ),
        (
            "1 . key9=\"a\"b",
            "a \" is not closed, or something stands behind it",
        ),
        (
            r"1 . key9=\256",
            r"byte 9: \ must be followed by a character or three digits up to 255",
        ),
        (
            "1 a..cn.",
            "\"a..cn.\" is no domain name: a label has 1 to 63 bytes",
        ),
        ("1 . a;b", "a;b: no key is called so"),
        (
            "1 . key9=线",
            "byte 9: only printable ASCII may stand here, \" ; ( ) and \\ only escaped",
        ),
    ] {
        assert_eq!(refusal(RecordKind::Svcb, text), reason, "{text}");
    }
    // One byte, as its length says.
    assert_eq!(svcb("1 . ech=AAEA"), "00010000050003000100");
    let long = format!("1 . key9={}", "a".repeat(MAX_TEXT_BYTES));
    assert_eq!(
        refusal(RecordKind::Https, &long),
        "it is longer than 4096 bytes"
    );
}

#[test]
fn pointers_are_names() {
    let ptr = |text: &str| RecordKind::Ptr.wire(text.as_bytes()).unwrap();
    assert_eq!(ptr("Host.example."), b"\x04Host\x07example\0");
    assert_eq!(ptr(" host.example "), b"\x04host\x07example\0");
    assert_eq!(ptr(r"a\.b\032c.cn"), b"\x05a.b c\x02cn\0");
    assert_eq!(ptr("."), b"\0");
    for (text, reason) in [
        ("", "the name is missing"),
        ("a.cn. b.cn.", "there is something behind the name"),
        (".a", "\".a\" is no domain name: a label has 1 to 63 bytes"),
        (
            "\"a.cn\"",
            "byte 0: only printable ASCII may stand here, \" ; ( ) and \\ only escaped",
        ),
    ] {
        assert_eq!(refusal(RecordKind::Ptr, text), reason, "{text}");
    }
    let label = "a".repeat(63);
    let name = |last: usize| format!("{label}.{label}.{label}.{}", "b".repeat(last));
    assert_eq!(ptr(&name(61)).len(), 255);
    assert!(refusal(RecordKind::Ptr, &name(62)).ends_with("it has more than 255 bytes"));
    assert!(refusal(RecordKind::Ptr, &"a".repeat(64)).ends_with("a label has 1 to 63 bytes"));
}

#[test]
fn value_types_are_compared_without_case() {
    assert_eq!(RecordKind::of_value_type("https"), Some(RecordKind::Https));
    assert_eq!(RecordKind::of_value_type("PTR"), Some(RecordKind::Ptr));
    assert_eq!(RecordKind::of_value_type("HTTPS2"), None);
}

proptest! {
    /// Whatever is registered is read or refused, and what is read has data of a sane length.
    #[test]
    fn any_text_is_read_or_refused(
        text in r#"[01] [.a-c\\"]{0,6}( (alpn|key9|port|mandatory|ech|ipv4hint)=?[ -~]{0,12}){0,3}"#,
    ) {
        if let Ok(wire) = RecordKind::Svcb.wire(text.as_bytes()) {
            prop_assert!(wire.len() <= text.len() + 16 * 4);
        }
        let _ = RecordKind::Ptr.wire(text.as_bytes());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = RecordKind::Https.wire(&bytes);
        let _ = RecordKind::Ptr.wire(&bytes);
    }
}
