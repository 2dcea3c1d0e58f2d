//! The result of a run, as a table for people and as JSON for programs.

use std::io::{self, Write as _};

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Map, Value, json};

use super::error::Failure;
use super::tally::Tally;

/// What rates and costs are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Answers, whatever they say.
    Answers,
    /// Creates: answers that are not mismatched.
    Creates,
}

impl Counted {
    /// The rate and the cost in JSON.
    fn keys(self) -> [&'static str; 2] {
        match self {
            Self::Answers => ["qps", "server_cpu_us_per_query"],
            Self::Creates => ["creates_per_s", "server_cpu_us_per_create"],
        }
    }

    /// The same in a table.
    fn titles(self) -> [&'static str; 2] {
        match self {
            Self::Answers => ["answers/s", "server CPU us/query"],
            Self::Creates => ["creates/s", "server CPU us/create"],
        }
    }
}

/// What a run has shown.
#[derive(Debug)]
pub(super) struct Report {
    /// What rates and costs are of.
    pub(super) counted: Counted,
    /// What was asked, and how: `server`, `transport`, `mode` and so on.
    pub(super) conditions: Vec<(&'static str, Value)>,
    /// What response codes are called.
    pub(super) code_name: fn(usize) -> String,
    /// The senders' tallies together.
    pub(super) tally: Tally,
    /// CPU time of the server's processes during the run, seconds, if they are known.
    pub(super) server_cpu_s: Option<f64>,
    /// CPU time of this process during the run, seconds.
    pub(super) client_cpu_s: f64,
}

/// The quantiles that are shown.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

impl Report {
    /// Prints it.
    pub(super) fn print(&self, as_json: bool) -> Result<(), Failure> {
        let text = match as_json {
            true => self.to_json().to_string(),
            false => self.to_table().to_string(),
        };
        match writeln!(io::stdout(), "{text}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ClosedPipe),
            other => other.map_err(Failure::io("standard output")),
        }
    }

    /// Seconds from the start to the last answer.
    fn elapsed_s(&self) -> f64 {
        self.tally.last_ns as f64 / 1e9
    }

    fn count(&self) -> f64 {
        let tally = &self.tally;
        let count = match self.counted {
            Counted::Answers => tally.answered,
            Counted::Creates => tally.answered.saturating_sub(tally.mismatched),
        };
        count as f64
    }

    fn rate_per_s(&self) -> f64 {
        ratio(self.count(), self.elapsed_s())
    }

    fn server_cpu_us(&self) -> Option<f64> {
        let cpu_s = self.server_cpu_s?;
        Some(ratio(cpu_s * 1e6, self.count()))
    }

    /// Latencies in microseconds, by name.
    fn latencies_us(&self) -> Vec<(&'static str, f64)> {
        let latency_ns = &self.tally.latency_ns;
        let mut rows = vec![
            ("min", latency_ns.min() as f64),
            ("mean", latency_ns.mean()),
        ];
        rows.extend(
            QUANTILES.map(|(name, quantile)| (name, latency_ns.value_at_quantile(quantile) as f64)),
        );
        rows.push(("max", latency_ns.max() as f64));
        rows.into_iter()
            .map(|(name, ns)| (name, ns / 1e3))
            .collect()
    }

    fn codes(&self) -> Vec<(String, u64)> {
        let counts = self.tally.codes.iter().enumerate();
        counts
            .filter(|(_, count)| **count > 0)
            .map(|(code, count)| ((self.code_name)(code), *count))
            .collect()
    }

    fn to_json(&self) -> Value {
        let tally = &self.tally;
        let mut document: Map<String, Value> = self
            .conditions
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let [rate, cost] = self.counted.keys();
        let results = json!({
            "elapsed_s": rounded(self.elapsed_s(), 6),
            "sent": tally.sent,
            "answered": tally.answered,
            "lost": tally.lost,
            "unexpected": tally.unexpected,
            "mismatched": tally.mismatched,
            "reconnects": tally.reconnects,
            "truncated": tally.truncated,
            "rcodes": self.codes().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            rate: rounded(self.rate_per_s(), 1),
            "latency_us": self
                .latencies_us()
                .into_iter()
                .map(|(name, us)| (name.to_owned(), rounded(us, 3)))
                .collect::<Map<_, _>>(),
            "answer_bytes": tally.answer_bytes,
            "server_cpu_s": self.server_cpu_s.map(|cpu_s| rounded(cpu_s, 6)),
            cost: self.server_cpu_us().map(|us| rounded(us, 4)),
            "client_cpu_s": rounded(self.client_cpu_s, 2),
        });
        if let Value::Object(results) = results {
            document.extend(results);
        }
        Value::Object(document)
    }

    fn to_table(&self) -> Table {
        let tally = &self.tally;
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        let mut row = |name: &str, value: String| {
            table.add_row([name.to_owned(), value]);
        };
        for (name, value) in &self.conditions {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            row(name, text);
        }
        row("elapsed s", format!("{:.3}", self.elapsed_s()));
        row("sent", tally.sent.to_string());
        row("answered", tally.answered.to_string());
        row("lost", tally.lost.to_string());
        for (name, count) in [
            ("unexpected", tally.unexpected),
            ("mismatched", tally.mismatched),
            ("reconnects", tally.reconnects),
            ("truncated", tally.truncated),
        ] {
            if count > 0 {
                row(name, count.to_string());
            }
        }
        for (name, count) in self.codes() {
            row(&name, count.to_string());
        }
        let [rate, cost] = self.counted.titles();
        row(rate, format!("{:.0}", self.rate_per_s()));
        for (name, us) in self.latencies_us() {
            row(&format!("{name} us"), format!("{us:.1}"));
        }
        row(
            "bytes/answer",
            format!(
                "{:.1}",
                ratio(tally.answer_bytes as f64, tally.answered as f64)
            ),
        );
        if let (Some(cpu_s), Some(us)) = (self.server_cpu_s, self.server_cpu_us()) {
            row("server CPU s", format!("{cpu_s:.3}"));
            row(cost, format!("{us:.2}"));
        }
        row("client CPU s", format!("{:.2}", self.client_cpu_s));
        if let Some(values) = table.column_mut(1) {
            values.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

fn ratio(dividend: f64, divisor: f64) -> f64 {
    match divisor > 0.0 {
        true => dividend / divisor,
        false => 0.0,
    }
}

/// A number as JSON, with at most so many decimals.
fn rounded(number: f64, decimals: i32) -> Value {
    let scale = 10f64.powi(decimals);
    json!((number * scale).round() / scale)
}
