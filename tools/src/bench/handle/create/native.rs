//! Creates over the Handle protocol (RFC 3652 §3.6.4).

use std::collections::VecDeque;
use std::net::SocketAddr;

use idnode_proto::handle::auth::ClientKey;
use idnode_proto::handle::{AdminId, Exchange, OpCode, OpFlags};
use tokio::net::TcpStream;

use super::record::Record;
use super::writers::{Acknowledged, Broken};
use crate::bench::error::Failure;
use crate::handle_client::{AskError, Connection, Identity, connect, one_message};

/// Whom is written to, and who writes.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) server: SocketAddr,
    pub(super) identity: AdminId,
    pub(super) key: ClientKey,
    /// Whether a connection is logged in; without it each create is proven.
    pub(super) logs_in: bool,
}

/// A connection, logged in or not.
#[derive(Debug)]
pub(super) struct Writer<'t> {
    connection: Connection<TcpStream>,
    /// Requests without an answer.
    begun: VecDeque<Exchange<'t>>,
    /// Who answers the challenges of creates.
    identity: Option<Identity<'t>>,
}

impl Target {
    /// Connects and proves the identity, if that is to be done once.
    pub(super) async fn connect(&self) -> Result<Writer<'_>, Failure> {
        let what = format!("a connection to {}", self.server);
        let stream = connect(self.server).await.map_err(Failure::io(what))?;
        let mut connection = Connection::new(stream);
        let identity = (&self.identity, &self.key);
        if !self.logs_in {
            let identity = Some(identity);
            return Ok(Writer {
                connection,
                begun: VecDeque::new(),
                identity,
            });
        }
        let answer = connection.log_in(identity).await;
        let answer = answer.map_err(|error| Failure::Protocol(format!("the log-in: {error}")))?;
        if !answer.code.is_success() {
            let words = answer.message().unwrap_or_default();
            let refused = format!("the log-in of {}: {}: {words}", self.identity, answer.code);
            return Err(Failure::Protocol(refused));
        }
        let identity = None;
        Ok(Writer {
            connection,
            begun: VecDeque::new(),
            identity,
        })
    }
}

impl Writer<'_> {
    /// Makes a request that registers one handle; it is sent when an answer is waited for.
    pub(super) fn begin(&mut self, record: &Record) -> Result<(), Broken> {
        let exchange = self.connection.begin(
            OpFlags::KEEP_ALIVE,
            |head| head.create(&record.handle, &record.values),
            self.identity,
        )?;
        self.begun.push_back(exchange);
        Ok(())
    }

    /// Waits for the answer to the oldest request.
    pub(super) async fn acknowledged(&mut self) -> Result<Acknowledged, Broken> {
        let nothing = || Broken::Answer("nothing was asked".to_owned());
        let exchange = self.begun.pop_front().ok_or_else(nothing)?;
        let read_before = self.connection.read_bytes;
        let answer = self.connection.end(exchange, one_message).await?;
        Ok(Acknowledged {
            code: u16::try_from(answer.code.0).unwrap_or(u16::MAX),
            is_right: answer.code.is_success() && answer.header.op_code == OpCode::CREATE,
            length: (self.connection.read_bytes - read_before) as usize,
        })
    }

    /// Whether an answer has come that nobody has waited for.
    pub(super) fn has_answer(&self) -> bool {
        self.connection.has_message()
    }
}

impl From<AskError> for Broken {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Io(error) => Self::Connection(error),
            error => Self::Answer(error.to_string()),
        }
    }
}
