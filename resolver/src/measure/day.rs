//! What is gathered of one prefix, or of the node, on one day.

use super::sampler::{Sample, Source};
use super::sketch::{Count, PLACES, Sketch};
use bytes::Bytes;
use idnode_registry::upward::report::measured::{self, MeasuredDay, Stock};
use std::time::Duration;

/// One day so far.
#[derive(Debug, Default)]
pub(super) struct Day {
    /// As the journal keeps it, but for the sources.
    pub(super) row: MeasuredDay,
    sketch: Option<Box<Sketch>>,
    /// It has changed since it was last journalled.
    pub(super) is_changed: bool,
}

impl Day {
    /// A day that begins with so many identifiers.
    pub(super) fn beginning(before: Stock) -> Self {
        Self {
            row: MeasuredDay {
                before,
                source_capacity: PLACES as u32,
                ..MeasuredDay::default()
            },
            sketch: None,
            is_changed: true,
        }
    }

    /// A day that the journal has.
    pub(super) fn kept(mut row: MeasuredDay) -> Self {
        let sources = std::mem::take(&mut row.sources).into_iter();
        let counts = sources.filter_map(|source| {
            let count = Count {
                queries: source.queries,
                over: source.over,
                variance: source.variance,
            };
            Some((Source::from_bytes(&source.address)?, count))
        });
        let sketch = Sketch::kept(counts, row.source_capacity as usize);
        Self {
            row,
            sketch: (sketch.taken() > 0).then(|| Box::new(sketch)),
            is_changed: false,
        }
    }

    /// The row with its sources.
    pub(super) fn whole(&self) -> MeasuredDay {
        let mut row = self.row.clone();
        if let Some(sketch) = &self.sketch {
            row.source_capacity = sketch.places() as u32;
            let sources = sketch.counts().map(|(source, count)| measured::Source {
                address: Bytes::copy_from_slice(source.bytes()),
                queries: count.queries,
                over: count.over,
                variance: count.variance,
            });
            row.sources = sources.collect();
        }
        row
    }

    /// How many places its sources take.
    pub(super) fn places(&self) -> usize {
        self.sketch.as_ref().map_or(0, |sketch| sketch.taken())
    }

    /// Adds a query that was looked at; whether a place more is taken.
    pub(super) fn sample(&mut self, sample: &Sample, may_grow: bool, at_ms: u64) -> bool {
        self.is_changed = true;
        self.row.looked_at += 1;
        self.row.stood_for += u64::from(sample.weight);
        if let Some(took_ns) = sample.took_ns {
            self.row.resolving.add_one(took_ns, at_ms);
        }
        let Some(source) = sample.source else {
            return false;
        };
        let sketch = self.sketch.get_or_insert_default();
        sketch.add(source, sample.weight, may_grow)
    }

    /// Adds the queries of a time that ends at a moment, milliseconds since the Unix epoch.
    pub(super) fn add(&mut self, queries: u64, successes: u64, took: Duration, at_ms: u64) {
        if queries == 0 && successes == 0 {
            return;
        }
        self.is_changed = true;
        self.row.queries += queries;
        // Of a query that is being counted, the success may be gathered a look after it.
        self.row.successes = (self.row.successes + successes).min(self.row.queries);
        // A look that was late has seen more than a second's.
        let seconds = took.as_secs_f64().max(1.0);
        let qps = (queries as f64 / seconds).ceil() as u64;
        if qps > self.row.peak_qps {
            (self.row.peak_qps, self.row.peak_at_ms) = (qps, at_ms);
        }
    }
}
