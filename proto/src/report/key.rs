//! What a report is known by: `<kind>/<period>/<scope>`. It is made of what the report tells, never
//! of when it was made, so that a report that is sent twice counts once.

use super::period::{Period, Unit};
use super::{millis, timestamp};
use crate::api::{self, ReportKind};
use prost_types::Timestamp;
use std::fmt;

/// Longest scope, bytes: a prefix.
pub const MAX_SCOPE_BYTES: usize = 255;

/// A kind of report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// 故障事件.
    Fault = 1,
    /// 企业信息及路由.
    Enterprises = 2,
    /// 节点统计.
    Statistics = 3,
    /// 运行监测.
    Monitoring = 4,
    /// 应用数据.
    Application = 5,
    /// The monthly service report.
    Service = 6,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Fault,
        Self::Enterprises,
        Self::Statistics,
        Self::Monitoring,
        Self::Application,
        Self::Service,
    ];

    /// Those with periods.
    pub const PERIODIC: [Self; 5] = [
        Self::Enterprises,
        Self::Statistics,
        Self::Monitoring,
        Self::Application,
        Self::Service,
    ];

    /// Its name in keys and on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Enterprises => "enterprises",
            Self::Statistics => "statistics",
            Self::Monitoring => "monitoring",
            Self::Application => "application",
            Self::Service => "service",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// How often it is due; `None`: at once.
    #[must_use]
    pub fn unit(self) -> Option<Unit> {
        match self {
            Self::Fault => None,
            Self::Enterprises => Some(Unit::Hour),
            Self::Statistics | Self::Monitoring => Some(Unit::Day),
            Self::Application | Self::Service => Some(Unit::Month),
        }
    }

    /// As messages have it.
    #[must_use]
    pub fn message(self) -> ReportKind {
        match self {
            Self::Fault => ReportKind::Fault,
            Self::Enterprises => ReportKind::Enterprises,
            Self::Statistics => ReportKind::Statistics,
            Self::Monitoring => ReportKind::Monitoring,
            Self::Application => ReportKind::Application,
            Self::Service => ReportKind::Service,
        }
    }

    /// Out of a message; `None`: unspecified.
    #[must_use]
    pub fn of_message(kind: ReportKind) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.message() == kind)
    }
}

/// When something a report is for was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum When {
    /// A period.
    Period(Period),
    /// A moment, milliseconds since the Unix epoch; of events.
    Moment(u64),
}

/// A report's key, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReportKey {
    /// Which row of the table.
    pub kind: Kind,
    /// Of when.
    pub when: When,
    /// See `Report.scope`.
    pub scope: String,
}

impl ReportKey {
    /// Of a period.
    #[must_use]
    pub fn of_period(kind: Kind, period: Period, scope: &str) -> Self {
        Self {
            kind,
            when: When::Period(period),
            scope: scope.to_owned(),
        }
    }

    /// Of an event.
    #[must_use]
    pub fn of_event(number: u64, at_ms: u64) -> Self {
        Self {
            kind: Kind::Fault,
            when: When::Moment(at_ms),
            scope: number.to_string(),
        }
    }

    /// Reads what [`fmt::Display`] writes; `None`: it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let kind = Kind::named(parts.next()?)?;
        let when = parts.next()?;
        let scope = parts.next()?.to_owned();
        let when = match kind.unit() {
            Some(unit) => When::Period(Period::parse(when).filter(|it| it.unit() == unit)?),
            None => When::Moment(
                when.parse()
                    .ok()
                    .filter(|ms: &u64| ms.to_string() == when)?,
            ),
        };
        Some(Self { kind, when, scope })
    }

    /// Begin and end, milliseconds since the Unix epoch.
    #[must_use]
    pub fn bounds_ms(&self) -> (u64, u64) {
        match self.when {
            When::Period(period) => (period.begins_ms(), period.ends_ms()),
            When::Moment(ms) => (ms, ms),
        }
    }

    /// The report of this key without its body.
    #[must_use]
    pub fn report(&self, node: &str, made_at_ms: u64, clock_offset_s: i64) -> api::Report {
        let (begins, ends) = self.bounds_ms();
        api::Report {
            key: self.to_string(),
            node: node.to_owned(),
            kind: self.kind.message().into(),
            begins_at: Some(timestamp(begins)),
            ends_at: Some(timestamp(ends)),
            scope: self.scope.clone(),
            made_at: Some(timestamp(made_at_ms)),
            clock_offset_s,
            body: None,
        }
    }

    /// Whether two moments are where it begins and ends.
    #[must_use]
    pub fn is_bounded_by(&self, begins: &Timestamp, ends: &Timestamp) -> bool {
        let (begins_ms, ends_ms) = self.bounds_ms();
        millis(begins) == Some(begins_ms) && millis(ends) == Some(ends_ms)
    }
}

impl fmt::Display for ReportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, scope) = (self.kind.name(), &self.scope);
        match self.when {
            When::Period(period) => write!(f, "{kind}/{period}/{scope}"),
            When::Moment(ms) => write!(f, "{kind}/{ms}/{scope}"),
        }
    }
}
