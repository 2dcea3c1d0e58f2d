//! Which names exist (RFC 1034, 2308, 8020), and what the zones say of themselves.

use super::harness::*;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, RecordType};
use idnode_registry::prefix::PrefixAction;
use std::net::IpAddr;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_not_there() {
    let node = Node::start().await;
    for name in [
        "nothing.88-118-8.hdl.id.example.cn.",
        "below.jxdy2106023.88-118-8.hdl.id.example.cn.",
        "a.88-118-77.hdl.id.example.cn.",
        "88-118-77.hdl.id.example.cn.",
        "_zz.88-118-8.hdl.id.example.cn.",
        "nosuchscheme.id.example.cn.",
        "*.id.example.cn.",
        "7.3001.156.2.1.oid.id.example.cn.",
        "10003999.10003.ecode.id.example.cn.",
    ] {
        assert_nxdomain(&node.ask(name, RecordType::TXT).await, ZONE);
    }
    assert_nxdomain(
        &node
            .ask("7.3001.156.2.1.ors.example.", RecordType::NAPTR)
            .await,
        "ors.example.",
    );
    assert_nxdomain(
        &node
            .ask("9.9.9.9.gtin.gs1.id.ons.example.", RecordType::NAPTR)
            .await,
        "ons.example.",
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_above_others_exist_without_records() {
    let node = Node::start().await;
    for name in [
        "hdl.id.example.cn.",
        "gs1.id.example.cn.",
        "01.gs1.id.example.cn.",
        "5.3001.156.2.1.oid.id.example.cn.",
        "156.2.1.oid.id.example.cn.",
        "2.1.oid.id.example.cn.",
        "1.oid.id.example.cn.",
    ] {
        assert_nodata(&node.ask(name, RecordType::TXT).await, ZONE);
    }
    let product = format!("{}.01.gs1.id.example.cn.", gtin_with_batch_only());
    assert_nodata(&node.ask(&product, RecordType::TXT).await, ZONE);
    assert_nodata(
        &node.ask(&format!("10.{product}"), RecordType::TXT).await,
        ZONE,
    );
    let batch = node
        .ask(&format!("_41_42_43.10.{product}"), RecordType::TXT)
        .await;
    assert_eq!(batch.answers.len(), 2);
    assert_nodata(
        &node
            .ask("5.3001.156.2.1.ors.example.", RecordType::NAPTR)
            .await,
        "ors.example.",
    );
    for digits in ["6.0.5.9", "0.0.6.0.5.9", "3.1.0.0.0.6.0.5.9", "5.9"] {
        let name = format!("{digits}.gtin.gs1.id.ons.example.");
        assert_nodata(&node.ask(&name, RecordType::NAPTR).await, "ons.example.");
    }
    let hashed_prefix = format!("_h{}.hdl.id.example.cn.", "0".repeat(32));
    assert_nxdomain(&node.ask(&hashed_prefix, RecordType::TXT).await, ZONE);
    // The last descendant goes, and with it the names above.
    node.filling.delete("1.2.156.3001.5.6", "").await;
    assert_nxdomain(
        &node
            .ask("5.3001.156.2.1.oid.id.example.cn.", RecordType::TXT)
            .await,
        ZONE,
    );
    node.stop().await;
}

/// As in a copy of the zone: nothing that an inactive prefix has makes the names above it exist.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_above_an_inactive_prefix_alone_do_not_exist() {
    let node = Node::start().await;
    let above = [
        "157.2.1.oid.id.example.cn.",
        "1.157.2.1.oid.id.example.cn.",
        "7.1.157.2.1.oid.id.example.cn.",
    ];
    let prefix = "oid:1.2.157.1";
    node.filling.apply(prefix).await;
    for name in above {
        assert_nxdomain(&node.ask(name, RecordType::TXT).await, ZONE);
    }
    node.filling.step(prefix, PrefixAction::StartReview).await;
    node.filling.step(prefix, PrefixAction::Approve).await;
    node.filling
        .identifier("1.2.157.1.7.1", vec![value(1, "DESC", "x")])
        .await;
    assert_nodata(&node.ask(above[0], RecordType::TXT).await, ZONE);
    assert_nodata(&node.ask(above[2], RecordType::TXT).await, ZONE);
    node.filling.step(prefix, PrefixAction::Suspend).await;
    for name in above {
        assert_nxdomain(&node.ask(name, RecordType::TXT).await, ZONE);
    }
    let ors = node.ask("157.2.1.ors.example.", RecordType::NAPTR).await;
    assert_nxdomain(&ors, "ors.example.");
    // Digits of a GTIN are none of a GLN.
    for (name, exists) in [
        ("3.4.3.1.0.0.0.6.0.5.9.gtin.gs1.id.ons.example.", true),
        ("3.4.3.1.0.0.0.6.0.5.9.gln.gs1.id.ons.example.", false),
    ] {
        let answer = node.ask(name, RecordType::NAPTR).await;
        match exists {
            true => assert_nodata(&answer, "ons.example."),
            false => assert_nxdomain(&answer, "ons.example."),
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_whose_label_is_hashed_is_found_as_long_as_it_is_registered() {
    let node = Node::start().await;
    let prefix = format!("88.118.{}", "7".repeat(70));
    let name = node.name(&format!("0.NA/{prefix}"));
    node.filling.prefix(&prefix).await;
    let found = node.ask(&name, RecordType::TXT).await;
    assert_eq!(
        texts(&found.answers).first(),
        Some(&format!("prefix={prefix} state=active"))
    );
    assert_nxdomain(
        &node
            .ask(&node.name(&format!("{prefix}/none")), RecordType::TXT)
            .await,
        ZONE,
    );
    node.filling
        .step(&prefix, PrefixAction::MarkForDeletion)
        .await;
    let marked = node.ask(&name, RecordType::TXT).await;
    assert_nxdomain(&marked, ZONE);
    assert!(extended_error(&marked).is_some());
    node.filling.step(&prefix, PrefixAction::Remove).await;
    let gone = node.ask(&name, RecordType::TXT).await;
    assert_nxdomain(&gone, ZONE);
    assert_eq!(extended_error(&gone), None);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_name_says_why_to_those_who_can_read_it() {
    let node = Node::start().await;
    let gone = node.ask(&node.name("88.118.8/gone"), RecordType::TXT).await;
    assert_nxdomain(&gone, ZONE);
    assert_eq!(
        extended_error(&gone),
        Some((0, "deleted: withdrawn".to_owned()))
    );
    for name in [
        "a.88-118-10.hdl.id.example.cn.",
        "88-118-10.hdl.id.example.cn.",
    ] {
        let suspended = node.ask(name, RecordType::TXT).await;
        assert_nxdomain(&suspended, ZONE);
        assert_eq!(
            extended_error(&suspended),
            Some((0, "the prefix is suspended (停用)".to_owned()))
        );
    }
    let unknown = node
        .ask("nothing.88-118-8.hdl.id.example.cn.", RecordType::TXT)
        .await;
    assert_eq!(extended_error(&unknown), None);
    let plain = node
        .udp(&Ask::new(&node.name("88.118.8/gone"), RecordType::TXT).bytes())
        .await
        .unwrap();
    let plain = hickory_proto::op::Message::from_vec(&plain).unwrap();
    assert_nxdomain(&plain, ZONE);
    assert_eq!(plain.edns, None, "RFC 6891 §6.1.1");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apexes_have_soa_and_name_servers_with_addresses() {
    let node = Node::start().await;
    for zone in [ZONE, "ors.example.", "ons.example."] {
        let host = Name::from_ascii(format!("ns1.{zone}")).unwrap();
        let answer = node.ask(zone, RecordType::SOA).await;
        let RData::SOA(soa) = &answer.answers[0].data else {
            panic!("{answer:?}")
        };
        assert_eq!(
            (&soa.mname, soa.rname.to_ascii()),
            (&host, format!("hostmaster.{zone}"))
        );
        assert_eq!(
            (soa.refresh, soa.retry, soa.expire, soa.minimum),
            (3_600, 600, 1_209_600, 300)
        );
        assert_eq!(u64::from(soa.serial), node.filling.registry.applied());
        let bare = node.ask(zone, RecordType::NS).await;
        assert!(
            bare.additionals.is_empty(),
            "from an address that may be forged"
        );
        let answer = node.ask_tcp(zone, RecordType::NS).await;
        assert!(answer.metadata.authoritative);
        assert_eq!(bare.answers, answer.answers);
        let RData::NS(server) = &answer.answers[0].data else {
            panic!("{answer:?}")
        };
        assert_eq!(server.0, host);
        let expected: [IpAddr; 2] = [
            "192.0.2.53".parse().unwrap(),
            "2001:db8::53".parse().unwrap(),
        ];
        let glue: Vec<IpAddr> = answer
            .additionals
            .iter()
            .filter_map(|r| r.data.ip_addr())
            .collect();
        assert_eq!(glue, expected);
        let answer = node.ask(&host.to_ascii(), RecordType::AAAA).await;
        assert_eq!(answer.answers[0].data.ip_addr(), Some(expected[1]));
        assert_nodata(&node.ask(&host.to_ascii(), RecordType::TXT).await, zone);
        for qtype in [
            RecordType::A,
            RecordType::TXT,
            RecordType::DS,
            RecordType::DNSKEY,
        ] {
            assert_nodata(&node.ask(zone, qtype).await, zone);
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefixes_answer_with_the_interfaces_that_serve_them() {
    let node = Node::start().await;
    let name = "88-118-8.hdl.id.example.cn.";
    let answer = node.ask(name, RecordType::TXT).await;
    assert_eq!(
        texts(&answer.answers),
        [
            "prefix=88.118.8 state=active",
            "site=1 server=1 address=192.0.2.9 protocol=hdl-tcp port=2641 use=query,admin",
            "site=1 server=1 address=192.0.2.9 protocol=hdl-udp port=2641 use=query",
            "site=1 server=1 address=192.0.2.9 protocol=http port=8080 use=query,admin",
        ]
    );
    let answer = node.ask(name, RecordType::NAPTR).await;
    let RData::NAPTR(rule) = &answer.answers[0].data else {
        panic!("{answer:?}")
    };
    assert_eq!(&*rule.services, b"http+I2C");
    assert_eq!(
        &*rule.regexp,
        b"!^.*$!http://192.0.2.9:8080/api/handles/0.NA/88.118.8!"
    );
    assert_eq!(node.ask(name, URI).await.answers.len(), 1);
    assert_nodata(&node.ask(name, RecordType::A).await, ZONE);
    for (name, heading) in [
        (
            "3001.156.2.1.oid.id.example.cn.",
            "prefix=oid:1.2.156.3001 state=active",
        ),
        (
            "3001.156.2.1.ors.example.",
            "prefix=oid:1.2.156.3001 state=active",
        ),
        (
            "9506000.gcp.gs1.id.example.cn.",
            "prefix=gs1:9506000 state=active",
        ),
        (
            "0.0.0.6.0.5.9.gtin.gs1.id.ons.example.",
            "prefix=gs1:9506000 state=active",
        ),
        (
            "bid_3abyo1.did.id.example.cn.",
            "prefix=did:bid:byo1 state=active",
        ),
    ] {
        let answer = node.ask(name, RecordType::TXT).await;
        assert_eq!(texts(&answer.answers)[0], heading, "{name}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_does_not_matter_and_is_given_back() {
    let node = Node::start().await;
    let plain = node.ask(HANDLE_NAME, RecordType::A).await;
    for name in [
        "JXDY2106023.88-118-8.HDL.ID.EXAMPLE.CN.",
        "jXdY2106023.88-118-8.hDl.iD.eXaMpLe.Cn.",
    ] {
        // `ask` compares the spelling of question and owner names.
        let answer = node.ask(name, RecordType::A).await;
        assert_eq!(answer.answers[0].data, plain.answers[0].data);
    }
    let negative = node
        .ask("NOTHING.88-118-8.hdl.ID.Example.CN.", RecordType::A)
        .await;
    assert_eq!(negative.authorities[0].name.to_ascii(), "ID.Example.CN.");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_the_zones_is_refused() {
    let node = Node::start().await;
    for name in ["example.cn.", "example.com.", "idexample.cn.", "."] {
        let answer = node.ask(name, RecordType::A).await;
        assert_eq!(rcode(&answer), ResponseCode::Refused, "{name}");
        assert!(!answer.metadata.authoritative && answer.authorities.is_empty());
        assert_eq!(extended_error(&answer).unwrap().0, 20);
    }
    for qtype in [RecordType::AXFR, RecordType::IXFR] {
        assert_eq!(
            rcode(&node.ask_tcp(ZONE, qtype).await),
            ResponseCode::Refused
        );
    }
    node.stop().await;
}
