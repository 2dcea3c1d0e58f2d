//! The client's side of administration: requests of every operation with a public form.

use super::admin::AdminId;
use super::auth::{ClientKey, ProofError};
use super::body::challenge::{Challenge, LogIn, PasswordLogIn, VerifyRequest};
use super::body::change::{HandleRequest, RemoveRequest, ValuesRequest};
use super::body::mirror::{DumpRequest, TransactionsRequest};
use super::body::session::{KeyExchange, SessionSetup};
use super::client::RequestHead;
use super::code::OpCode;
use super::message::MessageTooLong;
use crate::value::Value;

/// Every method's errors are [`MessageTooLong`].
impl RequestHead {
    /// Create a handle with these values; [`super::OpFlags::OVERWRITE`] and
    /// [`super::OpFlags::MINT`] apply.
    pub fn create(&self, handle: &str, values: &[Value]) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::CREATE, &ValuesRequest::encode(handle, values))
    }

    /// Delete a handle.
    pub fn delete(&self, handle: &str) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::DELETE, &HandleRequest::encode(handle))
    }

    /// Add values to a handle.
    pub fn add_values(&self, handle: &str, values: &[Value]) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::ADD_VALUE, &ValuesRequest::encode(handle, values))
    }

    /// Remove the values at these indexes of a handle.
    pub fn remove_values(&self, handle: &str, indexes: &[u32]) -> Result<Vec<u8>, MessageTooLong> {
        self.request(
            OpCode::REMOVE_VALUE,
            &RemoveRequest::encode(handle, indexes),
        )
    }

    /// Put values in place of those with the same indexes of a handle.
    pub fn modify_values(&self, handle: &str, values: &[Value]) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::MODIFY_VALUE, &ValuesRequest::encode(handle, values))
    }

    /// List the handles under a prefix, named by its handle `0.NA/…`.
    pub fn list_handles(&self, prefix_handle: &str) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::LIST_HANDLES, &HandleRequest::encode(prefix_handle))
    }

    /// List the prefixes at home on the server.
    pub fn list_prefixes(&self, prefix_handle: &str) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::LIST_PREFIXES, &HandleRequest::encode(prefix_handle))
    }

    /// Ask for the number of the next transaction.
    pub fn next_transaction(&self) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::NEXT_TRANSACTION, &[])
    }

    /// Retrieve transactions from a number on, of some prefixes or of everything; about so many, or
    /// with 0 all.
    pub fn transactions(
        &self,
        from: u64,
        most: u32,
        prefixes: &[&str],
    ) -> Result<Vec<u8>, MessageTooLong> {
        let prefixes = prefixes.to_vec();
        let body = TransactionsRequest {
            from,
            most,
            prefixes,
        };
        self.request(OpCode::RETRIEVE_TRANSACTIONS, &body.encode())
    }

    /// Dump the handles of some prefixes, or everything.
    pub fn dump(&self, prefixes: &[&str]) -> Result<Vec<u8>, MessageTooLong> {
        let prefixes = prefixes.to_vec();
        self.request(OpCode::DUMP_HANDLES, &DumpRequest { prefixes }.encode())
    }

    /// Have the server back itself up.
    pub fn back_up(&self) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::BACKUP, &[])
    }

    /// Make the server responsible for a prefix.
    pub fn home_prefix(&self, prefix_handle: &str) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::HOME_PREFIX, &HandleRequest::encode(prefix_handle))
    }

    /// Make it responsible no longer.
    pub fn unhome_prefix(&self, prefix_handle: &str) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::UNHOME_PREFIX, &HandleRequest::encode(prefix_handle))
    }

    /// Log in the connection (operation 2001), which the server answers with a challenge.
    pub fn log_in(&self, user: &AdminId) -> Result<Vec<u8>, MessageTooLong> {
        let body = LogIn {
            handle: &user.handle.display(),
            index: user.index,
        };
        self.request(OpCode::LOGIN, &body.encode())
    }

    /// Log in the connection with name and password (operation 2000).
    pub fn log_in_with_password(
        &self,
        name: &str,
        password: &str,
    ) -> Result<Vec<u8>, MessageTooLong> {
        let body = PasswordLogIn { name, password }.encode();
        self.request(OpCode::LOGIN_PASSWORD, &body)
    }

    /// Answer a challenge. The session of this head must be that of the challenge's envelope.
    /// The inner error: why the key makes no proof.
    pub fn answer_challenge(
        &self,
        key: &ClientKey,
        identity: &AdminId,
        challenge: &Challenge,
    ) -> Result<Result<Vec<u8>, MessageTooLong>, ProofError> {
        let body = key.answer(identity, challenge)?;
        Ok(self.request(OpCode::CHALLENGE_ANSWER, &body))
    }

    /// Ask whether an answer to a challenge proves a secret key of that server.
    pub fn verify_answer(&self, question: &VerifyRequest<'_>) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::VERIFY_ANSWER, &question.encode())
    }

    /// Set up a session.
    pub fn set_up_session(&self, setup: &SessionSetup<'_>) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::SESSION_SETUP, &setup.encode())
    }

    /// Hand over a session's key.
    pub fn exchange_key(&self, exchange: &KeyExchange<'_>) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::SESSION_EXCHANGE_KEY, &exchange.encode())
    }

    /// End a session.
    pub fn terminate_session(&self) -> Result<Vec<u8>, MessageTooLong> {
        self.request(OpCode::SESSION_TERMINATE, &[])
    }
}
