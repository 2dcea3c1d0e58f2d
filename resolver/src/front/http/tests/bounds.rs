//! What is malformed, too long, too slow or too much.

use super::{Node, parse};
use crate::front::http::HttpOptions;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

fn is_closed(stream: &mut std::net::TcpStream) -> bool {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).is_ok() || rest.is_empty()
}

/// The node answers an error or, where it closes before it has read everything, the client's
/// own system may throw that answer away.
#[track_caller]
fn assert_refused(node: &Node, request: &[u8], status: u16) {
    let mut stream = node.connect();
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(
        answer.is_empty() || parse(&answer).status == status,
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[test]
fn absurd_uris_and_heads_are_refused() {
    let node = Node::start();
    let answer = node.get(&format!("/api/handles/88.118.8/{}", "x".repeat(20_000)));
    answer.assert_problem(414, "uri-too-long", "uri");
    node.get(&format!(
        "/api/handles/88.118.8/full?x={}",
        "x".repeat(20_000)
    ))
    .assert_problem(414, "uri-too-long", "uri");
    let header = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    assert_refused(&node, header.as_bytes(), 431);
    let many = format!(
        "GET / HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "x: y\r\n".repeat(200)
    );
    assert_refused(&node, many.as_bytes(), 431);
    let fits = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {}\r\n\r\n",
        "x".repeat(30_000)
    );
    assert_eq!(node.raw(fits.as_bytes()).status, 200);
}

#[test]
fn malformed_requests_are_answered_400() {
    let node = Node::start();
    for request in [
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nx: a\0b\r\n\r\n",
        "G\u{7f}T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        "GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
    ] {
        assert_eq!(node.raw(request.as_bytes()).status, 400, "{request:?}");
    }
    for request in [b"GET\r\n\r\n".as_slice(), b"GET / HTTP/9.9\r\n\r\n"] {
        assert_refused(&node, request, 400);
    }
    // A line break in a path is data only when it is encoded.
    node.handle("88.118.8/a%0D%0Aset-cookie:x")
        .assert_code(404, 100, "is not registered");
}

#[test]
fn bodies_and_methods_that_are_not_wanted_are_refused() {
    let node = Node::with(|options: &mut HttpOptions| options.body_limit_bytes = 1_000);
    let long = node.raw(b"GET /88.118.8/full HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1001\r\n\r\n");
    long.assert_problem(413, "body-too-long", "body");
    let short = node.raw(b"GET /88.118.8/full HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab");
    assert_eq!(short.status, 302);
    for method in ["PUT", "POST", "DELETE", "PATCH", "BREW"] {
        let answer = node.curl("/88.118.8/full", &["-X", method]);
        answer.assert_problem(405, "method-not-allowed", "method");
        assert_eq!(answer.field("allow"), Some("GET, HEAD, OPTIONS"));
    }
    for (path, methods) in [
        ("/api/handles/88.118.8/full", &["POST", "PATCH", "BREW"][..]),
        ("/api/handles", &["PUT", "POST", "DELETE"]),
        ("/api/site", &["PUT", "POST", "DELETE"]),
        ("/api/prefixes", &["PUT", "POST", "DELETE"]),
    ] {
        for method in methods {
            let answer = node.curl(path, &["-X", method]);
            answer.assert_code(501, 5, "method");
            assert!(!answer.field("allow").unwrap().contains(method));
        }
    }
    // Chunked, so that only reading it shows how long it is.
    let token = format!("authorization: Bearer {}", node.owner_token);
    let body = format!(
        r#"[{{"index":1,"type":"X","data":"{}"}}]"#,
        "x".repeat(2_000)
    );
    let chunked = [
        "-X",
        "PUT",
        "-H",
        "transfer-encoding: chunked",
        "-H",
        &token,
        "-d",
        &body,
    ];
    node.curl("/api/handles/88.118.8/new", &chunked)
        .assert_code(400, 4, "longer than the 1000 bytes");
    node.curl(
        "/api/handles/88.118.8/new",
        &["-X", "PUT", "-H", &token, "-d", &body],
    )
    .assert_problem(413, "body-too-long", "body");
    node.handle("88.118.8/new")
        .assert_code(404, 100, "not registered");
}

#[test]
fn a_head_that_does_not_end_is_cut_off() {
    let node =
        Node::with(|options: &mut HttpOptions| options.header_timeout = Duration::from_millis(300));
    for start in ["", "PR", "GET / HTTP/1.1\r\nx: ", "PRI * HTTP/2.0\r\n"] {
        let mut stream = node.connect();
        let began = Instant::now();
        stream.write_all(start.as_bytes()).unwrap();
        if start.starts_with("PRI ") {
            continue;
        }
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(30));
            let _ = stream.write_all(if start.starts_with("GET") { b"a" } else { b"" });
        }
        assert!(is_closed(&mut stream), "{start:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{start:?}");
    }
    assert_eq!(node.get("/healthz").status, 200);
}

#[test]
fn a_request_that_takes_too_long_is_answered_busy() {
    // Its time is over when it begins, and the registry was opened anew: what is asked is on
    // the disk alone.
    let node = Node::build(Duration::ZERO, |_| {});
    let busy = node.handle("88.118.8/full");
    busy.assert_code(503, 3, "in time");
    assert_eq!(busy.field("retry-after"), Some("1"));
    let token = node.owner_token.clone();
    node.handle_as(&token, "88.118.8/full")
        .assert_code(503, 3, "credential");
    // Redirects too, a GS1 key's with several identifiers to ask for among them.
    for path in ["/88.118.8/full", "/01/09506000134352/10/AB%2FC/21/7"] {
        let busy = node.get(path);
        assert_eq!(busy.status, 503, "{path}: {busy:?}");
        assert_eq!(busy.json()["type"], "urn:idnode:problem:busy", "{path}");
        assert_eq!(busy.field("retry-after"), Some("1"), "{path}");
    }
    // What memory knows takes no time: a prefix that is not registered here.
    node.handle("99.999.1/x").assert_code(400, 301, "prefix");
}

#[test]
fn connections_on_which_nothing_begins_are_closed() {
    let node =
        Node::with(|options: &mut HttpOptions| options.idle_timeout = Duration::from_millis(300));
    for start in [
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut stream = node.connect();
        stream
            .set_read_timeout(Some(Duration::from_secs(15)))
            .unwrap();
        stream.write_all(start.as_bytes()).unwrap();
        let began = Instant::now();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the node closes");
        assert!(began.elapsed() < Duration::from_secs(10), "{start:?}");
    }
}

#[test]
fn connections_above_the_bound_are_turned_away_until_one_ends() {
    let node = Node::with(|options: &mut HttpOptions| options.max_connections = 3);
    let mut held: Vec<_> = (0..3).map(|_| node.connect()).collect();
    for stream in &mut held {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
    }
    let mut refused = node.connect();
    let mut answer = Vec::new();
    refused.read_to_end(&mut answer).unwrap();
    let answer = parse(&answer);
    assert_eq!(
        (answer.status, answer.field("retry-after")),
        (503, Some("1"))
    );
    drop(held.pop());
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(node.get("/healthz").status, 200);
}

#[test]
fn pipelined_requests_are_answered_in_order_on_one_connection() {
    let node = Node::start();
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut requests: String = (1..=2)
        .map(|index| request(&format!("/api/handles/88.118.8/full?index={index}")))
        .collect();
    requests.push_str("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut stream = node.connect();
    stream.write_all(requests.as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    let order: Vec<_> = ["\"index\":1,", "\"index\":2,", "alive"]
        .map(|part| answers.find(part).unwrap())
        .into();
    assert!(order.is_sorted(), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3);
}

/// Bytes that repeat themselves only after 2⁶⁴ steps.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.next() % most).map(|_| self.next() as u8).collect()
    }
}

#[test]
fn random_bytes_end_a_connection_and_nothing_else() {
    let node = Node::start();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for round in 0..20_000_u32 {
        let mut stream = node.connect();
        let mut bytes = match round % 4 {
            0 => noise.bytes(200),
            1 => [b"GET /".as_slice(), &noise.bytes(60), b" HTTP/1.1\r\n\r\n"].concat(),
            2 => [
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
                &noise.bytes(120),
            ]
            .concat(),
            _ => {
                let mut request =
                    b"GET /api/handles/88.118.8/full?index=1&type=URL HTTP/1.1\r\nhost: x\r\n\r\n"
                        .to_vec();
                for _ in 0..3 {
                    let at = noise.next() as usize % request.len();
                    request[at] = noise.next() as u8;
                }
                request
            }
        };
        bytes.extend_from_slice(b"\r\n\r\n");
        // The node may have closed already.
        let _ = stream.write_all(&bytes);
        if round % 64 == 0 {
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert!(answer.len() < 4_096, "{}", String::from_utf8_lossy(&answer));
        }
    }
    assert!(!node.serving.is_finished());
    assert_eq!(node.handle("88.118.8/full?index=1").indexes(), [1]);
}
