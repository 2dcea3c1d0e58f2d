//! Which prefixes' holdings have changed hands: where prefixes lie within each other, what a longer
//! one owns the shorter one does not.

use super::entry::{Deposit, DepositLog, Status};
use bytes::Bytes;
use idnode_proto::identifier::Prefix;
use std::collections::BTreeSet;

/// The registered prefixes whose last deposit was made before something moved out of them or into
/// them, as the deposit of a longer prefix tells that has arrived. Until each of these has one of its
/// own, the two tell of no registry together. It follows from the log alone, after a crash too.
pub(super) fn moved(log: &DepositLog, registered: &BTreeSet<Bytes>) -> BTreeSet<Bytes> {
    let mut found = BTreeSet::new();
    for key in log.prefixes() {
        let Some(told) = last_hand_over(log.recent(key)) else {
            continue;
        };
        let Some(around) = around(key, registered) else {
            continue;
        };
        let behind = log.recent(&around).next_back();
        if behind.is_some_and(|it| it.revision < told) {
            found.insert(around);
        }
    }
    found
}

/// The revision of the last deposit that told that a prefix has come or gone, once it has arrived.
fn last_hand_over<'a>(
    entries: impl DoubleEndedIterator<Item = &'a Deposit> + Clone,
) -> Option<u64> {
    let begins = |entry: &Deposit, before: Option<&Deposit>| {
        entry.closes || entry.number == 1 || before.is_some_and(|before| before.closes)
    };
    let before = std::iter::once(None).chain(entries.clone().map(Some));
    let mut told = None;
    for (entry, before) in entries.zip(before) {
        let arrived = matches!(entry.status(), Status::Sent | Status::Accepted);
        if arrived && begins(entry, before) {
            told = Some(entry.revision);
        }
    }
    told
}

/// The longest registered prefix that owns what lies beside a prefix.
fn around(key: &[u8], registered: &BTreeSet<Bytes>) -> Option<Bytes> {
    let mut at = Prefix::from_key(key).ok()?.parent();
    while let Some(parent) = at {
        if let Some(found) = registered.get(parent.key()) {
            let (start, end) = parent.key_range();
            return (*start <= *key && *key < *end).then(|| found.clone());
        }
        at = parent.parent();
    }
    None
}
