//! Trusted queries of the Handle protocol: DT in a request, DT and TR in its answer.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};

use idnode_proto::handle::{FrameStatus, OpFlags, RequestHead, Response, tcp_frame};
use idnode_tests::node::Node;

use super::world::{HANDLE, World};

/// The low two flags of the answer to a resolution with these, and its code.
pub(super) fn ask(node: &Node, tcp: bool, handle: &str, flags: OpFlags) -> (u32, u32) {
    let head = RequestHead {
        flags,
        ..RequestHead::new(7)
    };
    let request = head.resolve(handle, &[], &["URL"]).unwrap();
    let answer = match tcp {
        true => over_tcp(node, &request),
        false => over_udp(node, &request),
    };
    let response = Response::decode(&answer).unwrap();
    (response.header.flags.0 & 3, response.code.0)
}

fn over_udp(node: &Node, request: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(node.at.handle).unwrap();
    let wait = std::time::Duration::from_secs(5);
    socket.set_read_timeout(Some(wait)).unwrap();
    socket.send(request).unwrap();
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn over_tcp(node: &Node, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(node.at.handle).unwrap();
    stream.write_all(request).unwrap();
    let mut received = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        if let FrameStatus::Complete { len } = tcp_frame(&received) {
            received.truncate(len);
            return received;
        }
        let length = stream.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "the connection ended");
        received.extend_from_slice(&buffer[..length]);
    }
}

/// The ID-SDK's trusted query: it wants restricted values, too (no PUBL).
const DT: OpFlags = OpFlags::TRUSTED_QUERY;

#[test]
fn trusted_queries_are_told_whether_the_chain_holds() {
    let world = World::new(&[]);
    world.register(HANDLE);
    world.register("88.118.8/A-2");
    // A signature that is none.
    let value = "500:HS_SIGNATURE=e30.e30.e30";
    let update = ["identifier", "update", "88.118.8/A-2", "--value", value];
    world.idctl.json(&update);
    for tcp in [false, true] {
        // Asked twice: the second verdict is a remembered one.
        for _ in 0..2 {
            assert_eq!(ask(&world.node, tcp, HANDLE, DT), (3, 1));
            // Another spelling than what was signed.
            assert_eq!(ask(&world.node, tcp, "88.118.8/a-1", DT), (2, 1));
            assert_eq!(ask(&world.node, tcp, "88.118.8/A-2", DT), (2, 1));
            assert_eq!(ask(&world.node, tcp, "88.118.8/none", DT), (2, 100));
            assert_eq!(ask(&world.node, tcp, HANDLE, OpFlags::PUBLIC_ONLY), (0, 1));
            // Nobody makes the node say so by saying it first.
            let both = DT | OpFlags::TRUSTED_RESULT;
            assert_eq!(ask(&world.node, tcp, "88.118.8/A-2", both), (2, 1));
        }
    }
    // A change ends the verdict at once.
    let update = ["identifier", "update", "88.118.8/A-2", "--remove", "500"];
    world.idctl.json(&update);
    assert_eq!(ask(&world.node, false, "88.118.8/A-2", DT), (3, 1));
}

#[test]
fn a_node_without_a_root_trusts_nothing() {
    let world = World::new(&["trust.root="]);
    world.register(HANDLE);
    world.trusted(HANDLE);
    assert_eq!(ask(&world.node, false, HANDLE, DT), (2, 1));
    assert_eq!(ask(&world.node, true, HANDLE, DT), (2, 1));
}
