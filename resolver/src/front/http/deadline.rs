//! The time a request may take, counted once: whatever it waits for, one after the other, it
//! waits for no longer than that in all.

use super::Shared;
use std::time::Duration;
use tokio::time::Instant;

/// When a request must be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
}

impl Deadline {
    /// That of a request that begins now.
    pub(super) fn of(shared: &Shared) -> Self {
        let limit: Duration = shared.core.request_deadline;
        Self {
            at: Instant::now() + limit,
        }
    }

    /// Runs what may wait; `None`: the time was over, before or meanwhile.
    pub(super) async fn run<T>(self, shared: &Shared, task: impl Future<Output = T>) -> Option<T> {
        // Asked first: a timer counts milliseconds, and a task may be done before it notices.
        let done = if Instant::now() < self.at {
            tokio::time::timeout_at(self.at, task).await.ok()
        } else {
            None
        };
        if done.is_none() {
            shared.meters.bounds.deadline.increment(1);
        }
        done
    }
}
