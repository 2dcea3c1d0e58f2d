//! Zone transfers by `dig`, whole and by differences in turns, each compared with the model.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::model::{Model, Names};
use super::zone::{Kind, Zone};

/// How often it is looked whether the run is over.
const TICK: Duration = Duration::from_millis(50);
/// Differences that are told of one transfer.
const TOLD: usize = 3;

/// Who transfers.
#[derive(Debug)]
pub(super) struct Secondary {
    pub(super) dig: PathBuf,
    pub(super) server: SocketAddr,
    pub(super) every: Duration,
}

/// What came of the transfers.
#[derive(Debug, Default)]
pub(super) struct Transferred {
    pub(super) whole: u64,
    pub(super) differences: u64,
    pub(super) nothing: u64,
    /// Transfers that failed, or whose contents were wrong.
    pub(super) wrong: u64,
    pub(super) told: Vec<String>,
    pub(super) longest: Duration,
}

impl Secondary {
    /// Transfers until `stop`.
    pub(super) fn run(&self, model: &Model, names: &Names, stop: &AtomicBool) -> Transferred {
        let mut zone = Zone::default();
        let mut total = Transferred::default();
        for turn in 0_u32.. {
            let started = Instant::now();
            self.transfer(turn, &mut zone, model, names, &mut total);
            total.longest = total.longest.max(started.elapsed());
            while started.elapsed() < self.every && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        total
    }

    fn transfer(
        &self,
        turn: u32,
        zone: &mut Zone,
        model: &Model,
        names: &Names,
        total: &mut Transferred,
    ) {
        let before = model.all_acknowledged();
        let sequence = model.sequence();
        let asked = match zone.serial {
            Some(serial) if turn % 2 == 1 => format!("IXFR={serial}"),
            _ => "AXFR".to_owned(),
        };
        let done = self.dig(&names.zone, &asked);
        let applied = done.and_then(|output| zone.apply(&output));
        let mut wrong = match applied {
            Ok(kind) => {
                match kind {
                    Kind::Whole => total.whole += 1,
                    Kind::Differences => total.differences += 1,
                    Kind::Nothing => total.nothing += 1,
                }
                zone.compare(model, names, &before)
            }
            Err(reason) => {
                // The next one is whole again.
                zone.serial = None;
                vec![reason]
            }
        };
        if zone.serial.is_some_and(|serial| serial < sequence as u32) {
            wrong.push(format!(
                "serial {:?}, though {sequence} was acknowledged",
                zone.serial
            ));
        }
        total.wrong += u64::from(!wrong.is_empty());
        let told = wrong.into_iter().take(TOLD);
        total
            .told
            .extend(told.map(|reason| format!("{asked}: {reason}")));
    }

    /// The output of `dig`.
    fn dig(&self, zone: &str, asked: &str) -> Result<String, String> {
        let mut command = Command::new(&self.dig);
        command
            .arg(format!("@{}", self.server.ip()))
            .args(["-p", &self.server.port().to_string()])
            .args([zone, asked, "+tcp", "+tries=1", "+time=60"])
            .args([
                "+nocmd",
                "+nocomments",
                "+noquestion",
                "+nostats",
                "+noidnout",
            ])
            .stdin(Stdio::null());
        let output = command
            .output()
            .map_err(|error| format!("{}: {error}", self.dig.display()))?;
        String::from_utf8(output.stdout).map_err(|_| "output that is not UTF-8".to_owned())
    }
}
