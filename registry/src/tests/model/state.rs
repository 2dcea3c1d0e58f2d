//! The model: the registry's rules once more, over a handful of names.

use crate::enterprise::EnterpriseId;
use crate::prefix::{Delegation, NameServer, PrefixAction, PrefixState, Step};
use crate::read::Counters;
use crate::tests::support::*;
use crate::write::{Command, ImportMode, ImportStatus};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Two apart, and one inside another.
pub const PREFIXES: [&str; 4] = [
    "88.118.8",
    "88.118.9",
    "oid:1.2.156.3001",
    "oid:1.2.156.3001.7",
];
/// With the prefixes they are in, longest first.
pub const IDENTIFIERS: [(&str, &[usize]); 7] = [
    ("88.118.8/a", &[0]),
    ("88.118.8/b", &[0]),
    ("88.118.9/a", &[1]),
    ("1.2.156.3001.1", &[2]),
    ("1.2.156.3001.70", &[2]),
    ("1.2.156.3001.7.1", &[3, 2]),
    ("1.2.156.3001.7.2", &[3, 2]),
];
const ACTIONS: [PrefixAction; 9] = [
    PrefixAction::StartReview,
    PrefixAction::Approve,
    PrefixAction::Reject,
    PrefixAction::Reapply,
    PrefixAction::Suspend,
    PrefixAction::Resume,
    PrefixAction::MarkForDeletion,
    PrefixAction::CancelDeletion,
    PrefixAction::Remove,
];

#[derive(Debug, Clone, Copy)]
pub enum Expect {
    Nothing,
    Right,
    Wrong,
}

#[derive(Debug, Clone)]
pub enum Op {
    Apply(usize),
    /// Brings a prefix back to where it registers, as far as one step goes.
    Advance(usize),
    Act(usize, PrefixAction, Expect),
    Delegate(usize, bool, Expect),
    Create(usize, String),
    Update(usize, String, Expect),
    Delete(usize, Expect),
    Import(ImportMode, Vec<(usize, String)>),
}

pub fn op() -> impl Strategy<Value = Op> {
    let prefix = || 0..PREFIXES.len();
    let identifier = || 0..IDENTIFIERS.len();
    let text = || "[a-z]{1,3}";
    let expect = || {
        prop_oneof![
            3 => Just(Expect::Nothing),
            2 => Just(Expect::Right),
            1 => Just(Expect::Wrong),
        ]
    };
    let mode = prop_oneof![Just(ImportMode::Create), Just(ImportMode::Upsert)];
    prop_oneof![
        2 => prefix().prop_map(Op::Apply),
        6 => prefix().prop_map(Op::Advance),
        2 => (prefix(), prop::sample::select(&ACTIONS[..]), expect())
            .prop_map(|(prefix, action, expect)| Op::Act(prefix, action, expect)),
        1 => (prefix(), prop::bool::weighted(0.3), expect())
            .prop_map(|(prefix, on, expect)| Op::Delegate(prefix, on, expect)),
        5 => (identifier(), text()).prop_map(|(identifier, text)| Op::Create(identifier, text)),
        4 => (identifier(), text(), expect())
            .prop_map(|(identifier, text, expect)| Op::Update(identifier, text, expect)),
        4 => (identifier(), expect())
            .prop_map(|(identifier, expect)| Op::Delete(identifier, expect)),
        3 => (mode, vec((identifier(), "[ab]"), 1..6))
            .prop_map(|(mode, items)| Op::Import(mode, items)),
    ]
}

/// In the place of a prefix: all that are no longer registered.
const GONE: usize = usize::MAX;

#[derive(Debug, Clone, PartialEq)]
pub struct ModelPrefix {
    pub state: PrefixState,
    pub delegated: bool,
    pub version: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ModelIdentifier {
    /// `None`: a tombstone.
    pub text: Option<String>,
    pub version: u64,
}

#[derive(Debug, Default)]
pub struct Model {
    pub head: u64,
    pub prefixes: BTreeMap<usize, ModelPrefix>,
    pub identifiers: BTreeMap<usize, ModelIdentifier>,
    /// Creations, updates and deletions by the prefix they were made under.
    ever: BTreeMap<usize, [u64; 3]>,
}

/// What becomes of a chunk's items; none for other commands.
type Results = Vec<Result<ImportStatus, &'static str>>;

/// What a command must do: its number (0: nothing was written) and a chunk's results.
pub type Expected = Result<(u64, Results), &'static str>;

impl Model {
    /// A registry whose log has got this far and that has these prefixes, all active.
    pub fn after(head: u64, active: impl Iterator<Item = (usize, u64)>) -> Self {
        let prefixes = active.map(|(place, version)| {
            let prefix = ModelPrefix {
                state: PrefixState::Active,
                delegated: false,
                version,
            };
            (place, prefix)
        });
        Self {
            head,
            prefixes: prefixes.collect(),
            ..Self::default()
        }
    }

    fn owner(&self, identifier: usize) -> Option<usize> {
        let candidates = IDENTIFIERS[identifier].1.iter();
        candidates
            .copied()
            .find(|prefix| self.prefixes.contains_key(prefix))
    }

    pub fn live(&self, identifier: usize) -> Option<&ModelIdentifier> {
        self.identifiers
            .get(&identifier)
            .filter(|found| found.text.is_some())
    }

    /// Whether a prefix has, or would have, a live identifier of its own.
    fn any_live_in(&self, prefix: usize) -> bool {
        (0..IDENTIFIERS.len()).any(|i| {
            let mut candidates = IDENTIFIERS[i].1.iter();
            let own = candidates.find(|p| **p == prefix || self.prefixes.contains_key(p));
            own == Some(&prefix) && self.live(i).is_some()
        })
    }

    fn writable(&self, identifier: usize) -> Result<usize, &'static str> {
        let owner = self.owner(identifier).ok_or("PREFIX_NOT_FOUND")?;
        match &self.prefixes[&owner] {
            prefix if prefix.state != PrefixState::Active => Err("PREFIX_NOT_ACTIVE"),
            prefix if prefix.delegated => Err("PREFIX_DELEGATED"),
            _ => Ok(owner),
        }
    }

    /// The version a command names for what is at `current`.
    fn named(expect: Expect, current: Option<u64>) -> Option<u64> {
        match expect {
            Expect::Nothing => None,
            Expect::Right => Some(current.unwrap_or(1)),
            Expect::Wrong => Some(current.unwrap_or(1) + 1),
        }
    }

    fn put(&mut self, identifier: usize, owner: usize, text: Option<&str>) {
        let kind = match (self.live(identifier), text) {
            (None, _) => 0,
            (Some(_), Some(_)) => 1,
            (Some(_), None) => 2,
        };
        self.ever.entry(owner).or_default()[kind] += 1;
        let record = ModelIdentifier {
            text: text.map(str::to_owned),
            version: self.head + 1,
        };
        self.identifiers.insert(identifier, record);
    }

    /// The command of an operation, and what it must do.
    pub fn run(&mut self, op: &Op) -> (Command, Expected) {
        let version = self.head + 1;
        let (command, expected) = match op {
            Op::Apply(prefix) => (
                apply(PREFIXES[*prefix], EnterpriseId(1)),
                self.apply(*prefix),
            ),
            Op::Advance(prefix) => match self.prefixes.get(prefix) {
                None => return self.run(&Op::Apply(*prefix)),
                Some(found) => {
                    let action = match found.state {
                        PrefixState::PendingReview => PrefixAction::StartReview,
                        PrefixState::UnderReview => PrefixAction::Approve,
                        PrefixState::Rejected => PrefixAction::Reapply,
                        PrefixState::PendingDeletion => PrefixAction::CancelDeletion,
                        _ => PrefixAction::Resume,
                    };
                    return self.run(&Op::Act(*prefix, action, Expect::Nothing));
                }
            },
            Op::Act(prefix, action, expect) => {
                let current = self.prefixes.get(prefix).map(|found| found.version);
                let expected_version = Self::named(*expect, current);
                let command = Command::TransitionPrefix {
                    prefix: parsed(PREFIXES[*prefix]),
                    action: *action,
                    message: "decided".into(),
                    expected_version,
                };
                (command, self.act(*prefix, *action, *expect))
            }
            Op::Delegate(prefix, on, expect) => {
                let current = self.prefixes.get(prefix).map(|found| found.version);
                let command = Command::SetDelegation {
                    prefix: parsed(PREFIXES[*prefix]),
                    delegation: on.then(delegation),
                    expected_version: Self::named(*expect, current),
                };
                let expected = match (self.prefixes.get_mut(prefix), expect) {
                    (None, _) => Err("PREFIX_NOT_FOUND"),
                    (Some(_), Expect::Wrong) => Err("VERSION_MISMATCH"),
                    (Some(found), _) => {
                        (found.delegated, found.version) = (*on, version);
                        Ok(vec![])
                    }
                };
                (command, expected)
            }
            Op::Create(identifier, text) => {
                let expected = self.writable(*identifier).and_then(|owner| {
                    if self.live(*identifier).is_some() {
                        return Err("IDENTIFIER_EXISTS");
                    }
                    self.put(*identifier, owner, Some(text));
                    Ok(vec![])
                });
                (create(IDENTIFIERS[*identifier].0, text), expected)
            }
            Op::Update(identifier, text, expect) => {
                let named = Self::named(*expect, self.live(*identifier).map(|i| i.version));
                let expected = self.change(*identifier, Some(text), *expect);
                (update(IDENTIFIERS[*identifier].0, text, named), expected)
            }
            Op::Delete(identifier, expect) => {
                let named = Self::named(*expect, self.live(*identifier).map(|i| i.version));
                let expected = self.change(*identifier, None, *expect);
                (delete(IDENTIFIERS[*identifier].0, named), expected)
            }
            Op::Import(mode, items) => {
                let results: Vec<_> = items
                    .iter()
                    .map(|(identifier, text)| self.place(*identifier, text, *mode))
                    .collect();
                let command = Command::ImportChunk {
                    import_id: "load".into(),
                    number: version,
                    mode: *mode,
                    items: items
                        .iter()
                        .map(|(identifier, text)| Ok(draft(IDENTIFIERS[*identifier].0, text)))
                        .collect(),
                };
                (command, Ok(results))
            }
        };
        use ImportStatus::{Created, Updated};
        let expected = expected.map(|results| {
            let chunk = matches!(op, Op::Import(..));
            let written = results.iter().any(|r| matches!(r, Ok(Created | Updated)));
            if chunk && !written {
                return (0, results);
            }
            self.head = version;
            (version, results)
        });
        (command, expected)
    }

    fn apply(&mut self, prefix: usize) -> Result<Results, &'static str> {
        if self.prefixes.contains_key(&prefix) {
            return Err("PREFIX_EXISTS");
        }
        if self.any_live_in(prefix) {
            return Err("PREFIX_STATE");
        }
        let applied = ModelPrefix {
            state: PrefixState::PendingReview,
            delegated: false,
            version: self.head + 1,
        };
        self.prefixes.insert(prefix, applied);
        Ok(vec![])
    }

    fn act(
        &mut self,
        prefix: usize,
        action: PrefixAction,
        expect: Expect,
    ) -> Result<Results, &'static str> {
        let any_live = self.any_live_in(prefix);
        let version = self.head + 1;
        let found = self.prefixes.get_mut(&prefix).ok_or("PREFIX_NOT_FOUND")?;
        if matches!(expect, Expect::Wrong) {
            return Err("VERSION_MISMATCH");
        }
        match found.state.after(action) {
            None => return Err("PREFIX_STATE"),
            Some(Step::Gone) if any_live => return Err("PREFIX_STATE"),
            Some(Step::Gone) => {
                self.prefixes.remove(&prefix);
                // The node's counters keep what it had, the next one of its name begins anew.
                let [creations, updates, deletions] = self.ever.remove(&prefix).unwrap_or_default();
                let gone = self.ever.entry(GONE).or_default();
                gone[0] += creations;
                gone[1] += updates;
                gone[2] += deletions;
            }
            Some(Step::To(next)) => (found.state, found.version) = (next, version),
        }
        Ok(vec![])
    }

    fn change(
        &mut self,
        identifier: usize,
        text: Option<&str>,
        expect: Expect,
    ) -> Result<Results, &'static str> {
        let owner = self.writable(identifier)?;
        if self.live(identifier).is_none() {
            return Err("IDENTIFIER_NOT_FOUND");
        }
        if matches!(expect, Expect::Wrong) {
            return Err("VERSION_MISMATCH");
        }
        self.put(identifier, owner, text);
        Ok(vec![])
    }

    fn place(
        &mut self,
        identifier: usize,
        text: &str,
        mode: ImportMode,
    ) -> Result<ImportStatus, &'static str> {
        let owner = self.writable(identifier)?;
        let status = match self.live(identifier) {
            None => ImportStatus::Created,
            Some(_) if mode == ImportMode::Create => return Err("IDENTIFIER_EXISTS"),
            Some(live) if live.text.as_deref() == Some(text) => return Ok(ImportStatus::Unchanged),
            Some(_) => ImportStatus::Updated,
        };
        self.put(identifier, owner, Some(text));
        Ok(status)
    }

    /// The counters as a recount has them; of one prefix or of all.
    pub fn recount(&self, prefix: Option<usize>) -> Counters {
        let mut counters = Counters::default();
        for (place, (name, _)) in IDENTIFIERS.iter().enumerate() {
            if prefix.is_some_and(|prefix| self.owner(place) != Some(prefix)) {
                continue;
            }
            match self.identifiers.get(&place).map(|found| &found.text) {
                Some(Some(text)) => {
                    counters.identifiers += 1;
                    let draft = draft(name, text);
                    counters.value_bytes += draft.encoded_values().len() as u64;
                }
                Some(None) => counters.deleted += 1,
                None => {}
            }
        }
        for (_, ever) in self
            .ever
            .iter()
            .filter(|(of, _)| prefix.is_none_or(|p| p == **of))
        {
            counters.creations += ever[0];
            counters.updates += ever[1];
            counters.deletions += ever[2];
        }
        counters
    }
}

fn delegation() -> Delegation {
    Delegation {
        sites: Vec::new(),
        name_servers: vec![NameServer {
            name: "ns.example.".into(),
            addresses: Vec::new(),
        }],
        service_handle: "88.200/SVC".into(),
        ..Delegation::default()
    }
}
