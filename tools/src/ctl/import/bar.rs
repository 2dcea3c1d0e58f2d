//! How far an import has come, for people at a terminal.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::super::error::Failure;
use super::super::output::printable;
use super::state::Tally;
use crate::bulk::chunk::Unit;

/// A bar on standard error; nothing when that is no terminal.
pub(super) struct Bar {
    bar: ProgressBar,
    started: Instant,
    /// Items that were done before this run.
    before: Option<u64>,
}

const WITH_END: &str = "{bar:30} {percent:>3} %  {msg}, {eta} left";
const WITHOUT_END: &str = "{spinner} {msg}, {elapsed}";

impl Bar {
    /// A bar against a file's length, or without an end for standard input.
    pub(super) fn new(length_bytes: Option<u64>, quiet: bool) -> Self {
        let bar = match length_bytes {
            _ if quiet => ProgressBar::hidden(),
            Some(length) => ProgressBar::new(length),
            None => ProgressBar::new_spinner(),
        };
        let template = if length_bytes.is_some() {
            WITH_END
        } else {
            WITHOUT_END
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            started: Instant::now(),
            before: None,
        }
    }

    /// Shows that a unit is done.
    pub(super) fn done(&mut self, unit: &Unit, tally: Tally) {
        let before = *self.before.get_or_insert_with(|| {
            let items = unit.chunk.as_ref().map_or(0, |chunk| chunk.items) + unit.rejects.len();
            tally.total().saturating_sub(items as u64)
        });
        let rate =
            (tally.total() - before) as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        self.bar.set_position(unit.source_bytes);
        let rejected = match tally.rejected {
            0 => String::new(),
            some => format!(", {some} rejected"),
        };
        self.bar
            .set_message(format!("{} items, {rate:.0}/s{rejected}", tally.total()));
    }

    /// Shows that the connection broke and is being made again.
    pub(super) fn waiting(&mut self, failure: &Failure) {
        self.bar.println(format!(
            "connecting again: {}",
            printable(&failure.to_string())
        ));
    }

    pub(super) fn finish(&mut self) {
        self.bar.finish_and_clear();
    }
}
