//! One question to one server of a site, over UDP and, where that brings nothing, over TCP.

use idnode_proto::handle::{
    FrameStatus, InterfaceProtocol, MAX_DATAGRAM_LEN, OpCode, Reassembler, ReassemblyLimits,
    Response, ResponseBody, Site, datagrams, tcp_frame,
};
use idnode_proto::identifier::Identifier;
use idnode_proto::routes::Ports;
use idnode_registry::upward::routes::Siblings;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long a datagram's answer is waited for at most, each time it is sent; the last time as long as
/// there is.
const WAITS: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_millis(700),
    Duration::MAX,
];
/// The same as parts of the time that there is for datagrams, in tenths.
const WAIT_TENTHS: [u32; 3] = [3, 7, 10];
/// How long is waited for datagrams at most where there is TCP, too.
const BEFORE_TCP: Duration = Duration::from_secs(1);
/// Room for one datagram, bytes; none that belongs to an answer is longer.
const RECEIVE_BYTES: usize = 4 * MAX_DATAGRAM_LEN;

/// What a server is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'q> {
    /// The whole message, envelope first.
    pub(super) request: &'q [u8],
    /// Its number.
    pub(super) id: u32,
    pub(super) op_code: OpCode,
    /// The handle that it asks for.
    pub(super) handle: &'q str,
}

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

    /// One at an address, on its ports for the Handle protocol.
    pub(super) fn at(address: IpAddr, ports: &Ports) -> Self {
        Self {
            address,
            udp: ports.handle_udp,
            tcp: ports.handle_tcp,
        }
    }

    /// Whether a sibling has announced it.
    pub(super) fn is_sibling(&self, siblings: &Siblings) -> bool {
        siblings.have(self.address, self.udp, self.tcp)
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

    /// Asks it. Where it has both transports, at least half of the time is for the second.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`], or why it cannot be reached.
    pub(super) async fn ask(
        &self,
        question: &Question<'_>,
        within: Duration,
    ) -> io::Result<Response> {
        timeout(within, self.ask_on_either(question, within))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Asks it over TCP alone, where the answer is not to be forged by who guesses a number.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrNotAvailable`]: it has no such port; else those of [`Self::ask`].
    pub(super) async fn ask_over_tcp(
        &self,
        question: &Question<'_>,
        within: Duration,
    ) -> io::Result<Response> {
        let port = self.tcp.ok_or(io::ErrorKind::AddrNotAvailable)?;
        timeout(within, over_tcp((self.address, port).into(), question))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn ask_on_either(
        &self,
        question: &Question<'_>,
        within: Duration,
    ) -> io::Result<Response> {
        if let Some(port) = self.udp {
            let for_udp = match self.tcp {
                Some(_) => (within / 2).min(BEFORE_TCP),
                None => within,
            };
            let answer = over_udp((self.address, port).into(), question, for_udp).await;
            match (answer, self.tcp) {
                (Ok(Some(response)), _) => return Ok(response),
                (Err(error), None) => return Err(error),
                (Ok(None), None) => return Err(io::ErrorKind::TimedOut.into()),
                (_, Some(_)) => {}
            }
        }
        let port = self.tcp.ok_or(io::ErrorKind::AddrNotAvailable)?;
        over_tcp((self.address, port).into(), question).await
    }
}

/// The answer to a request; `None`: none came.
async fn over_udp(
    server: SocketAddr,
    question: &Question<'_>,
    within: Duration,
) -> io::Result<Option<Response>> {
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
    for (most, tenths) in WAITS.into_iter().zip(WAIT_TENTHS) {
        let left = within.saturating_sub(began.elapsed());
        let wait = most.min(within * tenths / 10).min(left);
        if wait.is_zero() {
            break;
        }
        for datagram in datagrams(question.request) {
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
                && let Some(response) = read(&message, question)
            {
                return Ok(Some(response));
            }
        }
    }
    Ok(None)
}

async fn over_tcp(server: SocketAddr, question: &Question<'_>) -> io::Result<Response> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(question.request).await?;
    let mut received = Vec::new();
    loop {
        match tcp_frame(&received) {
            FrameStatus::Complete { len } => {
                let message = received.get(..len).unwrap_or_default();
                return read(message, question).ok_or_else(|| io::ErrorKind::InvalidData.into());
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

/// The answer in a message, if it is one to this question. Servers that make no digest leave it
/// out; one that is there must be the request's.
fn read(message: &[u8], question: &Question<'_>) -> Option<Response> {
    let response = Response::decode(message).ok()?;
    let (envelope, header) = (&response.envelope, &response.header);
    let is_answer = (envelope.request_id, envelope.session_id) == (question.id, 0)
        && header.op_code == question.op_code
        && (response.digest.is_none() || response.answers(question.request) == Some(true));
    let is_about_it = match &response.body {
        ResponseBody::Values { handle, .. } => is_same(handle, question.handle),
        _ => true,
    };
    (is_answer && is_about_it).then_some(response)
}

/// Whether two handles are one in different spellings, if that.
fn is_same(one: &str, other: &str) -> bool {
    let identifier = |text| Identifier::parse(text).ok();
    one == other || identifier(one).is_some_and(|it| Some(it) == identifier(other))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_proto::handle::{
        OpFlags, Reply, ReplyTo, RequestDigest, RequestHead, Transport, decode_request,
    };

    fn answer(to: &ReplyTo, handle: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let reply = Reply::new(to, 1, 0);
        reply.resolution(&mut out, handle, 0, []).unwrap();
        out
    }

    #[test]
    fn only_the_answer_to_the_question_is_taken() {
        let mut head = RequestHead::new(7);
        head.flags = head.flags | OpFlags::REQUEST_DIGEST;
        let handle = "88.119.1/A";
        let request = head.resolve(handle, &[], &[]).unwrap();
        let to = decode_request(&request, Transport::Udp).unwrap().reply_to;
        let question = Question {
            request: &request,
            id: 7,
            op_code: OpCode::RESOLVE,
            handle,
        };
        let is_taken = |to: ReplyTo, handle| read(&answer(&to, handle), &question).is_some();
        assert!(is_taken(to, handle));
        assert!(is_taken(to, "88.119.1/a"), "another spelling");
        let no_digest = ReplyTo { digest: None, ..to };
        assert!(is_taken(no_digest, handle), "of a server that makes none");
        assert!(!is_taken(to, "88.119.1/B"));
        let md5 = Some(RequestDigest::Md5([0; 16]));
        let sha1 = Some(RequestDigest::Sha1([0; 20]));
        for wrong in [
            ReplyTo { digest: md5, ..to },
            ReplyTo { digest: sha1, ..to },
            ReplyTo {
                request_id: 8,
                ..to
            },
            ReplyTo {
                session_id: 1,
                ..to
            },
        ] {
            assert!(!is_taken(wrong, handle), "{wrong:?}");
        }
        let (op_code, mut out) = (OpCode::SITE_INFO, Vec::new());
        let other = ReplyTo { op_code, ..to };
        let code = idnode_proto::handle::ResponseCode::HANDLE_NOT_FOUND;
        Reply::new(&other, 1, 0).error(&mut out, code, "").unwrap();
        assert!(read(&out, &question).is_none(), "another operation");
    }
}
