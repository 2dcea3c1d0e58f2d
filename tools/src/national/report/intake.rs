//! What becomes of a report: it is checked in itself, by the rules of `idnode_proto::report`, and
//! against those that were taken before; what is known is not taken again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use idnode_proto::api::report::Body;
use idnode_proto::api::{Report, ReportVerdict, SubmitReportResponse};
use idnode_proto::report::key::When;
use idnode_proto::report::{Flaw, Kind, Period, ReportKey, check, millis};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ledger::{Line, PeriodRow, parse_key, row_key};
use crate::national::book::{Book, Page, Table};
use crate::national::page::escaped;
use crate::national::{Failure, now_ms};
use crate::report_json;

const TAKEN: Table = Table::new("report.taken");
const PERIODS: Table = Table::new("report.periods");
const REFUSED: Table = Table::new("report.refused");
const FAULTS: Table = Table::new("report.faults");
const CLOCKS: Table = Table::new("report.clocks");

/// Longest node id, bytes.
const MAX_NODE_BYTES: usize = 64;
/// Most refusals that are kept of all nodes.
const MAX_REFUSALS: usize = 1_000;

/// A report that was taken.
#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    taken_ms: u64,
    /// How often it has come.
    times: u32,
    document: Value,
}

/// A report that was refused.
#[derive(Debug, Serialize, Deserialize)]
struct Refusal {
    refused_ms: u64,
    field: String,
    reason: String,
}

/// The intake.
#[derive(Debug)]
pub(super) struct Intake {
    book: Book,
}

impl Intake {
    pub(super) fn new(book: Book) -> Self {
        Self { book }
    }

    /// Takes a report, knows it, or refuses it.
    ///
    /// # Errors
    /// The book can't be written: nothing is taken.
    pub(super) fn take(&self, report: &Report) -> Result<SubmitReportResponse, Failure> {
        self.book.write(|page| match admitted(page, report) {
            Ok(Admitted::New(key)) => {
                put(page, report, &key)?;
                Ok(answer(ReportVerdict::Taken, None))
            }
            Ok(Admitted::Known) => {
                let row = row_of(report);
                if let Some(mut taken) = page.get::<Taken>(TAKEN, &row)? {
                    taken.times += 1;
                    page.put(TAKEN, &row, &taken)?;
                }
                Ok(answer(ReportVerdict::Known, None))
            }
            Err(Refused::Flaw(flaw)) => {
                refuse(page, report, &flaw)?;
                Ok(answer(ReportVerdict::Refused, Some(flaw)))
            }
            Err(Refused::Failed(failure)) => Err(failure),
        })
    }

    /// A report that was taken.
    ///
    /// # Errors
    /// The book can't be read.
    pub(super) fn document(&self, node: &str, key: &str) -> Result<Option<Value>, Failure> {
        let taken: Option<Taken> = self.book.get(TAKEN, &format!("{node}\n{key}"))?;
        Ok(taken.map(|it| json!({"times": it.times, "report": it.document})))
    }

    /// How every node stands, for programs.
    ///
    /// # Errors
    /// The book can't be read.
    pub(super) fn status(&self) -> Result<Value, Failure> {
        let mut nodes = serde_json::Map::new();
        for (node, lines) in self.lines()? {
            let now_ms = self.time_of(&node)?;
            let mut kinds = serde_json::Map::new();
            for (kind, line) in lines {
                kinds.insert(kind.name().to_owned(), shown_line(kind, &line, now_ms));
            }
            nodes.insert(node, kinds.into());
        }
        let refused: Vec<(String, Refusal)> = self.book.all(REFUSED)?;
        let refused: Vec<Value> = refused
            .iter()
            .map(|(key, it)| {
                let (node, key) = key.split_once('\n').unwrap_or_default();
                json!({"node": node, "key": key, "field": it.field, "reason": it.reason})
            })
            .collect();
        let faults: Vec<(String, Value)> = self.book.all(FAULTS)?;
        let faults: Vec<Value> = faults.into_iter().map(|(_, fault)| fault).collect();
        Ok(json!({"nodes": nodes, "refused": refused, "events": faults}))
    }

    /// How every node stands, for a person.
    ///
    /// # Errors
    /// The book can't be read.
    pub(super) fn section(&self) -> Result<String, Failure> {
        let mut html = String::from(
            "<table><tr><th>node</th><th>report</th><th>taken</th><th>last</th>\
             <th>missing</th><th>incomplete</th></tr>\n",
        );
        let names = |periods: Vec<Period>| {
            let names: Vec<_> = periods.iter().map(Period::to_string).collect();
            names.join(", ")
        };
        for (node, lines) in self.lines()? {
            let now_ms = self.time_of(&node)?;
            for (kind, line) in lines {
                let taken: u64 = line.rows.values().map(|row| row.taken).sum();
                let last = line.rows.keys().next_back().zip(kind.unit());
                let last = last.map(|(number, unit)| Period::numbered(unit, *number).to_string());
                // Writing to a String cannot fail.
                let _ = writeln!(
                    html,
                    "<tr><td>{}</td><td>{}</td><td>{taken}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                    escaped(&node),
                    kind.name(),
                    last.unwrap_or_default(),
                    names(line.missing(kind, now_ms)),
                    names(line.incomplete(kind)),
                );
            }
        }
        html.push_str("</table>\n");
        let refused: Vec<(String, Refusal)> = self.book.all(REFUSED)?;
        for (key, it) in &refused {
            let _ = writeln!(
                html,
                "<p>refused {}: {}: {}</p>",
                escaped(key),
                escaped(&it.field),
                escaped(&it.reason)
            );
        }
        let faults: Vec<(String, Value)> = self.book.all(FAULTS)?;
        for (key, fault) in faults.iter().rev().take(20) {
            let _ = writeln!(
                html,
                "<p>{}: {}</p>",
                escaped(key),
                escaped(&fault.to_string())
            );
        }
        Ok(html)
    }

    fn lines(&self) -> Result<BTreeMap<String, BTreeMap<Kind, Line>>, Failure> {
        let mut nodes: BTreeMap<String, BTreeMap<Kind, Line>> = BTreeMap::new();
        for (key, row) in self.book.all::<PeriodRow>(PERIODS)? {
            if let Some((node, kind)) = parse_key(&key) {
                let lines = nodes.entry(node.to_owned()).or_default();
                lines.entry(kind).or_default().rows.insert(row.number, row);
            }
        }
        Ok(nodes)
    }

    /// The time by which a node's reports are due: the present, or what its reports say, if a
    /// rehearsal is ahead.
    fn time_of(&self, node: &str) -> Result<u64, Failure> {
        let told: Option<u64> = self.book.get(CLOCKS, node)?;
        Ok(told.unwrap_or(0).max(now_ms()))
    }
}

enum Admitted {
    New(ReportKey),
    Known,
}

enum Refused {
    Flaw(Flaw),
    Failed(Failure),
}

impl From<Flaw> for Refused {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn row_of(report: &Report) -> String {
    format!("{}\n{}", report.node, report.key)
}

fn answer(verdict: ReportVerdict, flaw: Option<Flaw>) -> SubmitReportResponse {
    let (field, reason) = flaw.map_or_else(Default::default, |it| (it.field, it.reason));
    SubmitReportResponse {
        verdict: verdict.into(),
        field,
        reason,
    }
}

/// Whether a report may be taken.
fn admitted(page: &Page, report: &Report) -> Result<Admitted, Refused> {
    if report.node.len() > MAX_NODE_BYTES || report.node.contains(char::is_control) {
        return Err(Flaw::new("node", "is no node's id").into());
    }
    if page.get::<Taken>(TAKEN, &row_of(report))?.is_some() {
        return Ok(Admitted::Known);
    }
    let key = check(report)?;
    follows(page, report, &key)?;
    Ok(Admitted::New(key))
}

/// Whether a report goes on where the one before it has ended, if that is there.
fn follows(page: &Page, report: &Report, key: &ReportKey) -> Result<(), Refused> {
    let When::Period(period) = key.when else {
        return Ok(());
    };
    let before = ReportKey::of_period(key.kind, period.previous(), &key.scope);
    let row = format!("{}\n{before}", report.node);
    let Some(before) = page.get::<Taken>(TAKEN, &row)? else {
        return Ok(());
    };
    let pairs = match &report.body {
        Some(Body::Statistics(day)) => (
            "statistics.identifiers_before",
            day.identifiers_before,
            before.document.pointer("/statistics/identifiers"),
        ),
        Some(Body::Enterprises(listing)) => (
            "enterprises.after_sequence",
            listing.after_sequence,
            before.document.pointer("/enterprises/through_sequence"),
        ),
        _ => return Ok(()),
    };
    let (field, has, expected) = pairs;
    match expected.and_then(Value::as_u64) {
        Some(expected) if expected != has => {
            let reason = format!("is {has}, and the period before has ended with {expected}");
            Err(Flaw::new(field, reason).into())
        }
        _ => Ok(()),
    }
}

fn put(page: &Page, report: &Report, key: &ReportKey) -> Result<(), Failure> {
    let row = row_of(report);
    let document = report_json::report(report);
    if let Some(Body::Fault(event)) = &report.body {
        let place = format!("{}\n{:020}", report.node, event.number);
        page.put(FAULTS, &place, &document)?;
    }
    let taken = Taken {
        taken_ms: now_ms(),
        times: 1,
        document,
    };
    page.put(TAKEN, &row, &taken)?;
    page.remove(REFUSED, &row)?;
    let made_ms = report.made_at.as_ref().and_then(millis).unwrap_or(0);
    let told: Option<u64> = page.get(CLOCKS, &report.node)?;
    page.put(CLOCKS, &report.node, &told.unwrap_or(0).max(made_ms))?;
    let Some((line, period)) = row_key(&report.node, key) else {
        return Ok(());
    };
    let mut row: PeriodRow = page.get(PERIODS, &line)?.unwrap_or_default();
    row.number = period.number();
    row.taken += 1;
    let parts = match &report.body {
        Some(Body::Enterprises(it)) => it.parts,
        Some(Body::Monitoring(it)) => it.parts,
        _ => 0,
    };
    if parts > 0 {
        row.of = parts;
        row.parts.extend(key.scope.parse::<u32>().ok());
    }
    page.put(PERIODS, &line, &row)
}

fn refuse(page: &Page, report: &Report, flaw: &Flaw) -> Result<(), Failure> {
    let known: Vec<(String, Refusal)> = page.all(REFUSED)?;
    if known.len() >= MAX_REFUSALS
        && let Some((oldest, _)) = known.iter().min_by_key(|(_, it)| it.refused_ms)
    {
        page.remove(REFUSED, oldest)?;
    }
    let refusal = Refusal {
        refused_ms: now_ms(),
        field: flaw.field.clone(),
        reason: flaw.reason.clone(),
    };
    let row: String = row_of(report).chars().take(400).collect();
    page.put(REFUSED, &row, &refusal)
}

fn shown_line(kind: Kind, line: &Line, now_ms: u64) -> Value {
    let names =
        |periods: Vec<Period>| -> Vec<String> { periods.iter().map(Period::to_string).collect() };
    let name = |number: Option<&u64>| {
        let named = number.zip(kind.unit());
        named.map(|(number, unit)| Period::numbered(unit, *number).to_string())
    };
    json!({
        "taken": line.rows.values().map(|row| row.taken).sum::<u64>(),
        "periods": line.rows.len(),
        "first": name(line.rows.keys().next()),
        "last": name(line.rows.keys().next_back()),
        "missing": names(line.missing(kind, now_ms)),
        "incomplete": names(line.incomplete(kind)),
    })
}
