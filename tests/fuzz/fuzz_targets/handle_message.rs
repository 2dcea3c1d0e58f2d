//! Handle messages as a server and as a client reads them.
#![no_main]

use idnode_proto::handle::{
    FrameStatus, OpFlags, Reassembler, ReassemblyLimits, Reply, Request, RequestHead,
    ResolveRequest, Response, ResponseCode, Transport, decode_request, tcp_frame,
};
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
    let _ = Response::decode(bytes);

    let reply_to = match decode_request(bytes, transport) {
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
