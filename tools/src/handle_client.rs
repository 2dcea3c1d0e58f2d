//! A client's connection to a Handle server, on which requests are asked one after the other: the
//! I/O around [`Exchange`].

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;

use idnode_proto::handle::auth::ClientKey;
use idnode_proto::handle::{
    AdminId, Exchange, ExchangeError, FrameStatus, MessageTooLong, OpFlags, RequestHead, Response,
    Step, tcp_frame,
};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Who asks, and the key that proves it.
pub(crate) type Identity<'k> = (&'k AdminId, &'k ClientKey);

/// Why a request has no answer.
#[derive(Debug, Error)]
pub(crate) enum AskError {
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The request has no encoding, or what came is no answer to it.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// Whoever asked wants no more of the answer.
    #[error("the answer was not read to its end")]
    Stopped,
}

/// For requests whose answers are one message.
pub(crate) fn one_message(_more: Response) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A TCP connection that does not hold small writes back.
pub(crate) async fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection to a Handle server.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    stream: S,
    /// Requests that have not been sent.
    to_send: Vec<u8>,
    /// What came and has not been read, not much more than one message.
    received: Vec<u8>,
    last_id: u32,
    /// Bytes of all messages that have been read.
    pub(crate) read_bytes: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// On a stream that nothing has been sent on.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            to_send: Vec::new(),
            received: Vec::new(),
            last_id: 0,
            read_bytes: 0,
        }
    }

    /// Asks one request that `write` makes, answers a challenge if there is an identity, and hands
    /// all messages of the answer but the last to `part`, as long as that wants more. The answer may
    /// be a refusal.
    pub(crate) async fn ask(
        &mut self,
        flags: OpFlags,
        write: impl FnOnce(&RequestHead) -> Result<Vec<u8>, MessageTooLong>,
        identity: Option<Identity<'_>>,
        part: impl FnMut(Response) -> ControlFlow<()>,
    ) -> Result<Response, AskError> {
        let exchange = self.begin(flags, write, identity)?;
        self.end(exchange, part).await
    }

    /// Makes a request, which is sent when an answer is waited for.
    pub(crate) fn begin<'k>(
        &mut self,
        flags: OpFlags,
        write: impl FnOnce(&RequestHead) -> Result<Vec<u8>, MessageTooLong>,
        identity: Option<Identity<'k>>,
    ) -> Result<Exchange<'k>, AskError> {
        self.last_id = self.last_id.wrapping_add(1);
        let head = RequestHead {
            flags,
            ..RequestHead::new(self.last_id)
        };
        let request = write(&head).map_err(ExchangeError::from)?;
        let exchange = Exchange::new(head, request, identity);
        self.to_send.extend_from_slice(exchange.request());
        Ok(exchange)
    }

    /// Waits for the answer to the oldest request that has none, as [`Self::ask`] does.
    pub(crate) async fn end(
        &mut self,
        mut exchange: Exchange<'_>,
        mut part: impl FnMut(Response) -> ControlFlow<()>,
    ) -> Result<Response, AskError> {
        loop {
            let length = self.whole_message().await?;
            let step = exchange.receive(self.received.get(..length).unwrap_or_default())?;
            self.received.drain(..length);
            self.read_bytes += length as u64;
            match step {
                Step::Send(message) => self.to_send.extend_from_slice(&message),
                Step::Part(response) => {
                    if part(response).is_break() {
                        return Err(AskError::Stopped);
                    }
                }
                Step::Done(response) => return Ok(response),
            }
        }
    }

    /// Whether a whole message has come that nobody has waited for.
    pub(crate) fn has_message(&self) -> bool {
        matches!(tcp_frame(&self.received), FrameStatus::Complete { .. })
    }

    /// Proves the identity once for all that follows on the connection (operation 2001). The
    /// answer may be a refusal.
    pub(crate) async fn log_in(&mut self, identity: Identity<'_>) -> Result<Response, AskError> {
        let write = |head: &RequestHead| head.log_in(identity.0);
        self.ask(OpFlags::KEEP_ALIVE, write, Some(identity), one_message)
            .await
    }

    /// The same with name and password (operation 2000).
    pub(crate) async fn log_in_with_password(
        &mut self,
        name: &str,
        password: &str,
    ) -> Result<Response, AskError> {
        let write = |head: &RequestHead| head.log_in_with_password(name, password);
        self.ask(OpFlags::KEEP_ALIVE, write, None, one_message)
            .await
    }

    async fn send(&mut self) -> io::Result<()> {
        if self.to_send.is_empty() {
            return Ok(());
        }
        self.stream.write_all(&self.to_send).await?;
        self.to_send.clear();
        self.stream.flush().await
    }

    /// Sends what is to be sent, and reads until there is a whole message; its length.
    async fn whole_message(&mut self) -> io::Result<usize> {
        self.send().await?;
        loop {
            match tcp_frame(&self.received) {
                FrameStatus::Complete { len } => return Ok(len),
                FrameStatus::Invalid(error) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
                FrameStatus::NeedMore(_) => {
                    if self.stream.read_buf(&mut self.received).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }
}

/// A secret key as files have it: without the line end behind it.
pub(crate) fn without_line_end(mut secret: Vec<u8>) -> Vec<u8> {
    if secret.ends_with(b"\n") {
        secret.pop();
        secret.pop_if(|last| *last == b'\r');
    }
    secret
}
