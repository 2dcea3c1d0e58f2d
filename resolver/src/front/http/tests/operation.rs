//! What operators, load balancers and browsers ask, and how the front stops.

use super::{Node, parse};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

#[test]
fn health_readiness_and_the_first_page() {
    let node = Node::start();
    assert_eq!(
        (node.get("/healthz").status, node.get("/healthz").text()),
        (200, "alive\n")
    );
    assert_eq!(
        (node.get("/readyz").status, node.get("/readyz").text()),
        (200, "ready\n")
    );
    assert_eq!(node.get("/readyz").field("cache-control"), Some("no-store"));
    let index = node.get("/");
    assert_eq!(
        index.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    for path in ["/api/handles/", "/healthz", "/readyz", "/metrics"] {
        assert!(index.text().contains(path), "{path}");
    }
    for path in [
        "/api",
        "/api/",
        "/api/sites",
        "/api/handlesx",
        "/api/../api/x",
    ] {
        node.get(path).assert_problem(404, "path-not-found", "path");
    }
    node.core.registry.close();
    node.get("/readyz").json()["detail"]
        .as_str()
        .filter(|detail| detail.contains("writes"))
        .unwrap();
    assert_eq!(node.get("/readyz").status, 503);
    assert_eq!(node.get("/healthz").status, 200);
    assert_eq!(node.handle("88.118.8/full").status, 200, "reads go on");
}

#[test]
fn metrics_are_prometheus_text() {
    let node = Node::start();
    node.handle("88.118.8/full");
    let answer = node.get("/metrics");
    assert_eq!(
        answer.field("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let value = |name: &str| -> u64 {
        let line = answer
            .text()
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")))
            .unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(
        value("idnode_applied_sequence"),
        node.core.registry.applied()
    );
    assert_eq!(
        value("idnode_prefixes"),
        node.core.registry.prefixes().len() as u64
    );
    assert_eq!(value("idnode_takes_writes"), 1);
    assert_eq!(value("idnode_start_time_ms"), 1_700_000_000_000);
    assert!(value("idnode_store_bytes") > 0);
    value("idnode_cache_entries");
    for line in answer
        .text()
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        assert!(
            line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(),
            "{line}"
        );
    }
}

#[test]
fn other_origins_may_read() {
    let node = Node::start();
    for path in ["/api/handles/88.118.8/full", "/88.118.8/full", "/healthz"] {
        let arguments = [
            "-X",
            "OPTIONS",
            "-H",
            "Origin: https://a.example",
            "-H",
            "Access-Control-Request-Method: GET",
        ];
        let answer = node.curl(path, &arguments);
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
        let methods = if path.starts_with("/api/") {
            "GET, HEAD, PUT, POST, DELETE, OPTIONS"
        } else {
            "GET, HEAD, OPTIONS"
        };
        assert_eq!(answer.field("access-control-allow-methods"), Some(methods));
        assert!(
            answer
                .field("access-control-allow-headers")
                .unwrap()
                .contains("authorization")
        );
        assert_eq!(answer.field("allow"), Some(methods));
    }
    assert_eq!(
        node.handle("88.118.8/nothing")
            .field("access-control-allow-origin"),
        Some("*")
    );
}

#[test]
fn http2_without_tls_is_spoken_to_clients_that_know() {
    let node = Node::start();
    let answer = node.curl("/api/handles/88.118.8/full", &["--http2-prior-knowledge"]);
    assert!(answer.head.starts_with("HTTP/2 200"));
    assert_eq!(answer.json(), node.handle("88.118.8/full").json());
    node.curl(
        &format!("/{}", "x".repeat(20_000)),
        &["--http2-prior-knowledge"],
    )
    .assert_problem(414, "uri-too-long", "uri");
}

#[test]
fn a_front_that_stops_closes_idle_connections_and_finishes() {
    let node = Node::start();
    let mut idle = node.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let mut start = [0; 12];
    idle.read_exact(&mut start).unwrap();
    node.shutdown.cancel();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest)
        .expect("the idle connection is closed");
    let began = Instant::now();
    while !node.serving.is_finished() {
        assert!(began.elapsed() < Duration::from_secs(5), "serve returns");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(
        std::net::TcpStream::connect(node.addr).is_err(),
        "nobody listens"
    );
}

#[test]
fn a_request_under_way_is_answered_while_the_front_stops() {
    let node = Node::start();
    let mut stream = node.connect();
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\n")
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    node.shutdown.cancel();
    std::thread::sleep(Duration::from_millis(100));
    stream.write_all(b"\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = parse(&answer);
    answer.assert_problem_without_part(503, "draining");
    assert_eq!(answer.field("connection"), Some("close"));
}

impl super::Answer {
    #[track_caller]
    fn assert_problem_without_part(&self, status: u16, name: &str) {
        assert_eq!(
            (self.status, &self.json()["type"]),
            (status, &format!("urn:idnode:problem:{name}").into())
        );
    }
}
