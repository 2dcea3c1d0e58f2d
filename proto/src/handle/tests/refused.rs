//! What is answered to requests that cannot be served.

use super::golden::{ID_SDK_RESOLVE, POINTER_SDK_RESOLVE};
use crate::handle::header::HEADER_LEN;
use crate::handle::*;

const ENVELOPE_LEN: usize = 20;
const HANDLE_AT: usize = ENVELOPE_LEN + HEADER_LEN;

fn with(bytes: &[u8], at: usize, patch: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + patch.len()].copy_from_slice(patch);
    bytes
}

fn refusal(bytes: &[u8], transport: Transport) -> RefusedRequest {
    decode_request(bytes, transport).expect_err("refused")
}

#[test]
fn the_code_says_what_is_wrong() {
    let id = ID_SDK_RESOLVE;
    let number = |at, number: u32| with(id, at, &number.to_be_bytes());
    let cases: Vec<(&str, Vec<u8>, u32)> = vec![
        ("nothing", vec![], 4),
        ("19 bytes", id[..19].to_vec(), 4),
        ("an envelope alone", id[..20].to_vec(), 4),
        ("a header cut short", id[..43].to_vec(), 4),
        ("major version 3", with(id, 0, &[3]), 4),
        ("compressed", with(id, 2, &[0x82]), 5),
        ("encrypted", with(id, 2, &[0x42]), 501),
        ("truncated on a connection", with(id, 2, &[0x22]), 4),
        ("sequence 1 on a connection", with(id, 15, &[1]), 4),
        (
            "an encrypted answer without session",
            number(28, 0x2000_0000),
            501,
        ),
        ("operation 0", number(20, 0), 4),
        ("operation 99", number(20, 99), 2),
        ("operation -1", number(20, u32::MAX), 2),
        ("message length -1", number(16, u32::MAX), 2),
        ("message length too large", number(16, 62), 2),
        ("message length 0", number(16, 0), 4),
        ("body length -1", number(40, u32::MAX), 2),
        ("body length over the message", number(40, 38), 2),
        ("body length inside a field", number(40, 15), 2),
        ("credential length -1", number(id.len() - 4, u32::MAX), 2),
        ("credential length 1 of 0", number(id.len() - 4, 1), 2),
        ("handle length -1", number(HANDLE_AT, u32::MAX), 2),
        ("handle length 2049", number(HANDLE_AT, 2049), 2),
        ("index count -1", number(HANDLE_AT + 14, 0x8000_0000), 2),
        ("index count 2048 of 1", number(HANDLE_AT + 14, 2048), 2),
        ("type count 2049", number(HANDLE_AT + 22, 2049), 2),
        ("type length -1", number(HANDLE_AT + 26, u32::MAX), 2),
        ("a type in Latin-1", with(id, HANDLE_AT + 30, &[0xe9]), 2),
        ("a handle in Latin-1", with(id, HANDLE_AT + 4, &[0xe9]), 102),
    ];
    for (what, bytes, code) in cases {
        let refused = refusal(&bytes, Transport::Tcp);
        assert_eq!(
            refused.fault.code(),
            ResponseCode(code),
            "{what}: {refused}"
        );
        assert!(refused.fault.answerable(), "{what}");
        if bytes.len() >= ENVELOPE_LEN {
            assert_eq!(refused.reply_to.request_id, 7, "{what}");
        }
    }
}

#[test]
fn a_handle_that_is_too_long_is_invalid_not_malformed() {
    let mut head = RequestHead::new(7);
    head.flags = OpFlags::NONE;
    let request = head.resolve(&"a".repeat(2049), &[], &[]).unwrap();
    let refused = refusal(&request, Transport::Tcp);
    assert_eq!(refused.fault, RequestFault::HandleTooLong { length: 2049 });
    assert_eq!(refused.fault.code(), ResponseCode::INVALID_HANDLE);
    let longest = head.resolve(&"a".repeat(2048), &[], &[]).unwrap();
    assert!(decode_request(&longest, Transport::Tcp).is_ok());
}

#[test]
fn writing_over_datagrams_is_refused_before_the_body_is_read() {
    let create = with(&ID_SDK_RESOLVE[..44], 20, &100u32.to_be_bytes());
    let refused = refusal(&create, Transport::Udp);
    assert_eq!(refused.fault, RequestFault::OverUdp(OpCode::CREATE));
    assert_eq!(refused.fault.code(), ResponseCode::PROTOCOL_ERROR);
    assert_eq!(refused.reply_to.op_code, OpCode::CREATE);
    let create = with(ID_SDK_RESOLVE, 20, &100u32.to_be_bytes());
    let accepted = decode_request(&create, Transport::Tcp).unwrap();
    assert_eq!(
        accepted.request,
        Request::Other {
            op_code: OpCode::CREATE
        }
    );
}

#[test]
fn datagrams_may_have_the_truncated_bit() {
    let bytes = with(ID_SDK_RESOLVE, 2, &[0x22]);
    assert!(decode_request(&bytes, Transport::Udp).is_ok());
}

#[test]
fn answers_are_not_answered() {
    let bytes = with(ID_SDK_RESOLVE, 27, &[1]);
    let refused = refusal(&bytes, Transport::Udp);
    assert_eq!(refused.fault, RequestFault::IsAnswer);
    assert!(!refused.fault.answerable());
}

#[test]
fn a_refusal_is_answered_in_the_clients_words() {
    let refused = refusal(&with(POINTER_SDK_RESOLVE, 23, &[99]), Transport::Tcp);
    let mut out = b"before".to_vec();
    Reply::new(&refused.reply_to, 1, 0)
        .error(&mut out, refused.fault.code(), &refused.to_string())
        .unwrap();
    let response = Response::decode(&out[6..]).unwrap();
    assert_eq!(response.envelope.request_id, 0x0a0b_0c0d);
    assert_eq!(response.envelope.version, Version::LATEST);
    assert_eq!(response.header.op_code, OpCode(99));
    assert_eq!(response.message(), Some("unknown operation 99"));
}

#[test]
fn bytes_behind_a_message_are_tolerated() {
    let request = [POINTER_SDK_RESOLVE, &[0, 0]].concat();
    assert!(decode_request(&request, Transport::Udp).is_ok());
    // Two stray bytes behind the credential, counted in the message's length.
    let mut request = [POINTER_SDK_RESOLVE, &[0, 0]].concat();
    request[19] += 2;
    assert!(decode_request(&request, Transport::Tcp).is_ok());
    // The same in the place of the credential.
    let mut request = POINTER_SDK_RESOLVE[..POINTER_SDK_RESOLVE.len() - 2].to_vec();
    request[19] -= 2;
    let accepted = decode_request(&request, Transport::Tcp).unwrap();
    assert!(accepted.message.credential.is_empty());
}

#[test]
fn an_answer_over_the_limit_leaves_nothing_behind() {
    let request = decode_request(ID_SDK_RESOLVE, Transport::Tcp).unwrap();
    let reply = Reply::new(&request.reply_to, 1, 0);
    // 44 bytes of envelope and header, 8 of handle, 4 of count, 4 of credential.
    let room = MAX_MESSAGE_LEN - 60;
    let values = vec![0; room + 1];
    let mut out = b"before".to_vec();
    let error = reply.resolution(&mut out, "1/ab", 1, [&values[..]]);
    assert_eq!(
        error,
        Err(MessageTooLong {
            length: MAX_MESSAGE_LEN + 1
        })
    );
    assert_eq!(out, b"before");
    reply
        .resolution(&mut out, "1/ab", 1, [&values[..room]])
        .unwrap();
    assert_eq!(out.len(), 6 + MAX_MESSAGE_LEN);
}

#[test]
fn claims_about_an_answer_are_not_echoed() {
    let request = with(ID_SDK_RESOLVE, 28, &0xdfff_ffffu32.to_be_bytes());
    let request = decode_request(&request, Transport::Tcp).unwrap();
    let mut out = Vec::new();
    Reply {
        flags: OpFlags::AUTHORITATIVE,
        ..Reply::new(&request.reply_to, 1, 0)
    }
    .resolution(&mut out, "1/a", 0, [])
    .unwrap();
    let flags = Response::decode(&out).unwrap().header.flags;
    let expected = OpFlags::AUTHORITATIVE
        | OpFlags::RECURSE
        | OpFlags::KEEP_ALIVE
        | OpFlags::PUBLIC_ONLY
        | OpFlags::REQUEST_DIGEST
        | OpFlags::OVERWRITE
        | OpFlags::MINT
        | OpFlags::NO_REFERRAL;
    assert_eq!(flags, expected);
}
