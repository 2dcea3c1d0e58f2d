//! The result of a run, for people and as JSON.

use std::collections::BTreeMap;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::tally::Tally;
use super::{Args, Phase};
use crate::province::city::City;
use crate::province::layout::Started;

/// A phase that is over.
#[derive(Debug)]
pub(super) struct PhaseReport {
    /// Which.
    pub(super) phase: Phase,
    /// How long it took.
    pub(super) seconds: f64,
    /// Questions that nodes had others asked for during it.
    pub(super) recursions: u64,
    /// Packets of the Handle protocol that went between cities during it, where that is known.
    pub(super) handle_packets_between_cities: Option<u64>,
    /// By city.
    pub(super) tallies: Vec<Tally>,
}

/// The whole run.
#[derive(Debug)]
pub(super) struct Report {
    /// Questions a second that were meant.
    rate: f64,
    /// From where it was asked.
    askers: &'static str,
    /// What the emulated ways take there and back, milliseconds: inside the city as far as askers
    /// have it before them, and between cities.
    city_round_trip_ms: f64,
    between_round_trip_ms: f64,
    /// What was done.
    pub(super) phases: Vec<PhaseReport>,
}

/// Latencies of one kind of question in one phase.
struct Class {
    name: &'static str,
    latency_us: Histogram<u64>,
    /// Emulated ways in it, milliseconds.
    emulated_ms: f64,
}

impl Report {
    /// Of a run that has not begun.
    pub(super) fn new(args: &Args, started: &Started) -> Self {
        Self {
            rate: args.rate,
            askers: if args.beside { "beside" } else { "clients" },
            city_round_trip_ms: if args.beside {
                0.0
            } else {
                2.0 * started.city_ms
            },
            between_round_trip_ms: 2.0 * started.between_ms,
            phases: Vec::new(),
        }
    }

    /// Whether no answer was wrong, and no question for a city's own identifiers left the city.
    pub(super) fn is_right(&self) -> bool {
        self.phases
            .iter()
            .all(|phase| phase.sum(|it| it.wrong) == 0 && !phase.left_the_city())
    }

    /// Prints it.
    pub(super) fn print(&self, as_json: bool) {
        match as_json {
            true => println!("{}", self.json()),
            false => print!("{}", self.text()),
        }
    }

    /// The same-city and the cross-city questions of a phase.
    fn classes(&self, phase: &PhaseReport) -> Vec<Class> {
        let between_ms = match phase.phase {
            Phase::Cold => self.between_round_trip_ms,
            Phase::Own | Phase::Warm => 0.0,
        };
        let class = |name, same: bool, further_ms: f64| {
            let latency_us = phase.latencies(|from, to| (from == to) == same)?;
            Some(Class {
                name,
                latency_us,
                emulated_ms: self.city_round_trip_ms + further_ms,
            })
        };
        let classes = [
            class("same city", true, 0.0),
            class("cross city", false, between_ms),
        ];
        classes.into_iter().flatten().collect()
    }

    fn json(&self) -> Value {
        let phases = self.phases.iter().map(|phase| {
            let classes = self.classes(phase).into_iter().map(|class| {
                let own = json!({
                    "class": class.name,
                    "emulated_ms": class.emulated_ms,
                    "p99_beyond_emulated_ms": round(class.p99_beyond_ms()),
                });
                together(latencies(&class.latency_us), own)
            });
            let classes: Vec<_> = classes.collect();
            json!({
                "phase": phase.phase,
                "seconds": round(phase.seconds),
                "sent": phase.sum(|it| it.sent),
                "right": phase.sum(|it| it.right),
                "wrong": phase.sum(|it| it.wrong),
                "lost": phase.sum(|it| it.lost),
                "refused": phase.refused(),
                "wrong_examples": phase.examples(),
                "sent_late_p99_ms": phase.late_ms(),
                "recursions": phase.recursions,
                "handle_packets_between_cities": phase.handle_packets_between_cities,
                "left_the_city": phase.left_the_city(),
                "classes": classes,
                "pairs": phase.pairs(),
            })
        });
        json!({
            "rate_qps": self.rate,
            "askers": self.askers,
            "city_round_trip_ms": self.city_round_trip_ms,
            "between_round_trip_ms": self.between_round_trip_ms,
            "right": self.is_right(),
            "phases": phases.collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header([
            "PHASE",
            "QUESTIONS",
            "ANSWERS",
            "P50 MS",
            "P99 MS",
            "MAX MS",
            "EMULATED MS",
            "P99 BEYOND MS",
        ]);
        for phase in &self.phases {
            for class in self.classes(phase) {
                let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
                let at = |quantile| ms(class.latency_us.value_at_quantile(quantile));
                table.add_row([
                    Cell::new(phase.name()),
                    Cell::new(class.name),
                    right(class.latency_us.len().to_string()),
                    right(format!("{:.2}", at(0.5))),
                    right(format!("{:.2}", at(0.99))),
                    right(format!("{:.2}", ms(class.latency_us.max()))),
                    right(format!("{:.2}", class.emulated_ms)),
                    right(format!("{:.2}", class.p99_beyond_ms())),
                ]);
            }
        }
        let lines = self.phases.iter().map(PhaseReport::line);
        format!("{table}\n{}", lines.collect::<String>())
    }
}

impl Class {
    fn p99_beyond_ms(&self) -> f64 {
        ms(self.latency_us.value_at_quantile(0.99)) - self.emulated_ms
    }
}

impl PhaseReport {
    fn name(&self) -> &'static str {
        match self.phase {
            Phase::Own => "own",
            Phase::Cold => "cold",
            Phase::Warm => "warm",
        }
    }

    fn sum(&self, of: impl Fn(&Tally) -> u64) -> u64 {
        self.tallies.iter().map(of).sum()
    }

    /// Whether questions for a city's own identifiers have left it. Only in the phase in which
    /// nothing else is asked can that be told.
    fn left_the_city(&self) -> bool {
        let packets = self.handle_packets_between_cities.unwrap_or(0);
        self.phase == Phase::Own && (self.recursions > 0 || packets > 0)
    }

    /// Latencies of the pairs that are wanted; nothing if there are none.
    fn latencies(&self, wanted: impl Fn(City, City) -> bool) -> Option<Histogram<u64>> {
        let all = self.tallies.iter().flat_map(|tally| {
            tally
                .latency_us
                .iter()
                .map(|(to, it)| (tally.city, *to, it))
        });
        let mut wanted = all.filter(|(from, to, _)| wanted(*from, *to));
        let mut sum = wanted.next()?.2.clone();
        for (_, _, histogram) in wanted {
            // Of the same bounds: it fits.
            let _ = sum.add(histogram);
        }
        Some(sum)
    }

    fn pairs(&self) -> Vec<Value> {
        let all = self.tallies.iter().flat_map(|tally| {
            tally.latency_us.iter().map(|(to, histogram)| {
                let own = json!({ "from": tally.city.name(), "to": to.name() });
                together(latencies(histogram), own)
            })
        });
        all.collect()
    }

    fn refused(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (code, count) in self.tallies.iter().flat_map(|it| &it.refused) {
            *all.entry(code.to_string()).or_default() += count;
        }
        all
    }

    fn examples(&self) -> Vec<&String> {
        self.tallies.iter().flat_map(|it| &it.examples).collect()
    }

    fn late_ms(&self) -> f64 {
        let late = self
            .tallies
            .iter()
            .map(|it| it.late_us.value_at_quantile(0.99));
        ms(late.max().unwrap_or(0))
    }

    fn line(&self) -> String {
        let packets = self
            .handle_packets_between_cities
            .map_or_else(|| "unknown".to_owned(), |packets| packets.to_string());
        let mut line = format!(
            "{}: {} sent in {:.1} s (99 % within {:.2} ms of when they were due), {} right, {} wrong, {} lost, refused {:?}; {} asked of other cities, {packets} Handle packets between cities\n",
            self.name(),
            self.sum(|it| it.sent),
            self.seconds,
            self.late_ms(),
            self.sum(|it| it.right),
            self.sum(|it| it.wrong),
            self.sum(|it| it.lost),
            self.refused(),
            self.recursions,
        );
        for example in self.examples() {
            line.push_str(&format!("  wrong: {example}\n"));
        }
        line
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// What two objects have.
fn together(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

fn latencies(histogram: &Histogram<u64>) -> Value {
    json!({
        "answers": histogram.len(),
        "p50_ms": ms(histogram.value_at_quantile(0.5)),
        "p99_ms": ms(histogram.value_at_quantile(0.99)),
        "max_ms": ms(histogram.max()),
    })
}
