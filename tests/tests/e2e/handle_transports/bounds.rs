//! What strangers can make the front keep, send and wait for is bounded.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use idnode_proto::handle::{MAX_DATAGRAM_LEN, Response, ResponseCode};
use idnode_tests::api::{Api, value};
use idnode_tests::node::Addresses;
use idnode_tests::run::{binary, until};
use tokio::runtime::Runtime;

use super::world::{HANDLE, LONG, LONGER, Udp, World, pieces, request};

const SOON: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_millis(300);

fn local() -> IpAddr {
    [127, 0, 0, 1].into()
}

/// A request of several datagrams.
fn long_request(id: u32) -> Vec<u8> {
    request(id, &format!("88.118.8/{}", "l".repeat(2000)))
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.unwrap().split_ascii_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

#[test]
fn half_sent_requests_take_little_and_bar_nobody() {
    let world = World::with(&[]);
    let before_kib = resident_kib(world.node.pid());
    // One source: eight are kept, the ninth is dropped.
    let client = Udp::from(local(), world.node.at.handle);
    for id in 0..9 {
        client.send_datagram(&pieces(&long_request(id))[0]);
    }
    until("the ninth is counted", || {
        world.bound_hits("handle_udp_reassembly") == 1
    });
    // What is missing of a kept one completes it.
    for piece in &pieces(&long_request(3))[1..] {
        client.send_datagram(piece);
    }
    let answer = client.receive(SOON).expect("an answer");
    assert_eq!(answer.envelope.request_id, 3);
    assert_eq!(answer.code, ResponseCode::HANDLE_NOT_FOUND);
    // Many sources: the oldest go, in bounded memory.
    for _ in 0..100 {
        let clients: Vec<_> = (0..100)
            .map(|_| Udp::from(local(), world.node.at.handle))
            .collect();
        for client in &clients {
            for id in 0..8 {
                for piece in &pieces(&long_request(id))[1..] {
                    client.send_datagram(piece);
                }
            }
        }
        assert!(world.serves());
    }
    let grown_kib = resident_kib(world.node.pid()).saturating_sub(before_kib);
    assert!(grown_kib < 64 << 10, "{grown_kib} KiB more");
    let client = Udp::from(local(), world.node.at.handle);
    client.send(&long_request(4));
    assert!(client.receive(SOON).is_some(), "whole ones are answered");
    world.node.stop();
}

#[test]
fn junk_draws_short_answers_or_none() {
    let world = World::with(&[]);
    let client = Udp::from(local(), world.node.at.handle);
    let mut oversized = request(1, HANDLE);
    for length in [262_145, 0x7fff_ffff, u32::MAX] {
        oversized[16..20].copy_from_slice(&length.to_be_bytes());
        client.send_datagram(&oversized);
        let refused = Response::decode(&client.receive_datagram(SOON).unwrap()).unwrap();
        let told = (refused.envelope.request_id, refused.code);
        assert_eq!(told, (1, ResponseCode::ERROR), "{length}");
        // Of a message in pieces once.
        let mut later = oversized.clone();
        later[15] = 1;
        client.send_datagram(&later);
        assert!(client.receive_datagram(QUIET).is_none(), "{length}");
    }
    client.send(&request(2, HANDLE));
    let answer = client.receive_datagram(SOON).unwrap();
    client.send_datagram(&answer);
    assert!(client.receive_datagram(QUIET).is_none(), "an answer");
    // Noise, in one piece and as if in several.
    let mut noise = 0x9E37_79B9_u32;
    for number in 0..20_000_u32 {
        let length = number as usize % 700;
        let datagram: Vec<u8> = (0..length)
            .map(|_| {
                noise ^= noise << 13;
                noise ^= noise >> 17;
                noise ^= noise << 5;
                noise as u8
            })
            .collect();
        client.send_datagram(&datagram);
        if number % 100 == 99 {
            while let Some(answer) = client.receive_datagram(Duration::from_millis(1)) {
                assert!(answer.len() <= 172, "{} bytes", answer.len());
                let answer = Response::decode(&answer).unwrap();
                assert!(!answer.code.is_success(), "{answer:?}");
            }
        }
    }
    assert!(world.serves());
    world.node.stop();
}

/// Bytes of all answers to so many requests from an address of its own network.
fn harvest(world: &World, source: [u8; 4], handle: &str, requests: u32) -> (usize, usize) {
    let client = Udp::from(source.into(), world.node.at.handle);
    let (mut bytes, mut datagrams) = (0, 0);
    for id in 0..requests {
        client.send(&request(id, handle));
        while let Some(datagram) = client.receive_datagram(Duration::from_millis(5)) {
            assert!(datagram.len() <= MAX_DATAGRAM_LEN);
            bytes += datagram.len();
            datagrams += 1;
        }
    }
    (bytes, datagrams)
}

#[test]
fn long_answers_to_forged_sources_are_limited() {
    let world = World::with(&[
        "handle.udp_long_answer_kib_per_s=64",
        "handle.udp_long_answer_exempt=192.0.2.0/24",
    ]);
    for handle in [LONG, LONGER] {
        // From the disk, from memory, kept.
        let mut tcp = TcpStream::connect(world.node.at.handle).unwrap();
        for id in 0..2 {
            tcp.write_all(&request(id, handle)).unwrap();
        }
    }
    for (source, handle) in [([127, 9, 1, 1], LONG), ([127, 9, 2, 1], LONGER)] {
        let began = Instant::now();
        let (bytes, datagrams) = harvest(&world, source, handle, 100);
        let seconds = began.elapsed().as_secs() as usize + 2;
        assert!(datagrams > 1, "some are sent");
        assert!(
            bytes <= seconds * (64 << 10) + 4096,
            "{bytes} in {seconds} s"
        );
        assert!(world.bound_hits("handle_udp_long_answers") > 0);
    }
    // Short ones are not counted, nor is what goes to other networks.
    let (_, datagrams) = harvest(&world, [127, 9, 1, 2], HANDLE, 50);
    assert_eq!(datagrams, 50);
    let other = Udp::from([127, 9, 3, 1].into(), world.node.at.handle);
    other.send(&request(1, LONG));
    assert_eq!(other.receive(SOON).expect("an answer").values().len(), 12);
    // Over TCP there is no limit.
    let mut tcp = TcpStream::connect(world.node.at.handle).unwrap();
    let requests: Vec<u8> = (0..50).flat_map(|id| request(id, LONGER)).collect();
    tcp.write_all(&requests).unwrap();
    let mut received = vec![0; 50 * 100 * 400];
    tcp.read_exact(&mut received).unwrap();
    world.node.stop();
}

/// Opens so many connections, says so, and holds them until its input ends; then says how many
/// of them still answer a request.
const HOLDER: &str = r#"
import socket, struct, sys
address, count, request = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3]), bytes.fromhex(sys.argv[4])
held = [socket.create_connection(address, 20) for _ in range(count)]
print("held", flush=True)
sys.stdin.read()
answered = 0
for connection in held:
    connection.sendall(request)
for connection in held:
    envelope = connection.recv(20)
    answered += len(envelope) == 20 and envelope[0] == 2
print(answered)
"#;

#[test]
fn ten_thousand_idle_connections_hinder_nobody() {
    const COUNT: usize = 10_000;
    let world = World::with(&["handle.tcp_idle_s=600"]);
    let before_kib = resident_kib(world.node.pid());
    let at = world.node.at.handle;
    let hex: String = request(9, HANDLE)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // The most there may be, and one place less than that.
    let held = COUNT - 1;
    let mut holder = Command::new("python3")
        .args(["-c", HOLDER, &at.ip().to_string(), &at.port().to_string()])
        .args([&held.to_string(), &hex])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 5];
    holder
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut said)
        .unwrap();
    assert_eq!(&said, b"held\n");
    let grown_kib = resident_kib(world.node.pid()).saturating_sub(before_kib);
    assert!(
        grown_kib < 80 << 10,
        "{grown_kib} KiB for {held} connections"
    );
    // Others are served meanwhile, over TCP too, as long as there is a place.
    assert!(world.serves());
    assert_eq!(ask(at, 1).expect("an answer").code, ResponseCode::SUCCESS);
    let answered = holder.wait_with_output().unwrap().stdout;
    let answered = String::from_utf8(answered).unwrap();
    assert_eq!(answered.trim(), held.to_string(), "each is still served");
    world.node.stop();
}

/// Whoever only connects does not take the files that the registry needs.
#[test]
fn connections_leave_the_registry_its_files() {
    let mut command = Command::new("prlimit");
    command.arg("--nofile=1024:1024").arg(binary("idnode"));
    let world = World::by(command, &Addresses::free(), &["store.write_buffer_mib=1"]);
    assert!(world.node.log().contains("fewer connections are taken"));
    let at = world.node.at.handle;
    let held: Vec<_> = (0..1_500).map(|_| TcpStream::connect(at)).collect();
    assert!(world.serves());
    // As much as several write-ahead files hold.
    let runtime = Runtime::new().unwrap();
    let token = world.dir.token();
    runtime.block_on(async {
        let api = Api::connect(&world.node.url(), Some(&token)).await.unwrap();
        for n in 0..40 {
            let large = vec![value(1, "TEXT", &"x".repeat(200_000))];
            let created = api.create(&format!("88.118.8/large{n}"), large, "").await;
            created.unwrap();
        }
    });
    drop(held);
    world.node.stop();
}

/// One request on a connection of its own.
fn ask(at: SocketAddr, id: u32) -> Option<Response> {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(&request(id, HANDLE)).unwrap();
    let mut message = vec![0; 20];
    stream.read_exact(&mut message).ok()?;
    let length = u32::from_be_bytes(*message.last_chunk().unwrap());
    message.resize(20 + length as usize, 0);
    stream.read_exact(&mut message[20..]).ok()?;
    Response::decode(&message).ok()
}

#[test]
fn a_slow_reader_is_cut_off_and_costs_little() {
    let world = World::with(&[]);
    let before_kib = resident_kib(world.node.pid());
    let requests: Vec<u8> = (0..2000).flat_map(|id| request(id, LONGER)).collect();
    let mut slow: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(world.node.at.handle).unwrap();
            stream
                .set_write_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            // All of it may not be taken: the node does not read on either.
            match stream.write_all(&requests) {
                Ok(()) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            stream
        })
        .collect();
    let grown_kib = resident_kib(world.node.pid()).saturating_sub(before_kib);
    assert!(grown_kib < 32 << 10, "{grown_kib} KiB");
    assert!(world.serves());
    until("they are cut off", || {
        world.bound_hits("handle_tcp_write") == 20
    });
    let mut rest = Vec::new();
    let _ = slow[0].read_to_end(&mut rest);
    assert!(rest.len() < 2000 * 40_000, "{} bytes", rest.len());
    assert!(world.serves());
    world.node.stop();
}

#[test]
fn what_was_asked_is_answered_before_the_node_stops() {
    let mut world = World::with(&[]);
    let mut stream = TcpStream::connect(world.node.at.handle).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let requests: Vec<u8> = (0..200).flat_map(|id| request(id, HANDLE)).collect();
    stream.write_all(&requests).unwrap();
    let mut first = [0; 20];
    stream.read_exact(&mut first).unwrap();
    world.node.terminate();
    let mut rest = first.to_vec();
    stream.read_to_end(&mut rest).unwrap();
    let mut answers = 0;
    let mut left = rest.as_slice();
    while let Some(length) = left.get(16..20) {
        let length = 20 + u32::from_be_bytes(*length.first_chunk().unwrap()) as usize;
        let answer = Response::decode(&left[..length]).unwrap();
        assert_eq!((answer.envelope.request_id, answer.code.0), (answers, 1));
        answers += 1;
        left = &left[length..];
    }
    assert_eq!(answers, 200);
    assert!(world.node.wait().success());
}

#[test]
fn answers_come_from_the_address_that_was_asked() {
    let any = Addresses {
        handle: "0.0.0.0:0".parse().unwrap(),
        ..Addresses::free()
    };
    let world = World::at(&any, &[]);
    for address in ["127.0.0.1", "127.0.0.2", "127.77.1.9"] {
        let at = SocketAddr::new(address.parse().unwrap(), world.node.at.handle.port());
        let client = Udp::from(local(), at);
        for handle in [HANDLE, "88.118.8/nothing", LONG, LONGER] {
            for round in 0..3 {
                client.send(&request(round, handle));
                let answer = client.receive(SOON);
                let answer = answer.unwrap_or_else(|| panic!("{handle} at {address}"));
                assert_eq!(answer.envelope.request_id, round);
            }
        }
    }
    world.node.stop();
}
