//! When a check turns: after several results in a row that say otherwise, so that one lost packet
//! raises nothing, and what comes and goes is one fault.

/// How many results in a row it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bad ones, to a fault.
    pub(super) to_fault: u32,
    /// Good ones, to its end.
    pub(super) to_recovery: u32,
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hysteresis {
    is_faulty: bool,
    /// Results in a row that say otherwise.
    against: u32,
    /// The first result of those that made it what it is, milliseconds since the Unix epoch.
    since_ms: u64,
    /// The first of those in a row that say otherwise.
    otherwise_ms: u64,
}

impl Hysteresis {
    /// One that begins as a fault or not.
    pub(super) fn new(is_faulty: bool) -> Self {
        Self {
            is_faulty,
            against: 0,
            since_ms: 0,
            otherwise_ms: 0,
        }
    }

    /// A result at a time, milliseconds since the Unix epoch.
    pub(super) fn observe(&mut self, is_good: bool, at_ms: u64, limits: Limits) {
        if is_good != self.is_faulty {
            self.against = 0;
            return;
        }
        if self.against == 0 {
            self.otherwise_ms = at_ms;
        }
        self.against += 1;
        let needed = match self.is_faulty {
            true => limits.to_recovery,
            false => limits.to_fault,
        };
        if self.against >= needed {
            (self.is_faulty, self.against) = (!self.is_faulty, 0);
            self.since_ms = self.otherwise_ms;
        }
    }

    pub(super) fn is_faulty(&self) -> bool {
        self.is_faulty
    }

    pub(super) fn against(&self) -> u32 {
        self.against
    }

    pub(super) fn since_ms(&self) -> u64 {
        self.since_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        to_fault: 3,
        to_recovery: 2,
    };

    #[test]
    fn it_takes_several_in_a_row_both_ways() {
        let mut state = Hysteresis::new(false);
        let results = [
            (false, false),
            (false, false),
            (true, false),
            (false, false),
            (false, false),
            (false, true),
            (true, true),
            (false, true),
            (true, true),
            (true, false),
            (true, false),
        ];
        for ((is_good, is_faulty), at_ms) in results.into_iter().zip(1..) {
            state.observe(is_good, at_ms, LIMITS);
            assert_eq!(state.is_faulty(), is_faulty, "at {at_ms}");
            if at_ms == 6 {
                assert_eq!(state.since_ms(), 4);
            }
        }
        assert_eq!(state.since_ms(), 9);
    }
}
