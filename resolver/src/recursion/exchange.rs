//! One question to one server of a site, over UDP and, where that brings nothing, over TCP.

use idnode_proto::handle::{
    FrameStatus, InterfaceProtocol, MAX_DATAGRAM_LEN, Reassembler, ReassemblyLimits, Response,
    Site, datagrams, tcp_frame,
};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long a datagram's answer is waited for, each time it is sent.
const WAITS: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(700)];
/// Room for one datagram, bytes; none that belongs to an answer is longer.
const RECEIVE_BYTES: usize = 4 * MAX_DATAGRAM_LEN;

/// A server and the ports it resolves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) address: IpAddr,
    udp: Option<u16>,
    tcp: Option<u16>,
}

impl Server {
    /// One that has both transports on one port.
    pub(super) fn on_both(address: SocketAddr) -> Self {
        Self {
            address: address.ip(),
            udp: Some(address.port()),
            tcp: Some(address.port()),
        }
    }

    /// Those of a site that resolve over UDP or TCP.
    pub(super) fn of_site(site: &Site) -> impl Iterator<Item = Self> {
        site.servers.iter().filter_map(|server| {
            let port = |protocol| {
                let mut all = server.interfaces.iter();
                all.find(|it| it.query && it.protocol == protocol)
                    .map(|it| it.port)
            };
            let (udp, tcp) = (port(InterfaceProtocol::Udp), port(InterfaceProtocol::Tcp));
            (udp.is_some() || tcp.is_some()).then_some(Self {
                address: server.address.to_canonical(),
                udp,
                tcp,
            })
        })
    }

    /// Whether it has this port.
    pub(super) fn is_on(&self, port: u16) -> bool {
        self.udp == Some(port) || self.tcp == Some(port)
    }

    /// Asks it: `request` is a whole message with the number `id`.
    pub(super) async fn ask(&self, request: &[u8], id: u32) -> io::Result<Response> {
        if let Some(port) = self.udp {
            let answer = over_udp((self.address, port).into(), request, id).await;
            match (answer, self.tcp) {
                (Ok(Some(response)), _) => return Ok(response),
                (Err(error), None) => return Err(error),
                (Ok(None), None) => return Err(io::ErrorKind::TimedOut.into()),
                (_, Some(_)) => {}
            }
        }
        let port = self.tcp.ok_or(io::ErrorKind::AddrNotAvailable)?;
        over_tcp((self.address, port).into(), request, id).await
    }
}

/// The answer to a request; `None`: none came.
async fn over_udp(server: SocketAddr, request: &[u8], id: u32) -> io::Result<Option<Response>> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own for each question is harder to guess for who would forge an answer.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    let mut buffer = [0; RECEIVE_BYTES];
    let mut piece = Vec::with_capacity(MAX_DATAGRAM_LEN);
    let began = Instant::now();
    for wait in WAITS {
        for datagram in datagrams(request) {
            piece.clear();
            datagram.encode(&mut piece);
            socket.send(&piece).await?;
        }
        let until = tokio::time::Instant::now() + wait;
        while let Ok(received) = tokio::time::timeout_at(until, socket.recv(&mut buffer)).await {
            let datagram = buffer.get(..received?).unwrap_or_default();
            let now_ms = began.elapsed().as_millis() as u64;
            // What is no piece of the answer is somebody else's.
            if let Ok(Some(message)) = reassembler.accept(&(), datagram, now_ms)
                && let Some(response) = read(&message, request, id)
            {
                return Ok(Some(response));
            }
        }
    }
    Ok(None)
}

async fn over_tcp(server: SocketAddr, request: &[u8], id: u32) -> io::Result<Response> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(request).await?;
    let mut received = Vec::new();
    loop {
        match tcp_frame(&received) {
            FrameStatus::Complete { len } => {
                let message = received.get(..len).unwrap_or_default();
                return read(message, request, id).ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
            FrameStatus::Invalid(error) => return Err(io::Error::other(error)),
            FrameStatus::NeedMore(_) => {
                if stream.read_buf(&mut received).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }
}

/// The answer in a message, if it is one to this request.
fn read(message: &[u8], request: &[u8], id: u32) -> Option<Response> {
    let response = Response::decode(message).ok()?;
    let is_answer = response.envelope.request_id == id && response.answers(request) != Some(false);
    is_answer.then_some(response)
}

/// Within a time.
pub(super) async fn ask_within(
    server: &Server,
    request: &[u8],
    id: u32,
    within: Duration,
) -> io::Result<Response> {
    timeout(within, server.ask(request, id))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
