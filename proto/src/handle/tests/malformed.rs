//! A million malformed inputs for each decoder, seeded: no panic, nothing kept beyond the
//! limits, and what is accepted survives another round.

use std::net::Ipv4Addr;

use super::golden::{ID_SDK_RESOLVE, POINTER_SDK_LOGIN, POINTER_SDK_RESOLVE, RFC_RESOLVE};
use crate::handle::testing::{Mutator, rounds};
use crate::handle::*;
use crate::value::{MAX_VALUES, Reference, Value, types};

fn requests() -> Vec<Vec<u8>> {
    [
        ID_SDK_RESOLVE,
        POINTER_SDK_LOGIN,
        POINTER_SDK_RESOLVE,
        RFC_RESOLVE,
    ]
    .iter()
    .map(|bytes| bytes.to_vec())
    .collect()
}

fn site() -> Site {
    let ports = NodePorts {
        tcp: Some(2641),
        udp: Some(2641),
        http: Some(80),
        https: Some(443),
    };
    let server = |id| Server::of_node(id, Ipv4Addr::LOCALHOST.into(), vec![7; 9], ports);
    Site {
        servers: vec![server(1), server(2)],
        ..Site::of_node(1, "Datong", server(1))
    }
}

fn answers() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut values = Vec::new();
    let reference = Reference {
        handle: "0.NA/1".into(),
        index: 300,
    };
    Value {
        references: vec![reference],
        ..Value::new(1, types::URL, "http://a.cn")
    }
    .encode(&mut values);
    Value::new(2, types::HS_SITE, site().encode()).encode(&mut values);
    for request in requests() {
        let read = decode_request(&request, Transport::Tcp).unwrap();
        let reply = Reply::new(&read.reply_to, 1, 0);
        let mut one = |write: &dyn Fn(&mut Vec<u8>) -> Result<(), MessageTooLong>| {
            let mut out = Vec::new();
            write(&mut out).unwrap();
            all.push(out);
        };
        one(&|out| reply.resolution(out, "88.118.8/a", 2, [&values[..]]));
        one(&|out| reply.raw(out, ResponseCode::SUCCESS, &site().encode()));
        one(&|out| reply.error(out, ResponseCode::BUSY, "busy"));
        let code = ResponseCode::SERVICE_REFERRAL;
        one(&|out| reply.referral(out, code, "0.NA/1", 2, [&values[..]]));
        one(&|out| reply.raw(out, ResponseCode::AUTHENTICATION_NEEDED, &[0; 20]));
    }
    all
}

#[test]
fn requests_fail_with_a_code_or_read_the_same_again() {
    let seeds = requests();
    let mut mutator = Mutator::new(2);
    let (mut accepted, mut out) = (0u32, Vec::new());
    for round in 0..rounds() {
        let bytes = mutator.mutate(&seeds);
        let transport = [Transport::Udp, Transport::Tcp][round as usize & 1];
        let reply_to = match decode_request(bytes, transport) {
            Ok(read) => {
                if let Request::Resolve(query) = &read.request {
                    let kept = query.indexes.capacity() * 4 + query.types.capacity() * 4;
                    assert!(kept <= bytes.len());
                    assert!(query.indexes.len() <= MAX_VALUES && query.types.len() <= MAX_VALUES);
                    let head = RequestHead {
                        flags: OpFlags::NONE,
                        ..RequestHead::new(1)
                    };
                    let again = head
                        .resolve(query.handle, &query.indexes, &query.types)
                        .unwrap();
                    let again = decode_request(&again, Transport::Tcp).unwrap().request;
                    let trimmed = ResolveRequest {
                        trailing: &[],
                        ..query.clone()
                    };
                    assert_eq!(again, Request::Resolve(trimmed));
                }
                accepted += 1;
                read.reply_to
            }
            Err(refused) => {
                assert!(refused.fault.code().known_to_clients());
                refused.reply_to
            }
        };
        out.clear();
        Reply::new(&reply_to, 1, 0)
            .error(&mut out, ResponseCode::ERROR, "")
            .unwrap();
        assert!(Response::decode(&out).is_ok());
    }
    assert!(accepted > rounds() / 100, "{accepted}");
}

#[test]
fn answers_fail_or_stay_within_the_limits() {
    let seeds = answers();
    let mut mutator = Mutator::new(3);
    let mut accepted = 0u32;
    for _ in 0..rounds() {
        let bytes = mutator.mutate(&seeds);
        let Ok(response) = Response::decode(bytes) else {
            continue;
        };
        accepted += 1;
        match &response.body {
            ResponseBody::Values { handle, values } => {
                assert!(handle.capacity() <= bytes.len());
                assert!(values.capacity() * 26 <= bytes.len());
                let held: usize = values.iter().map(Value::encoded_len).sum();
                assert!(held <= bytes.len());
            }
            ResponseBody::Referral { sites, .. } => {
                assert!(sites.capacity() * 26 <= bytes.len());
            }
            ResponseBody::Error { message, indexes } => {
                // A byte that is no UTF-8 becomes a mark of three.
                assert!(message.len() <= 3 * bytes.len());
                assert!(indexes.capacity() * 4 <= bytes.len());
            }
            ResponseBody::Site(site) => assert!(site.encode().len() <= bytes.len()),
            ResponseBody::Challenge(challenge) => {
                assert!(challenge.nonce.capacity() <= bytes.len());
            }
            ResponseBody::Handles(handles) => assert!(handles.capacity() * 4 <= bytes.len()),
            ResponseBody::Session(answer) => assert!(answer.data.capacity() <= bytes.len()),
            ResponseBody::Verified(_) => {}
            ResponseBody::Other(body) => assert!(body.capacity() <= bytes.len()),
        }
    }
    assert!(accepted > rounds() / 100, "{accepted}");
}

#[test]
fn predefined_data_fails_or_reads_the_same_again() {
    let reference = Reference {
        handle: "0.NA/88.118.8".into(),
        index: 300,
    };
    let admin = Admin {
        permissions: AdminPermissions::ALL,
        reference: reference.clone(),
    };
    let seeds = [
        site().encode(),
        admin.encode(),
        encode_value_list(&[reference.clone(), reference]),
    ];
    let mut mutator = Mutator::new(4);
    let mut accepted = [0u32; 3];
    for _ in 0..rounds() {
        let bytes = mutator.mutate(&seeds);
        if let Ok(site) = Site::decode(bytes) {
            assert!(site.servers.capacity() * 28 <= bytes.len());
            assert!(site.attributes.capacity() * 8 <= bytes.len());
            assert_eq!(Site::decode(&site.encode()), Ok(site));
            accepted[0] += 1;
        }
        if let Ok(admin) = Admin::decode(bytes) {
            assert_eq!(admin.encode(), bytes[..admin.encode().len()]);
            accepted[1] += 1;
        }
        if let Ok(list) = decode_value_list(bytes) {
            assert!(list.capacity() * 8 <= bytes.len());
            let again = encode_value_list(&list);
            assert_eq!(again, bytes[..again.len()]);
            accepted[2] += 1;
        }
        let _ = decode_handle_data(bytes);
    }
    assert!(
        accepted.iter().all(|count| *count > rounds() / 100),
        "{accepted:?}"
    );
}

#[test]
fn streams_are_cut_within_the_limit() {
    let seeds = requests();
    let mut mutator = Mutator::new(5);
    for _ in 0..rounds() {
        let bytes = mutator.mutate(&seeds);
        match tcp_frame(bytes) {
            FrameStatus::NeedMore(missing) => {
                assert!(missing > 0 && bytes.len() + missing <= MAX_MESSAGE_LEN + 20);
            }
            FrameStatus::Complete { len } => assert!((20..=bytes.len()).contains(&len)),
            FrameStatus::Invalid(error) => assert!(error.code().known_to_clients()),
        }
    }
}

#[test]
fn datagrams_never_fill_more_than_the_limits() {
    let limits = ReassemblyLimits {
        max_messages: 64,
        max_messages_per_source: 4,
        max_bytes: 16_384,
        max_age_ms: 500,
    };
    let long = RequestHead::new(7)
        .resolve(&"h".repeat(1_500), &[], &[])
        .unwrap();
    let seeds: Vec<Vec<u8>> = datagrams(&long)
        .map(|datagram| {
            let mut bytes = Vec::new();
            datagram.encode(&mut bytes);
            bytes
        })
        .collect();
    let mut reassembler = Reassembler::new(limits);
    let mut mutator = Mutator::new(6);
    let (mut whole, mut fullest) = (0u32, 0);
    for round in 0..rounds() {
        let source = mutator.below(40);
        let valid = mutator.below(2) == 0;
        let bytes = if valid {
            let at = mutator.below(seeds.len());
            &seeds[at]
        } else {
            mutator.mutate(&seeds)
        };
        let now_ms = u64::from(round) / 10;
        if let Ok(Some(message)) = reassembler.accept(&source, bytes, now_ms) {
            let announced = Envelope::decode(&message).unwrap().message_len as usize;
            assert_eq!(message.len(), 20 + announced);
            whole += 1;
        }
        assert!(reassembler.pending() <= limits.max_messages);
        assert!(reassembler.bytes() <= limits.max_bytes);
        fullest = fullest.max(reassembler.bytes());
    }
    assert!(whole > 1_000, "{whole}");
    assert!(fullest > limits.max_bytes / 2, "{fullest}");
    reassembler.expire(u64::MAX);
    assert_eq!((reassembler.pending(), reassembler.bytes()), (0, 0));
}
