//! Where requests are answered that need not wait: with what is kept, or from what memory knows,
//! whose bytes are kept then. Each UDP thread has a desk of its own; connections share some
//! ([`crate::front::desks`]).

use super::answer::{Answerer, Attempt, Considered, Scratch};
use super::kept::{KeptAnswers, Usual};
use super::metrics::{Outcome, Tally};
use idnode_proto::handle::Transport;
use std::sync::Arc;
use std::time::Duration;

/// A place with kept answers of its own, for one batch of requests at a time.
#[derive(Debug)]
pub(super) struct Desk {
    answerer: Arc<Answerer>,
    kept: KeptAnswers,
    /// Of this batch.
    tally: Tally,
}

impl Desk {
    /// `capacity_bytes`: what its kept answers may take.
    pub(super) fn new(answerer: Arc<Answerer>, capacity_bytes: u64) -> Self {
        Self {
            answerer,
            kept: KeptAnswers::new(capacity_bytes),
            tally: Tally::default(),
        }
    }

    /// Whose answers these are.
    pub(super) fn answerer(&self) -> &Arc<Answerer> {
        &self.answerer
    }

    /// Answers one whole message, envelope first, if memory alone can. Never waits.
    pub(super) fn serve(
        &mut self,
        message: &[u8],
        transport: Transport,
        scratch: &mut Scratch,
    ) -> Attempt {
        let usual = Usual::read(message);
        if let Some(usual) = &usual {
            let resolver = self.answerer.resolver();
            if let Some(outcome) = self.kept.repeat(usual, resolver, &mut scratch.reply) {
                self.tally.repeated(outcome);
                return Attempt::Done;
            }
        }
        let at = scratch.reply.len();
        let (outcome, basis) = match self.answerer.consider(message, transport, scratch) {
            Considered::Answered(outcome, basis) => (outcome, basis),
            Considered::NeedsDisk => return Attempt::NeedsDisk,
            Considered::NeedsTask => return Attempt::NeedsTask,
        };
        self.tally.answered(outcome);
        if outcome == Outcome::Ignored {
            return Attempt::Silent;
        }
        if let (Some(_), Some(basis)) = (usual, basis) {
            let reply = scratch.reply.get(at..).unwrap_or_default();
            self.kept.keep(reply, outcome, basis);
        }
        Attempt::Done
    }

    /// A batch has been answered, in `took`.
    pub(super) fn batch_ended(&mut self, took: Duration) {
        self.answerer.metrics.batch(&mut self.tally, took);
    }
}
