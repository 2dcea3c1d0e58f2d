//! The loop: receive a batch, answer it, send a batch.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, SockFlag, SockType, SockaddrIn, bind, recvmmsg,
    sendmmsg, setsockopt, socket, sockopt,
};

use crate::answers::Answers;

/// Datagrams a system call.
const BATCH: usize = 64;
/// Bytes of a query that are read.
const QUERY_BYTES: usize = 512;
/// Receive buffer asked of the kernel.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// Answers on a socket of its own until receiving fails.
pub fn serve(listen: SocketAddrV4, answers: &Answers) -> Result<(), Errno> {
    let socket = open(listen)?;
    let mut queries = vec![0_u8; BATCH * QUERY_BYTES];
    let mut came: Vec<(usize, Option<SockaddrIn>)> = Vec::with_capacity(BATCH);
    let mut incoming = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut outgoing = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut out = Vec::with_capacity(BATCH * QUERY_BYTES);
    let mut ends = Vec::with_capacity(BATCH);
    let mut peers = Vec::with_capacity(BATCH);
    loop {
        came.clear();
        {
            let mut rooms = queries.chunks_exact_mut(QUERY_BYTES);
            let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
                std::array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
            let flags = MsgFlags::MSG_WAITFORONE;
            let fd = socket.as_raw_fd();
            match recvmmsg(fd, &mut incoming, slices.iter_mut(), flags, None) {
                Ok(messages) => came.extend(messages.map(|one| (one.bytes, one.address))),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            }
        }
        out.clear();
        ends.clear();
        peers.clear();
        for (room, (length, peer)) in queries.chunks_exact(QUERY_BYTES).zip(&came) {
            if answers.answer(room.get(..*length).unwrap_or_default(), &mut out) {
                ends.push(out.len());
                peers.push(*peer);
            }
        }
        send(&socket, &mut outgoing, &out, &ends, &peers)?;
    }
}

fn open(listen: SocketAddrV4) -> Result<OwnedFd, Errno> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    setsockopt(&socket, sockopt::ReusePort, &true)?;
    setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES)?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(listen))?;
    Ok(socket)
}

/// Sends the datagrams that end at `ends` of `bytes`.
fn send(
    socket: &OwnedFd,
    headers: &mut MultiHeaders<SockaddrIn>,
    bytes: &[u8],
    ends: &[usize],
    peers: &[Option<SockaddrIn>],
) -> Result<(), Errno> {
    let mut slices = [[IoSlice::new(&[])]; BATCH];
    let mut begin = 0;
    for (slice, end) in slices.iter_mut().zip(ends) {
        *slice = [IoSlice::new(bytes.get(begin..*end).unwrap_or_default())];
        begin = *end;
    }
    let mut sent = 0;
    while sent < ends.len() {
        let left = slices.get(sent..ends.len()).unwrap_or_default();
        let to = peers.get(sent..).unwrap_or_default();
        match sendmmsg(socket.as_raw_fd(), headers, left, to, [], MsgFlags::empty()) {
            Ok(results) => sent += results.count().max(1),
            Err(Errno::EINTR) => {}
            // A client that is gone loses its answer; the others do not.
            Err(Errno::ECONNREFUSED) => sent += 1,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
