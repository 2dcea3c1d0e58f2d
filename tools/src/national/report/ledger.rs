//! Which periods of which node are there, and which are missing: one row a node, kind and period.

use std::collections::{BTreeMap, BTreeSet};

use idnode_proto::report::key::When;
use idnode_proto::report::{Kind, Period, ReportKey};
use serde::{Deserialize, Serialize};

/// Most missing periods that are named.
const MAX_NAMED: usize = 200;

/// What is there of a period.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeriodRow {
    /// Its number, see [`Period::number`].
    pub(super) number: u64,
    /// The parts that were taken, of kinds that are cut up.
    pub(super) parts: BTreeSet<u32>,
    /// Of how many.
    pub(super) of: u32,
    /// Reports that were taken.
    pub(super) taken: u64,
}

impl PeriodRow {
    /// Whether parts of it are missing.
    pub(super) fn is_incomplete(&self) -> bool {
        self.parts.len() < self.of as usize
    }
}

/// The key of a row; `None`: the report is of no period.
pub(super) fn row_key(node: &str, key: &ReportKey) -> Option<(String, Period)> {
    match key.when {
        When::Period(period) => {
            let row = format!("{node}\n{}\n{period}", key.kind.name());
            Some((row, period))
        }
        When::Moment(_) => None,
    }
}

/// Takes a row's key apart: node and kind.
pub(super) fn parse_key(key: &str) -> Option<(&str, Kind)> {
    let mut parts = key.split('\n');
    Some((parts.next()?, Kind::named(parts.next()?)?))
}

/// The periods of one node and kind.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) rows: BTreeMap<u64, PeriodRow>,
}

impl Line {
    /// Periods between the first that is there and a time, milliseconds since the Unix epoch, that
    /// ended and are not there; the first [`MAX_NAMED`].
    pub(super) fn missing(&self, kind: Kind, now_ms: u64) -> Vec<Period> {
        let (Some(unit), Some(first)) = (kind.unit(), self.rows.keys().next()) else {
            return Vec::new();
        };
        let open = Period::at(unit, now_ms).number();
        let all = (*first..open).filter(|number| !self.rows.contains_key(number));
        all.take(MAX_NAMED)
            .map(|number| Period::numbered(unit, number))
            .collect()
    }

    /// Periods of which parts are missing.
    pub(super) fn incomplete(&self, kind: Kind) -> Vec<Period> {
        let Some(unit) = kind.unit() else {
            return Vec::new();
        };
        let rows = self.rows.iter().filter(|(_, row)| row.is_incomplete());
        rows.map(|(number, _)| Period::numbered(unit, *number))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_lies_between_and_is_not_there_is_missing() {
        let day = |text: &str| Period::parse(text).unwrap();
        let mut line = Line::default();
        for text in ["2026-11-28", "2026-12-01"] {
            let number = day(text).number();
            line.rows.insert(number, PeriodRow::default());
        }
        let now_ms = day("2026-12-03").begins_ms() + 1;
        let missing = line.missing(Kind::Statistics, now_ms);
        let names: Vec<_> = missing.iter().map(Period::to_string).collect();
        assert_eq!(names, ["2026-11-29", "2026-11-30", "2026-12-02"]);
        assert_eq!(Line::default().missing(Kind::Statistics, now_ms), []);
    }
}
