//! `idctl upward reports|report|resend|events`: what was reported to the national node.

use clap::ValueEnum;
use idnode_proto::api::report_service_client::ReportServiceClient;
use idnode_proto::api::{
    FaultCheck, FaultEvent, GetReportRequest, ListFaultEventsRequest, ListReportsRequest, Report,
    ReportRow, ReportState,
};
use idnode_proto::report::Kind;
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::error::Failure;
use super::json;
use super::output::Table;
use super::session::{MAX_ANSWER_BYTES, Session};
use crate::report_json;

/// The rows of the table.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KindArg {
    /// Fault events (故障事件), at once
    Fault,
    /// Enterprises and their routes (企业信息及路由), hourly
    Enterprises,
    /// Node statistics (节点统计), daily
    Statistics,
    /// Monitoring (运行监测), daily
    Monitoring,
    /// Application data (应用数据), monthly
    Application,
    /// The service report, monthly
    Service,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Fault => Self::Fault,
            KindArg::Enterprises => Self::Enterprises,
            KindArg::Statistics => Self::Statistics,
            KindArg::Monitoring => Self::Monitoring,
            KindArg::Application => Self::Application,
            KindArg::Service => Self::Service,
        }
    }
}

/// What has become of a report.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StateArg {
    /// On its way
    Pending,
    /// Taken
    Taken,
    /// Refused, with a reason
    Refused,
}

/// Which reports are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[arg(long)]
    kind: Option<KindArg>,
    #[arg(long)]
    state: Option<StateArg>,
    /// Most rows
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    page_size: u32,
    /// Go on where a page has ended
    #[arg(long, default_value = "", hide_default_value = true)]
    page_token: String,
}

/// A report by its kind, its period and what part of it.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    #[arg(long)]
    kind: KindArg,
    /// Such as 2026-11-28T07, 2026-11-28 or 2026-11, in Beijing time; of an event as `reports` shows it
    #[arg(long)]
    period: String,
    /// The prefix, or the number of the part or event; the first part by default
    #[arg(long)]
    scope: Option<String>,
}

impl ReportArgs {
    fn key(&self) -> String {
        let kind = Kind::from(self.kind);
        let first = match kind {
            Kind::Enterprises | Kind::Monitoring => "1",
            _ => "",
        };
        let scope = self.scope.as_deref().unwrap_or(first);
        format!("{}/{}/{scope}", kind.name(), self.period)
    }
}

async fn client(session: &Session) -> Result<ReportServiceClient<Channel>, Failure> {
    let client = ReportServiceClient::new(session.channel().await?);
    Ok(client.max_decoding_message_size(MAX_ANSWER_BYTES))
}

pub(crate) async fn list(args: ListArgs, session: &Session) -> Result<(), Failure> {
    let kind = args.kind.map(|kind| Kind::from(kind).message());
    let state = args.state.map(|state| match state {
        StateArg::Pending => ReportState::Pending,
        StateArg::Taken => ReportState::Taken,
        StateArg::Refused => ReportState::Refused,
    });
    let request = session.request(ListReportsRequest {
        kind: kind.unwrap_or_default().into(),
        state: state.unwrap_or_default().into(),
        page_size: args.page_size,
        page_token: args.page_token,
    });
    let listed = client(session).await?.list_reports(request).await?;
    let listed = listed.into_inner();
    session.out.show(
        || {
            json!({
                "reports": listed.reports.iter().map(row_json).collect::<Vec<_>>(),
                "next_page_token": listed.next_page_token,
                "pending": listed.pending,
                "refused": listed.refused,
                "aside": listed.aside,
            })
        },
        || {
            let mut table = Table::new(&["REPORT", "STATE", "MADE", "TAKEN", "ATTEMPTS", "ERROR"]);
            for row in &listed.reports {
                table.row([
                    row.key.clone(),
                    state_name(row),
                    json::time(row.made_at.as_ref()).unwrap_or_default(),
                    json::time(row.taken_at.as_ref()).unwrap_or_default(),
                    row.attempts.to_string(),
                    row.last_error.clone(),
                ]);
            }
            let (pending, refused, aside) = (listed.pending, listed.refused, listed.aside);
            table
                .below(format!(
                    "{pending} on their way, {aside} of them set aside; {refused} refused"
                ))
                .more(&listed.next_page_token)
        },
    )
}

fn state_name(row: &ReportRow) -> String {
    json::name(row.state().as_str_name(), "REPORT_STATE_")
}

fn row_json(row: &ReportRow) -> Value {
    json!({
        "key": row.key,
        "state": state_name(row),
        "attempts": row.attempts,
        "last_error": row.last_error,
        "made_at": json::time(row.made_at.as_ref()),
        "taken_at": json::time(row.taken_at.as_ref()),
        "aside_until": json::time(row.aside_until.as_ref()),
    })
}

/// Prints the document, as it was or will be sent; it is JSON for people, too.
pub(crate) async fn show(args: ReportArgs, session: &Session) -> Result<(), Failure> {
    let request = session.request(GetReportRequest { key: args.key() });
    let row = client(session)
        .await?
        .get_report(request)
        .await?
        .into_inner();
    print_row(&row, session)
}

/// Sends a refused report again.
pub(crate) async fn resend(args: ReportArgs, session: &Session) -> Result<(), Failure> {
    let request = session.request(GetReportRequest { key: args.key() });
    let row = client(session).await?.resend_report(request).await?;
    print_row(&row.into_inner(), session)
}

fn print_row(row: &ReportRow, session: &Session) -> Result<(), Failure> {
    let report = row.report.clone().unwrap_or_default();
    session.out.show(
        || {
            let mut document = row_json(row);
            if let Some(fields) = document.as_object_mut() {
                fields.insert("report".to_owned(), report_json::report(&report));
            }
            document
        },
        || {
            let document = pretty(&report);
            let properties = [
                ("REPORT", row.key.clone()),
                ("STATE", state_name(row)),
                ("ERROR", row.last_error.clone()),
            ];
            Table::of_one(&properties).below(document)
        },
    )
}

fn pretty(report: &Report) -> String {
    serde_json::to_string_pretty(&report_json::report(report)).unwrap_or_default()
}

/// Lists fault events and how the node's checks stand.
pub(crate) async fn events(session: &Session) -> Result<(), Failure> {
    let request = session.request(ListFaultEventsRequest { page_size: 0 });
    let listed = client(session).await?.list_fault_events(request).await?;
    let listed = listed.into_inner();
    session.out.show(
        || {
            json!({
                "events": listed.events.iter().map(report_json::fault).collect::<Vec<_>>(),
                "checks": listed.checks.iter().map(check_json).collect::<Vec<_>>(),
            })
        },
        || checks_table(&listed.checks).with(&events_table(&listed.events)),
    )
}

fn check_json(check: &FaultCheck) -> Value {
    json!({
        "name": check.name,
        "faulty": check.faulty,
        "against": check.against,
        "detail": check.detail,
        "checked_at": json::time(check.checked_at.as_ref()),
    })
}

fn checks_table(checks: &[FaultCheck]) -> Table {
    let mut table = Table::new(&["CHECK", "STATE", "SAW", "AT"]);
    for check in checks {
        table.row([
            check.name.clone(),
            if check.faulty { "异常 fault" } else { "good" }.to_owned(),
            check.detail.clone(),
            json::time(check.checked_at.as_ref()).unwrap_or_default(),
        ]);
    }
    table
}

fn events_table(events: &[FaultEvent]) -> Table {
    let mut table = Table::new(&["EVENT", "RELATED", "STATE", "AT", "CHECK", "CAUSE"]);
    for event in events {
        table.row([
            event.number.to_string(),
            match event.related_number {
                0 => String::new(),
                number => number.to_string(),
            },
            json::name(event.state().as_str_name(), "FAULT_STATE_"),
            json::time(event.at.as_ref()).unwrap_or_default(),
            event.check.clone(),
            event.cause.clone(),
        ]);
    }
    table
}
