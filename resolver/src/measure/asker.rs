//! Who asks. Where a resolution is counted, in the core, nothing is known of a front's connections;
//! a front says it beforehand, for its thread or for its task.

use std::cell::Cell;
use std::future::Future;
use std::net::IpAddr;

thread_local! {
    static OF_THREAD: Cell<Option<IpAddr>> = const { Cell::new(None) };
}

tokio::task_local! {
    static OF_TASK: Option<IpAddr>;
}

/// What this thread asks the core from now on is asked from an address: fronts that answer on the
/// thread that has read say it for every query.
#[inline]
pub(crate) fn on_thread(address: IpAddr) {
    OF_THREAD.set(Some(address));
}

/// Runs a task that asks the core from an address. Not itself asynchronous: it would hold the task
/// twice, and each connection is one.
pub(crate) fn of_task<F: Future>(
    address: Option<IpAddr>,
    task: F,
) -> impl Future<Output = F::Output> {
    OF_TASK.scope(address, task)
}

/// Who asks; `None`: nobody has said.
pub(super) fn asker() -> Option<IpAddr> {
    let of_task = OF_TASK.try_with(|address| *address).ok().flatten();
    of_task.or_else(|| OF_THREAD.get())
}
