//! Network namespaces: made, entered, removed. The system's `ip` (iproute2) makes them, so that
//! a person can look at them with the same program.

use std::fs::{self, File};
use std::io;
use std::process::Command;

use nix::sched::{CloneFlags, setns};

use crate::province::error::Failure;

/// Where `ip netns` keeps them.
const DIRECTORY: &str = "/run/netns";

/// Runs `ip` with arguments; what it printed.
///
/// # Errors
/// It failed, with its words.
pub(super) fn ip(arguments: &[&str]) -> Result<String, Failure> {
    run("ip", arguments)
}

/// Runs a program of iproute2 to its end.
///
/// # Errors
/// It is not there; it failed, with its words.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let told = || format!("{program} {}", arguments.join(" "));
    let done = Command::new(program)
        .args(arguments)
        .output()
        .map_err(Failure::io(told()))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&done.stderr);
    Err(Failure::Program(format!("{}: {}", told(), words.trim())))
}

/// Makes one, with its loopback device up.
pub(super) fn make(name: &str) -> Result<(), Failure> {
    ip(&["netns", "add", name])?;
    ip(&["-n", name, "link", "set", "lo", "up"])?;
    Ok(())
}

/// The names of those that begin with `prefix`.
pub(super) fn beginning_with(prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

/// Removes one, and with it all devices in it.
pub(super) fn remove(name: &str) -> Result<(), Failure> {
    ip(&["netns", "delete", name]).map(drop)
}

/// The processes in one.
pub(super) fn processes(name: &str) -> Vec<i32> {
    let listed = ip(&["netns", "pids", name]).unwrap_or_default();
    listed
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

/// Puts this thread, and whatever sockets it makes from now on, into a namespace.
///
/// # Errors
/// There is none of this name, or it may not be entered.
pub(in crate::province) fn enter(name: &str) -> io::Result<()> {
    let file = File::open(format!("{DIRECTORY}/{name}"))?;
    setns(file, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)
}

/// What `work` makes in a namespace, on a thread of its own; without a namespace, here.
///
/// # Errors
/// That of `work`; the namespace cannot be entered.
pub(in crate::province) fn inside<T: Send>(
    name: Option<&str>,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let Some(name) = name else {
        return work();
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(name)?;
            work()
        });
        let panicked = |_| Err(io::Error::other("a thread has panicked"));
        thread.join().unwrap_or_else(panicked)
    })
}
