//! A delay line: what is put in at one end comes out at the other a set time later, in order. It
//! holds a bounded number of packets and bytes; what comes beyond that is lost, as in a router.

use std::collections::VecDeque;

/// Packets on their way at once.
const MAX_PACKETS: usize = 16_384;
/// Their bytes.
const MAX_BYTES: usize = 16 << 20;

/// A packet on its way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// When it is to come out, nanoseconds.
    pub(super) due_ns: u64,
    /// From the IP header on.
    pub(super) packet: Box<[u8]>,
}

/// What becomes of a packet that is put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It is on its way.
    Taken,
    /// It is lost: the line is cut.
    Cut,
    /// It is lost: too many are on their way.
    Full,
}

/// One way of a link.
#[derive(Debug)]
pub(super) struct Line {
    delay_ns: u64,
    cut: bool,
    held: VecDeque<Held>,
    bytes: usize,
}

impl Line {
    /// One that nothing is in.
    pub(super) fn new(delay_ns: u64) -> Self {
        Self {
            delay_ns,
            cut: false,
            held: VecDeque::new(),
            bytes: 0,
        }
    }

    /// How long it takes, nanoseconds.
    pub(super) fn delay_ns(&self) -> u64 {
        self.delay_ns
    }

    /// Whether it is cut.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Cuts it: what is on its way is lost; how many packets those are.
    pub(super) fn cut(&mut self) -> usize {
        let lost = self.held.len();
        self.cut = true;
        self.bytes = 0;
        self.held.clear();
        lost
    }

    /// Packets pass again, or go on to.
    pub(super) fn mend(&mut self) {
        self.cut = false;
    }

    /// Sets how long it takes what is put in from now on. What is on its way stays as it is, and
    /// nothing overtakes it.
    pub(super) fn set_delay(&mut self, delay_ns: u64) {
        self.delay_ns = delay_ns;
    }

    /// Puts a packet in.
    pub(super) fn put(&mut self, now_ns: u64, packet: &[u8]) -> Put {
        if self.cut {
            return Put::Cut;
        }
        if self.held.len() >= MAX_PACKETS || self.bytes + packet.len() > MAX_BYTES {
            return Put::Full;
        }
        let last_ns = self.held.back().map_or(0, |last| last.due_ns);
        self.bytes += packet.len();
        self.held.push_back(Held {
            due_ns: (now_ns + self.delay_ns).max(last_ns),
            packet: packet.into(),
        });
        Put::Taken
    }

    /// When the next packet is to come out.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        self.held.front().map(|held| held.due_ns)
    }

    /// The next packet, if it is to come out by now.
    pub(super) fn take(&mut self, now_ns: u64) -> Option<Held> {
        let held = self.held.pop_front_if(|first| first.due_ns <= now_ns)?;
        self.bytes -= held.packet.len();
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_packet_comes_out_when_it_is_due() {
        let mut line = Line::new(20);
        assert_eq!(line.next_due_ns(), None);
        assert_eq!(line.put(100, b"one"), Put::Taken);
        assert_eq!(line.next_due_ns(), Some(120));
        assert_eq!(line.take(119), None);
        assert_eq!(&*line.take(120).unwrap().packet, b"one");
        assert_eq!(line.take(1_000), None);
    }

    #[test]
    fn what_is_on_its_way_is_lost_when_it_is_cut() {
        let mut line = Line::new(20);
        line.put(0, b"one");
        assert_eq!(line.cut(), 1);
        assert_eq!(line.put(1, b"two"), Put::Cut);
        assert_eq!(line.take(100), None);
        line.mend();
        assert_eq!(line.put(2, b"three"), Put::Taken);
        assert_eq!(&*line.take(22).unwrap().packet, b"three");
    }

    #[test]
    fn it_holds_no_more_than_it_may() {
        let mut line = Line::new(1);
        for _ in 0..MAX_PACKETS {
            assert_eq!(line.put(0, b"x"), Put::Taken);
        }
        assert_eq!(line.put(0, b"x"), Put::Full);
        line.take(1).unwrap();
        assert_eq!(line.put(0, b"x"), Put::Taken);
        let mut line = Line::new(1);
        let large = vec![0; MAX_BYTES / 2];
        assert_eq!(line.put(0, &large), Put::Taken);
        assert_eq!(line.put(0, &large), Put::Taken);
        assert_eq!(line.put(0, b"x"), Put::Full);
        line.take(1).unwrap();
        assert_eq!(line.put(0, b"x"), Put::Taken);
    }

    proptest! {
        /// Whatever its delay is set to meanwhile: in order, none early, none lost.
        #[test]
        fn nothing_overtakes(steps in prop::collection::vec((0_u64..50, 0_u64..100), 1..60)) {
            let (mut line, mut now, mut out) = (Line::new(10), 0, Vec::new());
            let mut put = Vec::new();
            for (number, (wait, delay)) in steps.iter().enumerate() {
                now += wait;
                while let Some(held) = line.take(now) {
                    prop_assert!(held.due_ns <= now);
                    out.push(held.packet[0]);
                }
                line.set_delay(*delay);
                prop_assert_eq!(line.put(now, &[number as u8]), Put::Taken);
                put.push(number as u8);
            }
            while let Some(held) = line.take(u64::MAX) {
                out.push(held.packet[0]);
            }
            prop_assert_eq!(out, put);
        }
    }
}
