//! Batched UDP: sockets with a thread each, many datagrams a system call. What memory can
//! answer is answered where it was read; what must wait goes on elsewhere and is sent later.
//!
//! The sockets share their port (`SO_REUSEPORT`): the kernel gives each source address and port
//! to one of them.
//!
//! Sockets on all addresses (0.0.0.0, `::`) are told by the kernel to which one a datagram was
//! sent, and answer from that (RFC 3542 §6.1; RFC 2181 §4.1): clients, and the firewalls before
//! them, take no answer from another.

use crate::measure;
use crate::urgency::Urgency;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrLike,
    SockaddrStorage, recvmmsg, sendmmsg, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::array;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Datagrams a system call.
const BATCH: usize = 64;
/// Answers a system call: after a pause a batch is full, and its first answers are not to wait for
/// its last ones.
const SENT_AT_ONCE: usize = 16;
/// Room for an answer from the start, bytes.
const ANSWER_BYTES: usize = 4_096;
/// What the kernel is asked to hold of datagrams that are not read yet, bytes.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// How often a thread that nobody asks looks whether it should end.
const LOOK_UP: Duration = Duration::from_millis(100);

/// The way a datagram came, which its answer goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// Who sent it.
    pub source: SocketAddr,
    /// Which of the node's addresses it was sent to; `None`: the socket has one alone.
    local: Option<IpAddr>,
}

impl From<SocketAddr> for Path {
    /// Of a socket with one address.
    fn from(source: SocketAddr) -> Self {
        let local = None;
        Self { source, local }
    }
}

/// What a front does with datagrams; each thread has its own.
pub trait Service {
    /// The greatest datagram that is taken; what is longer is cut off there, bytes.
    const DATAGRAM_BYTES: usize = 4_096;

    /// Answers one datagram into `answer`, which is empty; `false`: there is nothing to send,
    /// now or ever. Never waits.
    fn answer(&mut self, datagram: &[u8], path: Path, answer: &mut Vec<u8>) -> bool;

    /// A batch has been answered: how many datagrams it had, and how long it took. Returns how
    /// many of them it has left to other threads.
    fn batch_ended(&mut self, datagrams: usize, took: Duration) -> usize;
}

/// Sends what could not be answered at once.
#[derive(Debug, Clone)]
pub struct Sender {
    socket: Arc<UdpSocket>,
    /// Its address.
    own: IpAddr,
}

impl Sender {
    /// Sends from a socket.
    pub fn new(socket: impl Into<Arc<UdpSocket>>) -> Self {
        let socket = socket.into();
        // Room for the longer kind of address does no harm.
        let unknown = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        Self {
            own: socket.local_addr().map_or(unknown, |own| own.ip()),
            socket,
        }
    }

    /// Sends many back, in one system call where the way is the same. What cannot be sent is lost,
    /// as datagrams may be.
    pub fn send_many(&self, answers: &[(Vec<u8>, Path)]) {
        for answers in answers.chunks(BATCH) {
            let mut headers = headers(self.own, answers.len());
            let slices: Vec<_> = answers.iter().map(|(it, _)| [IoSlice::new(it)]).collect();
            let to: Vec<_> = answers
                .iter()
                .map(|(_, path)| Some(path.source.into()))
                .collect();
            let from: Vec<_> = answers.iter().map(|(_, path)| path.local).collect();
            send_all(&self.socket, &mut headers, &slices, &to, &from);
        }
    }

    /// Sends one datagram back; one that cannot be sent is lost, as datagrams may be.
    pub fn send(&self, answer: &[u8], path: Path) {
        if let Err(error) = self.send_with(answer, path, MsgFlags::empty()) {
            tracing::debug!(%error, to = %path.source, "a datagram could not be sent");
        }
    }

    /// The same without waiting for room in the socket; false: there is none, try again later.
    pub fn try_send(&self, answer: &[u8], path: Path) -> bool {
        match self.send_with(answer, path, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EAGAIN) => false,
            Err(error) => {
                tracing::debug!(%error, to = %path.source, "a datagram could not be sent");
                true
            }
            Ok(_) => true,
        }
    }

    fn send_with(&self, answer: &[u8], path: Path, flags: MsgFlags) -> nix::Result<usize> {
        let (slices, to) = ([IoSlice::new(answer)], SockaddrStorage::from(path.source));
        let origin = path.local.map(Origin::of);
        let control = origin.as_ref().map(Origin::control);
        let socket = self.socket.as_raw_fd();
        sendmsg(socket, &slices, control.as_slice(), flags, Some(&to))
    }
}

/// The address that a datagram is sent from, as the kernel takes it.
enum Origin {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Origin {
    fn of(local: IpAddr) -> Self {
        // The interface is left to the routes: the way back need not be the one that led here.
        match local {
            IpAddr::V4(address) => Self::V4(in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr {
                    s_addr: u32::from_ne_bytes(address.octets()),
                },
                ipi_addr: in_addr { s_addr: 0 },
            }),
            IpAddr::V6(address) => Self::V6(in6_pktinfo {
                ipi6_addr: in6_addr {
                    s6_addr: address.octets(),
                },
                ipi6_ifindex: 0,
            }),
        }
    }

    fn control(&self) -> ControlMessage<'_> {
        match self {
            Self::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Self::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}

/// Which of the node's addresses a datagram was sent to; `None`: the kernel does not say, or to a
/// group of hosts, which no answer may come from.
fn local_of(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<IpAddr> {
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let octets = info.ipi_spec_dst.s_addr.to_ne_bytes();
            Some(IpAddr::V4(Ipv4Addr::from(octets)))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            (!address.is_multicast()).then_some(IpAddr::V6(address))
        }
        _ => None,
    })
}

/// Sockets, each with a thread of its own, where so many are configured; 0: for half the cores, at least
/// one. A thread that shares its core with others, such as clients on the same machine, finds short
/// batches, which cost more a datagram, and waits for the scheduler.
pub fn threads(configured: usize) -> usize {
    match configured {
        0 => thread::available_parallelism().map_or(1, |cores| (usize::from(cores) / 2).max(1)),
        given => given,
    }
}

/// Sockets that share one address.
#[derive(Debug)]
pub struct Sockets {
    sockets: Vec<Arc<UdpSocket>>,
    local_addr: SocketAddr,
}

impl Sockets {
    /// Binds `count` sockets, at least one; port 0 takes any free port.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn bind(addr: SocketAddr, count: usize) -> io::Result<Self> {
        let first = bind(addr)?;
        let local_addr = first.local_addr()?;
        let mut sockets = vec![Arc::new(first)];
        for _ in 1..count {
            sockets.push(Arc::new(bind(local_addr)?));
        }
        Ok(Self {
            sockets,
            local_addr,
        })
    }

    /// Where they listen.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves each socket on a thread of its own, named `name`, with what `service` makes for
    /// it, until `shutdown`; returns when the threads have ended. `realtime`: the threads go before
    /// others (`Urgency`).
    ///
    /// # Errors
    /// A thread cannot be started.
    pub async fn serve<S: Service + Send + 'static>(
        self,
        name: &str,
        realtime: bool,
        mut service: impl FnMut(Sender) -> S,
        shutdown: CancellationToken,
    ) -> io::Result<()> {
        let ended = CancellationToken::new();
        let mut threads = Vec::new();
        for socket in self.sockets {
            let service = service(Sender::new(socket.clone()));
            let (stop, guard) = (shutdown.clone(), ended.clone().drop_guard());
            let thread = thread::Builder::new().name(name.to_owned());
            threads.push(thread.spawn(move || {
                let _ends_the_others = guard;
                if let Err(error) = run(&socket, service, realtime, &stop) {
                    tracing::error!(%error, "a UDP socket ended");
                }
            })?);
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            // One that ends by itself leaves its sources without answers: an error above.
            () = ended.cancelled() => {}
        }
        shutdown.cancelled().await;
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().all(|thread| thread.join().is_ok())
        });
        if !matches!(joined.await, Ok(true)) {
            tracing::error!("a UDP thread failed");
        }
        Ok(())
    }
}

fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    // The kernel may grant less, which is no reason not to serve.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.set_read_timeout(Some(LOOK_UP))?;
    match addr.ip() {
        // Before it is bound, so that there is no datagram without.
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        _ => {}
    }
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// Headers of so many datagrams, with room for the address that each datagram is sent to or from where
/// that is told.
fn headers(local: IpAddr, count: usize) -> MultiHeaders<SockaddrStorage> {
    let control = local.is_unspecified().then(|| match local {
        IpAddr::V4(_) => nix::cmsg_space!(in_pktinfo),
        IpAddr::V6(_) => nix::cmsg_space!(in6_pktinfo),
    });
    MultiHeaders::preallocate(count, control)
}

/// Receives, answers and sends until told to stop.
fn run<S: Service>(
    socket: &UdpSocket,
    mut service: S,
    realtime: bool,
    stop: &CancellationToken,
) -> io::Result<()> {
    let mut urgency = Urgency::of_this_thread(realtime);
    let own = socket.local_addr()?.ip();
    let mut incoming = vec![0_u8; S::DATAGRAM_BYTES * BATCH];
    let mut receiving = headers(own, BATCH);
    let mut outgoing = Outgoing::new(own);
    measure::hold_back();
    while !stop.is_cancelled() {
        let mut slices = Vec::with_capacity(BATCH);
        let buffers = incoming.chunks_exact_mut(S::DATAGRAM_BYTES);
        slices.extend(buffers.map(|buffer| [IoSliceMut::new(buffer)]));
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut receiving,
            slices.iter_mut(),
            MsgFlags::MSG_WAITFORONE,
            None,
        );
        let received = match received {
            Ok(received) => received,
            Err(error) if is_passing(error) => continue,
            Err(error) => return Err(error.into()),
        };
        let began = Instant::now();
        let (mut datagrams, mut is_untold) = (0, false);
        for message in received {
            datagrams += 1;
            let local = own.is_unspecified().then(|| {
                let told = local_of(&message);
                is_untold |= told.is_none();
                // An unspecified address leaves the choice to the system.
                told.unwrap_or(own)
            });
            let Some(from) = message.address else {
                continue;
            };
            let Some(source) = address_of(&from) else {
                continue;
            };
            // An empty one has no part.
            let datagram = message.iovs().next().unwrap_or_default();
            let path = Path { source, local };
            measure::asker::on_thread(source.ip());
            outgoing.add(from, local, |answer| service.answer(datagram, path, answer));
            if outgoing.filled == SENT_AT_ONCE {
                outgoing.send(socket);
            }
        }
        outgoing.send(socket);
        let took = began.elapsed();
        let handed_over = service.batch_ended(datagrams, took);
        measure::deliver(took);
        urgency.look(began, datagrams, handed_over);
        if is_untold {
            // A datagram without leaves no room in its headers for the next one's.
            receiving = headers(own, BATCH);
        }
    }
    Ok(())
}

/// The answers of one batch.
struct Outgoing {
    headers: MultiHeaders<SockaddrStorage>,
    answers: [Vec<u8>; BATCH],
    /// Where they go, and from where.
    to: [Option<SockaddrStorage>; BATCH],
    from: [Option<IpAddr>; BATCH],
    filled: usize,
}

impl Outgoing {
    /// Of a socket with this address.
    fn new(own: IpAddr) -> Self {
        Self {
            headers: headers(own, BATCH),
            answers: array::from_fn(|_| Vec::with_capacity(ANSWER_BYTES)),
            to: [None; BATCH],
            from: [None; BATCH],
            filled: 0,
        }
    }

    /// Adds what `answer` writes, if it says that there is something to send.
    fn add(
        &mut self,
        to: SockaddrStorage,
        from: Option<IpAddr>,
        answer: impl FnOnce(&mut Vec<u8>) -> bool,
    ) {
        let at = self.filled;
        let places = (self.answers.get_mut(at), self.to.get_mut(at));
        let ((Some(place), Some(to_place)), Some(from_place)) = (places, self.from.get_mut(at))
        else {
            return;
        };
        place.clear();
        if answer(place) {
            *to_place = Some(to);
            *from_place = from;
            self.filled += 1;
        }
    }

    /// Sends all of them.
    fn send(&mut self, socket: &UdpSocket) {
        let filled = std::mem::take(&mut self.filled);
        let answers = &self.answers;
        let slices: [[IoSlice<'_>; 1]; BATCH] =
            array::from_fn(|at| [IoSlice::new(answers.get(at).map_or(&[], Vec::as_slice))]);
        let (Some(slices), Some(to), Some(from)) = (
            slices.get(..filled),
            self.to.get(..filled),
            self.from.get(..filled),
        ) else {
            return;
        };
        send_all(socket, &mut self.headers, slices, to, from);
    }
}

/// Sends datagrams, of which there are no more than `headers` has room for. One that the system
/// refuses is left out: its way may be barred, which is no reason to keep the others back.
fn send_all(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    slices: &[[IoSlice<'_>; 1]],
    to: &[Option<SockaddrStorage>],
    from: &[Option<IpAddr>],
) {
    let mut done = 0;
    while let Some(rest) = from.get(done..)
        && let Some(first) = rest.first()
    {
        // One call has one origin: nearly always the same one for the whole batch.
        let same = rest.iter().take_while(|it| *it == first).count();
        let origin = first.map(Origin::of);
        let end = done + same;
        let (Some(slices), Some(to)) = (slices.get(done..end), to.get(done..end)) else {
            return;
        };
        let control = origin.as_ref().map(Origin::control);
        let sent = sendmmsg(
            socket.as_raw_fd(),
            headers,
            slices.iter(),
            to,
            control.as_slice(),
            MsgFlags::empty(),
        );
        match sent {
            Ok(sent) => done += sent.count().max(1),
            Err(Errno::EINTR) => {}
            Err(error) => {
                tracing::debug!(%error, "a datagram could not be sent");
                done += 1;
            }
        }
    }
}

/// Whether an error of receiving says nothing about the socket: the time is up, a signal came,
/// or an earlier answer found nobody.
fn is_passing(error: Errno) -> bool {
    matches!(
        error,
        Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED | Errno::ENOMEM | Errno::ENOBUFS
    )
}

fn address_of(address: &SockaddrStorage) -> Option<SocketAddr> {
    match address.family()? {
        nix::sys::socket::AddressFamily::Inet => {
            let address = address.as_sockaddr_in()?;
            Some(SocketAddr::from((address.ip(), address.port())))
        }
        nix::sys::socket::AddressFamily::Inet6 => {
            let address = address.as_sockaddr_in6()?;
            // A link-local address is found again by its scope only (RFC 4007 §6).
            let (ip, port, scope) = (address.ip(), address.port(), address.scope_id());
            Some(SocketAddrV6::new(ip, port, 0, scope).into())
        }
        _ => None,
    }
}
