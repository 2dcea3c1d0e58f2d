//! The bodies of every operation beyond resolution, of requests and of answers (RFC 3652 §3.5 to
//! §3.8), read where they lie and written. Bytes behind what a body needs are left alone, as the
//! Chinese SDKs leave some.
//!
//! | module | operations |
//! |---|---|
//! | [`change`] | create, delete, add, remove and modify values; home and unhome a prefix |
//! | [`list`] | handles and prefixes, in several messages where one does not hold them |
//! | [`challenge`] | challenges, their answers, verification, log-in |
//! | [`session`] | set-up and key exchange |
//! | [`mirror`] | transactions, dumps, backups; in a form of this project's own |

pub mod challenge;
pub mod change;
pub mod list;
pub mod mirror;
pub mod session;

use super::code::OpCode;
use super::request::ResolveRequest;
use super::wire::{Reader, WireError};
use crate::value::MAX_HANDLE_LEN;
use challenge::{ChallengeAnswer, LogIn, PasswordLogIn, VerifyRequest};
use change::{HandleRequest, RemoveRequest, ValuesRequest};
use mirror::{DumpRequest, TransactionsRequest};
use session::{KeyExchange, SessionSetup};

/// A request of any operation but resolution and site information, with its body read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation<'a> {
    /// 100: create a handle with these values.
    Create(ValuesRequest<'a>),
    /// 101: delete a handle.
    Delete(HandleRequest<'a>),
    /// 102: add these values.
    AddValues(ValuesRequest<'a>),
    /// 103: remove the values at these indexes.
    RemoveValues(RemoveRequest<'a>),
    /// 104: put these values in place of those with the same indexes.
    ModifyValues(ValuesRequest<'a>),
    /// 105: the handles under a prefix, named by its own handle.
    ListHandles(HandleRequest<'a>),
    /// 106 and 302: the prefixes below a prefix, or those at home here.
    ListPrefixes(HandleRequest<'a>),
    /// 200: the answer to a challenge.
    AnswerChallenge(ChallengeAnswer<'a>),
    /// 201: whether an answer to a challenge proves a secret key kept here.
    VerifyAnswer(VerifyRequest<'a>),
    /// 300: this server is to be responsible for a prefix.
    HomePrefix(HandleRequest<'a>),
    /// 301: it no longer is.
    UnhomePrefix(HandleRequest<'a>),
    /// 400: a session.
    SetUpSession(SessionSetup<'a>),
    /// 401: its end.
    TerminateSession,
    /// 402: the session's key, chosen by the client.
    ExchangeKey(KeyExchange<'a>),
    /// 1000: the number that the next transaction will have.
    NextTransaction,
    /// 1001: transactions from a number on.
    Transactions(TransactionsRequest<'a>),
    /// 1002: handles with their values.
    Dump(DumpRequest<'a>),
    /// 1003: a backup of the server.
    BackUp,
    /// 2000: log in with name and password.
    LogInWithPassword(PasswordLogIn<'a>),
    /// 2001: log in the connection by a challenge.
    LogIn(LogIn<'a>),
    /// A number without a meaning: the body is not read.
    Unspecified(OpCode),
}

impl<'a> Operation<'a> {
    /// Reads the body of a request. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(op_code: OpCode, body: &'a [u8]) -> Result<Self, WireError> {
        Ok(match op_code {
            OpCode::CREATE => Self::Create(ValuesRequest::decode(body)?),
            OpCode::DELETE => Self::Delete(HandleRequest::decode(body)?),
            OpCode::ADD_VALUE => Self::AddValues(ValuesRequest::decode(body)?),
            OpCode::REMOVE_VALUE => Self::RemoveValues(RemoveRequest::decode(body)?),
            OpCode::MODIFY_VALUE => Self::ModifyValues(ValuesRequest::decode(body)?),
            OpCode::LIST_HANDLES => Self::ListHandles(HandleRequest::decode(body)?),
            OpCode::LIST_PREFIXES | OpCode::LIST_PREFIXES_RFC => {
                Self::ListPrefixes(HandleRequest::decode(body)?)
            }
            OpCode::CHALLENGE_ANSWER => Self::AnswerChallenge(ChallengeAnswer::decode(body)?),
            OpCode::VERIFY_ANSWER => Self::VerifyAnswer(VerifyRequest::decode(body)?),
            OpCode::HOME_PREFIX => Self::HomePrefix(HandleRequest::decode(body)?),
            OpCode::UNHOME_PREFIX => Self::UnhomePrefix(HandleRequest::decode(body)?),
            OpCode::SESSION_SETUP => Self::SetUpSession(SessionSetup::decode(body)?),
            OpCode::SESSION_TERMINATE => Self::TerminateSession,
            OpCode::SESSION_EXCHANGE_KEY => Self::ExchangeKey(KeyExchange::decode(body)?),
            OpCode::NEXT_TRANSACTION => Self::NextTransaction,
            OpCode::RETRIEVE_TRANSACTIONS => Self::Transactions(TransactionsRequest::decode(body)?),
            OpCode::DUMP_HANDLES => Self::Dump(DumpRequest::decode(body)?),
            OpCode::BACKUP => Self::BackUp,
            OpCode::LOGIN_PASSWORD => {
                let query = ResolveRequest::decode(body)?;
                Self::LogInWithPassword(PasswordLogIn::of(&query)?)
            }
            OpCode::LOGIN => Self::LogIn(LogIn::decode(body)?),
            other => Self::Unspecified(other),
        })
    }
}

/// The handle of a request's body.
fn read_handle<'a>(reader: &mut Reader<'a>) -> Result<&'a str, WireError> {
    reader.str("handle", MAX_HANDLE_LEN)
}
