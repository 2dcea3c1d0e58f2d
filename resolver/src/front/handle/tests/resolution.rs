//! What is answered to what, over both transports.

use super::harness::*;
use idnode_proto::handle::auth::ClientKey;
use idnode_proto::handle::*;
use idnode_proto::value::types;
use std::time::{SystemTime, UNIX_EPOCH};

fn indexes(response: &Response) -> Vec<u32> {
    response.values().iter().map(|value| value.index).collect()
}

fn code(response: &Response) -> u32 {
    response.code.0
}

/// A request in a version, without a suggestion.
fn in_version(minor: u8, handle: &str, flags: OpFlags) -> Vec<u8> {
    let head = RequestHead {
        version: Version::new(2, minor),
        suggested: Version::NONE,
        flags,
        ..RequestHead::new(1)
    };
    head.resolve(handle, &[], &[]).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hit_is_answered_with_its_public_values() {
    let node = Node::start().await;
    // The first answer is from the disk, the others from memory.
    for _ in 0..3 {
        let response = node.resolve(HANDLE).await;
        assert_eq!(response.code, ResponseCode::SUCCESS);
        assert_eq!(response.handle(), Some(HANDLE));
        assert_eq!(indexes(&response), [1, 2, 4]);
        assert_eq!(
            response.values()[0],
            value(1, types::URL, "https://example.cn/JXDY2106023")
        );
        assert_eq!(response.header.site_serial, SITE_SERIAL);
        assert_eq!(response.envelope.version, Version::LATEST);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scheme_resolves_in_the_spelling_asked() {
    let node = Node::start().await;
    let longest = longest_handle();
    let handles = [
        "88.118.8/jxdy2106023",
        "hdl:88.118.8/a",
        UTF8_HANDLE,
        "oid:1.2.156.3001.7",
        "1.2.156.3001.7",
        "(01)06901234567892",
        "gtin:6901234567892",
        "did:bid:byo1:efzV4oV3dzVx8BVREDfuYLTp8bzJHiy9",
        &longest,
    ];
    for handle in handles {
        let response = node.resolve(handle).await;
        assert_eq!(code(&response), 1, "{handle}: {:?}", response.message());
        assert_eq!(response.handle(), Some(handle));
        assert_eq!(response.values()[0].value_type, "URL");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_resolves_to_its_sites() {
    let node = Node::start().await;
    for handle in ["88.118.8", "0.NA/88.118.8", "0.na/88.118.8"] {
        let response = node.resolve(handle).await;
        assert_eq!(response.handle(), Some(handle));
        let [own] = response.values() else {
            panic!("{response:?}")
        };
        assert_eq!(own.value_type, types::HS_SITE);
        let site = Site::decode(&own.data).unwrap();
        assert_eq!(site.servers[0].interfaces[0].port, node.addr.port());
    }
    let delegated = node.resolve("0.NA/88.118.9").await;
    assert_eq!(indexes(&delegated), [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_has_its_code_and_reason() {
    let node = Node::start().await;
    let cases = [
        ("88.118.8/nothing", 100, "not registered"),
        ("0.NA/77.1", 301, "not registered"),
        ("0.NA/88.118.8.1", 100, "not registered"),
        ("88.118.8/gone", 100, "deleted on 20"),
        ("88.118.8/gone", 100, "Z: scrapped"),
        ("77.1/x", 301, "prefix is not registered"),
        ("88.118.10/x", 301, "suspended (停用)"),
        ("0.NA/88.118.10", 301, "suspended (停用)"),
        ("88.118.8/secret", 200, "not public"),
        ("88.118.8/", 102, "suffix"),
        ("", 102, "empty"),
        ("12345", 102, "several schemes"),
        ("(01)06901234567893", 102, "check digit"),
    ];
    for (handle, expected, text) in cases {
        let response = node.resolve(handle).await;
        let message = response.message().unwrap();
        assert_eq!(code(&response), expected, "{handle}: {message}");
        assert!(message.contains(text), "{handle}: {message}");
        assert_eq!(response.header.op_code, OpCode::RESOLVE);
    }
    let over_long = RequestHead::new(1)
        .resolve(&(longest_handle() + "l"), &[], &[])
        .unwrap();
    let response = node.ask(&over_long).await;
    assert_eq!(code(&response), 102);
    assert!(response.message().unwrap().contains("2049 bytes"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_are_a_union_and_never_show_what_is_not_public() {
    let node = Node::start().await;
    let cases: [(&[u32], &[&str], &[u32]); 7] = [
        (&[2], &[], &[2]),
        (&[], &["URL"], &[1]),
        (&[], &["url"], &[1]),
        (&[2], &["URL"], &[1, 2]),
        (&[], &["88.118.1/model."], &[4]),
        (&[3, 4], &["DESC"], &[4]),
        (&[4, 4, 9], &["NONE"], &[4]),
    ];
    for (wanted, value_types, expected) in cases {
        let request = RequestHead::new(1)
            .resolve(HANDLE, wanted, value_types)
            .unwrap();
        assert_eq!(
            indexes(&node.ask(&request).await),
            expected,
            "{wanted:?} {value_types:?}"
        );
    }
    let (public, any) = (OpFlags::PUBLIC_ONLY, OpFlags::NONE);
    for (flags, wanted, expected, text) in [
        (public, 3, 200, "not public"),
        (any, 3, 402, ""),
        (public, 9, 200, "no such values"),
        (any, 9, 200, "no such values"),
    ] {
        let head = RequestHead {
            flags,
            ..RequestHead::new(1)
        };
        let response = node
            .ask(&head.resolve(HANDLE, &[wanted], &[]).unwrap())
            .await;
        assert_eq!(code(&response), expected);
        let message = response.message().unwrap_or_default();
        assert!(message.contains(text), "{response:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delegated_prefix_is_a_referral_in_the_clients_version() {
    let node = Node::start().await;
    let latest = node.resolve("88.118.9/x").await;
    assert_eq!(code(&latest), 303);
    let (handle, sites) = latest.referral().unwrap();
    assert_eq!(handle, "0.NA/88.118.9");
    let ports: Vec<u16> = sites
        .iter()
        .map(|site| Site::decode(&site.data).unwrap().servers[0].interfaces[0].port)
        .collect();
    assert_eq!(ports, [2641, 2642]);

    let none = OpFlags::NONE;
    for (minor, expected, sites) in [
        (1, 302, 0),
        (4, 302, 0),
        (5, 303, 0),
        (9, 303, 0),
        (10, 303, 2),
    ] {
        let response = node.ask(&in_version(minor, "88.118.9/x", none)).await;
        assert_eq!(code(&response), expected, "2.{minor}");
        let referral = response.referral().unwrap();
        assert_eq!(
            (referral.0, referral.1.len()),
            ("0.NA/88.118.9", sites),
            "2.{minor}"
        );
        assert_eq!(response.envelope.version, Version::new(2, minor));
    }
    // An OID's prefix is no handle: its sites are in the body in every version.
    let old = node.ask(&in_version(1, "oid:1.2.156.3002.1", none)).await;
    assert_eq!(
        old.referral().map(|(handle, sites)| (handle, sites.len())),
        Some(("", 2))
    );

    let unwanted = node
        .ask(&in_version(11, "88.118.9/x", OpFlags::NO_REFERRAL))
        .await;
    assert_eq!(code(&unwanted), 301);
    let dns_only = node.resolve("88.118.11/x").await;
    assert_eq!(code(&dns_only), 301);
    assert!(dns_only.message().unwrap().contains("DNS"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_with_a_service_is_a_referral_to_that_in_every_version() {
    let node = Node::start().await;
    for minor in [1, 4, 5, 9, 10, 11] {
        let none = OpFlags::NONE;
        let response = node.ask(&in_version(minor, "88.118.12/x", none)).await;
        assert_eq!(code(&response), 302, "2.{minor}");
        let named = response.referral().unwrap();
        assert_eq!((named.0, named.1.len()), ("88.119/SVC", 0), "2.{minor}");
    }
    let unwanted = node
        .ask(&in_version(11, "88.118.12/x", OpFlags::NO_REFERRAL))
        .await;
    assert_eq!(code(&unwanted), 301);
    let described = node.resolve("0.NA/88.118.12").await;
    let [service] = described.values() else {
        panic!("{described:?}");
    };
    assert_eq!(
        (service.index, &*service.value_type, &*service.data),
        (1, types::HS_SERV, b"88.119/SVC".as_slice())
    );
    // What is below it the service knows.
    let below = node.resolve("0.NA/88.118.12.1").await;
    assert_eq!(code(&below), 302);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn site_information_is_given_to_any_session_and_lists_tcp_first() {
    let node = Node::start().await;
    let head = RequestHead {
        session_id: 10_001,
        ..RequestHead::new(5)
    };
    let response = node.ask(&head.site_info().unwrap()).await;
    assert_eq!(response.envelope.session_id, 10_001);
    let site = response.site().unwrap();
    assert_eq!((site.serial, site.primary), (SITE_SERIAL, true));
    let protocols: Vec<_> = site.servers[0]
        .interfaces
        .iter()
        .map(|interface| (interface.protocol, interface.port))
        .collect();
    let port = node.addr.port();
    assert_eq!(
        protocols,
        [
            (InterfaceProtocol::Tcp, port),
            (InterfaceProtocol::Udp, port)
        ]
    );
    // A session's number is repeated on a resolution too.
    let resolved = node.ask(&head.resolve(HANDLE, &[], &[]).unwrap()).await;
    assert_eq!((resolved.envelope.session_id, code(&resolved)), (10_001, 1));
}

/// Changes, lists and log-ins.
fn needs_connection(op_code: OpCode) -> bool {
    matches!(op_code.0, 100..=106 | 300..=302 | 1000..=1003 | 2000 | 2001)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_to_proofs_carry_what_was_challenged() {
    let node = Node::start().await;
    let key = ClientKey::secret(b"secret");
    let user: AdminId = "300:0.NA/88.118.8".parse().unwrap();
    let mut tcp = node.tcp().await;
    // A proof that is none, of an unknown administrator, for a creation and for a log-in.
    let head = RequestHead::new(3);
    let create = head.create("88.118.8/new", &[]).unwrap();
    let log_in = head.log_in(&user).unwrap();
    for (request, op_code) in [(create, OpCode::CREATE), (log_in, OpCode::LOGIN)] {
        let challenged = tcp.ask(&request).await;
        let ResponseBody::Challenge(challenge) = &challenged.body else {
            panic!("{challenged:?}");
        };
        let head = RequestHead {
            session_id: challenged.envelope.session_id,
            ..head
        };
        let malformed = head.request(OpCode::CHALLENGE_ANSWER, &[1, 2, 3]).unwrap();
        let proof = head.answer_challenge(&key, &user, challenge);
        let proof = proof.unwrap().unwrap();
        let late = OpCode::LOGIN;
        for (message, expected) in [
            (&malformed, (2, op_code)),
            (&proof, (403, op_code)),
            (&proof, (405, late)),
        ] {
            let response = tcp.ask(message).await;
            assert_eq!((code(&response), response.header.op_code), expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_that_are_not_done_or_cannot_be_read_are_refused_by_name() {
    let node = Node::start().await;
    let mut tcp = node.tcp().await;
    let udp = node.udp().await;
    let head = RequestHead::new(3);
    for &op_code in OpCode::ALL {
        if [OpCode::RESERVED, OpCode::RESOLVE, OpCode::SITE_INFO].contains(&op_code) {
            continue;
        }
        // None of them has an empty body, but for what asks for no part of the registry, which is not a
        // stranger's, and the end of a session; there is none.
        let expected = match op_code.0 {
            1000 | 1003 => 402,
            401 => 501,
            _ => 2,
        };
        let request = head.request(op_code, &[]).unwrap();
        // One client waits for ever when an answer carries operation 200.
        let answered_as = match op_code {
            OpCode::CHALLENGE_ANSWER => OpCode::LOGIN,
            op_code => op_code,
        };
        let response = tcp.ask(&request).await;
        assert_eq!(
            (code(&response), response.header.op_code),
            (expected, answered_as)
        );
        let response = udp.ask(&request).await;
        let expected = if needs_connection(op_code) {
            4
        } else {
            expected
        };
        assert_eq!(
            (code(&response), response.header.op_code),
            (expected, answered_as)
        );
    }
    for (op_code, expected) in [(0, 4), (99, 2), (u32::MAX, 2)] {
        let response = node.ask(&head.request(OpCode(op_code), &[]).unwrap()).await;
        assert_eq!(
            (code(&response), response.header.op_code.0),
            (expected, op_code)
        );
    }
    let encrypted = RequestHead {
        flags: OpFlags::ENCRYPT,
        ..head
    };
    assert_eq!(
        code(
            &node
                .ask(&encrypted.resolve(HANDLE, &[], &[]).unwrap())
                .await
        ),
        501
    );
    let mut wrapped = resolution(HANDLE);
    wrapped[2] |= 0x40;
    assert_eq!(code(&node.ask(&wrapped).await), 501);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_expire_in_the_future_and_carry_the_digest_asked_for() {
    let node = Node::start().await;
    let flags = OpFlags::REQUEST_DIGEST | OpFlags::AUTHORITATIVE | OpFlags::PUBLIC_ONLY;
    let head = RequestHead {
        flags,
        expiration_s: 1,
        ..RequestHead::new(3)
    };
    for handle in [HANDLE, "88.118.8/nothing", "88.118.9/x"] {
        let request = head.resolve(handle, &[], &[]).unwrap();
        let response = node.ask(&request).await;
        assert_eq!(response.answers(&request), Some(true), "{handle}");
        assert!(response.header.flags.contains(OpFlags::AUTHORITATIVE));
        let now_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs() as u32;
        let left_s = response.header.expiration_s - now_s;
        assert!((200..=86_400).contains(&left_s), "{handle}: {left_s}");
    }
}
