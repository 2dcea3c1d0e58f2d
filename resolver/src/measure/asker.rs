//! Who asks, and how often. Where a resolution is counted, in the core, nothing is known of a
//! front's connections; a front says it beforehand, for its thread, for a moment, or for a task. The
//! core counts on the thread where it was asked, so that a front knows which of its requests were
//! resolutions.

use super::sampler::{self, Holding, Sample};
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

thread_local! {
    static ASKER: Cell<Option<IpAddr>> = const { Cell::new(None) };
}

/// What this thread asks the core from now on is asked from an address: of threads that do nothing
/// else.
#[inline]
pub(crate) fn on_thread(address: IpAddr) {
    ASKER.set(Some(address));
}

/// What this thread asks the core is asked from an address until the guard is dropped, and then by
/// whom it was before: of threads that serve many.
#[must_use]
pub(crate) fn here(address: Option<IpAddr>) -> Here {
    Here::with(address, Vec::new())
}

/// See [`here`].
#[derive(Debug)]
pub(crate) struct Here {
    before: Option<IpAddr>,
    asked_before: u64,
    holding: Option<Holding>,
}

impl Here {
    fn with(address: Option<IpAddr>, held: Vec<Sample>) -> Self {
        Self {
            before: ASKER.replace(address),
            asked_before: super::asked(),
            holding: Some(sampler::hold(held)),
        }
    }

    /// Ends, with what was asked meanwhile.
    pub(crate) fn asked(mut self) -> Asked {
        Asked {
            count: super::asked().wrapping_sub(self.asked_before),
            samples: self.holding.take().map(Holding::end).unwrap_or_default(),
        }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        ASKER.set(self.before);
    }
}

/// Resolutions that were asked for, and the samples that were taken of them. What is dropped was not
/// seen to its end: its samples have no latency.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    count: u64,
    samples: Vec<Sample>,
}

impl Asked {
    /// So many, none of which was looked at.
    pub(crate) fn of(count: u64) -> Self {
        Self {
            count,
            samples: Vec::new(),
        }
    }

    /// More of the same.
    pub(crate) fn add(&mut self, mut more: Self) {
        self.count += more.count;
        self.samples.append(&mut more.samples);
    }

    /// All of them have their answer; how many they are.
    pub(super) fn answered(mut self, took: Duration) -> u64 {
        sampler::release_after(std::mem::take(&mut self.samples), took);
        self.count
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        sampler::release(std::mem::take(&mut self.samples));
    }
}

/// Runs a task that asks the core from an address, on whichever threads; with its result, which
/// resolutions it was.
pub(crate) fn of_task<F: Future>(address: Option<IpAddr>, task: F) -> Asking<F> {
    Asking {
        task,
        address,
        asked: Asked::default(),
    }
}

pin_project! {
    /// See [`of_task`].
    #[derive(Debug)]
    pub(crate) struct Asking<F> {
        #[pin]
        task: F,
        address: Option<IpAddr>,
        asked: Asked,
    }
}

impl<F: Future> Future for Asking<F> {
    type Output = (F::Output, Asked);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let asking = self.project();
        let held = std::mem::take(&mut asking.asked.samples);
        let here = Here::with(*asking.address, held);
        let polled = asking.task.poll(cx);
        asking.asked.add(here.asked());
        polled.map(|output| (output, std::mem::take(asking.asked)))
    }
}

/// Who asks; `None`: nobody has said.
pub(super) fn asker() -> Option<IpAddr> {
    ASKER.get()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_registry::prefix_table::Traffic;
    use std::sync::Arc;
    use tokio::task::yield_now;

    #[test]
    fn a_task_has_its_own_asker_and_leaves_none_behind() {
        let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let traffic = Arc::new(Traffic::default());
        let task = |whose, times| {
            let traffic = &traffic;
            of_task(whose, async move {
                for _ in 0..times {
                    assert_eq!(asker(), whose);
                    super::super::count(traffic, true);
                    yield_now().await;
                }
            })
        };
        on_thread(other.unwrap());
        // One of nobody is nobody's, whoever has used the thread before.
        let both = async { tokio::join!(task(one, 3), task(None, 2)) };
        let (first, second) = runtime.unwrap().block_on(both);
        assert_eq!((first.1.count, second.1.count), (3, 2));
        assert_eq!(asker(), other);
    }
}
