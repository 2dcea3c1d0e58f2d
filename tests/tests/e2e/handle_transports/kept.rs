//! Answers that are kept encoded are what would be answered now.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use idnode_proto::handle::{OpFlags, RequestHead, Response, Version};
use idnode_tests::api::{Api, value};
use tokio::runtime::Runtime;

use super::world::{HANDLE, Udp, World, request};
use crate::dns_transports::world::metric;

const SOON: Duration = Duration::from_secs(5);

/// Asks over UDP and on a connection; both must say the same.
struct Asker {
    udp: Udp,
    tcp: TcpStream,
}

impl Asker {
    fn of(world: &World) -> Self {
        let at = world.node.at.handle;
        let tcp = TcpStream::connect(at).unwrap();
        tcp.set_read_timeout(Some(SOON)).unwrap();
        Self {
            udp: Udp::from([127, 0, 0, 1].into(), at),
            tcp,
        }
    }

    fn ask(&mut self, request: &[u8]) -> Response {
        self.udp.send(request);
        let udp = self.udp.receive(SOON).expect("an answer");
        self.tcp.write_all(request).unwrap();
        let mut message = vec![0; 20];
        self.tcp.read_exact(&mut message).unwrap();
        let length = u32::from_be_bytes(*message.last_chunk().unwrap());
        message.resize(20 + length as usize, 0);
        self.tcp.read_exact(&mut message[20..]).unwrap();
        let mut tcp = Response::decode(&message).unwrap();
        tcp.header.expiration_s = udp.header.expiration_s;
        assert_eq!(udp, tcp);
        udp
    }
}

fn kept(world: &World) -> u64 {
    metric(&world.node, "idnode_handle_kept_answers_total")
}

#[test]
fn no_write_is_missing_in_them() {
    let world = World::with(&[]);
    let mut asker = Asker::of(&world);
    let runtime = Runtime::new().unwrap();
    let token = world.dir.token();
    let api = runtime
        .block_on(Api::connect(&world.node.url(), Some(&token)))
        .unwrap();
    const NEW: &str = "88.118.8/new";
    for round in 0..20 {
        for id in 0..4 {
            assert_eq!(asker.ask(&request(id, NEW)).code.0, 100, "round {round}");
        }
        let data = format!("https://example.cn/{round}");
        let values = vec![value(1, "URL", &data)];
        runtime.block_on(api.create(NEW, values, "")).unwrap();
        for id in 0..4 {
            let answer = asker.ask(&request(id, NEW));
            assert_eq!(answer.values()[0].data, data.as_bytes(), "round {round}");
        }
        runtime.block_on(api.delete(NEW, "scrapped", "")).unwrap();
        let answer = asker.ask(&request(1, NEW));
        assert!(answer.message().unwrap().contains("scrapped"), "{answer:?}");
    }
    assert!(kept(&world) > 100, "{}", kept(&world));
    world.node.stop();
}

#[test]
fn they_are_told_apart_by_all_that_matters() {
    let world = World::with(&[]);
    let mut asker = Asker::of(&world);
    let shout = HANDLE.to_uppercase();
    let old = Version::new(2, 1);
    for round in 1..5 {
        let head = RequestHead::new(round);
        let answer = asker.ask(&head.resolve(HANDLE, &[], &[]).unwrap());
        assert_eq!((answer.handle(), answer.values().len()), (Some(HANDLE), 1));
        assert_eq!(answer.envelope.request_id, round);
        let now_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert!(u64::from(answer.header.expiration_s) > now_s + 250);
        let answer = asker.ask(&head.resolve(&shout, &[], &[]).unwrap());
        assert_eq!(answer.handle(), Some(shout.as_str()));
        let answer = asker.ask(&head.resolve(HANDLE, &[2], &[]).unwrap());
        assert_eq!(answer.code.0, 200);
        let of = |change: fn(&mut RequestHead)| {
            let mut head = head;
            change(&mut head);
            head.resolve(HANDLE, &[], &[]).unwrap()
        };
        let with_session = of(|head| head.session_id = 10_001);
        assert_eq!(asker.ask(&with_session).envelope.session_id, 10_001);
        let with_digest = of(|head| head.flags = OpFlags::REQUEST_DIGEST);
        assert_eq!(asker.ask(&with_digest).answers(&with_digest), Some(true));
        let recursed = of(|head| head.recursion_count = 3);
        assert_eq!(asker.ask(&recursed).header.recursion_count, 3);
        let authoritative = of(|head| head.flags = OpFlags::AUTHORITATIVE);
        let flags = asker.ask(&authoritative).header.flags;
        assert!(flags.contains(OpFlags::AUTHORITATIVE));
        let old = RequestHead {
            version: old,
            suggested: Version::NONE,
            ..head
        };
        let answer = asker.ask(&old.resolve(HANDLE, &[], &[]).unwrap());
        assert_eq!(answer.envelope.version, old.version);
    }
    assert!(kept(&world) > 20, "{}", kept(&world));
    world.node.stop();
}
