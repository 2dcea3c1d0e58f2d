//! Connections with TLS: clients that know nothing of this project, and what is presented to them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use idnode_proto::handle::Response;
use idnode_tests::run::{output, python_client, success, until};
use serde_json::Value;

use super::world::{HANDLE, LONGER, World, request};
use crate::dns_transports::world::{Authority, metric, put};

fn client(world: &World, handle: &str) -> Command {
    let script = python_client("handle_client.py");
    let mut command = Command::new("python3");
    command.arg(script).arg("--tls").arg(&world.files.authority);
    command.args([&world.node.at.handle_tls.unwrap().to_string(), handle]);
    command
}

fn is_trusted(world: &World) -> bool {
    output(&mut client(world, HANDLE)).status.success()
}

#[test]
fn a_client_of_another_language_resolves_over_tls() {
    let world = World::with(&[]);
    let answer: Value = serde_json::from_str(&success(&mut client(&world, HANDLE))).unwrap();
    assert_eq!(answer["code"], 1);
    assert_eq!(answer["values"][0]["data"], "https://example.cn/1");
    let answer: Value = serde_json::from_str(&success(&mut client(&world, LONGER))).unwrap();
    assert_eq!(answer["values"].as_array().unwrap().len(), 100);
    let answer: Value =
        serde_json::from_str(&success(&mut client(&world, "88.118.8/nothing"))).unwrap();
    assert_eq!(answer["code"], 100);
    world.node.stop();
}

#[test]
fn openssl_speaks_both_versions_and_pipelines() {
    let world = World::with(&[]);
    let at = world.node.at.handle_tls.unwrap().to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        let mut openssl = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", version])
            .args(["-connect", &at, "-CAfile"])
            .arg(&world.files.authority)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let requests: Vec<u8> = (0..20).flat_map(|id| request(id, HANDLE)).collect();
        let mut stdin = openssl.stdin.take().unwrap();
        stdin.write_all(&requests).unwrap();
        let mut stdout = openssl.stdout.take().unwrap();
        for id in 0..20 {
            let mut envelope = [0; 20];
            stdout.read_exact(&mut envelope).unwrap();
            let length = u32::from_be_bytes(*envelope.last_chunk().unwrap());
            let mut message = envelope.to_vec();
            message.resize(20 + length as usize, 0);
            stdout.read_exact(&mut message[20..]).unwrap();
            let answer = Response::decode(&message).unwrap();
            assert_eq!((answer.envelope.request_id, answer.code.0), (id, 1));
        }
        drop(stdin);
        openssl.kill().ok();
        openssl.wait().unwrap();
    }
    world.node.stop();
}

#[test]
fn a_changed_certificate_is_presented_without_a_restart() {
    let world = World::with(&[]);
    assert!(is_trusted(&world));
    let second = Authority::new("second authority");
    put(&world.files.authority, &second.pem);
    assert!(!is_trusted(&world), "still the first one's");
    second.issue(&world.files);
    until("the new certificate is presented", || is_trusted(&world));
    let reloads = |outcome| {
        let series = format!("idnode_handle_certificate_reloads_total{{outcome=\"{outcome}\"}}");
        metric(&world.node, &series)
    };
    assert_eq!(reloads("loaded"), 1);
    put(&world.files.certificate, "no certificate");
    world.node.signal("HUP");
    until("the bad certificate is seen", || reloads("failed") > 0);
    assert!(is_trusted(&world), "the one before stays");
    let said = "handle.tls_certificate: ";
    assert!(world.node.log().contains(said), "{}", world.node.log());
    world.node.stop();
}

#[test]
fn who_does_not_shake_hands_is_closed_and_counted() {
    let world = World::with(&[]);
    let at = world.node.at.handle_tls.unwrap();
    let mut silent = TcpStream::connect(at).unwrap();
    silent
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let began = Instant::now();
    assert!(matches!(silent.read(&mut [0]), Ok(0) | Err(_)));
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(4) && took < Duration::from_secs(10),
        "{took:?}"
    );
    assert_eq!(world.bound_hits("handle_tls_handshakes"), 1);
    // The protocol without TLS ends at once.
    let mut plain = TcpStream::connect(at).unwrap();
    plain.write_all(&request(1, HANDLE)).unwrap();
    let began = Instant::now();
    let _ = plain.read_to_end(&mut Vec::new());
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(world.serves());
    world.node.stop();
}
