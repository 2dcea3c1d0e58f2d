//! The bodies of Handle operations beyond resolution, of requests and of answers.
#![no_main]

mod bounded;

use bounded::decoded;
use idnode_proto::handle::auth::Credential;
use idnode_proto::handle::auth::agreement::DiffieHellman;
use idnode_proto::handle::body::challenge::{Challenge, ChallengeAnswer, LogIn};
use idnode_proto::handle::body::change::{RemoveRequest, ValuesRequest, decode_created};
use idnode_proto::handle::body::list::decode_handle_list;
use idnode_proto::handle::body::mirror::{
    Dump, DumpRequest, Transactions, TransactionsRequest, decode_backup, decode_next_transaction,
};
use idnode_proto::handle::body::session::{KeyAgreement, KeyExchange, SessionAnswer, SessionSetup};
use idnode_proto::handle::{OpCode, Operation};
use idnode_proto::value::Value;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else {
        return;
    };
    let op_code = OpCode::ALL[usize::from(*choice) % OpCode::ALL.len()];
    if let Ok(operation) = decoded(body, || Operation::decode(op_code, body)) {
        again(&operation);
    }
    let _ = decode_created(body);
    if let Ok(handles) = decoded(body, || decode_handle_list(body)) {
        assert!(handles.len() * 4 <= body.len());
    }
    let _ = decode_next_transaction(body);
    let _ = decode_backup(body);
    let _ = decoded(body, || Transactions::decode(body));
    let _ = decoded(body, || Dump::decode(body));
    if let Ok(challenge) = decoded(body, || Challenge::decode(body)) {
        let mut written = Vec::new();
        challenge.encode(&mut written);
        assert_eq!(Challenge::decode(&written).as_ref(), Ok(&challenge));
    }
    if let Ok(answer) = decoded(body, || SessionAnswer::decode(body)) {
        let mut written = Vec::new();
        answer.encode(&mut written);
        assert_eq!(SessionAnswer::decode(&written), Ok(answer));
    }
    if let Ok(credential) = decoded(body, || Credential::decode(body)) {
        assert_eq!(Credential::decode(&credential.encode()), Ok(credential));
        let _ = credential.verify_mac(credential.index, b"session key", body);
    }
});

/// What was read is written as what reads the same.
fn again(operation: &Operation<'_>) {
    match operation {
        Operation::Create(read) | Operation::AddValues(read) | Operation::ModifyValues(read) => {
            let values: Vec<Value> = read.values().map(|value| value.to_owned()).collect();
            let body = ValuesRequest::encode(read.handle, &values);
            assert_eq!(ValuesRequest::decode(&body).as_ref(), Ok(read));
        }
        Operation::RemoveValues(read) => {
            let body = RemoveRequest::encode(read.handle, &read.indexes);
            assert_eq!(RemoveRequest::decode(&body).as_ref(), Ok(read));
        }
        Operation::AnswerChallenge(read) => {
            assert_eq!(ChallengeAnswer::decode(&read.encode()).as_ref(), Ok(read));
        }
        Operation::Transactions(read) => {
            let body = read.encode();
            assert_eq!(TransactionsRequest::decode(&body).as_ref(), Ok(read));
        }
        Operation::Dump(read) => assert_eq!(DumpRequest::decode(&read.encode()).as_ref(), Ok(read)),
        Operation::LogIn(read) => assert_eq!(LogIn::decode(&read.encode()).as_ref(), Ok(read)),
        Operation::ExchangeKey(read) => {
            assert_eq!(KeyExchange::decode(&read.encode()).as_ref(), Ok(read));
        }
        Operation::SetUpSession(read) => set_up(read),
        _ => {}
    }
}

/// A session's set-up reads the same again, and whatever numbers are in it agree or are refused.
fn set_up(read: &SessionSetup<'_>) {
    let body = read.encode();
    let again = SessionSetup::decode(&body).expect("what was written is read");
    assert_eq!(again.agreement, read.agreement);
    if let KeyAgreement::DiffieHellman(numbers) = read.agreement
        && let Ok((own, public)) = DiffieHellman::with(numbers)
    {
        assert!(!own.public().is_empty());
        let _ = own.key_with(public);
    }
}
