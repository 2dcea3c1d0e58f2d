//! CPU time of processes, the kernel's part included, from `/proc` (proc(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::error::Failure;

/// Clock ticks a second in `/proc/*/stat` (`USER_HZ`, 100 on every Linux architecture in use).
const TICKS_PER_S: f64 = 100.0;

/// What a process and its descendants had used when this was taken.
#[derive(Debug)]
pub(super) struct Used {
    /// Nanoseconds by thread, of threads that run (`schedstat`).
    threads_ns: BTreeMap<u32, u64>,
    /// Seconds by process, of ended threads too, but rounded to ticks (`stat`).
    processes_s: BTreeMap<u32, f64>,
}

impl Used {
    /// Of a server: the process and its descendants, as some fork a child for every thread.
    pub(super) fn by_server(pid: u32) -> Result<Self, Failure> {
        let mut used = Self {
            threads_ns: BTreeMap::new(),
            processes_s: BTreeMap::new(),
        };
        for process in with_descendants(pid) {
            // A descendant may have ended since it was listed.
            let Some(stat) = stat(process) else { continue };
            used.processes_s.insert(process, stat.cpu_s);
            used.threads_ns.extend(threads_ns(process));
        }
        match used.processes_s.contains_key(&pid) {
            true => Ok(used),
            false => Err(Failure::Usage(format!(
                "--server-pid {pid}: there is no such process"
            ))),
        }
    }

    /// Seconds used from `self` until `later`: exact, unless threads have ended meanwhile; then
    /// in hundredths. What processes have used that ended meanwhile is not known.
    pub(super) fn until_s(&self, later: &Self) -> f64 {
        let since = |thread: &u32| self.threads_ns.get(thread).copied().unwrap_or(0);
        let threads_ns: u64 = later
            .threads_ns
            .iter()
            .map(|(thread, ns)| ns.saturating_sub(since(thread)))
            .sum();
        let threads_s = threads_ns as f64 / 1e9;
        let since_s = |process: &u32| self.processes_s.get(process).copied().unwrap_or(0.0);
        let processes_s: f64 = later
            .processes_s
            .iter()
            .map(|(process, cpu_s)| cpu_s - since_s(process))
            .sum();
        // Both parts of both readings are rounded down to ticks.
        let rounding_s = 2.0 * later.processes_s.len() as f64 / TICKS_PER_S;
        match processes_s > threads_s + rounding_s {
            true => processes_s,
            false => threads_s,
        }
    }
}

/// What this process has used, seconds.
pub(super) fn own_s() -> f64 {
    stat(std::process::id()).map_or(0.0, |stat| stat.cpu_s)
}

struct Stat {
    parent: u32,
    cpu_s: f64,
}

/// The fields wanted of `/proc/PID/stat`: 4, the parent, and 14 and 15, user and system time.
/// They are counted from after the command's name, which is field 2 and may hold blanks.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let mut times = fields.skip(9).map(str::parse::<f64>);
    let user = times.next()?.ok()?;
    let system = times.next()?.ok()?;
    Some(Stat {
        parent,
        cpu_s: (user + system) / TICKS_PER_S,
    })
}

/// Nanoseconds on a processor, of each thread of a process; nothing where the kernel does not
/// count them.
fn threads_ns(pid: u32) -> Vec<(u32, u64)> {
    numbers_in(&format!("/proc/{pid}/task"))
        .into_iter()
        .filter_map(|thread| {
            let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()?;
            Some((thread, text.split_whitespace().next()?.parse().ok()?))
        })
        .collect()
}

fn with_descendants(pid: u32) -> BTreeSet<u32> {
    let parents: Vec<(u32, u32)> = numbers_in("/proc")
        .into_iter()
        .filter_map(|process| Some((process, stat(process)?.parent)))
        .collect();
    let mut family = BTreeSet::from([pid]);
    loop {
        let before = family.len();
        for (process, parent) in &parents {
            if family.contains(parent) {
                family.insert(*process);
            }
        }
        if family.len() == before {
            return family;
        }
    }
}

/// The entries of a directory that are numbers.
fn numbers_in(directory: &str) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]

    use super::*;

    /// At least a tenth of a second of work, however busy the machine is.
    fn busy() {
        for number in 0..400_000_000_u64 {
            std::hint::black_box(number);
        }
    }

    #[test]
    fn work_of_a_running_thread_and_of_an_ended_one_counts() {
        let own = std::process::id();
        let before = Used::by_server(own).unwrap();
        busy();
        let used = before.until_s(&Used::by_server(own).unwrap());
        assert!(used > 0.05, "{used}");

        let (out, into) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            out.send(()).unwrap();
            busy();
        });
        into.recv().unwrap();
        let before = Used::by_server(own).unwrap();
        thread.join().unwrap();
        let used = before.until_s(&Used::by_server(own).unwrap());
        assert!(used > 0.05, "{used}");
    }

    #[test]
    fn work_of_a_thread_that_came_and_went_counts() {
        let before = Used::by_server(std::process::id()).unwrap();
        std::thread::spawn(busy).join().unwrap();
        let used = before.until_s(&Used::by_server(std::process::id()).unwrap());
        assert!(used > 0.05, "{used}");
    }

    #[test]
    fn a_child_counts_as_its_parent_does() {
        let mut child = std::process::Command::new("sleep")
            .arg("30")
            .spawn()
            .unwrap();
        let family = with_descendants(std::process::id());
        assert!(family.contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let failure = Used::by_server(u32::MAX).unwrap_err().to_string();
        assert!(failure.contains("4294967295"), "{failure}");
    }
}
