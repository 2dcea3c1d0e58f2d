//! What is on its way: how many messages may be, and what an acknowledgement stands for.

use crate::Sequence;
use idnode_proto::api::IntakeAcknowledgement;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::Instant;
use tokio::sync::Semaphore;

/// Most messages on their way.
const MESSAGES: usize = 6;

/// The messages of one stream behind the hello.
#[derive(Debug)]
pub(super) struct Window {
    places: Semaphore,
    sent: Mutex<Sent>,
}

#[derive(Debug)]
struct Sent {
    /// Of each message on its way, what is told with it; 0: nothing yet.
    on_their_way: VecDeque<Sequence>,
    /// Messages that were acknowledged.
    acknowledged: u64,
    /// What is told with the last message that was sent.
    highest: Sequence,
    /// The last time that something was acknowledged, or sent while nothing was on its way.
    moved: Instant,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            places: Semaphore::new(MESSAGES),
            sent: Mutex::new(Sent {
                on_their_way: VecDeque::new(),
                acknowledged: 0,
                highest: 0,
                moved: Instant::now(),
            }),
        }
    }

    /// Waits for a place.
    pub(super) async fn place(&self) {
        if let Ok(place) = self.places.acquire().await {
            place.forget();
        }
    }

    /// A message takes its place: what is told with it. To be called before it can be answered.
    pub(super) fn takes(&self, told: Sequence) {
        let mut sent = self.sent.lock();
        if sent.on_their_way.is_empty() {
            sent.moved = Instant::now();
        }
        sent.on_their_way.push_back(told);
        sent.highest = sent.highest.max(told);
    }

    /// Since when an acknowledgement is waited for.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let sent = self.sent.lock();
        (!sent.on_their_way.is_empty()).then_some(sent.moved)
    }

    /// What is told by an acknowledgement; `None`: nothing new.
    ///
    /// # Errors
    /// It is none of what was sent: the reason.
    pub(super) fn acknowledged(
        &self,
        it: &IntakeAcknowledgement,
    ) -> Result<Option<Sequence>, String> {
        let mut sent = self.sent.lock();
        // It came twice, or behind a later one.
        let Some(new) = it.messages.checked_sub(sent.acknowledged + 1) else {
            return Ok(None);
        };
        let last = usize::try_from(new).unwrap_or(usize::MAX);
        let told = sent.on_their_way.get(last).copied();
        let told = told.ok_or("the national node acknowledges what was not sent")?;
        if told > 0 && !(told..=sent.highest).contains(&it.sequence) {
            return Err(format!(
                "the national node acknowledges entry {} where it was told {told}",
                it.sequence
            ));
        }
        sent.on_their_way.drain(..=last);
        sent.acknowledged = it.messages;
        sent.moved = Instant::now();
        self.places.add_permits(last + 1);
        Ok((told > 0).then_some(told))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ack(messages: u64, sequence: Sequence) -> IntakeAcknowledgement {
        IntakeAcknowledgement { messages, sequence }
    }

    #[test]
    fn an_acknowledgement_stands_for_all_before_it_and_once() {
        let window = Window::new();
        assert!(window.waits_since().is_none());
        for told in [0, 5, 9, 12] {
            window.takes(told);
        }
        assert!(window.waits_since().is_some());
        assert_eq!(window.acknowledged(&ack(1, 0)), Ok(None));
        assert_eq!(window.acknowledged(&ack(3, 9)), Ok(Some(9)));
        // Those that come late or again.
        for old in [ack(2, 5), ack(3, 9), ack(0, 0)] {
            assert_eq!(window.acknowledged(&old), Ok(None));
        }
        assert_eq!(window.acknowledged(&ack(4, 12)), Ok(Some(12)));
        assert!(window.waits_since().is_none());
        assert_eq!(window.places.available_permits(), MESSAGES + 4);
    }

    #[test]
    fn what_was_not_sent_is_not_acknowledged() {
        let window = Window::new();
        window.takes(5);
        window.takes(9);
        for wrong in [
            ack(3, 9),
            ack(u64::MAX, 9),
            ack(1, 4),
            ack(2, 10),
            ack(2, 0),
        ] {
            assert!(window.acknowledged(&wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(window.acknowledged(&ack(2, 9)), Ok(Some(9)));
    }
}
