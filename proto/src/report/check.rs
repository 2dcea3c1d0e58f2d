//! What a report must fulfil. Both sides hold it to the same: the node before it keeps a report to
//! send, the national node before it takes one.

use super::key::{Kind, MAX_SCOPE_BYTES, ReportKey};
use super::period::{Period, Unit};
use super::{millis, timestamp};
use crate::api::report::Body;
use crate::api::{
    self, ApplicationData, ApplicationDay, EnterpriseListing, FaultEvent, FaultState, FaultType,
    LatencyDay, LevelDay, Monitoring, PrefixDay, ReportedEnterprise, Scheme, ServiceReport,
};
use crate::identifier::Prefix;
use prost_types::Timestamp;
use std::collections::HashSet;
use std::fmt;

/// Longest text of a report beside scopes, bytes.
const MAX_TEXT_BYTES: usize = 1_024;
/// Longest description of an enterprise, bytes.
const MAX_DESCRIPTION_BYTES: usize = 2_048;
/// Most entries of a repeated field.
const MAX_ENTRIES: usize = 10_000;
/// How many standard deviations a sampled sum may be off.
const DEVIATIONS: f64 = 8.0;
/// How far two computations of the same ratio may differ.
const EPSILON: f64 = 1e-6;

/// What is wrong with a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Which field, as a path such as `statistics.sources[3].queries`.
    pub field: String,
    /// Why.
    pub reason: String,
}

impl Flaw {
    /// A flaw of a field.
    #[must_use]
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// The same seen from what has the field.
    fn within(self, outer: &str) -> Self {
        let field = format!("{outer}.{}", self.field);
        Self { field, ..self }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

type Checked<T = ()> = Result<T, Flaw>;

/// Checks a report in itself; its key then.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(report: &api::Report) -> Checked<ReportKey> {
    let key = ReportKey::parse(&report.key)
        .ok_or_else(|| Flaw::new("key", format!("{:?} is no key", shortened(&report.key))))?;
    text("node", &report.node, 1)?;
    if Kind::of_message(report.kind()) != Some(key.kind) {
        return Err(Flaw::new("kind", "is not what the key says"));
    }
    if report.scope != key.scope || key.scope.len() > MAX_SCOPE_BYTES {
        return Err(Flaw::new("scope", "is not what the key says"));
    }
    let begins = required("begins_at", report.begins_at.as_ref())?;
    let ends = required("ends_at", report.ends_at.as_ref())?;
    if !key.is_bounded_by(begins, ends) {
        return Err(Flaw::new(
            "begins_at",
            "is not when the key's period begins and ends",
        ));
    }
    let made_ms = moment("made_at", required("made_at", report.made_at.as_ref())?)?;
    let (begins_ms, ends_ms) = key.bounds_ms();
    if made_ms < ends_ms {
        return Err(Flaw::new("made_at", "is before the end of the period"));
    }
    let within = Within { begins_ms, ends_ms };
    match (key.kind, &report.body) {
        (Kind::Fault, Some(Body::Fault(it))) => fault(it, &key).map_err(|e| e.within("fault")),
        (Kind::Enterprises, Some(Body::Enterprises(it))) => {
            enterprises(it, &key).map_err(|e| e.within("enterprises"))
        }
        (Kind::Statistics, Some(Body::Statistics(it))) => {
            statistics(it, &key).map_err(|e| e.within("statistics"))
        }
        (Kind::Monitoring, Some(Body::Monitoring(it))) => {
            monitoring(it, &key, within).map_err(|e| e.within("monitoring"))
        }
        (Kind::Application, Some(Body::Application(it))) => {
            application(it, &key).map_err(|e| e.within("application"))
        }
        (Kind::Service, Some(Body::Service(it))) => {
            service(it, &key, within).map_err(|e| e.within("service"))
        }
        _ => Err(Flaw::new("body", "is not of the kind that the key says")),
    }?;
    Ok(key)
}

/// A period that moments must be in.
#[derive(Debug, Clone, Copy)]
struct Within {
    begins_ms: u64,
    ends_ms: u64,
}

impl Within {
    fn has(self, field: &str, at: &Timestamp) -> Checked<u64> {
        let ms = moment(field, at)?;
        if !(self.begins_ms..self.ends_ms).contains(&ms) {
            return Err(Flaw::new(field, "is not in the period"));
        }
        Ok(ms)
    }
}

fn fault(event: &FaultEvent, key: &ReportKey) -> Checked {
    if event.number == 0 || event.number.to_string() != key.scope {
        return Err(Flaw::new("number", "is not the number that the key says"));
    }
    match event.state() {
        FaultState::Unspecified => return Err(Flaw::new("state", "is neither fault nor recovery")),
        FaultState::Fault if event.related_number != 0 => {
            return Err(Flaw::new("related_number", "is of recoveries alone"));
        }
        FaultState::Recovery if !(1..event.number).contains(&event.related_number) => {
            return Err(Flaw::new("related_number", "is no earlier event's"));
        }
        FaultState::Fault | FaultState::Recovery => {}
    }
    if event.r#type() == FaultType::Unspecified {
        return Err(Flaw::new("type", "is not 1 to 4"));
    }
    let at = moment("at", required("at", event.at.as_ref())?)?;
    if at != key.bounds_ms().0 {
        return Err(Flaw::new("at", "is not the moment that the key says"));
    }
    if moment("since", required("since", event.since.as_ref())?)? > at {
        return Err(Flaw::new("since", "is after it was noticed"));
    }
    text("check", &event.check, 1)?;
    text("cause", &event.cause, 1)
}

fn enterprises(listing: &EnterpriseListing, key: &ReportKey) -> Checked {
    part(&key.scope, listing.parts)?;
    if listing.through_sequence < listing.after_sequence {
        return Err(Flaw::new("through_sequence", "is before after_sequence"));
    }
    few("enterprises", listing.enterprises.len())?;
    let mut seen = HashSet::new();
    for (position, enterprise) in listing.enterprises.iter().enumerate() {
        let named = |field: &str| format!("enterprises[{position}].{field}");
        if !seen.insert(enterprise.id) {
            return Err(Flaw::new(named("id"), "is listed twice"));
        }
        text(&named("name"), &enterprise.name, 1)?;
        text(&named("certificate_code"), &enterprise.certificate_code, 1)?;
        profile(enterprise).map_err(|flaw| flaw.within(&format!("enterprises[{position}]")))?;
        few(&named("routes"), enterprise.routes.len())?;
        let versions = enterprise.routes.iter().map(|route| route.version);
        let newest = versions.fold(enterprise.version, u64::max);
        if newest > listing.through_sequence {
            return Err(Flaw::new(named("version"), "is after through_sequence"));
        }
        for (at, route) in enterprise.routes.iter().enumerate() {
            let inner = |field: &str| named(&format!("routes[{at}].{field}"));
            prefix_of(&inner("prefix"), &route.prefix, route.scheme())?;
            text(&inner("state"), &route.state, 1)?;
            few(&inner("addresses"), route.addresses.len())?;
        }
    }
    Ok(())
}

/// What may be missing of an enterprise's profile.
fn profile(enterprise: &ReportedEnterprise) -> Checked {
    let contact = enterprise.contact.clone().unwrap_or_default();
    for (field, value) in [
        ("name_en", &enterprise.name_en),
        ("address", &enterprise.address),
        ("website", &enterprise.website),
        ("contact.name", &contact.name),
        ("contact.email", &contact.email),
        ("contact.phone", &contact.phone),
    ] {
        text(field, value, 0)?;
    }
    if enterprise.description.len() > MAX_DESCRIPTION_BYTES {
        let reason = format!("has more than {MAX_DESCRIPTION_BYTES} bytes");
        return Err(Flaw::new("description", reason));
    }
    for (field, code) in [
        ("province_code", &enterprise.province_code),
        ("city_code", &enterprise.city_code),
        ("county_code", &enterprise.county_code),
    ] {
        let is_code = code.len() == 6 && code.bytes().all(|it| it.is_ascii_digit());
        if !code.is_empty() && !is_code {
            return Err(Flaw::new(field, "is not 6 digits (GB/T 2260)"));
        }
    }
    let country = &enterprise.country_code;
    let is_country = country.len() == 2 && country.bytes().all(|it| it.is_ascii_uppercase());
    if !country.is_empty() && !is_country {
        return Err(Flaw::new("country_code", "is not two capital letters"));
    }
    Ok(())
}

fn statistics(day: &PrefixDay, key: &ReportKey) -> Checked {
    prefix_of("prefix", &day.prefix, day.scheme())?;
    if day.prefix != key.scope {
        return Err(Flaw::new("prefix", "is not the one that the key says"));
    }
    let sum = i128::from(day.identifiers_before) + i128::from(day.new_identifiers)
        - i128::from(day.deleted_identifiers);
    if sum != i128::from(day.identifiers) {
        let reason = format!(
            "{} before, {} new and {} deleted make {sum}, not {}",
            day.identifiers_before, day.new_identifiers, day.deleted_identifiers, day.identifiers
        );
        return Err(Flaw::new("identifiers", reason));
    }
    answered(day.queries, day.successes)?;
    sources(day)
}

fn answered(queries: u64, successes: u64) -> Checked {
    if successes > queries {
        let reason = format!("{successes} of {queries} queries");
        return Err(Flaw::new("successes", reason));
    }
    Ok(())
}

fn sources(day: &PrefixDay) -> Checked {
    few("sources", day.sources.len())?;
    if !(day.sampled_one_in.is_finite() && day.sampled_one_in >= 1.0) {
        return Err(Flaw::new("sampled_one_in", "is not 1 or more"));
    }
    let sum = total("sources", day.sources.iter().map(|source| source.queries))?;
    let (mut variance, mut last) = (0.0_f64, u64::MAX);
    let mut seen = HashSet::new();
    for (position, source) in day.sources.iter().enumerate() {
        let named = |field: &str| format!("sources[{position}].{field}");
        if !is_source(&source.source) {
            let reason = "is neither an IPv4 address nor an IPv6 network of 64 bits";
            return Err(Flaw::new(named("source"), reason));
        }
        if !seen.insert(source.source.as_str()) {
            return Err(Flaw::new(named("source"), "is listed twice"));
        }
        if source.queries == 0 || source.queries > last {
            return Err(Flaw::new(
                named("queries"),
                "is 0, or more than the one before",
            ));
        }
        if source.over_at_most > source.queries {
            return Err(Flaw::new(named("over_at_most"), "is more than it has"));
        }
        if !(source.deviation.is_finite() && source.deviation >= 0.0) {
            return Err(Flaw::new(named("deviation"), "is no deviation"));
        }
        last = source.queries;
        variance += source.deviation * source.deviation;
    }
    let most = day.queries as f64 + DEVIATIONS * variance.sqrt();
    if sum as f64 > most {
        let reason = format!("add up to {sum}, of {} queries", day.queries);
        return Err(Flaw::new("sources", reason));
    }
    Ok(())
}

/// Whether a text is an IPv4 address or an IPv6 network of 64 bits, in its usual spelling.
fn is_source(text: &str) -> bool {
    if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
        return address.to_string() == text;
    }
    let network = text.strip_suffix("/64").map(str::parse);
    let Some(Ok(address)) = network else {
        return false;
    };
    let address: std::net::Ipv6Addr = address;
    address.to_bits() << 64 == 0 && format!("{address}/64") == text
}

fn monitoring(report: &Monitoring, key: &ReportKey, within: Within) -> Checked {
    part(&key.scope, report.parts)?;
    let node = required("node", report.node.as_ref())?;
    if !node.prefix.is_empty() {
        return Err(Flaw::new("node.prefix", "is not empty"));
    }
    level(node, within).map_err(|flaw| flaw.within("node"))?;
    few("prefixes", report.prefixes.len())?;
    let mut seen = HashSet::new();
    for (position, prefix) in report.prefixes.iter().enumerate() {
        let outer = format!("prefixes[{position}]");
        if prefix.prefix.is_empty() || !seen.insert(prefix.prefix.as_str()) {
            let reason = "is empty, or listed twice";
            return Err(Flaw::new(format!("{outer}.prefix"), reason));
        }
        level(prefix, within).map_err(|flaw| flaw.within(&outer))?;
    }
    let below = total("prefixes", report.prefixes.iter().map(|it| it.queries))?;
    if below > node.queries {
        let reason = format!("{}, and its prefixes had {below}", node.queries);
        return Err(Flaw::new("node.queries", reason));
    }
    Ok(())
}

fn level(day: &LevelDay, within: Within) -> Checked {
    text("prefix", &day.prefix, 0)?;
    for (field, latencies) in [
        ("resolution", &day.resolution),
        ("registration", &day.registration),
    ] {
        let latencies = required(field, latencies.as_ref())?;
        latency(latencies, within).map_err(|flaw| flaw.within(field))?;
    }
    if day.peak_qps > day.queries {
        return Err(Flaw::new("peak_qps", "is more than the day had queries"));
    }
    match &day.peak_at {
        Some(at) if day.peak_qps > 0 => within.has("peak_at", at).map(drop),
        None if day.peak_qps == 0 => Ok(()),
        _ => Err(Flaw::new("peak_at", "does not fit peak_qps")),
    }
}

fn latency(day: &LatencyDay, within: Within) -> Checked {
    let numbers = [day.min_ms, day.average_ms, day.max_ms];
    if day.count == 0 {
        let is_empty = numbers == [0.0; 3] && day.max_at.is_none() && day.min_at.is_none();
        let flaw = || Flaw::new("count", "is 0, and there are latencies");
        return is_empty.then_some(()).ok_or_else(flaw);
    }
    if !numbers.iter().all(|it| it.is_finite() && *it >= 0.0) {
        return Err(Flaw::new("average_ms", "is no latency"));
    }
    // The average is a quotient, which may be rounded.
    let slack = day.max_ms * 1e-9;
    if day.min_ms > day.average_ms + slack || day.average_ms > day.max_ms + slack {
        let reason = format!(
            "{} is not between the least, {}, and the greatest, {}",
            day.average_ms, day.min_ms, day.max_ms
        );
        return Err(Flaw::new("average_ms", reason));
    }
    within.has("max_at", required("max_at", day.max_at.as_ref())?)?;
    within.has("min_at", required("min_at", day.min_at.as_ref())?)?;
    Ok(())
}

/// What is counted of a day.
type Count = fn(&ApplicationDay) -> u64;

fn application(data: &ApplicationData, key: &ReportKey) -> Checked {
    prefix_of("prefix", &data.prefix, data.scheme())?;
    if data.prefix != key.scope {
        return Err(Flaw::new("prefix", "is not the one that the key says"));
    }
    answered(data.queries, data.successes)?;
    let month = Period::at(Unit::Month, key.bounds_ms().0);
    let length = month.days().count() as u32;
    let mut last = 0;
    for (position, day) in data.days.iter().enumerate() {
        let named = |field: &str| format!("days[{position}].{field}");
        if day.day <= last || day.day > length {
            let reason = "is not after the one before, or not in the month";
            return Err(Flaw::new(named("day"), reason));
        }
        last = day.day;
        answered(day.queries, day.successes)
            .map_err(|flaw| Flaw::new(named(&flaw.field), flaw.reason))?;
    }
    if data.active_days as usize != data.days.len() {
        return Err(Flaw::new("active_days", "is not how many days there are"));
    }
    let stated: [(&str, u64, Count); 4] = [
        ("new_identifiers", data.new_identifiers, |it| {
            it.new_identifiers
        }),
        ("deleted_identifiers", data.deleted_identifiers, |it| {
            it.deleted_identifiers
        }),
        ("queries", data.queries, |it| it.queries),
        ("successes", data.successes, |it| it.successes),
    ];
    for (field, stated, count) in stated {
        let sum = total("days", data.days.iter().map(count))?;
        if stated != sum {
            let reason = format!("is {stated}, and the days add up to {sum}");
            return Err(Flaw::new(field, reason));
        }
    }
    Ok(())
}

fn service(report: &ServiceReport, key: &ReportKey, within: Within) -> Checked {
    if !key.scope.is_empty() {
        return Err(Flaw::new("due_at", "has a scope"));
    }
    let month = Period::at(Unit::Month, within.begins_ms);
    if report.due_at != Some(timestamp(month.due_ms())) {
        return Err(Flaw::new(
            "due_at",
            "is not the end of the tenth working day",
        ));
    }
    let longest_s = (within.ends_ms - within.begins_ms) / 1_000;
    let spans = [
        report.available_s,
        report.uptime_s,
        report.month_s,
        longest_s,
    ];
    if !spans.is_sorted() {
        let reason = "available_s, uptime_s, month_s and the month's length do not ascend";
        return Err(Flaw::new("uptime_s", reason));
    }
    for (field, latencies) in [
        ("registration", &report.registration),
        ("resolution", &report.resolution),
        ("effect", &report.effect),
    ] {
        let latencies = required(field, latencies.as_ref())?;
        latency(latencies, within).map_err(|flaw| flaw.within(field))?;
    }
    let planned_s = downtimes("maintenance", &report.maintenance, within)?;
    downtimes("outages", &report.outages, within)?;
    let owed_s = report.month_s.saturating_sub(planned_s);
    let expected = availability(report.available_s, owed_s);
    if (report.availability - expected).abs() > EPSILON {
        let reason = format!("is {}, and its parts make {expected}", report.availability);
        return Err(Flaw::new("availability", reason));
    }
    incidents(report)
}

/// The share of the time owed that a node was available, at most 1; 1 if none was owed.
#[must_use]
pub fn availability(available_s: u64, owed_s: u64) -> f64 {
    match owed_s {
        0 => 1.0,
        owed_s => (available_s as f64 / owed_s as f64).min(1.0),
    }
}

/// The whole seconds of downtimes, rounded down for each.
fn downtimes(field: &str, list: &[api::Downtime], within: Within) -> Checked<u64> {
    few(field, list.len())?;
    let (mut last_ms, mut sum_s) = (within.begins_ms, 0);
    for (position, downtime) in list.iter().enumerate() {
        let named = |inner: &str| format!("{field}[{position}].{inner}");
        let begins = moment(
            "",
            required(&named("begins_at"), downtime.begins_at.as_ref())?,
        )?;
        let ends = moment("", required(&named("ends_at"), downtime.ends_at.as_ref())?)?;
        if begins < last_ms || ends < begins || ends > within.ends_ms {
            let reason = "is not after the one before, or not in the month";
            return Err(Flaw::new(named("begins_at"), reason));
        }
        last_ms = ends;
        sum_s += (ends - begins) / 1_000;
    }
    Ok(sum_s)
}

fn incidents(report: &ServiceReport) -> Checked {
    few("incidents", report.incidents.len())?;
    let mut last = 0;
    for (position, incident) in report.incidents.iter().enumerate() {
        let named = |inner: &str| format!("incidents[{position}].{inner}");
        if incident.number <= last {
            return Err(Flaw::new(named("number"), "is not after the one before"));
        }
        last = incident.number;
        let begins = required(&named("begins_at"), incident.begins_at.as_ref())?;
        let begins = moment(&named("begins_at"), begins)?;
        if let Some(ends) = &incident.ends_at
            && moment(&named("ends_at"), ends)? < begins
        {
            return Err(Flaw::new(named("ends_at"), "is before it began"));
        }
        text(&named("cause"), &incident.cause, 1)?;
    }
    Ok(())
}

fn required<'a, T>(field: &str, value: Option<&'a T>) -> Checked<&'a T> {
    value.ok_or_else(|| Flaw::new(field, "is missing"))
}

fn moment(field: &str, at: &Timestamp) -> Checked<u64> {
    millis(at).ok_or_else(|| Flaw::new(field, "is no time"))
}

fn text(field: &str, value: &str, least: usize) -> Checked {
    if !(least..=MAX_TEXT_BYTES).contains(&value.len()) {
        let reason = format!("has not {least} to {MAX_TEXT_BYTES} bytes");
        return Err(Flaw::new(field, reason));
    }
    Ok(())
}

/// A sum of what a report counts.
fn total(field: &str, mut counts: impl Iterator<Item = u64>) -> Checked<u64> {
    let sum = counts.try_fold(0_u64, u64::checked_add);
    sum.ok_or_else(|| Flaw::new(field, "add up to more than 64 bits hold"))
}

fn few(field: &str, entries: usize) -> Checked {
    if entries > MAX_ENTRIES {
        return Err(Flaw::new(
            field,
            format!("has more than {MAX_ENTRIES} entries"),
        ));
    }
    Ok(())
}

/// Whether a scope is a number of `parts`.
fn part(scope: &str, parts: u32) -> Checked {
    let number: Option<u32> = scope
        .parse()
        .ok()
        .filter(|it: &u32| it.to_string() == scope);
    if !number.is_some_and(|it| (1..=parts).contains(&it)) {
        let reason = format!("{scope:?} is no part of {parts}");
        return Err(Flaw::new("parts", reason));
    }
    Ok(())
}

fn prefix_of(field: &str, text: &str, scheme: Scheme) -> Checked {
    let parsed: Prefix = text
        .parse()
        .map_err(|error| Flaw::new(field, format!("{:?}: {error}", shortened(text))))?;
    if scheme == Scheme::Unspecified || parsed.canonical() != text {
        return Err(Flaw::new(
            field,
            "is not in canonical form, or of no scheme",
        ));
    }
    Ok(())
}

fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(100))
        .unwrap_or_default()
}
