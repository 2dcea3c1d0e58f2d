//! Scripted faults: what is to go wrong, by channel, a list that exchanges work off one after
//! another.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tonic::Status;

use super::{Failure, now_ms};

/// Where something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// Provisioning.
    Epp,
    /// The stream of changes.
    Sync,
    /// Takeover and hand-back.
    Takeover,
    /// Operators' profiles and routes, both ways.
    Routes,
    /// Reports.
    Report,
    /// Escrow deposits.
    Sftp,
    /// Resolution.
    Resolve,
}

/// What goes wrong with an exchange. Each channel says what it means there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The request is taken and carried out, and nothing is answered.
    Drop,
    /// The answer comes late.
    Delay,
    /// The answer comes twice.
    Duplicate,
    /// The answer comes after the next one.
    Reorder,
    /// The answer breaks off in the middle, and the connection with it.
    HalfAnswer,
    /// The answer is not that to the request.
    WrongAnswer,
    /// Nothing is taken: connections end at once.
    Down,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// With how many exchanges; without this and `until_ms`: with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Until when, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// How late a delayed answer comes, milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
}

/// Lists of faults by channel: what a file has and `POST /faults` takes.
pub type Script = BTreeMap<Channel, Vec<Fault>>;

/// The faults that are still to come.
#[derive(Debug, Default)]
pub struct Faults {
    waiting: Mutex<BTreeMap<Channel, VecDeque<Fault>>>,
}

impl Faults {
    /// Those of a file.
    ///
    /// # Errors
    /// The file can't be read, or is no [`Script`].
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let named = |error: String| format!("{}: {error}", path.display());
        let text = std::fs::read(path).map_err(|error| named(error.to_string()))?;
        let script = serde_json::from_slice(&text).map_err(|error| named(error.to_string()))?;
        let faults = Self::default();
        faults.set(script);
        Ok(faults)
    }

    /// Replaces the lists of the channels that a script names.
    pub fn set(&self, script: Script) {
        let mut waiting = self.lock();
        for (channel, faults) in script {
            waiting.insert(channel, faults.into());
        }
    }

    /// What is still to come.
    pub fn script(&self) -> Script {
        let waiting = self.lock();
        let lists = waiting.iter().filter(|(_, faults)| !faults.is_empty());
        lists
            .map(|(channel, faults)| (*channel, faults.iter().cloned().collect()))
            .collect()
    }

    /// What goes wrong with the exchange that begins now: it is used up by it.
    pub fn next(&self, channel: Channel) -> Option<Fault> {
        self.next_at(channel, now_ms())
    }

    /// Answers a call of gRPC as the channel's next fault says. `take` takes what was handed over;
    /// `wrong` is the nonsense that a `wrong-answer` is, which takes nothing.
    ///
    /// # Errors
    /// Those of `take`; `UNAVAILABLE` for `half-answer` and `down`.
    pub async fn call<A, F>(
        &self,
        channel: Channel,
        take: impl Fn() -> F,
        wrong: A,
    ) -> Result<A, Status>
    where
        F: Future<Output = Result<A, Status>>,
    {
        let Some(fault) = self.next(channel) else {
            return take().await;
        };
        match fault.kind {
            Kind::Drop => {
                take().await?;
                std::future::pending().await
            }
            Kind::Delay | Kind::Reorder => {
                let answer = take().await?;
                tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
                Ok(answer)
            }
            Kind::Duplicate => {
                take().await?;
                take().await
            }
            Kind::HalfAnswer => {
                take().await?;
                Err(Status::unavailable("the answer breaks off"))
            }
            Kind::WrongAnswer => Ok(wrong),
            Kind::Down => Err(Status::unavailable("down")),
        }
    }

    /// Whether the channel is down now, without using anything up.
    pub fn is_down(&self, channel: Channel) -> bool {
        let waiting = self.lock();
        let first = waiting.get(&channel).and_then(|faults| {
            let mut open = faults
                .iter()
                .filter(|it| it.until_ms.is_none_or(|until| now_ms() < until));
            open.next()
        });
        first.is_some_and(|fault| fault.kind == Kind::Down)
    }

    fn next_at(&self, channel: Channel, at_ms: u64) -> Option<Fault> {
        let mut waiting = self.lock();
        let faults = waiting.get_mut(&channel)?;
        while faults.front()?.until_ms.is_some_and(|until| until <= at_ms) {
            faults.pop_front();
        }
        let first = faults.front_mut()?;
        let fault = first.clone();
        match (&mut first.times, first.until_ms) {
            (Some(times), _) if *times > 1 => *times -= 1,
            (None, Some(_)) => {}
            _ => drop(faults.pop_front()),
        }
        Some(fault)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Channel, VecDeque<Fault>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn faults_are_worked_off_in_their_order() {
        let script = r#"{"epp": [{"kind": "drop"}, {"kind": "delay", "times": 2, "delay_ms": 5},
            {"kind": "down", "until_ms": 100}, {"kind": "half-answer"}], "sync": []}"#;
        let faults = Faults::default();
        faults.set(serde_json::from_str(script).unwrap());
        let kinds: Vec<_> = [1, 2, 3, 4, 99, 100, 101]
            .map(|at| faults.next_at(Channel::Epp, at).map(|it| it.kind))
            .into();
        let expected = [
            Some(Kind::Drop),
            Some(Kind::Delay),
            Some(Kind::Delay),
            Some(Kind::Down),
            Some(Kind::Down),
            Some(Kind::HalfAnswer),
            None,
        ];
        assert_eq!(kinds, expected);
        assert_eq!(faults.next_at(Channel::Sync, 1), None);
        assert!(faults.script().is_empty());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for script in [
            r#"{"epp": [{"kind": "rain"}]}"#,
            r#"{"moon": []}"#,
            r#"{"epp": [{"kind": "drop", "x": 1}]}"#,
        ] {
            assert!(serde_json::from_str::<Script>(script).is_err(), "{script}");
        }
    }
}
