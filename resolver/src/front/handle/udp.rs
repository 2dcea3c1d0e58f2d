//! Datagrams: what memory knows is answered in place, the rest in tasks of its own.

use super::answer::{Answerer, Attempt, Scratch};
use super::metrics::Bound;
use super::{HandleOptions, Tasks};
use idnode_proto::handle::{
    DatagramError, MAX_DATAGRAM_LEN, Reassembler, ReassemblyLimits, Transport, datagrams,
};
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The longest datagram there is: peers may cut larger pieces than this node.
const RECEIVE_BUFFER: usize = 65_536;
/// Datagrams taken before other tasks get their turn.
const TURN: usize = 128;
/// Pieces of an answer sent in one go. A client's socket keeps about a hundred by default.
const BURST: usize = 32;
/// What a client gets to empty its socket between two bursts.
const PAUSE: Duration = Duration::from_millis(1);

/// What the loops of all sockets have in common.
#[derive(Debug)]
pub(super) struct Shared {
    answerer: Arc<Answerer>,
    in_flight: Arc<Semaphore>,
    tasks: Tasks,
}

impl Shared {
    pub(super) fn new(answerer: Arc<Answerer>, options: &HandleOptions, tasks: Tasks) -> Self {
        let in_flight = Arc::new(Semaphore::new(
            options.max_udp_in_flight.min(Semaphore::MAX_PERMITS),
        ));
        Self {
            answerer,
            in_flight,
            tasks,
        }
    }

    /// Serves one socket until `shutdown`.
    pub(super) async fn run(
        self: Arc<Self>,
        socket: UdpSocket,
        limits: ReassemblyLimits,
        shutdown: CancellationToken,
    ) {
        let mut port = Port {
            shared: self,
            socket: Arc::new(socket),
            reassembler: Reassembler::new(limits),
            scratch: Scratch::default(),
            piece: Vec::with_capacity(MAX_DATAGRAM_LEN),
            began: Instant::now(),
        };
        let mut buffer = vec![0; RECEIVE_BUFFER];
        let mut stopped = pin!(shutdown.cancelled());
        loop {
            let readable = tokio::select! {
                biased;
                () = &mut stopped => return,
                readable = port.socket.readable() => readable,
            };
            if let Err(error) = readable {
                tracing::error!(%error, "a Handle UDP socket failed");
                return;
            }
            port.turn(&mut buffer).await;
        }
    }
}

/// One socket and what its loop keeps.
struct Port {
    shared: Arc<Shared>,
    socket: Arc<UdpSocket>,
    reassembler: Reassembler<SocketAddr>,
    scratch: Scratch,
    piece: Vec<u8>,
    began: Instant,
}

impl Port {
    /// Takes the datagrams that are there, up to a number.
    async fn turn(&mut self, buffer: &mut [u8]) {
        for _ in 0..TURN {
            match self.socket.try_recv_from(buffer) {
                Ok((length, source)) => {
                    self.take(buffer.get(..length).unwrap_or_default(), source)
                        .await;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An earlier answer's destination was unreachable: nothing to do with this one.
                Err(error) => tracing::debug!(%error, "receiving a datagram"),
            }
        }
        tokio::task::yield_now().await;
    }

    async fn take(&mut self, datagram: &[u8], source: SocketAddr) {
        let now_ms = self.began.elapsed().as_millis() as u64;
        match self.reassembler.accept(&source, datagram, now_ms) {
            Ok(Some(Cow::Borrowed(message))) => self.respond(message, source).await,
            // The filters of a long request may take longer than this loop should.
            Ok(Some(Cow::Owned(message))) => self.hand_over(message, source).await,
            Ok(None) => {}
            Err(DatagramError::NoEnvelope { .. }) => self.respond(datagram, source).await,
            Err(error) => {
                if matches!(error, DatagramError::SourceFull { .. }) {
                    self.shared.answerer.metrics.bound(Bound::UdpReassembly);
                }
                tracing::debug!(%source, %error, "a datagram was dropped");
            }
        }
    }

    async fn respond(&mut self, message: &[u8], source: SocketAddr) {
        self.scratch.clear();
        match self
            .shared
            .answerer
            .try_answer(message, Transport::Udp, &mut self.scratch)
        {
            Attempt::Done if self.scratch.reply().len() > BURST * MAX_DATAGRAM_LEN => {
                self.send_long(message, source).await;
            }
            Attempt::Done => self.send(source).await,
            Attempt::Silent => {}
            Attempt::NeedsDisk => self.hand_over(message.to_vec(), source).await,
        }
    }

    /// Sends the answer in the scratch.
    async fn send(&mut self, source: SocketAddr) {
        let reply = self.scratch.reply();
        if reply.len() <= MAX_DATAGRAM_LEN {
            return send_one(&self.socket, reply, source).await;
        }
        for datagram in datagrams(reply) {
            self.piece.clear();
            datagram.encode(&mut self.piece);
            send_one(&self.socket, &self.piece, source).await;
        }
    }

    /// Sends the answer in the scratch from a task of its own, which can take its time.
    async fn send_long(&mut self, message: &[u8], source: SocketAddr) {
        let Ok(permit) = self.shared.in_flight.clone().try_acquire_owned() else {
            return self.refuse(message, source).await;
        };
        let (scratch, socket) = (std::mem::take(&mut self.scratch), self.socket.clone());
        self.shared.tasks.spawn(async move {
            send_paced(&socket, scratch.reply(), source).await;
            drop(permit);
        });
    }

    /// Answers a message from a task of its own.
    async fn hand_over(&mut self, message: Vec<u8>, source: SocketAddr) {
        let Ok(permit) = self.shared.in_flight.clone().try_acquire_owned() else {
            return self.refuse(&message, source).await;
        };
        let (answerer, socket) = (self.shared.answerer.clone(), self.socket.clone());
        self.shared.tasks.spawn(async move {
            let mut scratch = Scratch::default();
            if answerer
                .answer(&message, Transport::Udp, &mut scratch)
                .await
                == Attempt::Done
            {
                send_paced(&socket, scratch.reply(), source).await;
            }
            drop(permit);
        });
    }

    async fn refuse(&mut self, message: &[u8], source: SocketAddr) {
        self.shared.answerer.metrics.bound(Bound::UdpInFlight);
        self.scratch.clear();
        if self
            .shared
            .answerer
            .busy(message, Transport::Udp, &mut self.scratch)
            == Attempt::Done
        {
            self.send(source).await;
        }
    }
}

async fn send_paced(socket: &UdpSocket, reply: &[u8], source: SocketAddr) {
    let mut piece = Vec::with_capacity(MAX_DATAGRAM_LEN);
    for (number, datagram) in datagrams(reply).enumerate() {
        if number > 0 && number % BURST == 0 {
            tokio::time::sleep(PAUSE).await;
        }
        piece.clear();
        datagram.encode(&mut piece);
        send_one(socket, &piece, source).await;
    }
}

async fn send_one(socket: &UdpSocket, datagram: &[u8], source: SocketAddr) {
    let sent = match socket.try_send_to(datagram, source) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            socket.send_to(datagram, source).await
        }
        sent => sent,
    };
    if let Err(error) = sent {
        tracing::debug!(%source, %error, "sending a datagram");
    }
}
