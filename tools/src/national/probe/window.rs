//! When a node counts as down: the share of probes within a window that find one of its functions
//! down. Pure; times are milliseconds of any clock that does not go back.

use std::collections::VecDeque;

/// From this share of probes on a node is down (docking guide: 应急接管).
pub const DOWN_PERCENT: usize = 51;
/// At most this share of probes finds it down before it is up again: what comes and goes is one
/// outage.
pub const RECOVERED_PERCENT: usize = 10;

/// What a probe has found of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It works.
    Works,
    /// It does not.
    Down,
    /// It was not asked, or what was answered says nothing about it.
    Unclear,
}

/// What one probe has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Of resolution.
    pub resolution: Seen,
    /// Of registration.
    pub registration: Seen,
}

/// How many of the probes have found a function down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// These.
    pub down: usize,
    /// Of so many.
    pub of: usize,
}

impl Share {
    /// Whether these are so many per cent.
    fn reaches(self, percent: usize) -> bool {
        self.of > 0 && self.down * 100 >= percent * self.of
    }

    /// Per cent, rounded down.
    pub fn percent(self) -> usize {
        (self.down * 100).checked_div(self.of).unwrap_or(0)
    }
}

/// A change of how a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is down.
    Down,
    /// It is up again.
    Up,
}

/// The last probes of a node.
#[derive(Debug, Clone)]
pub struct Window {
    findings: VecDeque<(u64, Finding)>,
    size: usize,
    keeps_ms: u64,
    is_down: bool,
    since_ms: u64,
}

impl Window {
    /// Of the last `size` probes, none older than `keeps_ms`. A node is up at first.
    pub fn new(size: usize, keeps_ms: u64) -> Self {
        Self {
            findings: VecDeque::with_capacity(size),
            size: size.max(1),
            keeps_ms,
            is_down: false,
            since_ms: 0,
        }
    }

    /// One more probe. It decides only with as many others as a window has: a prober that has just begun
    /// knows nothing.
    pub fn observe(&mut self, finding: Finding, at_ms: u64) -> Option<Turn> {
        let oldest = at_ms.saturating_sub(self.keeps_ms);
        self.findings.retain(|(seen_ms, _)| *seen_ms >= oldest);
        while self.findings.len() >= self.size {
            self.findings.pop_front();
        }
        self.findings.push_back((at_ms, finding));
        if self.findings.len() < self.size {
            return None;
        }
        let shares = [self.resolution(), self.registration()];
        let turns = match self.is_down {
            false => shares.iter().any(|it| it.reaches(DOWN_PERCENT)),
            true => shares
                .iter()
                .all(|it| it.down * 100 <= RECOVERED_PERCENT * it.of),
        };
        if !turns {
            return None;
        }
        self.is_down = !self.is_down;
        self.since_ms = at_ms;
        Some(if self.is_down { Turn::Down } else { Turn::Up })
    }

    /// Whether the node is down.
    pub fn is_down(&self) -> bool {
        self.is_down
    }

    /// Since when it is so; 0: from the start.
    pub fn since_ms(&self) -> u64 {
        self.since_ms
    }

    /// Whether there are enough probes to decide by.
    pub fn is_full(&self) -> bool {
        self.findings.len() == self.size
    }

    /// How many find resolution down.
    pub fn resolution(&self) -> Share {
        self.share(|finding| finding.resolution)
    }

    /// How many find registration down.
    pub fn registration(&self) -> Share {
        self.share(|finding| finding.registration)
    }

    fn share(&self, of: impl Fn(&Finding) -> Seen) -> Share {
        let down = self.findings.iter().filter(|(_, it)| of(it) == Seen::Down);
        Share {
            down: down.count(),
            of: self.findings.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: Finding = Finding {
        resolution: Seen::Works,
        registration: Seen::Works,
    };
    const MUTE: Finding = Finding {
        resolution: Seen::Down,
        registration: Seen::Works,
    };

    #[test]
    fn fifty_one_of_a_hundred_are_enough_and_fifty_are_not() {
        for (down, expected) in [(50, None), (51, Some(Turn::Down)), (100, Some(Turn::Down))] {
            let mut window = Window::new(100, u64::MAX);
            let mut turn = None;
            for number in 0..100 {
                let finding = if number < down { MUTE } else { GOOD };
                turn = turn.or(window.observe(finding, number));
            }
            assert_eq!(turn, expected, "{down}");
            assert_eq!(window.resolution().percent() as u64, down);
        }
    }

    #[test]
    fn a_node_that_flaps_goes_down_once() {
        let mut window = Window::new(10, u64::MAX);
        let mut turns = Vec::new();
        for number in 0..400_u64 {
            // In two of three probes down, then in a third of them, then in none.
            let is_down = match number / 100 {
                0 => false,
                1 => number % 3 != 0,
                2 => number % 3 == 0,
                _ => false,
            };
            let finding = if is_down { MUTE } else { GOOD };
            turns.extend(
                window
                    .observe(finding, number)
                    .map(|turn| (number / 100, turn)),
            );
        }
        assert_eq!(turns, [(1, Turn::Down), (3, Turn::Up)]);
    }

    fn seen() -> impl Strategy<Value = Seen> {
        prop_oneof![Just(Seen::Works), Just(Seen::Down), Just(Seen::Unclear)]
    }

    fn finding() -> impl Strategy<Value = Finding> {
        (seen(), seen()).prop_map(|(resolution, registration)| Finding {
            resolution,
            registration,
        })
    }

    proptest! {
        /// The window against the rule counted anew from the last findings.
        #[test]
        fn the_rule_holds_at_every_probe(
            size in 1..30_usize,
            findings in proptest::collection::vec((finding(), 0..50_u64), 0..200),
        ) {
            let keeps_ms = 40 * size as u64;
            let mut window = Window::new(size, keeps_ms);
            let (mut all, mut at_ms) = (Vec::new(), 0);
            for (finding, later_ms) in findings {
                at_ms += later_ms;
                let was_down = window.is_down();
                let turn = window.observe(finding, at_ms);
                all.push((at_ms, finding));
                let last = all.iter().rev().take(size);
                let last: Vec<_> = last.take_while(|(seen_ms, _)| at_ms - seen_ms <= keeps_ms).collect();
                let count = |down: fn(&Finding) -> bool| last.iter().filter(|(_, it)| down(it)).count();
                let worst = count(|it| it.resolution == Seen::Down)
                    .max(count(|it| it.registration == Seen::Down));
                let is_full = last.len() == size;
                let falls = is_full && !was_down && worst as f64 >= 0.51 * size as f64;
                let rises = is_full && was_down && worst as f64 <= 0.10 * size as f64;
                let expected = match (falls, rises) {
                    (true, _) => Some(Turn::Down),
                    (_, true) => Some(Turn::Up),
                    _ => None,
                };
                prop_assert_eq!(turn, expected);
                prop_assert_eq!(window.is_full(), is_full);
            }
        }

        /// No number of probes that say nothing, or fewer than a window has, takes a node over.
        #[test]
        fn what_is_unclear_takes_nothing_over(size in 2..30_usize, downs in 0..30_usize) {
            let mut window = Window::new(size, u64::MAX);
            for number in 0..downs.min(size - 1) {
                prop_assert_eq!(window.observe(MUTE, number as u64), None);
            }
            let unclear = Finding { resolution: Seen::Unclear, registration: Seen::Unclear };
            let mut window = Window::new(size, u64::MAX);
            for number in 0..200 {
                prop_assert_eq!(window.observe(unclear, number), None);
            }
        }
    }
}
