//! Writers that wait for acknowledgements: a closed loop, or by the clock.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::timeout;

use super::record::{Record, Records};
use super::{http, native};
use crate::bench::error::Failure;
use crate::bench::pace::{Clock, Limits, Pace};
use crate::bench::run::block_on;
use crate::bench::tally::{Seen, Tally};
use crate::bench::window::Waiting;

/// What is written to.
#[derive(Debug)]
pub(super) enum Target {
    Native(native::Target),
    Http(http::Target),
}

/// One writer's connection.
enum Writer<'t> {
    Native(native::Writer<'t>),
    Http(http::Writer<'t>),
}

/// An answer to a create.
#[derive(Debug)]
pub(super) struct Acknowledged {
    /// Response code or status.
    pub(super) code: u16,
    /// Whether the handle is registered.
    pub(super) is_right: bool,
    /// Bytes read.
    pub(super) length: usize,
}

/// Why a create has no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection broke.
    Connection(io::Error),
    /// What came is no answer.
    Answer(String),
    /// Nothing came in time.
    Overdue,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Answer(error.to_string()),
            _ => Self::Connection(error),
        }
    }
}

impl Target {
    async fn connect(&self) -> Result<Writer<'_>, Failure> {
        Ok(match self {
            Self::Native(target) => Writer::Native(target.connect().await?),
            Self::Http(target) => Writer::Http(target.connect().await?),
        })
    }
}

/// What is registered, by how many, until when.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) target: Target,
    pub(super) records: Records,
    /// The first record's number.
    pub(super) first: u64,
    pub(super) writers: usize,
    /// Creates of each that may be without an answer.
    pub(super) in_flight: usize,
    pub(super) limits: Limits,
    /// Creates a second, of all writers together; none: as many as are acknowledged.
    pub(super) rate: Option<f64>,
    /// When a create is lost.
    pub(super) timeout: Duration,
}

/// What the writers have in common while they write.
struct Shared<'l> {
    load: &'l Load,
    clock: Clock,
    pace: RefCell<Pace>,
    /// The next record's number.
    next: RefCell<u64>,
    tally: RefCell<Tally>,
}

impl Load {
    /// Connects all writers, says that they `begin`, and lets them write.
    pub(super) fn run(
        &self,
        begin: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Tally, Failure> {
        block_on(async {
            // One after the other: log-ins that come all at once may find the server busy.
            let mut writers = Vec::with_capacity(self.writers);
            for _ in 0..self.writers {
                writers.push(self.connect().await?);
            }
            begin()?;
            let shared = Shared {
                load: self,
                clock: Clock::start(),
                pace: RefCell::new(match self.rate {
                    Some(rate) => Pace::open(self.limits, rate, 0, 1),
                    None => Pace::closed(self.limits),
                }),
                next: RefCell::new(self.first),
                tally: RefCell::new(Tally::new()?),
            };
            try_join_all(writers.into_iter().map(|writer| shared.write(writer))).await?;
            Ok(shared.tally.into_inner())
        })
    }

    async fn connect(&self) -> Result<Writer<'_>, Failure> {
        timeout(self.timeout, self.target.connect())
            .await
            .unwrap_or_else(|_| Err(Failure::Protocol("a log-in is not answered".to_owned())))
    }
}

impl<'l> Shared<'l> {
    /// Registers one handle after the other until it is enough.
    async fn write(&self, mut writer: Writer<'l>) -> Result<(), Failure> {
        let (mut answered, mut due) = (false, VecDeque::new());
        loop {
            let ended = match self.ask(&mut writer, &mut due).await {
                Ok(()) if due.is_empty() => return Ok(()),
                Ok(()) => self.hear(&mut writer, &mut due, &mut answered).await,
                Err(broken) => Err(broken),
            };
            match ended {
                Ok(()) => continue,
                Err(Broken::Answer(words)) => return Err(Failure::Protocol(words)),
                Err(Broken::Connection(error)) if !answered => {
                    let closed = "connections are closed without an answer";
                    return Err(Failure::io(closed)(error));
                }
                Err(Broken::Connection(_) | Broken::Overdue) => {}
            }
            self.tally.borrow_mut().lost += due.len() as u64;
            due.clear();
            writer = self.load.connect().await?;
            self.tally.borrow_mut().reconnects += 1;
            answered = false;
        }
    }

    /// Asks as much as may be without an answer. `due`: when each was due that has none.
    async fn ask(&self, writer: &mut Writer<'l>, due: &mut VecDeque<u64>) -> Result<(), Broken> {
        while due.len() < self.load.in_flight
            && let Some((number, due_ns)) = self.next_number()
        {
            let record = self.load.records.get(number);
            let early_ns = due_ns.saturating_sub(self.clock.now_ns());
            if early_ns > 0 {
                tokio::time::sleep(Duration::from_nanos(early_ns)).await;
            }
            due.push_back(due_ns);
            writer.begin(&record)?;
        }
        Ok(())
    }

    /// Waits for an answer and takes all that have come with it.
    async fn hear(
        &self,
        writer: &mut Writer<'l>,
        due: &mut VecDeque<u64>,
        answered: &mut bool,
    ) -> Result<(), Broken> {
        loop {
            let acknowledged = timeout(self.load.timeout, writer.acknowledged()).await;
            let acknowledged = acknowledged.unwrap_or(Err(Broken::Overdue))?;
            *answered = true;
            // By the clock, a create's latency counts from when it was due.
            if let Some(due_ns) = due.pop_front() {
                self.count(&acknowledged, due_ns);
            }
            if due.is_empty() || !writer.has_answer() {
                return Ok(());
            }
        }
    }

    /// The number of the next record, which counts as sent, and when it is due.
    fn next_number(&self) -> Option<(u64, u64)> {
        let mut pace = self.pace.borrow_mut();
        let due_ns = pace.due_ns(self.clock.now_ns())?;
        pace.advance();
        self.tally.borrow_mut().sent += 1;
        let mut next = self.next.borrow_mut();
        let number = *next;
        *next += 1;
        Some((number, due_ns))
    }

    fn count(&self, acknowledged: &Acknowledged, sent_ns: u64) {
        let mut tally = self.tally.borrow_mut();
        if !acknowledged.is_right {
            tally.mismatched += 1;
        }
        let waiting = Waiting {
            due_ns: sent_ns,
            sent_ns,
            question: 0,
        };
        let seen = Seen::code(acknowledged.code);
        tally.answer(seen, acknowledged.length, &waiting, self.clock.now_ns());
    }
}

impl Writer<'_> {
    fn begin(&mut self, record: &Record) -> Result<(), Broken> {
        match self {
            Self::Native(writer) => writer.begin(record),
            Self::Http(writer) => {
                writer.begin(record);
                Ok(())
            }
        }
    }

    async fn acknowledged(&mut self) -> Result<Acknowledged, Broken> {
        match self {
            Self::Native(writer) => writer.acknowledged().await,
            Self::Http(writer) => writer.acknowledged().await,
        }
    }

    fn has_answer(&self) -> bool {
        match self {
            Self::Native(writer) => writer.has_answer(),
            Self::Http(writer) => writer.has_answer(),
        }
    }
}
