//! `idprovince load`: clients in every city ask their own city's node for identifiers of all
//! cities, by the clock, and every answer is compared with what was registered.
//!
//! | module | holds |
//! |---|---|
//! | `questions` | what is asked, and what is right |
//! | `asker` | the clients of one city |
//! | `tally` | what came of it |
//! | `report` | the result, for people and as JSON |
//!
//! Three phases, each of `--seconds`: `own`, in which each city asks for its own identifiers alone;
//! `cold`, in which every identifier is asked for once in every city; `warm`, in which they are
//! asked for again. Identifiers are registered anew for each run, so that cold ones are cold.

mod asker;
mod questions;
mod report;
mod tally;

use std::path::PathBuf;

use serde::Serialize;
use tokio::runtime::Runtime;

use super::api::{self, Api};
use super::city::{City, Site};
use super::control::{self, Order};
use super::error::Failure;
use super::layout::{HTTP_PORT, Layout, Map, Started};
use super::meter::Reading;
use super::seed::register;
use super::status::Status;
use crate::bench::order::{Draws, Order as Drawn};
use crate::bench::pace::{Clock, Limits, Pace};
use asker::Asker;
use questions::Questions;
use report::{PhaseReport, Report};
use tally::Tally;

/// Resolve in every city identifiers of every city, and check every answer
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The province's directory
    #[arg(long, value_name = "DIR", default_value = "province")]
    dir: PathBuf,
    /// Questions a second, all cities together
    #[arg(long, value_name = "N", default_value_t = 600.0, value_parser = rate)]
    rate: f64,
    /// How long each phase takes
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// Cities that ask and are asked about
    #[arg(long, value_name = "CITY,…", value_delimiter = ',', default_values_t = City::ALL.map(|it| it.name().to_owned()))]
    among: Vec<String>,
    /// What is done
    #[arg(long, value_name = "PHASE,…", value_delimiter = ',', value_enum, default_values_t = [Phase::Own, Phase::Cold, Phase::Warm])]
    phases: Vec<Phase>,
    /// Ask from beside the node, not from the city's clients: the way inside the city is left out
    #[arg(long)]
    beside: bool,
    /// When a question without an answer counts as lost, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    timeout_ms: u64,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (1.0..=100_000.0).contains(&number) => Ok(number),
        _ => Err("allowed: 1 to 100000".to_owned()),
    }
}

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    /// Each city asks for its own identifiers
    Own,
    /// Each city asks for every identifier, once
    Cold,
    /// Each city asks again for what it has asked for
    Warm,
}

/// What all phases of a run have alike.
struct Run<'a> {
    args: &'a Args,
    layout: Layout,
    map: Map,
    started: Started,
    cities: Vec<City>,
    runtime: Runtime,
    seed: u64,
}

/// Runs the load and prints what came of it; whether all was right.
///
/// # Errors
/// No province runs there; a node refuses to register; a socket cannot be had.
pub(super) fn run(args: &Args) -> Result<bool, Failure> {
    let layout = Layout::of(&args.dir)?;
    let status = status(&layout)?;
    let started = layout
        .started()?
        .ok_or_else(|| Failure::Program(format!("{} holds no province", layout.dir().display())))?;
    let parsed = args.among.iter().map(|name| name.parse());
    let mut cities: Vec<City> = parsed.collect::<Result<_, _>>().map_err(Failure::Usage)?;
    cities.sort_unstable();
    cities.dedup();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::io("a runtime"))?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| Failure::Program(error.to_string()))?;
    let run = Run {
        args,
        map: Map::new(&layout, status.apart),
        started,
        cities,
        runtime,
        seed: u64::from_le_bytes(random),
        layout,
    };
    let questions = run.register()?;
    let mut report = Report::new(args, &run.started);
    for phase in &args.phases {
        report.phases.push(run.phase(*phase, &questions)?);
    }
    report.print(args.json);
    Ok(report.is_right())
}

fn status(layout: &Layout) -> Result<Status, Failure> {
    let status = control::ask(layout, &Order::Status)?;
    serde_json::from_value(status).map_err(|error| Failure::Program(error.to_string()))
}

/// What is counted beside the answers, before a phase and after it.
struct Counts {
    /// Questions that nodes had others asked for, all cities together.
    recursions: u64,
    /// Packets of the Handle protocol on links between cities, where that is known.
    handle_packets: Option<u64>,
}

impl Run<'_> {
    /// Registers what is asked: every identifier is asked for once in each city in the cold phase,
    /// so no more of them than there is time for.
    fn register(&self) -> Result<Questions, Failure> {
        let cities = self.cities.len() as f64;
        let all = self.args.rate * f64::from(self.args.seconds);
        let each = (all / (cities * cities)).floor().max(1.0) as usize;
        let series = format!("LOAD-{:08x}", self.seed as u32);
        let questions = Questions::new(&self.cities, &series, each)?;
        self.runtime.block_on(async {
            let registering = self.cities.iter().map(|city| async {
                let api = Api::connect(&self.layout, &self.map, *city).await?;
                register(&api, questions.of(*city)).await
            });
            futures_util::future::try_join_all(registering).await
        })?;
        Ok(questions)
    }

    fn counts(&self) -> Result<Counts, Failure> {
        let readings = self.runtime.block_on(async {
            let reading = self.cities.iter().map(|city| async {
                let site = Site::City(*city);
                let got = api::get(&self.map, site, HTTP_PORT, "/metrics").await;
                let (_, body) = got.map_err(Failure::io(format!("{site}: metrics")))?;
                Ok::<_, Failure>(Reading::parse(&String::from_utf8_lossy(&body)))
            });
            futures_util::future::try_join_all(reading).await
        })?;
        let links = status(&self.layout)?.links;
        let between = links
            .iter()
            .filter(|link| ![&link.a, &link.b].contains(&&Site::National.name().to_owned()));
        let packets = between.filter_map(|link| link.carried.handle_packets);
        let handle_packets = packets.fold(None, |sum, more| Some(sum.unwrap_or(0) + more));
        Ok(Counts {
            recursions: readings.iter().map(|it| it.recursions).sum(),
            handle_packets,
        })
    }

    fn phase(&self, phase: Phase, questions: &Questions) -> Result<PhaseReport, Failure> {
        let before = self.counts()?;
        let clock = Clock::start();
        let tallies = std::thread::scope(|scope| {
            let askers = self.cities.iter().enumerate().map(|(number, city)| {
                let asker = self.asker(phase, questions, number, *city);
                scope.spawn(move || asker.run(clock))
            });
            let askers: Vec<_> = askers.collect();
            let panicked = |_| Err(Failure::Program("an asker has panicked".to_owned()));
            let tallies = askers
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(panicked));
            tallies.collect::<Result<Vec<Tally>, Failure>>()
        })?;
        let seconds = clock.now_ns() as f64 / 1e9;
        let after = self.counts()?;
        let handle_packets = after.handle_packets.zip(before.handle_packets);
        Ok(PhaseReport {
            phase,
            seconds,
            recursions: after.recursions.saturating_sub(before.recursions),
            handle_packets_between_cities: handle_packets.map(|(after, before)| after - before),
            tallies,
        })
    }

    /// The clients of a city in a phase.
    fn asker<'q>(
        &self,
        phase: Phase,
        questions: &'q Questions,
        number: usize,
        city: City,
    ) -> Asker<'q> {
        let asked = match phase {
            Phase::Own => questions.numbers_of(city),
            Phase::Cold | Phase::Warm => questions.numbers(),
        };
        let queries = match phase {
            Phase::Cold => asked.len() as u64,
            Phase::Own | Phase::Warm => u64::MAX,
        };
        let limits = Limits {
            duration_ns: u64::from(self.args.seconds) * 1_000_000_000,
            queries,
        };
        let seed = self.seed ^ ((phase as u64) << 8) ^ number as u64;
        let draws = Draws::split(Drawn::Shuffle, asked.len() as u32, seed, 0, 1);
        Asker {
            city,
            questions,
            asked,
            draws: draws.into_iter().next(),
            pace: Pace::open(limits, self.args.rate, number, self.cities.len()),
            server: self.map.at(Site::City(city), super::layout::HANDLE_PORT),
            namespace: match self.args.beside {
                true => self.map.namespace(Site::City(city)),
                false => self.map.client_namespace(city),
            },
            timeout_ns: self.args.timeout_ms.saturating_mul(1_000_000),
        }
    }
}
