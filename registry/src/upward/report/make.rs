//! What a report says: documents of a period, computed from what was measured and registered.

use super::measured::{Gap, MeasuredDay, NODE, ROWS, Spread};
use super::{Context, listing};
use crate::Result;
use crate::upward::Entry;
use bytes::Bytes;
use idnode_proto::api::{self, report::Body};
use idnode_proto::identifier::{Prefix, Scheme};
use idnode_proto::report::check::availability;
use idnode_proto::report::{Kind, Period, ReportKey, timestamp};
use std::collections::BTreeMap;

/// Prefixes of one monitoring report, so that it fits a message.
const PREFIXES_A_PART: usize = 4_000;
/// Most downtimes and incidents that are named.
const MAX_NAMED: usize = 1_000;

/// Some reports of a period.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) reports: Vec<api::Report>,
    /// What is journalled with them.
    pub(super) entries: Vec<Entry>,
    /// The key of the last prefix that is done; `None`: all of the period is.
    pub(super) reached: Option<Vec<u8>>,
}

/// The next reports of a period that is over, after those of prefixes up to a key.
///
/// # Errors
/// The store fails.
pub(super) fn next_batch(
    context: &Context<'_>,
    kind: Kind,
    period: Period,
    after: &[u8],
) -> Result<Batch> {
    match kind {
        Kind::Statistics => statistics(context, period, after),
        Kind::Application => application(context, period, after),
        Kind::Monitoring => monitoring(context, period),
        Kind::Service => service(context, period),
        Kind::Enterprises => listing::enterprises(context, period),
        Kind::Fault => Ok(Batch::default()),
    }
}

impl Context<'_> {
    /// A report of a period around a body.
    pub(super) fn report(
        &self,
        kind: Kind,
        period: Period,
        scope: &str,
        body: Body,
    ) -> api::Report {
        let key = ReportKey::of_period(kind, period, scope);
        api::Report {
            body: Some(body),
            ..key.report(self.node, self.now_ms, self.clock_offset_s)
        }
    }
}

fn statistics(context: &Context<'_>, day: Period, after: &[u8]) -> Result<Batch> {
    let rows = MeasuredDay::after(context.journal, day.number(), after)?;
    let node = MeasuredDay::read(context.journal, day.number(), NODE)?.unwrap_or_default();
    let reached = more(&rows);
    let reports = rows.into_iter().filter_map(|(key, row)| {
        let prefix = named(&key)?;
        let body = prefix_day(&prefix, &row, node.unrecorded_s);
        let scope = prefix.canonical();
        Some(context.report(Kind::Statistics, day, &scope, Body::Statistics(body)))
    });
    Ok(Batch {
        reports: reports.collect(),
        entries: Vec::new(),
        reached,
    })
}

fn prefix_day(prefix: &Prefix, row: &MeasuredDay, unrecorded_s: u64) -> api::PrefixDay {
    let (created, deleted) = (row.created(), row.deleted());
    let identifiers = row.after.unwrap_or(row.before).identifiers;
    let is_full = row.sources.len() >= row.source_capacity as usize;
    let least = row.sources.iter().map(|source| source.queries).min();
    let mut sources: Vec<_> = row.sources.iter().filter_map(source).collect();
    sources.sort_unstable_by(|one, other| {
        let order = other.queries.cmp(&one.queries);
        order.then_with(|| one.source.cmp(&other.source))
    });
    take_off_excess(&mut sources, row.queries);
    api::PrefixDay {
        prefix: prefix.canonical(),
        scheme: scheme(prefix.scheme()).into(),
        new_identifiers: created,
        deleted_identifiers: deleted,
        identifiers,
        identifiers_before: identifiers.saturating_add(deleted).saturating_sub(created),
        queries: row.queries,
        successes: row.successes,
        sources,
        sampled_one_in: match row.looked_at {
            0 => 1.0,
            looked_at => (row.stood_for as f64 / looked_at as f64).max(1.0),
        },
        source_capacity: row.source_capacity,
        unlisted_at_most: least.filter(|_| is_full).unwrap_or(0),
        unrecorded_s: u32::try_from(unrecorded_s).unwrap_or(u32::MAX),
    }
}

/// Of a query at midnight the source may be gathered on the day after the query: what sources have
/// more than there were queries is taken off the most frequent ones.
fn take_off_excess(sources: &mut Vec<api::SourceCount>, queries: u64) {
    let sum: u64 = sources.iter().map(|source| source.queries).sum();
    let deviations = sources.iter().map(|source| source.deviation);
    // What is left to chance is none.
    if deviations.fold(0.0, f64::max) > 0.0 {
        return;
    }
    let mut excess = sum.saturating_sub(queries);
    for source in sources.iter_mut() {
        let taken = excess.min(source.queries);
        source.queries -= taken;
        source.over_at_most = source.over_at_most.min(source.queries);
        excess -= taken;
    }
    sources.retain(|source| source.queries > 0);
    sources.sort_by_key(|source| std::cmp::Reverse(source.queries));
}

fn source(source: &super::measured::Source) -> Option<api::SourceCount> {
    Some(api::SourceCount {
        source: source.name()?,
        queries: source.queries,
        over_at_most: source.over,
        deviation: source.variance.max(0.0).sqrt(),
    })
}

fn monitoring(context: &Context<'_>, day: Period) -> Result<Batch> {
    let node = MeasuredDay::read(context.journal, day.number(), NODE)?.unwrap_or_default();
    let mut prefixes = Vec::new();
    let mut after = NODE.to_vec();
    loop {
        let rows = MeasuredDay::after(context.journal, day.number(), &after)?;
        let reached = more(&rows);
        let active = rows
            .iter()
            .filter(|(_, row)| row.queries > 0 || row.registering.count > 0);
        prefixes.extend(active.filter_map(|(key, row)| Some(level(&named(key)?.canonical(), row))));
        match reached {
            Some(key) => after = key,
            None => break,
        }
    }
    let node = level("", &node);
    let parts = prefixes.len().div_ceil(PREFIXES_A_PART).max(1) as u32;
    let mut chunks = prefixes.chunks(PREFIXES_A_PART);
    let reports = (1..=parts).map(|part| {
        let body = api::Monitoring {
            node: Some(node.clone()),
            prefixes: chunks.next().unwrap_or_default().to_vec(),
            parts,
        };
        let scope = part.to_string();
        context.report(Kind::Monitoring, day, &scope, Body::Monitoring(body))
    });
    Ok(Batch {
        reports: reports.collect(),
        ..Batch::default()
    })
}

fn level(prefix: &str, row: &MeasuredDay) -> api::LevelDay {
    api::LevelDay {
        prefix: prefix.to_owned(),
        resolution: Some(row.resolving.shown()),
        registration: Some(row.registering.shown()),
        queries: row.queries,
        peak_qps: row.peak_qps,
        peak_at: (row.peak_qps > 0).then(|| timestamp(row.peak_at_ms)),
    }
}

fn application(context: &Context<'_>, month: Period, after: &[u8]) -> Result<Batch> {
    let days: Vec<Period> = month.days().collect();
    let mut of_prefix: BTreeMap<Bytes, Vec<(u32, MeasuredDay)>> = BTreeMap::new();
    // What every day has been read up to.
    let mut horizon: Option<Bytes> = None;
    for day in &days {
        let rows = MeasuredDay::after(context.journal, day.number(), after)?;
        if let Some(last) = more(&rows).map(Bytes::from) {
            horizon = Some(horizon.map_or(last.clone(), |it| it.min(last)));
        }
        for (key, row) in rows {
            let days = of_prefix.entry(key).or_default();
            days.push((day.day_of_month(), row));
        }
    }
    if let Some(horizon) = &horizon {
        of_prefix.retain(|key, _| key <= horizon);
    }
    let reports = of_prefix.iter().filter_map(|(key, rows)| {
        let prefix = named(key)?;
        let enterprise = context.registry.prefixes().get(key);
        let enterprise = enterprise.map_or(0, |entry| entry.record.enterprise);
        let body = month_of(&prefix, enterprise, rows);
        let scope = prefix.canonical();
        Some(context.report(Kind::Application, month, &scope, Body::Application(body)))
    });
    Ok(Batch {
        reports: reports.collect(),
        entries: Vec::new(),
        reached: horizon.map(|it| it.to_vec()),
    })
}

fn month_of(prefix: &Prefix, enterprise: u64, rows: &[(u32, MeasuredDay)]) -> api::ApplicationData {
    let mut data = api::ApplicationData {
        prefix: prefix.canonical(),
        scheme: scheme(prefix.scheme()).into(),
        enterprise,
        ..api::ApplicationData::default()
    };
    for (day, row) in rows {
        data.identifiers = row.after.unwrap_or(row.before).identifiers;
        let day = api::ApplicationDay {
            day: *day,
            new_identifiers: row.created(),
            deleted_identifiers: row.deleted(),
            queries: row.queries,
            successes: row.successes,
        };
        if day.new_identifiers + day.deleted_identifiers + day.queries == 0 {
            continue;
        }
        data.new_identifiers += day.new_identifiers;
        data.deleted_identifiers += day.deleted_identifiers;
        data.queries += day.queries;
        data.successes += day.successes;
        data.active_days += 1;
        data.days.push(day);
    }
    data
}

fn service(context: &Context<'_>, month: Period) -> Result<Batch> {
    let (begins_ms, ends_ms) = (month.begins_ms().max(context.docked_ms), month.ends_ms());
    let month_s = ends_ms.saturating_sub(begins_ms) / 1_000;
    let mut report = api::ServiceReport {
        due_at: Some(timestamp(month.due_ms())),
        month_s,
        ..api::ServiceReport::default()
    };
    let [mut registration, mut resolution, mut effect] = [Spread::default(); 3];
    let (mut uptime_s, mut available_s) = (0, 0);
    for day in month.days() {
        let row = MeasuredDay::read(context.journal, day.number(), NODE)?.unwrap_or_default();
        registration.merge(&row.registering);
        resolution.merge(&row.resolving);
        effect.merge(&row.effect);
        uptime_s += row.uptime_s;
        available_s += row.available_s;
        report.registrations += row.created();
        report.queries += row.queries;
    }
    // Seconds are counted by a steady clock, and the month by another.
    report.uptime_s = uptime_s.min(month_s);
    report.available_s = available_s.min(report.uptime_s);
    report.registration = Some(registration.shown());
    report.resolution = Some(resolution.shown());
    report.effect = Some(effect.shown());
    let gaps = Gap::between(context.journal, begins_ms, ends_ms, MAX_NAMED)?;
    let mut planned_s = 0;
    for gap in gaps {
        let (from, to) = (gap.begins_ms.max(begins_ms), gap.ends_ms.min(ends_ms));
        if from > to {
            continue;
        }
        let downtime = api::Downtime {
            begins_at: Some(timestamp(from)),
            ends_at: Some(timestamp(to)),
        };
        if gap.planned {
            planned_s += (to - from) / 1_000;
            report.maintenance.push(downtime);
        } else {
            report.outages.push(downtime);
        }
    }
    report.availability = availability(report.available_s, month_s.saturating_sub(planned_s));
    report.incidents = context.events.incidents(begins_ms, ends_ms, MAX_NAMED)?;
    let body = Body::Service(report);
    Ok(Batch {
        reports: vec![context.report(Kind::Service, month, "", body)],
        ..Batch::default()
    })
}

/// The key to go on after, if there may be more rows.
fn more(rows: &[(Bytes, MeasuredDay)]) -> Option<Vec<u8>> {
    let is_full = rows.len() == ROWS;
    rows.last().filter(|_| is_full).map(|(key, _)| key.to_vec())
}

fn named(key: &[u8]) -> Option<Prefix> {
    Prefix::from_key(key).ok()
}

pub(super) fn scheme(scheme: Scheme) -> api::Scheme {
    match scheme {
        Scheme::Handle => api::Scheme::Handle,
        Scheme::Oid => api::Scheme::Oid,
        Scheme::Gs1 => api::Scheme::Gs1,
        Scheme::Ecode => api::Scheme::Ecode,
        Scheme::Vaa => api::Scheme::Vaa,
        Scheme::Did => api::Scheme::Did,
    }
}

/// A listing that is cut up into messages.
pub(super) struct Parts<T> {
    pub(super) done: Vec<Vec<T>>,
    part: Vec<T>,
    bytes: usize,
    limit: usize,
}

impl<T: prost::Message> Parts<T> {
    /// Parts of about so many bytes.
    pub(super) fn of(limit: usize) -> Self {
        Self {
            done: Vec::new(),
            part: Vec::new(),
            bytes: 0,
            limit,
        }
    }

    pub(super) fn push(&mut self, item: T) {
        let bytes = item.encoded_len();
        if self.bytes + bytes > self.limit && !self.part.is_empty() {
            self.done.push(std::mem::take(&mut self.part));
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.part.push(item);
    }

    /// All of them; one, empty, if nothing was pushed.
    pub(super) fn finish(mut self) -> Vec<Vec<T>> {
        if !self.part.is_empty() || self.done.is_empty() {
            self.done.push(self.part);
        }
        self.done
    }
}
