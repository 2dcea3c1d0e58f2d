//! PUT /api/handles over HTTP/1.1 (RFC 9112), on a connection that is kept.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::record::Record;
use super::writers::{Acknowledged, Broken};
use crate::bench::error::Failure;
use crate::bench::handle::http::{answer_lengths, push_path, status_of};
use crate::handle_client::connect;

/// The longest answer that is read, bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Whom is written to, and by which right.
#[derive(Debug)]
pub(super) struct Target {
    server: SocketAddr,
    /// What follows the handle, up to the length of the body.
    fields: String,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Writer<'t> {
    target: &'t Target,
    stream: TcpStream,
    /// Requests that have not been sent.
    out: Vec<u8>,
    /// The handles of requests without an answer.
    begun: VecDeque<String>,
    received: Vec<u8>,
}

impl Target {
    /// For the holder of a token.
    pub(super) fn new(server: SocketAddr, token: &str) -> Self {
        let fields = format!(
            "?overwrite=false HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: "
        );
        Self { server, fields }
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Writer<'_>, Failure> {
        let what = format!("a connection to {}", self.server);
        Ok(Writer {
            target: self,
            stream: connect(self.server).await.map_err(Failure::io(what))?,
            out: Vec::new(),
            begun: VecDeque::new(),
            received: Vec::new(),
        })
    }
}

impl Writer<'_> {
    /// Makes a request that registers one handle; it is sent when an answer is waited for.
    pub(super) fn begin(&mut self, record: &Record) {
        let body = body_of(record);
        self.out.extend_from_slice(b"PUT /api/handles/");
        push_path(&mut self.out, &record.handle);
        self.out.extend_from_slice(self.target.fields.as_bytes());
        let length = format!("{}\r\n\r\n", body.len());
        self.out.extend_from_slice(length.as_bytes());
        self.out.extend_from_slice(body.as_bytes());
        self.begun.push_back(record.handle.clone());
    }

    /// Waits for the answer to the oldest request.
    pub(super) async fn acknowledged(&mut self) -> Result<Acknowledged, Broken> {
        let handle = self.begun.pop_front().unwrap_or_default();
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        let (head, length) = self.whole_answer().await?;
        let answer = self.received.get(..head + length).unwrap_or_default();
        let code = status_of(answer)
            .ok_or_else(|| Broken::Answer("an HTTP answer without a status".to_owned()))?;
        let body = answer.get(head..).unwrap_or_default();
        let acknowledged = Acknowledged {
            code,
            is_right: code == 201 && is_success(body, &handle),
            length: answer.len(),
        };
        self.received.drain(..head + length);
        Ok(acknowledged)
    }

    /// Whether an answer has come that nobody has waited for.
    pub(super) fn has_answer(&self) -> bool {
        let lengths = answer_lengths(&self.received);
        matches!(lengths, Ok(Some((head, body))) if self.received.len() - head >= body)
    }

    /// Reads until there is a whole answer; the lengths of its head and its body.
    async fn whole_answer(&mut self) -> io::Result<(usize, usize)> {
        loop {
            if let Some((head, body)) = answer_lengths(&self.received)? {
                if head.saturating_add(body) > MAX_ANSWER_BYTES {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "an HTTP answer that is too long",
                    ));
                }
                if self.received.len() >= head + body {
                    return Ok((head, body));
                }
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The values as the API takes them.
fn body_of(record: &Record) -> String {
    let values: Vec<_> = record
        .values
        .iter()
        .map(|value| {
            json!({
                "index": value.index,
                "type": value.value_type,
                "data": String::from_utf8_lossy(&value.data),
            })
        })
        .collect();
    Value::from(values).to_string()
}

/// Whether the answer says that this handle is registered (code 1).
fn is_success(body: &[u8], handle: &str) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|body| {
        body.get("responseCode") == Some(&json!(1)) && body.get("handle") == Some(&json!(handle))
    })
}
