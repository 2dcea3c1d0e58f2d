//! The queries of one socket or connection that await their answer, found by message ID.

/// One query that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    /// When it was meant to be sent, nanoseconds since the start.
    pub(super) due_ns: u64,
    /// When it was sent, nanoseconds since the start.
    pub(super) sent_ns: u64,
    /// The question's number.
    pub(super) question: u32,
}

/// The queries in flight. An ID comes again only after all the others.
#[derive(Debug)]
pub(super) struct Window {
    /// By the low bits of the ID, whose number is a power of two.
    slots: Vec<Option<(u16, Waiting)>>,
    next_id: u16,
    /// No query in flight has an earlier ID than this one.
    oldest_id: u16,
    in_flight: usize,
    most: usize,
    /// When it was last looked for lost queries, nanoseconds since the start.
    swept_ns: u64,
}

/// How often it is looked for lost queries, nanoseconds.
const SWEEP_EVERY_NS: u64 = 20_000_000;
/// IDs there are (RFC 1035 §4.1.1).
const IDS: usize = 1 << 16;

impl Window {
    /// For at most `most` queries in flight; what exceeds half the number of IDs is not used,
    /// so that late answers are not taken for answers to another query.
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, IDS / 2);
        let slots = (most * 2).next_power_of_two().min(IDS);
        Self {
            slots: vec![None; slots],
            next_id: 0,
            oldest_id: 0,
            in_flight: 0,
            most,
            swept_ns: 0,
        }
    }

    /// Queries in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether one more may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.most
    }

    /// Takes a query in; its message ID, unless there is no room.
    pub(super) fn put(&mut self, waiting: Waiting) -> Option<u16> {
        if !self.has_room() {
            return None;
        }
        // A free slot is found soon: at least half of them are free.
        for _ in 0..self.slots.len() {
            let id = self.next_id;
            self.next_id = id.wrapping_add(1);
            let slot = self.slot(id)?;
            if slot.is_none() {
                *slot = Some((id, waiting));
                self.in_flight += 1;
                return Some(id);
            }
        }
        None
    }

    /// The query of that ID, which is no longer in flight then.
    pub(super) fn take(&mut self, id: u16) -> Option<Waiting> {
        let slot = self.slot(id)?;
        let waiting = match slot {
            Some((own, waiting)) if *own == id => *waiting,
            _ => return None,
        };
        *slot = None;
        self.in_flight -= 1;
        Some(waiting)
    }

    /// The query that has been in flight for longest, which is not any longer then: where answers
    /// come in the order of their queries and carry no ID.
    pub(super) fn take_oldest(&mut self) -> Option<Waiting> {
        if self.in_flight == 0 {
            return None;
        }
        loop {
            let id = self.oldest_id;
            self.oldest_id = id.wrapping_add(1);
            if let Some(waiting) = self.take(id) {
                return Some(waiting);
            }
            if self.oldest_id == self.next_id {
                return None;
            }
        }
    }

    /// Gives up what was sent more than `timeout_ns` ago; how many those were. Looks every
    /// `SWEEP_EVERY_NS` only, however often it is called.
    pub(super) fn expire(&mut self, now_ns: u64, timeout_ns: u64) -> u64 {
        self.expire_each(now_ns, timeout_ns, |_| {})
    }

    /// The same, and shows each query that is given up.
    pub(super) fn expire_each(
        &mut self,
        now_ns: u64,
        timeout_ns: u64,
        mut lose: impl FnMut(Waiting),
    ) -> u64 {
        if self.in_flight == 0 || now_ns < self.swept_ns + SWEEP_EVERY_NS {
            return 0;
        }
        self.swept_ns = now_ns;
        let horizon_ns = now_ns.saturating_sub(timeout_ns);
        let mut lost = 0;
        for slot in &mut self.slots {
            if let Some((_, waiting)) = slot
                && waiting.sent_ns < horizon_ns
            {
                lose(*waiting);
                *slot = None;
                lost += 1;
            }
        }
        self.in_flight -= lost;
        lost as u64
    }

    fn slot(&mut self, id: u16) -> Option<&mut Option<(u16, Waiting)>> {
        let mask = self.slots.len() - 1;
        self.slots.get_mut(usize::from(id) & mask)
    }
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

    fn sent_at(sent_ns: u64) -> Waiting {
        Waiting {
            due_ns: sent_ns,
            sent_ns,
            question: sent_ns as u32,
        }
    }

    #[test]
    fn answers_in_any_order_find_their_query_once() {
        let mut window = Window::new(100);
        let ids: Vec<u16> = (0..100).map(|n| window.put(sent_at(n)).unwrap()).collect();
        assert_eq!(window.put(sent_at(100)), None);
        for (n, id) in ids.iter().enumerate().rev() {
            assert_eq!(window.take(*id), Some(sent_at(n as u64)));
            assert_eq!(window.take(*id), None);
        }
        assert_eq!(window.in_flight(), 0);
    }

    #[test]
    fn answers_without_ids_belong_to_the_oldest_query() {
        let mut window = Window::new(4);
        for round in 0..100_000 {
            window.put(sent_at(2 * round)).unwrap();
            window.put(sent_at(2 * round + 1)).unwrap();
            assert_eq!(window.take_oldest(), Some(sent_at(2 * round)));
            assert_eq!(window.take_oldest(), Some(sent_at(2 * round + 1)));
            assert_eq!(window.take_oldest(), None);
        }
    }

    #[test]
    fn a_late_answer_is_not_taken_for_another_query() {
        let mut window = Window::new(1);
        let late = window.put(sent_at(1)).unwrap();
        assert_eq!(window.expire(SWEEP_EVERY_NS, SWEEP_EVERY_NS - 2), 1);
        for n in 2..200 {
            let id = window.put(sent_at(n)).unwrap();
            assert_eq!(window.take(late), None);
            assert_eq!(window.take(id), Some(sent_at(n)));
        }
    }

    #[test]
    fn one_that_is_never_answered_does_not_stop_the_others() {
        let mut window = Window::new(2);
        window.put(sent_at(0)).unwrap();
        for n in 1..70_000 {
            let id = window.put(sent_at(n)).unwrap();
            assert_eq!(window.take(id), Some(sent_at(n)));
        }
        assert_eq!(window.expire(SWEEP_EVERY_NS, SWEEP_EVERY_NS - 1), 1);
        assert_eq!(window.in_flight(), 0);
    }
}
