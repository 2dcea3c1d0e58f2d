//! A connected UDP socket that sends and receives many datagrams a system call.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, sendmmsg};
use nix::sys::time::TimeSpec;

use super::error::Failure;

/// Datagrams a system call.
pub(super) const BATCH: usize = 64;
/// The longest answer that is read in full; what is beyond is cut off, and not looked at.
const ANSWER_BYTES: usize = 4096;
/// Room for a query from the start, bytes.
const QUERY_BYTES: usize = 512;
/// Receive buffer asked of the kernel: room for bursts.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// One socket with its buffers.
#[derive(Debug)]
pub(super) struct BatchSocket {
    socket: UdpSocket,
    /// Queries to be sent, one after the other.
    out: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    out_headers: MultiHeaders<()>,
    /// Room for answers, `ANSWER_BYTES` each.
    answers: Vec<u8>,
    /// Lengths of those that were received last.
    lengths: Vec<usize>,
    in_headers: MultiHeaders<()>,
}

impl BatchSocket {
    /// A socket that speaks to `server` alone, from a port of its own.
    pub(super) fn connect(server: SocketAddr) -> Result<Self, Failure> {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let connected = UdpSocket::bind(any).and_then(|socket| {
            socket.connect(server)?;
            // The kernel gives what it allows.
            socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
            Ok(socket)
        });
        Ok(Self {
            socket: connected.map_err(Failure::io(format!("a socket to {server}")))?,
            out: Vec::with_capacity(BATCH * QUERY_BYTES),
            ends: Vec::with_capacity(BATCH),
            out_headers: MultiHeaders::preallocate(BATCH, None),
            answers: vec![0; BATCH * ANSWER_BYTES],
            lengths: Vec::with_capacity(BATCH),
            in_headers: MultiHeaders::preallocate(BATCH, None),
        })
    }

    /// Whether another query may be added before they are sent.
    pub(super) fn has_room(&self) -> bool {
        self.ends.len() < BATCH
    }

    /// Adds what `push` appends to those that `send` sends.
    pub(super) fn push_with(&mut self, push: impl FnOnce(&mut Vec<u8>)) {
        push(&mut self.out);
        self.ends.push(self.out.len());
    }

    /// The same with a message that is ready.
    pub(super) fn push_message(&mut self, message: &[u8]) {
        self.out.extend_from_slice(message);
        self.ends.push(self.out.len());
    }

    /// The port it sends from.
    pub(super) fn port(&self) -> Result<u16, Failure> {
        let address = self.socket.local_addr();
        address
            .map(|address| address.port())
            .map_err(Failure::io("a socket's address"))
    }

    /// Sends what was added.
    pub(super) fn send(&mut self) -> Result<(), Failure> {
        let mut slices = [[IoSlice::new(&[])]; BATCH];
        let mut begin = 0;
        for (slice, end) in slices.iter_mut().zip(&self.ends) {
            *slice = [IoSlice::new(self.out.get(begin..*end).unwrap_or_default())];
            begin = *end;
        }
        let mut sent = 0;
        while sent < self.ends.len() {
            let left = slices.get(sent..self.ends.len()).unwrap_or_default();
            let done = sendmmsg(
                self.socket.as_raw_fd(),
                &mut self.out_headers,
                left,
                [None; BATCH],
                [],
                MsgFlags::empty(),
            );
            match done {
                Ok(results) => sent += results.count().max(1),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Failure::io("sending")(errno.into())),
            }
        }
        self.out.clear();
        self.ends.clear();
        Ok(())
    }

    /// Takes what has arrived, without waiting; how many datagrams those are.
    pub(super) fn receive(&mut self) -> Result<usize, Failure> {
        self.lengths.clear();
        let mut rooms = self.answers.chunks_exact_mut(ANSWER_BYTES);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
        let received = recvmmsg(
            self.socket.as_raw_fd(),
            &mut self.in_headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        );
        match received {
            Ok(results) => self.lengths.extend(results.map(|result| result.bytes)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(Failure::io("receiving")(errno.into())),
        }
        Ok(self.lengths.len())
    }

    /// The datagrams that `receive` took.
    pub(super) fn answers(&self) -> impl Iterator<Item = &[u8]> {
        let rooms = self.answers.chunks_exact(ANSWER_BYTES);
        let filled = rooms.zip(&self.lengths);
        filled.map(|(room, length)| room.get(..*length).unwrap_or(room))
    }
}

impl AsFd for BatchSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sleeps until something has arrived at one of the sockets, but no longer than `limit`.
pub(super) fn wait_for_any<'a>(
    sockets: impl Iterator<Item = &'a BatchSocket>,
    limit: Duration,
) -> Result<(), Failure> {
    let polled = sockets.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
    let mut polled: Vec<PollFd<'_>> = polled.collect();
    match ppoll(&mut polled, Some(TimeSpec::from_duration(limit)), None) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Failure::io("waiting for answers")(errno.into())),
    }
}
