//! What is shown goes to standard output on a thread of its own: a reader that does not read must
//! not hold up the province.

use std::io::{self, Write as _};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

/// Where texts go.
#[derive(Debug)]
pub(super) struct Printer {
    texts: SyncSender<String>,
}

impl Printer {
    /// Starts the thread, which ends with the process, or when nobody reads any more.
    pub(super) fn start() -> Self {
        let (texts, received) = sync_channel::<String>(1);
        std::thread::spawn(move || {
            for text in received {
                let mut out = io::stdout().lock();
                let written = out.write_all(text.as_bytes());
                if written.and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
        });
        Self { texts }
    }

    /// Prints a text; not if the one before the last is still being printed.
    pub(super) fn print(&self, text: String) {
        match self.texts.try_send(text) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}
