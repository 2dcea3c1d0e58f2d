//! How fast it is, client and node on the same cores. Run with
//! `cargo test --release -- --ignored --nocapture http::tests::rates`.

use super::Node;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 16;
const FOR: Duration = Duration::from_secs(3);

/// Requests a second of one thread that keeps one request in flight on each connection.
fn ask_all_the_time(node: &Node, path: &str) -> (usize, f64) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", node.addr);
    let mut connections: Vec<TcpStream> = (0..CONNECTIONS).map(|_| node.connect()).collect();
    let mut answer = vec![0; 16 << 10];
    let (began, mut answered) = (Instant::now(), 0);
    while began.elapsed() < FOR {
        for stream in &mut connections {
            stream.write_all(request.as_bytes()).unwrap();
        }
        for stream in &mut connections {
            let mut length = 0;
            while !is_whole(&answer[..length]) {
                length += stream.read(&mut answer[length..]).unwrap();
            }
            answered += 1;
        }
    }
    (answered, began.elapsed().as_secs_f64())
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return false;
    };
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |n| n.parse().unwrap());
    answer.len() >= end + 4 + length
}

#[test]
#[ignore = "a measurement"]
fn requests_a_second() {
    let node = Node::start();
    for path in [
        "/api/handles/88.118.8/full",
        "/api/handles/88.118.8/nothing",
        "/88.118.8/full",
        "/healthz",
    ] {
        let rate: f64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| ask_all_the_time(&node, path)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .map(|(n, s)| n as f64 / s)
                .sum()
        });
        println!("{path}: {rate:.0}/s with {} in flight", 2 * CONNECTIONS);
        assert!(rate > 1_000.0);
    }
}
