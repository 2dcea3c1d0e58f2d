//! One run: its senders, each on a thread, and their tallies together.

use std::net::SocketAddr;
use std::sync::Arc;

use super::error::Failure;
use super::order::{Draws, Order};
use super::pace::{Clock, Limits, Pace};
use super::protocol::Protocol;
use super::tally::Tally;
use super::tls::Tls;
use super::window::Waiting;

/// What all senders of a run have alike.
#[derive(Debug)]
pub(super) struct Job<P> {
    pub(super) server: SocketAddr,
    /// What is asked, and in which words.
    pub(super) protocol: Arc<P>,
    pub(super) clock: Clock,
    /// When an unanswered query is lost, nanoseconds after it was sent.
    pub(super) timeout_ns: u64,
    /// Queries a second, all senders together; nothing in a closed loop.
    pub(super) rate_qps: Option<f64>,
    /// Whether senders never sleep.
    pub(super) spin: bool,
    /// How encrypted connections are made.
    pub(super) tls: Option<Tls>,
    /// Queries after which a connection is closed and another one opened; nothing: never.
    pub(super) per_connection: Option<u64>,
    /// Whether every question's answer is kept.
    pub(super) keeps_answers: bool,
}

impl<P> Clone for Job<P> {
    fn clone(&self) -> Self {
        Self {
            protocol: self.protocol.clone(),
            tls: self.tls.clone(),
            ..*self
        }
    }
}

/// What each sender has of its own.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) pace: Pace,
    pub(super) draws: Draws,
    /// Sockets or connections.
    pub(super) connections: usize,
    /// Most queries in flight over all of them.
    pub(super) in_flight: usize,
}

impl Sender {
    /// What is due by now and drawn next; it counts as sent.
    pub(super) fn next(&mut self, now_ns: u64) -> Option<Waiting> {
        let due_ns = self
            .pace
            .due_ns(now_ns)
            .filter(|due_ns| *due_ns <= now_ns)?;
        self.pace.advance();
        Some(Waiting {
            due_ns,
            sent_ns: now_ns,
            question: self.draws.next(),
        })
    }
}

/// How a run is divided among senders.
#[derive(Debug, Clone, Copy)]
pub(super) struct Division {
    pub(super) threads: usize,
    pub(super) connections: usize,
    pub(super) in_flight: usize,
    pub(super) limits: Limits,
    pub(super) order: Order,
    pub(super) seed: u64,
    /// Questions passed over at the beginning.
    pub(super) skip: u32,
}

impl<P: Protocol> Job<P> {
    /// Whether queries are sent by the clock.
    pub(super) fn is_open_loop(&self) -> bool {
        self.rate_qps.is_some()
    }

    /// A sender's tally, with nothing in it.
    pub(super) fn tally(&self) -> Result<Tally, Failure> {
        let mut tally = Tally::new()?;
        if self.keeps_answers {
            tally.answers = vec![None; self.protocol.questions() as usize];
        }
        Ok(tally)
    }

    /// Runs all senders to their end, each with `run_sender`.
    pub(super) fn run(
        &self,
        division: &Division,
        run_sender: impl Fn(&Self, Sender) -> Result<Tally, Failure> + Sync,
    ) -> Result<Tally, Failure> {
        let draws = Draws::split(
            division.order,
            self.protocol.questions(),
            division.seed,
            division.skip,
            division.threads,
        );
        // The clock starts when everything is prepared: a permutation of millions takes a while.
        let job = Self {
            clock: Clock::start(),
            ..self.clone()
        };
        let senders = draws
            .into_iter()
            .enumerate()
            .map(|(number, draws)| division.sender(number, draws, self.rate_qps));
        let mut total = Tally::new()?;
        let (job, run_sender) = (&job, &run_sender);
        std::thread::scope(|scope| {
            let threads: Vec<_> = senders
                .map(|sender| scope.spawn(move || run_sender(job, sender)))
                .collect();
            for thread in threads {
                let panicked = |_| Failure::Protocol("a sender has panicked".to_owned());
                total.add(&thread.join().map_err(panicked)??)?;
            }
            Ok(())
        })?;
        Ok(total)
    }
}

/// Runs a sender's connections on this thread.
pub(super) fn block_on(
    senders: impl Future<Output = Result<Tally, Failure>>,
) -> Result<Tally, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::io("starting"))?;
    runtime.block_on(senders)
}

impl Division {
    fn sender(&self, number: usize, draws: Draws, rate_qps: Option<f64>) -> Sender {
        let share = |total: usize| {
            let even = total / self.threads + usize::from(number < total % self.threads);
            even.max(1)
        };
        let threads = self.threads as u64;
        let limits = Limits {
            queries: self.limits.queries / threads
                + u64::from((number as u64) < self.limits.queries % threads),
            ..self.limits
        };
        Sender {
            pace: match rate_qps {
                Some(rate_qps) => Pace::open(limits, rate_qps, number, self.threads),
                None => Pace::closed(limits),
            },
            draws,
            connections: share(self.connections),
            in_flight: share(self.in_flight),
        }
    }
}
