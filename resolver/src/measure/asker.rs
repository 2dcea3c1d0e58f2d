//! Who asks, and how often. Where a resolution is counted, in the core, nothing is known of a
//! front's connections; a front says it beforehand, for its thread, for a moment, or for a task. The
//! core counts on the thread where it was asked, so that a front knows which of its requests were
//! resolutions.

use pin_project_lite::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

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
    Here {
        before: ASKER.replace(address),
    }
}

/// See [`here`].
#[derive(Debug)]
pub(crate) struct Here {
    before: Option<IpAddr>,
}

impl Drop for Here {
    fn drop(&mut self) {
        ASKER.set(self.before);
    }
}

/// Runs a task that asks the core from an address, on whichever threads; with its result, how many
/// resolutions it was.
pub(crate) fn of_task<F: Future>(address: Option<IpAddr>, task: F) -> Asking<F> {
    Asking {
        task,
        address,
        asked: 0,
    }
}

pin_project! {
    /// See [`of_task`].
    #[derive(Debug)]
    pub(crate) struct Asking<F> {
        #[pin]
        task: F,
        address: Option<IpAddr>,
        asked: u64,
    }
}

impl<F: Future> Future for Asking<F> {
    type Output = (F::Output, u64);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let asking = self.project();
        let _asker = here(*asking.address);
        let before = super::asked();
        let polled = asking.task.poll(cx);
        *asking.asked += super::asked().wrapping_sub(before);
        polled.map(|output| (output, *asking.asked))
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
        assert_eq!(runtime.unwrap().block_on(both), (((), 3), ((), 2)));
        assert_eq!(asker(), other);
    }
}
