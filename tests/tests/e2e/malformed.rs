//! Junk at every front's door: the node lives, goes on answering, and no reply to junk is
//! larger than an error.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::ops::Range;
use std::time::Duration;

use idnode_tests::node::{DataDir, Node};
use idnode_tests::run::{curl, output};

/// Datagrams, and requests on connections, for each front.
const DATAGRAMS: usize = 1_000_000;
/// Junk datagrams between two good ones, so few that they wait in the front's socket together.
const UNANSWERED: usize = 50;
const CONNECTIONS: usize = 1_000;
/// No error of any front is larger, bytes.
const LARGEST_ERROR: usize = 2_048;

/// A small generator: the same junk in every run.
struct Junk(u64);

impl Junk {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// Random bytes, or a good message with some bytes changed, cut off or repeated.
    fn message(&mut self, good: &[u8]) -> Vec<u8> {
        if self.below(4) == 0 {
            let length = self.below(600);
            return (0..length).map(|_| self.next() as u8).collect();
        }
        let mut message = good.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(message.len());
            if let Some(byte) = message.get_mut(at) {
                *byte = [0, 0xff, 0x80, 0xc0, self.next() as u8][self.below(5)];
            }
        }
        if self.below(3) == 0 {
            message.truncate(self.below(message.len()));
        }
        if self.below(6) == 0 {
            message.extend_from_within(..);
        }
        message
    }
}

/// A DNS query for TXT of a name that does not exist.
fn dns_query() -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["nothing", "88-118-8", "hdl", "id", "example"] {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 16, 0, 1]);
    query
}

/// A Handle resolution request (RFC 3652) for a handle that does not exist.
fn handle_request() -> Vec<u8> {
    let handle = b"88.118.8/nothing";
    let mut body = (handle.len() as u32).to_be_bytes().to_vec();
    body.extend_from_slice(handle);
    body.extend_from_slice(&[0; 8]);
    let mut message = vec![2, 11, 0, 0];
    message.extend_from_slice(&0_u32.to_be_bytes());
    message.extend_from_slice(&7_u32.to_be_bytes());
    message.extend_from_slice(&0_u32.to_be_bytes());
    message.extend_from_slice(&(24 + body.len() as u32 + 4).to_be_bytes());
    message.extend_from_slice(&1_u32.to_be_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&[0xff, 0xff, 0, 0]);
    message.extend_from_slice(&u32::MAX.to_be_bytes());
    message.extend_from_slice(&(body.len() as u32).to_be_bytes());
    message.extend_from_slice(&body);
    message.extend_from_slice(&[0; 4]);
    message
}

/// Sends junk, and now and then a good message whose answer is waited for: nothing is lost, and
/// the front is seen to live all the while. `id`: where the message's own number is, which its
/// answer repeats.
fn datagrams(at: SocketAddr, good: &[u8], id: Range<usize>, seed: u64) {
    let mut junk = Junk(seed);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(at).expect("an address");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time-out");
    let mut reply = vec![0; 65_536];
    for number in 1..=(DATAGRAMS / UNANSWERED) as u32 {
        for _ in 0..UNANSWERED {
            socket.send(&junk.message(good)).expect("a datagram");
        }
        let mut question = good.to_vec();
        let number = number.to_be_bytes();
        question[id.clone()].copy_from_slice(&number[4 - id.len()..]);
        socket.send(&question).expect("a datagram");
        loop {
            let length = socket
                .recv(&mut reply)
                .expect("an answer to a good message");
            assert!(length <= LARGEST_ERROR, "a reply of {length} bytes to junk");
            if reply.get(id.clone()) == question.get(id.clone()) {
                break;
            }
        }
    }
}

fn connections(at: SocketAddr, good: &[u8], framed: bool, seed: u64) {
    let mut junk = Junk(seed);
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(at).expect("a connection");
        stream
            .set_read_timeout(Some(Duration::from_millis(2)))
            .expect("a time-out");
        let mut message = junk.message(good);
        if framed && junk.below(2) == 0 {
            let mut frame = (message.len() as u16).to_be_bytes().to_vec();
            frame.append(&mut message);
            message = frame;
        }
        // It may have been refused and closed half-way.
        let _ = stream.write_all(&message);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut reply = Vec::new();
        let _ = stream.take(1 << 20).read_to_end(&mut reply);
        assert!(
            reply.len() <= 2 * LARGEST_ERROR,
            "a reply of {} bytes to junk",
            reply.len()
        );
    }
}

/// Asks for junk paths below `base` on one kept-open connection, many requests at a time; every
/// one is answered, and none with more than an error.
fn paths(at: SocketAddr, base: &str, seed: u64) {
    const PIPELINED: usize = 100;
    let mut junk = Junk(seed);
    let stream = TcpStream::connect(at).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time-out");
    let mut answers = BufReader::new(stream.try_clone().expect("a stream"));
    for _ in 0..DATAGRAMS / 2 / PIPELINED {
        let mut requests = Vec::new();
        for _ in 0..PIPELINED {
            let path = junk.message(b"88.118.8/%E6%B8%A9?type=URL&index=1");
            requests.extend_from_slice(format!("GET {base}").as_bytes());
            // What cannot be in a request's line ends a connection: that is another test's.
            let printable = |byte: &u8| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(byte);
            requests.extend(path.iter().filter(|byte| printable(byte)));
            requests.extend_from_slice(b" HTTP/1.1\r\nhost: x\r\n\r\n");
        }
        (&stream).write_all(&requests).expect("requests are taken");
        for _ in 0..PIPELINED {
            answer_to_path(&mut answers);
        }
    }
}

/// Reads one answer off a connection.
fn answer_to_path(answers: &mut impl BufRead) {
    let mut line = String::new();
    answers.read_line(&mut line).expect("a status line");
    assert!(line.starts_with("HTTP/1.1 "), "{line:?}");
    let status = line.get(9..12).map(str::to_owned);
    assert!(
        matches!(status.as_deref(), Some("400" | "404" | "414" | "200")),
        "{line:?}"
    );
    let mut length = 0;
    loop {
        line.clear();
        answers.read_line(&mut line).expect("a header field");
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().expect("a length");
            }
            Some(_) => {}
            None => break,
        }
    }
    assert!(length <= LARGEST_ERROR, "{length} bytes in answer to junk");
    let mut body = vec![0; length];
    answers.read_exact(&mut body).expect("a body");
}

#[test]
fn junk_neither_stops_nor_feeds_on_any_front() {
    let dir = DataDir::init();
    let mut node = Node::run(&dir);
    let at = node.at;
    let http =
        b"GET /api/handles/88.118.8/nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let grpc = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64";
    std::thread::scope(|scope| {
        scope.spawn(|| datagrams(at.dns, &dns_query(), 0..2, 1));
        scope.spawn(|| datagrams(at.handle, &handle_request(), 8..12, 2));
        scope.spawn(|| connections(at.dns, &dns_query(), true, 3));
        scope.spawn(|| connections(at.handle, &handle_request(), false, 4));
        scope.spawn(|| connections(at.http, http, false, 5));
        scope.spawn(|| connections(at.grpc, grpc, false, 6));
        scope.spawn(|| paths(at.http, "/api/handles/", 7));
        scope.spawn(|| paths(at.http, "/", 8));
    });
    assert!(node.is_alive(), "{}", node.log());
    assert!(!node.log().contains("panicked"), "{}", node.log());

    // Every front still answers.
    let (status, _, body) = curl(&node.http("/api/handles/88.118.8/nothing"), &[]);
    assert_eq!(status, 400, "prefix not registered: {body}");
    let (code, error) = node.idctl(None).refused(&["resolve", "88.118.8/nothing"]);
    assert_eq!(
        (code, error["reason"].as_str()),
        (1, Some("PREFIX_NOT_FOUND"))
    );
    let mut dig = std::process::Command::new("dig");
    dig.args([
        "@127.0.0.1",
        "-p",
        &at.dns.port().to_string(),
        "nothing.88-118-8.hdl.id.example.",
    ]);
    let answer = String::from_utf8_lossy(&output(&mut dig).stdout).into_owned();
    assert!(answer.contains("NXDOMAIN"), "{answer}");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time-out");
    socket
        .send_to(&handle_request(), at.handle)
        .expect("a datagram");
    let mut reply = [0; 512];
    let length = socket.recv(&mut reply).expect("an answer");
    assert_eq!(
        &reply[24..28],
        &301_u32.to_be_bytes(),
        "{:?}",
        &reply[..length]
    );
    node.stop();
}
