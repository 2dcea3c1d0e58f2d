//! Answers that are signed with the site's key (CERT).

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use idnode_proto::handle::auth::{ClientKey, Credential, PublicKey};
use idnode_proto::handle::body::list::MAX_LIST_MESSAGE_LEN;
use idnode_proto::handle::{
    AdminId, FrameStatus, Message, OpFlags, Reassembler, ReassemblyLimits, RequestHead, Response,
    ResponseBody, tcp_frame,
};
use idnode_tests::node::Node;

use super::world::{HANDLE, SIGNER, World};

pub(super) fn over_udp(node: &Node, request: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(node.at.handle).unwrap();
    let wait = Duration::from_secs(5);
    socket.set_read_timeout(Some(wait)).unwrap();
    socket.send(request).unwrap();
    let mut pieces = Reassembler::new(ReassemblyLimits::default());
    let mut buffer = [0; 1_024];
    loop {
        let length = socket.recv(&mut buffer).unwrap();
        if let Some(whole) = pieces.accept(&(), &buffer[..length], 0).unwrap() {
            return whole.into_owned();
        }
    }
}

pub(super) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(super) fn new(node: &Node) -> Self {
        Self {
            stream: TcpStream::connect(node.at.handle).unwrap(),
            received: Vec::new(),
        }
    }

    pub(super) fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        self.stream.write_all(request).unwrap();
        self.receive()
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut buffer = [0; 65_536];
        loop {
            if let FrameStatus::Complete { len } = tcp_frame(&self.received) {
                return self.received.drain(..len).collect();
            }
            let length = self.stream.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "the connection ended");
            self.received.extend_from_slice(&buffer[..length]);
        }
    }
}

pub(super) fn head(flags: OpFlags) -> RequestHead {
    RequestHead {
        flags,
        ..RequestHead::new(7)
    }
}

/// The signer's answer.
#[track_caller]
fn signed(key: &PublicKey, answer: &[u8]) -> Response {
    signed_by(SIGNER, key, answer)
}

/// An answer that is signed by the key, and that a changed bit makes another's.
#[track_caller]
pub(super) fn signed_by(signer: &str, key: &PublicKey, answer: &[u8]) -> Response {
    let message = Message::decode(answer).unwrap();
    assert!(message.header.flags.contains(OpFlags::CERTIFY));
    let credential = Credential::decode(message.credential).unwrap();
    assert_eq!(
        format!("{}:{}", credential.index, credential.handle),
        signer
    );
    assert_eq!(credential.verify_signature(key, message.signed), Ok(()));
    let mut changed = message.signed.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    assert!(credential.verify_signature(key, &changed).is_err());
    Response::decode(answer).unwrap()
}

#[track_caller]
pub(super) fn unsigned(answer: &[u8]) {
    let message = Message::decode(answer).unwrap();
    assert!(!message.header.flags.contains(OpFlags::CERTIFY));
    assert!(message.credential.is_empty());
}

#[test]
fn answers_are_signed_with_the_key_of_the_site_for_who_wants_it() {
    for algorithm in ["sm2", "rsa"] {
        let world = World::with_key(algorithm, &[]);
        world.register(HANDLE);
        let (node, mut tcp) = (&world.node, Connection::new(&world.node));
        let (plain, certified) = (
            OpFlags::PUBLIC_ONLY,
            OpFlags::PUBLIC_ONLY | OpFlags::CERTIFY,
        );
        let site = over_udp(node, &head(plain).site_info().unwrap());
        unsigned(&site);
        let site = Response::decode(&site).unwrap();
        let key = PublicKey::decode(&site.site().unwrap().servers[0].public_key).unwrap();
        for (handle, code) in [(HANDLE, 1), ("88.118.8/none", 100), ("no handle", 102)] {
            let request = head(certified).resolve(handle, &[], &[]).unwrap();
            for answer in [over_udp(node, &request), tcp.ask(&request)] {
                assert_eq!(signed(&key, &answer).code.0, code);
            }
            let request = head(plain).resolve(handle, &[], &[]).unwrap();
            for answer in [over_udp(node, &request), tcp.ask(&request)] {
                unsigned(&answer);
            }
        }
        let answer = tcp.ask(&head(certified).site_info().unwrap());
        assert_eq!(signed(&key, &answer).code.0, 1);
        // An operation, its challenge and its answer.
        let challenged = tcp.ask(&head(certified).delete(HANDLE).unwrap());
        let challenged = signed(&key, &challenged);
        let ResponseBody::Challenge(challenge) = &challenged.body else {
            panic!("{challenged:?}");
        };
        let head = RequestHead {
            session_id: challenged.envelope.session_id,
            ..head(certified)
        };
        let nobody: AdminId = "301:0.NA/88.118.8".parse().unwrap();
        let proof = head.answer_challenge(&ClientKey::secret(b"none"), &nobody, challenge);
        let answer = tcp.ask(&proof.unwrap().unwrap());
        assert_eq!(signed(&key, &answer).code.0, 403);
    }
}

#[test]
fn every_message_of_a_list_is_signed() {
    let world = World::new(&[]);
    let names: Vec<_> = (0..80)
        .map(|n| format!("88.118.8/{n}{}", "x".repeat(1_500)))
        .collect();
    for name in &names {
        let url = "1:URL=https://example.com/";
        world
            .idctl
            .json(&["identifier", "create", name, "--value", url]);
    }
    let secret = world.path("secret");
    std::fs::write(&secret, "a secret").unwrap();
    let add = ["key", "add-administrator", "301:0.NA/88.118.8"];
    world
        .idctl
        .json(&[&add[..], &["--secret-key-file", &secret]].concat());
    let mut tcp = Connection::new(&world.node);
    let site = tcp.ask(&head(OpFlags::NONE).site_info().unwrap());
    let site = Response::decode(&site).unwrap();
    let key = PublicKey::decode(&site.site().unwrap().servers[0].public_key).unwrap();
    let list = head(OpFlags::CERTIFY)
        .list_handles("0.NA/88.118.8")
        .unwrap();
    let challenged = signed(&key, &tcp.ask(&list));
    let ResponseBody::Challenge(challenge) = &challenged.body else {
        panic!("{challenged:?}");
    };
    // What was asked for so is answered so, whatever the proof says.
    let head = RequestHead {
        session_id: challenged.envelope.session_id,
        ..head(OpFlags::NONE)
    };
    let user: AdminId = "301:0.NA/88.118.8".parse().unwrap();
    let proof = head.answer_challenge(&ClientKey::secret(b"a secret"), &user, challenge);
    let mut answer = tcp.ask(&proof.unwrap().unwrap());
    let (mut handles, mut messages) = (0, 0);
    loop {
        assert!(answer.len() <= MAX_LIST_MESSAGE_LEN, "{}", answer.len());
        let part = signed(&key, &answer);
        let ResponseBody::Handles(some) = &part.body else {
            panic!("{part:?}");
        };
        (handles, messages) = (handles + some.len(), messages + 1);
        if !part.header.flags.contains(OpFlags::CONTINUES) {
            break;
        }
        answer = tcp.receive();
    }
    assert_eq!(handles, names.len());
    assert!(messages > 1);
}
