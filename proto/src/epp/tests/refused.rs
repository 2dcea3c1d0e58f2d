//! What is not taken, with the code that a server answers.

use crate::epp::*;
use proptest::prelude::*;

fn code_of(command: &str) -> u16 {
    let document = format!("<epp xmlns=\"{NS_EPP}\">{command}</epp>");
    let refused = Document::parse(document.as_bytes()).expect_err(&document);
    refused.code.number()
}

fn of_command(inside: &str) -> u16 {
    let ent = format!("xmlns:ent='{NS_ENTERPRISE}' xmlns:p='{NS_PREFIX}'");
    code_of(&format!(
        "<command {ent}>{inside}<clTRID>abc-1</clTRID></command>"
    ))
}

#[test]
fn each_mistake_has_its_code() {
    for (inside, code) in [
        ("<dance/>", 2000),
        ("", 2001),
        ("<logout/><logout/>", 2001),
        ("<check/>", 2001),
        ("<check><ent:create/></check>", 2001),
        ("<poll/>", 2003),
        ("<poll op='ack'/>", 2003),
        ("<poll op='see'/>", 2004),
        ("<poll op='ack' msgID=''/>", 2005),
        ("<transfer op='query'/>", 2101),
        ("<renew/>", 2101),
        ("<delete><ent:delete/></delete>", 2101),
        ("<info><p:info/></info>", 2101),
        ("<check><x:check xmlns:x='urn:other'/></check>", 2307),
        ("<logout/><extension><a/></extension>", 2103),
        (
            "<check><ent:check><ent:shrUserId>u</ent:shrUserId></ent:check></check>",
            2003,
        ),
        (
            "<check><p:check><p:shrPrefix/><p:prefix>a</p:prefix></p:check></check>",
            2003,
        ),
        (
            "<update><ent:update><ent:entId>1</ent:entId></ent:update></update>",
            2003,
        ),
        (
            "<update><ent:update><ent:shrUserId>u</ent:shrUserId><ent:entId>1</ent:entId><ent:chg/></ent:update></update>",
            2003,
        ),
        (
            "<update><ent:update><ent:entId>1</ent:entId><ent:chg/><ent:chgAll/></ent:update></update>",
            2001,
        ),
    ] {
        assert_eq!(of_command(inside), code, "{inside}");
    }
    assert_eq!(code_of("<dance/>"), 2000);
    assert_eq!(
        code_of("<command><logout/><clTRID>ab</clTRID></command>"),
        2005
    );
    assert_eq!(code_of("<hello/><hello/>"), 2001);
}

#[test]
fn the_transaction_is_named_where_it_could_be_read() {
    let document =
        format!("<epp xmlns='{NS_EPP}'><command><dance/><clTRID>abc-1</clTRID></command></epp>");
    let refused = Document::parse(document.as_bytes()).unwrap_err();
    assert_eq!(refused.client_id.as_deref(), Some("abc-1"));
}

#[test]
fn what_could_grow_reach_out_or_hide_is_a_syntax_error() {
    let hello = format!("<epp xmlns='{NS_EPP}'><hello/></epp>");
    for document in [
        "",
        "<epp/>",
        "<epp xmlns='urn:other'><hello/></epp>",
        "<e:epp><hello/></e:epp>",
        &format!("<!DOCTYPE epp [<!ENTITY a 'b'>]>{hello}"),
        &format!("<!DOCTYPE epp SYSTEM 'file:///etc/passwd'>{hello}"),
        &hello.replace("<hello/>", "<hello>&a;</hello>"),
        &format!("{}{}", "<a>".repeat(17), "</a>".repeat(17)),
        &format!("{hello}{hello}"),
    ] {
        let refused = Document::parse(document.as_bytes()).unwrap_err();
        assert_eq!(refused.code.number(), 2001, "{document}");
    }
}

proptest! {
    #[test]
    fn junk_is_refused_with_a_reason(pieces in proptest::collection::vec(
        proptest::sample::select(vec![
            "<epp xmlns='urn:ietf:params:xml:ns:epp-1.0'>", "</epp>", "<command>", "</command>",
            "<check>", "</check>", "<ent:check xmlns:ent='urn:ietf:params:xml:ns:idis-ent-1.0'>",
            "</ent:check>", "<ent:entId>1</ent:entId>", "<clTRID>abc</clTRID>", "<poll op='req'/>",
            "<response>", "</response>", "<result code='1000'>", "</result>", "<msg/>", "&amp;",
            "<!DOCTYPE", "]]>", "\0", "产", "<", "'",
        ]), 0..40)) {
        match Document::parse(pieces.concat().as_bytes()) {
            Ok(document) => {
                let again = document.encode();
                prop_assert_eq!(Document::parse(again.as_bytes()), Ok(document));
            }
            Err(refused) => {
                prop_assert!(!refused.reason.is_empty());
                prop_assert!(!refused.code.is_success());
            }
        }
    }

    #[test]
    fn junk_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Document::parse(&bytes).is_err());
    }
}
