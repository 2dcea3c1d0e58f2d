//! The bodies of the operations beyond resolution: round trips, and bytes as peers send them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::golden::POINTER_SDK_LOGIN;
use crate::handle::body::challenge::{
    Challenge, ChallengeAnswer, LogIn, PasswordLogIn, VerifyRequest, encode_verified,
};
use crate::handle::body::change::{
    HandleRequest, RemoveRequest, ValuesRequest, decode_created, encode_created,
};
use crate::handle::body::list::{
    HandleList, MAX_LIST_LEN, MAX_LIST_MESSAGE_LEN, decode_handle_list,
};
use crate::handle::body::session::{
    KeyAgreement, KeyExchange, NO_INDEX, SessionAnswer, SessionSetup,
};
use crate::handle::*;
use crate::value::tests::any_value;
use crate::value::{Value, encode_values, types};

const HEAD: RequestHead = RequestHead {
    version: Version::V2_10,
    suggested: Version::LATEST,
    flags: OpFlags::NONE,
    session_id: 0,
    request_id: 9,
    site_serial: 1,
    recursion_count: 0,
    expiration_s: 0,
};

/// What a server reads of a request that the client side wrote.
fn served<T>(request: &[u8], check: impl FnOnce(Operation<'_>) -> T) -> T {
    let request = decode_request(request, Transport::Tcp).unwrap();
    check(request.operation().unwrap())
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat()
}

fn any_digest() -> impl Strategy<Value = RequestDigest> {
    prop_oneof![
        any::<[u8; 16]>().prop_map(RequestDigest::Md5),
        any::<[u8; 20]>().prop_map(RequestDigest::Sha1),
        any::<[u8; 32]>().prop_map(RequestDigest::Sha256),
    ]
}

prop_compose! {
    fn any_challenge()(digest in any_digest(), nonce in vec(any::<u8>(), 0..40)) -> Challenge {
        Challenge { digest, nonce }
    }
}

proptest! {
    #[test]
    fn changes(
        handle in "\\PC{0,40}",
        values in vec(any_value(), 0..5),
        indexes in vec(any::<u32>(), 0..9),
        which in 0usize..3,
    ) {
        let write = [RequestHead::create, RequestHead::add_values, RequestHead::modify_values];
        let request = write[which](&HEAD, &handle, &values).unwrap();
        served(&request, |operation| {
            let read = match (which, operation) {
                (0, Operation::Create(read))
                | (1, Operation::AddValues(read))
                | (2, Operation::ModifyValues(read)) => read,
                (_, other) => panic!("{other:?}"),
            };
            assert_eq!(read.handle, handle);
            assert_eq!((read.len(), read.is_empty()), (values.len(), values.is_empty()));
            assert_eq!(read.encoded(), encode_values(&values));
            let owned: Vec<Value> = read.values().map(|value| value.to_owned()).collect();
            assert_eq!(owned, values);
        });
        let request = HEAD.remove_values(&handle, &indexes).unwrap();
        served(&request, |operation| {
            assert_eq!(operation, Operation::RemoveValues(RemoveRequest { handle: &handle, indexes }));
        });
        assert_eq!(decode_created(&encode_created(&handle)), Ok(Some(&handle[..])));
    }

    #[test]
    fn handles_alone(handle in "\\PC{0,40}") {
        let named = HandleRequest { handle: &handle };
        let expected = [
            (HEAD.delete(&handle), Operation::Delete(named)),
            (HEAD.list_handles(&handle), Operation::ListHandles(named)),
            (HEAD.list_prefixes(&handle), Operation::ListPrefixes(named)),
            (HEAD.home_prefix(&handle), Operation::HomePrefix(named)),
            (HEAD.unhome_prefix(&handle), Operation::UnhomePrefix(named)),
        ];
        for (request, expected) in expected {
            served(&request.unwrap(), |operation| assert_eq!(operation, expected));
        }
    }

    #[test]
    fn challenges(
        challenge in any_challenge(),
        handle in "\\PC{0,40}",
        index in any::<u32>(),
        response in vec(any::<u8>(), 0..60),
    ) {
        let mut body = Vec::new();
        challenge.encode(&mut body);
        assert_eq!(Challenge::decode(&body).as_ref(), Ok(&challenge));

        let answer = ChallengeAnswer {
            key_type: types::HS_PUBKEY,
            handle: &handle,
            index,
            response: &response,
        };
        assert_eq!(ChallengeAnswer::decode(&answer.encode()), Ok(answer));

        let question = VerifyRequest { handle: &handle, index, challenge, response: &response };
        let request = HEAD.verify_answer(&question).unwrap();
        served(&request, |operation| assert_eq!(operation, Operation::VerifyAnswer(question)));
    }

    #[test]
    fn log_ins(name in "\\PC{0,40}", password in "\\PC{0,20}", index in any::<u32>()) {
        let user = LogIn { handle: &name, index };
        assert_eq!(LogIn::decode(&user.encode()), Ok(user));
        let request = HEAD.log_in_with_password(&name, &password).unwrap();
        served(&request, |operation| {
            let expected = PasswordLogIn { name: &name, password: &password };
            assert_eq!(operation, Operation::LogInWithPassword(expected));
        });
    }

    #[test]
    fn set_ups(
        identity in "\\PC{0,40}",
        identity_index in any::<u32>(),
        handle in "\\PC{0,40}",
        index in any::<u32>(),
        key in vec(any::<u8>(), 0..60),
    ) {
        let agreements = [
            KeyAgreement::ClientKey(&key),
            KeyAgreement::ServerKey,
            KeyAgreement::HandleKey { handle: &handle, index },
            KeyAgreement::DiffieHellman([&key, b"\x05", b"\x35"]),
            KeyAgreement::None,
        ];
        for agreement in agreements {
            let setup = SessionSetup {
                identity: &identity,
                identity_index,
                agreement,
                timeout_s: None,
            };
            let request = HEAD.set_up_session(&setup).unwrap();
            served(&request, |operation| assert_eq!(operation, Operation::SetUpSession(setup)));
        }
        let exchange = KeyExchange { encrypted_key: &key, algorithm: Some("AES-128") };
        assert_eq!(KeyExchange::decode(&exchange.encode()), Ok(exchange));
        let answer = SessionAnswer { mode: 3, data: key };
        let mut body = Vec::new();
        answer.encode(&mut body);
        assert_eq!(SessionAnswer::decode(&body), Ok(answer));
    }

    #[test]
    fn lists(handles in vec("\\PC{0,40}", 0..20)) {
        let mut list = HandleList::new();
        for handle in &handles {
            assert!(list.push(handle));
        }
        assert_eq!((list.len(), list.is_empty()), (handles.len(), handles.is_empty()));
        let mut body = Vec::new();
        list.encode(&mut body);
        assert_eq!(decode_handle_list(&body), Ok(handles));
    }
}

#[test]
fn a_list_that_is_full_takes_no_more_and_goes_on_in_the_next_message() {
    let handle = "x".repeat(2000);
    let (mut list, mut listed) = (HandleList::new(), 0);
    while list.push(&handle) {
        listed += 1;
    }
    assert_eq!((listed, list.len()), (30, 30));
    let request = HEAD.list_handles("0.NA/88.118.8").unwrap();
    let request = decode_request(&request, Transport::Tcp).unwrap();
    let reply = Reply::new(&request.reply_to, 1, 0);
    let (mut first, mut last) = (Vec::new(), Vec::new());
    reply.handles(&mut first, &list, true).unwrap();
    assert!(first.len() < MAX_LIST_LEN + 100 && first.len() < MAX_LIST_MESSAGE_LEN);
    list.clear();
    assert!(list.is_empty() && list.push("88.118.8/a"));
    reply.handles(&mut last, &list, false).unwrap();
    let first = Response::decode(&first).unwrap();
    assert!(first.header.flags.contains(OpFlags::CONTINUES));
    assert!(matches!(first.body, ResponseBody::Handles(handles) if handles.len() == 30));
    let last = Response::decode(&last).unwrap();
    assert!(!last.header.flags.contains(OpFlags::CONTINUES));
    assert_eq!(
        last.body,
        ResponseBody::Handles(vec!["88.118.8/a".to_string()])
    );
}

/// A create request byte by byte (RFC 3652 §3.6.4).
#[test]
fn a_creation_as_the_rfc_has_it() {
    let admin = Admin::new(&"300:0.NA/88.118.8".parse().unwrap(), AdminRights(0x07f3));
    let value = Value::new(100, types::HS_ADMIN, admin.encode());
    let body = [
        &text("88.118.8/a")[..],
        &[0, 0, 0, 1],                                          // one value
        &[0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 1, 0x51, 0x80, 0x0e], // index to permissions
        &text("HS_ADMIN"),
        &[0, 0, 0, 23, 0x07, 0xf3], // data: length, rights
        &text("0.NA/88.118.8"),
        &[0, 0, 1, 0x2c], // index 300
        &[0, 0, 0, 0],    // no references
    ]
    .concat();
    assert_eq!(ValuesRequest::encode("88.118.8/a", &[value]), body);
    let read = ValuesRequest::decode(&body).unwrap();
    let value = read.values().next().unwrap();
    assert_eq!(Admin::decode(value.data()), Ok(admin));
}

#[test]
fn a_handle_that_is_none_is_told_from_a_body_that_is_none() {
    let body = [&[0, 0, 0, 2, 0xff, 0xfe][..], &[0; 4]].concat();
    let request = HEAD.request(OpCode::CREATE, &body).unwrap();
    let request = decode_request(&request, Transport::Tcp).unwrap();
    assert_eq!(request.operation(), Err(RequestFault::InvalidHandle));
    let request = HEAD.delete(&"x".repeat(3000)).unwrap();
    let request = decode_request(&request, Transport::Tcp).unwrap();
    let too_long = RequestFault::HandleTooLong { length: 3000 };
    assert_eq!(request.operation(), Err(too_long));
    let request = HEAD.request(OpCode::DELETE, &[0, 0, 9, 9]).unwrap();
    let request = decode_request(&request, Transport::Tcp).unwrap();
    let fault = request.operation().unwrap_err();
    assert_eq!(fault.code(), ResponseCode::ERROR);
}

#[test]
fn operations_without_a_body_are_told_apart() {
    served(&HEAD.next_transaction().unwrap(), |operation| {
        assert_eq!(operation, Operation::NextTransaction);
    });
    served(&HEAD.back_up().unwrap(), |operation| {
        assert_eq!(operation, Operation::BackUp);
    });
    served(&HEAD.terminate_session().unwrap(), |operation| {
        assert_eq!(operation, Operation::TerminateSession);
    });
}

/// The login of id-pointer-sdk ends with its body, that of ID-SDK has its credential's length,
/// and session 0.
#[test]
fn log_ins_of_both_sdks_are_one() {
    let user = LogIn {
        handle: "0.NA/88.118.",
        index: 301,
    };
    served(POINTER_SDK_LOGIN, |operation| {
        assert_eq!(operation, Operation::LogIn(user));
    });
    let id_sdk = RequestHead {
        version: Version::new(2, 3),
        suggested: Version::V2_10,
        ..HEAD
    };
    let request = id_sdk.request(OpCode::LOGIN, &user.encode()).unwrap();
    assert_eq!(request.len(), POINTER_SDK_LOGIN.len() + 4);
    served(&request, |operation| {
        assert_eq!(operation, Operation::LogIn(user));
    });
}

/// ID-SDK's log-in with name and password has the shape of a query for one type.
#[test]
fn a_password_log_in_is_a_query_in_shape() {
    let request = HEAD.log_in_with_password("factory", "pass").unwrap();
    let query = HEAD.resolve("factory", &[], &["pass"]).unwrap();
    assert_eq!(request[44..], query[44..]);
    let two = HEAD.resolve("factory", &[], &["a", "b"]).unwrap();
    let request = HEAD
        .request(OpCode::LOGIN_PASSWORD, &two[44..two.len() - 4])
        .unwrap();
    let request = decode_request(&request, Transport::Tcp).unwrap();
    assert!(request.operation().is_err());
    let shown = format!(
        "{:?}",
        PasswordLogIn {
            name: "factory",
            password: "pass"
        }
    );
    assert!(shown.contains("factory") && !shown.contains("pass\""));
}

/// id-pointer-sdk sets up a session of mode 3 with an empty identity of index -1, and leaves two
/// zero octets behind it.
#[test]
fn a_session_set_up_of_id_pointer_sdk() {
    let body = [&[0, 3, 0, 0, 0, 0][..], &[0xff; 4], &[0, 0]].concat();
    let expected = SessionSetup {
        identity: "",
        identity_index: NO_INDEX,
        agreement: KeyAgreement::HandleKey {
            handle: "",
            index: NO_INDEX,
        },
        timeout_s: None,
    };
    assert_eq!(SessionSetup::decode(&body), Ok(expected));
    // With the key's handle named, and with a time-out in front.
    let named = [
        &[0, 3, 0, 0, 0, 0][..],
        &[0xff; 4],
        &text("0.NA/88.118.8"),
        &[0, 0, 1, 0x2d],
        &[0, 0],
    ]
    .concat();
    let expected = SessionSetup {
        agreement: KeyAgreement::HandleKey {
            handle: "0.NA/88.118.8",
            index: 301,
        },
        ..expected
    };
    assert_eq!(SessionSetup::decode(&named), Ok(expected));
    for timeout_s in [0u32, 86_400] {
        let timed = [&named[..2], &timeout_s.to_be_bytes(), &named[2..]].concat();
        let expected = SessionSetup {
            timeout_s: Some(timeout_s),
            ..expected
        };
        assert_eq!(SessionSetup::decode(&timed), Ok(expected));
    }
}

/// The RFC's attributes, in any order, each once (RFC 3652 §3.8.1).
#[test]
fn a_session_set_up_of_the_rfc() {
    let timeout = [&text("HS_SESSION_TIMEOUT")[..], &[0, 0, 0, 120]].concat();
    let exchange = [
        &text("HS_SESSION_KEY_EXCHANGE")[..],
        &text("DIFFIE_HELLMAN"),
        &[0, 0, 0, 1, 8, 0, 0, 0, 1, 53, 0, 0, 0, 1, 5],
    ]
    .concat();
    let body = [&[0, 0, 0, 2][..], &exchange, &timeout].concat();
    let expected = SessionSetup {
        identity: "",
        identity_index: NO_INDEX,
        agreement: KeyAgreement::DiffieHellman([&[8], &[53], &[5]]),
        timeout_s: Some(120),
    };
    assert_eq!(SessionSetup::decode(&body), Ok(expected));
    let twice = [&[0, 0, 0, 2][..], &timeout, &timeout].concat();
    let error = SessionSetup::decode(&twice).unwrap_err();
    assert_eq!(error.part(), "repeated session attribute");
    let odd = [&[0, 0, 0, 1][..], &text("HS_SESSION_ODDITY")].concat();
    assert!(SessionSetup::decode(&odd).is_err());
    assert!(SessionSetup::decode(&[0, 9, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
}

#[test]
fn a_verification_is_one_octet_behind_the_digest() {
    let question = VerifyRequest {
        handle: "0.NA/88.118.8",
        index: 300,
        challenge: Challenge {
            digest: RequestDigest::Sha1([7; 20]),
            nonce: vec![9; 16],
        },
        response: b"r",
    };
    let head = RequestHead {
        flags: OpFlags::REQUEST_DIGEST | OpFlags::CERTIFY,
        ..HEAD
    };
    let request = head.verify_answer(&question).unwrap();
    let read = decode_request(&request, Transport::Tcp).unwrap();
    for proven in [false, true] {
        let mut out = Vec::new();
        Reply::new(&read.reply_to, 1, 0)
            .raw(&mut out, ResponseCode::SUCCESS, &encode_verified(proven))
            .unwrap();
        let response = Response::decode(&out).unwrap();
        assert_eq!(response.body, ResponseBody::Verified(proven));
        assert_eq!(response.answers(&request), Some(true));
    }
}

#[test]
fn an_error_names_the_values_that_caused_it() {
    let request = HEAD.add_values("88.118.8/a", &[]).unwrap();
    let read = decode_request(&request, Transport::Tcp).unwrap();
    let body = [
        &[0, 0, 0, 5][..],
        b"taken",
        &[0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2],
    ];
    let mut out = Vec::new();
    Reply::new(&read.reply_to, 1, 0)
        .raw(&mut out, ResponseCode::VALUE_EXISTS, &body.concat())
        .unwrap();
    let expected = ResponseBody::Error {
        message: "taken".to_string(),
        indexes: vec![1, 2],
    };
    assert_eq!(Response::decode(&out).unwrap().body, expected);
}

#[test]
fn an_empty_algorithm_of_a_key_exchange_is_none() {
    let exchange = KeyExchange {
        encrypted_key: b"k",
        algorithm: None,
    };
    let body = [&exchange.encode()[..], &[0; 8]].concat();
    assert_eq!(KeyExchange::decode(&body), Ok(exchange));
}
