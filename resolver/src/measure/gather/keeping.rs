//! Days into the journal: what has changed, and days that are over. Each batch is atomic, and a crash
//! between two of them leaves nothing that does not fit.

use super::Gatherer;
use crate::measure::day::Day;
use idnode_proto::report::{Period, Unit};
use idnode_registry::read::Counters;
use idnode_registry::upward::Entry;
use idnode_registry::upward::report::measured::{NODE, Progress, Stock};
use idnode_registry::{Registry, Result};
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// Entries of one batch to the journal, about.
pub(super) const ENTRIES: usize = 512;

impl Gatherer {
    /// Closes the day that is measured, and those up to `today` that nothing was measured on. The
    /// node's row is first: wherever this is cut off, no prefix has more than the node.
    pub(super) fn close(&mut self, today: Period) -> Result<()> {
        let closed = Period::numbered(Unit::Day, self.progress.day);
        let mut entries = Vec::new();
        let stock = self.stock(NODE)?;
        let after = *self.node.row.after.get_or_insert(stock);
        entries.push(self.node.whole().entry(closed.number(), NODE));
        empty_days(closed, today, NODE, after, &mut entries);
        let node = Day::beginning(after);
        entries.push(node.row.entry(today.number(), NODE));

        let listed: HashSet<&[u8]> = self.listed.iter().map(|it| &*it.key).collect();
        let mut days = HashMap::new();
        for (key, day) in &mut self.days {
            let stock = lifelong_stock(&self.registry, key)?;
            let after = *day.row.after.get_or_insert(stock);
            entries.push(day.whole().entry(closed.number(), key));
            // Also one that is newer than the list, or has left it since: nothing is counted twice.
            if listed.contains(&**key) || self.registry.prefixes().get(key).is_some() {
                empty_days(closed, today, key, after, &mut entries);
                let day = Day::beginning(after);
                entries.push(day.row.entry(today.number(), key));
                days.insert(key.clone(), day);
            }
            if entries.len() >= ENTRIES {
                self.journal.commit(&std::mem::take(&mut entries))?;
            }
        }
        let progress = Progress {
            day: today.number(),
            ..self.progress
        };
        entries.push(progress.entry());
        self.journal.commit(&entries)?;
        tracing::info!(day = %closed, "a day is measured");
        (self.days, self.node, self.progress) = (days, node, progress);
        self.places = 0;
        Ok(())
    }

    /// Journals what has changed: the node's row before those of prefixes, and how far it has come
    /// when all of them are there.
    pub(super) fn keep(&mut self, ended: bool) -> Result<()> {
        self.kept = Instant::now();
        let number = self.progress.day;
        let changed = self.days.iter().filter(|(_, day)| day.is_changed);
        let changed: Vec<Box<[u8]>> = changed.map(|(key, _)| key.clone()).collect();
        let mut entries = vec![self.node.whole().entry(number, NODE)];
        let progress = Progress {
            ended,
            alive_ms: self.reports.now_ms(),
            ..self.progress
        };
        let mut rest = changed.as_slice();
        loop {
            let (keys, later) = rest.split_at(rest.len().min(ENTRIES));
            let days = keys
                .iter()
                .filter_map(|key| Some((key, self.days.get(key)?)));
            entries.extend(days.map(|(key, day)| day.whole().entry(number, key)));
            if later.is_empty() {
                entries.push(progress.entry());
            }
            self.journal.commit(&std::mem::take(&mut entries))?;
            // Not before: what was not kept is kept the next time.
            for key in keys {
                if let Some(day) = self.days.get_mut(key) {
                    day.is_changed = false;
                }
            }
            if later.is_empty() {
                break;
            }
            rest = later;
        }
        self.progress = progress;
        Ok(())
    }

    pub(super) fn stock(&self, key: &[u8]) -> Result<Stock> {
        lifelong_stock(&self.registry, key)
    }
}

/// What was registered under a prefix, or of the node, up to now.
fn lifelong_stock(registry: &Registry, key: &[u8]) -> Result<Stock> {
    Ok(stock_of(&registry.lifelong_counters(key)?))
}

/// What was registered under a prefix before it was registered last.
pub(super) fn former_stock(registry: &Registry, key: &[u8]) -> Result<Stock> {
    let stock = stock_of(&registry.former_counters(key)?);
    Ok(Stock {
        identifiers: 0,
        ..stock
    })
}

fn stock_of(counters: &Counters) -> Stock {
    Stock {
        identifiers: counters.identifiers,
        creations: counters.creations,
        deletions: counters.deletions,
    }
}

/// The days between two that nothing was measured on: the process did not run, or the clock leapt.
fn empty_days(closed: Period, today: Period, key: &[u8], stock: Stock, entries: &mut Vec<Entry>) {
    let mut row = Day::beginning(stock).row;
    row.after = Some(stock);
    for number in closed.number() + 1..today.number() {
        entries.push(row.entry(number, key));
    }
}
