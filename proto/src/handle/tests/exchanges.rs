//! A client and a server through challenge and proof, as the clients in the field go about it.

use super::vectors::*;
use crate::handle::auth::{ClientKey, ProofKey, random, verify_answer};
use crate::handle::body::challenge::{Challenge, NONCE_LEN};
use crate::handle::body::list::HandleList;
use crate::handle::*;

const SECRET: &[u8] = b"secret";

fn head(flags: OpFlags) -> RequestHead {
    RequestHead {
        flags,
        ..RequestHead::new(41)
    }
}

fn user() -> AdminId {
    "301:0.NA/88.118.8".parse().unwrap()
}

/// A server's side of a challenge: what it gives, with its own session id.
fn challenge(request: &[u8], session_id: u32) -> (Challenge, Vec<u8>) {
    let read = decode_request(request, Transport::Tcp).unwrap();
    let challenge = Challenge {
        digest: RequestDigest::of(read.message.signed, read.reply_to.version),
        nonce: random::<NONCE_LEN>().unwrap().to_vec(),
    };
    let to = ReplyTo {
        session_id,
        ..read.reply_to
    };
    let mut out = Vec::new();
    Reply::new(&to, 1, 0)
        .challenge(&mut out, &challenge)
        .unwrap();
    (challenge, out)
}

/// The final answer, which carries the operation of the first request.
fn success(proof: &[u8], op_code: OpCode, body: &[u8]) -> Vec<u8> {
    let read = decode_request(proof, Transport::Tcp).unwrap();
    let to = ReplyTo {
        op_code,
        ..read.reply_to
    };
    let mut out = Vec::new();
    Reply::new(&to, 1, 0)
        .raw(&mut out, ResponseCode::SUCCESS, body)
        .unwrap();
    out
}

fn sent(step: Step) -> Vec<u8> {
    match step {
        Step::Send(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_creation_is_challenged_proven_and_done() {
    let (user, key) = (user(), ClientKey::Private(private(SM2)));
    let head = head(OpFlags::NONE);
    let request = head.create("88.118.8/a", &[]).unwrap();
    let mut exchange = Exchange::new(head, request.clone(), Some((&user, &key)));
    assert_eq!(exchange.request(), request);
    let (challenge, message) = challenge(&request, 0x0102_0304);
    let proof = sent(exchange.receive(&message).unwrap());

    // The proof comes with the server's session id, so that any connection will do.
    let read = decode_request(&proof, Transport::Tcp).unwrap();
    assert_eq!(read.reply_to.session_id, 0x0102_0304);
    assert_eq!(read.reply_to.request_id, 41);
    let Ok(Operation::AnswerChallenge(answer)) = read.operation() else {
        panic!("no answer to a challenge");
    };
    let registered = ProofKey::Public(public(SM2_PUBLIC).encode().unwrap());
    assert_eq!(verify_answer(&registered, &challenge, &answer), Ok(()));

    let done = exchange
        .receive(&success(&proof, OpCode::CREATE, &[]))
        .unwrap();
    let Step::Done(response) = done else {
        panic!("not done");
    };
    assert_eq!(response.header.op_code, OpCode::CREATE);
    assert_eq!(response.code, ResponseCode::SUCCESS);
}

/// The log-in of the connection: 2001 with a session id the server never made, a challenge under
/// 2001, the proof, and success under 2001 in the same session.
#[test]
fn a_log_in_with_a_session_of_the_clients_choice() {
    let (user, key) = (user(), ClientKey::secret(SECRET));
    let head = RequestHead {
        session_id: 10_001,
        ..head(OpFlags::RECURSE | OpFlags::REQUEST_DIGEST)
    };
    let request = head.log_in(&user).unwrap();
    let mut exchange = Exchange::new(head, request.clone(), Some((&user, &key)));
    let (challenge, message) = challenge(&request, 10_001);
    assert_eq!(message[20..28], [0, 0, 7, 0xd1, 0, 0, 1, 0x92]);
    assert_eq!(message[44], 3);
    let proof = sent(exchange.receive(&message).unwrap());
    let read = decode_request(&proof, Transport::Tcp).unwrap();
    assert_eq!(read.reply_to.session_id, 10_001);
    let Ok(Operation::AnswerChallenge(answer)) = read.operation() else {
        panic!("no answer to a challenge");
    };
    let registered = ProofKey::Secret(SECRET.to_vec());
    assert_eq!(verify_answer(&registered, &challenge, &answer), Ok(()));
    let last = success(&proof, OpCode::LOGIN, &[]);
    assert!(matches!(exchange.receive(&last), Ok(Step::Done(_))));
}

/// A server below 2.7 digests with SHA-1, and is answered with what it knows.
#[test]
fn an_old_server_gets_the_older_proof() {
    let (user, key) = (user(), ClientKey::secret(SECRET));
    let head = RequestHead {
        version: Version::V2_1,
        suggested: Version::NONE,
        ..head(OpFlags::NONE)
    };
    let request = head.delete("88.118.8/a").unwrap();
    let mut exchange = Exchange::new(head, request.clone(), Some((&user, &key)));
    let (_, message) = challenge(&request, 5);
    let proof = sent(exchange.receive(&message).unwrap());
    let read = decode_request(&proof, Transport::Tcp).unwrap();
    let Ok(Operation::AnswerChallenge(answer)) = read.operation() else {
        panic!("no answer to a challenge");
    };
    assert_eq!((answer.response[0], answer.response.len()), (2, 21));
}

#[test]
fn a_list_comes_in_parts() {
    let head = head(OpFlags::NONE);
    let request = head.list_handles("0.NA/88.118.8").unwrap();
    let mut exchange = Exchange::new(head, request.clone(), None);
    let read = decode_request(&request, Transport::Tcp).unwrap();
    let reply = Reply::new(&read.reply_to, 1, 0);
    let mut list = HandleList::new();
    assert!(list.push("88.118.8/a"));
    for more in [true, true, false] {
        let mut out = Vec::new();
        reply.handles(&mut out, &list, more).unwrap();
        let step = exchange.receive(&out).unwrap();
        assert_eq!(matches!(step, Step::Part(_)), more);
        assert_eq!(matches!(step, Step::Done(_)), !more);
    }
}

#[test]
fn what_does_not_belong_to_the_exchange_ends_it() {
    let (user, key) = (user(), ClientKey::secret(SECRET));
    let head = head(OpFlags::NONE);
    let request = head.delete("88.118.8/a").unwrap();
    let start = |identity| Exchange::new(head, request.clone(), identity);

    let other = RequestHead {
        request_id: 42,
        ..head
    };
    let (_, message) = challenge(&other.delete("88.118.8/a").unwrap(), 5);
    let refused = start(Some((&user, &key))).receive(&message);
    assert_eq!(refused, Err(ExchangeError::OtherRequest(42)));

    // Somebody on the way asks to prove another request than the one sent.
    let (_, message) = challenge(&head.delete("88.118.8/b").unwrap(), 5);
    let refused = start(Some((&user, &key))).receive(&message);
    assert_eq!(refused, Err(ExchangeError::Forged));

    let (_, message) = challenge(&request, 5);
    assert_eq!(start(None).receive(&message), Err(ExchangeError::NoKey));

    let mut exchange = start(Some((&user, &key)));
    assert!(matches!(exchange.receive(&message), Ok(Step::Send(_))));
    let refused = exchange.receive(&message);
    assert_eq!(refused, Err(ExchangeError::ChallengedAgain));
    assert!(matches!(
        start(None).receive(&request),
        Err(ExchangeError::Response(ResponseError::IsRequest))
    ));
}

/// A server that has somebody else's nonce and digest could cut them so that the proof for it is
/// the one that the other server waits for: nonce and first half as its nonce, the second half as
/// an MD5 that cannot be compared.
#[test]
fn a_challenge_with_a_digest_that_cannot_be_compared_is_not_answered() {
    let (user, key) = (user(), ClientKey::secret(SECRET));
    let head = head(OpFlags::NONE);
    let request = head.delete("88.118.8/a").unwrap();
    let (victims, _) = challenge(&head.delete("88.118.8/b").unwrap(), 1);
    let (first, second) = victims.digest.as_bytes().split_at(16);
    let cut = Challenge {
        digest: RequestDigest::Md5(second.try_into().unwrap()),
        nonce: [&victims.nonce, first].concat(),
    };
    assert_eq!(cut.covered(), victims.covered());
    let to = decode_request(&request, Transport::Tcp).unwrap().reply_to;
    let mut message = Vec::new();
    let reply = Reply::new(&to, 1, 0);
    reply.challenge(&mut message, &cut).unwrap();
    let mut exchange = Exchange::new(head, request, Some((&user, &key)));
    assert_eq!(exchange.receive(&message), Err(ExchangeError::Forged));
}
