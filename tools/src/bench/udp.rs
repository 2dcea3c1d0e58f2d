//! Load over UDP: every sender is a thread with its own sockets, windows and draws.

use std::time::Duration;

use super::batch::{BatchSocket, wait_for_any};
use super::error::Failure;
use super::protocol::Protocol;
use super::run::{Job, Sender};
use super::tally::Tally;
use super::window::Window;

/// Longest sleep of a sender to whom nothing happens.
const LONGEST_WAIT: Duration = Duration::from_millis(10);

/// One sender.
#[derive(Debug)]
struct UdpSender<'a, P> {
    job: &'a Job<P>,
    sender: Sender,
    flows: Vec<Flow>,
    /// The flow that sends next by the clock.
    turn: usize,
    tally: Tally,
}

/// A socket with its window.
#[derive(Debug)]
struct Flow {
    socket: BatchSocket,
    window: Window,
}

/// Runs one sender to its end.
pub(super) fn run<P: Protocol>(job: &Job<P>, sender: Sender) -> Result<Tally, Failure> {
    // Sleeps end when they should, not up to 50 us later. Where that is refused they end later.
    let _ = nix::sys::prctl::set_timerslack(1);
    let sockets = sender.connections;
    let most = sender.in_flight.div_ceil(sockets);
    let flows = (0..sockets).map(|_| {
        Ok(Flow {
            socket: BatchSocket::connect(job.server)?,
            window: Window::new(most),
        })
    });
    let sender = UdpSender {
        job,
        flows: flows.collect::<Result<_, Failure>>()?,
        sender,
        turn: 0,
        tally: job.tally()?,
    };
    sender.run()
}

impl<P: Protocol> UdpSender<'_, P> {
    fn run(mut self) -> Result<Tally, Failure> {
        loop {
            let received = self.receive()?;
            let sent = match self.job.is_open_loop() {
                true => self.send_by_the_clock()?,
                false => self.send_into_gaps()?,
            };
            let now_ns = self.job.clock.now_ns();
            self.expire(now_ns);
            let over = self.sender.pace.due_ns(now_ns).is_none();
            if over && self.flows.iter().all(|flow| flow.window.in_flight() == 0) {
                return Ok(self.tally);
            }
            if received + sent == 0 && !self.job.spin {
                self.wait(now_ns)?;
            }
        }
    }

    fn receive(&mut self) -> Result<usize, Failure> {
        let mut received = 0;
        for flow in &mut self.flows {
            received += flow.socket.receive()?;
            let now_ns = self.job.clock.now_ns();
            for message in flow.socket.answers() {
                let protocol = &self.job.protocol;
                protocol.count(message, &mut flow.window, &mut self.tally, now_ns);
            }
        }
        Ok(received)
    }

    /// Closed loop: every socket sends as many as its window has room for.
    fn send_into_gaps(&mut self) -> Result<usize, Failure> {
        let mut sent = 0;
        for flow in &mut self.flows {
            sent += fill(self.job, &mut self.sender, flow)?;
        }
        self.tally.sent += sent as u64;
        Ok(sent)
    }

    /// Open loop: what is due by now, a batch from each socket in turn.
    fn send_by_the_clock(&mut self) -> Result<usize, Failure> {
        let mut sent = 0;
        for _ in 0..self.flows.len() {
            let turn = self.turn;
            self.turn = (turn + 1) % self.flows.len();
            let Some(flow) = self.flows.get_mut(turn) else {
                break;
            };
            match fill(self.job, &mut self.sender, flow)? {
                0 => break,
                some => sent += some,
            }
        }
        self.tally.sent += sent as u64;
        Ok(sent)
    }

    fn expire(&mut self, now_ns: u64) {
        for flow in &mut self.flows {
            self.tally.lost += flow.window.expire(now_ns, self.job.timeout_ns);
        }
    }

    /// Sleeps until an answer comes or a query is due.
    fn wait(&self, now_ns: u64) -> Result<(), Failure> {
        let due = self.sender.pace.wait(now_ns).unwrap_or(LONGEST_WAIT);
        let sockets = self.flows.iter().map(|flow| &flow.socket);
        wait_for_any(sockets, due.min(LONGEST_WAIT))
    }
}

/// Sends at most one batch of what is due, through one socket; how many that were.
fn fill<P: Protocol>(job: &Job<P>, sender: &mut Sender, flow: &mut Flow) -> Result<usize, Failure> {
    let now_ns = job.clock.now_ns();
    let mut added = 0;
    while flow.socket.has_room() && flow.window.has_room() {
        let Some(waiting) = sender.next(now_ns) else {
            break;
        };
        let Some(id) = flow.window.put(waiting) else {
            break;
        };
        let protocol = &job.protocol;
        let push = |out: &mut Vec<u8>| protocol.push_datagram(out, id, waiting.question);
        flow.socket.push_with(push);
        added += 1;
    }
    if added > 0 {
        flow.socket.send()?;
    }
    Ok(added)
}
