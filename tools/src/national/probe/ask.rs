//! The questions of a probe. An answer that says that the node works, but not with what was asked for,
//! is no sign of an outage: a probe that is set up wrongly must not take a node over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use idnode_proto::api::identifier_service_client::IdentifierServiceClient;
use idnode_proto::api::value::Data;
use idnode_proto::api::{CreateIdentifierRequest, UpdateIdentifierRequest, Value};
use idnode_proto::handle::{
    FrameStatus, Reassembler, ReassemblyLimits, RequestHead, Response, ResponseCode, datagrams,
    tcp_frame,
};
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::window::Seen;
use crate::national::now_ms;

/// Longest answer that is read, bytes.
const MAX_ANSWER_BYTES: usize = 300_000;
/// How often a datagram is sent before there is no answer.
const TRIES: u32 = 3;

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) seen: Seen,
    /// For people.
    pub(super) detail: String,
}

impl Outcome {
    pub(super) fn new(seen: Seen, detail: impl Into<String>) -> Self {
        Self {
            seen,
            detail: detail.into(),
        }
    }
}

/// An answer, or why there is none.
pub(super) type Asked = Result<Outcome, String>;

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn udp(server: SocketAddr, source: Option<IpAddr>) -> Result<UdpSocket, String> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let local = SocketAddr::new(source.unwrap_or(any), 0);
    let socket = UdpSocket::bind(local).await.map_err(words)?;
    socket.connect(server).await.map_err(words)?;
    Ok(socket)
}

async fn tcp(server: SocketAddr, source: Option<IpAddr>) -> Result<TcpStream, String> {
    let socket = match server {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(words)?;
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0)).map_err(words)?;
    }
    socket.connect(server).await.map_err(words)
}

/// Sends datagrams, again and again, until `read` makes something of one that comes back.
async fn exchange<T>(
    socket: &UdpSocket,
    question: &[Vec<u8>],
    within: std::time::Duration,
    mut read: impl FnMut(&[u8]) -> Option<T>,
) -> Result<T, String> {
    let mut buffer = vec![0; 65_536];
    for _ in 0..TRIES {
        for datagram in question {
            socket.send(datagram).await.map_err(words)?;
        }
        let until = tokio::time::Instant::now() + within / TRIES;
        while let Ok(received) = tokio::time::timeout_at(until, socket.recv(&mut buffer)).await {
            let length = received.map_err(words)?;
            if let Some(answer) = read(buffer.get(..length).unwrap_or_default()) {
                return Ok(answer);
            }
        }
    }
    Err("no answer over UDP".to_owned())
}

/// Resolves over the Handle protocol in datagrams.
pub(super) async fn handle_udp(
    server: SocketAddr,
    source: Option<IpAddr>,
    handle: &str,
    within: std::time::Duration,
) -> Asked {
    let (id, question) = handle_question(handle)?;
    let pieces = datagrams(&question).map(|datagram| {
        let mut bytes = Vec::new();
        datagram.encode(&mut bytes);
        bytes
    });
    let pieces: Vec<Vec<u8>> = pieces.collect();
    let socket = udp(server, source).await?;
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    let began = Instant::now();
    let read = |bytes: &[u8]| {
        let now_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let message = reassembler.accept(&server, bytes, now_ms).ok()??;
        let response = Response::decode(&message).ok()?;
        (response.envelope.request_id == id).then_some(response)
    };
    Ok(of_handle(&exchange(&socket, &pieces, within, read).await?))
}

/// Resolves over the Handle protocol on a connection.
pub(super) async fn handle_tcp(server: SocketAddr, source: Option<IpAddr>, handle: &str) -> Asked {
    let (id, question) = handle_question(handle)?;
    let mut stream = tcp(server, source).await?;
    stream.write_all(&question).await.map_err(words)?;
    let mut received = Vec::new();
    let length = loop {
        match tcp_frame(&received) {
            FrameStatus::Complete { len } => break len,
            FrameStatus::Invalid(error) => return Err(words(error)),
            FrameStatus::NeedMore(_) if received.len() > MAX_ANSWER_BYTES => {
                return Err("an answer without an end".to_owned());
            }
            FrameStatus::NeedMore(_) => {
                if stream.read_buf(&mut received).await.map_err(words)? == 0 {
                    return Err("the connection ended without an answer".to_owned());
                }
            }
        }
    };
    let response = Response::decode(received.get(..length).unwrap_or_default()).map_err(words)?;
    match response.envelope.request_id == id {
        true => Ok(of_handle(&response)),
        false => Err("an answer to another request".to_owned()),
    }
}

fn handle_question(handle: &str) -> Result<(u32, Vec<u8>), String> {
    let id = getrandom::u32().map_err(words)?;
    let question = RequestHead::new(id).resolve(handle, &[], &[]);
    Ok((id, question.map_err(words)?))
}

fn of_handle(response: &Response) -> Outcome {
    let code = response.code;
    let seen = match code {
        ResponseCode::SUCCESS | ResponseCode::SERVICE_REFERRAL | ResponseCode::PREFIX_REFERRAL => {
            Seen::Works
        }
        ResponseCode::ERROR | ResponseCode::BUSY => Seen::Down,
        _ => Seen::Unclear,
    };
    Outcome::new(seen, format!("code {}", code.0))
}

/// Resolves over DNS: the TXT records of a name, in wire form.
pub(super) async fn dns(
    server: SocketAddr,
    source: Option<IpAddr>,
    name: &[u8],
    within: std::time::Duration,
) -> Asked {
    let id = (getrandom::u32().map_err(words)? as u16).to_be_bytes();
    let mut question = vec![0, 0, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    question.splice(..2, id);
    question.extend_from_slice(name);
    // Type TXT, class IN.
    question.extend_from_slice(&[0, 16, 0, 1]);
    let socket = udp(server, source).await?;
    let read = |bytes: &[u8]| {
        let header = bytes.first_chunk::<12>()?;
        let [first, second, flags, more, _, _, high, low, ..] = *header;
        let is_answer = [first, second] == id && flags & 0x80 != 0;
        // Truncated: there is an answer, longer than a datagram.
        let is_there = [high, low] != [0, 0] || flags & 0x02 != 0;
        is_answer.then_some((more & 0x0f, is_there))
    };
    let (code, is_there) = exchange(&socket, &[question], within, read).await?;
    let seen = match (code, is_there) {
        (0, true) => Seen::Works,
        (2, _) => Seen::Down,
        _ => Seen::Unclear,
    };
    Ok(Outcome::new(seen, format!("response code {code}")))
}

/// Connects to the gRPC front.
pub(super) async fn grpc(
    server: SocketAddr,
    source: Option<IpAddr>,
    within: std::time::Duration,
) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{server}")).map_err(words)?;
    let endpoint = endpoint
        .connect_timeout(within)
        .timeout(within)
        .local_address(source);
    endpoint.connect().await.map_err(|error| innermost(&error))
}

/// Registers, or changes, a probe's own identifier.
pub(super) async fn register(channel: Channel, key: &str, identifier: &str) -> Asked {
    let values = vec![Value {
        index: 1,
        r#type: "PROBE".to_owned(),
        data: Some(Data::Text(now_ms().to_string())),
        ..Value::default()
    }];
    let mut client = IdentifierServiceClient::new(channel);
    let update = UpdateIdentifierRequest {
        identifier: identifier.to_owned(),
        set_values: values.clone(),
        replace_all: true,
        ..UpdateIdentifierRequest::default()
    };
    let updated = client.update_identifier(with_key(update, key)?).await;
    let missing = |status: &Status| reason(status).as_deref() == Some("IDENTIFIER_NOT_FOUND");
    let written = match updated {
        Err(status) if missing(&status) => {
            let create = CreateIdentifierRequest {
                identifier: identifier.to_owned(),
                values,
                ..CreateIdentifierRequest::default()
            };
            client.create_identifier(with_key(create, key)?).await
        }
        other => other,
    };
    match written {
        Ok(_) => Ok(Outcome::new(Seen::Works, "registered")),
        Err(status) => Ok(of_status(&status)),
    }
}

fn with_key<T>(message: T, key: &str) -> Result<Request<T>, String> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {key}").parse();
    let bearer = bearer.map_err(|_| "the API key is no ASCII text".to_owned())?;
    request.metadata_mut().insert("authorization", bearer);
    Ok(request)
}

fn of_status(status: &Status) -> Outcome {
    let why = reason(status);
    let detail = format!("{}: {}", status.code(), status.message());
    let seen = match (status.code(), why.as_deref()) {
        // The national node registers there now: the node keeps to it, and works.
        (_, Some("PREFIX_TAKEN_OVER")) => Seen::Works,
        (
            Code::Unavailable
            | Code::Internal
            | Code::DeadlineExceeded
            | Code::Unknown
            | Code::Cancelled
            | Code::DataLoss
            | Code::Aborted,
            _,
        ) => Seen::Down,
        _ => Seen::Unclear,
    };
    Outcome::new(seen, detail)
}

fn reason(status: &Status) -> Option<String> {
    let details = status.get_error_details();
    details.error_info().map(|info| info.reason.clone())
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// What the node says of itself, at its monitoring endpoint.
pub(super) async fn monitor(
    server: SocketAddr,
    source: Option<IpAddr>,
    token: &str,
) -> Result<Json, String> {
    let mut stream = tcp(server, source).await?;
    let question = format!(
        "GET /api/monitor HTTP/1.1\r\nhost: {server}\r\nauthorization: Bearer {token}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(question.as_bytes()).await.map_err(words)?;
    let mut received = Vec::new();
    let mut stream = stream.take(MAX_ANSWER_BYTES as u64);
    stream.read_to_end(&mut received).await.map_err(words)?;
    let text = String::from_utf8_lossy(&received);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| "no answer over HTTP".to_owned())?;
    let status = head.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some("200") => serde_json::from_str(body).map_err(words),
        _ => Err(status.to_owned()),
    }
}
