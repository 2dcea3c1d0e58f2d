//! `idctl resolve --front handle` against a stand-in Handle server.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};

use idnode_proto::handle::{
    FrameStatus, Reassembler, ReassemblyLimits, Reply, Request, ResponseCode, Transport, datagrams,
    decode_request, tcp_frame,
};
use idnode_proto::value::{Value, encode_values};

use crate::run::{document, error, expect, idctl};

/// Answers `…/long` with many values, `…/none` with "not found", everything else with one value.
fn answer(request: &[u8], transport: Transport) -> Vec<u8> {
    let message = decode_request(request, transport).unwrap();
    let Request::Resolve(query) = &message.request else {
        panic!("{:?}", message.request)
    };
    let reply = Reply::new(&message.reply_to, 1, 0);
    let mut out = Vec::new();
    if query.handle.ends_with("none") {
        reply
            .error(&mut out, ResponseCode::HANDLE_NOT_FOUND, "not here")
            .unwrap();
        return out;
    }
    let count = if query.handle.ends_with("long") {
        100
    } else {
        1
    };
    let values: Vec<_> = (1..=count)
        .map(|index| Value::new(index, "URL", format!("https://x/{index}")))
        .collect();
    let encoded = encode_values(&values);
    reply
        .resolution(&mut out, query.handle, count, [encoded.as_slice()])
        .unwrap();
    out
}

/// Serves on UDP and TCP, each on a port of its own, for as long as the test runs.
fn serve() -> (String, String) {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = (
        udp.local_addr().unwrap().to_string(),
        tcp.local_addr().unwrap().to_string(),
    );
    std::thread::spawn(move || {
        let mut reassembler = Reassembler::new(ReassemblyLimits::default());
        let mut buffer = [0; 65_536];
        let mut lost = false;
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            // The first datagram of all is lost.
            if !std::mem::replace(&mut lost, true) {
                continue;
            }
            let Ok(Some(request)) = reassembler.accept(&from, &buffer[..length], 0) else {
                continue;
            };
            let reply = answer(&request, Transport::Udp);
            // Pieces in the wrong order, after a datagram that is no answer at all.
            udp.send_to(b"noise", from).unwrap();
            let pieces: Vec<_> = datagrams(&reply).collect();
            for piece in pieces.iter().rev() {
                let mut bytes = Vec::new();
                piece.encode(&mut bytes);
                udp.send_to(&bytes, from).unwrap();
            }
        }
    });
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = tcp.accept() {
            let mut received = Vec::new();
            while !matches!(tcp_frame(&received), FrameStatus::Complete { .. }) {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                received.push(byte[0]);
            }
            stream
                .write_all(&answer(&received, Transport::Tcp))
                .unwrap();
        }
    });
    ports
}

#[test]
fn a_handle_server_is_asked_over_datagrams_and_connections() {
    let (udp, tcp) = serve();
    for (server, transport) in [(&udp, "udp"), (&tcp, "tcp")] {
        let ask = |identifier: &str| {
            let front = [
                "--front",
                "handle",
                "--handle",
                server,
                "--transport",
                transport,
            ];
            let mut arguments = vec!["--json", "resolve", identifier];
            arguments.extend(front);
            idctl("http://127.0.0.1:1", &arguments)
        };
        let found = document(&ask("88.118.8/标识"), 0);
        assert_eq!(found["identifier"], "88.118.8/标识");
        assert_eq!(found["scheme"], "handle");
        assert_eq!(found["record"]["values"][0]["data"]["value"], "https://x/1");
        let long = document(&ask(&format!("88.118.8/{}long", "x".repeat(1900))), 0);
        assert_eq!(long["record"]["values"].as_array().unwrap().len(), 100);
        let output = ask("88.118.8/none");
        expect(&output, 1);
        let refused = error(&output);
        assert_eq!(
            (&refused["code"], &refused["message"]),
            (&"NOT_FOUND".into(), &"not here".into())
        );
        assert_eq!(refused["metadata"]["response_code"], "100");
    }
}
