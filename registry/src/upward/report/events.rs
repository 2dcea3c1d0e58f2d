//! Fault and recovery events: numbered, journalled together with the report that tells of them.

use super::outbox::Outbox;
use crate::Result;
use crate::upward::{Entry, Journal, Topic};
use bytes::Bytes;
use idnode_proto::api::report::Body;
use idnode_proto::api::{self, FaultEvent, FaultState, FaultType};
use idnode_proto::report::{ReportKey, millis, timestamp};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Longest cause, bytes.
const MAX_CAUSE_BYTES: usize = 500;
/// Events read in one go.
const READ_AT_ONCE: usize = 1_024;

/// What a check has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Which check.
    pub check: &'static str,
    /// What kind of fault it is about.
    pub kind: FaultType,
    /// Whether it is at fault now.
    pub faulty: bool,
    /// The first check in a row that said so, milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// What it saw.
    pub cause: String,
}

/// The events of a node.
#[derive(Debug)]
pub struct Events {
    journal: Journal,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    /// Faults that are not over, by check.
    open: BTreeMap<String, u64>,
}

impl Events {
    /// The events of a journal.
    ///
    /// # Errors
    /// The store fails.
    pub fn open(journal: Journal) -> Result<Self> {
        let events = Self {
            journal,
            state: Mutex::default(),
        };
        let mut state = State::default();
        let mut after = Vec::new();
        loop {
            let range = (Bound::Excluded(&after[..]), Bound::Unbounded);
            let rows: Vec<(Bytes, FaultEvent)> =
                events.journal.scan(Topic::Event, range, READ_AT_ONCE)?;
            let Some((key, _)) = rows.last() else { break };
            after = key.to_vec();
            for (_, event) in rows {
                state.last = event.number;
                match event.state() {
                    FaultState::Recovery => state.open.remove(&event.check),
                    _ => state.open.insert(event.check, event.number),
                };
            }
        }
        *events.state.lock() = state;
        Ok(events)
    }

    /// Numbers an event, journals it and its report. Nothing if it says what the last one of its
    /// check did: a process that begins anew does not raise again what is not over.
    ///
    /// # Errors
    /// The store fails; the event is to be told again.
    pub fn tell(
        &self,
        outbox: &Outbox,
        node: &str,
        turn: &Turn,
        at_ms: u64,
        clock_offset_s: i64,
    ) -> Result<Option<u64>> {
        let mut state = self.state.lock();
        let related = state.open.get(turn.check).copied();
        if related.is_some() == turn.faulty {
            return Ok(None);
        }
        let number = state.last + 1;
        let kind = if turn.faulty {
            FaultState::Fault
        } else {
            FaultState::Recovery
        };
        let end = turn.cause.floor_char_boundary(MAX_CAUSE_BYTES);
        let event = FaultEvent {
            number,
            related_number: related.unwrap_or(0),
            state: kind.into(),
            r#type: turn.kind.into(),
            at: Some(timestamp(at_ms)),
            since: Some(timestamp(turn.since_ms.min(at_ms))),
            check: turn.check.to_owned(),
            cause: turn.cause.get(..end).unwrap_or_default().to_owned(),
        };
        let report = api::Report {
            body: Some(Body::Fault(event.clone())),
            ..ReportKey::of_event(number, at_ms).report(node, at_ms, clock_offset_s)
        };
        let entry = Entry::put(Topic::Event, number.to_be_bytes(), &event);
        outbox.put(vec![report], vec![entry], at_ms)?;
        state.last = number;
        match turn.faulty {
            true => state.open.insert(turn.check.to_owned(), number),
            false => state.open.remove(turn.check),
        };
        Ok(Some(number))
    }

    /// The checks that are at fault, with the numbers of their events.
    #[must_use]
    pub fn faulty(&self) -> BTreeMap<String, u64> {
        self.state.lock().open.clone()
    }

    /// Forgets events of before a time, milliseconds since the Unix epoch: not the last one, whose
    /// number goes on, and no fault that was not over by then.
    ///
    /// # Errors
    /// The store fails.
    pub fn forget(&self, before_ms: u64) -> Result<()> {
        // No event is told meanwhile: it would be the last one.
        let state = self.state.lock();
        let mut after = Vec::new();
        loop {
            let range = (Bound::Excluded(&after[..]), Bound::Unbounded);
            let rows: Vec<(Bytes, FaultEvent)> =
                self.journal.scan(Topic::Event, range, READ_AT_ONCE)?;
            let Some((key, _)) = rows.last() else { break };
            after = key.to_vec();
            let is_old = |event: &FaultEvent| {
                let at_ms = event.at.as_ref().and_then(millis).unwrap_or(0);
                at_ms < before_ms && event.number < state.last
            };
            let old = rows.iter().map(|(_, event)| event);
            let old: Vec<_> = old.take_while(|&event| is_old(event)).collect();
            // A fault goes with its recovery.
            let over = old
                .iter()
                .filter(|event| event.state() == FaultState::Recovery);
            let entries: Vec<_> = over
                .flat_map(|event| [event.related_number, event.number])
                .map(|number| Entry::delete(Topic::Event, number.to_be_bytes()))
                .collect();
            if !entries.is_empty() {
                self.journal.commit(&entries)?;
            }
            if old.len() < rows.len() {
                break;
            }
        }
        Ok(())
    }

    /// The newest events, at most `limit`, newest first.
    ///
    /// # Errors
    /// The store fails.
    pub fn newest(&self, limit: usize) -> Result<Vec<FaultEvent>> {
        let last = self.state.lock().last;
        let from = last.saturating_sub(limit as u64).to_be_bytes();
        let range = (Bound::Excluded(&from[..]), Bound::Unbounded);
        let rows: Vec<(Bytes, FaultEvent)> = self.journal.scan(Topic::Event, range, limit)?;
        Ok(rows.into_iter().rev().map(|(_, event)| event).collect())
    }

    /// Faults that were not over before a time and had begun before another one, as incidents,
    /// milliseconds since the Unix epoch; at most `limit`.
    ///
    /// # Errors
    /// The store fails.
    pub fn incidents(
        &self,
        begins_ms: u64,
        ends_ms: u64,
        limit: usize,
    ) -> Result<Vec<api::Incident>> {
        let mut found: BTreeMap<u64, api::Incident> = BTreeMap::new();
        let mut after = Vec::new();
        loop {
            let range = (Bound::Excluded(&after[..]), Bound::Unbounded);
            let rows: Vec<(Bytes, FaultEvent)> =
                self.journal.scan(Topic::Event, range, READ_AT_ONCE)?;
            let Some((key, _)) = rows.last() else { break };
            after = key.to_vec();
            for (_, event) in rows {
                let at_ms = event.at.as_ref().and_then(millis).unwrap_or(0);
                if event.state() == FaultState::Recovery {
                    match found.get_mut(&event.related_number) {
                        Some(_) if at_ms < begins_ms => {
                            found.remove(&event.related_number);
                        }
                        Some(incident) => incident.ends_at = event.at,
                        None => {}
                    }
                } else if at_ms < ends_ms {
                    let incident = api::Incident {
                        number: event.number,
                        r#type: event.r#type,
                        begins_at: event.at,
                        ends_at: None,
                        cause: format!("{}: {}", event.check, event.cause),
                    };
                    found.insert(event.number, incident);
                }
            }
        }
        let within = found.into_values().filter(|it| {
            let end_ms = it.ends_at.as_ref().and_then(millis);
            end_ms.is_none_or(|end_ms| end_ms >= begins_ms)
        });
        Ok(within
            .take(limit)
            .map(|it| not_after(it, ends_ms))
            .collect())
    }
}

/// What was known of an incident at a time: nothing that came later.
fn not_after(mut incident: api::Incident, ends_ms: u64) -> api::Incident {
    let end_ms = incident.ends_at.as_ref().and_then(millis);
    if end_ms.is_some_and(|end_ms| end_ms >= ends_ms) {
        incident.ends_at = None;
    }
    incident
}
