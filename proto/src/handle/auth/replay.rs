//! Numbers used once: what an eavesdropper sends again is told from what is new.

/// How far behind the newest number one may still come, since requests of a connection need not
/// be numbered in their order.
pub const REPLAY_WINDOW: u32 = 64;

/// Which of the latest numbers were seen: request ids of a session, or counters of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplayWindow {
    /// The highest number seen; `None` before the first.
    newest: Option<u32>,
    /// Bit n: the newest number less n was seen.
    seen: u64,
}

impl ReplayWindow {
    /// A window that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the number is new, and remembers it: `false` for one that was seen, and for one more
    /// than [`REPLAY_WINDOW`] behind the newest.
    pub fn accept(&mut self, number: u32) -> bool {
        let Some(newest) = self.newest else {
            self.newest = Some(number);
            self.seen = 1;
            return true;
        };
        if number > newest {
            let ahead = number - newest;
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.newest = Some(number);
            return true;
        }
        let behind = newest - number;
        let Some(bit) = 1u64.checked_shl(behind) else {
            return false;
        };
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}
