//! What a node's metrics say: counters as they stand, and what happened between two looks.

use std::collections::BTreeMap;

/// What is read of the metrics of one node. Counters are since its process began.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Reading {
    /// Requests on all fronts.
    pub(super) requests: u64,
    /// Of these, requests on the Handle front.
    pub(super) handle_requests: u64,
    /// Questions that others were asked, or had answered before.
    pub(super) recursions: u64,
    /// Prefixes of siblings that it knows the way to.
    pub(super) siblings: u64,
    /// By upper bound in microseconds, how many requests took no longer.
    latency_us: BTreeMap<u64, u64>,
    /// What waits for the national node, over all channels.
    pub(super) backlog: u64,
    /// Channels to the national node that are down, those that are off not among them.
    pub(super) channels_down: u64,
    /// When the process began, milliseconds since 1970: another one counts from 0.
    began_ms: u64,
}

impl Reading {
    /// Of Prometheus text (exposition format 0.0.4). What is not known is passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut reading = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let value = value.parse::<f64>().unwrap_or(0.0) as u64;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            match name {
                "idnode_requests_total" => {
                    reading.requests += value;
                    if label(labels, "front") == Some("handle") {
                        reading.handle_requests += value;
                    }
                }
                "idnode_recursion_total" => reading.recursions += value,
                "idnode_request_latency_us_bucket" => {
                    let bound = label(labels, "le").and_then(|le| le.parse::<f64>().ok());
                    let bound = bound.filter(|bound| bound.is_finite());
                    let bound = bound.map_or(u64::MAX, |bound| bound as u64);
                    *reading.latency_us.entry(bound).or_default() += value;
                }
                "idnode_upward_backlog" => reading.backlog += value,
                "idnode_upward_up" => reading.channels_down += u64::from(value == 0),
                "idnode_sibling_routes" => reading.siblings = value,
                "idnode_start_time_ms" => reading.began_ms = value,
                _ => {}
            }
        }
        reading
    }

    /// Of the national node's page for programs: the questions that its resolver was asked. Nothing
    /// where it has none.
    pub(super) fn of_national(page: &[u8]) -> Option<Self> {
        let page: serde_json::Value = serde_json::from_slice(page).ok()?;
        let questions = page.pointer("/resolve/questions")?.as_u64()?;
        Some(Self {
            requests: questions,
            ..Self::default()
        })
    }

    /// Whether it is of the same process as an earlier one.
    pub(super) fn follows(&self, earlier: &Self) -> bool {
        self.began_ms == earlier.began_ms
    }

    /// What the requests since an earlier reading took: the latency that so many of a hundred did
    /// not exceed, microseconds, within the bucket it falls into as if they were spread evenly.
    pub(super) fn percentile_us(&self, earlier: &Self, of_hundred: f64) -> Option<f64> {
        let since = |bound: &u64, count: &u64| {
            count.saturating_sub(earlier.latency_us.get(bound).copied().unwrap_or(0))
        };
        let buckets: Vec<_> = self
            .latency_us
            .iter()
            .map(|(bound, count)| (*bound, since(bound, count)))
            .collect();
        let total = buckets.last().map_or(0, |(_, count)| *count);
        if total == 0 {
            return None;
        }
        let wanted = total as f64 * of_hundred / 100.0;
        let (mut below, mut counted) = (0.0, 0.0);
        for (bound, count) in buckets {
            let count = count as f64;
            if count >= wanted && count > counted {
                let bound = if bound == u64::MAX {
                    below
                } else {
                    bound as f64
                };
                return Some(below + (bound - below) * (wanted - counted) / (count - counted));
            }
            if bound != u64::MAX {
                (below, counted) = (bound as f64, count);
            }
        }
        Some(below)
    }
}

/// The value of a label in what stands between the braces.
fn label<'t>(labels: &'t str, name: &str) -> Option<&'t str> {
    let mut all = labels.trim_end_matches('}').split(',');
    all.find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(fast: u64, slow: u64) -> String {
        format!(
            "# HELP x y\n\
             idnode_requests_total{{front=\"handle\",outcome=\"found\"}} {slow}\n\
             idnode_requests_total{{front=\"dns\",outcome=\"found\"}} 3\n\
             idnode_recursion_total{{outcome=\"kept\"}} 2\n\
             idnode_request_latency_us_bucket{{front=\"handle\",le=\"100\"}} {fast}\n\
             idnode_request_latency_us_bucket{{front=\"handle\",le=\"1000\"}} {slow}\n\
             idnode_request_latency_us_bucket{{front=\"handle\",le=\"+Inf\"}} {slow}\n\
             idnode_upward_backlog{{channel=\"epp\"}} 4\n\
             idnode_upward_up{{channel=\"epp\"}} 1\n\
             idnode_upward_up{{channel=\"report\"}} 0\n\
             idnode_start_time_ms 77\n"
        )
    }

    #[test]
    fn counters_are_read_by_name_and_label() {
        let reading = Reading::parse(&text(50, 100));
        assert_eq!((reading.requests, reading.handle_requests), (103, 100));
        assert_eq!((reading.recursions, reading.backlog), (2, 4));
        assert_eq!(reading.channels_down, 1);
        assert!(reading.follows(&Reading::parse(&text(0, 0))));
        assert!(!reading.follows(&Reading::default()));
        Reading::parse("junk\n{}}{ 7\nidnode_requests_total{ x\n\u{fffd}");
    }

    #[test]
    fn the_national_nodes_questions_are_on_its_page() {
        let page = br#"{"resolve": {"questions": 7}}"#;
        assert_eq!(Reading::of_national(page).map(|it| it.requests), Some(7));
        assert_eq!(Reading::of_national(b"{}"), None);
    }

    #[test]
    fn percentiles_are_of_what_happened_between() {
        let (before, after) = (
            Reading::parse(&text(50, 100)),
            Reading::parse(&text(140, 200)),
        );
        // 90 of a hundred within 100 us, 10 of them up to 1000 us.
        let at = |of_hundred| after.percentile_us(&before, of_hundred).unwrap();
        assert!((at(45.0) - 50.0).abs() < 0.1);
        assert!((at(90.0) - 100.0).abs() < 0.1);
        assert!((at(95.0) - 550.0).abs() < 0.1);
        assert_eq!(after.percentile_us(&after, 50.0), None);
    }
}
