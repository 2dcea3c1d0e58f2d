//! The province as it is shown: for programs as JSON, for people as a table or as lines.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use serde::{Deserialize, Serialize};

use super::net::link::{Link, WireReport};

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// Its process has begun and does not answer yet.
    Starting,
    /// It answers and takes writes.
    Up,
    /// Its process lives, and it is not ready.
    NotReady,
    /// Its process has ended.
    Down,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::NotReady => "not ready",
            Self::Down => "down",
        }
    }
}

/// A node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Node {
    /// Its city, or `national`.
    pub(super) name: String,
    /// The city's Chinese name.
    pub(super) chinese: String,
    /// `core`, `pole`, `edge`, or empty.
    pub(super) role: String,
    /// Its prefix.
    pub(super) prefix: String,
    /// How it is.
    pub(super) state: State,
    /// Why it is so, if there is more to say.
    pub(super) why: String,
    /// Its process, if there is one.
    pub(super) pid: Option<u32>,
    /// How often it was started again.
    pub(super) restarts: u32,
    /// Requests a second since the look before, on all fronts.
    pub(super) queries_per_s: Option<f64>,
    /// What half of them did not exceed, by the node's own measure, milliseconds.
    pub(super) p50_ms: Option<f64>,
    /// What 99 of a hundred did not exceed.
    pub(super) p99_ms: Option<f64>,
    /// What waits for the national node.
    pub(super) backlog: Option<u64>,
    /// Channels to the national node that are down.
    pub(super) channels_down: Option<u64>,
    /// Its address.
    pub(super) address: String,
    /// Its network namespace, if it has one.
    pub(super) namespace: Option<String>,
    /// Where it is reached: ports by front.
    pub(super) ports: serde_json::Map<String, serde_json::Value>,
}

/// The whole province.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Status {
    /// When this was so (RFC 3339).
    pub(super) at: String,
    /// Its directory.
    pub(super) dir: String,
    /// How places are kept apart: `addresses`, `veths`, `wire`.
    pub(super) apart: super::layout::Apart,
    /// One way from a city's clients to its node, milliseconds.
    pub(super) city_ms: f64,
    /// The cities' nodes, then the national one.
    pub(super) nodes: Vec<Node>,
    /// Links between them; none without namespaces.
    pub(super) links: Vec<Link>,
    /// How well the wire keeps time, if there is one.
    pub(super) wire: Option<WireReport>,
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

impl Status {
    /// For a terminal.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header([
            "CITY", "", "ROLE", "PREFIX", "STATE", "Q/S", "P50 MS", "P99 MS", "BACKLOG", "LINKS",
        ]);
        for node in &self.nodes {
            let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
            table.add_row([
                Cell::new(&node.name),
                Cell::new(&node.chinese),
                Cell::new(&node.role),
                Cell::new(&node.prefix),
                Cell::new(node.told()),
                right(number(node.queries_per_s, 1)),
                right(number(node.p50_ms, 2)),
                right(number(node.p99_ms, 2)),
                right(
                    node.backlog
                        .map_or("-".to_owned(), |count| count.to_string()),
                ),
                Cell::new(self.links_of(&node.name)),
            ]);
        }
        format!("{table}\n{}", self.foot())
    }

    /// What is below the table.
    fn foot(&self) -> String {
        let wire = self.wire.map_or_else(String::new, |wire| {
            format!(
                ", wire late by {} us (p50), {} us (p99), {} us at most",
                wire.late_p50_us, wire.late_p99_us, wire.late_max_us
            )
        });
        format!("{}  {}{wire}\n", self.at, self.dir)
    }

    /// One line a node, where no terminal is.
    pub(super) fn lines(&self) -> String {
        let lines = self.nodes.iter().map(|node| {
            let backlog = node
                .backlog
                .map_or("-".to_owned(), |count| count.to_string());
            let links = self.links_of(&node.name);
            let line = format!(
                "{} {} {}: {} q/s, p50 {} ms, p99 {} ms, backlog {backlog} {links}",
                self.at,
                node.name,
                node.told(),
                number(node.queries_per_s, 1),
                number(node.p50_ms, 2),
                number(node.p99_ms, 2),
            );
            format!("{}\n", line.trim_end())
        });
        lines.collect()
    }

    /// What is remarkable about a place's links: which are cut, which are slow.
    fn links_of(&self, name: &str) -> String {
        let usual_ms = self.usual_ms();
        let remarks = self.links.iter().filter_map(|link| {
            let other = match (link.a == name, link.b == name) {
                (true, _) => &link.b,
                (_, true) => &link.a,
                _ => return None,
            };
            match link.up {
                false => Some(format!("no {other}")),
                true if Some(link.one_way_ms) != usual_ms => {
                    Some(format!("{other} {} ms", link.one_way_ms))
                }
                true => None,
            }
        });
        let remarks: Vec<_> = remarks.collect();
        match remarks.len() {
            0 => String::new(),
            all if all + 1 == self.nodes.len() && remarks.iter().all(|it| it.starts_with("no")) => {
                "cut off".to_owned()
            }
            _ => remarks.join(", "),
        }
    }

    /// What most links take.
    fn usual_ms(&self) -> Option<f64> {
        let mut all: Vec<_> = self.links.iter().map(|link| link.one_way_ms).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }
}

impl Node {
    fn told(&self) -> String {
        let state = self.state.name();
        let mut told = match self.why.as_str() {
            "" => state.to_owned(),
            why => format!("{state} ({why})"),
        };
        if let Some(down @ 1..) = self.channels_down {
            told.push_str(&format!(", {down} uplinks down"));
        }
        if self.restarts > 0 {
            told.push_str(&format!(", started again {} times", self.restarts));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::province::layout::Apart;
    use crate::province::net::link::Carried;

    fn node(name: &str, state: State) -> Node {
        Node {
            name: name.to_owned(),
            chinese: String::new(),
            role: String::new(),
            prefix: String::new(),
            state,
            why: String::new(),
            pid: None,
            restarts: 0,
            queries_per_s: Some(12.34),
            p50_ms: Some(0.05),
            p99_ms: None,
            backlog: Some(7),
            channels_down: Some(0),
            address: String::new(),
            namespace: None,
            ports: serde_json::Map::new(),
        }
    }

    fn link(a: &str, b: &str, up: bool, one_way_ms: f64) -> Link {
        Link {
            a: a.to_owned(),
            b: b.to_owned(),
            up,
            one_way_ms,
            carried: Carried::default(),
        }
    }

    #[test]
    fn lines_tell_state_figures_and_links() {
        let status = Status {
            at: "now".to_owned(),
            dir: "dir".to_owned(),
            apart: Apart::Wire,
            city_ms: 0.0,
            nodes: vec![
                node("a", State::Up),
                node("b", State::Down),
                node("c", State::Up),
            ],
            links: vec![
                link("a", "b", false, 20.0),
                link("a", "c", true, 20.0),
                link("b", "c", false, 20.0),
            ],
            wire: None,
        };
        let lines = status.lines();
        let mut lines = lines.lines();
        let line = "now a up: 12.3 q/s, p50 0.05 ms, p99 - ms, backlog 7 no b";
        assert_eq!(lines.next(), Some(line));
        let line = "now b down: 12.3 q/s, p50 0.05 ms, p99 - ms, backlog 7 cut off";
        assert_eq!(lines.next(), Some(line));
        assert!(status.table().contains("cut off"));
    }
}
