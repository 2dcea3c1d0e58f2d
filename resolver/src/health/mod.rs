//! The node's checks of itself. What fails several times in a row is a fault, which is told to the
//! national node; what succeeds several times in a row is over.
//!
//! | module | holds |
//! |---|---|
//! | `hysteresis` | when a check turns: pure |
//! | `checks` | what is checked |
//! | `abuse` | what fronts have turned away in the last minute: pure |

mod abuse;
mod checks;
mod hysteresis;

pub use checks::Fronts;

use crate::front::Core;
use crate::measure::gather::set_available;
use checks::{CHECKS, Checker, Seen};
use hysteresis::{Hysteresis, Limits};
use idnode_proto::api::{FaultCheck, FaultType};
use idnode_proto::identifier::Identifier;
use idnode_proto::report::timestamp;
use idnode_registry::upward::report::Reports;
use idnode_registry::upward::report::events::Turn;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What is checked, and how often.
#[derive(Debug, Clone)]
pub struct HealthOptions {
    /// How often.
    pub interval: Duration,
    /// Failed checks in a row that raise a fault.
    pub checks_to_fault: u32,
    /// Good checks in a row that end it.
    pub checks_to_recovery: u32,
    /// Where the registry is.
    pub data_dir: PathBuf,
    /// Free bytes below which there is a fault.
    pub min_free_bytes: u64,
    /// What fronts may turn away in a minute without its being a fault; 0: anything.
    pub attack_per_minute: u32,
    /// What the node registers to probe registration; `None`: nothing.
    pub probe: Option<Identifier>,
    /// Where the fronts are.
    pub fronts: Fronts,
}

/// One check and how it stands.
#[derive(Debug)]
struct Watched {
    name: &'static str,
    kind: FaultType,
    state: Hysteresis,
    seen: Seen,
    checked_ms: u64,
}

/// Checks until `shutdown`.
pub async fn run(
    core: Arc<Core>,
    reports: Arc<Reports>,
    options: HealthOptions,
    shutdown: CancellationToken,
) {
    let limits = Limits {
        to_fault: options.checks_to_fault,
        to_recovery: options.checks_to_recovery,
    };
    let interval = options.interval;
    let mut checker = Checker::new(core, options);
    // What was at fault when the last process ended still is, until checks say otherwise.
    let faulty = reports.events().faulty();
    let mut watched: Vec<Watched> = CHECKS
        .into_iter()
        .map(|(name, kind)| Watched {
            name,
            kind,
            state: Hysteresis::new(faulty.contains_key(name)),
            seen: Seen::default(),
            checked_ms: 0,
        })
        .collect();
    set_available(is_available(&watched));
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
        for check in &mut watched {
            let checked = checker.check(check.name);
            let seen = tokio::select! {
                // Fronts that are shutting down are not at fault.
                () = shutdown.cancelled() => return,
                seen = checked => seen,
            };
            let now_ms = reports.now_ms();
            check.state.observe(seen.is_good, now_ms, limits);
            (check.seen, check.checked_ms) = (seen, now_ms);
            let turn = check.turn();
            let telling = reports.clone();
            // Each time: one that could not be told is told then, one that was is left alone.
            let told = tokio::task::spawn_blocking(move || telling.tell(&turn)).await;
            if let Ok(Err(error)) = told {
                tracing::warn!(%error, check = check.name, "an event could not be kept");
            }
            let faulty = f64::from(u8::from(check.state.is_faulty()));
            metrics::gauge!("idnode_fault", "check" => check.name).set(faulty);
        }
        set_available(is_available(&watched));
        reports.checked(watched.iter().map(Watched::shown).collect());
    }
}

/// Checks of what clients need: who is not answered by a front is not helped by a store that is.
const NEEDED: [&str; 6] = [
    "registration",
    "resolution",
    "dns",
    "handle",
    "http",
    "grpc",
];

/// Whether neither registration nor resolution is at fault, nor a front that is asked for them.
fn is_available(watched: &[Watched]) -> bool {
    let mut needed = watched.iter().filter(|it| NEEDED.contains(&it.name));
    !needed.any(|it| it.state.is_faulty())
}

impl Watched {
    /// What it has come to.
    fn turn(&self) -> Turn {
        Turn {
            check: self.name,
            kind: self.kind,
            faulty: self.state.is_faulty(),
            since_ms: self.state.since_ms(),
            cause: self.seen.detail.clone(),
        }
    }

    fn shown(&self) -> FaultCheck {
        FaultCheck {
            name: self.name.to_owned(),
            faulty: self.state.is_faulty(),
            against: self.state.against(),
            detail: self.seen.detail.clone(),
            checked_at: Some(timestamp(self.checked_ms)),
        }
    }
}
