//! A set of siblings, and how updates change it. An update is taken whole or not at all; one that
//! comes twice changes nothing, and one that does not follow is noticed.

use super::check::check_sibling;
use crate::api::{Sibling, SiblingUpdate};
use prost::Message;
use std::collections::BTreeMap;
use thiserror::Error;

/// Most siblings of a set.
pub const MAX_SIBLINGS: usize = 4_096;
/// Most prefixes of all siblings of a set together.
pub const MAX_ROUTES: usize = 16_384;
/// Most bytes that a set's siblings have, encoded.
pub const MAX_BYTES: usize = 8 << 20;
/// Longest id of a set, bytes.
const MAX_SET_ID_BYTES: usize = 64;

/// A set of siblings, as of a version.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Held {
    /// Which set; empty: none is held.
    pub set_id: String,
    /// Its version.
    pub version: u64,
    /// The siblings by their ids.
    pub siblings: BTreeMap<String, Sibling>,
    /// The parts of an update that goes on, not yet in the above.
    begun: Option<Begun>,
}

/// An update whose last part is still to come.
#[derive(Debug, Clone, PartialEq)]
struct Begun {
    set_id: String,
    version: u64,
    base: u64,
    changed: Vec<Sibling>,
    gone: Vec<String>,
    routes: usize,
    bytes: usize,
}

/// What a message comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The set is another one, with what has changed of it: siblings that are to be put, and ids of
    /// those that are to be taken away.
    Changed {
        /// To be put.
        put: Vec<Sibling>,
        /// To be taken away.
        gone: Vec<String>,
    },
    /// It is known already, or goes on in the next message.
    Nothing,
}

/// Why an update is not taken. The set is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UpdateError {
    /// Updates before it were missed: the set is to be asked for again, from what is held.
    #[error("an update was missed: {held} is held, and {base} is changed")]
    Missed {
        /// The version that is held.
        held: u64,
        /// The version that the update changes.
        base: u64,
    },
    /// It breaks a rule.
    #[error("{field}: {reason}")]
    Broken {
        /// What is wrong.
        field: String,
        /// Why.
        reason: String,
    },
}

fn broken(field: impl Into<String>, reason: impl Into<String>) -> UpdateError {
    UpdateError::Broken {
        field: field.into(),
        reason: reason.into(),
    }
}

impl Held {
    /// A set that was kept.
    #[must_use]
    pub fn new(set_id: String, version: u64, siblings: BTreeMap<String, Sibling>) -> Self {
        Self {
            set_id,
            version,
            siblings,
            begun: None,
        }
    }

    /// Takes one message. The siblings of the set change only by an update's last message.
    ///
    /// # Errors
    /// [`UpdateError`]; what has come of the update is forgotten.
    pub fn take(&mut self, update: SiblingUpdate) -> Result<Step, UpdateError> {
        let begun = self.begun.take();
        if begun.is_none() && self.knows(&update) {
            return Ok(Step::Nothing);
        }
        let mut begun = match begun {
            Some(begun) if begun.is_of(&update) => begun,
            Some(_) => return Err(broken("more", "another update goes on")),
            None => self.begin(&update)?,
        };
        let more = update.more;
        begun.add(update)?;
        if more {
            self.begun = Some(begun);
            return Ok(Step::Nothing);
        }
        self.finish(begun)
    }

    /// What is not done of an update is forgotten, as when its stream has ended.
    pub fn break_off(&mut self) {
        self.begun = None;
    }

    /// Whether an update says nothing new: it comes for a second time, or only that all is as held.
    fn knows(&self, update: &SiblingUpdate) -> bool {
        update.set_id == self.set_id
            && update.version <= self.version
            && (update.base > 0 || update.version < self.version)
    }

    fn begin(&self, update: &SiblingUpdate) -> Result<Begun, UpdateError> {
        let id = &update.set_id;
        if id.is_empty() || id.len() > MAX_SET_ID_BYTES || id.contains(char::is_control) {
            return Err(broken("set_id", "is none"));
        }
        if update.version == 0 || update.version < update.base {
            return Err(broken("version", "is before what is changed"));
        }
        let is_next = update.base == self.version && update.set_id == self.set_id;
        if update.base > 0 && !is_next {
            let (held, base) = (self.version, update.base);
            return Err(UpdateError::Missed { held, base });
        }
        Ok(Begun {
            set_id: update.set_id.clone(),
            version: update.version,
            base: update.base,
            changed: Vec::new(),
            gone: Vec::new(),
            routes: 0,
            bytes: 0,
        })
    }

    fn finish(&mut self, begun: Begun) -> Result<Step, UpdateError> {
        let mut next = match begun.base {
            0 => BTreeMap::new(),
            _ => self.siblings.clone(),
        };
        for node in &begun.gone {
            next.remove(node);
        }
        for sibling in &begun.changed {
            if next
                .insert(sibling.node.clone(), sibling.clone())
                .is_some_and(|_| begun.base == 0)
            {
                let reason = format!("{} is there twice", sibling.node);
                return Err(broken("changed", reason));
            }
        }
        bounded(next.values())?;
        // What is told to be gone and was never held changes nothing.
        let gone = self.siblings.keys();
        let gone = gone.filter(|node| !next.contains_key(*node)).cloned();
        let gone = gone.collect();
        let put = begun.changed.into_iter();
        let put = put.filter(|it| self.siblings.get(&it.node) != Some(it));
        let put = put.collect();
        self.siblings = next;
        self.set_id = begun.set_id;
        self.version = begun.version;
        Ok(Step::Changed { put, gone })
    }
}

impl Begun {
    fn is_of(&self, update: &SiblingUpdate) -> bool {
        self.set_id == update.set_id && (self.version, self.base) == (update.version, update.base)
    }

    fn add(&mut self, update: SiblingUpdate) -> Result<(), UpdateError> {
        if self.gone.len() + update.gone.len() > MAX_SIBLINGS {
            return Err(broken(
                "gone",
                format!("are more than {MAX_SIBLINGS} siblings"),
            ));
        }
        self.gone.extend(update.gone);
        for (place, sibling) in update.changed.into_iter().enumerate() {
            self.routes += sibling.configurations.len();
            self.bytes += sibling.encoded_len();
            within(self.changed.len() + 1, self.routes, self.bytes)?;
            check_sibling(&sibling)
                .map_err(|flaw| broken(format!("changed[{place}].{}", flaw.field), flaw.reason))?;
            self.changed.push(sibling);
        }
        Ok(())
    }
}

fn bounded<'s>(siblings: impl Iterator<Item = &'s Sibling>) -> Result<(), UpdateError> {
    let (mut count, mut routes, mut bytes) = (0, 0, 0);
    for sibling in siblings {
        count += 1;
        routes += sibling.configurations.len();
        bytes += sibling.encoded_len();
    }
    within(count, routes, bytes)
}

fn within(siblings: usize, routes: usize, bytes: usize) -> Result<(), UpdateError> {
    let bound = |is: usize, most: usize, what: &str| match is > most {
        true => Err(broken("changed", format!("has more than {most} {what}"))),
        false => Ok(()),
    };
    bound(siblings, MAX_SIBLINGS, "siblings")?;
    bound(routes, MAX_ROUTES, "prefixes")?;
    bound(bytes, MAX_BYTES, "bytes")
}
