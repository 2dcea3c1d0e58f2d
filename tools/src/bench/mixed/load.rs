//! The stream of queries, right ones and malformed ones, by the clock; every answer is judged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::check::{Expected, judge};
use super::kernel;
use super::malformed::{self, Reply};
use super::model::{Allowed, Model, Names, TYPE_NAPTR, TYPE_TXT, TYPE_URI};
use crate::bench::batch::{BatchSocket, wait_for_any};
use crate::bench::dns::questions::{HEADER_BYTES, Shape, push_name};
use crate::bench::error::Failure;
use crate::bench::order::below;
use crate::bench::pace::{Clock, Limits, Pace};
use crate::bench::window::{Waiting, Window};

/// Sockets, each with a port of its own.
const SOCKETS: usize = 8;
/// Most queries that wait on one socket.
const IN_FLIGHT: usize = 16_384;
/// When a query counts as unanswered, nanoseconds.
const TIMEOUT_NS: u64 = 10_000_000_000;
const LONGEST_WAIT: Duration = Duration::from_millis(5);
/// One query in so many is for an identifier that was written just now.
const RECENT_EVERY: u64 = 8;
/// Wrong answers that are told of; all are counted.
const TOLD: usize = 20;
/// Types that are asked, the last of which no identifier has.
const KINDS: [u16; 4] = [TYPE_NAPTR, TYPE_TXT, TYPE_URI, 1];

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Choice {
    /// Identifiers at random, for all types; this share of the packets malformed.
    Mixed { malformed: f64 },
    /// Every identifier once, for its NAPTR records.
    All,
}

/// How it is asked.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) server: SocketAddr,
    pub(super) rate_qps: f64,
    pub(super) duration_ns: u64,
    pub(super) seed: u64,
    pub(super) choice: Choice,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) queries: u64,
    pub(super) answers: u64,
    pub(super) unanswered: u64,
    pub(super) wrong: u64,
    /// What was wrong, of the first.
    pub(super) told: Vec<String>,
    /// Answers that were judged while a write of their identifier was under way.
    pub(super) raced: u64,
    pub(super) malformed: u64,
    pub(super) malformed_answered: u64,
    /// Answers to nothing that waits: double or very late.
    pub(super) unexpected: u64,
    pub(super) latency_ns: Histogram<u64>,
    /// Answers that our own sockets had no room for.
    pub(super) client_drops: u64,
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    Question(Expected),
    Malformed(&'static [u8]),
}

/// A socket with its queries.
struct Flow {
    socket: BatchSocket,
    window: Window,
    /// By the number that the window keeps.
    asked: Vec<Asked>,
    free: Vec<u32>,
}

struct Load<'a> {
    plan: &'a Plan,
    model: &'a Model,
    names: &'a Names,
    clock: Clock,
    pace: Pace,
    draws: u64,
    next: u32,
    query: Vec<u8>,
    flows: Vec<Flow>,
    turn: usize,
    seen: Seen,
}

/// Asks until the plan's time is over, or `stop`.
pub(super) fn run(
    plan: &Plan,
    model: &Arc<Model>,
    names: &Names,
    stop: &AtomicBool,
) -> Result<Seen, Failure> {
    let _ = nix::sys::prctl::set_timerslack(1);
    let flows: Vec<Flow> = (0..SOCKETS)
        .map(|_| Flow::connect(plan.server))
        .collect::<Result<_, _>>()?;
    let queries = match plan.choice {
        Choice::Mixed { .. } => u64::MAX,
        Choice::All => u64::from(model.count()),
    };
    let limits = Limits {
        duration_ns: plan.duration_ns,
        queries,
    };
    let mut load = Load {
        plan,
        model,
        names,
        clock: Clock::start(),
        pace: Pace::open(limits, plan.rate_qps, 0, 1),
        draws: plan.seed,
        next: 0,
        query: Vec::new(),
        turn: 0,
        seen: Seen::new()?,
        flows,
    };
    load.run(stop)?;
    let ports = load.flows.iter().map(|flow| flow.socket.port());
    let ports: Vec<u16> = ports.collect::<Result<_, _>>()?;
    load.seen.client_drops = kernel::drops(&ports);
    Ok(load.seen)
}

impl Load<'_> {
    fn run(&mut self, stop: &AtomicBool) -> Result<(), Failure> {
        loop {
            let received = self.receive()?;
            let stopped = stop.load(Ordering::Relaxed);
            let sent = if stopped { 0 } else { self.send()? };
            let now_ns = self.clock.now_ns();
            self.expire(now_ns);
            let over = stopped || self.pace.due_ns(now_ns).is_none();
            if over && self.flows.iter().all(Flow::waits_for_nothing) {
                return Ok(());
            }
            if received + sent == 0 {
                self.wait(now_ns)?;
            }
        }
    }

    fn receive(&mut self) -> Result<usize, Failure> {
        let mut received = 0;
        for flow in &mut self.flows {
            received += flow.socket.receive()?;
            let now_ns = self.clock.now_ns();
            for message in flow.socket.answers() {
                let id = message.first_chunk::<2>().map(|id| u16::from_be_bytes(*id));
                let Some(waiting) = id.and_then(|id| flow.window.take(id)) else {
                    self.seen.unexpected += 1;
                    continue;
                };
                let Some(asked) = flow.asked.get(waiting.question as usize).copied() else {
                    continue;
                };
                flow.free.push(waiting.question);
                self.seen
                    .answer(message, asked, &waiting, now_ns, self.model, self.names);
            }
        }
        Ok(received)
    }

    /// Sends what is due, a batch from each socket in turn.
    fn send(&mut self) -> Result<usize, Failure> {
        let mut sent = 0;
        for _ in 0..self.flows.len() {
            let added = self.fill()?;
            if added == 0 {
                break;
            }
            sent += added;
        }
        Ok(sent)
    }

    fn fill(&mut self) -> Result<usize, Failure> {
        let now_ns = self.clock.now_ns();
        let turn = self.turn;
        self.turn = (turn + 1) % self.flows.len().max(1);
        let mut added = 0;
        while self
            .flows
            .get(turn)
            .is_some_and(|flow| flow.socket.has_room() && flow.window.has_room())
        {
            let due_ns = match self.pace.due_ns(now_ns) {
                Some(due_ns) if due_ns <= now_ns => due_ns,
                _ => break,
            };
            self.pace.advance();
            self.ask(turn, due_ns, now_ns);
            added += 1;
        }
        if let Some(flow) = self.flows.get_mut(turn)
            && added > 0
        {
            flow.socket.send()?;
        }
        Ok(added)
    }

    /// Adds one packet to a socket's batch.
    fn ask(&mut self, turn: usize, due_ns: u64, now_ns: u64) {
        let expected = self.draw();
        let owner = self.names.owner(expected.number);
        self.query.clear();
        let mut question = Vec::with_capacity(64);
        // The names are made here and are right.
        let _ = push_name(&mut question, &owner);
        question.extend(expected.kind.to_be_bytes());
        question.extend([0, 1]);
        let shape = Shape {
            edns_bytes: expected.edns.then_some(1232),
            dnssec_ok: false,
            recursion: false,
        };
        shape.push_query(&mut self.query, 0, &question);
        let Some(flow) = self.flows.get_mut(turn) else {
            return;
        };
        match self.plan.choice {
            Choice::Mixed { malformed } if chance(&mut self.draws, malformed) => {
                let kind = below(&mut self.draws, malformed::KINDS);
                self.seen.malformed += 1;
                flow.push_malformed(kind, &self.query, &mut self.draws, due_ns, now_ns);
            }
            _ => {
                self.seen.queries += 1;
                flow.push(Asked::Question(expected), &mut self.query, due_ns, now_ns);
            }
        }
    }

    /// The next question, with what is acknowledged of its identifier just now.
    fn draw(&mut self) -> Expected {
        let count = u64::from(self.model.count());
        let (number, kind, edns) = match self.plan.choice {
            Choice::All => {
                self.next += 1;
                (self.next - 1, TYPE_NAPTR, true)
            }
            Choice::Mixed { .. } => {
                let number = match below(&mut self.draws, RECENT_EVERY) {
                    0 => self.model.recent(below(&mut self.draws, 1 << 16) as usize),
                    _ => below(&mut self.draws, count) as u32,
                };
                let kind = below(&mut self.draws, KINDS.len() as u64) as usize;
                let edns = below(&mut self.draws, 4) > 0;
                (number, KINDS.get(kind).copied().unwrap_or(TYPE_TXT), edns)
            }
        };
        let oldest = self.model.acknowledged(number);
        Expected {
            number,
            kind,
            edns,
            allowed: Allowed {
                oldest,
                newest: oldest,
            },
            sequence: self.model.sequence(),
        }
    }

    fn expire(&mut self, now_ns: u64) {
        for flow in &mut self.flows {
            let (asked, free, seen) = (&flow.asked, &mut flow.free, &mut self.seen);
            flow.window.expire_each(now_ns, TIMEOUT_NS, |waiting| {
                free.push(waiting.question);
                let query = asked.get(waiting.question as usize);
                seen.unanswered += u64::from(matches!(query, Some(Asked::Question(_))));
            });
        }
    }

    fn wait(&self, now_ns: u64) -> Result<(), Failure> {
        let due = self.pace.wait(now_ns).unwrap_or(LONGEST_WAIT);
        let sockets = self.flows.iter().map(|flow| &flow.socket);
        wait_for_any(sockets, due.min(LONGEST_WAIT))
    }
}

/// Whether something of this probability happens.
fn chance(draws: &mut u64, probability: f64) -> bool {
    (below(draws, 1_000_000) as f64) < probability * 1e6
}

impl Flow {
    fn connect(server: SocketAddr) -> Result<Self, Failure> {
        Ok(Self {
            socket: BatchSocket::connect(server)?,
            window: Window::new(IN_FLIGHT),
            asked: Vec::new(),
            free: Vec::new(),
        })
    }

    fn waits_for_nothing(&self) -> bool {
        self.window.in_flight() == 0
    }

    /// An ID for what was asked; there is room.
    fn keep(&mut self, asked: Asked, due_ns: u64, now_ns: u64) -> Option<u16> {
        let question = match self.free.pop() {
            Some(free) => free,
            None => {
                self.asked.push(asked);
                self.asked.len() as u32 - 1
            }
        };
        if let Some(place) = self.asked.get_mut(question as usize) {
            *place = asked;
        }
        self.window.put(Waiting {
            due_ns,
            sent_ns: now_ns,
            question,
        })
    }

    fn push(&mut self, asked: Asked, query: &mut [u8], due_ns: u64, now_ns: u64) {
        let Some(id) = self.keep(asked, due_ns, now_ns) else {
            return;
        };
        if let Some(place) = query.get_mut(..2) {
            place.copy_from_slice(&id.to_be_bytes());
        }
        self.socket.push_message(query);
    }

    fn push_malformed(
        &mut self,
        kind: u64,
        query: &[u8],
        draws: &mut u64,
        due_ns: u64,
        now_ns: u64,
    ) {
        let mut packet = malformed::packet(kind, 0, query, draws);
        if let Reply::Code(codes) = packet.reply
            && let Some(id) = self.keep(Asked::Malformed(codes), due_ns, now_ns)
            && let Some(place) = packet.bytes.get_mut(..2)
        {
            place.copy_from_slice(&id.to_be_bytes());
        }
        self.socket.push_message(&packet.bytes);
    }
}

impl Seen {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            queries: 0,
            answers: 0,
            unanswered: 0,
            wrong: 0,
            told: Vec::new(),
            raced: 0,
            malformed: 0,
            malformed_answered: 0,
            unexpected: 0,
            latency_ns: Histogram::new_with_bounds(1, 600_000_000_000, 3)
                .map_err(|error| Failure::Usage(error.to_string()))?,
            client_drops: 0,
        })
    }

    /// Judges an answer.
    fn answer(
        &mut self,
        message: &[u8],
        asked: Asked,
        waiting: &Waiting,
        now_ns: u64,
        model: &Model,
        names: &Names,
    ) {
        let judged = match asked {
            Asked::Malformed(codes) => {
                self.malformed_answered += 1;
                malformed::judge(message, codes)
            }
            Asked::Question(mut expected) => {
                self.answers += 1;
                let latency_ns = now_ns.saturating_sub(waiting.due_ns);
                self.latency_ns.saturating_record(latency_ns);
                expected.allowed.newest = model.begun(expected.number);
                let allowed = expected.allowed;
                self.raced += u64::from(allowed.oldest != allowed.newest);
                judge_question(message, &expected, names)
                    .map_err(|reason| describe(&reason, &expected, names))
            }
        };
        if let Err(reason) = judged {
            self.wrong += 1;
            if self.told.len() < TOLD {
                self.told.push(format!("{reason}; {}", hex(message)));
            }
        }
    }
}

/// Judges the question section, then the rest.
fn judge_question(message: &[u8], expected: &Expected, names: &Names) -> Result<(), String> {
    let mut question = Vec::with_capacity(64);
    push_name(&mut question, &names.owner(expected.number))?;
    question.extend(expected.kind.to_be_bytes());
    question.extend([0, 1]);
    let end = HEADER_BYTES + question.len();
    match message.get(HEADER_BYTES..end) {
        Some(repeated) if repeated == question => judge(message, end, expected, names),
        _ => Err("another question".to_owned()),
    }
}

fn describe(reason: &str, expected: &Expected, names: &Names) -> String {
    let Allowed { oldest, newest } = expected.allowed;
    format!(
        "{} type {}, allowed versions {oldest} to {newest}: {reason}",
        names.owner(expected.number),
        expected.kind,
    )
}

fn hex(message: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(message)
}
