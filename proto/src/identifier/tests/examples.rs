//! Examples of the standards and of the system, one test per rule.

use super::super::*;

fn parse(text: &str) -> Identifier {
    Identifier::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> (&'static str, String) {
    match Identifier::parse(text) {
        Ok(identifier) => panic!("{text} was read as {identifier}"),
        Err(error) => (error.part(), error.to_string()),
    }
}

fn candidates(text: &str) -> Vec<(String, Relation)> {
    parse(text)
        .prefix_candidates()
        .map(|candidate| {
            let prefix = Prefix::from_key(candidate.key).unwrap();
            (prefix.canonical(), candidate.relation)
        })
        .collect()
}

#[test]
fn handle_folds_ascii_case_and_keeps_the_spelling() {
    let lower = parse("88.118.8/jxdy2106023-é");
    let upper = parse("hdl:88.118.8/JXDY2106023-é");
    assert_eq!(lower, upper);
    assert_eq!(lower.key(), "\u{1}88.118.8\0JXDY2106023-é".as_bytes());
    assert_eq!(lower.display(), "88.118.8/jxdy2106023-é");
    assert_eq!(upper.display(), "88.118.8/JXDY2106023-é");
    assert_ne!(lower, parse("88.118.8/JXDY2106023-É"));
    assert_eq!(
        upper.with_display("88.118.8/Jxdy2106023-é").to_string(),
        "88.118.8/Jxdy2106023-é"
    );
    assert_eq!(
        lower.clone().with_display("88.118.8/other").display(),
        lower.display()
    );
}

#[test]
fn slashless_numbers_are_handle_prefixes_or_oids() {
    let prefix = parse("88.118.8");
    assert_eq!(prefix.canonical(), "0.NA/88.118.8");
    assert_eq!(prefix.prefix_handle(), Prefix::parse("88.118.8").ok());
    assert_eq!(
        Prefix::parse("88.118.8").unwrap().prefix_identifier(),
        Some(prefix)
    );
    assert_eq!(parse("88.118.8/x").prefix_handle(), None);
    assert_eq!(parse("1.2.156").scheme(), Scheme::Oid);
    assert_eq!(parse("2.999").scheme(), Scheme::Oid);
    assert_eq!(parse("1.50").canonical(), "0.NA/1.50");
    assert_eq!(parse("0.NA/20.500").scheme(), Scheme::Handle);
    assert_eq!(refusal("690123456789").0, "scheme");
    assert!(refusal("6901234567892").1.contains("gtin:"));
    assert_eq!(refusal("factory").0, "identifier");
}

#[test]
fn handle_refusals_name_the_part() {
    assert_eq!(refusal("88..8/x").0, "prefix");
    assert_eq!(refusal("/x").0, "prefix");
    assert_eq!(refusal("88.118.8/").0, "suffix");
    assert_eq!(refusal("88.1\u{1}8/x").0, "prefix");
    assert_eq!(refusal("").0, "identifier");
    let longest = format!("hdl:8/{}", "x".repeat(MAX_IDENTIFIER_BYTES - 2));
    assert_eq!(parse(&longest).canonical().len(), MAX_IDENTIFIER_BYTES);
    assert_eq!(refusal(&format!("{longest}y")).0, "identifier");
}

#[test]
fn suffixes_may_hold_anything() {
    let odd = parse("88.118.8/a/b\0 c");
    assert_eq!(odd.head(), b"88.118.8");
    assert_eq!(odd.tail(), b"A/B\0 C");
    assert_eq!(Identifier::from_key(odd.key()).unwrap(), odd);
}

#[test]
fn handles_that_look_like_others_are_written_with_hdl() {
    let handle = Identifier::parse_as(Scheme::Handle, "hdl:oid:1/x").unwrap();
    assert_eq!(handle.canonical(), "hdl:OID:1/X");
    assert_eq!(
        Prefix::parse_as(Scheme::Handle, "1.2").unwrap().canonical(),
        "hdl:1.2"
    );
}

#[test]
fn prefix_candidates_run_from_the_owner_up() {
    use Relation::{Ancestor, Owner};
    let expect = |text: &str, expected: &[(&str, Relation)]| {
        let expected: Vec<_> = expected
            .iter()
            .map(|(p, r)| ((*p).to_owned(), *r))
            .collect();
        assert_eq!(candidates(text), expected, "{text}");
    };
    expect(
        "88.118.8/x",
        &[("88.118.8", Owner), ("88.118", Ancestor), ("88", Ancestor)],
    );
    expect(
        "1.2.156.3001",
        &[
            ("oid:1.2.156.3001", Owner),
            ("oid:1.2.156", Owner),
            ("oid:1.2", Owner),
        ],
    );
    expect("ecode:100036930100", &[("ecode:10003", Owner)]);
    expect(
        "VAA08810012345678/1",
        &[
            ("vaa:VAA08810012345678", Owner),
            ("vaa:VAA088100", Ancestor),
            ("vaa:VAA088", Ancestor),
        ],
    );
    expect(
        "did:cn:88.118.8",
        &[("did:cn:88.118", Owner), ("did:cn", Ancestor)],
    );
    let gtin = candidates("gtin:06901234567892");
    assert_eq!(gtin.first(), Some(&("gs1:690123456789".to_owned(), Owner)));
    assert_eq!(gtin.last(), Some(&("gs1:6901".to_owned(), Owner)));
    assert_eq!(gtin.len(), 9);
}

#[test]
fn oid_forms_and_rules_of_x660() {
    for text in [
        "oid:1.2.156",
        "urn:oid:1.2.156",
        "URN:OID:1.2.156",
        "{1 2 156}",
        "{ 1 2  156 }",
    ] {
        assert_eq!(parse(text), parse("1.2.156"), "{text}");
    }
    assert_eq!(parse("oid:1.2.156").canonical(), "1.2.156");
    let uuid = "2.25.329800735698586629295641978511506172918";
    assert_eq!(parse(uuid).canonical(), uuid);
    for bad in [
        "oid:3.1",
        "oid:1.40",
        "oid:1",
        "oid:1.2.03",
        "oid:1..2",
        "oid:1.2.x",
        "{iso 2}",
        "oid:",
    ] {
        assert_eq!(refusal(bad).0, "arc", "{bad}");
    }
    assert_eq!(refusal(&format!("2.{}", "1".repeat(40))).0, "arc");
    assert_eq!(refusal(&format!("2{}", ".1".repeat(MAX_OID_ARCS))).0, "arc");
}

#[test]
fn gs1_forms_of_one_product_are_equal() {
    let canonical = "https://id.gs1.org/01/09506000134352/10/ABC123/21/456";
    let product = parse(canonical);
    assert_eq!(product.canonical(), canonical);
    assert_eq!(product.display(), canonical);
    for text in [
        "(01)09506000134352(10)ABC123(21)456",
        "(17)271231(21)456(10)ABC123(01)9506000134352",
        "https://brand.cn/some/stem/01/09506000134352/10/ABC123/21/456?linkType=gs1:pip",
        "HTTP://x/gtin/01/9506000134352/10/ABC%3123/21/456/#top",
        "gs1:01/09506000134352/10/ABC123/21/456",
        "gtin:9506000134352/10/ABC123/21/456",
    ] {
        assert_eq!(parse(text), product, "{text}");
        assert_eq!(
            parse(text).display(),
            if text == canonical { canonical } else { text }
        );
    }
    let key = product.gs1().unwrap();
    assert_eq!((key.ai, key.value.as_str()), ("01", "09506000134352"));
    assert_eq!(
        key.qualifiers,
        [("10", "ABC123".to_owned()), ("21", "456".to_owned())]
    );
    let batch = product.without_last_qualifier().unwrap();
    assert_eq!(
        batch.canonical(),
        "https://id.gs1.org/01/09506000134352/10/ABC123"
    );
    let class = batch.without_last_qualifier().unwrap();
    assert_eq!(class, parse("gtin:9506000134352"));
    assert_eq!(class.without_last_qualifier(), None);
}

#[test]
fn gtins_of_all_lengths_are_one_gtin_14() {
    assert_eq!(
        parse("gtin:96385074").canonical(),
        "https://id.gs1.org/01/00000096385074"
    );
    assert_eq!(parse("gtin:614141073467"), parse("gtin:0614141073467"));
    assert_eq!(parse("gtin:614141073467"), parse("gtin:00614141073467"));
}

#[test]
fn gs1_keys_of_one_company_are_contiguous() {
    let prefix = Prefix::parse("gs1:9506000").unwrap();
    for text in [
        "gtin:19506000134359",
        "sscc:195060001343520007",
        "gln:9506000134376",
        "gs1:253/9506000134376D1",
        "gs1:8004/9506000ASSET",
        "gs1:8003/09506000134376S",
        "gs1:8018/950600013435200008",
    ] {
        let identifier = parse_with_right_check(text);
        assert!(prefix.covers(&identifier), "{text}");
    }
    assert!(!prefix.covers(&parse("gtin:96385074")));
}

/// Reads `text`, putting the check digit right if the example has it wrong.
fn parse_with_right_check(text: &str) -> Identifier {
    match Identifier::parse(text) {
        Err(IdentifierError::CheckDigit {
            found, expected, ..
        }) => {
            let fixed = (0..text.len())
                .rev()
                .filter(|at| text[*at..].starts_with(found))
                .map(|at| format!("{}{expected}{}", &text[..at], &text[at + 1..]))
                .find_map(|fixed| Identifier::parse(&fixed).ok());
            fixed.unwrap_or_else(|| panic!("{text}"))
        }
        other => other.unwrap_or_else(|error| panic!("{text}: {error}")),
    }
}

#[test]
fn gs1_refusals_say_what_is_wrong() {
    assert_eq!(
        refusal("gtin:6901234567893").1,
        "GS1: check digit of GTIN-13 \"6901234567893\" is 3, should be 2"
    );
    assert_eq!(refusal("gtin:69012345").0, "check digit");
    assert_eq!(refusal("gtin:690123456").0, "GTIN");
    assert_eq!(refusal("gtin:690123456789X").0, "GTIN-13");
    assert_eq!(
        refusal("(8006)061414112345670101").1,
        "GS1: (\"8006\") is not a GS1 key supported here"
    );
    assert_eq!(refusal("https://example.cn/about").0, "key");
    assert_eq!(
        refusal("https://x/01/09506000134352/235/A").0,
        "application identifier"
    );
    assert_eq!(
        refusal("(01)09506000134352(10)A(10)B").0,
        "application identifier"
    );
    assert_eq!(refusal("gtin:9506000134352/21/a~b").0, "serial number");
    assert_eq!(refusal("gtin:9506000134352/21/%2").0, "percent-encoding");
    assert_eq!(refusal("gtin:9506000134352/21/").0, "value");
    assert_eq!(refusal("sscc:1234").0, "SSCC");
    assert_eq!(refusal("gs1:8004/12AB").0, "GIAI");
    assert_eq!(refusal("gs1:8004/12ABCD").0, "company prefix");
}

#[test]
fn ecode_versions() {
    assert_eq!(parse("ecode:100036930100").head(), b"10003");
    assert_eq!(parse("ecode:100036930100").tail(), b"6930100");
    assert_eq!(parse("ecode:3ab12cxyz"), parse("ECODE:3AB12CXYZ"));
    assert_ne!(parse("ecode:400001产品a"), parse("ecode:400001产品A"));
    assert_eq!(refusal("ecode:0123").0, "version");
    assert_eq!(refusal("ecode:5123").0, "version");
    assert_eq!(refusal("ecode:").0, "version");
    assert_eq!(refusal("ecode:100").0, "NSI");
    assert_eq!(refusal("ecode:1ABCD1").0, "NSI");
    assert_eq!(refusal("ecode:10003").0, "MD");
    assert_eq!(refusal("ecode:10003A").0, "MD");
    assert_eq!(refusal(&format!("ecode:10003{}", "1".repeat(21))).0, "MD");
    assert_eq!(refusal("ecode:4产品").0, "NSI");
}

#[test]
fn vaa_codes() {
    let code = parse("VAA08810012345678/sn-0001");
    assert_eq!(code, parse("vaa:vaa08810012345678/SN-0001"));
    assert_eq!(code.canonical(), "vaa:VAA08810012345678/SN-0001");
    assert_eq!(refusal("VAA08810012345678").0, "internal code");
    assert_eq!(refusal("vaa:08810012345678/1").0, "issuing agency code");
    assert_eq!(
        refusal("vaa:VAA08X10012345678/1").0,
        "service organisation code"
    );
    assert_eq!(refusal("VAA088100/1").0, "service organisation code");
    assert_eq!(refusal("VAA0881001/é").0, "internal code");
    assert_eq!(refusal(&format!("VAA0881001/{}", "1".repeat(41))).0, "code");
    parse(&format!("VAA0881001/{}", "1".repeat(40)));
}

#[test]
fn did_methods() {
    let bid = parse("did:bid:efzV4oV3dzVx8BVREDfuYLTp8bzJHiy9");
    assert_eq!(bid.head(), b"bid");
    let sub = parse("did:bid:byo1:efzV4oV3dzVx8BVREDfuYLTp8bzJHiy9");
    assert_eq!(sub.head(), b"bid:byo1");
    let chain = parse("did:bid:byo1");
    assert_eq!((chain.head(), chain.tail()), (&b"bid:byo1"[..], &b""[..]));
    assert_eq!(
        Prefix::parse("did:bid:byo1").unwrap().prefix_identifier(),
        Some(chain)
    );
    assert_eq!(parse("did:cn:88.118.8").tail(), b"8");
    parse("did:vaa:3wJVWDQWtDFx27FqvSqyo5xsTsxC");
    assert_eq!(refusal("did:cn:88.118.8#key-1").0, "fragment");
    assert_eq!(refusal("did:cn:88.118.8/files").0, "path");
    assert_eq!(refusal("did:cn:88.118.8?versionId=1").0, "query");
    assert_eq!(refusal("did:web:example.cn").0, "method");
    assert_eq!(refusal("DID:cn:88.118.8").0, "scheme");
    assert_eq!(refusal("did:cn:88.11.8").0, "industry");
    assert_eq!(refusal("did:bid:short").0, "suffix");
    assert_eq!(refusal("did:vaa:0wJVWDQWtDFx27FqvSqyo5xsTsxC").0, "suffix");
}

#[test]
fn prefix_texts_and_parents() {
    for (text, canonical, parent) in [
        ("88.118.8", "88.118.8", Some("88.118")),
        ("0.na", "0.NA", Some("0")),
        ("88", "88", None),
        ("1.2.156.3001", "oid:1.2.156.3001", Some("oid:1.2.156")),
        ("oid:1.2", "oid:1.2", None),
        ("gs1:69012", "gs1:69012", Some("gs1:6901")),
        ("gs1:6901", "gs1:6901", None),
        ("ecode:10003", "ecode:10003", None),
        (
            "VAA08810012345678",
            "vaa:VAA08810012345678",
            Some("vaa:VAA088100"),
        ),
        ("vaa:088100", "vaa:VAA088100", Some("vaa:VAA088")),
        ("did:bid:efnn", "did:bid:efnn", Some("did:bid")),
        ("did:cn:88.118", "did:cn:88.118", Some("did:cn")),
    ] {
        let prefix = Prefix::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(prefix.canonical(), canonical);
        assert_eq!(Prefix::parse(canonical).as_ref(), Ok(&prefix), "{text}");
        assert_eq!(
            Prefix::from_key(prefix.key()).as_ref(),
            Ok(&prefix),
            "{text}"
        );
        assert_eq!(
            prefix.parent().map(|parent| parent.canonical()).as_deref(),
            parent,
            "{text}"
        );
    }
    for bad in [
        "88..1",
        "88/1",
        "",
        "gs1:690",
        "gs1:6901234567890",
        "oid:1",
        "ecode:1000",
        "did:vaa:x",
    ] {
        assert!(Prefix::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn errors_quote_at_most_forty_characters() {
    let (_, message) = refusal(&format!("88.118.8\u{7}{}/x", "é".repeat(500)));
    assert!(message.chars().count() < 200, "{message}");
    assert!(
        message.contains('…') && message.contains("\\u{7}"),
        "{message}"
    );
}
