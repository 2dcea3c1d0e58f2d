//! The names of every enterprise in memory, in order: whoever asks who has a name, or which names
//! begin alike, must be told rightly at a cost that does not grow with the registry. Names are
//! some tens of bytes, enterprises some thousands; the table is made when the registry is opened
//! and kept by its one writer, as the prefix table is.

use crate::enterprise::{Enterprise, EnterpriseId};
use idnode_proto::iiidap::{Pattern, folded};
use parking_lot::RwLock;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

/// Most names one search looks at: some milliseconds.
const MAX_LOOKED_AT: usize = 20_000;

/// Names as they are compared, with whose they are.
#[derive(Debug, Default)]
pub struct NameTable {
    names: RwLock<Names>,
}

#[derive(Debug, Default)]
struct Names {
    ordered: BTreeSet<(Box<str>, EnterpriseId)>,
    /// What an enterprise has there.
    of: HashMap<EnterpriseId, Vec<Box<str>>>,
}

/// What a search for names found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamesFound {
    /// Enterprises in the order of their names, none twice.
    pub enterprises: Vec<EnterpriseId>,
    /// There may be more.
    pub more: bool,
}

impl NameTable {
    /// Puts or replaces an enterprise's names: the registered and the English one.
    pub(crate) fn put(&self, enterprise: &Enterprise) {
        let id = EnterpriseId(enterprise.id);
        let profile = &enterprise.profile;
        let given = [&profile.name, &profile.name_en].into_iter();
        let mut new: Vec<Box<str>> = given
            .filter(|name| !name.is_empty())
            .map(|name| folded(name).into())
            .collect();
        new.dedup();
        let mut names = self.names.write();
        if names.of.get(&id) == Some(&new) {
            return;
        }
        for name in names.of.remove(&id).unwrap_or_default() {
            names.ordered.remove(&(name, id));
        }
        for name in &new {
            names.ordered.insert((name.clone(), id));
        }
        names.of.insert(id, new);
    }

    /// Who has a name that matches, at most so many.
    pub fn find(&self, pattern: &Pattern, most: usize) -> NamesFound {
        let names = self.names.read();
        let first = (Box::from(pattern.lead()), EnterpriseId(0));
        let from = names
            .ordered
            .range((Bound::Included(first), Bound::Unbounded));
        let mut found = NamesFound::default();
        let mut seen = std::collections::HashSet::new();
        for (looked_at, (name, id)) in from.enumerate() {
            if !name.starts_with(pattern.lead()) {
                break;
            }
            if looked_at >= MAX_LOOKED_AT {
                found.more = true;
                break;
            }
            if !pattern.matches(name) {
                // Those that match a name whole are the first of those that begin with it.
                if pattern.is_partial() {
                    continue;
                }
                break;
            }
            if !seen.insert(*id) {
                continue;
            }
            if found.enterprises.len() >= most {
                found.more = true;
                break;
            }
            found.enterprises.push(*id);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn enterprise(id: u64, name: &str, name_en: &str) -> Enterprise {
        let mut made = Enterprise {
            id,
            ..Enterprise::default()
        };
        made.profile.name = name.into();
        made.profile.name_en = name_en.into();
        made
    }

    #[test]
    fn names_are_found_whole_and_by_their_beginning_and_renamed() {
        let table = NameTable::default();
        table.put(&enterprise(3, "蒙牛集团", "Mengniu"));
        table.put(&enterprise(1, "蒙牛乳业", "MENGNIU Dairy"));
        table.put(&enterprise(2, "mengniu", "Mengniu"));
        let find = |pattern: &str, most| {
            let found = table.find(&Pattern::parse(pattern).unwrap(), most);
            let ids: Vec<u64> = found.enterprises.iter().map(|id| id.0).collect();
            (ids, found.more)
        };
        assert_eq!(find("ＭｅｎｇＮｉｕ", 9), (vec![2, 3], false));
        assert_eq!(find("meng*", 9), (vec![2, 3, 1], false));
        assert_eq!(find("meng*", 2), (vec![2, 3], true));
        assert_eq!(find("meng*", 3), (vec![2, 3, 1], false));
        assert_eq!(find("m*y", 9), (vec![1], false));
        assert_eq!(find("蒙牛*", 9).0.len(), 2);
        assert_eq!(find("men", 9), (vec![], false));
        table.put(&enterprise(3, "伊利", ""));
        assert_eq!(find("mengniu", 9), (vec![2], false));
        assert_eq!(find("伊*", 9), (vec![3], false));
        assert_eq!(find("蒙牛*", 9), (vec![1], false));
    }

    #[test]
    fn a_search_looks_at_a_bounded_number_of_names() {
        let table = NameTable::default();
        for id in 1..=MAX_LOOKED_AT as u64 + 10 {
            table.put(&enterprise(id, &format!("a{id:06}"), ""));
        }
        let found = table.find(&Pattern::parse("a*nothing").unwrap(), 10);
        assert_eq!((found.enterprises.len(), found.more), (0, true));
        let found = table.find(&Pattern::parse("a020005").unwrap(), 10);
        assert_eq!((found.enterprises.len(), found.more), (1, false));
    }
}
