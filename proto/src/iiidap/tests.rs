#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use proptest::prelude::*;
use serde_json::json;

/// Figure 7 of RESPONSES with its misprints (missing commas and quotes, a stray bracket) mended.
const FIGURE_7: &str = r#"{
  "iiidapConformance": ["iiidap_level_0"],
  "notices": [{
    "title": "Content Removed",
    "description": ["Without full authorization, content has been removed.", "Sorry, dude!"],
    "links": [{
      "value": "http://example.net/identifier/86.100.1",
      "rel": "alternate",
      "href": "http://www.example.com/redaction_policy.html",
      "type": "text/html"
    }]
  }],
  "lang": "en",
  "identifier": "86.100.1",
  "regTime": "2017-09-12T08:57:32.0Z",
  "status": "ok",
  "country": "CN",
  "node": {
    "name": "mengniu",
    "nature": "research institutions",
    "type": "education",
    "subType": "education",
    "address": "No.52 Huayuan North Road, Haidian District Beijing, Beijing",
    "idNumber": "84929141111234",
    "idType": "other",
    "idPhoto": { "mime": "data:image/jpeg;base64", "data": "/9j/4AAaebZJRgABAQEASABIAAD/" },
    "introduction": "hello, I am ok",
    "legalPerson": [{
      "name": "San Zhang",
      "idNumber": "131187199507297827",
      "idType": "resident ID card",
      "idPhoto": { "mime": "data:image/jpeg;base64", "data": "/9j/4AAaebZJRgABAQEASABIAAD/" }
    }],
    "contact": [{ "name": "Si Li", "phone": "+86 100 0138 5070", "email": "test@caict.ac.cn" }]
  },
  "remarks": [{
    "description": [
      "She sells sea shells down by the sea shore.",
      "Originally written by Terry Sullivan."
    ]
  }]
}"#;

#[test]
fn the_drafts_own_examples_are_read_and_written_back_member_by_member() {
    let examples = [
        FIGURE_7,
        // Figures 9, 10, 11 and 12.
        r#"{"iiidapConformance":["iiidap_level_0"],"notices":[{"title":"Beverage Policy",
            "description":["Beverages with caffeine for keeping horses awake."],
            "links":[{"value":"http://example.net/identifier/86.100.1","rel":"alternate",
            "href":"http://www.example.com/redaction_policy.html","type":"text/html"}]}],
            "lang":"en","errorCode":418,"title":"Your beverage choice is not available",
            "description":["I know coffee has more ummppphhh.","Sorry, dude!"]}"#,
        r#"{"iiidapConformance":["iiidap_level_0"],"notices":[{"title":"Authentication Policy",
            "description":["Access to sensitive data for users with proper credentials."],
            "links":[{"value":"http://example.net/help","rel":"alternate",
            "href":"http://www.example.com/auth_policy.html","type":"text/html"}]}]}"#,
        r#"{"iiidapConformance":["iiidap_level_0"],"NodeSearchResults":[
            {"identifier":"86.100.1","regTime":"2019-12-12T08:57:32.0Z","status":"ok"},
            {"identifier":"86.100.2","regTime":"2018-12-12T08:57:32.0Z","status":"ok"}]}"#,
        r#"{"iiidapConformance":["iiidap_level_0"],"notices":[{"title":"Search Policy",
            "type":"result set truncated due to authorization",
            "description":["Search results are limited to 25 per day per querying IP."]}],
            "NodeSearchResults":[]}"#,
    ];
    for example in examples {
        let read = Document::parse(example.as_bytes()).unwrap();
        let written = serde_json::to_string(&read).unwrap();
        let expected: serde_json::Value = serde_json::from_str(example).unwrap();
        // As text, so that the order of members counts too.
        assert_eq!(written, expected.to_string());
    }
}

#[test]
fn both_forms_that_the_draft_has_are_read_and_unknown_members_are_passed_over() {
    let text = r#"{"node":{"introduce":"i","legalPerson":{"name":"San Zhang"},
        "contact":{"phone":"1"},"owner":{"x":1}},"domainSearchResults":[]}"#;
    let node = Document::parse(text.as_bytes())
        .unwrap()
        .registration
        .node
        .unwrap();
    assert_eq!(node.introduction.as_deref(), Some("i"));
    assert_eq!(node.legal_person[0].name.as_deref(), Some("San Zhang"));
    assert_eq!(node.contact[0].phone.as_deref(), Some("1"));
    for junk in [
        "",
        "[]",
        "7",
        "{\"notices\":{}}",
        "{\"errorCode\":\"x\"}",
        "{\"node\":[]",
    ] {
        assert!(Document::parse(junk.as_bytes()).is_err(), "{junk}");
    }
    let deep = "[".repeat(100_000);
    assert!(Document::parse(deep.as_bytes()).is_err());
    let long = vec![b' '; MAX_DOCUMENT_BYTES + 1];
    assert!(matches!(
        Document::parse(&long),
        Err(DocumentError::TooLong(_))
    ));
}

#[test]
fn what_is_public_has_nothing_personal() {
    let document = Document::parse(FIGURE_7.as_bytes()).unwrap();
    let public = document.registration.node.unwrap().public();
    assert_eq!(
        serde_json::to_value(&public).unwrap(),
        json!({"name": "mengniu", "nature": "research institutions", "type": "education",
            "subType": "education", "introduction": "hello, I am ok"})
    );
}

#[test]
fn queries_are_read() {
    let prefix = |text: &str| Query::Identifier(Subject::Prefix(text.parse().unwrap()));
    let below = |text: &str| Query::Identifier(Subject::Identifier(text.parse().unwrap()));
    for (path, query, expected) in [
        ("identifier/88.118", None, prefix("88.118")),
        (
            "identifier/88.118.8",
            Some("__fuhgetaboutit=xyz123"),
            prefix("88.118.8"),
        ),
        ("identifier/88.118.8/", None, prefix("88.118.8")),
        ("identifier/88%2E118.8", None, prefix("88.118.8")),
        ("identifier/88.118.8/A/1", None, below("88.118.8/A/1")),
        (
            "identifier/(01)09506000134352",
            None,
            below("(01)09506000134352"),
        ),
        ("identifier/gs1:9506000", None, prefix("gs1:9506000")),
        (
            "name/mengniu",
            None,
            Query::Name(Pattern::exactly("mengniu")),
        ),
        (
            "name/%E8%92%99%E7%89%9B/",
            None,
            Query::Name(Pattern::exactly("蒙牛")),
        ),
        ("name/a*", None, Query::Name(Pattern::exactly("A*"))),
        (
            "names",
            Some("x=1&name=ex*"),
            Query::Names(Pattern::parse("ex*").unwrap()),
        ),
        (
            "names",
            Some("name=a+b%2a"),
            Query::Names(Pattern::parse("a b*").unwrap()),
        ),
        ("help", Some("?"), Query::Help),
    ] {
        assert_eq!(Query::parse(path, query).as_ref(), Ok(&expected), "{path}");
    }
    let long = "x".repeat(256);
    let (long_name, long_identifier) = (format!("name/{long}"), format!("identifier/1.{long}"));
    for (path, query, status) in [
        ("", None, 400),
        ("domain/example.com", None, 400),
        ("identifier", None, 400),
        ("identifier/", None, 400),
        ("identifier/8", None, 400),
        (long_identifier.as_str(), None, 400),
        ("identifier/88..8", None, 400),
        ("identifier/%ff.1", None, 400),
        ("identifier/88%2", None, 400),
        ("name/", None, 400),
        (long_name.as_str(), None, 400),
        ("name/%80", None, 400),
        ("names", None, 400),
        ("names", Some("name="), 400),
        ("names", Some("name=%ff*"), 400),
        ("names/x", Some("name=x"), 400),
        ("help/me", None, 400),
        ("names", Some("name=*"), 422),
        ("names", Some("name=*x"), 422),
        ("names", Some("name=a*b*"), 422),
        ("names", Some("name=a*%CC%81"), 422),
    ] {
        let error = Query::parse(path, query).unwrap_err();
        assert_eq!(error.status(), status, "{path} {query:?}: {error}");
    }
}

#[test]
fn lines_of_whois_are_read() {
    let prefix = |text: &str| Query::Identifier(Subject::Prefix(text.parse().unwrap()));
    let name = |text: &str| Query::Name(Pattern::exactly(text));
    for (line, expected) in [
        ("88.118.8", prefix("88.118.8")),
        ("  88.118.8\t", prefix("88.118.8")),
        ("identifier 88.118", prefix("88.118")),
        ("oid:1.2.156.3001", prefix("oid:1.2.156.3001")),
        ("mengniu", name("mengniu")),
        ("蒙牛 集团", name("蒙牛 集团")),
        ("name 88.118.8", name("88.118.8")),
        ("xn--3bs325dj2m29q", name("蒙牛集团")),
        ("name XN--3BS325DJ2M29Q", name("蒙牛集团")),
        ("xn--\u{0}", name("xn--\u{0}")),
        ("3.5 Ltd", name("3.5 Ltd")),
        ("Help GmbH", name("Help GmbH")),
        ("Meng*", Query::Names(Pattern::parse("meng*").unwrap())),
        ("names meng", Query::Names(Pattern::parse("meng").unwrap())),
        ("HELP", Query::Help),
        ("?", Query::Help),
    ] {
        assert_eq!(Query::of_line(line).as_ref(), Ok(&expected), "{line}");
    }
    assert_eq!(Query::of_line(" ").unwrap_err().status(), 400);
    assert_eq!(Query::of_line("*").unwrap_err().status(), 422);
}

#[test]
fn names_are_compared_whatever_their_case_width_and_composition() {
    for (one, other) in [
        ("MengNiu", "mengniu"),
        ("ＭＥＮＧ　ＮＩＵ", "meng niu"),
        ("ﾎﾝﾀﾞ", "ホンダ"),
        ("Straße", "STRASSE"),
        ("ΌΔΟΣ", "όδος"),
        ("Cafe\u{301}", "CAFÉ"),
        ("㈱", "(株)"),
        ("ﬁne", "FINE"),
    ] {
        assert_eq!(folded(one), folded(other), "{one} {other}");
    }
    let found = |pattern: &str, name: &str| Pattern::parse(pattern).unwrap().matches(&folded(name));
    assert!(found("exam*", "Example1") && found("ex*mple", "example") && found("a*", "A"));
    assert!(found("蒙*", "蒙牛集团") && found("a*a", "aa"));
    assert!(!found("a*a", "a") && !found("exam*", "exa") && !found("exam", "example"));
    // What was typed is a whole character: q̃ has no form of its own.
    assert!(!found("q*", "q\u{303}") && !found("e*", "é") && found("é*", "E\u{301}t"));
}

#[test]
fn the_longest_entry_is_the_authority() {
    let text = r#"{"version":"1.0","publication":"2026-01-01T00:00:00Z","extra":1,"services":[
        [["88.100","88.100.1"],["http://plain.example/","https://registry.example.com/myiiidap/"]],
        [["88.101","88.100.1.5"],["http://example.org/"]],
        [["88.102"],["ftp://example.org/","http://no-slash.example"]],
        [["88.ABC"],["http://x.example/"]], [[],["http://y.example/"]]]}"#;
    let read = Bootstrap::parse(text.as_bytes()).unwrap();
    assert_eq!(read.services.len(), 3);
    let base = |prefix: &str| {
        read.authority(prefix).and_then(|found| {
            found
                .base()
                .map(|base| (found.entry.to_owned(), base.to_owned()))
        })
    };
    let secure = "https://registry.example.com/myiiidap/";
    let is = |entry: &str, url: &str| Some((entry.to_owned(), url.to_owned()));
    assert_eq!(base("88.100"), is("88.100", secure));
    assert_eq!(base("88.100.2"), is("88.100", secure));
    assert_eq!(base("88.100.1.4"), is("88.100.1", secure));
    assert_eq!(
        base("88.100.1.5.6"),
        is("88.100.1.5", "http://example.org/")
    );
    assert_eq!(base("88.Abc"), is("88.abc", "http://x.example/"));
    for unknown in ["88.1000", "88.10", "88", "88.102.1", "100.88"] {
        assert_eq!(base(unknown), None, "{unknown}");
    }
    for junk in [
        "",
        "{}",
        r#"{"version":1}"#,
        r#"{"version":"1.0","publication":"x","services":[[["88.1"]]]}"#,
    ] {
        assert!(Bootstrap::parse(junk.as_bytes()).is_err(), "{junk}");
    }
}

#[test]
fn the_plain_view_is_the_document() {
    let text = plain(&Document::parse(FIGURE_7.as_bytes()).unwrap());
    for line in [
        "% Content Removed",
        "iiidapConformance: iiidap_level_0",
        "identifier: 86.100.1",
        "regTime: 2017-09-12T08:57:32.0Z",
        "status: ok",
        "node.name: mengniu",
        "node.legalPerson.idNumber: 131187199507297827",
        "node.contact.email: test@caict.ac.cn",
        "% Originally written by Terry Sullivan.",
    ] {
        assert!(text.split("\r\n").any(|it| it == line), "{line}\n{text}");
    }
    // No value makes a line of its own.
    let forged = Registration {
        identifier: Some("88.1\r\nstatus: ok\u{85}x\u{2028}y".into()),
        ..Registration::default()
    };
    let text = plain(&Document::search(vec![forged], "zh", Vec::new()));
    assert!(
        text.ends_with("\r\nidentifier: 88.1  status: ok x y\r\n"),
        "{text}"
    );
}

#[test]
fn every_character_folds_to_what_folds_to_itself() {
    for character in '\0'..=char::MAX {
        let once = folded(&character.to_string());
        assert_eq!(folded(&once), once, "{character:?}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,20}", "[*a-c\u{300}\u{301}]{0,6}", "[ßςΣﬁＡ㈱é ]{0,6}"]
}

prop_compose! {
    fn registration()(
        identifier in proptest::option::of(text()),
        status in proptest::option::of(text()),
        name in proptest::option::of(text()),
        person in proptest::collection::vec(proptest::option::of(text()), 0..3),
        remark in proptest::collection::vec(text(), 0..3),
        has_node in any::<bool>(),
    ) -> Registration {
        let node = Node {
            name: name.clone(),
            legal_person: person.iter().map(|name| LegalPerson { name: name.clone(), ..LegalPerson::default() }).collect(),
            contact: person.iter().map(|phone| Contact { phone: phone.clone(), ..Contact::default() }).collect(),
            ..Node::default()
        };
        Registration {
            identifier,
            status,
            node: has_node.then_some(node),
            remarks: remark.iter().map(|it| Notice::new(it, [it]).typed(it)).collect(),
            ..Registration::default()
        }
    }
}

proptest! {
    #[test]
    fn documents_are_read_as_they_were_written(
        one in registration(),
        many in proptest::collection::vec(registration(), 0..4),
        status in any::<u16>(),
    ) {
        let notices: Vec<Notice> = one.remarks.clone();
        for document in [
            Document::lookup(one, "zh", notices.clone()),
            Document::search(many, "zh", notices.clone()),
            Document::help(notices),
            Document::error(status, "t", vec!["d".into()]),
        ] {
            let written = serde_json::to_vec(&document).unwrap();
            prop_assert_eq!(&Document::parse(&written).unwrap(), &document);
            let lines = plain(&document);
            prop_assert!(lines.ends_with("\r\n"));
            prop_assert!(!lines.replace("\r\n", "").contains(char::is_control));
        }
    }

    #[test]
    fn junk_is_refused_or_read_but_never_fatal(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Document::parse(&bytes);
        let _ = Bootstrap::parse(&bytes);
        let _ = Registration::parse_all(&bytes);
    }

    #[test]
    fn any_text_is_a_query_or_a_refusal_with_a_status(path in text(), query in text(), kind in 0..4_usize) {
        let lead = ["", "identifier/", "name/", "names"][kind];
        if let Err(error) = Query::parse(&format!("{lead}{path}"), Some(&format!("name={query}"))) {
            prop_assert!([400, 422].contains(&error.status()));
            prop_assert!(!error.to_string().is_empty());
        }
        if let Err(error) = Query::of_line(&path) {
            prop_assert!([400, 422].contains(&error.status()));
        }
    }

    #[test]
    fn folding_twice_changes_nothing(name in text()) {
        let once = folded(&name);
        prop_assert_eq!(folded(&once), once.clone());
        prop_assert_eq!(folded(&name.to_uppercase()), folded(&name.to_uppercase().to_lowercase()));
        prop_assert!(Pattern::exactly(&name).matches(&once));
    }

    #[test]
    fn a_name_matches_its_own_beginnings(name in "\\PC{1,12}", cut in 1..12_usize) {
        let whole = folded(&name);
        let Some((at, _)) = whole.char_indices().nth(cut) else { return Ok(()); };
        let (before, after) = whole.split_at(at);
        if let Ok(pattern) = Pattern::parse(&format!("{before}*")) {
            // What is cut off may fold to something else on its own.
            if folded(before) == before {
                let cut_through = after.starts_with(pattern::is_combining);
                prop_assert_eq!(pattern.matches(&whole), !cut_through);
            }
        }
    }
}
