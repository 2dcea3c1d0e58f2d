//! How long changes took from their commit at the node until they were durable here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The greatest lag that is told apart, milliseconds: about eleven days.
const MAX_MS: u64 = 1_000_000_000;

/// The lags of every node since the process began.
#[derive(Debug, Default)]
pub(super) struct Lags {
    nodes: Mutex<BTreeMap<String, Lag>>,
}

#[derive(Debug)]
struct Lag {
    last_ms: u64,
    all: Histogram<u64>,
}

impl Lags {
    /// Entries of a node became durable at a time: when each was committed there, milliseconds since
    /// the Unix epoch.
    pub(super) fn took(&self, node: &str, committed_ms: &[u64], now_ms: u64) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if !nodes.contains_key(node) {
            // Its bounds are right: it cannot fail.
            let Ok(all) = Histogram::new_with_bounds(1, MAX_MS, 3) else {
                return;
            };
            nodes.insert(node.to_owned(), Lag { last_ms: 0, all });
        }
        let Some(lag) = nodes.get_mut(node) else {
            return;
        };
        for committed_ms in committed_ms {
            lag.last_ms = now_ms.saturating_sub(*committed_ms);
            lag.all.saturating_record(lag.last_ms);
        }
    }

    /// Those of a node, for programs.
    pub(super) fn of(&self, node: &str) -> Value {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.get(node).map_or(Value::Null, |lag| {
            json!({
                "last": lag.last_ms,
                "p50": lag.all.value_at_quantile(0.5),
                "p99": lag.all.value_at_quantile(0.99),
                "max": lag.all.max(),
                "entries": lag.all.len(),
            })
        })
    }
}
