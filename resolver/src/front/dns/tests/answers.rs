//! What identifiers answer, record type by record type.

use super::harness::*;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, Record, RecordType};
use std::net::IpAddr;

fn naptrs(records: &[Record]) -> Vec<(u16, u16, String, String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let naptrs = records.iter().map(|record| match &record.data {
        RData::NAPTR(n) => {
            assert!(n.replacement.is_root());
            (
                n.order,
                n.preference,
                text(&n.flags),
                text(&n.services),
                text(&n.regexp),
            )
        }
        other => panic!("{other:?}"),
    });
    naptrs.collect()
}

fn uris(records: &[Record]) -> Vec<(u16, u16, String)> {
    let uris = records.iter().map(|record| match &record.data {
        RData::Unknown { rdata, .. } => {
            let data = &rdata.anything;
            let number = |at: usize| u16::from_be_bytes([data[at], data[at + 1]]);
            (
                number(0),
                number(2),
                String::from_utf8(data[4..].to_vec()).unwrap(),
            )
        }
        other => panic!("{other:?}"),
    });
    uris.collect()
}

fn rule(
    order: u16,
    preference: u16,
    service: &str,
    target: &str,
) -> (u16, u16, String, String, String) {
    let delimiter = if target.contains('!') { '|' } else { '!' };
    let regexp = format!("{delimiter}^.*${delimiter}{target}{delimiter}");
    (
        order,
        preference,
        "U".to_owned(),
        service.to_owned(),
        regexp,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn txt_names_the_identifier_and_shows_every_public_value() {
    let node = Node::start().await;
    let answer = node.ask(HANDLE_NAME, RecordType::TXT).await;
    assert_eq!(rcode(&answer), ResponseCode::NoError);
    assert!(answer.metadata.authoritative && !answer.metadata.truncation);
    assert_eq!(
        texts(&answer.answers),
        [
            "identifier=88.118.8/JXDY2106023",
            "index=1 type=URL data=https://example.cn/JXDY2106023",
            "index=2 type=EMAIL data=a@example.cn",
            "index=4 type=INET_HOST data=192.0.2.7",
            "index=5 type=AAAA data=2001:db8::7",
            "index=6 type=INET_HOST data=host.example.cn",
            "index=9 type=URL data=http://b.example/!x",
            "index=12 type=KEY base64=AP8=",
        ]
    );
    assert!(
        answer.answers.iter().all(|record| record.ttl == 60),
        "one TTL a set, the least"
    );
    let secret = node
        .ask(&node.name("88.118.8/secret"), RecordType::TXT)
        .await;
    assert_eq!(texts(&secret.answers), ["identifier=88.118.8/secret"]);
    assert_eq!(secret.answers[0].ttl, 3_600);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uri_naptr_and_addresses_come_from_the_values_they_fit() {
    let node = Node::start().await;
    let answer = node.ask(HANDLE_NAME, URI).await;
    assert_eq!(
        uris(&answer.answers),
        [
            (1, 1, "https://example.cn/JXDY2106023".to_owned()),
            (2, 1, "http://b.example/!x".to_owned()),
        ]
    );
    assert!(answer.answers.iter().all(|record| record.ttl == 60));
    let answer = node.ask(HANDLE_NAME, RecordType::NAPTR).await;
    assert_eq!(
        naptrs(&answer.answers),
        [
            rule(100, 1, "https+I2R", "https://example.cn/JXDY2106023"),
            rule(100, 2, "http+I2R", "http://b.example/!x"),
        ]
    );
    for (qtype, address) in [
        (RecordType::A, "192.0.2.7"),
        (RecordType::AAAA, "2001:db8::7"),
    ] {
        let answer = node.ask(HANDLE_NAME, qtype).await;
        let addresses: Vec<IpAddr> = answer
            .answers
            .iter()
            .filter_map(|r| r.data.ip_addr())
            .collect();
        assert_eq!(addresses, [address.parse::<IpAddr>().unwrap()]);
        assert_eq!(answer.answers[0].ttl, 7_200);
    }
    for qtype in [
        RecordType::MX,
        RecordType::CNAME,
        RecordType::DS,
        RecordType::SOA,
        RecordType::NS,
    ] {
        assert_nodata(&node.ask(HANDLE_NAME, qtype).await, ZONE);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_zone_has_its_own_services() {
    let node = Node::start().await;
    let oid = "1.2.156.3001.5.6";
    let answer = node.ask(&node.ors(oid), RecordType::NAPTR).await;
    assert_eq!(
        naptrs(&answer.answers),
        [
            rule(100, 1, "ORS+UINF", "https://oid.example/6"),
            rule(100, 2, "ORS+RINF", "https://oid.example/6.xml"),
            rule(100, 0, "ORS+COID", "/1/2/156/3001/5/6"),
        ]
    );
    let answer = node.ask(&node.name(oid), RecordType::NAPTR).await;
    assert_eq!(
        naptrs(&answer.answers),
        [
            rule(100, 1, "https+I2R", "https://oid.example/6"),
            rule(100, 2, "https+I2C", "https://oid.example/6.xml"),
        ]
    );
    let gtin = "gtin:9506000134352";
    let answer = node.ask(&node.ons(gtin), RecordType::NAPTR).await;
    assert_eq!(
        naptrs(&answer.answers),
        [
            rule(
                0,
                1,
                "https://gs1.org/voc/pip",
                "https://example.com/product"
            ),
            rule(
                0,
                2,
                "https://gs1.org/voc/recallStatus",
                "https://example.com/recall"
            ),
        ]
    );
    let answer = node.ask(&node.name(gtin), RecordType::NAPTR).await;
    assert_eq!(
        naptrs(&answer.answers)[1],
        rule(100, 2, "https+I2R", "https://example.com/recall")
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scheme_answers_under_its_name() {
    let node = Node::start().await;
    for text in [
        UTF8_HANDLE,
        "did:bid:byo1:efzV4oV3dzVx8BVREDfuYL",
        "ecode:10003693010",
    ] {
        let answer = node.ask(&node.name(text), RecordType::TXT).await;
        assert_eq!(texts(&answer.answers)[0], format!("identifier={text}"));
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hashed_names_name_the_whole_identifier_with_every_type() {
    let node = Node::start().await;
    let name = node.name(&longest_handle());
    assert!(name.starts_with("_h"), "{name}");
    let whole = format!("identifier={}", longest_handle());
    let answer = node.ask_tcp(&name, RecordType::TXT).await;
    assert_eq!(texts(&answer.answers)[0], whole);
    let truncated = node.ask(&name, RecordType::TXT).await;
    assert!(truncated.metadata.truncation && truncated.answers.is_empty());
    for qtype in [RecordType::A, RecordType::NAPTR, URI] {
        let answer = node.ask_tcp(&name, qtype).await;
        assert_eq!(answer.answers.len(), 1);
        assert_eq!(texts(&answer.additionals), std::slice::from_ref(&whole));
        assert_eq!(
            answer.additionals[0].ttl, 0,
            "not to be cached as the whole set"
        );
        // Over UDP the name does not fit beside the answer, which is still given.
        let small = node.ask(&name, qtype).await;
        assert_eq!(small.answers, answer.answers);
        assert!(!small.metadata.truncation && texts(&small.additionals).is_empty());
    }
    // A hash that is nobody's, and one that is somebody's under another prefix.
    let unknown = format!(
        "_h{}{}",
        "0".repeat(32),
        name.trim_start_matches(|c| c != '.')
    );
    assert_nxdomain(&node.ask(&unknown, RecordType::TXT).await, ZONE);
    let elsewhere = name
        .replace(".88-118-8.", ".10003.")
        .replace(".hdl.", ".ecode.");
    assert_nxdomain(&node.ask(&elsewhere, RecordType::TXT).await, ZONE);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_is_answered_with_one_record() {
    let node = Node::start().await;
    for name in [HANDLE_NAME, ZONE, "88-118-8.hdl.id.example.cn."] {
        let answer = node.ask(name, RecordType::ANY).await;
        let [record] = &answer.answers[..] else {
            panic!("{:?}", answer.answers)
        };
        assert_eq!(record.record_type(), RecordType::HINFO, "RFC 8482 §4.2");
    }
    assert_nxdomain(
        &node
            .ask("nothing.88-118-8.hdl.id.example.cn.", RecordType::ANY)
            .await,
        ZONE,
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_sets_go_over_tcp_and_end_at_the_bound() {
    let node = Node::start().await;
    let name = node.name("88.118.8/hundred");
    let over_udp = node.ask(&name, RecordType::TXT).await;
    assert!(over_udp.metadata.truncation && over_udp.answers.is_empty());
    assert!(over_udp.edns.is_some(), "RFC 6891 §7");
    let over_tcp = node.ask_tcp(&name, RecordType::TXT).await;
    assert!(!over_tcp.metadata.truncation);
    assert_eq!(over_tcp.answers.len(), 101);
    let big = node
        .ask_tcp(&node.name("88.118.8/big"), RecordType::TXT)
        .await;
    assert!(!big.metadata.truncation);
    let texts = texts(&big.answers);
    let shown = texts.len() - 2;
    assert!((300..2_048).contains(&shown), "{shown}");
    assert_eq!(texts[1], format!("values=2048 shown={shown}"));
    assert_eq!(
        texts[texts.len() - 1],
        format!(
            "index={shown} type=PART data={}",
            "x".repeat(DATA_BYTES_OF_BIG)
        )
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_write_is_answered_and_counted_in_the_serial() {
    let node = Node::start().await;
    let name = node.name("88.118.8/new");
    assert_nxdomain(&node.ask(&name, RecordType::TXT).await, ZONE);
    let serial = |message: &hickory_proto::op::Message| match &message.answers[0].data {
        RData::SOA(soa) => soa.serial,
        other => panic!("{other:?}"),
    };
    let before = serial(&node.ask(ZONE, RecordType::SOA).await);
    node.filling
        .identifier("88.118.8/new", vec![value(1, "DESC", "now")])
        .await;
    let answer = node.ask(&name, RecordType::TXT).await;
    assert_eq!(texts(&answer.answers)[1], "index=1 type=DESC data=now");
    assert_eq!(serial(&node.ask(ZONE, RecordType::SOA).await), before + 1);
    node.filling.delete("88.118.8/new", "").await;
    let gone = node.ask(&name, RecordType::TXT).await;
    assert_nxdomain(&gone, ZONE);
    assert_eq!(extended_error(&gone), Some((0, "deleted".to_owned())));
    node.stop().await;
}
