//! What a run has shown, for people or as JSON.

use std::io::{self, Write as _};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::load::Seen;
use super::transfers::Transferred;
use super::writes::Written;
use crate::bench::error::Failure;

/// Of what was asked for, the share that has to be reached for the load to count.
const REACHED: f64 = 0.95;
/// Findings that are told of each kind.
const TOLD: usize = 20;

/// Everything that came of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) seconds: f64,
    pub(super) rate_qps: f64,
    pub(super) malformed_share: f64,
    pub(super) writes_per_s: f64,
    pub(super) seen: Seen,
    pub(super) written: Written,
    pub(super) transferred: Transferred,
    /// Datagrams that the kernel dropped, at the node's sockets and at ours.
    pub(super) drops: u64,
    /// Resident memory of the node, and its most, bytes.
    pub(super) memory_before: Option<(u64, u64)>,
    pub(super) memory_after: Option<(u64, u64)>,
    /// What the registry has otherwise at the end.
    pub(super) registry: Vec<String>,
    /// One query for every identifier, at the end.
    pub(super) at_the_end: Seen,
}

impl Outcome {
    /// Everything that was not as it has to be, one line each.
    fn findings(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut add = |count: u64, what: &str, told: &[String]| {
            if count > 0 {
                found.push(format!("{count} {what}"));
                let told = told.iter().take(TOLD);
                found.extend(told.map(|reason| format!("  {reason}")));
            }
        };
        let (seen, end, written) = (&self.seen, &self.at_the_end, &self.written);
        add(seen.wrong, "wrong answers", &seen.told);
        add(end.wrong, "wrong answers at the end", &end.told);
        add(end.unanswered, "queries unanswered at the end", &[]);
        let unexplained = seen.unanswered.saturating_sub(self.drops);
        add(unexplained, "queries unanswered without a drop", &[]);
        add(seen.unexpected, "answers to no query", &[]);
        let failure: Vec<String> = written.failure.iter().cloned().collect();
        add(written.failed, "writes failed", &failure);
        let transferred = &self.transferred;
        add(transferred.wrong, "transfers wrong", &transferred.told);
        let registry = self.registry.len() as u64;
        add(registry, "differences in the registry", &self.registry);
        let queries = (self.seen.queries + self.seen.malformed) as f64;
        for (what, reached, wanted) in [
            ("packets", queries, self.rate_qps * self.seconds),
            (
                "writes",
                written.acknowledged() as f64,
                self.writes_per_s * self.seconds,
            ),
        ] {
            if reached < REACHED * wanted {
                found.push(format!("only {reached:.0} {what} of {wanted:.0}"));
            }
        }
        found
    }

    /// Whether there is nothing to be said against it.
    pub(super) fn is_right(&self) -> bool {
        self.findings().is_empty()
    }

    /// Prints it.
    pub(super) fn print(&self, as_json: bool) -> Result<(), Failure> {
        let document = self.to_json();
        let text = match as_json {
            true => document.to_string(),
            false => lines(&document).join("\n"),
        };
        match writeln!(io::stdout(), "{text}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ClosedPipe),
            other => other.map_err(Failure::io("standard output")),
        }
    }

    fn to_json(&self) -> Value {
        let (seen, written) = (&self.seen, &self.written);
        let resident = |memory: Option<(u64, u64)>| memory.map(|(now, _)| mib(now));
        json!({
            "right": self.is_right(),
            "seconds": self.seconds,
            "queries": seen.queries,
            "answers": seen.answers,
            "unanswered": seen.unanswered,
            "dropped_by_kernel": self.drops,
            "wrong": seen.wrong + self.at_the_end.wrong,
            "asked_during_a_write": seen.raced,
            "malformed": seen.malformed,
            "malformed_share": self.malformed_share,
            "malformed_answered": seen.malformed_answered,
            "latency_us": quantiles_us(&seen.latency_ns),
            "writes": {
                "creates": written.creates,
                "updates": written.updates,
                "deletes": written.deletes,
                "failed": written.failed,
                "p50_us": written.p50_us,
                "p99_us": written.p99_us,
            },
            "transfers": {
                "axfr": self.transferred.whole,
                "ixfr": self.transferred.differences,
                "nothing_new": self.transferred.nothing,
                "wrong": self.transferred.wrong,
                "longest_s": self.transferred.longest.as_secs_f64(),
            },
            "at_the_end": {
                "identifiers_asked": self.at_the_end.answers,
                "wrong": self.at_the_end.wrong,
                "registry_differences": self.registry.len(),
            },
            "resident_mib": {
                "start": resident(self.memory_before),
                "end": resident(self.memory_after),
                "most": self.memory_after.map(|(_, most)| mib(most)),
            },
            "findings": self.findings(),
        })
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn quantiles_us(latency_ns: &Histogram<u64>) -> Value {
    let at = |quantile| latency_ns.value_at_quantile(quantile) as f64 / 1e3;
    json!({
        "p50": at(0.5),
        "p99": at(0.99),
        "p99.9": at(0.999),
        "max": latency_ns.max() as f64 / 1e3,
    })
}

/// A document as lines of names and values; a list has a line for each entry.
fn lines(document: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in document.as_object().into_iter().flatten() {
        let name = name.replace('_', " ");
        match value {
            Value::Object(inner) => {
                let parts: Vec<String> = inner
                    .iter()
                    .map(|(name, value)| format!("{} {}", name.replace('_', " "), number(value)))
                    .collect();
                lines.push(format!("{name:24}{}", parts.join(", ")));
            }
            Value::Array(entries) => {
                let entries = entries.iter().filter_map(Value::as_str);
                lines.extend(entries.map(|entry| format!("WRONG: {entry}")));
            }
            other => lines.push(format!("{name:24}{}", number(other))),
        }
    }
    lines
}

fn number(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() && number < 1.0 => format!("{number:.3}"),
        Some(number) if value.is_f64() => format!("{number:.1}"),
        _ => value.to_string(),
    }
}
