//! Prefixes that are served elsewhere.

use super::harness::*;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};
use std::net::IpAddr;

fn assert_referral(message: &Message, cut: &str) {
    assert_eq!(rcode(message), ResponseCode::NoError);
    assert!(
        !message.metadata.authoritative,
        "a referral is not authoritative"
    );
    assert!(message.answers.is_empty());
    let servers: Vec<(String, String)> = message
        .authorities
        .iter()
        .map(|record| match &record.data {
            RData::NS(server) => (record.name.to_ascii(), server.to_ascii()),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = ["ns1.factory.example.", "ns2.factory.example."]
        .map(|host| (cut.to_owned(), host.to_owned()));
    assert_eq!(servers, expected);
    let glue: Vec<IpAddr> = message
        .additionals
        .iter()
        .filter_map(|record| record.data.ip_addr())
        .collect();
    assert_eq!(
        glue,
        ["192.0.2.11", "2001:db8::11", "192.0.2.12"].map(|ip| ip.parse::<IpAddr>().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_at_and_below_a_cut_are_referred() {
    let node = Node::start().await;
    let hashed = node.name(&format!("88.118.11/{}", "y".repeat(100)));
    let child = "x.88-118-11-5.hdl.id.example.cn.";
    for (name, cut) in [
        (
            "any.88-118-11.hdl.id.example.cn.",
            "88-118-11.hdl.id.example.cn.",
        ),
        (
            "88-118-11.hdl.id.example.cn.",
            "88-118-11.hdl.id.example.cn.",
        ),
        (
            "Any.88-118-11.HDL.id.example.cn.",
            "88-118-11.HDL.id.example.cn.",
        ),
        (
            "a.b.c.88-118-11.hdl.id.example.cn.",
            "88-118-11.hdl.id.example.cn.",
        ),
        (
            "_zz.88-118-11.hdl.id.example.cn.",
            "88-118-11.hdl.id.example.cn.",
        ),
        (hashed.as_str(), "88-118-11.hdl.id.example.cn."),
        (child, "88-118-11-5.hdl.id.example.cn."),
        (
            "88-118-11-5.hdl.id.example.cn.",
            "88-118-11-5.hdl.id.example.cn.",
        ),
        (
            "9.8.3002.156.2.1.oid.id.example.cn.",
            "3002.156.2.1.oid.id.example.cn.",
        ),
        (
            "3002.156.2.1.oid.id.example.cn.",
            "3002.156.2.1.oid.id.example.cn.",
        ),
        (
            "x.3002.156.2.1.oid.id.example.cn.",
            "3002.156.2.1.oid.id.example.cn.",
        ),
        ("9.8.3002.156.2.1.ors.example.", "3002.156.2.1.ors.example."),
        (
            "0.5.3.4.3.1.4.3.2.1.0.9.6.gtin.gs1.id.ons.example.",
            "4.3.2.1.0.9.6.gtin.gs1.id.ons.example.",
        ),
        (
            "1.4.3.2.1.0.9.6.gtin.gs1.id.ons.example.",
            "4.3.2.1.0.9.6.gtin.gs1.id.ons.example.",
        ),
        (
            "6901234.gcp.gs1.id.example.cn.",
            "6901234.gcp.gs1.id.example.cn.",
        ),
    ] {
        for qtype in [RecordType::TXT, RecordType::NS, RecordType::ANY] {
            assert_referral(&node.ask(name, qtype).await, cut);
        }
    }
    let gtin = node.name("gtin:6901234567892");
    assert_referral(&node.ask(&gtin, RecordType::NAPTR).await, &gtin);
    let batch = node.name("https://id.gs1.org/01/06901234567892/10/A");
    assert_referral(&node.ask(&batch, RecordType::NAPTR).await, &gtin);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_at_and_below_a_hashed_cut_are_referred() {
    let node = Node::start().await;
    let prefix = format!("88.118.{}", "7".repeat(70));
    let cut = node.name(&format!("0.NA/{prefix}"));
    let below = node.name(&format!("{prefix}/x"));
    assert!(
        cut.starts_with("_h") && below.starts_with("_h"),
        "{cut} {below}"
    );
    let names = [&cut, &below, &format!("a.b.{cut}"), &format!("a.{below}")];
    for name in names {
        assert_nxdomain(&node.ask(name, RecordType::TXT).await, ZONE);
    }
    let servers: &[(&str, &[&str])] = &[
        ("ns1.factory.example", &["192.0.2.11", "2001:db8::11"]),
        ("ns2.factory.example", &["192.0.2.12"]),
    ];
    node.filling.delegate(&prefix, &[], servers).await;
    for name in names {
        for qtype in [RecordType::TXT, RecordType::ANY] {
            assert_referral(&node.ask(name, qtype).await, &cut);
        }
    }
    assert_nodata(&node.ask(&cut, RecordType::DS).await, ZONE);
    node.stop().await;
}

/// DNS has no name for the service: its handle is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_under_a_service_tell_its_handle() {
    let node = Node::start().await;
    node.filling
        .delegate_to_service("88.118.12", "88.200/SVC")
        .await;
    for name in [
        "88-118-12.hdl.id.example.cn.",
        "x.88-118-12.hdl.id.example.cn.",
    ] {
        let answer = node.ask(name, RecordType::TXT).await;
        let texts = texts(&answer.answers);
        let said = "prefix=88.118.12 state=active served=elsewhere service=88.200/SVC";
        assert_eq!(texts, [said], "{name}");
        assert_nodata(&node.ask(name, RecordType::NAPTR).await, ZONE);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ds_records_belong_to_the_parent() {
    let node = Node::start().await;
    assert_nodata(
        &node
            .ask("88-118-11.hdl.id.example.cn.", RecordType::DS)
            .await,
        ZONE,
    );
    assert_nodata(
        &node.ask("3002.156.2.1.ors.example.", RecordType::DS).await,
        "ors.example.",
    );
    let below = node
        .ask("x.88-118-11.hdl.id.example.cn.", RecordType::DS)
        .await;
    assert_referral(&below, "88-118-11.hdl.id.example.cn.");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_without_name_servers_are_answered_in_place() {
    let node = Node::start().await;
    let name = "any.88-118-9.hdl.id.example.cn.";
    let answer = node.ask(name, RecordType::TXT).await;
    assert!(answer.metadata.authoritative);
    assert_eq!(
        texts(&answer.answers)[..2],
        [
            "prefix=88.118.9 state=active served=elsewhere".to_owned(),
            "site=1 server=1 address=192.0.2.9 protocol=hdl-tcp port=2641 use=query,admin"
                .to_owned(),
        ]
    );
    let answer = node.ask(name, RecordType::NAPTR).await;
    let RData::NAPTR(rule) = &answer.answers[0].data else {
        panic!("{answer:?}")
    };
    assert_eq!(
        &*rule.regexp,
        b"!^.*$!http://192.0.2.9:8080/api/handles/88.118.9/ANY!"
    );
    assert_nodata(&node.ask(name, RecordType::A).await, ZONE);
    let answer = node
        .ask("88-118-9.hdl.id.example.cn.", RecordType::NAPTR)
        .await;
    let RData::NAPTR(rule) = &answer.answers[0].data else {
        panic!("{answer:?}")
    };
    assert_eq!(
        &*rule.regexp,
        b"!^.*$!http://192.0.2.9:8080/api/handles/0.NA/88.118.9!"
    );
    // What stands for no identifier has no name there either.
    assert_nxdomain(
        &node
            .ask("a.b.88-118-9.hdl.id.example.cn.", RecordType::TXT)
            .await,
        ZONE,
    );
    node.stop().await;
}
