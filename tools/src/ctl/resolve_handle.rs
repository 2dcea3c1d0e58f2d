//! Resolution over the Handle protocol (RFC 3652), as any Handle client does it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use idnode_proto::api::resolve_response::Outcome;
use idnode_proto::api::value::{Data, Ttl};
use idnode_proto::api::{self, ResolveRequest, ResolveResponse};
use idnode_proto::handle::{
    FrameStatus, InterfaceProtocol, OpFlags, Reassembler, ReassemblyLimits, RequestHead, Response,
    ResponseBody, ResponseCode, Site, datagrams, tcp_frame,
};
use idnode_proto::identifier::Identifier;
use idnode_proto::value::{self, types};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::error::{Failure, Refusal};

/// How the server is asked.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Transport {
    /// Datagrams
    Udp,
    /// A connection
    Tcp,
}

/// Waits for an answer to a datagram this long before sending it again, then twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Asks a Handle server; the answer in the API's shape.
pub(crate) async fn resolve(
    server: SocketAddr,
    transport: Transport,
    request: &ResolveRequest,
    within: Duration,
) -> Result<ResolveResponse, Failure> {
    let id = getrandom::u32().map_err(|error| Failure::Io {
        what: "request id".to_owned(),
        source: std::io::Error::other(error.to_string()),
    })?;
    let types: Vec<&str> = request.types.iter().map(String::as_str).collect();
    let mut head = RequestHead::new(id);
    if request.recurse {
        head.flags = head.flags | OpFlags::RECURSE;
    }
    let query = head
        .resolve(&request.identifier, &request.indexes, &types)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let unreachable = |reason: String| Failure::Unreachable {
        server: server.to_string(),
        reason,
    };
    let exchange = async {
        match transport {
            Transport::Udp => over_udp(server, id, &query).await,
            Transport::Tcp => over_tcp(server, &query).await,
        }
    };
    let answer = timeout(within, exchange)
        .await
        .map_err(|_| unreachable(format!("no answer within {} s", within.as_secs())))?
        .map_err(|error| unreachable(error.to_string()))?;
    let response = Response::decode(&answer).map_err(|error| {
        Failure::Answer(format!("{server} answers what cannot be read: {error}"))
    })?;
    if response.envelope.request_id != id {
        return Err(Failure::Answer(format!("{server} answers another request")));
    }
    translate(request, response)
}

async fn over_udp(server: SocketAddr, id: u32, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let local: SocketAddr = if server.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    let mut buffer = vec![0; 65_536];
    let started = Instant::now();
    let mut wait = FIRST_WAIT;
    loop {
        for datagram in datagrams(query) {
            let mut bytes = Vec::new();
            datagram.encode(&mut bytes);
            socket.send(&bytes).await?;
        }
        let deadline = tokio::time::Instant::now() + wait;
        while let Ok(received) = tokio::time::timeout_at(deadline, socket.recv(&mut buffer)).await {
            let bytes = buffer.get(..received?).unwrap_or_default();
            let now_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            // A datagram that is no piece of an answer is somebody else's: keep waiting.
            if let Ok(Some(message)) = reassembler.accept(&server, bytes, now_ms)
                && Response::decode(&message).is_ok_and(|r| r.envelope.request_id == id)
            {
                return Ok(message.into_owned());
            }
        }
        wait *= 2;
    }
}

async fn over_tcp(server: SocketAddr, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(query).await?;
    let mut received = Vec::new();
    loop {
        match tcp_frame(&received) {
            FrameStatus::Complete { len } => {
                received.truncate(len);
                return Ok(received);
            }
            FrameStatus::Invalid(error) => return Err(std::io::Error::other(error)),
            FrameStatus::NeedMore(_) => {
                if stream.read_buf(&mut received).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }
}

/// The answer in the API's shape, or the refusal it is.
fn translate(request: &ResolveRequest, response: Response) -> Result<ResolveResponse, Failure> {
    let (identifier, outcome) = match response.body {
        ResponseBody::Values { handle, values } => {
            let values: Vec<_> = values.into_iter().map(api_value).collect();
            let ttl_s = values.iter().filter_map(|value| match value.ttl {
                Some(Ttl::TtlS(seconds)) => Some(seconds),
                _ => None,
            });
            let ttl_s = ttl_s.min().unwrap_or_default();
            (
                handle,
                Outcome::Record(api::Record {
                    values,
                    ttl_s,
                    ..api::Record::default()
                }),
            )
        }
        ResponseBody::Referral { handle, sites } => {
            let sites = sites
                .iter()
                .filter(|value| value.value_type.starts_with(types::HS_SITE))
                .filter_map(|value| Site::decode(&value.data).ok())
                .map(api_site)
                .collect();
            // A service's handle is no prefix's.
            let (prefix, service_handle) = match response.code {
                ResponseCode::SERVICE_REFERRAL => (prefix_of(&request.identifier), handle),
                _ => (handle, String::new()),
            };
            let referral = api::Referral {
                prefix,
                delegation: Some(api::Delegation {
                    sites,
                    service_handle,
                    ..api::Delegation::default()
                }),
            };
            (request.identifier.clone(), Outcome::Referral(referral))
        }
        ResponseBody::Error { message, .. } => {
            let refusal = Refusal::of_handle_server(response.code, message);
            return Err(Failure::Refused(Box::new(refusal)));
        }
        _ => {
            let refusal = Refusal::of_handle_server(response.code, String::new());
            return Err(Failure::Refused(Box::new(refusal)));
        }
    };
    let scheme = Identifier::parse(&identifier).map_or(api::Scheme::Unspecified, |parsed| {
        api_scheme(parsed.scheme())
    });
    Ok(ResolveResponse {
        identifier,
        scheme: scheme.into(),
        outcome: Some(outcome),
    })
}

/// The prefix of an identifier, empty if there is none.
fn prefix_of(identifier: &str) -> String {
    let identifier = Identifier::parse(identifier).ok();
    let prefix = identifier.and_then(|it| it.prefix());
    prefix.map_or_else(String::new, |it| it.canonical())
}

fn api_scheme(scheme: idnode_proto::identifier::Scheme) -> api::Scheme {
    use idnode_proto::identifier::Scheme;
    match scheme {
        Scheme::Handle => api::Scheme::Handle,
        Scheme::Oid => api::Scheme::Oid,
        Scheme::Gs1 => api::Scheme::Gs1,
        Scheme::Ecode => api::Scheme::Ecode,
        Scheme::Vaa => api::Scheme::Vaa,
        Scheme::Did => api::Scheme::Did,
    }
}

pub(super) fn api_value(value: value::Value) -> api::Value {
    let data = match String::from_utf8(value.data) {
        Ok(text) => Data::Text(text),
        Err(bytes) => Data::Raw(bytes.into_bytes()),
    };
    api::Value {
        index: value.index,
        r#type: value.value_type,
        permissions: Some(value.permissions.0.into()),
        timestamp_s: value.timestamp_s,
        references: value
            .references
            .into_iter()
            .map(|reference| api::Reference {
                handle: reference.handle,
                index: reference.index,
            })
            .collect(),
        data: Some(data),
        ttl: Some(match value.ttl {
            value::Ttl::RelativeS(seconds) => Ttl::TtlS(seconds),
            value::Ttl::AbsoluteS(seconds) => Ttl::ExpiresAtS(seconds),
        }),
    }
}

fn api_site(site: Site) -> api::Site {
    use idnode_proto::api::interface::Protocol;
    let description = site.attributes.into_iter().find(|(name, _)| name == "desc");
    let servers = site.servers.into_iter().map(|server| api::Server {
        id: server.id,
        address: server.address.to_string(),
        public_key: server.public_key,
        interfaces: server
            .interfaces
            .into_iter()
            .map(|interface| api::Interface {
                protocol: match interface.protocol {
                    InterfaceProtocol::Udp => Protocol::Udp,
                    InterfaceProtocol::Tcp => Protocol::Tcp,
                    InterfaceProtocol::Http => Protocol::Http,
                    InterfaceProtocol::Https => Protocol::Https,
                    InterfaceProtocol::Other(_) => Protocol::Unspecified,
                }
                .into(),
                port: interface.port.into(),
                query: interface.query,
                admin: interface.admin,
            })
            .collect(),
    });
    api::Site {
        serial: site.serial.into(),
        primary: site.primary,
        servers: servers.collect(),
        description: description.map(|(_, text)| text).unwrap_or_default(),
    }
}
