//! Which of the prefixes that are registered here are announced: the active ones that what is
//! configured does not cover, so that siblings find an OID or a GS1 prefix that nobody has written
//! into a configuration.

use super::Own;
use super::table::is_below;
use crate::prefix::PrefixState;
use crate::prefix_table::PrefixTable;
use idnode_proto::identifier::Prefix;
use idnode_proto::routes::MAX_CONFIGURATIONS;
use std::collections::{BTreeMap, BTreeSet};

/// Prefixes that are refused one by one; after so many, all behind them count as refused.
const MAX_REFUSALS: usize = 16;
/// Most prefixes that are shown as left out.
pub const MAX_SHOWN: usize = 1_024;

/// What the national node does not want announced, with its reasons, until it is asked again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    reasons: BTreeMap<Prefix, String>,
    asked: usize,
}

impl Refusals {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    /// One is refused, and, where too many were, those behind it.
    pub fn add<'p>(&mut self, announced: impl Iterator<Item = &'p Prefix>, reason: &str) {
        self.asked += 1;
        let last = match self.asked > MAX_REFUSALS {
            true => usize::MAX,
            false => 1,
        };
        self.add_all(announced.take(last), reason);
    }

    /// All of these are refused.
    pub fn add_all<'p>(&mut self, refused: impl Iterator<Item = &'p Prefix>, reason: &str) {
        let refused = refused.map(|it| (it.clone(), reason.to_owned()));
        self.reasons.extend(refused);
    }
}

/// What is announced of what is registered, and what is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registered {
    /// In their order.
    pub announced: Vec<Prefix>,
    /// The first of those that are left out, with the reasons.
    pub left_out: Vec<(Prefix, String)>,
    /// How many are left out.
    pub left_out_count: u64,
    /// How many of them for want of room.
    pub beyond_bound: u64,
}

impl Registered {
    /// Chooses among the active prefixes of a table.
    pub fn of(table: &PrefixTable, own: &Own, refused: &Refusals) -> Self {
        let entries = table.all();
        let active = entries
            .iter()
            .filter(|it| it.record.state() == PrefixState::Active)
            .filter_map(|it| it.record.prefix().ok());
        Self::among(active, own, refused)
    }

    /// Chooses among active prefixes.
    pub fn among(active: impl Iterator<Item = Prefix>, own: &Own, refused: &Refusals) -> Self {
        let configured = || own.configured();
        let is_covered = |it: &Prefix| configured().any(|above| is_below(it, above));
        let active: BTreeSet<Prefix> = active.filter(|it| !is_covered(it)).collect();
        let wanted: BTreeSet<&[u8]> = active
            .iter()
            .filter(|it| !refused.reasons.contains_key(it))
            .map(Prefix::key)
            .collect();
        let room = MAX_CONFIGURATIONS.saturating_sub(configured().count());
        let mut chosen = Self::default();
        for prefix in &active {
            let mut above = prefix.candidates().filter(|it| it.key != prefix.key());
            if above.any(|it| wanted.contains(it.key)) {
                continue;
            }
            if let Some(reason) = refused.reasons.get(prefix) {
                chosen.leave_out(prefix, || reason.clone());
            } else if chosen.announced.len() < room {
                chosen.announced.push(prefix.clone());
            } else {
                chosen.beyond_bound += 1;
                chosen.leave_out(prefix, || {
                    format!("{MAX_CONFIGURATIONS} prefixes are announced, no more are taken")
                });
            }
        }
        chosen
    }

    fn leave_out(&mut self, prefix: &Prefix, reason: impl FnOnce() -> String) {
        self.left_out_count += 1;
        if self.left_out.len() < MAX_SHOWN {
            self.left_out.push((prefix.clone(), reason()));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Prefix {
        Prefix::parse(text).unwrap()
    }

    fn own() -> Own {
        Own {
            prefixes: vec![parse("88.119")],
            other_prefixes: vec![parse("oid:1.2.156.3001")],
            ..Own::default()
        }
    }

    fn chosen(active: &[&str], refused: &Refusals) -> Registered {
        Registered::among(active.iter().map(|it| parse(it)), &own(), refused)
    }

    fn names(chosen: &Registered) -> Vec<String> {
        let names = chosen.announced.iter();
        names.map(Prefix::canonical).collect()
    }

    #[test]
    fn what_nothing_else_covers_is_announced() {
        let active = [
            "88.119",
            "88.119.8",
            "88.1190",
            "oid:1.2.156.3001.7",
            "oid:1.2.156.4002",
            "oid:1.2.156.4002.5",
            "gs1:6901234",
        ];
        let mut refused = Refusals::default();
        let all = chosen(&active, &refused);
        let expected = ["88.1190", "oid:1.2.156.4002", "gs1:6901234"];
        assert_eq!(names(&all), expected);
        assert_eq!(all.left_out_count, 0);
        // What is below one that is not wanted stands for itself.
        refused.add([parse("oid:1.2.156.4002")].iter(), "is another's");
        let rest = chosen(&active, &refused);
        assert_eq!(
            names(&rest),
            ["88.1190", "oid:1.2.156.4002.5", "gs1:6901234"]
        );
        let left_out = [(parse("oid:1.2.156.4002"), "is another's".to_owned())];
        assert_eq!(rest.left_out, left_out);
    }

    #[test]
    fn no_more_are_announced_than_are_taken() {
        let active = (0..1_500).map(|n| parse(&format!("oid:1.2.156.{}", 5_000 + n)));
        let chosen = Registered::among(active, &own(), &Refusals::default());
        assert_eq!(chosen.announced.len(), MAX_CONFIGURATIONS - 2);
        assert_eq!((chosen.left_out_count, chosen.beyond_bound), (478, 478));
        assert_eq!(chosen.left_out.len(), 478);
    }

    #[test]
    fn many_refusals_are_one_for_all_that_follow() {
        let announced: Vec<_> = (0..50)
            .map(|n| parse(&format!("oid:1.2.156.{n}")))
            .collect();
        let mut refused = Refusals::default();
        let mut left = announced.clone();
        let mut asked = 0;
        while !left.is_empty() {
            refused.add(left.iter(), "is another's");
            left = Registered::among(announced.iter().cloned(), &own(), &refused).announced;
            asked += 1;
        }
        assert_eq!(asked, MAX_REFUSALS + 1);
    }
}
