//! Datagrams, on the batched loop: what was answered before or memory knows is answered on the
//! loop's own thread, the rest, in batches too, where threads may wait for the disk.

use super::answer::{Answerer, Attempt, Scratch};
use super::desk::Desk;
use super::metrics::Bound;
use super::operation::Client;
use super::{HandleOptions, Tasks};
use crate::front::abuse;
use crate::front::rate::{Rates, network_of};
use crate::measure;
use crate::udp::{Path, Sender, Service};
use idnode_proto::handle::{DatagramError, MAX_DATAGRAM_LEN, Reassembler, Transport, datagrams};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that one thread of the runtime reads the disk for, one after the other: enough that
/// handing them over costs little, so few that a slow disk is asked for many at a time.
const READS: usize = 16;
/// Pieces of an answer sent in one go. A client's socket keeps about a hundred by default.
const BURST: usize = 32;
/// What a client gets to empty its socket between two bursts.
const PAUSE: Duration = Duration::from_millis(1);
/// Memory kept in a buffer from one datagram to the next, bytes.
const USUAL_ANSWER: usize = 64 << 10;

/// What the threads of all sockets have in common.
#[derive(Debug)]
pub(super) struct Shared {
    answerer: Arc<Answerer>,
    in_flight: Arc<Semaphore>,
    long_answers: LongAnswers,
    tasks: Tasks,
}

/// How much of answers in several datagrams goes to whom: a request of 75 bytes with a forged
/// source could draw 256 KiB to that source.
#[derive(Debug)]
struct LongAnswers {
    sent: Rates,
    bytes_per_s: u32,
    exempt: Vec<IpNet>,
}

impl LongAnswers {
    /// Counts an answer; whether it may be sent.
    fn admits(&self, source: SocketAddr, bytes: usize) -> bool {
        let source = source.ip().to_canonical();
        if self.bytes_per_s == 0 || self.exempt.iter().any(|net| net.contains(&source)) {
            return true;
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.sent.count(network_of(source), bytes) <= self.bytes_per_s
    }
}

impl Shared {
    pub(super) fn new(answerer: Arc<Answerer>, options: &HandleOptions, tasks: Tasks) -> Self {
        let in_flight = Arc::new(Semaphore::new(
            options.max_udp_in_flight.min(Semaphore::MAX_PERMITS),
        ));
        Self {
            answerer,
            in_flight,
            long_answers: LongAnswers {
                sent: Rates::new(),
                bytes_per_s: options.udp_long_answer_bytes_per_s,
                exempt: options.udp_long_answer_exempt.clone(),
            },
            tasks,
        }
    }

    /// Whether an answer in several datagrams may be sent; if not it is lost, as datagrams may
    /// be, and a real client goes on to TCP.
    fn admits(&self, reply: &[u8], path: Path) -> bool {
        let admitted = self.long_answers.admits(path.source, reply.len());
        if !admitted {
            self.answerer.metrics.bound(Bound::UdpLongAnswers);
            abuse::turned_away();
        }
        admitted
    }

    /// Answers a request that takes more than this node's disk, in a task of its own.
    fn take_up(self: Arc<Self>, late: Late, sender: Sender) {
        let tasks = self.tasks.clone();
        tasks.spawn(async move {
            let from = late.path.source.ip();
            let (mut client, mut scratch) = (Client::claimed(from), Scratch::default());
            let answer =
                self.answerer
                    .answer(&late.message, Transport::Udp, &mut client, &mut scratch);
            let (attempt, _) = measure::asker::of_task(Some(from), answer).await;
            if attempt == Attempt::Done {
                self.deliver(scratch.reply, &late, &sender);
            }
        });
    }

    /// Sends an answer from wherever it was found, in bursts if it is long.
    fn deliver(&self, reply: Vec<u8>, to: &Late, sender: &Sender) {
        if reply.len() <= MAX_DATAGRAM_LEN {
            sender.send(&reply, to.path);
        } else if self.admits(&reply, to.path) {
            let (sender, path, place) = (sender.clone(), to.path, to.place.clone());
            self.tasks.spawn(async move {
                send_paced(&sender, &reply, path).await;
                drop(place);
            });
        }
    }
}

/// A request that waits for the disk.
#[derive(Debug)]
struct Late {
    message: Vec<u8>,
    path: Path,
    came: Instant,
    /// Its place among those that wait, until all of its answer has been sent.
    place: Arc<OwnedSemaphorePermit>,
}

impl Late {
    fn new(message: Vec<u8>, path: Path, place: OwnedSemaphorePermit) -> Self {
        Self {
            message,
            path,
            came: Instant::now(),
            place: Arc::new(place),
        }
    }
}

/// The front's part of one UDP thread.
#[derive(Debug)]
pub(super) struct Datagrams {
    shared: Arc<Shared>,
    desk: Desk,
    sender: Sender,
    reassembler: Reassembler<SocketAddr>,
    scratch: Scratch,
    began: Instant,
    /// Of this batch.
    late: Vec<Late>,
}

impl Datagrams {
    pub(super) fn new(
        shared: Arc<Shared>,
        desk: Desk,
        reassembler: Reassembler<SocketAddr>,
        sender: Sender,
    ) -> Self {
        Self {
            shared,
            desk,
            sender,
            reassembler,
            scratch: Scratch::default(),
            began: Instant::now(),
            late: Vec::new(),
        }
    }

    fn respond(&mut self, message: &[u8], path: Path) {
        match self.desk.serve(message, Transport::Udp, &mut self.scratch) {
            Attempt::Done if self.scratch.reply().len() > MAX_DATAGRAM_LEN => {
                self.send_pieces(message, path);
            }
            Attempt::Done | Attempt::Silent => {}
            Attempt::NeedsDisk => self.put_off(message.to_vec(), path),
            Attempt::NeedsTask => match self.place() {
                Some(place) => {
                    let late = Late::new(message.to_vec(), path, place);
                    self.shared.clone().take_up(late, self.sender.clone());
                }
                None => self.refuse(message),
            },
        }
    }

    /// Sends the answer in the scratch, which is longer than a datagram, and clears it.
    fn send_pieces(&mut self, message: &[u8], path: Path) {
        if self.scratch.reply().len() > BURST * MAX_DATAGRAM_LEN {
            match self.place() {
                Some(place) if self.shared.admits(self.scratch.reply(), path) => {
                    let reply = std::mem::take(&mut self.scratch.reply);
                    let sender = self.sender.clone();
                    self.shared.tasks.spawn(async move {
                        send_paced(&sender, &reply, path).await;
                        drop(place);
                    });
                }
                Some(_) => {}
                None => return self.refuse(message),
            }
        } else if self.shared.admits(self.scratch.reply(), path) {
            let mut piece = Vec::with_capacity(MAX_DATAGRAM_LEN);
            for datagram in datagrams(self.scratch.reply()) {
                piece.clear();
                datagram.encode(&mut piece);
                self.sender.send(&piece, path);
            }
        }
        self.scratch.clear();
        self.scratch.shrink(USUAL_ANSWER);
    }

    fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.shared.in_flight.clone().try_acquire_owned().ok()
    }

    /// Notes what must wait, if there is room to: where sources may be forged, what waits is
    /// bounded.
    fn put_off(&mut self, message: Vec<u8>, path: Path) {
        match self.place() {
            Some(place) => self.late.push(Late::new(message, path, place)),
            None => self.refuse(&message),
        }
    }

    /// Answers code 3 (busy).
    fn refuse(&mut self, message: &[u8]) {
        let answerer = self.desk.answerer();
        answerer.metrics.bound(Bound::UdpInFlight);
        self.scratch.clear();
        // What is an answer itself gets none.
        let _appended = answerer.busy(message, Transport::Udp, &mut self.scratch);
    }

    /// Hands over what this batch has put off.
    fn hand_over(&mut self) {
        while !self.late.is_empty() {
            let count = self.late.len().min(READS);
            let late: Vec<_> = self.late.drain(..count).collect();
            let (shared, sender) = (self.shared.clone(), self.sender.clone());
            self.shared.tasks.spawn_blocking(move || {
                for late in late {
                    let _asker = measure::asker::here(Some(late.path.source.ip()));
                    let (message, mut scratch) = (&late.message, Scratch::default());
                    let answerer = &shared.answerer;
                    let attempt =
                        answerer.answer_blocking(message, Transport::Udp, late.came, &mut scratch);
                    match attempt {
                        Attempt::Done => shared.deliver(scratch.reply, &late, &sender),
                        Attempt::NeedsTask => shared.clone().take_up(late, sender.clone()),
                        Attempt::Silent | Attempt::NeedsDisk => {}
                    }
                }
            });
        }
    }
}

impl Service for Datagrams {
    // The longest there is, as peers may cut larger pieces than this node; and a little, so that
    // buffers do not all begin in the same lines of a cache.
    const DATAGRAM_BYTES: usize = 65_600;

    fn answer(&mut self, datagram: &[u8], path: Path, answer: &mut Vec<u8>) -> bool {
        // Written where it is sent from.
        std::mem::swap(answer, &mut self.scratch.reply);
        self.scratch.clear();
        let now_ms = self.began.elapsed().as_millis() as u64;
        match self.reassembler.accept(&path.source, datagram, now_ms) {
            // The filters of a long request may take longer than this loop should, however many
            // datagrams it has come in.
            Ok(Some(message)) if message.len() > MAX_DATAGRAM_LEN => {
                self.put_off(message.into_owned(), path);
            }
            Ok(Some(message)) => self.respond(&message, path),
            Ok(None) => {}
            // Once for a message.
            Err(DatagramError::NoEnvelope { .. } | DatagramError::TooLong { sequence: 0, .. }) => {
                self.respond(datagram, path);
            }
            Err(error) => {
                if matches!(error, DatagramError::SourceFull { .. }) {
                    self.shared.answerer.metrics.bound(Bound::UdpReassembly);
                }
                tracing::debug!(source = %path.source, %error, "a datagram was dropped");
            }
        }
        std::mem::swap(answer, &mut self.scratch.reply);
        !answer.is_empty()
    }

    fn batch_ended(&mut self, _: usize, took: Duration) -> usize {
        self.desk.batch_ended(took);
        let displaced = self.reassembler.take_displaced();
        if displaced > 0 {
            let metrics = &self.shared.answerer.metrics;
            metrics.counter(Bound::UdpReassembly).increment(displaced);
        }
        let handed_over = self.late.len();
        self.hand_over();
        handed_over
    }
}

async fn send_paced(sender: &Sender, reply: &[u8], path: Path) {
    let mut piece = Vec::with_capacity(MAX_DATAGRAM_LEN);
    for (number, datagram) in datagrams(reply).enumerate() {
        if number > 0 && number % BURST == 0 {
            tokio::time::sleep(PAUSE).await;
        }
        piece.clear();
        datagram.encode(&mut piece);
        while !sender.try_send(&piece, path) {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
