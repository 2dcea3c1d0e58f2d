//! Handle messages as a server and as a client reads them.
#![no_main]

mod bounded;

use bounded::decoded;
use idnode_proto::handle::body::list::HandleList;
use idnode_proto::handle::{
    FrameStatus, OpFlags, Reassembler, ReassemblyLimits, Reply, ReplyTo, Request, RequestHead,
    ResolveRequest, Response, ResponseBody, ResponseCode, Transport, decode_request, tcp_frame,
};
use idnode_proto::value::Value;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    let transport = if choice & 1 == 0 {
        Transport::Udp
    } else {
        Transport::Tcp
    };
    if let FrameStatus::Invalid(error) = tcp_frame(bytes) {
        assert!(error.code().known_to_clients());
    }
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    let _ = reassembler.accept(&0_u8, bytes, 0);
    if let Ok(response) = decoded(bytes, || Response::decode(bytes)) {
        answered_again(&response);
    }
    let reply_to = match decoded(bytes, || decode_request(bytes, transport)) {
        Ok(read) => {
            if let Request::Resolve(query) = &read.request {
                again(query);
            }
            read.reply_to
        }
        Err(refused) => {
            assert!(refused.fault.code().known_to_clients());
            refused.reply_to
        }
    };
    let mut out = Vec::new();
    Reply::new(&reply_to, 1, 0)
        .error(&mut out, ResponseCode::ERROR, "")
        .expect("an error is short");
    Response::decode(&out).expect("a client reads what a server writes");
});

/// A query that was read is written as one that reads the same.
fn again(query: &ResolveRequest<'_>) {
    let head = RequestHead {
        flags: OpFlags::NONE,
        ..RequestHead::new(1)
    };
    let bytes = head
        .resolve(query.handle, &query.indexes, &query.types)
        .expect("what was read fits a message");
    let read = decode_request(&bytes, Transport::Tcp).expect("what was written is read");
    let expected = ResolveRequest {
        trailing: &[],
        ..query.clone()
    };
    assert_eq!(read.request, Request::Resolve(expected));
}

/// An answer that was read is written as one that reads the same.
fn answered_again(response: &Response) {
    let to = ReplyTo {
        op_code: response.header.op_code,
        ..ReplyTo::envelope(&response.envelope)
    };
    let (reply, mut out) = (Reply::new(&to, 1, 0), Vec::new());
    let written = match &response.body {
        ResponseBody::Values { handle, values } => {
            let encoded: Vec<Vec<u8>> = values.iter().map(encoded).collect();
            let count = encoded.len() as u32;
            reply.resolution(&mut out, handle, count, encoded.iter().map(Vec::as_slice))
        }
        ResponseBody::Handles(handles) => {
            let mut list = HandleList::new();
            if !handles.iter().all(|handle| list.push(handle)) {
                return;
            }
            reply.handles(&mut out, &list, false)
        }
        ResponseBody::Challenge(challenge) => reply.challenge(&mut out, challenge),
        _ => return,
    };
    written.expect("what was read fits a message");
    let again = Response::decode(&out).expect("what was written is read");
    assert_eq!((&again.body, again.code), (&response.body, response.code));
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut encoded = Vec::new();
    value.encode(&mut encoded);
    encoded
}
