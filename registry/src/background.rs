//! Work that may wait, and goes on for thousands of rows without a system call: it must not keep the
//! processor from threads that answer somebody.

#![expect(unsafe_code, reason = "no crate has sched_setattr(2) with a slice")]

use std::io;

/// Rows after which work in the background gives way: some 50 us.
pub(crate) const ROWS: usize = 32;

/// The niceness of background work: the least urgent there is.
const NICENESS: i32 = 19;
/// How long such a thread keeps the processor when another one wants it, nanoseconds: the least there
/// is. Niceness alone lets it go on to the end of a usual slice, milliseconds. Linux before 6.12
/// takes no notice.
const SLICE_NS: u64 = 100_000;

/// `struct sched_attr` of sched_setattr(2), its first version.
#[repr(C)]
struct SchedulingAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// Makes this thread one of the background, for good.
///
/// # Errors
/// The system refuses: the thread is as urgent as others.
pub(crate) fn enter() -> io::Result<()> {
    let attributes = SchedulingAttributes {
        size: size_of::<SchedulingAttributes>() as u32,
        policy: libc::SCHED_OTHER.unsigned_abs(),
        flags: 0,
        nice: NICENESS,
        priority: 0,
        runtime_ns: SLICE_NS,
        deadline_ns: 0,
        period_ns: 0,
    };
    // SAFETY: the call reads `attributes`, whose size it is told, and writes nothing; the first 0
    // stands for the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets threads that wait for the processor have it.
pub(crate) fn give_way() {
    std::thread::yield_now();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_thread_of_the_background_is_the_least_urgent() {
        let thread = std::thread::spawn(|| {
            enter().unwrap();
            std::fs::read_to_string("/proc/thread-self/stat").unwrap()
        });
        let stat = thread.join().unwrap();
        // proc_pid_stat(5): the nineteenth field, the first two of which end with a parenthesis.
        let (_, behind) = stat.rsplit_once(')').unwrap();
        let nice = behind.split_whitespace().nth(16);
        assert_eq!(nice, Some(NICENESS.to_string().as_str()));
    }
}
