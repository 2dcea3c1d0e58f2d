//! The clients of one city: a thread in their namespace that asks by the clock.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::Duration;

use idnode_proto::handle::Response;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::questions::{Questions, Verdict};
use super::tally::Tally;
use crate::bench::order::Draws;
use crate::bench::pace::{Clock, Pace};
use crate::province::city::City;
use crate::province::error::Failure;
use crate::province::net::{make_urgent, namespace};

/// The longest sleep.
const LONGEST_SLEEP: Duration = Duration::from_millis(10);
/// Room for one datagram; all answers are short.
const ANSWER_BYTES: usize = 4_096;

/// The clients of one city.
#[derive(Debug)]
pub(super) struct Asker<'q> {
    /// Whose clients.
    pub(super) city: City,
    /// What there is to ask.
    pub(super) questions: &'q Questions,
    /// Which of it is asked here.
    pub(super) asked: Vec<u32>,
    /// In which order.
    pub(super) draws: Option<Draws>,
    /// When.
    pub(super) pace: Pace,
    /// Whom.
    pub(super) server: SocketAddr,
    /// From where.
    pub(super) namespace: Option<String>,
    /// When a question is lost, nanoseconds after it was due.
    pub(super) timeout_ns: u64,
}

/// A question that waits for its answer.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    question: u32,
    due_ns: u64,
}

/// Questions that wait, by their IDs, which go up.
type Window = BTreeMap<u32, Waiting>;

impl Asker<'_> {
    /// Asks until the phase is over and nothing waits any more.
    ///
    /// # Errors
    /// A socket cannot be had.
    pub(super) fn run(mut self, clock: Clock) -> Result<Tally, Failure> {
        let socket = self.socket()?;
        // Clients have processors of their own, other than these.
        make_urgent();
        let mut tally = Tally::new(self.city)?;
        let mut window = Window::new();
        loop {
            self.send_due(&socket, clock, &mut window, &mut tally)?;
            self.receive(&socket, clock, &mut window, &mut tally)?;
            let now_ns = clock.now_ns();
            while let Some(first) = window.first_entry()
                && first.get().due_ns + self.timeout_ns <= now_ns
            {
                first.remove();
                tally.lost += 1;
            }
            if window.is_empty() && self.pace.due_ns(now_ns).is_none() {
                return Ok(tally);
            }
            let sleep = self.pace.wait(now_ns).unwrap_or(LONGEST_SLEEP);
            let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            let limit = TimeSpec::from_duration(sleep.min(LONGEST_SLEEP));
            // A signal wakes it early, which does no harm.
            let _ = ppoll(&mut polled, Some(limit), None);
        }
    }

    fn socket(&self) -> Result<UdpSocket, Failure> {
        let named = Failure::io(format!("{}: a socket to {}", self.city.name(), self.server));
        let made = || -> io::Result<UdpSocket> {
            if let Some(name) = &self.namespace {
                namespace::enter(name)?;
            }
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect(self.server)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        made().map_err(named)
    }

    /// Sends what is due by now.
    fn send_due(
        &mut self,
        socket: &UdpSocket,
        clock: Clock,
        window: &mut Window,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let mut request = Vec::new();
        loop {
            let now_ns = clock.now_ns();
            let Some(due_ns) = self.pace.due_ns(now_ns).filter(|due| *due <= now_ns) else {
                return Ok(());
            };
            self.pace.advance();
            let place = self.draws.as_mut().map_or(0, Draws::next);
            let Some(question) = self.asked.get(place as usize).copied() else {
                return Ok(());
            };
            tally.sent += 1;
            let id = tally.sent as u32;
            self.questions.request(question, id, &mut request);
            tally.late_us.saturating_record((now_ns - due_ns) / 1_000);
            match socket.send(&request) {
                Ok(_) => drop(window.insert(id, Waiting { question, due_ns })),
                // Nobody listens at the moment, or the device takes no more.
                Err(error) if is_passing(&error) => tally.lost += 1,
                Err(error) => return Err(Failure::io("sending")(error)),
            }
        }
    }

    /// Takes in what has come.
    fn receive(
        &self,
        socket: &UdpSocket,
        clock: Clock,
        window: &mut Window,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let mut datagram = [0; ANSWER_BYTES];
        loop {
            let length = match socket.recv(&mut datagram) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_passing(&error) => continue,
                Err(error) => return Err(Failure::io("receiving")(error)),
            };
            let now_ns = clock.now_ns();
            let message = datagram.get(..length).unwrap_or_default();
            let Ok(answer) = Response::decode(message) else {
                let what = "a datagram that is no answer".to_owned();
                tally.answer(self.city, Verdict::Wrong(what), 0)?;
                continue;
            };
            // One that is late, or comes twice, is nobody's.
            let Some(waiting) = window.remove(&answer.envelope.request_id) else {
                continue;
            };
            let of = self.questions.city(waiting.question).unwrap_or(self.city);
            let verdict = self.questions.judge(waiting.question, &answer);
            let latency_us = now_ns.saturating_sub(waiting.due_ns) / 1_000;
            tally.answer(of, verdict, latency_us)?;
        }
    }
}

/// Whether an error of a connected UDP socket is about one datagram, not about the socket.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
    )
}
