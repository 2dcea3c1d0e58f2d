//! `idprovince down`: ends a province, and removes what a crashed one has left.

use std::path::Path;
use std::time::{Duration, Instant};

use super::child;
use super::control::{self, Order};
use super::error::Failure;
use super::layout::{Apart, Layout, Map};
use super::lock::Lock;
use super::net;

/// How long `idprovince up` may take to end.
const PATIENCE: Duration = Duration::from_secs(90);

/// What was left and has been removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// Processes.
    pub(super) processes: usize,
    /// Namespaces.
    pub(super) namespaces: usize,
}

impl Swept {
    /// Whether there was nothing.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Ends what runs in a directory, and removes what is left; what that was.
///
/// # Errors
/// The directory is not there; `idprovince up` does not end; the system refuses.
pub(super) fn run(dir: &Path) -> Result<Swept, Failure> {
    let layout = Layout::of(dir)?;
    let until = Instant::now() + PATIENCE;
    let lock = loop {
        if let Some(lock) = Lock::try_take(&layout)? {
            break lock;
        }
        if Instant::now() >= until {
            let dir = layout.dir().display();
            let text = format!("the idprovince up that runs in {dir} does not end");
            return Err(Failure::Program(text));
        }
        if control::is_there(&layout) {
            // It may be ending already.
            let _ = control::ask(&layout, &Order::Down);
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let swept = sweep(&layout)?;
    drop(lock);
    Ok(swept)
}

/// Ends processes and removes namespaces of a province that does not run any more.
///
/// # Errors
/// The system refuses.
pub(super) fn sweep(layout: &Layout) -> Result<Swept, Failure> {
    // However it was started: names are the same.
    let map = Map::new(layout, Apart::Wire);
    let processes = child::sweep(layout, &map);
    let namespaces = net::sweep(&map)?;
    // A socket that nobody listens on says nothing.
    let _ = std::fs::remove_file(layout.control());
    Ok(Swept {
        processes,
        namespaces,
    })
}
