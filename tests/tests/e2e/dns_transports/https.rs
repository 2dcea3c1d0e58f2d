//! DNS over HTTPS: status codes, freshness, versions of HTTP.

use std::fs;

use super::clients::{base64url, https, post};
use super::world::{HIT, MISS, TXT, World, answers, query, rcode};

#[test]
fn requests_that_are_none_get_their_status() {
    let world = World::new();
    let good = base64url(&query(0, HIT, TXT));
    let mut response = query(0, HIT, TXT);
    response[2] |= 0x80;
    let gets = [
        ("/dns-query".to_owned(), 400),
        ("/dns-query?dns=".to_owned(), 400),
        ("/dns-query?name=example.com".to_owned(), 400),
        (format!("/dns-query?dns={good}="), 400),
        ("/dns-query?dns=AAAA".to_owned(), 400),
        (format!("/dns-query?dns={}", base64url(&response)), 400),
        (format!("/dns-query?dns={good}&dns={good}"), 400),
        (format!("/?dns={good}"), 404),
        (format!("/dns-query/?dns={good}"), 404),
        (format!("/dns-query?dns={}", "A".repeat(17_000)), 414),
        (format!("/dns-query?a=1&dns={good}&b=2"), 200),
    ];
    for version in ["--http2", "--http1.1"] {
        for (target, status) in &gets {
            let got = https(&world, target, &[version]);
            assert_eq!(got.status, *status, "{version} {target}\n{}", got.head);
            let kept = got.field("cache-control");
            assert_eq!(kept == "no-store", *status != 200, "{target}: {kept}");
        }
        for method in ["PUT", "DELETE", "PATCH"] {
            let got = https(&world, "/dns-query", &[version, "-X", method]);
            assert_eq!((got.status, got.field("allow")), (405, "get, head, post"));
        }
        let data = ["--data-binary", "x"];
        for media_type in ["content-type: application/json", "content-type:"] {
            let got = https(
                &world,
                "/dns-query",
                &[&[version, "-H", media_type], &data[..]].concat(),
            );
            assert_eq!(got.status, 415, "{media_type}");
        }
        assert_eq!(post(&world, b"not DNS", &[version]).status, 400);
        let got = post(&world, &[0; 65_536], &[version]);
        assert_eq!(got.status, 413, "{}", got.head);
        // Without a declared length, only reading tells.
        let chunked = ["-H", "transfer-encoding: chunked", "--http1.1"];
        assert_eq!(post(&world, &[0; 65_536], &chunked).status, 413);
    }
    assert!(world.bound_hits("dns_https_message_size") >= 4);
    assert_eq!(world.bound_hits("dns_https_uri"), 2);
    world.node.stop();
}

#[test]
fn answers_say_how_long_they_may_be_kept() {
    let world = World::with(&["dns.default_ttl_s=1234", "dns.negative_ttl_s=77"]);
    let got = post(&world, &query(0, HIT, TXT), &[]);
    assert_eq!(got.field("content-type"), "application/dns-message");
    assert_eq!(got.field("content-length"), got.body.len().to_string());
    let least = least_ttl(&got.body);
    assert!(least > 0);
    assert_eq!(got.field("cache-control"), format!("max-age={least}"));
    let got = post(&world, &query(0, MISS, TXT), &[]);
    assert_eq!(
        (got.status, rcode(&got.body)),
        (200, 3),
        "NXDOMAIN is an answer"
    );
    assert_eq!(got.field("cache-control"), "max-age=77");
    let got = post(&world, &query(0, "id.example", 6), &[]);
    assert_eq!(
        (got.field("cache-control"), answers(&got.body)),
        ("max-age=77", 1)
    );
    let got = post(&world, &query(0, "elsewhere.test", TXT), &[]);
    assert_eq!(
        (got.status, rcode(&got.body)),
        (200, 5),
        "REFUSED is an answer"
    );
    assert_eq!(got.field("cache-control"), "max-age=0");
    let broken = &query(0, HIT, TXT)[..20];
    let got = post(&world, broken, &[]);
    assert_eq!(
        (got.status, rcode(&got.body)),
        (200, 1),
        "FORMERR is an answer"
    );
    world.node.stop();
}

/// The least TTL of an answer whose names are all two bytes long, as those of one name are.
fn least_ttl(message: &[u8]) -> u32 {
    let mut at = 12;
    while message[at] != 0 {
        at += 1 + usize::from(message[at]);
    }
    at += 5;
    let mut least = u32::MAX;
    for _ in 0..answers(message) {
        assert_eq!(message[at] & 0xc0, 0xc0, "a compressed name");
        let ttl = message[at + 6..at + 10].try_into().unwrap();
        least = least.min(u32::from_be_bytes(ttl));
        let length = u16::from_be_bytes([message[at + 10], message[at + 11]]);
        at += 12 + usize::from(length);
    }
    least
}

#[test]
fn head_answers_as_get_without_the_body() {
    let world = World::new();
    let target = format!("/dns-query?dns={}", base64url(&query(0, HIT, TXT)));
    for version in ["--http2", "--http1.1"] {
        let get = https(&world, &target, &[version]);
        let head = https(&world, &target, &[version, "--head"]);
        assert_eq!((head.status, head.body.len()), (200, 0));
        for field in ["content-length", "content-type", "cache-control"] {
            assert_eq!(head.field(field), get.field(field), "{field}");
        }
    }
    world.node.stop();
}

#[test]
fn both_versions_of_http_are_spoken_and_one_connection_carries_many() {
    let world = World::new();
    let target = format!("/dns-query?dns={}", base64url(&query(0, HIT, TXT)));
    for (version, spoken) in [("--http2", "http/2 200"), ("--http1.1", "http/1.1 200")] {
        let got = https(&world, &target, &[version]);
        assert!(got.head.starts_with(spoken), "{}", got.head);
    }
    // 300 requests of one curl, as many at once as it likes: all are answered, none reset.
    let at = world.node.at.doh.unwrap();
    let mut config = String::new();
    for index in 0..300 {
        let file = world.dir.beside(&format!("answer-{index}"));
        config += &format!(
            "url = \"https://{}:{}{target}\"\noutput = \"{}\"\n",
            super::world::HOST,
            at.port(),
            file.display()
        );
    }
    let list = world.dir.beside("requests");
    fs::write(&list, config).unwrap();
    let list = list.display().to_string();
    let many = [
        "--http2",
        "--fail",
        "--parallel",
        "--parallel-max",
        "100",
        "-K",
        &list,
    ];
    https(&world, &target, &many);
    for index in 0..300 {
        let answer = fs::read(world.dir.beside(&format!("answer-{index}"))).unwrap();
        let at = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 4;
        assert_eq!(answers(&answer[at..]), 3, "{index}");
    }
    world.node.stop();
}
