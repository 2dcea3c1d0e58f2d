//! UDP threads before others. A thread that answers datagrams works for microseconds and waits for
//! the next ones; a bulk load works for seconds. Where both have to share a processor, the system's
//! usual scheduling lets the answers wait for milliseconds, so these threads ask for its real-time
//! class (`SCHED_FIFO`, sched(7)). One that a flood keeps busy takes its turn with the others: it
//! would leave writes next to nothing. So does one that is asked often, or leaves much to other threads:
//! it would interrupt whoever is on its processor for every datagram, instead of finding a batch when
//! they are done, which costs both of them nearly twice as much where clients are on the same machine.

#![expect(unsafe_code, reason = "libc is the only way to sched_setscheduler(2)")]

use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// How long a thread's work is watched before it is judged.
const WINDOW: Duration = Duration::from_millis(100);
/// A thread that worked more than this share of a window is as urgent as any other.
const TOO_BUSY: f64 = 0.6;
/// One that worked less than this is urgent again.
const AT_EASE: f64 = 0.4;

/// A thread that was asked this often a second is as urgent as any other.
const OFTEN: f64 = 20_000.0;
/// One that was asked less often than this is urgent again.
const SELDOM: f64 = 15_000.0;

/// A thread that hands over more than one in so many datagrams is as urgent as any other.
const HANDED_OVER: usize = 8;

/// What one thread asks of the system's scheduler. Stays on its thread.
#[derive(Debug)]
pub(crate) struct Urgency {
    /// Whether the thread is in the real-time class; `None`: the system does not permit it.
    urgent: Option<bool>,
    /// The system refused the last change, which was logged.
    is_refused: bool,
    window_began: Instant,
    worked_before: Duration,
    /// In this window.
    datagrams: usize,
    handed_over: usize,
}

impl Urgency {
    /// Of this thread; not `wanted`: it stays as it is.
    pub fn of_this_thread(wanted: bool) -> Self {
        let entered = wanted && set(true).inspect_err(log_usual).is_ok();
        Self {
            urgent: entered.then_some(true),
            is_refused: false,
            window_began: Instant::now(),
            worked_before: worked(),
            datagrams: 0,
            handed_over: 0,
        }
    }

    /// Judges the thread's work once in a while, to be called after each batch: how many datagrams
    /// it had, and how many of them were left to other threads.
    pub fn look(&mut self, now: Instant, datagrams: usize, handed_over: usize) {
        self.datagrams += datagrams;
        self.handed_over += handed_over;
        let passed = now.duration_since(self.window_began);
        let Some(urgent) = self.urgent else { return };
        if passed < WINDOW {
            return;
        }
        let worked = worked();
        let done = worked.saturating_sub(self.worked_before);
        let share = done.div_duration_f64(passed);
        let per_s = self.datagrams as f64 / passed.as_secs_f64();
        let should = should_be_urgent(urgent, share, per_s)
            && self.handed_over * HANDED_OVER <= self.datagrams;
        (self.window_began, self.worked_before) = (now, worked);
        (self.datagrams, self.handed_over) = (0, 0);
        if should != urgent {
            self.change(should);
        }
    }

    /// Where the system refuses, the thread stays what it is, which is known, and the next look
    /// tries again: one that stayed in the real-time class for good would starve the others.
    fn change(&mut self, urgent: bool) {
        let changed = set(urgent);
        if let Err(error) = &changed
            && !self.is_refused
        {
            tracing::warn!(%error, urgent, "a UDP thread cannot change how it is scheduled");
        }
        self.is_refused = changed.is_err();
        if changed.is_ok() {
            self.urgent = Some(urgent);
        }
    }
}

fn log_usual(error: &Errno) {
    tracing::info!(%error, "UDP threads are scheduled like any other");
}

fn should_be_urgent(is_urgent: bool, share: f64, datagrams_per_s: f64) -> bool {
    match is_urgent {
        true => share < TOO_BUSY && datagrams_per_s < OFTEN,
        false => share < AT_EASE && datagrams_per_s < SELDOM,
    }
}

/// What this thread has worked since it began.
fn worked() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Puts this thread into the real-time class, at its lowest priority, or back; threads that it
/// starts are not in it. That it resets what it forks stays set on the way back: clearing that flag
/// takes CAP_SYS_NICE (sched(7)), which a thread that entered by RLIMIT_RTPRIO has not.
fn set(urgent: bool) -> nix::Result<()> {
    let (class, sched_priority) = match urgent {
        true => (libc::SCHED_FIFO, 1),
        false => (libc::SCHED_OTHER, 0),
    };
    let policy = class | libc::SCHED_RESET_ON_FORK;
    let parameters = libc::sched_param { sched_priority };
    // SAFETY: the call reads `parameters`, which lives until it returns, and writes nothing; 0
    // stands for the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_flooded_thread_takes_its_turn_until_the_flood_is_over() {
        assert!(should_be_urgent(true, 0.1, 10_000.0));
        assert!(should_be_urgent(true, 0.59, 10_000.0));
        assert!(!should_be_urgent(true, 0.61, 10_000.0));
        assert!(!should_be_urgent(false, 0.5, 10_000.0));
        assert!(should_be_urgent(false, 0.39, 10_000.0));
    }

    #[test]
    fn a_thread_that_is_asked_often_finds_batches() {
        assert!(should_be_urgent(true, 0.2, 19_000.0));
        assert!(!should_be_urgent(true, 0.2, 21_000.0));
        assert!(!should_be_urgent(false, 0.2, 16_000.0));
        assert!(should_be_urgent(false, 0.2, 14_000.0));
    }

    #[test]
    fn a_thread_that_works_without_a_pause_ends_in_the_usual_class() {
        let thread = std::thread::spawn(|| {
            let mut urgency = Urgency::of_this_thread(true);
            if urgency.urgent.is_none() {
                return; // not permitted here
            }
            // For a window that it has the processor for itself: others may take it.
            let began = Instant::now();
            while urgency.urgent == Some(true) {
                urgency.look(Instant::now(), 0, 0);
                assert!(began.elapsed() < WINDOW * 300);
            }
            std::thread::sleep(WINDOW * 2);
            urgency.look(Instant::now(), 1, 0);
            assert_eq!(urgency.urgent, Some(true));
            std::thread::sleep(WINDOW);
            urgency.look(Instant::now(), 7, 1);
            assert_eq!(urgency.urgent, Some(false), "one in seven was handed over");
        });
        thread.join().unwrap();
    }

    /// Takes CAP_SYS_NICE from this thread alone; false: it cannot.
    fn give_up_nice() -> bool {
        const VERSION_3: u32 = 0x2008_0522;
        const CAP_SYS_NICE: u32 = 23;
        let mut header = [VERSION_3, 0];
        // Effective, permitted and inheritable, twice 32 of each.
        let mut sets = [0_u32; 6];
        // SAFETY: both calls are given a header of two numbers and room for six.
        unsafe {
            if libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) != 0 {
                return false;
            }
            sets[0] &= !(1 << CAP_SYS_NICE);
            libc::syscall(libc::SYS_capset, header.as_mut_ptr(), sets.as_ptr()) == 0
        }
    }

    #[test]
    fn a_thread_leaves_without_a_capability_and_where_it_is_refused_stays_what_it_is() {
        let thread = std::thread::spawn(|| {
            if set(true).is_err() || !give_up_nice() {
                return; // not permitted here
            }
            // From here on as a thread that has entered by RLIMIT_RTPRIO.
            let mut urgency = Urgency {
                urgent: Some(true),
                ..Urgency::of_this_thread(false)
            };
            urgency.change(false);
            assert_eq!(urgency.urgent, Some(false));
            // SAFETY: the call takes a number and gives one.
            let policy = unsafe { libc::sched_getscheduler(0) };
            assert_eq!(policy, libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK);
            urgency.change(true);
            assert_eq!(urgency.urgent, Some(!urgency.is_refused));
            urgency.change(false);
            assert_eq!((urgency.urgent, urgency.is_refused), (Some(false), false));
        });
        thread.join().unwrap();
    }
}
