//! Batched UDP: one socket and one thread a core, many datagrams a system call. What memory can
//! answer is answered where it was read; what must wait goes on elsewhere and is sent later.
//!
//! The sockets share their port (`SO_REUSEPORT`): the kernel gives each source address and port
//! to one of them.

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recvmmsg, sendmmsg};
use socket2::{Domain, Protocol, Socket, Type};
use std::array;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Datagrams a system call.
const BATCH: usize = 64;
/// The greatest datagram that is taken; what is longer is cut off there, bytes.
const DATAGRAM_BYTES: usize = 4_096;
/// What the kernel is asked to hold of datagrams that are not read yet, bytes.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// How often a thread that nobody asks looks whether it should end.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What a front does with datagrams; each thread has its own.
pub trait Service {
    /// Answers one datagram into `answer`, which is empty; `false`: there is nothing to send,
    /// now or ever. Never waits.
    fn answer(&mut self, datagram: &[u8], source: SocketAddr, answer: &mut Vec<u8>) -> bool;

    /// A batch has been answered: how many datagrams it had, and how long it took.
    fn batch_ended(&mut self, datagrams: usize, took: Duration);
}

/// Sends what could not be answered at once.
#[derive(Debug, Clone)]
pub struct Sender {
    socket: Arc<UdpSocket>,
}

impl Sender {
    /// Sends from a socket.
    pub fn new(socket: UdpSocket) -> Self {
        Self {
            socket: Arc::new(socket),
        }
    }

    /// Sends one datagram; one that cannot be sent is lost, as datagrams may be.
    pub fn send(&self, answer: &[u8], to: SocketAddr) {
        if let Err(error) = self.socket.send_to(answer, to) {
            tracing::debug!(%error, %to, "a datagram could not be sent");
        }
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
    /// it, until `shutdown`; returns when the threads have ended.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub async fn serve<S: Service + Send + 'static>(
        self,
        name: &str,
        mut service: impl FnMut(Sender) -> S,
        shutdown: CancellationToken,
    ) -> io::Result<()> {
        let ended = CancellationToken::new();
        let mut threads = Vec::new();
        for socket in self.sockets {
            let service = service(Sender {
                socket: socket.clone(),
            });
            let (stop, guard) = (shutdown.clone(), ended.clone().drop_guard());
            let thread = thread::Builder::new().name(name.to_owned());
            threads.push(thread.spawn(move || {
                let _ends_the_others = guard;
                if let Err(error) = run(&socket, service, &stop) {
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
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// Receives, answers and sends until told to stop.
fn run(socket: &UdpSocket, mut service: impl Service, stop: &CancellationToken) -> io::Result<()> {
    let mut incoming = vec![[0_u8; DATAGRAM_BYTES]; BATCH];
    let mut receiving = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut sending = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut answers: [Vec<u8>; BATCH] = array::from_fn(|_| Vec::with_capacity(DATAGRAM_BYTES));
    let mut sources: [Option<SockaddrStorage>; BATCH] = [None; BATCH];
    while !stop.is_cancelled() {
        let mut slices = Vec::with_capacity(BATCH);
        slices.extend(incoming.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]));
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
        let (mut datagrams, mut filled) = (0, 0);
        for message in received {
            datagrams += 1;
            let (Some(from), Some(answer)) = (message.address, answers.get_mut(filled)) else {
                continue;
            };
            let (Some(source), Some(datagram)) = (address_of(&from), message.iovs().next()) else {
                continue;
            };
            answer.clear();
            if service.answer(datagram, source, answer)
                && let Some(to) = sources.get_mut(filled)
            {
                *to = Some(from);
                filled += 1;
            }
        }
        send_all(socket, &mut sending, &answers, &sources, filled);
        service.batch_ended(datagrams, began.elapsed());
    }
    Ok(())
}

/// Sends the first `filled` answers. One that the system refuses is left out: its way may be
/// barred, which is no reason to keep the others back.
fn send_all(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    answers: &[Vec<u8>; BATCH],
    to: &[Option<SockaddrStorage>; BATCH],
    filled: usize,
) {
    let slices: [[IoSlice<'_>; 1]; BATCH] =
        array::from_fn(|at| [IoSlice::new(answers.get(at).map_or(&[], Vec::as_slice))]);
    let mut done = 0;
    while done < filled {
        let (Some(slices), Some(to)) = (slices.get(done..filled), to.get(done..filled)) else {
            return;
        };
        match sendmmsg(
            socket.as_raw_fd(),
            headers,
            slices.iter(),
            to,
            [],
            MsgFlags::empty(),
        ) {
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
            Some(SocketAddr::from((address.ip(), address.port())))
        }
        _ => None,
    }
}
