//! What threads have counted, gathered once a second into days, which the journal keeps: every ten
//! seconds, and when the node stops. A crash loses ten seconds of counts at most, and the reports
//! of the day say so.

mod keeping;

use self::keeping::former_stock;
use super::day::Day;
use super::{RESOLVING, sampler};
use idnode_proto::report::{Period, Unit};
use idnode_registry::Registry;
use idnode_registry::Result;
use idnode_registry::latency::Latencies;
use idnode_registry::prefix_table::Traffic;
use idnode_registry::upward::Journal;
use idnode_registry::upward::report::Reports;
use idnode_registry::upward::report::measured::{Gap, MeasuredDay, NODE, Progress};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often it is gathered.
const LOOK: Duration = Duration::from_secs(1);
/// How often days are journalled.
const KEEP: Duration = Duration::from_secs(10);
/// Places for sources, of all prefixes together: about 64 MiB.
const PLACES: usize = 1 << 20;

/// From a registration until resolution shows it, by the node's own probe.
static EFFECT: Latencies = Latencies::new();
/// Neither registration, resolution nor a front is at fault.
static AVAILABLE: AtomicBool = AtomicBool::new(true);

/// A registration of the node's own probe has taken effect after so long.
pub(crate) fn effective(took: Duration) {
    EFFECT.record(took);
}

/// Whether registration, resolution and the fronts work, as the node's own checks see it.
pub(crate) fn set_available(is_available: bool) {
    AVAILABLE.store(is_available, Ordering::Relaxed);
}

/// The thread that gathers.
#[derive(Debug)]
pub struct Gathering {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Gathering {
    /// Starts it, where the last process has ended. Blocks on the disk.
    ///
    /// # Errors
    /// The store fails, or there is no thread.
    pub fn start(registry: Arc<Registry>, reports: Arc<Reports>) -> Result<Self> {
        let mut gatherer = Gatherer::open(registry, reports)?;
        sampler::turn_on();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("measure".to_owned());
        let thread = thread
            .spawn(move || gatherer.run(&stopped))
            .map_err(|error: io::Error| idnode_registry::Error::Storage(error.to_string()))?;
        Ok(Self { stop, thread })
    }

    /// Stops it, when all has been gathered and is journalled. Blocks.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("the measuring thread failed");
        }
    }
}

#[derive(Debug)]
struct Gatherer {
    registry: Arc<Registry>,
    reports: Arc<Reports>,
    journal: Journal,
    progress: Progress,
    days: HashMap<Box<[u8]>, Day>,
    node: Day,
    /// Places that sources take.
    places: usize,
    /// Every prefix's counters, as of an epoch of the prefix table.
    listed: Vec<Arc<Traffic>>,
    epoch: Option<u64>,
    looked: Instant,
    kept: Instant,
    /// Parts of seconds that are not counted yet.
    up: Duration,
    available: Duration,
    /// The time that no process ran before this one.
    gap: Option<Gap>,
}

impl Gatherer {
    fn open(registry: Arc<Registry>, reports: Arc<Reports>) -> Result<Self> {
        let journal = registry.journal();
        let now_ms = reports.now_ms();
        let known = Progress::read(&journal)?;
        let progress = known.unwrap_or(Progress {
            day: Period::at(Unit::Day, now_ms).number(),
            docked_ms: now_ms,
            ..Progress::default()
        });
        let mut gatherer = Self {
            registry,
            reports,
            journal,
            progress,
            days: HashMap::new(),
            node: Day::default(),
            places: 0,
            listed: Vec::new(),
            epoch: None,
            looked: Instant::now(),
            kept: Instant::now(),
            up: Duration::ZERO,
            available: Duration::ZERO,
            gap: None,
        };
        gatherer.progress.offset_s = gatherer.reports.clock_offset_s();
        match known {
            Some(known) => gatherer.go_on(known, now_ms)?,
            None => gatherer.begin()?,
        }
        gatherer.list()?;
        gatherer.progress.alive_ms = now_ms;
        // Before anything is asked: what comes is the new day's.
        let today = Period::at(Unit::Day, now_ms);
        if today.number() > gatherer.progress.day {
            gatherer.close(today)?;
        }
        gatherer.keep(false)?;
        Ok(gatherer)
    }

    /// The first day of a node.
    fn begin(&mut self) -> Result<()> {
        self.node = Day::beginning(self.stock(NODE)?);
        for entry in self.registry.prefixes().all() {
            let key = &entry.record.key;
            let day = Day::beginning(self.stock(key)?);
            self.days.insert(key.as_ref().into(), day);
        }
        Ok(())
    }

    /// Goes on with the day that the last process was at.
    fn go_on(&mut self, known: Progress, now_ms: u64) -> Result<()> {
        let node = MeasuredDay::read(&self.journal, known.day, NODE)?;
        self.node = Day::kept(node.unwrap_or_default());
        if !known.ended {
            self.node.row.unrecorded_s += KEEP.as_secs();
        }
        self.node.is_changed = true;
        let mut after = NODE.to_vec();
        loop {
            let rows = MeasuredDay::after(&self.journal, known.day, &after)?;
            let Some((last, _)) = rows.last() else { break };
            after = last.to_vec();
            for (key, row) in rows {
                let day = Day::kept(row);
                self.places += day.places();
                self.days.insert(key.as_ref().into(), day);
            }
        }
        let gap = Gap {
            begins_ms: known.alive_ms,
            ends_ms: now_ms,
            planned: known.ended,
        };
        self.gap = Some(gap);
        self.journal.commit(&[gap.entry()])
    }

    /// The time before this process is as long as is known by now.
    fn mend_gap(&mut self) -> Result<()> {
        let Some(ends_ms) = self.reports.take_beginning_ms() else {
            return Ok(());
        };
        let Some(gap) = &mut self.gap else {
            return Ok(());
        };
        gap.ends_ms = gap.ends_ms.max(ends_ms);
        self.journal.commit(&[gap.entry()])
    }

    fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            thread::park_timeout(LOOK.saturating_sub(self.looked.elapsed()));
            if self.looked.elapsed() < LOOK {
                continue;
            }
            if let Err(error) = self.look() {
                tracing::warn!(%error, "what was measured could not be kept");
            }
        }
        if let Err(error) = self.look().and_then(|()| self.keep(true)) {
            tracing::warn!(%error, "what was measured could not be kept");
        }
    }

    /// Gathers what came since the last time.
    fn look(&mut self) -> Result<()> {
        let now_ms = self.reports.now_ms();
        self.mend_gap()?;
        let took = self.looked.elapsed();
        self.looked = Instant::now();
        let today = Period::numbered(Unit::Day, self.progress.day);
        let at_ms = now_ms.clamp(today.begins_ms(), today.ends_ms() - 1);
        self.count_time(took);
        self.progress.alive_ms = now_ms;
        let row = &mut self.node.row;
        for (spread, latencies) in [
            (&mut row.resolving, &RESOLVING),
            (&mut row.registering, self.registry.registering()),
            (&mut row.effect, &EFFECT),
        ] {
            if let Some(gathered) = latencies.take() {
                spread.add(gathered, at_ms);
            }
        }
        self.gather(took, at_ms)?;
        if Period::at(Unit::Day, now_ms) > today {
            self.close(Period::at(Unit::Day, now_ms))?;
        }
        // At this look or later than it should be.
        if self.kept.elapsed() + LOOK > KEEP {
            self.keep(false)?;
        }
        Ok(())
    }

    /// Gathers queries and their samples.
    fn gather(&mut self, took: Duration, at_ms: u64) -> Result<()> {
        let mut sums = self.registry.prefixes().elsewhere().take();
        let mut listed = Ok(());
        if self.epoch != Some(self.registry.prefixes().epoch()) {
            // Those that have left the table are counted before they leave the list.
            let collected = self.collect(took, at_ms);
            sums = (sums.0 + collected.0, sums.1 + collected.1);
            listed = self.list();
        }
        // Samples first: none is gathered before the query that it was taken of.
        self.take_samples(at_ms);
        let collected = self.collect(took, at_ms);
        let (queries, successes) = (sums.0 + collected.0, sums.1 + collected.1);
        self.node.add(queries, successes, took, at_ms);
        listed
    }

    fn take_samples(&mut self, at_ms: u64) {
        let (days, places, registry) = (&mut self.days, &mut self.places, &self.registry);
        let lost = sampler::drain(|sample| {
            let key = &sample.traffic.key;
            // One that has gone for good has no day; one that is newer than the list gets it here.
            if !days.contains_key(key) && registry.prefixes().get(key).is_some() {
                match former_stock(registry, key) {
                    Ok(stock) => drop(days.insert(key.clone(), Day::beginning(stock))),
                    Err(error) => tracing::warn!(%error, "a source could not be counted"),
                }
            }
            if let Some(day) = days.get_mut(key) {
                *places += usize::from(day.sample(&sample, *places < PLACES, at_ms));
            }
        });
        if lost > 0 {
            metrics::counter!("idnode_bound_hits_total", "bound" => "measure_samples")
                .increment(lost);
        }
    }

    /// Takes over what was counted of every prefix in the list; queries and successes in all.
    fn collect(&mut self, took: Duration, at_ms: u64) -> (u64, u64) {
        let (mut queries, mut successes) = (0, 0);
        for traffic in &self.listed {
            let (asked, answered) = traffic.take();
            let registered = traffic.registering.take();
            if asked == 0 && answered == 0 && registered.is_none() {
                continue;
            }
            queries += asked;
            successes += answered;
            // All in the list have one.
            let Some(day) = self.days.get_mut(&traffic.key) else {
                continue;
            };
            day.add(asked, answered, took, at_ms);
            if let Some(gathered) = registered {
                day.row.registering.add(gathered, at_ms);
                day.is_changed = true;
            }
        }
        (queries, successes)
    }

    /// Brings the list of counters up to date. Each prefix in it has a day: where it had none, it was
    /// registered today, and has what former registrations have left.
    fn list(&mut self) -> Result<()> {
        let epoch = self.registry.prefixes().epoch();
        let entries = self.registry.prefixes().all();
        for entry in &entries {
            let key = entry.record.key.as_ref();
            if !self.days.contains_key(key) {
                let day = Day::beginning(former_stock(&self.registry, key)?);
                self.days.insert(key.into(), day);
            }
        }
        self.listed = entries.into_iter().map(|it| it.traffic.clone()).collect();
        self.epoch = Some(epoch);
        Ok(())
    }

    /// Counts whole seconds of time that the process runs.
    fn count_time(&mut self, took: Duration) {
        let whole = |sum: &mut Duration| {
            let seconds = sum.as_secs();
            *sum -= Duration::from_secs(seconds);
            seconds
        };
        self.up += took;
        if AVAILABLE.load(Ordering::Relaxed) {
            self.available += took;
        }
        self.node.row.uptime_s += whole(&mut self.up);
        let available_s = whole(&mut self.available);
        let row = &mut self.node.row;
        row.available_s = (row.available_s + available_s).min(row.uptime_s);
        self.node.is_changed = true;
    }
}

#[cfg(test)]
mod tests;
