//! How a node stands: the state of its last takeover and what may follow it. Pure; times are
//! milliseconds since the Unix epoch.

use idnode_proto::api::{TakeoverNotice, TakeoverPhase};
use idnode_proto::report::timestamp;
use serde::{Deserialize, Serialize};

/// How far a takeover has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// There has been none.
    #[default]
    None,
    /// The national node registers.
    TakenOver,
    /// Nobody registers; the node merges.
    HandingBack,
    /// The node registers again.
    HandedBack,
}

/// How a node stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Row {
    /// Number of the takeover, from 1 up.
    pub epoch: u64,
    /// One more with each change.
    pub revision: u64,
    /// How far it has come.
    pub phase: Phase,
    /// What is taken over: canonical prefixes.
    pub prefixes: Vec<String>,
    /// When it was taken over.
    pub taken_ms: u64,
    /// Since when it is in this phase.
    pub changed_ms: u64,
    /// Why, for people.
    pub cause: String,
    /// Registrations made in this takeover.
    pub registrations: u64,
    /// The last revision that the node has acknowledged.
    pub acknowledged: u64,
    /// When.
    pub acknowledged_ms: u64,
}

/// Why a takeover does not go on like that: for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

fn refused<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(reason.into()))
}

impl Row {
    /// Whether the national node registers in the node's place.
    pub fn is_taken_over(&self) -> bool {
        self.phase == Phase::TakenOver
    }

    /// Whether the node does not register.
    pub fn is_in_force(&self) -> bool {
        matches!(self.phase, Phase::TakenOver | Phase::HandingBack)
    }

    /// Takes prefixes over. More of them, while some are taken over already, become part of the same
    /// takeover; one that is being handed back is taken over again.
    ///
    /// # Errors
    /// There are no prefixes; all of them are taken over already.
    pub fn take(&mut self, prefixes: &[String], cause: &str, now_ms: u64) -> Result<(), Refusal> {
        if prefixes.is_empty() {
            return refused("no prefixes to take over");
        }
        if self.is_in_force() {
            let mut all = self.prefixes.clone();
            all.extend(
                prefixes
                    .iter()
                    .filter(|it| !self.prefixes.contains(it))
                    .cloned(),
            );
            if self.is_taken_over() && all.len() == self.prefixes.len() {
                return refused("is taken over already");
            }
            self.prefixes = all;
        } else {
            self.epoch += 1;
            self.prefixes = prefixes.to_vec();
            self.prefixes.dedup();
            self.taken_ms = now_ms;
            self.registrations = 0;
        }
        cause.clone_into(&mut self.cause);
        self.enter(Phase::TakenOver, now_ms);
        Ok(())
    }

    /// Begins to hand back.
    ///
    /// # Errors
    /// Nothing is taken over.
    pub fn hand_back(&mut self, now_ms: u64) -> Result<(), Refusal> {
        if !self.is_taken_over() {
            return refused("is not taken over");
        }
        self.enter(Phase::HandingBack, now_ms);
        Ok(())
    }

    /// The node has merged so many registrations. The same again, when it is handed back, changes
    /// nothing.
    ///
    /// # Errors
    /// This revision does not hand this takeover back; not everything is merged.
    pub fn confirm(
        &mut self,
        epoch: u64,
        revision: u64,
        registrations: u64,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let is_this = epoch == self.epoch && registrations == self.registrations;
        if is_this && self.phase == Phase::HandedBack && revision < self.revision {
            return Ok(());
        }
        if !is_this || self.phase != Phase::HandingBack || revision != self.revision {
            return refused(format!(
                "takeover {} with {} registrations is {:?} at revision {}",
                self.epoch, self.registrations, self.phase, self.revision
            ));
        }
        self.enter(Phase::HandedBack, now_ms);
        Ok(())
    }

    /// The node has acknowledged a revision.
    ///
    /// # Errors
    /// There has been no such revision.
    pub fn acknowledge(&mut self, revision: u64, now_ms: u64) -> Result<(), Refusal> {
        if revision > self.revision {
            return refused(format!("there is no revision {revision}"));
        }
        if revision > self.acknowledged {
            self.acknowledged = revision;
            self.acknowledged_ms = now_ms;
        }
        Ok(())
    }

    /// The number of one more registration.
    ///
    /// # Errors
    /// Nothing is taken over.
    pub fn register(&mut self) -> Result<u64, Refusal> {
        if !self.is_taken_over() {
            return refused("is not taken over");
        }
        self.registrations += 1;
        Ok(self.registrations)
    }

    /// As it is told to the node.
    pub fn notice(&self, node: &str) -> TakeoverNotice {
        let phase = match self.phase {
            Phase::None => TakeoverPhase::Unspecified,
            Phase::TakenOver => TakeoverPhase::TakenOver,
            Phase::HandingBack => TakeoverPhase::HandingBack,
            Phase::HandedBack => TakeoverPhase::HandedBack,
        };
        let known = |ms: u64| (ms > 0).then(|| timestamp(ms));
        TakeoverNotice {
            node: node.to_owned(),
            epoch: self.epoch,
            revision: self.revision,
            phase: phase.into(),
            prefixes: self.prefixes.clone(),
            taken_at: known(self.taken_ms),
            changed_at: known(self.changed_ms),
            cause: self.cause.clone(),
            registrations: match self.phase {
                // It goes up without a revision of its own: told when it is final.
                Phase::TakenOver => 0,
                _ => self.registrations,
            },
        }
    }

    fn enter(&mut self, phase: Phase, now_ms: u64) {
        self.phase = phase;
        self.revision += 1;
        self.changed_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn prefixes(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn a_takeover_goes_its_way() {
        let mut row = Row::default();
        assert!(row.hand_back(1).is_err() && row.register().is_err());
        row.take(&prefixes(&["88.118"]), "down", 2).unwrap();
        assert_eq!((row.epoch, row.revision), (1, 1));
        assert!(row.take(&prefixes(&["88.118"]), "again", 3).is_err());
        assert_eq!(row.register().unwrap(), 1);
        row.take(&prefixes(&["88.118", "88.119"]), "more", 4)
            .unwrap();
        assert_eq!((row.epoch, row.revision, row.registrations), (1, 2, 1));
        assert_eq!(row.prefixes, prefixes(&["88.118", "88.119"]));
        row.hand_back(5).unwrap();
        assert!(row.register().is_err() && row.hand_back(5).is_err());
        assert!(row.confirm(1, 2, 1, 6).is_err(), "another revision");
        assert!(row.confirm(1, 3, 0, 6).is_err(), "not all");
        row.take(&prefixes(&["88.118"]), "down again", 7).unwrap();
        assert_eq!(
            (row.epoch, row.revision, row.register().unwrap()),
            (1, 4, 2)
        );
        row.hand_back(8).unwrap();
        assert!(row.confirm(1, 3, 2, 9).is_err(), "an older hand-back");
        row.confirm(1, 5, 2, 9).unwrap();
        row.confirm(1, 5, 2, 9).unwrap();
        assert_eq!((row.phase, row.revision), (Phase::HandedBack, 6));
        row.take(&prefixes(&["88.119"]), "down", 10).unwrap();
        assert_eq!((row.epoch, row.revision, row.registrations), (2, 7, 0));
    }

    proptest! {
        /// Whatever is asked in whatever order: revisions and epochs only go up, by one, with each
        /// change; registrations are numbered without gaps; nothing is handed back unmerged.
        #[test]
        fn nothing_goes_back(steps in proptest::collection::vec((0..6_u8, 0..4_u64), 0..60)) {
            let mut row = Row::default();
            for (step, number) in steps {
                let before = row.clone();
                let done = match step {
                    0 => row.take(&prefixes(&["88.118"]), "", number),
                    1 => row.take(&prefixes(&["88.119"]), "", number),
                    2 => row.hand_back(number),
                    3 => row.confirm(row.epoch, before.revision.saturating_sub(number), row.registrations, 1),
                    4 => row.acknowledge(number, 1),
                    _ => row.register().map(drop),
                };
                if done.is_err() {
                    prop_assert_eq!(&row, &before);
                    continue;
                }
                let changed = row.phase != before.phase || row.prefixes != before.prefixes;
                prop_assert_eq!(row.revision, before.revision + u64::from(changed));
                let is_new = row.epoch != before.epoch;
                prop_assert_eq!(row.epoch, before.epoch + u64::from(is_new));
                if step == 5 {
                    prop_assert!(before.is_taken_over());
                    prop_assert_eq!(row.registrations, before.registrations + 1);
                } else if !is_new {
                    prop_assert_eq!(row.registrations, before.registrations);
                }
                if row.phase == Phase::HandedBack && before.phase != Phase::HandedBack {
                    prop_assert_eq!(before.phase, Phase::HandingBack);
                }
                prop_assert!(row.acknowledged <= row.revision);
            }
        }
    }
}
