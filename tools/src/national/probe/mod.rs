//! The prober: asks nodes over and over, as if from several places, whether they resolve and register,
//! and takes a node over when 51 % of the probes in a window find one of the two down.
//!
//! | module | holds |
//! |---|---|
//! | [`window`] | the rule: pure |
//! | `ask` | the questions |
//! | [`settings`] | what is probed |
//! | `shown` | how it is shown |
//!
//! A probe asks for an identifier that the node has, over each way that is named (Handle over UDP and
//! TCP, DNS): if one of them has no answer, resolution is down for those who use it. It registers an
//! identifier of its own, `<prefix>/probe-<place>`. What the node says of itself is shown, and counts
//! for nothing.

mod ask;
pub mod settings;
mod shown;
pub mod window;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use idnode_proto::dnsname::{Zones, to_name};
use idnode_proto::identifier::Identifier;
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::takeover::Ledger;
use super::takeover::row::Refusal;
use super::{Failure, Shared, Started, Task, now_ms};
use ask::{Asked, Outcome};
use settings::{Mode, ProbeSettings, Target};
use shown::Prober;
use window::{Finding, Seen, Turn, Window};

const POINTS: u32 = 5;
const INTERVAL_MS: u64 = 5_000;
const TIMEOUT_MS: u64 = 2_000;
const ROUNDS: u32 = 3;
/// Longest file of a key or token, bytes.
const MAX_KEY_BYTES: usize = 4_096;

/// The ways of resolution, then registration, as they are shown.
const WAYS: [&str; 4] = ["handle_udp", "handle_tcp", "dns", "registration"];

/// Starts the probes; none where there is nothing to probe.
///
/// # Errors
/// A target can't be asked; a file can't be read.
pub fn start(settings: &ProbeSettings, shared: &Shared) -> Result<Option<Started>, Failure> {
    if settings.probes.is_empty() {
        return Ok(None);
    }
    let mode = settings.takeover.unwrap_or(Mode::Manual);
    let points = settings.probe_points.unwrap_or(POINTS).max(1);
    let interval = Duration::from_millis(settings.probe_interval_ms.unwrap_or(INTERVAL_MS));
    let within = Duration::from_millis(settings.probe_timeout_ms.unwrap_or(TIMEOUT_MS));
    let rounds = settings.probe_window.unwrap_or(ROUNDS).max(1);
    let size = points as usize * rounds as usize;
    // A round takes as long as its slowest answer.
    let keeps = (interval + within) * rounds * 2;
    let mut watched = Vec::new();
    let mut tasks: Vec<Task> = Vec::new();
    for target in &settings.probes {
        target.check()?;
        let watch = Arc::new(Watched {
            asks: Asks::read(target)?,
            node: target.node.clone(),
            ledger: (mode == Mode::Auto).then(|| shared.takeovers.clone()),
            state: Mutex::new(State {
                window: Window::new(size, keeps.as_millis() as u64),
                points: vec![Point::default(); points as usize],
                told_of_itself: Value::Null,
            }),
        });
        for number in 0..points as usize {
            let sources = &settings.probe_source;
            let source = number.checked_rem(sources.len());
            let source = source.and_then(|at| sources.get(at)).copied();
            let begins = interval * number as u32 / points;
            let probe = Probe {
                watched: watch.clone(),
                number,
                source,
                within,
                channel: None,
            };
            tasks.push(Box::pin(probe.go_on(begins, interval)));
        }
        watched.push(watch);
    }
    Ok(Some(Started {
        part: Arc::new(Prober { watched, mode }),
        addresses: Vec::new(),
        tasks,
    }))
}

/// What a target is asked, read once.
struct Asks {
    target: Target,
    /// The name of the identifier in wire form.
    dns_name: Vec<u8>,
    key: String,
    token: String,
}

impl Asks {
    fn read(target: &Target) -> Result<Self, Failure> {
        let mut dns_name = Vec::new();
        if let (Some(zone), Some(identifier)) = (&target.zone, &target.resolve) {
            let zones = Zones::parse(zone, None, None)?;
            let identifier = Identifier::parse(identifier)?;
            to_name(&identifier, &zones)
                .wire()
                .clone_into(&mut dns_name);
        }
        let secret =
            |path: &Option<std::path::PathBuf>| path.as_deref().map_or(Ok(String::new()), line);
        Ok(Self {
            dns_name,
            key: secret(&target.key)?,
            token: secret(&target.monitor)?,
            target: target.clone(),
        })
    }
}

fn line(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    match text.len() > MAX_KEY_BYTES {
        true => Err(format!("{}: is too long", path.display()).into()),
        false => Ok(text.trim().to_owned()),
    }
}

/// A node that is probed.
struct Watched {
    node: String,
    asks: Asks,
    /// By which it is taken over without a person.
    ledger: Option<Arc<Ledger>>,
    state: Mutex<State>,
}

struct State {
    window: Window,
    points: Vec<Point>,
    told_of_itself: Value,
}

/// What a place has found last.
#[derive(Debug, Clone, Default)]
struct Point {
    at_ms: u64,
    found: BTreeMap<&'static str, (bool, String)>,
}

impl Watched {
    /// One more finding; whether the node turns by it, and why.
    fn observe(&self, number: usize, found: &[(&'static str, Outcome)]) -> Option<(Turn, String)> {
        let of = |is_registration: bool| {
            let mut seen = found
                .iter()
                .filter(|(way, _)| (*way == "registration") == is_registration)
                .map(|(_, outcome)| outcome.seen)
                .peekable();
            if seen.peek().is_none() {
                return Seen::Unclear;
            }
            let seen: Vec<Seen> = seen.collect();
            match seen.contains(&Seen::Down) {
                true => Seen::Down,
                false if seen.iter().all(|it| *it == Seen::Works) => Seen::Works,
                false => Seen::Unclear,
            }
        };
        let finding = Finding {
            resolution: of(false),
            registration: of(true),
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(point) = state.points.get_mut(number) {
            point.at_ms = now_ms();
            let shown = found.iter().map(|(way, outcome)| {
                let works = outcome.seen == Seen::Works;
                (*way, (works, outcome.detail.clone()))
            });
            point.found = shown.collect();
        }
        let turn = state.window.observe(finding, steady_ms())?;
        let (resolution, registration) = (state.window.resolution(), state.window.registration());
        let why = format!(
            "{} of {} probes found registration down, {} resolution",
            registration.down, registration.of, resolution.down
        );
        Some((turn, why))
    }

    async fn turned(&self, turn: Turn, why: String) {
        eprintln!("idnational: {} is {turn:?}: {why}", self.node);
        let Some(ledger) = self.ledger.clone().filter(|_| turn == Turn::Down) else {
            return;
        };
        let node = self.node.clone();
        let taken = tokio::task::spawn_blocking(move || ledger.take(&node, &[], &why)).await;
        match taken {
            Ok(Ok(row)) => eprintln!("idnational: {} is taken over ({})", self.node, row.epoch),
            Ok(Err(failure)) if failure.is::<Refusal>() => {
                eprintln!("idnational: {}: {failure}", self.node);
            }
            Ok(Err(failure)) => {
                eprintln!("idnational: {} can't be taken over: {failure}", self.node)
            }
            Err(error) => eprintln!("idnational: {} can't be taken over: {error}", self.node),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds of a clock that does not go back.
fn steady_ms() -> u64 {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed().as_millis() as u64
}

/// One place's probe of one node.
struct Probe {
    watched: Arc<Watched>,
    number: usize,
    source: Option<IpAddr>,
    within: Duration,
    channel: Option<Channel>,
}

impl Probe {
    async fn go_on(mut self, begins: Duration, interval: Duration) {
        tokio::time::sleep(begins).await;
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let found = self.probe().await;
            if let Some((turn, why)) = self.watched.observe(self.number, &found) {
                self.watched.turned(turn, why).await;
            }
            if self.number == 0 {
                self.ask_of_itself().await;
            }
        }
    }

    /// Asks every way at once.
    async fn probe(&mut self) -> Vec<(&'static str, Outcome)> {
        let (watched, source, within) = (self.watched.clone(), self.source, self.within);
        let (asks, target) = (&watched.asks, &watched.asks.target);
        let handle = target.resolve.as_deref().unwrap_or_default();
        let udp = async {
            let server = target.handle?;
            Some(in_time(within, ask::handle_udp(server, source, handle, within)).await)
        };
        let tcp = async {
            let server = target.handle?;
            Some(in_time(within, ask::handle_tcp(server, source, handle)).await)
        };
        let dns = async {
            let server = target.dns?;
            Some(in_time(within, ask::dns(server, source, &asks.dns_name, within)).await)
        };
        let registration = async {
            target.grpc?;
            Some(in_time(within, self.register()).await)
        };
        let (udp, tcp, dns, registration) = tokio::join!(udp, tcp, dns, registration);
        let found = WAYS.into_iter().zip([udp, tcp, dns, registration]);
        found
            .filter_map(|(way, outcome)| Some((way, outcome?)))
            .collect()
    }

    async fn register(&mut self) -> Asked {
        let target = &self.watched.asks.target;
        let (Some(server), Some(prefix)) = (target.grpc, &target.register) else {
            return Err("is not asked".to_owned());
        };
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => ask::grpc(server, self.source, self.within).await?,
        };
        let identifier = format!("{prefix}/probe-{}", self.number + 1);
        let asked = ask::register(channel.clone(), &self.watched.asks.key, &identifier).await;
        // A connection that is of no use is made anew.
        if asked.as_ref().is_ok_and(|it| it.seen == Seen::Works) {
            self.channel = Some(channel);
        }
        asked
    }

    async fn ask_of_itself(&self) {
        let asks = &self.watched.asks;
        let Some(server) = asks.target.http else {
            return;
        };
        let asked = ask::monitor(server, self.source, &asks.token);
        let told = match tokio::time::timeout(self.within, asked).await {
            Ok(Ok(told)) => told,
            Ok(Err(reason)) => json!({"error": reason}),
            Err(_) => json!({"error": "no answer in time"}),
        };
        self.watched.lock().told_of_itself = told;
    }
}

async fn in_time(within: Duration, asked: impl Future<Output = Asked>) -> Outcome {
    match tokio::time::timeout(within, asked).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(reason)) => Outcome::new(Seen::Down, reason),
        Err(_) => Outcome::new(
            Seen::Down,
            format!("no answer within {} ms", within.as_millis()),
        ),
    }
}
